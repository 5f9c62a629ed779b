//! How do the rows that are left to be done get into the pipeline?

use std::path::Path;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::error::RunError;
use crate::domain::Row;
use crate::pingone::Transport;
use crate::report::Recovered;
use crate::run::Pipeline;

/// What an earlier process left to be done.
#[derive(Debug)]
pub(super) struct Left<'a> {
    pub(super) recovered: Recovered,
    /// The journal that it was recovered from.
    pub(super) journal: Option<&'a Path>,
    /// The rows up to this one may have been sent already.
    pub(super) in_doubt_up_to: u64,
    pub(super) now: DateTime<Utc>,
}

/// The rows that are still to be done, on their way into the pipeline.
pub(super) trait RowFeed {
    /// How many rows there are in all, settled ones included, as far as is known.
    fn expected(&self) -> Option<u64>;

    /// Sends the rows into `rows`, no faster than they are taken. Returns how many there are in all, or `None` if the run stops
    /// before that is known. If rows cannot be read, the run stops.
    async fn run<W: Transport>(self, pipeline: &Pipeline<W>, rows: mpsc::Sender<Row>) -> Result<Option<u64>, RunError>;
}
