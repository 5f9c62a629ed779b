//! Whom does each row mean that names its user otherwise than by ID? Kept while a run lasts in an unnamed
//! temporary file: a record of fixed size for each row, and after those what is to be said of the others.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use super::rows::{Requested, UserRef};
use crate::domain::{Detail, ForeignText, Outcome, RowNumber, UserId};
use crate::external_sort::unnamed_file;

/// A tag, and two integers: the halves of a user ID, or where a text begins and how long it is.
const RECORD: usize = 17;
const USER: u8 = 1;
const UNRESOLVED: u8 = 2;

/// Whom a row was found to mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolution {
    User(UserId),
    /// No user, or none that it is clear is meant: nothing is sent, and that is the row's outcome.
    Unresolved(Outcome, Box<Detail>),
}

/// Whom the rows mean, as far as it is known.
#[derive(Debug)]
pub(crate) struct ResolvedUsers {
    file: File,
    /// Where the next text goes.
    end: AtomicU64,
}

impl ResolvedUsers {
    /// Of no row of an input of so many `rows` it is known yet. The file is made in `folder`.
    pub(crate) fn new(folder: &Path, rows: u64) -> io::Result<Self> {
        let file = unnamed_file(folder)?;
        let end = place(rows + 1);
        file.set_len(end)?;
        Ok(Self { file, end: AtomicU64::new(end) })
    }

    /// Whom a row of the input means.
    pub(crate) fn of(&self, row: RowNumber) -> io::Result<Option<Resolution>> {
        let mut record = [0; RECORD];
        self.file.read_exact_at(&mut record, place(row.0))?;
        let half = |from: usize| u64::from_le_bytes(record[from..from + 8].try_into().expect("eight bytes"));
        match record[0] {
            USER => Ok(Some(Resolution::User(Uuid::from_u64_pair(half(1), half(9)).into()))),
            UNRESOLVED => self.unresolved(half(1), half(9)).map(Some),
            _ => Ok(None),
        }
    }

    fn unresolved(&self, from: u64, length: u64) -> io::Result<Resolution> {
        let mut text = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut text, from)?;
        let (outcome, status, texts): (String, _, [String; 3]) = serde_json::from_slice(&text)?;
        let [code, message, id] = texts.map(ForeignText::from);
        let outcome = Outcome::named(&outcome).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Resolution::Unresolved(outcome, Box::new(Detail { status, code, message, id })))
    }

    /// Notes whom a row of the input means.
    pub(crate) fn set(&self, row: RowNumber, resolution: &Resolution) -> io::Result<()> {
        let (tag, one, other) = match resolution {
            Resolution::User(user) => {
                let (high, low) = user.uuid().as_u64_pair();
                (USER, high, low)
            }
            Resolution::Unresolved(outcome, detail) => {
                let text = serde_json::to_vec(&(
                    outcome.name(),
                    detail.status,
                    [&detail.code, &detail.message, &detail.id].map(ForeignText::as_received),
                ))?;
                let from = self.end.fetch_add(text.len() as u64, Ordering::Relaxed);
                self.file.write_all_at(&text, from)?;
                (UNRESOLVED, from, text.len() as u64)
            }
        };
        let mut record = [tag; RECORD];
        record[1..9].copy_from_slice(&one.to_le_bytes());
        record[9..].copy_from_slice(&other.to_le_bytes());
        self.file.write_all_at(&record, place(row.0))
    }
}

/// Whose a row is: whoever its ID is of, or else whom it was found to mean, if users have been looked up.
pub(super) fn resolution_of(requested: &Requested<'_>, row: RowNumber, resolved: Option<&ResolvedUsers>) -> io::Result<Option<Resolution>> {
    match (requested.user, resolved) {
        (UserRef::Id(user), _) => Ok(Some(Resolution::User(user))),
        (UserRef::Value(_), Some(resolved)) => resolved.of(row),
        (UserRef::Value(_), None) => Ok(None),
    }
}

/// Where the record of a row begins; rows count from 1.
fn place(row: u64) -> u64 {
    (row - 1) * RECORD as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_of_a_row_is_told_of_that_row() {
        let resolved = ResolvedUsers::new(&std::env::temp_dir(), 4).expect("a file");
        assert_eq!(resolved.file.metadata().expect("there").len(), 4 * 17, "no more room than a record for each row");
        let user = Resolution::User(Uuid::from_u128(7).into());
        let detail = Detail { status: Some(400), code: "C".into(), message: "m\n\"ü".into(), id: "i".into() };
        let refused = Resolution::Unresolved(Outcome::Rejected, Box::new(detail));
        let none = Resolution::Unresolved(Outcome::NotFound, Box::default());
        for (row, resolution) in [(4, &refused), (2, &none), (1, &user)] {
            resolved.set(RowNumber(row), resolution).expect("written");
        }
        let told: Vec<_> = (1..=4).map(|row| resolved.of(RowNumber(row)).expect("readable")).collect();
        assert_eq!(told, [Some(user), Some(none), None, Some(refused)]);
    }
}
