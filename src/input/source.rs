//! An input that can be read as often as needed, and how its beginning is recognized as text.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::InputError;
use crate::domain::BYTE_ORDER_MARK;
use crate::platform::{PositionedIo, ReadFrom};

/// How an Excel workbook begins: as a ZIP archive.
const ZIP: &[u8] = b"PK\x03\x04";
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// How many bytes are inspected to detect the dialect.
pub(super) const HEAD: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Beginning {
    /// The name of the input in messages.
    pub(crate) name: String,
    /// The beginning of its text.
    pub(crate) head: Vec<u8>,
    /// Whether there may be more text after `head`.
    pub(crate) has_more: bool,
    /// The byte order mark before the text; empty if there is none.
    pub(super) mark: &'static [u8],
}

/// The records that a pipe is expected to deliver. Reading fails at the first that does not fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) delimiter: u8,
    pub(crate) has_header: bool,
    /// The most rows allowed.
    pub(crate) most_rows: Option<u64>,
}

/// A shared count of the bytes read so far, for progress messages. Bytes that are read again are not counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct BytesRead(Arc<AtomicU64>);

impl BytesRead {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// An input that can be read as often as needed.
#[derive(Debug)]
pub(crate) struct Source {
    pub(super) beginning: Beginning,
    pub(super) file: File,
}

impl Deref for Source {
    type Target = Beginning;

    fn deref(&self) -> &Beginning {
        &self.beginning
    }
}

impl Beginning {
    /// Reads what is available of the head. Returns the number of bytes.
    pub(super) fn read_on(&mut self, mut file: &File) -> io::Result<usize> {
        let mut part = [0; 8 << 10];
        let most = part.len().min(HEAD - self.head.len());
        let count = loop {
            match file.read(&mut part[..most]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.head.extend_from_slice(&part[..count]);
        Ok(count)
    }

    pub(super) fn refuse_what_is_no_text(&self) -> Result<(), InputError> {
        let name = self.name.clone();
        let begins = |mark: &&[u8]| self.head.starts_with(mark);
        if UTF16_MARKS.iter().any(begins) || self.is_utf16_without_mark() {
            return Err(InputError::Utf16(name));
        }
        // UTF-16 without a byte order mark can only be recognized after some bytes.
        if self.head.contains(&0) && (self.head.len() >= 8 || !self.has_more) {
            return Err(InputError::NotText(name));
        }
        if begins(&ZIP) {
            return Err(InputError::Workbook(name));
        }
        Ok(())
    }

    /// Whether every other byte at the beginning is zero, as in ASCII text encoded as UTF-16.
    fn is_utf16_without_mark(&self) -> bool {
        let pairs = self.head.chunks_exact(2).take(8);
        let zero = |place: usize| self.head.len() >= 8 && pairs.clone().all(|pair| pair[place] == 0 && pair[1 - place] != 0);
        zero(0) || zero(1)
    }

    pub(super) fn cut_off_the_mark(&mut self) {
        if self.head.starts_with(BYTE_ORDER_MARK) {
            self.mark = BYTE_ORDER_MARK;
            self.head.drain(..BYTE_ORDER_MARK.len());
        }
    }

    /// Checks that the `copy` begins with these bytes: the file may have been written to while it was copied.
    pub(super) fn is_of(&self, copy: File) -> io::Result<File> {
        let mut head = vec![0; self.mark.len() + self.head.len()];
        let read = copy.read_exact_at(&mut head, 0);
        let is_same = read.is_ok() && head.starts_with(self.mark) && head.ends_with(&self.head);
        if is_same { Ok(copy) } else { Err(io::Error::other("the input changed while it was read")) }
    }
}

impl Source {
    /// A reader of the whole text from its beginning. Readers do not share a position.
    pub(crate) fn text(&self) -> io::Result<Text> {
        Ok(ReadFrom::new(self.file.try_clone()?, self.mark.len() as u64))
    }
}

/// A reader of a source's text.
pub(crate) type Text = ReadFrom<File>;
