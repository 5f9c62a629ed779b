//! Finds the users that appear more than once in the input, in bounded memory and in two steps, because most inputs have no
//! such user. First, a hash of each row's user is sorted. Only if two hashes are equal, the rows that may be affected are
//! read again and sorted by user. The result is one bit for each row that repeats another, and a list of the users whose
//! rows contradict each other.

use std::io;
use std::path::Path;

use chrono::DateTime;

use super::columns::Layout;
use super::error::{BadRow, BadRows, NAMED, RowFault};
use crate::domain::{Action, BypassUntil, RowNumber, RowSet, UserId};
use crate::external_sort::Sorter;

/// A row as integers that sort by user and then by row: the two halves of the user ID, the row number, its line, and the
/// end date.
type RowKey = [u64; 5];
const ROW: usize = 2;
const LINE: usize = 3;
const UNTIL: usize = 4;

/// The end date of operations that request none (`audit`) or the same for all rows (`end`): all rows of a user agree.
const NO_DATE: u64 = 0;

pub(super) fn row_key(action: &Action, row: RowNumber, line: u64) -> RowKey {
    let (high, low) = action.user().uuid().as_u64_pair();
    let until = match action {
        Action::Restore(_, back) => Some(back.granted),
        Action::Grant(..) | Action::LookAndGrant(..) | Action::Read(_) | Action::End(..) => action.until(),
    };
    let until = until.map_or(NO_DATE, |until| until.millis().cast_unsigned());
    [high, low, row.0, line, until]
}

/// A hash of a user's ID. Its first bits depend on the random bits of the UUID, whatever its version.
fn hash(user: UserId) -> u64 {
    let (high, low) = user.uuid().as_u64_pair();
    // Odd multipliers: 2^64 divided by the golden ratio, and one of SplitMix64's constants.
    high.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ low.wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

/// The hashes of all rows' users.
pub(super) struct Users(Sorter<1>);

impl Users {
    pub(super) fn new(folder: &Path) -> Self {
        Self(Sorter::new(folder))
    }

    pub(super) fn push(&mut self, user: UserId) -> io::Result<()> {
        self.0.push([hash(user)])
    }

    /// The users that may appear in several rows, if there are any.
    pub(super) fn suspects(self) -> io::Result<Option<Suspects>> {
        let mut suspects: Option<Suspects> = None;
        let mut before = None;
        for hash in self.0.sorted()? {
            let [hash] = hash?;
            if before.replace(hash) == Some(hash) {
                suspects.get_or_insert_with(Suspects::new).insert(hash);
            }
        }
        Ok(suspects)
    }
}

/// The users that may appear in several rows: one bit for each part of the hash's range, 1 MiB however many there are.
/// False positives are sorted out when the rows are sorted.
pub(super) struct Suspects(Vec<u64>);

/// The number of leading bits of a hash that select the suspect's bit.
const SUSPECT_BITS: u32 = 23;

impl Suspects {
    fn new() -> Self {
        Self(vec![0; 1 << (SUSPECT_BITS - u64::BITS.ilog2())])
    }

    fn place(hash: u64) -> (usize, u64) {
        let bit = hash >> (u64::BITS - SUSPECT_BITS);
        (usize::try_from(bit / 64).expect("less than a million"), 1 << (bit % 64))
    }

    fn insert(&mut self, hash: u64) {
        let (word, bit) = Self::place(hash);
        self.0[word] |= bit;
    }

    pub(super) fn include(&self, user: UserId) -> bool {
        let (word, bit) = Self::place(hash(user));
        self.0[word] & bit != 0
    }
}

fn user_of(key: RowKey) -> UserId {
    UserId::from(uuid::Uuid::from_u64_pair(key[0], key[1]))
}

/// The rows whose user also appears in an earlier row, or in another row with a different end date.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    /// The number of distinct users among the rows that were sorted.
    pub(crate) users: u64,
    /// The number of rows that repeat an earlier one and contradict none.
    pub(crate) repeated: u64,
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
    /// Classifies the row that requests `ask`.
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
pub(super) fn find_repeats(rows: Sorter<5>, name: &str, layout: &Layout, bad: &mut BadRows, skip_invalid: bool) -> io::Result<Repeats> {
    let mut repeats = Repeats::default();
    let mut group: Option<Group> = None;
    for key in rows.sorted()? {
        let key = key?;
        match &mut group {
            Some(group) if group.first[..ROW] == key[..ROW] => group.add(key, &mut repeats.duplicates),
            _ => {
                let ended = group.replace(Group::of(key));
                settle(ended, name, layout, bad, &mut repeats, skip_invalid);
            }
        }
    }
    settle(group, name, layout, bad, &mut repeats, skip_invalid);
    Ok(repeats)
}

/// The rows of one user.
struct Group {
    first: RowKey,
    /// The first row that contradicts the first.
    other: Option<RowKey>,
    rows: u64,
    /// The first rows, as many as an error message names.
    head: Vec<RowKey>,
}

impl Group {
    fn of(first: RowKey) -> Self {
        Self { first, other: None, rows: 1, head: vec![first] }
    }

    fn add(&mut self, key: RowKey, duplicates: &mut RowSet) {
        self.rows += 1;
        if self.head.len() < NAMED {
            self.head.push(key);
        }
        if key[UNTIL] == self.first[UNTIL] {
            duplicates.insert(key[ROW]);
        } else {
            self.other.get_or_insert(key);
        }
    }
}

fn settle(group: Option<Group>, name: &str, layout: &Layout, bad: &mut BadRows, repeats: &mut Repeats, skip_invalid: bool) {
    let Some(Group { first, other, rows, head }) = group else {
        return;
    };
    repeats.users += 1;
    let Some(other) = other else {
        repeats.repeated += rows - 1;
        return;
    };
    bad.add_unnamed(&conflict(layout, first, (first, other)), rows - head.len() as u64);
    for here in head {
        bad.add(BadRow { name: name.to_owned(), line: here[LINE], fault: conflict(layout, here, (first, other)) });
    }
    if skip_invalid {
        repeats.conflicts.push((first, other));
    }
}

/// The fault of the row `here`, which contradicts the `first` of its user's rows or, if it agrees with that, the `other`.
fn conflict(layout: &Layout, here: RowKey, (first, other): (RowKey, RowKey)) -> RowFault {
    let there = if here[UNTIL] == first[UNTIL] { other } else { first };
    let date = |key: RowKey| {
        let instant = DateTime::from_timestamp_millis(key[UNTIL].cast_signed());
        instant.and_then(BypassUntil::from_instant).map(|until| until.to_string()).unwrap_or_default()
    };
    RowFault::Conflict {
        column: layout.until.as_ref().map_or_else(|| "until".to_owned(), |column| column.name.clone()),
        user: user_of(here).to_string(),
        until: date(here),
        other: date(there),
        line: there[LINE],
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
            let mut users = Users::new(&std::env::temp_dir());
            let all: Vec<UserId> = (1..=20_000).map(|user| ids(user).into()).collect();
            for user in all.iter().chain(&all[..100]) {
                users.push(*user).expect("memory");
            }
            let suspects = users.suspects().expect("memory").expect("a hundred stand there twice");
            let suspected = all.iter().filter(|user| suspects.include(**user)).count();
            assert!(all[..100].iter().all(|user| suspects.include(*user)) && suspected <= 110, "{suspected}: {}", all[0]);
        }
    }
}
