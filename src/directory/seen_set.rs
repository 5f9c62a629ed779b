//! Assigns row numbers to users. Each user of the list gets one row, in whatever order and however often the pages list it.
//!
//! Rows are numbered from 1 in the order of the list. A resumed run may find a different list. A settled user keeps its row
//! number and is not read again, and a failed user keeps its number too. All other users get the free numbers, lowest
//! first. If the list is unchanged, these are the same numbers as before. If users have left the list, some numbers may stay
//! unused.

use std::collections::{BTreeMap, HashMap};

use csv::ByteRecord;

use crate::domain::{Action, Origin, Row, RowNumber, RowSet, UserId, Work};
use crate::report::ResumedUsers;

/// The most users to reserve memory for in advance: the server's count cannot be trusted.
pub(super) const MOST_RESERVED: u64 = 10_000_000;

/// The users that have rows. Takes 18 to 41 bytes per user.
#[derive(Debug, Default)]
pub(crate) struct SeenSet {
    /// Each user, with whether the list has contained it; `false` if only the journal has.
    seen: HashMap<UserId, bool>,
    /// The row numbers in use when the run was resumed.
    taken: RowSet,
    /// The rows to send again, by number.
    again: BTreeMap<u64, (UserId, ByteRecord)>,
    last: u64,
}

impl SeenSet {
    /// A set that already contains the users of a resumed journal.
    pub(crate) fn resuming(resumed: ResumedUsers) -> Self {
        let ResumedUsers { users, rows, again } = resumed;
        let seen = users.into_iter().map(|user| (user, false)).collect();
        Self { seen, taken: rows, again, last: 0 }
    }

    pub(crate) fn reserve(&mut self, users: u64) {
        let more = users.min(MOST_RESERVED).saturating_sub(self.users());
        self.seen.reserve(usize::try_from(more).unwrap_or(0));
    }

    pub(crate) fn users(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Adds a user of the list. If it has no row yet, appends its row to `rows`, with the values that are `carried`, preceded by
    /// the rows with lower numbers that are sent again. Returns whether the list has not contained the user before.
    pub(crate) fn insert(&mut self, user: UserId, carried: impl FnOnce() -> ByteRecord, rows: &mut Vec<Row>) -> bool {
        match self.seen.insert(user, true) {
            None => self.number(user, carried(), rows),
            Some(true) => return false,
            Some(false) => {}
        }
        true
    }

    fn number(&mut self, user: UserId, carried: ByteRecord, rows: &mut Vec<Row>) {
        self.last += 1;
        while self.taken.contains(self.last) {
            self.last += 1;
        }
        while let Some(first) = self.again.first_entry().filter(|first| *first.key() < self.last) {
            rows.push(row(first.remove_entry()));
        }
        rows.push(row((self.last, (user, carried))));
    }

    /// The remaining rows to send again after the end of the list, whether or not their users are still in it.
    pub(crate) fn take_remaining(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.again).into_iter().map(row).collect()
    }
}

fn row((number, (user, carried)): (u64, (UserId, ByteRecord))) -> Row {
    Row {
        number: RowNumber(number),
        origin: Origin::default(),
        carried,
        in_doubt: false,
        previous: None,
        work: Work::Send(Action::Read(user)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn id(index: u8) -> UserId {
        uuid::Uuid::from_u128(index.into()).into()
    }

    /// The number and the user of each row that a list results in, and the number of users at the end.
    fn rows_of(mut seen_set: SeenSet, list: &[u8]) -> (Vec<(u64, UserId)>, u64) {
        let mut rows = Vec::new();
        for index in list {
            seen_set.insert(id(*index), ByteRecord::new, &mut rows);
        }
        rows.extend(seen_set.take_remaining());
        let of = |row: &Row| match &row.work {
            Work::Send(action) => (row.number.0, action.user()),
            Work::Duplicate(_) | Work::Expired(..) | Work::Unresolved { .. } | Work::Untouched { .. } | Work::Invalid { .. } => {
                panic!("{row:?}")
            }
        };
        (rows.iter().map(of).collect(), seen_set.users())
    }

    /// The content of a journal that has lines for these `users`, some of which are sent `again`.
    fn journal_users(users: &[(u64, UserId)], again: impl Fn(u64) -> bool) -> ResumedUsers {
        let mut resumed = ResumedUsers::default();
        for (row, user) in users {
            resumed.users.insert(*user);
            resumed.rows.insert(*row);
            if again(*row) {
                resumed.again.insert(*row, (*user, ByteRecord::new()));
            }
        }
        resumed
    }

    #[test]
    fn users_are_numbered_in_the_lists_order_and_once() {
        let (rows, users) = rows_of(SeenSet::default(), &[7, 3, 7, 5, 3]);
        assert_eq!((rows, users), (vec![(1, id(7)), (2, id(3)), (3, id(5))], 3));
    }

    #[test]
    fn a_user_of_the_journal_is_new_to_the_list_once() {
        let mut seen_set = SeenSet::resuming(journal_users(&[(1, id(7))], |_| false));
        let mut rows = Vec::new();
        assert_eq!([7, 7, 3, 3].map(|index| seen_set.insert(id(index), ByteRecord::new, &mut rows)), [true, false, true, false]);
        assert_eq!((rows.len(), seen_set.users()), (1, 2));
    }

    proptest! {
        /// Wherever a run stops and however the list changes, each user has one row, the rows come in the order of their
        /// numbers, and no number is assigned twice.
        #[test]
        fn a_resumed_run_has_each_user_once(
            before in prop::collection::vec(0_u8..40, 0..60),
            after in prop::collection::vec(0_u8..60, 0..80),
            lines in any::<u64>(),
            failed in any::<u64>(),
        ) {
            let (begun, _) = rows_of(SeenSet::default(), &before);
            let has_line = |row: u64| lines >> (row % 64) & 1 == 1;
            let is_again = |row: u64| failed >> (row % 64) & 1 == 1;
            let journal: Vec<_> = begun.iter().copied().filter(|(row, _)| has_line(*row)).collect();
            let (rows, users) = rows_of(SeenSet::resuming(journal_users(&journal, is_again)), &after);
            prop_assert!(rows.is_sorted_by_key(|(row, _)| *row));
            let mut numbers: HashMap<u64, UserId> = journal.iter().copied().filter(|(row, _)| !is_again(*row)).collect();
            for (row, user) in &rows {
                prop_assert!(numbers.insert(*row, *user).is_none(), "row {row} is two users'");
            }
            let named: HashSet<UserId> = numbers.values().copied().collect();
            let expected: HashSet<UserId> = journal.iter().map(|(_, user)| *user).chain(after.iter().map(|index| id(*index))).collect();
            prop_assert_eq!((named.len(), users), (numbers.len(), numbers.len() as u64));
            prop_assert_eq!(named, expected);
        }

        /// If the list is unchanged, every user keeps its number.
        #[test]
        fn the_same_list_gives_the_same_numbers(list in prop::collection::vec(0_u8..40, 0..60), lines in any::<u64>(), failed in any::<u64>()) {
            let (begun, users) = rows_of(SeenSet::default(), &list);
            let journal: Vec<_> = begun.iter().copied().filter(|(row, _)| lines >> (row % 64) & 1 == 1).collect();
            let is_again = |row: u64| failed >> (row % 64) & 1 == 1;
            let (rows, again) = rows_of(SeenSet::resuming(journal_users(&journal, is_again)), &list);
            let left: Vec<_> = begun.iter().copied().filter(|(row, _)| lines >> (row % 64) & 1 == 0 || is_again(*row)).collect();
            prop_assert_eq!((rows, again), (left, users));
        }
    }
}
