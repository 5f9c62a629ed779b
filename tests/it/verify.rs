//! `verify`: a report stands as its record says, or what is wrong with it.

use std::fs;

use pingone_bypass::sandbox::SandboxConfig;
use serde_json::Value;

use crate::harness::{Field, field_with};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

fn record(field: &Field) -> Value {
    serde_json::from_slice(&fs::read(field.path("in.report.run.json")).expect("a record")).expect("JSON")
}

/// A folder with the report of a grant of 40 rows, of which one failed.
fn granted() -> Field {
    let field = field_with(SandboxConfig { users: Some(40), ..SandboxConfig::default() });
    let rows: String = (0..39).map(|index| format!("{},2099-08-30,\"INC\n{index}\"\n", field.sandbox.user_id(index))).collect();
    field.write("in.csv", format!("userID,until,ticket\n{rows}{NOBODY},2099-08-30,x\n"));
    let done = field.run(&["grant", "in.csv"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    field
}

/// The lines of a report as text, each with its end, a quoted line break within.
pub(crate) fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for piece in text.split_inclusive('\n') {
        match lines.last_mut() {
            Some(last) if last.matches('"').count() % 2 == 1 => last.push_str(piece),
            _ => lines.push(piece.to_owned()),
        }
    }
    lines
}

#[test]
fn a_report_as_the_run_wrote_it_stands() {
    let field = granted();
    field.calls();
    let found = field.run(&["verify", "in.report.csv"]);
    assert_eq!(found.code, 0, "{}{}", found.stdout, found.stderr);
    let expected = [
        "ok      run      ",
        "ok      digest   SHA-256 ",
        "ok      columns  ",
        "ok      lines    40, one for each row, in the input's order\n",
        "ok      totals   rows 40: granted 39, not_found 1\n",
        "ok      failed   1 row failed, see in.report.failed.csv\n",
        "ok      input    in.csv is as it was, SHA-256 ",
    ];
    for line in expected {
        assert!(found.stdout.contains(line), "{line}\n{}", found.stdout);
    }
    assert_eq!(found.stderr, "in.report.csv: the report stands as its record says\n");
    assert!(field.calls().is_empty(), "nothing is sent");
}

#[test]
fn what_was_changed_since_is_found() {
    let field = granted();
    let whole = fs::read_to_string(field.path("in.report.csv")).expect("there");
    let all = lines(&whole);
    assert_eq!(all.len(), 41);
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = all.clone();
        change(&mut lines);
        lines.concat()
    };
    let cases = [
        ("a byte", whole.replacen("\"INC\n3\"", "\"INC\n4\"", 1), vec!["digest"]),
        ("a result", whole.replacen(",not_found,", ",granted,", 1), vec!["digest", "totals"]),
        ("a removed line", with(&|lines| drop(lines.remove(17))), vec!["digest", "lines", "totals"]),
        ("the last line, removed", with(&|lines| drop(lines.pop())), vec!["digest", "lines", "totals"]),
        ("a doubled line", with(&|lines| lines.insert(18, lines[17].clone())), vec!["digest", "lines", "totals"]),
        ("a doubled line elsewhere", with(&|lines| lines.insert(30, lines[17].clone())), vec!["digest", "lines", "totals"]),
        ("two lines, swapped", with(&|lines| lines.swap(5, 6)), vec!["digest", "lines"]),
        ("a line in place of another", with(&|lines| lines[9] = lines[8].clone()), vec!["digest", "lines"]),
        ("a value too many", with(&|lines| lines[2] = lines[2].replacen(',', ",,", 1)), vec!["digest", "lines", "totals"]),
        ("no result", whole.replacen(",not_found,", ",nowhere,", 1), vec!["digest", "lines", "totals"]),
        ("the header", whole.replacen("userID", "user", 1), vec!["digest", "columns"]),
        ("nothing left", String::new(), vec!["digest", "columns", "lines", "totals"]),
        ("other line ends", whole.replace('\n', "\r\n"), vec!["digest"]),
    ];
    for (what, text, expected) in cases {
        field.write("in.report.csv", &text);
        let found = field.run(&["verify", "in.report.csv"]);
        assert_eq!(found.code, 1, "{what}: {}", found.stdout);
        let failed: Vec<_> =
            found.stdout.lines().filter_map(|line| line.strip_prefix("FAILED")).filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(failed, expected, "{what}: {}", found.stdout);
        assert!(found.stderr.contains("the report does not stand as its record says: "), "{}", found.stderr);
    }
    field.write("in.report.csv", with(&|lines| drop(lines.remove(17))));
    let found = field.run(&["verify", "in.report.csv"]).stdout;
    assert!(found.contains("row 17 has no line; there are 39 lines, and the record has 40"), "{found}");
}

#[test]
fn a_record_of_another_run_is_found() {
    let field = granted();
    let other = field.run(&["grant", "in.csv", "-o", "other.csv"]);
    assert_eq!(other.code, 1, "{}", other.stderr);
    fs::copy(field.path("other.run.json"), field.path("in.report.run.json")).expect("copied");
    let found = field.run(&["verify", "in.report.csv"]);
    assert_eq!(found.code, 1, "{}", found.stdout);
    assert!(
        found.stdout.contains("FAILED  run      the record is of another report: the report was `other.csv` and is `in.report.csv`"),
        "{}",
        found.stdout
    );
    assert!(found.stdout.contains("FAILED  digest   SHA-256 "), "{}", found.stdout);
}

#[test]
fn what_is_no_part_of_the_report_is_noted() {
    let field = granted();
    field.write("in.csv", "userID\n");
    fs::remove_file(field.path("in.report.failed.csv")).expect("there");
    let found = field.run(&["verify", "in.report.csv"]);
    assert_eq!(found.code, 0, "{}", found.stdout);
    assert!(found.stdout.contains("note    input    in.csv is another file now, SHA-256 "), "{}", found.stdout);
    assert!(found.stdout.contains("note    failed   1 row failed; in.report.failed.csv is not there any more"), "{}", found.stdout);
}

#[test]
fn a_record_whose_numbers_do_not_agree_is_found() {
    for (key, value) in [("/totals/rows", 41), ("/totals/granted", 40), ("/input/rows", 41), ("/report/rows", 39)] {
        let field = granted();
        let mut record = record(&field);
        *record.pointer_mut(key).expect("a key") = value.into();
        field.write("in.report.run.json", record.to_string());
        let found = field.run(&["verify", "in.report.csv"]);
        assert_eq!(found.code, 1, "{key}: {}", found.stdout);
    }
}

#[test]
fn a_report_of_the_directory_or_of_some_lines_stands() {
    let field = field_with(SandboxConfig { users: Some(30), ..SandboxConfig::default() });
    for arguments in [&["audit", "--all-users", "-o", "a.csv"][..], &["audit", "--all-users", "--only", "active", "-o", "b.csv"]] {
        assert_eq!(field.run(arguments).code, 0);
        let report = arguments[arguments.len() - 1];
        let found = field.run(&["verify", report]);
        assert_eq!(found.code, 0, "{}{}", found.stdout, found.stderr);
        assert!(found.stdout.contains("note    input    the users of the directory, which has no digest"), "{}", found.stdout);
    }
    let text = fs::read_to_string(field.path("b.csv")).expect("there").replacen(",active,", ",inactive,", 1);
    field.write("b.csv", text);
    let found = field.run(&["verify", "b.csv"]);
    assert!(found.code == 1 && found.stdout.contains("`inactive` is not among the selected lines"), "{}", found.stdout);
}

#[test]
fn what_cannot_be_checked_is_trouble_with_a_hint() {
    let field = granted();
    for (arguments, expected) in [
        (&["verify", "nowhere.csv"][..], "nowhere.csv: the file cannot be read"),
        (&["verify", "in.csv"], "in.csv: there is no record of this report's run: expected `in.run.json`"),
        (&["verify", "folder/"], "expected the path of a file"),
    ] {
        let found = field.run(arguments);
        assert_eq!(found.code, 2, "{}", found.stderr);
        assert!(found.stderr.contains(expected) && found.stderr.contains("hint: "), "{}", found.stderr);
    }
    let mut record = record(&field);
    record["formatVersion"] = 999.into();
    field.write("in.report.run.json", record.to_string());
    let found = field.run(&["verify", "in.report.csv"]);
    assert!(found.code == 2 && found.stderr.contains("`formatVersion` is `999`") && found.stderr.contains("hint: "), "{}", found.stderr);
    record["formatVersion"] = serde_json::Value::Null;
    field.write("in.report.run.json", "{");
    let found = field.run(&["verify", "in.report.csv"]);
    assert!(found.code == 2 && found.stderr.contains("in.report.run.json: the file cannot be read"), "{}", found.stderr);
}

#[test]
fn a_report_of_an_unfinished_run_does_not_stand() {
    let field = granted();
    fs::copy(field.path("in.report.csv"), field.path("in.report.partial.csv")).expect("copied");
    let found = field.run(&["verify", "in.report.csv"]);
    assert!(found.code == 1 && found.stdout.contains("FAILED  run      the run is not finished: its journal is there"), "{}", found.stdout);
}

/// The record names the input, and what it names may be anything by now.
#[test]
fn an_input_that_is_no_regular_file_is_not_waited_for() {
    let field = granted();
    assert!(std::process::Command::new("mkfifo").arg(field.path("pipe")).status().expect("there").success());
    let mut record = record(&field);
    for path in ["pipe", "/dev/zero"] {
        record["input"]["path"] = path.into();
        field.write("in.report.run.json", record.to_string());
        let found = field.run(&["verify", "in.report.csv"]);
        assert_eq!(found.code, 0, "{}{}", found.stdout, found.stderr);
        let expected = format!("note    input    {path} cannot be read here (it is no regular file); the run's had SHA-256 ");
        assert!(found.stdout.contains(&expected), "{}", found.stdout);
    }
}
