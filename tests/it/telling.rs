//! Output during a run and after it: lines, logs, metrics.

use std::collections::HashMap;
use std::time::Duration;

use pingone_bypass::sandbox::SandboxConfig;
use serde_json::Value;

use crate::harness::{Field, done, ended_within, faulty, field, field_with, send_signal};
use crate::terminal::without_terminal;

/// The samples by name and by result or status. Each has the operation and the environment as labels.
fn metrics(field: &Field) -> HashMap<(String, String), f64> {
    let text = std::fs::read_to_string(field.path("m.prom")).expect("metrics");
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    let scrape = prometheus_parse::Scrape::parse(lines).expect("Prometheus' text format");
    let value = |value: prometheus_parse::Value| {
        let prometheus_parse::Value::Gauge(value) = value else { panic!("a gauge, not {value:?}") };
        value
    };
    let environment = field.sandbox.environment_id().to_string();
    for sample in &scrape.samples {
        let of = sample.labels.get("environment");
        assert!(of == Some("") || of == Some(&environment), "{sample:?}");
        assert_eq!(sample.labels.get("operation"), Some("audit"), "{sample:?}");
    }
    let label = |labels: &prometheus_parse::Labels| labels.get("result").or_else(|| labels.get("status")).unwrap_or_default().to_owned();
    scrape.samples.into_iter().map(|sample| ((sample.metric, label(&sample.labels)), value(sample.value))).collect()
}

#[test]
fn metrics_are_written_for_prometheus() {
    let field = field();
    field.users(30, "");
    let arguments = ["audit", "in.csv", "--overwrite", "--rate", "unlimited", "--metrics-file", "m.prom"];
    assert_eq!(field.run(&arguments).code, 0);
    let after = metrics(&field);
    let of = |name: &str, label: &str| after[&(format!("pingone_bypass_{name}"), label.to_owned())];
    assert_eq!((of("rows", "active"), of("rows", "inactive"), of("rows", "failed"), of("active", "")), (3.0, 27.0, 0.0, 3.0));
    assert_eq!((of("requests", "200"), of("exit_code", "")), (31.0, 0.0));
    let success = of("last_success_timestamp_seconds", "");
    assert!(success > 1.7e9 && success <= of("last_run_timestamp_seconds", ""));

    field.write("in.csv", "userID\nx\n");
    assert_eq!(field.run(&[&arguments[..], &["--skip-invalid"]].concat()).code, 1);
    let after = metrics(&field);
    let of = |name: &str, label: &str| after[&(format!("pingone_bypass_{name}"), label.to_owned())];
    assert_eq!((of("rows", "invalid"), of("exit_code", "")), (1.0, 1.0));
    assert_eq!(of("last_success_timestamp_seconds", "").to_bits(), success.to_bits(), "this run was none");
}

/// A metrics file after a good audit, and the time of that success.
fn audited(field: &Field) -> f64 {
    field.users(30, "+4h");
    let good = field.run(&["audit", "in.csv", "-o", "good.csv", "--rate", "unlimited", "--metrics-file", "m.prom"]);
    assert_eq!(good.code, 0, "{}", good.stderr);
    metrics(field)[&("pingone_bypass_last_success_timestamp_seconds".to_owned(), String::new())]
}

/// Checks that the metrics are of a run that settled nothing and ended with `code`.
fn assert_tells_of_failure(field: &Field, what: &str, code: u32, success: f64) {
    let after = metrics(field);
    let of = |name: &str| after.get(&(format!("pingone_bypass_{name}"), String::new())).copied();
    assert_eq!(of("exit_code"), Some(f64::from(code)), "{what}");
    assert!(after.iter().filter(|((name, _), _)| name == "pingone_bypass_rows").all(|(_, rows)| *rows == 0.0), "{what}");
    assert_eq!(of("active"), None, "{what}: nobody was asked");
    assert_eq!(of("last_success_timestamp_seconds"), Some(success), "{what}");
    assert!(of("last_run_timestamp_seconds").is_some_and(|run| run >= success), "{what}");
}

#[test]
fn a_run_that_is_refused_or_fails_early_is_told_in_its_metrics() {
    let field = field();
    let success = audited(&field);
    let good = std::fs::read(field.path("m.prom")).expect("metrics");
    let digest = "0".repeat(64);
    field.write("bad.csv", "userID\nx\n");
    let none: &[(&str, &str)] = &[];
    for (what, code, arguments, variables) in [
        ("a bad row", 2, &["bad.csv"][..], none),
        ("no such input", 2, &["nowhere.csv"], none),
        ("a report that exists", 2, &["in.csv", "-o", "good.csv"], none),
        ("another plan", 2, &["in.csv", "--approve", &digest], none),
        ("a secret that is none", 2, &["in.csv"], &[("PINGONE_CLIENT_SECRET", "two words")]),
        ("no environment", 2, &["in.csv"], &[("PINGONE_ENVIRONMENT_ID", "")]),
        ("no resume of a stream", 2, &["in.csv", "-o", "-", "--resume"], none),
        ("a refused application", 4, &["in.csv"], &[("PINGONE_CLIENT_SECRET", "wrong")]),
        ("a refused application, into a stream", 4, &["in.csv", "-o", "-"], &[("PINGONE_CLIENT_SECRET", "wrong")]),
        ("no input", 2, &[], none),
        ("an option that does not exist", 2, &["in.csv", "--bogus"], none),
        ("a value that is none", 2, &["in.csv", "--rate", "abc"], none),
        ("a variable that has no such value", 2, &["in.csv"], &[("PINGONE_REGION", "MARS")]),
        ("no folder for the report", 5, &["in.csv", "-o", "nowhere/out.csv"], none),
    ] {
        let mut tool = field.tool(&[&["audit"], arguments, &["--metrics-file", "m.prom"]].concat());
        let ran = done(tool.envs(variables.iter().copied()).output().expect("the tool runs"));
        assert_eq!(ran.code, i32::try_from(code).expect("small"), "{what}: {}", ran.stderr);
        assert_tells_of_failure(&field, what, code, success);
        let environment = format!("exit_code{{operation=\"audit\",environment=\"{}\"}} {code}\n", field.sandbox.environment_id());
        assert!(std::fs::read_to_string(field.path("m.prom")).expect("metrics").contains(&environment), "{what}: an alert sees it");
        let requests = metrics(&field).get(&("pingone_bypass_requests".to_owned(), "401".to_owned())).copied();
        assert_eq!(requests, (code == 4).then_some(1.0), "{what}");
        std::fs::write(field.path("m.prom"), &good).expect("written");
    }
    let finished = ["audit", "in.csv", "-o", "good.csv", "--resume", "--metrics-file", "m.prom"];
    assert_eq!(field.run(&[&finished[..], &["--allow", "granted"]].concat()).code, 2);
    assert!((told(&field).0 - 2.0).abs() < f64::EPSILON);
    let again = field.run(&finished);
    assert!(again.code == 0 && again.stderr.contains("has finished already"), "{}", again.stderr);
    let (code, later) = told(&field);
    assert!(code.abs() < f64::EPSILON && later >= Some(success), "a finished run that is asked for again is told too");
    // No other file is touched by a mistake.
    field.write("notes.txt", "mine");
    assert_eq!(field.run(&["audit", "in.csv", "--bogus", "--metrics-file", "notes.txt"]).code, 2);
    assert_eq!(field.run(&["audit", "in.csv", "--bogus", "--metrics-file", "new.prom"]).code, 2);
    assert!(std::fs::read_to_string(field.path("notes.txt")).expect("there") == "mine" && !field.path("new.prom").exists());
}

/// The exit code, and the time of the last success.
fn told(field: &Field) -> (f64, Option<f64>) {
    let after = metrics(field);
    let of = |name: &str| after.get(&(format!("pingone_bypass_{name}"), String::new())).copied();
    (of("exit_code").expect("each run tells it"), of("last_success_timestamp_seconds"))
}

#[test]
fn failures_that_are_allowed_do_not_make_the_exit_code_1() {
    let field = field_with(SandboxConfig { users: Some(10), ..SandboxConfig::default() });
    let users = std::fs::read_to_string(field.users(10, "")).expect("there");
    field.write("in.csv", format!("{users}7e94b96e-0364-463b-a059-d97d1e4cb1d5,\nx,\n"));
    let audit = |more: &[&str]| {
        let always = ["audit", "in.csv", "--skip-invalid", "--rate", "unlimited", "--metrics-file", "m.prom"];
        field.run(&[&always[..], more].concat())
    };
    let counted = audit(&["--allow", "not_found", "--overwrite"]);
    assert_eq!((counted.code, told(&field)), (1, (1.0, None)), "a row is invalid: {}", counted.stderr);
    let allowed = audit(&["--allow", "not_found,invalid", "--overwrite"]);
    assert_eq!(allowed.code, 0, "{}", allowed.stderr);
    let said = "not counted in the exit code, as `--allow` says: 1 not_found, 1 invalid";
    assert!(allowed.stderr.contains(said) && allowed.stderr.contains("not_found        1 (failed)"), "{}", allowed.stderr);
    let (code, success) = told(&field);
    assert!(code == 0.0 && success.is_some(), "the last success follows");
    let record: Value = serde_json::from_slice(&std::fs::read(field.path("in.report.run.json")).expect("a record")).expect("JSON");
    assert_eq!(record["options"]["allow"], serde_json::json!(["not_found", "invalid"]));
    assert_eq!(record["totals"]["not_found"], 1);
    assert!(field.path("in.report.failed.csv").exists(), "they are reported as ever");
    // The finished run, once more.
    let again = audit(&["--resume"]);
    assert_eq!(again.code, 0, "what the run allowed: {}", again.stderr);
    assert!(again.stderr.contains("has finished already") && again.stderr.contains(said), "{}", again.stderr);
    assert_eq!(audit(&["-o", "other.csv"]).code, 1);
    assert_eq!(audit(&["-o", "other.csv", "--resume"]).code, 1);
    assert_eq!(audit(&["-o", "other.csv", "--resume", "--allow", "not_found", "--allow", "invalid"]).code, 0, "what is allowed now");
    let streamed = audit(&["-o", "-", "--allow", "not_found,invalid"]);
    assert!(streamed.code == 0 && streamed.stderr.contains(said), "{}", streamed.stderr);
    // It says nothing of when a run stops.
    field.write("in.csv", users.replacen('\n', "\n7e94b96e-0364-463b-a059-d97d1e4cb1d5,\n", 1));
    for limit in [&["--max-failures", "0", "--concurrency", "1"][..], &["--canary", "1"]] {
        let stopped = audit(&[&["--overwrite", "--allow", "not_found"], limit].concat());
        assert_eq!(stopped.code, 3, "{limit:?}: {}", stopped.stderr);
    }
    for wrong in ["granted", "duplicate", "Not_Found", "not_found,"] {
        let refused = audit(&["-o", "none.csv", "--allow", wrong]);
        assert!(refused.code == 2 && refused.stderr.contains("changed, not_found, ambiguous"), "{}", refused.stderr);
    }
}

#[test]
fn when_bypasses_run_out_stands_in_the_metrics() {
    let field = field();
    // Every tenth user of the sandbox has a bypass for a day; these two get others.
    field.write("some.csv", format!("userID,until\n{},+1h\n{},+3d\n", field.sandbox.user_id(0), field.sandbox.user_id(2)));
    assert_eq!(field.run(&["grant", "some.csv"]).code, 0);
    field.users(30, "");
    let ends = |name: &str| metrics(&field).get(&(format!("pingone_bypass_active_until_{name}_timestamp_seconds"), String::new())).copied();
    for output in ["r.csv", "-"] {
        let run = field.run(&["audit", "in.csv", "-o", output, "--rate", "unlimited", "--metrics-file", "m.prom"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let report = field.report("r.csv");
        let mut dates: Vec<_> = report.column("bypassMFAEnabledUntil").into_iter().filter(|date| !date.is_empty()).collect();
        dates.sort_unstable();
        let seconds = |date: &str| chrono::DateTime::parse_from_rfc3339(date).expect("a date").timestamp();
        let expected = [dates[0], dates[dates.len() - 1]].map(|date| Some(f64::from(u32::try_from(seconds(date)).expect("this century"))));
        assert_eq!([ends("earliest"), ends("latest")], expected, "{output}: {dates:?}");
        assert!(dates.len() == 5 && dates[0] < dates[1] && dates[3] < dates[4], "{dates:?}");
        std::fs::remove_file(field.path("m.prom")).expect("there");
    }
    field.write("in.csv", format!("userID\n{}\n", field.sandbox.user_id(1)));
    assert_eq!(field.run(&["audit", "in.csv", "--rate", "unlimited", "--metrics-file", "m.prom"]).code, 0);
    assert_eq!((ends("earliest"), ends("latest")), (None, None), "nobody has one");
}

#[test]
fn what_an_earlier_process_has_settled_counts_in_the_metrics() {
    let field = field_with(SandboxConfig { users: Some(20), ..SandboxConfig::default() });
    let nobody = |index: u64| format!("00000000-0000-4000-8000-{index:012}");
    let rows = [field.sandbox.user_id(9).to_string(), nobody(1), nobody(2), nobody(3), field.sandbox.user_id(1).to_string()];
    field.write("in.csv", format!("userID\n{}\n", rows.join("\n")));
    let always = ["audit", "in.csv", "--concurrency", "1", "--rate", "unlimited", "--metrics-file", "m.prom", "--max-failures"];
    let mut told = Vec::new();
    for (more, code) in [(&["1"][..], 3), (&["100", "--resume"], 1)] {
        let run = field.run(&[&always[..], more].concat());
        assert_eq!(run.code, code, "{}", run.stderr);
        let after = metrics(&field);
        told.push(
            ["active", "active_until_earliest_timestamp_seconds"].map(|name| after[&(format!("pingone_bypass_{name}"), String::new())]),
        );
    }
    assert_eq!(told[0][0].to_bits(), 1.0_f64.to_bits(), "{told:?}");
    assert_eq!(told[0].map(f64::to_bits), told[1].map(f64::to_bits), "the second process has seen nobody with a bypass: {told:?}");
}

#[test]
fn a_signal_before_the_first_row_and_a_question_to_nobody_are_told_too() {
    let field = field();
    let success = audited(&field);
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let mut tool = field.tool(&["audit", "-", "--metrics-file", "m.prom", "-v"]);
    let child = tool.stdin(reader).stderr(std::process::Stdio::piped()).spawn().expect("the tool runs");
    // Once its input is opened, it listens for signals.
    std::thread::sleep(Duration::from_millis(500));
    send_signal(&child, "INT");
    let stopped = ended_within(Duration::from_secs(20), child).expect("it ends");
    assert_eq!(stopped.code, 130, "{}", stopped.stderr);
    assert_tells_of_failure(&field, "a signal", 130, success);
    let mut tool = field.tool(&[]);
    tool.args(["grant", "in.csv", "--metrics-file", "grant.prom"]);
    assert_eq!(done(without_terminal(&tool).output().expect("the tool runs")).code, 2);
    let text = std::fs::read_to_string(field.path("grant.prom")).expect("metrics");
    let labels = format!("operation=\"grant\",environment=\"{}\"", field.sandbox.environment_id());
    assert!(text.contains(&format!("pingone_bypass_exit_code{{{labels}}} 2\n")) && !text.contains("last_success"), "{text}");
}

#[test]
fn a_dry_run_and_a_finished_run_leave_the_metrics_as_they_are() {
    let field = field();
    audited(&field);
    let before = std::fs::read(field.path("m.prom")).expect("metrics");
    field.write("bad.csv", "userID\nx\n");
    for (arguments, code) in [
        (&["audit", "in.csv", "--dry-run"][..], 0),
        (&["audit", "bad.csv", "--dry-run"], 2),
        (&["audit", "in.csv", "--dry-run", "--environment-id", "7e94b96e-0364-463b-a059-d97d1e4cb1d5", "--ca-cert", "nowhere"], 2),
        (&["audit", "in.csv", "-o", "good.csv", "--resume"], 0),
    ] {
        let ran = field.run(&[arguments, &["--metrics-file", "m.prom"]].concat());
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
        assert_eq!(std::fs::read(field.path("m.prom")).expect("metrics"), before, "{arguments:?}");
    }
}

#[test]
fn json_logs_are_objects_a_line_and_hold_no_user_below_debug() {
    let field = faulty("500=10%,400=10%");
    field.users(20, "");
    for (verbose, users) in [("-v", false), ("-vv", true)] {
        let run = field.run(&[
            "audit",
            "in.csv",
            "--overwrite",
            "--log-format",
            "json",
            verbose,
            "--max-failures",
            "100%",
            "--rate",
            "unlimited",
        ]);
        let lines: Vec<Value> = run.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        assert!(lines.iter().any(|line| line["message"] == "summary" && line["rows"] == 20), "{}", run.stderr);
        assert_eq!(run.stderr.contains(&field.sandbox.user_id(3).to_string()), users, "{}", run.stderr);
        if users {
            let settled: Vec<_> = lines.iter().filter(|line| line["message"] == "settled").collect();
            assert_eq!(settled.len(), 20);
            for line in settled {
                assert!(line["row"].is_u64() && line["attempt"].is_u64() && line["durationMs"].is_u64(), "{line}");
                assert_eq!(line["runId"].as_str().map(str::len), Some(36), "{line}");
            }
            assert!(lines.iter().any(|line| line["status"] == 400 && line["errorId"].as_str().is_some_and(|id| id.len() == 36)));
        }
    }
}

#[test]
fn without_a_terminal_progress_is_plain_lines_and_quiet_is_quiet() {
    let field = field_with(SandboxConfig { latency: Duration::from_millis(100), ..SandboxConfig::default() });
    field.users(110, "");
    let arguments = ["audit", "in.csv", "--overwrite", "--rate", "10/s"];
    let told = field.run(&arguments);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let lines: Vec<_> = told.stderr.lines().filter(|line| line.contains("/110 rows (")).collect();
    assert_eq!(lines.len(), 1, "one in ten seconds: {}", told.stderr);
    assert!(lines[0].contains("/s, about ") && lines[0].contains(" left, active "), "{}", lines[0]);
    assert!(!told.stderr.contains('\u{1b}'), "{}", told.stderr);
    field.users(3, "");
    let quiet = done(field.tool(&["audit", "in.csv", "--overwrite", "-q"]).output().expect("the tool runs"));
    assert_eq!((quiet.code, quiet.stderr.as_str(), quiet.stdout.as_str()), (0, "", ""));
}
