//! PingOne's device report as a source of rows: the users to whom it gives a bypass. It is read to its end before the plan is shown.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};

use super::context::Context;
use super::error::RunError;
use super::feed::{ResumePoint, RowFeed};
use super::source::{ResolvedSource, RowSource, SourceRows};
use crate::config::RunConfig;
use crate::directory::{NotReported, ReportedUsers, SeenSet, read_report};
use crate::domain::{CsvDialect, REPORTED_COLUMNS, Row};
use crate::file_error::FileError;
use crate::lookup::Forecast;
use crate::pingone::{REPORT_TEMPLATE, Transport};
use crate::report::{DirectoryRows, InputRecord, Numbers, Replaced, ReportedRecord, ResumedUsers, RowsByNumber};
use crate::run::Pipeline;
use crate::stop::Stop;
use crate::ui::{Console, Planned, Progress};

/// A report that has not been asked for.
#[derive(Debug)]
pub(super) struct ReportedSource;

/// The rows of a report. Nothing is kept of them but what the audit's own report says.
#[derive(Debug)]
pub(super) struct ReportedRows;

/// The users of a report that has been read.
#[derive(Debug)]
pub(super) struct ReadReport(ReportedUsers);

/// The users still to be read.
#[derive(Debug)]
pub(super) struct ReportedFeed {
    users: ReportedUsers,
    seen: SeenSet,
}

impl SourceRows for ReportedRows {
    fn most_rows(&self) -> u64 {
        u64::MAX
    }

    fn numbers(&self) -> Numbers {
        Numbers::MayBeFree
    }

    fn original_rows(&self) -> Result<Box<dyn RowsByNumber + '_>, RunError> {
        Ok(Box::new(DirectoryRows(&REPORTED_COLUMNS)))
    }
}

impl RowSource for ReportedSource {
    type Spec = ();
    type Rows = ReportedRows;
    type Resolved = ReadReport;

    fn rows(&self) -> &ReportedRows {
        &ReportedRows
    }

    async fn read((): &(), _: &RunConfig, _: DateTime<Utc>, _: &Stop, _: &Console) -> Result<Self, RunError> {
        Ok(Self)
    }

    /// Always succeeds: the number of users is known only once the report has been read.
    fn approve(self, _: Option<u64>) -> Result<Self, RunError> {
        Ok(self)
    }

    fn record(&self) -> InputRecord {
        let reported = Some(ReportedRecord::new(REPORT_TEMPLATE));
        InputRecord { path: None, sha256: None, rows: None, dialect: None, directory: None, reported }
    }

    fn forecast(&self) -> Result<Option<Forecast>, RunError> {
        Ok(None)
    }

    fn planned(&self, _: Option<Forecast>) -> Planned<'_> {
        Planned::Reported { read: None }
    }

    async fn restart(self, _: &RunConfig, _: DateTime<Utc>, _: &Stop) -> Result<Self, RunError> {
        Ok(self)
    }

    /// Reads the report, unless a signal comes first: nothing is lost by dropping a request for it.
    async fn resolve(self, context: &Context<'_>, _: Option<&Path>) -> Result<ReadReport, RunError> {
        let (count, devices) = watch::channel(0);
        let progress = Progress::of_device_report(context.console(), devices, Arc::clone(&context.session().answers));
        let read = tokio::select! {
            biased;
            () = context.stop().requested() => Err(NotReported::Stopped),
            read = read_report(context.session(), context.max_users(), context.stop(), &count) => read,
        };
        drop(count);
        progress.finish().await;
        match read {
            Ok(users) => Ok(ReadReport(users)),
            Err(NotReported::Report(error)) => Err(error.into()),
            Err(NotReported::PingOne(error)) => Err(error.into()),
            Err(NotReported::File(error)) => Err(error.into()),
            Err(NotReported::Stopped) => Err(RunError::before_the_first_row(context.stop())),
        }
    }
}

impl ResolvedSource for ReadReport {
    type Rows = &'static ReportedRows;
    type Feed = ReportedFeed;

    fn planned(&self) -> Planned<'_> {
        Planned::Reported { read: Some((self.0.users, self.0.entries)) }
    }

    fn note_in(&self, record: &mut InputRecord) {
        if let Some(reported) = &mut record.reported {
            reported.entries = Some(self.0.entries);
            reported.users = Some(self.0.users);
            if !self.0.has_field {
                reported.may_miss.push("everybody, if this tenant's report has no field `bypassUntil`: no entry has it".to_owned());
            }
        }
    }

    fn carried_names(&self) -> Vec<&str> {
        REPORTED_COLUMNS.to_vec()
    }

    /// That of the audit's own report: PingOne's is no text.
    fn dialect(&self) -> CsvDialect {
        CsvDialect::default()
    }

    /// Writes nothing: the report names its users by ID.
    fn keep_users(&self, _: &Replaced) -> Result<Option<String>, FileError> {
        Ok(None)
    }

    fn into_feed(self, resume_point: ResumePoint<'_>) -> Result<(&'static ReportedRows, ReportedFeed), RunError> {
        let seen = match resume_point.journal {
            Some(journal) => SeenSet::resuming(ResumedUsers::read(journal)?),
            None => SeenSet::default(),
        };
        Ok((&ReportedRows, ReportedFeed { users: self.0, seen }))
    }
}

impl RowFeed for ReportedFeed {
    fn expected(&self) -> Option<u64> {
        Some(self.users.users.max(self.seen.users()))
    }

    /// Reads the users on a separate thread, for they are in a file.
    async fn run<W: Transport>(self, pipeline: &Pipeline<W>, rows: mpsc::Sender<Row>) -> Result<Option<u64>, RunError> {
        let stop = pipeline.stop.clone();
        let Self { users, seen } = self;
        let feeding = tokio::task::spawn_blocking(move || {
            users.feed(seen, &rows).map_err(|source| {
                stop.request();
                RunError::from(FileError::new("read", &std::env::temp_dir().join("(a temporary file of users)"), source))
            })
        });
        feeding.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}
