//! Do the shards agree on which rows are valid? Each judges dates by its own start: where one row of a user is too far ahead for one
//! shard, and a later row that repeats it is not for another, each of them leaves the user to the other.

use std::collections::HashMap;

use csv::ByteRecord;

use crate::domain::{Outcome, UserId};
use crate::report::line::Column;

/// The users of invalid rows so far, each with the first such row. There are any only after `--skip-invalid`.
#[derive(Debug, Default)]
pub(super) struct Agreed(HashMap<UserId, u64>);

impl Agreed {
    /// Takes note of a `row` with this `outcome`, whose line has these `values`. An error is the invalid row that it was left to.
    pub(super) fn check(&mut self, row: u64, outcome: Outcome, values: &ByteRecord) -> Result<(), u64> {
        let user = || Column::UserId.text(values)?.parse::<UserId>().ok();
        match outcome {
            Outcome::Invalid => {
                if let Some(user) = user() {
                    self.0.entry(user).or_insert(row);
                }
                Ok(())
            }
            Outcome::Duplicate if !self.0.is_empty() => match user().and_then(|user| self.0.get(&user)) {
                Some(earlier) => Err(*earlier),
                None => Ok(()),
            },
            Outcome::Duplicate
            | Outcome::Granted
            | Outcome::Mismatch
            | Outcome::Kept
            | Outcome::Ended
            | Outcome::Restored
            | Outcome::Changed
            | Outcome::Untouched
            | Outcome::Active
            | Outcome::Inactive
            | Outcome::NotFound
            | Outcome::Ambiguous
            | Outcome::Rejected
            | Outcome::Failed
            | Outcome::Unknown => Ok(()),
        }
    }
}
