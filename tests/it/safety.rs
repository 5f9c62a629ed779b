//! The guardrails: plan, question, windows, numbers, canary.

use std::time::Duration;

use pingone_bypass::sandbox::SandboxConfig;

use crate::harness::{Field, answering, done, field, field_with, tool};
use crate::terminal::without_terminal;

fn plain(field: &Field, arguments: &[&str]) -> std::process::Command {
    let mut tool = field.tool(&[]);
    tool.args(arguments);
    tool
}

#[test]
fn without_a_terminal_a_grant_must_be_confirmed_by_yes() {
    let field = field();
    field.users(5, "+4h");
    let refused = done(without_terminal(&plain(&field, &["grant", "in.csv"])).output().expect("the tool runs"));
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("error: this is to be confirmed, and there is no terminal to ask on; nothing was changed by this command"),
        "{}",
        refused.stderr
    );
    assert!(field.calls().is_empty());
    assert_eq!(std::fs::read_dir(field.folder()).expect("a folder").count(), 1, "nothing is left");
    let confirmed = done(plain(&field, &["grant", "in.csv", "--yes"]).output().expect("the tool runs"));
    assert_eq!(confirmed.code, 0, "{}", confirmed.stderr);
    assert!(confirmed.stderr.contains("against    `Sandbox` (SANDBOX), environment "), "{}", confirmed.stderr);
    let audit = done(plain(&field, &["audit", "in.csv", "--overwrite"]).output().expect("the tool runs"));
    assert_eq!(audit.code, 0, "an audit changes nothing: {}", audit.stderr);
}

#[test]
fn a_dry_run_shows_the_plan_and_sends_nothing() {
    let field = field();
    let users: Vec<_> = (0..4).map(|index| field.sandbox.user_id(index).to_string()).collect();
    let sound = format!("userID,until\n{0},+4h\n{1},+2d\n{0},+4h\n", users[0], users[1]);
    field.write("in.csv", &sound);
    let arguments = ["grant", "in.csv", "--dry-run", "--rate", "2/s"];
    let dry = done(plain(&field, &arguments).output().expect("the tool runs"));
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    for expected in [
        "plan       grant 2 of 3 rows, 2 users",
        "1 duplicates, 0 invalid",
        "(in 4h) to ",
        "(in 2days)",
        "requests   2, at 2/s at least 1s",
        "report     in.report.csv",
    ] {
        assert!(dry.stderr.contains(expected), "{}\nshould have: {expected}", dry.stderr);
    }
    field.write("in.csv", format!("{sound}x,+4h\n{},+9d\n{},soon\n{},+3h\n", users[2], users[3], users[1]));
    let unsound = done(plain(&field, &arguments).output().expect("the tool runs"));
    assert_eq!(unsound.code, 2, "{}", unsound.stderr);
    for expected in ["invalid: 1 beyond `--max-window`", "without a UUID", "error: in.csv: "] {
        assert!(unsound.stderr.contains(expected), "{}\nshould have: {expected}", unsound.stderr);
    }
    assert!(field.calls().is_empty());
    assert_eq!(std::fs::read_dir(field.folder()).expect("a folder").count(), 1, "nothing is left");
}

#[test]
fn what_goes_too_far_is_refused_before_any_request() {
    let field = field();
    field.users(5, "+8d");
    let far = done(plain(&field, &["grant", "in.csv", "--yes"]).output().expect("the tool runs"));
    assert_eq!(far.code, 2, "{}", far.stderr);
    assert!(
        far.stderr.contains("in.csv:2: column `until`: `+8d` is further ahead than 7days, which is what `--max-window` allows"),
        "{}",
        far.stderr
    );
    let until = done(plain(&field, &["grant", "in.csv", "--yes", "--until", "+2h", "--max-window", "1h"]).output().expect("the tool runs"));
    assert!(until.code == 2 && until.stderr.contains("error: --until: `+2h` is further ahead than 1h"), "{}", until.stderr);
    let many =
        done(plain(&field, &["grant", "in.csv", "--yes", "--max-window", "9d", "--max-users", "4"]).output().expect("the tool runs"));
    assert_eq!(many.code, 2, "{}", many.stderr);
    assert!(many.stderr.contains("in.csv: there are 5 rows, and `--max-users` allows 4"), "{}", many.stderr);
    assert!(field.calls().is_empty());
}

#[test]
fn a_canary_that_fails_keeps_the_others_back() {
    let field = field_with(SandboxConfig { users: Some(200), latency: Duration::from_millis(20), ..SandboxConfig::default() });
    let mut users: Vec<_> = (0..200).map(|index| field.sandbox.user_id(index).to_string()).collect();
    users[2] = "00000000-0000-4000-8000-000000000000".to_owned();
    field.write("in.csv", format!("userID\n{}\n", users.join("\n")));
    let arguments = ["grant", "in.csv", "--until", "+1h", "--canary", "5", "--rate", "unlimited", "--reason", "INC-4711"];
    let stopped = field.run(&arguments);
    assert_eq!(stopped.code, 3, "{}", stopped.stderr);
    assert!(
        stopped.stderr.contains("error: stopped: one of the first rows, which `--canary` settles alone, did not succeed"),
        "{}",
        stopped.stderr
    );
    assert!(stopped.stderr.contains("caused by: row 3: not_found: HTTP 404, NOT_FOUND"), "{}", stopped.stderr);
    assert_eq!(field.api_calls().len(), 5);
    let record = std::fs::read_to_string(field.path("in.report.run.json")).expect("a record");
    assert!(record.contains(r#""reason": "INC-4711""#), "{record}");
    let resumed = field.run(&[&arguments[..], &["--resume"]].concat());
    assert_eq!(resumed.code, 1, "{}", resumed.stderr);
    let report = field.report("in.report.csv");
    assert!(report.is_whole(200) && report.count("granted") == 199);
    assert_eq!(field.api_calls().len(), 195);
}

#[test]
fn a_canary_that_succeeds_lets_the_others_go() {
    let field = field();
    field.users(100, "+4h");
    let run = field.run(&["grant", "in.csv", "--canary", "10", "--rate", "unlimited"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(field.report("in.report.csv").is_whole(100));
    let fewer = field.run(&["grant", "in.csv", "--canary", "1000", "--rate", "unlimited", "--overwrite"]);
    assert_eq!(fewer.code, 0, "{}", fewer.stderr);
}

#[test]
fn a_rehearsal_asks_nothing() {
    let field = field();
    field.users(3, "+4h");
    let rehearsed = done(tool().current_dir(field.folder()).args(["grant", "in.csv", "--sandbox"]).output().expect("the tool runs"));
    assert_eq!(rehearsed.code, 0, "{}", rehearsed.stderr);
    let record = std::fs::read_to_string(field.path("in.report.run.json")).expect("a record");
    assert!(record.contains(r#""sandbox": true"#), "{record}");
}

#[test]
fn whatever_date_pingone_tells_a_clock_that_is_off_grants_nothing() {
    let field = field();
    field.users(1, "+4h");
    let date = "200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT";
    let url = answering(move |_| (date.to_owned(), r#"{"name":"Acme","type":"PRODUCTION"}"#.to_owned()));
    let run = |arguments: &[&str]| {
        let mut tool = field.tool(&[&["grant", "in.csv", "--max-attempts", "1"], arguments].concat());
        done(tool.env("PINGONE_API_URL", format!("{url}/v1")).output().expect("the tool runs"))
    };
    let refused = run(&[]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("error: the clock here is 32years "), "{}", refused.stderr);
    let warned = run(&["--trust-clock"]);
    assert!(warned.stderr.contains("the clock here is 32years ") && warned.stderr.contains("ahead of PingOne's"), "{}", warned.stderr);
    assert!(warned.stderr.contains("against    `Acme` (PRODUCTION), environment "), "{}", warned.stderr);
}
