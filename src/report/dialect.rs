//! The dialect of a report: what its header shows, and how the run's record tells of one.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::line::Column;
use crate::domain::{BYTE_ORDER_MARK, CsvDialect, LineEnd};

/// The bytes that show the delimiter: the names of two columns, each perhaps in quotes, with what surrounds them.
const SHOWN_BY: usize = 32;

/// The delimiter of a text that begins as a report does: with the names of its first two columns. `None` for any other text.
pub(crate) fn delimiter_of_report(head: &[u8]) -> Option<u8> {
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    let (delimiter, rest) = after(head, Column::Row)?.split_first()?;
    let (next, _) = after(rest, Column::UserId)?.split_first()?;
    let may_separate = delimiter.is_ascii() && !delimiter.is_ascii_alphanumeric() && !matches!(delimiter, b'"' | b'\r' | b'\n');
    (may_separate && next == delimiter).then_some(*delimiter)
}

/// What follows the name of a column at the beginning of `text`.
fn after(text: &[u8], column: Column) -> Option<&[u8]> {
    let name = column.name().as_bytes();
    text.strip_prefix(name).or_else(|| text.strip_prefix(b"\"")?.strip_prefix(name)?.strip_prefix(b"\""))
}

/// A parser for the report at `path`, whatever its dialect. One that does not begin as a report is read as one with commas.
pub(super) fn parser_of_report(path: &Path) -> io::Result<csv::ReaderBuilder> {
    let mut head = Vec::new();
    File::open(path)?.take(SHOWN_BY as u64).read_to_end(&mut head)?;
    let mut parser = csv::ReaderBuilder::new();
    parser.delimiter(delimiter_of_report(&head).unwrap_or_else(|| CsvDialect::default().delimiter()));
    Ok(parser)
}

/// The dialect of an input, as the record has it: by it, the rows that failed can be written when the input is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DialectRecord {
    /// `None` for an input of one column.
    delimiter: Option<char>,
    byte_order_mark: bool,
    line_end: LineEndRecord,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LineEndRecord {
    Lf,
    CrLf,
}

impl From<CsvDialect> for DialectRecord {
    fn from(dialect: CsvDialect) -> Self {
        let CsvDialect { delimiter, has_mark, line_end } = dialect;
        let line_end = match line_end {
            LineEnd::Lf => LineEndRecord::Lf,
            LineEnd::CrLf => LineEndRecord::CrLf,
        };
        Self { delimiter: delimiter.map(char::from), byte_order_mark: has_mark, line_end }
    }
}

impl From<DialectRecord> for CsvDialect {
    /// A delimiter that no input can have, in a record that somebody has edited, counts as none.
    fn from(record: DialectRecord) -> Self {
        let DialectRecord { delimiter, byte_order_mark, line_end } = record;
        let line_end = match line_end {
            LineEndRecord::Lf => LineEnd::Lf,
            LineEndRecord::CrLf => LineEnd::CrLf,
        };
        let delimiter = delimiter.filter(|c| !c.is_ascii_alphanumeric() && !matches!(c, '"' | '\r' | '\n'));
        let delimiter = delimiter.and_then(|c| u8::try_from(c).ok()).filter(u8::is_ascii);
        Self { delimiter, has_mark: byte_order_mark, line_end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reports_header_shows_its_delimiter() {
        for (head, expected) in [
            ("row,userID,result\n", Some(b',')),
            ("\u{feff}row;userID;result\r\n", Some(b';')),
            ("\"row\"|\"userID\"|\"result\"", Some(b'|')),
            ("row\tuserID\t", Some(b'\t')),
            ("row,userID;result", None),
            ("rows,userID,result", None),
            ("rowxuserIDx", None),
            ("row\nuserID\n", None),
            ("row,userID", None),
            ("row", None),
            ("userID,row,result", None),
            ("", None),
        ] {
            assert_eq!(delimiter_of_report(head.as_bytes()), expected, "{head}");
        }
    }

    #[test]
    fn a_dialect_is_recorded_and_read_back() {
        for delimiter in [None, Some(b','), Some(b'|'), Some(b'\t')] {
            for (has_mark, line_end) in [(true, LineEnd::CrLf), (false, LineEnd::Lf)] {
                let dialect = CsvDialect { delimiter, has_mark, line_end };
                let text = serde_json::to_string(&DialectRecord::from(dialect)).expect("text");
                let read: DialectRecord = serde_json::from_str(&text).expect("JSON");
                assert_eq!(CsvDialect::from(read), dialect, "{text}");
            }
        }
        for edited in ["\\\"", "\\n", "x", "é", "\u{1f600}"] {
            let text = format!("{{\"delimiter\":\"{edited}\",\"byteOrderMark\":true,\"lineEnd\":\"crlf\"}}");
            let read: DialectRecord = serde_json::from_str(&text).expect("JSON");
            assert_eq!(CsvDialect::from(read).delimiter, None, "{text}");
        }
    }
}
