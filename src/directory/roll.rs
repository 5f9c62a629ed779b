//! Which row is a user? Each user of the list is one, whatever the order in which pages tell of them, and
//! however often.
//!
//! Rows are numbered from 1 in the order of the list. A run that is taken up may find another list: who is
//! settled keeps the number and is not read again, who failed keeps it too, and everybody else gets the
//! numbers that are free, the lowest first. Where the list is the same, those are the same numbers; where
//! users have left it, numbers may stay free.

use std::collections::{HashMap, VecDeque};

use csv::ByteRecord;

use crate::domain::{Action, ForeignText, Row, RowNumber, RowSet, UserId, Work};
use crate::pingone::ListedUser;
use crate::report::Recalled;

/// The columns that the list gives the report.
pub(crate) const CARRIED: [&str; 3] = ["username", "email", "populationID"];

/// Of so many users at most, room is made at once: a server may say anything.
const MOST_RESERVED: u64 = 10_000_000;

/// The users that have rows. Takes 18 to 41 bytes for each.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    /// Each with whether the list has told of it, and not only the journal.
    seen: HashMap<UserId, bool>,
    /// The numbers that rows had before the run was taken up.
    taken: RowSet,
    /// The rows that are to be sent again, by number.
    again: VecDeque<(u64, UserId, ByteRecord)>,
    /// The last number that was given away.
    last: u64,
}

impl Roll {
    /// A roll on which the users stand already that a journal tells of.
    pub(crate) fn recalling(recalled: Recalled) -> Self {
        let Recalled { users, rows, again } = recalled;
        let seen = users.into_iter().map(|user| (user, false)).collect();
        Self { seen, taken: rows, again: again.into(), last: 0 }
    }

    /// Makes room for so many users.
    pub(crate) fn expect(&mut self, users: u64) {
        let more = users.min(MOST_RESERVED).saturating_sub(self.users());
        self.seen.reserve(usize::try_from(more).unwrap_or(0));
    }

    /// How many users stand on it.
    pub(crate) fn users(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Enters a user, if this is the first that is heard of it. The rows that come next go to `rows`, in the order
    /// of their numbers. Tells whether the list has not told of the user before.
    pub(crate) fn enter(&mut self, user: ListedUser, rows: &mut Vec<Row>) -> bool {
        match self.seen.insert(user.id, true) {
            None => self.number(user, rows),
            Some(true) => return false,
            Some(false) => {}
        }
        true
    }

    fn number(&mut self, user: ListedUser, rows: &mut Vec<Row>) {
        self.last += 1;
        while self.taken.contains(self.last) {
            self.last += 1;
        }
        while self.again.front().is_some_and(|(number, ..)| *number < self.last) {
            rows.extend(self.again.pop_front().map(row));
        }
        let text = |text: Option<ForeignText>| text.unwrap_or_default().to_string();
        let carried = [user.username, user.email, user.population].map(text);
        rows.push(row((self.last, user.id, ByteRecord::from(&carried[..]))));
    }

    /// The rows that are left to be sent again when the list has ended, whether their users still stand in it
    /// or not.
    pub(crate) fn rest(&mut self) -> Vec<Row> {
        self.again.drain(..).map(row).collect()
    }
}

fn row((number, user, carried): (u64, UserId, ByteRecord)) -> Row {
    Row { number: RowNumber(number), carried, in_doubt: false, task: Work::Send(Action::Read(user)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn user(index: u8) -> ListedUser {
        let id = id(index);
        ListedUser { id, username: Some(format!("u{index}").into()), email: None, external_id: None, population: None }
    }

    fn id(index: u8) -> UserId {
        uuid::Uuid::from_u128(index.into()).into()
    }

    /// The number and the user of each row that a list gives, and how many users there are in the end.
    fn called(mut roll: Roll, list: &[u8]) -> (Vec<(u64, UserId)>, u64) {
        let mut rows = Vec::new();
        for index in list {
            roll.enter(user(*index), &mut rows);
        }
        rows.extend(roll.rest());
        let of = |row: &Row| match &row.task {
            Work::Send(action) => (row.number.0, action.user()),
            Work::Duplicate(_) | Work::Passed(..) | Work::Nobody { .. } | Work::Invalid { .. } => panic!("{row:?}"),
        };
        (rows.iter().map(of).collect(), roll.users())
    }

    /// What a journal tells that has lines for these `users`, of whom some are to be sent `again`.
    fn recalled(users: &[(u64, UserId)], again: impl Fn(u64) -> bool) -> Recalled {
        let mut recalled = Recalled::default();
        for (row, user) in users {
            recalled.users.insert(*user);
            recalled.rows.insert(*row);
            if again(*row) {
                recalled.again.push((*row, *user, ByteRecord::new()));
            }
        }
        recalled.again.sort_by_key(|(row, ..)| *row);
        recalled
    }

    #[test]
    fn users_are_numbered_in_the_lists_order_and_once() {
        let (rows, users) = called(Roll::default(), &[7, 3, 7, 5, 3]);
        assert_eq!((rows, users), (vec![(1, id(7)), (2, id(3)), (3, id(5))], 3));
    }

    #[test]
    fn a_user_of_the_journal_is_new_to_the_list_once() {
        let mut roll = Roll::recalling(recalled(&[(1, id(7))], |_| false));
        let mut rows = Vec::new();
        assert_eq!([7, 7, 3, 3].map(|index| roll.enter(user(index), &mut rows)), [true, false, true, false]);
        assert_eq!((rows.len(), roll.users()), (1, 2));
    }

    proptest! {
        /// Wherever a run stops and whatever becomes of the list meanwhile, each user has one row, those that
        /// come are in the order of their numbers, and no number is given twice.
        #[test]
        fn a_run_that_is_taken_up_has_each_user_once(
            before in prop::collection::vec(0_u8..40, 0..60),
            after in prop::collection::vec(0_u8..60, 0..80),
            lines in any::<u64>(),
            failed in any::<u64>(),
        ) {
            let (begun, _) = called(Roll::default(), &before);
            let has_line = |row: u64| lines >> (row % 64) & 1 == 1;
            let is_again = |row: u64| failed >> (row % 64) & 1 == 1;
            let journal: Vec<_> = begun.iter().copied().filter(|(row, _)| has_line(*row)).collect();
            let (rows, users) = called(Roll::recalling(recalled(&journal, is_again)), &after);
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

        /// Where the list is the same, everybody keeps the number.
        #[test]
        fn the_same_list_gives_the_same_numbers(list in prop::collection::vec(0_u8..40, 0..60), lines in any::<u64>(), failed in any::<u64>()) {
            let (begun, users) = called(Roll::default(), &list);
            let journal: Vec<_> = begun.iter().copied().filter(|(row, _)| lines >> (row % 64) & 1 == 1).collect();
            let is_again = |row: u64| failed >> (row % 64) & 1 == 1;
            let (rows, again) = called(Roll::recalling(recalled(&journal, is_again)), &list);
            let left: Vec<_> = begun.iter().copied().filter(|(row, _)| lines >> (row % 64) & 1 == 0 || is_again(*row)).collect();
            prop_assert_eq!((rows, again), (left, users));
        }
    }
}
