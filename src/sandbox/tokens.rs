//! Authenticates the worker application, and issues and checks its tokens.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use hyper::header::AUTHORIZATION;
use serde_json::json;

use super::SandboxConfig;
use super::assertions::{Assertions, NotAccepted};
use super::directory::made_id;
use super::faults::drawn;
use super::message::{Answer, Request, header, media_type};
use crate::domain::EnvironmentId;
use crate::jwt::{CLIENT_ASSERTION_TYPE, Claimed, PublicKey};

/// A younger token is not revoked: no server's tokens end as soon as they begin.
const YOUNG: Duration = Duration::from_secs(1);

/// What a token request carries.
type Form = HashMap<String, String>;

/// The only worker application, and its tokens.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) environment: EnvironmentId,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    /// The token endpoint's URL.
    token_url: String,
    seed: u64,
    basic: bool,
    post: bool,
    key: Option<PublicKey>,
    assertions: Assertions,
    lifetime: Duration,
    /// The valid tokens.
    good: HashMap<String, Issued>,
    issued: u64,
}

/// When a token was issued, and when it expires.
#[derive(Debug, Clone, Copy)]
struct Issued {
    at: Instant,
    expires: Instant,
}

/// The environment of a sandbox with this seed.
pub(super) fn environment_of(seed: u64) -> EnvironmentId {
    made_id(seed, "environment", 0).into()
}

impl Application {
    pub(super) fn new(config: &SandboxConfig, origin: &str) -> Self {
        let seed = config.seed;
        let environment = environment_of(seed);
        Self {
            environment,
            token_url: format!("{origin}/{environment}/as/token"),
            client_id: made_id(seed, "client", 0).to_string(),
            client_secret: format!("sandbox-secret-{}", made_id(seed, "secret", 0).simple()),
            seed,
            basic: config.basic,
            post: config.post,
            key: config.client_key.clone(),
            assertions: Assertions::default(),
            lifetime: config.token_lifetime,
            good: HashMap::new(),
            issued: 0,
        }
    }

    /// Checks that the request carries the application's credentials in exactly one way, which the application uses.
    fn check(&mut self, request: &Request, form: &Form, date: DateTime<Utc>) -> Result<(), NotAccepted> {
        let Self { client_id, client_secret, .. } = &*self;
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{client_id}:{client_secret}")));
        let good = |is_method: bool, is_right: bool| match (is_method, is_right) {
            (false, _) => Err(NotAccepted::Method),
            (true, false) => Err(NotAccepted::Client),
            (true, true) => Ok(()),
        };
        match (header(request, AUTHORIZATION), form.get("client_id"), form.get("client_secret"), form.get("client_assertion")) {
            (Some(sent), None, None, None) => good(self.basic, sent == basic),
            (None, Some(id), Some(secret), None) => good(self.post, id == client_id && secret == client_secret),
            (None, id, None, Some(assertion)) if id.is_none_or(|id| id == client_id) => self.check_assertion(assertion, form, date),
            _ => Err(NotAccepted::Client),
        }
    }

    fn check_assertion(&mut self, assertion: &str, form: &Form, date: DateTime<Utc>) -> Result<(), NotAccepted> {
        let key = self.key.as_ref().ok_or(NotAccepted::Method)?;
        if form.get("client_assertion_type").map(String::as_str) != Some(CLIENT_ASSERTION_TYPE) {
            return Err(NotAccepted::Assertion("its type is not jwt-bearer".to_owned()));
        }
        // The token endpoint or the issuer.
        let audiences = [self.token_url.as_str(), self.token_url.trim_end_matches("/token")];
        let claims = key.verify(assertion, &Claimed { issuer: &self.client_id, audiences }).map_err(NotAccepted::Assertion)?;
        self.assertions.check(claims, date)
    }

    /// The token of `request`, if it is valid.
    pub(super) fn carried_by(&self, request: &Request, now: Instant) -> Option<String> {
        let token = header(request, AUTHORIZATION)?.strip_prefix("Bearer ")?;
        self.good.get(token).filter(|issued| now < issued.expires).map(|_| token.to_owned())
    }

    /// Revokes `token`, unless it is young. Returns whether it did.
    pub(super) fn revoke(&mut self, token: &str, now: Instant) -> bool {
        let old = self.good.get(token).is_some_and(|issued| now.duration_since(issued.at) >= YOUNG);
        old && self.good.remove(token).is_some()
    }

    pub(super) fn issue(&mut self, lifetime: Duration, now: Instant) -> String {
        self.issued += 1;
        let bits = drawn(self.seed, "token", &[self.issued]);
        let text = BASE64_STANDARD.encode(bits).replace(['+', '/'], "-");
        let token = format!("sandbox-token-{}", text.trim_end_matches('='));
        self.good.retain(|_, issued| issued.expires > now);
        self.good.insert(token.clone(), Issued { at: now, expires: now + lifetime });
        token
    }

    /// The token endpoint's answer. An application of another environment is refused in the same way as a wrong secret.
    pub(super) fn answer(&mut self, request: &Request, environment: &str, now: Instant, date: DateTime<Utc>) -> Answer {
        let oauth = |status, error: &str, why: &str| Answer::new(status, json!({"error": error, "error_description": why}).to_string());
        if request.method() != "POST" {
            return Answer::refusal(405, "REQUEST_FAILED", "The method is not allowed.");
        }
        if media_type(request) != "application/x-www-form-urlencoded" {
            return Answer::refusal(415, "REQUEST_FAILED", "The content type is not supported.");
        }
        let form: Form = form_urlencoded::parse(request.body()).into_owned().collect();
        if form.get("grant_type").map(String::as_str) != Some("client_credentials") {
            return oauth(400, "unsupported_grant_type", "The grant type is not client_credentials.");
        }
        let known = environment.parse() == Ok(self.environment);
        let checked = self.check(request, &form, date);
        if let Err(why) = checked.and_then(|()| known.then_some(()).ok_or(NotAccepted::Client)) {
            return oauth(401, "invalid_client", &why.to_string());
        }
        let token = self.issue(self.lifetime, now);
        let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime.as_secs()});
        Answer::new(200, body.to_string())
    }
}
