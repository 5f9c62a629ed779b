//! Output during a run and after it: lines, logs, metrics.

use std::collections::HashMap;
use std::time::Duration;

use pingone_bypass::sandbox::SandboxConfig;
use serde_json::Value;

use crate::harness::{Field, done, faulty, field, field_with};

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
