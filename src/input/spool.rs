//! Copies an input that can be read only once, or that may change during a run, to a temporary file. The file has no name,
//! no other user can read it, and it disappears when the program exits.
//!
//! A pipe may deliver anything, without end. Its records are therefore parsed while they are copied, and reading stops at
//! the first malformed record or when there are too many.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;

use csv::ByteRecord;

use super::InputError;
use super::error::refused;
use super::records::Records;
use super::source::{Beginning, BytesRead, Expected};
use crate::external_sort::{no_temporary, unnamed_file};

/// Copies a regular `file`. The kernel may share the bytes or copy them itself.
pub(super) fn copied(mut file: &File) -> io::Result<File> {
    let folder = std::env::temp_dir();
    let mut copy = unnamed_file(&folder)?;
    file.rewind()?;
    let is_of_the_copy =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge);
    match io::copy(&mut file, &mut copy) {
        Err(error) if is_of_the_copy(&error) => Err(no_temporary(&folder, "written", error)),
        copied => copied.map(|_| copy),
    }
}

/// Copies the `beginning` and then the rest of the `pipe`.
pub(super) fn spooled(beginning: &Beginning, pipe: File, bytes_read: BytesRead, expected: Option<Expected>) -> Result<File, InputError> {
    let failed = |error| refused(&beginning.name, error);
    let folder = std::env::temp_dir();
    let mut copy = unnamed_file(&folder).map_err(failed)?;
    let begun = copy.write_all(beginning.mark).and_then(|()| copy.write_all(&beginning.head));
    begun.map_err(|error| failed(no_temporary(&folder, "written", error)))?;
    let mut kept = Kept { pipe, copy, folder, bytes_read };
    match expected {
        Some(expected) => read_records(beginning, &mut kept, expected)?,
        None => io::copy(&mut kept, &mut io::sink()).map(drop).map_err(failed)?,
    }
    Ok(kept.copy)
}

/// Reads to the end, or fails at the first record that is not `expected`.
fn read_records(beginning: &Beginning, rest: &mut Kept, expected: Expected) -> Result<(), InputError> {
    let Expected { delimiter, has_header, most_rows } = expected;
    let mut records = Records::of(beginning.head.as_slice().chain(rest), beginning.mark, delimiter, None);
    let mut record = ByteRecord::new();
    let mut left = most_rows.map(|most| most.saturating_add(u64::from(has_header)));
    while records.read(&mut record).map_err(|error| refused(&beginning.name, error))?.is_some() {
        left = match (left, most_rows) {
            (Some(0), Some(most)) => return Err(InputError::MoreRows { name: beginning.name.clone(), most }),
            (left, _) => left.map(|left| left - 1),
        };
    }
    Ok(())
}

/// A pipe that is copied while it is read.
struct Kept {
    pipe: File,
    copy: File,
    folder: PathBuf,
    bytes_read: BytesRead,
}

impl Read for Kept {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.pipe.read(out)?;
        self.copy.write_all(&out[..count]).map_err(|error| no_temporary(&self.folder, "written", error))?;
        self.bytes_read.add(count);
        Ok(count)
    }
}
