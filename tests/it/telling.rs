//! Output during a run and after it: lines, logs, metrics.

use std::collections::HashMap;
use std::time::Duration;

use pingone_bypass::sandbox::SandboxConfig;
use serde_json::Value;

use crate::harness::{Field, done, ended_within, faulty, field, field_with, send_signal};
use crate::terminal::without_terminal;

fn metrics(field: &Field) -> HashMap<(String, String), f64> {
    let text = std::fs::read_to_string(field.path("m.prom")).expect("metrics");
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    let scrape = prometheus_parse::Scrape::parse(lines).expect("Prometheus' text format");
    let value = |value: prometheus_parse::Value| {
        let prometheus_parse::Value::Gauge(value) = value else { panic!("a gauge, not {value:?}") };
        value
    };
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
        ("no folder for the report", 5, &["in.csv", "-o", "nowhere/out.csv"], none),
    ] {
        let mut tool = field.tool(&[&["audit"], arguments, &["--metrics-file", "m.prom"]].concat());
        let ran = done(tool.envs(variables.iter().copied()).output().expect("the tool runs"));
        assert_eq!(ran.code, i32::try_from(code).expect("small"), "{what}: {}", ran.stderr);
        assert_tells_of_failure(&field, what, code, success);
        let requests = metrics(&field).get(&("pingone_bypass_requests".to_owned(), "401".to_owned())).copied();
        assert_eq!(requests, (code == 4).then_some(1.0), "{what}");
        std::fs::write(field.path("m.prom"), &good).expect("written");
    }
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
    assert!(text.contains("pingone_bypass_exit_code{operation=\"grant\"} 2\n") && !text.contains("last_success"), "{text}");
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
        // Usage that clap refuses.
        (&["audit", "in.csv", "--rate", "0"], 2),
        (&["audit"], 2),
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
                assert_eq!(line["span"]["runId"].as_str().map(str::len), Some(36), "{line}");
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
