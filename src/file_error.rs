//! The error for a local file that could not be used, and what can be done about it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::domain::{shell_word, shown};

/// Standard output's name in messages.
pub(crate) const OUTPUT: &str = "standard output";
/// What to do once the cause is mended, of a run.
const RESUME: &str = "go on with `--resume`";
/// The verb of a file that is only read.
const READ: &str = "read";

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

    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> String {
        self.hint_then(RESUME)
    }

    /// What the user can do, in one line: mend the cause, and `then` do this.
    pub(crate) fn hint_then(&self, then: &str) -> String {
        let Self { verb, path, source } = self;
        if path.as_path() == Path::new(OUTPUT) {
            return output_hint(source).to_owned();
        }
        if *verb == READ {
            // The user has not named it.
            let is_folder = source.kind() == ErrorKind::IsADirectory;
            return if is_folder { "move the folder away: a file belongs there".to_owned() } else { reading_hint(path, source) };
        }
        writing_hint_then(path, source, then)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the kinds are the standard library's, and few call for something of their own")]
fn output_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::BrokenPipe => "let the program that reads standard output read it to its end, or redirect it to a file",
        kind if is_no_room(kind) => "free some space on the disk that standard output goes to, and start again",
        _ => "see where standard output goes: `> FILE` redirects it to a file",
    }
}

/// What can be done about a file at `path` that cannot be read.
#[expect(clippy::wildcard_enum_match_arm, reason = "the kinds are the standard library's, and few call for something of their own")]
pub(crate) fn reading_hint(path: &Path, source: &io::Error) -> String {
    let file = shell_word(&path.to_string_lossy());
    match source.kind() {
        ErrorKind::NotFound => {
            missing_folder(path).unwrap_or_else(|| format!("check the path: {} has no such file", folder_in_words(path)))
        }
        ErrorKind::PermissionDenied => format!("let this user read it: `ls -l {file}` shows who may"),
        ErrorKind::IsADirectory => "name a file: this is a folder".to_owned(),
        ErrorKind::NotADirectory => not_a_folder(),
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            "put the file back as it was written, or discard what is there with `--overwrite`".to_owned()
        }
        _ => format!("see whether another program can read it: `wc -c {file}`"),
    }
}

/// What can be done about a file at `path` that cannot be created, written or renamed.
pub(crate) fn writing_hint(path: &Path, source: &io::Error) -> String {
    writing_hint_then(path, source, RESUME)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the kinds are the standard library's, and few call for something of their own")]
fn writing_hint_then(path: &Path, source: &io::Error, then: &str) -> String {
    let folder = shell_word(&folder_of(path).to_string_lossy());
    match source.kind() {
        ErrorKind::NotFound => missing_folder(path).unwrap_or_else(|| format!("see that no other program removes files from {folder}")),
        ErrorKind::PermissionDenied => format!("let this user write to the folder (`ls -ld {folder}` shows who may), or name another one"),
        ErrorKind::ReadOnlyFilesystem => format!("name another folder: {folder} can only be read"),
        ErrorKind::FileTooLarge => format!("raise the limit of the size of files, `ulimit -f`, and {then}"),
        kind if is_no_room(kind) => format!("free some space (`df -h {folder}` shows it), and {then}"),
        ErrorKind::AlreadyExists | ErrorKind::IsADirectory | ErrorKind::DirectoryNotEmpty => {
            "move away what is there, or name another file".to_owned()
        }
        ErrorKind::NotADirectory => not_a_folder(),
        _ => format!("check the disk (`df -h {folder}`), and {then}"),
    }
}

fn is_no_room(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn not_a_folder() -> String {
    "check the path: a part of it is a file, and no folder".to_owned()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn folder_in_words(path: &Path) -> String {
    let folder = folder_of(path);
    if folder == Path::new(".") { "this folder".to_owned() } else { format!("the folder {}", shell_word(&folder.to_string_lossy())) }
}

/// What to do if the folder of `path` is missing; `None` if it is there.
fn missing_folder(path: &Path) -> Option<String> {
    let folder = folder_of(path);
    (!folder.exists()).then(|| format!("check the path, or make its folder: `mkdir -p {}`", shell_word(&folder.to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint_tests::assert_told;

    #[test]
    fn each_fault_of_a_file_says_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let there = folder.path().join("r.csv");
        let nowhere = folder.path().join("no where/r.csv");
        let make = format!("check the path, or make its folder: `mkdir -p '{}'`", folder.path().join("no where").display());
        for (verb, path, kind, expected) in [
            ("created", &nowhere, ErrorKind::NotFound, make.as_str()),
            ("read", &nowhere, ErrorKind::NotFound, &make),
            ("read", &there, ErrorKind::NotFound, "check the path: the folder "),
            ("written", &there, ErrorKind::NotFound, "see that no other program removes files from "),
            ("read", &there, ErrorKind::PermissionDenied, "let this user read it: `ls -l "),
            ("created", &there, ErrorKind::PermissionDenied, "let this user write to the folder (`ls -ld "),
            ("created", &there, ErrorKind::ReadOnlyFilesystem, "name another folder: "),
            ("written", &there, ErrorKind::StorageFull, "free some space (`df -h "),
            ("written to disk", &there, ErrorKind::QuotaExceeded, "free some space (`df -h "),
            ("written", &there, ErrorKind::FileTooLarge, "raise the limit of the size of files"),
            ("written", &there, ErrorKind::AlreadyExists, "move away what is there"),
            ("renamed", &there, ErrorKind::IsADirectory, "move away what is there"),
            ("written", &there, ErrorKind::Other, "check the disk (`df -h "),
            ("read", &there, ErrorKind::IsADirectory, "move the folder away"),
            ("read", &there, ErrorKind::NotADirectory, "check the path: a part of it is a file"),
            ("read", &there, ErrorKind::InvalidData, "put the file back as it was written"),
            ("read", &there, ErrorKind::Other, "see whether another program can read it: `wc -c "),
            ("written", &PathBuf::from(OUTPUT), ErrorKind::BrokenPipe, "let the program that reads standard output"),
            ("written", &PathBuf::from(OUTPUT), ErrorKind::StorageFull, "free some space on the disk that standard output goes to"),
            ("written", &PathBuf::from(OUTPUT), ErrorKind::Other, "see where standard output goes"),
        ] {
            let error = FileError::new(verb, path, kind.into());
            let hint = error.hint();
            assert!(hint.starts_with(expected), "{error}, {kind}: {hint}");
            assert_told(&error, &hint);
        }
    }
}
