//! Opens the input: a regular file, standard input or another pipe. The input is read twice, so a pipe is first copied to
//! an unnamed temporary file. So is a regular file for a run that must not notice later changes to it.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::InputError;
use super::check::refused;
use super::spool::{copied, spooled};
use crate::domain::shown;
use crate::external_sort::NoTemporary;

/// How an Excel workbook begins: as a ZIP archive.
const ZIP: &[u8] = b"PK\x03\x04";
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// How many bytes are inspected to detect the dialect.
const HEAD: usize = 64 << 10;

/// The beginning of an input.
#[derive(Debug)]
pub(crate) struct Beginning {
    /// The name of the input in messages.
    pub(crate) name: String,
    /// The beginning of its text.
    pub(crate) head: Vec<u8>,
    /// Whether there may be more text after `head`.
    pub(crate) has_more: bool,
    /// The byte order mark before the text; empty if there is none.
    mark: &'static [u8],
}

/// An input of which only the beginning has been read.
#[derive(Debug)]
pub(crate) struct OpenedInput {
    pub(crate) beginning: Beginning,
    file: File,
    is_pipe: bool,
    bytes_read: BytesRead,
}

/// How the rest of an input is read.
#[derive(Debug, Default)]
pub(crate) struct ReadOptions {
    /// Whether to copy a regular file, so that later changes to it have no effect.
    pub(crate) keep: bool,
    /// The records that a pipe is expected to deliver.
    pub(crate) expected: Option<Expected>,
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
    beginning: Beginning,
    file: File,
}

impl Deref for Source {
    type Target = Beginning;

    fn deref(&self) -> &Beginning {
        &self.beginning
    }
}

/// The name of the input at `path` in messages.
pub(crate) fn name_of(path: &Path) -> String {
    if is_standard_input(path) { "standard input".to_owned() } else { shown(path).to_string() }
}

/// Whether the input at `path` can be read only once and has no known length.
pub(crate) fn is_pipe(path: &Path) -> bool {
    is_standard_input(path) || path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir())
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl OpenedInput {
    /// Opens the file at `path`; `-` is standard input. An input that is recognizably not UTF-8 text is refused before more
    /// of it is read.
    pub(crate) fn at(path: &Path, bytes_read: BytesRead) -> Result<Self, InputError> {
        let name = name_of(path);
        let unreadable = |source| InputError::Unreadable { name: name.clone(), source };
        let (file, is_pipe) = opened(path).map_err(unreadable)?;
        let mut beginning = Beginning { name: name.clone(), head: Vec::new(), has_more: true, mark: b"" };
        while beginning.head.len() < HEAD && beginning.has_more {
            let count = beginning.read_on(&file).map_err(unreadable)?;
            bytes_read.add(count);
            beginning.has_more = count > 0;
            beginning.refuse_what_is_no_text()?;
        }
        beginning.cut_off_the_mark();
        if beginning.head.iter().all(u8::is_ascii_whitespace) {
            return Err(InputError::Empty { name });
        }
        Ok(Self { beginning, file, is_pipe, bytes_read })
    }

    /// The whole input. A pipe is first copied to a temporary file, and so is a regular file if `options.keep` is set.
    pub(crate) fn whole(self, options: &ReadOptions) -> Result<Source, InputError> {
        let Self { beginning, file, is_pipe, bytes_read } = self;
        let taken = match (is_pipe, options.keep) {
            (true, _) => spooled(&beginning, file, bytes_read, options.expected)?,
            (false, true) => match copied(&file) {
                Err(error) if is_no_room(&error) => {
                    tracing::warn!(
                        "{}: no copy of the input can be kept ({error}): do not change it while the run goes on",
                        beginning.name
                    );
                    file
                }
                copy => copy.and_then(|copy| beginning.is_of(copy)).map_err(|error| refused(&beginning.name, error))?,
            },
            (false, false) => file,
        };
        Ok(Source { beginning, file: taken })
    }
}

/// Whether the error is about the temporary folder.
fn is_no_room(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<NoTemporary>()).is_some()
}

impl Beginning {
    /// Reads what is available of the head. Returns the number of bytes.
    fn read_on(&mut self, mut file: &File) -> io::Result<usize> {
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

    fn refuse_what_is_no_text(&self) -> Result<(), InputError> {
        let name = self.name.clone();
        let begins = |mark: &&[u8]| self.head.starts_with(mark);
        if UTF16_MARKS.iter().any(begins) || self.is_utf16_without_mark() {
            return Err(InputError::Utf16 { name });
        }
        // UTF-16 without a byte order mark can only be recognized after some bytes.
        if self.head.contains(&0) && (self.head.len() >= 8 || !self.has_more) {
            return Err(InputError::NotText { name });
        }
        if begins(&ZIP) {
            return Err(InputError::Workbook { name });
        }
        Ok(())
    }

    /// Whether every other byte at the beginning is zero, as in ASCII text encoded as UTF-16.
    fn is_utf16_without_mark(&self) -> bool {
        let pairs = self.head.chunks_exact(2).take(8);
        let zero = |place: usize| self.head.len() >= 8 && pairs.clone().all(|pair| pair[place] == 0 && pair[1 - place] != 0);
        zero(0) || zero(1)
    }

    fn cut_off_the_mark(&mut self) {
        if self.head.starts_with(UTF8_MARK) {
            self.mark = UTF8_MARK;
            self.head.drain(..UTF8_MARK.len());
        }
    }

    /// The byte order mark before the text; empty if there is none.
    pub(crate) fn mark(&self) -> &'static [u8] {
        self.mark
    }

    /// Checks that the `copy` begins with these bytes: the file may have been written to while it was copied.
    fn is_of(&self, copy: File) -> io::Result<File> {
        let mut head = vec![0; self.mark.len() + self.head.len()];
        let read = copy.read_exact_at(&mut head, 0);
        let is_same = read.is_ok() && head.starts_with(self.mark) && head.ends_with(&self.head);
        if is_same { Ok(copy) } else { Err(io::Error::other("the input changed while it was read")) }
    }
}

impl Source {
    /// Opens the file at `path` without copying it; `-` is standard input. An input that is recognizably not UTF-8 text is
    /// refused.
    pub(crate) fn open(path: &Path) -> Result<Self, InputError> {
        OpenedInput::at(path, BytesRead::default())?.whole(&ReadOptions::default())
    }

    /// A reader of the whole text from its beginning. Readers do not share a position.
    pub(crate) fn text(&self) -> io::Result<Text> {
        Ok(Text { file: self.file.try_clone()?, at: self.mark.len() as u64 })
    }
}

/// A reader of a source's text.
#[derive(Debug)]
pub(crate) struct Text {
    file: File,
    at: u64,
}

impl Read for Text {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(out, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// The file at `path`, and whether it is a pipe.
fn opened(path: &Path) -> io::Result<(File, bool)> {
    if is_standard_input(path) {
        return Ok((io::stdin().as_fd().try_clone_to_owned()?.into(), true));
    }
    let file = File::open(path)?;
    let kind = file.metadata()?;
    if kind.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok((file, !kind.is_file())) }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
