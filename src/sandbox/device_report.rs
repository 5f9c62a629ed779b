//! The device report: it is ordered, made after a while, and read page by page. Every device of every user is an entry, with the
//! bypasses as they were some time before.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::directory::{Directory, REPORT_KEPT, made_id};
use super::message::{Answer, Request, query_value};
use crate::domain::{BypassUntil, parse_span};

/// The only template. Source: mfa-reports.
const TEMPLATE: &str = "db632bfd-7054-4bde-b108-a384aac2d513";
/// The fields that can be asked for; those without a value here are null.
const FIELDS: [&str; 6] = ["userId", "username", "bypassUntil", "deviceId", "deviceStatus", "deviceType"];
/// "You cannot call the dataExplorations endpoint more than once per 5 seconds for the same environment."
const BETWEEN_ORDERS: Duration = Duration::from_secs(5);
/// The most requests about reports in a minute. Source: the rates of the groups, analytics.
const MOST_A_MINUTE: usize = 600;
const MINUTE: Duration = Duration::from_secs(60);
/// How many reports are kept.
const MOST_KEPT: usize = 20;
/// The most entries on a page. Source: `limit` of `GET …/entries`.
const MOST_ON_A_PAGE: u64 = 1000;

/// How the sandbox's device report behaves. What clap does not skip is an option of `sandbox`.
#[derive(Debug, Clone, Args)]
pub struct ReportConfig {
    /// How many devices each user has, each an entry of the device report [default: 1, 2 or 3]
    #[arg(long, hide_short_help = true, value_name = "N", value_parser = clap::value_parser!(u64).range(..=10_000))]
    pub devices: Option<u64>,
    /// How old the device report is: it shows bypasses as they were then
    #[arg(long, hide_short_help = true, value_name = "DURATION", default_value = "15m", value_parser = age)]
    pub report_age: Duration,
    /// How many of the users who have a bypass from the start have none by the device report
    #[arg(long, hide_short_help = true, value_name = "N", default_value = "0")]
    pub report_gaps: u64,
    /// How long it takes until a device report is made
    #[arg(long, hide_short_help = true, value_name = "DURATION", default_value = "2s", value_parser = age)]
    pub report_delay: Duration,
    /// How the device report writes end dates
    #[arg(long, hide_short_help = true, value_name = "FORM", default_value = "rfc3339")]
    pub report_dates: ReportDates,
    /// What is wrong with the device report
    #[arg(long, hide_short_help = true, value_name = "FAULT")]
    pub report_fault: Option<ReportFault>,
}

/// How the device report writes end dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum ReportDates {
    /// `2026-08-31T17:00:00.000Z`.
    Rfc3339,
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// `31/08/2026`, which nobody reads.
    Local,
}

/// What is wrong with the device report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFault {
    /// 403: the application may not read it
    Forbidden,
    /// 404: there is no such report
    Missing,
    /// 400: `bypassUntil` is no field of it
    UnknownField,
    /// `bypassUntil` is in no entry
    NoField,
    /// It is never made
    Never,
    /// Its status becomes FAILED
    Failed,
    /// Its second page is linked at another host
    ForeignLink,
}

fn age(text: &str) -> Result<Duration, String> {
    match parse_span(text) {
        Ok(span) if span > Duration::from_secs(365 * 24 * 60 * 60) => Err("expected at most 365d".to_owned()),
        Ok(span) => Ok(span),
        Err(error) => Err(error.to_string()),
    }
}

/// A wait as `Retry-After` can tell it.
fn in_whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

/// A report that was ordered.
#[derive(Debug)]
struct Ordered {
    id: String,
    fields: Vec<String>,
    /// The time that its bypasses are of.
    as_of: DateTime<Utc>,
    made: Instant,
    expires: DateTime<Utc>,
}

/// The reports, and when requests for them came.
#[derive(Debug)]
pub(super) struct Reports {
    config: ReportConfig,
    seed: u64,
    ordered: VecDeque<Ordered>,
    orders: u64,
    last_order: Option<Instant>,
    /// The requests of the last minute.
    recent: VecDeque<Instant>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderBody {
    data_exploration_template: Named,
    #[serde(default)]
    fields: Vec<Field>,
    deliver_as: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct Field {
    name: String,
}

impl Reports {
    pub(super) fn new(config: ReportConfig, seed: u64) -> Self {
        Self { config, seed, ordered: VecDeque::new(), orders: 0, last_order: None, recent: VecDeque::new() }
    }

    /// Counts a request. How long to wait, if it is one too many.
    pub(super) fn excess(&mut self, now: Instant) -> Option<Duration> {
        while self.recent.front().is_some_and(|first| now.saturating_duration_since(*first) >= MINUTE) {
            self.recent.pop_front();
        }
        if self.recent.len() < MOST_A_MINUTE {
            self.recent.push_back(now);
            return None;
        }
        self.recent.front().map(|first| in_whole_seconds(MINUTE.saturating_sub(now.saturating_duration_since(*first))))
    }

    /// How long to wait until a report may be ordered; `None` if that is now, and then it counts as ordered.
    pub(super) fn too_early(&mut self, now: Instant) -> Option<Duration> {
        let since = self.last_order.map(|last| now.saturating_duration_since(last));
        if let Some(left) = since.and_then(|since| BETWEEN_ORDERS.checked_sub(since)).filter(|left| !left.is_zero()) {
            return Some(in_whole_seconds(left));
        }
        self.last_order = Some(now);
        None
    }

    /// Orders a report.
    pub(super) fn order(&mut self, request: &Request, now: Instant, date: DateTime<Utc>) -> Answer {
        match self.config.report_fault {
            Some(ReportFault::Forbidden) => {
                return Answer::refusal(403, "ACCESS_FAILED", "The actor attempting to perform the request is not authorized.");
            }
            Some(ReportFault::Missing) => return Answer::not_found("resource"),
            Some(
                ReportFault::UnknownField | ReportFault::NoField | ReportFault::Never | ReportFault::Failed | ReportFault::ForeignLink,
            )
            | None => {}
        }
        let Ok(body) = serde_json::from_slice::<OrderBody>(request.body()) else {
            return Answer::refusal(400, "INVALID_REQUEST", "The body is not as documented.");
        };
        if body.data_exploration_template.id != TEMPLATE {
            return Answer::invalid("dataExplorationTemplate.id", "There is no such template.");
        }
        if body.deliver_as.as_deref().is_some_and(|form| form != "ENTRIES") {
            return Answer::invalid("deliverAs", "The sandbox delivers ENTRIES only.");
        }
        let is_known =
            |name: &str| FIELDS.contains(&name) && (name != "bypassUntil" || self.config.report_fault != Some(ReportFault::UnknownField));
        if let Some(Field { name }) = body.fields.iter().find(|field| !is_known(&field.name)) {
            return Answer::invalid("fields", &format!("The field {name} is not supported."));
        }
        self.orders += 1;
        let id = made_id(self.seed, "exploration", self.orders).to_string();
        let fields = body.fields.into_iter().map(|field| field.name).collect();
        let as_of = date - self.config.report_age;
        self.ordered.push_back(Ordered { id, fields, as_of, made: now + self.config.report_delay, expires: date + REPORT_KEPT });
        if self.ordered.len() > MOST_KEPT {
            self.ordered.pop_front();
        }
        let answer = self.ordered.back().map(|ordered| self.progress(ordered, now)).unwrap_or_default();
        Answer::new(201, answer.to_string())
    }

    fn find(&self, id: &str, date: DateTime<Utc>) -> Option<&Ordered> {
        self.ordered.iter().find(|ordered| ordered.id == id && date < ordered.expires)
    }

    fn status_of(&self, ordered: &Ordered, now: Instant) -> &'static str {
        match self.config.report_fault {
            Some(ReportFault::Never) => "IN_PROGRESS",
            Some(_) | None if now < ordered.made => "IN_PROGRESS",
            Some(ReportFault::Failed) => "FAILED",
            Some(
                ReportFault::Forbidden | ReportFault::Missing | ReportFault::UnknownField | ReportFault::NoField | ReportFault::ForeignLink,
            )
            | None => "SUCCESS",
        }
    }

    fn progress(&self, ordered: &Ordered, now: Instant) -> Value {
        let fields: Vec<_> = ordered.fields.iter().map(|name| json!({"name": name})).collect();
        json!({
            "id": ordered.id,
            "status": self.status_of(ordered, now),
            "deliverAs": "ENTRIES",
            "fields": fields,
            "expiresAt": ordered.expires.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        })
    }

    /// How far the report of this `id` is made.
    pub(super) fn status(&self, id: &str, now: Instant, date: DateTime<Utc>) -> Answer {
        match self.find(id, date) {
            Some(ordered) => Answer::new(200, self.progress(ordered, now).to_string()),
            None => Answer::not_found("data exploration"),
        }
    }

    /// A page of the report of this `id`; `base` is the URL of its entries.
    pub(super) fn entries(
        &self,
        id: &str,
        request: &Request,
        directory: &Directory,
        base: &str,
        (now, date): (Instant, DateTime<Utc>),
    ) -> Answer {
        let Some(ordered) = self.find(id, date) else {
            return Answer::not_found("data exploration");
        };
        if self.status_of(ordered, now) != "SUCCESS" {
            return Answer::refusal(400, "INVALID_REQUEST", "The data exploration is not complete.");
        }
        let limit = match query_value(request, "limit").map(|limit| limit.parse::<u64>()) {
            None => MOST_ON_A_PAGE,
            Some(Ok(limit)) if (1..=MOST_ON_A_PAGE).contains(&limit) => limit,
            Some(_) => return Answer::invalid("limit", "The limit is not from 1 to 1000."),
        };
        let from = match query_value(request, "cursor").map(|cursor| u64::from_str_radix(&cursor, 16)) {
            None => 0,
            Some(Ok(from)) => from,
            Some(Err(_)) => return Answer::invalid("cursor", "The cursor is not valid."),
        };
        let count = self.count(directory.len());
        let to = from.saturating_add(limit).min(count);
        let entries: Vec<Value> = (from..to).map(|entry| self.entry(ordered, entry, directory)).collect();
        let mut links = json!({"self": {"href": base}});
        if to < count {
            let base = if self.config.report_fault == Some(ReportFault::ForeignLink) { "https://reports.example/entries" } else { base };
            links["next"] = json!({"href": format!("{base}?limit={limit}&cursor={to:x}")});
        }
        let size = entries.len();
        Answer::new(200, json!({"_links": links, "_embedded": {"entries": entries}, "count": count, "size": size}).to_string())
    }

    /// The number of entries for this many users. Without an option, three users in a row have 1, 2 and 3 devices.
    fn count(&self, users: u64) -> u64 {
        self.config.devices.map_or_else(|| users / 3 * 6 + [0, 1, 3][usize::try_from(users % 3).expect("small")], |devices| users * devices)
    }

    /// The user of an entry.
    fn user_of(&self, entry: u64) -> u64 {
        match self.config.devices {
            Some(devices) => entry / devices.max(1),
            None => entry / 6 * 3 + [0, 1, 1, 2, 2, 2][usize::try_from(entry % 6).expect("small")],
        }
    }

    fn entry(&self, ordered: &Ordered, entry: u64, directory: &Directory) -> Value {
        let index = self.user_of(entry);
        let user = directory.listed(index);
        let is_missing = directory.first_bypass(index).is_some_and(|rank| rank < self.config.report_gaps);
        let until = directory.bypass_at(user.id, ordered.as_of).filter(|until| !is_missing && until.instant() > ordered.as_of);
        let value = |name: &str| match name {
            "userId" => user.id.to_string().into(),
            "username" => user.username.clone().into(),
            "bypassUntil" => until.map_or(Value::Null, |until| self.date(until)),
            "deviceId" => made_id(self.seed, "device", entry).to_string().into(),
            "deviceStatus" => "ACTIVE".into(),
            "deviceType" => "MOBILE".into(),
            _ => Value::Null,
        };
        let has_it = |name: &&String| *name != "bypassUntil" || self.config.report_fault != Some(ReportFault::NoField);
        ordered.fields.iter().filter(has_it).map(|name| (name.clone(), value(name))).collect::<Map<_, _>>().into()
    }

    fn date(&self, until: BypassUntil) -> Value {
        match self.config.report_dates {
            ReportDates::Rfc3339 => until.to_string().into(),
            ReportDates::Seconds => until.millis().div_euclid(1000).into(),
            ReportDates::Millis => until.millis().into(),
            ReportDates::Local => until.instant().format("%d/%m/%Y").to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SandboxConfig;
    use super::*;

    fn reports(devices: Option<u64>) -> Reports {
        Reports::new(ReportConfig { devices, ..SandboxConfig::default().report }, 0)
    }

    #[test]
    fn each_user_has_its_devices() {
        for (devices, users, expected) in [(None, 7, vec![1, 2, 3, 1, 2, 3, 1]), (Some(2), 3, vec![2, 2, 2]), (Some(0), 5, vec![0; 5])] {
            let reports = reports(devices);
            let mut found = vec![0; expected.len()];
            (0..reports.count(users)).for_each(|entry| found[usize::try_from(reports.user_of(entry)).expect("small")] += 1);
            assert_eq!(found, expected, "{devices:?}");
        }
    }

    #[test]
    fn orders_and_requests_are_limited() {
        let (mut reports, start) = (reports(None), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!([0, 1, 4999, 5000, 9999].map(|millis| reports.too_early(at(millis)).is_some()), [false, true, true, false, true]);
        assert!((0..600).all(|millis| reports.excess(at(millis)).is_none()));
        assert_eq!(reports.excess(at(1000)), Some(Duration::from_secs(59)));
        assert_eq!(reports.excess(at(60_000)), None);
    }
}
