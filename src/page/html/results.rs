//! How many rows ended in which result.

use maud::{Markup, PreEscaped, html};

use super::parts::{figure, foreign, said, table};
use crate::domain::{Counts, Outcome};
use crate::explain::said_of_result;
use crate::page::figures::RunFigures;
use crate::page::picture::{Bar, Fill, Labels, bars};
use crate::page::told::Told;
use crate::page::words::share;

pub(super) fn results(figures: &RunFigures, told: Option<&Told>) -> Markup {
    let tally = &figures.tally;
    let seen: Vec<(Outcome, u64)> = tally.seen().collect();
    let list: Vec<Bar> =
        seen.iter().map(|(outcome, rows)| Bar { name: outcome.name().to_owned(), number: *rows, fill: fill(*outcome) }).collect();
    let picture = bars("results", "Rows by result, as bars. The table below has the same numbers.", Labels::Beside, &list);
    let rows = html! {
        @for (outcome, rows) in &seen {
            tr {
                th scope="row" {
                    code { (outcome.name()) }
                    @if let Some(meaning) = said_of_result(outcome.name(), "meaning") { span.meaning { (said(&meaning)) } }
                }
                td.number { (figure(&format!("result-{outcome}"), *rows)) }
                td.number { (share(*rows, tally.rows())) }
                td { (counts_as(*outcome)) }
            }
        }
        tr.total { th scope="row" { "all" } td.number { (figure("rows", tally.rows())) } td {} td {} }
    };
    html! {
        section aria-labelledby="results" {
            h2 id="results" { "Results" }
            @if seen.is_empty() {
                p { "The report has no lines." }
            } @else {
                figure {
                    (PreEscaped(&picture.wide))
                    (PreEscaped(&picture.narrow))
                    figcaption {
                        "Plain: success."
                        @if tally.failures() > 0 { " Hatched: failure." }
                        @if seen.iter().any(|(outcome, _)| outcome.counts() == Counts::Neither) { " Outlined: nothing to do." }
                    }
                }
                (table("Rows by result", &["result", "rows", "share", "counts as"], &rows))
            }
            @if let Some(told) = told && !told.record.options.allow.is_empty() {
                p {
                    "Failures of these results did not make the exit code 1, as " code.name { "--allow" } " said: "
                    (foreign(&told.record.options.allow.join(", "))) "."
                }
            }
        }
    }
}

pub(super) fn fill(outcome: Outcome) -> Fill {
    match outcome.counts() {
        Counts::Success => Fill::Good,
        Counts::Failure => Fill::Bad,
        Counts::Neither => Fill::Neither,
    }
}

fn counts_as(outcome: Outcome) -> &'static str {
    match outcome.counts() {
        Counts::Success => "success",
        Counts::Failure => "failure",
        Counts::Neither => "neither",
    }
}
