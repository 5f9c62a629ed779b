//! Compares two reports.
//!
//! ```text
//! OLD ── Report ─┐ user,                                     ┌─▶ userID,change,before,after
//!                ├──────▶ Lines ─▶ Pairs ─▶ Change::between ─┤
//! NEW ── Report ─┘ state (sorted)  (a user's two states)     └─▶ Summary
//! ```

mod change;
mod error;
mod pairs;
mod report;
mod summary;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;

use chrono::SecondsFormat;

pub(crate) use self::error::DiffError;

pub(crate) use self::change::Change;
pub(crate) use self::summary::Summary;

use self::change::State;
use self::error::Apart;
use self::pairs::{Lines, Pair, Pairs, Side};
use self::report::{Entry, Report};
use crate::external_sort::unnamed_file;
use crate::report::{Origin, origin_of};

/// The columns of the output.
const COLUMNS: [&str; 4] = ["userID", "change", "before", "after"];

/// Bytes written at a time.
const BUFFER: usize = 256 << 10;

/// The differences between two reports.
pub(crate) struct Comparison {
    /// The changes as CSV, sorted by user ID, in a temporary file that is rewound: only when all changes are known is
    /// it known that both reports are valid.
    pub(crate) changes: File,
    pub(crate) summary: Summary,
}

/// Compares the reports at `old` and `new`; one of them may be `-`, standard input.
pub(crate) fn compare(old: &Path, new: &Path) -> Result<Comparison, DiffError> {
    if [old, new].iter().all(|path| path.as_os_str() == "-") {
        return Err(DiffError::BothStandardInput);
    }
    if let (Some(old), Some(new)) = (origin_of(old), origin_of(new)) {
        check_origins(&old, &new).map_err(DiffError::Apart)?;
    }
    let mut lines = Lines::new();
    let mut summary = Summary::default();
    let reports = [Report::open(old)?, Report::open(new)?];
    let names = reports.each_ref().map(|report| report.name().to_owned());
    for (report, side) in reports.into_iter().zip([Side::Old, Side::New]) {
        summary.unmatched += take_in(report, side, &mut lines)?;
    }
    let changes = write_changes(lines.pairs(names)?, &mut summary)?;
    Ok(Comparison { changes, summary })
}

/// Checks that the reports can be an earlier and a later one of the same users.
fn check_origins(old: &Origin, new: &Origin) -> Result<(), Apart> {
    if old.environment != new.environment {
        return Err(Apart::Environments(old.environment.clone(), new.environment.clone()));
    }
    if new.started < old.started {
        let [old, new] = [old, new].map(|origin| origin.started.to_rfc3339_opts(SecondsFormat::Millis, true));
        return Err(Apart::Swapped(old, new));
    }
    match (&old.only, &new.only) {
        (Some(_), None) => Err(Apart::Selections("OLD")),
        (None, Some(_)) => Err(Apart::Selections("NEW")),
        (Some(_), Some(_)) | (None, None) => Ok(()),
    }
}

/// Reads a report to its end; returns the number of failed lines whose user is not known.
fn take_in(mut report: Report, side: Side, lines: &mut Lines) -> Result<u64, DiffError> {
    let mut unmatched = 0;
    while let Some((line, entry)) = report.next_line()? {
        match entry {
            Entry::User(user, state) => lines.push(side, line, user, state)?,
            Entry::Unmatched => unmatched += 1,
            Entry::Repeated => {}
        }
    }
    Ok(unmatched)
}

fn write_changes(mut pairs: Pairs, summary: &mut Summary) -> Result<File, DiffError> {
    let file = unnamed_file(&std::env::temp_dir()).map_err(DiffError::Temporary)?;
    let mut writer = csv::WriterBuilder::new().buffer_capacity(BUFFER).from_writer(file);
    let unwritten = |error| DiffError::Temporary(io::Error::other(error));
    writer.write_record(COLUMNS).map_err(unwritten)?;
    while let Some(Pair { user, before, after }) = pairs.next_pair()? {
        summary.users += 1;
        if let Some(change) = Change::between(before, after) {
            summary.add(change);
            writer.write_record([&user.to_string(), change.name(), &shown(before), &shown(after)]).map_err(unwritten)?;
        }
    }
    let rewound = writer.into_inner().map_err(csv::IntoInnerError::into_error).and_then(|mut file| file.rewind().map(|()| file));
    rewound.map_err(DiffError::Temporary)
}

fn shown(state: Option<State>) -> String {
    state.map(|state| state.to_string()).unwrap_or_default()
}
