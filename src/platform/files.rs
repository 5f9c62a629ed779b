//! Files and streams: what they are, who may use them, and how they are read and written.

use std::borrow::Borrow;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl};

/// Reads and writes at an offset, without a position that readers of one file would share.
pub(crate) use std::os::unix::fs::FileExt as PositionedIo;

/// Reads a file from an offset on. Readers of one file do not share a position.
#[derive(Debug)]
pub(crate) struct ReadFrom<F> {
    file: F,
    at: u64,
}

impl<F> ReadFrom<F> {
    pub(crate) fn new(file: F, at: u64) -> Self {
        Self { file, at }
    }
}

impl<F: Borrow<File>> Read for ReadFrom<F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.borrow().read_at(out, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// The identity of a file, whatever path it is reached by: its device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

impl FileId {
    pub(crate) fn of(there: &Metadata) -> Self {
        Self(there.dev(), there.ino())
    }
}

/// What `path` holds, if it exists and is not a regular file. A rename would replace a device, a pipe or a link.
pub(crate) fn not_regular(path: &Path) -> Option<&'static str> {
    let kind = path.symlink_metadata().ok()?.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_symlink() {
        Some("a symbolic link")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

/// Whether it is a device, such as a terminal.
pub(crate) fn is_device(there: &Metadata) -> bool {
    let kind = there.file_type();
    kind.is_char_device() || kind.is_block_device()
}

/// Whether it belongs to the user that this process runs as.
pub(crate) fn is_own(there: &Metadata) -> bool {
    there.uid() == rustix::process::geteuid().as_raw()
}

/// Its permission bits, and those of its type above them.
pub(crate) fn mode_of(there: &Metadata) -> u32 {
    there.permissions().mode()
}

/// Options by which a file that is created is its owner's only.
pub(crate) fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Lets everyone read the file, and its owner write to it.
pub(crate) fn let_all_read(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o644))
}

/// Whether a standard stream was closed. Then the standard library opens `/dev/null` in its place before `main`, for
/// reading and writing. The shell's `> /dev/null` opens it for writing only.
pub(crate) fn replaces_closed_stream(stream: &File) -> io::Result<bool> {
    let (own, null) = (stream.metadata()?, Path::new("/dev/null").metadata());
    let is_null = null.is_ok_and(|null| (null.mode(), null.rdev()) == (own.mode(), own.rdev()));
    Ok(is_null && fcntl_getfl(stream)?.contains(OFlags::RDWR))
}

/// Waits until a non-blocking stream accepts more.
pub(crate) fn wait_until_writable(stream: &File) -> io::Result<()> {
    poll(&mut [PollFd::new(stream, PollFlags::OUT)], None)?;
    Ok(())
}
