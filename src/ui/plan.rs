//! The plan that is shown before anything is sent.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Local, Offset, TimeZone, Utc};

use crate::domain::{
    Attribute, BypassUntil, EndDates, MAY_MISS, Operation, Outcome, PlanDigest, RunId, Selection, Shard, counted, quote, span_in_words,
};
use crate::input::{LookupCounts, Plan};
use crate::lookup::Forecast;
use crate::pace::Rate;
use crate::pingone::LicenceRates;
use crate::report::EnvironmentRecord;

/// A plan, and the settings to carry it out with.
#[derive(Debug)]
pub(crate) struct PlanView<'a> {
    pub(crate) operation: Operation,
    pub(crate) planned: Planned<'a>,
    /// The most requests that this process sends a second.
    pub(crate) rate: Rate,
    /// The shard that it does, and the rate of all of them together.
    pub(crate) shard: Option<(Shard, Rate)>,
    /// The licence's rates, as far as they are known.
    pub(crate) licence: LicenceRates,
    /// The environment and host that the run talks to.
    pub(crate) target: String,
    /// The environment, as far as PingOne describes it.
    pub(crate) environment: EnvironmentRecord,
    /// The API's base URL; empty for a sandbox that is not started.
    pub(crate) api_url: String,
    /// The hosts that requests go to; `None` for the sandbox inside this process.
    pub(crate) hosts: Option<String>,
    /// The application or token that it authenticates with.
    pub(crate) identity: String,
    /// How many rows `--canary` settles alone first.
    pub(crate) canary: Option<u64>,
    /// Where the report will be.
    pub(crate) report: String,
    /// What `--approve` takes.
    pub(crate) digest: PlanDigest,
    /// The run that is resumed, and how many of its rows are settled.
    pub(crate) resumes: Option<(RunId, u64)>,
}

/// The users that the run covers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Planned<'a> {
    /// Those of an input.
    Input(PlannedInput<'a>),
    /// Those of the directory; the number of users and of list pages, if known.
    Directory { selection: &'a Selection, users: Option<u64>, pages: Option<u64> },
    /// Those to whom PingOne's device report gives a bypass; the numbers of users and of devices in it, if it has been read.
    Reported { read: Option<(u64, u64)> },
}

/// An input whose rows are to be carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlannedInput<'a> {
    /// Its name in messages.
    pub(crate) name: &'a str,
    pub(crate) plan: &'a Plan,
    /// The column that users are looked up by, if any, and what its values are.
    pub(crate) lookup_column: Option<(&'a str, Attribute)>,
    /// How much there is to look up, if the lookup is not done.
    pub(crate) forecast: Option<Forecast>,
    /// When the run started.
    pub(crate) start: DateTime<Utc>,
}

impl PlannedInput<'_> {
    /// Writes what is to be looked up, or the results.
    fn look_up(&self, f: &mut fmt::Formatter<'_>, lookups: &LookupCounts) -> fmt::Result {
        let Some((column, by)) = self.lookup_column.filter(|_| lookups.rows > 0) else {
            return Ok(());
        };
        let (column, by) = (quote(column), if says(column, by) { String::new() } else { format!(" as {}", by.name()) });
        if let Some(Forecast { values, requests }) = self.forecast {
            return writeln!(
                f,
                "look up    {} of `{column}`{by}, in at least {} before anything is changed",
                counted(values, "value"),
                counted(requests, "request")
            );
        }
        write!(f, "looked up  {} by `{column}`{by}: {} found", counted(lookups.rows, "row"), lookups.found)?;
        for outcome in [Outcome::NotFound, Outcome::Ambiguous, Outcome::Rejected] {
            let rows = lookups.of(outcome);
            if rows > 0 {
                write!(f, ", {rows} {outcome}")?;
            }
        }
        writeln!(f)
    }
}

/// Whether the name of a column says which attribute it holds.
fn says(column: &str, by: Attribute) -> bool {
    let letters = column.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
    letters.eq_ignore_ascii_case(by.name())
}

impl Planned<'_> {
    /// The number of users that requests will be sent for, as far as known.
    pub(crate) fn users(&self) -> u64 {
        match self {
            Self::Input(input) => input.plan.to_send,
            Self::Directory { users, .. } => users.unwrap_or_default(),
            Self::Reported { read } => read.map(|(users, _)| users).unwrap_or_default(),
        }
    }
}

impl Planned<'_> {
    /// The end dates that are asked for.
    pub(crate) fn end_dates(&self) -> EndDates {
        match self {
            Self::Input(input) => input.plan.dates,
            Self::Directory { .. } | Self::Reported { .. } => EndDates::default(),
        }
    }
}

impl fmt::Display for PlanView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.planned {
            Planned::Input(input) => self.write_input(f, input)?,
            Planned::Directory { selection, users, pages } => self.write_directory(f, selection, *users, *pages)?,
            Planned::Reported { read } => self.write_reported(f, *read)?,
        }
        if !self.licence.is_empty() {
            writeln!(f, "licence    {}", self.licence)?;
        }
        writeln!(f, "against    {}", self.target)?;
        if let Some(hosts) = &self.hosts {
            writeln!(f, "hosts      {hosts}")?;
        }
        writeln!(f, "as         {}", self.identity)?;
        if let Some(rows) = self.canary {
            writeln!(f, "canary     {} first, and the rest only if all of them succeed", counted(rows, "row"))?;
        }
        writeln!(f, "report     {}", self.report)?;
        if let Some((run, settled)) = self.resumes {
            writeln!(f, "resumes    run {run}: {} already done, only the others are sent", counted(settled, "row"))?;
        }
        write!(f, "digest     {}", self.digest)
    }
}

impl PlanView<'_> {
    fn write_input(&self, f: &mut fmt::Formatter<'_>, input: &PlannedInput<'_>) -> fmt::Result {
        let PlannedInput { name, plan, start, .. } = *input;
        let Plan { rows, own_rows, duplicates, invalid, lookups, to_send, untouched, given_back, dates } = plan;
        let operation = self.operation.name();
        if lookups.is_complete() {
            writeln!(f, "plan       {operation} {to_send} of {}, {}", counted(*own_rows, "row"), counted(*to_send, "user"))?;
        } else {
            writeln!(f, "plan       {operation} at most {to_send} of {}", counted(*own_rows, "row"))?;
        }
        if let Some((shard, of_all)) = self.shard {
            self.write_shard(f, shard, of_all, *rows)?;
        }
        write!(f, "input      {name}: {}", counted(*duplicates, "duplicate"))?;
        let bad: u64 = invalid.values().sum();
        write!(f, ", {bad} invalid")?;
        for (index, (kind, rows)) in invalid.iter().enumerate() {
            write!(f, "{} {rows} {kind}", if index == 0 { ":" } else { "," })?;
        }
        writeln!(f)?;
        input.look_up(f, lookups)?;
        if let Some((first, last)) = dates.span() {
            let shown = |date| format!("{date}{} ({})", here(date, &Local), ahead(date, start));
            write!(f, "end dates  {}", shown(first))?;
            if first == last {
                writeln!(f)?;
            } else {
                writeln!(f, " to {}", shown(last))?;
            }
        }
        if matches!(self.operation, Operation::Restore(_)) {
            let ended = to_send.saturating_sub(*given_back);
            writeln!(f, "restore    {given_back} to the end date that they had, {ended} to an end; {untouched} untouched")?;
        }
        self.write_requests(f, *to_send)
    }

    fn write_shard(&self, f: &mut fmt::Formatter<'_>, shard: Shard, of_all: Rate, rows: u64) -> fmt::Result {
        let [first, second] = [1, 2].map(|nth| shard.nth(nth));
        match shard.rows_of(rows) {
            0 => write!(f, "shard      {shard}: none of {}", counted(rows, "row"))?,
            1 => write!(f, "shard      {shard}: row {first} of {rows}")?,
            2 => write!(f, "shard      {shard}: rows {first} and {second} of {rows}")?,
            _ => write!(f, "shard      {shard}: rows {first}, {second} and so on, of {rows}")?,
        }
        match self.rate {
            Rate::PerSecond(_) => writeln!(f, "; at most {} of the {of_all} of all {}", self.rate, shard.count())?,
            Rate::Unlimited => writeln!(f)?,
        }
        writeln!(f, "all {:<7}the digest, and the next line, are of the plan of all {}", shard.count(), counted(rows, "row"))
    }

    fn write_requests(&self, f: &mut fmt::Formatter<'_>, to_send: u64) -> fmt::Result {
        if let Some(grace) = self.operation.grace() {
            writeln!(f, "end dates  {} after each is asked for", span_in_words(grace.span()))?;
        }
        if to_send == 0 {
            return writeln!(f, "requests   none");
        }
        match self.operation {
            Operation::Grant | Operation::Audit => writeln!(f, "requests   {to_send}{}", self.at_least(to_send)),
            Operation::LookAndGrant | Operation::End(_) | Operation::Restore(_) => {
                let take = if to_send == 1 { "takes" } else { "take" };
                write!(f, "requests   {}{}", counted(to_send, "GET"), self.at_least(to_send))?;
                writeln!(f, "; at most {}, which {take} as long again", counted(to_send, "PUT"))
            }
        }
    }

    fn write_directory(&self, f: &mut fmt::Formatter<'_>, selection: &Selection, users: Option<u64>, pages: Option<u64>) -> fmt::Result {
        writeln!(f, "plan       {} {selection}", self.operation.name())?;
        match (users, pages) {
            (Some(users), Some(pages)) => {
                write!(f, "requests   {users} for users and {pages} for pages of their list{}", self.at_least(users.saturating_add(pages)))
            }
            (_, _) => f.write_str("requests   one for each user, and one for each page of their list"),
        }?;
        writeln!(f)
    }

    fn write_reported(&self, f: &mut fmt::Formatter<'_>, read: Option<(u64, u64)>) -> fmt::Result {
        let whom = "to whom PingOne's device report gives a bypass";
        match read {
            Some((users, devices)) => {
                writeln!(f, "plan       {} {} {whom}: not a complete audit", self.operation.name(), counted(users, "user"))?;
                writeln!(f, "source     the report's {}", counted(devices, "device"))?;
            }
            None => writeln!(f, "plan       {} the users {whom}: not a complete audit", self.operation.name())?,
        }
        writeln!(f, "may miss   {}: `--all-users` misses nobody", MAY_MISS.join(", "))?;
        match read {
            Some(_) if self.resumes.is_some() => writeln!(f, "requests   one for each user that is not done yet"),
            Some((0, _)) => writeln!(f, "requests   none"),
            Some((users, _)) => writeln!(f, "requests   {users}{}", self.at_least(users)),
            None => writeln!(f, "requests   one for each user, and one for each 1000 devices"),
        }
    }

    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shown to the second")]
    fn at_least(&self, requests: u64) -> String {
        match self.rate {
            Rate::Unlimited => ", as fast as they are answered".to_owned(),
            Rate::PerSecond(rate) => {
                let seconds = (requests as f64 / rate).ceil() as u64;
                format!(", at {} at least {}", self.rate, span_in_words(Duration::from_secs(seconds)))
            }
        }
    }
}

/// The local time of a date, with the day if it is another one; empty where that is UTC.
fn here<Z: TimeZone<Offset: fmt::Display>>(until: BypassUntil, zone: &Z) -> String {
    let (there, here) = (until.instant(), until.instant().with_timezone(zone));
    if here.offset().fix().local_minus_utc() == 0 {
        return String::new();
    }
    let form = if here.date_naive() == there.date_naive() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    format!(", {} here", here.format(form))
}

/// How far after the start a date is, to the minute.
fn ahead(until: BypassUntil, start: DateTime<Utc>) -> String {
    let seconds = (until.instant() - start).num_seconds().unsigned_abs();
    let shown = if seconds < 60 { seconds } else { (seconds + 30) / 60 * 60 };
    format!("in {}", span_in_words(Duration::from_secs(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;

    #[test]
    fn an_end_date_is_shown_in_local_time_too_unless_that_is_utc() {
        let until: BypassUntil = BypassUntil::read("2026-11-27T18:00:00.000Z").expect("a date");
        for (minutes, expected) in [
            (0, ""),
            (60, ", 19:00 here"),
            (-300, ", 13:00 here"),
            (345, ", 23:45 here"),
            (360, ", 2026-11-28 00:00 here"),
            (-1081, ", 2026-11-26 23:59 here"),
        ] {
            assert_eq!(here(until, &FixedOffset::east_opt(minutes * 60).expect("a zone")), expected, "{minutes}");
        }
    }
}
