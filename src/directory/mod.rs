//! Turns PingOne's user list into rows, or into a file, and its device report into rows.
//!
//! ```text
//! Session::next_users ── page by page ──▶ SeenSet (each user once, with a row number) ──▶ Row ──▶ the pipeline
//! Session::next_entries ── page by page ──▶ ReportedUsers (those with a bypass) ──▶ SeenSet ──▶ Row ──▶ the pipeline
//! ```

mod device_report;
mod error;
mod list_writer;
mod listing;
mod report_error;
mod seen_set;

pub(crate) use self::device_report::{ReportedUsers, read_report};
pub(crate) use self::error::{ListedFor, ListingError, NotListed};
pub(crate) use self::list_writer::{ListPart, ListTaker, write_parts};
pub(crate) use self::listing::{CARRIED, Listing};
pub(crate) use self::report_error::{NotReported, ReportError};
pub(crate) use self::seen_set::SeenSet;
