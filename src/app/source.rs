//! Where do the rows of a run come from? Each source passes through the same stages, and each stage is a type, so that nothing
//! is asked of a source that it cannot do yet.

use std::ops::Deref;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::context::Context;
use super::error::RunError;
use super::feed::{Left, RowFeed};
use crate::config::RunConfig;
use crate::lookup::Forecast;
use crate::report::{InputRecord, Numbers, RowsByNumber};
use crate::stop::Stop;
use crate::ui::{Console, Planned};

/// The rows of a published report, as they were before the run.
pub(super) trait SourceRows {
    /// The highest number that a row can have.
    fn most_rows(&self) -> u64;

    /// Which numbers the rows of a finished run have.
    fn numbers(&self) -> Numbers;

    /// The rows as they stand in the source.
    fn original_rows(&self) -> Result<Box<dyn RowsByNumber + '_>, RunError>;
}

/// A source that has been read as far as that is possible without a request.
pub(super) trait RowSource: Sized + Send + 'static {
    /// What it is read from.
    type Spec: ?Sized;
    type Rows: SourceRows;
    type Resolved: ResolvedSource;

    /// Reads it, for a run that started at `start`, unless a signal comes first.
    async fn read(spec: &Self::Spec, config: &RunConfig, start: DateTime<Utc>, stop: &Stop, console: &Console) -> Result<Self, RunError>;

    /// Its rows, as they are.
    fn rows(&self) -> &Self::Rows;

    /// Refuses what may not be run.
    fn approve(self, max_users: Option<u64>) -> Result<Self, RunError>;

    /// What the run's record says of it.
    fn record(&self) -> InputRecord;

    /// The SHA-256 of its text, if it is a file.
    fn sha256(&self) -> Option<String>;

    /// How much has to be looked up, if anything.
    fn forecast(&self) -> Result<Option<Forecast>, RunError>;

    /// What a plan shows of it before its users are known.
    fn planned(&self, forecast: Option<Forecast>) -> Planned<'_>;

    /// The same source for a run that starts at another time than was thought, from which spans count.
    async fn restart(self, config: &RunConfig, start: DateTime<Utc>, stop: &Stop) -> Result<Self, RunError>;

    /// Finds out who the users are, before anything is changed. The rows that stand in the `journal` of a resumed run are
    /// known already.
    async fn resolve(self, context: &Context<'_>, journal: Option<&Path>) -> Result<Self::Resolved, RunError>;
}

/// A source whose users are known, or at least how many they are.
pub(super) trait ResolvedSource {
    type Rows: Deref<Target: SourceRows + Sized>;
    type Feed: RowFeed;

    /// What the plan shows of it.
    fn planned(&self) -> Planned<'_>;

    /// The names of the columns that are carried into the report.
    fn carried_names(&self) -> Vec<&str>;

    /// Its rows as they were, and the feed of those that are left to be done.
    fn into_feed(self, left: Left<'_>) -> Result<(Self::Rows, Self::Feed), RunError>;
}
