//! What does each row of the input ask? One reader for both passes, so that what is sent is what was
//! checked.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use chrono::{DateTime, Utc};
use csv::ByteRecord;

use super::Source;
use super::blocks::Fingerprint;
use super::columns::{Column, Layout};
use super::error::RowFault;
use super::records::{Place, Records, check_width, text, unclosed_fault};
use crate::domain::{Ask, BypassUntil, Operation, RowNumber, UserId};
use crate::when::{UntilError, parse_until};

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
    records: Records,
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
    place: Place,
    record: &'a ByteRecord,
    layout: &'a Layout,
}

impl<'a> RowReader<'a> {
    /// A reader of `source` from its first data row on; where `expected` is given, only as long as the
    /// bytes are the ones of that fingerprint.
    pub(crate) fn new(source: &Source, layout: &'a Layout, rules: Rules, expected: Option<Fingerprint>) -> io::Result<Self> {
        let records = Records::new(source, layout.delimiter, expected)?;
        let mut reader = Self { records, record: ByteRecord::new(), layout, rules, number: 0, last_until: RefCell::default() };
        if layout.has_header {
            reader.records.read(&mut reader.record)?;
        }
        Ok(reader)
    }

    /// The next row, or `None` after the last.
    pub(crate) fn next_row(&mut self) -> io::Result<Option<ReadRow<'_>>> {
        let Some(place) = self.records.read(&mut self.record)? else {
            return Ok(None);
        };
        self.number += 1;
        let ask = if place.is_unclosed() { Err(unclosed_fault(&self.record, &self.layout.names)) } else { self.ask() };
        Ok(Some(ReadRow { number: RowNumber(self.number), ask, place, record: &self.record, layout: self.layout }))
    }

    /// What has been read, once all of it has been.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        self.records.fingerprint()
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
        check_width(&self.record, &self.layout.names)
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
        text(&self.record, index, &self.layout.names)
    }
}

impl ReadRow<'_> {
    /// The line on which it begins, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.place.line(self.record)
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
