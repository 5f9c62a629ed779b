//! The reader and the check together, on typical inputs.

use std::io::Write;

use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::*;
use crate::domain::{Operation, Shard};

pub(super) const A: &str = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";
pub(super) const B: &str = "0a94b96e-0364-463b-a059-d97d1e4cb1d5";

fn start() -> DateTime<Utc> {
    "2026-02-27T10:20:30Z".parse().expect("an instant")
}

pub(super) fn rules(operation: Operation) -> Rules {
    Rules { operation, start: start(), until: None, max_window: None, shard: Shard::default() }
}

/// The checked input with this `text`, or the error message, with `in.csv` as the file.
pub(super) fn checked_input(text: &[u8], rules: Rules, dialect: &Dialect, skip_invalid: bool) -> Result<ValidInput, String> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text).expect("written");
    let path = file.path().display().to_string();
    let shown = |error: InputError| error.to_string().replace(&path, "in.csv");
    let source = Source::open(file.path()).map_err(shown)?;
    let layout = Layout::of(&source, rules.operation, dialect, rules.until.is_some()).map_err(shown)?;
    ValidInput::check(source, layout, rules, skip_invalid).and_then(|input| input.approve(None)).map_err(shown)
}

/// Runs both passes over `text`. Returns the rows, or the error message.
fn read(text: &[u8], rules: Rules, dialect: &Dialect, skip_invalid: bool) -> Result<Vec<Row>, String> {
    let input = checked_input(text, rules, dialect, skip_invalid)?;
    let (send, mut receive) = mpsc::channel(10_000);
    feed(&input, &Remaining::default(), &send).expect("unchanged");
    drop(send);
    let rows: Vec<_> = std::iter::from_fn(|| receive.blocking_recv()).collect();
    assert_eq!(rows.len() as u64, input.rows());
    Ok(rows)
}

fn grant(text: &str) -> Result<Vec<Row>, String> {
    read(text.as_bytes(), rules(Operation::Grant), &Dialect::default(), false)
}

fn asks(rows: &[Row]) -> Vec<String> {
    let show = |row: &Row| match &row.work {
        Work::Send(action) => format!("{} {}", action.user(), action.until().map(|until| until.to_string()).unwrap_or_default()),
        Work::Duplicate(action) => format!("duplicate {}", action.user()),
        Work::Expired(action, outcome) => format!("passed {} {outcome}", action.user()),
        Work::Unresolved { outcome, detail, .. } => format!("{outcome} {}", detail.message),
        Work::Untouched { user, result } => format!("untouched {user} {result}"),
        Work::Invalid { user, why } => format!("invalid {user} {why}"),
    };
    rows.iter().map(show).collect()
}

#[test]
fn rows_are_read_in_every_promised_dialect() {
    let expected = [format!("{A} 2026-08-31T00:00:00.000Z"), format!("{B} 2026-02-27T14:20:30.000Z")];
    let upper = A.to_uppercase();
    for text in [
        format!("userID,bypassMFAEnabledUntil\n{A},2026-08-31\n{B},+4h\n"),
        format!("\u{feff}userID,bypassMFAEnabledUntil\r\n{A},2026-08-31\r\n{B},+4h"),
        format!("user_id;until\n\n{A};2026-08-31\n\n;\n{B};+4h\n\n"),
        format!("\n\r\nUSER-ID\tEnd Date\n {upper} \t\u{a0}2026-08-31\n{B}\t+4h \n"),
        format!("\"id\",\"end_date\"\r\n\"{A}\",\"2026-08-31\"\r\n\"{B}\",\"+4h\"\r\n"),
        format!("note,Id,endDate\n\"a,\r\n\"\"b\"\"\",{A},2026-08-31\n,{B},+4h\n"),
        format!("id,user id,until\n1,{A},2026-08-31\n2,{B},+4h\n"),
        format!("userID, until\n{A}, \"2026-08-31\"\n \"{B}\" , \" +4h\"\n"),
    ] {
        assert_eq!(asks(&grant(&text).expect(&text)), expected, "{text}");
    }
}

#[test]
fn other_columns_are_carried_as_they_are_except_those_that_the_report_has() {
    let text = format!("ticket,userID,until,Result,note\r\n INC-1 ,{A},+4h,x,\"a\r\nb\"\r\n=1,{B},+4h,x,last\r\n");
    let rows = grant(&text).expect("valid");
    let carried: Vec<Vec<_>> =
        rows.iter().map(|row| row.carried.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()).collect();
    assert_eq!(carried, [[" INC-1 ", "a\r\nb"], ["=1", "last"]]);
}

#[test]
fn a_bad_row_is_named_by_line_column_and_value() {
    for (text, expected) in [
        (format!("userID,until\n\n{A},31/08/2026\n"), "in.csv:3: column `until`: `31/08/2026` is not an end date"),
        (format!("userID,until\r\n{A},+4h\r\n\r\nx,+4h\r\n"), "in.csv:4: column `userID`: `x` is not a UUID"),
        (
            format!("note,userID,until\n\"1\n2\",{A},+4h\n\"1\r\n2\",{B},2020-01-01\n"),
            "in.csv:4: column `until`: `2020-01-01` is not in the future",
        ),
        (
            format!("userID,until\n{A}\n"),
            &format!("in.csv:2: column `until`: there is no value: found 1 value, expected 2, the last being `{A}`"),
        ),
        (format!("userID,until\n{A},+4h,x\n"), "in.csv:2: `x` stands beyond the last column, `until`: found 3 values, expected 2"),
        (format!("userID,until\n{A},+4h\n{B},\"+4h\n"), "in.csv:3: column `until`: the quote before `+4h` is never closed"),
        (format!("userID,until\n{A},\n"), "in.csv:2: column `until`: `` is not an end date, and there is no `--until`"),
        ("userID,until\n,+4h\n".to_owned(), "in.csv:2: column `userID`: `` is not a UUID"),
    ] {
        let message = grant(&text).expect_err(&text);
        assert!(message.contains(expected), "{message}\nshould have: {expected}");
        assert!(message.starts_with("in.csv: 1 of "), "{message}");
    }
    let latin = [format!("userID,until,name\n{A},+4h,J").into_bytes(), vec![0xf6], b"rg\n".to_vec()].concat();
    let message = read(&latin, rules(Operation::Grant), &Dialect::default(), false).expect_err("Latin-1");
    assert!(message.contains("in.csv:2: column `name`: `J\u{fffd}rg` is not UTF-8"), "{message}");
}

#[test]
fn the_first_twenty_bad_rows_are_named_and_the_others_counted() {
    let text = format!("userID,until\n{}", "x,+4h\n".repeat(25));
    let message = grant(&text).expect_err("bad");
    assert!(
        message.starts_with("in.csv: 25 of 25 rows are invalid; nothing was sent\n  in.csv:2: column `userID`: `x` is not"),
        "{message}"
    );
    assert!(message.ends_with("; 25 rows are like this: `x` (lines 2 to 21), …"), "{message}");
}

#[test]
fn whole_inputs_that_cannot_be_meant_are_refused() {
    let utf16: Vec<u8> = "\u{feff}userID,until\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (text, expected) in [
        (b"".as_slice(), "in.csv: the input is empty"),
        (b"\xef\xbb\xbf \r\n\n", "in.csv: the input is empty"),
        (b"userID,until\n", "in.csv: there are no rows below the header"),
        (&utf16, "in.csv:1: the text is encoded as UTF-16"),
        (&utf16[2..], "in.csv:1: the text is encoded as UTF-16"),
        (b"userID\0,until", "in.csv: this is not text"),
        (&[b"userID,until".as_slice(), vec![b'x'; 70_000].as_slice()].concat(), "in.csv:1: the header is longer than 64 KiB"),
        (b"PK\x03\x04zip", "in.csv: this is an Excel workbook"),
        (b"name,until\nx,+4h\n", "in.csv:1: there is no column `userID`: the columns are `name`, `until`"),
        (b"\n\nuserID,date\nx,+4h\n", "in.csv:3: there is no column `bypassMFAEnabledUntil`"),
        (b"userID,user_id,until\nx,x,+4h\n", "in.csv:1: there are two columns `userID`"),
        (b"userID,until\rx,+4h\r", "in.csv:1: the lines end in a carriage return alone"),
    ] {
        let message = read(text, rules(Operation::Grant), &Dialect::default(), false).expect_err(expected);
        assert!(message.starts_with(expected), "{message}\nshould be: {expected}");
    }
}

#[test]
fn a_user_twice_is_a_duplicate_or_a_conflict() {
    let upper = A.to_uppercase();
    let same = format!("userID,until\n{A},2026-08-31\n{B},+4h\n{upper},2026-08-31T02:00:00+02:00\n");
    assert_eq!(asks(&grant(&same).expect("valid"))[2], format!("duplicate {A}"));

    let differs = format!("userID,until\n{A},2026-08-31\n{B},+4h\n{A},+4h\n");
    let message = grant(&differs).expect_err("conflict");
    assert!(message.starts_with("in.csv: 2 of 3 rows are invalid"), "{message}");
    assert!(
        message.contains(&format!(
            "in.csv:2: column `until`: the user {A} has the end date `2026-08-31` (`2026-08-31T00:00:00.000Z`) here, and `+4h` (`2026-02-27T14:20:30.000Z`) on line 4"
        )),
        "{message}"
    );
    assert!(
        message.contains(&format!(
            "in.csv:4: column `until`: the user {A} has the end date `+4h` (`2026-02-27T14:20:30.000Z`) here, and `2026-08-31` (`2026-08-31T00:00:00.000Z`) on line 2"
        )),
        "{message}"
    );

    let audited = read(differs.as_bytes(), rules(Operation::Audit), &Dialect::default(), false).expect("no dates, no conflict");
    assert_eq!(asks(&audited), [format!("{A} "), format!("{B} "), format!("duplicate {A}")]);
}

#[test]
fn with_skip_invalid_the_good_rows_run_and_no_row_of_a_conflict_does() {
    let text = format!("userID,until\n{A},2026-08-31\nx,+4h\n{B},+4h\n{A},+4h\n");
    let rows = read(text.as_bytes(), rules(Operation::Grant), &Dialect::default(), true).expect("rows");
    let shown = asks(&rows);
    assert!(shown[0].starts_with(&format!("invalid {A}")), "{shown:?}");
    assert!(shown[1].starts_with("invalid x ") && shown[1].contains(":3: column `userID`: `x` is not a UUID"), "{shown:?}");
    assert_eq!(shown[2], format!("{B} 2026-02-27T14:20:30.000Z"));
    assert!(shown[3].starts_with(&format!("invalid {A}")), "{shown:?}");
}

#[test]
fn a_quote_that_is_never_closed_refuses_the_input_even_with_skip_invalid() {
    let text = format!("userID,until\n{A},\"+4h\n{B},+4h\n");
    let message =
        read(text.as_bytes(), rules(Operation::Grant), &Dialect::default(), true).expect_err("it is not known which rows there are");
    assert!(message.contains("in.csv:2: column `until`: the quote before"), "{message}");
}

#[test]
fn a_users_many_rows_are_named_up_to_twenty_and_all_counted() {
    let text = format!("userID,until\n{}{A},+5h\n", format!("{A},+4h\n").repeat(99));
    let message = grant(&text).expect_err("a conflict");
    assert!(message.starts_with("in.csv: 100 of 100 rows are invalid") && message.ends_with(": lines 2 to 21, …"), "{message}");
    let rows = read(text.as_bytes(), rules(Operation::Grant), &Dialect::default(), true).expect("rows");
    assert!(asks(&rows).iter().all(|row| row.starts_with("invalid ")));
}

#[test]
fn the_delimiter_is_found_by_the_columns_that_the_user_names() {
    let named = Dialect { user_column: Some("uid".into()), ..Dialect::default() };
    let rows = read(format!("uid;a,b,c,d\n{A};x\n").as_bytes(), rules(Operation::Audit), &named, false);
    assert_eq!(asks(&rows.expect("valid")), [format!("{A} ")]);
}

#[test]
fn columns_can_be_named_and_numbered_and_an_end_date_given_for_all() {
    let until = crate::domain::parse_until("+1h", start()).expect("a span");
    let all = Rules { until: Some(until), ..rules(Operation::Grant) };
    let named = Dialect { user_column: Some("who".into()), until_column: Some("To_When".into()), ..Dialect::default() };
    let rows = read(format!("Who|towhen\n{A}|+4h\n{B}|\n").as_bytes(), all, &Dialect { delimiter: Some(b'|'), ..named }, false);
    assert_eq!(asks(&rows.expect("valid")), [format!("{A} 2026-02-27T14:20:30.000Z"), format!("{B} 2026-02-27T11:20:30.000Z")]);

    let bare = Dialect { no_headers: true, ..Dialect::default() };
    let rows = read(format!("{A};+4h\n").as_bytes(), rules(Operation::Grant), &bare, false);
    assert_eq!(asks(&rows.expect("valid")), [format!("{A} 2026-02-27T14:20:30.000Z")]);
    let third = Dialect { user_column: Some("3".into()), ..bare };
    let rows = read(format!("x,y,{A}\n").as_bytes(), rules(Operation::Audit), &third, false);
    assert_eq!(asks(&rows.expect("valid")), [format!("{A} ")]);

    let data = grant(&format!("{A},+4h\n")).expect_err("no header");
    assert!(data.starts_with("in.csv:1: there is no column `userID`"), "{data}");
}

#[test]
fn an_input_that_changes_between_the_passes_is_not_read_on() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "userID\n{A}").expect("written");
    let source = Source::open(file.path()).expect("readable");
    let rules = rules(Operation::Audit);
    let layout = Layout::of(&source, rules.operation, &Dialect::default(), false).expect("a header");
    let input = ValidInput::check(source, layout, rules, false).expect("valid");
    writeln!(file, "{B}").expect("written");
    let (send, mut receive) = mpsc::channel(10);
    let error = feed(&input, &Remaining::default(), &send).expect_err("changed");
    drop(send);
    assert_eq!(error.to_string(), "the input has changed since it was checked");
    assert!(receive.blocking_recv().is_none());
}

#[test]
fn an_input_that_is_kept_stays_what_it_was() {
    let keep = ReadOptions { keep: true, expected: None };
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    write!(file, "\u{feff}userID\n{A}\n").expect("written");
    let opened = || OpenedInput::at(file.path(), BytesRead::default()).expect("readable");
    let text = |source: &Source| io::read_to_string(source.text().expect("there")).expect("UTF-8");
    let (kept, too_late) = (opened().whole(&keep).expect("kept"), opened());
    std::fs::write(file.path(), format!("name,userID\nx,{B}\n")).expect("written");
    assert_eq!(text(&kept), format!("userID\n{A}\n"));
    let error = too_late.whole(&keep).expect_err("what it begins with is not what was looked at");
    assert_eq!(std::error::Error::source(&error).expect("a cause").to_string(), "the input changed while it was read");
}

proptest! {
    #[test]
    fn what_is_written_as_csv_is_carried_as_it_was(values in prop::collection::vec("[^\0]{0,12}", 1..8)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["note", "userID"]).expect("memory");
        for value in &values {
            writer.write_record([value, A]).expect("memory");
        }
        let text = writer.into_inner().expect("memory");
        let dialect = Dialect { delimiter: Some(b','), ..Dialect::default() };
        let rows = read(&text, rules(Operation::Audit), &dialect, false).expect("valid");
        let carried: Vec<_> = rows.iter().map(|row| String::from_utf8(row.carried[0].to_vec()).expect("UTF-8")).collect();
        prop_assert_eq!(carried, values);
    }
}
