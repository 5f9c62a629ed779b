//! Edits of the input during a run and before a resume lose no row and do not spoil the report.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use pingone_bypass::sandbox::SandboxConfig;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::harness::{Field, done, field_with};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
const ROWS: usize = 100;

/// A sandbox of few users, and an input of which one row fails.
fn field() -> Field {
    let field = field_with(SandboxConfig { users: Some(ROWS as u64), ..SandboxConfig::default() });
    let rows: String = (1..ROWS as u64).map(|index| format!("INC-{index},{},2099-08-31\n", field.sandbox.user_id(index))).collect();
    field.write("in.csv", format!("ticket,id,until\n{rows}\"a\nb\",{NOBODY},2099-08-30\n"));
    field
}

fn sha256(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn record(field: &Field) -> Value {
    serde_json::from_slice(&fs::read(field.path("in.report.run.json")).expect("a record")).expect("JSON")
}

fn set(field: &Field, changes: &[(&str, Value)]) {
    let mut record = record(field);
    for (pointer, value) in changes {
        *record.pointer_mut(pointer).expect("it is there") = value.clone();
    }
    field.write("in.report.run.json", record.to_string());
}

fn spawn(field: &Field, arguments: &[&str]) -> Child {
    field.tool(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool runs")
}

fn wait_for_lines(field: &Field, wanted: usize) {
    let start = Instant::now();
    while fs::read_to_string(field.path("in.report.partial.csv")).map_or(0, |text| text.lines().count()) <= wanted {
        assert!(start.elapsed() < Duration::from_secs(30), "it did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

type Edit = fn(&Path);

/// What can happen to an input.
const EDITS: [(&str, Edit); 5] = [
    ("a line is added", |path| edit(path, |text| text + "x,7e94b96e-0364-463b-a059-d97d1e4cb1d5,2099-08-31\n")),
    ("a user is another", |path| edit(path, |text| text.replacen(NOBODY, "7e94b96e-0364-463b-a059-d97d1e4cb1d5", 1))),
    ("a date is none", |path| edit(path, |text| text.replacen("2099-08-30", "soon", 1))),
    ("it is cut off in its header", |path| edit(path, |_| "tick".to_owned())),
    ("it is gone", |path| fs::remove_file(path).expect("there")),
];

fn edit(path: &Path, change: impl Fn(String) -> String) {
    fs::write(path, change(fs::read_to_string(path).expect("there"))).expect("written");
}

/// Every row is reported as it was checked.
fn assert_whole(field: &Field, sha256: &str) {
    let report = field.report("in.report.csv");
    assert!(report.is_whole(ROWS) && report.count("granted") == ROWS - 1 && report.count("not_found") == 1);
    assert_eq!((report.lines[0][15].as_str(), report.lines[ROWS - 1][15].as_str()), ("INC-1", "a\nb"));
    let record = record(field);
    assert_eq!((&record["status"], &record["input"]["sha256"]), (&"completed".into(), &sha256.into()));
    assert_eq!((&record["totals"]["rows"], &record["totals"]["not_found"]), (&ROWS.into(), &1.into()));
    assert_eq!(record["report"]["sha256"], self::sha256(&fs::read(field.path("in.report.csv")).expect("there")));
    assert!(!field.path("in.report.partial.csv").exists());
}

#[test]
fn what_was_checked_is_sent_and_reported_whatever_becomes_of_the_input() {
    for (what, edit) in EDITS {
        let field = field();
        let was = fs::read(field.path("in.csv")).expect("there");
        let child = spawn(&field, &["grant", "in.csv", "--rate", "100/s"]);
        wait_for_lines(&field, 5);
        edit(&field.path("in.csv"));
        let run = done(child.wait_with_output().expect("ends"));
        assert_eq!(run.code, 1, "{what}: {}", run.stderr);
        assert_whole(&field, &sha256(&was));
        let failed = fs::read_to_string(field.path("in.report.failed.csv")).expect("there");
        let expected = format!("ticket,id,until,result,errorMessage\n\"a\nb\",{NOBODY},2099-08-30,not_found,");
        assert!(failed.starts_with(&expected), "{what}: {failed}");
    }
}

/// A run with every row settled that was killed before it published its report.
fn killed_at_its_end(input: impl Fn(&Field), arguments: &[&str]) -> Field {
    let field = field();
    input(&field);
    let child = spawn(&field, arguments);
    wait_for_lines(&field, 1);
    let at_the_start = fs::read(field.path("in.report.run.json")).expect("a record");
    // The failed rows cannot be written, so the journal and the record are left as a kill at that moment leaves them.
    fs::create_dir(field.path("in.report.failed.csv")).expect("created");
    let run = done(child.wait_with_output().expect("ends"));
    assert_eq!(run.code, 5, "{}", run.stderr);
    field.write("in.report.run.json", at_the_start);
    fs::remove_dir(field.path("in.report.failed.csv")).expect("there");
    field.calls();
    field
}

const GRANT: [&str; 4] = ["grant", "in.csv", "--rate", "200/s"];
const SAID: &str = "the input is not what it was when the run began, but each of its rows was settled: nothing is sent, and the report is made of the journal\n";

#[test]
fn the_report_of_settled_rows_is_made_of_the_journal_whatever_became_of_the_input() {
    for (what, edit) in EDITS {
        let field = killed_at_its_end(|_| {}, &GRANT);
        let was = fs::read(field.path("in.csv")).expect("there");
        // A kill may also tear the last write, which here belongs to no row.
        fs::OpenOptions::new()
            .append(true)
            .open(field.path("in.report.partial.csv"))
            .and_then(|file| file.set_len(file.metadata()?.len() + 9))
            .expect("torn");
        edit(&field.path("in.csv"));
        let resumed = field.run(&[&GRANT[..], &["--resume", "--metrics-file", "m.prom"]].concat());
        assert_eq!(resumed.code, 1, "{what}: {}", resumed.stderr);
        assert!(resumed.stderr.contains(SAID), "{what}: {}", resumed.stderr);
        assert!(resumed.stderr.contains("failed rows are in in.report.failed.csv: fix them and run that file"), "{}", resumed.stderr);
        assert!(field.calls().is_empty(), "nobody is asked for anything");
        assert_whole(&field, &sha256(&was));
        assert!(fs::read_to_string(field.path("m.prom")).expect("there").contains("result=\"granted\"} 99\n"));
        let failed = fs::read_to_string(field.path("in.report.failed.csv")).expect("there");
        let expected =
            format!("userID,bypassMFAEnabledUntil,ticket,result,errorMessage\n{NOBODY},2099-08-30T00:00:00.000Z,\"a\nb\",not_found,");
        assert!(failed.starts_with(&expected), "{what}: {failed}");
        let again = field.run(&["grant", "in.report.failed.csv", "-o", "again.csv", "--max-failures", "100%"]);
        assert_eq!(again.code, 1, "it is an input: {}", again.stderr);
        assert_eq!(field.report("again.csv").count("not_found"), 1);
    }
}

#[test]
fn a_report_that_was_published_before_a_kill_gets_its_record_whatever_became_of_the_input() {
    let field = field();
    let was = fs::read(field.path("in.csv")).expect("there");
    assert_eq!(field.run(&GRANT).code, 1);
    fs::write(field.path("in.csv"), "x").expect("written");
    let finished = field.run(&[&GRANT[..], &["--resume"]].concat());
    assert_eq!(finished.code, 2, "a run that is complete is not that of another input: {}", finished.stderr);
    let unfinished =
        [("/status", "running".into()), ("/finishedAt", Value::Null), ("/report/sha256", Value::Null), ("/report/rows", Value::Null)];
    set(&field, &unfinished);
    field.calls();
    let resumed = field.run(&[&GRANT[..], &["--resume"]].concat());
    assert_eq!(resumed.code, 1, "{}", resumed.stderr);
    assert!(resumed.stderr.contains(SAID), "{}", resumed.stderr);
    assert!(field.calls().is_empty());
    assert_whole(&field, &sha256(&was));
}

#[test]
fn a_run_of_another_input_with_rows_left_is_refused_and_it_is_said_what_to_do() {
    let field = killed_at_its_end(|_| {}, &GRANT);
    let journal = fs::read_to_string(field.path("in.report.partial.csv")).expect("a journal");
    let was = fs::read(field.path("in.csv")).expect("there");
    let without_a_row = journal[..=journal.trim_end().rfind('\n').expect("lines")].to_owned();
    let with_a_failure = journal.replacen(",granted,", ",failed,", 1);
    for left in [without_a_row, with_a_failure] {
        field.write("in.report.partial.csv", &left);
        // The error does not complain about the rows of the other input.
        for edit in ["a line is added", "a date is none"] {
            EDITS.iter().find(|(what, _)| *what == edit).expect("there").1(&field.path("in.csv"));
            let is = sha256(&fs::read(field.path("in.csv")).expect("there"));
            let refused = field.run(&[&GRANT[..], &["--resume"]].concat());
            assert_eq!(refused.code, 2, "{}", refused.stderr);
            let expected = format!(
                "error: in.report.run.json: the run cannot be taken up: the input's SHA-256 was `{}` and is `{is}`\nhint: restore the input as it was when the run began: the record has its SHA-256; or name another report with `--output`",
                sha256(&was)
            );
            assert!(refused.stderr.contains(&expected), "{}\nshould have: {expected}", refused.stderr);
            field.write("in.csv", &was);
        }
        assert!(field.calls().is_empty());
        assert_eq!(fs::read_to_string(field.path("in.report.partial.csv")).expect("there"), left, "it is as it was");
    }
    let resumed = field.run(&[&GRANT[..], &["--resume"]].concat());
    assert_eq!(resumed.code, 1, "with the input as it was, it goes on: {}", resumed.stderr);
    assert_whole(&field, &sha256(&was));
}

#[test]
fn another_run_is_not_taken_for_one_whose_input_was_edited() {
    let field = killed_at_its_end(|_| {}, &GRANT);
    fs::remove_file(field.path("in.csv")).expect("there");
    for (arguments, expected) in [
        (&["audit", "in.csv", "--resume"][..], "the operation was `grant` and is `audit`"),
        (&["grant", "in.csv", "--resume", "--until", "+1h"], "`--until` was not given and is `+1h`"),
        (&["audit", "--all-users", "-o", "in.report.csv", "--resume"], "the operation was `grant` and is `audit`"),
    ] {
        let refused = field.run(arguments);
        assert!(refused.code == 2 && refused.stderr.contains(expected), "{}", refused.stderr);
        assert!(field.path("in.report.partial.csv").exists() && !field.path("in.report.csv").exists());
    }
}

#[test]
fn users_who_were_looked_up_are_still_an_input_when_it_is_gone() {
    let emails = |field: &Field| {
        let rows: String = (1..40).map(|index| format!("user{index:06}@example.com,{index}\n")).collect();
        field.write("in.csv", format!("email,n\n{rows}nobody@example.com,x\n"));
    };
    let arguments = ["grant", "in.csv", "--rate", "100/s", "--until", "2099-08-31"];
    let field = killed_at_its_end(emails, &arguments);
    fs::remove_file(field.path("in.csv")).expect("there");
    let resumed = field.run(&[&arguments[..], &["--resume"]].concat());
    assert_eq!(resumed.code, 1, "{}", resumed.stderr);
    let failed = fs::read_to_string(field.path("in.report.failed.csv")).expect("there");
    let expected = "bypassMFAEnabledUntil,email,n,result,errorMessage\n2099-08-31T00:00:00.000Z,nobody@example.com,x,not_found,";
    assert!(failed.starts_with(expected), "{failed}");
    let again = field.run(&["grant", "in.report.failed.csv", "-o", "again.csv", "--max-failures", "100%"]);
    assert_eq!(again.code, 1, "{}", again.stderr);
    assert_eq!(field.report("again.csv").column("errorMessage"), ["no user has this email"]);
}
