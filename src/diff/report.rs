//! Reads what each line of a report states about its user.

use std::path::Path;

use super::change::State;
use super::error::{DiffError, Fault};
use crate::domain::{BypassUntil, Outcome, UserId};
use crate::input::{RowFault, Table, Values};
use crate::report::is_journal;

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
}

/// What a line states.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A user's state.
    User(UserId, State),
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
        let columns =
            Columns { user: table.column("userID")?, result: table.column("result")?, until: table.column("bypassMFAEnabledUntil")? };
        Ok(Self { table, columns })
    }

    /// Its name in messages.
    pub(super) fn name(&self) -> &str {
        self.table.name()
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
            return Ok(user.map_or(Entry::Unmatched, |user| Entry::User(user, State::Failed(outcome))));
        }
        Outcome::Duplicate => return Ok(Entry::Repeated),
    };
    let user = user.map_err(|fault| RowFault::User { column: "userID".to_owned(), fault })?;
    Ok(Entry::User(user, state))
}

/// The end date of a line, if it has one.
fn until(values: &Values<'_>, columns: &Columns) -> Result<Option<BypassUntil>, Fault> {
    match values.get(columns.until)? {
        "" => Ok(None),
        text => BypassUntil::read(text).map(Some).ok_or_else(|| Fault::Until(text.to_owned())),
    }
}
