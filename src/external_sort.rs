//! An external sort, for more records than fit in memory. Runs are sorted in memory and written to an unnamed temporary
//! file, then merged on the way out.
//!
//! A record is a few integers, ordered like an array. The sort finds users that are in the input twice, puts the journal's
//! lines into the input's order, and pairs the lines of two reports.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::domain::shown;
use crate::platform::PositionedIo;

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
        let from = append(file, &self.held).map_err(|error| Temporary::Written.failed(&self.folder, error))?;
        let bytes = self.held.len() * size_of::<[u64; N]>();
        self.held.clear();
        self.runs.push((from, from + bytes as u64));
        Ok(())
    }

    /// The records in ascending order.
    pub(crate) fn sorted(mut self) -> io::Result<Sorted<N>> {
        let Some(_) = self.spilled else {
            self.held.sort_unstable();
            return Ok(Sorted { in_memory: self.held.into_iter(), merge: None });
        };
        self.spill()?;
        let file = Rc::new(self.spilled.take().expect("something was spilled"));
        let runs = self.runs.iter().map(|&(from, to)| BufReader::with_capacity(AT_ONCE, Run { file: Rc::clone(&file), from, to }));
        let mut merge = Merge { runs: runs.collect(), heads: BinaryHeap::new() };
        for (number, run) in merge.runs.iter_mut().enumerate() {
            merge.heads.extend(next_of(run)?.map(|record| Reverse((record, number))));
        }
        Ok(Sorted { in_memory: Vec::new().into_iter(), merge: Some(merge) })
    }
}

/// A temporary file in `folder` that has no name and disappears when it is closed.
pub(crate) fn unnamed_file(folder: &Path) -> io::Result<File> {
    tempfile::tempfile_in(folder).map_err(|error| Temporary::Made.failed(folder, error))
}

/// An operation on a temporary file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temporary {
    Made,
    Written,
}

impl Temporary {
    /// The error of this operation in `folder`; a [`NoTemporary`] is inside.
    pub(crate) fn failed(self, folder: &Path, source: io::Error) -> io::Error {
        let verb = match self {
            Self::Made => "made",
            Self::Written => "written",
        };
        io::Error::new(source.kind(), NoTemporary { folder: folder.to_owned(), verb, source })
    }
}

/// The records do not fit in memory, and cannot be written to disk either.
#[derive(Debug, thiserror::Error)]
#[error("{}: no temporary file can be {verb} in this folder", shown(folder))]
pub(crate) struct NoTemporary {
    folder: PathBuf,
    verb: &'static str,
    source: io::Error,
}

/// Appends `records` to `file`; returns their offset.
fn append<const N: usize>(file: &mut File, records: &[[u64; N]]) -> io::Result<u64> {
    let from = file.seek(SeekFrom::End(0))?;
    let mut out = BufWriter::with_capacity(AT_ONCE, file);
    for word in records.iter().flatten() {
        out.write_all(&word.to_le_bytes())?;
    }
    out.flush()?;
    Ok(from)
}

/// The records of a [`Sorter`] in ascending order.
pub(crate) struct Sorted<const N: usize> {
    in_memory: std::vec::IntoIter<[u64; N]>,
    merge: Option<Merge<N>>,
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = io::Result<[u64; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.merge {
            None => self.in_memory.next().map(Ok),
            Some(merge) => merge.next().transpose(),
        }
    }
}

struct Merge<const N: usize> {
    runs: Vec<BufReader<Run>>,
    heads: BinaryHeap<Reverse<([u64; N], usize)>>,
}

impl<const N: usize> Merge<N> {
    fn next(&mut self) -> io::Result<Option<[u64; N]>> {
        let Some(mut head) = self.heads.peek_mut() else {
            return Ok(None);
        };
        let Reverse((record, run)) = *head;
        match next_of(&mut self.runs[run])? {
            Some(next) => *head = Reverse((next, run)),
            None => drop(PeekMut::pop(head)),
        }
        Ok(Some(record))
    }
}

/// The next record of `run`, if it has one.
fn next_of<const N: usize>(run: &mut BufReader<Run>) -> io::Result<Option<[u64; N]>> {
    if run.buffer().is_empty() && run.get_ref().is_empty() {
        return Ok(None);
    }
    let mut record = [0; N];
    for word in &mut record {
        let mut bytes = [0; 8];
        run.read_exact(&mut bytes)?;
        *word = u64::from_le_bytes(bytes);
    }
    Ok(Some(record))
}

/// The part of the spill file that holds one sorted run.
struct Run {
    file: Rc<File>,
    from: u64,
    to: u64,
}

impl Run {
    fn is_empty(&self) -> bool {
        self.from == self.to
    }
}

impl Read for Run {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.to - self.from).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..wanted], self.from)?;
        self.from += read as u64;
        Ok(read)
    }
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
