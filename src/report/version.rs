//! Can `--resume` read the files that another version of the program wrote? One table, [`FORMATS`], decides.
//!
//! The record's `formatVersion` is the format of all files of a run. The journal and the report have no version of their
//! own, because their first line is the header that users see.
//!
//! Add a format when the report gets another column or another value of `result`, when a key of the record goes or changes
//! its meaning, and when a new key must not be ignored. A new key that older versions can ignore needs no format.

use std::path::Path;

use csv::ByteRecord;
use serde_json::{Map, Value};

use super::files::OutputError;
use super::journal_reader::journal_header;
use crate::domain::{quote, shown};
use crate::file_error::FileError;

/// The record's key.
const KEY: &str = "formatVersion";
/// The keys of a record.
pub(crate) type Keys = Map<String, Value>;
/// The format of a record without the key.
const UNNUMBERED: u64 = 1;
/// The format that this version writes.
pub(crate) const CURRENT_FORMAT: u64 = FORMATS[FORMATS.len() - 1].version;

/// What `--resume` does with a run of some format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Resumes it.
    Honour,
    /// Ends with an error, and leaves all files as they are.
    Refuse,
}

/// A format of the files of a run.
#[derive(Debug)]
struct Format {
    version: u64,
    /// What distinguishes it from the format before.
    has: &'static str,
    /// The report's own columns, which the journal has too. Lines are read by position and appended to, so a format whose
    /// columns are not the current ones must be refused.
    columns: &'static [&'static str],
    reading: Reading,
}

/// Every format so far, oldest first. CONTRIBUTING.md shows this table.
const FORMATS: [Format; 4] = [
    Format { version: UNNUMBERED, has: "no `formatVersion`", columns: &COLUMNS_1, reading: Reading::Refuse },
    Format { version: 2, has: "`formatVersion`", columns: &COLUMNS_1, reading: Reading::Refuse },
    Format { version: 3, has: "the columns `previousUntil` and `correlationId`", columns: &COLUMNS_3, reading: Reading::Honour },
    // Without the key, every row would be resumed.
    Format { version: 4, has: "`shard`, where a run has one", columns: &COLUMNS_3, reading: Reading::Honour },
];

/// The columns of formats 1 and 2.
const COLUMNS_1: [&str; 13] = [
    "row",
    "userID",
    "result",
    "canBypassMFA",
    "bypassMFAEnabledUntil",
    "requestedUntil",
    "httpStatus",
    "errorCode",
    "errorMessage",
    "errorId",
    "attempts",
    "durationMs",
    "completedAt",
];

/// The columns of formats 3 and 4.
const COLUMNS_3: [&str; 15] = [
    "row",
    "userID",
    "result",
    "canBypassMFA",
    "bypassMFAEnabledUntil",
    "requestedUntil",
    "previousUntil",
    "httpStatus",
    "errorCode",
    "errorMessage",
    "errorId",
    "correlationId",
    "attempts",
    "durationMs",
    "completedAt",
];

/// Checks the format of the record at `path`, which has these `keys`.
pub(super) fn check_record(path: &Path, keys: &Keys) -> Result<(), OutputError> {
    let format = format_of(keys);
    match format.map_or(Reading::Refuse, |format| format.reading) {
        Reading::Honour => {
            if let Some(Format { version, has, .. }) = format.filter(|format| format.version < CURRENT_FORMAT) {
                tracing::info!("{}: resuming from a record of format {version} ({has})", shown(path));
            }
            Ok(())
        }
        Reading::Refuse => Err(OutputError::OtherFormat {
            path: path.to_owned(),
            found: keys.get(KEY).map_or_else(|| UNNUMBERED.to_string(), |value| quote(&value.to_string())),
            expected: honoured(),
            writer: keys.get("version").and_then(Value::as_str).map(quote),
        }),
    }
}

/// Checks that the journal at `path`, written by version `writer` of the program, has the columns of a format that can be
/// resumed. A journal with a torn header has no lines yet, and passes. So does a file that is no journal of any version: it
/// cannot be read.
pub(crate) fn check_journal(path: &Path, writer: &str) -> Result<(), OutputError> {
    let header = journal_header(path).map_err(|source| FileError::new("read", path, source))?;
    let is_known = |header: &ByteRecord| FORMATS.iter().any(|format| format.reading == Reading::Honour && begins(header, format));
    match header {
        Some(header) if is_of_a_journal(&header) && !is_known(&header) => {
            Err(OutputError::OtherColumns { path: path.to_owned(), writer: quote(writer) })
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether a header begins as those of all formats do.
fn is_of_a_journal(header: &ByteRecord) -> bool {
    const FIRST: usize = 3;
    header.iter().take(FIRST).eq(COLUMNS_1[..FIRST].iter().map(|column| column.as_bytes()))
}

/// Whether a file with these columns is a report of any format. Its columns are found by name, so every format can be read.
pub(crate) fn is_of_a_report(names: &[String]) -> bool {
    FORMATS.iter().any(|format| format.columns.iter().all(|own| names.iter().any(|name| name == own)))
}

/// The report's own columns in the format of a record with these `keys`; `None` if the format is not known.
pub(super) fn columns_of(keys: &Keys) -> Option<&'static [&'static str]> {
    format_of(keys).map(|format| format.columns)
}

fn format_of(keys: &Keys) -> Option<&'static Format> {
    let version = keys.get(KEY).map_or(Some(UNNUMBERED), Value::as_u64)?;
    FORMATS.iter().find(|format| format.version == version)
}

fn begins(header: &ByteRecord, format: &Format) -> bool {
    header.iter().take(format.columns.len()).eq(format.columns.iter().map(|column| column.as_bytes()))
}

/// The formats that can be resumed, for a message.
fn honoured() -> String {
    let honoured = FORMATS.iter().filter(|format| format.reading == Reading::Honour);
    honoured.map(|format| format!("`{}`", format.version)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "version_tests.rs"]
mod tests;
