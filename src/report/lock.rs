//! Does another run write this report? Each run holds a lock beside its report, which the system releases
//! when the process ends, however it ends.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::files::{OutputError, OwnPath, open_or_create, remove_if_there};
use crate::file_error::FileError;

/// The sole right to write a report and the files beside it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    path: OwnPath,
    _file: File,
}

/// Why there is no lock to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoLock {
    #[error(transparent)]
    Taken(OutputError),
    #[error(transparent)]
    File(FileError),
}

impl Lock {
    /// Takes the lock at `path` for the report at `report`.
    pub(crate) fn take(path: &OwnPath, report: &Path) -> Result<Self, NoLock> {
        // What matters to the user is the report that cannot be there.
        let failed = |source| NoLock::File(FileError::new("created", report, source));
        loop {
            // A link would lead out of the folder.
            if path.symlink_metadata().is_ok_and(|there| !there.is_file()) {
                return Err(failed(io::ErrorKind::AlreadyExists.into()));
            }
            let file = open_or_create(path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(NoLock::Taken(OutputError::InUse(report.to_owned()))),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // Whoever held it before may have removed it between the two calls: then this is not the one
            // that a third would find.
            let held = file.metadata().map_err(failed)?;
            if fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())) {
                return Ok(Self { path: path.clone(), _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While the lock is held nobody else uses it; one that stays is in nobody's way.
        drop(remove_if_there(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::super::ReportFiles;
    use super::*;

    #[test]
    fn one_at_a_time_has_the_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file").lock;
        let lock = Lock::take(&path, Path::new("r.csv")).expect("free");
        assert!(matches!(Lock::take(&path, Path::new("r.csv")), Err(NoLock::Taken(_))));
        drop(lock);
        assert!(!path.exists());
        assert!(Lock::take(&path, Path::new("r.csv")).is_ok());
    }
}
