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
use super::error::{NotSought, RowFault};
use super::records::{Place, Records, check_width, text, unclosed_fault};
use crate::domain::{Action, BypassUntil, Grace, Operation, RowNumber, UntilError, UserId, parse_until};

/// The most characters of a value that is looked up: no email has more than 254. Even if each took twelve bytes
/// of the URL, it would fit into a request; and texts of an answer are cut at more than that, so that what is
/// cut is equal to no value.
const MOST_OF_A_SOUGHT: usize = 256;

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

/// Whom a row names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who<'a> {
    Id(UserId),
    /// The user who has this username, email or external ID, without the spaces around it.
    Sought(&'a str),
}

/// What a row asks for its user.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    Grant(BypassUntil),
    Read,
    End(Grace),
}

impl Deed {
    /// What is asked, once it is known for whom.
    pub(crate) fn of(self, user: UserId) -> Action {
        match self {
            Self::Grant(until) => Action::Grant(user, until),
            Self::Read => Action::Read(user),
            Self::End(grace) => Action::End(user, grace),
        }
    }

    /// The end date that is asked for, if the row asks for one itself.
    pub(crate) fn until(self) -> Option<BypassUntil> {
        match self {
            Self::Grant(until) => Some(until),
            Self::Read | Self::End(_) => None,
        }
    }
}

/// What a row asks, and for whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) who: Who<'a>,
    pub(crate) deed: Deed,
}

/// One row as it stands in the input.
pub(crate) struct ReadRow<'a> {
    pub(crate) number: RowNumber,
    pub(crate) wish: Result<Wish<'a>, RowFault>,
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
        let wish = if place.is_unclosed() { Err(unclosed_fault(&self.record, &self.layout.names)) } else { self.wish() };
        Ok(Some(ReadRow { number: RowNumber(self.number), wish, place, record: &self.record, layout: self.layout }))
    }

    /// What has been read, once all of it has been.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        self.records.fingerprint()
    }

    fn wish(&self) -> Result<Wish<'_>, RowFault> {
        self.check_width()?;
        if !self.record.as_slice().is_ascii() {
            for index in 0..self.record.len() {
                self.text(index)?;
            }
        }
        let who = self.who()?;
        let deed = match self.rules.operation {
            Operation::Audit => Deed::Read,
            Operation::Grant => Deed::Grant(self.until()?),
            Operation::End(grace) => Deed::End(grace),
        };
        Ok(Wish { who, deed })
    }

    fn who(&self) -> Result<Who<'_>, RowFault> {
        let user = &self.layout.user;
        let text = self.value(user)?;
        match &self.layout.lookup {
            Some(lookup) if text.is_empty() || lookup.column == *user => sought(self.name(&lookup.column)?)
                .map(Who::Sought)
                .map_err(|fault| RowFault::NotSought { column: lookup.column.name.clone(), fault }),
            Some(_) | None => text.parse().map(Who::Id).map_err(|fault| RowFault::User { column: user.name.clone(), fault }),
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

    /// A value that may be a name, which may have quotes of its own. Those alone that follow a space are not.
    fn name(&self, column: &Column) -> Result<&str, RowFault> {
        let text = self.text(column.index)?;
        if text.starts_with('"') { Ok(text.trim()) } else { self.value(column) }
    }

    fn text(&self, index: usize) -> Result<&str, RowFault> {
        text(&self.record, index, &self.layout.names)
    }
}

/// `value`, if it can be looked up.
fn sought(value: &str) -> Result<&str, NotSought> {
    if value.is_empty() {
        Err(NotSought::Empty)
    } else if value.chars().any(char::is_control) {
        Err(NotSought::Control(value.to_owned()))
    } else if value.chars().nth(MOST_OF_A_SOUGHT).is_some() {
        Err(NotSought::TooLong { value: value.to_owned(), most: MOST_OF_A_SOUGHT })
    } else {
        Ok(value)
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

    /// What stands in the column of user IDs, if there is one.
    pub(crate) fn user_text(&self) -> String {
        if self.layout.has_no_ids() {
            return String::new();
        }
        String::from_utf8_lossy(self.field(self.layout.user.index)).trim().to_owned()
    }

    /// A value without the carriage return that ended its line.
    pub(crate) fn field(&self, index: usize) -> &[u8] {
        let value = self.record.get(index).unwrap_or_default();
        let is_last = index + 1 == self.record.len();
        value.strip_suffix(b"\r").filter(|_| is_last).unwrap_or(value)
    }
}
