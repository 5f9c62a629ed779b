//! Where do the input's bytes come from? From a regular file, or from standard input or another pipe, which
//! is first kept in an unnamed temporary file, since the input is read twice.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::InputError;
use crate::domain::shown;
use crate::spill::unnamed_file;

/// How a file of Microsoft Excel's own begins: as a ZIP archive.
const ZIP: &[u8] = b"PK\x03\x04";
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// How many bytes are looked at to find out the dialect.
const HEAD: u64 = 64 << 10;

/// An input that can be read as often as needed.
#[derive(Debug)]
pub(crate) struct Source {
    /// What messages call it.
    pub(crate) name: String,
    /// The beginning of its text.
    pub(crate) head: Vec<u8>,
    /// Whether there may be more than that.
    pub(crate) has_more: bool,
    file: File,
    /// Where its text begins: after a byte order mark.
    start: u64,
}

impl Source {
    /// Opens the file at `path`; `-` is standard input. What is not text in UTF-8 is refused.
    pub(crate) fn open(path: &Path) -> Result<Self, InputError> {
        let (name, file) = if path.as_os_str() == "-" {
            ("standard input".to_owned(), spooled(io::stdin().lock()))
        } else {
            (shown(path).to_string(), opened(path))
        };
        let unreadable = |source| InputError::Unreadable { name: name.clone(), source };
        let file = file.map_err(unreadable)?;
        let mut head = Vec::new();
        (&file).take(HEAD).read_to_end(&mut head).map_err(unreadable)?;
        let has_more = head.len() as u64 == HEAD;
        let mark = if head.starts_with(UTF8_MARK) { UTF8_MARK.len() } else { 0 };
        head.drain(..mark);
        let source = Self { name, head, has_more, file, start: mark as u64 };
        source.refuse_what_is_no_text()?;
        Ok(source)
    }

    fn refuse_what_is_no_text(&self) -> Result<(), InputError> {
        let name = self.name.clone();
        let begins = |mark: &&[u8]| self.head.starts_with(mark);
        if UTF16_MARKS.iter().any(begins) || self.is_utf16_without_mark() {
            return Err(InputError::Utf16 { name });
        }
        if self.head.contains(&0) {
            return Err(InputError::NotText { name });
        }
        if begins(&ZIP) {
            return Err(InputError::Workbook { name });
        }
        if self.head.iter().all(u8::is_ascii_whitespace) {
            return Err(InputError::Empty { name });
        }
        Ok(())
    }

    /// Whether every other byte at the beginning is zero, as in ASCII text encoded as UTF-16.
    fn is_utf16_without_mark(&self) -> bool {
        let pairs = self.head.chunks_exact(2).take(8);
        let zero = |place: usize| self.head.len() >= 8 && pairs.clone().all(|pair| pair[place] == 0 && pair[1 - place] != 0);
        zero(0) || zero(1)
    }

    /// The byte order mark that the text follows, if there is one.
    pub(crate) fn mark(&self) -> &'static [u8] {
        if self.start > 0 { UTF8_MARK } else { b"" }
    }

    /// A reader of the whole text, from its beginning, which shares no position with another.
    pub(crate) fn text(&self) -> io::Result<Text> {
        Ok(Text { file: self.file.try_clone()?, at: self.start })
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

fn opened(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    let kind = file.metadata()?;
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if kind.is_file() { Ok(file) } else { spooled(file) }
}

/// A copy of a `pipe` that can be read again: in a file without a name, readable by nobody else.
fn spooled(mut pipe: impl Read) -> io::Result<File> {
    let mut copy = unnamed_file(&std::env::temp_dir())?;
    io::copy(&mut pipe, &mut copy)?;
    copy.seek(SeekFrom::Start(0))?;
    Ok(copy)
}
