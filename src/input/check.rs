//! Checks the whole input before anything is sent, in one pass and in bounded memory. (A second pass follows only if users
//! may appear twice.)

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use chrono::{DateTime, Utc};

use super::bad_rows::BadRows;
use super::blocks::Fingerprint;
use super::columns::Layout;
use super::error::refused;
use super::repeats::{ROW_KEY, Repeats, Suspects, find_repeats, hash, row_key, suspects};
use super::resolved_users::{ResolvedUsers, resolution_of};
use super::rows::{Asked, RowReader, Rules, UserRef};
use super::{InputError, Source};
use crate::domain::{Action, EndDates, Outcome, Resolution, Tally};
use crate::external_sort::Sorter;

/// The counts of what will be done for an input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The number of rows of the input.
    pub(crate) rows: u64,
    /// The number of those that are in this process's shard.
    pub(crate) own_rows: u64,
    /// The number of rows that repeat an earlier one.
    pub(crate) duplicates: u64,
    /// The number of invalid rows, by what is wrong with them.
    pub(crate) invalid: BTreeMap<&'static str, u64>,
    /// The rows that do not name their user by ID.
    pub(crate) lookups: LookupCounts,
    /// The number of the shard's rows to send, each for another user. Before users are looked up, this is an upper bound.
    pub(crate) to_send: u64,
    /// The number of the shard's rows of a grant's report in which there is nothing to undo.
    pub(crate) untouched: u64,
    /// The number of the shard's rows whose users are to have an earlier end date back.
    pub(crate) given_back: u64,
    /// The earliest and the latest end date requested.
    pub(crate) dates: EndDates,
}

/// The rows whose user is looked up, and the results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LookupCounts {
    pub(crate) rows: u64,
    /// How many of them were found. Before the lookup this is 0; after it, every row is counted here or in `unresolved`.
    pub(crate) found: u64,
    /// The rows without an unambiguous user, by outcome.
    pub(crate) unresolved: Tally,
}

impl LookupCounts {
    fn note(&mut self, resolution: Option<&Resolution>) {
        self.rows += 1;
        match resolution {
            Some(Resolution::User(_)) => self.found += 1,
            Some(Resolution::Unresolved(outcome, _)) => self.unresolved.add(*outcome),
            None => {}
        }
    }

    /// Whether every row has a result.
    pub(crate) fn is_complete(&self) -> bool {
        self.found + self.unresolved.rows() == self.rows
    }

    pub(crate) fn of(&self, outcome: Outcome) -> u64 {
        self.unresolved.of(outcome)
    }
}

impl Plan {
    fn note(&mut self, requested: &Action<UserRef<'_>>, resolution: Option<&Resolution>, is_own: bool, start: DateTime<Utc>) {
        if let Action::Restore(_, back) = requested {
            self.given_back += u64::from(is_own && back.earlier(start).is_some());
        }
        self.to_send += u64::from(is_own && !matches!(resolution, Some(Resolution::Unresolved(..))));
        self.dates.extend(requested.until());
        match requested.user() {
            UserRef::Id(_) => {}
            UserRef::Value(_) => self.lookups.note(resolution),
        }
    }
}

/// The results of a pass over the whole input.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) plan: Plan,
    pub(crate) bad: BadRows,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) repeats: Repeats,
}

/// Reads every row of `source`. Invalid rows are collected but not yet an error. `skip_invalid` decides whether
/// contradicting rows are remembered, so that the run can leave them out. Before users are looked up, only the form of
/// their rows can be checked; afterwards, the same text is checked again with a [`Recheck`].
pub(crate) fn check(
    source: &Source,
    layout: &Layout,
    rules: Rules,
    skip_invalid: bool,
    again: Option<&Recheck<'_>>,
) -> Result<Checked, InputError> {
    let checked = pass(source, layout, rules, skip_invalid, again).map_err(|error| refused(&source.name, error))?;
    if checked.plan.rows == 0 {
        return Err(InputError::NoRows(source.name.clone()));
    }
    Ok(checked)
}

/// What is known about a text that has been read before.
pub(crate) struct Recheck<'a> {
    pub(crate) fingerprint: Fingerprint,
    /// The looked-up users, once the lookup is done.
    pub(crate) resolved: Option<&'a ResolvedUsers>,
}

fn pass(source: &Source, layout: &Layout, rules: Rules, skip_invalid: bool, again: Option<&Recheck<'_>>) -> io::Result<Checked> {
    let resolved = again.and_then(|again| again.resolved);
    let mut reader = RowReader::new(source, layout, rules, again.map(|again| again.fingerprint.clone()))?;
    let mut users = Sorter::new(&std::env::temp_dir());
    let mut bad = BadRows::of(&source.name);
    let mut plan = Plan::default();
    while let Some(row) = reader.next_row()? {
        plan.rows = row.number.0;
        let is_own = rules.shard.includes(row.number);
        match &row.asked {
            Ok(Asked::Nothing(_)) => plan.untouched += u64::from(is_own),
            Ok(Asked::For(requested)) => {
                let resolution = resolution_of(requested, row.number, resolved)?;
                plan.note(requested, resolution.as_ref(), is_own, rules.start);
                if let Some(Resolution::User(user)) = resolution {
                    users.push([hash(user)])?;
                }
            }
            Err(fault) => bad.add(row.line(), fault.clone()),
        }
    }
    let fingerprint = reader.fingerprint().clone();
    let mut repeats = Repeats::default();
    if let Some(suspects) = suspects(users)? {
        let again = RowReader::new(source, layout, rules, Some(fingerprint.clone()))?;
        let (rows, mut dates) = suspected(again, &suspects, resolved)?;
        repeats = find_repeats(rows, layout, &mut bad, skip_invalid, &rules)?;
        plan.given_back -= repeats.not_given_back;
        plan.to_send -= repeats.not_sent;
        if repeats.has_conflicts {
            dates.extend(repeats.agreed.span().into_iter().flat_map(|(first, last)| [first, last]));
            plan.dates = dates;
            let again = RowReader::new(source, layout, rules, Some(fingerprint.clone()))?;
            let written = written_on(bad.quoted(), again)?;
            bad.quote_written(&written);
        }
    }
    plan.duplicates = repeats.repeated;
    plan.own_rows = rules.shard.rows_of(plan.rows);
    plan.invalid.clone_from(&bad.kinds);
    Ok(Checked { plan, bad, fingerprint, repeats })
}

/// What is written as the end date on each of these `lines`.
fn written_on(mut lines: BTreeSet<u64>, mut reader: RowReader<'_>) -> io::Result<BTreeMap<u64, String>> {
    let mut written = BTreeMap::new();
    while !lines.is_empty()
        && let Some(row) = reader.next_row()?
    {
        if lines.remove(&row.line()) {
            written.insert(row.line(), row.until_text());
        }
    }
    Ok(written)
}

/// The rows of the `suspects`, and the end dates of the other rows.
fn suspected(mut reader: RowReader<'_>, suspects: &Suspects, resolved: Option<&ResolvedUsers>) -> io::Result<(Sorter<ROW_KEY>, EndDates)> {
    let (mut rows, mut dates) = (Sorter::new(&std::env::temp_dir()), EndDates::default());
    while let Some(row) = reader.next_row()? {
        let Ok(Asked::For(requested)) = &row.asked else {
            continue;
        };
        match resolution_of(requested, row.number, resolved)? {
            Some(Resolution::User(user)) if suspects.include(user) => rows.push(row_key(&requested.of(user), row.number, row.line()))?,
            Some(Resolution::User(_)) | None => dates.extend(requested.until()),
            Some(Resolution::Unresolved(..)) => {}
        }
    }
    Ok((rows, dates))
}
