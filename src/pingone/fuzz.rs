//! Property tests: arbitrary and corrupted answers.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;
use tokio::time::Instant;

use super::answer::{Answer, Fault, Reply};
use super::token::{AccessToken, read_token};
use super::transport::Call;
use super::user_list::UserList;
use super::verdict::{Verdict, classify, error_detail, text};
use crate::domain::{BypassUntil, UserId};
use crate::fuzz::{body, cases, parsed};

const USER: &str = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";
const OTHER: &str = "0a94b96e-0364-463b-a059-d97d1e4cb1d5";

/// Answers for this user and another, refusals, and a gateway's error page.
const BODIES: &[&str] = &[
    r#"{"_links":{"self":{"href":"https://api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users/7e94b96e-0364-463b-a059-d97d1e4cb1d5/bypassMFA"},"user":{"href":"https://api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users/7e94b96e-0364-463b-a059-d97d1e4cb1d5"}},"bypassMFAEnabledUntil":"2026-11-26T00:00:00.000Z","canBypassMFA":true}"#,
    r#"{"_links":{"self":{"href":"https://api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users/7e94b96e-0364-463b-a059-d97d1e4cb1d5/bypassMFA"}}}"#,
    r#"{"_links":{"user":{"href":"https://api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users/0a94b96e-0364-463b-a059-d97d1e4cb1d5"}},"canBypassMFA":false}"#,
    r#"{"canBypassMFA":false,"bypassMFAEnabledUntil":"2020-01-01T00:00:00.000Z"}"#,
    r#"{"canBypassMFA":true,"bypassMFAEnabledUntil":null}"#,
    r#"{"id":"f1","code":"INVALID_DATA","message":"Bad.","details":[{"code":"INVALID_VALUE","target":"bypassMFAEnabledUntil","message":"Too late.","innerError":{"retryAfter":7}},{"code":"X"}]}"#,
    r#"{"id":"f1","code":"NOT_FOUND","message":"No such user."}"#,
    r#"{"message":"Service in maintenance"}"#,
    "<html><h1>502 Bad Gateway</h1></html>",
    "",
];

const NAMES: &[&str] =
    &["_links", "self", "href", "user", "bypassMFAEnabledUntil", "canBypassMFA", "id", "code", "message", "details", "target"];

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![3 => Just(200_u16), 2 => prop::sample::select(vec![201, 204, 302, 400, 401, 403, 404, 408, 409, 429, 500, 502, 503, 504, 520]), 1 => 100_u16..=599]
}

fn reply() -> impl Strategy<Value = Reply> {
    let whole = prop_oneof![
        9 => body(BODIES, NAMES).prop_map(|body| Ok(Bytes::from(body))),
        1 => Just(Err("the answer broke off".to_owned())),
    ];
    let wait = prop::option::of((0..u64::MAX).prop_map(Duration::from_secs));
    let answered = (status(), wait, whole)
        .prop_map(|(status, retry_after, body)| Ok(Answer { status, retry_after, date: None, correlation: "".into(), body }));
    let faulted = any::<bool>().prop_map(|arrived| Err(Fault { may_have_arrived: arrived, untrusted: false, what: "timeout".to_owned() }));
    prop_oneof![9 => answered, 1 => faulted]
}

fn call() -> impl Strategy<Value = Call> {
    let user: UserId = USER.parse().expect("a UUID");
    prop::sample::select(vec![Call::Get(user), Call::Put(user, BypassUntil::read("2026-11-26T00:00:00.000Z").expect("a date"))])
}

/// The bypass status in a valid body, each field read separately.
fn expected_status(body: &Value) -> Option<(bool, Option<BypassUntil>)> {
    let body = body.as_object()?;
    let can_bypass = match body.get("canBypassMFA") {
        None | Some(Value::Null) => None,
        Some(can_bypass) => Some(can_bypass.as_bool()?),
    };
    let until = match body.get("bypassMFAEnabledUntil") {
        None | Some(Value::Null) => None,
        Some(until) => Some(BypassUntil::read(until.as_str()?)?),
    };
    if can_bypass.is_none() && until.is_some() { None } else { Some((can_bypass.unwrap_or_default(), until)) }
}

proptest! {
    #![proptest_config(cases(256))]

    /// A bypass status comes only from a complete answer about this user. After any other reply to a PUT it is open whether the PUT
    /// was applied, except for the five statuses that prove that it was not.
    #[test]
    fn a_verdict_never_claims_more_than_the_answer(call in call(), reply in reply()) {
        let verdict = classify(call, &reply);
        let status = reply.as_ref().ok().map(|answer| answer.status);
        let is_success = status.is_some_and(|status| (200..300).contains(&status));
        let arrived = match &reply {
            Ok(answer) => !matches!(answer.status, 400 | 401 | 403 | 404 | 429),
            Err(fault) => fault.may_have_arrived,
        };
        match (&verdict, &reply) {
            (Verdict::Answered { bypass, .. }, Ok(Answer { body: Ok(body), .. })) => {
                prop_assert!(is_success);
                if let Some(body) = parsed(body) {
                    prop_assert_eq!(expected_status(&body), Some((bypass.can_bypass, bypass.until)));
                    let links = ["self", "user"].map(|link| body["_links"][link]["href"].as_str().unwrap_or_default());
                    let tells = body.get("canBypassMFA").is_some_and(Value::is_boolean);
                    prop_assert!(tells || links.iter().any(|link| link.to_lowercase().contains(USER)));
                    let of_other = ["", "/bypassMFA"].map(|end| format!("/users/{OTHER}{end}"));
                    prop_assert!(!links.iter().any(|link| of_other.iter().any(|other| link.ends_with(other))));
                }
            }
            (Verdict::Answered { .. }, _) => prop_assert!(false, "there is no whole answer"),
            (Verdict::Faulted { may_have_been_applied, .. } | Verdict::Refused { may_have_been_applied, .. }, _) => {
                prop_assert_eq!(*may_have_been_applied, call.changes() && arrived);
            }
            (Verdict::NotFound(_) | Verdict::Unauthorized(_) | Verdict::Throttled { .. }, _) => {
                prop_assert!(!arrived && reply.as_ref().is_ok_and(|answer| answer.body.is_ok()));
            }
        }
        let is_taken_or_tried_again = matches!(verdict, Verdict::Answered { .. }) || verdict.is_fault();
        prop_assert!(!is_success || is_taken_or_tried_again);
        prop_assert_eq!(verdict.clone().map_texts(|_| String::new()).is_fault(), verdict.is_fault());
    }

    #[test]
    fn an_error_body_is_recognized_by_its_fields(status in status(), body in body(BODIES, NAMES)) {
        let parsed = parsed(&body).unwrap_or_default();
        let (detail, is_own) = error_detail(&Answer { status, retry_after: None, date: None, correlation: "".into(), body: Ok(body.into()) });
        let has = |name: &str| parsed.get(name).is_some_and(|value| value.is_string() || value.is_number());
        prop_assert_eq!(is_own, has("code") || (has("message") && has("id")));
        prop_assert_eq!(detail.status, Some(status));
    }

    /// A token is exactly the one in the answer, and no message shows it.
    #[test]
    fn a_token_is_read_exactly_or_not_at_all(body in body(TOKENS, &["access_token", "token_type", "expires_in", "scope"])) {
        let stands = parsed(&body);
        let answer = Answer { status: 200, retry_after: None, date: None, correlation: "".into(), body: Ok(body.into()) };
        match read_token(&answer, Instant::now(), 7) {
            Ok(token) => {
                if let Some(body) = stands {
                    let text = body["access_token"].as_str().unwrap_or_default();
                    prop_assert!(!text.is_empty());
                    prop_assert_eq!(token.header().as_bytes().to_vec(), format!("Bearer {text}").into_bytes());
                }
                let shown = format!("{token:?}");
                prop_assert!(!shown.contains("s3cr3t-t0ken"));
            }
            Err(why) => prop_assert!(!why.contains("s3cr3t-t0ken"), "{}", why),
        }
    }

    /// The name is the one in the body, or unknown. An echoed token is never shown.
    #[test]
    fn the_environments_name_is_the_one_in_the_body(body in body(ENVIRONMENTS, &["id", "name", "type"])) {
        let list = UserList::new(|_| unreachable!("no page is asked for"));
        let (session, token) = (list.session(), AccessToken::new(&"s3cr3t-token".into(), 1, None).expect("a token"));
        let parsed = parsed(&body).unwrap_or_default();
        let info = session.info_in(&Answer { status: 200, retry_after: None, date: None, correlation: "".into(), body: Ok(body.into()) }, &token);
        let pieces: Vec<&str> = (0..5).map(|from| &"s3cr3t-token"[from..from + 8]).collect();
        for (told, name) in [(info.name, "name"), (info.kind, "type")] {
            let stands = text(&parsed, name);
            let told = told.map(|told| told.as_received().to_owned());
            prop_assert!(pieces.iter().all(|piece| told.as_ref().is_none_or(|told| !told.contains(piece))), "{told:?}");
            prop_assert_eq!(told.is_some(), stands.is_some());
            // Escapes may hide a piece of the token.
            let is_plain = |text: &String| !text.contains(['\\', '%', '&']) && !pieces.iter().any(|piece| text.to_lowercase().contains(piece));
            if stands.as_ref().is_some_and(is_plain) {
                prop_assert_eq!(told, stands.map(|text| text.chars().take(500).collect::<String>()));
            }
        }
    }
}

const ENVIRONMENTS: &[&str] = &[
    r#"{"_links":{"self":{"href":"https://api.pingone.com/v1/environments/e"}},"id":"e","name":"Acme","type":"PRODUCTION","region":"NA"}"#,
    r#"{"name":"s3cr3t-token","type":7}"#,
];

const TOKENS: &[&str] = &[
    r#"{"access_token":"s3cr3t-t0ken","token_type":"Bearer","expires_in":3600}"#,
    r#"{"access_token":"s3cr3t-t0ken","expires_in":"3600"}"#,
    r#"{"expires_in":1e300,"access_token":"s3cr3t-t0ken"}"#,
    r#"["s3cr3t-t0ken",3600]"#,
];
