//! The guarantees of a run: results, columns, files, exit codes.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use pingone_bypass::sandbox::SandboxConfig;

use crate::harness::{Field, answering, faulty, field, field_with};

const COLUMNS: &str = "row,userID,result,canBypassMFA,bypassMFAEnabledUntil,requestedUntil,previousUntil,httpStatus,errorCode,errorMessage,errorId,correlationId,attempts,durationMs,completedAt";

#[test]
fn a_grant_is_reported_in_the_inputs_order_with_the_date_returned() {
    let field = field();
    let input = field.users(200, "2099-08-31T17:00:00+02:00");
    let done = field.run(&["grant", "in.csv", "--rate", "unlimited"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.is_empty());
    assert!(done.stderr.contains("granted        200"), "{}", done.stderr);
    let report = field.report("in.report.csv");
    assert_eq!(report.columns.join(","), COLUMNS);
    assert!(report.is_whole(200));
    assert_eq!(report.count("granted"), 200);
    assert!(report.column("canBypassMFA").iter().all(|can| *can == "true"));
    assert!(report.column("bypassMFAEnabledUntil").iter().all(|until| *until == "2099-08-31T15:00:00.000Z"));
    assert_eq!(report.column("bypassMFAEnabledUntil"), report.column("requestedUntil"));
    for (index, user) in report.column("userID").into_iter().enumerate() {
        let held = field.sandbox.bypass_of(user.parse().expect("a UUID")).map(|until| until.to_string());
        assert_eq!(held.as_deref(), Some("2099-08-31T15:00:00.000Z"), "row {}", index + 1);
    }
    let mode = std::fs::metadata(field.path("in.report.csv")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(files(&field), ["in.csv", "in.report.csv", "in.report.run.json"]);
    assert!(input.exists());
}

fn files(field: &Field) -> Vec<String> {
    let folder = std::fs::read_dir(field.folder()).expect("a folder");
    let mut names: Vec<_> = folder.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn the_last_answer_to_each_row_can_be_found_at_ping_by_its_correlation_id() {
    let field = faulty("500=20%,reset=10%,400=10%");
    field.users(60, "+4h");
    let done = field.run(&["grant", "in.csv", "--rate", "unlimited", "--max-failures", "100%"]);
    assert!(done.code <= 1, "{}", done.stderr);
    let report = field.report("in.report.csv");
    let mut last: HashMap<String, String> = HashMap::new();
    for call in field.api_calls().into_iter().filter(|call| call.status.is_some()) {
        last.insert(call.path.split('/').nth(5).expect("a user").to_owned(), call.correlation);
    }
    let found: HashMap<_, _> = report.lines.iter().map(|line| (line[1].clone(), line[11].clone())).collect();
    assert_eq!(found, last);
    assert!(report.count("granted") > 0 && report.count("rejected") > 0 && last.values().all(|id| id.len() == 36));
    assert!(report.column("previousUntil").iter().all(|previous| previous.is_empty()), "a grant looks only if it is to");
}

#[test]
fn requests_are_as_documented() {
    let field = field();
    field.users(3, "2099-08-31");
    assert_eq!(field.run(&["grant", "in.csv"]).code, 0);
    let calls = field.calls();
    assert_eq!((calls[0].method.as_str(), calls[0].is_token()), ("POST", true));
    assert_eq!(calls[0].body, "grant_type=client_credentials");
    let environment = field.sandbox.environment_id();
    assert_eq!((calls[1].method.as_str(), calls[1].path.as_str()), ("GET", format!("/v1/environments/{environment}").as_str()));
    assert_eq!(
        (calls[2].method.as_str(), calls[2].path.as_str()),
        ("GET", format!("/v1/environments/{environment}/capabilities").as_str())
    );
    let mut sessions = Vec::new();
    for (index, call) in calls[3..].iter().enumerate() {
        let user = field.sandbox.user_id(index as u64);
        assert_eq!(
            (call.method.as_str(), call.path.as_str()),
            ("PUT", format!("/v1/environments/{environment}/users/{user}/bypassMFA").as_str())
        );
        assert_eq!(call.body, r#"{"bypassMFAEnabledUntil":"2099-08-31T00:00:00.000Z"}"#);
        let (run, row) = call.transaction.rsplit_once('-').expect("a run and a row");
        assert_eq!(row, (index + 1).to_string());
        sessions.push(run.to_owned());
    }
    sessions.dedup();
    assert_eq!((calls.len(), sessions.len(), sessions[0].len()), (6, 1, 36));
}

#[test]
fn an_audit_tells_who_can_bypass_now() {
    let field = field();
    field.users(20, "");
    let done = field.run(&["audit", "in.csv", "--rate", "unlimited", "--auth-method", "post"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = field.report("in.report.csv");
    assert_eq!((report.count("active"), report.count("inactive")), (2, 18));
    for line in &report.lines {
        match line[2].as_str() {
            "inactive" => assert_eq!(line[3..6], ["false", "", ""]),
            _ => assert!(line[3] == "true" && line[4].len() == 24 && line[5].is_empty(), "{line:?}"),
        }
    }
    let bodies: Vec<_> = field.calls().into_iter().filter(pingone_bypass::sandbox::LoggedCall::is_token).map(|call| call.body).collect();
    assert!(bodies.len() == 1 && bodies[0].contains("client_secret="), "{bodies:?}");
    assert!(report.columns.contains(&"until".to_owned()), "an audit carries the column");
}

#[test]
fn a_ready_token_needs_no_application() {
    let field = field();
    field.users(5, "+4h");
    let token = field.sandbox.issue_token(Duration::from_secs(60));
    let mut tool = field.tool(&["grant", "in.csv"]);
    tool.env_remove("PINGONE_CLIENT_ID").env_remove("PINGONE_CLIENT_SECRET").env("PINGONE_API_ACCESS_TOKEN", token);
    let done = crate::harness::done(tool.output().expect("the tool runs"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(field.calls().iter().all(|call| !call.is_token()));

    let mut tool = field.tool(&["grant", "in.csv", "--overwrite"]);
    tool.env("PINGONE_API_ACCESS_TOKEN", "long-expired");
    let done = crate::harness::done(tool.output().expect("the tool runs"));
    assert_eq!(done.code, 4, "{}", done.stderr);
    assert!(done.stderr.starts_with("error: PingOne refused the access token: HTTP 401, INVALID_TOKEN"), "{}", done.stderr);
    assert!(done.stderr.contains("\nhint: a token lives one hour"), "{}", done.stderr);
}

#[test]
fn a_put_answered_otherwise_than_asked_is_a_mismatch() {
    let field = faulty("otherdate=50%,nobypass=50%");
    field.users(40, "2099-08-31");
    let done = field.run(&["grant", "in.csv", "--rate", "unlimited"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let report = field.report("in.report.csv");
    assert_eq!(report.count("mismatch"), 40);
    let other = report.lines.iter().filter(|line| line[3] == "true" && line[4] == "2099-08-27T00:00:00.000Z").count();
    let none = report.lines.iter().filter(|line| line[3] == "false" && line[4].is_empty()).count();
    assert!(other > 0 && none > 0 && other + none == 40, "{other} {none}");
    assert_eq!(field.api_calls().len(), 40);
}

#[test]
fn what_trying_again_cannot_mend_is_sent_once() {
    let config = SandboxConfig { users: Some(20), faults: "400=30%,403=30%".parse().expect("faults"), ..SandboxConfig::default() };
    let field = field_with(config);
    let stranger = "00000000-0000-4000-8000-000000000000";
    let rows: String = (0..20).map(|index| format!("{}\n", field.sandbox.user_id(index))).collect();
    field.write("in.csv", format!("id\n{stranger}\n{rows}"));
    let done = field.run(&["grant", "in.csv", "--until", "+1h", "--rate", "unlimited"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let report = field.report("in.report.csv");
    assert_eq!(report.column("result")[0], "not_found");
    assert_eq!(report.column("errorCode")[0], "NOT_FOUND");
    assert!(!report.column("errorId")[0].is_empty());
    let rejected: Vec<_> = report.lines.iter().filter(|line| line[2] == "rejected").collect();
    assert!(rejected.iter().any(|line| line[7] == "400") && rejected.iter().any(|line| line[7] == "403"));
    assert_eq!(rejected.len() + report.count("granted"), 20);
    assert_eq!(field.api_calls().len(), 21, "one request each");
}

#[test]
fn faults_are_retried_and_nobody_is_asked_again_who_has_succeeded() {
    let config = SandboxConfig {
        faults: "500=5%,503=3%,reset=2%,truncate=2%,html=1%,429=1%,expired=1%".parse().expect("faults"),
        latency: Duration::from_millis(5),
        ..SandboxConfig::default()
    };
    let field = field_with(config);
    field.users(600, "2099-08-31");
    let done = field.run(&["grant", "in.csv", "--rate", "unlimited"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = field.report("in.report.csv");
    assert!(report.is_whole(600) && report.count("granted") == 600);
    let calls = field.api_calls();
    assert!(calls.len() > 650, "faults were met: {}", calls.len());
    let mut succeeded: HashMap<&str, usize> = HashMap::new();
    for (index, call) in calls.iter().enumerate() {
        assert!(!succeeded.contains_key(call.path.as_str()), "asked again: {call:?}");
        if call.status == Some(200) && !call.faulted {
            succeeded.insert(&call.path, index);
        }
    }
    let attempts: usize = report.column("attempts").iter().map(|attempts| attempts.parse::<usize>().expect("a number")).sum();
    assert_eq!(attempts, calls.len(), "every request is accounted for");
}

#[test]
fn a_put_without_an_answer_is_unknown_and_a_read_is_failed() {
    let field = faulty("reset=100%");
    field.users(4, "+4h");
    let done = field.run(&["grant", "in.csv", "--max-attempts", "2"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert_eq!(field.report("in.report.csv").count("unknown"), 4);
    assert_eq!(field.api_calls().len(), 12, "two tries, and a last look at what is so");
    let done = field.run(&["audit", "in.csv", "--max-attempts", "2", "--overwrite"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert_eq!(field.report("in.report.csv").count("failed"), 4);
}

#[test]
fn a_wrong_secret_ends_the_run_and_the_hint_names_where_the_application_was_looked_for() {
    let field = field();
    field.users(50, "+4h");
    let elsewhere = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";
    for (name, value, arguments) in [
        ("PINGONE_CLIENT_SECRET", "wrong", vec!["grant", "in.csv"]),
        ("PINGONE_CLIENT_ID", "wrong", vec!["grant", "in.csv"]),
        ("X", "x", vec!["grant", "in.csv", "--auth-environment-id", elsewhere]),
    ] {
        let mut tool = field.tool(&arguments);
        let done = crate::harness::done(tool.env(name, value).output().expect("the tool runs"));
        assert_eq!(done.code, 4, "{}", done.stderr);
        assert!(done.stderr.contains("error: PingOne refused the worker application: HTTP 401, invalid_client"), "{}", done.stderr);
        let environment = if name == "X" { elsewhere.to_owned() } else { field.sandbox.environment_id().to_string() };
        assert!(done.stderr.contains(&format!("lives in environment {environment}")), "{}", done.stderr);
        let calls = field.calls();
        assert!(calls.len() == 1 && calls[0].is_token(), "{calls:?}");
        assert_eq!(files(&field), ["in.csv"], "nothing is left that would be in the way");
    }
}

#[test]
fn what_exists_is_not_touched() {
    let field = field();
    field.users(2, "+4h");
    field.write("in.report.csv", "mine");
    let done = field.run(&["grant", "in.csv"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("in.report.csv: the file exists, and is not touched without `--overwrite`"), "{}", done.stderr);
    assert_eq!(std::fs::read_to_string(field.path("in.report.csv")).expect("there"), "mine");
    field.write("other.partial.csv", "mine");
    let done = field.run(&["grant", "in.csv", "-o", "other.csv"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("other.partial.csv: an earlier run of this report has not finished"), "{}", done.stderr);
    let done = field.run(&["grant", "in.csv", "-o", "in.csv", "--overwrite"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("in.csv: the report would replace the input"), "{}", done.stderr);
    assert!(field.calls().is_empty());
    assert_eq!(field.run(&["grant", "in.csv", "--overwrite"]).code, 0);
    assert!(field.report("in.report.csv").is_whole(2));
}

#[test]
fn a_folder_that_cannot_be_written_is_found_before_anything_is_sent() {
    let field = field();
    field.users(2, "+4h");
    let done = field.run(&["grant", "in.csv", "-o", "nowhere/out.csv"]);
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert!(done.stderr.contains("error: nowhere/out.csv: the file cannot be created"), "{}", done.stderr);
    assert!(done.stderr.contains("\ncaused by: "), "{}", done.stderr);
    assert!(field.calls().is_empty());
}

#[test]
fn standard_output_gets_the_rows_and_nothing_else() {
    let field = field();
    field.users(30, "+4h");
    let done = field.run(&["grant", "in.csv", "-o", "-", "-vv", "--rate", "unlimited"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = crate::harness::Report::read(&done.stdout);
    assert_eq!((report.columns.join(",").as_str(), report.count("granted")), (COLUMNS, 30));
    assert_eq!(files(&field), ["in.csv"]);
}

#[test]
fn a_row_twice_is_reported_twice_and_sent_once() {
    let field = field();
    let user = field.sandbox.user_id(0);
    field.write("in.csv", format!("note,userID,until\na,{user},2099-08-31\nb,{user},2099-08-31\n"));
    let done = field.run(&["grant", "in.csv"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = field.report("in.report.csv");
    assert_eq!(report.column("result"), ["granted", "duplicate"]);
    assert_eq!(report.column("note"), ["a", "b"]);
    assert_eq!(field.api_calls().len(), 1);
}

#[test]
fn with_skip_invalid_bad_rows_are_reported_and_the_others_run() {
    let field = field();
    let user = field.sandbox.user_id(0);
    field.write("in.csv", format!("userID,until,note\nx,+4h,=1\n{user},+4h,two\n{user},31/08/2026\n"));
    assert_eq!(field.run(&["grant", "in.csv"]).code, 2);
    let done = field.run(&["grant", "in.csv", "--skip-invalid"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let report = field.report("in.report.csv");
    assert_eq!(report.column("result"), ["invalid", "granted", "invalid"]);
    assert_eq!(report.column("userID"), ["x", &user.to_string(), &user.to_string()]);
    assert_eq!(report.column("note"), ["=1", "two", ""]);
    assert!(report.column("errorMessage")[0].contains("in.csv:2: column `userID`: `x` is not a UUID"));
    assert!(report.column("errorMessage")[2].contains("in.csv:4: column `note`: there is no value"), "{report:?}");
}

#[test]
fn a_report_is_a_valid_input() {
    let field = field();
    field.users(12, "+4h");
    assert_eq!(field.run(&["grant", "in.csv", "-o", "first.csv"]).code, 0);
    let done = field.run(&["audit", "first.csv", "-o", "second.csv"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!done.stderr.contains("not carried into"), "{}", done.stderr);
    let report = field.report("second.csv");
    assert_eq!((report.columns.join(",").as_str(), report.count("active")), (COLUMNS, 12));
    let done = field.run(&["grant", "second.csv", "-o", "third.csv"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn an_input_may_come_through_a_pipe() {
    let field = field();
    let input = std::fs::read(field.users(3, "+4h")).expect("written");
    let mut tool = field.tool(&["grant", "-"]);
    let mut child = tool.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("the tool runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), &input).expect("written");
    let done = crate::harness::done(child.wait_with_output().expect("ends"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(field.report("stdin.report.csv").is_whole(3));
}

#[test]
fn no_redirect_is_followed() {
    let field = faulty("");
    let target = field.sandbox.api_url();
    let url = answering(move |_| (format!("307 Temporary Redirect\r\nLocation: {target}"), String::new()));
    field.users(1, "+4h");
    let mut tool = field.tool(&["grant", "in.csv"]);
    let done = crate::harness::done(tool.env("PINGONE_API_URL", format!("{url}/v1")).output().expect("the tool runs"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    let report = field.report("in.report.csv");
    assert_eq!((report.column("result")[0], report.column("httpStatus")[0]), ("unknown", "307"));
    assert!(field.calls().iter().all(pingone_bypass::sandbox::LoggedCall::is_token), "somebody followed");
}

#[test]
fn the_records_totals_have_a_key_for_each_result() {
    let field = field();
    field.users(10, "+4h");
    for command in ["grant", "audit", "end"] {
        let done = field.run(&[command, "in.csv", "--overwrite", "--rate", "unlimited"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(field.report("in.report.csv").columns[..15].join(","), COLUMNS);
        let record = std::fs::read_to_string(field.path("in.report.run.json")).expect("a record");
        let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
        assert_eq!(record["operation"], command);
        let mut keys: Vec<_> = record["totals"].as_object().expect("an object").keys().map(String::as_str).collect();
        keys.sort_unstable();
        let results = "active ambiguous changed duplicate ended failed granted inactive invalid kept mismatch not_found rejected restored rows unknown untouched";
        assert_eq!(keys.join(" "), results);
    }
    // All ten were granted for four hours, which are over now.
    assert_eq!(field.report("in.report.csv").count("ended"), 10);
}
