//! Tests of the session against a scripted PingOne, under a paused clock: fetches that belong to no row, tokens and holds.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;
use crate::logged::Logged;
use crate::pace::Rate;
use crate::pingone::answer::{Answer, Fault};
use crate::pingone::credentials::Authentication;
use crate::pingone::error::ServerMessage;
use crate::pingone::transport::Resource;
use crate::pingone::user_list::answer;
use crate::pingone::{PageResult, Region};

#[path = "session_rate_tests.rs"]
mod rate;

const ENVIRONMENT: &str = "abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6";
const GIVE_UP_AFTER: u64 = 600;

/// Scripted replies to each kind of request; after the last of them, every answer is good.
#[derive(Debug, Default)]
struct Script {
    tokens: Mutex<VecDeque<Reply>>,
    environment: Mutex<VecDeque<Reply>>,
    licence: Mutex<VecDeque<Reply>>,
    users: Mutex<VecDeque<Reply>>,
    rows: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<&'static str>>,
    /// The timeouts of the requests for rows.
    limits: Mutex<Vec<Duration>>,
}

impl Script {
    fn reply(&self, what: &'static str, replies: &Mutex<VecDeque<Reply>>, good: &str) -> Reply {
        self.asked.lock().expect("whole").push(what);
        replies.lock().expect("whole").pop_front().unwrap_or_else(|| answer(200, good))
    }

    /// The kinds of the requests, in order.
    fn asked(&self) -> String {
        self.asked.lock().expect("whole").join(" ")
    }

    /// A session whose clock shows noon.
    fn session(&self, source: TokenSource) -> Session<&Self> {
        let environment = ENVIRONMENT.parse().expect("a UUID");
        let endpoints =
            Endpoints { api: Region::Eu.api_url(), auth: Region::Eu.auth_url(), environment, auth_environment: environment, urls: None };
        let limits = Limits { timeout: Duration::from_secs(30), give_up_after: Duration::from_secs(GIVE_UP_AFTER), max_attempts: 4 };
        let clock = Clock::reading(at(0)).expect("after 1970");
        Session::new(self, endpoints, source, Arc::new(Pacer::new(Rate::Unlimited)), limits, clock)
    }
}

/// This many seconds after noon.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_014_400 + seconds)
}

impl Transport for &Script {
    async fn send(&self, _: Call, _: RowNumber, _: &AccessToken, limit: Duration) -> Reply {
        self.limits.lock().expect("whole").push(limit);
        self.reply("row", &self.rows, r#"{"canBypassMFA":false}"#)
    }

    async fn fetch(&self, resource: Resource<'_>, _: &AccessToken) -> Reply {
        match resource {
            Resource::Environment => self.reply("environment", &self.environment, r#"{"name":"Acme","type":"PRODUCTION"}"#),
            Resource::Licence => self.reply("licence", &self.licence, r#"{"rlgMfaRps":{"limit":100}}"#),
            Resource::Report(_) => panic!("no report is asked for"),
            Resource::Users(_) => self.reply("users", &self.users, r#"{"_embedded":{"users":[]},"count":0}"#),
        }
    }

    async fn fetch_token(&self, _: &Authentication<'_>) -> Reply {
        self.reply("token", &self.tokens, r#"{"access_token":"s3cr3t-token","expires_in":3600}"#)
    }
}

fn replies(replies: impl IntoIterator<Item = Reply>) -> Mutex<VecDeque<Reply>> {
    Mutex::new(replies.into_iter().collect())
}

/// A refusal in PingOne's form.
fn error(status: u16) -> Reply {
    answer(status, r#"{"id":"f1","code":"SOME_CODE","message":"Said so."}"#)
}

fn waiting(status: u16, seconds: u64) -> Reply {
    error(status).map(|answer| Answer { retry_after: Some(Duration::from_secs(seconds)), ..answer })
}

fn dated(reply: Reply, seconds: u64) -> Reply {
    reply.map(|answer| Answer { date: Some(at(seconds)), ..answer })
}

fn lost() -> Reply {
    Err(Fault { may_have_arrived: true, untrusted: false, what: "no answer within 30.0 s".to_owned() })
}

fn untrusted() -> Reply {
    Err(Fault { may_have_arrived: false, untrusted: true, what: "invalid peer certificate: UnknownIssuer".to_owned() })
}

#[tokio::test(start_paused = true)]
async fn the_environment_is_read_with_its_clock_or_a_reason() {
    let good = || answer(200, r#"{"name":"Acme","type":"PRODUCTION"}"#);
    let refused = "HTTP 403, SOME_CODE, Said so., id f1";
    for (replies_, name, unread, offset, asked) in [
        (vec![dated(good(), 90)], Some("Acme PRODUCTION"), None, Some(90), 1),
        (vec![good()], Some("Acme PRODUCTION"), None, None, 1),
        (vec![answer(200, "{}")], None, None, None, 1),
        (vec![dated(error(403), 60)], None, Some(refused), Some(60), 1),
        (vec![lost(), dated(error(503), 60), waiting(429, 5), good()], Some("Acme PRODUCTION"), None, None, 4),
        (vec![lost(), lost(), lost(), lost()], None, Some("no answer within 30.0 s"), None, 4),
        // In PingOne's form, it would mean that the environment does not exist.
        ((0..4).map(|_| answer(404, "<html>")).collect(), None, Some("HTTP 404, the answer has no error body of PingOne's"), None, 4),
    ] {
        let script = Script { environment: replies(replies_), ..Script::default() };
        let session = script.session(TokenSource::for_tests());
        let info = session.environment(&Stop::default()).await.expect("no reason to stop").expect("no stop");
        let words: Vec<_> = [&info.name, &info.kind].into_iter().flatten().map(ToString::to_string).collect();
        assert_eq!((!words.is_empty()).then(|| words.join(" ")).as_deref(), name);
        assert_eq!(info.unread.map(|said| ServerMessage::from(said).to_string()).as_deref(), unread);
        assert_eq!(info.offset.map(|offset| (offset.off.as_secs(), offset.side)), offset.map(|off| (off, crate::clock::Side::Behind)));
        assert_eq!(script.asked().matches("environment").count(), asked, "{}", script.asked());
        let is_known = unread.is_none() || offset.is_some();
        assert!(session.check_environment(&Stop::default()).await.expect("it is there"));
        assert_eq!(script.asked().matches("environment").count(), asked + usize::from(!is_known), "known from here on, or not");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_environment_is_detected_once() {
    let script = Script { environment: replies([error(404)]), ..Script::default() };
    let session = script.session(TokenSource::for_tests());
    let missing = session.check_environment(&Stop::default()).await.expect_err("there is none");
    let expected = format!("there is no environment {ENVIRONMENT} at `api.pingone.eu`: HTTP 404, SOME_CODE, Said so., id f1");
    assert_eq!(missing.to_string(), expected);
    assert!(!session.check_environment(&Stop::default()).await.expect("nobody asks any more"), "another has found it");
    assert_eq!(script.asked(), "token environment");

    for reply in [error(403), error(503), lost(), waiting(429, 1), answer(200, "{}")] {
        let script = Script { environment: replies([reply]), ..Script::default() };
        let session = script.session(TokenSource::for_tests());
        for _ in 0..3 {
            assert!(session.check_environment(&Stop::default()).await.expect("no reason to stop"));
        }
        assert_eq!(script.asked(), "token environment");
    }
    let (stop, script) = (Stop::default(), Script::default());
    stop.request();
    let session = script.session(TokenSource::for_tests());
    assert!(session.check_environment(&stop).await.expect("a stop is no error"), "what was answered stands");
    assert_eq!((session.environment(&stop).await.expect("a stop is no error"), script.asked()), (None, String::new()));
}

#[tokio::test(start_paused = true)]
async fn no_answer_about_the_licence_is_a_fault() {
    for (reply, expected, why) in [
        (answer(200, r#"{"rlgMfaRps":{"limit":100}}"#), Some(100.0), ""),
        (answer(200, "{}"), None, "the answer has none"),
        (answer(200, "<html>"), None, "HTTP 200, the answer is not JSON"),
        (error(401), None, "HTTP 401, SOME_CODE, Said so., id f1"),
        (error(403), None, "HTTP 403, SOME_CODE, Said so., id f1"),
        (error(404), None, "HTTP 404, SOME_CODE, Said so., id f1"),
        (waiting(429, 100_000), None, "HTTP 429, SOME_CODE, Said so., id f1"),
        (error(500), None, "HTTP 500, SOME_CODE, Said so., id f1"),
        (lost(), None, "no answer within 30.0 s"),
    ] {
        let log = Logged::from(tracing::Level::DEBUG);
        let script = Script { licence: replies([reply]), ..Script::default() };
        let session = script.session(TokenSource::for_tests());
        let rates = session.licence(&Stop::default()).await.expect("no fault");
        assert_eq!((rates.highest(), rates.is_empty()), (expected, expected.is_none()), "{why}");
        let said = log.text().lines().find_map(|line| Some(line.split_once("the rates of the licence are not known: ")?.1.to_owned()));
        assert_eq!(said.unwrap_or_default(), why);
        assert!(session.has_token(&Stop::default()).await.expect("it is good still") && session.pacer.is_open());
        assert_eq!(script.asked(), "token licence");
    }
    let (stop, script) = (Stop::default(), Script::default());
    stop.request();
    assert!(script.session(TokenSource::for_tests()).licence(&stop).await.expect("no fault").is_empty());
}

/// Whether it took `least` seconds or a little more: a hold is always somewhat longer than the server asks.
fn is_about(took: u64, least: u64) -> bool {
    (least..=least + least / 4).contains(&took)
}

/// The result of fetching the first page, the requests sent, and the seconds it took.
async fn listed(users: Vec<Reply>) -> (Result<PageResult, PingOneError>, String, u64) {
    let script = Script { users: replies(users), ..Script::default() };
    let session = script.session(TokenSource::for_tests());
    let began = Instant::now();
    let listed = session.next_users(&mut session.user_list(None), &Stop::default()).await;
    (listed, script.asked(), began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn nothing_is_retried_after_the_deadline() {
    for (users, asked, least) in [
        (vec![waiting(503, GIVE_UP_AFTER)], "token users", 0),
        (vec![waiting(503, 500), waiting(503, 500)], "token users users", 500),
        (vec![waiting(429, 400), waiting(429, 400)], "token users users", 400),
        (vec![waiting(429, GIVE_UP_AFTER)], "token users", 0),
    ] {
        let (listed, found, took) = listed(users).await;
        assert!(matches!(listed, Ok(PageResult::Failed(_))), "{listed:?}");
        assert!(found == asked && is_about(took, least), "{found}: {took} s");
    }
    let (page, asked, took) = listed(vec![waiting(503, GIVE_UP_AFTER - 1)]).await;
    assert!(matches!(page, Ok(PageResult::Page(_))) && took >= GIVE_UP_AFTER - 1, "{page:?}");
    assert_eq!(asked, "token users users");
    let (page, asked, took) = listed(vec![waiting(429, 100), waiting(429, 100)]).await;
    assert!(matches!(page, Ok(PageResult::Page(_))) && took >= 200, "{page:?}");
    assert_eq!(asked, "token users users users");
    let (listed, ..) = listed(vec![waiting(429, GIVE_UP_AFTER + 1)]).await;
    let message = listed.expect_err("longer than the run has").to_string();
    let expected = "PingOne limits the rate and asks to wait for 601 s, which is longer than `--give-up-after` allows: HTTP 429";
    assert!(message.starts_with(expected), "{message}");
}

#[tokio::test(start_paused = true)]
async fn retries_are_logged_and_counted() {
    let log = Logged::from(tracing::Level::INFO);
    let script =
        Script { users: replies([error(503)]), environment: replies([lost()]), tokens: replies([error(500)]), ..Script::default() };
    let session = script.session(TokenSource::for_tests());
    session.environment(&Stop::default()).await.expect("it is there");
    session.next_users(&mut session.user_list(None), &Stop::default()).await.expect("a page");
    let said: Vec<_> = log.text().lines().filter_map(|line| Some(line.trim_start().split_once(" yet ")?.0.to_owned())).collect();
    assert_eq!(said, ["INFO no token", "INFO no environment", "INFO no user list"]);
    let statuses: Vec<_> = session.traffic.statuses().into_iter().collect();
    assert_eq!(statuses, [(None, 1), (Some(200), 3), (Some(500), 1), (Some(503), 1)]);
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((count(&session.traffic.sent), count(&session.traffic.retried), count(&session.traffic.for_users)), (6, 3, 0));
    assert_eq!((count(&session.traffic.throttled), session.offset()), (0, None));
}

#[tokio::test(start_paused = true)]
async fn the_first_date_sets_the_clocks_offset() {
    let script = Script {
        tokens: replies([dated(error(500), 30), dated(error(500), 60)]),
        environment: replies([dated(answer(200, "{}"), 90)]),
        ..Script::default()
    };
    let session = script.session(TokenSource::for_tests());
    session.environment(&Stop::default()).await.expect("it is there");
    assert_eq!(session.offset().map(|offset| offset.off.as_secs()), Some(30));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_trusted_ends_the_run() {
    let why = "invalid peer certificate: UnknownIssuer";
    let (listed, asked, _) = listed(vec![untrusted()]).await;
    assert_eq!(listed.expect_err("not trusted").to_string(), format!("the certificate of `api.pingone.eu` is not trusted: {why}"));
    assert_eq!(asked, "token users");
    let script = Script { tokens: replies([untrusted()]), ..Script::default() };
    let session = script.session(TokenSource::for_tests());
    let refused = session.has_token(&Stop::default()).await.expect_err("not trusted");
    assert_eq!(refused.to_string(), format!("the certificate of `auth.pingone.eu` is not trusted: {why}"));
    assert!(refused.hint().contains("`--ca-cert`"));
    assert!(!session.has_token(&Stop::default()).await.expect("nobody tries again"));
    assert_eq!(script.asked(), "token");
}

/// The result of fetching a token: the error message, the number of requests, and the seconds it took.
async fn token(tokens: Vec<Reply>) -> (Option<String>, usize, u64) {
    let script = Script { tokens: replies(tokens), ..Script::default() };
    let began = Instant::now();
    let fetched = script.session(TokenSource::for_tests()).has_token(&Stop::default()).await;
    let asked = script.asked().matches("token").count();
    (fetched.map(|has_token| assert!(has_token)).err().map(|error| error.to_string()), asked, began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_missing_token_is_explained() {
    let oauth = r#"{"error":"invalid_client","error_description":"Unsupported authentication method"}"#;
    let refused = |said: &str| Some(format!("PingOne refused the worker application: {said}"));
    let none = |attempts: &str, said: &str| Some(format!("no token could be had from `auth.pingone.eu` in {attempts}: {said}"));
    for (tokens, expected) in [
        (vec![], (None, 1, 0)),
        (vec![answer(401, oauth)], (refused("HTTP 401, invalid_client, Unsupported authentication method"), 1, 0)),
        (vec![answer(400, r#"{"error":"invalid_request"}"#)], (refused("HTTP 400, invalid_request"), 1, 0)),
        (vec![error(404)], (refused("HTTP 404, SOME_CODE, Said so., id f1"), 1, 0)),
        (vec![error(405)], (none("1 attempt", "HTTP 405, SOME_CODE, Said so., id f1"), 1, 0)),
        (vec![waiting(503, GIVE_UP_AFTER)], (none("1 attempt", "HTTP 503, SOME_CODE, Said so., id f1"), 1, 0)),
        (vec![waiting(503, 500), waiting(503, 500)], (none("2 attempts", "HTTP 503, SOME_CODE, Said so., id f1"), 2, 500)),
        (vec![waiting(429, 400), waiting(429, 400)], (none("2 attempts", "HTTP 429, SOME_CODE, Said so., id f1"), 2, 400)),
        (vec![waiting(429, 100), waiting(429, 100)], (None, 3, 200)),
        (vec![waiting(503, 500)], (None, 2, 500)),
    ] {
        let (message, asked, took) = token(tokens).await;
        assert_eq!((&message, asked), (&expected.0, expected.1));
        assert!(is_about(took, expected.2), "{message:?}: {took} s");
    }
    let (message, asked, _) = token((0..9).map(|_| answer(200, "{}")).collect()).await;
    assert!(message.is_some_and(|message| message.contains(" in 4 attempts: HTTP 200, ")) && asked == 4);
}

#[tokio::test(start_paused = true)]
async fn a_supplied_token_is_never_renewed() {
    let ready = || Arc::new(AccessToken::new(&"br0ught-token".into(), 1, None).expect("a token"));
    let script = Script { users: replies([answer(401, r#"{"code":"X","message":"for br0ught-token"}"#)]), ..Script::default() };
    let session = script.session(TokenSource::Ready(ready()));
    assert!(session.has_token(&Stop::default()).await.expect("there is one"));
    let refused = session.next_users(&mut session.user_list(None), &Stop::default()).await.expect_err("it is refused");
    assert_eq!(refused.to_string(), "PingOne refused the access token: HTTP 401, X, for [redacted]");
    assert_eq!(script.asked(), "users");
}

/// A request for a user, which counts towards the limit for users.
fn call() -> Call {
    Call::Get("7e94b96e-0364-463b-a059-d97d1e4cb1d5".parse().expect("a UUID"))
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_awaited_beyond_the_rows_deadline() {
    let (script, stop) = (Script::default(), Stop::default());
    let session = script.session(TokenSource::for_tests());
    let token = session.permit(&stop).await.expect("no error").expect("no stop");
    for left in [None, Some(10), Some(100)] {
        let deadline = left.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let request = RowRequest { call: call(), row: RowNumber(1), again: left.is_some(), deadline };
        session.send(request, &token, &stop).await.expect("no error");
    }
    assert_eq!(*script.limits.lock().expect("whole"), [30, 10, 30].map(Duration::from_secs));
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((count(&session.traffic.for_users), count(&session.traffic.sent), count(&session.traffic.retried)), (3, 4, 2));
}
