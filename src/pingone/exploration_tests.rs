//! Tests of the device report against a scripted PingOne, under a paused clock.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;
use crate::pingone::answer::{Answer, Fault, Reply};
use crate::pingone::user_list::{UserList, answer};

const ID: &str = "0fe52654-ff7a-4c90-8d80-1af1a745c097";
const PLACE: &str = "https://api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/dataExplorations";

/// A PingOne that gives these replies, in this order, and when each request came.
struct Scripted {
    pingone: UserList,
    came: std::sync::Arc<Mutex<Vec<Instant>>>,
}

fn scripted(replies: impl IntoIterator<Item = Reply>) -> Scripted {
    let replies: Mutex<VecDeque<Reply>> = Mutex::new(replies.into_iter().collect());
    let came = std::sync::Arc::new(Mutex::new(Vec::new()));
    let noted = std::sync::Arc::clone(&came);
    let pingone = UserList::new(move |_| {
        noted.lock().expect("whole").push(Instant::now());
        let mut replies = replies.lock().expect("whole");
        if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() }.expect("a reply")
    });
    Scripted { pingone, came }
}

impl Scripted {
    /// The seconds between requests, and the ends of their paths.
    fn asked(&self) -> (Vec<f64>, Vec<String>) {
        let came = self.came.lock().expect("whole");
        let gaps = came.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        (gaps, self.pingone.asked().iter().map(|url| url.as_str().trim_start_matches(PLACE).to_owned()).collect())
    }
}

fn made(status: &str) -> Reply {
    answer(200, &format!(r#"{{"id":"{ID}","status":"{status}"}}"#))
}

fn limited(seconds: Option<u64>) -> Reply {
    let limited = answer(429, r#"{"id":"f1","code":"REQUEST_LIMITED","message":"m"}"#);
    limited.map(|answer| Answer { retry_after: seconds.map(Duration::from_secs), ..answer })
}

fn page(entries: &str, next: &str) -> Reply {
    let link = if next.is_empty() { String::new() } else { format!(r#","_links":{{"next":{{"href":"{next}"}}}}"#) };
    answer(200, &format!(r#"{{"_embedded":{{"entries":[{entries}]}}{link}}}"#))
}

#[tokio::test(start_paused = true)]
async fn a_report_is_asked_for_until_it_is_made_and_read_page_by_page() {
    let user = r#"{"userId":"7e94b96e-0364-463b-a059-d97d1e4cb1d5","bypassUntil":null}"#;
    let replies = [made("IN_PROGRESS"), made("IN_PROGRESS"), made("success"), page(user, "?cursor=2"), page(user, "")];
    let script = scripted(replies);
    let (session, stop) = (script.pingone.session(), Stop::default());
    let mut entries = session.device_report(&stop).await.expect("made");
    for _ in 0..2 {
        assert_eq!(session.next_entries(&mut entries, &stop).await.expect("a page").entries.len(), 1);
    }
    assert!(!entries.has_more());
    let (gaps, asked) = script.asked();
    let id = format!("/{ID}");
    assert_eq!(asked, ["", &id, &id, &format!("{id}/entries?limit=1000"), &format!("{id}/entries?cursor=2")]);
    let rounded: Vec<_> = gaps.iter().map(|gap| (gap * 10.0).round() / 10.0).collect();
    assert_eq!(rounded, [1.0, 2.0, 0.1, 0.1]);
}

#[tokio::test(start_paused = true)]
async fn orders_are_five_seconds_apart_whatever_made_the_first_ones_fail() {
    let lost = || Err(Fault { may_have_arrived: true, untrusted: false, what: "no answer".into() });
    for (first, least) in [
        (limited(None), 5.0),
        (limited(Some(1)), 5.0),
        (limited(Some(9)), 9.0),
        (answer(503, ""), 5.0),
        (answer(401, r#"{"id":"f","code":"ACCESS_FAILED","message":"m"}"#), 5.0),
        (lost(), 5.0),
        (answer(200, "{"), 5.0),
    ] {
        let script = scripted([first, made("SUCCESS")]);
        script.pingone.session().device_report(&Stop::default()).await.expect("made");
        let (gaps, _) = script.asked();
        assert!(gaps.len() == 1 && gaps[0] >= least && gaps[0] < least + 2.0, "{gaps:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_on_a_page_is_waited_out() {
    let script = scripted([made("SUCCESS"), limited(Some(7)), page("", "")]);
    let (session, stop) = (script.pingone.session(), Stop::default());
    let mut entries = session.device_report(&stop).await.expect("made");
    session.next_entries(&mut entries, &stop).await.expect("a page");
    let (gaps, _) = script.asked();
    assert!(gaps[1] >= 7.0 && gaps[1] < 9.0, "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_report_that_is_never_made_is_given_up() {
    let script = scripted([made("IN_PROGRESS")]);
    let error = script.pingone.session().device_report(&Stop::default()).await.expect_err("not made");
    let NotHad::NotMadeYet { waited, status } = error else { panic!("{error:?}") };
    assert!(waited >= Duration::from_secs(585) && waited <= Duration::from_secs(600), "{waited:?}");
    assert_eq!(status.map(|status| status.to_string()).as_deref(), Some("IN_PROGRESS"));
    let (gaps, _) = script.asked();
    assert!(gaps.len() < 70 && gaps.iter().all(|gap| *gap >= 1.0 && *gap < 10.1), "{gaps:?}");
    let failed = scripted([made("IN_PROGRESS"), made("FAILED")]);
    assert!(matches!(failed.pingone.session().device_report(&Stop::default()).await, Err(NotHad::NeverMade(_))));
    let silent = scripted([answer(200, &format!(r#"{{"id":"{ID}"}}"#))]);
    let silent = silent.pingone.session().device_report(&Stop::default()).await;
    assert!(matches!(silent, Err(NotHad::NotMadeYet { status: None, .. })));
}

#[tokio::test(start_paused = true)]
async fn refusals_are_told_apart_and_not_repeated() {
    let own = |status| answer(status, r#"{"id":"f1","code":"C","message":"m"}"#);
    for (reply, expected) in [
        (own(400), "Refused"),
        (own(403), "Forbidden"),
        (own(404), "Refused"),
        (answer(403, r#"{"message":"Invalid key=value pair"}"#), "Forbidden"),
        (answer(200, r#"{"status":"SUCCESS"}"#), "NotUnderstood"),
        (answer(200, r#"{"id":"../users","status":"SUCCESS"}"#), "NotUnderstood"),
        (answer(200, r#"{"id":"","status":"SUCCESS"}"#), "NotUnderstood"),
        (answer(200, &format!(r#"{{"id":"{}","status":"SUCCESS"}}"#, "a".repeat(65))), "NotUnderstood"),
    ] {
        let script = scripted([reply]);
        let error = script.pingone.session().device_report(&Stop::default()).await.expect_err(expected);
        assert!(format!("{error:?}").starts_with(expected), "{error:?}");
        assert_eq!(script.asked().1.len(), 1, "{expected}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_link_of_the_report_leads_elsewhere_or_back() {
    for (link, is_foreign) in [
        ("https://evil.example/v1/entries", true),
        ("https://u:p@api.pingone.com/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/dataExplorations", true),
        ("http://api.pingone.com/v1/x", true),
        ("/v1/environments/abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6/users", true),
        ("../entries?x", true),
        ("?limit=1000", false),
    ] {
        let script = scripted([made("SUCCESS"), page("", link)]);
        let (session, stop) = (script.pingone.session(), Stop::default());
        let mut entries = session.device_report(&stop).await.expect("made");
        let error = session.next_entries(&mut entries, &stop).await.expect_err(link);
        let NotHad::PingOne(error) = error else { panic!("{link}: {error:?}") };
        let told = error.to_string();
        let expected = if is_foreign { "the device report goes on at `" } else { "the device report at `api.pingone.com` has no end" };
        assert!(told.starts_with(expected), "{link}: {told}");
        assert_eq!(script.asked().1.len(), 2);
    }
}
