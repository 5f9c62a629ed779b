//! Writes logs, messages and the bar to standard error. They never interleave within a line, and the caller never waits.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, OnceLock};

use indicatif::{ProgressBar, ProgressDrawTarget};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::PlanView;
use super::events::{Fields, plan_fields, summary_fields};
use super::log_form::{ForTerminal, OWN, json_line, with_run};
use super::progress::{REDRAWS_A_SECOND, bar};
use super::screen::{Screen, Weight};
use crate::cli::{AuditArgs, Cli, Command, EndArgs, GrantArgs, LogFormat, ProgressMode};
use crate::domain::{ALWAYS_SHOWN, RunId, escaped, escaped_lines, is_unseen};
use crate::report::Summary;
use crate::stdio::Stream;

/// The start of a terminal control sequence.
const ESCAPE: char = '\u{1b}';
/// The separator of the lines of a message.
const INDENTED: &str = "\n  ";
/// Target of notices that are shown unless `--quiet` is given.
pub(super) const NOTICE: &str = "pingone_bypass::notice";

/// The format of logs and messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// For people.
    Text {
        /// Whether logs are coloured.
        color: bool,
        /// Whether they are written to a terminal.
        terminal: bool,
    },
    /// A JSON object per line.
    Json,
}

/// Standard error, shared by the whole program. A thread of its own writes to it, so that no caller waits unless it asks to.
#[derive(Debug, Clone)]
pub struct Console {
    screen: Screen,
    pub(crate) progress: ProgressMode,
    quiet: bool,
    form: Form,
    /// The run, once it is known.
    run: Arc<OnceLock<RunId>>,
    /// Whether a bar can be drawn.
    draws: bool,
}

impl Console {
    /// Creates the console configured by `cli`, and starts logging.
    pub fn of(cli: &Cli) -> Self {
        let Told { quiet, verbose, format, progress } = Told::of(&cli.command);
        let terminal = io::stderr().is_terminal();
        let draws = terminal && !console::is_dumb();
        let color = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let form = match format {
            LogFormat::Json => Form::Json,
            LogFormat::Text => Form::Text { color, terminal },
        };
        let progress = if quiet { ProgressMode::None } else { shown(progress, format, draws) };
        let run = Arc::default();
        let console = Self { screen: screen(form, &run), progress, quiet, form, run, draws };
        console.start_logging(verbose);
        console
    }

    fn start_logging(&self, verbose: u8) {
        let level = match (self.quiet, verbose) {
            (true, _) => Level::ERROR,
            (false, 0) => Level::WARN,
            (false, 1) => Level::INFO,
            (false, _) => Level::DEBUG,
        };
        let notices = if self.quiet { level } else { level.max(Level::INFO) };
        // Only this program's log is written: the HTTP libraries' might hold a token.
        let only_own = Targets::new().with_target(OWN, level).with_target(NOTICE, notices).with_target(ALWAYS_SHOWN, Level::INFO);
        let layer = tracing_subscriber::fmt::layer().with_writer(self.clone()).log_internal_errors(false);
        let registry = tracing_subscriber::registry().with(only_own);
        let started = match self.form {
            Form::Json => registry.with(layer.json().flatten_event(true).with_span_list(false)).try_init(),
            Form::Text { color, terminal: true } => registry.with(layer.with_ansi(color).event_format(ForTerminal)).try_init(),
            Form::Text { color, terminal: false } => registry.with(layer.with_ansi(color).with_target(false)).try_init(),
        };
        // A program that embeds this library may have its own logging.
        drop(started);
    }

    /// Adds the run to each further line in JSON. In text, it is shown once at the start.
    pub(crate) fn set_run(&self, run: RunId) {
        // There is one run in a process.
        self.run.get_or_init(|| run);
    }

    /// A bar of this many rows, if known.
    pub(crate) fn bar(&self, rows: Option<u64>) -> ProgressBar {
        bar(rows, if self.draws { self.screen.bar(REDRAWS_A_SECOND) } else { ProgressDrawTarget::hidden() })
    }

    /// Waits until everything is written, however long that takes.
    pub(crate) fn wait(&self) {
        self.screen.wait();
    }

    /// Waits until everything is written, but at most 2 s while standard error accepts nothing, and 10 s in total. [`run`] ends with this.
    ///
    /// [`run`]: crate::run()
    pub fn flush(&self) {
        self.screen.wait_or_time_out();
    }

    /// Writes all panics of the program here from now on.
    pub fn tell_of_panics(&self) {
        let console = self.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            let mut text = format!("thread `{}` {panic}", thread.name().unwrap_or("without a name"));
            let trace = Backtrace::capture();
            if trace.status() == BacktraceStatus::Captured {
                text = format!("{text}\nstack backtrace:\n{trace}");
            }
            console.screen.queue_lines(line(console.form, &console.run, Level::ERROR, &text).into_bytes(), Weight::Message);
            // The program may end with this thread.
            console.flush();
        }));
    }

    /// Shows a line of progress; in JSON, these `fields`.
    pub(super) fn tell_progress(&self, line: &str, fields: impl FnOnce() -> Fields) {
        match self.form {
            _ if self.quiet => {}
            Form::Json => self.write_event("progress", fields()),
            Form::Text { .. } => self.print(line),
        }
    }

    /// Writes an event with fields of its own, in JSON.
    fn write_event(&self, name: &str, fields: Fields) {
        let line = logged(&with_run(json_line(Level::INFO, name, fields), self.run.get()), Form::Json);
        self.screen.queue_lines(line.into_bytes(), Weight::Message);
    }

    /// Shows a line.
    pub(crate) fn tell(&self, line: &str) {
        if !self.quiet {
            self.tell_anyhow(line);
        }
    }

    /// Shows a line even with `--quiet`.
    pub(crate) fn tell_anyhow(&self, line: &str) {
        if self.form == Form::Json {
            tracing::info!(target: ALWAYS_SHOWN, "{line}");
        } else {
            self.print(line);
        }
    }

    /// Shows the plan; even with `--quiet`, if a question follows.
    pub(crate) fn show_plan(&self, plan: &PlanView<'_>, asks: bool) {
        if self.quiet && !asks {
            return;
        }
        match self.form {
            Form::Json => self.write_event("plan", plan_fields(plan)),
            Form::Text { .. } => self.print(&plan.to_string()),
        }
    }

    /// Logs a warning.
    pub fn warn(&self, what: &str) {
        tracing::warn!("{what}");
    }

    /// Shows the summary of a run.
    pub(crate) fn summarize(&self, summary: &Summary) {
        if self.quiet {
            return;
        }
        match self.form {
            Form::Json => self.write_event("summary", summary_fields(summary)),
            Form::Text { .. } => self.print(summary.to_string().trim_end()),
        }
    }

    /// Shows an error, its causes, and what can be done about it; JSON logs also have the exit code.
    pub(crate) fn complain(&self, error: &dyn Error, hint: &str, exit_code: u8) {
        let causes: Vec<String> = std::iter::successors(error.source(), |&cause| cause.source()).map(ToString::to_string).collect();
        if self.form == Form::Json {
            tracing::error!(causes = causes.join(": "), hint, exitCode = exit_code, "{error}");
            return;
        }
        // Further lines of a message are indented, so that none looks like the start of another message.
        let message = error.to_string();
        let mut lines = vec![format!("error: {}", message.split(INDENTED).map(escaped).collect::<Vec<_>>().join(INDENTED))];
        lines.extend(causes.iter().map(|cause| format!("caused by: {}", escaped(cause))));
        lines.push(format!("hint: {}", escaped(hint)));
        self.print(&lines.join("\n"));
    }

    /// Writes a text, line by line, with terminal control characters escaped.
    fn print(&self, text: &str) {
        self.screen.queue_lines(format!("{}\n", escaped_lines(text)).into_bytes(), Weight::Message);
    }
}

fn screen(form: Form, run: &Arc<OnceLock<RunId>>) -> Screen {
    let run = Arc::clone(run);
    let notice = move |lines| line(form, &run, Level::WARN, &left_out(lines));
    match Stream::error() {
        Ok(stream) => Screen::new(stream, notice),
        Err(_) => Screen::new(io::sink(), notice),
    }
}

fn left_out(lines: u64) -> String {
    let (lines, are) = if lines == 1 { ("1 line".to_owned(), "is") } else { (format!("{lines} lines"), "are") };
    format!("{lines} of the log {are} left out here: standard error was not read fast enough")
}

/// A line outside the log, in the log's format.
fn line(form: Form, run: &OnceLock<RunId>, level: Level, text: &str) -> String {
    match form {
        Form::Json => with_run(json_line(level, text, Fields::new()), run.get()),
        Form::Text { .. } => format!("{text}\n"),
    }
}

/// What the options of a command say about messages.
struct Told {
    quiet: bool,
    verbose: u8,
    format: LogFormat,
    progress: ProgressMode,
}

impl Told {
    fn of(command: &Command) -> Self {
        match command {
            Command::Grant(GrantArgs { run, .. }) | Command::Audit(AuditArgs { run, .. }) | Command::End(EndArgs { run, .. }) => {
                let output = &run.output;
                Self { quiet: output.quiet, verbose: output.verbose, format: output.shown.log_format, progress: output.shown.progress }
            }
            Command::Users(users) => {
                let output = &users.output;
                Self { quiet: output.quiet, verbose: output.verbose, format: output.shown.log_format, progress: output.shown.progress }
            }
            Command::Doctor(doctor) => {
                Self { quiet: doctor.quiet, verbose: doctor.verbose, format: doctor.log_format, progress: ProgressMode::None }
            }
            Command::Merge(merge) => Self { quiet: merge.quiet, verbose: 0, format: LogFormat::Text, progress: ProgressMode::None },
            Command::Diff(_)
            | Command::Verify(_)
            | Command::Page(_)
            | Command::Explain(_)
            | Command::Man(_)
            | Command::Sandbox(_)
            | Command::Completions { .. } => Self { quiet: false, verbose: 0, format: LogFormat::Text, progress: ProgressMode::None },
        }
    }
}

/// The progress display for the option's value.
fn shown(progress: ProgressMode, format: LogFormat, draws: bool) -> ProgressMode {
    match progress {
        ProgressMode::Auto if draws && format == LogFormat::Text => ProgressMode::Bar,
        ProgressMode::Auto => ProgressMode::Plain,
        chosen @ (ProgressMode::Bar | ProgressMode::Plain | ProgressMode::None) => chosen,
    }
}

/// Writes one line of the log.
#[derive(Debug)]
pub struct LogLine<'a> {
    console: &'a Console,
    weight: Weight,
}

/// A line of the log with invisible characters escaped, as in JSON or for people. Colour sequences stay; logged values cannot contain any.
fn logged(line: &str, form: Form) -> String {
    let (text, end) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
    let mut shown = String::with_capacity(line.len());
    for c in text.chars() {
        match c {
            c if !is_unseen(c) || (matches!(form, Form::Text { color: true, .. }) && c == ESCAPE) => shown.push(c),
            c if form == Form::Json => shown.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
            c => shown.extend(c.escape_default()),
        }
    }
    shown + end
}

impl<'a> MakeWriter<'a> for Console {
    type Writer = LogLine<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LogLine { console: self, weight: Weight::Log }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        let weight = if *meta.level() == Level::ERROR || meta.target() == ALWAYS_SHOWN { Weight::Message } else { Weight::Log };
        LogLine { console: self, weight }
    }
}

impl Write for LogLine<'_> {
    /// Writes a line of the log, whatever its bytes are.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Console { screen, form, run, .. } = self.console;
        let line = logged(&String::from_utf8_lossy(bytes), *form);
        let line = if *form == Form::Json { with_run(line, run.get()) } else { line };
        screen.queue_lines(line.into_bytes(), self.weight);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logged_values_neither_control_a_terminal_nor_begin_a_line() {
        let line = "{\"message\":\"a\u{9b}2J\u{7f}\u{202e}\u{e0041}b\"}\n";
        assert_eq!(logged(line, Form::Json), "{\"message\":\"a\\u009b2J\\u007f\\u202e\\udb40\\udc41b\"}\n");
        let read: serde_json::Value = serde_json::from_str(&logged(line, Form::Json)).expect("JSON");
        assert_eq!(read["message"], "a\u{9b}2J\u{7f}\u{202e}\u{e0041}b", "nothing is lost");
        assert_eq!(
            logged("WARN a\nerror: b\u{1b}[2J\u{85}\n", Form::Text { color: false, terminal: false }),
            "WARN a\\nerror: b\\u{1b}[2J\\u{85}\n"
        );
        assert_eq!(
            logged("\u{1b}[33mWARN\u{1b}[0m a\u{9b}b\n", Form::Text { color: true, terminal: true }),
            "\u{1b}[33mWARN\u{1b}[0m a\\u{9b}b\n"
        );
    }
}
