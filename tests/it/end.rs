//! Ending early: running bypasses end, and no user gains one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use pingone_bypass::sandbox::{LoggedCall, SandboxConfig};

use crate::harness::{Field, Report, answering, done, faulty, field, field_with, no_bypass};
use crate::terminal::without_terminal;

/// An input of `count` users unknown to the sandbox, so that none has a bypass; and their IDs.
fn strangers(field: &Field, name: &str, count: u64) -> Vec<String> {
    let ids: Vec<_> = (1..=count).map(|number| format!("00000000-0000-4000-8000-{number:012}")).collect();
    field.write(name, format!("userID,team\n{}\n", ids.iter().map(|id| format!("{id},a")).collect::<Vec<_>>().join("\n")));
    ids
}

/// Of 100 users, the first 40 are granted a bypass for a day, in `first.csv`; the input of all is `all.csv`. The calls
/// so far are discarded.
fn forty_of_a_hundred(field: &Field) -> Vec<String> {
    strangers(field, "first.csv", 40);
    let granted = field.run(&["grant", "first.csv", "--until", "+1d", "--rate", "unlimited"]);
    assert_eq!(granted.code, 0, "{}", granted.stderr);
    field.calls();
    strangers(field, "all.csv", 100)
}

fn until(field: &Field, user: &str) -> Option<DateTime<Utc>> {
    field.sandbox.bypass_of(user.parse().expect("a UUID")).map(pingone_bypass::BypassUntil::instant)
}

/// The number of calls by method.
fn methods(calls: &[LoggedCall]) -> BTreeMap<&str, usize> {
    let mut methods = BTreeMap::new();
    for call in calls {
        *methods.entry(call.method.as_str()).or_default() += 1;
    }
    methods
}

/// Asserts that the bypasses of the first 40 end within the next minute, and that the others have none.
fn assert_ended(field: &Field, users: &[String]) {
    for user in &users[..40] {
        assert!(until(field, user).is_none_or(|until| until <= Utc::now() + TimeDelta::minutes(1)), "{user}");
    }
    assert!(users[40..].iter().all(|user| until(field, user).is_none()), "nobody gains a bypass");
}

#[test]
fn who_has_a_bypass_has_it_no_longer_and_nobody_gains_one() {
    let field = field();
    let users = forty_of_a_hundred(&field);
    let granted = field.report("first.report.csv");
    let before: HashMap<_, _> = granted.lines.iter().map(|line| (line[1].clone(), line[4].clone())).collect();
    let run = field.run(&["end", "all.csv", "--rate", "unlimited", "--in", "1s"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for expected in ["ended           40", "inactive        60", "end dates  1 s after each is asked for", "100 GETs"] {
        assert!(run.stderr.contains(expected), "{}\nshould have: {expected}", run.stderr);
    }
    let calls = field.api_calls();
    assert_eq!(methods(&calls), [("GET", 100), ("PUT", 40)].into());
    let puts: HashSet<_> = calls.iter().filter(|call| call.method == "PUT").map(|call| &call.path).collect();
    assert!(users[..40].iter().all(|user| puts.iter().any(|path| path.contains(user))), "each of the 40, once");
    assert!(calls.iter().all(|call| call.transaction.len() > 36), "each call can be found in PingOne's audit");

    let report = field.report("all.report.csv");
    assert!(report.is_whole(100) && report.column("team").iter().all(|team| *team == "a"));
    for (index, line) in report.lines.iter().enumerate() {
        if index < 40 {
            assert_eq!((line[2].as_str(), line[3].as_str(), line[7].as_str(), line[12].as_str()), ("ended", "true", "200", "2"));
            let held = until(&field, &line[1]).expect("a date");
            assert_eq!((line[4].parse(), line[5].parse()), (Ok(held), Ok(held)), "{line:?}");
            assert_eq!(line[6], before[&line[1]], "what the GET saw");
        } else {
            assert_eq!(line[2..8], ["inactive", "false", "", "", "none", "200"], "{line:?}");
        }
    }
    std::thread::sleep(Duration::from_millis(1100));
    let audit = field.run(&["audit", "all.csv", "-o", "after.csv", "--rate", "unlimited"]);
    assert_eq!(audit.code, 0, "{}", audit.stderr);
    assert_eq!(field.report("after.csv").count("inactive"), 100);
    assert_ended(&field, &users);
}

#[test]
fn the_report_of_a_grant_is_an_input_as_it_is_and_its_dates_are_nothing_to_an_end() {
    let field = field();
    forty_of_a_hundred(&field);
    field.run(&["end", "first.report.csv", "-o", "ended.csv"]);
    assert_eq!(field.report("ended.csv").count("ended"), 40);
    assert_eq!(field.report("ended.csv").columns.last().map(String::as_str), Some("team"));
    let user = "00000000-0000-4000-8000-000000000001";
    field.write("twice.csv", format!("id;until\n{user};2001-01-01\n{};never\n", user.to_uppercase()));
    field.calls();
    let run = field.run(&["end", "twice.csv"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let report = field.report("twice.report.csv");
    assert_eq!((report.column("result"), report.column("until")), (vec!["ended", "duplicate"], vec!["2001-01-01", "never"]));
    // It ends within the minute anyway.
    assert_eq!(methods(&field.api_calls()), [("GET", 1)].into());
    assert_eq!(report.column("requestedUntil")[0], "");
    assert!(report.column("bypassMFAEnabledUntil")[0].len() == 24);
}

#[test]
fn whatever_the_faults_every_bypass_is_ended_and_none_is_given() {
    let faults = "500=5%,503=3%,reset=5%,truncate=3%,html=2%,429=2%,expired=1%,nobypass=2%";
    let config = SandboxConfig { faults: faults.parse().expect("faults"), latency: Duration::from_millis(5), ..SandboxConfig::default() };
    let field = field_with(config);
    let users = forty_of_a_hundred(&field);
    let run = field.run(&["end", "all.csv", "--rate", "unlimited", "--max-attempts", "20"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let calls = field.api_calls();
    let report = field.report("all.report.csv");
    assert_eq!(report.count("ended") + report.count("inactive"), 100);
    assert!(users[40..].iter().all(|user| until(&field, user).is_none()), "nobody gains a bypass");
    for line in report.lines.iter().filter(|line| line[2] == "ended") {
        assert!(until(&field, &line[1]).expect("a date") <= Utc::now() + TimeDelta::minutes(1), "{line:?}");
    }
    for user in &users {
        let of_user: Vec<_> = calls.iter().filter(|call| call.path.contains(user.as_str())).map(|call| call.method.as_str()).collect();
        assert!(of_user.windows(2).all(|pair| pair != ["PUT", "PUT"]) && of_user[0] == "GET", "{of_user:?}");
    }
    assert!(calls.len() > 145, "faults were met: {}", calls.len());
    let attempts: usize = report.column("attempts").iter().map(|attempts| attempts.parse::<usize>().expect("a number")).sum();
    assert_eq!(attempts, calls.len(), "every request is accounted for");
}

#[test]
fn killed_and_taken_up_an_end_completes_and_gives_nobody_a_bypass() {
    let field = field_with(SandboxConfig { latency: Duration::from_millis(10), ..SandboxConfig::default() });
    let users = forty_of_a_hundred(&field);
    let arguments = ["end", "all.csv", "--rate", "100/s", "--resume"];
    let mut kills = 0;
    for settled in [10, 30, 60] {
        let mut child = field.tool(&arguments).stderr(Stdio::null()).spawn().expect("the tool runs");
        let start = Instant::now();
        let lines = || std::fs::read_to_string(field.path("all.report.partial.csv")).map_or(0, |text| text.lines().count());
        while lines() <= settled && child.try_wait().expect("known").is_none() {
            assert!(start.elapsed() < Duration::from_secs(30), "it did not happen");
            std::thread::sleep(Duration::from_millis(2));
        }
        kills += u32::from(child.try_wait().expect("known").is_none());
        child.kill().expect("it ran");
        child.wait().expect("it ended");
    }
    assert_eq!(kills, 3);
    let run = field.run(&["end", "all.csv", "--rate", "unlimited", "--resume"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("resuming run "), "{}", run.stderr);
    let report = field.report("all.report.csv");
    assert!(report.is_whole(100));
    assert_eq!((report.count("ended"), report.count("inactive")), (40, 60));
    assert_eq!(methods(&field.api_calls())["PUT"], 40, "who had been ended is only looked at");
    assert_ended(&field, &users);
    let other = field.run(&["audit", "all.csv", "--resume"]);
    assert!(other.code == 2 && other.stderr.contains("the operation was `end` and is `audit`"), "{}", other.stderr);
}

#[test]
fn a_put_that_is_never_answered_leaves_the_row_in_doubt_and_a_resume_finds_out() {
    let field = field();
    let is_over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_over);
    let url = answering(move |request| {
        let bypass =
            if told.load(Ordering::SeqCst) { "" } else { r#","bypassMFAEnabledUntil":"2099-01-01T00:00:00.000Z","canBypassMFA":true"# };
        let status = if request.starts_with("PUT") { "502 Bad Gateway" } else { "200 OK" };
        (status.to_owned(), no_bypass(request).replacen('{', &format!(r#"{{"access_token":"t","expires_in":3600{bypass},"#), 1))
    });
    strangers(&field, "all.csv", 3);
    let run = |arguments: &[&str]| {
        let mut tool = field.tool(&[&["end", "all.csv", "--canary", "1"], arguments].concat());
        tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", &url);
        done(tool.output().expect("the tool runs"))
    };
    let stopped = run(&["--max-attempts", "2"]);
    assert_eq!(stopped.code, 3, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("caused by: line 2: `") && stopped.stderr.contains("`: unknown HTTP 200 \""), "{}", stopped.stderr);
    let why = "the answer has no error body of PingOne's; asked for afterwards, the user can bypass MFA until 2099";
    assert!(stopped.stderr.contains(why), "{}", stopped.stderr);
    is_over.store(true, Ordering::SeqCst);
    let resumed = run(&["--resume"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    assert_eq!(field.report("all.report.csv").column("result"), ["inactive"; 3]);
}

#[test]
fn the_record_and_the_failed_rows_of_an_end_are_as_promised() {
    let field = field_with(SandboxConfig { users: Some(30), ..SandboxConfig::default() });
    let rows: String = (0..30).map(|index| format!("{},{index}\n", field.sandbox.user_id(index))).collect();
    field.write("in.csv", format!("userID,ticket\n{rows}00000000-0000-4000-8000-000000000000,x\n"));
    let run = field.run(&["end", "in.csv", "--in", "5m", "--reason", "INC-4711 is over", "--metrics-file", "m.prom", "--rate", "200/s"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let text = std::fs::read_to_string(field.path("in.report.run.json")).expect("a record");
    let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&record["operation"], &record["options"]["in"]), (&"end".into(), &"5m".into()));
    let total = |name: &str| record["totals"][name].as_u64().expect(name);
    assert_eq!((total("rows"), total("ended"), total("inactive"), total("not_found"), total("ambiguous")), (31, 3, 27, 1, 0));
    // A token, the environment and the licence for the plan, 31 GETs and 3 PUTs.
    assert_eq!((&record["requests"]["sent"], &record["requests"]["retried"]), (&37.into(), &0.into()));
    let failed = std::fs::read_to_string(field.path("in.report.failed.csv")).expect("failed rows");
    assert_eq!(
        failed,
        "userID,ticket,result,errorMessage\n00000000-0000-4000-8000-000000000000,x,not_found,The requested user was not found.\n"
    );
    let metrics = std::fs::read_to_string(field.path("m.prom")).expect("metrics");
    let labels = format!("operation=\"end\",environment=\"{}\",result=\"ended\"", field.sandbox.environment_id());
    assert!(metrics.contains(&format!("pingone_bypass_rows{{{labels}}} 3\n")), "{metrics}");
    let dates = field.report("in.report.csv");
    let now = Utc::now();
    for date in dates.column("requestedUntil").into_iter().filter(|date| !date.is_empty()) {
        let ahead = date.parse::<DateTime<Utc>>().expect("a date") - now;
        assert!(ahead <= TimeDelta::minutes(5) && ahead > TimeDelta::minutes(4), "{date}");
    }
}

#[test]
fn an_end_is_asked_about_planned_and_rehearsed_as_a_grant_is() {
    let field = field();
    let input = strangers(&field, "all.csv", 50);
    let plain = |arguments: &[&str]| done(without_terminal(field.tool(&[]).args(arguments)).output().expect("the tool runs"));
    let refused = plain(&["end", "all.csv"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("there is no terminal to ask on; nothing was changed by this command"), "{}", refused.stderr);
    assert!(field.calls().is_empty() && std::fs::read_dir(field.folder()).expect("a folder").count() == 1);
    let planned = plain(&["end", "all.csv", "--dry-run", "--rate", "2/s"]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    for expected in [
        "plan       end 50 of 50 rows, 50 users",
        "end dates  1 min after each is asked for",
        "requests   50 GETs, at 2/s at least 25 s; at most 50 PUTs, which take as long again",
    ] {
        assert!(planned.stderr.contains(expected), "{}\nshould have: {expected}", planned.stderr);
    }
    assert!(field.calls().iter().all(|call| !call.path.contains("/users")) && input.len() == 50);
    let rehearsed = plain(&["end", "all.csv", "--sandbox", "--rate", "unlimited"]);
    assert_eq!(rehearsed.code, 0, "{}", rehearsed.stderr);
    for bad in [["--in", "0s"], ["--in", "999ms"], ["--in", "25h"], ["--in", "60"], ["--until", "+4h"], ["--max-window", "1d"]] {
        let refused = plain(&[&["end", "all.csv", "-o", "x.csv"], &bad[..]].concat());
        assert!(refused.code == 2 && refused.stderr.starts_with("error: "), "{bad:?}: {}", refused.stderr);
    }
}

/// An HTTP date, this many seconds ahead.
fn httpdate(ahead: i64) -> String {
    (chrono::Utc::now() + chrono::TimeDelta::seconds(ahead)).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[test]
fn with_a_clock_that_is_too_far_off_to_tell_an_end_nothing_is_ended() {
    let field = field();
    strangers(&field, "all.csv", 2);
    for (date, code, expected) in [
        ("Sat, 06 Nov 2094 08:49:37 GMT", 2, " behind PingOne's, and `--in` is 1m: bypasses would be asked to end in the past"),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 2, " ahead of PingOne's, and `--in` is 1m: bypasses that run would be taken for ended"),
        (&httpdate(40), 0, " behind PingOne's: dates count from PingOne's time"),
    ] {
        let date: String = date.to_owned();
        let url = answering(move |request| (format!("200 OK\r\nDate: {date}"), no_bypass(request)));
        let mut tool = field.tool(&["end", "all.csv", "--overwrite"]);
        let run = done(tool.env("PINGONE_API_URL", format!("{url}/v1")).output().expect("the tool runs"));
        assert_eq!(run.code, code, "{}", run.stderr);
        assert!(run.stderr.contains(expected), "{}\nshould have: {expected}", run.stderr);
        assert_eq!(run.stderr.contains("hint: set the clock here"), code == 2, "{}", run.stderr);
    }
}

#[test]
fn standard_output_gets_the_rows_of_an_end() {
    let field = faulty("");
    forty_of_a_hundred(&field);
    let run = field.run(&["end", "all.csv", "-o", "-", "--rate", "unlimited"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(Report::read(&run.stdout).count("ended"), 40);
}
