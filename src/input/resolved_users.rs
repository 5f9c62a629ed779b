//! Stores the result of the lookup for each row that does not name its user by ID. The results are kept for the duration
//! of a run in an unnamed temporary file: a fixed-size record per row, followed by the details of unresolved rows.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use super::rows::UserRef;
use crate::domain::{Action, Detail, ForeignText, Outcome, Resolution, RowNumber};
use crate::external_sort::unnamed_file;
use crate::platform::PositionedIo;

/// The bytes of a record: a tag, and sixteen bytes that are a user ID, or the offset and length of a text packed like one.
const RECORD: usize = 17;
const USER: u8 = 1;
const UNRESOLVED: u8 = 2;

/// The users of looked-up rows, as far as they are resolved.
#[derive(Debug)]
pub(crate) struct ResolvedUsers {
    file: File,
    /// The offset at which the next text is written.
    end: AtomicU64,
}

impl ResolvedUsers {
    /// An empty store for an input with this many `rows`. The file is created in `folder`.
    pub(crate) fn new(folder: &Path, rows: u64) -> io::Result<Self> {
        let file = unnamed_file(folder)?;
        let end = place(rows + 1);
        file.set_len(end)?;
        Ok(Self { file, end: AtomicU64::new(end) })
    }

    /// The result for a row; `None` if it has not been looked up.
    pub(crate) fn of(&self, row: RowNumber) -> io::Result<Option<Resolution>> {
        let mut record = [0; RECORD];
        self.file.read_exact_at(&mut record, place(row.0))?;
        let [tag, payload @ ..] = record;
        let payload = Uuid::from_bytes(payload);
        match tag {
            USER => Ok(Some(Resolution::User(payload.into()))),
            UNRESOLVED => {
                let (from, length) = payload.as_u64_pair();
                self.unresolved(from, length).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn unresolved(&self, from: u64, length: u64) -> io::Result<Resolution> {
        let mut text = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut text, from)?;
        let (outcome, status, texts): (String, _, [String; 4]) = serde_json::from_slice(&text)?;
        let [code, message, id, correlation] = texts.map(ForeignText::from);
        let outcome = Outcome::named(&outcome).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Resolution::Unresolved(outcome, Box::new(Detail { status, code, message, id, correlation })))
    }

    /// Stores the result for a row.
    pub(crate) fn set(&self, row: RowNumber, resolution: &Resolution) -> io::Result<()> {
        let (tag, payload) = match resolution {
            Resolution::User(user) => (USER, user.uuid()),
            Resolution::Unresolved(outcome, detail) => {
                let text = serde_json::to_vec(&(
                    outcome.name(),
                    detail.status,
                    [&detail.code, &detail.message, &detail.id, &detail.correlation].map(ForeignText::as_received),
                ))?;
                let from = self.end.fetch_add(text.len() as u64, Ordering::Relaxed);
                self.file.write_all_at(&text, from)?;
                (UNRESOLVED, Uuid::from_u64_pair(from, text.len() as u64))
            }
        };
        let mut record = [tag; RECORD];
        record[1..].copy_from_slice(payload.as_bytes());
        self.file.write_all_at(&record, place(row.0))
    }
}

/// The user of a row: the one its ID names, or the result of the lookup, if there is one.
pub(super) fn resolution_of(
    requested: &Action<UserRef<'_>>,
    row: RowNumber,
    resolved: Option<&ResolvedUsers>,
) -> io::Result<Option<Resolution>> {
    match (requested.user(), resolved) {
        (UserRef::Id(user), _) => Ok(Some(Resolution::User(user))),
        (UserRef::Value(_), Some(resolved)) => resolved.of(row),
        (UserRef::Value(_), None) => Ok(None),
    }
}

/// The offset of a row's record. Rows count from 1.
fn place(row: u64) -> u64 {
    (row - 1) * RECORD as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_result_is_read_back_for_its_row() {
        let resolved = ResolvedUsers::new(&std::env::temp_dir(), 4).expect("a file");
        assert_eq!(resolved.file.metadata().expect("there").len(), 4 * 17, "one record per row");
        let user = Resolution::User(Uuid::from_u128(7).into());
        let detail = Detail { status: Some(400), code: "C".into(), message: "m\n\"ü".into(), id: "i".into(), correlation: "c".into() };
        let refused = Resolution::Unresolved(Outcome::Rejected, Box::new(detail));
        let none = Resolution::Unresolved(Outcome::NotFound, Box::default());
        for (row, resolution) in [(4, &refused), (2, &none), (1, &user)] {
            resolved.set(RowNumber(row), resolution).expect("written");
        }
        let stored: Vec<_> = (1..=4).map(|row| resolved.of(RowNumber(row)).expect("readable")).collect();
        assert_eq!(stored, [Some(user), Some(none), None, Some(refused)]);
    }
}
