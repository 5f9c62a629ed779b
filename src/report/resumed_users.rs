//! Reads the users and rows of an unfinished run of the directory from its journal. The user list itself may have changed
//! since, so it cannot be read again as it was.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;

use csv::ByteRecord;

use super::journal_reader::read_journal;
use super::line::{Column, carried};
use crate::domain::{RowSet, UserId};
use crate::file_error::FileError;

/// The users and rows of a resumed journal.
#[derive(Debug, Default)]
pub(crate) struct ResumedUsers {
    pub(crate) users: HashSet<UserId>,
    /// Their row numbers.
    pub(crate) rows: RowSet,
    /// The rows to send again by number: the user, and the carried columns.
    pub(crate) again: BTreeMap<u64, (UserId, ByteRecord)>,
}

impl ResumedUsers {
    /// Reads the journal at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, FileError> {
        let nameless = || FileError::new("read", path, io::Error::other("a line names no user"));
        let mut resumed = Self::default();
        read_journal(path, u64::MAX, |line| {
            let user: UserId = Column::UserId.parsed(line.values).ok_or_else(nameless)?;
            resumed.users.insert(user);
            resumed.rows.insert(line.row);
            if line.outcome.is_to_be_sent_again() {
                resumed.again.insert(line.row, (user, carried(line.values).collect()));
            } else {
                resumed.again.remove(&line.row);
            }
            Ok(())
        })?;
        Ok(resumed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::COLUMNS;
    use super::*;

    const A: &str = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";
    const B: &str = "0a94b96e-0364-463b-a059-d97d1e4cb1d5";

    fn journal(lines: &[(u64, &str, &str, &str)]) -> tempfile::NamedTempFile {
        let line =
            |(row, user, result, note): &(u64, &str, &str, &str)| format!("{row},{user},{result}{}{note}\n", ",".repeat(COLUMNS.len() - 2));
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text: String = lines.iter().map(line).collect();
        std::fs::write(file.path(), format!("{},note\n{text}", COLUMNS.join(","))).expect("written");
        file
    }

    #[test]
    fn users_and_rows_are_read_with_the_rows_to_send_again() {
        let file = journal(&[
            (9, B, "failed", "of the first try"),
            (2, A, "failed", ""),
            (9, B, "unknown", "=1"),
            (2, A, "active", ""),
            (40, A, "failed", ""),
        ]);
        let resumed = ResumedUsers::read(file.path()).expect("readable");
        let [a, b] = [A, B].map(|user| user.parse::<UserId>().expect("a UUID"));
        assert_eq!(resumed.users, [a, b].into());
        assert_eq!([1, 2, 9, 40, 41].map(|row| resumed.rows.contains(row)), [false, true, true, true, false]);
        assert_eq!(resumed.again, BTreeMap::from([(9, (b, ByteRecord::from(vec!["=1"]))), (40, (a, ByteRecord::from(vec![""])))]));
    }

    #[test]
    fn a_line_without_a_user_is_no_line_of_a_list() {
        for line in [(1, "", "active", ""), (1, "ann", "active", "")] {
            let error = ResumedUsers::read(journal(&[line]).path()).expect_err("no user");
            assert!(error.to_string().ends_with(": the file cannot be read"), "{error}");
            assert_eq!(std::error::Error::source(&error).expect("a cause").to_string(), "a line names no user");
        }
    }
}
