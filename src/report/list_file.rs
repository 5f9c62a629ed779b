//! Writes a list of users to a file: whole, or not at all.

use std::fs::File;
use std::io;
use std::path::Path;

use super::Lock;
use super::files::{OutputError, OwnPath, Replaced, ReportFiles};
use crate::file_error::FileError;

/// Where a list of users goes.
#[derive(Debug)]
pub(crate) enum ListPlace {
    /// To standard output, as pages come.
    StandardOutput,
    /// To a file, once it is whole.
    File(ListFile),
}

/// What was written of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListExtent {
    Whole,
    /// The list was given up before its end.
    Part,
}

/// The file of a list, which is not written yet.
#[derive(Debug)]
pub(crate) struct ListFile {
    place: Replaced,
    lock: OwnPath,
}

impl ListFile {
    /// The file at `path`, which is still to be checked.
    pub(super) fn at(path: &Path) -> Result<Self, OutputError> {
        // That of a report of this name, so that a run that writes one is in the way too.
        let lock = ReportFiles::beside(path)?.lock;
        Ok(Self { place: Replaced::named(path)?, lock })
    }

    /// The paths that are written.
    pub(super) fn written(&self) -> [(&'static str, &OwnPath); 3] {
        let [place, beside] = self.place.written();
        [("the list", place), ("the list, while it is written,", beside), ("the lock of the list", &self.lock)]
    }

    pub(crate) fn path(&self) -> &Path {
        &self.place
    }

    /// Makes sure that no other process writes the file, until the lock is dropped. One that exists is refused.
    pub(crate) fn claim_new(&self) -> Result<Lock, OutputError> {
        self.claim().and_then(|lock| if self.place.symlink_metadata().is_ok() { Err(self.exists()) } else { Ok(lock) })
    }

    /// Makes sure that no other process writes the file, until the lock is dropped. One that exists is to be replaced.
    pub(crate) fn claim(&self) -> Result<Lock, OutputError> {
        Lock::take(&self.lock, self.path()).map_err(|error| {
            let is_in_use = matches!(error, OutputError::InUse(_));
            if is_in_use { OutputError::ListInUse(self.path().to_owned()) } else { error }
        })
    }

    fn exists(&self) -> OutputError {
        OutputError::ListExists(self.path().to_owned())
    }

    /// Writes the file, and puts it in its place if `write` says that it is whole. Otherwise nothing is left of it.
    pub(crate) fn write(&self, write: impl FnOnce(&mut File) -> io::Result<ListExtent>) -> Result<ListExtent, FileError> {
        let mut draft = self.place.draft()?;
        let extent = draft.write(write)?;
        match extent {
            ListExtent::Whole => self.place.install(draft)?,
            ListExtent::Part => drop(draft),
        }
        Ok(extent)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("one").file_name().into_string().expect("UTF-8")).collect()
    }

    #[test]
    fn a_list_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = ListFile::at(&folder.path().join("users.csv")).expect("a file");
        for part in [Ok(ListExtent::Part), Err(io::ErrorKind::StorageFull.into())] {
            let is_failed = part.is_err();
            let written = file.write(|out| out.write_all(b"userID\n").and(part));
            assert_eq!(written.is_err(), is_failed);
            assert!(names(folder.path()).is_empty());
        }
        file.write(|out| out.write_all(b"userID\n").map(|()| ListExtent::Whole)).expect("written");
        assert_eq!(names(folder.path()), ["users.csv"]);
        assert_eq!(file.path().metadata().expect("there").permissions().mode() & 0o777, 0o600);
        file.write(|out| out.write_all(b"x").map(|()| ListExtent::Part)).expect("given up");
        assert_eq!(fs::read_to_string(file.path()).expect("there"), "userID\n", "the former one stays");
    }

    #[test]
    fn a_list_that_exists_or_is_being_written_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = ListFile::at(&folder.path().join("users.csv")).expect("a file");
        let lock = file.claim_new().expect("free");
        assert!(matches!(file.claim(), Err(OutputError::ListInUse(_))));
        drop(lock);
        fs::write(file.path(), "x").expect("written");
        assert!(matches!(file.claim_new(), Err(OutputError::ListExists(_))));
        drop(file.claim().expect("to be replaced"));
        assert_eq!(names(folder.path()), ["users.csv"], "no lock is left");
    }
}
