//! Every format of the table, and formats that are not in it.

use std::fs;

use super::super::line::COLUMNS;
use super::super::record::Status;
use super::super::record::tests::record;
use super::super::{ReportFiles, index_journal};
use super::*;
use crate::report::RunRecord;

/// A record of each format, as a version of the program wrote it. The first is the barest that is still read.
const RECORDS: [&str; FORMATS.len()] = [
    r#"{"tool":"pingone-bypass","version":"0.1.0","runId":"7e94b96e-0364-463b-a059-d97d1e4cb1d5","operation":"grant",
        "environment":{"id":"e","name":null,"type":null},"apiUrl":"https://api.pingone.eu/v1","reason":null,
        "startedAt":"2026-02-27T10:20:30.456Z","finishedAt":null,"status":"stopped","stopReason":"stopped: too many",
        "input":{"path":"in.csv","sha256":"s","rows":3},"options":{"sandbox":false,"until":"+4h","userColumn":null,
        "untilColumn":null,"delimiter":";","noHeaders":false,"skipInvalid":false,"rate":"50/s","concurrency":64,"maxAttempts":8,
        "timeout":"30s","giveUpAfter":"10m","maxFailures":"20%"},"totals":{"granted":2,"rows":2},
        "requests":{"sent":5,"retried":1,"throttled":0},"report":{"path":"r.csv","sha256":null,"rows":null}}"#,
    r#"{"tool":"pingone-bypass","version":"0.1.0","formatVersion":2,"runId":"7e94b96e-0364-463b-a059-d97d1e4cb1d5",
        "operation":"grant","environment":{"id":"e","name":null,"type":null},"apiUrl":"https://api.pingone.eu/v1","reason":null,
        "licence":null,"startedAt":"2026-02-27T10:20:30.456Z","finishedAt":null,"clockOffsetSeconds":0,"status":"stopped",
        "stopReason":"stopped: too many","input":{"path":"in.csv","sha256":"s","rows":3},"options":{"sandbox":false,"until":"+4h",
        "userColumn":null,"untilColumn":null,"delimiter":";","noHeaders":false,"skipInvalid":false,"in":null,"rate":"50/s",
        "concurrency":64,"maxAttempts":8,"timeout":"30s","giveUpAfter":"10m","maxFailures":"20%"},"totals":{"granted":2,"rows":2},
        "requests":{"sent":5,"retried":1,"throttled":0},"report":{"path":"r.csv","sha256":null,"rows":null},"inDoubtAhead":0}"#,
    r#"{"tool":"pingone-bypass","version":"0.1.0","formatVersion":3,"runId":"7e94b96e-0364-463b-a059-d97d1e4cb1d5",
        "operation":"grant","environment":{"id":"e","name":null,"type":null},"apiUrl":"https://api.pingone.eu/v1","reason":null,
        "licence":null,"startedAt":"2026-02-27T10:20:30.456Z","finishedAt":null,"clockOffsetSeconds":0,"status":"stopped",
        "stopReason":"stopped: too many","input":{"path":"in.csv","sha256":"s","rows":3},"options":{"sandbox":false,"until":"+4h",
        "userColumn":null,"untilColumn":null,"delimiter":";","noHeaders":false,"skipInvalid":false,"in":null,"rate":"50/s",
        "concurrency":64,"maxAttempts":8,"timeout":"30s","giveUpAfter":"10m","maxFailures":"20%"},"totals":{"granted":2,"rows":2},
        "requests":{"sent":5,"retried":1,"throttled":0},"report":{"path":"r.csv","sha256":null,"rows":null},"inDoubtAhead":0}"#,
    r#"{"tool":"pingone-bypass","version":"0.1.0","formatVersion":4,"runId":"7e94b96e-0364-463b-a059-d97d1e4cb1d5",
        "operation":"grant","environment":{"id":"e","name":null,"type":null},"apiUrl":"https://api.pingone.eu/v1","reason":null,
        "licence":null,"startedAt":"2026-02-27T10:20:30.456Z","finishedAt":null,"clockOffsetSeconds":0,"status":"stopped",
        "stopReason":"stopped: too many","input":{"path":"in.csv","sha256":"s","rows":30},"shard":{"index":3,"count":10},"options":{"sandbox":false,"until":"+4h",
        "userColumn":null,"untilColumn":null,"delimiter":";","noHeaders":false,"skipInvalid":false,"in":null,"rate":"50/s",
        "concurrency":64,"maxAttempts":8,"timeout":"30s","giveUpAfter":"10m","maxFailures":"20%"},"totals":{"granted":2,"rows":2},
        "requests":{"sent":5,"retried":1,"throttled":0},"report":{"path":"r.csv","sha256":null,"rows":null},"inDoubtAhead":0}"#,
];

fn read_text(text: &str) -> Result<RunRecord, OutputError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("r.run.json");
    fs::write(&path, text).expect("written");
    RunRecord::read(&path).map(|record| record.expect("it is there"))
}

/// The error for the last of these records with `format` as its `formatVersion`.
fn refusal(format: Value) -> OutputError {
    let mut keys: Map<String, Value> = serde_json::from_str(RECORDS[RECORDS.len() - 1]).expect("a record");
    keys.insert(KEY.to_owned(), format);
    match read_text(&Value::from(keys).to_string()) {
        Err(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_format_is_honoured_or_refused_as_the_table_says() {
    for (format, text) in FORMATS.iter().zip(RECORDS) {
        let keys: Map<String, Value> = serde_json::from_str(text).expect("a record");
        assert_eq!(format_of(&keys).map(|format| format.version), Some(format.version));
        match (format.reading, read_text(text)) {
            (Reading::Honour, Ok(read)) => {
                assert_eq!((read.status, read.options.concurrency, read.totals["granted"]), (Status::Stopped, 64, 2));
                assert_eq!(read.input.sha256.as_deref(), Some("s"));
                assert_eq!(read.format_version, CURRENT_FORMAT, "it is converted");
            }
            (Reading::Refuse, Err(OutputError::OtherFormat { .. })) => {}
            (reading, read) => panic!("{}: {reading:?}, {read:?}", format.version),
        }
    }
}

#[test]
fn a_format_that_is_not_in_the_table_is_refused() {
    for number in [CURRENT_FORMAT + 1, CURRENT_FORMAT + 100, u64::MAX, 0] {
        let error = refusal(number.into());
        let expected =
            format!("r.run.json: the run cannot be resumed: the record's `formatVersion` is `{number}`, expected one of `3`, `4`");
        assert!(error.to_string().ends_with(&expected), "{error}");
        let hint = "resume it with pingone-bypass `0.1.0`, which wrote the record, or discard it with `--overwrite`";
        assert_eq!(error.hint(), hint);
    }
    for (other, shown) in [
        (serde_json::json!("2"), r#"`"2"`"#),
        (serde_json::json!(2.0), "`2.0`"),
        (serde_json::json!(-1), "`-1`"),
        (serde_json::json!("\u{202e}\n"), r#"`"\u{202e}\n"`"#),
        (Value::Null, "`null`"),
        (serde_json::json!([2]), "`[2]`"),
        (serde_json::json!({}), "`{}`"),
        (true.into(), "`true`"),
    ] {
        let error = refusal(other).to_string();
        assert!(error.contains(&format!("the record's `formatVersion` is {shown}, expected one of")), "{error}");
    }
}

#[test]
fn the_format_is_checked_before_anything_else_in_the_record_is_read() {
    let told = |text: &str| match read_text(text) {
        Err(error) => error.hint(),
        other => panic!("{other:?}"),
    };
    assert!(told(r#"{"formatVersion":5,"version":"0.9.0","runId":7}"#).starts_with("resume it with pingone-bypass `0.9.0`, "));
    for text in [r#"{"formatVersion":5}"#, r#"{"formatVersion":5,"version":9}"#] {
        assert!(told(text).starts_with("resume it with the version of pingone-bypass that wrote the record"), "{text}");
    }
    assert!(matches!(read_text("[]"), Err(OutputError::File(_))), "not a record");
    assert!(matches!(read_text(r#"{"formatVersion":3}"#), Err(OutputError::File(_))), "it has no other keys");
}

#[test]
fn the_table_ends_with_what_this_version_writes() {
    let numbers: Vec<_> = FORMATS.iter().map(|format| format.version).collect();
    assert_eq!(numbers, (1..=CURRENT_FORMAT).collect::<Vec<_>>());
    let [.., last] = &FORMATS;
    assert_eq!((last.reading, last.columns), (Reading::Honour, &COLUMNS[..]), "the columns have changed: add a format to the table");
    for format in &FORMATS {
        assert!(format.reading == Reading::Refuse || format.columns == COLUMNS, "{}: its journals have other columns", format.version);
    }
    let written = serde_json::to_value(record()).expect("JSON");
    assert_eq!(written[KEY], CURRENT_FORMAT);
}

/// What `check_journal` says of a journal of this text.
fn checked(text: &str) -> Result<(), OutputError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("r.partial.csv");
    fs::write(&path, text).expect("written");
    let checked = check_journal(&path, &record().version);
    assert_eq!(fs::read_to_string(&path).expect("there"), text);
    let is_of_a_journal = text.is_empty() || text.contains('\0') || text.starts_with("row,userID,");
    assert!(checked.is_err() || index_journal(&path, 100).is_ok() == is_of_a_journal, "what passes can be read: {text}");
    checked
}

#[test]
fn a_journal_of_other_columns_is_refused_and_a_torn_one_is_not() {
    for format in &FORMATS {
        let header = format.columns.join(",");
        for text in [format!("{header}\n"), format!("{header},note\n")] {
            assert_eq!(checked(&text).is_ok(), format.reading == Reading::Honour, "{}: {text}", format.version);
        }
        for text in [format!("{header},\"a\n"), header[..30].to_owned()] {
            assert!(checked(&text).is_ok(), "{}: it has no lines: {text}", format.version);
        }
    }
    let header = COLUMNS.join(",") + ",note\n";
    for text in ["", "\0\0\0\0\n", &header.replacen("Bypass", "\0\0\0\0\0\0", 1)] {
        assert!(checked(text).is_ok(), "{text:?}");
    }
    for text in [header.replacen("userID", "user", 1), header.replace(',', ";"), "row\n".to_owned(), "mine\n1\n".to_owned()] {
        assert!(checked(&text).is_ok(), "it is no journal, and cannot be read: {text}");
    }
    for text in [header.replacen(",errorId", "", 1), header.replacen(",httpStatus", ",previousUntil,httpStatus", 1)] {
        let refused = checked(&text);
        let error = refused.expect_err(&text);
        let expected =
            "r.partial.csv: the run cannot be resumed: this version of pingone-bypass writes other columns than this journal has";
        assert!(error.to_string().ends_with(expected), "{error}");
        let hint = "resume it with pingone-bypass `0` and the journal as that version wrote it, or discard it with `--overwrite`";
        assert_eq!(error.hint(), hint);
    }
    let missing = check_journal(Path::new("/nowhere/r.partial.csv"), &record().version);
    assert!(matches!(missing, Err(OutputError::File(_))), "{missing:?}");
}

#[test]
fn a_record_of_any_format_that_is_honoured_is_written_in_the_current_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file");
    let honoured = FORMATS.iter().zip(RECORDS).filter(|(format, _)| format.reading == Reading::Honour);
    for (_, text) in honoured {
        fs::write(&files.record, text).expect("written");
        let read = RunRecord::read(&files.record).expect("readable").expect("there");
        read.write(&files.record).expect("written");
        let keys: Map<String, Value> = serde_json::from_slice(&fs::read(&files.record).expect("there")).expect("JSON");
        assert_eq!(keys[KEY], CURRENT_FORMAT);
        assert_eq!(RunRecord::read(&files.record).expect("readable"), Some(read));
    }
}

#[test]
fn a_report_of_any_format_is_recognised_by_its_columns() {
    for format in &FORMATS {
        let names: Vec<_> = format.columns.iter().rev().map(|name| (*name).to_owned()).collect();
        assert!(is_of_a_report(&names) && !is_of_a_report(&names[1..]), "{}", format.version);
    }
}

/// The table as CONTRIBUTING.md shows it.
fn matrix() -> String {
    let row = |format: &Format| {
        let does = match format.reading {
            Reading::Honour => "resumes the run",
            Reading::Refuse => "refuses it (exit code 2)",
        };
        format!("| {} | {} | {} | {does} |\n", format.version, format.has, format.columns.len())
    };
    let rows: String = FORMATS.iter().map(row).collect();
    format!(
        "| format | what distinguishes it | own columns of the report and journal | `--resume` |\n|---|---|---|---|\n{rows}| any other | | | refuses it (exit code 2) |\n"
    )
}

#[test]
fn contributing_md_shows_the_table() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/CONTRIBUTING.md");
    let guide = fs::read_to_string(guide).expect("it is there");
    assert!(guide.contains(&format!("\n\n{}\n", matrix())), "put this into .github/CONTRIBUTING.md:\n{}", matrix());
}
