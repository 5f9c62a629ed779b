//! Records the outcome of each row: in a journal while the run lasts, then in the report.
//!
//! ```text
//! Settlement ─▶ Journal (NAME.partial.csv, as rows settle) ─▶ publish (the input's order) ─▶ NAME.csv, NAME.failed.csv
//!                  └─ journal_reader, at the end and to resume                        └─▶ NAME.run.json
//! ```

mod dialect;
mod difference;
mod evidence;
mod failed;
mod files;
#[cfg(test)]
mod fuzz;
mod hashed;
mod journal;
mod journal_reader;
mod line;
mod list_file;
mod list_record;
mod lock;
mod lookups;
mod merge;
mod metrics;
mod options;
mod origin;
mod output_paths;
mod publish;
mod record;
mod resumed_users;
mod shard;
mod summary;
mod verify;
mod version;

pub(crate) use self::origin::{Origin, origin_of, refuse_existing};
pub(crate) use self::summary::{Ending, Summary};
pub(crate) use self::verify::VerifyError;

pub(crate) use self::dialect::delimiter_of_report;
pub(crate) use self::evidence::{
    ConfirmationRecord, Confirmed, EarlierRecord, EndDatesRecord, HoldRecord, HoldsRecord, OperatorRecord, RequestsRecord,
};
#[cfg(test)]
pub(crate) use self::failed::FailedRows;
pub(crate) use self::failed::{DirectoryRows, FAILED_COLUMNS, FormerInput, JournalRows, RowsByNumber, UNNAMED_COLUMN};
pub(crate) use self::files::{Destination, OutputError, Replaced, ReportFiles, is_journal};
pub(crate) use self::hashed::{Hashing, hex};
pub(crate) use self::journal::{Appender, Closed, Journal, Line, NotWritten, Target, UNRECORDED};
pub(crate) use self::journal_reader::{JournalIndex, doubt_failures, index_journal, reopen_journal};
pub(crate) use self::line::{COLUMNS, Column, Settlement};
pub(crate) use self::list_file::{ListExtent, ListPlace};
pub(crate) use self::list_record::{DirectoryRecord, ReportedRecord};
pub(crate) use self::lock::Lock;
pub(crate) use self::lookups::{check_lookups, read_lookups, write_lookups};
pub(crate) use self::merge::{Former, MergeError, Merged, ShardSet};
pub(crate) use self::metrics::{Metrics, Series, earlier_metrics};
pub(crate) use self::options::{OptionsRecord, ReadingRecord};
pub(crate) use self::output_paths::{ReadFile, check_list_place, check_output_paths, check_page_path};
pub(crate) use self::publish::{EndedJournal, Extent, Numbers, Published, count_report};
pub(crate) use self::record::{EnvironmentRecord, InputRecord, ReportRecord, RunRecord, Status, tally, totals};
pub(crate) use self::resumed_users::ResumedUsers;
pub(crate) use self::shard::{MergedShard, ShardRecord};
pub(crate) use self::verify::{Finding, verify};
pub(crate) use self::version::{CURRENT_FORMAT, check_journal, is_of_a_report};
