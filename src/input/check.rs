//! Is the whole input sound? Answered before anything is sent, in one pass and in bounded memory.

use std::collections::BTreeMap;
use std::io;

use super::blocks::{BadBytes, Fingerprint};
use super::columns::Layout;
use super::error::{BadRow, BadRows, RowFault};
use super::rows::{RowReader, Rules};
use super::{InputError, Source};
use crate::domain::{Ask, BypassUntil, UserId};
use crate::rowset::RowSet;
use crate::spill::Sorter;

/// What a pass over the whole input has found.
#[derive(Debug)]
pub(crate) struct Checked {
    /// How many data rows there are.
    pub(crate) rows: u64,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) repeats: Repeats,
}

/// The rows whose user stands in an earlier row too, or in another with a different end date.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    duplicates: RowSet,
    conflicts: BTreeMap<u64, RowFault>,
}

/// What a row is besides its own values.
pub(crate) enum Repeat<'a> {
    No,
    Duplicate,
    Conflict(&'a RowFault),
}

impl Repeats {
    pub(crate) fn of(&self, row: u64) -> Repeat<'_> {
        match self.conflicts.get(&row) {
            Some(fault) => Repeat::Conflict(fault),
            None if self.duplicates.contains(row) => Repeat::Duplicate,
            None => Repeat::No,
        }
    }
}

/// Reads every row of `source`. Invalid rows refuse it, unless `skip_invalid`.
pub(crate) fn check(source: &Source, layout: &Layout, rules: Rules, skip_invalid: bool) -> Result<Checked, InputError> {
    let mut bad = BadRows::default();
    let pass = |bad: &mut BadRows| -> io::Result<Checked> {
        let mut reader = RowReader::new(source, layout, rules, None)?;
        let mut users = Sorter::new(&std::env::temp_dir());
        let mut rows = 0;
        while let Some(row) = reader.next_row()? {
            rows = row.number.0;
            match row.ask {
                Ok(ask) => users.push(Seen { ask, row: rows, line: row.line }.record())?,
                Err(fault) => bad.add(BadRow { name: source.name.clone(), line: row.line, fault }),
            }
        }
        let repeats = find_repeats(users, source, layout, bad)?;
        Ok(Checked { rows, fingerprint: reader.fingerprint().clone(), repeats })
    };
    let checked = pass(&mut bad).map_err(|error| refused(source, error))?;
    if checked.rows == 0 {
        return Err(InputError::NoRows { name: source.name.clone() });
    }
    if bad.count > 0 && !skip_invalid {
        return Err(InputError::BadRows { name: source.name.clone(), rows: checked.rows, bad });
    }
    Ok(checked)
}

fn refused(source: &Source, error: io::Error) -> InputError {
    let name = match error.get_ref().and_then(|inner| inner.downcast_ref::<BadBytes>()) {
        Some(BadBytes::QuoteNeverClosed { line } | BadBytes::LineTooLong { line }) => format!("{}:{line}", source.name),
        Some(BadBytes::Changed) | None => source.name.clone(),
    };
    InputError::Unreadable { name, source: error }
}

/// One row's user, as integers that sort by user and then by row.
struct Seen {
    ask: Ask,
    row: u64,
    line: u64,
}

/// An audit asks for no end date: all its rows of a user agree.
const NO_DATE: u64 = 0;

impl Seen {
    fn record(&self) -> [u64; 5] {
        let (high, low) = self.ask.user().uuid().as_u64_pair();
        let until = self.ask.until().map_or(NO_DATE, |until| until.millis().cast_unsigned());
        [high, low, self.row, self.line, until]
    }
}

/// Walks through the rows in the order of their users, and tells apart those that repeat an earlier row
/// and those that contradict another.
fn find_repeats(users: Sorter<5>, source: &Source, layout: &Layout, bad: &mut BadRows) -> io::Result<Repeats> {
    let mut repeats = Repeats::default();
    let mut group: Vec<[u64; 5]> = Vec::new();
    let mut settle = |group: &mut Vec<[u64; 5]>| {
        let first = group.first().copied().unwrap_or_default();
        let other = group.iter().find(|seen| seen[4] != first[4]).copied();
        for seen in group.drain(..) {
            let [_, _, row, line, _] = seen;
            match other {
                Some(other) => {
                    let against = if seen[4] == first[4] { other } else { first };
                    let fault = conflict(layout, seen, against);
                    bad.add(BadRow { name: source.name.clone(), line, fault: fault.clone() });
                    repeats.conflicts.insert(row, fault);
                }
                None if row != first[2] => repeats.duplicates.insert(row),
                None => {}
            }
        }
    };
    for seen in users.sorted()? {
        let seen = seen?;
        if group.first().is_some_and(|first| first[..2] != seen[..2]) {
            settle(&mut group);
        }
        group.push(seen);
    }
    settle(&mut group);
    Ok(repeats)
}

fn conflict(layout: &Layout, here: [u64; 5], there: [u64; 5]) -> RowFault {
    let date = |millis: u64| {
        let instant = chrono::DateTime::from_timestamp_millis(millis.cast_signed());
        instant.and_then(BypassUntil::from_instant).map(|until| until.to_string()).unwrap_or_default()
    };
    RowFault::Conflict {
        column: layout.until.as_ref().map_or_else(|| "until".to_owned(), |column| column.name.clone()),
        user: UserId::from(uuid::Uuid::from_u64_pair(here[0], here[1])).to_string(),
        until: date(here[4]),
        other: date(there[4]),
        line: there[3],
    }
}
