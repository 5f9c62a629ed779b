//! The plan's counts, what is refused, and the rows of a resumed run.

use super::tests::{A, B, checked_input, rules};
use super::*;
use crate::domain::{Action, Operation, Resolution};

const C: &str = "1a94b96e-0364-463b-a059-d97d1e4cb1d5";

fn grant(text: &str, skip_invalid: bool) -> ValidInput {
    checked_input(text.as_bytes(), rules(Operation::Grant), &Dialect::default(), skip_invalid).expect("valid")
}

#[test]
fn the_plan_adds_up() {
    let text = format!("userID,until\n{A},+4h\n{A},+4h\n{A},+4h\nx,+4h\n{B},soon\n{B},+5h\n{C},+1h\n{C},+2h\n");
    let plan = grant(&text, true).plan().clone();
    assert_eq!((plan.rows, plan.duplicates, plan.to_send), (8, 2, 2), "{plan:?}");
    let invalid = [("with several end dates for one user", 2), ("without a UUID", 1), ("without an end date that can be read", 1)];
    assert_eq!(plan.invalid, invalid.into());
    let date = |text: &str| rules(Operation::Grant).read_until(text).expect("a date");
    assert_eq!(plan.dates.span(), Some((date("+4h"), date("+5h"))), "no date of a row that is left out");
    assert_eq!((plan.lookups.rows, plan.lookups.is_complete()), (0, true));
    let apart = grant(&format!("userID,until\n{A},+4h\n{B},+4h\n{C},+4h\n"), false).plan().clone();
    assert_eq!((apart.rows, apart.duplicates, apart.to_send), (3, 0, 3));
}

#[test]
fn the_plan_of_rows_that_are_looked_up_adds_up_before_and_after() {
    let text = "email,until\na@x,+4h\nb@x,+4h\nA@x,+4h\nc@x,+4h\n";
    let before = grant(text, false);
    let plan = before.plan().clone();
    assert_eq!((plan.rows, plan.lookups.rows, plan.lookups.found, plan.to_send), (4, 4, 0, 4));
    assert!(!plan.lookups.is_complete(), "no user has been looked up");
    let resolved = ResolvedUsers::new(&std::env::temp_dir(), before.rows()).expect("a file");
    let unresolved = |outcome| Resolution::Unresolved(outcome, Box::default());
    let resolution = [
        Resolution::User(A.parse().expect("a UUID")),
        unresolved(Outcome::NotFound),
        Resolution::User(A.parse().expect("a UUID")),
        unresolved(Outcome::Ambiguous),
    ];
    for (row, resolution) in (1..).zip(&resolution) {
        resolved.set(RowNumber(row), resolution).expect("written");
    }
    let after = before.with_users(resolved).expect("valid");
    let plan = after.plan();
    assert_eq!((plan.rows, plan.duplicates, plan.to_send), (4, 1, 1), "{plan:?}");
    assert_eq!((plan.lookups.rows, plan.lookups.found, plan.lookups.is_complete()), (4, 2, true));
    let of = |outcome| plan.lookups.of(outcome);
    assert_eq!((of(Outcome::NotFound), of(Outcome::Ambiguous), of(Outcome::Rejected)), (1, 1, 0));
    for (found, unresolved, rows, is_complete) in [(0, 0, 0, true), (1, 2, 3, true), (1, 2, 2, false), (3, 0, 3, true), (2, 0, 3, false)] {
        let mut lookups = LookupCounts { rows, found, ..LookupCounts::default() };
        (0..unresolved).for_each(|_| lookups.unresolved.add(Outcome::NotFound));
        assert_eq!(lookups.is_complete(), is_complete, "{lookups:?}");
    }
    let (send, mut receive) = mpsc::channel(READ_TOGETHER);
    feed(&after, &Remaining::default(), &send).expect("unchanged");
    drop(send);
    let (origins, works): (Vec<_>, Vec<_>) = std::iter::from_fn(|| receive.blocking_recv()).map(|row| (row.origin, row.work)).unzip();
    let origins: Vec<_> = origins.iter().map(|origin| (origin.line, origin.named.as_deref())).collect();
    assert_eq!(origins, [(Some(2), Some("a@x")), (Some(3), Some("b@x")), (Some(4), Some("A@x")), (Some(5), Some("c@x"))]);
    assert!(matches!(&works[..], [Work::Send(_), Work::Unresolved { .. }, Work::Duplicate(_), Work::Unresolved { .. }]), "{works:?}");
}

#[test]
fn as_many_rows_as_may_be_are_approved_and_not_one_more() {
    let text = format!("userID,until\n{A},+4h\n{B},+4h\n");
    for (most, approved) in [(Some(1), false), (Some(2), true), (Some(3), true), (None, true)] {
        assert_eq!(grant(&text, false).approve(most).is_ok(), approved, "{most:?}");
    }
    // From `sha256sum`.
    for (text, expected) in [
        ("userID\n7e94b96e-0364-463b-a059-d97d1e4cb1d5\n", "5cfc269751401c7cf15eb3691f014f84b435d1726cb43f1bdc4bd9c581268701"),
        ("\u{feff}userID\n7e94b96e-0364-463b-a059-d97d1e4cb1d5\n", "b1554dd2b1ab218800a66b2bdfe898ee19b69ea6082accb76087d3bcfa12066a"),
    ] {
        let input = checked_input(text.as_bytes(), rules(Operation::Audit), &Dialect::default(), false).expect("valid");
        assert_eq!(input.sha256(), expected, "{text}");
    }
}

#[test]
fn rows_that_failed_are_written_as_the_input_has_them() {
    let written = |text: &str, dialect: &Dialect, number| {
        let input = checked_input(text.as_bytes(), rules(Operation::Grant), dialect, false).expect("valid");
        let mut rows = input.original_rows().expect("readable");
        let row = rows.row(number, &ByteRecord::new()).expect("a row");
        let joined = |record: &ByteRecord| record.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join("|");
        let own = rows.header().map_or("none".to_owned(), |header| joined(&header));
        (own, joined(&row))
    };
    let is = |header: &str, row: &str| (header.to_owned(), row.to_owned());
    let text = format!("note,userID,until\nx,{A},+4h\ny,{B},+5h\n");
    assert_eq!(written(&text, &Dialect::default(), 2), is("note|userID|until", &format!("y|{B}|+5h")));
    let again = format!("note,userID,until,result,errorMessage\nx,{A},+4h,failed,no\ny,{B},+5h,failed,no\n");
    assert_eq!(written(&again, &Dialect::default(), 1), is("note|userID|until", &format!("x|{A}|+4h")), "what a run wrote is not its own");
    let bare = Dialect { no_headers: true, ..Dialect::default() };
    assert_eq!(written(&format!("{A},+4h,x\n{B},+5h,y\n"), &bare, 2), is("none", &format!("{B}|+5h|y")));
}

#[test]
fn what_may_have_been_sent_is_in_doubt_and_a_date_that_has_passed_is_not_asked_for() {
    let remaining = Remaining { again: [(7, Outcome::Unknown), (8, Outcome::Failed)].into(), in_doubt_up_to: 3, ..Remaining::default() };
    let doubted: Vec<u64> = (1..10).filter(|row| remaining.doubts(RowNumber(*row))).collect();
    assert_eq!(doubted, [1, 2, 3, 7]);
    let until = rules(Operation::Grant).read_until("+4h").expect("a date");
    let work = || Work::Send(Action::Grant(A.parse().expect("a UUID"), until));
    for (later, row, expected) in
        [(-1, 4, None), (0, 4, Some(Outcome::Invalid)), (1, 2, Some(Outcome::Unknown)), (1, 8, Some(Outcome::Failed))]
    {
        let resumed = Some(until.instant() + chrono::TimeDelta::milliseconds(later));
        let remaining = Remaining { resumed, again: remaining.again.clone(), in_doubt_up_to: 3, ..Remaining::default() };
        let passed = match remaining.unless_expired(work(), RowNumber(row)) {
            Work::Expired(_, outcome) => Some(outcome),
            Work::Send(_) | Work::Duplicate(_) | Work::Unresolved { .. } | Work::Untouched { .. } | Work::Invalid { .. } => None,
        };
        assert_eq!(passed, expected, "{later} ms, row {row}");
    }
}
