//! Turns PingOne's user list into rows, or into a file.
//!
//! ```text
//! Session::next_users ── page by page ──▶ SeenSet (each user once, with a row number) ──▶ Row ──▶ the pipeline
//! ```

mod error;
mod list_writer;
mod listing;
mod seen_set;

pub(crate) use self::error::{ListedFor, ListingError, NotListed};
pub(crate) use self::list_writer::{ListPart, ListTaker, write_parts};
pub(crate) use self::listing::Listing;
pub(crate) use self::seen_set::{CARRIED, SeenSet};
