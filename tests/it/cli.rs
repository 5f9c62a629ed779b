//! The command line itself: help, completions, the sandbox as a process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::harness::{done, tool};

#[test]
fn usage_faults_end_2_and_help_ends_0() {
    let run = |arguments: &[&str]| done(tool().args(arguments).output().expect("the tool runs"));
    assert_eq!(run(&["--help"]).code, 0);
    assert_eq!(run(&["--version"]).code, 0);
    for bad in [&[][..], &["nonsense"], &["grant", "--nonsense"], &["audit", "x.csv", "--until", "+4h"], &["audit", "x.csv", "--in", "60s"]]
    {
        assert_eq!(run(bad).code, 2, "{bad:?}");
    }
    for command in ["grant", "audit", "end"] {
        let help = run(&[command, "--help"]).stdout;
        for group in ["Connection:", "Input:", "Pace:", "Safety:", "Output:"] {
            assert!(help.contains(group), "{help}");
        }
        assert_eq!(help.contains("--until"), command == "grant", "{help}");
        assert_eq!(help.contains("--in <DURATION>"), command == "end", "{help}");
    }
    let mut with_secret = tool();
    with_secret.env("PINGONE_CLIENT_ID", "my-client-id").args(["grant", "--help"]);
    assert!(!done(with_secret.output().expect("the tool runs")).stdout.contains("my-client-id"));
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = done(tool().args(["completions", shell]).output().expect("the tool runs"));
        assert!(done.code == 0 && done.stdout.contains("pingone-bypass") && done.stdout.contains("grant"), "{shell}");
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

#[test]
fn a_sandbox_in_another_process_is_reached_by_what_it_prints() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sandbox = tool();
    sandbox.current_dir(folder.path()).stdout(Stdio::piped());
    sandbox.args([
        "sandbox",
        "--listen",
        "127.0.0.1:0",
        "--users",
        "50",
        "--request-log",
        "log.csv",
        "--export-users",
        "users.csv",
        "--auth-method",
        "post",
    ]);
    let mut sandbox = Killed(sandbox.spawn().expect("the tool runs"));
    let lines = BufReader::new(sandbox.0.stdout.take().expect("piped")).lines().take(6);
    let mut audit = tool();
    audit.current_dir(folder.path()).args(["audit", "users.csv", "--rate", "unlimited"]);
    for line in lines {
        let line = line.expect("text");
        let (name, value) = line.strip_prefix("export ").and_then(|line| line.split_once('=')).expect("a variable");
        audit.env(name, value);
    }
    let done = done(audit.output().expect("the tool runs"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = std::fs::read_to_string(folder.path().join("users.report.csv")).expect("a report");
    let report = crate::harness::Report::read(&report);
    assert_eq!((report.count("active"), report.count("inactive")), (5, 45));
    assert_eq!(report.column("username")[49], "user000049");
    let start = std::time::Instant::now();
    loop {
        let log = std::fs::read_to_string(folder.path().join("log.csv")).expect("a log");
        if log.lines().count() == 52 {
            break;
        }
        assert!(start.elapsed().as_secs() < 10, "{log}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_sandbox_listens_on_loopback_only() {
    let done = done(tool().args(["sandbox", "--listen", "0.0.0.0:0"]).output().expect("the tool runs"));
    assert!(done.code == 2 && done.stderr.contains("expected a loopback address"), "{}", done.stderr);
}
