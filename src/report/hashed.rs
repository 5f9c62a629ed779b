//! Files that are hashed while they are written or read.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::journal_reader::BUFFER;

/// A file that is hashed while it is written.
pub(super) struct HashedFile<'a> {
    file: BufWriter<&'a File>,
    sha256: Sha256,
}

impl<'a> HashedFile<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Self { file: BufWriter::with_capacity(BUFFER, file), sha256: Sha256::new() }
    }

    /// The SHA-256 of what was written, in hexadecimal.
    pub(super) fn finish(mut self) -> io::Result<String> {
        self.file.flush()?;
        Ok(hex(&self.sha256.finalize()))
    }
}

impl Write for HashedFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// `bytes` in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of the file at `path`, in hexadecimal.
pub(crate) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = Hashing::open(path)?;
    io::copy(&mut file, &mut io::sink())?;
    Ok(file.finish())
}

/// Hashes a file while it is read.
#[derive(Debug)]
pub(crate) struct Hashing {
    file: File,
    sha256: Sha256,
}

impl Hashing {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, sha256: Sha256::new() })
    }

    /// The SHA-256 of what was read, in hexadecimal.
    pub(crate) fn finish(self) -> String {
        hex(&self.sha256.finalize())
    }
}

impl Read for Hashing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(out)?;
        self.sha256.update(&out[..count]);
        Ok(count)
    }
}
