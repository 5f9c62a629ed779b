//! The errors of an input, and what the user can do about each.

use std::io;
use std::path::Path;

use super::bad_rows::{BadRows, CLOSE_QUOTE, IN_EXCEL};
use super::blocks::BadBytes;
use crate::domain::{are, counted, quote};
use crate::external_sort::NoTemporary;
use crate::file_error::reading_hint;

/// Why an input is refused as a whole. Nothing was sent. Every variant has the name of the input in messages.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("{name}: the input cannot be read")]
    Unreadable { name: String, source: io::Error },
    /// There is no room for a copy.
    #[error("{name}: the input cannot be kept while it is used")]
    NotKept { name: String, source: io::Error },
    #[error("{0}: the input is empty")]
    Empty(String),
    #[error("{0}: there are no rows below the header")]
    NoRows(String),
    #[error("{0}:1: the text is encoded as UTF-16: expected UTF-8")]
    Utf16(String),
    #[error("{0}: this is not text: there are zero bytes in it")]
    NotText(String),
    #[error("{0}: this is an Excel workbook: expected a CSV file")]
    Workbook(String),
    #[error("{name}:{line}: {fault}")]
    Header { name: String, line: u64, fault: HeaderFault },
    #[error("{name}: there {} {}, and `--max-users` allows {most}; nothing was sent", are(*.rows), counted(*.rows, "row"))]
    TooManyRows { name: String, rows: u64, most: u64 },
    #[error(
        "{name}: there are more than {}, which is what `--max-users` allows; the rest was not read, and nothing was sent",
        counted(*.most, "row")
    )]
    MoreRows { name: String, most: u64 },
    #[error("{name}: {} invalid; nothing was {}{bad}", share(.bad.count, *.rows), if .bad.were_looked_up { "changed by this command" } else { "sent" })]
    BadRows { name: String, rows: u64, bad: BadRows },
}

fn share(bad: u64, all: u64) -> String {
    format!("{bad} of {} {}", counted(all, "row"), are(bad))
}

impl InputError {
    /// Whether the input is fine, but there is no room for a copy of it.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::NotKept { .. })
    }

    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> String {
        let hint = match self {
            Self::Unreadable { name, source } => return unreadable_hint(name, source),
            Self::NotKept { .. } => "make room in this folder, or name another one for temporary files in TMPDIR",
            Self::Empty(_) => "name a CSV file with a header, such as `userID,until`, and a line for each user",
            Self::NoRows(_) => "add a line for each user; if the first line is one, say `--no-headers`",
            Self::Utf16(_) => "in Excel, save as `CSV UTF-8 (Comma delimited)`; elsewhere, `iconv -f UTF-16 -t UTF-8`",
            Self::NotText(_) => "export the users as a CSV file in UTF-8, and name that",
            Self::Workbook(_) => IN_EXCEL,
            Self::Header { fault, .. } => fault.hint(),
            Self::TooManyRows { .. } | Self::MoreRows { .. } => {
                "see whether this is the file that you mean: if it is, allow as many rows with `--max-users`"
            }
            Self::BadRows { rows, bad, .. } => return bad.hint(*rows),
        };
        hint.to_owned()
    }
}

/// What to do about an input that cannot be read.
fn unreadable_hint(name: &str, source: &io::Error) -> String {
    match source.get_ref().and_then(|inner| inner.downcast_ref::<BadBytes>()) {
        Some(BadBytes::QuoteNeverClosed { .. }) => CLOSE_QUOTE.to_owned(),
        Some(BadBytes::LineTooLong { .. }) => "see whether this is a CSV file, with an end of the line after each row".to_owned(),
        Some(BadBytes::Changed) => "leave the file as it is while it is read, and start again".to_owned(),
        None if source.kind() == io::ErrorKind::NotFound => {
            format!("{}; `-` stands for standard input", reading_hint(Path::new(name), source))
        }
        None => reading_hint(Path::new(name), source),
    }
}

/// What is wrong with a header.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderFault {
    /// The column of the `users` or that of the end dates. The first line looks like `data` if it has a user ID.
    #[error("there is no column `{}`: the columns are {}", quote(.wanted), listed(.found))]
    Missing { wanted: String, users: bool, found: Vec<String>, data: bool },
    #[error("there is no column `{}`: the columns are {}", quote(.wanted), listed(.found))]
    NotAGrantsReport { wanted: String, found: Vec<String> },
    #[error("there are two columns `{}`", quote(.0))]
    Twice(String),
    /// `--lookup-by` says another attribute than the column's name.
    #[error("column `{}`: its values are to be looked up as `{by}`, as `--lookup-by` says, and its name says another", quote(.column))]
    OtherAttribute { column: String, by: &'static str },
    /// `--lookup-by` is given, and no `--user-column`.
    #[error("there are two columns of users, `{}` and `{}`, and `--lookup-by` does not say which is meant", quote(.ids), quote(.values))]
    TwoOfUsers { ids: String, values: String },
    #[error("the header is not UTF-8")]
    NotUtf8,
    #[error("the header is longer than 64 KiB")]
    TooLong,
    #[error("the lines end in a carriage return alone: expected CRLF or LF")]
    BareCarriageReturn,
    #[error("`{}` is not a column's number: without a header, columns are numbered from 1 to {}", quote(.0), .1)]
    NotANumber(String, usize),
}

impl HeaderFault {
    fn hint(&self) -> &'static str {
        match self {
            Self::Missing { found, .. } if is_not_split(found) => {
                "the header is one column with another delimiter in it: leave `--delimiter` out, or name the one that the file has"
            }
            Self::Missing { data: true, .. } => "the first line looks like data: if the file has no header, use `--no-headers`",
            Self::Missing { users: true, .. } => {
                "`user_id` and `id` are understood too, and `username`, `email` and `externalId`, by which users are looked up; name another column with `--user-column`, and what it holds with `--lookup-by`"
            }
            Self::Missing { .. } => {
                "`until` and `end_date` are understood too; name another column with `--until-column`, or one end date for all with `--until`"
            }
            Self::NotAGrantsReport { .. } => {
                "`end --restore` takes the report of a `grant --look-first`, which has it; without `--restore`, the bypasses are ended"
            }
            Self::OtherAttribute { .. } => "leave `--lookup-by` out, or name another column with `--user-column`",
            Self::TwoOfUsers { .. } => "name one of them with `--user-column`",
            Self::Twice(_) => "rename one of them, or name another column with `--user-column` or `--until-column`",
            Self::NotUtf8 => IN_EXCEL,
            Self::TooLong => "see whether this is a CSV file, whose first line names the columns",
            Self::BareCarriageReturn => {
                "in Excel, save as `CSV UTF-8 (Comma delimited)`; elsewhere, `tr '\\r' '\\n'` makes line feeds of them"
            }
            Self::NotANumber(..) => "give the column's number, or leave `--no-headers` out if the first line names the columns",
        }
    }
}

/// Whether a header was split by a delimiter that it does not have, and has another.
fn is_not_split(columns: &[String]) -> bool {
    matches!(columns, [only] if only.contains([',', ';', '\t', '|']))
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{}`", quote(name))).collect::<Vec<_>>().join(", ")
}

/// Turns an I/O error into the reason why the input `name` cannot be read or copied.
pub(super) fn refused(name: &str, error: io::Error) -> InputError {
    if is_no_room(&error) {
        return InputError::NotKept { name: name.to_owned(), source: error };
    }
    let name = match error.get_ref().and_then(|inner| inner.downcast_ref::<BadBytes>()) {
        Some(BadBytes::QuoteNeverClosed { line } | BadBytes::LineTooLong { line }) => format!("{name}:{line}"),
        Some(BadBytes::Changed) | None => name.to_owned(),
    };
    InputError::Unreadable { name, source: error }
}

/// Whether the error is about the temporary folder.
pub(super) fn is_no_room(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<NoTemporary>()).is_some()
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
