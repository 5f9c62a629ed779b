//! Tests of a grant's report as the input of `end --restore`.

use std::time::Duration;

use tokio::sync::mpsc;

use super::tests::{A, B, rules};
use super::*;
use crate::domain::{Action, Grace, Operation};

const HEADER: &str = "row,userID,result,canBypassMFA,bypassMFAEnabledUntil,requestedUntil,previousUntil,errorMessage,team";
const GRANTED: &str = "2026-02-28T10:00:00.000Z";
const REQUESTED: &str = "2026-02-28T11:00:00.000Z";
const BEFORE: &str = "2026-02-27T20:00:00.000Z";

fn restore() -> Operation {
    Operation::Restore(Grace::try_from(Duration::from_secs(60)).expect("a grace"))
}

/// A line of a report: the user, the result, the end date answered and the one before.
fn line((user, result, granted, previous): (&str, &str, &str, &str)) -> String {
    format!("1,{user},{result},true,{granted},{REQUESTED},{previous},m,x\n")
}

fn report(lines: &[(&str, &str, &str, &str)]) -> String {
    format!("{HEADER}\n{}", lines.iter().copied().map(line).collect::<String>())
}

/// The checked report, or the error message and the hint.
fn read(text: &str, skip_invalid: bool) -> Result<ValidInput, (String, String)> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    let rules = rules(restore());
    let input = Source::open(file.path()).and_then(|source| {
        let layout = Layout::of(&source, rules.operation, &Dialect::default(), false)?;
        ValidInput::check(source, layout, rules, skip_invalid)?.approve(None)
    });
    input.map_err(|error| (error.to_string(), error.hint()))
}

/// What is to be done for each row.
fn asks(input: &ValidInput) -> Vec<String> {
    let (send, mut receive) = mpsc::channel(READ_TOGETHER);
    feed(input, &Remaining::default(), &send).expect("unchanged");
    drop(send);
    let shown = |work: Work| match work {
        Work::Send(Action::Restore(user, back)) => format!("{user} from {} to {}", back.granted, back.previous),
        Work::Duplicate(action) => format!("duplicate {}", action.user()),
        Work::Untouched { user, result } => format!("untouched {user} {result}"),
        Work::Invalid { user, why } => format!("invalid {user} {why}"),
        work @ (Work::Send(_) | Work::Expired(..) | Work::Unresolved { .. }) => panic!("{work:?}"),
    };
    std::iter::from_fn(|| receive.blocking_recv()).map(|row| shown(row.work)).collect()
}

#[test]
fn what_a_grant_changed_is_to_be_undone_and_nothing_else() {
    let c = "00000000-0000-4000-8000-00000000000c";
    let text = report(&[
        (A, "granted", GRANTED, BEFORE),
        (B, "granted", GRANTED, "none"),
        // The grant may have been carried out: then the user has what it asked for.
        (c, "unknown", "", BEFORE),
        ("00000000-0000-4000-8000-00000000000d", "mismatch", GRANTED, "2027-01-01T00:00:00.000Z"),
        ("00000000-0000-4000-8000-00000000000e", "mismatch", "", ""),
        ("00000000-0000-4000-8000-00000000000f", "kept", GRANTED, GRANTED),
        (A, "duplicate", "", ""),
        ("", "ambiguous", "", ""),
        ("nobody", "invalid", "", ""),
        (c, "not_found", "", ""),
        ("x", "failed", "", BEFORE),
    ]);
    let input = read(&text, false).expect("valid");
    let expected = [
        format!("{A} from {GRANTED} to {BEFORE}"),
        format!("{B} from {GRANTED} to none"),
        format!("{c} from {REQUESTED} to {BEFORE}"),
        format!("00000000-0000-4000-8000-00000000000d from {GRANTED} to 2027-01-01T00:00:00.000Z"),
        "untouched 00000000-0000-4000-8000-00000000000e mismatch".to_owned(),
        "untouched 00000000-0000-4000-8000-00000000000f kept".to_owned(),
        format!("untouched {A} duplicate"),
        "untouched  ambiguous".to_owned(),
        "untouched nobody invalid".to_owned(),
        format!("untouched {c} not_found"),
        "untouched x failed".to_owned(),
    ];
    assert_eq!(asks(&input), expected);
    let Plan { rows, to_send, untouched, given_back, duplicates, .. } = *input.plan();
    assert_eq!((rows, to_send, untouched, given_back, duplicates), (11, 4, 7, 3, 0));
    assert_eq!(input.layout.carried_names().collect::<Vec<_>>(), ["team"]);
}

#[test]
fn two_lines_of_one_user_must_agree() {
    let text = report(&[(A, "unknown", "", "none"), (A, "granted", REQUESTED, "none"), (B, "granted", GRANTED, "none")]);
    let input = read(&text, false).expect("valid");
    assert_eq!(asks(&input)[1], format!("duplicate {A}"));
    let text = report(&[(A, "granted", GRANTED, "none"), (A, "granted", REQUESTED, "none")]);
    assert!(read(&text, false).expect_err("they disagree").0.contains("2 of 2 rows are invalid"));
}

#[test]
fn two_lines_of_one_user_must_agree_about_what_was_there_before() {
    let text = report(&[(A, "granted", GRANTED, BEFORE), (A, "granted", GRANTED, "none"), (B, "granted", GRANTED, BEFORE)]);
    let (error, _) = read(&text, false).expect_err("they disagree");
    for expected in [
        "2 of 3 rows are invalid".to_owned(),
        format!(":2: column `previousUntil`: `{A}` had `{BEFORE}` here, and `none` on line 3: expected one for a user"),
        format!(":3: column `previousUntil`: `{A}` had `none` here, and `{BEFORE}` on line 2: expected one for a user"),
    ] {
        assert!(error.contains(&expected), "{expected}\n{error}");
    }
    assert_eq!(read(&text, true).expect("the other runs").plan().given_back, 1);
}

#[test]
fn a_repeated_line_gives_nothing_back_a_second_time() {
    let text = report(&[(A, "granted", GRANTED, BEFORE), (A, "granted", GRANTED, BEFORE), (B, "granted", GRANTED, "none")]);
    let input = read(&text, false).expect("valid");
    let Plan { to_send, given_back, duplicates, .. } = *input.plan();
    assert_eq!((to_send, given_back, duplicates), (2, 1, 1));
}

#[test]
fn the_report_of_another_command_is_refused_with_a_hint() {
    for result in ["active", "inactive", "ended", "restored", "changed", "untouched"] {
        let (error, hint) = read(&report(&[(A, result, GRANTED, BEFORE)]), false).expect_err("no grant has it");
        assert!(error.contains(&format!("column `result`: `{result}` is not a result of a grant")), "{error}");
        assert!(hint.contains("not that of an audit or an end"), "{hint}");
    }
}

#[test]
fn rows_that_do_not_tell_what_was_there_before_are_refused_with_a_hint() {
    let text = report(&[(A, "granted", GRANTED, ""), (B, "granted", GRANTED, "none")]);
    let (error, hint) = read(&text, false).expect_err("nobody looked");
    assert!(error.contains(":2: column `previousUntil`: `` does not tell what the user had before the grant"), "{error}");
    assert!(hint.contains("`--look-first`"), "{hint}");
    let input = read(&text, true).expect("the others run");
    let asked = asks(&input);
    assert!(asked[0].starts_with(&format!("invalid {A} ")) && asked[1] == format!("{B} from {GRANTED} to none"), "{asked:?}");
}

#[test]
fn a_line_that_no_grant_has_written_is_refused() {
    for (line, expected) in [
        ((A, "graned", GRANTED, "none"), "column `result`: `graned` is not a result of a grant"),
        ((A, "granted", "28/02/2026", "none"), "column `bypassMFAEnabledUntil`: `28/02/2026` is not an end date that was granted"),
        ((A, "granted", "", "none"), "column `bypassMFAEnabledUntil`: `` is not an end date that was granted"),
        ((A, "granted", GRANTED, "never"), "column `previousUntil`: `never` is not what a user had before"),
        (
            (A, "granted", GRANTED, GRANTED),
            &*format!("column `previousUntil`: `{GRANTED}` is not before `{GRANTED}`, which the grant gave"),
        ),
        (("x", "granted", GRANTED, "none"), "column `userID`: `x` is not a UUID"),
    ] {
        let (error, _) = read(&report(&[line]), false).expect_err("bad");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_file_that_is_no_report_of_a_grant_that_looked_is_refused_with_a_hint() {
    for column in ["result", "bypassMFAEnabledUntil", "requestedUntil", "previousUntil", "userID"] {
        let text = report(&[(A, "granted", GRANTED, "none")]).replacen(column, "x", 1);
        let (error, hint) = read(&text, false).expect_err("a column is missing");
        assert!(error.contains(&format!("there is no column `{column}`")), "{error}");
        assert!(hint.contains("the report of a `grant --look-first`"), "{hint}");
    }
}

/// `NAME.failed.csv` of an end has two columns more, whose names are those of the report that it was made of.
#[test]
fn the_failed_rows_of_a_restore_are_an_input_of_their_own() {
    let text =
        report(&[(A, "granted", GRANTED, "none")]).replace("team\n", "team,result,errorMessage\n").replace(",x\n", ",x,failed,no answer\n");
    let input = read(&text, false).expect("valid");
    assert_eq!(asks(&input), [format!("{A} from {GRANTED} to none")]);
    let mut rows = input.original_rows().expect("rows");
    assert_eq!(rows.header().expect("a header").len(), HEADER.split(',').count());
    assert_eq!(rows.row(1, &ByteRecord::new()).expect("a row").iter().next_back(), Some(&b"x"[..]));
}
