//! Reads a CSV file that is not the input of a run: its columns by name, and its rows with their line numbers.

use std::path::Path;

use csv::ByteRecord;

use super::Source;
use super::columns::{Dialect, First, header_names, is_named};
use super::error::{HeaderFault, InputError, refused};
use super::records::{Records, check_width, text, unclosed_fault};
use super::row_fault::RowFault;

/// A CSV file with a header, read once, one row at a time.
pub(crate) struct Table {
    source: Source,
    header_line: u64,
    /// The column names, as the header has them.
    names: Vec<String>,
    records: Records,
    record: ByteRecord,
}

/// A row, or what is wrong with its form.
pub(crate) struct TableRow<'a> {
    /// The line on which the row begins, or on which an unclosed quote opens; from 1.
    pub(crate) line: u64,
    pub(crate) values: Result<Values<'a>, RowFault>,
}

/// The values of a row, one per column.
pub(crate) struct Values<'a> {
    record: &'a ByteRecord,
    names: &'a [String],
}

impl Table {
    /// Opens the file at `path`; `-` is standard input.
    pub(crate) fn open(path: &Path) -> Result<Self, InputError> {
        let source = Source::open(path)?;
        let First { dialect, line, record: header } = First::of(&source, &Dialect::default())?;
        let names = header_names(&header).map_err(|fault| InputError::Header { name: source.name.clone(), line, fault })?;
        let mut record = ByteRecord::new();
        let begun = Records::new(&source, dialect.delimiter(), None).and_then(|mut records| records.read(&mut record).map(|_| records));
        let records = begun.map_err(|error| refused(&source.name, error))?;
        Ok(Self { source, header_line: line, names, records, record })
    }

    /// Its name in messages.
    pub(crate) fn name(&self) -> &str {
        &self.source.name
    }

    /// The SHA-256 of the file, once its last row has been read.
    pub(crate) fn sha256(&self) -> &[u8; 32] {
        &self.records.fingerprint().whole
    }

    /// The index of the column with this name. No such column, or several, is an error.
    pub(crate) fn column(&self, wanted: &str) -> Result<usize, InputError> {
        let fault = |fault| InputError::Header { name: self.source.name.clone(), line: self.header_line, fault };
        let mut found = (0..self.names.len()).filter(|index| self.names[*index] == wanted);
        match (found.next(), found.next()) {
            (Some(index), None) => Ok(index),
            (Some(_), Some(_)) => Err(fault(HeaderFault::Twice(wanted.to_owned()))),
            (None, _) => {
                Err(fault(HeaderFault::Missing { wanted: wanted.to_owned(), users: false, found: self.names.clone(), data: false }))
            }
        }
    }

    /// The index of the first column that is named so, by the rules for an input's columns.
    pub(crate) fn column_like(&self, wanted: &str) -> Option<usize> {
        self.names.iter().position(|name| is_named(name, wanted))
    }

    /// The next row, or `None` after the last.
    pub(crate) fn next_row(&mut self) -> Result<Option<TableRow<'_>>, InputError> {
        let read = self.records.read(&mut self.record);
        let Some(place) = read.map_err(|error| refused(&self.source.name, error))? else {
            return Ok(None);
        };
        let (record, names) = (&self.record, self.names.as_slice());
        let values = if place.is_unclosed() {
            Err(unclosed_fault(record, names))
        } else {
            check_width(record, names).map(|()| Values { record, names })
        };
        Ok(Some(TableRow { line: place.line(record), values }))
    }
}

impl<'a> Values<'a> {
    /// The value in the column at `index`, trimmed.
    pub(crate) fn get(&self, index: usize) -> Result<&'a str, RowFault> {
        text(self.record, index, self.names).map(str::trim)
    }
}
