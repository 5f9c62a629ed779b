//! Tests of every status and of all kinds of bodies.

use super::*;
use crate::pingone::answer::Fault;

fn get() -> Call {
    Call::Get("7e94b96e-0364-463b-a059-d97d1e4cb1d5".parse().expect("a UUID"))
}

fn put() -> Call {
    Call::Put(get().user(), BypassUntil::read("2026-08-31T00:00:00.000Z").expect("a date"))
}

#[expect(clippy::unnecessary_wraps, reason = "a reply beside those that are faults")]
fn answer(status: u16, body: &str) -> Reply {
    Ok(Answer { status, retry_after: None, date: None, correlation: "".into(), body: Ok(body.to_owned().into()) })
}

fn is_doubtful(verdict: &Verdict) -> Option<bool> {
    match verdict {
        Verdict::Faulted { may_have_been_applied, .. } => Some(*may_have_been_applied),
        Verdict::Answered { .. }
        | Verdict::NotFound(_)
        | Verdict::Refused { .. }
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
            408 | 500..=599 => Class::Transient,
            100..200 | 300..=400 | 402 | 403 | 405..=407 | 409..=428 | 430..=499 => Class::Refused,
            other => unreachable!("{other}"),
        };
        assert_eq!(class(status), expected, "{status}");
    }
}

#[test]
fn absent_fields_are_an_answer_and_an_unreadable_body_is_not() {
    let status = |body: &str| match classify(get(), &answer(200, body)) {
        Verdict::Answered { bypass, .. } => Some((bypass.can_bypass, bypass.until.map(|until| until.to_string()))),
        Verdict::NotFound(_) | Verdict::Refused { .. } | Verdict::Unauthorized(_) | Verdict::Throttled { .. } | Verdict::Faulted { .. } => {
            None
        }
    };
    let date = "2025-11-26T00:00:00.000Z";
    let user = get().user();
    for own in [
        format!(r#"{{"_links":{{"self":{{"href":"https://api.pingone.eu/v1/environments/e/users/{user}/bypassMFA"}}}}}}"#),
        format!(r#"{{"_links":{{"user":{{"href":"/v1/environments/e/users/{}?x=y"}}}}}}"#, user.to_string().to_uppercase()),
        format!(r#"{{"_links":{{"self":{{"href":"https://api/x"}},"user":{{"href":"https://api/users/{user}"}}}},"canBypassMFA":null}}"#),
    ] {
        assert_eq!(status(&own), Some((false, None)), "{own}");
    }
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
        "{}",
        r#"{"_links":{}}"#,
        r#"{"_links":{"self":{}}}"#,
        r#"{"_links":{"self":{"href":"https://api.pingone.eu/v1/environments/e/users/bypassMFA"}}}"#,
        r#"{"message":"Service in maintenance"}"#,
        r#"{"canBypassMFA":null,"bypassMFAEnabledUntil":null}"#,
        r#"{"canBypassMFA":true,"bypassMFAEnabledUntil":"soon"}"#,
        r#"{"bypassMFAEnabledUntil":"2025-11-26T00:00:00.000Z"}"#,
        r#"{"canBypassMFA":true,"bypassMFAEnabledUntil":"2025-11-26T00:00:00.0001Z"}"#,
    ] {
        assert_eq!(status(unreadable), None, "{unreadable}");
    }
}

#[test]
fn an_answer_about_another_user_is_never_accepted() {
    let (user, other) = (get().user(), "00000000-0364-463b-a059-d97d1e4cb1d5");
    let link = |user: &str| format!(r#"{{"href":"https://api/environments/e/users/{user}"}}"#);
    for (own, of_user) in [(other, other), (&user.to_string(), other), (other, &user.to_string())] {
        for fields in ["", r#","canBypassMFA":false"#, r#","canBypassMFA":true,"bypassMFAEnabledUntil":"2025-11-26T00:00:00.000Z""#] {
            let body = format!(r#"{{"_links":{{"self":{},"user":{}}}{fields}}}"#, link(own), link(of_user));
            for call in [get(), put()] {
                assert!(classify(call, &answer(200, &body)).is_fault(), "{body}");
            }
        }
    }
}

#[test]
fn a_put_is_in_doubt_only_where_it_may_have_been_applied() {
    for (reply, doubtful) in [
        (answer(200, "<html>"), true),
        (answer(500, ""), true),
        (answer(503, ""), true),
        (answer(408, ""), true),
        (answer(502, ""), true),
        (answer(507, ""), true),
        (answer(520, ""), true),
        (Err(Fault { may_have_arrived: true, untrusted: false, what: "timeout".into() }), true),
        (Err(Fault { may_have_arrived: false, untrusted: false, what: "refused".into() }), false),
    ] {
        assert_eq!(is_doubtful(&classify(put(), &reply)), Some(doubtful), "{reply:?}");
        assert_eq!(is_doubtful(&classify(get(), &reply)), Some(false), "{reply:?}");
    }
}

#[test]
fn only_five_statuses_prove_that_nothing_was_applied() {
    for status in (100..=599).filter(|status| !(200..300).contains(status) && ![401, 404, 429].contains(status)) {
        let doubtful = match classify(put(), &answer(status, "{}")) {
            Verdict::Refused { may_have_been_applied, .. } | Verdict::Faulted { may_have_been_applied, .. } => may_have_been_applied,
            other @ (Verdict::Answered { .. } | Verdict::NotFound(_) | Verdict::Unauthorized(_) | Verdict::Throttled { .. }) => {
                panic!("{status}: {other:?}")
            }
        };
        assert_eq!(doubtful, ![400, 403].contains(&status), "{status}");
    }
}

#[test]
fn a_truncated_answer_is_a_fault() {
    for (status, doubtful) in [(200, true), (302, true), (400, false), (401, false), (403, false), (404, false), (500, true)] {
        let broken = Ok(Answer { status, retry_after: None, date: None, correlation: "".into(), body: Err("the answer broke off".into()) });
        assert_eq!(is_doubtful(&classify(put(), &broken)), Some(doubtful), "{status}");
    }
}

#[test]
fn the_servers_message_is_kept() {
    let body = r#"{"id":"f1","code":"INVALID_DATA","message":"Bad.","details":[{"code":"INVALID_VALUE","target":"bypassMFAEnabledUntil","message":"Too late."},{"code":"X"}]}"#;
    let expected = Detail {
        status: Some(400),
        code: "INVALID_DATA".into(),
        message: "Bad.; bypassMFAEnabledUntil: Too late.; X".into(),
        id: "f1".into(),
        correlation: "c1".into(),
    };
    let answer = answer(400, body).map(|answer| Answer { correlation: "c1".into(), ..answer });
    assert_eq!(classify(put(), &answer), Verdict::Refused { detail: expected, may_have_been_applied: false });
}

#[test]
fn a_404_in_another_form_is_not_a_missing_user() {
    let own = r#"{"id":"f1","code":"NOT_FOUND","message":"No user."}"#;
    assert!(matches!(classify(get(), &answer(404, own)), Verdict::NotFound(_)));
    assert!(matches!(classify(get(), &answer(404, "<html>nginx</html>")), Verdict::Refused { .. }));
    assert!(matches!(classify(get(), &answer(404, "{}")), Verdict::Refused { .. }));
    for odd in [
        r#"{"id":"f1","code":"NOT_FOUND","message":"No user.","details":null}"#,
        r#"{"id":"f1","code":"NOT_FOUND","message":"No user.","details":{"a":1}}"#,
        r#"{"id":"f1","code":404,"message":"No user.","details":[{"target":["x"]},7]}"#,
        r#"{"id":"f1","message":"No user."}"#,
    ] {
        let Verdict::NotFound(detail) = classify(get(), &answer(404, odd)) else { panic!("{odd}") };
        assert_eq!((detail.message.as_received(), detail.id.as_received()), ("No user.", "f1"), "{odd}");
    }
}
