//! Reads what each line of a report states about its user.

use std::path::Path;

use super::change::State;
use super::error::{DiffError, Fault};
use super::names::{self, Named};
use crate::domain::{BypassUntil, Outcome, UserId};
use crate::input::{RowFault, Table, Values};
use crate::report::{hex, is_journal};

/// A report, read line by line.
pub(super) struct Report {
    table: Table,
    columns: Columns,
}

/// The indices of the columns that are compared.
struct Columns {
    user: usize,
    result: usize,
    until: usize,
    /// Those of names, where the report has them.
    names: [Option<usize>; names::COLUMNS.len()],
}

/// What a line states.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A user's state, and what the user is called.
    User(UserId, State, Named),
    /// A failed line whose user is unknown.
    Unmatched,
    /// Nothing beyond an earlier line.
    Repeated,
}

impl Report {
    /// Opens the report at `path`; `-` is standard input.
    pub(super) fn open(path: &Path) -> Result<Self, DiffError> {
        if is_journal(path) {
            return Err(DiffError::Journal(path.to_owned()));
        }
        let table = Table::open(path)?;
        // Not read, but a file of failed rows, which is no report, lacks this column.
        table.column("canBypassMFA")?;
        let (user, result, until) = (table.column("userID")?, table.column("result")?, table.column("bypassMFAEnabledUntil")?);
        let columns = Columns { user, result, until, names: names::COLUMNS.map(|name| table.column_like(name)) };
        Ok(Self { table, columns })
    }

    /// Its name in messages.
    pub(super) fn name(&self) -> &str {
        self.table.name()
    }

    /// The SHA-256 of the file in hexadecimal, once its last line has been read.
    pub(super) fn sha256(&self) -> String {
        hex(self.table.sha256())
    }

    /// Which columns of names it has.
    pub(super) fn has_names(&self) -> [bool; names::COLUMNS.len()] {
        self.columns.names.map(|column| column.is_some())
    }

    /// The next line number and entry, or `None` after the last.
    pub(super) fn next_line(&mut self) -> Result<Option<(u64, Entry)>, DiffError> {
        let Some(row) = self.table.next_row()? else {
            return Ok(None);
        };
        let line = row.line;
        let entry = row.values.map_err(Fault::from).and_then(|values| entry_of(&values, &self.columns));
        match entry {
            Ok(entry) => Ok(Some((line, entry))),
            Err(fault) => Err(DiffError::Line { name: self.table.name().to_owned(), line, fault: fault.into() }),
        }
    }
}

fn entry_of(values: &Values<'_>, columns: &Columns) -> Result<Entry, Fault> {
    let result = values.get(columns.result)?;
    let outcome = Outcome::named(result).ok_or_else(|| Fault::Result(result.to_owned()))?;
    let user = values.get(columns.user)?.parse::<UserId>();
    let state = match outcome {
        Outcome::Granted | Outcome::Kept | Outcome::Restored | Outcome::Active => State::Active(until(values, columns)?),
        Outcome::Inactive => until(values, columns).map(|_| State::Inactive)?,
        // An ended bypass still runs until the near date in the line, unless it was over already.
        Outcome::Ended => until(values, columns)?.map_or(State::Inactive, |until| State::Active(Some(until))),
        // An untouched line says nothing about the user.
        Outcome::Mismatch
        | Outcome::Changed
        | Outcome::Untouched
        | Outcome::NotFound
        | Outcome::Ambiguous
        | Outcome::Rejected
        | Outcome::Failed
        | Outcome::Unknown
        | Outcome::Invalid => {
            return match user {
                Ok(user) => Ok(Entry::User(user, State::Failed(outcome), named(values, columns)?)),
                Err(_) => Ok(Entry::Unmatched),
            };
        }
        Outcome::Duplicate => return Ok(Entry::Repeated),
    };
    let user = user.map_err(|fault| RowFault::User { column: "userID".to_owned(), fault })?;
    Ok(Entry::User(user, state, named(values, columns)?))
}

/// What a line calls its user.
fn named(values: &Values<'_>, columns: &Columns) -> Result<Named, Fault> {
    let mut named = Named::default();
    for (name, column) in named.iter_mut().zip(columns.names) {
        if let Some(column) = column {
            values.get(column)?.clone_into(name);
        }
    }
    Ok(named)
}

/// The end date of a line, if it has one.
fn until(values: &Values<'_>, columns: &Columns) -> Result<Option<BypassUntil>, Fault> {
    match values.get(columns.until)? {
        "" => Ok(None),
        text => BypassUntil::read(text).map(Some).ok_or_else(|| Fault::Until(text.to_owned())),
    }
}
