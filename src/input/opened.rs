//! Opens the input: a regular file, standard input or another pipe. The input is read twice, so a pipe is first copied to
//! an unnamed temporary file. So is a regular file for a run that must not notice later changes to it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use super::InputError;
use super::error::{is_no_room, refused};
use super::source::{Beginning, BytesRead, Expected, HEAD, Source};
use super::spool::{copied, spooled};
use crate::domain::shown;

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
            return Err(InputError::Empty(name));
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

impl Source {
    /// Opens the file at `path` without copying it; `-` is standard input. An input that is recognizably not UTF-8 text is
    /// refused.
    pub(crate) fn open(path: &Path) -> Result<Self, InputError> {
        OpenedInput::at(path, BytesRead::default())?.whole(&ReadOptions::default())
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
