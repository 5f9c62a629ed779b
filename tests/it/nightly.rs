//! The samples of a nightly audit: the script night after night, the units that start it, and the metrics that tell of a night that failed.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use pingone_bypass::sandbox::LoggedCall;

use crate::harness::{Done, Field, Report, done, field};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)
}

/// Puts a `date` that says `day` before the system's.
fn set_day(field: &Field, day: &str) {
    fs::create_dir_all(field.path("bin")).expect("created");
    let date = field.write("bin/date", format!("#!/bin/sh\n[ \"$*\" = '-u +%Y-%m-%d' ] && echo {day}\n"));
    fs::set_permissions(date, fs::Permissions::from_mode(0o755)).expect("ours");
}

/// The script as cron or systemd starts it on this day.
fn night(field: &Field, day: &str) -> Command {
    set_day(field, day);
    // It has the environment of the tool.
    let environment = field.tool(&[]);
    let mut script = Command::new(sample("nightly-audit.sh"));
    let binary = Path::new(env!("CARGO_BIN_EXE_pingone-bypass")).parent().expect("a folder").display().to_string();
    let path = std::env::var("PATH").expect("a search path");
    script.env_clear().envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    script.env("PATH", format!("{}:{binary}:{path}", field.path("bin").display()));
    script.arg("reports").args(["../in.csv", "--rate", "unlimited", "--metrics-file", "../m.prom"]).current_dir(field.folder());
    script
}

fn run(mut night: Command) -> Done {
    done(night.output().expect("the script runs"))
}

/// The metrics without labels, by name.
fn metrics(field: &Field) -> HashMap<String, f64> {
    let text = fs::read_to_string(field.path("m.prom")).expect("metrics");
    let scrape = prometheus_parse::Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).expect("Prometheus' text format");
    let samples = scrape.samples.into_iter().filter(|sample| sample.labels.get("result").or(sample.labels.get("status")).is_none());
    let gauge = |value: &prometheus_parse::Value| {
        let prometheus_parse::Value::Gauge(value) = value else { panic!("a gauge, not {value:?}") };
        *value
    };
    samples.map(|sample| (sample.metric.strip_prefix("pingone_bypass_").expect("ours").to_owned(), gauge(&sample.value))).collect()
}

fn files(field: &Field) -> Vec<String> {
    let entries = fs::read_dir(field.path("reports")).expect("a folder");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

#[test]
fn each_night_leaves_its_report_and_what_has_changed_and_a_night_that_failed_is_told_by_the_metrics() {
    let field = field();
    field.users(5, "");
    fs::create_dir(field.path("reports")).expect("created");
    let first = run(night(&field, "2026-11-24"));
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert_eq!(files(&field), ["audit-2026-11-24.csv", "audit-2026-11-24.run.json", "latest.csv"], "nothing to compare with");
    let after_first = metrics(&field);
    assert_eq!((after_first["exit_code"], after_first["active"]), (0.0, 0.0));

    let mut refused = night(&field, "2026-11-25");
    refused.env("PINGONE_CLIENT_SECRET", "wrong");
    let refused = run(refused);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert_eq!(files(&field).len(), 3, "there is no new report: {:?}", files(&field));
    let after_fault = metrics(&field);
    assert_eq!((after_fault["exit_code"], after_fault["held_seconds"]), (4.0, 0.0));
    let success = |metrics: &HashMap<String, f64>| metrics["last_success_timestamp_seconds"];
    assert_eq!(success(&after_fault).to_bits(), success(&after_first).to_bits(), "the last good night is not forgotten");
    assert!(!after_fault.contains_key("active"), "nobody was asked");

    field.write("one.csv", format!("userID\n{}\n", field.sandbox.user_id(3)));
    assert_eq!(field.run(&["grant", "one.csv", "--until", "+1d"]).code, 0);
    let second = run(night(&field, "2026-11-26"));
    assert_eq!(second.code, 0, "what has changed is no failure: {}", second.stderr);
    let changes = Report::read(&fs::read_to_string(field.path("reports/changes-2026-11-26.csv")).expect("there"));
    assert_eq!((changes.column("change"), changes.lines.len()), (vec!["new"], 1));
    assert_eq!(fs::read_link(field.path("reports/latest.csv")).expect("a link"), Path::new("audit-2026-11-26.csv"));
    let after_second = metrics(&field);
    assert_eq!((after_second["exit_code"], after_second["active"]), (0.0, 1.0));
    assert!(success(&after_second) >= success(&after_first));

    let mode = |name: &str| fs::metadata(field.path(name)).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode("m.prom"), 0o644, "node_exporter is another user");
    assert_eq!((mode("reports/audit-2026-11-26.csv"), mode("reports/changes-2026-11-26.csv")), (0o600, 0o600), "they name users");
}

#[test]
fn a_night_that_is_started_again_sends_nothing_and_old_reports_go() {
    let field = field();
    field.users(3, "");
    fs::create_dir(field.path("reports")).expect("created");
    let age = |name: &str, days: u64| {
        let file = fs::File::create(field.path(&format!("reports/{name}"))).expect("created");
        file.set_modified(SystemTime::now() - Duration::from_secs(days * 86_400)).expect("ours");
    };
    for name in ["audit-2025-01-01.csv", "audit-2025-01-01.run.json", "changes-2025-01-01.csv", "users.csv"] {
        age(name, 500);
    }
    // The first comparison is with an empty file, which is no report.
    assert_eq!(run(night(&field, "2026-11-24")).code, 2);
    fs::remove_file(field.path("reports/audit-2025-01-01.csv")).expect("there");
    field.calls();
    let again = run(night(&field, "2026-11-24"));
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains("has finished already, and nothing was sent"), "{}", again.stderr);
    assert!(field.calls().iter().all(LoggedCall::is_token), "nobody is read twice");
    assert_eq!(
        files(&field),
        ["audit-2026-11-24.csv", "audit-2026-11-24.run.json", "changes-2026-11-24.csv", "latest.csv", "users.csv"],
        "what is old and the script's own is gone"
    );
    field.write("in.csv", format!("userID\n{}\nx\n", field.sandbox.user_id(0)));
    let mut partly = night(&field, "2026-11-25");
    let partly = done(partly.arg("--skip-invalid").output().expect("the script runs"));
    assert_eq!(partly.code, 1, "a row is invalid, and the report is there: {}", partly.stderr);
    assert!(field.path("reports/changes-2026-11-25.csv").exists());
}

/// The words after the script's name in a sample, whether they are a line or a list.
fn words_of(name: &str) -> Vec<String> {
    let text = fs::read_to_string(sample(name)).expect("a sample");
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart="));
    let list = text.lines().map(str::trim).skip_while(|line| *line != "command:").skip(1);
    let list = list.map_while(|line| line.strip_prefix("- "));
    let words: Vec<String> = line.map_or_else(|| list.map(str::to_owned).collect(), |line| line.split(' ').map(str::to_owned).collect());
    let script = words.iter().position(|word| word.ends_with("/nightly-audit.sh")).expect("the script");
    words[script + 1..].to_vec()
}

#[test]
fn the_units_start_the_script_with_options_that_exist() {
    for name in ["pingone-bypass-audit.service", "audit-cronjob.yaml"] {
        let words = words_of(name);
        assert!(words.len() > 10, "{name}: {words:?}");
        let typed = ["pingone-bypass", "audit"].into_iter().chain(words[1..].iter().map(String::as_str));
        let typed: Vec<&str> = typed.chain(["--output", "audit.csv", "--resume"]).collect();
        if let Err(error) = pingone_bypass::Cli::read(&typed) {
            panic!("{name}: {error}");
        }
        let option = |name: &str| words.iter().position(|word| word == name).map(|at| words[at + 1].as_str());
        assert!(option("--client-secret-file").is_some_and(|path| !path.contains("users")), "{name}: the secret is a file of its own");
        assert!(!option("--metrics-file").expect("given").starts_with(&words[0]), "{name}: the reports' folder is closed to node_exporter");
        // Neither a credential nor a ConfigMap can hold a large input.
        assert_eq!(words[1], "users.csv", "{name}: the input is in the folder of the reports");
    }
    let timer = fs::read_to_string(sample("pingone-bypass-audit.timer")).expect("a sample");
    assert!(timer.contains("OnCalendar=") && timer.contains("WantedBy=timers.target"));
}

/// Passes without a check where systemd is not installed.
#[test]
fn systemd_understands_the_units() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["pingone-bypass-audit.service", "pingone-bypass-audit.timer"] {
        let text = fs::read_to_string(sample(name)).expect("a sample");
        let script = sample("nightly-audit.sh").display().to_string();
        fs::write(folder.path().join(name), text.replace("/usr/local/lib/pingone-bypass/nightly-audit.sh", &script)).expect("written");
    }
    let units = fs::read_dir(&folder).expect("there").map(|entry| entry.expect("an entry").path());
    if let Ok(verified) = Command::new("systemd-analyze").arg("verify").args(units).output() {
        let verified = done(verified);
        assert_eq!((verified.code, verified.stderr.as_str()), (0, ""));
    }
}

/// `.github/deb.sh` makes what stands in `target`, and moves the unit's script from `/usr/local/lib` to `/usr/lib`.
#[test]
fn the_debian_package_has_the_script_where_its_unit_starts_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("a manifest");
    let (_, assets) = manifest.split_once("\nassets = [\n").expect("a list");
    let (assets, _) = assets.split_once("\n]\n").expect("its end");
    let assets: Vec<Vec<&str>> = assets.lines().map(|line| line.split('"').skip(1).step_by(2).collect()).collect();
    assert!(assets.len() > 8, "{assets:?}");
    for asset in assets.iter().filter(|asset| !asset[0].starts_with("target/")) {
        assert!(root.join(asset[0]).is_file(), "{asset:?}");
    }
    let script = assets.iter().find(|asset| asset[0].ends_with("nightly-audit.sh")).expect("the script");
    let is_executable = |path: &str| fs::metadata(root.join(path)).expect("there").permissions().mode() & 0o111 == 0o111;
    assert!(script[2] == "755" && is_executable(script[0]) && is_executable(".github/deb.sh"), "{script:?}");
    let unit = fs::read_to_string(sample("pingone-bypass-audit.service")).expect("a sample");
    let started = format!("ExecStart=/{}nightly-audit.sh ", script[1]);
    assert!(unit.replace("/usr/local/lib/", "/usr/lib/").contains(&started), "{started}: {unit}");
    assert!(fs::read_to_string(root.join(".github/deb.sh")).expect("text").contains("-e 's#/usr/local/lib/#/usr/lib/#'"));
    let environment = "EnvironmentFile=/etc/pingone-bypass/environment";
    assert!(
        unit.contains(environment) && assets.iter().any(|asset| asset[0].ends_with("/environment") && asset[1] == "etc/pingone-bypass/")
    );
}

/// Passes without a check where Python has no YAML.
#[test]
fn the_cron_job_is_yaml() {
    let script = "import sys, yaml\njob = yaml.safe_load(open(sys.argv[1]))\nprint(job['kind'])";
    let parsed = Command::new("python3").args(["-c", script]).arg(sample("audit-cronjob.yaml")).output();
    if let Ok(parsed) = parsed.map(done)
        && !parsed.stderr.contains("No module named")
    {
        assert_eq!((parsed.code, parsed.stdout.as_str()), (0, "CronJob\n"), "{}", parsed.stderr);
    }
}
