//! Compares two reports.
//!
//! ```text
//! OLD ── Report ─┐ user,                                     ┌─▶ userID,[names],change,before,after
//!                ├──────▶ Lines ─▶ Pairs ─▶ Change::between ─┤
//! NEW ── Report ─┘ state (sorted)  (a user's two states)     └─▶ Summary
//! ```

mod change;
mod error;
mod names;
mod origins;
mod pairs;
mod report;
mod summary;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;

pub(crate) use self::error::DiffError;

pub(crate) use self::change::Change;
pub(crate) use self::summary::Summary;

use self::change::State;
use self::names::{KeptNames, Named, Names, NamesPlace};
use self::origins::Origins;
use self::pairs::{Lines, Pair, Pairs, Side};
use self::report::{Entry, Report};
use crate::external_sort::unnamed_file;

/// The columns of the output: the first, and those after the users' names.
const USER: &str = "userID";
const COLUMNS: [&str; 3] = ["change", "before", "after"];

/// Bytes written at a time.
const BUFFER: usize = 256 << 10;

/// The differences between two reports.
pub(crate) struct Comparison {
    /// The changes as CSV, sorted by user ID, in a temporary file that is rewound: only when all changes are known is
    /// it known that both reports are valid.
    pub(crate) changes: File,
    pub(crate) summary: Summary,
    /// What is to be known of them, a line each.
    pub(crate) warnings: Vec<String>,
}

/// Compares the reports at `old` and `new`; one of them may be `-`, standard input.
pub(crate) fn compare(old: &Path, new: &Path) -> Result<Comparison, DiffError> {
    if [old, new].iter().all(|path| path.as_os_str() == "-") {
        return Err(DiffError::BothStandardInput);
    }
    let mut origins = Origins::of([old, new]).map_err(DiffError::Apart)?;
    let (mut lines, mut names_of) = (Lines::new(), Names::new().map_err(DiffError::Temporary)?);
    let mut summary = Summary::default();
    let reports = [Report::open(old)?, Report::open(new)?];
    let names = reports.each_ref().map(|report| report.name().to_owned());
    let [in_old, in_new] = reports.each_ref().map(Report::has_names);
    let mut digests = [String::new(), String::new()];
    for ((report, side), digest) in reports.into_iter().zip([Side::Old, Side::New]).zip(&mut digests) {
        let (unmatched, sha256) = take_in(report, side, &mut lines, &mut names_of)?;
        summary.unmatched += unmatched;
        *digest = sha256;
    }
    origins.check_digests(&digests).map_err(DiffError::Apart)?;
    let has_names = std::array::from_fn(|column| in_old[column] || in_new[column]);
    let writer = Changes { names: names_of.finish().map_err(DiffError::Temporary)?, has_names };
    let changes = writer.write(lines.pairs(names)?, &mut summary)?;
    let warnings = origins.warnings(&summary);
    Ok(Comparison { changes, summary, warnings })
}

/// Reads a report to its end; returns the number of failed lines whose user is not known, and the report's SHA-256.
fn take_in(mut report: Report, side: Side, lines: &mut Lines, kept: &mut Names) -> Result<(u64, String), DiffError> {
    let mut unmatched = 0;
    while let Some((line, entry)) = report.next_line()? {
        match entry {
            Entry::User(user, state, named) => {
                let place = kept.push(&named).map_err(DiffError::Temporary)?;
                lines.push(side, line, user, state, place)?;
            }
            Entry::Unmatched => unmatched += 1,
            Entry::Repeated => {}
        }
    }
    Ok((unmatched, report.sha256()))
}

/// Writes the changes.
struct Changes {
    names: KeptNames,
    /// Which columns of names a report has.
    has_names: [bool; names::COLUMNS.len()],
}

impl Changes {
    fn write(&self, mut pairs: Pairs, summary: &mut Summary) -> Result<File, DiffError> {
        let file = unnamed_file(&std::env::temp_dir()).map_err(DiffError::Temporary)?;
        let mut writer = csv::WriterBuilder::new().buffer_capacity(BUFFER).from_writer(file);
        let unwritten = |error| DiffError::Temporary(io::Error::other(error));
        let header = [USER].into_iter().chain(self.among(names::COLUMNS)).chain(COLUMNS);
        writer.write_record(header).map_err(unwritten)?;
        while let Some(Pair { user, before, after, names }) = pairs.next_pair()? {
            summary.users += 1;
            if let Some(change) = Change::between(before, after) {
                summary.add(change);
                let named = self.named(names).map_err(DiffError::Temporary)?;
                let values = [change.name().to_owned(), shown(before), shown(after)];
                let line = [user.to_string()].into_iter().chain(self.among(named)).chain(values);
                writer.write_record(line).map_err(unwritten)?;
            }
        }
        let rewound = writer.into_inner().map_err(csv::IntoInnerError::into_error).and_then(|mut file| file.rewind().map(|()| file));
        rewound.map_err(DiffError::Temporary)
    }

    /// What a user is called: in the second report, or else in the first.
    fn named(&self, [old, new]: [NamesPlace; 2]) -> io::Result<Named> {
        let (old, new) = (self.names.at(old)?, self.names.at(new)?);
        let mut both = old.into_iter().zip(new);
        Ok(std::array::from_fn(|_| both.next().map(|(old, new)| if new.is_empty() { old } else { new }).unwrap_or_default()))
    }

    /// Those of the values of all columns of names whose column a report has.
    fn among<T>(&self, values: [T; names::COLUMNS.len()]) -> impl Iterator<Item = T> {
        values.into_iter().zip(self.has_names).filter(|(_, has)| *has).map(|(value, _)| value)
    }
}

fn shown(state: Option<State>) -> String {
    state.map(|state| state.to_string()).unwrap_or_default()
}
