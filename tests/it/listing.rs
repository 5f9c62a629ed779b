//! Faulty user lists: links to other hosts, users listed twice, pages that do not come.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::directory::{directory_of, journal};
use crate::harness::{Done, Field, answering, done, no_bypass};

/// A server that issues tokens and serves a user list: `pages` maps a requested path to a body. The requests are recorded.
pub(crate) fn listing(pages: impl Fn(&str) -> String + Send + Sync + 'static) -> (String, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let url = answering(move |request| {
        let path = request.split_whitespace().nth(1).unwrap_or_default().to_owned();
        kept.lock().expect("whole").push(request.to_owned());
        let body = match path.as_str() {
            path if path.ends_with("/token") => r#"{"access_token":"s3cr3t-token","expires_in":3600}"#.to_owned(),
            path if path.ends_with("/bypassMFA") => no_bypass(path),
            path => pages(path),
        };
        ("200 OK".to_owned(), body)
    });
    (url, seen)
}

pub(crate) fn run_at(field: &Field, url: &str, arguments: &[&str]) -> Done {
    let mut tool = field.tool(arguments);
    done(tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", url).output().expect("the tool runs"))
}

pub(crate) fn user(index: u128) -> String {
    uuid::Uuid::from_u128(index).to_string()
}

/// A page of these users, with a link to the next, if there is one.
pub(crate) fn page(users: &[u128], next: Option<&str>) -> String {
    let users: Vec<_> = users.iter().map(|index| serde_json::json!({"id": user(*index), "username": format!("=u{index}")})).collect();
    let links = next.map_or_else(|| serde_json::json!({}), |next| serde_json::json!({"next": {"href": next}}));
    serde_json::json!({"_embedded": {"users": users}, "_links": links}).to_string()
}

#[test]
fn a_link_to_another_host_is_not_followed_and_the_token_does_not_go_there() {
    for (first, rows) in [(true, 0), (false, 2)] {
        let field = directory_of(1);
        let (elsewhere, reached) = listing(|_| page(&[9], None));
        let (url, seen) = listing(move |path| {
            let own = path.split('?').next().unwrap_or_default().to_owned();
            let foreign = format!("{elsewhere}{own}?cursor=2");
            let is_first = !path.contains("cursor");
            page(if is_first { &[1, 2] } else { &[3] }, Some(if is_first && !first { "?cursor=1" } else { &foreign }))
        });
        let done = run_at(&field, &url, &["audit", "--all-users"]);
        assert_eq!(done.code, 3, "{}", done.stderr);
        assert!(done.stderr.contains("error: the user list goes on at `http://127.0.0.1:"), "{}", done.stderr);
        assert!(done.stderr.contains("nothing was sent there") && done.stderr.contains("\nhint: check `--api-url`"), "{}", done.stderr);
        assert!(reached.lock().expect("whole").is_empty(), "{reached:?}");
        let for_users = seen.lock().expect("whole").iter().filter(|request| request.contains("/bypassMFA")).count();
        assert!(for_users <= rows, "{for_users}");
    }
}

#[test]
fn who_stands_in_the_list_twice_is_read_once_and_its_text_is_made_harmless() {
    let field = directory_of(1);
    let (url, seen) = listing(|path| match path.split_once("cursor=").map(|(_, cursor)| cursor) {
        None => page(&[1, 2, 3], Some("?cursor=1")),
        Some("1") => page(&[], Some("?cursor=2")),
        Some(_) => page(&[3, 2, 4, 4], None),
    });
    let done = run_at(&field, &url, &["audit", "--all-users"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = field.report("users.report.csv");
    assert_eq!(report.column("userID"), [1, 2, 3, 4].map(user).each_ref());
    assert_eq!(report.column("username"), ["'=u1", "'=u2", "'=u3", "'=u4"]);
    assert!(report.is_whole(4));
    assert_eq!(seen.lock().expect("whole").iter().filter(|request| request.contains("/bypassMFA")).count(), 4);
    let grown = run_at(&field, &url, &["audit", "--all-users", "--max-users", "3", "-o", "x.csv"]);
    assert!(grown.code == 3 && grown.stderr.contains("the list goes on after 3 users"), "{}", grown.stderr);
}

#[test]
fn a_list_without_end_stops_the_run() {
    for (brings_new, count, why) in [
        (false, 2, "3 pages in a row bring nobody new"),
        (false, 1_000_000, "3 pages in a row bring nobody new"),
        (true, 3, "it is said to have 3 users, and goes on after 17"),
    ] {
        let field = directory_of(1);
        let (url, seen) = listing(move |path| {
            let cursor = path.split_once("cursor=").map_or(0, |(_, cursor)| cursor.parse::<u128>().expect("a number"));
            let next = format!("?cursor={}", cursor + 1);
            page(&[if brings_new { cursor } else { 1 }], Some(&next)).replacen('{', &format!(r#"{{"count":{count},"#), 1)
        });
        let done = run_at(&field, &url, &["audit", "--all-users", "--rate", "unlimited"]);
        assert_eq!(done.code, 3, "{}", done.stderr);
        assert!(done.stderr.contains(&format!("error: the user list at `127.0.0.1` has no end: {why}")), "{}", done.stderr);
        assert!(seen.lock().expect("whole").len() < 50, "it was found out soon");
        let again = run_at(&field, &url, &["audit", "--all-users", "--rate", "unlimited", "--resume"]);
        assert!(again.code == 3 && again.stderr.contains(why), "{}", again.stderr);
    }
}

#[test]
fn a_run_that_is_taken_up_reads_the_pages_anew_that_bring_it_nobody_new() {
    let field = directory_of(1);
    let is_mended = Arc::new(AtomicBool::new(false));
    let mended = Arc::clone(&is_mended);
    let (url, _) = listing(move |path| {
        let cursor = path.split_once("cursor=").map_or(0, |(_, cursor)| cursor.parse::<u128>().expect("a number"));
        let next = format!("?cursor={}", cursor + 1);
        match cursor {
            8 if !mended.load(Ordering::Relaxed) => "{}".to_owned(),
            8 => page(&[cursor], None),
            _ => page(&[cursor], Some(&next)),
        }
    });
    let stopped = run_at(&field, &url, &["audit", "--all-users", "--max-attempts", "1"]);
    assert_eq!(stopped.code, 3, "{}", stopped.stderr);
    is_mended.store(true, Ordering::Relaxed);
    let done = run_at(&field, &url, &["audit", "--all-users", "--max-attempts", "1", "--resume"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(field.report("users.report.csv").is_whole(9));
}

#[test]
fn a_list_that_is_shorter_than_its_count_is_told_of() {
    for (count, told) in [(3, false), (4, true)] {
        let field = directory_of(1);
        let (url, _) = listing(move |path| {
            let next = (!path.contains("cursor")).then_some("?cursor=1");
            let users: &[u128] = if next.is_some() { &[1, 2] } else { &[3] };
            page(users, next).replacen('{', &format!(r#"{{"count":{count},"#), 1)
        });
        let done = run_at(&field, &url, &["audit", "--all-users"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let words = "every user of the directory: PingOne counted 4 users at first, and listed 3: only those listed are in the report";
        assert_eq!(done.stderr.contains(words), told, "{}", done.stderr);
    }
}

#[test]
fn a_page_that_cannot_be_had_stops_the_run_and_resume_completes_it() {
    let field = directory_of(1);
    let is_mended = Arc::new(AtomicBool::new(false));
    let mended = Arc::clone(&is_mended);
    let url = answering(move |request| {
        let path = request.split_whitespace().nth(1).unwrap_or_default();
        let body = match path {
            path if path.ends_with("/token") => r#"{"access_token":"s3cr3t-token","expires_in":3600}"#.to_owned(),
            path if path.ends_with("/bypassMFA") => no_bypass(path),
            path if !path.contains("cursor") => page(&[1, 2], Some("?cursor=1")),
            _ if mended.load(Ordering::SeqCst) => page(&[3, 4], None),
            _ => {
                // Late enough that the users of the first page are settled.
                std::thread::sleep(Duration::from_millis(500));
                return (
                    "400 Bad Request".to_owned(),
                    r#"{"id":"f1","code":"INVALID_REQUEST","message":"The cursor is gone."}"#.to_owned(),
                );
            }
        };
        ("200 OK".to_owned(), body)
    });
    let stopped = run_at(&field, &url, &["audit", "--all-users", "-o", "users.report.csv"]);
    assert_eq!(stopped.code, 3, "{}", stopped.stderr);
    assert!(
        stopped.stderr.contains("a page of the list could not be had: HTTP 400, INVALID_REQUEST, The cursor is gone."),
        "{}",
        stopped.stderr
    );
    assert!(stopped.stderr.lines().last().is_some_and(|line| line.starts_with("to resume: ")), "{}", stopped.stderr);
    is_mended.store(true, Ordering::SeqCst);
    let resumed = run_at(&field, &url, &["audit", "--all-users", "--resume"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    assert_eq!(field.report("users.report.csv").column("userID"), [1, 2, 3, 4].map(user).each_ref());
}

#[test]
fn a_signal_does_not_wait_for_a_page() {
    let field = directory_of(1);
    let (url, seen) = listing(|path| {
        if path.contains("cursor") {
            std::thread::sleep(Duration::from_secs(60));
        }
        page(&[1, 2], Some("?cursor=1"))
    });
    let mut tool = field.tool(&["audit", "--all-users"]);
    tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", &url).stderr(Stdio::piped());
    let child = tool.spawn().expect("the tool runs");
    let start = Instant::now();
    while journal(&field) < 2 || !seen.lock().expect("whole").iter().any(|request| request.contains("cursor")) {
        assert!(start.elapsed() < Duration::from_secs(30), "it did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
    crate::harness::send_signal(&child, "INT");
    let sent = Instant::now();
    let stopped = done(child.wait_with_output().expect("ends"));
    assert!(stopped.code == 130 && sent.elapsed() < Duration::from_secs(5), "{:?}: {}", sent.elapsed(), stopped.stderr);
    assert!(stopped.stderr.contains("to resume: "), "{}", stopped.stderr);
}

/// An API that lets nobody read anything. Returns its URL.
pub(crate) fn refusing() -> String {
    answering(|request| {
        let is_token = request.starts_with("POST");
        let refusal = r#"{"id":"f1","code":"ACCESS_FAILED","message":"You may not."}"#;
        let body = if is_token { r#"{"access_token":"s3cr3t-token","expires_in":3600}"# } else { refusal };
        (if is_token { "200 OK" } else { "403 Forbidden" }.to_owned(), body.to_owned())
    })
}

#[test]
fn a_list_that_may_not_be_read_names_the_role() {
    let field = directory_of(1);
    let url = refusing();
    let done = run_at(&field, &url, &["audit", "--all-users"]);
    assert_eq!(done.code, 4, "{}", done.stderr);
    assert!(done.stderr.contains("HTTP 403, ACCESS_FAILED, You may not., id f1"), "{}", done.stderr);
    assert!(done.stderr.contains("\nhint: give the worker application the role Identity Data Admin"), "{}", done.stderr);
}
