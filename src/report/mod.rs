//! What became of each row, and how is it kept until it can be proved?
//!
//! ```text
//! Settlement ─┬─ Tally → summary, exit code
//!             └─ Journal (NAME.partial.csv, as rows settle) ── publish (the input's order) → NAME.csv
//! ```

mod files;
mod journal;
mod line;
mod outcome;
mod publish;
mod summary;

pub use self::files::OutputError;
pub use self::journal::FileError;
pub use self::outcome::{Counts, Outcome, Tally};
pub use self::summary::Summary;

pub(crate) use self::files::{Destination, ReportFiles};
pub(crate) use self::journal::{Journal, Target};
pub(crate) use self::line::{COLUMNS, Settlement, server_text};
pub(crate) use self::publish::publish;
