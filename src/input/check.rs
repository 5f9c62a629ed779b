//! Is the whole input sound? Answered before anything is sent, in one pass and in bounded memory.

use std::collections::BTreeMap;
use std::io;

use super::blocks::{BadBytes, Fingerprint};
use super::columns::Layout;
use super::error::{BadRow, BadRows};
use super::repeats::{Repeats, Suspects, Users, find_repeats, seen};
use super::rows::{RowReader, Rules};
use super::{InputError, Source};
use crate::domain::{Ask, BypassUntil};
use crate::spill::Sorter;

/// What is to be done for an input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How many data rows there are.
    pub(crate) rows: u64,
    /// How many different users stand in the sound ones.
    pub(crate) users: u64,
    /// How many rows repeat an earlier one.
    pub(crate) duplicates: u64,
    /// How many rows are invalid, by what is wrong with them.
    pub(crate) invalid: BTreeMap<&'static str, u64>,
    /// How many rows are to be sent.
    pub(crate) to_send: u64,
    /// The first and the last end date that is asked for.
    pub(crate) dates: Option<(BypassUntil, BypassUntil)>,
}

impl Plan {
    fn note(&mut self, ask: &Ask) {
        if let Some(until) = ask.until() {
            let (first, last) = self.dates.unwrap_or((until, until));
            self.dates = Some((first.min(until), last.max(until)));
        }
    }
}

/// What a pass over the whole input has found.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) plan: Plan,
    pub(crate) bad: BadRows,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) repeats: Repeats,
}

/// Reads every row of `source`. Invalid rows are told, and refuse nothing yet; whether the run may go on
/// without them decides what is remembered of them.
pub(crate) fn check(source: &Source, layout: &Layout, rules: Rules, go_on: bool) -> Result<Checked, InputError> {
    let checked = pass(source, layout, rules, go_on).map_err(|error| refused(source, error))?;
    if checked.plan.rows == 0 {
        return Err(InputError::NoRows { name: source.name.clone() });
    }
    Ok(checked)
}

fn pass(source: &Source, layout: &Layout, rules: Rules, go_on: bool) -> io::Result<Checked> {
    let mut reader = RowReader::new(source, layout, rules, None)?;
    let mut users = Users::new(&std::env::temp_dir());
    let mut bad = BadRows::default();
    let mut plan = Plan::default();
    while let Some(row) = reader.next_row()? {
        plan.rows = row.number.0;
        match row.ask {
            Ok(ask) => {
                plan.note(&ask);
                users.push(ask.user())?;
            }
            Err(ref fault) => bad.add(BadRow { name: source.name.clone(), line: row.line(), fault: fault.clone() }),
        }
    }
    let fingerprint = reader.fingerprint().clone();
    plan.users = plan.rows - bad.count;
    let mut repeats = Repeats::default();
    if let Some(suspects) = users.suspects()? {
        let again = RowReader::new(source, layout, rules, Some(fingerprint.clone()))?;
        let (rows, looked_at) = suspected(again, &suspects)?;
        repeats = find_repeats(rows, &source.name, layout, &mut bad, go_on)?;
        plan.users = plan.users - looked_at + repeats.users;
    }
    plan.duplicates = repeats.repeated;
    plan.to_send = plan.rows - bad.count - plan.duplicates;
    plan.invalid.clone_from(&bad.kinds);
    Ok(Checked { plan, bad, fingerprint, repeats })
}

/// The rows of the `suspects`, and how many they are.
fn suspected(mut reader: RowReader<'_>, suspects: &Suspects) -> io::Result<(Sorter<5>, u64)> {
    let mut rows = Sorter::new(&std::env::temp_dir());
    let mut looked_at = 0;
    while let Some(row) = reader.next_row()? {
        if let Ok(ask) = &row.ask
            && suspects.include(ask.user())
        {
            rows.push(seen(ask, row.number, row.line()))?;
            looked_at += 1;
        }
    }
    Ok((rows, looked_at))
}

pub(super) fn refused(source: &Source, error: io::Error) -> InputError {
    let name = match error.get_ref().and_then(|inner| inner.downcast_ref::<BadBytes>()) {
        Some(BadBytes::QuoteNeverClosed { line } | BadBytes::LineTooLong { line }) => format!("{}:{line}", source.name),
        Some(BadBytes::Changed) | None => source.name.clone(),
    };
    InputError::Unreadable { name, source: error }
}
