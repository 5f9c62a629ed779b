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

mod blocks;
mod check;
mod columns;
mod error;
mod rows;
mod source;
#[cfg(test)]
mod tests;

use std::io;

use csv::ByteRecord;
use tokio::sync::mpsc;

pub use self::error::{BadRows, HeaderFault, InputError};

pub(crate) use self::check::{Checked, check};
pub(crate) use self::columns::{Dialect, Layout};
pub(crate) use self::rows::Rules;
pub(crate) use self::source::Source;

use self::check::Repeat;
use self::rows::{ReadRow, RowReader};
use crate::domain::{Ask, RowNumber};

/// A row on its way through the pipeline.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) number: RowNumber,
    /// The values of the columns that are carried into the report.
    pub(crate) carried: ByteRecord,
    pub(crate) task: Task,
}

/// What is to be done for a row.
#[derive(Debug)]
pub(crate) enum Task {
    /// Send this.
    Send(Ask),
    /// Nothing: the same stands in an earlier row.
    Duplicate(Ask),
    /// Nothing: the row cannot be read.
    Invalid {
        /// What stands in the column of user IDs.
        user: String,
        /// What is wrong.
        why: String,
    },
}

/// Sends every row of a checked input into `rows`, no faster than they are taken out; blocks the thread.
/// Ends early, without an error, once nobody takes them any more.
pub(crate) fn feed(source: &Source, layout: &Layout, rules: Rules, checked: &Checked, rows: &mpsc::Sender<Row>) -> io::Result<()> {
    let mut reader = RowReader::new(source, layout, rules, Some(checked.fingerprint.clone()))?;
    while let Some(row) = reader.next_row()? {
        let task = task(&row, checked, &source.name);
        let row = Row { number: row.number, carried: row.carried(), task };
        if rows.blocking_send(row).is_err() {
            break;
        }
    }
    Ok(())
}

fn task(row: &ReadRow<'_>, checked: &Checked, name: &str) -> Task {
    let invalid = |fault: &error::RowFault| Task::Invalid { user: row.user_text(), why: format!("{name}:{}: {fault}", row.line) };
    match (&row.ask, checked.repeats.of(row.number.0)) {
        (Err(fault), _) | (Ok(_), Repeat::Conflict(fault)) => invalid(fault),
        (Ok(ask), Repeat::Duplicate) => Task::Duplicate(*ask),
        (Ok(ask), Repeat::No) => Task::Send(*ask),
    }
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
