//! How the run went: its pace and its holds, how long rows took, and how many attempts they needed.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::parts::{at, figure, pictured, table};
use super::story::plural;
use crate::page::buckets::Bucket;
use crate::page::figures::{FAILED, RunFigures};
use crate::page::picture::{Bar, Fill, Labels, Pace, bars, pace};
use crate::page::spread::{Group, Spread};
use crate::page::told::{Hold, Told};
use crate::page::words::{counted, seconds, share, span, thousands};

/// Below this many rows a second at best, they are counted a minute.
const SLOW: u64 = 2;

pub(super) fn course(figures: &RunFigures, told: Option<&Told>) -> Markup {
    html! {
        section aria-labelledby="course" {
            h2 id="course" { "How the run went" }
            @if figures.attempts.total() == 0 {
                p { "No request was sent for any row of the report." }
            } @else {
                (pace_of(figures, told))
                (durations(&figures.durations))
                (attempts(&figures.attempts))
            }
        }
    }
}

fn pace_of(figures: &RunFigures, told: Option<&Told>) -> Markup {
    let holds = told.map(Told::episodes).unwrap_or_default();
    if figures.pace.is_empty() {
        return html! {};
    }
    let spans: Vec<_> = figures.pace.spans().collect();
    let width = u64::try_from(figures.pace.width()).unwrap_or_default();
    let most = spans.iter().map(|span| span.counts.iter().sum::<u64>()).max().unwrap_or_default();
    let (unit, unit_name) = if most * 1_000 < SLOW * width { (60_000, "minute") } else { (1_000, "second") };
    let marks = holds.iter().map(|hold| (hold.from.timestamp_millis(), hold.to.timestamp_millis())).collect();
    let label = format!("Rows settled a {unit_name}, over time. The table below has the numbers.");
    let picture = pace("pace", &label, &Pace { spans: spans.clone(), holds: marks, unit });
    let caption = html! {
        "Rows settled a " (unit_name) ", each span " (span(width)) " long. Plain: succeeded. Hatched, on top: failed."
        @if !holds.is_empty() { " The strip above marks when the run was held back." }
        " A row that a resumed run sent again counts at its last attempt."
    };
    let rows = html! {
        @for span in &spans {
            tr {
                th scope="row" { @if let Some(from) = DateTime::from_timestamp_millis(span.from) { (at(from)) } }
                td.number { (figure("settled", span.counts[0])) }
                td.number { (figure("settled-failed", span.counts[FAILED])) }
            }
        }
    };
    let name = format!("Rows settled in each {}; spans without any are left out", crate::page::words::span(width));
    html! {
        h3 { "Pace" }
        (held(told, &holds))
        @if let Some((from, length)) = pause(&spans, figures.pace.width()) {
            p { "The longest pause, without a settled row, began at " (at(from)) " and lasted about " (span(length)) "." }
        }
        (pictured(&picture, &caption, &table(&name, &["from", "succeeded", "failed"], &rows)))
    }
}

/// The longest pause, if it is one: when it began, and for how many milliseconds nothing was settled.
fn pause(spans: &[Bucket<2>], width: i64) -> Option<(DateTime<Utc>, u64)> {
    /// A pause of fewer spans may be one of the pace itself.
    const LEAST: i64 = 5;
    let gap = spans.windows(2).map(|pair| (pair[1].from - pair[0].to, pair[0].to)).max()?;
    let length = u64::try_from(gap.0).ok().filter(|_| gap.0 >= LEAST * width)?;
    Some((DateTime::from_timestamp_millis(gap.1)?, length))
}

/// How PingOne held the run back.
fn held(told: Option<&Told>, holds: &[Hold]) -> Markup {
    let Some(told) = told else { return html! {} };
    let throttled = told.record.requests.throttled;
    html! {
        p {
            (figure("throttled", throttled)) (plural(throttled, " request was", " requests were")) " answered 429 (too many requests)."
            @if told.has_holds {
                @let all = &told.record.holds;
                " PingOne held the run back " (figure("holds", all.count)) (plural(all.count, " time", " times")) ", "
                (seconds(all.seconds)) " in all."
                @if holds.is_empty() && all.count > 0 { " The record does not say when." }
            }
        }
        @if !holds.is_empty() {
            details {
                summary { "When it was held back" }
                ul.holds { @for hold in holds { li data-figure="hold" { (at(hold.from)) ", for " (seconds(hold.seconds)) } } }
            }
        }
    }
}

fn durations(spread: &Spread) -> Markup {
    if spread.total() == 0 {
        return html! {};
    }
    let name = |group: &Group| group.most.map_or_else(|| format!("> {}", span(group.above)), |most| format!("≤ {}", span(most)));
    let picture = distribution("durations", "Rows by the time that they took, as bars", &spread.durations(), name);
    let quantile = |share: u64| html! { data value=(spread.percentile(share)) data-figure={ "duration-p" (share) } { (span(spread.percentile(share))) } };
    html! {
        h3 { "Time for each row" }
        p {
            "From the first request for a row to its last answer, waits and retries included: half of the rows took at most " (quantile(50))
            ", 95 of 100 at most " (quantile(95)) ", 99 of 100 at most " (quantile(99)) "; the longest "
            data value=(spread.greatest()) data-figure="duration-most" { (span(spread.greatest())) } "."
        }
        (picture)
    }
}

fn attempts(spread: &Spread) -> Markup {
    let groups = spread.attempts();
    let name = |group: &Group| match group.most {
        Some(most) if most == group.above + 1 => most.to_string(),
        Some(most) => format!("{} to {most}", group.above + 1),
        None => format!("more than {}", group.above),
    };
    let once = groups.first().filter(|group| group.most == Some(1)).map_or(0, |group| group.count);
    html! {
        h3 { "Requests for each row" }
        p {
            (figure("sent-once", once)) " of " (counted(spread.total(), "row")) " (" (share(once, spread.total()))
            ") needed one request; the most for a row were " (figure("attempts-most", spread.greatest())) "."
        }
        (distribution("attempts", "Rows by the requests that they needed, as bars", &groups, name))
    }
}

fn distribution(id: &str, label: &str, groups: &[Group], name: impl Fn(&Group) -> String) -> Markup {
    let list: Vec<Bar> = groups.iter().map(|group| Bar { name: name(group), number: group.count, fill: Fill::Good }).collect();
    let picture = bars(id, &format!("{label}. The table below has the numbers."), Labels::Beside, &list);
    let rows = html! {
        @for (bar, group) in list.iter().zip(groups) {
            tr {
                th scope="row" { (bar.name) }
                td.number {
                    data value=(bar.number) data-figure=(id) data-above=(group.above) data-most=[group.most] { (thousands(bar.number)) }
                }
            }
        }
    };
    pictured(&picture, &html! { (label) "." }, &table(label, &[id, "rows"], &rows))
}
