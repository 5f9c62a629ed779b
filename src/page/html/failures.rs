//! Why rows failed, what to do about each cause, and the first rows of it.

use maud::{Markup, PreEscaped, html};

use super::parts::{figure, foreign, said, table};
use super::story::{failed_rows, named, plural};
use super::{Source, Users, report};
use crate::domain::{Outcome, escaped};
use crate::explain::said_of_result;
use crate::page::causes::{Cause, Example};
use crate::page::figures::RunFigures;
use crate::page::picture::{Bar, Fill, Labels, bars};
use crate::page::told::Told;
use crate::page::words::{counted, share, thousands};

pub(super) fn failures(source: &Source, figures: &RunFigures, told: Option<&Told>) -> Markup {
    let failures = failed_rows(figures, told);
    let causes = figures.causes.by_rows();
    let others = figures.causes.others();
    html! {
        section aria-labelledby="failures" {
            h2 id="failures" { "Failures by cause" }
            @if failures == 0 {
                p { "No row failed." }
            } @else if figures.tally.failures() == 0 {
                p {
                    (figure("failures", failures)) (plural(failures, " row", " rows"))
                    " failed, by the record. This report has lines only of the users who can bypass MFA: the file of failed rows beside it has the others, \
                     with the reasons."
                }
            } @else {
                p {
                    (figure("failures", failures)) (plural(failures, " row", " rows")) " failed, of "
                    (figure("causes", causes.len() as u64)) (plural(causes.len() as u64, " cause", " causes"))
                    ". Rows are of one cause if their result, status, code and message are the same, but for IDs and other values in it."
                }
                @if causes.len() > 1 { (picture(&causes)) }
                @for (index, cause) in causes.iter().enumerate() { (section(source, figures, index + 1, cause)) }
                @if others.rows() > 0 {
                    h3 { "Further causes: " (figure("further", others.rows())) (plural(others.rows(), " row", " rows")) }
                    p {
                        "More causes than are told apart here: "
                        @for (outcome, rows) in others.seen() { code { (named(outcome)) } " " (thousands(rows)) "; " }
                        (report(source)) " has them all."
                    }
                }
            }
        }
    }
}

fn picture(causes: &[&Cause]) -> Markup {
    const SHOWN: usize = 12;
    let list: Vec<Bar> = causes
        .iter()
        .take(SHOWN)
        .enumerate()
        .map(|(index, cause)| Bar { name: format!("{}. {}", index + 1, title(cause)), number: cause.rows, fill: Fill::Bad })
        .collect();
    let picture = bars("causes", "Failed rows by cause, as bars. The headings below have the same numbers.", Labels::Above, &list);
    html! {
       figure {
           (PreEscaped(&picture.wide))
           (PreEscaped(&picture.narrow))
           figcaption { "Failed rows by cause, the most frequent first." }
       }
    }
}

/// "`not_found`, HTTP 404 `NOT_FOUND`", without the marks.
fn title(cause: &Cause) -> String {
    let kind = &cause.kind;
    let status = if kind.status.is_empty() { String::new() } else { format!(", HTTP {}", kind.status) };
    let code = if kind.code.is_empty() { String::new() } else { format!(" {}", escaped(&kind.code)) };
    // Without a code, the message tells one cause from another.
    let message = kind.pattern.replace('`', "");
    let message = message.trim_start_matches(['…', ' ']);
    let message = if kind.code.is_empty() && !message.is_empty() { format!(": {}", escaped(message)) } else { String::new() };
    format!("{}{status}{code}{message}", named(kind.outcome))
}

fn section(source: &Source, figures: &RunFigures, number: usize, cause: &Cause) -> Markup {
    let kind = &cause.kind;
    let message = cause.examples.first().map(|example| example.message.as_str()).unwrap_or_default();
    html! {
        section.cause data-result=(kind.outcome.name()) data-status=(kind.status) {
            h3 {
                (number) ". " code { (named(kind.outcome)) }
                @if !kind.status.is_empty() { ", HTTP " (kind.status) }
                @if !kind.code.is_empty() { " " code { (foreign(&kind.code)) } }
                ": " (figure("cause", cause.rows)) (plural(cause.rows, " row", " rows"))
                " " span.share { "(" (share(cause.rows, figures.tally.failures())) " of the failures)" }
            }
            @if !message.is_empty() { p.message { @if !cause.is_uniform { "For example: " } (foreign(message)) } }
            p { strong { "What to do: " } (next_step(kind.outcome)) "." }
            (examples(source, figures, cause))
        }
    }
}

fn next_step(outcome: Outcome) -> Markup {
    html! { @match said_of_result(outcome.name(), "next step") { Some(step) => (said(&step)), None => "see the report" } }
}

/// A column of the table of examples: its name, and its value.
type Shown = (String, Box<dyn Fn(&Example) -> &str>);

fn examples(source: &Source, figures: &RunFigures, cause: &Cause) -> Markup {
    let mut columns: Vec<Shown> = vec![("row".to_owned(), Box::new(|example: &Example| example.row.as_str()))];
    if source.users == Users::Shown {
        columns.push(("userID".to_owned(), Box::new(|example: &Example| example.user.as_str())));
    }
    for (index, name) in figures.carried.iter().enumerate() {
        columns.push((name.clone(), Box::new(move |example: &Example| example.carried.get(index).map(String::as_str).unwrap_or_default())));
    }
    if !cause.is_uniform {
        columns.push(("errorMessage".to_owned(), Box::new(|example: &Example| example.message.as_str())));
    }
    columns.push(("errorId".to_owned(), Box::new(|example: &Example| example.error_id.as_str())));
    columns.push(("correlationId".to_owned(), Box::new(|example: &Example| example.correlation.as_str())));
    columns.push(("attempts".to_owned(), Box::new(|example: &Example| example.attempts.as_str())));
    columns.push(("time".to_owned(), Box::new(|example: &Example| example.completed.as_str())));
    columns.retain(|(_, value)| cause.examples.iter().any(|example| !value(example).is_empty()));
    let names: Vec<String> = columns.iter().map(|(name, _)| escaped(name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows = html! { @for example in &cause.examples { tr { @for (_, value) in &columns { td { (cell(value(example))) } } } } };
    let shown = cause.examples.len() as u64;
    let summary = if shown < cause.rows {
        format!("The first {} of {}", counted(shown, "row"), thousands(cause.rows))
    } else {
        counted(shown, "row")
    };
    html! {
        details.examples {
            summary { (summary) }
            (table(&summary, &names, &rows))
            @if shown < cause.rows { p.small { "All of them are in " (report(source)) "." } }
        }
    }
}

/// A value of a table. Plain ones need no direction of their own, and a table has many.
fn cell(value: &str) -> Markup {
    if value.is_ascii() {
        html! { (escaped(value)) }
    } else {
        foreign(value)
    }
}
