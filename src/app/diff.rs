//! `diff`: compares two reports.

use std::fs::File;
use std::io;
use std::path::Path;

use super::error::RunError;
use crate::cli::DiffArgs;
use crate::diff::{DiffError, compare};
use crate::exit::{EXIT_CHANGES, EXIT_SUCCESS};
use crate::file_error::FileError;
use crate::stdio::{OUTPUT, Stream};
use crate::ui::Console;

/// Compares two reports. Both are checked before anything is written to standard output.
pub(super) fn diff(arguments: &DiffArgs, console: &Console) -> Result<u8, RunError> {
    let out = Stream::output().map_err(DiffError::from)?;
    let found = compare(&arguments.old, &arguments.new)?;
    for warning in &found.warnings {
        console.tell_anyhow(&format!("warning: {warning}"));
    }
    write_changes(found.changes, out)?;
    console.tell(&found.summary.to_string());
    Ok(if found.summary.changes() > 0 { EXIT_CHANGES } else { EXIT_SUCCESS })
}

fn write_changes(mut changes: File, mut out: Stream) -> Result<(), DiffError> {
    match io::copy(&mut changes, &mut out) {
        Ok(_) => Ok(()),
        // The reader of a closed pipe has seen enough. The summary and exit code are still valid.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(source) => Err(FileError::new("written", Path::new(OUTPUT), source).into()),
    }
}
