//! `--output-dialect`, the dialect of `NAME.failed.csv`, and who reads a report in another dialect than its own.

use std::fs;
use std::process::Stdio;

use pingone_bypass::sandbox::SandboxConfig;
use serde_json::{Value, json};

use crate::harness::{Done, Field, Report, done, field_with};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
const USERS: u64 = 6;

fn field() -> Field {
    field_with(SandboxConfig { users: Some(USERS), ..SandboxConfig::default() })
}

/// An input as a German Excel writes it, with a user whom nobody knows.
fn of_excel(field: &Field) -> String {
    let rows: String =
        (0..USERS).map(|index| format!("\"Jörg; \"\"{index}\"\"\r\n2\";{};=1+1, a\r\n", field.sandbox.user_id(index))).collect();
    format!("\u{feff}Name;userID;note\r\n{rows}Müller;{NOBODY};x\r\n")
}

fn text(field: &Field, name: &str) -> String {
    fs::read_to_string(field.path(name)).expect("there")
}

fn options(field: &Field) -> Value {
    let record: Value = serde_json::from_str(&text(field, "in.report.run.json")).expect("JSON");
    record["options"].clone()
}

#[test]
fn what_failed_is_written_as_the_input_is_and_the_report_as_asked() {
    let field = field();
    field.write("in.csv", of_excel(&field));
    let run = |dialect: &[&str]| {
        let done = field.run(&[&["grant", "in.csv", "--until", "2099-01-01", "--overwrite"], dialect].concat());
        assert_eq!(done.code, 1, "{}", done.stderr);
        let failed = text(&field, "in.report.failed.csv");
        let (header, row) = failed.split_once("\r\n").expect("two lines");
        assert_eq!(header, "\u{feff}Name;userID;note;result;errorMessage");
        assert!(
            row.starts_with(&format!("Müller;{NOBODY};x;not_found;")) && row.ends_with("\r\n") && row.matches('\n').count() == 1,
            "{row}"
        );
        text(&field, "in.report.csv")
    };
    let plain = run(&[]);
    assert!(plain.starts_with("row,userID,result,") && !plain.lines().next().expect("a header").contains('\r'));
    assert_eq!(options(&field)["outputDialect"], json!("rfc4180"));
    let same = run(&["--output-dialect", "same"]);
    assert!(same.starts_with("\u{feff}row;userID;result;"), "{same}");
    assert!(same.contains(";\"Jörg; \"\"0\"\"\r\n2\";=1+1, a\r\n"), "{same}");
    let excel = run(&["--output-dialect", "excel"]);
    assert_eq!(options(&field)["outputDialect"], json!("excel"));
    for other in [&same, &excel] {
        let (other, plain) = (Report::read_with(b';', other), Report::read(&plain));
        assert_eq!(other.columns, plain.columns);
        for column in ["row", "userID", "result", "bypassMFAEnabledUntil", "Name", "note"] {
            assert_eq!(other.column(column), plain.column(column));
        }
    }
    // Excel's delimiter is the input's, if Excel writes it.
    for (delimiter, expected) in [(",", ","), ("|", ";")] {
        field.write("in.csv", format!("userID{delimiter}note\n{NOBODY}{delimiter}x\n"));
        run_once(&field, &["audit", "in.csv", "--overwrite", "--output-dialect", "excel", "--delimiter", delimiter], 1);
        assert!(text(&field, "in.report.csv").starts_with(&format!("\u{feff}row{expected}userID{expected}")));
        assert!(
            text(&field, "in.report.failed.csv").starts_with(&format!("userID{delimiter}note{delimiter}result{delimiter}errorMessage\n"))
        );
    }
}

fn run_once(field: &Field, arguments: &[&str], code: i32) -> Done {
    let done = field.run(arguments);
    assert_eq!(done.code, code, "{arguments:?}: {}{}", done.stdout, done.stderr);
    done
}

#[test]
fn failed_rows_without_a_header_are_read_with_the_same_options() {
    let field = field();
    let known = field.sandbox.user_id(1);
    let rows = format!("\"a;\"\"b|\nc\"|\"x,y\"|{NOBODY}|+4h\r\nJörg||{known}|+4h\r\n\"\"\"q\"\"\"|;;;|{NOBODY}|+4h\r\n");
    let options = ["--delimiter", "|", "--no-headers", "--user-column", "3", "--until-column", "4"];
    for (name, mark) in [("plain", ""), ("marked", "\u{feff}")] {
        field.write("in.csv", format!("{mark}{rows}"));
        let grant = |input: &str, report: &str| run_once(&field, &[&["grant", input, "-o", report], &options[..]].concat(), 1);
        grant("in.csv", &format!("{name}.csv"));
        let failed = text(&field, &format!("{name}.failed.csv"));
        let first = format!("{mark}\"a;\"\"b|\nc\"|\"x,y\"|\"{NOBODY}\"|\"+4h\"|\"not_found\"|\"");
        assert!(failed.starts_with(&first), "{failed}");
        grant(&format!("{name}.failed.csv"), &format!("{name}-again.csv"));
        let report = field.report(&format!("{name}-again.csv"));
        assert_eq!((report.column("userID"), report.column("result")), (vec![NOBODY], vec!["not_found"]), "{failed}");
    }
}

/// Everything that reads a report reads one of Excel's.
#[test]
fn a_report_for_excel_is_read_by_all_that_read_reports() {
    let field = field();
    field.write("in.csv", of_excel(&field));
    let grant = ["grant", "in.csv", "--until", "2099-01-01", "--look-first", "--output-dialect", "excel"];
    run_once(&field, &grant, 1);
    let report = text(&field, "in.report.csv");
    assert!(report.starts_with("\u{feff}row;userID;result;"), "{report}");
    let verified = run_once(&field, &["verify", "in.report.csv"], 0);
    assert!(verified.stdout.contains("lines    7, one for each row, in the input's order"), "{}", verified.stdout);
    field.write("in.report.csv", report.replacen(";granted;", ";kept;", 1));
    let found = run_once(&field, &["verify", "in.report.csv"], 1);
    assert!(found.stdout.contains("FAILED  totals"), "{}", found.stdout);
    field.write("in.report.csv", &report);

    let again = run_once(&field, &[&grant[..], &["--resume"]].concat(), 1);
    assert!(again.stderr.contains("has finished already, and nothing was sent"), "{}", again.stderr);
    let other = run_once(&field, &[&grant[..5], &["--resume"]].concat(), 2);
    assert!(other.stderr.contains("the report is finished, its dialect was `excel` and is `rfc4180`"), "{}", other.stderr);

    run_once(&field, &["audit", "in.csv", "-o", "audit.csv"], 1);
    let same = run_once(&field, &["diff", "in.report.csv", "audit.csv"], 0);
    assert!(same.stderr.contains("0 changes of 7 users"), "{}", same.stderr);
    run_once(&field, &["audit", "in.report.csv", "-o", "by-report.csv"], 1);
    assert_eq!(field.report("by-report.csv").count("active") as u64, USERS);
    run_once(&field, &["end", "--restore", "in.report.csv", "-o", "restored.csv", "--output-dialect", "same"], 0);
    let restored = Report::read_with(b';', &text(&field, "restored.csv"));
    assert_eq!((restored.count("ended") as u64, restored.count("untouched")), (USERS, 1), "{restored:?}");
}

#[test]
fn a_report_with_bars_is_known_by_its_header() {
    let field = field();
    field.write("in.csv", format!("userID|note\n{}|a,b;c\n{NOBODY}|x\n", field.sandbox.user_id(0)));
    run_once(&field, &["audit", "in.csv", "--delimiter", "|", "--output-dialect", "same"], 1);
    assert!(text(&field, "in.report.csv").starts_with("row|userID|result|"));
    run_once(&field, &["verify", "in.report.csv"], 0);
    run_once(&field, &["diff", "in.report.csv", "in.report.csv"], 0);
    run_once(&field, &["audit", "in.report.csv", "-o", "again.csv"], 1);
    let carried = field.report("again.csv");
    assert_eq!(carried.column("note"), ["a,b;c", "x"]);
}

#[test]
fn a_stream_has_the_dialect_too_and_that_of_a_list_is_the_reports_own() {
    let field = field();
    field.write("in.csv", of_excel(&field));
    let streamed = run_once(&field, &["audit", "in.csv", "-o", "-", "--output-dialect", "excel", "--concurrency", "1"], 1).stdout;
    assert!(streamed.starts_with("\u{feff}row;userID;") && streamed.ends_with("\r\n"), "{streamed}");
    let report = Report::read_with(b';', &streamed);
    assert_eq!(report.lines.len() as u64, USERS + 1);
    for (dialect, begins) in [("same", "row,userID,"), ("rfc4180", "row,userID,"), ("excel", "\u{feff}row;userID;")] {
        run_once(&field, &["audit", "--all-users", "-o", "all.csv", "--overwrite", "--output-dialect", dialect], 0);
        assert!(text(&field, "all.csv").starts_with(begins), "{dialect}");
    }
    // What comes by a pipe has a dialect too.
    let mut child = field
        .tool(&["audit", "-", "-o", "piped.csv", "--output-dialect", "same"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), of_excel(&field).as_bytes()).expect("written");
    let piped = done(child.wait_with_output().expect("it ends"));
    assert_eq!(piped.code, 1, "{}", piped.stderr);
    assert!(
        text(&field, "piped.csv").starts_with("\u{feff}row;userID;")
            && text(&field, "piped.failed.csv").starts_with("\u{feff}Name;userID;note;")
    );
}

#[test]
fn until_it_is_finished_a_run_may_get_another_dialect() {
    let field = field();
    let users: String = (0..USERS).map(|index| format!("{};x\r\n", field.sandbox.user_id(index))).collect();
    field.write("in.csv", format!("userID;note\r\n{NOBODY};x\r\n{users}"));
    let audit = ["audit", "in.csv", "--concurrency", "1", "--canary", "1"];
    run_once(&field, &audit, 3);
    assert!(text(&field, "in.report.partial.csv").starts_with("row,userID,"), "the journal is as ever");
    let resumed = run_once(&field, &[&audit[..4], &["--resume", "--output-dialect", "excel"]].concat(), 1);
    assert!(resumed.stderr.contains("resuming run"), "{}", resumed.stderr);
    assert!(text(&field, "in.report.csv").starts_with("\u{feff}row;userID;"));
    assert!(text(&field, "in.report.failed.csv").starts_with("userID;note;result;errorMessage\r\n"));
    assert!(!field.path("in.report.partial.csv").exists());
    assert_eq!(options(&field)["outputDialect"], json!("excel"));
    run_once(&field, &["verify", "in.report.csv"], 0);
}

/// A report in order is a journal too. So a run that was killed just before its report can be made of a finished one.
fn unpublished(field: &Field) {
    fs::rename(field.path("in.report.csv"), field.path("in.report.partial.csv")).expect("there");
    fs::remove_file(field.path("in.report.failed.csv")).expect("there");
    let mut record: Value = serde_json::from_str(&text(field, "in.report.run.json")).expect("JSON");
    record["status"] = json!("running");
    field.write("in.report.run.json", record.to_string());
}

#[test]
fn where_the_input_is_gone_the_failed_rows_are_written_as_it_was() {
    let field = field();
    let headed = (
        of_excel(&field),
        &[][..],
        format!(
            "\u{feff}userID;bypassMFAEnabledUntil;Name;note;result;errorMessage\r\n{NOBODY};2099-01-01T00:00:00.000Z;Müller;x;not_found;"
        ),
    );
    let bare = format!("x|2099-01-01|{NOBODY}\r\ny|2099-01-01|{}\r\n", field.sandbox.user_id(1));
    let numbered = &["--no-headers", "--delimiter", "|", "--user-column", "3", "--until-column", "2"][..];
    let headless = (bare, numbered, format!("\"x\"|\"2099-01-01T00:00:00.000Z\"|\"{NOBODY}\"|\"not_found\"|"));
    for (input, options, expected) in [headed, headless] {
        field.write("in.csv", input);
        let grant = [&["grant", "in.csv"][..], options, if options.is_empty() { &["--until", "2099-01-01"][..] } else { &[] }].concat();
        run_once(&field, &[&grant[..], &["--overwrite"]].concat(), 1);
        unpublished(&field);
        field.write("in.csv", "gone");
        let resumed = run_once(&field, &[&grant[..], &["--resume"]].concat(), 1);
        assert!(resumed.stderr.contains("the input is not what it was"), "{}", resumed.stderr);
        let failed = text(&field, "in.report.failed.csv");
        assert!(failed.starts_with(&expected) && failed.ends_with("\r\n"), "{failed}\nshould begin: {expected}");
        // It is read with the same options.
        run_once(&field, &[&["grant", "in.report.failed.csv", "-o", "again.csv", "--overwrite"], &grant[2..]].concat(), 1);
        assert_eq!(field.report("again.csv").column("userID"), [NOBODY]);
    }
}
