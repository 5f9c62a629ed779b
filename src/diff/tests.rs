//! Compares arbitrary reports, and checks the result against a naive comparison with maps in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::Read;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::{Counts, Outcome};

/// A line of a report: a user, a result, and a day on which the bypass ends, or none.
#[derive(Debug, Clone, Copy)]
struct Line(u128, Outcome, Option<u32>);

impl Line {
    fn user(self) -> String {
        Uuid::from_u128(self.0).to_string()
    }

    fn until(self) -> String {
        self.2.map(|day| format!("2026-08-{day:02}T17:00:00.000Z")).unwrap_or_default()
    }
}

/// A report of these lines, with a column before the relevant ones and one after.
fn report(lines: &[Line]) -> String {
    let text = |line: &Line| format!("n,{},{},{},,x\n", line.until(), line.1, line.user());
    format!("team,bypassMFAEnabledUntil,result,userID,canBypassMFA,other\n{}", lines.iter().map(text).collect::<String>())
}

fn compared(old: &str, new: &str) -> Result<(String, Summary), DiffError> {
    let folder = tempfile::tempdir().expect("a folder");
    let [old, new] = [("old.csv", old), ("new.csv", new)].map(|(name, text)| {
        std::fs::write(folder.path().join(name), text).expect("written");
        folder.path().join(name)
    });
    let mut found = compare(&old, &new)?;
    let mut text = String::new();
    found.changes.read_to_string(&mut text).expect("UTF-8");
    Ok((text, found.summary))
}

/// Whether a line with this result, which is no failure, means that the user can bypass MFA; an ended bypass runs until
/// the line's date, if it has one.
fn can_bypass(outcome: Outcome, has_date: bool) -> bool {
    ["granted", "kept", "restored", "active"].contains(&outcome.name()) || (outcome.name() == "ended" && has_date)
}

/// Whether a line with this result leaves open what is so.
fn is_open(outcome: Outcome) -> bool {
    outcome.counts() == Counts::Failure || outcome == Outcome::Untouched
}

/// What a report states about each user, as the changes show it, and whether that is a failure; computed naively.
fn naive_states(lines: &[Line]) -> BTreeMap<String, (bool, String)> {
    let mut states = BTreeMap::new();
    let users: BTreeSet<String> = lines.iter().filter(|line| line.1 != Outcome::Duplicate).map(|line| line.user()).collect();
    for user in users {
        let own = || lines.iter().filter(|line| line.user() == user && line.1 != Outcome::Duplicate);
        let failed = own().filter(|line| is_open(line.1)).min_by_key(|line| line.1 as usize);
        let state = match (failed, own().next()) {
            (Some(line), _) => (true, line.1.to_string()),
            (None, Some(line)) if !can_bypass(line.1, line.2.is_some()) => (false, "inactive".to_owned()),
            (None, Some(line)) if line.2.is_none() => (false, "active".to_owned()),
            (None, line) => (false, line.expect("the user has a line").until()),
        };
        states.insert(user, state);
    }
    states
}

fn naive(old: &[Line], new: &[Line]) -> String {
    let [old, new] = [naive_states(old), naive_states(new)];
    let mut text = "userID,change,before,after\n".to_owned();
    for user in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let nothing = (false, String::new());
        let (before, after) = (old.get(user).unwrap_or(&nothing), new.get(user).unwrap_or(&nothing));
        let change = match (before.1.as_str(), after.1.as_str()) {
            _ if before.0 || after.0 => "undetermined",
            (before, after) if before == after => continue,
            ("", _) => "added",
            (_, "") => "removed",
            ("inactive", _) => "new",
            (_, "inactive") => "lapsed",
            ("active", _) | (_, "active") => "undetermined",
            (before, after) if before < after => "extended",
            _ => "shortened",
        };
        writeln!(text, "{user},{change},{},{}", before.1, after.1).expect("memory");
    }
    text
}

/// Lines in any order; no user has two settled ones.
fn lines() -> impl Strategy<Value = Vec<Line>> {
    let line = (0_u128..12, prop::sample::select(&Outcome::ALL), prop::option::of(1_u32..4));
    let lines = prop::collection::vec(line.prop_map(|(user, outcome, day)| Line(user << 60, outcome, day)), 0..25);
    let sound = lines.prop_map(|mut lines| {
        let mut settled = BTreeSet::new();
        lines.retain(|line| line.1.counts() != Counts::Success || settled.insert(line.0));
        lines
    });
    sound.prop_shuffle()
}

proptest! {
    #[test]
    fn two_reports_in_any_order_are_compared_as_two_maps_are(old in lines(), new in lines()) {
        let (text, summary) = compared(&report(&old), &report(&new)).expect("sound reports");
        let expected = naive(&old, &new);
        prop_assert_eq!(&text, &expected);
        let counted = expected.lines().skip(1).filter(|line| !line.contains(",undetermined,")).count();
        prop_assert_eq!(summary.changes(), counted as u64);
        let users: BTreeSet<_> = old.iter().chain(&new).filter(|line| line.1 != Outcome::Duplicate).map(|line| line.0).collect();
        prop_assert_eq!(summary.users, users.len() as u64);
    }

    #[test]
    fn no_text_panics(text in "[\"\n\r,;\tuserIDltx0-9a-f-]{0,80}") {
        let _: Result<_, _> = compared(&text, &text);
        let _: Result<_, _> = compared(&report(&[]), &(report(&[]) + &text));
    }
}

#[test]
fn every_result_has_its_state() {
    for outcome in Outcome::ALL {
        let old = [Line(1, Outcome::Inactive, None)];
        let (text, summary) = compared(&report(&old), &report(&[Line(1, outcome, Some(31))])).expect("sound reports");
        let change = text.lines().nth(1).and_then(|line| line.split(',').nth(1));
        let expected = match outcome.counts() {
            Counts::Success => can_bypass(outcome, true).then_some("new"),
            Counts::Failure => Some("undetermined"),
            Counts::Neither if is_open(outcome) => Some("undetermined"),
            Counts::Neither => Some("removed"),
        };
        assert_eq!(change, expected, "{outcome}");
        assert_eq!(summary.unmatched, 0);
    }
}

#[test]
fn a_failed_line_without_a_user_id_is_counted_separately() {
    let failed = report(&[Line(1, Outcome::Invalid, None)]).replace(&Uuid::from_u128(1).to_string(), "x");
    let (text, summary) = compared(&failed, &failed).expect("sound reports");
    assert_eq!(text.lines().count(), 1);
    assert_eq!((summary.users, summary.unmatched, summary.changes()), (0, 2, 0));
    let settled = failed.replace("invalid", "active");
    assert!(matches!(compared(&failed, &settled), Err(DiffError::Line { line: 2, .. })));
}
