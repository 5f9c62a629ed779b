//! `grant`, `audit` and `end`: from an input, or the directory, to its report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument;

use super::conclude::{Conclusion, MetricsFile, conclude_stream, report_again};
use super::error::RunError;
use super::preflight::{preflight, view};
use super::reading::unless_stopped;
use super::sandbox::start_sandbox;
use super::settled::Settled;
use super::signals::listen;
use super::subjects::{Feed, Subjects};
use super::takeup::{Claim, Standing};
use crate::clock::{Clock, Offset};
use crate::config::{Connection, Existing, Identity, RunConfig};
use crate::directory::{Listing, Roll};
use crate::domain::{RunId, Tally};
use crate::exit::EXIT_SUCCESS;
use crate::input::{READ_TOGETHER, Remaining};
use crate::pace::Pacer;
use crate::pingone::{
    AuthMethod, Credentials, Endpoints, EnvironmentInfo, HttpSettings, HttpTransport, LicenceRates, Limits, PingOneError, Session,
    TokenSource, TrustedCa,
};
use crate::report::{Destination, Journal, NotWritten, Recalled, Recovered, RequestsRecord, RunRecord, Target};
use crate::run::{Ended, Pipeline, StopRules};
use crate::sandbox::{Sandbox, SandboxConfig};
use crate::stdio::Stream;
use crate::stop::{Signal, Stop};
use crate::ui::{Console, Progress};

/// Rows that are read ahead of those that have a place in flight.
pub(super) const READ_AHEAD: usize = 2 * READ_TOGETHER;

/// Does what `config` says for every row of an input, or every user of the directory.
pub(super) async fn run_rows(mut config: RunConfig, to_resume: &str, console: &Console) -> Result<u8, RunError> {
    let clock = Clock::of_this_machine().map_err(|_| RunError::ClockBefore1970)?;
    let stop = Stop::default();
    let signals = listen(stop.clone())?;
    if config.safety.dry_run {
        return dry_run(&config, clock, &stop, console).await;
    }
    if let Some(metrics) = &config.metrics {
        metrics.try_out(|_| Ok(()))?;
    }
    let claim = match &config.destination {
        // What is closed takes no report: that is known before anything is sent.
        Destination::StandardOutput => Stream::output().map(|_| None)?,
        Destination::Files(files) => Some(Claim::take(files.clone(), config.existing)?),
    };
    let start = claim.as_ref().and_then(Claim::start).unwrap_or_else(|| clock.millis());
    let run_id = claim.as_ref().and_then(Claim::run_id).unwrap_or_else(RunId::random);
    let read = Subjects::of(&config, start, &stop, console).await;
    let peer = connect(std::mem::replace(&mut config.connection, Connection::Sandbox)).await?;
    let record_of = |input| RunRecord::of(&config, input, start, &peer.endpoints, peer.is_sandbox(), run_id);
    let metrics = MetricsFile { place: config.metrics.as_ref(), operation: config.operation.name() };
    if let Some(settled) = claim.as_ref().map_or(Ok(None), |claim| Settled::of(claim, &read))? {
        return settled.publish(&config, record_of(settled.former.input.clone()), peer.name(), metrics, clock, console);
    }
    let subjects = read?.approve(config.safety.max_users)?;
    let mut record = record_of(subjects.record(&config));
    let standing = claim.as_ref().map_or(Ok(Standing::Anew), |claim| claim.standing(&mut record))?;
    let mut run = Run::set_up(&config, peer, run_id, clock, console, stop, signals)?;
    if let (Some(claim), Standing::Finished(former)) = (&claim, &standing) {
        return report_again(&claim.files, (**former).clone(), &mut *subjects.original_rows()?, clock, console);
    }
    let taken_up = claim.as_ref().and_then(|claim| claim.taken_up(&standing));
    let (subjects, listing) = preflight(&config, subjects, &mut run, &mut record, taken_up).await?;
    let carried = subjects.carried_names().into_iter();
    let (journal, recovered) = match &claim {
        None => {
            let journal = Journal::start(Target::Stream(Box::new(Stream::output()?), config.lines), carried)?;
            (journal.begun(run.stop()).await.map_err(|error| not_begun(error, run.stop()))?, Recovered::default())
        }
        Some(claim) => claim.journal(&standing, config.operation, &mut record, carried)?,
    };
    let before = recovered.for_good();
    run.prepare(config.safety.canary, recovered.has_header());
    let feed = feed(&subjects, listing, claim.as_ref(), recovered, record.in_doubt_up_to, run.clock().now())?;
    run.tell_of_taking_up(run_id, before, &feed);
    let span = console.run_span(run_id);
    let ran = run.run(journal, feed, before).instrument(span).await?;
    match &claim {
        None => conclude_stream(ran, config.lines, metrics, console),
        Some(claim) => {
            Conclusion { claim, subjects: &subjects, lines: config.lines, record, before, to_resume, console, metrics }.conclude(ran)
        }
    }
}

/// Why the report has not begun that goes to standard output.
fn not_begun(error: NotWritten, stop: &Stop) -> RunError {
    match error {
        NotWritten::File(error) => error.into(),
        NotWritten::GivenUp => RunError::before_the_first_row(stop),
    }
}

/// The rows that are left to be done after what was `recovered` of a journal.
pub(super) fn feed(
    subjects: &Subjects,
    listing: Option<Listing>,
    claim: Option<&Claim>,
    recovered: Recovered,
    in_doubt_up_to: u64,
    now: DateTime<Utc>,
) -> Result<Feed, RunError> {
    Ok(match (subjects, listing) {
        (Subjects::Input(sound), _) => Feed::Input(Arc::clone(sound), remaining(recovered, in_doubt_up_to, now)),
        (Subjects::Directory(_), None) => unreachable!("the list has been begun"),
        (Subjects::Directory(_), Some(listing)) => Feed::Directory(Box::new(listing), roll(claim, &recovered)?),
    })
}

/// The rows of an input that are left to be done after what was `recovered` of its journal.
fn remaining(recovered: Recovered, in_doubt_up_to: u64, now: DateTime<Utc>) -> Remaining {
    let resumed = recovered.has_header().then_some(now);
    let Recovered { settled, again, .. } = recovered;
    Remaining { settled, again, in_doubt_up_to, resumed }
}

/// The users who have rows already, of whom the journal tells, if there is one.
fn roll(claim: Option<&Claim>, recovered: &Recovered) -> Result<Roll, RunError> {
    match claim.filter(|_| recovered.has_header()) {
        Some(claim) => Ok(Roll::recalling(Recalled::read(&claim.files.partial, recovered)?)),
        None => Ok(Roll::default()),
    }
}

/// Shows what would be done, and does nothing.
async fn dry_run(config: &RunConfig, clock: Clock, stop: &Stop, console: &Console) -> Result<u8, RunError> {
    if let (Destination::Files(files), Existing::Keep) = (&config.destination, config.existing) {
        files.are_new()?;
    }
    let subjects = Subjects::of(config, clock.millis(), stop, console).await?;
    let (subjects, forecast) = unless_stopped(stop, move || subjects.forecast().map(|forecast| (subjects, forecast))).await??;
    let (target, identity) = match &config.connection {
        Connection::Sandbox => (SANDBOX.to_owned(), "the sandbox's application".to_owned()),
        Connection::PingOne { endpoints, identity, .. } => (endpoints.to_string(), identity.to_string()),
    };
    console.show_plan(&view(config, subjects.planned(None, forecast), target, identity, LicenceRates::default()), true);
    subjects.approve(config.safety.max_users)?;
    console.tell("this was a dry run: nothing was sent");
    Ok(EXIT_SUCCESS)
}

/// What the plan and the summary call the sandbox inside this process.
const SANDBOX: &str = "the sandbox inside this process; nothing is sent to PingOne";

/// Whom a run talks to, and as whom.
struct Peer {
    endpoints: Endpoints,
    identity: Identity,
    ca: TrustedCa,
    /// The sandbox inside this process, which stops when it is dropped.
    sandbox: Option<Sandbox>,
}

impl Peer {
    fn is_sandbox(&self) -> bool {
        self.sandbox.is_some()
    }

    /// What the summary calls it.
    fn name(&self) -> String {
        match self.sandbox {
            Some(_) => SANDBOX.to_owned(),
            None => self.endpoints.to_string(),
        }
    }
}

/// The peer that is asked for; a sandbox is started.
async fn connect(connection: Connection) -> Result<Peer, RunError> {
    match connection {
        Connection::PingOne { endpoints, identity, ca } => Ok(Peer { endpoints: *endpoints, identity, ca, sandbox: None }),
        Connection::Sandbox => {
            let sandbox = start_sandbox(SandboxConfig::default()).await?;
            let environment = sandbox.environment_id();
            let loopback = |url: String| url.parse().expect("the sandbox listens on loopback");
            let (api, auth) = (loopback(sandbox.api_url()), loopback(sandbox.auth_url()));
            let client_secret = sandbox.client_secret().into();
            let credentials = Credentials { client_id: sandbox.client_id(), client_secret, method: AuthMethod::Basic };
            Ok(Peer {
                endpoints: Endpoints { api, auth, environment, auth_environment: environment },
                identity: Identity::Worker(credentials),
                ca: TrustedCa::default(),
                sandbox: Some(sandbox),
            })
        }
    }
}

/// Everything that a run needs, but for its files.
pub(super) struct Run<'a> {
    pipeline: Pipeline<HttpTransport>,
    target: String,
    identity: String,
    console: &'a Console,
    sandbox: Option<Sandbox>,
    /// Who passes signals on.
    signals: JoinHandle<()>,
}

/// What a run has done.
pub(super) struct Ran {
    pub(super) ended: Ended,
    /// How many rows there are, settled ones included; `None` if the run stopped before that was known.
    pub(super) rows: Result<Option<u64>, RunError>,
    /// How many there should be, as far as is known.
    pub(super) expected: Option<u64>,
    pub(super) written: Result<(), NotWritten>,
    pub(super) signal: Option<Signal>,
    pub(super) requests: RequestsRecord,
    /// Whether something was sent for a user.
    pub(super) sent_for_users: bool,
    pub(super) statuses: BTreeMap<Option<u16>, u64>,
    pub(super) took: Duration,
    pub(super) held: Duration,
    pub(super) target: String,
    /// When it ended.
    pub(super) finished: DateTime<Utc>,
}

impl<'a> Run<'a> {
    fn set_up(
        config: &RunConfig,
        peer: Peer,
        run: RunId,
        clock: Clock,
        console: &'a Console,
        stop: Stop,
        signals: JoinHandle<()>,
    ) -> Result<Self, RunError> {
        let pace = &config.pace;
        let concurrency = usize::from(pace.concurrency);
        let target = peer.name();
        let Peer { endpoints, identity, ca, sandbox } = peer;
        let shown = identity.to_string();
        let tokens = match identity {
            Identity::Worker(credentials) => TokenSource::Endpoint(credentials),
            Identity::Ready(token) => TokenSource::Ready(token),
        };
        let settings = HttpSettings { endpoints: endpoints.clone(), ca, timeout: pace.timeout, concurrency, run };
        let transport = HttpTransport::new(settings)?;
        let limits = Limits { timeout: pace.timeout, give_up_after: pace.give_up_after, max_attempts: pace.max_attempts };
        let session = Session::new(transport, endpoints, tokens, Arc::new(Pacer::new(pace.rate)), limits, clock);
        let pipeline = Pipeline {
            session,
            limits,
            concurrency,
            slots: Arc::new(Semaphore::new(concurrency)),
            rules: StopRules { max_failures: config.safety.max_failures, canary: None, is_resumed: false },
            clock,
            stop,
        };
        tracing::info!(run_id = %run, operation = config.operation.name(), rate = %pace.rate, "the run is set up");
        Ok(Self { pipeline, target, identity: shown, console, sandbox, signals })
    }

    pub(super) fn is_sandbox(&self) -> bool {
        self.sandbox.is_some()
    }

    pub(super) fn target(&self) -> &str {
        &self.target
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    pub(super) fn console(&self) -> &'a Console {
        self.console
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

    /// Counts dates from PingOne's time, from which the clock here is so far off.
    pub(super) fn correct_clock(&mut self, offset: Offset) {
        self.pipeline.clock = self.pipeline.clock.corrected(offset);
    }

    pub(super) fn concurrency(&self) -> usize {
        self.pipeline.concurrency
    }

    /// Makes sure that there is a token, before anything that is there is touched.
    pub(super) async fn has_token(&self) -> Result<(), RunError> {
        let stop = &self.pipeline.stop;
        self.unless_stopped(self.pipeline.session.has_token(stop)).await.map(|_| ())
    }

    /// What PingOne tells of the environment.
    pub(super) async fn environment(&self) -> Result<EnvironmentInfo, RunError> {
        let info = self.unless_stopped(self.pipeline.session.environment(&self.pipeline.stop)).await?;
        Ok(info.unwrap_or_default())
    }

    /// The rates that the licence allows, as far as PingOne tells them.
    pub(super) async fn licence(&self) -> Result<LicenceRates, RunError> {
        self.unless_stopped(self.pipeline.session.licence(&self.pipeline.stop)).await
    }

    /// What comes of asking before the first row is sent. A signal does not wait for it: nothing is lost with it.
    async fn unless_stopped<T>(&self, asked: impl Future<Output = Result<T, PingOneError>>) -> Result<T, RunError> {
        let stop = &self.pipeline.stop;
        tokio::select! {
            biased;
            () = stop.requested() => Err(RunError::before_the_first_row(stop)),
            asked = asked => Ok(asked?),
        }
    }

    /// Lets no more than the first rows go, a `canary` of so many, until they have succeeded.
    fn prepare(&mut self, canary: Option<u64>, is_taken_up: bool) {
        self.pipeline.rules = StopRules { canary, is_resumed: is_taken_up, ..self.pipeline.rules };
    }

    fn tell_of_taking_up(&self, run: RunId, before: Tally, feed: &Feed) {
        if self.pipeline.rules.is_resumed {
            let of = feed.expected().map(|rows| format!(" of {rows}")).unwrap_or_default();
            self.console.tell(&format!("taking up run {run}: {}{of} rows are settled", before.rows()));
        }
    }

    /// Runs the rows of `feed` through the pipeline, besides those that were settled `before`.
    async fn run(self, journal: Journal, feed: Feed, before: Tally) -> Result<Ran, RunError> {
        let began = Instant::now();
        let pipeline = self.pipeline;
        let (tally, seen) = watch::channel(before);
        let expected = feed.expected();
        pipeline.session.pacer.expect(expected.map(|rows| rows.saturating_sub(before.rows())));
        let progress = Progress::start(self.console, expected, seen, Arc::clone(&pipeline.session.pacer));
        let (send, rows) = mpsc::channel(READ_AHEAD);
        let (ended, rows) = tokio::join!(pipeline.run(rows, journal.appender(), tally), feed.run(&pipeline, send));
        progress.finish().await;
        let written = journal.finish().await;
        self.signals.abort();
        let session = &pipeline.session;
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let traffic = &session.traffic;
        let requests =
            RequestsRecord { sent: count(&traffic.sent), retried: count(&traffic.retried), throttled: count(&traffic.throttled) };
        Ok(Ran {
            ended,
            rows,
            expected,
            written,
            signal: pipeline.stop.signalled(),
            requests,
            sent_for_users: count(&traffic.for_users) > 0,
            statuses: traffic.statuses(),
            took: began.elapsed(),
            held: session.pacer.lost(),
            target: self.target,
            finished: pipeline.clock.millis(),
        })
    }
}
