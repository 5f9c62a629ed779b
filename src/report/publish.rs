//! Turns the journal into the report. Its lines are written in the input's order to a second file, which is renamed to the
//! journal and then to the report. At every moment, one complete file exists.
//!
//! Only the positions of the lines are sorted, in bounded memory. The lines themselves are copied.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use csv::ByteRecord;

use super::failed::outcome_of;
use super::files::{ReportFiles, create_new, folder_of, remove_if_there, rename, sync_folder_of};
use crate::domain::Lines;
use crate::external_sort::Sorter;
use crate::file_error::FileError;

/// The bytes read or written at a time. Rows settle nearly in order, so most lines are already in the buffer.
const BUFFER: usize = 256 << 10;

/// How rows are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// From 1 without gaps.
    Whole,
    /// With possible gaps, because users have left the user list since.
    MayBeFree,
}

/// Sorts the journal's lines; it stays the journal. Each of the `rows` rows must have a line. If it has several, the last
/// one is kept.
pub(crate) fn put_in_order(files: &ReportFiles, rows: u64, numbers: Numbers) -> Result<(), FileError> {
    let folder = folder_of(&files.report);
    write_beside(files, |ordered| write_in_order(&files.partial, ordered, folder, rows, numbers))?;
    rename(&files.ordered, &files.partial)
}

/// Publishes the selected `lines` of a sorted journal as the report. The journal is gone afterwards.
pub(crate) fn publish(files: &ReportFiles, lines: Lines) -> Result<(), FileError> {
    match lines {
        Lines::All => rename(&files.partial, &files.report)?,
        Lines::Active => {
            write_beside(files, |some| write_some(&files.partial, some, lines))?;
            rename(&files.ordered, &files.report)?;
            // Both files exist now. If the program ends here, a resumed run publishes the journal again.
            sync_folder_of(&files.report)?;
            remove_if_there(&files.partial)?;
        }
    }
    sync_folder_of(&files.report)
}

/// Writes the temporary file that will replace another, and syncs it to disk.
fn write_beside(files: &ReportFiles, write: impl FnOnce(&File) -> io::Result<()>) -> Result<(), FileError> {
    remove_if_there(&files.ordered)?;
    let beside = create_new(&files.ordered)?;
    let written = write(&beside).map_err(|source| FileError::new("put in order", &files.partial, source));
    let synced = written.and_then(|()| beside.sync_all().map_err(|source| FileError::new("written to disk", &files.ordered, source)));
    synced.inspect_err(|_| {
        // The journal still has everything, and the disk may be full.
        drop(remove_if_there(&files.ordered));
    })
}

fn write_some(journal: &Path, out: &File, lines: Lines) -> io::Result<()> {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(BUFFER).from_reader(File::open(journal)?);
    let mut writer = csv::WriterBuilder::new().buffer_capacity(BUFFER).from_writer(out);
    writer.write_byte_record(reader.byte_headers()?)?;
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        if lines.include(outcome_of(&record)?) {
            writer.write_byte_record(&record)?;
        }
    }
    writer.flush()
}

fn write_in_order(journal: &Path, ordered: &File, folder: &Path, rows: u64, numbers: Numbers) -> io::Result<()> {
    let (header_ends, places) = places(File::open(journal)?, folder)?;
    let mut lines = BufReader::with_capacity(BUFFER, File::open(journal)?);
    let mut out = BufWriter::with_capacity(BUFFER, ordered);
    io::copy(&mut (&mut lines).take(header_ends), &mut out)?;
    let mut at = header_ends;
    let mut places = places.sorted()?.peekable();
    let mut written = 0;
    let mut line = Vec::new();
    while let Some([row, from, to]) = places.next().transpose()? {
        let next = places.peek().and_then(|next| next.as_ref().ok());
        if next.is_some_and(|next| next[0] == row) {
            continue;
        }
        written += 1;
        if numbers == Numbers::Whole && row != written {
            return Err(io::Error::other(format!("row {written} has no line")));
        }
        lines.seek_relative(from.wrapping_sub(at).cast_signed())?;
        line.resize(usize::try_from(to - from).map_err(io::Error::other)?, 0);
        lines.read_exact(&mut line)?;
        out.write_all(&line)?;
        at = to;
    }
    if written != rows {
        return Err(io::Error::other(format!("{written} rows have lines, and the input has {rows}")));
    }
    out.flush()
}

/// The offset at which the header ends, and for each line its row, start and end.
fn places(journal: File, folder: &Path) -> io::Result<(u64, Sorter<3>)> {
    let length = journal.metadata()?.len();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(BUFFER).from_reader(journal);
    let mut record = ByteRecord::new();
    reader.read_byte_record(&mut record).map_err(io::Error::other)?;
    let header_ends = reader.position().byte();
    let mut places = Sorter::new(folder);
    let mut from = header_ends;
    while reader.read_byte_record(&mut record).map_err(io::Error::other)? {
        let to = reader.position().byte();
        let row = record.get(0).and_then(|text| std::str::from_utf8(text).ok()).and_then(|text| text.parse().ok());
        let row = row.ok_or_else(|| io::Error::other(format!("the line at byte {from} has no row number")))?;
        places.push([row, from, to])?;
        from = to;
    }
    if from != length {
        return Err(io::Error::other(format!("the line at byte {from} is torn")));
    }
    Ok((header_ends, places))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use proptest::prelude::*;

    fn published(journal: &str, rows: u64) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file");
        fs::write(&files.partial, journal).expect("written");
        let done = put_in_order(&files, rows, Numbers::Whole).and_then(|()| publish(&files, Lines::All));
        let text = |path: &Path| fs::read_to_string(path).ok();
        assert_eq!(text(&files.partial).is_some(), done.is_err(), "either the journal or the report is there");
        match done {
            Ok(()) => Ok(text(&files.report).expect("published")),
            Err(error) => Err(std::error::Error::source(&error).expect("a cause").to_string()),
        }
    }

    #[test]
    fn lines_stand_in_the_inputs_order_and_the_last_of_a_row_counts() {
        let journal = "row,x\n3,c\n1,\"a\nb\"\n2,old\n2,new\n";
        assert_eq!(published(journal, 3), Ok("row,x\n1,\"a\nb\"\n2,new\n3,c\n".to_owned()));
    }

    #[test]
    fn a_row_without_a_line_is_found_out() {
        assert_eq!(published("row\n1\n3\n", 3), Err("row 2 has no line".to_owned()));
        assert_eq!(published("row\n1\n2\n", 3), Err("2 rows have lines, and the input has 3".to_owned()));
        assert_eq!(published("row\n1\nx\n", 2), Err("the line at byte 6 has no row number".to_owned()));
    }

    #[test]
    fn numbers_may_be_free_where_users_have_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file");
        fs::write(&files.partial, "row\n5\n2\n9\n2\n").expect("written");
        let text = || fs::read_to_string(&files.partial).expect("there");
        assert!(put_in_order(&files, 3, Numbers::Whole).is_err() && put_in_order(&files, 4, Numbers::MayBeFree).is_err());
        assert_eq!(text(), "row\n5\n2\n9\n2\n", "it is as it was");
        put_in_order(&files, 3, Numbers::MayBeFree).expect("whole");
        assert_eq!(text(), "row\n2\n5\n9\n");
    }

    #[test]
    fn of_a_journal_that_is_not_reported_whole_nothing_is_left_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file");
        fs::write(&files.partial, "row,userID,result\n1,a,active\n2,b,failed\n3,\"c\nd\",active\n4,e,inactive\n").expect("written");
        publish(&files, Lines::Active).expect("published");
        assert_eq!(fs::read_to_string(&files.report).expect("there"), "row,userID,result\n1,a,active\n3,\"c\nd\",active\n");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    proptest! {
        #[test]
        fn any_order_is_put_right(order in Just((1..=60_u64).collect::<Vec<_>>()).prop_shuffle(), note in "[a,\"\n\r ]{0,6}") {
            let record = |row: &u64| ByteRecord::from(vec![row.to_string(), note.clone()]);
            let text = |rows: &[u64]| {
                let lines = rows.iter().flat_map(|row| super::super::journal::encoded(&record(row)).expect("memory"));
                String::from_utf8(lines.collect()).expect("UTF-8")
            };
            let sorted: Vec<_> = (1..=60).collect();
            prop_assert_eq!(published(&format!("row,note\n{}", text(&order)), 60), Ok(format!("row,note\n{}", text(&sorted))));
        }
    }
}
