//! How is an input read that may never come to an end? On a thread of its own: while it waits, the program tells of it
//! and hears signals.

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

/// It is told so often how much of a pipe has been read.
const TOLD_EVERY: Duration = Duration::from_secs(3);

/// How an input is read.
pub(super) struct Reading {
    path: PathBuf,
    dialect: Dialect,
    rules: Rules,
    skip_invalid: bool,
    /// Whether a file is kept for the whole run as it is now.
    keep: bool,
    max_users: Option<u64>,
    bytes_read: BytesRead,
}

impl Reading {
    /// How `config` asks for its input to be read, in a run that started at `start`.
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

    /// The input, every row of it read, unless a signal comes before that.
    pub(super) async fn done(self, stop: &Stop, console: &Console) -> Result<ValidInput, RunError> {
        let (name, bytes_read) = (name_of(&self.path), self.bytes_read.clone());
        let is_told = is_pipe(&self.path) && console.progress != ProgressMode::None;
        tokio::select! {
            biased;
            read = unless_stopped(stop, move || self.read()) => read?,
            never = tell(&name, &bytes_read, console), if is_told => match never {},
        }
    }

    fn read(self) -> Result<ValidInput, RunError> {
        let opened = OpenedInput::at(&self.path, self.bytes_read)?;
        let layout = Layout::of(&opened.beginning, self.rules.operation, &self.dialect, self.rules.until.is_some())?;
        let expected = Expected { delimiter: layout.delimiter, has_header: layout.has_header, most_rows: self.max_users };
        let source = opened.whole(&ReadOptions { keep: self.keep, expected: Some(expected) })?;
        let superseded = escaped(&layout.superseded.join(", "));
        // Of a report, that is as it should be.
        if layout.is_of_a_report() {
            tracing::info!("the input is a report: its own columns are not carried into the new one");
        } else if !superseded.is_empty() {
            tracing::warn!("these columns of the input are not carried into the report, which has its own of the name: {superseded}");
        }
        Ok(ValidInput::check(source, layout, self.rules, self.skip_invalid)?)
    }
}

/// Tells how much has been read, until it is not polled any more.
async fn tell(name: &str, bytes_read: &BytesRead, console: &Console) -> Infallible {
    loop {
        tokio::time::sleep(TOLD_EVERY).await;
        console.tell(&format!("reading {name}: {} so far", DecimalBytes(bytes_read.bytes())));
    }
}

/// The result of `work`, which may take long or wait for ever, unless a signal comes first. It runs on a detached thread:
/// a blocking read cannot be cancelled, so the program ends without joining it.
pub(super) async fn unless_stopped<T: Send + 'static>(stop: &Stop, work: impl FnOnce() -> T + Send + 'static) -> Result<T, RunError> {
    let (send, done) = oneshot::channel();
    // After a signal, nobody waits for it.
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
