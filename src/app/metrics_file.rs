//! The metrics file of a command: written once, whether the run was carried out, refused or failed early. Otherwise the file would
//! go on telling of the last run that was not.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Instant, SystemTime};

use chrono::{DateTime, Utc};

use super::target::TargetInfo;
use crate::config::{RunConfig, ToldIn};
use crate::domain::EnvironmentId;
use crate::file_error::FileError;
use crate::report::{Metrics, Replaced, Series, Summary, earlier_metrics};

/// Where the metrics are written, if requested.
#[derive(Debug)]
pub(super) struct MetricsFile<'a> {
    place: Option<&'a Replaced>,
    series: Series,
    /// `None` if the run was refused before it was known.
    environment: Option<EnvironmentId>,
    began: Instant,
    /// What is told of the run if it fails.
    known: RefCell<Option<Known>>,
    /// Whether the metrics are written, or cannot be.
    is_done: Cell<bool>,
}

/// What is known of a run: its summary, and its requests by the status of their answers.
#[derive(Debug)]
struct Known(Summary, BTreeMap<Option<u16>, u64>);

impl<'a> MetricsFile<'a> {
    /// The metrics file that `config` names. A dry run writes none.
    pub(super) fn of(config: &'a RunConfig) -> Self {
        let place = config.metrics.as_ref().filter(|_| !config.safety.dry_run);
        let series = Series { operation: config.users.called(config.operation), shard: config.shard };
        Self::at(place, series, Some(TargetInfo::of(&config.connection).environment))
    }

    /// The metrics file that tells of a refused configuration.
    pub(super) fn of_refusal(told: &'a ToldIn) -> Self {
        Self::at(Some(&told.place), Series { operation: told.operation, shard: told.shard }, told.environment)
    }

    /// Tells of a command line that is refused before its metrics file is known to be safe: only in a file that holds the
    /// metrics of an earlier run. The words of the command line begin with the program's name.
    pub(super) fn tell_of_mistake(words: &[String], exit_code: u8) {
        const OPTION: &str = "--metrics-file";
        let Some(operation) = ["grant", "audit", "end"].into_iter().find(|name| words.get(1).is_some_and(|word| word == name)) else {
            return;
        };
        let operation = if words.iter().any(|word| word == "--reported") { "audit --reported" } else { operation };
        let joined = words.iter().find_map(|word| word.strip_prefix(OPTION)?.strip_prefix('='));
        let path = joined.or_else(|| words.windows(2).find(|pair| pair[0] == OPTION).map(|pair| pair[1].as_str()));
        let place = path.filter(|_| !words.iter().any(|word| word == "--dry-run")).and_then(|path| earlier_metrics(Path::new(path)));
        if let Some(place) = place {
            MetricsFile::at(Some(&place), Series { operation, shard: None }, None).write_failed(exit_code);
        }
    }

    fn at(place: Option<&'a Replaced>, series: Series, environment: Option<EnvironmentId>) -> Self {
        let (known, is_done) = (RefCell::new(None), Cell::new(false));
        Self { place, series, environment, began: Instant::now(), known, is_done }
    }

    /// Checks that the file can be written, without changing it.
    pub(super) fn try_out(&self) -> Result<(), FileError> {
        let tried = self.place.map_or(Ok(()), |place| place.try_out(|_| Ok(())));
        tried.inspect_err(|_| self.is_done.set(true))
    }

    /// Remembers what the run has done so far, in case it fails.
    pub(super) fn note(&self, summary: Summary, statuses: BTreeMap<Option<u16>, u64>) {
        *self.known.borrow_mut() = Some(Known(summary, statuses));
    }

    /// Writes the metrics of a run. A failure is logged and does not change the run's result.
    pub(super) fn write(&self, summary: &Summary, statuses: &BTreeMap<Option<u16>, u64>, exit_code: u8) {
        self.is_done.set(true);
        let Some(place) = self.place else {
            return;
        };
        let Self { series, environment, .. } = *self;
        let now = DateTime::<Utc>::from(SystemTime::now()).timestamp();
        let metrics = Metrics { series, environment, summary, statuses, exit_code, now };
        if let Err(error) = metrics.write(place) {
            tracing::error!("{error}");
        }
    }

    /// Writes the metrics of a run that had finished before, unless the file has its exit code: it may tell of one that was refused
    /// since.
    pub(super) fn write_finished(&self, summary: &Summary, exit_code: u8) {
        let Self { series, environment, .. } = *self;
        if self.place.is_some_and(|place| !Metrics::has_exit_code(place, series, environment, exit_code)) {
            self.write(summary, &BTreeMap::new(), exit_code);
        }
        self.is_done.set(true);
    }

    /// Writes the metrics of a run that was refused or failed, unless they are written.
    pub(super) fn write_failed(&self, exit_code: u8) {
        if !self.is_done.get() {
            let Known(summary, statuses) = self.known.take().unwrap_or_else(|| Known(Summary::default(), BTreeMap::new()));
            let took = if summary.took.is_zero() { self.began.elapsed() } else { summary.took };
            self.write(&Summary { took, ..summary }, &statuses, exit_code);
        }
    }
}
