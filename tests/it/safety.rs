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
        "1 duplicate, 0 invalid",
        "(in 4 h) to ",
        "(in 2 days)",
        "requests   2, at 2/s at least 1 s",
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
        far.stderr.contains("in.csv:2: column `until`: `+8d` is further ahead than 7 days, which is what `--max-window` allows"),
        "{}",
        far.stderr
    );
    let until = done(plain(&field, &["grant", "in.csv", "--yes", "--until", "+2h", "--max-window", "1h"]).output().expect("the tool runs"));
    assert!(until.code == 2 && until.stderr.contains("error: --until: `+2h` is further ahead than 1 h"), "{}", until.stderr);
    let many =
        done(plain(&field, &["grant", "in.csv", "--yes", "--max-window", "9d", "--max-users", "4"]).output().expect("the tool runs"));
    assert_eq!(many.code, 2, "{}", many.stderr);
    assert!(many.stderr.contains("in.csv: there are 5 rows, and `--max-users` allows 4"), "{}", many.stderr);
    assert!(field.calls().is_empty());
}

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

#[test]
fn a_canary_that_fails_keeps_the_others_back_and_a_resume_begins_with_another() {
    let field = field_with(SandboxConfig { users: Some(200), latency: Duration::from_millis(20), ..SandboxConfig::default() });
    let mut users: Vec<_> = (0..200).map(|index| field.sandbox.user_id(index).to_string()).collect();
    users[2] = NOBODY.to_owned();
    users[7] = NOBODY.replacen('0', "1", 1);
    field.write("in.csv", format!("userID\n{}\n", users.join("\n")));
    let arguments = ["grant", "in.csv", "--until", "+1h", "--canary", "5", "--rate", "unlimited", "--reason", "INC-4711"];
    let stopped = field.run(&arguments);
    assert_eq!(stopped.code, 3, "{}", stopped.stderr);
    let why = format!(
        "error: stopped: one of the first rows, which `--canary` settles alone, did not succeed\n\
         caused by: line 4: `{NOBODY}`: HTTP 404 NOT_FOUND \"The requested user was not found.\"\n\
         hint: see whether the other rows would fail alike before they are sent: a run that is taken up begins with another canary\n"
    );
    assert!(stopped.stderr.contains(&why), "{}", stopped.stderr);
    assert_eq!(field.api_calls().len(), 5);
    let record = std::fs::read_to_string(field.path("in.report.run.json")).expect("a record");
    assert!(record.contains(r#""reason": "INC-4711""#) && !record.contains("canarySucceeded"), "{record}");
    assert!(record.contains("did not succeed: line 4: HTTP 404 NOT_FOUND\""), "{record}");
    let resume = [&arguments[..], &["--resume"]].concat();
    let stopped = field.run(&resume);
    assert_eq!(stopped.code, 3, "the next five have one too: {}", stopped.stderr);
    assert!(stopped.stderr.contains("\ncaused by: line 9: `1"), "{}", stopped.stderr);
    assert_eq!(field.api_calls().len(), 5, "three rows that were proven before do not stand for the others");
    let resumed = field.run(&resume);
    assert_eq!(resumed.code, 1, "{}", resumed.stderr);
    let report = field.report("in.report.csv");
    assert!(report.is_whole(200) && report.count("granted") == 198);
    assert_eq!(field.api_calls().len(), 190);
    let record = std::fs::read_to_string(field.path("in.report.run.json")).expect("a record");
    assert!(record.contains("\"canarySucceeded\": true"), "{record}");
}

#[test]
fn a_canary_that_has_succeeded_is_not_repeated_when_the_run_is_taken_up() {
    let field = field_with(SandboxConfig { users: Some(60), ..SandboxConfig::default() });
    let bad = |index: u64| (10..20).contains(&index);
    let users = (0..60)
        .map(|index| if bad(index) { format!("00000000-0000-4000-8000-{index:012}") } else { field.sandbox.user_id(index).to_string() });
    field.write("in.csv", format!("userID\n{}\n", users.collect::<Vec<_>>().join("\n")));
    let arguments = ["audit", "in.csv", "--canary", "5", "--concurrency", "1", "--rate", "unlimited", "--max-failures"];
    let stopped = field.run(&[&arguments[..], &["2"]].concat());
    assert!(stopped.code == 3 && stopped.stderr.contains("3 of 13 rows failed"), "{}", stopped.stderr);
    let resumed = field.run(&[&arguments[..], &["100", "--resume"]].concat());
    assert_eq!(resumed.code, 1, "the first rows that are left fail, and are no canary: {}", resumed.stderr);
}

/// A row of which the lookup told that nobody is meant takes no request, and proves nothing either way.
#[test]
fn a_canary_counts_rows_for_which_something_is_sent() {
    let field = field_with(SandboxConfig { users: Some(100), latency: Duration::from_millis(20), ..SandboxConfig::default() });
    let names = |known: std::ops::Range<u64>| known.map(|index| format!("user{index:06}")).collect::<Vec<_>>().join("\n");
    field.write("in.csv", format!("username\nnobody\nno-one\n{}\n", names(0..60)));
    let arguments = ["grant", "in.csv", "--until", "+1h", "--canary", "3", "--rate", "unlimited", "--overwrite"];
    let run = field.run(&arguments);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let report = field.report("in.report.csv");
    assert_eq!((report.count("granted"), report.count("not_found")), (60, 2));
    assert!(report.is_whole(62));
}

#[test]
fn what_stopped_a_run_is_told_by_its_causes() {
    let field = field_with(SandboxConfig { users: Some(100), ..SandboxConfig::default() });
    // Every third row from line 4 on fails, and the row that stops the run is not the most telling one.
    let row = |index: u64| match index % 3 {
        2 => format!("{},+4h", NOBODY.replace("8000", &format!("{:04}", 8000 + index))),
        _ => format!("{},+4h", field.sandbox.user_id(index)),
    };
    field.write("in.csv", format!("userID,until\n{}\n", (0..90).map(row).collect::<Vec<_>>().join("\n")));
    let stopped = field.run(&["grant", "in.csv", "--concurrency", "1", "--rate", "unlimited"]);
    assert_eq!(stopped.code, 3, "{}", stopped.stderr);
    let why = "error: stopped: 16 of 50 rows failed, which is more than `--max-failures` allows\n\
               caused by: 16 × HTTP 404 NOT_FOUND \"The requested user was not found.\" (first: line 4)\n\
               hint: mend the most frequent cause";
    assert!(stopped.stderr.contains(why), "row 50 was granted: {}", stopped.stderr);
    let record = std::fs::read_to_string(field.path("in.report.run.json")).expect("a record");
    let reason = "\"stopReason\": \"stopped: 16 of 50 rows failed, which is more than `--max-failures` allows: 16 × HTTP 404 NOT_FOUND (first: line 4)\"";
    assert!(record.contains(reason), "{record}");
    let streamed = field.run(&["grant", "in.csv", "-o", "-", "--concurrency", "1", "--rate", "unlimited"]);
    assert!(streamed.code == 3 && streamed.stderr.contains(why), "{}", streamed.stderr);
    let faulty = field_with(SandboxConfig { faults: "400=40%,503=60%".parse().expect("faults"), ..SandboxConfig::default() });
    faulty.users(60, "+4h");
    let limits = ["--max-failures", "20", "--max-attempts", "1", "--concurrency", "4", "--rate", "unlimited"];
    let several = faulty.run(&[&["audit", "in.csv"][..], &limits].concat());
    let causes: Vec<&str> = several.stderr.lines().filter_map(|line| line.strip_prefix("caused by: ")).collect();
    let rows: Vec<u64> = causes.iter().filter_map(|cause| cause.split_once(" × ")?.0.parse().ok()).collect();
    assert!(rows.len() == 2 && rows[0] >= rows[1] && rows.iter().sum::<u64>() == 21, "{}", several.stderr);
    assert!(["HTTP 503", "HTTP 400"].iter().all(|status| causes.iter().any(|cause| cause.contains(status))), "{}", several.stderr);
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
    assert!(refused.stderr.contains("error: the clock here is 1"), "{}", refused.stderr);
    let warned = run(&["--trust-clock"]);
    assert!(warned.stderr.contains("the clock here is 1") && warned.stderr.contains("ahead of PingOne's"), "{}", warned.stderr);
    assert!(warned.stderr.contains("against    `Acme` (PRODUCTION), environment "), "{}", warned.stderr);
}

#[test]
fn a_plan_counts_one_as_one_and_nothing_as_nothing() {
    let field = field();
    let user = field.sandbox.user_id(0);
    field.write("one.csv", format!("userID,until\n{user},+90s\n{user},+90s\nx,+90s\n"));
    for (command, expected) in [
        (
            "grant",
            &["plan       grant 1 of 3 rows, 1 user\n", ": 1 duplicate, 1 invalid", "(in 2 min)", "requests   1, at 50/s at least 1 s\n"][..],
        ),
        (
            "end",
            &[
                "end dates  1 min after each is asked for\n",
                "requests   1 GET, at 50/s at least 1 s; at most 1 PUT, which takes as long again\n",
            ],
        ),
    ] {
        let planned = field.run(&[command, "one.csv", "--skip-invalid", "--dry-run"]);
        assert_eq!(planned.code, 0, "{}", planned.stderr);
        for part in expected {
            assert!(planned.stderr.contains(part), "{part}: {}", planned.stderr);
        }
    }
    field.write("none.csv", "userID\nx\n");
    let nothing = field.run(&["end", "none.csv", "--skip-invalid", "--dry-run"]);
    assert!(nothing.stderr.contains("\nrequests   none\n") && !nothing.stderr.contains("GET"), "{}", nothing.stderr);
}
