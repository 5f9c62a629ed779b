//! What was the run? `NAME.run.json`: who asked what of whom, when, and what came of it. Written before
//! the first request and brought up to date at the end, each time in one step.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::files::{create_new, remove_if_there, sync_folder_of};
use super::journal::FileError;
use super::{Destination, Lines, Outcome, Tally};
use crate::config::RunConfig;
use crate::domain::{BypassUntil, RunId};
use crate::pingone::Endpoints;

/// The record of a run. No secret, ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunRecord {
    pub(crate) tool: String,
    pub(crate) version: String,
    pub(crate) run_id: String,
    pub(crate) operation: String,
    pub(crate) environment: EnvironmentRecord,
    pub(crate) api_url: String,
    pub(crate) reason: Option<String>,
    /// The instant that spans count from.
    pub(crate) started_at: String,
    pub(crate) finished_at: Option<String>,
    pub(crate) status: Status,
    pub(crate) stop_reason: Option<String>,
    pub(crate) input: InputRecord,
    pub(crate) options: OptionsRecord,
    pub(crate) totals: BTreeMap<String, u64>,
    pub(crate) requests: RequestsRecord,
    pub(crate) report: ReportRecord,
    /// The rows up to this one may have been sent by a run that crashed, so that none of them is known not
    /// to have been applied.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) in_doubt_up_to: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EnvironmentRecord {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Status {
    /// It runs, or it ended without being able to say so.
    Running,
    /// Every row is settled and reported.
    Completed,
    /// It stopped for a reason of its own.
    Stopped,
    /// A signal stopped it.
    Interrupted,
}

/// Whose bypasses the run is about: the users of a file, or of the directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct InputRecord {
    /// The file, and the SHA-256 of its text; `None` where the directory is the input.
    pub(crate) path: Option<String>,
    pub(crate) sha256: Option<String>,
    /// How many rows there are. Of the directory, this is known once the whole list has been read.
    pub(crate) rows: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) directory: Option<DirectoryRecord>,
}

/// Which users of the directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DirectoryRecord {
    /// The filter that PingOne was sent; `None` for all users.
    pub(crate) filter: Option<String>,
}

impl InputRecord {
    /// What a list of users must have in common with another to be the same.
    fn identity(&self) -> String {
        match (&self.directory, &self.sha256) {
            (Some(DirectoryRecord { filter: Some(filter) }), _) => format!("the directory with the filter {filter}"),
            (Some(DirectoryRecord { filter: None }), _) => "the whole directory".to_owned(),
            (None, sha256) => sha256.clone().unwrap_or_default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OptionsRecord {
    pub(crate) sandbox: bool,
    #[serde(flatten)]
    pub(crate) reading: ReadingRecord,
    /// Which users alone stand in the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) only: Option<String>,
    /// How long bypasses still run that are ended.
    #[serde(rename = "in", default)]
    pub(crate) grace: Option<String>,
    pub(crate) rate: String,
    pub(crate) concurrency: u16,
    pub(crate) max_attempts: u32,
    pub(crate) timeout: String,
    pub(crate) give_up_after: String,
    pub(crate) max_failures: String,
}

impl OptionsRecord {
    fn of(config: &RunConfig, sandbox: bool) -> Self {
        let RunConfig { dialect, pace, .. } = config;
        Self {
            sandbox,
            reading: ReadingRecord {
                until: config.until.clone(),
                user_column: dialect.user_column.clone(),
                until_column: dialect.until_column.clone(),
                delimiter: dialect.delimiter.map(char::from),
                no_headers: dialect.no_headers,
                skip_invalid: config.skip_invalid,
            },
            only: match config.lines {
                Lines::All => None,
                Lines::Active => Some("active".to_owned()),
            },
            grace: config.operation.grace().map(|grace| grace.to_string()),
            rate: pace.rate.to_string(),
            concurrency: pace.concurrency,
            max_attempts: pace.max_attempts,
            timeout: humantime::format_duration(pace.timeout).to_string(),
            give_up_after: humantime::format_duration(pace.give_up_after).to_string(),
            max_failures: config.safety.max_failures.to_string(),
        }
    }
}

/// The options that decide what a row of the input means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadingRecord {
    pub(crate) until: Option<String>,
    pub(crate) user_column: Option<String>,
    pub(crate) until_column: Option<String>,
    pub(crate) delimiter: Option<char>,
    pub(crate) no_headers: bool,
    pub(crate) skip_invalid: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RequestsRecord {
    pub(crate) sent: u64,
    pub(crate) retried: u64,
    pub(crate) throttled: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReportRecord {
    pub(crate) path: String,
    pub(crate) sha256: Option<String>,
    pub(crate) rows: Option<u64>,
}

impl RequestsRecord {
    pub(crate) fn add(&mut self, more: Self) {
        self.sent += more.sent;
        self.retried += more.retried;
        self.throttled += more.throttled;
    }
}

impl RunRecord {
    /// The record of a run at its start.
    pub(crate) fn of(
        config: &RunConfig,
        input: InputRecord,
        start: DateTime<Utc>,
        endpoints: &Endpoints,
        sandbox: bool,
        run: RunId,
    ) -> Self {
        let report = match &config.destination {
            Destination::StandardOutput => "-".to_owned(),
            Destination::Files(files) => files.report.display().to_string(),
        };
        let started = BypassUntil::from_instant(start);
        Self {
            tool: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run_id: run.to_string(),
            operation: config.operation.name().to_owned(),
            environment: EnvironmentRecord { id: endpoints.environment.to_string(), name: None, kind: None },
            api_url: endpoints.api.to_string(),
            reason: config.safety.reason.clone(),
            started_at: started.map(|started| started.to_string()).unwrap_or_default(),
            finished_at: None,
            status: Status::Running,
            stop_reason: None,
            input,
            options: OptionsRecord::of(config, sandbox),
            totals: totals(&Tally::default()),
            requests: RequestsRecord::default(),
            report: ReportRecord { path: report, sha256: None, rows: None },
            in_doubt_up_to: 0,
        }
    }

    /// When the run started, and its number; or what is wrong with them.
    pub(crate) fn origin(&self) -> io::Result<(DateTime<Utc>, RunId)> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("its {what} cannot be read"));
        let start = self.started_at.parse().map_err(|_| wrong("startedAt"))?;
        Ok((start, self.run_id.parse().map_err(|_| wrong("runId"))?))
    }

    /// The record at `path`; `None` where there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, FileError> {
        let failed = |source| FileError::new("read", path, source);
        match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| failed(error.into())),
        }
    }

    /// Puts the record at `path`, in the place of the one before, if there is one.
    pub(crate) fn write(&self, path: &Path) -> Result<(), FileError> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| FileError::new("written", path, error.into()))?;
        text.push(b'\n');
        replace(path, |file| file.write_all(&text))
    }

    /// Finds out whether the record can be put at `path`, and leaves what is there as it is.
    pub(crate) fn try_out(&self, path: &Path) -> Result<(), FileError> {
        let beside = path.with_extension("json.tmp");
        self.write(&beside)?;
        remove_if_there(&beside)
    }

    /// In words, that this is the record of another report than the one at `report`, if it is: the records of
    /// `NAME` and `NAME.csv` stand in one place.
    pub(crate) fn other_report(&self, report: &Path) -> Option<String> {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (was, is) = (name(Path::new(&self.report.path)), name(report));
        (was != is).then(|| format!("the report was `{was}` and is `{is}`"))
    }

    /// What another run would be that this record is not the record of: the first difference, in words.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let differ = |what: &str, was: &str, is: &str| (was != is).then(|| format!("{what} was `{was}` and is `{is}`"));
        let shown = |reading: &ReadingRecord| serde_json::to_string(reading).unwrap_or_default();
        // Each sandbox inside a process has a port of its own.
        let url = |record: &Self| if record.options.sandbox { "the sandbox".to_owned() } else { record.api_url.clone() };
        let is_listed = self.input.directory.is_some() || other.input.directory.is_some();
        let input = if is_listed { "the input" } else { "the input's SHA-256" };
        differ("the operation", &self.operation, &other.operation)
            .or_else(|| differ("the environment", &self.environment.id, &other.environment.id))
            .or_else(|| differ("the API", &url(self), &url(other)))
            .or_else(|| differ(input, &self.input.identity(), &other.input.identity()))
            .or_else(|| differ("the reading of the input", &shown(&self.options.reading), &shown(&other.options.reading)))
            .or_else(|| self.difference_when_finished(other))
    }

    /// A run that goes on may write other lines; the report of one that has finished has the lines it has.
    fn difference_when_finished(&self, other: &Self) -> Option<String> {
        let lines = |record: &Self| record.options.only.clone().unwrap_or_else(|| "all users".to_owned());
        let (was, is) = (lines(self), lines(other));
        (self.status == Status::Completed && was != is).then(|| format!("the report is finished, its lines were `{was}` and are `{is}`"))
    }
}

/// A tally as the record has it: the rows, and a key for each result.
pub(crate) fn totals(tally: &Tally) -> BTreeMap<String, u64> {
    let results = Outcome::ALL.into_iter().map(|outcome| (outcome.name().to_owned(), tally.of(outcome)));
    results.chain([("rows".to_owned(), tally.rows())]).collect()
}

/// The tally that a record has.
pub(crate) fn tally(totals: &BTreeMap<String, u64>) -> Tally {
    let mut tally = Tally::default();
    for outcome in Outcome::ALL {
        tally.add_rows(outcome, totals.get(outcome.name()).copied().unwrap_or_default());
    }
    tally
}

/// Writes a file beside `path` and puts it there in one step.
pub(super) fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), FileError> {
    let beside = beside(path);
    remove_if_there(&beside)?;
    let mut file = create_new(&beside)?;
    let written = write(&mut file).and_then(|()| file.sync_all());
    let placed = written.and_then(|()| fs::rename(&beside, path));
    placed.map_err(|source| {
        // What is left of it would only be in the way.
        drop(fs::remove_file(&beside));
        FileError::new("written", path, source)
    })?;
    sync_folder_of(path)
}

/// Where what is to be at `path` is written.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::report) fn record() -> RunRecord {
        RunRecord {
            tool: "pingone-bypass".into(),
            version: "0".into(),
            run_id: "r".into(),
            operation: "grant".into(),
            environment: EnvironmentRecord { id: "e".into(), name: None, kind: None },
            api_url: "https://api.pingone.eu/v1".into(),
            reason: None,
            started_at: "2026-02-27T10:20:30.456Z".into(),
            finished_at: None,
            status: Status::Running,
            stop_reason: None,
            input: InputRecord { path: Some("in.csv".into()), sha256: Some("s".into()), rows: Some(3), directory: None },
            options: OptionsRecord {
                sandbox: false,
                reading: ReadingRecord {
                    until: Some("+4h".into()),
                    user_column: None,
                    until_column: None,
                    delimiter: Some(';'),
                    no_headers: false,
                    skip_invalid: false,
                },
                only: None,
                grace: None,
                rate: "50/s".into(),
                concurrency: 64,
                max_attempts: 8,
                timeout: "30s".into(),
                give_up_after: "10m".into(),
                max_failures: "20%".into(),
            },
            totals: totals(&Tally::default()),
            requests: RequestsRecord::default(),
            report: ReportRecord { path: "r.csv".into(), sha256: None, rows: None },
            in_doubt_up_to: 0,
        }
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("r.run.json");
        assert_eq!(RunRecord::read(&path).expect("readable"), None);
        record().write(&path).expect("written");
        let later = RunRecord { status: Status::Completed, ..record() };
        later.write(&path).expect("written");
        assert_eq!(RunRecord::read(&path).expect("readable"), Some(later));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn what_differs_is_named() {
        assert_eq!(record().difference(&RunRecord { run_id: "another".into(), ..record() }), None);
        let mut other = record();
        other.options.rate = "1/s".into();
        assert_eq!(record().difference(&other), None, "a rate may be changed");
        let named = |change: fn(&mut RunRecord)| {
            let mut other = record();
            change(&mut other);
            record().difference(&other).expect("a difference")
        };
        assert_eq!(named(|other| other.operation = "audit".into()), "the operation was `grant` and is `audit`");
        let finished = |only: Option<&str>| {
            let mut record = record();
            (record.status, record.options.only) = (Status::Completed, only.map(str::to_owned));
            record
        };
        assert_eq!(finished(None).difference(&finished(None)), None);
        let other_lines = finished(None).difference(&finished(Some("active"))).expect("a difference");
        assert_eq!(other_lines, "the report is finished, its lines were `all users` and are `active`");
        assert_eq!(named(|other| other.environment.id = "f".into()), "the environment was `e` and is `f`");
        assert!(named(|other| other.api_url = "https://x".into()).starts_with("the API was"));
        assert!(named(|other| other.input.sha256 = Some("t".into())).starts_with("the input's SHA-256 was"));
        assert!(named(|other| other.options.reading.until = None).contains(r#""until":"+4h""#));
    }
}
