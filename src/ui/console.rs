//! The way to the operator's eyes: logs, messages and the bar, none of which tears another, and none of which is
//! waited for.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::error::Error;
use std::io::{self, IsTerminal, Write};

use chrono::{SecondsFormat, Utc};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::json;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::PlanView;
use super::progress::{REDRAWS_A_SECOND, bar};
use super::screen::{Screen, Weight};
use crate::cli::{AuditArgs, Cli, Command, EndArgs, GrantArgs, LogFormat, OutputArgs, ProgressMode};
use crate::domain::RunId;
use crate::error::RunError;
use crate::report::Summary;
use crate::stdio::Stream;

/// Only what this program says is logged: what the HTTP libraries say may hold a token.
const OWN: &str = "pingone_bypass";
/// What is told without being asked.
const TOLD: &str = "pingone_bypass::told";

/// Standard error, shared by everybody who writes to it. Nobody waits for it but who asks for that: a thread of its
/// own writes what is said.
#[derive(Debug, Clone)]
pub struct Console {
    screen: Screen,
    pub(crate) progress: ProgressMode,
    quiet: bool,
    json: bool,
    /// Whether a bar can be drawn.
    draws: bool,
}

impl Console {
    /// The console that `cli` asks for; logging starts.
    #[must_use]
    pub fn of(cli: &Cli) -> Self {
        let output = match &cli.command {
            Command::Grant(GrantArgs { run, .. }) | Command::Audit(AuditArgs { run, .. }) | Command::End(EndArgs { run, .. }) => {
                Some(&run.output)
            }
            Command::Diff(_) | Command::Sandbox(_) | Command::Completions { .. } => None,
        };
        let terminal = io::stderr().is_terminal();
        let draws = terminal && !console::is_dumb();
        let json = output.is_some_and(|output| output.log_format == LogFormat::Json);
        let quiet = output.is_some_and(|output| output.quiet);
        let progress = output.map_or(ProgressMode::None, |output| shown(output, draws));
        let console = Self { screen: screen(json), progress, quiet, json, draws };
        console.start_logging(output.map_or(0, |output| output.verbose), terminal);
        console
    }

    fn start_logging(&self, verbose: u8, terminal: bool) {
        let level = match (self.quiet, verbose) {
            (true, _) => Level::ERROR,
            (false, 0) => Level::WARN,
            (false, 1) => Level::INFO,
            (false, _) => Level::DEBUG,
        };
        let only_own = Targets::new().with_target(OWN, level).with_target(TOLD, Level::INFO);
        let color = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let layer = tracing_subscriber::fmt::layer().with_writer(self.clone()).log_internal_errors(false);
        let registry = tracing_subscriber::registry().with(only_own);
        let started = if self.json {
            registry.with(layer.json().flatten_event(true)).try_init()
        } else {
            registry.with(layer.with_ansi(color).with_target(false)).try_init()
        };
        // A program that has this library in it may log in a way of its own.
        drop(started);
    }

    /// What says of which run a line of the log is. People see it at the start, programs in each line.
    pub(crate) fn run_span(&self, run: RunId) -> tracing::Span {
        if self.json { tracing::error_span!("run", runId = %run) } else { tracing::Span::none() }
    }

    /// A bar of so many rows, if that is known.
    pub(crate) fn bar(&self, rows: Option<u64>) -> ProgressBar {
        bar(rows, if self.draws { self.screen.bar(REDRAWS_A_SECOND) } else { ProgressDrawTarget::hidden() })
    }

    /// Waits until all that was said can be read, however long that takes.
    pub(crate) fn wait(&self) {
        self.screen.wait();
    }

    /// Waits until all that was said is written, but no longer than 2 s while standard error takes none of it, and
    /// than 10 s in all. [`run`] ends with that.
    ///
    /// [`run`]: crate::run
    pub fn flush(&self) {
        self.screen.wait_a_while();
    }

    /// Says here what a panic says from now on, wherever it is in the program.
    pub fn tell_of_panics(&self) {
        let console = self.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            let mut text = format!("thread `{}` {panic}", thread.name().unwrap_or("without a name"));
            let trace = Backtrace::capture();
            if trace.status() == BacktraceStatus::Captured {
                text = format!("{text}\nstack backtrace:\n{trace}");
            }
            console.screen.say(line(console.json, Level::ERROR, &text).into_bytes(), Weight::Message);
            // The thread may be the one that the program ends with.
            console.flush();
        }));
    }

    /// Tells progress in a line.
    pub(crate) fn tell(&self, line: &str) {
        if !self.quiet {
            self.tell_anyhow(line);
        }
    }

    /// Tells what is to be known even where quiet is asked for.
    pub(crate) fn tell_anyhow(&self, line: &str) {
        if self.json {
            tracing::info!(target: TOLD, "{line}");
        } else {
            self.say(line);
        }
    }

    /// Shows what is to be done; even where quiet is asked for, if a question follows.
    pub(crate) fn show_plan(&self, plan: &PlanView<'_>, asks: bool) {
        if self.quiet && !asks {
            return;
        }
        if self.json {
            tracing::info!(target: TOLD, "{}", plan.to_string().replace('\n', "; "));
        } else {
            self.say(&plan.to_string());
        }
    }

    /// Shows what a run has done.
    pub fn summarize(&self, summary: &Summary) {
        if self.quiet {
            return;
        }
        if self.json {
            let results: Vec<String> = summary.tally.seen().map(|(outcome, rows)| format!("{}={rows}", outcome.name())).collect();
            tracing::info!(
                target: TOLD,
                rows = summary.tally.rows(),
                results = results.join(","),
                sent = summary.sent,
                retried = summary.retried,
                throttled = summary.throttled,
                seconds = summary.took.as_secs_f64(),
                held_seconds = summary.held.as_secs_f64(),
                "summary"
            );
        } else {
            self.say(summary.to_string().trim_end());
        }
    }

    /// Shows an error, what caused it, and what to do.
    pub fn complain(&self, error: &RunError) {
        let mut causes: Vec<String> = Vec::new();
        let mut cause = Error::source(error);
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        if self.json {
            tracing::error!(causes = causes.join(": "), hint = error.hint().unwrap_or_default(), exit_code = error.code(), "{error}");
            return;
        }
        let mut text = format!("error: {error}");
        for cause in causes {
            text.push_str("\ncaused by: ");
            text.push_str(&cause);
        }
        if let Some(hint) = error.hint() {
            text.push_str("\nhint: ");
            text.push_str(&hint);
        }
        self.say(&text);
    }

    fn say(&self, text: &str) {
        self.screen.say(format!("{text}\n").into_bytes(), Weight::Message);
    }
}

fn screen(json: bool) -> Screen {
    let notice = if json { |lines| line(true, Level::WARN, &left_out(lines)) } else { |lines| line(false, Level::WARN, &left_out(lines)) };
    match Stream::error() {
        Ok(stream) => Screen::new(stream, notice),
        Err(_) => Screen::new(io::sink(), notice),
    }
}

fn left_out(lines: u64) -> String {
    let (lines, are) = if lines == 1 { ("1 line".to_owned(), "is") } else { (format!("{lines} lines"), "are") };
    format!("{lines} of the log {are} left out here: standard error was not read fast enough")
}

/// A line that is said beside the log, in its form.
fn line(json: bool, level: Level, text: &str) -> String {
    if json {
        let timestamp = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        format!("{}\n", json!({"timestamp": timestamp, "level": level.as_str(), "message": text, "target": OWN}))
    } else {
        format!("{text}\n")
    }
}

/// Whether and how `output` asks for progress to be shown.
fn shown(output: &OutputArgs, draws: bool) -> ProgressMode {
    match output.progress {
        _ if output.quiet => ProgressMode::None,
        ProgressMode::Auto if draws && output.log_format == LogFormat::Text => ProgressMode::Bar,
        ProgressMode::Auto => ProgressMode::Plain,
        chosen @ (ProgressMode::Bar | ProgressMode::Plain | ProgressMode::None) => chosen,
    }
}

/// Where one line of the log is written.
#[derive(Debug)]
pub struct LogLine<'a> {
    screen: &'a Screen,
    weight: Weight,
}

impl<'a> MakeWriter<'a> for Console {
    type Writer = LogLine<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LogLine { screen: &self.screen, weight: Weight::Log }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        let weight = if *meta.level() == Level::ERROR || meta.target() == TOLD { Weight::Message } else { Weight::Log };
        LogLine { screen: &self.screen, weight }
    }
}

impl Write for LogLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.screen.say(bytes.to_vec(), self.weight);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
