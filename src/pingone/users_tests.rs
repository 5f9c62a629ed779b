//! Tests of the user list against a scripted PingOne, under a paused clock.

use std::collections::VecDeque;
use std::sync::Mutex;

use reqwest::Url;

use super::*;
use crate::pingone::answer::{Fault, Reply};
use crate::pingone::user_list::{UserList, answer};

const LIST: &str = "https://api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users";
const USER: &str = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";

/// A list that gives these replies, in this order.
fn pages(replies: impl IntoIterator<Item = Reply>) -> UserList {
    let replies: Mutex<VecDeque<Reply>> = Mutex::new(replies.into_iter().collect());
    UserList::new(move |_| replies.lock().expect("whole").pop_front().expect("no more requests than replies"))
}

fn page(next: &str) -> Reply {
    let link = if next.is_empty() { String::new() } else { format!(r#","_links":{{"next":{{"href":"{next}"}}}}"#) };
    let user = format!(
        r#"{{"id":"{USER}","username":"ann","email":"a@example.com","externalId":"E1","population":{{"id":"p1"}},"enabled":false}}"#
    );
    answer(200, &format!(r#"{{"_embedded":{{"users":[{user},{{"id":"{USER}"}}]}},"count":9{link}}}"#))
}

fn error(status: u16) -> Reply {
    answer(status, r#"{"id":"f1","code":"INVALID_REQUEST","message":"Said so."}"#)
}

fn asked(pages: &UserList) -> Vec<String> {
    pages.asked().iter().map(Url::to_string).collect()
}

/// The result of fetching the first page, the requested URLs, and the numbers of requests sent, retried and throttled.
async fn asked_first(replies: Vec<Reply>) -> (Result<PageResult, PingOneError>, Vec<String>, [u64; 3]) {
    let pages = pages(replies);
    let session = pages.session();
    let listed = session.next_users(&mut session.user_list(None), &Stop::default()).await;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    let counts = [count(&session.traffic.sent), count(&session.traffic.retried), count(&session.traffic.throttled)];
    (listed, asked(&pages), counts)
}

fn page_of(listed: Result<PageResult, PingOneError>) -> UserPage {
    match listed {
        Ok(PageResult::Page(page)) => page,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn pages_are_followed_by_their_links_and_counted() {
    let second = format!("{LIST}?cursor=2&limit=200");
    let pages = pages([page(&second), page("")]);
    let session = pages.session();
    let mut list = session.user_list(Some(r#"population.id eq "a&b+c""#));
    let first = page_of(session.next_users(&mut list, &Stop::default()).await);
    assert_eq!((first.users.len(), first.total), (2, Some(9)));
    assert_eq!(first.users[0].username.as_ref().map(ForeignText::as_received), Some("ann"));
    assert_eq!(first.users[0].population.as_ref().map(ForeignText::as_received), Some("p1"));
    assert_eq!(first.users[1].email, None);
    assert_eq!([first.users[0].enabled, first.users[1].enabled], [Some(false), None]);
    assert!(list.has_more());
    page_of(session.next_users(&mut list, &Stop::default()).await);
    assert!(!list.has_more());
    assert_eq!(asked(&pages), [format!("{LIST}?limit=200&filter=population.id%20eq%20%22a%26b%2Bc%22"), second]);
    assert_eq!(session.traffic.sent.load(std::sync::atomic::Ordering::Relaxed), 3, "two pages and the token");
}

#[tokio::test(start_paused = true)]
async fn faults_are_retried_and_a_429_is_not_a_fault() {
    let lost = || Err(Fault { may_have_arrived: true, untrusted: false, what: "no answer".into() });
    let unreadable = || answer(200, r#"{"count":0}"#);
    let (listed, asked, counts) = asked_first(vec![lost(), error(503), error(429), error(429), unreadable(), page("")]).await;
    assert_eq!(page_of(listed).users.len(), 2);
    assert_eq!((asked.len(), counts), (6, [7, 5, 2]));
    let (listed, asked, _) = asked_first(vec![lost(), error(503), unreadable(), unreadable()]).await;
    assert!(matches!(listed, Ok(PageResult::Failed(_))), "{listed:?}");
    assert_eq!(asked.len(), 4, "no more than `--max-attempts` tries");
    let (listed, _, counts) = asked_first(vec![error(401), page("")]).await;
    assert_eq!((page_of(listed).users.len(), counts[0]), (2, 4), "a fresh token, and again");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_returned_and_not_retried() {
    for status in [400, 403, 414, 431] {
        let (listed, asked, _) = asked_first(vec![error(status)]).await;
        let ((Ok(PageResult::Refused(detail)), false) | (Ok(PageResult::Forbidden(detail)), true)) = (listed, status == 403) else {
            panic!("{status} is taken for something else")
        };
        assert_eq!((detail.status, detail.message.as_received(), asked.len()), (Some(status), "Said so.", 1));
    }
    let (listed, ..) = asked_first(vec![error(404)]).await;
    assert!(matches!(listed, Err(PingOneError::NoEnvironment { .. })), "{listed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_link_to_another_place_ends_the_run() {
    for link in [
        "https://evil.example/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users?cursor=2",
        "https://api.pingone.com.evil.example/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users",
        "//evil.example/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users?cursor=2",
        "https://api.pingone.com:8443/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users?cursor=2",
        "http://api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users?cursor=2",
        "https://me@api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users?cursor=2",
        "https://:pw@api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users?cursor=2",
        "https://me:pw@api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users?cursor=2",
        "https://api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users/../gateways?cursor=2",
        "https://api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users/%2e%2e/gateways",
        "https://api.pingone.com/v1/environments/00000000-49eb-49f5-a5d9-80ad5c98f9f6/users?cursor=2",
        "http://[",
    ] {
        let (listed, ..) = asked_first(vec![page(link)]).await;
        assert!(matches!(listed, Err(PingOneError::ForeignPage { .. })), "{link}: {listed:?}");
    }
    let (listed, ..) = asked_first(vec![page("https://evil.example:99/x?token=1")]).await;
    let message = listed.expect_err("foreign").to_string();
    assert!(message.contains("`https://evil.example:99`") && message.contains(LIST), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_circular_list_ends_the_run() {
    let (listed, ..) = asked_first(vec![page(&format!("{LIST}?limit=200"))]).await;
    assert!(matches!(listed, Err(PingOneError::EndlessList { .. })), "{listed:?}");
    let links = ["a", "b", "c", "a"].map(|cursor| format!("{LIST}?cursor={cursor}"));
    let pages = pages(links.iter().map(|link| page(link)));
    let session = pages.session();
    let mut list = session.user_list(None);
    for _ in 0..3 {
        page_of(session.next_users(&mut list, &Stop::default()).await);
    }
    let listed = session.next_users(&mut list, &Stop::default()).await;
    assert!(matches!(listed, Err(PingOneError::EndlessList { .. })), "{listed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_list_echoes_is_redacted() {
    let body =
        format!(r#"{{"_embedded":{{"users":[{{"id":"{USER}","username":"s3cr3t-token","email":"{}s3cr3t-token"}}]}}}}"#, "x".repeat(495));
    let (listed, ..) = asked_first(vec![answer(200, &body)]).await;
    let user = page_of(listed).users.remove(0);
    assert_eq!(user.username.as_ref().map(ForeignText::as_received), Some("[redacted]"));
    assert!(user.email.is_some_and(|email| email.as_received().ends_with("x[reda")), "nor is it cut in two");
    let (listed, ..) = asked_first(vec![page("https://s3cr3t-token.example/")]).await;
    let message = listed.expect_err("foreign").to_string();
    assert!(message.contains("`https://[redacted].example`"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_fetch() {
    let pages = pages([]);
    let stop = Stop::default();
    stop.request();
    let session = pages.session();
    let listed = session.next_users(&mut session.user_list(None), &stop).await;
    assert!(matches!(listed, Ok(PageResult::Stopped)), "{listed:?}");
}

#[test]
fn an_unreadable_body_is_not_a_page() {
    let read = |body: &str| read_page(&answer(200, body).expect("an answer"), |text| text);
    for unreadable in [
        "",
        "[]",
        "<html>",
        "{}",
        r#"{"_embedded":{}}"#,
        r#"{"_embedded":{"users":{}}}"#,
        r#"{"_embedded":{"users":[{}]}}"#,
        r#"{"_embedded":{"users":[{"id":"x"}]}}"#,
        r#"{"_embedded":{"users":[]},"_links":{"next":{}}}"#,
        r#"{"_embedded":{"users":[]},"_links":{"next":"x"}}"#,
    ] {
        assert!(read(unreadable).is_err(), "{unreadable}");
    }
    let odd = format!(r#"{{"_embedded":{{"users":[{{"id":"{USER}","username":["x"],"population":7,"email":"{}"}}]}}}}"#, "é".repeat(9999));
    let (UserPage { users, total }, next) = read(&odd).expect("readable");
    assert_eq!((&users[0].username, &users[0].population, total, next), (&None, &None, None, None));
    assert_eq!(users[0].email.as_ref().map(|email| email.as_received().chars().count()), Some(500));
    for (count, total) in [("0", Some(0)), ("1000000000000", Some(MAX_USERS))].into_iter().chain(
        ["1000000000001", "9223372036854775808", "18446744073709551615", "-1", "1e308", "2.5", "\"7\"", "null"].map(|odd| (odd, None)),
    ) {
        let counted = read(&format!(r#"{{"count":{count},"_embedded":{{"users":[]}}}}"#)).expect("readable");
        assert_eq!(counted.0.total, total, "{count}");
    }
}

mod fuzz {
    use super::*;
    use crate::fuzz::{body, cases, parsed, spoilt_text};
    use crate::pingone::Region;
    use proptest::prelude::*;

    const BODIES: &[&str] = &[
        r#"{"_links":{"self":{"href":"https://api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users"},"next":{"href":"https://api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users?cursor=2"}},"_embedded":{"users":[{"id":"7e94b96e-0364-463b-a059-d97d1e4cb1d5","username":"ann","email":"a@example.com","externalId":7,"population":{"id":"p"}},{"id":"0a94b96e-0364-463b-a059-d97d1e4cb1d5","username":null}]},"count":2,"size":2}"#,
        r#"{"_embedded":{"users":[]},"count":0}"#,
        r#"{"_embedded":{"users":[{"id":"7e94b96e-0364-463b-a059-d97d1e4cb1d5"}]},"_links":{"next":null},"count":18446744073709551615}"#,
    ];
    const NAMES: &[&str] =
        &["_links", "next", "href", "_embedded", "users", "id", "username", "email", "externalId", "population", "count"];

    fn list() -> ListReader {
        ListReader::new(ListKind::Users, LIST.parse().expect("a URL"), &Region::Na.api_url())
    }

    proptest! {
        #![proptest_config(cases(256))]

        /// A page is read with all its users, or not at all.
        #[test]
        fn a_page_is_unreadable_or_has_all_its_users(body in body(BODIES, NAMES)) {
            let stands = parsed(&body);
            let answer = Answer { status: 200, retry_after: None, date: None, correlation: "".into(), body: Ok(body.into()) };
            if let (Ok((UserPage { users, total }, next)), Some(parsed)) = (read_page(&answer, |text| text), stands) {
                let stand = parsed["_embedded"]["users"].as_array().cloned().unwrap_or_default();
                prop_assert_eq!(users.len(), stand.len());
                for (user, stands) in users.iter().zip(&stand) {
                    prop_assert_eq!(Some(user.id.to_string()), stands["id"].as_str().map(str::to_lowercase));
                    prop_assert!(user.username.as_ref().is_none_or(|name| name.as_received().chars().count() <= 500));
                }
                prop_assert_eq!(total, parsed["count"].as_u64().filter(|users| *users <= MAX_USERS));
                prop_assert_eq!(next.as_deref(), parsed["_links"]["next"]["href"].as_str());
            }
        }

        /// Whatever a link says, the token is sent only to the list itself.
        #[test]
        fn no_link_sends_the_token_elsewhere(
            link in spoilt_text([
                format!("{LIST}?cursor=2&limit=200"),
                "/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users?cursor=2".to_owned(),
                "?cursor=2".to_owned(),
                "https://api.pingone.com:443/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users/#x".to_owned(),
                "https://user@api.pingone.com.evil.example\\@api.pingone.com/v1/environments".to_owned(),
            ]),
        ) {
            let current: Url = LIST.parse().expect("a URL");
            if let Ok(url) = list().follow(&link, &current, |text| text) {
                let sent = url.as_str();
                let rest = sent.strip_prefix("https://api.pingone.com/");
                let path = rest.map(|rest| rest.split('?').next().unwrap_or_default().trim_end_matches('/').to_ascii_lowercase());
                prop_assert_eq!(path.as_deref(), Some("v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users"), "{}", sent);
            }
        }
    }
}
