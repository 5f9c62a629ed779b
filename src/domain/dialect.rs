//! How a CSV text is written: what separates its values, whether it begins with a byte order mark, and how its lines end.

use clap::ValueEnum;

/// What stands before a text that Excel writes or reads as UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The delimiter of RFC 4180.
const COMMA: u8 = b',';
/// Excel's delimiter where the comma is the decimal mark.
const SEMICOLON: u8 = b';';

/// What ends a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// A line feed.
    #[default]
    Lf,
    /// A carriage return and a line feed.
    CrLf,
}

/// The form of a CSV text. The default is that of the report: commas, no byte order mark, line feeds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CsvDialect {
    /// What separates values; `None` for a text of one column, which shows none.
    pub(crate) delimiter: Option<u8>,
    /// Whether it begins with a byte order mark.
    pub(crate) has_mark: bool,
    pub(crate) line_end: LineEnd,
}

impl CsvDialect {
    /// What separates values, if need be.
    pub(crate) fn delimiter(self) -> u8 {
        self.delimiter.unwrap_or(COMMA)
    }

    /// The bytes before the first line.
    pub(crate) fn mark(self) -> &'static [u8] {
        if self.has_mark { BYTE_ORDER_MARK } else { b"" }
    }

    /// Whether a text in it is one in the other, byte for byte.
    pub(crate) fn is_as(self, other: Self) -> bool {
        self.delimiter() == other.delimiter() && self.has_mark == other.has_mark && self.line_end == other.line_end
    }

    /// What writes records in it. The byte order mark is not written.
    pub(crate) fn writer(self) -> csv::WriterBuilder {
        let terminator = match self.line_end {
            LineEnd::Lf => csv::Terminator::Any(b'\n'),
            LineEnd::CrLf => csv::Terminator::CRLF,
        };
        let mut writer = csv::WriterBuilder::new();
        writer.delimiter(self.delimiter()).terminator(terminator);
        writer
    }
}

// The possible values in the help have no room for more, so these are no doc comments.
/// The dialect that a report is to have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputDialect {
    // Commas and line feeds.
    #[default]
    Rfc4180,
    // What Excel opens with its umlauts and columns.
    Excel,
    // That of the input.
    Same,
}

impl OutputDialect {
    /// Its name as an option's value.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rfc4180 => "rfc4180",
            Self::Excel => "excel",
            Self::Same => "same",
        }
    }

    /// The dialect of a report whose input has this one. Excel's delimiter depends on the country, so it is the input's, if that
    /// is one that Excel writes.
    pub(crate) fn of(self, input: CsvDialect) -> CsvDialect {
        match self {
            Self::Rfc4180 => CsvDialect::default(),
            Self::Excel => {
                let delimiter = input.delimiter.filter(|delimiter| matches!(*delimiter, COMMA | SEMICOLON | b'\t'));
                CsvDialect { delimiter: Some(delimiter.unwrap_or(SEMICOLON)), has_mark: true, line_end: LineEnd::CrLf }
            }
            Self::Same => input,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(dialect: CsvDialect) -> String {
        let mut writer = dialect.writer().from_writer(dialect.mark().to_vec());
        writer.write_record(["a,b", "c;d", "e\r\n\"f\""]).expect("memory");
        String::from_utf8(writer.into_inner().expect("memory")).expect("UTF-8")
    }

    #[test]
    fn each_dialect_has_its_delimiter_its_mark_and_its_line_end() {
        let of = |delimiter: Option<u8>| CsvDialect { delimiter, has_mark: false, line_end: LineEnd::Lf };
        for (asked, input, expected) in [
            (OutputDialect::Rfc4180, of(Some(b';')), "\"a,b\",c;d,\"e\r\n\"\"f\"\"\"\n"),
            (OutputDialect::Same, of(Some(b'|')), "a,b|c;d|\"e\r\n\"\"f\"\"\"\n"),
            (OutputDialect::Same, of(None), "\"a,b\",c;d,\"e\r\n\"\"f\"\"\"\n"),
            (OutputDialect::Excel, of(Some(b',')), "\u{feff}\"a,b\",c;d,\"e\r\n\"\"f\"\"\"\r\n"),
            (OutputDialect::Excel, of(Some(b'\t')), "\u{feff}a,b\tc;d\t\"e\r\n\"\"f\"\"\"\r\n"),
            (OutputDialect::Excel, of(Some(b'|')), "\u{feff}a,b;\"c;d\";\"e\r\n\"\"f\"\"\"\r\n"),
            (OutputDialect::Excel, of(None), "\u{feff}a,b;\"c;d\";\"e\r\n\"\"f\"\"\"\r\n"),
        ] {
            assert_eq!(written(asked.of(input)), expected, "{asked:?} {input:?}");
        }
        assert!(of(None).is_as(of(Some(b','))) && !of(None).is_as(OutputDialect::Excel.of(of(None))));
    }

    #[test]
    fn a_dialect_has_the_name_by_which_it_is_asked_for() {
        for dialect in OutputDialect::value_variants() {
            let named = dialect.to_possible_value().expect("none is left out");
            assert_eq!(named.get_name(), dialect.name());
        }
    }
}
