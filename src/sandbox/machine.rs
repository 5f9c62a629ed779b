//! Answers as PingOne does. Pure: a request and the time in, an answer out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;

use super::SandboxConfig;
use super::device_report::Reports;
use super::directory::{Directory, Listed, made_id};
use super::faults::FaultKind;
use super::filter::Filter;
use super::limit::{Limiter, RetryAfterForm};
use super::message::{Answer, Cut, Request, SESSION, TRANSACTION, header, media_type, query_value};
use super::tokens::Application;
use crate::domain::{BypassUntil, UserId};

/// The most users on a page. Source: paging-ordering-filtering-collections.
pub(super) const MOST_ON_A_PAGE: u64 = 200;
/// The most bytes of a request's headers. Source: the same.
const MOST_HEADERS: usize = 6 << 10;
/// The most characters of a correlation ID. Source: external-transaction-and-session-ids.
const MOST_OF_AN_ID: usize = 100;
/// How much longer a slow answer takes.
const SLOW: Duration = Duration::from_secs(2);

/// The token that a request carries, and when it arrived.
struct Arrival {
    token: String,
    now: Instant,
    date: DateTime<Utc>,
}

/// The sandbox's state.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) config: SandboxConfig,
    /// The URL of its environment.
    base: String,
    pub(super) application: Application,
    pub(super) directory: Directory,
    pub(super) started: Instant,
    limiter: Option<Limiter>,
    reports: Reports,
    /// How often each user's bypass and each page of the user list was requested.
    requests: HashMap<UserId, u64>,
}

impl Machine {
    pub(super) fn new(config: SandboxConfig, origin: &str) -> Self {
        let application = Application::new(&config, origin);
        Self {
            base: format!("{origin}/v1/environments/{}", application.environment),
            application,
            directory: Directory::new(&config, Utc::now()),
            started: Instant::now(),
            limiter: Limiter::of(&config),
            reports: Reports::new(config.report.clone(), config.seed),
            requests: HashMap::new(),
            config,
        }
    }

    /// The answer to `request`, which arrived `now`.
    pub(super) fn answer(&mut self, request: &Request, now: Instant, date: DateTime<Utc>) -> Answer {
        let segments: Vec<&str> = request.uri().path().trim_start_matches('/').split('/').collect();
        if let [environment, "as", "token"] = segments[..] {
            return self.application.answer(request, environment, now, date);
        }
        if segments.get(3) == Some(&"dataExplorations") {
            // These are counted in a group of their own.
            if let Some(wait) = self.reports.excess(now) {
                return self.limited(date, wait);
            }
        } else if let Some(limiter) = &mut self.limiter
            && !limiter.admits(now - self.started)
        {
            let wait = limiter.wait();
            return self.limited(date, wait);
        }
        if size_of_head(request) > MOST_HEADERS {
            return Answer::refusal(431, "REQUEST_FAILED", "The request's headers are larger than 6 KB.");
        }
        if [TRANSACTION, SESSION].into_iter().any(|id| header(request, id).is_some_and(|id| id.len() > MOST_OF_AN_ID)) {
            return Answer::refusal(400, "INVALID_REQUEST", "A correlation ID is longer than 100 characters.");
        }
        let Some(token) = self.application.carried_by(request, now) else {
            return Answer::unauthorized();
        };
        let arrival = Arrival { token, now, date };
        let ["v1", "environments", environment, rest @ ..] = &segments[..] else {
            return Answer::not_found("resource");
        };
        if environment.parse() != Ok(self.application.environment) {
            return Answer::not_found("environment");
        }
        match (request.method().as_str(), rest) {
            ("GET", []) => self.environment(),
            ("GET", ["capabilities"]) => self.capabilities(),
            ("GET", ["users"]) => self.list(request, &arrival),
            ("GET" | "PUT", ["users", user, "bypassMFA"]) => match user.parse() {
                Ok(user) if self.directory.knows(user) => self.bypass(user, request, &arrival),
                Ok(_) | Err(_) => Answer::not_found("user"),
            },
            (_, ["dataExplorations", rest @ ..]) if rest.len() < 3 => self.report(request, rest, &arrival),
            (_, [] | ["capabilities" | "users"] | ["users", _, "bypassMFA"]) => {
                Answer::refusal(405, "REQUEST_FAILED", "The method is not allowed.")
            }
            _ => Answer::not_found("resource"),
        }
    }

    /// A request about the device report, or its fault; faults that only concern bypasses are skipped.
    fn report(&mut self, request: &Request, path: &[&str], arrival: &Arrival) -> Answer {
        let order = (request.method().as_str(), path) == ("POST", &[]);
        if order && let Some(wait) = self.reports.too_early(arrival.now) {
            return self.limited(arrival.date, wait);
        }
        let target = made_id(0, request.uri().path_and_query().map_or("", |target| target.as_str()), 1).into();
        let fault = self.fault_of(target).filter(|(kind, _)| !matches!(kind, FaultKind::OtherDate | FaultKind::NoBypass));
        self.unless_replaced(fault, arrival, |machine, _| {
            let Self { reports, directory, base, .. } = machine;
            Ok(match (request.method().as_str(), path) {
                ("POST", []) => reports.order(request, arrival.now, arrival.date),
                ("GET", [id]) => reports.status(id, arrival.now, arrival.date),
                ("GET", [id, "entries"]) => {
                    let base = format!("{base}/dataExplorations/{id}/entries");
                    reports.entries(id, request, directory, &base, (arrival.now, arrival.date))
                }
                (_, [] | [_] | [_, "entries"]) => Answer::refusal(405, "REQUEST_FAILED", "The method is not allowed."),
                _ => Answer::not_found("resource"),
            })
        })
    }

    fn limited(&self, date: DateTime<Utc>, wait: Duration) -> Answer {
        let retry_after = match self.config.retry_after {
            RetryAfterForm::Seconds => Some(wait.as_secs().to_string()),
            RetryAfterForm::Date => Some(httpdate::fmt_http_date((date + self.config.latency + wait).into())),
            RetryAfterForm::None => None,
        };
        Answer { retry_after, ..Answer::refusal(429, "REQUEST_LIMITED", "The request rate has been exceeded.") }
    }

    fn environment(&self) -> Answer {
        let id = self.application.environment.to_string();
        let body = json!({"_links": {"self": {"href": self.base}}, "id": id, "name": "Sandbox", "type": "SANDBOX", "region": "NA"});
        Answer::new(200, body.to_string())
    }

    fn capabilities(&self) -> Answer {
        let rates: serde_json::Map<_, _> =
            self.config.licence_rates.iter().map(|(group, limit)| (group.clone(), json!({"limit": limit}))).collect();
        Answer::new(200, json!({"_links": {}, "canUsePingIdMfa": {"value": true}, "license": rates}).to_string())
    }

    /// A page of the user list, or its fault; faults that only concern bypasses are skipped.
    fn list(&mut self, request: &Request, arrival: &Arrival) -> Answer {
        let page = made_id(0, request.uri().query().unwrap_or_default(), 0).into();
        let fault = self.fault_of(page).filter(|(kind, _)| !matches!(kind, FaultKind::OtherDate | FaultKind::NoBypass));
        self.unless_replaced(fault, arrival, |machine, _| Ok(machine.users(request)))
    }

    fn bypass(&mut self, user: UserId, request: &Request, arrival: &Arrival) -> Answer {
        let fault = self.fault_of(user);
        let coin = fault.is_some_and(|(_, coin)| coin);
        self.unless_replaced(fault, arrival, |machine, kind| {
            let asked = (request.method() == "PUT").then(|| asked_until(request, arrival.date)).transpose()?;
            let is_applied = kind != Some(FaultKind::NoBypass) && (kind != Some(FaultKind::Reset) || coin);
            if let Some(until) = asked.filter(|_| is_applied) {
                machine.directory.grant(user, until, arrival.date);
            }
            Ok(machine.bypass_answer(user, kind, arrival.date))
        })
    }

    /// Counts a request for a user's bypass or for a page. Returns the fault that it meets.
    fn fault_of(&mut self, target: UserId) -> Option<(FaultKind, bool)> {
        let requests = self.requests.entry(target).or_default();
        *requests += 1;
        self.config.faults.of(self.config.seed, target, *requests - 1)
    }

    /// The request's `own` answer, as the fault changes it, unless it replaces it. A refusal arrives unchanged.
    fn unless_replaced(
        &mut self,
        fault: Option<(FaultKind, bool)>,
        arrival: &Arrival,
        own: impl FnOnce(&mut Self, Option<FaultKind>) -> Result<Answer, Box<Answer>>,
    ) -> Answer {
        let kind = fault.map(|(kind, _)| kind);
        let instead = kind.and_then(|kind| match kind {
            FaultKind::Status(429) => Some(self.limited(arrival.date, Duration::from_secs(1))),
            FaultKind::Status(status) => Some(Answer::refusal(status, "UNEXPECTED_ERROR", "A fault of the sandbox's.")),
            FaultKind::Expired => self.application.revoke(&arrival.token, arrival.now).then(Answer::unauthorized),
            FaultKind::Html | FaultKind::Reset | FaultKind::Truncate | FaultKind::Slow | FaultKind::OtherDate | FaultKind::NoBypass => None,
        });
        let own = || own(self, kind).map_or_else(|refusal| *refusal, |answer| corrupted(answer, kind));
        Answer { faulted: kind.is_some(), ..instead.unwrap_or_else(own) }
    }

    fn users(&mut self, request: &Request) -> Answer {
        let limit = match query_value(request, "limit").map(|limit| limit.parse::<u64>()) {
            None => self.config.page,
            Some(Ok(limit)) if limit > 0 => limit.min(self.config.page),
            Some(_) => return Answer::invalid("limit", "The limit is not a positive number."),
        };
        let text = query_value(request, "filter");
        let filter = match text.as_deref().map(Filter::read).transpose() {
            Ok(filter) => filter,
            Err(why) => return Answer::invalid("filter", &format!("The filter is not valid: {why}.")),
        };
        let from = match query_value(request, "cursor").map(|cursor| u64::from_str_radix(&cursor, 16)) {
            None => 0,
            Some(Ok(from)) => from,
            Some(Err(_)) => return Answer::invalid("cursor", "The cursor is not valid."),
        };
        if self.config.no_or && filter.as_ref().is_some_and(Filter::has_or) {
            return Answer::invalid("filter", "The operator `or` is not supported.");
        }
        let most = usize::try_from(limit + 1).unwrap_or(usize::MAX);
        let mut page: Vec<_> = self.directory.selected(filter.as_ref(), from).take(most).collect();
        let next = if page.len() as u64 > limit { page.pop().map(|(index, _)| index) } else { None };
        let users: Vec<_> = page.iter().map(|(_, user)| self.shown(user)).collect();
        let count = match (&filter, &text) {
            (Some(filter), Some(text)) => self.directory.count(filter, text),
            (_, _) => self.directory.len(),
        };
        let base = format!("{}/users", self.base);
        let mut links = json!({"self": {"href": base}});
        if let Some(next) = next {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("limit", &limit.to_string());
            if let Some(text) = text {
                query.append_pair("filter", &text);
            }
            links["next"] = json!({"href": format!("{base}?{}", query.append_pair("cursor", &format!("{next:x}")).finish())});
        }
        let body = json!({"_links": links, "_embedded": {"users": users}, "count": count, "size": users.len()});
        Answer::new(200, body.to_string())
    }

    fn shown(&self, user: &Listed) -> serde_json::Value {
        json!({
            "id": user.id.to_string(),
            "username": user.username,
            "email": user.email,
            "externalId": user.external_id,
            "enabled": user.enabled,
            "mfaEnabled": true,
            "environment": {"id": self.application.environment.to_string()},
            "population": {"id": user.population.to_string()},
        })
    }

    fn bypass_answer(&self, user: UserId, kind: Option<FaultKind>, date: DateTime<Utc>) -> Answer {
        let href = format!("{}/users/{user}", self.base);
        let links = json!({"self": {"href": format!("{href}/bypassMFA")}, "user": {"href": href}});
        let running = self.directory.bypass_of(user).filter(|until| until.instant() > date);
        let mut body = json!({"_links": links});
        if let Some(until) = running.filter(|_| kind != Some(FaultKind::NoBypass)) {
            let other = BypassUntil::from_instant(until.instant() - TimeDelta::days(4)).filter(|_| kind == Some(FaultKind::OtherDate));
            body["bypassMFAEnabledUntil"] = other.unwrap_or(until).to_string().into();
            body["canBypassMFA"] = true.into();
        }
        Answer::new(200, body.to_string())
    }
}

/// The bytes of a request's first line and headers.
fn size_of_head(request: &Request) -> usize {
    let first = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).len();
    first + request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

/// The answer as a fault on the way back changes it.
fn corrupted(answer: Answer, kind: Option<FaultKind>) -> Answer {
    match kind {
        Some(FaultKind::Html) => Answer { html: true, ..Answer::new(502, "<html><h1>502 Bad Gateway</h1></html>".to_owned()) },
        Some(FaultKind::Reset) => Answer { cut: Cut::Nothing, ..answer },
        Some(FaultKind::Truncate) => Answer { cut: Cut::Half, ..answer },
        Some(FaultKind::Slow) => Answer { delay: SLOW, ..answer },
        Some(FaultKind::Status(_) | FaultKind::Expired | FaultKind::OtherDate | FaultKind::NoBypass) | None => answer,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutBody {
    #[serde(rename = "bypassMFAEnabledUntil")]
    until: String,
}

/// The end date that a PUT asks for: "the date format used in the example is the only date format that can be used".
fn asked_until(request: &Request, date: DateTime<Utc>) -> Result<BypassUntil, Box<Answer>> {
    if media_type(request) != "application/json" {
        return Err(Box::new(Answer::refusal(415, "REQUEST_FAILED", "The content type is not supported.")));
    }
    let invalid = |message: &str| Box::new(Answer::invalid("bypassMFAEnabledUntil", message));
    let body: PutBody = serde_json::from_slice(request.body()).map_err(|_| invalid("The body is not as documented."))?;
    let read = DateTime::parse_from_rfc3339(&body.until).ok().and_then(|at| BypassUntil::from_instant(at.to_utc()));
    match read {
        Some(until) if until.to_string() != body.until => Err(invalid("The date is not of the form yyyy-MM-ddTHH:mm:ss.SSSZ.")),
        Some(until) if until.instant() <= date => Err(invalid("The date is not in the future.")),
        Some(until) => Ok(until),
        None => Err(invalid("The value is not a date.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers to requests for the first user's bypass, at these seconds after the start.
    fn answers(calls: &[(&str, &str, i64)]) -> Vec<(u16, serde_json::Value)> {
        let mut machine = Machine::new(SandboxConfig::default(), "http://127.0.0.1:1");
        let (now, start) = (Instant::now(), DateTime::from_timestamp(1_800_000_000, 0).expect("in range"));
        let token = machine.application.issue(Duration::from_secs(3600), now);
        let path = format!("/v1/environments/{}/users/{}/bypassMFA", machine.application.environment, machine.directory.user_id(0));
        let mut answer = |&(method, until, seconds): &(&str, &str, i64)| {
            let request = hyper::Request::builder()
                .method(method)
                .uri(&path)
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "application/json")
                .body(format!(r#"{{"bypassMFAEnabledUntil":"{until}"}}"#).into())
                .expect("a request");
            let answer = machine.answer(&request, now, start + chrono::TimeDelta::seconds(seconds));
            (answer.status, serde_json::from_str(&answer.body).expect("JSON"))
        };
        calls.iter().map(&mut answer).collect()
    }

    #[test]
    fn an_expired_bypass_has_no_fields_and_a_past_date_is_refused() {
        // The start is 2027-01-15T08:00:00Z.
        let near = "2027-01-15T08:01:00.000Z";
        let found = answers(&[("PUT", near, 0), ("GET", "", 59), ("GET", "", 60), ("PUT", near, 60), ("GET", "", 60)]);
        assert_eq!((found[0].0, &found[0].1["bypassMFAEnabledUntil"]), (200, &near.into()));
        assert_eq!((found[1].0, &found[1].1["canBypassMFA"]), (200, &true.into()));
        for after in [&found[2], &found[4]] {
            assert!(after.0 == 200 && after.1.as_object().is_some_and(|body| body.keys().eq(["_links"])), "{after:?}");
        }
        assert_eq!((found[3].0, &found[3].1["code"]), (400, &"INVALID_DATA".into()));
        assert_eq!(found[3].1["details"][0]["target"], "bypassMFAEnabledUntil");
    }
}
