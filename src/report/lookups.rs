//! `NAME.lookup.csv`: which user was found for each row that names its user otherwise than by ID.
//!
//! It is on disk before anything is sent for a user, and lasts until the report is published. A resumed run reads it and looks
//! nobody up again: in between, an address may have gone over to another user.

use std::fs::File;
use std::io;
use std::path::Path;

use csv::StringRecord;

use super::files::{OutputError, Replaced};
use super::hashed::sha256_of;
use super::journal_reader::BUFFER;
use crate::domain::{Detail, Outcome, Resolution, RowNumber, are, counted, escaped};
use crate::file_error::FileError;

const COLUMNS: [&str; 8] = ["row", "userID", "result", "httpStatus", "errorCode", "errorMessage", "errorId", "correlationId"];

/// Writes the file anew, and syncs it to disk. Returns its SHA-256, in hexadecimal.
pub(crate) fn write_lookups(
    place: &Replaced,
    mut found: impl Iterator<Item = io::Result<(RowNumber, Resolution)>>,
) -> Result<String, FileError> {
    place.replace(|file| {
        let mut writer = csv::WriterBuilder::new().buffer_capacity(BUFFER).from_writer(file);
        writer.write_record(COLUMNS)?;
        found.try_for_each(|found| {
            let (row, resolution) = found?;
            io::Result::Ok(writer.write_record(values_of(row, &resolution))?)
        })?;
        writer.flush()
    })?;
    sha256_of(place).map_err(|source| FileError::new("read", place, source))
}

/// Checks that the file at `path` has this SHA-256: an edited user would be granted what another was to get.
pub(crate) fn check_lookups(path: &Path, sha256: &str) -> Result<(), OutputError> {
    let now = sha256_of(path).map_err(|error| unread(path, error))?;
    if now == sha256 {
        return Ok(());
    }
    Err(OutputError::BadLookups {
        path: path.to_owned(),
        fault: format!("its SHA-256 is `{now}`, and the record has `{}`", escaped(sha256)),
    })
}

/// Reads the file at `path`, which has a line for this many `rows` of an input whose last row is `last`.
pub(crate) fn read_lookups<E: From<OutputError>>(
    path: &Path,
    rows: u64,
    last: u64,
    mut take: impl FnMut(RowNumber, Resolution) -> Result<(), E>,
) -> Result<(), E> {
    let wrong = |fault: String| OutputError::BadLookups { path: path.to_owned(), fault };
    let not_found_users = |line: u64| wrong(format!("line {line} is not that of a found user"));
    let failed = |error: csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        if error.is_io_error() { FileError::new("read", path, error.into()).into() } else { not_found_users(line) }
    };
    let file = File::open(path).map_err(|error| unread(path, error))?;
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(BUFFER).from_reader(file);
    if reader.headers().map_err(failed)? != COLUMNS[..] {
        return Err(wrong("it has other columns".to_owned()).into());
    }
    let mut record = StringRecord::new();
    let (mut count, mut before) = (0, 0);
    while reader.read_record(&mut record).map_err(failed)? {
        let line = record.position().map_or(0, csv::Position::line);
        let (row, resolution) = read(&record).ok_or_else(|| not_found_users(line))?;
        if row.0 <= before || row.0 > last {
            return Err(wrong(format!("line {line} is out of order")).into());
        }
        (count, before) = (count + 1, row.0);
        take(row, resolution)?;
    }
    if count != rows {
        return Err(wrong(format!("it has users for {}, and {rows} {} to be found", counted(count, "row"), are(rows))).into());
    }
    Ok(())
}

fn unread(path: &Path, error: io::Error) -> OutputError {
    if error.kind() == io::ErrorKind::NotFound {
        return OutputError::NoLookups(path.to_owned());
    }
    FileError::new("read", path, error).into()
}

fn values_of(row: RowNumber, resolution: &Resolution) -> [String; COLUMNS.len()] {
    let (user, outcome, detail) = match resolution {
        Resolution::User(user) => (user.to_string(), String::new(), &Detail::default()),
        Resolution::Unresolved(outcome, detail) => (String::new(), outcome.name().to_owned(), &**detail),
    };
    let Detail { status, code, message, id, correlation } = detail;
    let [code, message, id, correlation] = [code, message, id, correlation].map(ToString::to_string);
    [row.to_string(), user, outcome, status.map(|status| status.to_string()).unwrap_or_default(), code, message, id, correlation]
}

fn read(record: &StringRecord) -> Option<(RowNumber, Resolution)> {
    let values: [&str; COLUMNS.len()] = record.iter().collect::<Vec<_>>().try_into().ok()?;
    let [row, user, outcome, status, code, message, id, correlation] = values;
    let row = RowNumber(row.parse().ok().filter(|row| *row > 0)?);
    if outcome.is_empty() {
        return Some((row, Resolution::User(user.parse().ok()?)));
    }
    let status = if status.is_empty() { None } else { Some(status.parse().ok()?) };
    let detail = Detail { status, code: code.into(), message: message.into(), id: id.into(), correlation: correlation.into() };
    Some((row, Resolution::Unresolved(Outcome::named(outcome).filter(|_| user.is_empty())?, Box::new(detail))))
}

#[cfg(test)]
mod tests {
    use super::super::ReportFiles;
    use super::*;
    use std::fs;

    fn resolutions() -> Vec<(RowNumber, Resolution)> {
        let user = Resolution::User(uuid::Uuid::from_u128(7).into());
        let detail = Detail { status: Some(400), code: "C".into(), message: "=m\n\"ü".into(), id: "i".into(), correlation: "c".into() };
        let refused = Resolution::Unresolved(Outcome::Rejected, Box::new(detail));
        let none = Resolution::Unresolved(Outcome::NotFound, Box::default());
        [(1, user.clone()), (3, refused), (4, none), (900, user)].map(|(row, resolution)| (RowNumber(row), resolution)).into()
    }

    fn written() -> (tempfile::TempDir, ReportFiles) {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file");
        write_lookups(&files.lookups, resolutions().into_iter().map(Ok)).expect("written");
        (folder, files)
    }

    fn read_back(files: &ReportFiles, rows: u64) -> Result<Vec<(RowNumber, Resolution)>, OutputError> {
        let mut found = Vec::new();
        read_lookups(&files.lookups, rows, 900, |row, resolution| {
            found.push((row, resolution));
            Ok::<_, OutputError>(())
        })?;
        Ok(found)
    }

    #[test]
    fn users_read_back_as_they_were_found() {
        let (_folder, files) = written();
        let found = read_back(&files, 4).expect("readable");
        // Text of a server's is neutralised when it is written.
        let shown = |(row, resolution): &(RowNumber, Resolution)| values_of(*row, resolution);
        assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), resolutions().iter().map(shown).collect::<Vec<_>>());
        assert_eq!(found[0], resolutions()[0]);
    }

    #[test]
    fn a_file_that_is_not_as_it_was_written_is_refused() {
        let (_folder, files) = written();
        assert!(read_back(&files, 5).is_err() && read_back(&files, 3).is_err(), "another number of rows");
        let whole = fs::read_to_string(&*files.lookups).expect("there");
        let id = "00000000-0000-0000-0000-000000000007";
        for (from, to) in [
            ("row,", "line,"),
            (id, "7"),
            ("\n1,", "\n0,"),
            ("\n900,", "\n901,"),
            ("not_found", "nowhere"),
            ("4,,not_found", &format!("4,{id},not_found")),
            (",400,", ",x,"),
            ("4,,not_found,", "4,,not_found"),
            ("\n3,", "\n1,"),
            ("\n3,", "\n5,"),
        ] {
            let edited = whole.replacen(from, to, 1);
            assert_ne!(edited, whole);
            fs::write(&*files.lookups, edited).expect("written");
            assert!(matches!(read_back(&files, 4), Err(OutputError::BadLookups { .. })), "{from} {to}");
        }
        fs::remove_file(&*files.lookups).expect("there");
        assert!(matches!(read_back(&files, 4), Err(OutputError::NoLookups(_))));
    }
}
