//! Nothing is lost: kills, signals, outages, full disks, and resuming after them.

use std::collections::HashMap;
use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use pingone_bypass::sandbox::{Sandbox, SandboxConfig};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::harness::{Done, Field, Report, answering, done, ended_within, field, field_with, send_signal};

const UNTIL: &str = "2099-08-31T00:00:00.000Z";

fn record(field: &Field) -> Value {
    serde_json::from_str(&fs::read_to_string(field.path("in.report.run.json")).expect("a record")).expect("JSON")
}

fn sha256(field: &Field, name: &str) -> String {
    let digest = Sha256::digest(fs::read(field.path(name)).expect("there"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn spawn(field: &Field, arguments: &[&str]) -> Child {
    field.tool(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool runs")
}

fn wait_for(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(30), "it did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn journal_lines(field: &Field) -> usize {
    fs::read_to_string(field.path("in.report.partial.csv")).map_or(0, |text| text.lines().count().saturating_sub(1))
}

fn ended(child: Child) -> Done {
    done(child.wait_with_output().expect("ends"))
}

/// Asserts that the report has one line for each row, in order, and that each agrees with the sandbox.
fn assert_true_report(field: &Field, rows: usize) -> Report {
    let report = field.report("in.report.csv");
    assert!(report.is_whole(rows));
    for line in &report.lines {
        let held = field.sandbox.bypass_of(line[1].parse().expect("a UUID")).map(|until| until.to_string());
        assert_eq!((line[2].as_str(), line[4].as_str()), ("granted", UNTIL));
        assert_eq!(held.as_deref(), Some(UNTIL));
    }
    report
}

#[test]
fn killed_again_and_again_a_run_completes_and_loses_nothing() {
    const ROWS: usize = 1500;
    let faults = "500=2%,503=1%,reset=2%,truncate=1%,expired=0.1%".parse().expect("faults");
    let field = field_with(SandboxConfig { faults, latency: Duration::from_millis(10), ..SandboxConfig::default() });
    field.users(ROWS as u64, UNTIL);
    let mut random = 0x2545_F491_4F6C_DD17_u64;
    let mut kills = 0;
    let arguments = ["grant", "in.csv", "--resume", "--rate", "1000/s", "--concurrency", "20", "-q"];
    loop {
        let child = spawn(&field, &arguments);
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let alive = if kills < 8 { Duration::from_millis(60 + random % 400) } else { Duration::MAX };
        let mut child = match ended_within(alive, child) {
            Err(child) => child,
            Ok(done) => {
                assert_eq!(done.code, 0, "{}", done.stderr);
                break;
            }
        };
        child.kill().expect("it ran");
        child.wait().expect("it ended");
        kills += 1;
    }
    assert!(kills > 2, "the test is one of kills: {kills}");
    let report = assert_true_report(&field, ROWS);
    let mut puts: HashMap<String, usize> = HashMap::new();
    for call in field.api_calls() {
        *puts.entry(call.path).or_default() += 1;
    }
    for line in &report.lines {
        let path = puts.iter().find(|(path, _)| path.contains(&line[1])).expect("sent");
        let attempts: usize = line[12].parse().expect("a number");
        assert!(*path.1 <= attempts + kills * 8, "{line:?}: {} requests", path.1);
    }
    let sent: usize = puts.values().sum();
    let retried = record(&field)["requests"]["sent"].as_u64().expect("a number");
    assert!(sent < ROWS * 2, "few are sent again: {sent}, of which the last run {retried}");
}

#[test]
fn what_was_answered_a_second_before_a_kill_is_in_the_journal() {
    let field = field();
    field.users(2000, UNTIL);
    let mut child = spawn(&field, &["grant", "in.csv", "--rate", "300/s", "-q"]);
    wait_for(|| journal_lines(&field) > 400);
    child.kill().expect("it ran");
    child.wait().expect("it ended");
    let calls = field.api_calls();
    let last = calls.iter().map(|call| call.at).max().expect("calls");
    let journal = fs::read_to_string(field.path("in.report.partial.csv")).expect("a journal");
    let early: Vec<_> = calls.iter().filter(|call| call.at + Duration::from_secs(1) < last).collect();
    assert!(!early.is_empty());
    for call in early {
        let user = call.path.split('/').nth(5).expect("a user");
        assert!(journal.contains(user), "{user} is missing");
    }
}

#[test]
fn a_torn_journal_is_mended() {
    let field = field();
    field.users(1000, UNTIL);
    let mut child = spawn(&field, &["grant", "in.csv", "--rate", "500/s", "-q"]);
    wait_for(|| journal_lines(&field) > 50);
    child.kill().expect("it ran");
    child.wait().expect("it ended");
    let journal = fs::read(field.path("in.report.partial.csv")).expect("a journal");
    fs::write(field.path("in.report.partial.csv"), &journal[..journal.len() - 30]).expect("written");
    let done = field.run(&["grant", "in.csv", "--resume", "--rate", "unlimited"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("resuming run "), "{}", done.stderr);
    assert_true_report(&field, 1000);
}

#[test]
fn a_run_that_is_not_the_same_is_not_taken_up() {
    let field = field();
    field.users(600, "+4h");
    let mut child = spawn(&field, &["grant", "in.csv", "--rate", "300/s", "-q"]);
    wait_for(|| journal_lines(&field) > 20);
    child.kill().expect("it ran");
    child.wait().expect("it ended");
    field.calls();
    let journal = fs::read(field.path("in.report.partial.csv")).expect("a journal");
    let other = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";
    let refused = |arguments: &[&str], expected: &str| {
        let done = field.run(arguments);
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains(expected), "{}\nshould have: {expected}", done.stderr);
        assert!(field.calls().is_empty());
    };
    refused(&["grant", "in.csv"], "in.report.partial.csv: an earlier run of this report has not finished");
    refused(&["audit", "in.csv", "--resume"], "the operation was `grant` and is `audit`");
    refused(&["grant", "in.csv", "--resume", "--environment-id", other], "the environment was `");
    refused(&["grant", "in.csv", "--resume", "--until", "+1h"], "`--until` was not given and is `+1h`");
    refused(&["grant", "in.csv", "--resume", "-o", "-"], "a run whose report goes to standard output cannot be taken up");
    let input = fs::read(field.path("in.csv")).expect("there");
    fs::write(field.path("in.csv"), [&input[..], b"\n"].concat()).expect("written");
    refused(&["grant", "in.csv", "--resume"], "the input's SHA-256 was `");
    fs::write(field.path("in.csv"), &input).expect("written");
    assert_eq!(fs::read(field.path("in.report.partial.csv")).expect("there"), journal, "it is as it was");

    let started = record(&field)["startedAt"].as_str().expect("text").to_owned();
    let done = field.run(&["grant", "in.csv", "--resume", "--rate", "unlimited"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let mut dates = field.report("in.report.csv").column("requestedUntil").into_iter().map(str::to_owned).collect::<Vec<_>>();
    dates.dedup();
    assert_eq!((dates.len(), &dates[0][19..]), (1, &started[19..]), "spans count from the first start");

    field.calls();
    let again = field.run(&["grant", "in.csv", "--resume"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains("has finished already, and nothing was sent"), "{}", again.stderr);
    assert!(field.calls().is_empty());
}

#[test]
fn two_runs_cannot_write_one_report() {
    let field = field();
    field.users(2000, UNTIL);
    let mut first = spawn(&field, &["grant", "in.csv", "--rate", "100/s", "-q"]);
    wait_for(|| journal_lines(&field) > 5);
    for arguments in [&["grant", "in.csv"][..], &["grant", "in.csv", "--resume"], &["grant", "in.csv", "--overwrite"]] {
        let second = field.run(arguments);
        assert_eq!(second.code, 2, "{}", second.stderr);
        assert!(second.stderr.contains("in.report.csv: another run is writing this report"), "{}", second.stderr);
    }
    first.kill().expect("it ran");
    first.wait().expect("it ended");
}

#[test]
fn a_signal_drains_the_run_and_the_line_it_ends_with_takes_it_up() {
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let field = field_with(SandboxConfig { latency: Duration::from_millis(300), ..SandboxConfig::default() });
        field.users(300, UNTIL);
        let child = spawn(&field, &["grant", "in.csv", "--rate", "100/s", "--overwrite"]);
        wait_for(|| journal_lines(&field) > 10);
        send_signal(&child, name);
        let sent = Instant::now();
        let done = ended(child);
        // 300 ms of latency and 200 ms; the rest is for a busy machine.
        assert!(sent.elapsed() < Duration::from_millis(1500), "{:?}", sent.elapsed());
        assert_eq!(done.code, code, "{}", done.stderr);
        let record = record(&field);
        assert_eq!(
            (&record["status"], &record["stopReason"]),
            (&Value::from("interrupted"), &Value::from(format!("stopped by SIG{name}")))
        );
        let calls = field.api_calls().len();
        let journal = Report::read(&fs::read_to_string(field.path("in.report.partial.csv")).expect("a journal"));
        assert_eq!(journal.count("granted"), calls, "what was in flight was waited for");

        let line = done.stderr.lines().last().expect("a last line").strip_prefix("to resume: ").expect("how to resume");
        assert!(line.ends_with(" grant --resume in.csv --rate 100/s --yes --max-window 40000d"), "{line}");
        let mut shell = field.tool(&[]);
        let program = shell.get_program().to_owned();
        assert!(line.starts_with(program.to_str().expect("UTF-8")));
        let mut pasted = Command::new("sh");
        pasted
            .args(["-c", line])
            .current_dir(field.folder())
            .env_clear()
            .envs(shell.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let resumed = crate::harness::done(pasted.output().expect("a shell"));
        assert_eq!(resumed.code, 0, "{}", resumed.stderr);
        assert_true_report(&field, 300);
        assert_eq!(field.api_calls().len() + calls, 300, "nobody was asked twice");
        shell.env_clear();
    }
}

#[test]
fn a_second_signal_gives_up_what_is_in_flight() {
    let field = field_with(SandboxConfig { latency: Duration::from_secs(5), ..SandboxConfig::default() });
    field.users(20, UNTIL);
    let token = field.sandbox.issue_token(Duration::from_secs(600));
    let mut tool = field.tool(&["grant", "in.csv", "--rate", "unlimited", "--concurrency", "5"]);
    let child = tool.env("PINGONE_API_ACCESS_TOKEN", token).stderr(Stdio::piped()).spawn().expect("the tool runs");
    let mut calls = 0;
    wait_for_calls(&field, 5, &mut calls);
    send_signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    send_signal(&child, "INT");
    let sent = Instant::now();
    let done = ended(child);
    assert!(sent.elapsed() < Duration::from_secs(3), "{:?}", sent.elapsed());
    assert_eq!(done.code, 130, "{}", done.stderr);
    let journal = Report::read(&fs::read_to_string(field.path("in.report.partial.csv")).expect("a journal"));
    assert_eq!((journal.count("unknown"), journal.lines.len()), (5, 5));
}

fn wait_for_calls(field: &Field, wanted: usize, seen: &mut usize) {
    let start = Instant::now();
    while *seen < wanted {
        assert!(start.elapsed() < Duration::from_secs(30), "it did not happen");
        *seen += field.api_calls().len();
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_outage_stops_the_run_and_resume_completes_it() {
    let field = field();
    field.users(400, UNTIL);
    let runtime = field.runtime();
    let config = SandboxConfig { latency: Duration::from_millis(20), ..SandboxConfig::default() };
    let mortal = runtime.block_on(Sandbox::start(config.clone())).expect("a port");
    let (api, auth) = (mortal.api_url(), mortal.auth_url());
    let tool = |arguments: &[&str]| {
        let mut tool = field.tool(arguments);
        tool.env("PINGONE_API_URL", &api).env("PINGONE_AUTH_URL", &auth);
        tool
    };
    let mut run = tool(&["grant", "in.csv", "--rate", "400/s", "--concurrency", "10", "--max-attempts", "3", "--max-failures", "100%"]);
    let child = run.stderr(Stdio::piped()).spawn().expect("the tool runs");
    wait_for(|| journal_lines(&field) > 40);
    drop(mortal);
    let done = ended(child);
    assert_eq!(done.code, 3, "{}", done.stderr);
    let (_, why) = done.stderr.split_once("error: stopped: PingOne answers no request any more\n").expect(&done.stderr);
    let lines: Vec<&str> = why.lines().collect();
    let (causes, tail) = lines.split_at(lines.len() - 2);
    assert!(!causes.is_empty() && causes.iter().all(|cause| cause.starts_with("caused by: ") && cause.contains(" × ")), "{}", done.stderr);
    assert!(tail[0].starts_with("hint: see whether PingOne is up") && tail[1].starts_with("to resume: "), "{}", done.stderr);
    let record = record(&field);
    assert_eq!(record["status"], "stopped");
    let settled = record["totals"]["granted"].as_u64().expect("a number");
    assert!(settled >= 40 && record["totals"]["rows"].as_u64() < Some(100), "{record}");

    let port: u16 = auth.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let again = SandboxConfig { listen: ([127, 0, 0, 1], port).into(), ..config };
    let revived = runtime.block_on(Sandbox::start(again)).expect("the same port");
    let resumed = crate::harness::done(tool(&["grant", "in.csv", "--resume", "--rate", "unlimited"]).output().expect("the tool runs"));
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    drop(revived);
    let report = field.report("in.report.csv");
    assert!(report.is_whole(400) && report.count("granted") == 400);
}

#[test]
fn rows_that_failed_are_an_input_and_the_record_adds_up() {
    let config = SandboxConfig { users: Some(30), faults: "400=20%".parse().expect("faults"), ..SandboxConfig::default() };
    let field = field_with(config);
    let rows: String = (0..30).map(|index| format!("INC-{index};{};+4h\n", field.sandbox.user_id(index))).collect();
    field.write("in.csv", format!("ticket;User ID;until\n{rows}\"a\nb\";00000000-0000-4000-8000-000000000000;+1h\nx;bad;+4h\n"));
    let done = field.run(&["grant", "in.csv", "--skip-invalid", "--max-failures", "100%"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let report = field.report("in.report.csv");
    let failed = fs::read_to_string(field.path("in.report.failed.csv")).expect("there");
    let failed = Report::read_with(b';', &failed);
    assert_eq!(failed.columns, ["ticket", "User ID", "until", "result", "errorMessage"]);
    let expected: Vec<_> =
        report.lines.iter().filter(|line| line[2] != "granted").map(|line| (line[15].clone(), line[2].clone())).collect();
    let found: Vec<_> = failed.lines.iter().map(|line| (line[0].clone(), line[3].clone())).collect();
    assert_eq!(found, expected);
    assert!(failed.column("result").contains(&"not_found") && failed.column("until").contains(&"+1h"));

    let record = record(&field);
    let total = |name: &str| record["totals"][name].as_u64().expect("a number");
    let results: u64 = record["totals"]
        .as_object()
        .expect("an object")
        .iter()
        .filter(|(name, _)| *name != "rows")
        .map(|(_, rows)| rows.as_u64().expect("a number"))
        .sum();
    assert_eq!((total("rows"), results, total("invalid"), total("not_found")), (32, 32, 1, 1));
    assert_eq!(record["input"]["sha256"], sha256(&field, "in.csv"));
    assert_eq!(record["report"]["sha256"], sha256(&field, "in.report.csv"));
    assert_eq!((&record["input"]["rows"], &record["report"]["rows"], &record["status"]), (&32.into(), &32.into(), &"completed".into()));
    assert_eq!(record["requests"]["sent"].as_u64().expect("a number"), field.calls().len() as u64);

    let done = field.run(&["grant", "in.report.failed.csv", "--skip-invalid", "--max-failures", "100%", "-o", "second.csv"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let second = field.report("second.csv");
    assert!(second.is_whole(failed.lines.len()), "its rows are just the failures");
    assert_eq!(second.columns.iter().filter(|column| *column == "result").count(), 1);
    let third = fs::read_to_string(field.path("second.failed.csv")).expect("there");
    let third = Report::read_with(b';', &third);
    assert_eq!(third.columns, ["ticket", "User ID", "until", "result", "errorMessage"]);
}

#[test]
fn ten_403s_from_the_start_stop_the_run() {
    let field = field_with(SandboxConfig { faults: "403=100%".parse().expect("faults"), ..SandboxConfig::default() });
    field.users(500, UNTIL);
    let done = field.run(&["grant", "in.csv", "--rate", "200/s"]);
    assert_eq!(done.code, 4, "{}", done.stderr);
    assert!(done.stderr.contains("error: stopped: each of the first 10 rows was answered 403"), "{}", done.stderr);
    assert!(done.stderr.contains("hint: give the worker application the role"), "{}", done.stderr);
    assert!(field.api_calls().len() < 80);
}

#[test]
fn an_environment_that_is_not_there_ends_the_run() {
    let field = field();
    field.users(50, UNTIL);
    let elsewhere = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";
    let here = field.sandbox.environment_id().to_string();
    let done = field.run(&["grant", "in.csv", "--environment-id", elsewhere, "--auth-environment-id", &here]);
    assert_eq!(done.code, 4, "{}", done.stderr);
    assert!(done.stderr.contains(&format!("error: there is no environment {elsewhere}")), "{}", done.stderr);
    assert!(field.api_calls().len() < 10);
}

/// A disk of 128 KiB, if this user may mount one.
pub(crate) struct SmallDisk(pub(crate) std::path::PathBuf);

impl SmallDisk {
    pub(crate) fn mounted_at(path: std::path::PathBuf) -> Option<Self> {
        fs::create_dir(&path).expect("created");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=128k", "tmpfs"]).arg(&path).stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_full_disk_stops_the_run_cleanly_and_resume_completes_it() {
    let field = field();
    field.users(600, UNTIL);
    let Some(disk) = SmallDisk::mounted_at(field.path("disk")) else {
        // Not tested: this user may not mount a disk.
        return;
    };
    let arguments = ["grant", "in.csv", "-o", "disk/in.report.csv", "--rate", "unlimited"];
    fs::write(disk.0.join("ballast"), vec![0; 64 << 10]).expect("there is room");
    let full = field.run(&arguments);
    assert_eq!(full.code, 5, "{}", full.stderr);
    assert!(full.stderr.contains("error: disk/in.report.partial.csv: the file cannot be written"), "{}", full.stderr);
    assert!(full.stderr.to_lowercase().contains("caused by: no space left on device"), "{}", full.stderr);
    fs::remove_file(disk.0.join("ballast")).expect("there");
    let larger = Command::new("mount").args(["-o", "remount,size=1m"]).arg(&disk.0).status().expect("mount runs");
    assert!(larger.success());
    let resumed = field.run(&[&arguments[..], &["--resume"]].concat());
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    let report = field.report("disk/in.report.csv");
    assert!(report.is_whole(600) && report.count("granted") == 600);
}

/// A server that answers every PUT with a status that the test sets, or not at all, and every other request with success.
fn told() -> (String, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(0));
    let told = Arc::clone(&status);
    let url = answering(move |request| {
        let status = if request.starts_with("PUT") { told.load(Ordering::SeqCst) } else { 200 };
        if status == 0 {
            std::thread::sleep(Duration::from_secs(60));
        }
        (format!("{status} X"), r#"{"access_token":"t","expires_in":3600}"#.to_owned())
    });
    (url, status)
}

/// Runs a grant of all rows against `url`, and interrupts it twice once a request is in flight.
fn interrupted_twice(field: &Field, url: &str, arguments: &[&str]) -> Done {
    let mut tool = field.tool(arguments);
    tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", url);
    let child = tool.stderr(Stdio::piped()).spawn().expect("the tool runs");
    wait_for(|| journal_lines(field) == 0 && field.path("in.report.run.json").exists());
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..2 {
        send_signal(&child, "INT");
        std::thread::sleep(Duration::from_millis(100));
    }
    ended(child)
}

#[test]
fn what_may_have_been_applied_is_never_called_failed_not_even_after_a_resume() {
    let field = field();
    field.users(5, UNTIL);
    let (url, status) = told();
    let arguments = ["grant", "in.csv", "--max-attempts", "2"];
    let stopped = interrupted_twice(&field, &url, &arguments);
    assert_eq!(stopped.code, 130, "every row was in flight, and is to be sent again: {}", stopped.stderr);
    assert!(stopped.stderr.contains("to resume: "), "{}", stopped.stderr);
    assert_eq!(record(&field)["totals"]["unknown"], 5);
    status.store(503, Ordering::SeqCst);
    let mut tool = field.tool(&[&arguments[..], &["--resume"]].concat());
    tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", &url);
    let resumed = done(tool.output().expect("the tool runs"));
    assert_eq!(resumed.code, 1, "{}", resumed.stderr);
    assert_eq!(field.report("in.report.csv").count("unknown"), 5);
}

#[test]
fn a_row_in_doubt_stays_unknown_when_its_end_date_has_passed() {
    let field = field();
    field.users(3, "+3s");
    let (url, status) = told();
    let stopped = interrupted_twice(&field, &url, &["grant", "in.csv"]);
    assert_eq!(stopped.code, 130, "{}", stopped.stderr);
    std::thread::sleep(Duration::from_secs(3));
    status.store(200, Ordering::SeqCst);
    let mut tool = field.tool(&["grant", "in.csv", "--resume"]);
    tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", &url);
    let resumed = done(tool.output().expect("the tool runs"));
    assert_eq!(resumed.code, 1, "{}", resumed.stderr);
    let report = field.report("in.report.csv");
    assert!(report.is_whole(3) && report.count("unknown") == 3, "{report:?}");
}

#[test]
fn a_row_in_back_off_that_may_have_been_applied_is_unknown_when_the_run_stops() {
    let field = field_with(SandboxConfig { faults: "reset=100%".parse().expect("faults"), ..SandboxConfig::default() });
    field.users(5, UNTIL);
    let child = spawn(&field, &["grant", "in.csv", "--max-attempts", "100"]);
    let mut calls = 0;
    wait_for_calls(&field, 12, &mut calls);
    send_signal(&child, "INT");
    let done = ended(child);
    assert_eq!(done.code, 130, "{}", done.stderr);
    assert_eq!(record(&field)["totals"]["unknown"], 5);
}

#[test]
fn a_refused_run_leaves_the_files_of_an_earlier_one_alone() {
    let field = field_with(SandboxConfig { users: Some(1), ..SandboxConfig::default() });
    let user = field.sandbox.user_id(0);
    field.write("in.csv", format!("userID\n{user}\n00000000-0000-4000-8000-000000000000\n"));
    let arguments = ["audit", "in.csv", "--overwrite"];
    assert_eq!(field.run(&arguments).code, 1);
    let files = || ["in.report.csv", "in.report.run.json", "in.report.failed.csv"].map(|name| fs::read(field.path(name)).expect("there"));
    let before = files();
    let refused = done(field.tool(&arguments).env("PINGONE_CLIENT_SECRET", "wrong").output().expect("the tool runs"));
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert_eq!(files(), before);
}

#[test]
fn a_finished_report_that_is_another_is_not_taken_for_its_own() {
    let field = field();
    field.users(3, UNTIL);
    assert_eq!(field.run(&["grant", "in.csv", "-o", "c.csv"]).code, 0);
    let other = field.run(&["grant", "in.csv", "-o", "c", "--resume"]);
    assert!(other.code == 2 && other.stderr.contains("the report was `c.csv` and is `c`"), "{}", other.stderr);
    let text = fs::read_to_string(field.path("c.csv")).expect("there");
    fs::write(field.path("c.csv"), text.replacen("granted", "rejected", 1)).expect("written");
    let edited = field.run(&["grant", "in.csv", "-o", "c.csv", "--resume"]);
    assert!(edited.code == 2 && edited.stderr.contains("c.csv: this is not the report of the run"), "{}", edited.stderr);
}

#[test]
fn rows_that_do_not_fit_stay_as_they_are_and_the_digest_is_that_of_the_file() {
    let field = field();
    let user = field.sandbox.user_id(0);
    field.write("in.csv", format!("\u{feff}userID,until,note\n{user},+4h,a,b,extra\n{user}\n{user},+4h,good\n"));
    let done = field.run(&["grant", "in.csv", "--skip-invalid"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert_eq!(record(&field)["input"]["sha256"], sha256(&field, "in.csv"));
    let failed = fs::read_to_string(field.path("in.report.failed.csv")).expect("there");
    assert!(failed.contains(&format!("\n{user},+4h,a,b,extra,invalid,")) && failed.contains(&format!("\n{user},invalid,")), "{failed}");
    let again = field.run(&["grant", "in.report.failed.csv", "--until", "+1h", "-o", "again.csv"]);
    assert_eq!(again.code, 2, "a row whose values may have shifted is not granted: {}", again.stderr);
}

#[test]
fn a_signal_before_there_is_a_token_ends_the_run_at_once() {
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let field = field();
        field.users(3, "");
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", silent.local_addr().expect("an address"));
        let mut tool = field.tool(&["audit", "in.csv"]);
        let child = tool.env("PINGONE_AUTH_URL", url).stderr(Stdio::piped()).spawn().expect("the tool runs");
        // It requests a token, and gets no answer.
        let _asked = silent.accept().expect("a connection");
        send_signal(&child, name);
        let run = done(child.wait_with_output().expect("ends"));
        assert_eq!(run.code, code, "{}", run.stderr);
        assert!(run.stderr.contains("before the first row was sent: nothing was changed by this command"), "{}", run.stderr);
        assert!(field.calls().is_empty());
    }
}
