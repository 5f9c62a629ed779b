//! Tests that a grant which looks first can be undone. Both runs are killed or stopped at any point and resumed, against a PingOne
//! that may behave differently each time, with the program's own files.

use std::collections::HashMap;

use chrono::{TimeDelta, Utc};
use proptest::prelude::*;

use super::doubt_tests::{End, LOOK_AND_GRANT, Life, World, life};
use crate::domain::{BypassUntil, Counts, Outcome};
use crate::fuzz::cases;
use crate::run::script::now;

const RESTORE: &[&str] = &["end", "--restore", "--skip-invalid"];

/// What a user has at first.
#[derive(Debug, Clone, Copy)]
enum Has {
    Nothing,
    /// A bypass that runs for days, but not as long as the grant's.
    Shorter,
    /// One that ends while the run goes on.
    Ending(i64),
    Longer,
}

impl Has {
    fn until(self, row: u64) -> Option<BypassUntil> {
        // Each row has a date of its own.
        let own = TimeDelta::minutes(i64::try_from(row).expect("few"));
        let until = match self {
            Self::Nothing => return None,
            Self::Shorter => now() + TimeDelta::days(2) + own,
            Self::Ending(seconds) => now() + TimeDelta::seconds(seconds),
            // The grant's date counts from the machine's own time, which is years ahead of the script's.
            Self::Longer => Utc::now() + TimeDelta::days(2) + own,
        };
        BypassUntil::from_instant(until)
    }
}

fn has() -> impl Strategy<Value = Has> {
    prop_oneof![3 => Just(Has::Nothing), 3 => Just(Has::Shorter), 1 => (1..60_i64).prop_map(Has::Ending), 2 => Just(Has::Longer)]
}

/// Rows, and the lives of the processes of both runs.
fn lives() -> impl Strategy<Value = (Vec<Has>, Vec<Life>, Vec<Life>)> {
    prop::collection::vec(has(), 1..10).prop_flat_map(|users| {
        let rows = users.len();
        let kept = |lives: Vec<Life>, keeps: bool| lives.into_iter().map(|life| if keeps { durable(life) } else { life }).collect();
        let first = (prop::collection::vec(life(rows), 0..4), prop::bool::weighted(0.7)).prop_map(move |(lives, keeps)| kept(lives, keeps));
        (Just(users), first, prop::collection::vec(life(rows), 0..4))
    })
}

/// The same process, except that what it has written stays written, as it does after `kill -9`.
fn durable(life: Life) -> Life {
    let end = match life.end {
        End::Killed { after, .. } => End::Killed { after, kept: 1.0 },
        End::Starved { after, .. } => End::Starved { after, kept: 1.0 },
        end @ (End::Own | End::Stopped { .. }) => end,
    };
    Life { end, ..life }
}

/// A process that is left alone.
fn last(rows: usize) -> Life {
    Life { scripts: vec![Vec::new(); rows], end: End::Own, max_attempts: 8, give_up_after: 600, is_late: false }
}

/// Runs `command` to its end.
fn run(world: &mut World, lives: &[Life], rows: usize) -> bool {
    for life in lives {
        world.live(life);
    }
    matches!(world.live(&last(rows)), Some(0 | 1))
}

/// Whether a process lost lines that were written, as a power cut or a full disk may have it.
fn loses_lines(lives: &[Life]) -> bool {
    lives.iter().any(|life| match life.end {
        End::Killed { kept, .. } | End::Starved { kept, .. } => kept < 1.0,
        End::Own | End::Stopped { .. } => false,
    })
}

/// Compares what users have with what they had. `granted` and `undone` are the lines of the two reports.
fn compare(
    before: &HashMap<u64, BypassUntil>,
    world: &World,
    granted: &HashMap<u64, (Outcome, String)>,
    is_durable: bool,
) -> Result<(), TestCaseError> {
    // Each process's clock starts again, before the end of the previous one.
    let soon = BypassUntil::from_instant(now() + TimeDelta::hours(1)).expect("in range");
    let undone = world.reported();
    prop_assert_eq!(undone.len(), granted.len(), "every row has a line");
    for (row, (outcome, _)) in undone {
        let (had, has) = (before.get(&row).copied(), world.bypasses.get(&row).copied());
        let what = format!("row {row}: {}, then {outcome}: had {had:?}, has {has:?}", granted[&row].0);
        let failed = outcome.counts() == Counts::Failure && outcome != Outcome::Changed;
        if outcome == Outcome::Invalid {
            // What was there before is not known, and nothing was sent.
            prop_assert!(!is_durable || has == had, "{}", what);
        } else if had.is_some_and(|had| had > soon) {
            prop_assert!(failed || has == had, "{}", what);
        } else {
            prop_assert!(failed || has.is_none_or(|has| has <= soon), "{}", what);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(64))]

    /// Nobody whom nobody else has touched has a bypass that ends later than before, but for the near date, and nobody has lost
    /// one; unless the report says of the row that it failed.
    #[test]
    fn whatever_happens_nobody_gains_or_loses_by_a_grant_that_is_undone((users, first, second) in lives()) {
        let rows = users.len();
        let mut world = World::new(LOOK_AND_GRANT, rows);
        world.bypasses = (1..).zip(&users).filter_map(|(row, has)| Some((row, has.until(row)?))).collect();
        let before = world.bypasses.clone();
        prop_assert!(run(&mut world, &first, rows), "the grant has a report");
        let granted = world.reported();
        world.begin(RESTORE, ["r.csv", "undone.csv"]);
        prop_assert!(run(&mut world, &second, rows), "the end has a report");
        compare(&before, &world, &granted, !loses_lines(&first))?;
    }
}
