//! Requests and answers of the machine.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{AsHeaderName, CONTENT_TYPE};
use serde_json::json;
use uuid::Uuid;

/// The header of a request's own ID.
pub(super) const TRANSACTION: &str = "x-ping-external-transaction-id";
/// The header of the ID of its run.
pub(super) const SESSION: &str = "x-ping-external-session-id";

/// A request whose body has arrived.
pub(super) type Request = hyper::Request<Bytes>;

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

/// The text of a header; `None` if it has characters beyond ASCII.
pub(super) fn header(request: &Request, name: impl AsHeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}

/// A value of the query.
pub(super) fn query_value(request: &Request, name: &str) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The content type without its parameters, in lower case.
pub(super) fn media_type(request: &Request) -> String {
    let content_type = header(request, CONTENT_TYPE).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
