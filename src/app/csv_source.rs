//! A CSV file as a source of rows. Every row is read and checked before the run begins, and read again during the run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::context::Context;
use super::error::RunError;
use super::feed::{ResumePoint, RowFeed};
use super::look_up::look_up;
use super::reading::{Reading, unless_stopped};
use super::source::{ResolvedSource, RowSource, SourceRows};
use crate::config::RunConfig;
use crate::domain::{CsvDialect, Row};
use crate::file_error::FileError;
use crate::input::{Remaining, ValidInput, feed};
use crate::lookup::{Forecast, forecast};
use crate::pingone::Transport;
use crate::report::{InputRecord, JournalIndex, Numbers, Replaced, RowsByNumber, write_lookups};
use crate::run::Pipeline;
use crate::stop::Stop;
use crate::ui::{Console, Planned, PlannedInput};

/// An input whose rows have all been checked.
#[derive(Debug)]
pub(super) struct CsvSource {
    path: PathBuf,
    input: ValidInput,
}

/// A checked input whose users are known.
#[derive(Debug)]
pub(super) struct ResolvedInput(ValidInput);

/// The rows still to be done.
#[derive(Debug)]
pub(super) struct CsvFeed {
    input: Arc<ValidInput>,
    remaining: Remaining,
}

impl SourceRows for ValidInput {
    fn most_rows(&self) -> u64 {
        self.rows()
    }

    fn numbers(&self) -> Numbers {
        Numbers::Of(self.rules.shard)
    }

    fn original_rows(&self) -> Result<Box<dyn RowsByNumber + '_>, RunError> {
        match Self::original_rows(self) {
            Ok(rows) => Ok(Box::new(rows)),
            Err(source) => Err(RunError::Reading { name: self.source.name.clone(), source }),
        }
    }
}

#[cfg(test)]
impl CsvSource {
    /// The input, for tests in which every row has a user ID.
    pub(super) fn resolved(self) -> ResolvedInput {
        ResolvedInput(self.input)
    }
}

/// What the plan shows of an input.
fn planned(input: &ValidInput, forecast: Option<Forecast>) -> Planned<'_> {
    Planned::Input(PlannedInput {
        name: &input.source.name,
        plan: input.plan(),
        lookup_column: input.layout.lookup.as_ref().map(|lookup| (lookup.column.name.as_str(), lookup.by)),
        forecast,
        start: input.rules.start,
    })
}

impl RowSource for CsvSource {
    type Spec = Path;
    type Rows = ValidInput;
    type Resolved = ResolvedInput;

    fn rows(&self) -> &ValidInput {
        &self.input
    }

    async fn read(path: &Path, config: &RunConfig, start: DateTime<Utc>, stop: &Stop, console: &Console) -> Result<Self, RunError> {
        let input = Reading::of(path, config, start)?.done(stop, console).await?;
        Ok(Self { path: path.to_owned(), input })
    }

    fn approve(self, max_users: Option<u64>) -> Result<Self, RunError> {
        Ok(Self { input: self.input.approve(max_users)?, ..self })
    }

    fn record(&self) -> InputRecord {
        InputRecord {
            path: Some(self.path.display().to_string()),
            sha256: Some(self.input.sha256()),
            rows: Some(self.input.rows()),
            dialect: Some(self.input.layout.dialect.into()),
            directory: None,
            reported: None,
        }
    }

    fn forecast(&self) -> Result<Option<Forecast>, RunError> {
        let lookup = self.input.layout.lookup.as_ref().filter(|_| self.input.plan().lookups.rows > 0);
        let forecast = lookup.map(|lookup| forecast(&self.input, lookup.by)).transpose();
        forecast.map_err(|source| RunError::Reading { name: self.input.source.name.clone(), source })
    }

    fn planned(&self, forecast: Option<Forecast>) -> Planned<'_> {
        planned(&self.input, forecast)
    }

    /// Fails if the input is not valid for the new start.
    async fn restart(self, config: &RunConfig, start: DateTime<Utc>, stop: &Stop) -> Result<Self, RunError> {
        let rules = config.rules(start)?;
        let Self { path, input } = self;
        let input = unless_stopped(stop, move || input.with_rules(rules)).await??;
        Ok(Self { path, input })
    }

    async fn resolve(self, context: &Context<'_>, known: Option<&Path>) -> Result<ResolvedInput, RunError> {
        Ok(ResolvedInput(look_up(self.input, context, known).await?))
    }
}

impl ResolvedSource for ResolvedInput {
    type Rows = Arc<ValidInput>;
    type Feed = CsvFeed;

    fn planned(&self) -> Planned<'_> {
        planned(&self.0, None)
    }

    fn note_in(&self, _: &mut InputRecord) {}

    fn carried_names(&self) -> Vec<&str> {
        self.0.layout.carried_names().collect()
    }

    fn dialect(&self) -> CsvDialect {
        self.0.layout.dialect
    }

    fn keep_users(&self, place: &Replaced) -> Result<Option<String>, FileError> {
        (self.0.plan().lookups.rows > 0).then(|| write_lookups(place, self.0.found_users())).transpose()
    }

    fn into_feed(self, resume_point: ResumePoint<'_>) -> Result<(Arc<ValidInput>, CsvFeed), RunError> {
        let ResumePoint { index, in_doubt_up_to, now, .. } = resume_point;
        let resumed = index.has_header().then_some(now);
        let JournalIndex { settled, unsettled, .. } = index;
        let previous = unsettled.iter().filter_map(|(row, last)| Some((*row, last.previous?))).collect();
        let again = unsettled.into_iter().map(|(row, last)| (row, last.outcome)).collect();
        let remaining = Remaining { settled, again, previous, in_doubt_up_to, resumed };
        let input = Arc::new(self.0);
        Ok((Arc::clone(&input), CsvFeed { input, remaining }))
    }
}

impl RowFeed for CsvFeed {
    fn expected(&self) -> Option<u64> {
        Some(self.input.own_rows())
    }

    /// Reads the rows on a separate thread.
    async fn run<W: Transport>(self, pipeline: &Pipeline<W>, rows: mpsc::Sender<Row>) -> Result<Option<u64>, RunError> {
        let stop = pipeline.stop.clone();
        let Self { input, remaining } = self;
        let all = input.own_rows();
        let reading = tokio::task::spawn_blocking(move || {
            feed(&input, &remaining, &rows).map_err(|source| {
                stop.request();
                RunError::Reading { name: input.source.name.clone(), source }
            })
        });
        let read = reading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        read.map(|()| Some(all))
    }
}
