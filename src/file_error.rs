//! The error for a local file that could not be used.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::shown;

/// A local file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: the file cannot be {verb}", shown(path))]
pub(crate) struct FileError {
    verb: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    pub(crate) fn new(verb: &'static str, path: &Path, source: io::Error) -> Self {
        Self { verb, path: path.to_owned(), source }
    }
}
