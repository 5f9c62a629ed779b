//! Which users does the directory hold, and which rows do they become?
//!
//! ```text
//! Session::list_users ── page after page ──▶ Roll (each user once, a number each) ──▶ Row ──▶ the pipeline
//!                        held back by it
//! ```

mod error;
mod listing;
mod seen_set;

pub use self::error::{ListedFor, ListingError};

pub(crate) use self::error::NotListed;
pub(crate) use self::listing::Listing;
pub(crate) use self::seen_set::{CARRIED, SeenSet};
