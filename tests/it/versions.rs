//! `--resume` of a run that another version of the program recorded: it goes on, or is refused with a hint.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Field, faulty};

const RECORD: &str = "in.report.run.json";
const JOURNAL: &str = "in.report.partial.csv";
const RESUME: [&str; 8] = ["audit", "in.csv", "--resume", "--max-attempts", "1", "--rate", "unlimited", "-v"];

/// A run that stopped before its last row, and its record.
fn stopped() -> (Field, Value) {
    let field = faulty("400=100%");
    field.users(3, "+4h");
    let run = field.run(&["audit", "in.csv", "--max-failures", "0", "--concurrency", "1"]);
    assert!(run.code == 3 && field.path(JOURNAL).exists(), "{}", run.stderr);
    field.calls();
    let record = fs::read(field.path(RECORD)).expect("a record");
    (field, serde_json::from_slice(&record).expect("JSON"))
}

/// A resume that is refused sends nothing and leaves the files as they are.
fn assert_refused(field: &Field, expected: &str) {
    let files = || [RECORD, JOURNAL].map(|name| fs::read(field.path(name)).expect("there"));
    let before = files();
    let run = field.run(&RESUME);
    assert_eq!((run.code, run.stderr.as_str()), (2, expected));
    assert!(field.calls().is_empty(), "nothing is sent, not even for a token");
    assert_eq!(files(), before);
}

#[test]
fn a_record_has_its_format() {
    let (_, record) = stopped();
    assert_eq!(record["formatVersion"], 4);
}

#[test]
fn a_record_of_an_unknown_format_is_refused_and_the_hint_names_the_version_to_use() {
    let (field, record) = stopped();
    for (format, writer, what) in [
        (json!(5), json!("0.9.0"), "pingone-bypass `0.9.0`, which wrote the record"),
        (json!(5), json!("9\u{202e}\nerror: x"), "pingone-bypass `9\\u{202e}\\nerror: x`, which wrote the record"),
        (json!(0), json!("0.9.0"), "pingone-bypass `0.9.0`, which wrote the record"),
        (json!("two"), Value::Null, "the version of pingone-bypass that wrote the record"),
    ] {
        // The other keys may have another meaning in that format.
        let mut other = record.clone();
        (other["formatVersion"], other["version"], other["runId"]) = (format.clone(), writer, json!(["new"]));
        field.write(RECORD, other.to_string());
        let expected = format!(
            "error: {RECORD}: the run cannot be resumed: the record's `formatVersion` is `{format}`, expected one of `3`, `4`\n\
             hint: resume it with {what}, or discard it with `--overwrite`\n"
        );
        assert_refused(&field, &expected);
    }
    field.write(RECORD, r#"{"formatVersion":5}"#);
    let discarded = field.run(&["audit", "in.csv", "--overwrite", "--max-failures", "100%"]);
    assert_eq!(discarded.code, 1, "the hint is right: {}", discarded.stderr);
    assert!(field.report("in.report.csv").is_whole(3));
}

#[test]
fn a_record_of_a_version_whose_journals_had_other_columns_is_refused() {
    let (field, record) = stopped();
    for (format, shown) in [(None, "1"), (Some(2), "2")] {
        let mut former = record.clone();
        let keys = former.as_object_mut().expect("an object");
        keys.remove("formatVersion").expect("there");
        keys.extend(format.map(|format| ("formatVersion".to_owned(), json!(format))));
        field.write(RECORD, former.to_string());
        let expected = format!(
            "error: {RECORD}: the run cannot be resumed: the record's `formatVersion` is `{shown}`, expected one of `3`, `4`\n\
             hint: resume it with pingone-bypass `{}`, which wrote the record, or discard it with `--overwrite`\n",
            env!("CARGO_PKG_VERSION")
        );
        assert_refused(&field, &expected);
    }
}

#[test]
fn a_journal_of_other_columns_is_refused() {
    let (field, _) = stopped();
    let journal = fs::read_to_string(field.path(JOURNAL)).expect("a journal");
    // As a version with one more column would write it.
    let lines: String = journal.lines().zip(["deviceCount", ""]).map(|(line, value)| added(line, value) + "\n").collect();
    field.write(JOURNAL, lines);
    let expected = format!(
        "error: {JOURNAL}: the run cannot be resumed: this version of pingone-bypass writes other columns than this journal has\n\
         hint: resume it with pingone-bypass `{}` and the journal as that version wrote it, or discard it with `--overwrite`\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_refused(&field, &expected);
}

/// `line` with one more value, after the sixth.
fn added(line: &str, value: &str) -> String {
    let mut values: Vec<_> = line.split(',').collect();
    values.insert(6, value);
    values.join(",")
}
