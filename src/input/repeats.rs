//! Which users stand in the input more than once? Found in bounded memory, and in two steps, since most
//! inputs hold nobody twice: first a hash of each row's user is sorted; only if two are the same, the rows
//! that may be meant are read again and sorted by their users. What is kept in the end is a bit for each row
//! that repeats another, and the users whose rows contradict each other.

use std::io;
use std::path::Path;

use chrono::DateTime;

use super::columns::Layout;
use super::error::{BadRow, BadRows, NAMED, RowFault};
use crate::domain::{Action, BypassUntil, RowNumber, RowSet, UserId};
use crate::external_sort::Sorter;

/// One row's user and end date, as integers that sort by user and then by row: the two halves of the user
/// ID, the row, its line, the end date.
type Seen = [u64; 5];
const ROW: usize = 2;
const LINE: usize = 3;
const UNTIL: usize = 4;

/// An audit asks for no end date, and who ends a bypass for none that differ: all rows of a user agree.
const NO_DATE: u64 = 0;

pub(super) fn seen(action: &Action, row: RowNumber, line: u64) -> Seen {
    let (high, low) = action.user().uuid().as_u64_pair();
    let until = action.until().map_or(NO_DATE, |until| until.millis().cast_unsigned());
    [high, low, row.0, line, until]
}

/// A hash of a user's ID, whose first bits depend on the random ones of a UUID, of whatever version.
fn hash(user: UserId) -> u64 {
    let (high, low) = user.uuid().as_u64_pair();
    // Odd multipliers: the golden ratio's, and one of SplitMix64's.
    high.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ low.wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

/// The users of all rows, by their hashes.
pub(super) struct Users(Sorter<1>);

impl Users {
    pub(super) fn new(folder: &Path) -> Self {
        Self(Sorter::new(folder))
    }

    pub(super) fn push(&mut self, user: UserId) -> io::Result<()> {
        self.0.push([hash(user)])
    }

    /// Those who may stand in several rows, if there are any.
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

/// Users who may stand in several rows: a bit for each part of the hash's range, so that however many there
/// are, they take a mebibyte. Whoever is suspected without cause is found out when the rows are sorted.
pub(super) struct Suspects(Vec<u64>);

/// The bits of a hash that choose the suspect's bit.
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

fn user_of(seen: Seen) -> UserId {
    UserId::from(uuid::Uuid::from_u64_pair(seen[0], seen[1]))
}

/// The rows whose user stands in an earlier row too, or in another with a different end date.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    /// How many different users there are among the rows that were looked through.
    pub(crate) users: u64,
    /// How many rows repeat an earlier one, and contradict none.
    pub(crate) repeated: u64,
    duplicates: RowSet,
    /// In the order of the users: the user's first row, and the first that contradicts it.
    conflicts: Vec<(Seen, Seen)>,
}

/// What a row is besides its own values.
pub(crate) enum Repeat {
    No,
    Duplicate,
    Conflict(RowFault),
}

impl Repeats {
    /// What the row is that asks for `action`.
    pub(crate) fn of(&self, action: &Action, row: RowNumber, line: u64, layout: &Layout) -> Repeat {
        let here = seen(action, row, line);
        match self.conflicts.binary_search_by(|(first, _)| first[..ROW].cmp(&here[..ROW])) {
            Ok(found) => Repeat::Conflict(conflict(layout, here, self.conflicts[found])),
            Err(_) if self.duplicates.contains(row.0) => Repeat::Duplicate,
            Err(_) => Repeat::No,
        }
    }
}

/// Walks through the `rows` in the order of their users. Those that contradict each other are `bad`; they are
/// kept only if the run may `go_on` without them.
pub(super) fn find_repeats(rows: Sorter<5>, name: &str, layout: &Layout, bad: &mut BadRows, go_on: bool) -> io::Result<Repeats> {
    let mut repeats = Repeats::default();
    let mut group: Option<Group> = None;
    for seen in rows.sorted()? {
        let seen = seen?;
        match &mut group {
            Some(group) if group.first[..ROW] == seen[..ROW] => group.add(seen, &mut repeats.duplicates),
            _ => {
                let ended = group.replace(Group::of(seen));
                settle(ended, name, layout, bad, &mut repeats, go_on);
            }
        }
    }
    settle(group, name, layout, bad, &mut repeats, go_on);
    Ok(repeats)
}

/// The rows of one user.
struct Group {
    first: Seen,
    /// The first row that contradicts the first.
    other: Option<Seen>,
    rows: u64,
    /// As many as are named.
    head: Vec<Seen>,
}

impl Group {
    fn of(first: Seen) -> Self {
        Self { first, other: None, rows: 1, head: vec![first] }
    }

    fn add(&mut self, seen: Seen, duplicates: &mut RowSet) {
        self.rows += 1;
        if self.head.len() < NAMED {
            self.head.push(seen);
        }
        if seen[UNTIL] == self.first[UNTIL] {
            duplicates.insert(seen[ROW]);
        } else {
            self.other.get_or_insert(seen);
        }
    }
}

fn settle(group: Option<Group>, name: &str, layout: &Layout, bad: &mut BadRows, repeats: &mut Repeats, go_on: bool) {
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
    if go_on {
        repeats.conflicts.push((first, other));
    }
}

/// The row `here` contradicts the first of its user's rows, or the first that contradicts that.
fn conflict(layout: &Layout, here: Seen, (first, other): (Seen, Seen)) -> RowFault {
    let there = if here[UNTIL] == first[UNTIL] { other } else { first };
    let date = |seen: Seen| {
        let instant = DateTime::from_timestamp_millis(seen[UNTIL].cast_signed());
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

    /// IDs as directories give them: random ones, and those that count up, in the first half or the last.
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
