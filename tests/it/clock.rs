//! A wrong clock does no harm: no bypass runs longer than asked for, and none that runs is taken for ended.
#![cfg(target_os = "linux")]

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::harness::{Done, Field, answering, done, field, no_bypass};
use crate::shim::Shim;

const DAY: i64 = 86_400;

fn run(field: &Field, shim: &Shim, arguments: &[&str]) -> Done {
    // With the default window of seven days, as in the contract.
    let mut tool = field.tool(&[]);
    done(shim.preload(tool.args(arguments)).output().expect("the tool runs"))
}

fn record(field: &Field) -> Value {
    serde_json::from_str(&std::fs::read_to_string(field.path("in.report.run.json")).expect("a record")).expect("JSON")
}

/// How many seconds from now the bypass of the sandbox's first user ends.
fn seconds_left(field: &Field) -> i64 {
    let until = field.sandbox.bypass_of(field.sandbox.user_id(0)).expect("a bypass");
    (until.instant() - Utc::now()).num_seconds()
}

#[test]
fn a_clock_that_is_far_off_grants_nothing_unless_it_is_trusted() {
    for (seconds, side) in [(30 * DAY, "30 days ahead of"), (65, "1 min 5 s ahead of"), (-65, "1 min 4 s behind"), (-30 * DAY, "behind")] {
        let field = field();
        field.users(1, "");
        let shim = Shim::clock(seconds);
        let refused = run(&field, &shim, &["grant", "in.csv", "--until", "+4h", "--yes"]);
        assert_eq!(refused.code, 2, "{seconds}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("error: the clock here is ") && refused.stderr.contains("PingOne's: nothing is granted by it"),
            "{}",
            refused.stderr
        );
        assert!(refused.stderr.contains(side) || seconds.abs() == 65, "{}", refused.stderr);
        assert!(refused.stderr.contains("\nhint: set the clock here, or say `--trust-clock`"), "{}", refused.stderr);
        assert!(field.api_calls().is_empty(), "nothing was sent for a user");
        assert_eq!(std::fs::read_dir(field.folder()).expect("a folder").count(), 1, "nothing is left");
    }
    let field = field();
    field.users(1, "");
    let trusted = run(&field, &Shim::clock(300), &["grant", "in.csv", "--until", "+4h", "--yes", "--trust-clock"]);
    assert_eq!(trusted.code, 0, "{}", trusted.stderr);
    assert!(
        trusted.stderr.contains("the clock here is 5 min ahead of PingOne's: it is trusted, and end dates are off by as much"),
        "{}",
        trusted.stderr
    );
    assert!((4 * 3600 + 280..=4 * 3600 + 300).contains(&seconds_left(&field)), "{}", seconds_left(&field));
    assert!((300..=302).contains(&record(&field)["clockOffsetSeconds"].as_i64().expect("a number")), "{}", record(&field));
}

#[test]
fn spans_and_the_window_count_from_pingones_time() {
    for seconds in [45, -45] {
        let field = field();
        field.users(1, "");
        let shim = Shim::clock(seconds);
        let before = Utc::now();
        let granted = run(&field, &shim, &["grant", "in.csv", "--until", "+4h", "--yes"]);
        assert_eq!(granted.code, 0, "{}", granted.stderr);
        assert!((4 * 3600 - 20..=4 * 3600 + 2).contains(&seconds_left(&field)), "{}", seconds_left(&field));
        let record = record(&field);
        assert!((record["clockOffsetSeconds"].as_i64().expect("a number") - seconds).abs() <= 2, "{record}");
        for name in ["startedAt", "finishedAt"] {
            let at: DateTime<Utc> = record[name].as_str().expect("text").parse().expect("a date");
            assert!(at > before - TimeDelta::seconds(3) && at < Utc::now() + TimeDelta::seconds(3), "{name}: {at}");
        }
        let completed: DateTime<Utc> = field.report("in.report.csv").column("completedAt")[0].parse().expect("a date");
        assert!(completed < Utc::now() + TimeDelta::seconds(3), "{completed}");
    }
    // By the local clock, 45 s ahead, the date is within the hour; by the one 45 s behind, it has not passed.
    for (seconds, ahead, fault) in [(45, 3620, "is further ahead than 1 h"), (-45, -20, "is not in the future")] {
        let field = field();
        let until = (Utc::now() + TimeDelta::seconds(ahead)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        field.users(1, &until);
        let refused = run(&field, &Shim::clock(seconds), &["grant", "in.csv", "--yes", "--max-window", "1h"]);
        assert!(refused.code == 2 && refused.stderr.contains(fault), "{}", refused.stderr);
        assert!(refused.stderr.contains("in.csv:2: column `until`"), "{}", refused.stderr);
        assert!(field.api_calls().is_empty());
    }
}

#[test]
fn a_clock_before_1970_is_refused_and_does_not_panic() {
    let field = field();
    field.users(1, "2099-01-01");
    let shim = Shim::clock(-Utc::now().timestamp() - DAY);
    for arguments in [
        &["grant", "in.csv", "--yes"][..],
        &["grant", "in.csv", "--dry-run"],
        &["audit", "in.csv", "-o", "-"],
        &["audit", "--all-users", "-v"],
        &["end", "in.csv", "--yes", "--log-format", "json"],
    ] {
        let refused = run(&field, &shim, arguments);
        assert_eq!(refused.code, 2, "{arguments:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("the clock here is before 1970: no date can be told by it"), "{arguments:?}: {}", refused.stderr);
        assert!(!refused.stderr.contains("panicked"), "{arguments:?}: {}", refused.stderr);
    }
    assert!(field.calls().is_empty());
}

#[test]
fn a_clock_that_jumps_while_bypasses_are_ended_takes_none_for_ended() {
    const USERS: u64 = 60;
    for seconds in [2 * DAY, -2 * DAY] {
        let field = field();
        field.users(USERS, "");
        let granted = field.run(&["grant", "in.csv", "--until", "+1d", "--rate", "unlimited", "-o", "granted.csv"]);
        assert_eq!(granted.code, 0, "{}", granted.stderr);
        field.calls();
        let jumped = field.path("jumped");
        let mut tool = field.tool(&["end", "in.csv", "--rate", "60/s"]);
        let child = Shim::clock_jumping(seconds, &jumped).preload(&mut tool).stderr(std::process::Stdio::piped()).spawn();
        let child = child.expect("the tool runs");
        let mut puts = 0;
        while puts < 5 {
            puts += field.api_calls().iter().filter(|call| call.method == "PUT").count();
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        field.write("jumped", "");
        let ended = done(child.wait_with_output().expect("ends"));
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        puts += field.api_calls().iter().filter(|call| call.method == "PUT").count();
        assert_eq!((field.report("in.report.csv").count("ended"), puts as u64), (60, USERS));
        for index in 0..USERS {
            let until = field.sandbox.bypass_of(field.sandbox.user_id(index)).expect("a bypass");
            assert!((until.instant() - Utc::now()).num_seconds() <= 60, "{until}");
        }
    }
}

/// The result of an `end` with a PingOne that sends these headers with its token and environment.
fn end_with(status: &'static str, headers: &'static str) -> Done {
    let field = field();
    field.users(1, "");
    let url = answering(move |request| {
        let is_of_a_user = request.contains("/bypassMFA ");
        let body =
            if is_of_a_user { no_bypass(request) } else { r#"{"access_token":"s3cr3t-token","name":"A","type":"SANDBOX"}"#.to_owned() };
        let is_asked = request.starts_with("GET /v1/environments/") && !is_of_a_user;
        (if is_asked { format!("{status}{headers}") } else { "200 OK".to_owned() }, body)
    });
    let mut tool = field.tool(&["end", "in.csv", "--max-attempts", "1", "--log-format", "json"]);
    done(tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", &url).output().expect("the tool runs"))
}

#[test]
fn any_answers_date_is_pingones_time_and_none_is_warned_of() {
    const OFF: &str = "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT";
    for status in ["200 OK", "403 Forbidden", "503 Service Unavailable"] {
        let refused = end_with(status, OFF);
        assert!(refused.code == 2 && refused.stderr.contains("the clock here is 1"), "{status}: {}", refused.stderr);
    }
    let unknown = end_with("200 OK", "");
    assert!(
        unknown.code == 0 && unknown.stderr.contains("PingOne did not tell its time: end dates count from the clock here"),
        "{}",
        unknown.stderr
    );
    // A cached answer is older than its date; no age is longer than a year.
    for headers in [
        "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nAge: 9000000000000",
        "\r\nDate: Fri, 31 Dec 9999 23:59:59 GMT\r\nAge: 18446744073709551615",
    ] {
        let aged = end_with("200 OK", headers);
        assert!(aged.code == 2 && !aged.stderr.contains("panicked"), "{headers}: {}", aged.stderr);
    }
}
