//! An external sort, for more records than fit in memory. Runs are sorted in memory and written to an unnamed temporary
//! file, then merged on the way out.
//!
//! A record is a few integers, ordered like an array. The sort finds users that are in the input twice, puts the journal's
//! lines into the input's order, and pairs the lines of two reports.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::domain::shown;
use crate::platform::ReadFrom;

/// The most bytes of records in memory before they become a run on disk. A million rows' fingerprints make four runs.
const MEMORY: usize = 2 << 20;

/// Bytes written to a run, or read from it, at a time.
const AT_ONCE: usize = 32 << 10;

/// Sorts records of `N` integers in bounded memory.
pub(crate) struct Sorter<const N: usize> {
    folder: PathBuf,
    held: Vec<[u64; N]>,
    most_held: usize,
    spilled: Option<File>,
    /// Where each run begins and ends in the file.
    runs: Vec<(u64, u64)>,
}

impl<const N: usize> Sorter<N> {
    /// A sorter that spills into unnamed files in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self::holding(folder, MEMORY / size_of::<[u64; N]>())
    }

    fn holding(folder: &Path, most_held: usize) -> Self {
        Self { folder: folder.to_owned(), held: Vec::new(), most_held, spilled: None, runs: Vec::new() }
    }

    pub(crate) fn push(&mut self, record: [u64; N]) -> io::Result<()> {
        if self.held.len() == self.most_held {
            self.spill()?;
        }
        self.held.push(record);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.held.sort_unstable();
        let file = match &mut self.spilled {
            Some(file) => file,
            none => none.insert(unnamed_file(&self.folder)?),
        };
        let mut out = BufWriter::with_capacity(AT_ONCE, file);
        let written = self.held.iter().try_for_each(|record| out.write_all(record.map(u64::to_le_bytes).as_flattened()));
        written.and_then(|()| out.flush()).map_err(|error| no_temporary(&self.folder, "written", error))?;
        let from = self.runs.last().map_or(0, |(_, to)| *to);
        self.runs.push((from, from + size_of_val(&self.held[..]) as u64));
        self.held.clear();
        Ok(())
    }

    /// The records in ascending order.
    pub(crate) fn sorted(mut self) -> io::Result<Sorted<N>> {
        if self.spilled.is_some() {
            self.spill()?;
        }
        self.held.sort_unstable();
        let mut runs: Vec<Records<N>> = match self.spilled.map(Rc::new) {
            None => vec![Box::new(self.held.into_iter().map(Ok))],
            Some(file) => self.runs.iter().map(|&(from, to)| records(ReadFrom::new(Rc::clone(&file), from).take(to - from))).collect(),
        };
        let mut heads = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next().transpose()?.map(|record| Reverse((record, number))));
        }
        Ok(Sorted { runs, heads })
    }
}

/// A temporary file in `folder` that has no name and disappears when it is closed.
pub(crate) fn unnamed_file(folder: &Path) -> io::Result<File> {
    tempfile::tempfile_in(folder).map_err(|error| no_temporary(folder, "made", error))
}

/// The error of a temporary file in `folder` that cannot be made or written, as `verb` says; a [`NoTemporary`] is inside.
pub(crate) fn no_temporary(folder: &Path, verb: &'static str, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), NoTemporary { folder: folder.to_owned(), verb, source })
}

/// The records do not fit in memory, and cannot be written to disk either.
#[derive(Debug, thiserror::Error)]
#[error("{}: no temporary file can be {verb} in this folder", shown(folder))]
pub(crate) struct NoTemporary {
    folder: PathBuf,
    verb: &'static str,
    source: io::Error,
}

/// The records of a [`Sorter`] in ascending order: its runs, merged.
pub(crate) struct Sorted<const N: usize> {
    runs: Vec<Records<N>>,
    /// The next record of each run, with the run's index.
    heads: BinaryHeap<Reverse<([u64; N], usize)>>,
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = io::Result<[u64; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut head = self.heads.peek_mut()?;
        let Reverse((record, run)) = *head;
        match self.runs[run].next() {
            Some(Ok(next)) => *head = Reverse((next, run)),
            Some(Err(error)) => return Some(Err(error)),
            None => drop(PeekMut::pop(head)),
        }
        Some(Ok(record))
    }
}

/// The records of one sorted run.
type Records<const N: usize> = Box<dyn Iterator<Item = io::Result<[u64; N]>>>;

fn records<const N: usize>(run: impl Read + 'static) -> Records<N> {
    let mut run = BufReader::with_capacity(AT_ONCE, run);
    let mut next = move || {
        if run.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut record = [[0; 8]; N];
        run.read_exact(record.as_flattened_mut())?;
        Ok(Some(record.map(u64::from_le_bytes)))
    };
    Box::new(std::iter::from_fn(move || next().transpose()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_come_out_sorted_whatever_fits_in_memory(
            records in prop::collection::vec(any::<[u64; 2]>(), 0..200),
            held in 1_usize..50,
        ) {
            let mut sorter = Sorter::holding(&std::env::temp_dir(), held);
            for record in &records {
                sorter.push(*record).expect("a spilled record");
            }
            let sorted: Vec<_> = sorter.sorted().expect("runs").collect::<io::Result<_>>().expect("records");
            let mut expected = records;
            expected.sort_unstable();
            prop_assert_eq!(sorted, expected);
        }
    }
}
