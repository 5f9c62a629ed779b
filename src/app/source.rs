//! Where the rows of a run come from. Each source passes through the same stages, and each stage is a type, so a source is
//! never asked for what it cannot do yet.

use std::ops::Deref;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::context::Context;
use super::error::RunError;
use super::feed::{ResumePoint, RowFeed};
use crate::config::RunConfig;
use crate::domain::CsvDialect;
use crate::file_error::FileError;
use crate::lookup::Forecast;
use crate::report::{InputRecord, Numbers, Replaced, RowsByNumber};
use crate::stop::Stop;
use crate::ui::{Console, Planned};

/// The original rows behind a published report.
pub(super) trait SourceRows {
    /// The highest number that a row can have.
    fn most_rows(&self) -> u64;

    /// Which numbers the rows of a finished run have.
    fn numbers(&self) -> Numbers;

    /// The rows as the source has them.
    fn original_rows(&self) -> Result<Box<dyn RowsByNumber + '_>, RunError>;
}

/// A source that has been read as far as possible without a request.
pub(super) trait RowSource: Sized + Send + 'static {
    /// What the source is read from.
    type Spec: ?Sized;
    type Rows: SourceRows;
    type Resolved: ResolvedSource;

    /// Reads the source, for a run that started at `start`, unless a signal comes first.
    async fn read(spec: &Self::Spec, config: &RunConfig, start: DateTime<Utc>, stop: &Stop, console: &Console) -> Result<Self, RunError>;

    /// The source's rows.
    fn rows(&self) -> &Self::Rows;

    /// Fails if the rows may not be run.
    fn approve(self, max_users: Option<u64>) -> Result<Self, RunError>;

    /// What the run record says about the source.
    fn record(&self) -> InputRecord;

    /// How many lookups are needed, if any.
    fn forecast(&self) -> Result<Option<Forecast>, RunError>;

    /// What the plan shows of the source before its users are known.
    fn planned(&self, forecast: Option<Forecast>) -> Planned<'_>;

    /// The source for a run with a corrected start time, from which time spans count.
    async fn restart(self, config: &RunConfig, start: DateTime<Utc>, stop: &Stop) -> Result<Self, RunError>;

    /// Resolves the users, before anything is changed. In a resumed run, those that were looked up are `known`: they stand in
    /// this file.
    async fn resolve(self, context: &Context<'_>, known: Option<&Path>) -> Result<Self::Resolved, RunError>;
}

/// A source whose users, or at least their number, are known.
pub(super) trait ResolvedSource {
    type Rows: Deref<Target: SourceRows + Sized>;
    type Feed: RowFeed;

    /// What the plan shows of the source.
    fn planned(&self) -> Planned<'_>;

    /// Adds to the record of the run what is known of the source only now.
    fn note_in(&self, record: &mut InputRecord);

    /// The names of the columns that are carried into the report.
    fn carried_names(&self) -> Vec<&str>;

    /// How the text of the source is written.
    fn dialect(&self) -> CsvDialect;

    /// Writes the users that were looked up, if any were, to `place`. Returns the SHA-256 of the file.
    fn keep_users(&self, place: &Replaced) -> Result<Option<String>, FileError>;

    /// Its original rows, and the feed of those still to be done.
    fn into_feed(self, resume_point: ResumePoint<'_>) -> Result<(Self::Rows, Self::Feed), RunError>;
}
