//! Writes files, only at paths that were checked, and atomically where a file may be replaced.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::OutputError;
use crate::file_error::FileError;
use crate::platform::{not_regular, owner_only};

/// The path of a file that a run writes. Such paths are made only here and in `ReportFiles`, which list all of theirs for
/// the check. So no file is created, renamed or removed at an unchecked path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnPath(PathBuf);

impl OwnPath {
    pub(super) fn of(path: PathBuf) -> Self {
        Self(path)
    }
}

impl Deref for OwnPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for OwnPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

/// A file that is written to a temporary path beside its own and then renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replaced {
    path: OwnPath,
    beside: OwnPath,
}

impl Deref for Replaced {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for Replaced {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl Replaced {
    /// The file at `path`, which must name a file.
    pub(super) fn of(path: PathBuf) -> Self {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        Self { beside: OwnPath(path.with_file_name(name)), path: OwnPath(path) }
    }

    /// The file at a `path` given by the user, who may have named a folder.
    pub(in crate::report) fn named(path: &Path) -> Result<Self, OutputError> {
        file_name(path).map(|_| Self::of(path.to_owned()))
    }

    /// Both paths that are written.
    pub(in crate::report) fn written(&self) -> [&OwnPath; 2] {
        let Self { path, beside } = self;
        [path, beside]
    }

    /// Checks that the file can be written, without changing an existing one.
    pub(crate) fn try_out(&self, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), FileError> {
        self.draft()?.write(write)
    }

    /// Removes the file, and the incomplete temporary file that a killed run may have left.
    pub(in crate::report) fn remove_if_there(&self) -> Result<(), FileError> {
        remove_if_there(&self.beside)?;
        remove_if_there(&self.path)
    }

    /// Writes the file and atomically replaces the previous one, if any. Fails if the path holds anything but a regular
    /// file.
    pub(in crate::report) fn replace(&self, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), FileError> {
        let mut draft = self.draft()?;
        draft.write(write)?;
        self.install(draft)
    }

    /// Writes a file that is no part of a run: atomically, as `replace`.
    pub(crate) fn write_whole(&self, text: &[u8]) -> Result<(), FileError> {
        self.replace(|file| io::Write::write_all(file, text))
    }

    /// Puts a finished draft of the file in its place.
    pub(in crate::report) fn install(&self, draft: Draft<'_>) -> Result<(), FileError> {
        draft.replace(&self.path)
    }

    /// Begins the file. Fails if the path holds anything but a regular file.
    pub(in crate::report) fn draft(&self) -> Result<Draft<'_>, FileError> {
        if let Some(kind) = not_regular(&self.path) {
            let there = io::Error::new(ErrorKind::AlreadyExists, format!("there is {kind} of this name"));
            return Err(FileError::new("written", &self.path, there));
        }
        // Errors name the final path: that is the file the user knows.
        Draft::create(&self.beside, &self.path)
    }
}

/// A new file at a temporary path. It is gone when dropped, unless it has replaced another file.
#[derive(Debug)]
pub(in crate::report) struct Draft<'a> {
    path: &'a OwnPath,
    /// The path that errors name.
    named: &'a Path,
    file: File,
}

impl<'a> Draft<'a> {
    /// Creates it at `path`, where a killed run may have left one.
    pub(in crate::report) fn create(path: &'a OwnPath, named: &'a Path) -> Result<Self, FileError> {
        remove_if_there(path)?;
        let file = create(path).map_err(|source| FileError::new("created", named, source))?;
        Ok(Self { path, named, file })
    }

    pub(in crate::report) fn file(&self) -> &File {
        &self.file
    }

    pub(in crate::report) fn write<T>(&mut self, write: impl FnOnce(&mut File) -> io::Result<T>) -> Result<T, FileError> {
        write(&mut self.file).map_err(|source| FileError::new("written", self.named, source))
    }

    /// Syncs it to disk, and renames it to `path`, atomically replacing what is there.
    pub(in crate::report) fn replace(self, path: &OwnPath) -> Result<(), FileError> {
        self.file.sync_all().map_err(|source| FileError::new("written to disk", self.named, source))?;
        rename(self.path, path)?;
        sync_folder_of(path)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // After a failure it would only be in the way. A leftover file does no harm.
        drop(remove_if_there(self.path));
    }
}

/// The file name in `path`, which must not be written like a folder's.
pub(super) fn file_name(path: &Path) -> Result<&OsStr, OutputError> {
    let typed = path.as_os_str().as_encoded_bytes();
    let is_folder = typed.ends_with(b"/") || typed.ends_with(b"/.");
    path.file_name().filter(|_| !is_folder).ok_or_else(|| OutputError::NotAFile(path.to_owned()))
}

/// Creates the file at `path`, readable by its owner only. An existing file or link is an error.
pub(in crate::report) fn create_new(path: &OwnPath) -> Result<File, FileError> {
    create(path).map_err(|source| FileError::new("created", path, source))
}

fn create(path: &OwnPath) -> io::Result<File> {
    owner_only().read(true).write(true).create_new(true).open(path)
}

/// Opens the file at `path` for writing, without truncating it, or creates it.
pub(in crate::report) fn open_or_create(path: &OwnPath) -> io::Result<File> {
    owner_only().write(true).create(true).truncate(false).open(path)
}

/// Renames the file at `from` to `to`, replacing what is there.
pub(in crate::report) fn rename(from: &OwnPath, to: &OwnPath) -> Result<(), FileError> {
    fs::rename(from, to).map_err(|source| FileError::new("renamed", from, source))
}

/// Makes the creation or renaming of the file at `path` survive a power cut.
pub(in crate::report) fn sync_folder_of(path: &Path) -> Result<(), FileError> {
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| FileError::new("written to disk", folder, source))
}

pub(in crate::report) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

pub(in crate::report) fn remove_if_there(path: &OwnPath) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(FileError::new("removed", path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_in_one_step_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = Replaced::named(&folder.path().join("m.prom")).expect("a file");
        for text in ["one", "two"] {
            file.replace(|out| io::Write::write_all(out, text.as_bytes())).expect("written");
            assert_eq!(fs::read_to_string(&file.path).expect("there"), text);
        }
        let failed = file.replace(|_| Err(ErrorKind::StorageFull.into()));
        assert!(failed.is_err() && fs::read_to_string(&file.path).expect("there") == "two");
        assert!(!file.beside.exists(), "what is half written is not left");
        file.try_out(|out| io::Write::write_all(out, b"three")).expect("there is room");
        assert_eq!(fs::read_to_string(&file.path).expect("there"), "two");
        fs::remove_file(&file.path).expect("there");
        std::os::unix::fs::symlink("nowhere", &file.path).expect("a link");
        assert!(file.replace(|_| Ok(())).is_err());
        assert!(file.symlink_metadata().expect("there").is_symlink());
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left");
    }

    #[test]
    fn what_cannot_be_written_or_removed_is_told_by_its_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let message =
            |done: Result<(), FileError>| done.expect_err("it cannot be").to_string().replace(&format!("{}/", folder.path().display()), "");
        let nowhere = Replaced::named(&folder.path().join("nowhere/r.json")).expect("a file");
        assert_eq!(message(nowhere.try_out(|_| Ok(()))), "nowhere/r.json: the file cannot be created");
        assert_eq!(message(nowhere.replace(|_| Ok(()))), "nowhere/r.json: the file cannot be created");
        assert_eq!(message(sync_folder_of(&nowhere)), "nowhere: the file cannot be written to disk");
        assert_eq!(message(rename(&nowhere.beside, &nowhere.path)), "nowhere/r.json.tmp: the file cannot be renamed");
        let there = Replaced::named(&folder.path().join("there")).expect("a file");
        fs::create_dir(&there.path).expect("created");
        assert_eq!(message(there.remove_if_there()), "there: the file cannot be removed");
        assert_eq!(message(remove_if_there(&there.path)), "there: the file cannot be removed");
        remove_if_there(&nowhere.path).expect("there is none");
        fs::remove_dir(&there.path).expect("empty");
        for text in ["one", "two"] {
            fs::write(&there.path, text).expect("written");
            fs::write(&there.beside, text).expect("written");
            there.remove_if_there().expect("removed");
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn a_files_folder_is_the_one_before_it_or_this_one() {
        for (path, folder) in [("r.csv", "."), ("a/r.csv", "a"), ("/r.csv", "/"), ("./r.csv", "."), ("/", ".")] {
            assert_eq!(folder_of(Path::new(path)), Path::new(folder), "{path}");
        }
    }
}
