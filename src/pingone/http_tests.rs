//! Tests of the HTTP transport against a local server that answers with arbitrary bytes.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use secrecy::SecretString;

use super::*;
use crate::domain::{BypassUntil, EnvironmentId, UserId};

const ENVIRONMENT: &str = "abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6";
const USER: &str = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";
const RUN: &str = "11111111-2222-4333-8444-555555555555";

/// Answers each connection with the next list of pieces; sends each request that it receives to the channel.
fn serve(answers: Vec<Vec<Vec<u8>>>) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for pieces in answers {
            let (mut stream, _) = listener.accept().expect("a connection");
            tell.send(request(&mut stream)).expect("the test goes on");
            for piece in pieces {
                // The client hangs up once it has read enough.
                if stream.write_all(&piece).and_then(|()| stream.flush()).is_err() {
                    break;
                }
            }
        }
    });
    (port, told)
}

/// Reads one request, head and body.
fn request(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("a request") > 0 {
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).expect("UTF-8");
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    head + std::str::from_utf8(&body).expect("UTF-8")
}

fn answer(head: &str, body: &[u8]) -> Vec<Vec<u8>> {
    vec![format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes(), body.to_vec()]
}

fn transport(port: u16, timeout: Duration) -> HttpTransport {
    let environment: EnvironmentId = ENVIRONMENT.parse().expect("a UUID");
    let api = format!("http://127.0.0.1:{port}/v1").parse().expect("a URL");
    let auth = format!("http://127.0.0.1:{port}").parse().expect("a URL");
    let endpoints = Endpoints { api, auth, environment, auth_environment: environment, urls: None };
    let run = RUN.parse().expect("a UUID");
    HttpTransport::new(HttpSettings { endpoints, ca: TrustedCa::default(), timeout, concurrency: 1, run }).expect("a client")
}

fn token() -> AccessToken {
    AccessToken::new(&SecretString::from("abc"), 1, None).expect("a token")
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn each_request_is_sent_as_documented() {
    let (port, told) = serve(vec![answer("200 OK", b"{}"); 7]);
    let (user, until): (UserId, _) = (USER.parse().expect("a UUID"), BypassUntil::read("2026-08-31T00:00:00.000Z").expect("a date"));
    let transport = transport(port, MINUTE);
    transport.send(Call::Get(user), RowNumber(7), &token(), MINUTE).await.expect("an answer");
    transport.send(Call::Put(user, until), RowNumber(8), &token(), MINUTE).await.expect("an answer");
    transport.fetch(Resource::Environment, &token()).await.expect("an answer");
    transport.fetch(Resource::Licence, &token()).await.expect("an answer");
    transport.fetch(Resource::Users(&transport.settings.endpoints.users(None)), &token()).await.expect("an answer");
    let (client_id, secret) = ("an id", &SecretString::from("s3cr+t"));
    transport.fetch_token(&Authentication::Basic { client_id, secret }).await.expect("an answer");
    transport.fetch_token(&Authentication::Post { client_id, secret }).await.expect("an answer");
    let path = format!("/v1/environments/{ENVIRONMENT}");
    let (bearer, session) = ("authorization: Bearer abc", format!("x-ping-external-session-id: {RUN}"));
    let transaction = |row: u64| format!("x-ping-external-transaction-id: {RUN}-{row}");
    let form = "content-type: application/x-www-form-urlencoded";
    for (line, headers, body) in [
        (format!("GET {path}/users/{USER}/bypassMFA"), vec![bearer, &session, &transaction(7)], ""),
        (
            format!("PUT {path}/users/{USER}/bypassMFA"),
            vec![bearer, &session, &transaction(8), "content-type: application/json"],
            r#"{"bypassMFAEnabledUntil":"2026-08-31T00:00:00.000Z"}"#,
        ),
        (format!("GET {path}"), vec![bearer, &session, &transaction(0)], ""),
        (format!("GET {path}/capabilities"), vec![bearer, &session, &transaction(0)], ""),
        (format!("GET {path}/users?limit=200"), vec![bearer, &session, &transaction(0)], ""),
        (
            format!("POST /{ENVIRONMENT}/as/token"),
            vec!["authorization: Basic YW4gaWQ6czNjcit0", &session, form],
            "grant_type=client_credentials",
        ),
        (
            format!("POST /{ENVIRONMENT}/as/token"),
            vec![&session, form],
            "grant_type=client_credentials&client_id=an+id&client_secret=s3cr%2Bt",
        ),
    ] {
        let sent = told.recv().expect("a request");
        let (head, found) = sent.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with(&format!("{line} HTTP/1.1\r\n")), "{head}");
        assert!(headers.iter().all(|header| head.lines().any(|line| line == *header)), "{headers:?} in {head}");
        assert!(head.contains("user-agent: pingone-bypass/"), "{head}");
        assert_eq!(found, body);
    }
}

/// The status and the body of an answer, or why the body is incomplete.
async fn read(pieces: Vec<Vec<u8>>, asks_for: &str) -> (u16, Result<String, String>) {
    let (port, _told) = serve(vec![pieces]);
    let transport = transport(port, MINUTE);
    let answer = match asks_for {
        "users" => transport.fetch(Resource::Users(&transport.settings.endpoints.users(None)), &token()).await,
        "licence" => transport.fetch(Resource::Licence, &token()).await,
        _ => transport.fetch(Resource::Environment, &token()).await,
    };
    let answer = answer.expect("an answer");
    (answer.status, answer.body.map(|body| String::from_utf8(body.to_vec()).expect("UTF-8")))
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit() {
    for (asks_for, most) in [("environment", 64 << 10), ("licence", 256 << 10), ("users", 4 << 20)] {
        let body = "x".repeat(most);
        assert_eq!(read(answer("200 OK", body.as_bytes()), asks_for).await, (200, Ok(body.clone())), "{asks_for}");
        let longer = format!("{body}x");
        let too_long = Err(format!("the answer is longer than {} KiB", most >> 10));
        assert_eq!(read(answer("200 OK", longer.as_bytes()), asks_for).await, (200, too_long), "{asks_for}");
        assert_eq!(read(answer("403 Forbidden", longer.as_bytes()), asks_for).await, (403, Ok(String::new())), "the status says enough");
    }
}

#[tokio::test]
async fn a_chunked_body_is_joined_and_a_truncated_one_is_an_error() {
    let mut text = "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for piece in ["ab", "cde", "f"] {
        write!(text, "{:x}\r\n{piece}\r\n", piece.len()).expect("memory");
    }
    let whole = format!("{text}0\r\n\r\n");
    assert_eq!(read(vec![whole.into_bytes()], "environment").await, (200, Ok("abcdef".to_owned())));
    let (status, torn) = read(vec![text.into_bytes()], "environment").await;
    let why = torn.expect_err("its end is missing");
    assert!(status == 200 && why.starts_with("the answer broke off: ") && !why.contains("127.0.0.1"), "{why}");
}

#[tokio::test]
async fn a_fault_says_whether_the_request_may_have_arrived_and_names_no_url() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = listener.local_addr().expect("bound").port();
    drop(listener);
    let refused = transport(closed, MINUTE).fetch(Resource::Environment, &token()).await.expect_err("nobody listens");
    assert!(!refused.may_have_arrived && !refused.untrusted, "{refused:?}");
    assert!(refused.what.to_lowercase().contains("connection refused") && !refused.what.contains("http://"), "{}", refused.what);
    assert_eq!(refused.what.to_lowercase().matches("refused").count(), 1, "each cause once: {}", refused.what);

    let (port, _told) = serve(vec![Vec::new()]);
    let dropped = transport(port, MINUTE).fetch(Resource::Environment, &token()).await.expect_err("it hangs up");
    assert!(dropped.may_have_arrived && !dropped.untrusted && !dropped.what.contains("http://"), "{dropped:?}");

    // It accepts the connection and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let late = transport(port, Duration::from_millis(300)).fetch(Resource::Environment, &token()).await.expect_err("no answer");
    assert!(late.may_have_arrived && !late.untrusted);
    assert_eq!(late.what, "no answer within 0.3 s");
}

#[test]
fn the_age_of_a_cached_answer_is_added_to_its_date() {
    let date = |pairs: &[(HeaderName, &'static str)]| {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        date(&headers).map(|date| date.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs())
    };
    let sent = || (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(date(&[sent()]), Some(784_111_777));
    assert_eq!(date(&[sent(), (AGE, " 20 ")]), Some(784_111_797));
    assert_eq!(date(&[sent(), (AGE, "soon")]), Some(784_111_777));
    assert_eq!(date(&[sent(), (AGE, "99999999999")]), Some(784_111_777 + 31_536_000));
    assert_eq!((date(&[]), date(&[(DATE, "today")]), date(&[(AGE, "20")])), (None, None, None));
}

#[test]
fn debug_shows_the_number_of_certificates_only() {
    assert_eq!(format!("{:?}", TrustedCa::default()), "TrustedCa(0)");
}
