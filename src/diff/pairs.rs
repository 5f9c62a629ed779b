//! Pairs each user's states in the two reports. Lines are sorted by user in bounded memory, because a report may have
//! any order and any size.

use std::iter::Peekable;

use chrono::DateTime;

use super::change::State;
use super::error::{DiffError, Fault};
use super::names::NamesPlace;
use crate::domain::{BypassUntil, Outcome, UserId};
use crate::external_sort::{Sorted, Sorter};

/// One of the two reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Old,
    New,
}

/// A line as integers that sort by user, side and line: the two halves of the user ID, the side, the line, the state, and where
/// the user's names stand.
type Key = [u64; KEY];
const KEY: usize = 6;
const SIDE: usize = 2;
const LINE: usize = 3;
const STATE: usize = 4;
const NAMES: usize = 5;

/// A user who cannot bypass MFA.
const INACTIVE: u64 = 0;
/// A user who can, with no known end date.
const ACTIVE: u64 = 1;
/// A user whose line failed: this plus the outcome. Larger values are end dates.
const FAILED: u64 = 2;
const LEAST_DATE: u64 = FAILED + Outcome::ALL.len() as u64;
/// Maps milliseconds since 1970, which may be negative, to large numbers: all years are far within 2^62.
const SIGN: u64 = 1 << 63;

fn encoded(state: State) -> u64 {
    match state {
        State::Inactive => INACTIVE,
        State::Active(None) => ACTIVE,
        State::Failed(outcome) => FAILED + outcome as u64,
        State::Active(Some(until)) => until.millis().cast_unsigned() ^ SIGN,
    }
}

fn decoded(word: u64) -> State {
    match word {
        INACTIVE => State::Inactive,
        ACTIVE => State::Active(None),
        FAILED..LEAST_DATE => State::Failed(Outcome::ALL.into_iter().find(|outcome| *outcome as u64 == word - FAILED).expect("encoded")),
        date => State::Active(DateTime::from_timestamp_millis((date ^ SIGN).cast_signed()).and_then(BypassUntil::from_instant)),
    }
}

/// The lines of both reports, in any order.
pub(super) struct Lines(Sorter<KEY>);

impl Lines {
    pub(super) fn new() -> Self {
        Self(Sorter::new(&std::env::temp_dir()))
    }

    /// Adds a line, which says that this `user` is in this `state`.
    pub(super) fn push(&mut self, side: Side, line: u64, user: UserId, state: State, names: NamesPlace) -> Result<(), DiffError> {
        let (high, low) = user.uuid().as_u64_pair();
        self.0.push([high, low, side as u64, line, encoded(state), names.packed()]).map_err(DiffError::Temporary)
    }

    /// The users in the order of their IDs; `names` are the reports' names in messages.
    pub(super) fn pairs(self, names: [String; 2]) -> Result<Pairs, DiffError> {
        Ok(Pairs { keys: self.0.sorted().map_err(DiffError::Temporary)?.peekable(), names })
    }
}

/// The users of both reports, one by one.
pub(super) struct Pairs {
    keys: Peekable<Sorted<KEY>>,
    names: [String; 2],
}

/// A user's states; `None` if the user is not in that report.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) user: UserId,
    pub(super) before: Option<State>,
    pub(super) after: Option<State>,
    /// Where the names of the user stand in the two reports.
    pub(super) names: [NamesPlace; 2],
}

impl Pairs {
    /// The next user, or `None` after the last.
    pub(super) fn next_pair(&mut self) -> Result<Option<Pair>, DiffError> {
        let Some(first) = self.keys.next().transpose().map_err(DiffError::Temporary)? else {
            return Ok(None);
        };
        let user = UserId::from(uuid::Uuid::from_u64_pair(first[0], first[1]));
        let mut sides = [View::default(), View::default()];
        let mut next = Some(first);
        while let Some(key) = next {
            let side = usize::from(key[SIDE] == Side::New as u64);
            sides[side].add(key).map_err(|other| {
                let (name, fault) = (self.names[side].clone(), Fault::Twice { user, other }.into());
                DiffError::Line { name, line: key[LINE], fault }
            })?;
            let is_the_users = |next: &Key| next[..SIDE] == first[..SIDE];
            next = self.keys.next_if(|next| next.as_ref().is_ok_and(is_the_users)).transpose().map_err(DiffError::Temporary)?;
        }
        let names = sides.each_ref().map(|side| side.names.unwrap_or(NamesPlace::NONE));
        let [before, after] = sides.map(View::state);
        Ok(Some(Pair { user, before, after, names }))
    }
}

/// What one report states about a user.
#[derive(Default)]
struct View {
    /// The line of a result that is not a failure, and its state.
    settled: Option<(u64, State)>,
    failed: Option<Outcome>,
    /// Where the names stand of the first line that has some.
    names: Option<NamesPlace>,
}

impl View {
    /// Adds a line; if it contradicts an earlier one, returns that line as the error.
    fn add(&mut self, key: Key) -> Result<(), u64> {
        let names = Some(NamesPlace::unpacked(key[NAMES])).filter(|names| *names != NamesPlace::NONE);
        self.names = self.names.or(names);
        match decoded(key[STATE]) {
            // Of several failures, always the same one, whatever their order.
            State::Failed(outcome) => self.failed = self.failed.into_iter().chain([outcome]).min_by_key(|outcome| *outcome as u64),
            state @ (State::Active(_) | State::Inactive) => {
                if let Some((line, _)) = self.settled.replace((key[LINE], state)) {
                    return Err(line);
                }
            }
        }
        Ok(())
    }

    fn state(self) -> Option<State> {
        self.failed.map(State::Failed).or(self.settled.map(|(_, state)| state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_two_states_have_the_same_code_even_where_dates_begin() {
        let failed = Outcome::ALL.into_iter().map(State::Failed);
        let around_1970 =
            (-20..20).map(|millis| State::Active(DateTime::from_timestamp_millis(millis).and_then(BypassUntil::from_instant)));
        for state in failed.chain(around_1970).chain([State::Inactive, State::Active(None)]) {
            assert_eq!(decoded(encoded(state)), state);
        }
    }

    proptest! {
        #[test]
        fn every_date_reads_back_as_it_was_written(millis in -62_135_596_800_000_i64..253_402_300_800_000) {
            let state = State::Active(DateTime::from_timestamp_millis(millis).and_then(BypassUntil::from_instant));
            prop_assert!(matches!(state, State::Active(Some(_))));
            prop_assert_eq!(decoded(encoded(state)), state);
        }
    }
}
