//! What does each row of the input ask? One reader for both passes, so that what is sent is what was
//! checked.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use chrono::{DateTime, Utc};
use csv::ByteRecord;

use super::blocks::{Blocks, Fingerprint};
use super::columns::{Column, Layout};
use super::error::RowFault;
use super::source::Text;
use super::{Source, is_blank, parser};
use crate::domain::{Ask, BypassUntil, Operation, RowNumber, UserId};
use crate::when::{UntilError, parse_until};

/// Bytes that the CSV parser takes at a time.
const PARSED_AT_ONCE: usize = 64 << 10;

/// What decides whether a row is valid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) operation: Operation,
    /// When the run started: spans count from it, and end dates must be after it.
    pub(crate) start: DateTime<Utc>,
    /// The end date of rows that have none of their own.
    pub(crate) until: Option<BypassUntil>,
    /// No end date may be further ahead than this.
    pub(crate) max_window: Option<Duration>,
}

impl Rules {
    /// The end date that `text` means, if it may be asked for.
    pub(crate) fn read_until(&self, text: &str) -> Result<BypassUntil, UntilError> {
        let until = parse_until(text, self.start)?;
        let ahead = (until.instant() - self.start).to_std().unwrap_or_default();
        match self.max_window {
            Some(window) if ahead > window => {
                let window = humantime::format_duration(window).to_string();
                Err(UntilError::TooFar { value: text.to_owned(), window })
            }
            Some(_) | None => Ok(until),
        }
    }
}

/// Reads the rows of an input, one at a time.
pub(crate) struct RowReader<'a> {
    csv: csv::Reader<Blocks<Text>>,
    record: ByteRecord,
    layout: &'a Layout,
    rules: Rules,
    number: u64,
    /// The last end date that was read, since most rows of an input have the same.
    last_until: RefCell<Option<(String, BypassUntil)>>,
}

/// One row as it stands in the input.
pub(crate) struct ReadRow<'a> {
    pub(crate) number: RowNumber,
    pub(crate) ask: Result<Ask, RowFault>,
    /// The line after its last.
    end: u64,
    /// The line on which a quoted value of it begins that is never closed.
    unclosed: Option<u64>,
    record: &'a ByteRecord,
    layout: &'a Layout,
}

impl<'a> RowReader<'a> {
    /// A reader of `source` from its first data row on; where `expected` is given, only as long as the
    /// bytes are the ones of that fingerprint.
    pub(crate) fn new(source: &Source, layout: &'a Layout, rules: Rules, expected: Option<Fingerprint>) -> io::Result<Self> {
        let blocks = Blocks::new(source.text()?, source.mark(), layout.delimiter, expected);
        let csv = parser(layout.delimiter).buffer_capacity(PARSED_AT_ONCE).from_reader(blocks);
        let mut reader = Self { csv, record: ByteRecord::new(), layout, rules, number: 0, last_until: RefCell::default() };
        if layout.has_header {
            reader.read_record()?;
        }
        Ok(reader)
    }

    /// The next row, or `None` after the last.
    pub(crate) fn next_row(&mut self) -> io::Result<Option<ReadRow<'_>>> {
        if !self.read_record()? {
            return Ok(None);
        }
        self.number += 1;
        let end = self.csv.position().line();
        let unclosed = self.csv.get_ref().unclosed_quote().filter(|line| *line < end);
        let ask = match unclosed {
            Some(_) => Err(self.unclosed_fault()),
            None => self.ask(),
        };
        Ok(Some(ReadRow { number: RowNumber(self.number), ask, end, unclosed, record: &self.record, layout: self.layout }))
    }

    /// What has been read, once all of it has been.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        self.csv.get_ref().fingerprint()
    }

    /// Reads the next record that is not blank, if there is one.
    fn read_record(&mut self) -> io::Result<bool> {
        while self.csv.read_byte_record(&mut self.record).map_err(io_error)? {
            if !is_blank(&self.record) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn ask(&self) -> Result<Ask, RowFault> {
        self.check_width()?;
        if !self.record.as_slice().is_ascii() {
            for index in 0..self.record.len() {
                self.text(index)?;
            }
        }
        let column = &self.layout.user;
        let user: UserId = self.value(column)?.parse().map_err(|fault| RowFault::User { column: column.name.clone(), fault })?;
        match self.rules.operation {
            Operation::Audit => Ok(Ask::Read(user)),
            Operation::Grant => Ok(Ask::Grant(user, self.until()?)),
            Operation::End(grace) => Ok(Ask::End(user, grace)),
        }
    }

    fn until(&self) -> Result<BypassUntil, RowFault> {
        let missing = |column: &str| RowFault::NoUntil { column: column.to_owned() };
        let Some(column) = &self.layout.until else {
            return self.rules.until.ok_or_else(|| missing("bypassMFAEnabledUntil"));
        };
        match self.value(column)? {
            "" => self.rules.until.ok_or_else(|| missing(&column.name)),
            text => self.read_until(text).map_err(|fault| RowFault::Until { column: column.name.clone(), fault }),
        }
    }

    fn read_until(&self, text: &str) -> Result<BypassUntil, UntilError> {
        let mut last = self.last_until.borrow_mut();
        if let Some((read, until)) = &*last
            && read == text
        {
            return Ok(*until);
        }
        let until = self.rules.read_until(text)?;
        *last = Some((text.to_owned(), until));
        Ok(until)
    }

    fn check_width(&self) -> Result<(), RowFault> {
        let (found, expected) = (self.record.len(), self.layout.names.len());
        let last = || self.layout.names.last().cloned().unwrap_or_default();
        if found > expected {
            let value = String::from_utf8_lossy(&self.record[expected]).trim().to_owned();
            return Err(RowFault::TooMany { value, last: last(), found, expected });
        }
        match self.layout.names.get(found) {
            None => Ok(()),
            Some(column) => {
                let last = String::from_utf8_lossy(&self.record[found - 1]).trim().to_owned();
                Err(RowFault::TooFew { column: column.clone(), last, found, expected })
            }
        }
    }

    /// A value without the spaces around it. Where a space stands before a quote, the parser takes the
    /// quotes for a part of the value.
    fn value(&self, column: &Column) -> Result<&str, RowFault> {
        let value = self.text(column.index)?;
        if let (Some(first), Some(last)) = (value.bytes().next(), value.bytes().next_back())
            && first.is_ascii_alphanumeric()
            && last.is_ascii_alphanumeric()
        {
            return Ok(value);
        }
        let value = value.trim();
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        Ok(quoted.unwrap_or(value).trim())
    }

    fn text(&self, index: usize) -> Result<&str, RowFault> {
        std::str::from_utf8(&self.record[index]).map_err(|_| RowFault::NotUtf8 {
            column: self.layout.names.get(index).cloned().unwrap_or_default(),
            value: String::from_utf8_lossy(&self.record[index]).into_owned(),
        })
    }

    fn unclosed_fault(&self) -> RowFault {
        let index = self.record.len() - 1;
        let name = self.layout.names.get(index).or(self.layout.names.last());
        let value = String::from_utf8_lossy(&self.record[index]).trim().to_owned();
        RowFault::Unclosed { column: name.cloned().unwrap_or_default(), value }
    }
}

impl ReadRow<'_> {
    /// The line on which it begins, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.unclosed.unwrap_or_else(|| {
            let inside = memchr::memchr_iter(b'\n', self.record.as_slice()).count() as u64;
            self.end.saturating_sub(inside + 1)
        })
    }

    /// The values of the columns that are carried into the report, as they are; a value that is missing is
    /// empty.
    pub(crate) fn carried(&self) -> ByteRecord {
        let mut carried = ByteRecord::new();
        for column in &self.layout.carried {
            let value = self.field(column.index);
            match String::from_utf8_lossy(value) {
                std::borrow::Cow::Borrowed(_) => carried.push_field(value),
                std::borrow::Cow::Owned(mended) => carried.push_field(mended.as_bytes()),
            }
        }
        carried
    }

    /// How many values there are.
    pub(crate) fn width(&self) -> usize {
        self.record.len()
    }

    /// What stands in the column of user IDs.
    pub(crate) fn user_text(&self) -> String {
        String::from_utf8_lossy(self.field(self.layout.user.index)).trim().to_owned()
    }

    /// A value without the carriage return that ended its line.
    pub(crate) fn field(&self, index: usize) -> &[u8] {
        let value = self.record.get(index).unwrap_or_default();
        let is_last = index + 1 == self.record.len();
        value.strip_suffix(b"\r").filter(|_| is_last).unwrap_or(value)
    }
}

fn io_error(error: csv::Error) -> io::Error {
    let shown = error.to_string();
    if let csv::ErrorKind::Io(error) = error.into_kind() { error } else { io::Error::other(shown) }
}
