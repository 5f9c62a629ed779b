//! Feeds the rows still to be done into the pipeline.

use std::path::Path;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::error::RunError;
use crate::domain::Row;
use crate::pingone::Transport;
use crate::report::JournalIndex;
use crate::run::Pipeline;

/// Where a run starts: at its first row, or where earlier processes stopped.
#[derive(Debug)]
pub(super) struct ResumePoint<'a> {
    /// What the journal says; empty in a new run.
    pub(super) index: JournalIndex,
    /// The journal of a resumed run.
    pub(super) journal: Option<&'a Path>,
    /// Rows up to this one may have been sent already.
    pub(super) in_doubt_up_to: u64,
    pub(super) now: DateTime<Utc>,
}

/// The rows still to be done, on their way into the pipeline.
pub(super) trait RowFeed {
    /// The number of rows, settled ones included, if known.
    fn expected(&self) -> Option<u64>;

    /// Sends the rows into `rows`, no faster than the pipeline takes them. Returns their number, settled ones included, or
    /// `None` if the run stops before it is known. Stops the run if rows cannot be read.
    async fn run<W: Transport>(self, pipeline: &Pipeline<W>, rows: mpsc::Sender<Row>) -> Result<Option<u64>, RunError>;
}
