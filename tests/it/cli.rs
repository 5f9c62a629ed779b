//! The command line itself: help, completions, the sandbox as a process.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::harness::{Done, done, tool};

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

/// `-h` is what an operator reads in an incident: one screen of a laptop.
#[test]
fn the_short_help_of_each_command_is_one_screen_and_the_long_help_is_all() {
    /// The lines of a screen.
    const SCREEN: usize = 40;
    /// In columns.
    const WIDTH: usize = 100;
    let help = |words: &[&str]| {
        let done = done(tool().env("COLUMNS", WIDTH.to_string()).args(words).output().expect("the tool runs"));
        assert_eq!(done.code, 0, "{words:?}: {}", done.stderr);
        done.stdout
    };
    let options = |text: &str| -> BTreeSet<String> {
        let words = text.lines().filter(|line| line.starts_with("  ")).flat_map(str::split_whitespace);
        words.filter(|word| word.starts_with("--")).map(|word| word.trim_end_matches("...").to_owned()).collect()
    };
    let all = help(&["--help"]);
    let commands = all.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    let order =
        ["grant", "audit", "end", "users", "diff", "merge", "verify", "page", "doctor", "explain", "man", "completions", "sandbox", "help"];
    assert_eq!(commands, order);
    assert!(all.lines().count() <= SCREEN, "{all}");
    for command in order.into_iter().filter(|command| *command != "help") {
        let (short, long) = (help(&[command, "-h"]), help(&[command, "--help"]));
        assert!(short.lines().count() <= SCREEN, "{command}: {} lines: {short}", short.lines().count());
        assert!(short.lines().all(|line| line.chars().count() <= WIDTH), "{command}: {short}");
        assert!(options(&short).is_subset(&options(&long)), "{command}: {short}");
        if ["grant", "audit", "end", "users"].contains(&command) {
            let last = format!("All options: `pingone-bypass {command} --help`. The reference: `pingone-bypass explain`.");
            assert_eq!(short.lines().last(), Some(last.as_str()));
            assert!(!short.contains("--max-attempts") && long.contains("--max-attempts"), "{command}: {short}");
        }
        // What the completions offer is what there is.
        let offered = help(&["completions", "fish"]);
        let of_command = format!("__fish_pingone_bypass_using_subcommand {command}\" ");
        for line in offered.lines().filter(|line| line.contains(&of_command)) {
            let option = line.split(" -l ").nth(1).and_then(|rest| rest.split(' ').next());
            assert!(option.is_none_or(|option| long.contains(&format!("--{option}"))), "{command}: {line}");
        }
    }
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

/// Audits the users of a sandbox in another process that runs with these arguments.
fn audited(folder: &Path, words: &[&str]) -> (Killed, Done) {
    let mut sandbox = tool();
    sandbox.current_dir(folder).stdout(Stdio::piped());
    sandbox
        .args(["sandbox", "--listen", "127.0.0.1:0", "--request-log", "log.csv", "--export-users", "users.csv", "--auth-method", "post"])
        .args(words);
    let mut sandbox = Killed(sandbox.spawn().expect("the tool runs"));
    let lines = BufReader::new(sandbox.0.stdout.take().expect("piped")).lines().take(6);
    let mut audit = tool();
    audit.current_dir(folder).args(["audit", "users.csv", "--rate", "unlimited"]);
    for line in lines {
        let line = line.expect("text");
        let (name, value) = line.strip_prefix("export ").and_then(|line| line.split_once('=')).expect("a variable");
        audit.env(name, value);
    }
    let done = done(audit.output().expect("the tool runs"));
    (sandbox, done)
}

#[test]
fn a_sandbox_limits_as_it_is_told() {
    for (words, is_told) in [
        ("--rate-limit 40 --limit-kind bucket --burst 5 --other-callers 20%", "all requests wait 1 s"),
        ("--rate-limit 1000 --limit-window 1m --limit-kind bucket --burst 20", "all requests wait 1 s"),
        ("--rate-limit 60 --limit-window 1m", ""),
        ("--rate-limit 1000", ""),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let all: Vec<&str> = ["--users", "50"].into_iter().chain(words.split(' ')).collect();
        let (_sandbox, done) = audited(folder.path(), &all);
        assert_eq!(done.code, 0, "{words}: {}", done.stderr);
        let report = std::fs::read_to_string(folder.path().join("users.report.csv")).expect("a report");
        assert!(crate::harness::Report::read(&report).is_whole(50), "{words}: {report}");
        assert_eq!(done.stderr.contains("limits the rate (429)"), !is_told.is_empty(), "{words}: {}", done.stderr);
        assert!(done.stderr.contains(is_told), "{words}: {}", done.stderr);
    }
    for (words, why) in [
        ("--limit-window 2s", "[possible values: 1s, 1m]"),
        ("--burst 0", "0 is not in 1.."),
        ("--burst 5", "--rate-limit <N>"),
        ("--other-callers 50%", "--rate-limit <N>"),
        ("--other-callers 120%", "`120%` is not a share: expected a form such as `60%` or `0.6`, at most 100%"),
    ] {
        let done = done(tool().arg("sandbox").args(words.split(' ')).output().expect("the tool runs"));
        assert!(done.code == 2 && done.stderr.contains(why), "{words}: {}", done.stderr);
    }
}

#[test]
fn a_sandbox_in_another_process_is_reached_by_what_it_prints() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_sandbox, done) = audited(folder.path(), &["--users", "50"]);
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
