//! Classifies the reply to a request for a user: one table of statuses, and one parser of bodies.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::{Answer, Reply};
use super::transport::Call;
use crate::domain::{BypassUntil, Detail, UserId};

/// What the status alone says. "Specific error codes within a class are subject to change", so the body is reported and decides
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Success; the body has the result.
    Answered,
    /// The token has expired or is bad: it is renewed once for all requests, and the request is retried.
    Unauthorized,
    /// There is no such user or environment.
    NotFound,
    /// Too many requests: all requests wait, and this one is retried.
    Throttled,
    /// A fault that may pass. A retry is safe: a GET changes nothing, and a PUT sets an absolute date, so that sending it twice
    /// equals sending it once. (`end` must never grant a bypass, so it sends a GET before each PUT.)
    Transient,
    /// A refusal that a retry cannot fix.
    Refused,
}

/// The table of statuses. Source: platform/reference/error-codes and retry-best-practices.
pub(crate) fn class(status: u16) -> Class {
    match status {
        200..=299 => Class::Answered,
        401 => Class::Unauthorized,
        404 => Class::NotFound,
        429 => Class::Throttled,
        // A CDN or a gateway also sends undocumented ones (507, 520 to 526), which pass as well.
        408 | 500..=599 => Class::Transient,
        _ => Class::Refused,
    }
}

/// Whether an answer with this status proves that the request was not applied: PingOne examined it and rejected it. Any other
/// error may come from a gateway, or from a server that failed after applying the request.
fn says_not_applied(status: u16) -> bool {
    matches!(status, 400 | 401 | 403 | 404 | 429)
}

/// A user's bypass, as PingOne reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BypassStatus {
    pub(crate) can_bypass: bool,
    pub(crate) until: Option<BypassUntil>,
}

/// What a reply means for its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Answered {
        status: u16,
        bypass: BypassStatus,
    },
    NotFound(Detail),
    /// A retry cannot help.
    Refused {
        detail: Detail,
        may_have_been_applied: bool,
    },
    Unauthorized(Detail),
    /// Not applied: all requests must wait, for this long if the server said.
    Throttled {
        wait: Option<Duration>,
        detail: Detail,
    },
    /// A retry may help.
    Faulted {
        fault: Detail,
        retry_after: Option<Duration>,
        may_have_been_applied: bool,
    },
}

impl Verdict {
    /// Applies `change` to each text from the server.
    pub(crate) fn map_texts(self, change: impl Fn(String) -> String) -> Self {
        match self {
            Self::Answered { .. } => self,
            Self::NotFound(detail) => Self::NotFound(detail.map(change)),
            Self::Refused { detail, may_have_been_applied } => Self::Refused { detail: detail.map(change), may_have_been_applied },
            Self::Unauthorized(detail) => Self::Unauthorized(detail.map(change)),
            Self::Throttled { wait, detail } => Self::Throttled { wait, detail: detail.map(change) },
            Self::Faulted { fault, retry_after, may_have_been_applied } => {
                Self::Faulted { fault: fault.map(change), retry_after, may_have_been_applied }
            }
        }
    }
    /// Whether PingOne gave no usable answer.
    pub(crate) fn is_fault(&self) -> bool {
        self.fault().is_some()
    }

    /// Why there is no usable answer.
    pub(crate) fn fault(&self) -> Option<&Detail> {
        match self {
            Self::Faulted { fault, .. } => Some(fault),
            Self::Answered { .. } | Self::NotFound(_) | Self::Refused { .. } | Self::Unauthorized(_) | Self::Throttled { .. } => None,
        }
    }
}

/// Classifies the `reply` to `call`.
pub(crate) fn classify(call: Call, reply: &Reply) -> Verdict {
    let changes = call.changes();
    let answer = match reply {
        Ok(answer) => answer,
        Err(fault) => {
            return Verdict::Faulted {
                fault: Detail::own(None, fault.what.clone()),
                retry_after: None,
                may_have_been_applied: changes && fault.may_have_arrived,
            };
        }
    };
    let status = answer.status;
    let may_have_been_applied = changes && !says_not_applied(status);
    let faulted = |fault| Verdict::Faulted { fault, retry_after: answer.retry_after, may_have_been_applied };
    if let Err(why) = &answer.body {
        // Status or not: an answer that broke off is none.
        return faulted(Detail::own(Some(status), why.clone()));
    }
    match class(status) {
        Class::Answered => match bypass_status(answer, call.user()) {
            Ok(bypass) => Verdict::Answered { status, bypass },
            Err(why) => faulted(Detail::own(Some(status), why)),
        },
        Class::Unauthorized => Verdict::Unauthorized(error_detail(answer).0),
        // A 404 that is not of PingOne's own form is of another thing: a wrong path, or a proxy.
        Class::NotFound => match error_detail(answer) {
            (detail, true) => Verdict::NotFound(detail),
            (detail, false) => Verdict::Refused { detail, may_have_been_applied },
        },
        Class::Throttled => Verdict::Throttled { wait: answer.retry_after, detail: error_detail(answer).0 },
        Class::Transient => faulted(error_detail(answer).0),
        Class::Refused => Verdict::Refused { detail: error_detail(answer).0, may_have_been_applied },
    }
}

/// The body of the answer to both calls. A user without a bypass has neither field, so their absence is an answer.
#[derive(Deserialize)]
struct BypassBody {
    #[serde(rename = "canBypassMFA")]
    can_bypass: Option<bool>,
    #[serde(rename = "bypassMFAEnabledUntil")]
    until: Option<String>,
    #[serde(rename = "_links")]
    links: Option<BypassLinks>,
}

/// The links in an answer: to itself, and to its user.
#[derive(Deserialize)]
struct BypassLinks {
    #[serde(rename = "self")]
    own: Option<Link>,
    user: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: Option<String>,
}

impl BypassBody {
    /// The users in the links.
    fn users(&self) -> impl Iterator<Item = UserId> {
        let links = self.links.iter().flat_map(|links| [&links.own, &links.user]).flatten();
        links.filter_map(|link| user_in(link.href.as_deref()?))
    }
}

/// The user in a URL of the form `…/users/ID…`.
fn user_in(href: &str) -> Option<UserId> {
    let (_, after) = href.rsplit_once("/users/")?;
    after.split(['/', '?', '#']).next()?.parse().ok()
}

/// Reads the bypass status of `user`. An answer with neither field means that there is no bypass, so it must be certain that the
/// answer comes from this endpoint and is about this user. A maintenance page in JSON does not qualify.
fn bypass_status(answer: &Answer, user: UserId) -> Result<BypassStatus, String> {
    let body: BypassBody = object_in(answer, "the answer")?;
    if body.users().any(|named| named != user) {
        return Err("the answer is about another user".to_owned());
    }
    if body.can_bypass.is_none() && body.until.is_none() && body.users().next().is_none() {
        return Err("the answer has neither canBypassMFA nor bypassMFAEnabledUntil, and no link to this user".to_owned());
    }
    let read = |text: &String| BypassUntil::read(text).ok_or("the answer's bypassMFAEnabledUntil is not a date-time");
    let until = body.until.as_ref().map(read).transpose()?;
    match body.can_bypass {
        Some(can_bypass) => Ok(BypassStatus { can_bypass, until }),
        None if until.is_none() => Ok(BypassStatus { can_bypass: false, until }),
        None => Err("the answer has a bypassMFAEnabledUntil, but no canBypassMFA".to_owned()),
    }
}

/// The JSON object that an answer consists of; `what` names it in messages.
pub(super) fn object_in<T: DeserializeOwned>(answer: &Answer, what: &str) -> Result<T, String> {
    let body = answer.body.as_deref().map_err(Clone::clone)?;
    // Serde would read an array as a struct.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err("the answer is not a JSON object".to_owned());
    }
    // Serde's messages may quote the body, and with it whatever the server echoes.
    serde_json::from_slice(body).map_err(|error| format!("{what} cannot be read (line {}, column {})", error.line(), error.column()))
}

/// The contents of an error body, and whether it has PingOne's form. Each part is read separately, so that a malformed one does
/// not hide the others. The texts are not cut yet: see [`Detail::map`].
pub(crate) fn error_detail(answer: &Answer) -> (Detail, bool) {
    let status = answer.status;
    let body: Value = answer.body.as_ref().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    let (code, message, id) = (text(&body, "code"), text(&body, "message"), text(&body, "id"));
    if code.is_none() && (message.is_none() || id.is_none()) {
        // A gateway's own words say what it takes offence at.
        let said = message.map(|message| format!(": {message}")).unwrap_or_default();
        let detail = Detail::own(Some(status), format!("the answer has no error body of PingOne's{said}"));
        return (Detail { correlation: answer.correlation.clone(), ..detail }, false);
    }
    let details = body.get("details").and_then(Value::as_array).into_iter().flatten();
    let parts: Vec<String> = message.into_iter().chain(details.filter_map(detail_text)).collect();
    let said = |text: Option<String>| text.unwrap_or_default().into();
    let correlation = answer.correlation.clone();
    (Detail { status: Some(status), code: said(code), message: parts.join("; ").into(), id: said(id), correlation }, true)
}

fn detail_text(detail: &Value) -> Option<String> {
    let said = text(detail, "message").or_else(|| text(detail, "code"))?;
    Some(match text(detail, "target") {
        Some(target) => format!("{target}: {said}"),
        None => said,
    })
}

/// The string in a field of an object; a number is returned as a string.
pub(super) fn text(object: &Value, name: &str) -> Option<String> {
    text_in(object.get(name)?)
}

/// A string, or a number as a string.
pub(super) fn text_in(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
