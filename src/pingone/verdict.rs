//! What does a reply mean for its row? One table of statuses, and one reader of bodies.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::wire::{Answer, Call, Reply};
use crate::domain::{BypassUntil, ForeignText};

/// What the status alone says. "Specific error codes within a class are subject to change": the body is
/// reported, and decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The body tells.
    Answered,
    /// The token is expired or bad: one fresh one for all, and again.
    Unauthorized,
    /// Nothing there.
    NotFound,
    /// Too many requests: everybody waits, and again.
    Throttled,
    /// A fault that may pass. To try again is safe: a GET changes nothing, and a PUT sets an absolute
    /// date, so that sending it twice is the same as sending it once. (Who ends a bypass must not give one:
    /// there a GET comes before each PUT.)
    Transient,
    /// A refusal that trying again cannot mend.
    Refused,
}

/// The one table of statuses. Source: platform/reference/error-codes and retry-best-practices.
pub(crate) fn class(status: u16) -> Class {
    match status {
        200..=299 => Class::Answered,
        401 => Class::Unauthorized,
        404 => Class::NotFound,
        429 => Class::Throttled,
        408 | 500 | 502 | 503 | 504 => Class::Transient,
        _ => Class::Refused,
    }
}

/// Whether an answer of this status comes from a gateway that got none from PingOne: what it passed on may
/// have been carried out. A 500 or 503 says that it was not.
fn is_from_between(status: u16) -> bool {
    matches!(status, 502 | 504)
}

/// What is known of a user's bypass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BypassStatus {
    pub(crate) can_bypass: bool,
    pub(crate) until: Option<BypassUntil>,
}

/// What the server or the network said, for the report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(crate) status: Option<u16>,
    pub(crate) code: ForeignText,
    pub(crate) message: ForeignText,
    /// PingOne's own `id` of the fault, to be found in its logs.
    pub(crate) id: ForeignText,
}

impl Detail {
    /// The detail with each text changed, and then cut: a secret is looked for in the whole of it.
    pub(crate) fn map(self, change: impl Fn(String) -> String) -> Self {
        Self { status: self.status, code: self.code.map(&change), message: self.message.map(&change), id: self.id.map(&change) }
    }

    /// A detail in words of our own.
    pub(crate) fn own(status: Option<u16>, message: String) -> Self {
        Self { status, message: message.into(), ..Self::default() }
    }
}

/// What a reply means for its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The server told the user's status.
    Answered {
        status: u16,
        bypass: BypassStatus,
    },
    NotFound(Detail),
    Refused(Detail),
    Unauthorized(Detail),
    /// Not carried out: everybody is to wait, so long if the server said.
    Throttled {
        wait: Option<Duration>,
        detail: Detail,
    },
    /// Trying again may help.
    Faulted {
        fault: Detail,
        retry_after: Option<Duration>,
        may_have_been_applied: bool,
    },
}

impl Verdict {
    /// The verdict with each text of the server's changed.
    pub(crate) fn map_texts(self, change: impl Fn(String) -> String) -> Self {
        match self {
            Self::Answered { .. } => self,
            Self::NotFound(detail) => Self::NotFound(detail.map(change)),
            Self::Refused(detail) => Self::Refused(detail.map(change)),
            Self::Unauthorized(detail) => Self::Unauthorized(detail.map(change)),
            Self::Throttled { wait, detail } => Self::Throttled { wait, detail: detail.map(change) },
            Self::Faulted { fault, retry_after, may_have_been_applied } => {
                Self::Faulted { fault: fault.map(change), retry_after, may_have_been_applied }
            }
        }
    }

    /// Whether there was no answer of PingOne's, or only that it cannot answer.
    pub(crate) fn is_fault(&self) -> bool {
        match self {
            Self::Faulted { .. } => true,
            Self::Answered { .. } | Self::NotFound(_) | Self::Refused(_) | Self::Unauthorized(_) | Self::Throttled { .. } => false,
        }
    }
}

/// The meaning of the `reply` to `call`.
pub(crate) fn judge(call: Call, reply: &Reply) -> Verdict {
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
    if let Err(why) = &answer.body {
        // Status or not: an answer that broke off is none.
        return Verdict::Faulted {
            fault: Detail::own(Some(status), why.clone()),
            retry_after: answer.retry_after,
            may_have_been_applied: changes && (class(status) == Class::Answered || is_from_between(status)),
        };
    }
    match class(status) {
        Class::Answered => match bypass_status(answer) {
            Ok(bypass) => Verdict::Answered { status, bypass },
            Err(why) => {
                Verdict::Faulted { fault: Detail::own(Some(status), why), retry_after: answer.retry_after, may_have_been_applied: changes }
            }
        },
        Class::Unauthorized => Verdict::Unauthorized(detail(answer).0),
        // A 404 that is not of PingOne's own form is of another thing: a wrong path, or a proxy.
        Class::NotFound => match detail(answer) {
            (detail, true) => Verdict::NotFound(detail),
            (detail, false) => Verdict::Refused(detail),
        },
        Class::Throttled => Verdict::Throttled { wait: answer.retry_after, detail: detail(answer).0 },
        Class::Transient => Verdict::Faulted {
            fault: detail(answer).0,
            retry_after: answer.retry_after,
            may_have_been_applied: changes && is_from_between(status),
        },
        Class::Refused => Verdict::Refused(detail(answer).0),
    }
}

/// What both calls answer with. A user without bypass has neither field: absent is an answer.
#[derive(Deserialize)]
struct BypassBody {
    #[serde(rename = "canBypassMFA")]
    can_bypass: Option<bool>,
    #[serde(rename = "bypassMFAEnabledUntil")]
    until: Option<String>,
}

fn bypass_status(answer: &Answer) -> Result<BypassStatus, String> {
    let body = answer.body.as_deref().map_err(Clone::clone)?;
    // Serde would take an array for a struct.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err("the answer is not a JSON object".to_owned());
    }
    let body: BypassBody = serde_json::from_slice(body).map_err(|error| {
        // Serde's own words may quote the body, and with it whatever the server echoes.
        format!("the answer cannot be read (line {}, column {})", error.line(), error.column())
    })?;
    let until = match &body.until {
        None => None,
        Some(text) => Some(BypassUntil::read(text).ok_or("the answer's bypassMFAEnabledUntil is not a date-time")?),
    };
    match body.can_bypass {
        Some(can_bypass) => Ok(BypassStatus { can_bypass, until }),
        None if until.is_none() => Ok(BypassStatus { can_bypass: false, until }),
        None => Err("the answer has a bypassMFAEnabledUntil, but no canBypassMFA".to_owned()),
    }
}

/// What an error's body says, and whether it has PingOne's form. Each part is read by itself, so that one
/// that is not as documented does not hide the others. The texts are whole: see [`Detail::map`].
pub(crate) fn detail(answer: &Answer) -> (Detail, bool) {
    let status = answer.status;
    let body: Value = answer.body.as_ref().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    let (code, message, id) = (text(&body, "code"), text(&body, "message"), text(&body, "id"));
    if code.is_none() && (message.is_none() || id.is_none()) {
        return (Detail::own(Some(status), "the answer has no error body of PingOne's".to_owned()), false);
    }
    let details = body.get("details").and_then(Value::as_array).into_iter().flatten();
    let parts: Vec<String> = message.into_iter().chain(details.filter_map(detail_text)).collect();
    let said = |text: Option<String>| text.unwrap_or_default().into();
    (Detail { status: Some(status), code: said(code), message: parts.join("; ").into(), id: said(id) }, true)
}

fn detail_text(detail: &Value) -> Option<String> {
    let said = text(detail, "message").or_else(|| text(detail, "code"))?;
    Some(match text(detail, "target") {
        Some(target) => format!("{target}: {said}"),
        None => said,
    })
}

/// A text of an object, or a number as text.
pub(crate) fn text(object: &Value, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pingone::wire::Fault;

    fn get() -> Call {
        Call::Get("7e94b96e-0364-463b-a059-d97d1e4cb1d5".parse().expect("a UUID"))
    }

    fn put() -> Call {
        Call::Put(get().user(), BypassUntil::read("2026-08-31T00:00:00.000Z").expect("a date"))
    }

    #[expect(clippy::unnecessary_wraps, reason = "a reply beside those that are faults")]
    fn answer(status: u16, body: &str) -> Reply {
        Ok(Answer { status, retry_after: None, date: None, body: Ok(body.to_owned().into()) })
    }

    fn is_doubtful(verdict: &Verdict) -> Option<bool> {
        match verdict {
            Verdict::Faulted { may_have_been_applied, .. } => Some(*may_have_been_applied),
            Verdict::Answered { .. }
            | Verdict::NotFound(_)
            | Verdict::Refused(_)
            | Verdict::Unauthorized(_)
            | Verdict::Throttled { .. } => None,
        }
    }

    #[test]
    fn every_status_from_100_to_599_has_its_class() {
        for status in 100..=599 {
            let expected = match status {
                200..300 => Class::Answered,
                401 => Class::Unauthorized,
                404 => Class::NotFound,
                429 => Class::Throttled,
                408 | 500 | 502 | 503 | 504 => Class::Transient,
                100..200 | 300..=400 | 402 | 403 | 405..=407 | 409..=428 | 430..=499 | 501 | 505..=599 => Class::Refused,
                other => unreachable!("{other}"),
            };
            assert_eq!(class(status), expected, "{status}");
        }
    }

    #[test]
    fn absent_fields_are_an_answer_and_an_unreadable_body_is_not() {
        let status = |body: &str| match judge(get(), &answer(200, body)) {
            Verdict::Answered { bypass, .. } => Some((bypass.can_bypass, bypass.until.map(|until| until.to_string()))),
            Verdict::NotFound(_) | Verdict::Refused(_) | Verdict::Unauthorized(_) | Verdict::Throttled { .. } | Verdict::Faulted { .. } => {
                None
            }
        };
        let date = "2025-11-26T00:00:00.000Z";
        assert_eq!(status(r#"{"_links":{}}"#), Some((false, None)));
        assert_eq!(status(&format!(r#"{{"bypassMFAEnabledUntil":"{date}","canBypassMFA":true}}"#)), Some((true, Some(date.to_owned()))));
        assert_eq!(status(&format!(r#"{{"bypassMFAEnabledUntil":"{date}","canBypassMFA":false}}"#)), Some((false, Some(date.to_owned()))));
        for unreadable in [
            "",
            "null",
            "[]",
            "[true,null]",
            "<html>",
            r#"{"canBypassMFA":tr"#,
            r#"{"canBypassMFA":"true"}"#,
            r#"{"canBypassMFA":true,"bypassMFAEnabledUntil":"soon"}"#,
            r#"{"bypassMFAEnabledUntil":"2025-11-26T00:00:00.000Z"}"#,
            r#"{"canBypassMFA":true,"bypassMFAEnabledUntil":"2025-11-26T00:00:00.0001Z"}"#,
        ] {
            assert_eq!(status(unreadable), None, "{unreadable}");
        }
    }

    #[test]
    fn a_put_is_in_doubt_only_where_it_may_have_been_applied() {
        for (reply, doubtful) in [
            (answer(200, "<html>"), true),
            (answer(500, ""), false),
            (answer(503, ""), false),
            (answer(408, ""), false),
            (answer(502, ""), true),
            (answer(504, ""), true),
            (Err(Fault { may_have_arrived: true, untrusted: false, what: "timeout".into() }), true),
            (Err(Fault { may_have_arrived: false, untrusted: false, what: "refused".into() }), false),
        ] {
            assert_eq!(is_doubtful(&judge(put(), &reply)), Some(doubtful), "{reply:?}");
            assert_eq!(is_doubtful(&judge(get(), &reply)), Some(false), "{reply:?}");
        }
    }

    #[test]
    fn an_answer_that_broke_off_is_no_answer() {
        for status in [200, 400, 403, 404, 500] {
            let broken = Ok(Answer { status, retry_after: None, date: None, body: Err("the answer broke off".into()) });
            assert!(judge(put(), &broken).is_fault(), "{status}");
        }
    }

    #[test]
    fn what_the_server_says_is_relayed() {
        let body = r#"{"id":"f1","code":"INVALID_DATA","message":"Bad.","details":[{"code":"INVALID_VALUE","target":"bypassMFAEnabledUntil","message":"Too late."},{"code":"X"}]}"#;
        let expected = Detail {
            status: Some(400),
            code: "INVALID_DATA".into(),
            message: "Bad.; bypassMFAEnabledUntil: Too late.; X".into(),
            id: "f1".into(),
        };
        assert_eq!(judge(put(), &answer(400, body)), Verdict::Refused(expected));
    }

    #[test]
    fn a_404_that_is_not_pingones_is_no_missing_user() {
        let own = r#"{"id":"f1","code":"NOT_FOUND","message":"No user."}"#;
        assert!(matches!(judge(get(), &answer(404, own)), Verdict::NotFound(_)));
        assert!(matches!(judge(get(), &answer(404, "<html>nginx</html>")), Verdict::Refused(_)));
        assert!(matches!(judge(get(), &answer(404, "{}")), Verdict::Refused(_)));
        for odd in [
            r#"{"id":"f1","code":"NOT_FOUND","message":"No user.","details":null}"#,
            r#"{"id":"f1","code":"NOT_FOUND","message":"No user.","details":{"a":1}}"#,
            r#"{"id":"f1","code":404,"message":"No user.","details":[{"target":["x"]},7]}"#,
            r#"{"id":"f1","message":"No user."}"#,
        ] {
            let Verdict::NotFound(said) = judge(get(), &answer(404, odd)) else { panic!("{odd}") };
            assert_eq!((said.message.as_received(), said.id.as_received()), ("No user.", "f1"), "{odd}");
        }
    }
}
