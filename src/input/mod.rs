//! Which rows does the input hold, and is every one of them sound?
//!
//! ```text
//! Source ── Blocks ── csv ── RowReader ─┬─ check: the whole input, before anything is sent → Checked
//! (bytes)  (digest,                     └─ feed: the same rows again, as fast as they are sent → Row
//!           quotes)
//! ```
//!
//! Neither pass holds more than a row and a block of bytes; what must be compared over the whole input (a
//! user who stands in it twice) is sorted on disk.

#[cfg(test)]
mod again_tests;
mod blocks;
mod check;
mod columns;
mod error;
#[cfg(test)]
mod form_tests;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod plan_tests;
mod records;
mod repeats;
mod rows;
mod source;
mod spool;
mod table;
#[cfg(test)]
mod tests;
mod whom;

use std::collections::BTreeMap;
use std::io;

use chrono::{DateTime, Utc};
use csv::ByteRecord;
use tokio::sync::mpsc;

pub use self::error::{BadRows, HeaderFault, InputError};

pub(crate) use self::check::{Plan, Sought};
pub(crate) use self::columns::{Dialect, Layout};
pub(crate) use self::error::RowFault;
pub(crate) use self::rows::Rules;
pub(crate) use self::source::{Expected, Opened, Seen, Source, Taking, is_pipe, name_of};
pub(crate) use self::table::{Table, Values};
pub(crate) use self::whom::{Known, Whom};

use self::check::{Again, Checked, check};
use self::repeats::Repeat;
use self::rows::{ReadRow, RowReader, Who, Wish};
use self::whom::known;
use crate::domain::{Outcome, Row, RowNumber, RowSet, Work};
use crate::report::{FAILED_COLUMNS, InputRows, hex};

/// The rows of a checked input that are still to be done.
#[derive(Debug, Default)]
pub(crate) struct Remaining {
    /// Those that are not.
    pub(crate) settled: RowSet,
    /// Those that are sent again, and what became of them before.
    pub(crate) again: BTreeMap<u64, Outcome>,
    /// The rows up to this one may have been sent by a run that crashed.
    pub(crate) in_doubt_up_to: u64,
    /// When the run was taken up: an end date that has passed since its start is not asked for any more.
    pub(crate) resumed: Option<DateTime<Utc>>,
}

impl Remaining {
    /// Whether what the row asks for may have been carried out already.
    fn doubts(&self, row: RowNumber) -> bool {
        row.0 <= self.in_doubt_up_to || self.again.get(&row.0) == Some(&Outcome::Unknown)
    }

    /// The task of a row, unless its end date has passed meanwhile: then it stays what it was.
    fn unless_passed(&self, task: Work, row: RowNumber) -> Work {
        match task {
            Work::Send(action) if action.until().is_some_and(|until| self.resumed.is_some_and(|resumed| until.instant() <= resumed)) => {
                // What it was before it may have been sent again, it is no more.
                let was = if self.doubts(row) { Outcome::Unknown } else { self.again.get(&row.0).copied().unwrap_or(Outcome::Invalid) };
                Work::Passed(action, was)
            }
            task @ (Work::Send(_) | Work::Duplicate(_) | Work::Passed(..) | Work::Nobody { .. } | Work::Invalid { .. }) => task,
        }
    }
}

/// How many rows are read on at a time: to wake a thread for each costs more than to send it.
pub(crate) const READ_TOGETHER: usize = 128;

/// Sends the remaining rows of a checked input into `rows`, no faster than they are taken out; blocks the
/// thread. Ends early, without an error, once nobody takes them any more.
pub(crate) fn feed(sound: &Sound, remaining: &Remaining, rows: &mpsc::Sender<Row>) -> io::Result<()> {
    let mut reader = sound.read_again()?;
    while let Ok(places) = futures::executor::block_on(rows.reserve_many(READ_TOGETHER)) {
        for place in places {
            match next_row(&mut reader, sound, remaining)? {
                Some(row) => place.send(row),
                None => return Ok(()),
            }
        }
    }
    Ok(())
}

/// The next row that is still to be done.
fn next_row(reader: &mut RowReader<'_>, sound: &Sound, remaining: &Remaining) -> io::Result<Option<Row>> {
    while let Some(row) = reader.next_row()? {
        if !remaining.settled.contains(row.number.0) {
            let in_doubt = remaining.doubts(row.number);
            let task = remaining.unless_passed(task(&row, sound)?, row.number);
            let task = if in_doubt && sound.rules.operation.changes() { task.in_doubt() } else { task };
            return Ok(Some(Row { number: row.number, carried: row.carried(), in_doubt, task }));
        }
    }
    Ok(None)
}

/// An input that may be run: every row of it has been read once.
#[derive(Debug)]
pub(crate) struct Sound {
    pub(crate) source: Source,
    pub(crate) layout: Layout,
    pub(crate) rules: Rules,
    go_on: bool,
    checked: Checked,
    /// Whom the rows mean whose users were looked up, once they have been.
    whom: Option<Whom>,
}

impl Sound {
    /// Checks `source`, every row of it. If `go_on`, the run may leave out those that are invalid.
    pub(crate) fn check(source: Source, layout: Layout, rules: Rules, go_on: bool) -> Result<Self, InputError> {
        let checked = check(&source, &layout, rules, go_on, None)?;
        Ok(Self { source, layout, rules, go_on, checked, whom: None })
    }

    /// Checks the same input once more, by other rules. What is bad then refuses it.
    pub(crate) fn with_rules(self, rules: Rules) -> Result<Self, InputError> {
        let again = Again { fingerprint: self.checked.fingerprint, whom: self.whom.as_ref() };
        let checked = check(&self.source, &self.layout, rules, self.go_on, Some(&again))?;
        Self { rules, checked, ..self }.approve(None)
    }

    /// Checks the same input once more, now that it is known whom its rows mean: two of one user may repeat or
    /// contradict each other, whatever they call the user. What is bad then refuses it.
    pub(crate) fn with_users(self, whom: Whom) -> Result<Self, InputError> {
        let again = Again { fingerprint: self.checked.fingerprint, whom: Some(&whom) };
        let mut checked = check(&self.source, &self.layout, self.rules, self.go_on, Some(&again))?;
        checked.bad.were_looked_up = true;
        Self { checked, whom: Some(whom), ..self }.approve(None)
    }

    /// Refuses what may not be run: invalid rows, or more rows than `max_users`.
    pub(crate) fn approve(self, max_users: Option<u64>) -> Result<Self, InputError> {
        let name = self.source.name.clone();
        let rows = self.rows();
        if let Some(most) = max_users.filter(|most| rows > *most) {
            return Err(InputError::TooManyRows { name, rows, most });
        }
        if self.checked.bad.count > 0 && (self.checked.bad.fatal || !self.go_on) {
            return Err(InputError::BadRows { name, rows, bad: self.checked.bad });
        }
        Ok(self)
    }

    /// What is to be done.
    pub(crate) fn plan(&self) -> &Plan {
        &self.checked.plan
    }

    /// The SHA-256 of the input's text, in hexadecimal digits.
    pub(crate) fn sha256(&self) -> String {
        hex(&self.checked.fingerprint.whole)
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> u64 {
        self.checked.plan.rows
    }

    /// The rows whose users are to be looked up, once more.
    pub(crate) fn sought_rows(&self) -> io::Result<SoughtRows<'_>> {
        Ok(SoughtRows(self.read_again()?))
    }

    fn read_again(&self) -> io::Result<RowReader<'_>> {
        RowReader::new(&self.source, &self.layout, self.rules, Some(self.checked.fingerprint.clone()))
    }

    /// The rows once more, as they stand in the input.
    pub(crate) fn original_rows(&self) -> io::Result<OriginalRows<'_>> {
        Ok(OriginalRows { reader: self.read_again()?, layout: &self.layout, at: 0 })
    }
}

/// The rows whose users are to be looked up.
pub(crate) struct SoughtRows<'a>(RowReader<'a>);

impl SoughtRows<'_> {
    /// The next such row; what it calls its user is put into `value`.
    pub(crate) fn next_row(&mut self, value: &mut String) -> io::Result<Option<RowNumber>> {
        while let Some(row) = self.0.next_row()? {
            if let Ok(Wish { who: Who::Sought(sought), .. }) = row.wish {
                sought.clone_into(value);
                return Ok(Some(row.number));
            }
        }
        Ok(None)
    }
}

/// The rows of an input as they stand there.
pub(crate) struct OriginalRows<'a> {
    reader: RowReader<'a>,
    layout: &'a Layout,
    at: u64,
}

impl OriginalRows<'_> {
    /// How many columns are the input's own: in a file of failed rows, its last two are not.
    fn own(&self) -> usize {
        let names = &self.layout.names;
        let own = names.len().saturating_sub(FAILED_COLUMNS.len());
        let used = |index: usize| self.layout.user.index >= index || self.layout.until.as_ref().is_some_and(|until| until.index >= index);
        if names[own..] == FAILED_COLUMNS && !used(own) { own } else { names.len() }
    }
}

impl InputRows for OriginalRows<'_> {
    fn header(&self) -> ByteRecord {
        let Layout { names, has_header, user, until, .. } = self.layout;
        let name = |index: usize| match until {
            _ if *has_header => names[index].as_str(),
            _ if index == user.index => "userID",
            Some(until) if index == until.index => "bypassMFAEnabledUntil",
            Some(_) | None => names[index].as_str(),
        };
        (0..self.own()).map(name).collect()
    }

    fn row(&mut self, number: u64, _line: &ByteRecord) -> io::Result<ByteRecord> {
        for _ in self.at + 1..number {
            self.reader.next_row()?;
        }
        self.at = number;
        let (own, all) = (self.own(), self.layout.names.len());
        let row = self.reader.next_row()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        // One that has too many or too few values stays so: it is not known where they belong.
        let values = if row.width() == all { own } else { row.width() };
        Ok((0..values).map(|index| row.field(index)).collect())
    }
}

fn task(row: &ReadRow<'_>, sound: &Sound) -> io::Result<Work> {
    let name = &sound.source.name;
    let invalid = |user, fault: &error::RowFault| Work::Invalid { user, why: format!("{name}:{}: {fault}", row.line()) };
    let wish = match &row.wish {
        Ok(wish) => wish,
        Err(fault) => return Ok(invalid(row.user_text(), fault)),
    };
    let action = match known(wish, row.number, sound.whom.as_ref())? {
        Some(Known::User(user)) => wish.deed.of(user),
        Some(Known::Nobody(outcome, detail)) => return Ok(Work::Nobody { outcome, detail, until: wish.deed.until() }),
        None => return Err(io::Error::other(format!("row {}: the user has not been looked up", row.number))),
    };
    Ok(match sound.checked.repeats.of(&action, row.number, row.line(), &sound.layout) {
        Repeat::Conflict(fault) => invalid(action.user().to_string(), &fault),
        Repeat::Duplicate => Work::Duplicate(action),
        Repeat::No => Work::Send(action),
    })
}

/// The one way in which CSV is parsed. A line ends at its line feed, so that lines can be counted; the
/// carriage return before it is cut off with the spaces around a value.
fn parser(delimiter: u8) -> csv::ReaderBuilder {
    let mut parser = csv::ReaderBuilder::new();
    parser.delimiter(delimiter).has_headers(false).flexible(true).terminator(csv::Terminator::Any(b'\n'));
    parser
}

/// Whether nothing stands in a record but white space and delimiters, as in the lines below a table that
/// Excel has saved.
fn is_blank(record: &ByteRecord) -> bool {
    record.iter().all(|field| field.iter().all(u8::is_ascii_whitespace))
}
