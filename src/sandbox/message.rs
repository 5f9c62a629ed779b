//! Requests and answers of the machine.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

/// The parts of a request that the machine uses.
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

/// An answer, and what happens to it on the way.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    /// Its `Correlation-Id`.
    pub(super) correlation: String,
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
    pub(super) fn new(status: u16, body: String) -> Self {
        let correlation = Uuid::new_v4().to_string();
        Self { status, retry_after: None, correlation, body, html: false, delay: Duration::ZERO, cut: Cut::Whole, faulted: false }
    }

    fn error(status: u16, code: &str, message: &str, details: &serde_json::Value) -> Self {
        let body = json!({"id": Uuid::new_v4().to_string(), "code": code, "message": message, "details": details});
        Self::new(status, body.to_string())
    }

    pub(super) fn refusal(status: u16, code: &str, message: &str) -> Self {
        Self::error(status, code, message, &json!([]))
    }

    pub(super) fn invalid(target: &str, message: &str) -> Self {
        let details = json!([{"code": "INVALID_VALUE", "target": target, "message": message}]);
        Self::error(400, "INVALID_DATA", "The request could not be completed. One or more validation errors were in the request.", &details)
    }

    pub(super) fn unauthorized() -> Self {
        Self::refusal(401, "INVALID_TOKEN", "The access token is missing, unknown or expired.")
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::refusal(404, "NOT_FOUND", &format!("The requested {what} was not found."))
    }
}

impl Request {
    /// A value of the query.
    pub(super) fn query_value(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The content type without its parameters, in lower case.
    pub(super) fn media_type(&self) -> String {
        let content_type = self.content_type.as_deref().unwrap_or_default();
        content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}
