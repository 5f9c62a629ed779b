//! What was done, to how many, where, by whom, why, and whether it is complete: in sentences, and as a list.

use chrono::{DateTime, Timelike, Utc};
use maud::{Markup, html};

use super::parts::{at, fact, figure, foreign};
use super::{Source, Users};
use crate::domain::{BypassUntil, EndDates, Outcome, escaped, quote};
use crate::page::NO_RECORD;
use crate::page::figures::RunFigures;
use crate::page::told::Told;
use crate::page::words::{day, moment, thousands};
use crate::report::{ConfirmationRecord, Confirmed, EarlierRecord, MergedShard, OperatorRecord, ShardRecord, Status};

/// The most shards of a merged report that are named; the record has them all.
const MOST_SHARDS: usize = 100;

/// The title of the page.
pub(super) fn title(source: &Source, told: Option<&Told>) -> String {
    let Some(told) = told else { return format!("MFA bypasses: {}", quote(&source.name)) };
    let what = match told.record.operation.as_str() {
        "grant" => "Grant of MFA bypasses",
        "audit" => "Audit of MFA bypasses",
        "end" if told.record.options.restore => "Undoing of a grant of MFA bypasses",
        "end" => "End of MFA bypasses",
        _ => "MFA bypasses",
    };
    let place = told.record.environment.name.as_deref().unwrap_or(&told.record.environment.id);
    let when = told.started().map(|started| format!(", {}", day(started))).unwrap_or_default();
    format!("{what} in {}{when}", quote(place))
}

/// The sentences at the beginning.
pub(super) fn story(figures: &RunFigures, told: Option<&Told>, faults: &[String]) -> Markup {
    let failures = failed_rows(figures, told);
    html! {
        @if let Some(told) = told && told.record.options.sandbox {
            p.note { strong { "A rehearsal:" } " this run was sent to the sandbox, and no user of PingOne was touched." }
        }
        p.lead {
            @match told {
                Some(told) => (deed(figures, told)),
                None => { "The report has " (figure("lines", figures.tally.rows())) (plural(figures.tally.rows(), " line", " lines")) "." },
            }
            " "
            @if failures == 0 { "No row failed." }
            @else { strong { (figure("failures", failures)) (plural(failures, " row", " rows")) " failed." } }
            @if let Some(reason) = told.and_then(|told| told.record.reason.as_deref()) { " The reason given: “" (foreign(reason)) "”." }
        }
        @if let Some(reported) = told.and_then(|told| told.record.input.reported.as_ref()) {
            p.note {
                strong { "Not a complete audit:" } " its users are those of PingOne's device report, which may miss "
                (foreign(&reported.may_miss.join(", "))) "."
                @if let Some(differing) = reported.differing {
                    " " (figure("differing", differing)) (plural(differing, " user has", " users have"))
                    " another bypass than that report says."
                }
            }
        }
        p { (completeness(figures, told, faults)) }
    }
}

/// The number of rows that failed. A report of the users who can bypass MFA has no lines of them, and the record tells.
pub(super) fn failed_rows(figures: &RunFigures, told: Option<&Told>) -> u64 {
    let listed = figures.tally.failures();
    told.filter(|told| told.record.options.only.is_some()).map_or(listed, |told| crate::report::tally(&told.record.totals).failures())
}

fn deed(figures: &RunFigures, told: &Told) -> Markup {
    let tally = &figures.tally;
    let of = |outcome| tally.of(outcome);
    let rows = if told.record.options.only.is_some() { told.record.totals.get("rows").copied().unwrap_or_default() } else { tally.rows() };
    // A user may stand in several rows, and a row that cannot be read names nobody.
    let has_others = of(Outcome::Duplicate) + of(Outcome::Invalid) > 0;
    let users = if has_others { plural(rows, " row", " rows") } else { plural(rows, " user", " users") };
    let all = html! { (figure("rows", rows)) (users) };
    let place = place(told);
    let subject = html! { (when(told)) (who(told)) };
    match told.record.operation.as_str() {
        "grant" => html! {
            (subject) " granted an MFA bypass" (until(figures.granted_until, told.started()))
            (if has_others { " for " } else { " to " }) (figure("granted", of(Outcome::Granted))) " of " (all) (place) "."
            @if of(Outcome::Kept) > 0 { " " (figure("kept", of(Outcome::Kept))) " had one that runs at least as long, and kept it." }
        },
        "audit" => html! {
            (subject) " asked PingOne whether " (all) (place) " can bypass MFA: " (figure("active", of(Outcome::Active))) " can"
            @if told.record.options.only.is_none() { ", and " (figure("inactive", of(Outcome::Inactive))) " cannot" } "."
        },
        "end" if told.record.options.restore => html! {
            (subject) " undid a grant for " (all) (place) ": "
            (figure("restored", of(Outcome::Restored))) " got back the end date that they had before it, and the bypass of "
            (figure("ended", of(Outcome::Ended))) " was ended."
            @if of(Outcome::Untouched) > 0 { " " (figure("untouched", of(Outcome::Untouched))) " had not been changed by it." }
            @if of(Outcome::Inactive) > 0 { " " (figure("inactive", of(Outcome::Inactive))) " had no bypass any more." }
        },
        "end" => html! {
            (subject) " ended the MFA bypass of " (figure("ended", of(Outcome::Ended))) " of " (all) (place) "."
            @if of(Outcome::Inactive) > 0 { " " (figure("inactive", of(Outcome::Inactive))) " had none." }
        },
        _ => html! { (subject) " ran an operation that this version does not know on " (all) (place) "." },
    }
}

/// "On 27 November 2026 from 19:02 to 19:19 UTC, ".
fn when(told: &Told) -> String {
    let clock = |at: DateTime<Utc>| at.format("%H:%M").to_string();
    match (told.started(), told.finished()) {
        (Some(started), Some(finished)) if started.date_naive() != finished.date_naive() => {
            format!("From {} UTC on {} to {} UTC on {}, ", clock(started), day(started), clock(finished), day(finished))
        }
        (Some(started), Some(finished)) if clock(started) != clock(finished) => {
            format!("On {} from {} to {} UTC, ", day(started), clock(started), clock(finished))
        }
        (Some(started), _) => format!("On {} at {} UTC, ", day(started), clock(started)),
        (None, _) => "At a time that the record does not tell, ".to_owned(),
    }
}

fn who(told: &Told) -> Markup {
    let operator = &told.record.operator;
    let host = operator.host.as_deref();
    let user = operator.sudo_user.as_deref().or(operator.user.as_deref());
    html! {
        @match user {
            Some(user) => strong { (foreign(user)) },
            None => "an operator whom the record does not name",
        }
        @if let Some(host) = host { " on " (foreign(host)) }
    }
}

fn place(told: &Told) -> Markup {
    let environment = &told.record.environment;
    html! {
        " in environment " strong { (foreign(environment.name.as_deref().unwrap_or(&environment.id))) }
        @if let Some(kind) = &environment.kind { " (" (foreign(kind)) ")" }
    }
}

/// " until 18:00 UTC", or " until dates from … to …"; nothing if no date is known. Minutes are enough here.
fn until(dates: EndDates, today: Option<DateTime<Utc>>) -> String {
    let minute = |date: BypassUntil| {
        let at = date.instant();
        moment(at.with_second(0).and_then(|at| at.with_nanosecond(0)).unwrap_or(at), today)
    };
    match dates.span().map(|(earliest, latest)| (minute(earliest), minute(latest))) {
        Some((earliest, latest)) if earliest == latest => format!(" until {earliest}"),
        Some((earliest, latest)) => format!(" until dates from {earliest} to {latest}"),
        None => String::new(),
    }
}

fn completeness(figures: &RunFigures, told: Option<&Told>, faults: &[String]) -> Markup {
    let Some(told) = told else {
        return html! { strong { "No record:" } " " (NO_RECORD) "." };
    };
    if !faults.is_empty() {
        return html! { strong { "Whether this is complete is not certain:" } " see the warning above." };
    }
    if told.record.options.only.is_some() {
        return html! {
            strong { "The run is complete." } " The report lists only the users who can bypass MFA now. By the record, "
            (thousands(told.record.totals.get("inactive").copied().unwrap_or_default())) " cannot, and "
            (thousands(crate::report::tally(&told.record.totals).failures())) " failed."
        };
    }
    if let Some(ShardRecord(shard)) = told.record.shard {
        return html! {
            strong { "This is shard " (shard.to_string()) " alone:" } " each of its " (thousands(figures.tally.rows()))
            (plural(figures.tally.rows(), " row", " rows")) " has a line in the report. The other rows of the input are in other reports."
        };
    }
    let input = &told.record.input;
    let (title, each, of) = match (&input.reported, &input.directory) {
        (Some(_), _) => ("Every user whom the device report names was read:", "user", ""),
        (None, Some(_)) => ("The run is complete:", "user", " of the list"),
        (None, None) => ("The run is complete:", "row", " of the input"),
    };
    let rows = figures.tally.rows();
    html! {
        strong { (title) } " each of the " (thousands(rows)) " " (each) (plural(rows, "", "s")) (of) " has a line in the report."
    }
}

/// The facts as a list.
pub(super) fn facts(source: &Source, told: Option<&Told>) -> Markup {
    let Some(told) = told else { return html! {} };
    let record = &told.record;
    let text = |text: Option<&str>| text.map(foreign);
    let environment = &record.environment;
    let input = record.input.path.as_deref().map(|path| match source.users {
        Users::Shown => foreign(path),
        Users::LeftOut => foreign(path.rsplit('/').next().unwrap_or_default()),
    });
    // A filter may name a user.
    let filter = record.input.directory.as_ref().map(|directory| match (&directory.filter, source.users) {
        (None, _) => html! { "all users of the directory" },
        (Some(filter), Users::Shown) => html! { "users of the directory: " code { (foreign(filter)) } },
        (Some(_), Users::LeftOut) => html! { "users of the directory, by a filter" },
    });
    let reported = record.input.reported.as_ref().map(|_| html! { "whom PingOne's device report gives a bypass" });
    let requests = record.requests;
    let stop = record.stop_reason.as_deref().filter(|_| source.users == Users::Shown);
    html! {
        section aria-labelledby="facts" {
            h2 id="facts" { "Who, where, why, when" }
            dl {
                (fact("Operation", Some(foreign(&record.operation))))
                (fact("Environment", Some(html! {
                    @if let Some(name) = &environment.name { (foreign(name)) " " }
                    @if let Some(kind) = &environment.kind { "(" (foreign(kind)) ") " }
                    code { (foreign(&environment.id)) }
                })))
                (fact("API", text(Some(&record.api_url))))
                (fact("Operator", operator(&record.operator)))
                (fact("Confirmed", Some(html! { (confirmed(record.confirmed.how)) })))
                (fact("Approved by", text(record.confirmed.approved_by.as_deref()).map(|name| html! { (name) " (as typed)" })))
                (fact("Reason", text(record.reason.as_deref())))
                @for earlier in &record.earlier { (fact("Before that", Some(before(earlier)))) }
                (fact("Input", input.or(filter).or(reported)))
                (fact("Shard", record.shard.map(|ShardRecord(shard)| html! { (shard.to_string()) ": one row in " (shard.count()) " of the input" })))
                @for shard in record.shards.iter().take(MOST_SHARDS) { (fact("Made of", Some(made_of(shard, record.shards.len())))) }
                @if record.shards.len() > MOST_SHARDS { (fact("Made of", Some(html! { "the other shards that the record names" }))) }
                (fact("Started", told.started().map(at)))
                (fact("Finished", told.finished().map(at)))
                (fact("State", Some(html! { (state(record.status)) @if let Some(stop) = stop { ": " (foreign(stop)) } })))
                (fact("Requests", Some(html! {
                    (thousands(requests.sent)) " sent, " (thousands(requests.retried)) " of them retries; "
                    (thousands(requests.throttled)) " answered 429 (too many requests)"
                })))
                (fact("Rate", Some(html! { "at most " (foreign(&record.options.rate)) ", " (record.options.concurrency) " at a time" })))
                (fact("Run ID", Some(html! { code { (foreign(&record.run_id)) } })))
                (fact("Program", Some(html! { "pingone-bypass " (foreign(&record.version)) })))
            }
        }
    }
}

/// A shard of a merged report.
fn made_of(shard: &MergedShard, count: usize) -> Markup {
    let MergedShard { index, run_id, started_at, finished_at, requests, .. } = shard;
    html! {
        "shard " (format!("{index}/{count}")) ", run ID " code { (foreign(run_id)) } ", " (thousands(requests.sent)) " requests, from "
        (foreign(started_at)) @if let Some(finished) = finished_at { " to " (foreign(finished)) }
    }
}

/// What held for an earlier process of the run.
fn before(earlier: &EarlierRecord) -> Markup {
    let EarlierRecord { operator: by, confirmed: ConfirmationRecord { how, approved_by, .. }, reason, until } = earlier;
    html! {
        (operator(by).unwrap_or_else(|| html! { "an operator whom the record does not name" })) "; confirmed " (confirmed(*how))
        @if let Some(name) = approved_by { "; approved by " (foreign(name)) " (as typed)" }
        @if let Some(reason) = reason { "; reason: " (foreign(reason)) }
        @if let Some(until) = until { "; until " (foreign(until)) }
    }
}

fn operator(operator: &OperatorRecord) -> Option<Markup> {
    let parts =
        [("", &operator.user), ("by sudo from ", &operator.sudo_user), ("on ", &operator.host), ("as client ", &operator.client_id)];
    let parts: Vec<_> = parts.into_iter().filter_map(|(before, value)| Some((before, value.as_deref()?))).collect();
    (!parts.is_empty()).then(|| {
        html! { @for (index, (before, value)) in parts.iter().enumerate() { @if index > 0 { " " } (before) (foreign(value)) } }
    })
}

fn confirmed(how: Option<Confirmed>) -> &'static str {
    match how {
        Some(Confirmed::Typed) => "typed on the terminal, after the plan was shown",
        Some(Confirmed::Yes) => "by --yes, without a question",
        Some(Confirmed::Approve) => "by --approve, which named the digest of the plan",
        Some(Confirmed::Sandbox) => "not needed: sandbox",
        None => "not recorded, or not needed: an audit changes nothing",
    }
}

fn state(status: Status) -> &'static str {
    match status {
        Status::Running => "running, or ended without a word",
        Status::Completed => "completed",
        Status::Stopped => "stopped",
        Status::Interrupted => "interrupted",
    }
}

pub(super) fn plural(count: u64, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

/// A name of a result as it is shown.
pub(super) fn named(outcome: Outcome) -> String {
    escaped(outcome.name())
}
