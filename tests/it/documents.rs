//! The documents are true: the README's commands, its help, the samples.

use std::path::Path;

use crate::harness::{Report, done, tool};

fn sample(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name).display().to_string()
}

#[test]
fn every_sample_runs() {
    for (command, name, rows, results) in [
        ("grant", "grants.csv", 20, &[("granted", 20)][..]),
        ("audit", "users.csv", 20, &[("active", 2), ("inactive", 18)]),
        ("grant", "messy.csv", 5, &[("granted", 4), ("duplicate", 1)]),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let done = done(tool().current_dir(&folder).args([command, &sample(name), "--sandbox"]).output().expect("the tool runs"));
        assert_eq!(done.code, 0, "{name}: {}", done.stderr);
        let report = std::fs::read_to_string(folder.path().join(name.replace(".csv", ".report.csv"))).expect("a report");
        let report = Report::read(&report);
        assert!(report.is_whole(rows), "{name}");
        for (result, count) in results {
            assert_eq!(report.count(result), *count, "{name}");
        }
    }
}

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a README")
}

#[test]
fn the_readme_shows_the_help_as_it_is() {
    let help = done(tool().args(["grant", "--help"]).output().expect("the tool runs")).stdout;
    let block: String = help.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect();
    assert!(readme().ends_with(&format!("    $ pingone-bypass grant --help\n{block}")), "put this at the README's end:\n{block}");
}

/// Every command of the README runs: those that need PingOne, only as far as parsing their options.
#[test]
fn the_readmes_commands_are_sound() {
    let mut seen = 0;
    for line in readme().lines().filter_map(|line| line.strip_prefix("    ")) {
        let Some(at) = line.find("pingone-bypass ").filter(|_| !line.starts_with('$') && !line.starts_with("Usage")) else {
            continue;
        };
        let command = line[at..].split([';', '>', '&']).next().unwrap_or_default();
        let arguments: Vec<&str> = command.split_whitespace().collect();
        if let Err(error) = pingone_bypass::Cli::read(&arguments) {
            panic!("{line}: {error}");
        }
        seen += 1;
    }
    assert!(seen >= 5, "the README has commands: {seen}");
}

#[test]
fn the_readmes_rehearsal_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(sample("users.csv"), folder.path().join("locked-out.csv")).expect("copied");
    let command = "grant locked-out.csv --until +8h --sandbox -o rehearsal.csv";
    assert!(readme().contains(command));
    let done = done(tool().current_dir(&folder).args(command.split(' ')).output().expect("the tool runs"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("nothing is sent to PingOne"), "{}", done.stderr);
}
