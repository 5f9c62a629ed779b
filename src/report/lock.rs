//! Keeps two runs from writing the same report. Each run holds a lock file beside its report, which the operating system
//! releases when the process ends for whatever reason.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use super::files::{OutputError, OwnPath, open_or_create, remove_if_there};
use crate::file_error::FileError;
use crate::platform::FileId;

/// The exclusive right to write a report and the files beside it, until dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    path: OwnPath,
    _file: File,
}

impl Lock {
    /// Acquires the lock at `path` for the report at `report`.
    pub(crate) fn take(path: &OwnPath, report: &Path) -> Result<Self, OutputError> {
        // The error names the report: that is the file the user knows.
        let failed = |source| OutputError::from(FileError::new("created", report, source));
        loop {
            // A link could point outside the folder.
            if path.symlink_metadata().is_ok_and(|there| !there.is_file()) {
                return Err(failed(io::ErrorKind::AlreadyExists.into()));
            }
            let file = open_or_create(path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(OutputError::InUse(report.to_owned())),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // The previous holder may have removed the file between the two calls. Then another run would find a different
            // file, so try again.
            let held = file.metadata().map_err(failed)?;
            if fs::metadata(path).is_ok_and(|there| FileId::of(&there) == FileId::of(&held)) {
                return Ok(Self { path: path.clone(), _file: file });
            }
        }
    }
}

/// Whether a process holds the lock at `path`. Nothing is created, so the folder may be one that can only be read.
pub(super) fn is_held(path: &OwnPath) -> bool {
    let there = path.symlink_metadata().is_ok_and(|there| there.is_file());
    there && File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file is removed while the lock is still held, so no other run uses it. A leftover file does no harm.
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
        assert!(!is_held(&path) && !path.exists(), "to ask creates nothing");
        let lock = Lock::take(&path, Path::new("r.csv")).expect("free");
        assert!(is_held(&path) && is_held(&path));
        assert!(matches!(Lock::take(&path, Path::new("r.csv")), Err(OutputError::InUse(_))));
        drop(lock);
        assert!(!path.exists());
        fs::write(&path, "").expect("written");
        assert!(!is_held(&path), "one that was left over is nobody's");
        assert!(Lock::take(&path, Path::new("r.csv")).is_ok());
    }
}
