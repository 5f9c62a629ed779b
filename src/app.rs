//! What does each command do, from its arguments to its last line?

use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use clap::CommandFactory;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::cli::{Cli, Command, SandboxArgs};
use crate::config::{Connection, Identity, RunConfig};
use crate::domain::RunId;
use crate::error::{EXIT_ROWS_FAILED, EXIT_SUCCESS, RunError};
use crate::input::{Checked, Layout, Row, Source, check, feed};
use crate::pace::Pacer;
use crate::pingone::{AuthMethod, Credentials, Endpoints, HttpSettings, HttpWire, Session, TokenSource, TrustedCa};
use crate::report::{Destination, Journal, ReportFiles, Summary, Tally, Target, publish};
use crate::run::{Ended, Patience, Pipeline};
use crate::sandbox::{Sandbox, SandboxConfig};
use crate::stop::Stop;
use crate::ui::{Console, Progress};

/// Rows that are read ahead of those that have a place in flight.
const READ_AHEAD: usize = 256;

/// Does what `cli` says. The answer is the program's exit code.
///
/// # Errors
///
/// [`RunError`] for whatever ends a run before its last row.
pub async fn run(cli: Cli, console: &Console) -> Result<u8, RunError> {
    let start = Utc::now();
    match cli.command {
        Command::Grant(arguments) => run_rows(RunConfig::of_grant(arguments, start)?, console).await,
        Command::Audit(arguments) => run_rows(RunConfig::of_audit(arguments, start)?, console).await,
        Command::Sandbox(arguments) => serve_sandbox(arguments).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "pingone-bypass", &mut script);
            print(&script)?;
            Ok(EXIT_SUCCESS)
        }
    }
}

/// An input that may be run: every row of it has been read once.
struct Sound {
    source: Source,
    layout: Layout,
    checked: Checked,
}

/// Grants or audits every row of an input.
async fn run_rows(config: RunConfig, console: &Console) -> Result<u8, RunError> {
    let sound = sound_input(&config)?;
    let rows = sound.checked.rows;
    // It stops when the run is over.
    let (endpoints, identity, ca, sandbox) = connect(config.connection).await?;
    let target = match sandbox {
        Some(_) => "the sandbox inside this process; nothing was sent to PingOne".to_owned(),
        None => format!("environment {} at {}", endpoints.environment, endpoints.api),
    };
    let run = RunId::random();
    let (credentials, tokens) = match identity {
        Identity::Worker(credentials) => (Some(credentials), TokenSource::Endpoint),
        Identity::Ready(token) => (None, TokenSource::Ready(token)),
    };
    let pace = &config.pace;
    let concurrency = usize::from(pace.concurrency);
    let settings = HttpSettings { endpoints: endpoints.clone(), credentials, ca, timeout: pace.timeout, concurrency, run };
    let wire = HttpWire::new(settings)?;
    let session = Session::new(wire, endpoints, tokens, Pacer::new(pace.rate), pace.timeout, pace.max_attempts);
    let patience = Patience { max_attempts: pace.max_attempts, give_up_after: pace.give_up_after };
    let pipeline = Pipeline { session, patience, concurrency, stop: Stop::default() };
    tracing::info!(run_id = %run, operation = config.rules.operation.name(), rows, rate = %pace.rate, "the run starts");

    let journal = start_journal(&config.destination, config.overwrite, &sound.layout)?;
    let began = Instant::now();
    let (ended, read, written) = run_pipeline(&pipeline, sound, config.rules, journal, console).await;
    let summary = summary(&pipeline, &ended, began.elapsed(), &config.destination, target);
    conclude(ended, read, written, rows, &config.destination, console, summary)
}

fn sound_input(config: &RunConfig) -> Result<Sound, RunError> {
    let source = Source::open(&config.input)?;
    let layout = Layout::of(&source, config.rules.operation, &config.dialect, config.rules.until.is_some())?;
    if !layout.superseded.is_empty() {
        tracing::warn!(
            "these columns of the input are not carried into the report, which has its own of the name: {}",
            layout.superseded.join(", ")
        );
    }
    let checked = check(&source, &layout, config.rules, config.skip_invalid)?;
    Ok(Sound { source, layout, checked })
}

/// Whom to talk to and as whom; a sandbox is started where one is asked for.
async fn connect(connection: Connection) -> Result<(Endpoints, Identity, TrustedCa, Option<Sandbox>), RunError> {
    match connection {
        Connection::PingOne { endpoints, identity, ca } => Ok((*endpoints, identity, ca, None)),
        Connection::Sandbox => {
            let sandbox = start_sandbox(SandboxConfig::default()).await?;
            let environment = sandbox.environment_id();
            let loopback = |url: String| url.parse().expect("the sandbox listens on loopback");
            let endpoints = Endpoints {
                api: loopback(sandbox.api_url()),
                auth: loopback(sandbox.auth_url()),
                environment,
                auth_environment: environment,
            };
            let credentials =
                Credentials { client_id: sandbox.client_id(), client_secret: sandbox.client_secret().into(), method: AuthMethod::Basic };
            Ok((endpoints, Identity::Worker(credentials), TrustedCa::default(), Some(sandbox)))
        }
    }
}

fn start_journal(destination: &Destination, overwrite: bool, layout: &Layout) -> Result<Journal, RunError> {
    let target = match destination {
        Destination::StandardOutput => Target::Stream(Box::new(io::stdout())),
        Destination::Files(files) => Target::File(files.create_partial(overwrite)?, files.partial.clone()),
    };
    Ok(Journal::start(target, layout.carried.iter().map(|column| column.name.as_str()))?)
}

type Read = Result<(), RunError>;
type Written = Result<(), RunError>;

/// Runs every row through the pipeline, and tells how that ended, and the reading and the writing.
async fn run_pipeline(
    pipeline: &Pipeline<HttpWire>,
    sound: Sound,
    rules: crate::input::Rules,
    journal: Journal,
    console: &Console,
) -> (Ended, Read, Written) {
    let (tally, seen) = watch::channel(Tally::default());
    let progress = Progress::start(console, sound.checked.rows, seen);
    let (send, rows) = mpsc::channel(READ_AHEAD);
    let reading = read_rows(sound, rules, send, pipeline.stop.clone());
    let ended = pipeline.run(rows, &journal, &tally).await;
    drop(tally);
    progress.finish().await;
    let read = match reading.await {
        Ok(read) => read,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    let written = journal.finish().await.map_err(RunError::from);
    (ended, read, written)
}

/// Reads the rows again on a thread of its own; if that fails, the run stops.
fn read_rows(sound: Sound, rules: crate::input::Rules, send: mpsc::Sender<Row>, stop: Stop) -> JoinHandle<Read> {
    tokio::task::spawn_blocking(move || {
        let Sound { source, layout, checked } = sound;
        feed(&source, &layout, rules, &checked, &send).map_err(|error| {
            stop.request();
            RunError::Reading { name: source.name, source: error }
        })
    })
}

fn summary(pipeline: &Pipeline<HttpWire>, ended: &Ended, took: Duration, destination: &Destination, target: String) -> Summary {
    let traffic = &pipeline.session.traffic;
    Summary {
        target,
        tally: ended.tally,
        sent: traffic.sent.load(Ordering::Relaxed),
        retried: traffic.retried.load(Ordering::Relaxed),
        throttled: traffic.throttled.load(Ordering::Relaxed),
        took,
        held: pipeline.session.pacer.lost(),
        report: match destination {
            Destination::StandardOutput => None,
            Destination::Files(files) => Some(files.report.clone()),
        },
    }
}

/// Publishes the report of a run that took every row; of one that did not, tells where the journal is.
fn conclude(
    ended: Ended,
    read: Read,
    written: Written,
    rows: u64,
    destination: &Destination,
    console: &Console,
    mut summary: Summary,
) -> Result<u8, RunError> {
    let files = match destination {
        Destination::StandardOutput => None,
        Destination::Files(files) => Some(files),
    };
    // The first cause first: a journal that closed, or a file that changed, stopped the run itself.
    let stopped = written.and(read).and(ended.refused.map_or(Ok(()), |refused| Err(refused.into())));
    let published = stopped.and_then(|()| match files {
        None => Ok(()),
        Some(files) => publish(files, rows).map_err(RunError::from),
    });
    if published.is_err() {
        summary.report = keep_partial(files, &ended.tally)?;
    }
    if published.is_ok() || ended.tally.rows() > 0 {
        console.summarize(&summary);
    }
    published?;
    Ok(if ended.tally.failures() > 0 { EXIT_ROWS_FAILED } else { EXIT_SUCCESS })
}

/// Where the journal is of a run that did not finish; one in which nothing was settled is removed.
fn keep_partial(files: Option<&ReportFiles>, tally: &Tally) -> Result<Option<std::path::PathBuf>, RunError> {
    let Some(files) = files else {
        return Ok(None);
    };
    if tally.rows() == 0 {
        files.remove_partial()?;
        return Ok(None);
    }
    Ok(Some(files.partial.clone()))
}

async fn start_sandbox(config: SandboxConfig) -> Result<Sandbox, RunError> {
    let address = config.listen.to_string();
    Sandbox::start(config).await.map_err(|source| RunError::Sandbox { address, source })
}

/// Serves a sandbox until the program is stopped.
async fn serve_sandbox(arguments: SandboxArgs) -> Result<u8, RunError> {
    let config = SandboxConfig {
        listen: arguments.listen,
        users: arguments.users,
        rate_limit: arguments.rate_limit,
        latency: Duration::from_millis(arguments.latency),
        faults: arguments.faults,
        seed: arguments.seed,
        token_lifetime: arguments.token_lifetime,
        basic: arguments.auth_method != Some(AuthMethod::Post),
        post: arguments.auth_method != Some(AuthMethod::Basic),
    };
    let sandbox = start_sandbox(config).await?;
    let file_error = |path: &std::path::Path| {
        let path = path.display().to_string();
        move |source| RunError::SandboxFile { path, source }
    };
    if let Some(path) = &arguments.export_users {
        sandbox.export_users(path).map_err(file_error(path))?;
    }
    if let Some(path) = &arguments.request_log {
        sandbox.log_calls(path).map_err(file_error(path))?;
    }
    print(sandbox_variables(&sandbox, arguments.auth_method).as_bytes())?;
    std::future::pending().await
}

/// The environment variables that lead a run to the sandbox, ready to be pasted into a shell.
fn sandbox_variables(sandbox: &Sandbox, method: Option<AuthMethod>) -> String {
    let mut variables = format!(
        "export PINGONE_ENVIRONMENT_ID={}\nexport PINGONE_CLIENT_ID={}\nexport PINGONE_CLIENT_SECRET={}\nexport PINGONE_API_URL={}\nexport PINGONE_AUTH_URL={}\n",
        sandbox.environment_id(),
        sandbox.client_id(),
        sandbox.client_secret(),
        sandbox.api_url(),
        sandbox.auth_url()
    );
    if method == Some(AuthMethod::Post) {
        variables.push_str("export PINGONE_AUTH_METHOD=post\n");
    }
    variables
}

fn print(bytes: &[u8]) -> Result<(), RunError> {
    let mut out = io::stdout().lock();
    let printed = out.write_all(bytes).and_then(|()| out.flush());
    printed.map_err(|source| crate::report::FileError::new("written", std::path::Path::new("standard output"), source).into())
}
