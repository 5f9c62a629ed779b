//! Is the whole input sound? Answered before anything is sent, in one pass and in bounded memory.

use std::io;

use super::blocks::{BadBytes, Fingerprint};
use super::columns::Layout;
use super::error::{BadRow, BadRows, RowFault};
use super::repeats::{Repeats, find_repeats, seen};
use super::rows::{RowReader, Rules};
use super::{InputError, Source};
use crate::spill::Sorter;

/// What a pass over the whole input has found.
#[derive(Debug)]
pub(crate) struct Checked {
    /// How many data rows there are.
    pub(crate) rows: u64,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) repeats: Repeats,
}

/// Reads every row of `source`. Invalid rows refuse it, unless `skip_invalid`.
pub(crate) fn check(source: &Source, layout: &Layout, rules: Rules, skip_invalid: bool) -> Result<Checked, InputError> {
    let mut bad = BadRows::default();
    let checked = pass(source, layout, rules, skip_invalid, &mut bad).map_err(|error| refused(source, error))?;
    if checked.rows == 0 {
        return Err(InputError::NoRows { name: source.name.clone() });
    }
    if bad.count > 0 && (bad.fatal || !skip_invalid) {
        return Err(InputError::BadRows { name: source.name.clone(), rows: checked.rows, bad });
    }
    Ok(checked)
}

fn pass(source: &Source, layout: &Layout, rules: Rules, skip_invalid: bool, bad: &mut BadRows) -> io::Result<Checked> {
    let mut reader = RowReader::new(source, layout, rules, None)?;
    let mut users = Sorter::new(&std::env::temp_dir());
    let mut rows = 0;
    while let Some(row) = reader.next_row()? {
        rows = row.number.0;
        match row.ask {
            Ok(ask) => users.push(seen(&ask, row.number, row.line))?,
            Err(fault) => {
                // Where a quote is never closed, it is not known which rows there are.
                bad.fatal |= matches!(fault, RowFault::Unclosed { .. });
                bad.add(BadRow { name: source.name.clone(), line: row.line, fault });
            }
        }
    }
    let repeats = find_repeats(users, &source.name, layout, bad, skip_invalid)?;
    Ok(Checked { rows, fingerprint: reader.fingerprint().clone(), repeats })
}

fn refused(source: &Source, error: io::Error) -> InputError {
    let name = match error.get_ref().and_then(|inner| inner.downcast_ref::<BadBytes>()) {
        Some(BadBytes::QuoteNeverClosed { line } | BadBytes::LineTooLong { line }) => format!("{}:{line}", source.name),
        Some(BadBytes::Changed) | None => source.name.clone(),
    };
    InputError::Unreadable { name, source: error }
}
