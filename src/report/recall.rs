//! Who had a row in a run that did not finish? Read from its journal, where the list that the rows were made
//! of cannot be read again as it was.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;

use csv::ByteRecord;

use super::journal::FileError;
use super::line::COLUMNS;
use super::{Outcome, Recovered};
use crate::domain::UserId;
use crate::rowset::RowSet;

const BUFFER: usize = 256 << 10;
const ROW: usize = 0;
const USER: usize = 1;

/// The users of a journal.
#[derive(Debug, Default)]
pub(crate) struct Recalled {
    pub(crate) users: HashSet<UserId>,
    /// The rows that they have.
    pub(crate) rows: RowSet,
    /// The rows that are to be sent again, in their order: the number, the user, and what is carried.
    pub(crate) again: Vec<(u64, UserId, ByteRecord)>,
}

impl Recalled {
    /// Reads the journal at `path`, of which `recovered` tells what is settled, and which has no torn line any
    /// more.
    pub(crate) fn read(path: &Path, recovered: &Recovered) -> Result<Self, FileError> {
        read(path, &recovered.again).map_err(|source| FileError::new("read", path, source))
    }
}

fn read(path: &Path, again: &BTreeMap<u64, Outcome>) -> io::Result<Recalled> {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(BUFFER).from_reader(File::open(path)?);
    let mut record = ByteRecord::new();
    let mut recalled = Recalled::default();
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
