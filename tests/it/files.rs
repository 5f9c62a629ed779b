//! The files of a run: none overwrites another, and changes to the input during a run lose nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use pingone_bypass::sandbox::SandboxConfig;

use crate::harness::{Done, Field, done, field, field_with};
use crate::pipes::limited;

const UNTIL: &str = "2099-08-31T00:00:00.000Z";
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// Asserts that no request was sent, and that the error is about the command line.
fn assert_refused(field: &Field, done: &Done, expected: &str) {
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains(expected), "{}\nshould have: {expected}", done.stderr);
    assert!(field.calls().is_empty(), "something was sent");
}

fn make_pipe(field: &Field, name: &str) {
    assert!(Command::new("mkfifo").arg(field.path(name)).status().expect("mkfifo runs").success());
}

#[test]
fn the_metrics_are_written_over_no_other_file_and_no_pipe() {
    let field = field();
    let input = fs::read(field.users(3, UNTIL)).expect("there");
    fs::hard_link(field.path("in.csv"), field.path("hard.prom")).expect("a link");
    symlink("in.csv", field.path("soft.prom")).expect("a link");
    make_pipe(&field, "pipe.prom");
    field.write("secret", field.sandbox.client_secret());
    field.write("users.csv", "userID\n");
    field.write("empty.prom", "");
    for (name, expected) in [
        (
            "users.csv",
            "users.csv: the metrics file would replace another file: expected metrics of an earlier run, or none\nhint: name another",
        ),
        ("in.csv", "in.csv: the metrics file would replace the input, `in.csv`\nhint: name another file with `--metrics-file`"),
        ("hard.prom", "hard.prom: the metrics file would replace the input, `in.csv`"),
        ("soft.prom", "soft.prom: the metrics file would replace the input, `in.csv`"),
        ("./in.report.csv", "the metrics file would replace the report, `in.report.csv`"),
        ("in.report.run.json", "the metrics file would replace the run's record, `in.report.run.json`"),
        (".in.report.lock", "the metrics file would replace the lock of the report, `.in.report.lock`"),
        ("pipe.prom", "pipe.prom: the metrics file would replace a pipe: expected a regular file, or none"),
        ("/dev/null", "/dev/null: the metrics file would replace a device"),
        ("secret", "secret: the metrics file would replace the client secret, `secret`"),
    ] {
        let arguments = ["audit", "in.csv", "--client-secret-file", "secret", "--metrics-file", name];
        assert_refused(&field, &field.run(&arguments), expected);
        assert_refused(&field, &field.run(&[&arguments[..], &["--dry-run"]].concat()), expected);
    }
    assert_eq!(fs::read(field.path("in.csv")).expect("there"), input);
    assert_eq!(fs::read_to_string(field.path("secret")).expect("there"), field.sandbox.client_secret());
    let mut tool = field.tool(&["audit", "-", "-o", "r.csv", "--metrics-file", "in.csv"]);
    let piped = done(tool.stdin(fs::File::open(field.path("in.csv")).expect("there")).output().expect("the tool runs"));
    assert_refused(&field, &piped, "in.csv: the metrics file would replace the input, standard input");
    let streamed = fs::File::create(field.path("out.csv")).expect("created");
    let mut tool = field.tool(&["audit", "in.csv", "-o", "-", "--metrics-file", "out.csv"]);
    let refused = done(tool.stdout(streamed).stderr(Stdio::piped()).spawn().expect("runs").wait_with_output().expect("ends"));
    assert_refused(&field, &refused, "out.csv: the metrics file would replace the report on standard output");
    let run = field.run(&["audit", "in.csv", "--metrics-file", "empty.prom"]);
    assert_eq!(run.code, 0, "there is nothing in it: {}", run.stderr);
}

#[test]
fn a_metrics_file_that_cannot_be_there_is_found_out_before_the_first_request() {
    let field = field();
    field.users(3, UNTIL);
    let wanting = field.run(&["audit", "in.csv", "--metrics-file", "nowhere/m.prom"]);
    assert_eq!(wanting.code, 5, "{}", wanting.stderr);
    assert!(wanting.stderr.contains("error: nowhere/m.prom: the file cannot be created\ncaused by: No such file"), "{}", wanting.stderr);
    assert!(field.calls().is_empty());
    assert_eq!(fs::read_dir(field.folder()).expect("a folder").count(), 1, "nothing is left");
    for _ in 0..2 {
        let run = field.run(&["audit", "in.csv", "--overwrite", "--metrics-file", "m.prom"]);
        assert_eq!(run.code, 0, "that of an earlier run is replaced: {}", run.stderr);
        assert!(fs::read_to_string(field.path("m.prom")).expect("there").starts_with("# HELP pingone_bypass_rows"));
    }
    assert!(!field.path("m.prom.tmp").exists());
}

#[test]
fn no_input_and_no_secret_is_lost_to_a_spare_name_of_the_report() {
    let field = field_with(SandboxConfig { users: Some(1), ..SandboxConfig::default() });
    let text = format!("userID\n{}\n{NOBODY}\n", field.sandbox.user_id(0));
    for name in ["r.run.json.tmp", "r.failed.csv.tmp", "r.partial.csv.tmp", "r.partial.csv", ".r.lock", "r.run.json", "r.failed.csv"] {
        field.write(name, &text);
        for existing in ["--overwrite", "--resume"] {
            let done = field.run(&["audit", name, "-o", "r.csv", existing]);
            assert_refused(&field, &done, &format!("{name}: "));
            assert!(done.stderr.contains(&format!(" would replace the input, `{name}`")), "{}", done.stderr);
        }
        assert_eq!(fs::read_to_string(field.path(name)).expect("there"), text);
        fs::remove_file(field.path(name)).expect("there");
    }
    field.write("in.csv", &text);
    field.write("r.run.json.tmp", field.sandbox.client_secret());
    let done = field.run(&["audit", "in.csv", "-o", "r.csv", "--overwrite", "--client-secret-file", "r.run.json.tmp"]);
    assert_refused(&field, &done, "the run's record, while it is written, would replace the client secret, `r.run.json.tmp`");
    // A name that no run uses is fine.
    field.write("r.run.json.tmp.tmp", &text);
    fs::remove_file(field.path("r.run.json.tmp")).expect("there");
    let other = field.run(&["audit", "r.run.json.tmp.tmp", "-o", "r.csv"]);
    assert_eq!(other.code, 1, "{}", other.stderr);
    assert_eq!(fs::read_to_string(field.path("r.run.json.tmp.tmp")).expect("there"), text);
}

#[test]
fn somebody_elses_file_of_a_spare_name_is_not_touched() {
    let field = field();
    field.users(2, UNTIL);
    for name in ["in.report.run.json.tmp", "in.report.failed.csv.tmp", "in.report.partial.csv.tmp"] {
        field.write(name, "mine");
        let refused = field.run(&["audit", "in.csv"]);
        assert_refused(&field, &refused, &format!("{name}: the file exists, and is not touched without `--overwrite`"));
        assert_eq!(fs::read_to_string(field.path(name)).expect("there"), "mine");
        fs::remove_file(field.path(name)).expect("there");
    }
}

#[test]
fn a_report_whose_last_names_are_too_long_is_found_out_before_the_first_request() {
    let field = field();
    field.users(2, UNTIL);
    // A name may have 255 bytes: that of the record just fits, those of the files written at the end do not.
    let name = format!("{}.csv", "n".repeat(255 - ".run.json.tmp".len()));
    let refused = field.run(&["audit", "in.csv", "-o", &name]);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    assert!(refused.stderr.contains("caused by: File name too long"), "{}", refused.stderr);
    assert!(field.calls().is_empty());
    assert_eq!(fs::read_dir(field.folder()).expect("a folder").count(), 1, "nothing is left");
}

#[test]
fn a_limit_of_a_files_size_stops_the_run_cleanly_and_resume_completes_it() {
    let field = field();
    field.users(600, UNTIL);
    let full = done(limited(&field, &["grant", "in.csv", "--rate", "unlimited"], 80).output().expect("a shell"));
    assert_eq!(full.code, 5, "{}", full.stderr);
    assert!(full.stderr.contains("error: in.report.partial.csv: the file cannot be written\ncaused by: File too large"), "{}", full.stderr);
    assert!(full.stderr.lines().last().is_some_and(|line| line.starts_with("to resume: ")), "{}", full.stderr);
    let resumed = field.run(&["grant", "in.csv", "--rate", "unlimited", "--resume"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    let report = field.report("in.report.csv");
    assert!(report.is_whole(600) && report.count("granted") == 600);
}

#[test]
fn a_secret_or_a_certificate_without_end_is_refused() {
    let field = field();
    field.users(1, UNTIL);
    let (secret, authority) = ("--client-secret-file", "--ca-cert");
    for (option, what, most) in
        [(secret, "client secret", 64), ("--access-token-file", "access token", 64), (authority, "certificate", 1024)]
    {
        let refused = field.run(&["audit", "in.csv", option, "/dev/zero"]);
        let expected = format!("error: /dev/zero: this is no {what}: it is longer than {most} KiB");
        assert_refused(&field, &refused, &expected);
    }
}
