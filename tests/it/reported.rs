//! Audits by PingOne's device report: a quick look, which says what it may miss.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pingone_bypass::sandbox::{LoggedCall, NamedUser, ReportConfig, ReportDates, ReportFault, SandboxConfig};
use pingone_bypass::{BypassUntil, UserId};
use serde_json::Value;

use crate::harness::{Done, Field, Report, answering, field_with, no_bypass};

const CAVEAT: &str = "users without a device, bypasses set before 2026-05-18, changes of the last 15 minutes";

/// A report that is made at once and shows what holds now.
fn prompt() -> ReportConfig {
    ReportConfig { report_delay: Duration::ZERO, report_age: Duration::ZERO, ..SandboxConfig::default().report }
}

/// A directory of so many users, of whom so many have a bypass.
fn directory(users: u64, bypasses: u64, report: ReportConfig) -> Field {
    field_with(SandboxConfig { users: Some(users), bypasses: Some(bypasses), report, ..SandboxConfig::default() })
}

fn record(field: &Field, name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(field.path(name)).expect("a record")).expect("JSON")
}

fn reported(field: &Field, arguments: &[&str]) -> Done {
    field.run(&[&["audit", "--reported", "--rate", "unlimited"], arguments].concat())
}

/// The users of the lines with this result.
fn users(report: &Report, result: &str) -> BTreeSet<String> {
    report
        .column("userID")
        .into_iter()
        .zip(report.column("result"))
        .filter(|(_, found)| *found == result)
        .map(|(user, _)| user.into())
        .collect()
}

/// The calls about the report: orders, questions whether it is made, and pages.
fn kinds(calls: &[LoggedCall]) -> (usize, usize, usize) {
    let about: Vec<_> = calls.iter().filter(|call| call.path.contains("/dataExplorations")).collect();
    let pages = about.iter().filter(|call| call.path.ends_with("/entries")).count();
    let orders = about.iter().filter(|call| call.method == "POST").count();
    (orders, about.len() - orders - pages, pages)
}

/// How far apart the orders of a report came.
fn gaps(calls: &[LoggedCall]) -> Vec<Duration> {
    let at: Vec<_> =
        calls.iter().filter(|call| call.method == "POST" && call.path.ends_with("/dataExplorations")).map(|call| call.at).collect();
    at.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect()
}

#[test]
fn a_few_requests_find_the_users_whom_a_request_for_each_finds() {
    let field = directory(2_000, 30, ReportConfig { report_delay: Duration::from_secs(2), ..prompt() });
    let done = reported(&field, &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let calls = field.calls();
    // 2,000 users have 3,999 devices.
    assert_eq!(kinds(&calls), (1, 2, 4));
    let report = field.report("reported.report.csv");
    assert!(report.is_whole(30) && report.columns.ends_with(&["username".into(), "reportedUntil".into()]), "{:?}", report.columns);
    assert_eq!((report.count("active"), report.column("reportedUntil")), (30, report.column("bypassMFAEnabledUntil")));
    let found = record(&field, "reported.report.run.json");
    let sent = found["requests"]["sent"].as_u64().expect("a number");
    assert!(sent == calls.len() as u64 && sent <= 30 + 4 + 5, "{sent}");
    let expected = serde_json::json!({
        "path": null, "sha256": null, "rows": 30,
        "reported": {
            "template": "db632bfd-7054-4bde-b108-a384aac2d513", "entries": 3999, "users": 30, "differing": 0,
            "mayMiss": CAVEAT.split(", ").collect::<Vec<_>>(),
        },
    });
    assert_eq!(found["input"], expected);
    for told in [
        "plan       audit 30 users to whom PingOne's device report gives a bypass: not a complete audit\nsource     the report's 3999 devices\n",
        &format!("may miss   {CAVEAT}: `--all-users` misses nobody\nrequests   30, as fast as they are answered\n"),
        "differing        0 whose bypass is another than PingOne's device report says\n",
        &format!("may miss   {CAVEAT}: not a complete audit\n"),
    ] {
        assert!(done.stderr.contains(told), "{told}: {}", done.stderr);
    }
    let all = field.run(&["audit", "--all-users", "--rate", "unlimited", "-q"]);
    assert_eq!(all.code, 0, "{}", all.stderr);
    assert_eq!(users(&field.report("users.report.csv"), "active"), users(&report, "active"));
}

#[test]
fn what_reads_such_a_report_later_tells_what_it_may_miss() {
    let field = directory(100, 5, prompt());
    assert_eq!(reported(&field, &["-q"]).code, 0);
    let verified = field.run(&["verify", "reported.report.csv"]);
    assert!(verified.code == 0 && verified.stdout.contains(&format!("device report may miss {CAVEAT}")), "{}", verified.stdout);
    let page = field.run(&["page", "reported.report.csv", "-o", "p.html"]);
    assert_eq!(page.code, 0, "{}", page.stderr);
    let page = fs::read_to_string(field.path("p.html")).expect("a page");
    assert!(page.contains("Not a complete audit:") && page.contains(CAVEAT), "{page}");
    assert!(page.contains("whom PingOne's device report gives a bypass"), "{page}");
    let all = field.run(&["audit", "--all-users", "--rate", "unlimited", "-q"]);
    assert_eq!(all.code, 0, "{}", all.stderr);
    let diff = field.run(&["diff", "reported.report.csv", "users.report.csv"]);
    assert!(diff.stderr.contains(&format!("may miss {CAVEAT}; `added` may stand for users whom it missed")), "{}", diff.stderr);
    let again = field.run(&["audit", "--reported", "--resume"]);
    assert!(again.code == 0 && again.stderr.contains("this is no complete audit"), "{}", again.stderr);
}

#[test]
fn what_the_report_lacks_is_missing_and_what_is_too_new_for_it_too() {
    let field = directory(300, 20, ReportConfig { report_gaps: 7, report_age: Duration::from_secs(900), ..prompt() });
    let late = field.sandbox.user_id(0);
    field.sandbox.set_bypass(
        late,
        "2098-08-31T17:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().ok().and_then(BypassUntil::from_instant).expect("a date"),
    );
    let done = reported(&field, &["--only", "active"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let all = field.run(&["audit", "--all-users", "--rate", "unlimited", "-q"]);
    assert_eq!(all.code, 0, "{}", all.stderr);
    let (quick, whole) = (users(&field.report("reported.report.csv"), "active"), users(&field.report("users.report.csv"), "active"));
    assert_eq!((quick.len(), whole.len()), (13, 21));
    let missed: Vec<_> = whole.difference(&quick).collect();
    assert!(quick.is_subset(&whole) && missed.len() == 8 && missed.contains(&&late.to_string()), "{missed:?}");
    assert!(done.stderr.contains(&format!("may miss   {CAVEAT}: not a complete audit")), "{}", done.stderr);
}

#[test]
fn whose_answer_is_another_than_the_reports_is_plain_to_see() {
    // The report is of a time before these changes.
    let field = directory(100, 10, ReportConfig { report_age: Duration::from_secs(900), ..prompt() });
    let with_bypass: Vec<UserId> =
        (0..100).map(|index| field.sandbox.user_id(index)).filter(|user| field.sandbox.bypass_of(*user).is_some()).collect();
    let at = |text: &str| BypassUntil::from_instant(text.parse::<chrono::DateTime<chrono::Utc>>().expect("a date")).expect("a date");
    field.sandbox.set_bypass(with_bypass[0], at("2001-01-01T00:00:00Z"));
    field.sandbox.set_bypass(with_bypass[1], at("2098-08-31T17:00:00Z"));
    for (arguments, name) in [(&["-o", "r.csv"][..], Some("r.run.json")), (&["-o", "-"], None)] {
        let done = reported(&field, arguments);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stderr.contains("differing        2 whose bypass is another"), "{}", done.stderr);
        let report = if let Some(name) = name {
            assert_eq!(record(&field, name)["input"]["reported"]["differing"], 2);
            field.report("r.csv")
        } else {
            Report::read(&done.stdout)
        };
        assert_eq!((report.count("active"), report.count("inactive")), (9, 1));
        let differing: BTreeSet<String> = (0..report.lines.len())
            .filter(|line| report.column("reportedUntil")[*line] != report.column("bypassMFAEnabledUntil")[*line])
            .map(|line| report.column("userID")[line].to_owned())
            .collect();
        assert_eq!(differing, with_bypass[..2].iter().map(ToString::to_string).collect());
    }
    // The second order came within 5 s, and was sent again.
    let gaps = gaps(&field.calls());
    assert!(!gaps.is_empty());
}

#[test]
fn a_killed_audit_is_taken_up_by_a_new_report() {
    let field = directory(400, 120, prompt());
    let arguments = ["audit", "--reported", "--rate", "60/s", "-q", "--concurrency", "2", "--resume"];
    let mut child = field.tool(&arguments).stderr(Stdio::null()).spawn().expect("the tool runs");
    let (start, journal) = (Instant::now(), field.path("reported.report.partial.csv"));
    while fs::read_to_string(&journal).map_or(0, |text| text.lines().count()) < 40 {
        assert!(start.elapsed() < Duration::from_secs(60), "it did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("it ran");
    child.wait().expect("it ended");
    let settled: Vec<String> =
        Report::read(&fs::read_to_string(&journal).expect("a journal")).column("userID").into_iter().map(str::to_owned).collect();
    let before = field.calls();
    let last = field.run(&arguments);
    assert_eq!(last.code, 0, "{}", last.stderr);
    let report = field.report("reported.report.csv");
    assert!(report.is_whole(120) && users(&report, "active").len() == 120);
    let after = field.calls();
    assert!(after.iter().all(|call| !settled.iter().any(|user| call.path.contains(user))), "settled users are not read again");
    let calls: Vec<_> = before.into_iter().chain(after).collect();
    // The report is ordered once for each process. An order that came too early was refused.
    let (accepted, refused): (Vec<_>, Vec<_>) = calls
        .iter()
        .filter(|call| call.method == "POST" && call.path.ends_with("/dataExplorations"))
        .partition(|call| call.status == Some(201));
    assert!(accepted.len() == 2 && accepted[1].at.saturating_sub(accepted[0].at) >= Duration::from_secs(5), "{accepted:?} {refused:?}");
}

#[test]
fn orders_are_five_seconds_apart_and_a_429_is_waited_out() {
    let field = directory(30, 3, prompt());
    // Somebody else's order.
    assert_eq!(reported(&field, &["-q", "-o", "first.csv"]).code, 0);
    let begun = field.calls().len();
    let done = reported(&field, &["-o", "second.csv"]);
    assert!(done.code == 0 && begun > 0, "{}", done.stderr);
    let calls = field.calls();
    let refused = calls.iter().filter(|call| call.status == Some(429)).count();
    assert_eq!((kinds(&calls).0, refused), (2, 1), "{}", done.stderr);
    assert!(gaps(&calls).iter().all(|gap| *gap >= Duration::from_secs(5)), "{:?}", gaps(&calls));
    assert_eq!(record(&field, "second.run.json")["requests"]["throttled"], 1);
}

#[test]
fn a_user_with_a_thousand_devices_is_one_row() {
    let field = directory(5, 2, ReportConfig { devices: Some(1000), ..prompt() });
    let done = reported(&field, &["--max-users", "2"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(kinds(&field.calls()), (1, 0, 5));
    assert!(field.report("reported.report.csv").is_whole(2));
    assert_eq!(record(&field, "reported.report.run.json")["input"]["reported"]["entries"], 5000);
}

#[test]
fn each_form_of_a_date_is_the_same_date() {
    let expected = |dates| {
        let field = directory(30, 3, ReportConfig { report_dates: dates, ..prompt() });
        let done = reported(&field, &["-o", "-"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stderr.contains("differing        0 "), "{}", done.stderr);
        Report::read(&done.stdout).column("reportedUntil").iter().all(|date| date.len() == 24 && date.ends_with('Z'))
    };
    assert!([ReportDates::Rfc3339, ReportDates::Seconds, ReportDates::Millis].into_iter().all(expected));
    let field = directory(30, 3, ReportConfig { report_dates: ReportDates::Local, ..prompt() });
    let done = reported(&field, &[]);
    assert!(done.code == 2 && done.stderr.contains("the `bypassUntil` of user ") && done.stderr.contains("--all-users"), "{}", done.stderr);
    assert!(field.api_calls().is_empty() && !field.path("reported.report.run.json").exists(), "nobody was read");
}

#[test]
fn a_tenant_without_the_report_is_told_what_to_use() {
    for (fault, code, told) in [
        (ReportFault::Forbidden, 4, "PingOne does not let its device report be read: HTTP 403, ACCESS_FAILED"),
        (ReportFault::Missing, 2, "PingOne refused its device report: HTTP 404, NOT_FOUND"),
        (ReportFault::UnknownField, 2, "The field bypassUntil is not supported."),
        (ReportFault::Failed, 2, "PingOne's device report was not made: its status is `FAILED`"),
        (ReportFault::Never, 3, "PingOne's device report was not made within 5 s: its status is still `IN_PROGRESS`"),
        (ReportFault::ForeignLink, 3, "the device report goes on at `https://reports.example`"),
    ] {
        let field = directory(900, 3, ReportConfig { report_fault: Some(fault), ..prompt() });
        let done = reported(&field, &["--give-up-after", "5s"]);
        assert!(done.code == code && done.stderr.contains(told), "{}", done.stderr);
        assert!(
            fault == ReportFault::ForeignLink
                || done.stderr.lines().any(|line| line.starts_with("hint: ") && line.contains("`--all-users`"))
        );
        assert!(field.api_calls().is_empty() && !field.path("reported.report.partial.csv").exists(), "nobody was read");
    }
}

#[test]
fn a_report_without_the_field_is_warned_of() {
    let field = directory(30, 3, ReportConfig { report_fault: Some(ReportFault::NoField), ..prompt() });
    let done = reported(&field, &[]);
    assert!(done.code == 0 && done.stderr.contains("no entry of the device report has a `bypassUntil`"), "{}", done.stderr);
    assert!(done.stderr.contains("PingOne's device report gives nobody a bypass"), "{}", done.stderr);
    assert!(field.report("reported.report.csv").is_whole(0));
    let may_miss = record(&field, "reported.report.run.json")["input"]["reported"]["mayMiss"].to_string();
    assert!(may_miss.contains("everybody, if this tenant's report has no field `bypassUntil`"), "{may_miss}");
}

/// An API whose device report has these entries, and whose users have no bypass.
fn reporting(answer: impl Fn() -> String + Send + Sync + 'static) -> (Field, String) {
    let url = answering(move |request| {
        let first = request.lines().next().unwrap_or_default();
        let body = if first.contains("/as/token") {
            r#"{"access_token":"t","expires_in":3600}"#.to_owned()
        } else if first.contains("/entries") {
            answer()
        } else if first.contains("/dataExplorations") {
            r#"{"id":"0fe52654-ff7a-4c90-8d80-1af1a745c097","status":"SUCCESS"}"#.to_owned()
        } else {
            no_bypass(first)
        };
        ("200 OK\r\nContent-Type: application/json".to_owned(), body)
    });
    (directory(1, 0, prompt()), url)
}

fn run_at(field: &Field, url: &str, arguments: &[&str]) -> Done {
    let mut tool = field.tool(arguments);
    tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", url);
    crate::harness::done(tool.output().expect("the tool runs"))
}

fn entries(users: std::ops::Range<u32>, counted: u32) -> String {
    let entry = |user| format!(r#"{{"userId":"00000000-0000-4000-8000-{user:012}","bypassUntil":4102444800}}"#);
    format!(r#"{{"count":{counted},"_embedded":{{"entries":[{}]}}}}"#, users.map(entry).collect::<Vec<_>>().join(","))
}

#[test]
fn a_report_that_is_shorter_than_its_count_is_warned_of() {
    for (counted, is_short) in [(5, true), (3, false), (0, false)] {
        let (field, url) = reporting(move || entries(0..3, counted));
        let done = run_at(&field, &url, &["audit", "--reported"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let told = "PingOne counted 5 entries of the device report, and listed 3: users may be missing";
        assert_eq!(done.stderr.contains(told), is_short, "{}", done.stderr);
    }
}

#[test]
fn users_whom_a_later_report_does_not_name_any_more_are_told_of() {
    let (field, url) = reporting(|| entries(0..20, 20));
    let stopped = ["audit", "--reported", "--canary", "1", "--max-failures", "0", "-v"];
    assert_eq!(run_at(&field, &url, &stopped).code, 0);
    // As if it had been killed after 11 of the 20.
    let report = fs::read_to_string(field.path("reported.report.csv")).expect("a report");
    fs::remove_file(field.path("reported.report.csv")).expect("removed");
    field.write("reported.report.partial.csv", report.lines().take(12).map(|line| format!("{line}\n")).collect::<String>());
    let mut killed = record(&field, "reported.report.run.json");
    (killed["status"], killed["finishedAt"]) = ("running".into(), serde_json::Value::Null);
    field.write("reported.report.run.json", killed.to_string());
    let (_, later) = reporting(|| entries(0..13, 13));
    killed["apiUrl"] = format!("{later}/v1").into();
    field.write("reported.report.run.json", killed.to_string());
    let resumed = run_at(&field, &later, &["audit", "--reported", "--resume"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    assert!(field.report("reported.report.csv").is_whole(13));
    assert!(resumed.stderr.contains("requests   one for each user that is not done yet"), "{}", resumed.stderr);
    assert!(resumed.stderr.contains("7 users whom PingOne's device report named when the run began were not read"), "{}", resumed.stderr);
    let reported = &record(&field, "reported.report.run.json")["input"]["reported"];
    assert_eq!((&reported["usersAtFirst"], &reported["users"]), (&20.into(), &13.into()));
}

#[test]
fn a_page_of_the_active_tells_of_those_who_failed() {
    let field = directory(30, 3, prompt());
    let id = |index| field.sandbox.user_id(index);
    field.write("in.csv", format!("userID\n{}\n{}\n00000000-0000-4000-8000-000000000000\n", id(0), id(1)));
    assert_eq!(field.run(&["audit", "in.csv", "--only", "active"]).code, 1);
    let page = field.run(&["page", "in.report.csv", "-o", "-"]);
    assert_eq!(page.code, 0, "{}", page.stderr);
    assert!(!page.stdout.contains("No row failed"), "one did");
    assert!(page.stdout.contains(" failed, by the record."), "and its reason stands beside the report");
}

#[test]
fn more_users_than_allowed_are_refused_before_anyone_is_read() {
    let field = directory(100, 10, prompt());
    let done = reported(&field, &["--max-users", "9"]);
    assert!(done.code == 2 && done.stderr.contains("gives more than 9 users a bypass"), "{}", done.stderr);
    assert!(field.api_calls().is_empty());
}

#[test]
fn a_dry_run_sends_nothing_and_its_digest_is_of_the_report_alone() {
    let field = directory(100, 10, prompt());
    let done = reported(&field, &["--dry-run"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("not a complete audit") && field.calls().is_empty(), "{}", done.stderr);
    let digest = |done: &Done| done.stderr.lines().find_map(|line| line.strip_prefix("digest     ")).expect("a digest").to_owned();
    let all = field.run(&["audit", "--all-users", "--dry-run"]);
    assert_ne!(digest(&done), digest(&all));
    let approved = reported(&field, &["--approve", &digest(&done)]);
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    let other = reported(&field, &["--approve", &digest(&all), "-o", "x.csv"]);
    assert!(other.code == 2 && other.stderr.contains("not the plan that was approved"), "{}", other.stderr);
}

#[test]
fn it_excludes_what_selects_users_otherwise_and_rehearses_in_the_process() {
    let field = directory(10, 1, prompt());
    field.write("in.csv", "userID\n");
    for other in [&["in.csv"][..], &["--all-users"], &["--filter", "enabled eq true"], &["--user-column", "x"], &["--skip-invalid"]] {
        let done = reported(&field, other);
        assert!(done.code == 2 && done.stderr.contains("cannot be used with"), "{other:?}: {}", done.stderr);
    }
    let mut tool = crate::harness::tool();
    tool.current_dir(field.folder()).args([
        "audit",
        "--reported",
        "--sandbox",
        "--rate",
        "unlimited",
        "--canary",
        "3",
        "--metrics-file",
        "m.prom",
    ]);
    let done = crate::harness::done(tool.output().expect("the tool runs"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(field.report("reported.report.csv").is_whole(100) && field.path("m.prom").exists());
}

#[test]
fn hostile_names_are_made_harmless() {
    let named = NamedUser { username: "=cmd|'x'!A1\u{1b}[2J\n,\"".to_owned(), ..NamedUser::default() };
    let field = field_with(SandboxConfig { users: Some(1), named: vec![named], report: prompt(), ..SandboxConfig::default() });
    let until = "2098-08-31T17:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().ok().and_then(BypassUntil::from_instant).expect("a date");
    field.sandbox.set_bypass(field.sandbox.user_id(1), until);
    assert_eq!(reported(&field, &["-q"]).code, 0);
    assert_eq!(field.report("reported.report.csv").column("username"), ["'=cmd|'x'!A1 [2J ,\""]);
}

#[test]
fn a_server_that_repeats_itself_or_makes_no_sense_is_given_up() {
    for (entries, told, code) in [
        (r#"{"_embedded":{"entries":[{"user":"ann","bypassUntil":"x"}]}}"#, "an entry has no `userId`: it has ", 2),
        (r#"{"_embedded":{"entries":[{"userId":"ann"}]}}"#, "the `userId` of an entry is `ann`: expected a UUID", 2),
        (r#"{"things":[]}"#, "a page has no list of entries: expected `_embedded.entries`, and it has `things`", 2),
        (r#"{"_embedded":{"entries":[]},"_links":{"next":{"href":"?limit=1000"}}}"#, "it leads back to a page that was read before", 3),
    ] {
        let (field, url) = reporting(move || entries.to_owned());
        let done = run_at(&field, &url, &["audit", "--reported"]);
        assert!(done.code == code && done.stderr.contains(told) && done.stderr.contains("`--all-users`"), "{}", done.stderr);
    }
}
