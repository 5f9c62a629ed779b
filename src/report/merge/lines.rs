//! Reads a report or a file of failed rows line by line, as text and as values. A line may have quoted line breaks in it.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use csv::ByteRecord;

use crate::report::hashed::Hashing;

/// No line of a report is longer, in bytes: an input's has 256 KiB at most, which its quotes may double, and the report's own
/// columns are short.
const LONGEST: usize = 1 << 20;

/// What is wrong with a line.
#[derive(Debug)]
pub(super) enum LineFault {
    /// It cannot be read.
    File(io::Error),
    /// It is longer than any line that a run writes.
    TooLong,
    /// The file ends within it.
    Torn,
    /// It does not read as one line of CSV.
    NotOne,
}

impl LineFault {
    /// The fault in words, or the error of the file.
    pub(super) fn in_words(self) -> Result<&'static str, io::Error> {
        match self {
            Self::File(error) => Err(error),
            Self::TooLong => Ok("it is longer than 1 MiB"),
            Self::Torn => Ok("the file ends within it"),
            Self::NotOne => Ok("it is not one line of CSV"),
        }
    }
}

/// Reads the lines of a file, and hashes it meanwhile.
pub(super) struct LineReader {
    file: BufReader<Hashing>,
    text: Vec<u8>,
    /// The number of the line that was read last, as an editor counts, and of the one after it.
    at: u64,
    next: u64,
}

impl LineReader {
    /// Opens the file at `path`, of which this many bytes are read at a time.
    pub(super) fn open(path: &Path, at_once: usize) -> io::Result<Self> {
        Ok(Self { file: BufReader::with_capacity(at_once, Hashing::open(path)?), text: Vec::new(), at: 1, next: 1 })
    }

    /// The number of the line that was read last, or of the faulty one: that on which it begins, from 1.
    pub(super) fn line(&self) -> u64 {
        self.at
    }

    /// The text of the next line, with its end; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, LineFault> {
        self.text.clear();
        self.at = self.next;
        let mut quotes = 0;
        loop {
            let before = self.text.len();
            let limit = (LONGEST - before) as u64;
            let read = (&mut self.file).take(limit).read_until(b'\n', &mut self.text).map_err(LineFault::File)?;
            if read == 0 {
                return match self.text.len() {
                    0 => Ok(None),
                    LONGEST => Err(LineFault::TooLong),
                    _ => Err(LineFault::Torn),
                };
            }
            let added = &self.text[before..];
            // A complete quoted value has an even number of quotes.
            quotes += memchr::memchr_iter(b'"', added).count();
            if added.ends_with(b"\n") {
                self.next += 1;
                if quotes.is_multiple_of(2) {
                    return Ok(Some(&self.text));
                }
            }
        }
    }

    /// The text of the line that was read last.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether no line was read yet.
    pub(super) fn has_read_nothing(&self) -> bool {
        self.next == 1
    }

    /// The SHA-256 of what was read.
    pub(super) fn finish(self) -> String {
        self.file.into_inner().finish()
    }
}

/// Finds the values in the text of one line after the other. (To build a parser for each line would take longer than to use it.)
pub(super) struct LineParser {
    parser: csv::Reader<Feed>,
    /// How many bytes it was given in total.
    given: u64,
}

/// The text that is still to be parsed.
#[derive(Default)]
struct Feed {
    text: Vec<u8>,
    at: usize,
    /// Whether more was asked for than there is.
    ran_out: bool,
}

impl Read for Feed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = (&self.text[self.at..]).read(out)?;
        self.at += count;
        self.ran_out |= count == 0;
        Ok(count)
    }
}

impl LineParser {
    pub(super) fn new(delimiter: u8) -> Self {
        let parser = csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(Feed::default());
        Self { parser, given: 0 }
    }

    /// Writes the values of a line with this `text` to `values`. After a fault, the parser is of no use any more.
    pub(super) fn parse(&mut self, text: &[u8], values: &mut ByteRecord) -> Result<(), LineFault> {
        let feed = self.parser.get_mut();
        feed.text.clear();
        feed.text.extend_from_slice(text);
        feed.at = 0;
        self.given += text.len() as u64;
        self.parser.read_byte_record(values).map_err(|error| LineFault::File(error.into()))?;
        // The parser leaves the second byte of a line's end for the next time.
        let left = self.given - self.parser.position().byte();
        let may_be_left = u64::from(text.ends_with(b"\r\n"));
        if self.parser.get_ref().ran_out || left > may_be_left { Err(LineFault::NotOne) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CsvDialect, LineEnd};
    use proptest::prelude::*;

    /// The lines of a file with this `text`, read so many bytes at a time; and what is wrong with the last.
    fn lines(text: &[u8], at_once: usize) -> (Vec<Vec<u8>>, Option<LineFault>) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let mut reader = LineReader::open(file.path(), at_once).expect("there");
        let mut found = Vec::new();
        loop {
            match reader.next() {
                Ok(Some(line)) => found.push(line.to_vec()),
                Ok(None) => return (found, None),
                Err(fault) => return (found, Some(fault)),
            }
        }
    }

    #[test]
    fn a_line_ends_outside_quotes() {
        let (found, fault) = lines(b"a,\"b\nc\"\r\n\"\"\"\n\"\n\n", 3);
        assert_eq!(found, [&b"a,\"b\nc\"\r\n"[..], b"\"\"\"\n\"\n", b"\n"]);
        assert!(fault.is_none());
        for torn in ["a", "a\n\"b\n", "a\nb"] {
            assert!(matches!(lines(torn.as_bytes(), 8), (_, Some(LineFault::Torn))), "{torn:?}");
        }
        let long = |length: usize| [vec![b'x'; length - 1], vec![b'\n']].concat();
        assert!(matches!(lines(&long(LONGEST), 1 << 16), (found, None) if found.len() == 1));
        assert!(matches!(lines(&long(LONGEST + 1), 1 << 16), (_, Some(LineFault::TooLong))));
        assert!(matches!(lines(&vec![b'"'; 3 << 20], 1 << 16), (_, Some(LineFault::TooLong))));
    }

    #[test]
    fn what_is_not_one_line_of_csv_is_refused() {
        for text in ["\n", "\r\n", "a\rb\n", "a\r\r\n", "a\"b,\"c\n", "a", "a\nb\n", ""] {
            let found = LineParser::new(b',').parse(text.as_bytes(), &mut ByteRecord::new());
            assert!(matches!(found, Err(LineFault::NotOne)), "{text:?}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_line_by_line_is_read_line_by_line(
            rows in prop::collection::vec(prop::collection::vec("[a\"\r\n,; é]{0,6}", 2..5), 1..6), at_once in 1..40_usize, excel in any::<bool>(),
        ) {
            let (delimiter, line_end) = if excel { (b';', LineEnd::CrLf) } else { (b',', LineEnd::Lf) };
            let dialect = CsvDialect { delimiter: Some(delimiter), has_mark: false, line_end };
            let mut writer = dialect.writer().flexible(true).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).expect("memory");
            }
            let text = writer.into_inner().expect("memory");
            let (found, fault) = lines(&text, at_once);
            prop_assert!(fault.is_none());
            prop_assert_eq!(found.concat(), text);
            let (mut parser, mut values) = (LineParser::new(delimiter), ByteRecord::new());
            prop_assert_eq!(found.len(), rows.len());
            for (line, row) in found.iter().zip(&rows) {
                prop_assert!(parser.parse(line, &mut values).is_ok(), "{:?}", line);
                prop_assert_eq!(&values, &ByteRecord::from(row.clone()));
            }
        }
    }
}
