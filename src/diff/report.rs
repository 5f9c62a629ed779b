//! What does each line of a report say of its user?

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

/// Where the values stand that are compared.
struct Columns {
    user: usize,
    result: usize,
    until: usize,
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Of this user, that.
    Of(UserId, State),
    /// It failed, and it is not known of whom.
    OfNobody,
    /// Nothing that an earlier line does not say.
    Nothing,
}

impl Report {
    /// Opens the report at `path`; `-` is standard input.
    pub(super) fn open(path: &Path) -> Result<Self, DiffError> {
        if is_journal(path) {
            return Err(DiffError::Journal(path.to_owned()));
        }
        let table = Table::open(path)?;
        // Nothing is read there, but a file of failed rows, which is no report, has no such column.
        table.column("canBypassMFA")?;
        let columns =
            Columns { user: table.column("userID")?, result: table.column("result")?, until: table.column("bypassMFAEnabledUntil")? };
        Ok(Self { table, columns })
    }

    /// What messages call it.
    pub(super) fn name(&self) -> &str {
        self.table.name()
    }

    /// The next line and what it says, or `None` after the last.
    pub(super) fn next_line(&mut self) -> Result<Option<(u64, Said)>, DiffError> {
        let Some(row) = self.table.next_row()? else {
            return Ok(None);
        };
        let line = row.line;
        let said = row.values.map_err(Fault::from).and_then(|values| said(&values, &self.columns));
        match said {
            Ok(said) => Ok(Some((line, said))),
            Err(fault) => Err(DiffError::Line { name: self.table.name().to_owned(), line, fault: fault.into() }),
        }
    }
}

fn said(values: &Values<'_>, columns: &Columns) -> Result<Said, Fault> {
    let result = values.get(columns.result)?;
    let outcome = Outcome::named(result).ok_or_else(|| Fault::Result(result.to_owned()))?;
    let user = values.get(columns.user)?.parse::<UserId>();
    let state = match outcome {
        Outcome::Granted | Outcome::Active => State::Active(until(values, columns)?),
        Outcome::Inactive => until(values, columns).map(|_| State::Inactive)?,
        // It runs on until the near date that stands there, if it was not over already.
        Outcome::Ended => until(values, columns)?.map_or(State::Inactive, |until| State::Active(Some(until))),
        Outcome::Mismatch
        | Outcome::NotFound
        | Outcome::Ambiguous
        | Outcome::Rejected
        | Outcome::Failed
        | Outcome::Unknown
        | Outcome::Invalid => {
            return Ok(user.map_or(Said::OfNobody, |user| Said::Of(user, State::Failed(outcome))));
        }
        Outcome::Duplicate => return Ok(Said::Nothing),
    };
    let user = user.map_err(|fault| RowFault::User { column: "userID".to_owned(), fault })?;
    Ok(Said::Of(user, state))
}

/// The end date of a line, if it has one.
fn until(values: &Values<'_>, columns: &Columns) -> Result<Option<BypassUntil>, Fault> {
    match values.get(columns.until)? {
        "" => Ok(None),
        text => BypassUntil::read(text).map(Some).ok_or_else(|| Fault::Until(text.to_owned())),
    }
}
