//! When the bypasses run out: how many users can still bypass MFA at which time.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::parts::{at, figure, pictured, table};
use super::story::plural;
use crate::page::buckets::DAY;
use crate::page::figures::{Ends, RunFigures};
use crate::page::picture::{Curve, curve};
use crate::page::words::{iso, moment, span, thousands};

/// The most lines of the table of times.
const MOST_TIMES: i64 = 24;
const HOUR: i64 = DAY / 24;
/// The steps of that table, in milliseconds.
const STEPS: [i64; 12] = [HOUR / 12, HOUR / 4, HOUR / 2, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY];

/// Of the users of a report.
pub(super) fn ends(figures: &RunFigures) -> Markup {
    let ends = &figures.ends;
    // The report tells when the run ended, if the record does not.
    let last = figures.pace.spans().next_back().and_then(|span| DateTime::from_timestamp_millis(span.to));
    let all = ends.count + ends.without;
    let intro = html! {
        (figure("can-bypass", all)) (plural(all, " user of this report can", " users of this report can")) " bypass MFA as the run left them."
        @if ends.over > 0 { " The bypasses of " (figure("over", ends.over)) " more ended before the run did." }
        @if ends.without > 0 { " Of " (figure("without-end", ends.without)) ", no end date is known: the curve leaves them out." }
    };
    section("When the bypasses run out", &intro, ends, ends.beginning.or(last))
}

/// Of the users of a `diff`.
pub(super) fn ends_of_changed(ends: &Ends) -> Markup {
    let intro = html! {
        (figure("can-bypass", ends.count)) " of the users with a change " (plural(ends.count, "has", "have")) " a bypass now, with a known end."
    };
    section("When the bypasses of these users run out", &intro, ends, None)
}

fn section(title: &str, intro: &Markup, ends: &Ends, beginning: Option<DateTime<Utc>>) -> Markup {
    html! {
        section aria-labelledby="ends" {
            h2 id="ends" { (title) }
            p { (intro) }
            @if ends.count > 0 { (curve_of(ends, beginning)) }
        }
    }
}

fn curve_of(ends: &Ends, beginning: Option<DateTime<Utc>>) -> Markup {
    let steps: Vec<(i64, u64)> = ends.dates.spans().map(|span| (span.to, span.counts[0])).collect();
    let (Some((first, _)), Some((last, _))) = (steps.first().copied(), steps.last().copied()) else { return html! {} };
    // Without a record, bypasses may have run out before the last line was written. All of them are to be seen.
    let room = ((last - first) / 12).max(HOUR);
    let from = beginning.map_or(first - room, |at| at.timestamp_millis()).min(first);
    let picture = curve(
        "ends",
        "How many users can still bypass MFA, over time. The table below has the numbers.",
        &Curve { from, all: ends.count, steps: steps.clone() },
    );
    let exact = if ends.dates.width() > 1 {
        format!(" End dates are told to {}.", span(u64::try_from(ends.dates.width()).unwrap_or_default()))
    } else {
        String::new()
    };
    let caption = html! { "How many can still bypass MFA." (exact) };
    let left = |at: i64| steps.iter().filter(|(end, _)| *end > at).map(|(_, count)| count).sum::<u64>();
    let times = times(beginning.map_or(first, |_| from), last, ends.dates.width(), &steps);
    let rows = html! {
        @for time in times {
            @if let Some(instant) = DateTime::from_timestamp_millis(time) {
                tr {
                    th scope="row" { (at(instant)) }
                    td.number { data value=(left(time)) data-figure="left" data-at=(iso(instant)) { (thousands(left(time))) } }
                }
            }
        }
    };
    html! {
        p { (from_first_to_last(first, last, beginning)) }
        (pictured(&picture, &caption, &table("How many can still bypass MFA", &["at", "users"], &rows)))
    }
}

/// More than there is between the years 1 and 9999.
const LONGEST: i64 = 4_000_000 * DAY;

/// When the first bypass ends, and when the last one does.
fn from_first_to_last(first: i64, last: i64, beginning: Option<DateTime<Utc>>) -> String {
    let (Some(first), Some(last)) = (DateTime::from_timestamp_millis(first), DateTime::from_timestamp_millis(last)) else {
        return String::new();
    };
    if first == last {
        return format!("All end at {}.", moment(last, beginning));
    }
    format!("The first ends at {}, the last at {}.", moment(first, beginning), moment(last, beginning.or(Some(first))))
}

/// Round times from the beginning to the last end, at which it is known exactly how many are left; and each end, if they are few.
fn times(from: i64, last: i64, width: i64, steps: &[(i64, u64)]) -> Vec<i64> {
    let fits = |step: &i64| *step % width == 0 && (last - from) / *step < MOST_TIMES;
    let mut step = STEPS.into_iter().find(fits).unwrap_or(30 * DAY);
    while (last - from) / step >= MOST_TIMES || step % width != 0 {
        step *= 2;
        if step > LONGEST {
            return vec![from, last];
        }
    }
    let mut times: Vec<i64> = (from.div_euclid(step) + 1..=last.div_euclid(step)).map(|multiple| multiple * step).collect();
    if i64::try_from(steps.len()).unwrap_or(MOST_TIMES) < MOST_TIMES {
        times.extend(steps.iter().map(|(end, _)| *end));
    }
    times.extend([from, last]);
    times.sort_unstable();
    times.dedup();
    times
}
