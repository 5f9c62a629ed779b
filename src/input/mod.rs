//! Reads the input: which rows it holds, and whether each of them is valid.
//!
//! ```text
//! Source ── Blocks ── csv ── RowReader ─┬─ check: the whole input, before anything is sent → Checked
//! (bytes)  (digest,                     └─ feed: the same rows again, as fast as they are sent → Row
//!           quotes)
//! ```
//!
//! Neither pass holds more than one row and one block of bytes in memory. What must be compared across the whole input
//! (users who appear twice) is sorted on disk.

#[cfg(test)]
mod again_tests;
mod bad_rows;
mod blocks;
mod check;
mod columns;
#[cfg(test)]
mod dialect_tests;
mod error;
#[cfg(test)]
mod form_tests;
#[cfg(test)]
mod fuzz;
mod opened;
#[cfg(test)]
mod plan_tests;
mod records;
mod repeats;
mod resolved_users;
#[cfg(test)]
mod restore_tests;
mod row_fault;
mod rows;
#[cfg(test)]
mod shard_tests;
mod source;
mod spool;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

use chrono::{DateTime, Utc};
use csv::ByteRecord;
use tokio::sync::mpsc;

pub(crate) use self::check::{LookupCounts, Plan};
pub(crate) use self::columns::{Dialect, Layout};
pub(crate) use self::error::{HeaderFault, InputError};
pub(crate) use self::opened::{OpenedInput, ReadOptions, is_pipe, name_of};
pub(crate) use self::resolved_users::ResolvedUsers;
pub(crate) use self::row_fault::RowFault;
pub(crate) use self::rows::Rules;
pub(crate) use self::source::{BytesRead, Expected, Source};
pub(crate) use self::table::{Table, Values};

use self::check::{Checked, Recheck, check};
use self::repeats::Repeat;
use self::resolved_users::resolution_of;
use self::rows::{Asked, ReadRow, RowReader, UserRef};
use crate::domain::{CsvDialect, Operation, Outcome, Previous, Resolution, Row, RowNumber, RowSet, Work};
use crate::report::{FAILED_COLUMNS, RowsByNumber, hex};

/// Which rows of a checked input are still to be done.
#[derive(Debug, Default)]
pub(crate) struct Remaining {
    pub(crate) settled: RowSet,
    /// The rows that are sent again, with their previous outcomes.
    pub(crate) again: BTreeMap<u64, Outcome>,
    /// What the users of some of these had before.
    pub(crate) previous: BTreeMap<u64, Previous>,
    /// Rows up to this one may have been sent by a run that crashed.
    pub(crate) in_doubt_up_to: u64,
    /// When the run was resumed. End dates that have passed by then are no longer requested.
    pub(crate) resumed: Option<DateTime<Utc>>,
}

impl Remaining {
    /// Whether the row's request may have been carried out already.
    fn doubts(&self, row: RowNumber) -> bool {
        row.0 <= self.in_doubt_up_to || self.again.get(&row.0) == Some(&Outcome::Unknown)
    }

    /// The work for a row. If its end date has passed before the run was resumed, the row keeps its previous outcome.
    fn unless_expired(&self, work: Work, row: RowNumber) -> Work {
        match work {
            Work::Send(action) if action.until().is_some_and(|until| self.resumed.is_some_and(|resumed| until.instant() <= resumed)) => {
                // If the row may have been sent again, its previous outcome no longer holds.
                let was = if self.doubts(row) { Outcome::Unknown } else { self.again.get(&row.0).copied().unwrap_or(Outcome::Invalid) };
                Work::Expired(action, was)
            }
            work @ (Work::Send(_)
            | Work::Duplicate(_)
            | Work::Expired(..)
            | Work::Unresolved { .. }
            | Work::Untouched { .. }
            | Work::Invalid { .. }) => work,
        }
    }
}

/// How many rows are read at a time: waking a thread for each row would cost more than sending it.
pub(crate) const READ_TOGETHER: usize = 128;

/// Sends the remaining rows of a checked input into `rows`, no faster than they are received. Blocks the thread. Returns
/// early, without an error, once the receiver is dropped.
pub(crate) fn feed(input: &ValidInput, remaining: &Remaining, rows: &mpsc::Sender<Row>) -> io::Result<()> {
    let mut reader = input.read_again()?;
    while let Ok(places) = futures::executor::block_on(rows.reserve_many(READ_TOGETHER)) {
        for place in places {
            match next_row(&mut reader, input, remaining)? {
                Some(row) => place.send(row),
                None => return Ok(()),
            }
        }
    }
    Ok(())
}

/// The next row of the shard that is not settled.
fn next_row(reader: &mut RowReader<'_>, input: &ValidInput, remaining: &Remaining) -> io::Result<Option<Row>> {
    while let Some(row) = reader.next_row()? {
        if input.rules.shard.includes(row.number) && !remaining.settled.contains(row.number.0) {
            let in_doubt = remaining.doubts(row.number);
            let work = remaining.unless_expired(work(&row, input)?, row.number);
            let previous = remaining.previous.get(&row.number.0).copied();
            return Ok(Some(Row { number: row.number, origin: row.origin(), carried: row.carried(), in_doubt, previous, work }));
        }
    }
    Ok(None)
}

/// An input that may be run: every row has been read and checked once.
#[derive(Debug)]
pub(crate) struct ValidInput {
    pub(crate) source: Source,
    pub(crate) layout: Layout,
    pub(crate) rules: Rules,
    skip_invalid: bool,
    checked: Checked,
    /// The looked-up users, once the lookup is done.
    resolved: Option<ResolvedUsers>,
}

impl ValidInput {
    /// Checks every row of `source`. With `skip_invalid`, the run may leave out the invalid ones.
    pub(crate) fn check(source: Source, layout: Layout, rules: Rules, skip_invalid: bool) -> Result<Self, InputError> {
        let checked = check(&source, &layout, rules, skip_invalid, None)?;
        Ok(Self { source, layout, rules, skip_invalid, checked, resolved: None })
    }

    /// Checks the same input again, by other rules. Invalid rows refuse it, as in [`Self::approve`].
    pub(crate) fn with_rules(self, rules: Rules) -> Result<Self, InputError> {
        let again = Recheck { fingerprint: self.checked.fingerprint, resolved: self.resolved.as_ref() };
        let checked = check(&self.source, &self.layout, rules, self.skip_invalid, Some(&again))?;
        Self { rules, checked, ..self }.approve(None)
    }

    /// Checks the same input again, now with its users resolved: rows that name one user differently may turn out to
    /// repeat or contradict each other. Invalid rows refuse it, as in [`Self::approve`].
    pub(crate) fn with_users(self, resolved: ResolvedUsers) -> Result<Self, InputError> {
        let again = Recheck { fingerprint: self.checked.fingerprint, resolved: Some(&resolved) };
        let mut checked = check(&self.source, &self.layout, self.rules, self.skip_invalid, Some(&again))?;
        checked.bad.were_looked_up = true;
        Self { checked, resolved: Some(resolved), ..self }.approve(None)
    }

    /// Refuses the input if it has more rows than `max_users`, or invalid rows that may not be skipped.
    pub(crate) fn approve(self, max_users: Option<u64>) -> Result<Self, InputError> {
        let name = self.source.name.clone();
        let rows = self.rows();
        if let Some(most) = max_users.filter(|most| rows > *most) {
            return Err(InputError::TooManyRows { name, rows, most });
        }
        if self.checked.bad.count > 0 && (self.checked.bad.fatal || !self.skip_invalid) {
            return Err(InputError::BadRows { name, rows, bad: self.checked.bad });
        }
        Ok(self)
    }

    /// The counts that are shown before the run starts.
    pub(crate) fn plan(&self) -> &Plan {
        &self.checked.plan
    }

    /// The SHA-256 of the input's text, in hexadecimal.
    pub(crate) fn sha256(&self) -> String {
        hex(&self.checked.fingerprint.whole)
    }

    pub(crate) fn rows(&self) -> u64 {
        self.checked.plan.rows
    }

    /// The number of rows of this process's shard.
    pub(crate) fn own_rows(&self) -> u64 {
        self.rules.shard.rows_of(self.rows())
    }

    /// The users found for the rows that do not name theirs by ID, in order.
    pub(crate) fn found_users(&self) -> impl Iterator<Item = io::Result<(RowNumber, Resolution)>> {
        let resolved = self.resolved.as_ref();
        let rows = (1..=self.rows()).map(RowNumber).take_while(move |_| resolved.is_some());
        rows.filter_map(move |row| {
            let found = resolved.map_or(Ok(None), |resolved| resolved.of(row));
            found.map(|found| found.map(|resolution| (row, resolution))).transpose()
        })
    }

    pub(crate) fn lookup_rows(&self) -> io::Result<LookupRows<'_>> {
        Ok(LookupRows(self.read_again()?))
    }

    fn read_again(&self) -> io::Result<RowReader<'_>> {
        RowReader::new(&self.source, &self.layout, self.rules, Some(self.checked.fingerprint.clone()))
    }

    pub(crate) fn original_rows(&self) -> io::Result<OriginalRows<'_>> {
        let gives_dates = matches!(self.rules.operation, Operation::Grant | Operation::LookAndGrant);
        let lacks_dates = gives_dates && !self.layout.has_header && self.layout.until.is_none();
        Ok(OriginalRows { reader: self.read_again()?, layout: &self.layout, lacks_dates, at: 0 })
    }
}

/// The rows whose users must be looked up.
pub(crate) struct LookupRows<'a>(RowReader<'a>);

impl LookupRows<'_> {
    /// The next such row. The value to look up is written to `value`.
    pub(crate) fn next_row(&mut self, value: &mut String) -> io::Result<Option<RowNumber>> {
        while let Some(row) = self.0.next_row()? {
            if let Ok(Asked::For(requested)) = row.asked
                && let UserRef::Value(named) = requested.user()
            {
                named.clone_into(value);
                return Ok(Some(row.number));
            }
        }
        Ok(None)
    }
}

/// The rows of an input, unchanged.
pub(crate) struct OriginalRows<'a> {
    reader: RowReader<'a>,
    layout: &'a Layout,
    /// Whether there is no second column, which would be that of the end dates if there were one.
    lacks_dates: bool,
    at: u64,
}

impl OriginalRows<'_> {
    /// How many columns are the input's own. In a file of failed rows, the last two are not.
    fn own(&self) -> usize {
        let names = &self.layout.names;
        let own = names.len().saturating_sub(FAILED_COLUMNS.len());
        let used = |index: usize| self.layout.user.index >= index || self.layout.until.as_ref().is_some_and(|until| until.index >= index);
        if names[own..] == FAILED_COLUMNS && !used(own) { own } else { names.len() }
    }
}

impl RowsByNumber for OriginalRows<'_> {
    fn header(&self) -> Option<ByteRecord> {
        let Layout { names, has_header, .. } = self.layout;
        has_header.then(|| names.iter().take(self.own()).collect())
    }

    fn dialect(&self) -> CsvDialect {
        self.layout.dialect
    }

    fn row(&mut self, number: u64, _line: &ByteRecord) -> io::Result<ByteRecord> {
        for _ in self.at + 1..number {
            self.reader.next_row()?;
        }
        self.at = number;
        let (own, all) = (self.own(), self.layout.names.len());
        let row = self.reader.next_row()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        // A row with too many or too few values is kept as it is: it is unclear which columns the values belong to.
        let values = if row.width() == all { own } else { row.width() };
        let no_date: &[u8] = b"";
        let date = self.lacks_dates.then_some(no_date).filter(|_| values == 1);
        Ok((0..values).map(|index| row.field(index)).chain(date).collect())
    }
}

fn work(row: &ReadRow<'_>, input: &ValidInput) -> io::Result<Work> {
    let name = &input.source.name;
    let invalid = |user, fault: &RowFault| Work::Invalid { user, why: format!("{name}:{}: {fault}", row.line()) };
    let requested = match &row.asked {
        Ok(Asked::For(requested)) => requested,
        Ok(Asked::Nothing(result)) => return Ok(Work::Untouched { user: row.user_text(), result: *result }),
        Err(fault) => return Ok(invalid(row.user_text(), fault)),
    };
    let action = match resolution_of(requested, row.number, input.resolved.as_ref())? {
        Some(Resolution::User(user)) => requested.of(user),
        Some(Resolution::Unresolved(outcome, detail)) => {
            return Ok(Work::Unresolved { outcome, detail, until: requested.until() });
        }
        None => return Err(io::Error::other(format!("row {}: the user has not been looked up", row.number))),
    };
    Ok(match input.checked.repeats.of(&action, row.number, row.line(), &input.layout) {
        Repeat::Conflict(fault) => invalid(action.user().to_string(), &fault),
        Repeat::Duplicate => Work::Duplicate(action),
        Repeat::No => Work::Send(action),
    })
}

/// The only CSV parser configuration. A line ends at its line feed, so that lines can be counted. A carriage return before
/// it is trimmed together with the spaces around a value.
fn parser(delimiter: u8) -> csv::ReaderBuilder {
    let mut parser = csv::ReaderBuilder::new();
    parser.delimiter(delimiter).has_headers(false).flexible(true).terminator(csv::Terminator::Any(b'\n'));
    parser
}

/// Whether a record holds only white space and delimiters, like the lines that Excel saves below a table.
fn is_blank(record: &ByteRecord) -> bool {
    record.iter().all(|field| field.iter().all(u8::is_ascii_whitespace))
}
