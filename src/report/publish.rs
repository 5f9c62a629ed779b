//! Turns the journal into the report. One pass over the journal finds out where each line stands and what it says; one ordered
//! pass writes the report and the failed rows. Both are written beside their names and then renamed, so the journal is whole
//! until the report is. A report in another dialect than the journal's is written anew, line by line.
//!
//! Only the places of the lines are sorted, in bounded memory. The lines themselves are copied.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use super::dialect::parser_of_report;
use super::failed::{FailedRows, RowsByNumber};
use super::files::{Draft, ReportFiles, folder_of, remove_if_there, rename, sync_folder_of};
use super::hashed::{HashedFile, Hashing};
use super::journal_reader::{BUFFER, JournalIndex, Line, read_journal};
use super::line::{outcome_of, parsed};
use crate::domain::{Counts, CsvDialect, Lines, Outcome, OutputDialect, Shard, Tally, counted};
use crate::external_sort::Sorter;
use crate::file_error::FileError;

/// How rows are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Those of a shard, without gaps.
    Of(Shard),
    /// With possible gaps, because users have left the user list since.
    MayBeFree,
}

/// The rows of a run, and the lines that its report has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) rows: u64,
    pub(crate) numbers: Numbers,
    pub(crate) lines: Lines,
    pub(crate) dialect: OutputDialect,
}

/// A report in numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// The outcomes of all rows, whether or not the report has a line for them.
    pub(crate) tally: Tally,
    /// The SHA-256 of the file, in hexadecimal.
    pub(crate) sha256: String,
    /// The number of lines without the header.
    pub(crate) lines: u64,
    /// The SHA-256 of the file of the failed rows, in hexadecimal; `None` if no row failed, or if it was not written now.
    pub(crate) failed_sha256: Option<String>,
}

/// The journal of a run that has ended.
pub(crate) struct EndedJournal {
    pub(crate) index: JournalIndex,
    /// The place of each line that counts, packed.
    places: Sorter<3>,
}

/// Where the line of a row stands in the journal, in bytes.
struct Place {
    row: u64,
    start: u64,
    length: u64,
    outcome: Outcome,
}

/// A report that is complete, but not under its name yet.
pub(crate) struct WrittenReport<'a> {
    files: &'a ReportFiles,
    draft: Draft<'a>,
    /// Whether it is a journal too: in the journal's dialect, with a line for every row.
    is_a_journal: bool,
    pub(crate) published: Published,
}

impl EndedJournal {
    /// Reads the journal among `files`, of an input with this many rows at most.
    pub(crate) fn read(files: &ReportFiles, most_rows: u64) -> Result<Self, FileError> {
        let mut places = Sorter::new(folder_of(&files.report));
        let index = read_journal(&files.partial, most_rows, |line| {
            let kept = if line.counts { places.push(Place::of(line).packed()) } else { Ok(()) };
            kept.map_err(|source| FileError::new("put in order", &files.partial, source))
        })?;
        Ok(Self { index, places })
    }

    /// Writes the report, and `NAME.failed.csv` with the values that the failed rows have in `originals`. Fails if a row has no
    /// line. The journal stays as it is.
    pub(crate) fn write<'a>(
        self,
        files: &'a ReportFiles,
        extent: Extent,
        originals: &mut dyn RowsByNumber,
    ) -> Result<WrittenReport<'a>, FileError> {
        let in_order = |source| FileError::new("put in order", &files.partial, source);
        let in_failed = |source| FileError::new("written", &files.failed, source);
        let Self { index, places } = self;
        let draft = Draft::create(&files.ordered, &files.ordered)?;
        let failed = if index.tally.failures() > 0 { Some(files.failed.draft()?) } else { None };
        let dialect = extent.dialect.of(originals.dialect());
        let failed_rows = failed.as_ref().map(|draft| FailedRows::begin(draft.file(), originals)).transpose();
        let mut failed_rows = failed_rows.map_err(in_failed)?;
        let mut copier = LineCopier::begin(&files.partial, draft.file(), dialect, index.header_ends).map_err(in_order)?;
        let mut places = places.sorted().map_err(in_order)?.map(|place| place.map(Place::unpacked)).peekable();
        let mut rows = 0;
        while let Some(place) = places.next().transpose().map_err(in_order)? {
            if places.peek().and_then(|next| next.as_ref().ok()).is_some_and(|next| next.row == place.row) {
                continue;
            }
            rows += 1;
            if let Numbers::Of(shard) = extent.numbers
                && place.row != shard.nth(rows).0
            {
                return Err(in_order(io::Error::other(format!("row {} has no line", shard.nth(rows)))));
            }
            let line = copier.read(&place).map_err(in_order)?;
            if let Some(failed) = failed_rows.as_mut().filter(|_| place.outcome.counts() == Counts::Failure) {
                let line = parsed(line).map_err(in_order)?;
                failed.write(place.row, &line).map_err(in_failed)?;
            }
            if extent.lines.include(place.outcome) {
                copier.copy().map_err(in_order)?;
            }
        }
        if rows != extent.rows {
            let what = format!("there are lines of {}, and the input has {}", counted(rows, "row"), extent.rows);
            return Err(in_order(io::Error::other(what)));
        }
        let (sha256, lines) = copier.finish().map_err(in_order)?;
        let failed_sha256 = failed_rows.map(FailedRows::finish).transpose().map_err(in_failed)?;
        match failed {
            Some(draft) => files.failed.install(draft)?,
            None => files.failed.remove_if_there()?,
        }
        let is_a_journal = extent.lines == Lines::All && dialect.is_as(CsvDialect::default());
        Ok(WrittenReport { files, draft, is_a_journal, published: Published { tally: index.tally, sha256, lines, failed_sha256 } })
    }
}

impl Place {
    fn of(line: &Line<'_>) -> Self {
        let start = line.place.start;
        Self { row: line.row, start, length: line.place.end - start, outcome: line.outcome }
    }

    /// As integers, the lines of a row are in the order of the journal.
    fn packed(&self) -> [u64; 3] {
        [self.row, self.start, (self.length << 8) | u64::from(self.outcome as u8)]
    }

    fn unpacked([row, start, packed]: [u64; 3]) -> Self {
        let [code, ..] = packed.to_le_bytes();
        let outcome = Outcome::ALL.into_iter().find(|outcome| *outcome as u8 == code).expect("it was packed from one");
        Self { row, start, length: packed >> 8, outcome }
    }
}

impl WrittenReport<'_> {
    /// Gives the report its name. The journal is gone afterwards.
    pub(crate) fn publish(self) -> Result<Published, FileError> {
        let Self { files, draft, is_a_journal, published } = self;
        if is_a_journal {
            // So at every moment, one of the two files is there, and whole.
            draft.replace(&files.partial)?;
            rename(&files.partial, &files.report)?;
        } else {
            draft.replace(&files.report)?;
            // Both files exist now. If the program ends here, a resumed run publishes the journal again.
            remove_if_there(&files.partial)?;
        }
        files.lookups.remove_if_there()?;
        sync_folder_of(&files.report)?;
        Ok(published)
    }
}

/// Copies lines of a journal into a report.
struct LineCopier<'a> {
    journal: BufReader<File>,
    /// The offset of the next byte to read.
    at: u64,
    /// The line that was read last.
    line: Vec<u8>,
    report: Output<'a>,
    lines: u64,
}

/// Where the lines are copied to.
enum Output<'a> {
    /// As they are.
    Bytes(HashedFile<'a>),
    /// In another dialect than the journal's.
    Records(Box<csv::Writer<HashedFile<'a>>>),
}

impl Output<'_> {
    /// Writes the text of a line.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Bytes(file) => file.write_all(line),
            Self::Records(writer) => Ok(writer.write_byte_record(&parsed(line)?)?),
        }
    }

    /// The SHA-256 of what was written, in hexadecimal.
    fn finish(self) -> io::Result<String> {
        let file = match self {
            Self::Bytes(file) => file,
            Self::Records(writer) => writer.into_inner().map_err(csv::IntoInnerError::into_error)?,
        };
        file.finish()
    }
}

impl<'a> LineCopier<'a> {
    /// Copies the header of the file at `journal`, which is this many bytes long, to a `report` in this `dialect`.
    fn begin(journal: &Path, report: &'a File, dialect: CsvDialect, header: u64) -> io::Result<Self> {
        let mut report = HashedFile::new(report);
        report.write_all(dialect.mark())?;
        let report = if dialect.is_as(CsvDialect::default()) {
            Output::Bytes(report)
        } else {
            Output::Records(Box::new(dialect.writer().from_writer(report)))
        };
        let journal = BufReader::with_capacity(BUFFER, File::open(journal)?);
        let mut copier = Self { journal, at: 0, line: Vec::new(), report, lines: 0 };
        copier.read_bytes(0, header)?;
        copier.report.write(&copier.line)?;
        Ok(copier)
    }

    fn read(&mut self, place: &Place) -> io::Result<&[u8]> {
        self.read_bytes(place.start, place.length)?;
        Ok(&self.line)
    }

    fn read_bytes(&mut self, start: u64, length: u64) -> io::Result<()> {
        // Rows settle nearly in order, so most lines are already in the buffer.
        self.journal.seek_relative(start.wrapping_sub(self.at).cast_signed())?;
        self.line.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        self.journal.read_exact(&mut self.line)?;
        self.at = start + length;
        Ok(())
    }

    /// Copies the line that was read last.
    fn copy(&mut self) -> io::Result<()> {
        self.lines += 1;
        self.report.write(&self.line)
    }

    /// The report's SHA-256, and the number of its lines.
    fn finish(self) -> io::Result<(String, u64)> {
        Ok((self.report.finish()?, self.lines))
    }
}

/// Counts and hashes the published report at `path`.
pub(crate) fn count_report(path: &Path) -> Result<Published, FileError> {
    count(path).map_err(|source| FileError::new("read", path, source))
}

fn count(path: &Path) -> io::Result<Published> {
    let mut reader = parser_of_report(path)?.buffer_capacity(BUFFER).from_reader(Hashing::open(path)?);
    let mut line = csv::ByteRecord::new();
    let mut tally = Tally::default();
    while reader.read_byte_record(&mut line)? {
        tally.add(outcome_of(&line).ok_or_else(|| io::Error::other("a line has no result"))?);
    }
    Ok(Published { tally, sha256: reader.into_inner().finish(), lines: tally.rows(), failed_sha256: None })
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
