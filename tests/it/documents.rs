//! What is written about the program is true: the README's commands, its help, the samples.

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
