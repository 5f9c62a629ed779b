//! Authenticates the worker application, and issues and checks its tokens.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::SandboxConfig;
use super::directory::made_id;
use super::faults::drawn;
use super::message::{Answer, Request};
use crate::domain::EnvironmentId;

/// A younger token is not revoked: no server's tokens end as soon as they begin.
const YOUNG: Duration = Duration::from_secs(1);

/// The only worker application.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) environment: EnvironmentId,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    basic: bool,
    post: bool,
}

/// The environment of a sandbox with this seed.
pub(super) fn environment_of(seed: u64) -> EnvironmentId {
    made_id(seed, "environment", 0).into()
}

impl Application {
    pub(super) fn new(config: &SandboxConfig) -> Self {
        let seed = config.seed;
        Self {
            environment: environment_of(seed),
            client_id: made_id(seed, "client", 0).to_string(),
            client_secret: format!("sandbox-secret-{}", made_id(seed, "secret", 0).simple()),
            basic: config.basic,
            post: config.post,
        }
    }

    /// Whether the request carries the application's credentials in exactly one of the two ways.
    fn sent(&self, request: &Request, form: &HashMap<String, String>) -> bool {
        let Self { client_id, client_secret, .. } = self;
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{client_id}:{client_secret}")));
        match (&request.authorization, form.get("client_id"), form.get("client_secret")) {
            (Some(sent), None, None) => self.basic && *sent == basic,
            (None, Some(id), Some(secret)) => self.post && id == client_id && secret == client_secret,
            _ => false,
        }
    }
}

/// The valid tokens, and the generator of new ones.
#[derive(Debug)]
pub(super) struct Tokens {
    seed: u64,
    lifetime: Duration,
    good: HashMap<String, Issued>,
    issued: u64,
}

/// When a token was issued, and when it expires.
#[derive(Debug, Clone, Copy)]
struct Issued {
    at: Instant,
    expires: Instant,
}

impl Tokens {
    pub(super) fn new(config: &SandboxConfig) -> Self {
        Self { seed: config.seed, lifetime: config.token_lifetime, good: HashMap::new(), issued: 0 }
    }

    /// The token of `request`, if it is valid.
    pub(super) fn carried_by(&self, request: &Request, now: Instant) -> Option<String> {
        let token = request.authorization.as_ref()?.strip_prefix("Bearer ")?;
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
    pub(super) fn answer(&mut self, request: &Request, environment: &str, application: &Application, now: Instant) -> Answer {
        let oauth = |status, error: &str, why: &str| Answer::new(status, json!({"error": error, "error_description": why}).to_string());
        if request.method != "POST" {
            return Answer::refusal(405, "REQUEST_FAILED", "The method is not allowed.");
        }
        if request.media_type() != "application/x-www-form-urlencoded" {
            return Answer::refusal(415, "REQUEST_FAILED", "The content type is not supported.");
        }
        let form: HashMap<String, String> = form_urlencoded::parse(&request.body).into_owned().collect();
        if form.get("grant_type").map(String::as_str) != Some("client_credentials") {
            return oauth(400, "unsupported_grant_type", "The grant type is not client_credentials.");
        }
        let known = environment.parse() == Ok(application.environment);
        if !known || !application.sent(request, &form) {
            return oauth(401, "invalid_client", "Request denied: Unsupported authentication method or unknown client.");
        }
        let token = self.issue(self.lifetime, now);
        let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime.as_secs()});
        Answer::new(200, body.to_string())
    }
}
