//! The way to the operator's eyes: logs, messages and the bar, none of which tears another.

use std::error::Error;
use std::io::{self, IsTerminal, Write};

use indicatif::MultiProgress;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::PlanView;
use crate::cli::{AuditArgs, Cli, Command, EndArgs, GrantArgs, LogFormat, OutputArgs, ProgressMode};
use crate::domain::RunId;
use crate::error::RunError;
use crate::report::Summary;

/// Only what this program says is logged: what the HTTP libraries say may hold a token.
const OWN: &str = "pingone_bypass";
/// What is told without being asked.
const TOLD: &str = "pingone_bypass::told";

/// Standard error, shared by everybody who writes to it.
#[derive(Debug, Clone)]
pub struct Console {
    bars: MultiProgress,
    pub(crate) progress: ProgressMode,
    quiet: bool,
    json: bool,
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
        let json = output.is_some_and(|output| output.log_format == LogFormat::Json);
        let quiet = output.is_some_and(|output| output.quiet);
        let progress = output.map_or(ProgressMode::None, |output| shown(output, terminal));
        let console = Self { bars: MultiProgress::new(), progress, quiet, json };
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
        let layer = tracing_subscriber::fmt::layer().with_writer(self.clone());
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

    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
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

    /// Warns of what is no error.
    pub fn warn(&self, what: &str) {
        tracing::warn!("{what}");
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
        let told = self.bars.suspend(|| writeln!(io::stderr().lock(), "{text}"));
        // Nobody is left to be told that standard error is closed.
        drop(told);
    }
}

/// Whether and how `output` asks for progress to be shown.
fn shown(output: &OutputArgs, terminal: bool) -> ProgressMode {
    match output.progress {
        _ if output.quiet => ProgressMode::None,
        ProgressMode::Auto if terminal && output.log_format == LogFormat::Text => ProgressMode::Bar,
        ProgressMode::Auto => ProgressMode::Plain,
        chosen @ (ProgressMode::Bar | ProgressMode::Plain | ProgressMode::None) => chosen,
    }
}

impl<'a> MakeWriter<'a> for Console {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().lock().write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
