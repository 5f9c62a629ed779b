//! What all stages of a run share: the session with PingOne, the stop, the clock, the console and the slots.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::error::RunError;
use super::feed::RowFeed;
use super::metrics_file::MetricsFile;
use super::signals::listen;
use super::target::{Target, TargetInfo};
use crate::clock::{Clock, Offset};
use crate::config::RunConfig;
use crate::domain::{RunId, Tally, counted};
use crate::input::READ_TOGETHER;
use crate::pingone::{EnvironmentInfo, Holds, HttpTransport, LicenceRates, Limits, PingOneError, Session};
use crate::report::{HoldRecord, HoldsRecord, Journal, NotWritten, RequestsRecord, Summary};
use crate::run::{Ended, Pipeline, StopRules};
use crate::sandbox::Sandbox;
use crate::stop::Stop;
use crate::ui::{Console, Notices, Progress, shown_while};

/// Rows read ahead of those that have a slot.
pub(super) const READ_AHEAD: usize = 2 * READ_TOGETHER;

/// What exists before the target is connected.
pub(super) struct Start<'a> {
    pub(super) config: &'a RunConfig,
    pub(super) info: TargetInfo,
    pub(super) console: &'a Console,
    pub(super) metrics: &'a MetricsFile<'a>,
    pub(super) clock: Clock,
    pub(super) stop: Stop,
    /// Passes signals on to `stop`.
    signals: JoinHandle<()>,
}

impl<'a> Start<'a> {
    /// Listens for signals from here on.
    pub(super) fn new(config: &'a RunConfig, metrics: &'a MetricsFile<'a>, console: &'a Console) -> Result<Self, RunError> {
        let clock = Clock::of_this_machine().map_err(|_| RunError::ClockBefore1970)?;
        let stop = Stop::default();
        let signals = listen(stop.clone())?;
        Ok(Self { config, info: TargetInfo::of(&config.connection), console, metrics, clock, stop, signals })
    }
}

impl Drop for Start<'_> {
    fn drop(&mut self) {
        self.signals.abort();
    }
}

/// Everything that a run needs except its source and its files.
pub(super) struct Context<'a> {
    start: &'a Start<'a>,
    pipeline: Pipeline<HttpTransport>,
    notices: Notices,
    /// How long the users took to be found, before the run: looked up, or read from a report.
    finding: Duration,
    /// The sandbox inside this process, which stops when dropped.
    _sandbox: Option<Sandbox>,
}

/// What a run did.
pub(super) struct RunResults {
    pub(super) ended: Ended,
    /// The number of rows, settled ones included; `None` if the run stopped before it was known.
    pub(super) rows: Result<Option<u64>, RunError>,
    /// The expected number of rows, if known.
    pub(super) expected: Option<u64>,
    pub(super) written: Result<(), NotWritten>,
    pub(super) requests: RequestsRecord,
    pub(super) holds: HoldsRecord,
    /// Whether a request was sent for a user.
    pub(super) sent_for_users: bool,
    pub(super) statuses: BTreeMap<Option<u16>, u64>,
    pub(super) took: Duration,
    pub(super) held: Duration,
    /// When the run ended.
    pub(super) finished: DateTime<Utc>,
}

impl<'a> Context<'a> {
    /// Sets up the session with `target`. Sends nothing yet.
    pub(super) fn new(start: &'a Start<'a>, target: Target, run: RunId) -> Result<Self, RunError> {
        let Start { config, clock, stop, .. } = start;
        let pace = &config.pace;
        let concurrency = usize::from(pace.concurrency);
        let limits = Limits { timeout: pace.timeout, give_up_after: pace.give_up_after, max_attempts: pace.max_attempts };
        let (session, sandbox) = target.open(config.pacer(), concurrency, limits, run, *clock)?;
        let pipeline = Pipeline {
            session,
            limits,
            concurrency,
            slots: Arc::new(Semaphore::new(concurrency)),
            rules: StopRules { max_failures: config.safety.max_failures, canary: config.safety.canary, is_resumed: false },
            clock: *clock,
            stop: stop.clone(),
        };
        let notices = Notices::of(&pipeline.session.answers);
        tracing::info!(operation = config.operation.name(), rate = %config.own_rate(), "run {run} is set up");
        Ok(Self { start, pipeline, notices, finding: Duration::ZERO, _sandbox: sandbox })
    }

    pub(super) fn config(&self) -> &'a RunConfig {
        self.start.config
    }

    pub(super) fn info(&self) -> &'a TargetInfo {
        &self.start.info
    }

    pub(super) fn console(&self) -> &'a Console {
        self.start.console
    }

    pub(super) fn session(&self) -> &Session<HttpTransport> {
        &self.pipeline.session
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.pipeline.stop
    }

    pub(super) fn clock(&self) -> Clock {
        self.pipeline.clock
    }

    /// Counts dates from PingOne's time, which differs from the local clock by `offset`.
    pub(super) fn correct_clock(&mut self, offset: Offset) {
        self.pipeline.clock = self.pipeline.clock.corrected(offset);
    }

    /// Notes how long the users took to be found.
    pub(super) fn note_finding(&mut self, took: Duration) {
        self.finding = took;
    }

    pub(super) fn concurrency(&self) -> usize {
        self.pipeline.concurrency
    }

    pub(super) fn max_users(&self) -> Option<u64> {
        self.config().safety.max_users
    }

    /// Makes sure that there is a token, before any file of an earlier run is touched.
    pub(super) async fn has_token(&self) -> Result<(), RunError> {
        self.unless_stopped(self.session().has_token(self.stop())).await.map(|_| ())
    }

    /// The environment, as far as PingOne describes it.
    pub(super) async fn environment(&self) -> Result<EnvironmentInfo, RunError> {
        let info = self.unless_stopped(self.session().environment(self.stop())).await?;
        Ok(info.unwrap_or_default())
    }

    /// The rates that the licence allows, as far as PingOne reports them.
    pub(super) async fn licence(&self) -> Result<LicenceRates, RunError> {
        self.unless_stopped(self.session().licence(self.stop())).await
    }

    /// The result of a `request` made before the first row. A signal abandons it, because nothing is lost.
    async fn unless_stopped<T>(&self, request: impl Future<Output = Result<T, PingOneError>>) -> Result<T, RunError> {
        let stop = self.stop();
        tokio::select! {
            biased;
            () = stop.requested() => Err(RunError::before_the_first_row(stop)),
            answer = shown_while(self.console(), &self.session().answers, request) => Ok(answer?),
        }
    }

    /// The requests so far.
    fn requests(&self) -> RequestsRecord {
        let traffic = &self.session().traffic;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RequestsRecord { sent: count(&traffic.sent), retried: count(&traffic.retried), throttled: count(&traffic.throttled) }
    }

    /// Notes the requests so far for the metrics, in case the run fails before its first row.
    pub(super) fn note_requests(&self) {
        let RequestsRecord { sent, retried, throttled } = self.requests();
        let held = self.session().pacer.lost();
        self.start.metrics.note(Summary { sent, retried, throttled, held, ..Summary::default() }, self.session().traffic.statuses());
    }

    /// Records that an earlier process settled rows, and tells the operator.
    pub(super) fn resume(&mut self, run: RunId, before: Tally, expected: Option<u64>) {
        self.pipeline.rules.is_resumed = true;
        let settled = before.rows();
        let rows = expected.map_or_else(|| counted(settled, "row"), |rows| format!("{settled} of {}", counted(rows, "row")));
        self.console().tell(&format!("resuming run {run}: {rows} already done"));
    }

    /// Starts all rows as they come: the rows of the canary have succeeded in an earlier process.
    pub(super) fn leave_out_canary(&mut self) {
        self.pipeline.rules.canary = None;
    }

    /// Runs the rows of `feed` through the pipeline; `before` counts the rows settled by earlier processes.
    pub(super) async fn run(&self, journal: Journal, feed: impl RowFeed, before: Tally) -> RunResults {
        let began = Instant::now();
        let (pipeline, session) = (&self.pipeline, self.session());
        let (tally, seen) = watch::channel(before);
        let expected = feed.expected();
        session.pacer.expect(expected.map(|rows| rows.saturating_sub(before.rows())));
        let progress = Progress::start(self.console(), expected, seen, Arc::clone(&session.answers));
        let (send, rows) = mpsc::channel(READ_AHEAD);
        let (ended, rows) = tokio::join!(pipeline.run(rows, journal.appender(), tally), feed.run(pipeline, send));
        self.notices.tell_now();
        progress.finish().await;
        let written = journal.finish().await;
        self.start.signals.abort();
        let traffic = &session.traffic;
        RunResults {
            ended,
            rows,
            expected,
            written,
            requests: self.requests(),
            holds: holds_of(&traffic.holds(), session.pacer.lost()),
            sent_for_users: traffic.for_users.load(Ordering::Relaxed) > 0,
            statuses: traffic.statuses(),
            took: self.finding + began.elapsed(),
            held: session.pacer.lost(),
            finished: pipeline.clock.millis(),
        }
    }
}

/// The holds of this process, as the record has them.
fn holds_of(holds: &Holds, held: Duration) -> HoldsRecord {
    let episode = |(at, length): &(DateTime<Utc>, Duration)| HoldRecord::of(*at, *length);
    HoldsRecord::of(holds.count, held, holds.first.iter().map(episode).collect())
}
