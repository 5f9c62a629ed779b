//! Parses each row of the input into a request. Both passes use the same reader, so what is sent is what was checked.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use chrono::{DateTime, Utc};
use csv::ByteRecord;

use super::Source;
use super::blocks::Fingerprint;
use super::columns::{Column, GrantColumns, Layout};
use super::records::{Place, Records, check_width, text, unclosed_fault};
use super::row_fault::{LookupValueFault, RowFault};
use crate::domain::{
    Action, BypassUntil, Grace, Operation, Origin, Outcome, Previous, Restoration, RowNumber, Shard, UntilError, UserId, parse_until,
    span_in_words,
};

/// The most characters of a lookup value: no email has more than 254. Even at twelve bytes of URL per character, such a
/// value fits into a request. Texts in PingOne's answers are truncated at a greater length, so a truncated text never
/// equals a lookup value.
const MAX_LOOKUP_CHARS: usize = 256;

/// What decides whether a row is valid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) operation: Operation,
    /// When the run started. Time spans such as `+4h` count from it, and end dates must be after it.
    pub(crate) start: DateTime<Utc>,
    /// The end date for rows that have none of their own.
    pub(crate) until: Option<BypassUntil>,
    /// The furthest ahead that an end date may be.
    pub(crate) max_window: Option<Duration>,
    /// The rows that this process carries out. All are checked.
    pub(crate) shard: Shard,
}

impl Rules {
    /// Parses `text` as an end date, and checks that it is in the future and within `max_window`.
    pub(crate) fn read_until(&self, text: &str) -> Result<BypassUntil, UntilError> {
        let until = parse_until(text, self.start)?;
        let ahead = (until.instant() - self.start).to_std().unwrap_or_default();
        match self.max_window {
            Some(window) if ahead > window => {
                let window = span_in_words(window);
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
    /// A cache of the last end date parsed: most rows of an input have the same one.
    last_until: RefCell<Option<(String, BypassUntil)>>,
}

/// How a row names its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserRef<'a> {
    Id(UserId),
    /// By this username, email or external ID, trimmed.
    Value(&'a str),
}

/// What a row is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked<'a> {
    For(Action<UserRef<'a>>),
    /// Nothing: it is of a grant that had this result, and there is nothing to undo.
    Nothing(Outcome),
}

/// One row of the input.
pub(crate) struct ReadRow<'a> {
    pub(crate) number: RowNumber,
    pub(crate) asked: Result<Asked<'a>, RowFault>,
    place: Place,
    record: &'a ByteRecord,
    layout: &'a Layout,
}

impl<'a> RowReader<'a> {
    /// A reader that starts at the first data row of `source`. If `expected` is given, reading fails once the bytes no
    /// longer match that fingerprint.
    pub(crate) fn new(source: &Source, layout: &'a Layout, rules: Rules, expected: Option<Fingerprint>) -> io::Result<Self> {
        let records = Records::new(source, layout.dialect.delimiter(), expected)?;
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
        let asked = if place.is_unclosed() { Err(unclosed_fault(&self.record, &self.layout.names)) } else { self.asked() };
        Ok(Some(ReadRow { number: RowNumber(self.number), asked, place, record: &self.record, layout: self.layout }))
    }

    /// The fingerprint of the input, complete once the last row has been read.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        self.records.fingerprint()
    }

    fn asked(&self) -> Result<Asked<'_>, RowFault> {
        check_width(&self.record, &self.layout.names)?;
        if !self.record.as_slice().is_ascii() {
            for index in 0..self.record.len() {
                self.text(index)?;
            }
        }
        match self.rules.operation {
            Operation::Audit => Ok(Asked::For(Action::Read(self.user_ref()?))),
            Operation::Grant => Ok(Asked::For(Action::Grant(self.user_ref()?, self.until()?))),
            Operation::LookAndGrant => Ok(Asked::For(Action::LookAndGrant(self.user_ref()?, self.until()?))),
            Operation::End(grace) => Ok(Asked::For(Action::End(self.user_ref()?, grace))),
            Operation::Restore(grace) => {
                let columns = self.layout.grant.as_ref().expect("the layout for this operation has them");
                self.to_restore(columns, grace)
            }
        }
    }

    /// How to undo the grant that the row is a line of.
    fn to_restore(&self, columns: &GrantColumns, grace: Grace) -> Result<Asked<'_>, RowFault> {
        let text = self.value(&columns.result)?;
        let not_a_result = || RowFault::Result { column: columns.result.name.clone(), value: text.to_owned() };
        let result = Outcome::named(text).ok_or_else(not_a_result)?;
        let date = match result {
            Outcome::Granted => &columns.until,
            // The grant was applied, but not as requested: this is what it gave, if anything.
            Outcome::Mismatch if !self.value(&columns.until)?.is_empty() => &columns.until,
            // It may have been applied: then the user has the date requested.
            Outcome::Unknown => &columns.requested,
            Outcome::Kept
            | Outcome::Mismatch
            | Outcome::NotFound
            | Outcome::Ambiguous
            | Outcome::Rejected
            | Outcome::Failed
            | Outcome::Invalid
            | Outcome::Duplicate => return Ok(Asked::Nothing(result)),
            // The report of an audit or of an end.
            Outcome::Ended | Outcome::Restored | Outcome::Changed | Outcome::Untouched | Outcome::Active | Outcome::Inactive => {
                return Err(not_a_result());
            }
        };
        let user = self.user_ref()?;
        let text = self.value(date)?;
        let granted = BypassUntil::read(text).ok_or_else(|| RowFault::Granted { column: date.name.clone(), value: text.to_owned() })?;
        let previous = self.previous(&columns.previous)?;
        // A grant that looks first keeps such a bypass. Where PingOne gave another date, anything may have been there.
        if result != Outcome::Mismatch && matches!(previous, Previous::Until(until) if until >= granted) {
            let (previous, granted) = (previous.to_string(), granted.to_string());
            return Err(RowFault::NotBefore { column: columns.previous.name.clone(), previous, granted });
        }
        Ok(Asked::For(Action::Restore(user, Restoration { granted, previous, grace })))
    }

    fn previous(&self, column: &Column) -> Result<Previous, RowFault> {
        match self.value(column)? {
            "" => Err(RowFault::NoPrevious { column: column.name.clone() }),
            text => Previous::read(text).ok_or_else(|| RowFault::Previous { column: column.name.clone(), value: text.to_owned() }),
        }
    }

    fn user_ref(&self) -> Result<UserRef<'_>, RowFault> {
        let user = &self.layout.user;
        let text = self.value(user)?;
        match &self.layout.lookup {
            Some(lookup) if text.is_empty() || lookup.column == *user => lookup_value(self.name(&lookup.column)?)
                .map(UserRef::Value)
                .map_err(|fault| RowFault::LookupValue { column: lookup.column.name.clone(), fault }),
            Some(_) | None => text.parse().map(UserRef::Id).map_err(|fault| RowFault::User { column: user.name.clone(), fault }),
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

    /// A value, trimmed. If a space precedes the opening quote, the parser leaves the quotes in the value; they are removed
    /// here.
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

    /// A value that may be a name, which can contain quotes of its own. Only quotes after a leading space are removed.
    fn name(&self, column: &Column) -> Result<&str, RowFault> {
        let text = self.text(column.index)?;
        if text.starts_with('"') { Ok(text.trim()) } else { self.value(column) }
    }

    fn text(&self, index: usize) -> Result<&str, RowFault> {
        text(&self.record, index, &self.layout.names)
    }
}

fn lookup_value(value: &str) -> Result<&str, LookupValueFault> {
    if value.is_empty() {
        Err(LookupValueFault::Empty)
    } else if value.chars().any(char::is_control) {
        Err(LookupValueFault::Control(value.to_owned()))
    } else if value.chars().nth(MAX_LOOKUP_CHARS).is_some() {
        Err(LookupValueFault::TooLong { value: value.to_owned(), most: MAX_LOOKUP_CHARS })
    } else {
        Ok(value)
    }
}

impl ReadRow<'_> {
    /// The line on which the row begins, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.place.line(self.record)
    }

    /// How the row stands in the input.
    pub(crate) fn origin(&self) -> Origin {
        let named = match &self.asked {
            Ok(Asked::For(requested)) => match requested.user() {
                UserRef::Value(value) => Some(value.into()),
                UserRef::Id(_) => None,
            },
            Ok(Asked::Nothing(_)) | Err(_) => None,
        };
        Origin { line: Some(self.line()), named, reported: None }
    }

    /// The values of the columns that are carried into the report, unchanged. Missing values are empty.
    pub(crate) fn carried(&self) -> ByteRecord {
        let mut carried = ByteRecord::new();
        for column in &self.layout.carried {
            carried.push_field(String::from_utf8_lossy(self.field(column.index)).as_bytes());
        }
        carried
    }

    pub(crate) fn width(&self) -> usize {
        self.record.len()
    }

    /// The text in the user ID column; empty if there is no such column.
    pub(crate) fn user_text(&self) -> String {
        if self.layout.has_no_ids() {
            return String::new();
        }
        String::from_utf8_lossy(self.field(self.layout.user.index)).trim().to_owned()
    }

    /// The text in the column of end dates, trimmed; empty if there is no such column.
    pub(crate) fn until_text(&self) -> String {
        let text = self.layout.until.as_ref().map(|column| String::from_utf8_lossy(self.field(column.index)));
        text.map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    /// A value without the carriage return of its line ending.
    pub(crate) fn field(&self, index: usize) -> &[u8] {
        let value = self.record.get(index).unwrap_or_default();
        let is_last = index + 1 == self.record.len();
        value.strip_suffix(b"\r").filter(|_| is_last).unwrap_or(value)
    }
}
