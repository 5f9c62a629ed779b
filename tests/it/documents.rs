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

/// Each topic of the reference, by its name.
fn topics() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/explain/topics");
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let named = |path: std::path::PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).expect("text"))
    };
    entries.map(named).collect()
}

/// The tables of a text, each as its lines.
fn tables(text: &str) -> Vec<String> {
    let blocks = text.split("\n\n").filter(|block| block.starts_with("| "));
    blocks.map(|block| block.trim_end().to_owned()).collect()
}

#[test]
fn the_readmes_tables_are_those_of_the_reference() {
    let topics = topics();
    let tables_of = |name: &str| {
        let (_, text) = topics.iter().find(|(topic, _)| topic == name).expect("a topic");
        tables(text)
    };
    let readme = readme();
    for (topic, table) in [("results", 0), ("exit-codes", 0), ("files", 0)] {
        let table = &tables_of(topic)[table];
        assert!(readme.contains(&format!("\n\n{table}\n\n")), "the README lacks this table of `explain {topic}`:\n{table}");
    }
    for (name, text) in &topics {
        let title = text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a title");
        assert!(readme.contains(&format!("\n| `{name}` | {title} |\n")), "the README lacks the topic {name}");
    }
}

#[test]
fn the_readme_is_short() {
    let lines = readme().lines().count();
    assert!(lines <= 250, "{lines} lines: long texts belong into the topics of `explain`");
}

/// Every command of the README and of the topics runs: those that need PingOne, only as far as parsing their options.
#[test]
fn the_commands_of_the_documents_are_sound() {
    let mut seen = 0;
    let texts: Vec<String> = topics().into_iter().map(|(_, text)| text).chain([readme()]).collect();
    for line in texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("    ")) {
        let Some(at) = line.find("pingone-bypass ").filter(|_| !line.starts_with('$') && !line.starts_with("Usage")) else {
            continue;
        };
        let command = line[at..].split([';', '>', '&', '#']).next().unwrap_or_default();
        let arguments = shlex::split(command).expect("words of a shell");
        if let Err(error) = pingone_bypass::Cli::read(&arguments) {
            panic!("{line}: {error}");
        }
        seen += 1;
    }
    assert!(seen >= 30, "the documents have commands: {seen}");
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
