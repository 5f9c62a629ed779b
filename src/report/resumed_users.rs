//! Who had a row in a run that did not finish? Read from its journal, where the list that the rows were made
//! of cannot be read again as it was.

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

/// The users of a journal.
#[derive(Debug, Default)]
pub(crate) struct ResumedUsers {
    pub(crate) users: HashSet<UserId>,
    /// The rows that they have.
    pub(crate) rows: RowSet,
    /// The rows that are to be sent again, in their order: the number, the user, and what is carried.
    pub(crate) again: Vec<(u64, UserId, ByteRecord)>,
}

impl ResumedUsers {
    /// Reads the journal at `path`, of which `recovered` tells what is settled, and which has no torn line any
    /// more.
    pub(crate) fn read(path: &Path, recovered: &Recovered) -> Result<Self, FileError> {
        read(path, &recovered.again).map_err(|source| FileError::new("read", path, source))
    }
}

fn read(path: &Path, again: &BTreeMap<u64, Outcome>) -> io::Result<ResumedUsers> {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(BUFFER).from_reader(File::open(path)?);
    let mut record = ByteRecord::new();
    let mut recalled = ResumedUsers::default();
    let mut to_send = BTreeMap::new();
    while reader.read_byte_record(&mut record).map_err(io::Error::other)? {
        let (row, user) = row_and_user(&record).ok_or_else(|| io::Error::other("a line names no user"))?;
        recalled.users.insert(user);
        recalled.rows.insert(row);
        if again.contains_key(&row) {
            let carried: ByteRecord = record.iter().skip(COLUMNS.len()).collect();
            to_send.insert(row, (user, carried));
        }
    }
    recalled.again = to_send.into_iter().map(|(row, (user, carried))| (row, user, carried)).collect();
    Ok(recalled)
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
    fn who_had_a_row_is_known_and_whose_is_sent_again() {
        let file = journal(&[(9, B, "of the first try"), (2, A, "settled"), (9, B, "=1"), (40, A, "")]);
        let mut recovered = Recovered::default();
        recovered.again = [(9, Outcome::Failed), (40, Outcome::Unknown), (41, Outcome::Failed)].into();
        let recalled = ResumedUsers::read(file.path(), &recovered).expect("readable");
        let [a, b] = [A, B].map(|user| user.parse::<UserId>().expect("a UUID"));
        assert_eq!(recalled.users, [a, b].into());
        assert_eq!([1, 2, 9, 40, 41].map(|row| recalled.rows.contains(row)), [false, true, true, true, false]);
        assert_eq!(recalled.again, [(9, b, ByteRecord::from(vec!["=1"])), (40, a, ByteRecord::from(vec![""]))]);
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
