//! Users by username, email or external ID: each is looked up, and none is mistaken for another.

use std::process::Stdio;
use std::time::{Duration, Instant};

use pingone_bypass::sandbox::{LoggedCall, NamedUser, SandboxConfig};

use crate::harness::{Done, Field, answering, done, faulty, field, field_with, send_signal};

fn named(username: &str, email: &str) -> NamedUser {
    NamedUser { username: username.to_owned(), email: email.to_owned(), external_id: String::new() }
}

/// A sandbox of `users` generated users, those with these emails, and no others.
fn field_of(users: u64, emails: &[&str]) -> Field {
    let named = (0..).zip(emails).map(|(number, email)| named(&format!("named{number}"), email)).collect();
    field_with(SandboxConfig { users: Some(users), named, ..SandboxConfig::default() })
}

/// An input of the emails of the sandbox's first `count` users.
fn emails(field: &Field, count: u64) {
    let rows: String = (0..count).map(|index| format!("user{index:06}@example.com\n")).collect();
    field.write("in.csv", format!("email\n{rows}"));
}

fn look_ups(calls: &[LoggedCall]) -> Vec<&LoggedCall> {
    calls.iter().filter(|call| call.path.ends_with("/users")).collect()
}

fn puts(calls: &[LoggedCall]) -> usize {
    calls.iter().filter(|call| call.method == "PUT").count()
}

/// Asserts that each row of the report names its own user, who was granted a bypass.
fn assert_granted(field: &Field, count: u64) {
    let report = field.report("in.report.csv");
    assert_eq!(report.count("granted") as u64, count);
    for (index, line) in (0..).zip(&report.lines) {
        assert_eq!(
            (line[1].as_str(), line[15].as_str()),
            (field.sandbox.user_id(index).to_string().as_str(), format!("user{index:06}@example.com").as_str())
        );
        assert_eq!(field.sandbox.bypass_of(field.sandbox.user_id(index)).map(|until| until.to_string()), Some(line[4].clone()));
    }
}

#[test]
fn two_thousand_emails_are_granted_with_few_requests_more() {
    let field = field_of(10_000, &[]);
    emails(&field, 2000);
    let run = field.run(&["grant", "in.csv", "--until", "+4h", "--rate", "unlimited"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("looked up  2000 rows by `email`: 2000 found"), "{}", run.stderr);
    assert_granted(&field, 2000);
    let calls = field.calls();
    assert_eq!((calls.iter().filter(|call| call.is_token()).count(), puts(&calls)), (1, 2000));
    assert!(calls.len() <= 2000 + 2000 / 15 + 1, "{}", calls.len());
    let first_put = calls.iter().position(|call| call.method == "PUT").expect("a PUT");
    assert_eq!(look_ups(&calls[first_put..]).len(), 0, "everybody is looked up before anything is changed");
}

#[test]
fn a_server_that_takes_no_or_is_asked_one_by_one() {
    let field = field_with(SandboxConfig { users: Some(10_000), no_or: true, ..SandboxConfig::default() });
    emails(&field, 2000);
    let run = field.run(&["grant", "in.csv", "--until", "+4h", "--rate", "unlimited"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_granted(&field, 2000);
    let calls = field.calls();
    assert_eq!(run.stderr.matches("one by one").count(), 1, "{}", run.stderr);
    assert_eq!(look_ups(&calls).iter().filter(|call| call.status == Some(400)).count(), 1, "that is found out once");
    assert_eq!((look_ups(&calls).len(), puts(&calls)), (2001, 2000));
}

#[test]
fn whatever_the_faults_everybody_is_found_and_granted_once() {
    let field = field_with(SandboxConfig {
        users: Some(1000),
        no_or: true,
        faults: "500=5%,truncate=2%,reset=1%,html=1%,expired=1%".parse().expect("faults"),
        ..SandboxConfig::default()
    });
    emails(&field, 300);
    let run = field.run(&["grant", "in.csv", "--until", "+4h", "--rate", "unlimited", "--max-attempts", "20"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_granted(&field, 300);
    let calls = field.calls();
    assert!(look_ups(&calls).iter().any(|call| call.faulted), "faults were met");
}

#[test]
fn two_names_of_one_user_are_a_duplicate_or_a_conflict() {
    let field = field_of(10, &[]);
    let (one, other) = ("user000001@example.com", "USER000001@Example.com");
    field.write("in.csv", format!("email,until\n{one},2099-01-01\nuser000002@example.com,2099-01-01\n{other},2099-01-02\n"));
    let run = field.run(&["grant", "in.csv"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    for expected in [
        "in.csv: 2 of 3 rows are invalid; nothing was changed by this command",
        "in.csv:2: column `until`: ",
        "on line 4",
        "in.csv:4: ",
        "on line 2",
    ] {
        assert!(run.stderr.contains(expected), "{}\nshould have: {expected}", run.stderr);
    }
    assert_eq!(puts(&field.calls()), 0);
    assert!(!field.path("in.report.partial.csv").exists() && !field.path("in.report.run.json").exists());

    let run = field.run(&["grant", "in.csv", "--skip-invalid"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let report = field.report("in.report.csv");
    let user = field.sandbox.user_id(1).to_string();
    assert_eq!(report.column("result"), ["invalid", "granted", "invalid"]);
    assert_eq!((report.column("userID")[0], report.column("userID")[2]), (user.as_str(), user.as_str()));
    assert_eq!(report.column("email"), [one, "user000002@example.com", other], "as it stands in the input");

    field.write("same.csv", format!("email,until\n{one},2099-01-01\n{other},2099-01-01\n"));
    let run = field.run(&["grant", "same.csv"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(field.report("same.report.csv").column("result"), ["granted", "duplicate"]);
}

#[test]
fn of_several_users_with_one_email_none_is_taken() {
    let field = field_of(5, &["two@example.com", "two@example.com", "Case@example.com", "case@example.com"]);
    field.write(
        "in.csv",
        "name,E-Mail\na,two@example.com\nb,nobody@example.com\nc,case@example.com\nd,CASE@example.com\ne,user000001@example.com\n",
    );
    let run = field.run(&["grant", "in.csv", "--until", "+1h"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("looked up  5 rows by `E-Mail`: 1 found, 1 not_found, 3 ambiguous"), "{}", run.stderr);
    let report = field.report("in.report.csv");
    assert_eq!(report.column("result"), ["ambiguous", "not_found", "ambiguous", "ambiguous", "granted"]);
    assert_eq!(report.column("userID"), ["", "", "", "", &field.sandbox.user_id(1).to_string()]);
    let ids = format!("several users have this email: {}, {}", field.sandbox.user_id(5), field.sandbox.user_id(6));
    assert_eq!(report.column("errorMessage")[..2], [ids.as_str(), "no user has this email"]);
    assert!(report.lines[1][5].len() == 24 && report.lines[1][12] == "0", "{:?}", report.lines[1]);
    assert_eq!(puts(&field.calls()), 1);
    let failed = std::fs::read_to_string(field.path("in.report.failed.csv")).expect("there");
    assert!(failed.starts_with("name,E-Mail,result,errorMessage\na,two@example.com,ambiguous,\"several users"), "{failed}");

    let again = field.run(&["audit", "in.report.failed.csv"]);
    assert_eq!(again.code, 1, "{}", again.stderr);
    assert_eq!(field.report("in.report.failed.report.csv").column("result"), ["ambiguous", "not_found", "ambiguous", "ambiguous"]);
    // Users that a report names by ID are not looked up again.
    field.calls();
    let end = field.run(&["end", "in.report.csv", "-o", "ended.csv"]);
    assert_eq!(end.code, 1, "{}", end.stderr);
    assert_eq!(field.report("ended.csv").column("result"), ["ambiguous", "not_found", "ambiguous", "ambiguous", "ended"]);
    let calls = field.calls();
    assert!(look_ups(&calls).iter().all(|call| !call.query.contains("user000001")), "{calls:?}");
}

#[test]
fn a_column_of_ids_wins_and_a_named_column_is_what_its_name_says() {
    let field = field_of(5, &[]);
    let id = field.sandbox.user_id(1);
    field.write("in.csv", format!("email,userID,external_id\nuser000002@example.com,{id},E000003\n"));
    let user = |arguments: &[&str]| {
        let run = field.run(&[&["audit", "in.csv", "--overwrite"], arguments].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        field.report("in.report.csv").column("userID")[0].to_owned()
    };
    assert_eq!(user(&[]), id.to_string());
    assert_eq!(look_ups(&field.calls()).len(), 0);
    assert_eq!(user(&["--user-column", "Email"]), field.sandbox.user_id(2).to_string());
    assert_eq!(user(&["--user-column", "externalId"]), field.sandbox.user_id(3).to_string());
    let run = field.run(&["audit", "in.csv", "--overwrite", "--user-column", "userid"]);
    assert_eq!((run.code, look_ups(&field.calls()).len()), (0, 2));
    field.write("other.csv", "mail\nuser000002@example.com\n");
    let run = field.run(&["audit", "other.csv", "--user-column", "mail"]);
    assert!(run.code == 2 && run.stderr.contains("column `mail`: `user000002@example.com` is not a UUID"), "{}", run.stderr);
}

#[test]
fn what_cannot_be_looked_up_is_an_invalid_row() {
    let field = field_of(5, &[]);
    let long = "x".repeat(257);
    field.write("in.csv", format!("username,n\nuser000001,1\n,2\n\"a\nb\",3\n{long},4\n"));
    let run = field.run(&["audit", "in.csv"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    for expected in [
        "in.csv: 3 of 4 rows are invalid; nothing was sent",
        "in.csv:3: column `username`: there is no value: expected one to look the user up by",
        "in.csv:4: column `username`: `a\\nb` cannot be looked up: expected text without control characters",
        "in.csv:6: column `username`: `xxx",
        "cannot be looked up: expected at most 256 characters",
    ] {
        assert!(run.stderr.contains(expected), "{}\nshould have: {expected}", run.stderr);
    }
    assert!(field.calls().is_empty(), "nothing was sent");
    let run = field.run(&["audit", "in.csv", "--skip-invalid"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let report = field.report("in.report.csv");
    assert_eq!((report.column("result"), report.column("userID")[1]), (vec!["inactive", "invalid", "invalid", "invalid"], ""));
}

#[test]
fn a_dry_run_says_how_much_there_is_to_look_up_and_sends_nothing() {
    let field = field_of(5, &[]);
    emails(&field, 1000);
    let input = std::fs::read_to_string(field.path("in.csv")).expect("there");
    field.write("in.csv", format!("{input}user000007@example.com\n"));
    let run = field.run(&["grant", "in.csv", "--until", "+1h", "--dry-run"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for expected in ["plan       grant at most 1001 of 1001 rows\n", "look up    1000 values of `email`, in at least 16 requests before"] {
        assert!(run.stderr.contains(expected), "{}\nshould have: {expected}", run.stderr);
    }
    assert!(field.calls().is_empty());
}

#[test]
fn a_rehearsal_finds_whoever_is_asked_for() {
    let field = field();
    field.write("in.csv", "email\nann@our.example\nANN@our.example\nuser000003@example.com\nbob \"the builder\"@our.example\n");
    let run = field.run(&["grant", "in.csv", "--until", "+1h"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let report = field.report("in.report.csv");
    assert_eq!(report.column("result"), ["granted", "duplicate", "granted", "granted"]);
    assert_eq!(report.column("userID")[2], field.sandbox.user_id(3).to_string());
    let mut tool = crate::harness::tool();
    tool.current_dir(field.folder()).args(["grant", "in.csv", "--until", "+1h", "--sandbox", "-o", "rehearsal.csv"]);
    let run = done(tool.output().expect("the tool runs"));
    assert_eq!((run.code, field.report("rehearsal.csv").count("granted")), (0, 3), "{}", run.stderr);
}

#[test]
fn a_list_that_may_not_be_read_ends_the_run_before_anything_is_changed() {
    let field = faulty("403=100%");
    emails(&field, 500);
    let run = field.run(&["grant", "in.csv", "--until", "+1h"]);
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(
        run.stderr.contains("error: looking users up by `email`: PingOne does not let the user list be read: HTTP 403, UNEXPECTED_ERROR"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("\nhint: give the worker application the role Identity Data Admin"), "{}", run.stderr);
    let calls = field.calls();
    assert_eq!((look_ups(&calls).len(), puts(&calls)), (1, 0));
    assert_eq!(std::fs::read_dir(field.folder()).expect("a folder").count(), 1, "no trace is left");

    let field = faulty("503=100%");
    emails(&field, 5);
    let run = field.run(&["grant", "in.csv", "--until", "+1h", "--max-attempts", "2"]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stderr.contains("error: looking users up by `email`: a page of the list could not be had: HTTP 503"), "{}", run.stderr);
    assert_eq!(puts(&field.calls()), 0);
}

#[test]
fn a_row_whose_user_may_not_be_asked_for_is_rejected_with_what_was_said() {
    let field = faulty("400=100%");
    emails(&field, 1);
    let run = field.run(&["grant", "in.csv", "--until", "+1h"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let report = field.report("in.report.csv");
    assert_eq!(report.count("rejected"), 1);
    for line in &report.lines {
        assert_eq!((line[1].as_str(), line[7].as_str(), line[9].as_str()), ("", "400", "A fault of the sandbox's."));
        assert!(line[10].len() == 36 && line[11].len() == 36, "{line:?}");
    }
    let calls = field.calls();
    assert_eq!((look_ups(&calls).len(), puts(&calls)), (1, 0));

    // If each of several is refused, the cause is none of them.
    emails(&field, 3000);
    let run = field.run(&["grant", "in.csv", "--until", "+1h", "-o", "other.csv"]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stderr.contains("a page of the list could not be had: HTTP 400, UNEXPECTED_ERROR"), "{}", run.stderr);
    let calls = field.calls();
    assert!(look_ups(&calls).len() < 200 && puts(&calls) == 0, "{}", look_ups(&calls).len());
}

#[test]
fn a_list_that_does_not_heed_the_filter_is_not_gone_through_to_its_end() {
    let field = field();
    emails(&field, 5);
    let pages = std::sync::atomic::AtomicU32::new(0);
    let url = answering(move |head| {
        let page = pages.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = head.split(' ').nth(1).and_then(|path| path.split('?').next()).unwrap_or_default().to_owned();
        let body = format!(r#"{{"_embedded":{{"users":[]}},"_links":{{"next":{{"href":"{path}?cursor={page}"}}}}}}"#);
        ("200 OK\r\nContent-Type: application/json".to_owned(), body)
    });
    let mut tool = field.tool(&["audit", "in.csv"]);
    let run = done(tool.env("PINGONE_API_URL", format!("{url}/v1")).output().expect("the tool runs"));
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stderr.contains("the filter does not seem to be heeded"), "{}", run.stderr);
}

#[test]
fn a_list_of_users_without_end_who_have_what_was_asked_for_ends_the_run() {
    for (brings_new, why) in [
        (true, "has no end: it is said to have 1 user, and goes on after 13"),
        (false, "page after page holds nobody new who was asked for"),
    ] {
        let field = field_of(0, &[]);
        field.write("in.csv", "email\nann@example.com\n");
        let url = answering(move |request| {
            let path = request.split_whitespace().nth(1).unwrap_or_default();
            let page = path.split_once("cursor=").map_or(0, |(_, cursor)| cursor.parse::<u128>().expect("a number"));
            let id = uuid::Uuid::from_u128(if brings_new { page } else { 1 });
            let user = format!(r#"{{"id":"{id}","email":"ann@example.com"}}"#);
            let body = match path {
                path if path.ends_with("/token") => r#"{"access_token":"s3cr3t-token","expires_in":3600}"#.to_owned(),
                path if path.contains("/users") => {
                    let next = page + 1;
                    format!(r#"{{"_embedded":{{"users":[{user}]}},"_links":{{"next":{{"href":"?cursor={next}"}}}}}}"#)
                }
                _ => "{}".to_owned(),
            };
            ("200 OK".to_owned(), body)
        });
        let mut tool = field.tool(&["audit", "in.csv"]);
        let run = done(tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", &url).output().expect("the tool runs"));
        assert!(run.code == 3 && run.stderr.contains(why), "{} {}", run.code, run.stderr);
    }
}

fn wait_for(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(30), "it did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn interrupted(field: &Field, arguments: &[&str], when: impl Fn() -> bool) -> Done {
    let child = field.tool(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool runs");
    wait_for(when);
    send_signal(&child, "INT");
    done(child.wait_with_output().expect("ends"))
}

#[test]
fn interrupted_while_users_are_looked_up_nothing_is_changed() {
    let field = field_with(SandboxConfig { users: Some(2000), latency: Duration::from_millis(50), ..SandboxConfig::default() });
    emails(&field, 2000);
    let looked_up = std::cell::Cell::new(0);
    let seen = || {
        looked_up.set(looked_up.get() + look_ups(&field.calls()).len());
        looked_up.get() > 2
    };
    let run = interrupted(&field, &["grant", "in.csv", "--until", "+1h", "--rate", "5/s"], seen);
    assert_eq!(run.code, 130, "{}", run.stderr);
    assert!(
        run.stderr.contains("error: stopped by SIGINT before the first row was sent: nothing was changed by this command"),
        "{}",
        run.stderr
    );
    assert_eq!(puts(&field.calls()), 0);
    assert_eq!(std::fs::read_dir(field.folder()).expect("a folder").count(), 1, "no trace is left");
}

#[test]
fn taken_up_a_run_looks_up_nobody_whom_it_knows_and_still_finds_who_stands_there_twice() {
    let field = field_of(1000, &[]);
    let rows: String = (0..400).map(|index| format!("user{:06}@example.com\n", index % 399)).collect();
    field.write("in.csv", format!("email\nnobody@example.com\n{rows}"));
    let arguments = ["grant", "in.csv", "--until", "2099-01-01", "--rate", "300/s"];
    let lines = || std::fs::read_to_string(field.path("in.report.partial.csv")).map_or(0, |text| text.lines().count());
    let run = interrupted(&field, &arguments, || lines() > 110);
    assert_eq!(run.code, 130, "{}", run.stderr);
    let before = puts(&field.calls());
    assert!((100..400).contains(&before), "{before}");
    let run = field.run(&[&arguments[..], &["--resume"]].concat());
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(!field.path("in.report.lookup.csv").exists(), "the report names the users");
    let calls = field.calls();
    assert_eq!(before + puts(&calls), 399, "nobody is granted twice");
    let asked: String = look_ups(&calls).iter().map(|call| call.query.as_str()).collect();
    assert!(asked.is_empty(), "everybody is known: {asked}");
    let report = field.report("in.report.csv");
    assert!(report.is_whole(401));
    assert_eq!((report.count("granted"), report.count("duplicate"), report.count("not_found")), (399, 1, 1));
    assert_eq!(report.column("result")[400], "duplicate");
}

/// A grant by email of 101 users that was killed after some of them. The last row is ann's.
fn killed_grant_by_email() -> (Field, [&'static str; 4]) {
    let field = field_of(100, &["ann@example.com", "bob@example.com"]);
    let rows: String = (0..100).map(|index| format!("user{index:06}@example.com\n")).collect();
    field.write("in.csv", format!("email\n{rows}ann@example.com\n"));
    let arguments = ["grant", "in.csv", "--until", "+4h"];
    let mut child = field.tool(&[&arguments[..], &["--rate", "100/s"]].concat()).stderr(Stdio::null()).spawn().expect("the tool runs");
    let lines = || std::fs::read_to_string(field.path("in.report.partial.csv")).map_or(0, |text| text.lines().count());
    let began = Instant::now();
    while lines() < 20 {
        assert!(began.elapsed() < Duration::from_secs(60), "no line was written");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("it ran");
    child.wait().expect("it ended");
    assert!(lines() < 101, "some are left");
    (field, arguments)
}

#[test]
fn an_address_that_went_over_to_another_user_is_granted_to_the_user_who_was_confirmed() {
    let (field, arguments) = killed_grant_by_email();
    field.sandbox.rename(0, named("named0", "ann.old@example.com"));
    field.sandbox.rename(1, named("named1", "ann@example.com"));
    field.calls();
    let resumed = field.run(&[&arguments[..], &["--resume"]].concat());
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    let [first, second] = [100, 101].map(|index| field.sandbox.user_id(index));
    assert!(field.sandbox.bypass_of(first).is_some() && field.sandbox.bypass_of(second).is_none());
    let report = field.report("in.report.csv");
    assert!(report.is_whole(101) && report.count("granted") == 101);
    assert_eq!(report.lines[100][1], first.to_string());
    assert!(look_ups(&field.calls()).is_empty(), "no name is asked for again");
    assert!(!field.path("in.report.lookup.csv").exists());
}

#[test]
fn without_the_users_that_were_found_a_run_is_not_resumed() {
    let (field, arguments) = killed_grant_by_email();
    let path = field.path("in.report.lookup.csv");
    let whole = std::fs::read_to_string(&path).expect("the users that were found");
    assert_eq!(whole.lines().count(), 102);
    let resume = || field.run(&[&arguments[..], &["--resume"]].concat());
    std::fs::remove_file(&path).expect("there");
    field.calls();
    let refused = resume();
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let expected =
        "error: in.report.lookup.csv: the run cannot be resumed: the file of the users that it found is not there\nhint: put the file back";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let with = |from: usize, line: &str| [&lines[..from].concat(), line, &lines[from + 1..].concat()].concat();
    let other = whole.replacen(&field.sandbox.user_id(100).to_string(), &field.sandbox.user_id(101).to_string(), 1);
    for text in [whole[..whole.len() - 60].to_owned(), with(90, lines[89]), with(90, ""), other] {
        assert_ne!(text, whole);
        field.write("in.report.lookup.csv", text);
        let refused = resume();
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        let expected =
            "error: in.report.lookup.csv: the run cannot be resumed: this is not the file of the users that it found: its SHA-256 is `";
        assert!(refused.stderr.contains(expected) && refused.stderr.contains("\nhint: put the file back as it was"), "{}", refused.stderr);
    }
    assert!(field.calls().is_empty(), "nothing is asked of PingOne");
    field.write("in.report.lookup.csv", &whole);
    assert_eq!(resume().code, 0);
}

#[test]
fn the_readme_names_each_file_that_a_killed_run_leaves() {
    let readme = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a README");
    let (field, _) = killed_grant_by_email();
    let names = std::fs::read_dir(field.folder()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let names: Vec<_> = names.filter_map(|name| Some(name.to_str()?.strip_prefix("in.report.")?.to_owned())).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    for name in names {
        assert!(readme.contains(&format!("\n| `NAME.{name}` | ")), "{name}");
    }
}
