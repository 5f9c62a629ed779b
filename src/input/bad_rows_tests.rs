//! What the message says of bad rows, few and many.

use super::super::tests::{A, checked_input, rules};
use super::super::{Dialect, InputError, Layout, Source, ValidInput};
use super::*;
use crate::domain::Operation;

/// The message and the hint for an input of a grant.
fn told(text: &str) -> (Vec<String>, String) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    let path = file.path().display().to_string();
    let source = Source::open(file.path()).expect("readable");
    let layout = Layout::of(&source, Operation::Grant, &Dialect::default(), false).expect("a header");
    let checked = ValidInput::check(source, layout, rules(Operation::Grant), false).and_then(|input| input.approve(None));
    let error = checked.expect_err("bad rows");
    assert!(matches!(error, InputError::BadRows { .. }), "{error}");
    let lines = error.to_string().replace(&path, "in.csv").lines().map(str::to_owned).collect();
    (lines, error.hint())
}

/// An input of good rows and then others, whose users are all different.
fn input(good: usize, dates: &[&str]) -> String {
    let row = |(number, date): (usize, &str)| format!("{},{date}\n", uuid::Uuid::from_u128(number as u128));
    let dates = std::iter::repeat_n("+4h", good).chain(dates.iter().copied());
    format!("userID,until\n{}", dates.enumerate().map(row).collect::<String>())
}

#[test]
fn a_column_of_wrong_dates_is_one_line() {
    let dates: Vec<String> = (0..2000).map(|row| format!("{:02}/11/2026", 13 + row / 3 % 16)).collect();
    let (lines, hint) = told(&input(0, &dates.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(
        lines,
        [
            "in.csv: 2000 of 2000 rows are invalid; nothing was sent".to_owned(),
            "  in.csv:2: column `until`: `13/11/2026` is not an end date: expected `2026-11-13`; 2000 rows are like this: \
             `13/11/2026` (lines 2 to 4), `14/11/2026` (lines 5 to 7), `15/11/2026` (lines 8 to 10), \
             lines 11 to 21, …"
                .to_owned(),
        ]
    );
    assert!(hint.ends_with("most rows are bad") && !hint.contains("--skip-invalid"), "{hint}");
}

#[test]
fn each_fault_has_a_line_and_few_rows_have_one_each() {
    let mut dates = vec!["8h"; 5];
    dates.extend(["soon", "", "soon", "2026-11-25 17:00"]);
    dates.extend(["2020-01-01"; 4]);
    let (lines, hint) = told(&input(40, &dates));
    let expected = [
        "in.csv: 13 of 53 rows are invalid; nothing was sent",
        "  in.csv:42: column `until`: `8h` is not an end date: expected `+8h`, which counts from the start of the run; 5 rows are like this: \
         `8h` (lines 42 to 46)",
        "  in.csv:47: column `until`: `soon` is not an end date: expected `2026-02-28`, `2026-02-28T17:00:00Z` or a span such as `+4h`",
        "  in.csv:48: column `until`: `` is not an end date, and there is no `--until` for rows that have none",
        "  in.csv:49: column `until`: `soon` is not an end date: expected `2026-02-28`, `2026-02-28T17:00:00Z` or a span such as `+4h`",
        "  in.csv:50: column `until`: `2026-11-25 17:00` lacks `T` and an offset from UTC: expected `2026-11-25T17:00:00Z`, which is UTC, or \
         `2026-11-25T17:00:00+01:00`, say",
        "  in.csv:51: column `until`: `2020-01-01` is not in the future: the run started at 2026-02-27T10:20:30.000Z; 4 rows are like this: \
         `2020-01-01` (lines 51 to 54)",
    ];
    assert_eq!(lines, expected);
    assert_eq!(hint, "mend the rows, or use `--skip-invalid` to run the others and report these");
}

#[test]
fn the_rows_that_may_be_skipped_are_at_most_half() {
    for (good, bad, may) in [(1, 1, true), (1, 2, false), (0, 1, false), (500, 499, true)] {
        let (_, hint) = told(&input(good, &vec!["x"; bad]));
        assert_eq!(hint.contains("--skip-invalid"), may, "{good} {bad}");
    }
}

#[test]
fn the_first_twenty_are_named_whatever_is_wrong_with_them() {
    // Two faults in turn: of each, as many are named as are among the first twenty.
    let dates: Vec<_> = (0..60).map(|row| if row % 2 == 0 { "8h" } else { "soon" }).collect();
    let (lines, _) = told(&input(0, &dates));
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[1].ends_with("30 rows are like this: `8h` (lines 2, 4, 6, 8, 10, 12, 14, 16, 18, 20), …"), "{}", lines[1]);
    assert!(lines[2].ends_with("30 rows are like this: `soon` (lines 3, 5, 7, 9, 11, 13, 15, 17, 19, 21), …"), "{}", lines[2]);
    // A fault far behind has a few of its own.
    let mut dates = vec!["8h"; 50];
    dates.extend(["soon"; 30]);
    let (lines, _) = told(&input(0, &dates));
    assert!(lines[2].ends_with("30 rows are like this: `soon` (lines 52 to 54), …"), "{}", lines[2]);
}

#[test]
fn no_more_than_twenty_lines_are_written_and_no_row_is_lost_from_the_count() {
    let mut bad = BadRows::of("in.csv");
    for row in 0..1000_u64 {
        let column = format!("column{}", row % 100);
        bad.add(row + 2, RowFault::TooFew { column, last: "x".into(), found: 1, expected: 200 });
    }
    let text = bad.to_string();
    assert_eq!((bad.count, text.lines().count()), (1000, 22), "an empty line, twenty, and the rest: {text}");
    assert!(text.ends_with("\n  and 800 more"), "{text}");
    assert!(bad.alike.len() <= KINDS && bad.alike.iter().all(|alike| alike.first.len() <= NAMED));
}

#[test]
fn emails_in_the_column_of_user_ids_are_to_be_looked_up() {
    let rows: String = (0..9).map(|row| format!("user{row}@example.com,+4h\n")).collect();
    let (lines, hint) = told(&format!("User ID,until\n{rows}"));
    assert!(
        lines[1].contains("column `User ID`: `user0@example.com` is not a UUID: it looks like an email address; 9 rows"),
        "{}",
        lines[1]
    );
    assert_eq!(hint, "to look users up by their email addresses: `--user-column 'User ID' --lookup-by email`");
    let (lines, _) = told(&format!("userID,until\n{{{A}}},+4h\n{},+4h\n", A.replace('-', "")));
    assert!(lines[1].ends_with(&format!("`{{{A}}}` is not a UUID: expected `{A}`")), "{}", lines[1]);
    assert!(lines[2].ends_with(&format!("is not a UUID: expected `{A}`")), "{}", lines[2]);
}

#[test]
fn rows_of_a_conflict_are_named_by_their_lines() {
    let text = format!("userID,until\n{}{A},+5h\n", format!("{A},+4h\n").repeat(99));
    let message = checked_input(text.as_bytes(), rules(Operation::Grant), &Dialect::default(), false).expect_err("a conflict");
    assert!(message.starts_with("in.csv: 100 of 100 rows are invalid"), "{message}");
    assert!(message.ends_with("here, and `+5h` (`2026-02-27T15:20:30.000Z`) on line 101: expected one end date for a user; 100 rows are like this: lines 2 to 21, …"), "{message}");
    assert_eq!(message.lines().count(), 2);
}

#[test]
fn of_many_values_three_are_shown_and_the_other_lines_are_named() {
    let dates: Vec<String> = (1..=28).map(|day| format!("{:02}.11.2026", day % 15 + 13)).collect();
    let (lines, _) = told(&input(0, &dates.iter().map(String::as_str).collect::<Vec<_>>()));
    let end = "28 rows are like this: `14.11.2026` (lines 2, 17), `15.11.2026` (lines 3, 18), `16.11.2026` (lines 4, 19), lines 5 to 16, 20, 21, …";
    assert!(lines[1].ends_with(end), "{}", lines[1]);
}

#[test]
fn dates_of_rows_that_contradict_each_other_are_not_in_a_refused_plan() {
    let dates = |text: &str| {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let source = Source::open(file.path()).expect("readable");
        let layout = Layout::of(&source, Operation::Grant, &Dialect::default(), false).expect("a header");
        let checked = ValidInput::check(source, layout, rules(Operation::Grant), false).expect("a plan");
        checked.plan().dates.span().map(|dates| <[_; 2]>::from(dates).map(|date| date.to_string()))
    };
    let good = input(3, &[]);
    let expected = ["2026-02-27T14:20:30.000Z".to_owned(), "2026-02-27T14:20:30.000Z".to_owned()];
    assert_eq!(dates(&format!("{good}{A},+1h\n{A},+9h\n")), Some(expected.clone()));
    // A user who stands there twice with one date counts.
    let first = uuid::Uuid::from_u128(0);
    assert_eq!(dates(&format!("userID,until\n{first},+4h\n{first},+4h\n{A},+1h\n{A},+9h\n")), Some(expected));
    assert_eq!(dates(&format!("userID,until\n{A},+1h\n{A},+9h\n")), None);
}

#[test]
fn lines_are_shown_in_a_few_words() {
    for (lines, expected) in
        [(&[7][..], "line 7"), (&[7, 8], "lines 7, 8"), (&[7, 8, 9], "lines 7 to 9"), (&[2, 4, 5, 6, 9], "lines 2, 4 to 6, 9")]
    {
        assert_eq!(ranges(lines), expected);
    }
}
