//! `grant`, `audit` and `end`: from an input to its report.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument;

use super::conclude::{Conclusion, MetricsFile, conclude_stream, report_again};
use super::preflight::{preflight, view};
use super::sandbox::start_sandbox;
use super::takeup::{Claim, Standing, now};
use crate::config::{Connection, Existing, Identity, RunConfig};
use crate::domain::RunId;
use crate::error::{EXIT_SUCCESS, RunError};
use crate::input::{Layout, READ_TOGETHER, Remaining, Row, Sound, Source, feed};
use crate::lookup::{Forecast, forecast};
use crate::pace::Pacer;
use crate::pingone::{
    AuthMethod, Credentials, Endpoints, EnvironmentInfo, HttpSettings, HttpWire, Limits, Secrets, Session, TokenSource, TrustedCa,
};
use crate::report::{Destination, FileError, Journal, Recovered, RequestsRecord, RunRecord, Tally, Target};
use crate::rowset::RowSet;
use crate::run::{Canary, Ended, Outage, Pipeline};
use crate::sandbox::{Sandbox, SandboxConfig};
use crate::stop::{Signal, Stop};
use crate::ui::{Console, PlanView, Progress};

/// Rows that are read ahead of those that have a place in flight.
const READ_AHEAD: usize = 4 * READ_TOGETHER;

/// Does what `config` says for every row of an input.
pub(super) async fn run_rows(mut config: RunConfig, to_resume: &str, console: &Console) -> Result<u8, RunError> {
    if config.safety.dry_run {
        return dry_run(&config, console);
    }
    let claim = match &config.destination {
        Destination::StandardOutput => None,
        Destination::Files(files) => Some(Claim::take(files.clone(), config.existing)?),
    };
    let start = claim.as_ref().map_or_else(now, Claim::start);
    let run_id = claim.as_ref().and_then(Claim::run_id).unwrap_or_else(RunId::random);
    let sound = read_input(&config, start)?.approve(config.safety.max_users)?;
    let peer = connect(std::mem::replace(&mut config.connection, Connection::Sandbox)).await?;
    let mut record = RunRecord::of(&config, &sound, &peer.endpoints, peer.is_sandbox(), run_id);
    let standing = claim.as_ref().map_or(Ok(Standing::Anew), |claim| claim.standing(&mut record))?;
    let mut run = Run::set_up(&config, sound.rows(), peer, run_id, console)?;
    if let (Some(claim), Standing::Finished(former)) = (&claim, &standing) {
        return report_again(&claim.files, (**former).clone(), &sound, console);
    }
    let taken_up = claim.as_ref().filter(|_| matches!(standing, Standing::Unfinished)).map(|claim| claim.files.partial.as_path());
    let sound = Arc::new(preflight(&config, sound, &mut run, &mut record, taken_up).await?);
    let carried = sound.layout.carried_names();
    let (journal, recovered) = match (&claim, standing) {
        (None, _) => (Journal::start(Target::Stream(Box::new(io::stdout())), carried)?, Recovered::default()),
        (Some(claim), Standing::Unfinished) => claim.take_up(&mut record, carried)?,
        (Some(claim), Standing::Anew | Standing::Finished(_)) => (claim.begin(&record, carried)?, Recovered::default()),
    };
    let before = recovered.for_good();
    let is_taken_up = recovered.has_header();
    if is_taken_up {
        console.tell(&format!("taking up run {run_id}: {} of {} rows are settled", before.rows(), sound.rows()));
    }
    run.prepare(config.safety.canary.map(|rows| rows.min(sound.rows())), &recovered.settled, is_taken_up);
    let Recovered { settled, again, .. } = recovered;
    let remaining = Remaining { settled, again, in_doubt_up_to: record.in_doubt_up_to, resumed: is_taken_up.then(Utc::now) };
    let span = console.run_span(run_id);
    let ran = run.run(Arc::clone(&sound), journal, remaining, before).instrument(span).await?;
    let metrics = MetricsFile { path: config.metrics.as_deref(), operation: config.operation.name() };
    match &claim {
        None => conclude_stream(ran, sound.rows(), metrics, console),
        Some(claim) => Conclusion { claim, sound: &sound, record, before, to_resume, console, metrics }.conclude(ran),
    }
}

/// Shows what would be done, and does nothing.
fn dry_run(config: &RunConfig, console: &Console) -> Result<u8, RunError> {
    if let (Destination::Files(files), Existing::Keep) = (&config.destination, config.existing) {
        files.are_new()?;
    }
    let sound = read_input(config, now())?;
    let (target, identity) = match &config.connection {
        Connection::Sandbox => (SANDBOX.to_owned(), "the sandbox's application".to_owned()),
        Connection::PingOne { endpoints, identity, .. } => (endpoints.to_string(), identity.to_string()),
    };
    let forecast = forecast_of(&sound)?;
    console.show_plan(&PlanView { forecast, ..view(config, &sound, target, identity) }, true);
    sound.approve(config.safety.max_users)?;
    console.tell("this was a dry run: nothing was sent");
    Ok(EXIT_SUCCESS)
}

/// How much has to be looked up, if anything.
fn forecast_of(sound: &Sound) -> Result<Option<Forecast>, RunError> {
    let lookup = sound.layout.lookup.as_ref().filter(|_| sound.plan().sought.rows > 0);
    let forecast = lookup.map(|lookup| forecast(sound, lookup.by)).transpose();
    forecast.map_err(|source| RunError::Reading { name: sound.source.name.clone(), source })
}

fn read_input(config: &RunConfig, start: DateTime<Utc>) -> Result<Sound, RunError> {
    let rules = config.rules(start)?;
    let source = Source::open(&config.input)?;
    let layout = Layout::of(&source, config.operation, &config.dialect, rules.until.is_some())?;
    let superseded = layout.superseded.join(", ");
    // Of a report, that is as it should be.
    if layout.is_of_a_report() {
        tracing::info!("the input is a report: its own columns are not carried into the new one");
    } else if !superseded.is_empty() {
        tracing::warn!("these columns of the input are not carried into the report, which has its own of the name: {superseded}");
    }
    Ok(Sound::check(source, layout, rules, config.skip_invalid)?)
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
    pipeline: Pipeline<HttpWire>,
    target: String,
    identity: String,
    console: &'a Console,
    sandbox: Option<Sandbox>,
    /// Who passes signals on, once somebody does.
    signals: Option<JoinHandle<()>>,
}

/// What a run has done.
pub(super) struct Ran {
    pub(super) ended: Ended,
    pub(super) read: Result<(), RunError>,
    pub(super) written: Result<(), FileError>,
    pub(super) signal: Option<Signal>,
    pub(super) requests: RequestsRecord,
    /// Whether something was sent for a user.
    pub(super) sent_for_users: bool,
    pub(super) statuses: BTreeMap<Option<u16>, u64>,
    pub(super) took: Duration,
    pub(super) held: Duration,
    pub(super) target: String,
}

impl<'a> Run<'a> {
    fn set_up(config: &RunConfig, rows: u64, peer: Peer, run: RunId, console: &'a Console) -> Result<Self, RunError> {
        let pace = &config.pace;
        let concurrency = usize::from(pace.concurrency);
        let target = peer.name();
        let Peer { endpoints, identity, ca, sandbox } = peer;
        let shown = identity.to_string();
        let (credentials, tokens) = match identity {
            Identity::Worker(credentials) => (Some(credentials), TokenSource::Endpoint),
            Identity::Ready(token) => (None, TokenSource::Ready(token)),
        };
        let secrets = credentials.as_ref().map(|worker| Secrets::of(&worker.client_id, &worker.client_secret)).unwrap_or_default();
        let settings = HttpSettings { endpoints: endpoints.clone(), credentials, ca, timeout: pace.timeout, concurrency, run };
        let wire = HttpWire::new(settings)?;
        let limits = Limits { timeout: pace.timeout, give_up_after: pace.give_up_after, max_attempts: pace.max_attempts };
        let session = Session::new(wire, endpoints, tokens, secrets, Arc::new(Pacer::new(pace.rate)), limits);
        let pipeline = Pipeline {
            session,
            limits,
            concurrency,
            max_failures: config.safety.max_failures,
            outage: Outage::new(concurrency),
            canary: None,
            is_taken_up: false,
            now: Utc::now,
            stop: Stop::default(),
        };
        tracing::info!(run_id = %run, operation = config.operation.name(), rows, rate = %pace.rate, "the run is set up");
        Ok(Self { pipeline, target, identity: shown, console, sandbox, signals: None })
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

    pub(super) fn session(&self) -> &Session<HttpWire> {
        &self.pipeline.session
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.pipeline.stop
    }

    pub(super) fn concurrency(&self) -> usize {
        self.pipeline.concurrency
    }

    /// From now on, a signal asks the run to stop.
    pub(super) fn listen(&mut self) -> Result<(), RunError> {
        if self.signals.is_none() {
            self.signals = Some(listen(self.pipeline.stop.clone())?);
        }
        Ok(())
    }

    /// Makes sure that there is a token, before anything that is there is touched.
    pub(super) async fn has_token(&self) -> Result<bool, RunError> {
        Ok(self.pipeline.session.has_token(&self.pipeline.stop).await?)
    }

    /// What PingOne tells of the environment.
    pub(super) async fn environment(&self) -> Result<EnvironmentInfo, RunError> {
        let info = self.pipeline.session.environment(&self.pipeline.stop).await?;
        Ok(info.unwrap_or_default())
    }

    /// Lets no more than the first rows go, a `canary` of so many, until they have succeeded, of which some
    /// may be `settled`.
    fn prepare(&mut self, canary: Option<u64>, settled: &RowSet, is_taken_up: bool) {
        self.pipeline.is_taken_up = is_taken_up;
        self.pipeline.canary = canary.map(|last| Canary::new(last, (1..=last).filter(|row| !settled.contains(*row)).count() as u64));
    }

    /// Runs the remaining rows through the pipeline, besides those that were settled `before`.
    async fn run(mut self, sound: Arc<Sound>, journal: Journal, remaining: Remaining, before: Tally) -> Result<Ran, RunError> {
        let began = Instant::now();
        self.listen()?;
        let stop = &self.pipeline.stop;
        let (tally, seen) = watch::channel(before);
        let progress = Progress::start(self.console, sound.rows(), seen, Arc::clone(&self.pipeline.session.pacer));
        let (send, rows) = mpsc::channel(READ_AHEAD);
        let reading = read_rows(sound, remaining, send, stop.clone());
        let ended = self.pipeline.run(rows, &journal, &tally).await;
        drop(tally);
        progress.finish().await;
        let read = reading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let written = journal.finish().await;
        self.signals.iter().for_each(JoinHandle::abort);
        let session = &self.pipeline.session;
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let traffic = &session.traffic;
        let requests =
            RequestsRecord { sent: count(&traffic.sent), retried: count(&traffic.retried), throttled: count(&traffic.throttled) };
        Ok(Ran {
            ended,
            read,
            written,
            signal: stop.signalled(),
            requests,
            sent_for_users: count(&traffic.for_users) > 0,
            statuses: traffic.statuses(),
            took: began.elapsed(),
            held: session.pacer.lost(),
            target: self.target,
        })
    }
}

/// Passes signals on to `stop`.
fn listen(stop: Stop) -> Result<JoinHandle<()>, RunError> {
    let listen = |kind| signal(kind).map_err(RunError::Signals);
    let (mut interrupts, mut terminations) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                _ = interrupts.recv() => Signal::Interrupt,
                _ = terminations.recv() => Signal::Terminate,
            };
            tracing::warn!("{}: nothing new is sent; what is in flight is waited for (again: is given up)", signal.name());
            stop.signal(signal);
        }
    }))
}

/// Reads the rows again on a thread of its own; if that fails, the run stops.
fn read_rows(sound: Arc<Sound>, remaining: Remaining, send: mpsc::Sender<Row>, stop: Stop) -> JoinHandle<Result<(), RunError>> {
    tokio::task::spawn_blocking(move || {
        feed(&sound, &remaining, &send).map_err(|source| {
            stop.request();
            RunError::Reading { name: sound.source.name.clone(), source }
        })
    })
}
