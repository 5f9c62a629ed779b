//! `diff`: from two reports to what changed between them.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::cli::DiffArgs;
use crate::diff::{DiffError, compare};
use crate::error::{EXIT_CHANGES, EXIT_SUCCESS, RunError};
use crate::report::FileError;
use crate::ui::Console;

/// Compares two reports. Standard output gets nothing before both are found sound.
pub(super) fn diff(arguments: &DiffArgs, console: &Console) -> Result<u8, RunError> {
    let found = compare(&arguments.old, &arguments.new)?;
    hand_out(found.changes)?;
    console.tell(&found.summary.to_string());
    Ok(if found.summary.changes() > 0 { EXIT_CHANGES } else { EXIT_SUCCESS })
}

fn hand_out(mut changes: File) -> Result<(), DiffError> {
    let mut out = io::stdout().lock();
    match io::copy(&mut changes, &mut out).and_then(|_| out.flush()) {
        Ok(()) => Ok(()),
        // Who reads no further has seen enough; what changed is known all the same.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(source) => Err(FileError::new("written", Path::new("standard output"), source).into()),
    }
}
