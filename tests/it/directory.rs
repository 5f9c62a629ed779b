//! Audits of the directory: every user is read once, whatever happens on the way.

use std::collections::HashMap;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pingone_bypass::sandbox::{LoggedCall, Sandbox, SandboxConfig};
use serde_json::Value;

use crate::harness::{Done, Field, Report, done, field_with};

/// A sandbox with this many users and no others.
pub(crate) fn directory_of(users: u64) -> Field {
    field_with(SandboxConfig { users: Some(users), ..SandboxConfig::default() })
}

fn record(field: &Field) -> Value {
    serde_json::from_str(&fs::read_to_string(field.path("users.report.run.json")).expect("a record")).expect("JSON")
}

/// The number of calls for users, for pages of their list, and for tokens; there are no others.
pub(crate) fn kinds(calls: &[LoggedCall]) -> (usize, usize, usize) {
    let count = |end: &str| calls.iter().filter(|call| call.path.ends_with(end)).count();
    let tokens = calls.iter().filter(|call| call.is_token()).count();
    let kinds = (count("/bypassMFA"), count("/users"), tokens);
    assert_eq!(kinds.0 + kinds.1 + kinds.2, calls.len(), "nothing else is asked for");
    kinds
}

/// The index of each line's user in the sandbox's list, by the username from the list.
fn indexes(report: &Report) -> Vec<u64> {
    report.column("username").iter().map(|name| name.trim_start_matches("user").parse().expect("a number")).collect()
}

/// Waits until the journal has this many lines.
fn wait_for_lines(field: &Field, lines: usize) {
    let start = Instant::now();
    while journal(field) < lines {
        assert!(start.elapsed() < Duration::from_secs(30), "it did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs the tool until the journal has this many lines, and kills it.
fn kill_at(field: &Field, lines: usize, arguments: &[&str]) {
    let mut child = field.tool(arguments).stderr(Stdio::null()).spawn().expect("the tool runs");
    wait_for_lines(field, lines);
    child.kill().expect("it ran");
    child.wait().expect("it ended");
}

/// The number of lines in the journal.
pub(crate) fn journal(field: &Field) -> usize {
    fs::read_to_string(field.path("users.report.partial.csv")).map_or(0, |text| text.lines().count().saturating_sub(1))
}

#[test]
fn every_user_is_read_once_and_stands_in_the_lists_order() {
    let field = directory_of(450);
    let done = field.run(&["audit", "--all-users", "--rate", "unlimited"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("plan       audit every user of the directory\n"), "{}", done.stderr);
    assert!(done.stderr.contains("requests   450 for users and 3 for pages of their list, as fast as they"), "{}", done.stderr);
    assert_eq!(kinds(&field.calls()), (450, 3, 1));
    let report = field.report("users.report.csv");
    assert!(report.is_whole(450) && report.columns.ends_with(&["username".into(), "email".into(), "populationID".into()]));
    assert_eq!(indexes(&report), (0..450).collect::<Vec<_>>());
    assert_eq!((report.count("active"), report.count("inactive")), (45, 405));
    for (index, line) in report.lines.iter().enumerate() {
        let index = index as u64;
        assert_eq!(line[1], field.sandbox.user_id(index).to_string());
        assert_eq!(line[16..], [format!("user{index:06}@example.com"), field.sandbox.population_of(index).to_string()]);
    }
    let record = record(&field);
    assert_eq!(record["input"], serde_json::json!({"path": null, "sha256": null, "rows": 450, "directory": {"filter": null}}));
    assert_eq!(
        (&record["report"]["rows"], &record["totals"]["rows"], &record["requests"]["sent"]),
        (&450.into(), &450.into(), &454.into())
    );
    let again = field.run(&["audit", "--all-users", "--resume"]);
    assert!(again.code == 0 && again.stderr.contains("has finished already, and nothing was sent"), "{}", again.stderr);
}

#[test]
fn filter_population_and_group_select_together() {
    let field = directory_of(300);
    let (population, group) = (field.sandbox.population_of(1).to_string(), field.sandbox.group_of(2).to_string());
    let filter = r#"username sw "user00000" or username sw "user0001""#;
    let arguments = ["audit", "--filter", filter, "--population", &population, "--group", &group, "--rate", "unlimited", "-o", "-"];
    let done = field.run(&arguments);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let mut found = indexes(&Report::read(&done.stdout));
    found.sort_unstable();
    let expected: Vec<u64> = (0..10).chain(100..200).filter(|index| index % 3 == 1 && index % 5 == 2).collect();
    assert_eq!(found, expected);
    assert_eq!(kinds(&field.calls()), (expected.len(), 1, 1));
}

#[test]
fn users_are_listed_no_faster_than_they_are_read() {
    let field = directory_of(5000);
    kill_at(&field, 60, &["audit", "--all-users", "--rate", "200/s", "-q"]);
    let (users, pages, _) = kinds(&field.calls());
    // 256 rows may wait in the channel, and a page is read before its users go there.
    assert!(pages <= users / 200 + 4, "{pages} pages for {users} users");
}

#[test]
fn a_killed_audit_is_taken_up_and_has_each_user_once() {
    const USERS: usize = 2000;
    let faults = "503=3%,reset=2%".parse().expect("faults");
    let field = field_with(SandboxConfig { users: Some(USERS as u64), page: 70, faults, ..SandboxConfig::default() });
    let arguments = ["audit", "--all-users", "--rate", "1000/s", "-q", "--max-failures", "100%", "--canary", "5", "--resume"];
    for lines in [1, 300, 301, 900, 1500] {
        kill_at(&field, lines, &arguments);
    }
    let last = field.run(&arguments);
    assert_eq!(last.code, 0, "{}", last.stderr);
    let report = field.report("users.report.csv");
    assert!(report.is_whole(USERS));
    assert_eq!(indexes(&report), (0..USERS as u64).collect::<Vec<_>>());
    let record = record(&field);
    assert_eq!((&record["totals"]["rows"], &record["input"]["rows"]), (&USERS.into(), &USERS.into()));
    let mut good: HashMap<String, usize> = HashMap::new();
    for call in field.calls().into_iter().filter(|call| call.path.ends_with("/bypassMFA") && call.status == Some(200)) {
        *good.entry(call.path).or_default() += 1;
    }
    let again = good.values().filter(|times| **times > 1).count();
    assert!(good.len() == USERS && again < 5 * 200, "only what was in flight, or not on disk, is read again: {again}");
}

#[test]
fn a_directory_that_has_changed_meanwhile_is_taken_up_too() {
    let field = directory_of(1);
    let runtime = field.runtime();
    let faults = "500=10%".parse().expect("faults");
    let before = SandboxConfig { users: Some(600), faults, ..SandboxConfig::default() };
    let first = runtime.block_on(Sandbox::start(before)).expect("a port");
    let (api, auth) = (first.api_url(), first.auth_url());
    let tool = |arguments: &[&str]| {
        let mut tool = field.tool(arguments);
        tool.env("PINGONE_API_URL", &api).env("PINGONE_AUTH_URL", &auth).stderr(Stdio::piped());
        tool
    };
    let arguments = ["audit", "--all-users", "--rate", "400/s", "--max-attempts", "1", "--max-failures", "100%", "--concurrency", "1"];
    let child = tool(&arguments).spawn().expect("the tool runs");
    wait_for_lines(&field, 300);
    crate::harness::send_signal(&child, "INT");
    let stopped = done(child.wait_with_output().expect("ends"));
    assert_eq!(stopped.code, 130, "{}", stopped.stderr);
    let settled = journal(&field);
    drop(first);

    // Of 600 users 200 are left. Some of those gone had a row already, some had none.
    let port: u16 = auth.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let after = SandboxConfig { users: Some(200), listen: ([127, 0, 0, 1], port).into(), ..SandboxConfig::default() };
    // The first sandbox releases its port a moment after it is dropped.
    let again = || {
        std::thread::sleep(Duration::from_millis(2));
        runtime.block_on(Sandbox::start(after.clone()))
    };
    let second = std::iter::repeat_with(again).take(5000).find_map(Result::ok).expect("the same port");
    let calls = second.calls();
    let resumed = done(tool(&[&arguments[..], &["--resume"]].concat()).output().expect("the tool runs"));
    let report = field.report("users.report.csv");
    assert!(report.is_whole(settled), "who has gone keeps the row: {}", resumed.stderr);
    let users: std::collections::HashSet<_> = report.column("userID").into_iter().collect();
    assert_eq!(users.len(), settled);
    let asked: Vec<LoggedCall> = calls.try_iter().collect();
    let failed = indexes(&report).into_iter().zip(&report.lines).filter(|(_, line)| line[2] == "not_found");
    let failed: Vec<u64> = failed.map(|(index, _)| index).collect();
    assert!(!failed.is_empty() && failed.iter().all(|index| *index >= 200), "who failed is asked for, though the list has not got them");
    let (users, pages, _) = kinds(&asked);
    assert!(users < settled / 3 && pages == 1, "nobody settled is asked for, nor whether the environment is there: {users}");
}

#[test]
fn what_is_refused_is_refused_before_anything_is_sent_for_a_user() {
    let field = directory_of(300);
    let run = |arguments: &[&str]| {
        let done = field.run(&[&["audit"], arguments].concat());
        let (users, ..) = kinds(&field.calls());
        assert_eq!((users, fs::read_dir(field.folder()).expect("a folder").count()), (0, 0), "{}", done.stderr);
        done
    };
    let told = |done: Done, code: i32, expected: &str| {
        assert_eq!(done.code, code, "{}", done.stderr);
        assert!(done.stderr.contains(expected), "{}\nshould have: {expected}", done.stderr);
    };
    let filter = run(&["--filter", "shoesize eq 47"]);
    told(filter, 2, "error: the users of the directory that `shoesize eq 47` selects: PingOne refused the list: HTTP 400, INVALID_DATA");
    told(run(&["--all-users", "--max-users", "299"]), 2, "there are 300 users, and `--max-users` allows 299");
    told(run(&[]), 2, "error: there is nobody to audit: expected a CSV file, `-` for standard input, or `--all-users`");
    told(run(&["--all-users", "in.csv"]), 2, "the argument '--all-users' cannot be used with '[INPUT]'");
    told(run(&["--filter", "x", "--skip-invalid"]), 2, "the argument '--filter <SCIM>' cannot be used with '--skip-invalid'");
    told(run(&["--all-users", "--group", &field.sandbox.group_of(0).to_string()]), 2, "cannot be used with '--group <UUID>'");
    told(run(&["--filter", ""]), 2, "expected a filter such as `username sw \"a\" and enabled eq true`");
    told(run(&["--all-users", "--dry-run"]), 0, "requests   one for each user, and one for each page of their list");
    let grant = field.run(&["grant", "--all-users"]);
    assert!(grant.code == 2 && grant.stderr.contains("unexpected argument '--all-users'"), "{}", grant.stderr);
    assert!(field.calls().is_empty());
}

#[test]
fn nobody_selected_is_a_report_without_rows() {
    let field = directory_of(3);
    let done = field.run(&["audit", "--filter", r#"username eq "nobody""#]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("nobody is selected: the list of users is empty, and so is the report"), "{}", done.stderr);
    assert!(field.report("users.report.csv").lines.is_empty());
    assert_eq!((&record(&field)["status"], &record(&field)["input"]["rows"]), (&"completed".into(), &0.into()));
}

#[test]
fn another_selection_is_not_taken_up() {
    let field = directory_of(600);
    kill_at(&field, 20, &["audit", "--all-users", "--rate", "200/s", "-q"]);
    field.calls();
    field.users(3, "");
    for (arguments, expected) in [
        (
            &["--filter", "enabled eq true"][..],
            "the input was `the whole directory` and is `the directory with the filter enabled eq true`",
        ),
        (&["in.csv", "-o", "users.report.csv"], "the input was `the whole directory` and is `"),
    ] {
        let refused = field.run(&[&["audit", "--resume"], arguments].concat());
        assert!(refused.code == 2 && refused.stderr.contains(expected), "{}", refused.stderr);
        // A run begins with a token; the last requests of the killed one may be served only now.
        assert!(!field.calls().iter().any(LoggedCall::is_token));
    }
}

#[test]
fn failed_users_are_an_input_of_their_own() {
    let field = field_with(SandboxConfig { users: Some(50), faults: "400=20%".parse().expect("faults"), ..SandboxConfig::default() });
    let done = field.run(&["audit", "--all-users", "--max-failures", "100%", "--rate", "unlimited"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let failed = field.report("users.report.failed.csv");
    assert_eq!(failed.columns, ["userID", "username", "email", "populationID", "result", "errorMessage"]);
    let report = field.report("users.report.csv");
    let expected: Vec<_> = report.lines.iter().filter(|line| line[2] == "rejected").map(|line| line[1].as_str()).collect();
    assert!(!expected.is_empty() && failed.column("userID") == expected);
    let again = field.run(&["audit", "users.report.failed.csv", "--max-failures", "100%", "-o", "again.csv"]);
    let again_report = field.report("again.csv");
    assert!(again_report.is_whole(expected.len()) && again_report.columns.contains(&"populationID".into()), "{}", again.stderr);
}

#[test]
fn only_active_users_are_written_and_all_are_counted() {
    let field = field_with(SandboxConfig { users: Some(200), faults: "400=5%".parse().expect("faults"), ..SandboxConfig::default() });
    let common = ["--only", "active", "--max-failures", "100%", "--rate", "unlimited"];
    let all = field.run(&["audit", "--all-users", "-o", "all.csv", "--max-failures", "100%"]);
    assert_eq!(all.code, 1, "{}", all.stderr);
    let all = field.report("all.csv");
    let failed = field.report("all.failed.csv").lines.len();
    let active: Vec<_> = all.lines.iter().filter(|line| line[2] == "active").map(|line| (line[0].clone(), line[1].clone())).collect();
    assert!(failed > 0 && !active.is_empty());
    field.users(200, "");
    for arguments in [&["audit", "--all-users"][..], &["audit", "in.csv", "-o", "users.report.csv", "--overwrite"]] {
        // A user's second request meets another fault.
        let done = field.run(&[arguments, &common].concat());
        let report = field.report("users.report.csv");
        let record = record(&field);
        let total = |name: &str| record["totals"][name].as_u64().expect("a number");
        assert!(report.column("result").iter().all(|result| *result == "active") && !report.lines.is_empty());
        assert_eq!(
            (total("rows"), total("active"), &record["report"]["rows"]),
            (200, report.lines.len() as u64, &report.lines.len().into())
        );
        let failed = field.path("users.report.failed.csv").exists().then(|| field.report("users.report.failed.csv").lines.len());
        assert_eq!(failed.unwrap_or(0) as u64, total("rejected"));
        assert_eq!(done.code, i32::from(total("rejected") > 0), "{}", done.stderr);
        assert!(!field.path("users.report.partial.csv").exists());
        let again =
            field.run(&[arguments, &common, &["--resume"]].concat().into_iter().filter(|word| *word != "--overwrite").collect::<Vec<_>>());
        assert!(again.code == done.code && again.stderr.contains("has finished already"), "{}", again.stderr);
    }
    let stream = field.run(&[&["audit", "--all-users", "-o", "-"], &common[..]].concat());
    let report = Report::read(&stream.stdout);
    assert!(report.column("result").iter().all(|result| *result == "active") && report.lines.len() <= 20, "{}", stream.stdout);
    assert!(stream.stderr.contains("rows           200"), "{}", stream.stderr);
    if stream.code == 1 {
        assert!(stream.stderr.contains(" rows failed and are not written"), "{}", stream.stderr);
    }
}

#[test]
fn an_audit_of_active_users_is_taken_up() {
    let field = directory_of(800);
    kill_at(&field, 200, &["audit", "--all-users", "--only", "active", "--rate", "1000/s", "-q"]);
    let done = field.run(&["audit", "--all-users", "--only", "active", "--rate", "unlimited", "--resume"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(indexes(&field.report("users.report.csv")), (0..800).filter(|index| index % 10 == 9).collect::<Vec<_>>());
    assert_eq!((&record(&field)["totals"]["rows"], &record(&field)["report"]["rows"]), (&800.into(), &80.into()));
}
