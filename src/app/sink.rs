//! Where the lines of a run go: to files, which a later process can resume and finish, or to standard output.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::context::RunResults;
use super::error::RunError;
use super::source::{ResolvedSource, RowSource, SourceRows};
use crate::domain::{RunId, Tally};
use crate::report::{InputRecord, Journal, JournalIndex, RunRecord};

/// What a run has to do.
#[derive(Debug)]
pub(super) enum Admitted<S> {
    /// Nothing: it had finished already. The exit code.
    Done(u8),
    /// Process these rows; with the record of the run, and what the journal to resume says.
    Rows(S, Box<RunRecord>, Box<JournalIndex>),
}

/// Receives the lines of a run, and concludes it.
pub(super) trait ReportSink {
    /// When the run to resume started, and its ID; `None` for a new run.
    fn origin(&self) -> Option<(DateTime<Utc>, RunId)>;

    /// Checks a run of `source`, as it was read, before anything is started; `record` makes its record. Fails if it is not the
    /// run to resume, or if its files cannot be written.
    fn admit<S: RowSource>(&self, source: Result<S, RunError>, record: impl Fn(InputRecord) -> RunRecord) -> Result<Admitted<S>, RunError>;

    /// The journal of the run to resume; `None` for a new run.
    fn journal_to_resume(&self) -> Option<&Path>;

    /// The file of the users that the run to resume has looked up, of whose journal `index` tells; `None` for a new run.
    fn known_users(&self, index: &JournalIndex) -> Option<&Path>;

    /// Opens the journal, of which `index` says what it already contains. With files, the record and the looked-up users of the
    /// `source` are on disk when this returns.
    async fn begin(&self, record: &mut RunRecord, source: &impl ResolvedSource, index: &mut JournalIndex) -> Result<Journal, RunError>;

    /// Concludes the run; `before` counts the rows settled by earlier processes. Returns the exit code.
    fn finish(&self, results: RunResults, rows: &impl SourceRows, record: RunRecord, before: Tally) -> Result<u8, RunError>;
}
