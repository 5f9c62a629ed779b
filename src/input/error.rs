//! The errors of an input, and what the user can do about each.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use super::blocks::BadBytes;
use crate::domain::{NotAUuid, UntilError, quote, shell_word};
use crate::external_sort::NoTemporary;

const IN_EXCEL: &str = "in Excel, save as `CSV UTF-8 (Comma delimited)`";

/// How many bad rows a message names.
pub(crate) const NAMED: usize = 20;

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
    #[error("{name}: there are {rows} rows, and `--max-users` allows {most}; nothing was sent")]
    TooManyRows { name: String, rows: u64, most: u64 },
    #[error("{name}: there are more than {most} rows, which is what `--max-users` allows; the rest was not read, and nothing was sent")]
    MoreRows { name: String, most: u64 },
    #[error("{name}: {} invalid; nothing was {}{bad}", share(.bad.count, *.rows), if .bad.were_looked_up { "changed by this command" } else { "sent" })]
    BadRows { name: String, rows: u64, bad: BadRows },
}

fn share(bad: u64, all: u64) -> String {
    let verb = if bad == 1 { "is" } else { "are" };
    format!("{bad} of {all} rows {verb}")
}

impl InputError {
    /// Whether the input is fine, but there is no room for a copy of it.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::NotKept { .. })
    }

    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } | Self::Empty(_) | Self::NoRows(_) | Self::TooManyRows { .. } | Self::MoreRows { .. } => None,
            Self::NotKept { .. } => Some("make room in this folder, or name another one for temporary files in TMPDIR".into()),
            Self::Utf16(_) => Some("in Excel, save as `CSV UTF-8 (Comma delimited)`; elsewhere, `iconv -f UTF-16 -t UTF-8`".into()),
            Self::NotText(_) => Some("expected a CSV file in UTF-8".into()),
            Self::Workbook(_) => Some(IN_EXCEL.into()),
            Self::Header { fault, .. } => fault.hint(),
            Self::BadRows { bad, .. } if bad.fatal => Some("close the quote, or write it twice if it is part of the value".into()),
            Self::BadRows { bad, .. } if bad.not_utf8() => Some(IN_EXCEL.into()),
            Self::BadRows { bad, .. } if bad.is_no_grants_report() => Some(
                "`end --restore` takes the report of a `grant --look-first`, not that of an audit or an end".into(),
            ),
            Self::BadRows { bad, .. } if bad.lacks_previous() => Some(
                "a grant tells what was there before with `--look-first`; where nobody knows, end the bypasses without `--restore`, or write an end date or `none` into the column".into(),
            ),
            Self::BadRows { .. } => Some("mend the rows, or use `--skip-invalid` to run the others and report these".into()),
        }
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
    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { data: true, .. } => Some("the first line looks like data: if the file has no header, use `--no-headers`".into()),
            Self::Missing { users: true, .. } => {
                Some("`user_id` and `id` are understood too, and `username`, `email` and `externalId`, by which users are looked up; name another column with `--user-column`, and what it holds with `--lookup-by`".into())
            }
            Self::Missing { .. } => {
                Some("`until` and `end_date` are understood too; name another column with `--until-column`, or one end date for all with `--until`".into())
            }
            Self::NotAGrantsReport { .. } => Some(
                "`end --restore` takes the report of a `grant --look-first`, which has it; without `--restore`, the bypasses are ended".into(),
            ),
            Self::OtherAttribute { .. } => Some("leave `--lookup-by` out, or name another column with `--user-column`".into()),
            Self::TwoOfUsers { values, .. } => {
                Some(format!("name one of them with `--user-column`; `--user-column {}` looks users up", shell_word(values)))
            }
            Self::Twice(_) => Some("rename one of them, or name another column with `--user-column` or `--until-column`".into()),
            Self::NotUtf8 => Some(IN_EXCEL.into()),
            Self::BareCarriageReturn | Self::TooLong | Self::NotANumber(..) => None,
        }
    }
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{}`", quote(name))).collect::<Vec<_>>().join(", ")
}

/// The invalid rows of an input: the first 20, and the total.
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
    /// The lines and the faults of the first.
    named: Vec<(u64, RowFault)>,
}

impl BadRows {
    fn not_utf8(&self) -> bool {
        self.named.iter().any(|(_, fault)| matches!(fault, RowFault::NotUtf8 { .. }))
    }

    /// No invalid rows so far of the input that messages call `name`.
    pub(crate) fn of(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    fn is_no_grants_report(&self) -> bool {
        self.named.iter().any(|(_, fault)| matches!(fault, RowFault::Result { .. }))
    }

    fn lacks_previous(&self) -> bool {
        self.named.iter().any(|(_, fault)| matches!(fault, RowFault::NoPrevious { .. }))
    }

    /// Counts rows with this fault without naming them.
    pub(crate) fn add_unnamed(&mut self, fault: &RowFault, rows: u64) {
        self.count += rows;
        *self.kinds.entry(fault.kind()).or_default() += rows;
    }

    /// Adds the invalid row on this line.
    pub(crate) fn add(&mut self, line: u64, fault: RowFault) {
        self.add_unnamed(&fault, 1);
        // After an unclosed quote, the rest of the rows cannot be told apart.
        self.fatal |= matches!(fault, RowFault::Unclosed { .. });
        let place = self.named.partition_point(|(named, _)| *named <= line);
        self.named.insert(place, (line, fault));
        self.named.truncate(NAMED);
    }
}

impl fmt::Display for BadRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, fault) in &self.named {
            write!(f, "\n  {}:{line}: {fault}", self.name)?;
        }
        let more = self.count - self.named.len() as u64;
        if more > 0 { write!(f, "\n  and {more} more") } else { Ok(()) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LookupValueFault {
    #[error("there is no value: expected one to look the user up by")]
    Empty,
    #[error("`{}` cannot be looked up: expected text without control characters", quote(.0))]
    Control(String),
    #[error("`{}` cannot be looked up: expected at most {most} characters", quote(.value))]
    TooLong { value: String, most: usize },
}

/// Why a row cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowFault {
    #[error("`{}` stands beyond the last column, `{}`: found {found} values, expected {expected}", quote(.value), quote(.last))]
    TooMany { value: String, last: String, found: usize, expected: usize },
    #[error("column `{}`: there is no value: found {found} values, expected {expected}, the last being `{}`", quote(.column), quote(.last))]
    TooFew { column: String, last: String, found: usize, expected: usize },
    #[error("column `{}`: `{}` is not UTF-8", quote(.column), quote(.value))]
    NotUtf8 { column: String, value: String },
    #[error("column `{}`: the quote before `{}` is never closed", quote(.column), quote(.value))]
    Unclosed { column: String, value: String },
    #[error("column `{}`: {fault}", quote(.column))]
    User { column: String, fault: NotAUuid },
    #[error("column `{}`: {fault}", quote(.column))]
    LookupValue { column: String, fault: LookupValueFault },
    #[error("column `{}`: {fault}", quote(.column))]
    Until { column: String, fault: UntilError },
    #[error("column `{}`: `` is not an end date, and there is no `--until` for rows that have none", quote(.column))]
    NoUntil { column: String },
    #[error("column `{}`: `{}` is not a result of a grant", quote(.column), quote(.value))]
    Result { column: String, value: String },
    #[error("column `{}`: `{}` is not an end date that was granted: expected the form `2026-08-31T17:00:00.000Z`", quote(.column), quote(.value))]
    Granted { column: String, value: String },
    #[error("column `{}`: `` does not tell what the user had before the grant", quote(.column))]
    NoPrevious { column: String },
    #[error("column `{}`: `{}` is not what a user had before: expected the form `2026-08-31T17:00:00.000Z`, or `none`", quote(.column), quote(.value))]
    Previous { column: String, value: String },
    #[error("column `{}`: `{previous}` is not before `{granted}`, which the grant gave", quote(.column))]
    NotBefore { column: String, previous: String, granted: String },
    #[error("column `{}`: `{user}` had `{previous}` here, and `{other}` on line {line}: expected one for a user", quote(.column))]
    Contradiction { column: String, user: String, previous: String, other: String, line: u64 },
    #[error(
        "column `{}`: the user {user} has the end date `{until}` here, and `{other}` on line {line}: expected one end date for a user",
        quote(.column)
    )]
    Conflict { column: String, user: String, until: String, other: String, line: u64 },
}

impl RowFault {
    /// What is wrong, worded to follow a count ("3 with ...").
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::TooMany { .. } | Self::TooFew { .. } => "with too many or too few values",
            Self::NotUtf8 { .. } => "not UTF-8",
            Self::Unclosed { .. } => "with a quote that is never closed",
            Self::User { .. } => "without a UUID",
            Self::LookupValue { .. } => "without a value that can be looked up",
            Self::Until { fault: UntilError::Past { .. }, .. } => "with an end date that has passed",
            Self::Until { fault: UntilError::TooFar { .. }, .. } => "beyond `--max-window`",
            Self::Until { .. } | Self::NoUntil { .. } => "without an end date that can be read",
            Self::Result { .. } => "without a result of a grant",
            Self::NoPrevious { .. } => "that do not tell what was there before",
            Self::Contradiction { .. } => "that contradict another row of their user",
            Self::Granted { .. } | Self::Previous { .. } | Self::NotBefore { .. } => "without the dates of a grant",
            Self::Conflict { .. } => "with several end dates for one user",
        }
    }
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
