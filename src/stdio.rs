//! Writes to standard output and standard error, whatever the program was given for them.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

pub(crate) use crate::file_error::OUTPUT;

use crate::file_error::FileError;
use crate::platform::{replaces_closed_stream, wait_until_writable};

/// Standard output or standard error, without a lock.
#[derive(Debug)]
pub(crate) struct Stream(File);

impl Stream {
    /// Standard output, for data that must not get lost.
    pub(crate) fn output() -> Result<Self, FileError> {
        let opened = Self::of(io::stdout().as_fd()).and_then(Self::unless_closed);
        opened.map_err(|source| FileError::new("written", Path::new(OUTPUT), source))
    }

    pub(crate) fn error() -> io::Result<Self> {
        Self::of(io::stderr().as_fd())
    }

    fn of(stream: BorrowedFd<'_>) -> io::Result<Self> {
        stream.try_clone_to_owned().map(|descriptor| Self(descriptor.into()))
    }

    fn unless_closed(self) -> io::Result<Self> {
        if replaces_closed_stream(&self.0)? {
            return Err(io::Error::other("it is closed (or `/dev/null`, opened for reading too: `> /dev/null` opens it for writing)"));
        }
        Ok(self)
    }
}

impl Write for Stream {
    /// Waits if another process has made the stream non-blocking.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_until_writable(&self.0)?,
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read};
    use std::time::Duration;

    use rustix::fs::{OFlags, fcntl_setfl};

    use super::*;

    #[test]
    fn the_replacement_of_a_closed_stream_counts_as_closed() {
        let null = |read: bool| Stream(File::options().read(read).write(true).open("/dev/null").expect("it is there"));
        assert!(null(true).unless_closed().is_err());
        assert!(null(false).unless_closed().is_ok());
        let zero = File::options().read(true).write(true).open("/dev/zero").expect("it is there");
        assert!(Stream(zero).unless_closed().is_ok());
        assert!(Stream(tempfile::tempfile().expect("a file")).unless_closed().is_ok());
    }

    /// Everything that arrives, read late.
    fn read_late(mut from: PipeReader) -> Vec<u8> {
        std::thread::sleep(Duration::from_millis(50));
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("a pipe");
        bytes
    }

    #[test]
    fn nothing_is_lost_on_a_non_blocking_pipe() {
        let (from, to) = io::pipe().expect("a pipe");
        fcntl_setfl(&to, OFlags::NONBLOCK).expect("it is ours");
        let reader = std::thread::spawn(move || read_late(from));
        let said: Vec<u8> = (0..1_000_000_u32).map(|n| u8::try_from(n % 251).expect("small")).collect();
        let mut stream = Stream::of(to.as_fd()).expect("a descriptor");
        drop(to);
        stream.write_all(&said).expect("somebody reads");
        drop(stream);
        assert!(reader.join().expect("it ends") == said);
    }
}
