//! Reads the users and rows of an unfinished run of the directory from its journal. The user list itself may have changed
//! since, so it cannot be read again as it was.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;

use csv::ByteRecord;

use super::Recovered;
use super::line::COLUMNS;
use crate::domain::{Outcome, RowSet, UserId};
use crate::file_error::FileError;

const BUFFER: usize = 256 << 10;
const ROW: usize = 0;
const USER: usize = 1;

/// The users and rows of a resumed journal.
#[derive(Debug, Default)]
pub(crate) struct ResumedUsers {
    pub(crate) users: HashSet<UserId>,
    /// Their row numbers.
    pub(crate) rows: RowSet,
    /// The rows to send again, in order: the number, the user, and the carried columns.
    pub(crate) again: Vec<(u64, UserId, ByteRecord)>,
}

impl ResumedUsers {
    /// Reads the journal at `path`, which must have no torn line. `recovered` says which rows are settled.
    pub(crate) fn read(path: &Path, recovered: &Recovered) -> Result<Self, FileError> {
        read(path, &recovered.again).map_err(|source| FileError::new("read", path, source))
    }
}

fn read(path: &Path, again: &BTreeMap<u64, Outcome>) -> io::Result<ResumedUsers> {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(BUFFER).from_reader(File::open(path)?);
    let mut record = ByteRecord::new();
    let mut resumed = ResumedUsers::default();
    let mut to_send = BTreeMap::new();
    while reader.read_byte_record(&mut record).map_err(io::Error::other)? {
        let (row, user) = row_and_user(&record).ok_or_else(|| io::Error::other("a line names no user"))?;
        resumed.users.insert(user);
        resumed.rows.insert(row);
        if again.contains_key(&row) {
            let carried: ByteRecord = record.iter().skip(COLUMNS.len()).collect();
            to_send.insert(row, (user, carried));
        }
    }
    resumed.again = to_send.into_iter().map(|(row, (user, carried))| (row, user, carried)).collect();
    Ok(resumed)
}

fn row_and_user(record: &ByteRecord) -> Option<(u64, UserId)> {
    let text = |index: usize| record.get(index).and_then(|value| std::str::from_utf8(value).ok());
    Some((text(ROW)?.parse().ok()?, text(USER)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";
    const B: &str = "0a94b96e-0364-463b-a059-d97d1e4cb1d5";

    fn journal(lines: &[(u64, &str, &str)]) -> tempfile::NamedTempFile {
        let line = |(row, user, note): &(u64, &str, &str)| format!("{row},{user},failed{}{note}\n", ",".repeat(COLUMNS.len() - 2));
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text: String = lines.iter().map(line).collect();
        std::fs::write(file.path(), format!("{},note\n{text}", COLUMNS.join(","))).expect("written");
        file
    }

    #[test]
    fn users_and_rows_are_read_with_the_rows_to_send_again() {
        let file = journal(&[(9, B, "of the first try"), (2, A, "settled"), (9, B, "=1"), (40, A, "")]);
        let mut recovered = Recovered::default();
        recovered.again = [(9, Outcome::Failed), (40, Outcome::Unknown), (41, Outcome::Failed)].into();
        let resumed = ResumedUsers::read(file.path(), &recovered).expect("readable");
        let [a, b] = [A, B].map(|user| user.parse::<UserId>().expect("a UUID"));
        assert_eq!(resumed.users, [a, b].into());
        assert_eq!([1, 2, 9, 40, 41].map(|row| resumed.rows.contains(row)), [false, true, true, true, false]);
        assert_eq!(resumed.again, [(9, b, ByteRecord::from(vec!["=1"])), (40, a, ByteRecord::from(vec![""]))]);
    }

    #[test]
    fn a_line_without_a_user_is_no_line_of_a_list() {
        for line in [(1, "", ""), (1, "ann", "")] {
            let error = ResumedUsers::read(journal(&[line]).path(), &Recovered::default()).expect_err("no user");
            assert!(error.to_string().ends_with(": the file cannot be read"), "{error}");
            assert_eq!(std::error::Error::source(&error).expect("a cause").to_string(), "a line names no user");
        }
    }
}
