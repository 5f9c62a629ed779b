//! Reads an input that may never end, such as a pipe. It is read on a separate thread, while the program reports progress and
//! handles signals.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use indicatif::DecimalBytes;
use tokio::sync::oneshot;

use super::error::RunError;
use crate::cli::ProgressMode;
use crate::config::{ConfigError, RunConfig};
use crate::domain::escaped;
use crate::input::{BytesRead, Dialect, Expected, Layout, OpenedInput, ReadOptions, Rules, ValidInput, is_pipe, name_of};
use crate::stop::Stop;
use crate::ui::Console;

/// How often the amount read from a pipe is reported.
const PROGRESS_EVERY: Duration = Duration::from_secs(3);

/// How an input is read.
pub(super) struct Reading {
    path: PathBuf,
    dialect: Dialect,
    rules: Rules,
    skip_invalid: bool,
    /// Whether the file's content is kept for the whole run, in case the file changes.
    keep: bool,
    max_users: Option<u64>,
    bytes_read: BytesRead,
}

impl Reading {
    /// The reading that `config` requests, for a run that started at `start`.
    pub(super) fn of(path: &Path, config: &RunConfig, start: DateTime<Utc>) -> Result<Self, ConfigError> {
        Ok(Self {
            path: path.to_owned(),
            dialect: config.dialect.clone(),
            rules: config.rules(start)?,
            skip_invalid: config.skip_invalid,
            keep: !config.safety.dry_run,
            max_users: config.safety.max_users,
            bytes_read: BytesRead::default(),
        })
    }

    /// Reads every row of the input, unless a signal comes first.
    pub(super) async fn done(self, stop: &Stop, console: &Console) -> Result<ValidInput, RunError> {
        let (name, bytes_read) = (name_of(&self.path), self.bytes_read.clone());
        let reports_progress = is_pipe(&self.path) && console.progress != ProgressMode::None;
        tokio::select! {
            biased;
            read = unless_stopped(stop, move || self.read()) => read?,
            never = report_progress(&name, &bytes_read, console), if reports_progress => match never {},
        }
    }

    fn read(self) -> Result<ValidInput, RunError> {
        let opened = OpenedInput::at(&self.path, self.bytes_read)?;
        let layout = Layout::of(&opened.beginning, self.rules.operation, &self.dialect, self.rules.until.is_some())?;
        let expected = Expected { delimiter: layout.dialect.delimiter(), has_header: layout.has_header, most_rows: self.max_users };
        let source = opened.whole(&ReadOptions { keep: self.keep, expected: Some(expected) })?;
        let superseded = escaped(&layout.superseded.join(", "));
        // For a report as input, this is expected.
        if layout.is_of_a_report() {
            tracing::info!("the input is a report: its own columns are not carried into the new one");
        } else if !superseded.is_empty() {
            tracing::warn!("these columns of the input are not carried into the report, which has its own of the name: {superseded}");
        }
        Ok(ValidInput::check(source, layout, self.rules, self.skip_invalid)?)
    }
}

/// Reports how much has been read, until it is dropped.
async fn report_progress(name: &str, bytes_read: &BytesRead, console: &Console) -> Infallible {
    loop {
        tokio::time::sleep(PROGRESS_EVERY).await;
        console.tell(&format!("reading {name}: {} so far", DecimalBytes(bytes_read.bytes())));
    }
}

/// The result of `work`, which may take long or for ever, unless a signal comes first. It runs on a detached thread: a blocking
/// read cannot be cancelled, so the program ends without joining it.
pub(super) async fn unless_stopped<T: Send + 'static>(stop: &Stop, work: impl FnOnce() -> T + Send + 'static) -> Result<T, RunError> {
    let (send, done) = oneshot::channel();
    // After a signal, the receiver is gone.
    let thread = std::thread::spawn(move || drop(send.send(work())));
    tokio::select! {
        biased;
        () = stop.requested() => Err(RunError::before_the_first_row(stop)),
        done = done => match done {
            Ok(done) => Ok(done),
            Err(_) => std::panic::resume_unwind(thread.join().expect_err("it has sent nothing")),
        },
    }
}
