//! Finds the users that appear more than once in the input, in bounded memory and in two steps, because most inputs have no
//! such user. First, a hash of each row's user is sorted. Only if two hashes are equal, the rows that may be affected are
//! read again and sorted by user. The result is one bit for each row that repeats another, and a list of the users whose
//! rows contradict each other.

use std::io;

use chrono::DateTime;
use uuid::Uuid;

use super::bad_rows::{BadRows, NAMED};
use super::columns::Layout;
use super::row_fault::{DateAsWritten, RowFault};
use super::rows::Rules;
use crate::domain::{Action, BitSet, BypassUntil, EndDates, Previous, RowNumber, RowSet, UserId};
use crate::external_sort::Sorter;

/// A row as integers that sort by user and then by row: the two halves of the user ID, the row number, its line, the end date,
/// and the one before, if a grant is undone.
pub(super) type RowKey = [u64; ROW_KEY];
/// The length of a [`RowKey`].
pub(super) const ROW_KEY: usize = 6;
const ROW: usize = 2;
const LINE: usize = 3;
const UNTIL: usize = 4;
const PREVIOUS: usize = 5;

/// The end date of operations that request none (`audit`) or the same for all rows (`end`): all rows of a user agree.
const NO_DATE: u64 = 0;

pub(super) fn row_key(action: &Action, row: RowNumber, line: u64) -> RowKey {
    let (high, low) = action.user().uuid().as_u64_pair();
    let (until, previous) = match action {
        Action::Restore(_, back) => (Some(back.granted), back.previous.until()),
        Action::Grant(..) | Action::LookAndGrant(..) | Action::Read(_) | Action::End(..) => (action.until(), None),
    };
    let [until, previous] = [until, previous].map(|date| date.map_or(NO_DATE, |date| date.millis().cast_unsigned()));
    [high, low, row.0, line, until, previous]
}

/// The dates of a row, in which all rows of a user must agree.
fn dates(key: &RowKey) -> &[u64] {
    &key[UNTIL..]
}

/// A hash of a user's ID. Its first bits depend on the random bits of the UUID, whatever its version.
pub(super) fn hash(user: UserId) -> u64 {
    let (high, low) = user.uuid().as_u64_pair();
    // Odd multipliers: 2^64 divided by the golden ratio, and one of SplitMix64's constants.
    high.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ low.wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

/// The users that may appear in several rows, if there are any; `users` are the hashes of all rows' users.
pub(super) fn suspects(users: Sorter<1>) -> io::Result<Option<Suspects>> {
    let mut suspects: Option<Suspects> = None;
    let mut before = None;
    for hash in users.sorted()? {
        let [hash] = hash?;
        if before.replace(hash) == Some(hash) {
            suspects.get_or_insert_default().0.insert(Suspects::part(hash));
        }
    }
    Ok(suspects)
}

/// The number of leading bits of a hash that select the suspect's bit.
const SUSPECT_BITS: u32 = 23;

/// The users that may appear in several rows: one bit for each part of the hash's range, 1 MiB however many there are.
/// False positives are sorted out when the rows are sorted.
#[derive(Default)]
pub(super) struct Suspects(BitSet);

impl Suspects {
    /// The leading bits of a hash.
    fn part(hash: u64) -> u64 {
        hash >> (u64::BITS - SUSPECT_BITS)
    }

    pub(super) fn include(&self, user: UserId) -> bool {
        self.0.contains(Self::part(hash(user)))
    }
}

/// The rows whose user also appears in an earlier row, or in another row with a different end date.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    /// The number of rows that repeat an earlier one and contradict none.
    pub(crate) repeated: u64,
    /// The number of the shard's rows that repeat or contradict others.
    pub(crate) not_sent: u64,
    /// How many of these would give their user an earlier end date back.
    pub(crate) not_given_back: u64,
    /// Whether rows contradict each other.
    pub(super) has_conflicts: bool,
    /// The end dates of suspected users whose rows agree.
    pub(super) agreed: EndDates,
    duplicates: RowSet,
    /// For each such user, ordered by user: the first row, and the first row that contradicts it.
    conflicts: Vec<(RowKey, RowKey)>,
}

/// How a row relates to the other rows of its user.
pub(crate) enum Repeat {
    No,
    Duplicate,
    Conflict(RowFault),
}

impl Repeats {
    /// Counts a row that is not sent, if it is the shard's own.
    fn leave_out(&mut self, key: &RowKey, is_own: bool, near: u64) {
        self.not_sent += u64::from(is_own);
        self.not_given_back += u64::from(is_own && key[PREVIOUS] > near);
    }

    /// Classifies the row that requests `action`.
    pub(crate) fn of(&self, action: &Action, row: RowNumber, line: u64, layout: &Layout) -> Repeat {
        let here = row_key(action, row, line);
        match self.conflicts.binary_search_by(|(first, _)| first[..ROW].cmp(&here[..ROW])) {
            Ok(found) => Repeat::Conflict(conflict(layout, here, self.conflicts[found])),
            Err(_) if self.duplicates.contains(row.0) => Repeat::Duplicate,
            Err(_) => Repeat::No,
        }
    }
}

/// Goes through the `rows` ordered by user. Rows that contradict each other are added to `bad`. They are remembered in the
/// result only with `skip_invalid`, when the run continues without them.
pub(super) fn find_repeats(
    rows: Sorter<ROW_KEY>,
    layout: &Layout,
    bad: &mut BadRows,
    skip_invalid: bool,
    rules: &Rules,
) -> io::Result<Repeats> {
    let near = rules.operation.grace().map(|grace| grace.after(rules.start));
    // End dates after it are given back.
    let near = near.map_or(u64::MAX, |near| near.millis().cast_unsigned());
    let is_own = |key: &RowKey| rules.shard.includes(RowNumber(key[ROW]));
    let mut repeats = Repeats::default();
    let mut keys = rows.sorted()?.peekable();
    while let Some(first) = keys.next().transpose()? {
        let is_of_the_same_user = |key: &io::Result<RowKey>| key.as_ref().is_ok_and(|key| key[..ROW] == first[..ROW]);
        // The first row that contradicts the first, and as many of the later rows as a message names.
        let (mut later, mut other, mut named) = (0, None, Vec::new());
        while let Some(key) = keys.next_if(is_of_the_same_user).transpose()? {
            later += 1;
            repeats.leave_out(&key, is_own(&key), near);
            if named.len() + 1 < NAMED {
                named.push(key);
            }
            if dates(&key) == dates(&first) {
                repeats.duplicates.insert(key[ROW]);
            } else {
                other.get_or_insert(key);
            }
        }
        let Some(other) = other else {
            repeats.repeated += later;
            // A grant that is undone requests no end date.
            repeats.agreed.extend(date(first[UNTIL]).filter(|_| first[UNTIL] != NO_DATE && layout.grant.is_none()));
            continue;
        };
        repeats.leave_out(&first, is_own(&first), near);
        repeats.has_conflicts = true;
        bad.add_unnamed(&conflict(layout, first, (first, other)), later - named.len() as u64);
        for here in std::iter::once(first).chain(named) {
            bad.add(here[LINE], conflict(layout, here, (first, other)));
        }
        if skip_invalid {
            repeats.conflicts.push((first, other));
        }
    }
    Ok(repeats)
}

fn date(millis: u64) -> Option<BypassUntil> {
    DateTime::from_timestamp_millis(millis.cast_signed()).and_then(BypassUntil::from_instant)
}

/// The fault of the row `here`, which contradicts the `first` of its user's rows or, if it agrees with that, the `other`.
fn conflict(layout: &Layout, here: RowKey, (first, other): (RowKey, RowKey)) -> RowFault {
    let there = if dates(&here) == dates(&first) { other } else { first };
    let (user, line) = (UserId::from(Uuid::from_u64_pair(here[0], here[1])).to_string(), there[LINE]);
    let shown =
        |millis: u64| DateAsWritten { date: date(millis).map(|until| until.to_string()).unwrap_or_default(), ..DateAsWritten::default() };
    let column = layout.until.as_ref().or(layout.grant.as_ref().map(|columns| &columns.until));
    match &layout.grant {
        Some(columns) if here[UNTIL] == there[UNTIL] => {
            let before = |key: RowKey| match key[PREVIOUS] {
                NO_DATE => Previous::NoBypass.to_string(),
                millis => date(millis).map(|until| until.to_string()).unwrap_or_default(),
            };
            RowFault::Contradiction { column: columns.previous.name.clone(), user, previous: before(here), other: before(there), line }
        }
        Some(_) | None => RowFault::Conflict {
            column: column.map_or_else(|| "until".to_owned(), |column| column.name.clone()),
            user,
            dates: Box::new([here, there].map(|key| shown(key[UNTIL]))),
            line,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IDs as directories generate them: random ones, and sequential ones, in the first half or the second.
    #[test]
    fn few_are_suspected_without_cause() {
        let random = |user: u64| uuid::Uuid::from_u64_pair(fastrand::u64(..), user.wrapping_mul(0x2545_F491_4F6C_DD1D));
        let counted = |user: u64| uuid::Uuid::from_u64_pair(7, user);
        let counted_first = |user: u64| uuid::Uuid::from_u64_pair(user << 16, 9);
        for ids in [random as fn(u64) -> uuid::Uuid, counted, counted_first] {
            let mut users = Sorter::new(&std::env::temp_dir());
            let all: Vec<UserId> = (1..=20_000).map(|user| ids(user).into()).collect();
            for user in all.iter().chain(&all[..100]) {
                users.push([hash(*user)]).expect("memory");
            }
            let suspects = suspects(users).expect("memory").expect("a hundred stand there twice");
            let suspected = all.iter().filter(|user| suspects.include(**user)).count();
            assert!(all[..100].iter().all(|user| suspects.include(*user)) && suspected <= 110, "{suspected}: {}", all[0]);
        }
    }
}
