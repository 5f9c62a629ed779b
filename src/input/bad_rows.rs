//! The invalid rows of an input, told of by what is wrong with them, in bounded memory however many there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::row_fault::{Likeness, RowFault};
use crate::domain::{quote, shell_word};

pub(super) const IN_EXCEL: &str = "in Excel, save as `CSV UTF-8 (Comma delimited)`";
pub(super) const CLOSE_QUOTE: &str = "close the quote, or write it twice if it is part of the value";

/// How many bad rows a message names at least, and the most lines that it has for them. From the contract.
pub(crate) const NAMED: usize = 20;
/// Up to so many rows with one fault have a line each: more would say the same again.
const ALONE: u64 = 3;
/// How many of the rows that share a line are named, even if they stand far behind the first bad row.
const NAMED_OF_EACH: usize = 3;
/// How many values of rows that share a line are shown. Further lines are named without.
const VALUES: usize = 3;
/// How many faults are told apart. The lines of a message have room for no more.
const KINDS: usize = 2 * NAMED;

/// The invalid rows of an input: the first of each fault, and the totals.
#[derive(Debug, Default)]
pub(crate) struct BadRows {
    /// How many there are.
    pub(crate) count: u64,
    /// Whether the input cannot be run even without them.
    pub(crate) fatal: bool,
    /// Whether lookup requests were sent before the rows turned out to be invalid.
    pub(crate) were_looked_up: bool,
    /// Their number by what is wrong with them.
    pub(crate) kinds: BTreeMap<&'static str, u64>,
    /// The input, as messages call it.
    name: String,
    alike: Vec<Alike>,
}

/// Rows with the same fault in the same column.
#[derive(Debug)]
struct Alike {
    likeness: Likeness,
    count: u64,
    /// The lines and the faults of the first.
    first: Vec<(u64, RowFault)>,
}

impl Alike {
    fn has(&self, is_so: fn(&RowFault) -> bool) -> bool {
        self.first.iter().any(|(_, fault)| is_so(fault))
    }

    /// The lines of the message, each with its place and the number of its rows. Of many rows, those up to the line `up_to` are
    /// named, and in any case a few.
    fn lines(&self, up_to: u64) -> Vec<(u64, u64, String)> {
        let Some((line, fault)) = self.first.first().filter(|_| self.count > ALONE) else {
            return self.first.iter().map(|(line, fault)| (*line, 1, fault.to_string())).collect();
        };
        let named = self.first.iter().enumerate().take_while(|(index, (line, _))| *index < NAMED_OF_EACH || *line <= up_to);
        let named: Vec<_> = named.map(|(_, (line, fault))| (*line, fault.value())).collect();
        let more = if self.count > named.len() as u64 { ", …" } else { "" };
        vec![(*line, self.count, format!("{fault}; {} rows are like this: {}{more}", self.count, places(&named)))]
    }
}

impl BadRows {
    /// No invalid rows so far of the input that messages call `name`.
    pub(crate) fn of(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Counts rows with this fault without naming them.
    pub(crate) fn add_unnamed(&mut self, fault: &RowFault, rows: u64) {
        self.add_like(fault, rows);
    }

    /// Adds the invalid row on this line.
    pub(crate) fn add(&mut self, line: u64, fault: RowFault) {
        // After an unclosed quote, the rest of the rows cannot be told apart.
        self.fatal |= matches!(fault, RowFault::Unclosed { .. });
        if let Some(alike) = self.add_like(&fault, 1) {
            let place = alike.first.partition_point(|(named, _)| *named <= line);
            alike.first.insert(place, (line, fault));
            alike.first.truncate(NAMED);
        }
    }

    /// The lines whose end dates are quoted because they contradict each other.
    pub(super) fn quoted(&self) -> BTreeSet<u64> {
        let named = self.alike.iter().flat_map(|alike| &alike.first);
        named.filter_map(|(line, fault)| fault.contradicts().map(|other| [*line, other])).flatten().collect()
    }

    /// Takes in what is written as end dates on the quoted lines.
    pub(super) fn quote_written(&mut self, written: &BTreeMap<u64, String>) {
        for (line, fault) in self.alike.iter_mut().flat_map(|alike| &mut alike.first) {
            fault.quote_written(*line, written);
        }
    }

    /// Counts rows; returns those like them, unless there are too many faults to tell apart.
    fn add_like(&mut self, fault: &RowFault, rows: u64) -> Option<&mut Alike> {
        self.count += rows;
        *self.kinds.entry(fault.kind()).or_default() += rows;
        let likeness = fault.likeness();
        let found = self.alike.iter().position(|alike| alike.likeness == likeness);
        let at = match found {
            Some(at) => at,
            None if self.alike.len() < KINDS => {
                self.alike.push(Alike { likeness, count: 0, first: Vec::new() });
                self.alike.len() - 1
            }
            None => return None,
        };
        let alike = &mut self.alike[at];
        alike.count += rows;
        Some(alike)
    }

    /// What the user can do about the bad ones of this many `rows`, in one line.
    pub(crate) fn hint(&self, rows: u64) -> String {
        let any = |is_so: fn(&RowFault) -> bool| self.alike.iter().any(|alike| alike.has(is_so));
        let most = self.alike.iter().max_by_key(|alike| alike.count).and_then(|alike| alike.first.first());
        if self.fatal {
            CLOSE_QUOTE.into()
        } else if any(|fault| matches!(fault, RowFault::NotUtf8 { .. })) {
            IN_EXCEL.into()
        } else if any(|fault| matches!(fault, RowFault::Result { .. })) {
            "`end --restore` takes the report of a `grant --look-first`, not that of an audit or an end".into()
        } else if any(|fault| matches!(fault, RowFault::NoPrevious { .. })) {
            "a grant tells what was there before with `--look-first`; where nobody knows, end the bypasses without `--restore`, or write an end date or `none` into the column".into()
        } else if let Some(column) = most.and_then(|(_, fault)| fault.column_of_emails()) {
            format!("to look users up by their email addresses: `--user-column {} --lookup-by email`", shell_word(column))
        } else if self.count <= rows / 2 {
            "mend the rows, or use `--skip-invalid` to run the others and report these".into()
        } else {
            "mend the rows, or check that the file and its columns are the right ones: most rows are bad".into()
        }
    }

    /// The line of the last row that is named by all means.
    fn up_to(&self) -> u64 {
        let mut lines: Vec<u64> = self.alike.iter().flat_map(|alike| &alike.first).map(|(line, _)| *line).collect();
        lines.sort_unstable();
        lines.get(NAMED - 1).or(lines.last()).copied().unwrap_or_default()
    }
}

impl fmt::Display for BadRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let up_to = self.up_to();
        let mut lines: Vec<_> = self.alike.iter().flat_map(|alike| alike.lines(up_to)).collect();
        lines.sort_by_key(|(line, ..)| *line);
        lines.truncate(NAMED);
        for (line, _, text) in &lines {
            write!(f, "\n  {}:{line}: {text}", self.name)?;
        }
        let more = self.count - lines.iter().map(|(_, rows, _)| rows).sum::<u64>();
        if more > 0 { write!(f, "\n  and {more} more") } else { Ok(()) }
    }
}

/// Values and the lines on which they stand, each value once.
fn places(named: &[(u64, &str)]) -> String {
    let mut values: Vec<(&str, Vec<u64>)> = Vec::new();
    for (line, value) in named {
        match values.iter_mut().find(|(known, _)| known == value) {
            Some((_, lines)) => lines.push(*line),
            None => values.push((value, vec![*line])),
        }
    }
    let further = values.split_off(VALUES.min(values.len()));
    let mut shown: Vec<_> = values
        .iter()
        .map(|(value, lines)| match *value {
            "" => ranges(lines),
            value => format!("`{}` ({})", quote(value), ranges(lines)),
        })
        .collect();
    if !further.is_empty() {
        let mut lines: Vec<u64> = further.into_iter().flat_map(|(_, lines)| lines).collect();
        lines.sort_unstable();
        shown.push(ranges(&lines));
    }
    shown.join(", ")
}

/// Lines in order, in a few words.
fn ranges(lines: &[u64]) -> String {
    let shown = lines.chunk_by(|line, next| *next == line + 1).map(|chunk| match chunk {
        [line] => line.to_string(),
        [line, next] => format!("{line}, {next}"),
        [line, .., last] => format!("{line} to {last}"),
        [] => String::new(),
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    format!("{} {shown}", if lines.len() == 1 { "line" } else { "lines" })
}

#[cfg(test)]
#[path = "bad_rows_tests.rs"]
mod tests;
