//! How does PingOne answer? Pure: a request and the time in, an answer out.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::directory::{Directory, Listed, made_id};
use super::faults::{FaultKind, drawn};
use super::filter::Filter;
use super::{SandboxConfig, USERS};
use crate::domain::{BypassUntil, EnvironmentId, UserId};

/// The most of a page of users. Source: paging-ordering-filtering-collections.
const MOST_ON_A_PAGE: u64 = 200;
/// The most bytes of a request's headers. Source: the same.
const MOST_HEADERS: usize = 6 << 10;
/// The most characters of a correlation ID. Source: external-transaction-and-session-ids.
const MOST_OF_AN_ID: usize = 100;
/// How much longer a slow answer takes.
const SLOW: Duration = Duration::from_secs(2);

/// A request, as far as the machine looks at it.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) authorization: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) transaction: String,
    pub(super) session: String,
    pub(super) headers: usize,
    pub(super) body: Vec<u8>,
}

/// An answer, and what becomes of it on the way.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<u64>,
    pub(super) body: String,
    pub(super) html: bool,
    pub(super) delay: Duration,
    pub(super) cut: Cut,
    pub(super) faulted: bool,
}

/// How much of an answer arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Whole,
    Half,
    Nothing,
}

impl Answer {
    fn new(status: u16, body: String) -> Self {
        Self {
            status,
            retry_after: None,
            body,
            html: false,
            delay: Duration::ZERO,
            cut: Cut::Whole,
            faulted: false,
        }
    }

    fn error(status: u16, code: &str, message: &str, details: &serde_json::Value) -> Self {
        let body = json!({"id": Uuid::new_v4().to_string(), "code": code, "message": message, "details": details});
        Self::new(status, body.to_string())
    }

    fn refusal(status: u16, code: &str, message: &str) -> Self {
        Self::error(status, code, message, &json!([]))
    }

    fn invalid(target: &str, message: &str) -> Self {
        let details = json!([{"code": "INVALID_VALUE", "target": target, "message": message}]);
        Self::error(
            400,
            "INVALID_DATA",
            "The request could not be completed. One or more validation errors were in the request.",
            &details,
        )
    }

    fn limited() -> Self {
        let answer = Self::refusal(429, "REQUEST_LIMITED", "The request rate has been exceeded.");
        Self {
            retry_after: Some(1),
            ..answer
        }
    }

    fn unauthorized() -> Self {
        Self::refusal(401, "INVALID_TOKEN", "The access token is missing, unknown or expired.")
    }

    fn not_found(what: &str) -> Self {
        Self::refusal(404, "NOT_FOUND", &format!("The requested {what} was not found."))
    }
}

/// The one worker application.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) environment: EnvironmentId,
    pub(super) client_id: String,
    pub(super) client_secret: String,
}

/// The sandbox's state.
#[derive(Debug)]
pub(super) struct Machine {
    config: SandboxConfig,
    origin: String,
    pub(super) application: Application,
    pub(super) directory: Directory,
    pub(super) started: Instant,
    tokens: HashMap<String, Instant>,
    issued: u64,
    recent: VecDeque<Instant>,
}

impl Machine {
    pub(super) fn new(config: SandboxConfig, origin: &str) -> Self {
        let seed = config.seed;
        let application = Application {
            environment: made_id(seed, "environment", 0).into(),
            client_id: made_id(seed, "client", 0).to_string(),
            client_secret: format!("sandbox-secret-{}", made_id(seed, "secret", 0).simple()),
        };
        let directory = Directory::new(seed, config.users.unwrap_or(USERS), config.users.is_none(), Utc::now());
        Self {
            config,
            origin: origin.to_owned(),
            application,
            directory,
            started: Instant::now(),
            tokens: HashMap::new(),
            issued: 0,
            recent: VecDeque::new(),
        }
    }

    /// The answer to `request`, which arrived `now`.
    pub(super) fn answer(&mut self, request: &Request, now: Instant, date: DateTime<Utc>) -> Answer {
        let segments: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        if let [environment, "as", "token"] = segments[..] {
            return self.token(request, environment, now);
        }
        if self.is_over_the_limit(now) {
            return Answer::limited();
        }
        if request.headers > MOST_HEADERS {
            return Answer::refusal(431, "REQUEST_FAILED", "The request's headers are larger than 6 KB.");
        }
        if [&request.transaction, &request.session]
            .into_iter()
            .any(|id| id.chars().count() > MOST_OF_AN_ID)
        {
            return Answer::refusal(400, "INVALID_REQUEST", "A correlation ID is longer than 100 characters.");
        }
        let Some(token) = self.good_token(request, now) else {
            return Answer::unauthorized();
        };
        let ["v1", "environments", environment, rest @ ..] = &segments[..] else {
            return Answer::not_found("resource");
        };
        if environment.parse() != Ok(self.application.environment) {
            return Answer::not_found("environment");
        }
        match (request.method.as_str(), rest) {
            ("GET", []) => self.environment(),
            ("GET", ["users"]) => self.users(request),
            (method @ ("GET" | "PUT"), ["users", user, "bypassMFA"]) => match user.parse() {
                Ok(user) if self.directory.knows(user) => self.bypass(method == "PUT", user, request, &token, date),
                Ok(_) | Err(_) => Answer::not_found("user"),
            },
            (_, [] | ["users"] | ["users", _, "bypassMFA"]) => Answer::refusal(405, "REQUEST_FAILED", "The method is not allowed."),
            _ => Answer::not_found("resource"),
        }
    }

    /// Whether another request would be more than the limit within the last second.
    fn is_over_the_limit(&mut self, now: Instant) -> bool {
        let Some(limit) = self.config.rate_limit else {
            return false;
        };
        while self
            .recent
            .front()
            .is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(1))
        {
            self.recent.pop_front();
        }
        let over = self.recent.len() >= limit as usize;
        if !over {
            self.recent.push_back(now);
        }
        over
    }

    fn good_token(&self, request: &Request, now: Instant) -> Option<String> {
        let token = request.authorization.as_ref()?.strip_prefix("Bearer ")?;
        self.tokens.get(token).filter(|expires| now < **expires).map(|_| token.to_owned())
    }

    pub(super) fn issue_token(&mut self, lifetime: Duration, now: Instant) -> String {
        self.issued += 1;
        let bits = drawn(self.config.seed, "token", &[self.issued]);
        let token = format!(
            "sandbox-token-{}",
            BASE64_STANDARD.encode(bits).trim_end_matches('=').replace(['+', '/'], "-")
        );
        self.tokens.retain(|_, expires| *expires > now);
        self.tokens.insert(token.clone(), now + lifetime);
        token
    }

    fn token(&mut self, request: &Request, environment: &str, now: Instant) -> Answer {
        let oauth = |status, error: &str, why: &str| Answer::new(status, json!({"error": error, "error_description": why}).to_string());
        if request.method != "POST" {
            return Answer::refusal(405, "REQUEST_FAILED", "The method is not allowed.");
        }
        if media_type(request) != "application/x-www-form-urlencoded" {
            return Answer::refusal(415, "REQUEST_FAILED", "The content type is not supported.");
        }
        let form: HashMap<String, String> = form_urlencoded::parse(&request.body).into_owned().collect();
        if form.get("grant_type").map(String::as_str) != Some("client_credentials") {
            return oauth(400, "unsupported_grant_type", "The grant type is not client_credentials.");
        }
        let known = environment.parse() == Ok(self.application.environment);
        if !known || !self.is_the_application(request, &form) {
            return oauth(
                401,
                "invalid_client",
                "Request denied: Unsupported authentication method or unknown client.",
            );
        }
        let lifetime = self.config.token_lifetime;
        let token = self.issue_token(lifetime, now);
        let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": lifetime.as_secs()});
        Answer::new(200, body.to_string())
    }

    fn is_the_application(&self, request: &Request, form: &HashMap<String, String>) -> bool {
        let Application {
            client_id, client_secret, ..
        } = &self.application;
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{client_id}:{client_secret}")));
        match (&request.authorization, form.get("client_id"), form.get("client_secret")) {
            (Some(sent), None, None) => self.config.basic && *sent == basic,
            (None, Some(id), Some(secret)) => self.config.post && id == client_id && secret == client_secret,
            _ => false,
        }
    }

    fn environment(&self) -> Answer {
        let id = self.application.environment.to_string();
        let href = format!("{}/v1/environments/{id}", self.origin);
        let body = json!({"_links": {"self": {"href": href}}, "id": id, "name": "Sandbox", "type": "SANDBOX", "region": "NA"});
        Answer::new(200, body.to_string())
    }

    fn users(&self, request: &Request) -> Answer {
        let query: HashMap<_, _> = form_urlencoded::parse(request.query.as_bytes()).collect();
        let limit = match query.get("limit").map(|limit| limit.parse::<u64>()) {
            None => MOST_ON_A_PAGE,
            Some(Ok(limit)) if limit > 0 => limit.min(MOST_ON_A_PAGE),
            Some(_) => return Answer::invalid("limit", "The limit is not a positive number."),
        };
        let filter = match query.get("filter").map(|text| Filter::read(text)).transpose() {
            Ok(filter) => filter,
            Err(why) => return Answer::invalid("filter", &format!("The filter is not valid: {why}.")),
        };
        let from = match query.get("cursor").map(|cursor| u64::from_str_radix(cursor, 16)) {
            None => 0,
            Some(Ok(from)) => from,
            Some(Err(_)) => return Answer::invalid("cursor", "The cursor is not valid."),
        };
        let selects = |user: &Listed| filter.as_ref().is_none_or(|filter| filter.selects(user));
        let all = || {
            (0..self.directory.len())
                .map(|index| (index, self.directory.listed(index)))
                .filter(|(_, user)| selects(user))
        };
        let mut page: Vec<_> = all()
            .skip_while(|(index, _)| *index < from)
            .take(usize::try_from(limit + 1).unwrap_or(usize::MAX))
            .collect();
        let next = if page.len() as u64 > limit {
            page.pop().map(|(index, _)| index)
        } else {
            None
        };
        let users: Vec<_> = page.iter().map(|(_, user)| self.shown(user)).collect();
        let base = format!("{}/v1/environments/{}/users", self.origin, self.application.environment);
        let mut links = json!({"self": {"href": base}});
        if let Some(next) = next {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("limit", &limit.to_string());
            if let Some(filter) = query_value(request, "filter") {
                query.append_pair("filter", &filter);
            }
            links["next"] = json!({"href": format!("{base}?{}", query.append_pair("cursor", &format!("{next:x}")).finish())});
        }
        let body = json!({"_links": links, "_embedded": {"users": users}, "count": all().count(), "size": users.len()});
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

    fn bypass(&mut self, puts: bool, user: UserId, request: &Request, token: &str, date: DateTime<Utc>) -> Answer {
        let nth = self.directory.count_request(user);
        let fault = self.config.faults.of(self.config.seed, user, nth);
        let mut answer = self.bypass_with(puts, user, request, token, date, fault);
        answer.faulted = fault.is_some();
        answer
    }

    fn bypass_with(
        &mut self,
        puts: bool,
        user: UserId,
        request: &Request,
        token: &str,
        date: DateTime<Utc>,
        fault: Option<(FaultKind, bool)>,
    ) -> Answer {
        let (kind, coin) = fault.unzip();
        match kind {
            Some(FaultKind::Status(429)) => return Answer::limited(),
            Some(FaultKind::Status(status)) => return Answer::refusal(status, "UNEXPECTED_ERROR", "A fault of the sandbox's."),
            Some(FaultKind::Expired) => {
                self.tokens.remove(token);
                return Answer::unauthorized();
            }
            Some(
                FaultKind::Html | FaultKind::Reset | FaultKind::Truncate | FaultKind::Slow | FaultKind::OtherDate | FaultKind::NoBypass,
            )
            | None => {}
        }
        let asked = match puts.then(|| asked_until(request, date)).transpose() {
            Ok(asked) => asked,
            Err(refusal) => return *refusal,
        };
        let is_applied = match kind {
            Some(FaultKind::NoBypass) => false,
            Some(FaultKind::Reset) => coin == Some(true),
            _ => true,
        };
        if let Some(until) = asked.filter(|_| is_applied) {
            self.directory.grant(user, until);
        }
        let mut answer = self.bypass_answer(user, kind, date);
        match kind {
            Some(FaultKind::Html) => {
                answer = Answer {
                    html: true,
                    ..Answer::new(502, "<html><h1>502 Bad Gateway</h1></html>".to_owned())
                }
            }
            Some(FaultKind::Reset) => answer.cut = Cut::Nothing,
            Some(FaultKind::Truncate) => answer.cut = Cut::Half,
            Some(FaultKind::Slow) => answer.delay = SLOW,
            _ => {}
        }
        answer
    }

    fn bypass_answer(&self, user: UserId, kind: Option<FaultKind>, date: DateTime<Utc>) -> Answer {
        let href = format!("{}/v1/environments/{}/users/{user}", self.origin, self.application.environment);
        let links = json!({"self": {"href": format!("{href}/bypassMFA")}, "user": {"href": href}});
        let running = self.directory.bypass_of(user).filter(|until| until.instant() > date);
        let body = match (running, kind) {
            (_, Some(FaultKind::NoBypass)) | (None, _) => json!({"_links": links}),
            (Some(until), Some(FaultKind::OtherDate)) => {
                let other = BypassUntil::from_instant(until.instant() - chrono::TimeDelta::days(4)).unwrap_or(until);
                json!({"_links": links, "bypassMFAEnabledUntil": other.to_string(), "canBypassMFA": true})
            }
            (Some(until), _) => json!({"_links": links, "bypassMFAEnabledUntil": until.to_string(), "canBypassMFA": true}),
        };
        Answer::new(200, body.to_string())
    }
}

fn query_value(request: &Request, name: &str) -> Option<String> {
    form_urlencoded::parse(request.query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn media_type(request: &Request) -> String {
    let content_type = request.content_type.as_deref().unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutBody {
    #[serde(rename = "bypassMFAEnabledUntil")]
    until: String,
}

/// The end date that a PUT asks for: "the date format used in the example is the only date format that can
/// be used".
fn asked_until(request: &Request, date: DateTime<Utc>) -> Result<BypassUntil, Box<Answer>> {
    if media_type(request) != "application/json" {
        return Err(Box::new(Answer::refusal(
            415,
            "REQUEST_FAILED",
            "The content type is not supported.",
        )));
    }
    let invalid = |message: &str| Box::new(Answer::invalid("bypassMFAEnabledUntil", message));
    let body: PutBody = serde_json::from_slice(&request.body).map_err(|_| invalid("The body is not as documented."))?;
    let read = DateTime::parse_from_rfc3339(&body.until)
        .ok()
        .and_then(|at| BypassUntil::from_instant(at.to_utc()));
    match read {
        Some(until) if until.to_string() != body.until => Err(invalid("The date is not of the form yyyy-MM-ddTHH:mm:ss.SSSZ.")),
        Some(until) if until.instant() <= date => Err(invalid("The date is not in the future.")),
        Some(until) => Ok(until),
        None => Err(invalid("The value is not a date.")),
    }
}
