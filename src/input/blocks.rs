//! Reads the input's bytes and verifies that they are still the ones that were checked.
//!
//! The input is read twice: once to check every row, once to send. A run reads its own copy both times, but a change between
//! the two passes would send rows that nobody checked. The input is therefore read in blocks. The first pass keeps a SHA-256
//! digest of all bytes up to the end of each block, and the second pass returns a block only after comparing its digest.
//!
//! The reader also tracks the quotes. The CSV parser takes an unclosed quote for a value that extends to the end of the
//! file, and would hold all of that in memory.

use std::io::{self, Cursor, Read};

use memchr::{memchr, memchr_iter, memrchr};
use sha2::{Digest, Sha256};

/// How many bytes are read, hashed and checked at a time.
pub(crate) const BLOCK: usize = 256 << 10;

/// The most bytes in a record. A longer one is treated as an unclosed quote.
const MOST_IN_A_RECORD: u64 = 256 << 10;

/// The digests of an input when it was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// For each block, the SHA-256 of everything up to its end.
    blocks: Vec<[u8; 32]>,
    /// SHA-256 of the whole input.
    pub(crate) whole: [u8; 32],
}

/// Why the bytes of an input cannot be returned. Wrapped in an [`io::Error`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadBytes {
    #[error("the input has changed since it was checked")]
    Changed,
    #[error("a quoted value that begins on line {line} is not closed within 256 KiB")]
    QuoteNeverClosed { line: u64 },
    #[error("line {line} is longer than 256 KiB")]
    LineTooLong { line: u64 },
}

/// The bytes of an input, with a line feed appended.
pub(crate) struct Blocks<R> {
    source: R,
    block: Cursor<Vec<u8>>,
    at_end: bool,
    digest: Sha256,
    seen: Fingerprint,
    expected: Option<Fingerprint>,
    quotes: Quotes,
}

impl<R: Read> Blocks<R> {
    /// Reads all bytes of `source`, which follow the byte order mark `mark`. `delimiter` separates fields. If `expected` is
    /// given, reading fails once the bytes no longer match that fingerprint.
    pub(crate) fn new(source: R, mark: &[u8], delimiter: u8, expected: Option<Fingerprint>) -> Self {
        Self {
            source,
            block: Cursor::default(),
            at_end: false,
            digest: Sha256::new_with_prefix(mark),
            seen: Fingerprint::default(),
            expected,
            quotes: Quotes::new(delimiter),
        }
    }

    /// The line of a quote that is still open at the end of the input; known once the last block has been read.
    pub(crate) fn unclosed_quote(&self) -> Option<u64> {
        (self.at_end && self.quotes.inside).then_some(self.quotes.opened_on)
    }

    /// The fingerprint of the input, complete once the last block has been read.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.seen
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut block = std::mem::take(&mut self.block).into_inner();
        block.clear();
        (&mut self.source).take(BLOCK as u64).read_to_end(&mut block)?;
        self.at_end = block.len() < BLOCK;
        self.digest.update(&block);
        let so_far: [u8; 32] = self.digest.clone().finalize().into();
        self.check(&so_far)?;
        self.seen.blocks.push(so_far);
        self.seen.whole = so_far;
        self.quotes.scan(&block).map_err(io::Error::other)?;
        if self.at_end {
            block.push(b'\n');
        }
        self.block = Cursor::new(block);
        Ok(())
    }

    fn check(&self, so_far: &[u8; 32]) -> io::Result<()> {
        let index = self.seen.blocks.len();
        let is_of = |expected: &Fingerprint| {
            let ends_as_expected = self.at_end == (index + 1 == expected.blocks.len());
            ends_as_expected && expected.blocks.get(index) == Some(so_far)
        };
        if self.expected.as_ref().is_none_or(is_of) { Ok(()) } else { Err(io::Error::other(BadBytes::Changed)) }
    }
}

impl<R: Read> Read for Blocks<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let is_served = self.block.position() == self.block.get_ref().len() as u64;
        if is_served && !self.at_end {
            self.fill()?;
        }
        self.block.read(out)
    }
}

/// The state of RFC 4180 quoting after the bytes seen so far.
struct Quotes {
    delimiter: u8,
    inside: bool,
    opened_on: u64,
    /// The last byte seen, or a line feed at the start.
    before: u8,
    /// Whether the last byte seen closed a quoted value. If a quote follows, it was an escaped quote instead.
    just_closed: bool,
    /// Line feeds seen.
    lines: u64,
    /// Bytes seen since the start of the record.
    in_record: u64,
}

impl Quotes {
    fn new(delimiter: u8) -> Self {
        Self { delimiter, inside: false, opened_on: 0, before: b'\n', just_closed: false, lines: 0, in_record: 0 }
    }

    fn scan(&mut self, block: &[u8]) -> Result<(), BadBytes> {
        let mut rest = block;
        while let Some(at) = memchr(b'"', rest) {
            self.pass(&rest[..at]);
            self.quote();
            rest = &rest[at + 1..];
        }
        self.pass(rest);
        if self.in_record <= MOST_IN_A_RECORD {
            return Ok(());
        }
        let line = self.lines + 1;
        Err(if self.inside { BadBytes::QuoteNeverClosed { line: self.opened_on } } else { BadBytes::LineTooLong { line } })
    }

    /// Processes bytes that contain no quote.
    fn pass(&mut self, bytes: &[u8]) {
        let Some(&last) = bytes.last() else {
            return;
        };
        self.lines += memchr_iter(b'\n', bytes).count() as u64;
        let starts_anew = if self.inside { None } else { memrchr(b'\n', bytes) };
        match starts_anew {
            Some(at) => self.in_record = (bytes.len() - at - 1) as u64,
            None => self.in_record += bytes.len() as u64,
        }
        self.before = last;
        self.just_closed = false;
    }

    fn quote(&mut self) {
        let is_escaped = std::mem::replace(&mut self.just_closed, self.inside);
        let begins = !self.inside && (self.before == self.delimiter || self.before == b'\n');
        if begins && !is_escaped {
            self.opened_on = self.lines + 1;
        }
        self.inside = begins || is_escaped;
        self.in_record += 1;
        self.before = b'"';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(bytes: &[u8], expected: Option<Fingerprint>) -> io::Result<(Vec<u8>, Fingerprint, Option<u64>)> {
        let mut blocks = Blocks::new(bytes, b"", b',', expected);
        let mut out = Vec::new();
        blocks.read_to_end(&mut out)?;
        Ok((out, blocks.fingerprint().clone(), blocks.unclosed_quote()))
    }

    fn why(error: &io::Error) -> &BadBytes {
        error.get_ref().and_then(|inner| inner.downcast_ref()).expect("a reason of ours")
    }

    #[test]
    fn the_same_bytes_pass_twice_and_a_changed_block_is_never_handed_out() {
        let mut bytes = b"0123456789\n".repeat(100_000);
        let (out, print, _) = pass(&bytes, None).expect("first pass");
        assert_eq!(out.len(), bytes.len() + 1);
        assert!(pass(&bytes, Some(print.clone())).is_ok());

        bytes[2 * BLOCK + 5] = b'x';
        let mut blocks = Blocks::new(bytes.as_slice(), b"", b',', Some(print.clone()));
        let mut out = Vec::new();
        let error = blocks.read_to_end(&mut out).expect_err("changed");
        assert_eq!(why(&error), &BadBytes::Changed);
        assert_eq!(out.len(), 2 * BLOCK);

        let shorter = &b"0123456789\n".repeat(100_000)[..3 * BLOCK];
        assert!(pass(shorter, Some(print.clone())).is_err());
        let longer = b"0123456789\n".repeat(100_001);
        assert!(pass(&longer, Some(print)).is_err());
    }

    #[test]
    fn an_input_of_whole_blocks_passes_twice() {
        let bytes = b"0123456\n".repeat(2 * BLOCK / 8);
        let (_, print, _) = pass(&bytes, None).expect("first pass");
        assert!(pass(&bytes, Some(print)).is_ok());
    }

    #[test]
    fn quotes_are_followed_as_the_parser_follows_them() {
        let unclosed = |text: &str| pass(text.as_bytes(), None).expect("readable").2;
        for closed in ["a,\"b\"\n", "\"a\"\"b\"\n", "a\"b,c\n", "\"a\nb\",\"c\"", "\"\"\n", "\"\"\"\"\n", "a,\" \"\r\n\"b\"\r\n"] {
            assert_eq!(unclosed(closed), None, "{closed}");
        }
        assert_eq!(unclosed("a\n\"b\n"), Some(2));
        assert_eq!(unclosed("a,b\nc,\"d\ne\n"), Some(2));
        assert_eq!(unclosed("\"a\"\"\n"), Some(1));
    }

    #[test]
    fn a_quote_that_is_never_closed_does_not_fill_the_memory() {
        let text = format!("a,b\nc,\"{}", "d\n".repeat(2 << 20));
        let error = pass(text.as_bytes(), None).expect_err("too long");
        assert_eq!(why(&error), &BadBytes::QuoteNeverClosed { line: 2 });
        let text = format!("a,b\n{}", "d".repeat(2 << 20));
        assert_eq!(why(&pass(text.as_bytes(), None).expect_err("too long")), &BadBytes::LineTooLong { line: 2 });
    }

    #[test]
    fn a_record_may_have_256_kib_and_not_a_byte_more() {
        let most = 256 << 10;
        for (before, begins, more) in [("a\n", "", 0), ("a,b\r\nccc\n", "", 0), ("a\n", "\"", 1), ("a\n", "d,\"e\"\"\n", 7)] {
            let text = |length: usize| format!("{before}{begins}{}", "x".repeat(length - more));
            let lines = before.lines().count() as u64 + 1;
            let whole = pass(text(most).as_bytes(), None).expect("as long as may be");
            assert_eq!(whole.2, (!begins.is_empty()).then_some(lines), "{begins}");
            let error = pass(text(most + 1).as_bytes(), None).expect_err("too long");
            let expected =
                if begins.is_empty() { BadBytes::LineTooLong { line: lines } } else { BadBytes::QuoteNeverClosed { line: lines } };
            assert_eq!(why(&error), &expected, "{before}{begins}");
        }
    }
}
