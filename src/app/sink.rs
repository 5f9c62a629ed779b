//! Where do the lines of a run go? Into files, which a later process can resume and finish, or to standard output.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::context::Ran;
use super::error::RunError;
use super::source::{RowSource, SourceRows};
use crate::domain::{RunId, Tally};
use crate::report::{InputRecord, Journal, Recovered, RunRecord};

/// What is left of a run that is to begin.
#[derive(Debug)]
pub(super) enum Admitted<S> {
    /// Nothing: it had finished, and exits with this code.
    Done(u8),
    /// These rows, and the record of the run.
    Rows(S, Box<RunRecord>),
}

/// Takes the lines of a run, and concludes it.
pub(super) trait ReportSink {
    /// When the run that is resumed started, and its number; `None` if none is.
    fn origin(&self) -> Option<(DateTime<Utc>, RunId)>;

    /// Admits a run of `source`, as it was read, whose `record` tells what it is; nothing has been started for it yet. A run
    /// that is not the one to be resumed is refused, and so is one whose files cannot be written.
    fn admit<S: RowSource>(&self, source: Result<S, RunError>, record: impl Fn(InputRecord) -> RunRecord) -> Result<Admitted<S>, RunError>;

    /// The journal of the run that is resumed, if one is.
    fn journal_to_resume(&self) -> Option<&Path>;

    /// Opens the journal, and tells what stands in it already. With files, the record is on disk when this returns.
    async fn begin(&self, record: &mut RunRecord, carried: &[&str]) -> Result<(Journal, Recovered), RunError>;

    /// Concludes the run; `before` are the rows that were settled before it was resumed. Returns the exit code.
    fn finish(&self, ran: Ran, rows: &impl SourceRows, record: RunRecord, before: Tally) -> Result<u8, RunError>;
}
