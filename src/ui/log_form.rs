//! The forms of a line of the log: for a terminal, and as JSON.

use std::fmt;
use std::time::SystemTime;

use chrono::{DateTime, Local, SecondsFormat, Utc};
use console::Style;
use serde_json::json;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::events::Fields;
use crate::domain::RunId;

/// What wrote the line.
pub(super) const OWN: &str = "pingone_bypass";

/// Lines for who sits at the terminal: local time to the second, level, message.
#[derive(Debug, Clone, Copy)]
pub(super) struct ForTerminal;

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static> FormatEvent<S, N> for ForTerminal {
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let style = |style: Style| style.force_styling(writer.has_ansi_escapes());
        // `Local::now` would panic before 1970.
        let time = DateTime::<Local>::from(SystemTime::now()).format("%H:%M:%S");
        let level = *event.metadata().level();
        write!(writer, "{} {} ", style(Style::new().dim()).apply_to(time), style(style_of(level)).apply_to(level))?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// The colours of tracing's own format.
fn style_of(level: Level) -> Style {
    match level {
        Level::ERROR => Style::new().red(),
        Level::WARN => Style::new().yellow(),
        Level::INFO => Style::new().green(),
        Level::DEBUG => Style::new().blue(),
        Level::TRACE => Style::new().magenta(),
    }
}

/// A line in JSON of this program's own making, in the form of those that tracing makes.
pub(super) fn json_line(level: Level, message: &str, fields: Fields) -> String {
    // `Utc::now` would panic before 1970.
    let timestamp = DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Micros, true);
    let own = [("timestamp", json!(timestamp)), ("level", json!(level.as_str())), ("message", json!(message))];
    let members = own.into_iter().chain(fields).chain([("target", json!(OWN))]);
    let members: Vec<String> = members.map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    format!("{{{}}}\n", members.join(","))
}

/// A line in JSON with the run's ID, once that is known.
pub(super) fn with_run(line: String, run: Option<&RunId>) -> String {
    match (run, line.strip_prefix('{')) {
        (Some(run), Some(members)) => format!("{{\"runId\":\"{run}\",{members}"),
        (None, _) | (_, None) => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_has_its_fields_and_the_run_once_it_is_known() {
        let run = RunId::random();
        let line = json_line(Level::INFO, "a \"b\"", vec![("rows", 3.into()), ("not_found", 0.into())]);
        let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect(line);
        assert_eq!(read(&with_run(line.clone(), None)).get("runId"), None);
        let read = read(&with_run(line, Some(&run)));
        assert_eq!((&read["runId"], &read["message"], &read["rows"]), (&json!(run.to_string()), &json!("a \"b\""), &json!(3)));
        assert_eq!((&read["level"], &read["target"], &read["not_found"]), (&json!("INFO"), &json!(OWN), &json!(0)));
    }
}
