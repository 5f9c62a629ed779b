//! Which records does a text hold? One after another, each with its place, and what can be wrong with its form,
//! whatever it means.

use std::io::{self, Read};

use csv::ByteRecord;

use super::blocks::{Blocks, Fingerprint};
use super::error::RowFault;
use super::source::Text;
use super::{Source, is_blank, parser};

/// Bytes that the CSV parser takes at a time.
const PARSED_AT_ONCE: usize = 64 << 10;

/// Reads the records of a text, one at a time.
pub(super) struct Records<R = Text> {
    csv: csv::Reader<Blocks<R>>,
}

impl Records {
    /// The records of `source` from its first on; where `expected` is given, only as long as the bytes are
    /// the ones of that fingerprint.
    pub(super) fn new(source: &Source, delimiter: u8, expected: Option<Fingerprint>) -> io::Result<Self> {
        Ok(Self::of(source.text()?, source.mark(), delimiter, expected))
    }
}

impl<R: Read> Records<R> {
    /// The records of a `text` that follows a `mark`.
    pub(super) fn of(text: R, mark: &[u8], delimiter: u8, expected: Option<Fingerprint>) -> Self {
        let blocks = Blocks::new(text, mark, delimiter, expected);
        Self { csv: parser(delimiter).buffer_capacity(PARSED_AT_ONCE).from_reader(blocks) }
    }

    /// Reads the next record that is not blank into `record`, if there is one; answers its place.
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

    /// What has been read, once all of it has been.
    pub(super) fn fingerprint(&self) -> &Fingerprint {
        self.csv.get_ref().fingerprint()
    }
}

/// Where a record stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The line after its last.
    end: u64,
    /// The line on which a quoted value of it begins that is never closed.
    unclosed: Option<u64>,
}

impl Place {
    /// Whether a quoted value of the record is never closed.
    pub(super) fn is_unclosed(self) -> bool {
        self.unclosed.is_some()
    }

    /// The line on which the `record` begins, or the quoted value that is never closed; from 1.
    pub(super) fn line(self, record: &ByteRecord) -> u64 {
        self.unclosed.unwrap_or_else(|| {
            let inside = memchr::memchr_iter(b'\n', record.as_slice()).count() as u64;
            self.end.saturating_sub(inside + 1)
        })
    }
}

/// Whether a record has a value for each of the columns, by their `names`.
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

/// The value at `index` of a record whose columns have these `names`.
pub(super) fn text<'a>(record: &'a ByteRecord, index: usize, names: &[String]) -> Result<&'a str, RowFault> {
    std::str::from_utf8(&record[index]).map_err(|_| RowFault::NotUtf8 {
        column: names.get(index).cloned().unwrap_or_default(),
        value: String::from_utf8_lossy(&record[index]).into_owned(),
    })
}

/// A record's last value, which begins with a quote that is never closed.
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
