//! Splits a text into CSV records, each with its position, and checks their form but not their meaning.

use std::io::{self, Read};

use csv::ByteRecord;

use super::blocks::{Blocks, Fingerprint};
use super::row_fault::RowFault;
use super::source::Text;
use super::{Source, is_blank, parser};

/// The size of the CSV parser's buffer, in bytes.
const PARSED_AT_ONCE: usize = 64 << 10;

/// Reads the records of a text, one at a time.
pub(super) struct Records<R = Text> {
    csv: csv::Reader<Blocks<R>>,
}

impl Records {
    /// Reads `source` from its first record. If `expected` is given, reading fails once the bytes no longer match that
    /// fingerprint.
    pub(super) fn new(source: &Source, delimiter: u8, expected: Option<Fingerprint>) -> io::Result<Self> {
        Ok(Self::of(source.text()?, source.mark, delimiter, expected))
    }
}

impl<R: Read> Records<R> {
    /// Reads a `text` that follows the byte order mark `mark`.
    pub(super) fn of(text: R, mark: &[u8], delimiter: u8, expected: Option<Fingerprint>) -> Self {
        let blocks = Blocks::new(text, mark, delimiter, expected);
        Self { csv: parser(delimiter).buffer_capacity(PARSED_AT_ONCE).from_reader(blocks) }
    }

    /// Reads the next record that is not blank into `record`. Returns its position, or `None` after the last.
    pub(super) fn read(&mut self, record: &mut ByteRecord) -> io::Result<Option<Place>> {
        while self.csv.read_byte_record(record).map_err(io_error)? {
            if !is_blank(record) {
                let end = self.csv.position().line();
                let unclosed = self.csv.get_ref().unclosed_quote().filter(|line| *line < end);
                return Ok(Some(Place { end, unclosed }));
            }
        }
        Ok(None)
    }

    /// The fingerprint of the text, complete once the last record has been read.
    pub(super) fn fingerprint(&self) -> &Fingerprint {
        self.csv.get_ref().fingerprint()
    }
}

/// The position of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The line after the record's last.
    end: u64,
    /// The line on which an unclosed quoted value begins, if the record has one.
    unclosed: Option<u64>,
}

impl Place {
    /// Whether the record has an unclosed quoted value.
    pub(super) fn is_unclosed(self) -> bool {
        self.unclosed.is_some()
    }

    /// The line on which the `record` begins, or on which its unclosed quoted value begins; from 1.
    pub(super) fn line(self, record: &ByteRecord) -> u64 {
        self.unclosed.unwrap_or_else(|| {
            let inside = memchr::memchr_iter(b'\n', record.as_slice()).count() as u64;
            self.end.saturating_sub(inside + 1)
        })
    }
}

/// Checks that a record has one value for each of the columns in `names`.
pub(super) fn check_width(record: &ByteRecord, names: &[String]) -> Result<(), RowFault> {
    let (found, expected) = (record.len(), names.len());
    if found > expected {
        let value = String::from_utf8_lossy(&record[expected]).trim().to_owned();
        return Err(RowFault::TooMany { value, last: names.last().cloned().unwrap_or_default(), found, expected });
    }
    match names.get(found) {
        None => Ok(()),
        Some(column) => {
            let last = String::from_utf8_lossy(&record[found - 1]).trim().to_owned();
            Err(RowFault::TooFew { column: column.clone(), last, found, expected })
        }
    }
}

/// The value at `index` of a record with the columns in `names`.
pub(super) fn text<'a>(record: &'a ByteRecord, index: usize, names: &[String]) -> Result<&'a str, RowFault> {
    std::str::from_utf8(&record[index]).map_err(|_| RowFault::NotUtf8 {
        column: names.get(index).cloned().unwrap_or_default(),
        value: String::from_utf8_lossy(&record[index]).into_owned(),
    })
}

/// The fault of a record whose last value begins with a quote that is never closed.
pub(super) fn unclosed_fault(record: &ByteRecord, names: &[String]) -> RowFault {
    let index = record.len() - 1;
    let name = names.get(index).or(names.last());
    let value = String::from_utf8_lossy(&record[index]).trim().to_owned();
    RowFault::Unclosed { column: name.cloned().unwrap_or_default(), value }
}

fn io_error(error: csv::Error) -> io::Error {
    let shown = error.to_string();
    if let csv::ErrorKind::Io(error) = error.into_kind() { error } else { io::Error::other(shown) }
}
