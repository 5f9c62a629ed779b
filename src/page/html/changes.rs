//! What changed between two reports: how many, and who.

use maud::{Markup, PreEscaped, html};

use super::parts::{figure, foreign, table};
use super::story::plural;
use super::{Source, Users, report};
use crate::diff::Change;
use crate::domain::escaped;
use crate::page::changes::{Changed, Changes};
use crate::page::picture::{Bar, Fill, Labels, bars};
use crate::page::words::{counted, thousands};

/// What is told of a change, in the order of its importance.
const ORDER: [Change; 7] =
    [Change::New, Change::Added, Change::Extended, Change::Shortened, Change::Lapsed, Change::Removed, Change::Undetermined];

pub(super) fn changes(source: &Source, changes: &Changes) -> Markup {
    let seen: Vec<Change> = ORDER.into_iter().filter(|change| changes.of(*change).count > 0).collect();
    let list: Vec<Bar> = seen
        .iter()
        .map(|change| Bar {
            name: change.name().to_owned(),
            number: changes.of(*change).count,
            fill: if change.counts() { Fill::Good } else { Fill::Neither },
        })
        .collect();
    let picture = bars("changes", "Users by change, as bars. The table below has the same numbers.", Labels::Beside, &list);
    let rows = html! {
        @for change in ORDER {
            tr {
                th scope="row" { code { (change.name()) } }
                td.number { (figure(&format!("change-{}", change.name()), changes.of(change).count)) }
                td { (meaning(change)) }
            }
        }
    };
    let new = changes.of(Change::New).count;
    html! {
        p.lead {
            "Between two audits, something changed for " (figure("changes", changes.known())) (plural(changes.known(), " user", " users")) ": "
            strong { (figure("new", new)) (plural(new, " is new", " are new")) } ": they could not bypass MFA before, and now can."
        }
        section aria-labelledby="results" {
            h2 id="results" { "Changes" }
            @if !seen.is_empty() {
                figure {
                    (PreEscaped(&picture.wide))
                    (PreEscaped(&picture.narrow))
                    figcaption { "Users by change. Outlined: it is not known whether anything changed." }
                }
            }
            (table("Users by change", &["change", "users", "meaning"], &rows))
        }
        @if source.users == Users::Shown {
            section aria-labelledby="who" {
                h2 id="who" { "Who" }
                @for change in &seen { (who(source, changes, *change)) }
            }
        }
    }
}

fn who(source: &Source, changes: &Changes, change: Change) -> Markup {
    let Changed { count, examples } = changes.of(change);
    let further: Vec<String> = changes.further.iter().map(|name| escaped(name)).collect();
    let mut head: Vec<&str> = vec!["userID"];
    head.extend(further.iter().map(String::as_str));
    head.extend(["before", "after"]);
    let rows = html! {
        @for user in examples {
            tr {
                td { (foreign(&user.user)) }
                @for value in &user.further { td { (foreign(value)) } }
                td { (foreign(&user.before)) }
                td { (foreign(&user.after)) }
            }
        }
    };
    let shown = examples.len() as u64;
    let name =
        if shown < *count { format!("The first {} of {}", counted(shown, "user"), thousands(*count)) } else { counted(shown, "user") };
    html! {
        h3 { code { (change.name()) } ": " (thousands(*count)) }
        details.examples open[change == Change::New] {
            summary { (name) }
            (table(&format!("{}: {name}", change.name()), &head, &rows))
            @if shown < *count { p.small { "All of them are in " (report(source)) "." } }
        }
    }
}

fn meaning(change: Change) -> &'static str {
    match change {
        Change::New => "could not bypass MFA before, and now can",
        Change::Extended => "can in both, and the bypass ends later",
        Change::Shortened => "can in both, and the bypass ends earlier",
        Change::Lapsed => "could bypass MFA before, and now cannot",
        Change::Added => "only in the later report",
        Change::Removed => "only in the earlier report",
        Change::Undetermined => "not known: a line of the user's failed, or an end date is missing",
    }
}
