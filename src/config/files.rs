//! Reads files that contain a secret or certificates: up to a limit, since the file may be an endless pipe or device. A secret's
//! file that everyone may write to is refused.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use super::ConfigError;
use super::source::{Source, Sourced};
use crate::domain::shown;
use crate::platform::{is_device, is_own, mode_of};

/// The longest file of a secret, in bytes. Tokens have some KiB, and no request could carry a much longer one.
const MAX_SECRET: u64 = 64 << 10;
/// The longest file of certificates, in bytes. All authorities of a system together take some 200 KiB.
const MAX_CERTIFICATES: u64 = 1 << 20;
/// The longest configuration file, in bytes: some hundred profiles of less than 1 KiB.
const MAX_CONFIG: u64 = 256 << 10;

/// A file up to this length, in bytes, is read in one piece. The PEM file of an RSA key of 4096 bits has 3.2 KiB.
const ROOM: usize = 8 << 10;

/// The permission bit for writing by others than the owner and the group.
const WORLD_WRITABLE: u32 = 0o002;
/// The permission bit for writing by the group.
const GROUP_WRITABLE: u32 = 0o020;
/// The permission bits of the group and all others.
const GROUP_AND_OTHERS: u32 = 0o077;
/// The same for a file with another owner, as Kubernetes and systemd provide secrets: its group, which may read it, is that of
/// this program.
const BEYOND_GROUP_READ: u32 = 0o037;

/// Reads a secret from the `file`.
pub(super) fn read_secret(what: &'static str, file: &Sourced<PathBuf>) -> Result<String, ConfigError> {
    let mut bytes = read_secret_bytes(what, file)?;
    String::from_utf8(std::mem::take(&mut *bytes)).map_err(|_| ConfigError::NotASecret { what, from: shown(&file.value).to_string() })
}

/// Reads a secret, text or not, from the `file`. Its memory is cleared when it is dropped.
pub(super) fn read_secret_bytes(what: &'static str, file: &Sourced<PathBuf>) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let (opened, there) = open(what, file)?;
    check_mode(what, &file.value, &there)?;
    read(what, file, &opened, MAX_SECRET).map(Zeroizing::new)
}

/// Reads certificates from the `file`.
pub(super) fn read_certificates(file: &Sourced<PathBuf>) -> Result<Vec<u8>, ConfigError> {
    read_public("certificate", file)
}

/// Reads what is no secret from the `file`.
pub(super) fn read_public(what: &'static str, file: &Sourced<PathBuf>) -> Result<Vec<u8>, ConfigError> {
    read(what, file, &open(what, file)?.0, MAX_CERTIFICATES)
}

/// Reads the configuration file at `path`, which decides where credentials are sent: one that everybody may write to is refused.
pub(super) fn read_config(file: &Sourced<PathBuf>) -> Result<String, ConfigError> {
    const WHAT: &str = "configuration file";
    let (opened, there) = open(WHAT, file)?;
    let mode = mode_of(&there);
    if !is_device(&there) && !there.is_dir() {
        if mode & WORLD_WRITABLE != 0 {
            return Err(ConfigError::OpenConfig(file.value.clone()));
        }
        if mode & GROUP_WRITABLE != 0 {
            let mode = mode & 0o777;
            let path = shown(&file.value);
            tracing::warn!(
                "{path}: its group may write to this file, which says where credentials are sent (its mode is {mode:04o}): `chmod go-w` it"
            );
        }
    }
    let bytes = read(WHAT, file, &opened, MAX_CONFIG)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|byte| *byte == b'\n').count();
        ConfigError::NotToml { path: file.value.clone(), line, why: "it is not UTF-8".to_owned() }
    })
}

fn open(what: &'static str, file: &Sourced<PathBuf>) -> Result<(File, Metadata), ConfigError> {
    let opened = File::open(&file.value).and_then(|opened| opened.metadata().map(|there| (opened, there)));
    opened.map_err(|source| unreadable(what, file, source))
}

fn unreadable(what: &'static str, Sourced { value, source: from }: &Sourced<PathBuf>, source: io::Error) -> ConfigError {
    ConfigError::Unreadable { what, path: value.clone(), from: Source::clone(from), source }
}

/// Warns about a secret that others may use, and refuses one that everyone may replace. Devices, such as terminals, are exempt, and
/// so is a folder, which is no secret's file.
fn check_mode(what: &'static str, path: &Path, there: &Metadata) -> Result<(), ConfigError> {
    if is_device(there) || there.is_dir() {
        return Ok(());
    }
    let mode = mode_of(there);
    if mode & WORLD_WRITABLE != 0 {
        return Err(ConfigError::WorldWritable { what, path: path.to_owned() });
    }
    if is_open(mode, is_own(there)) {
        let mode = mode & 0o777;
        tracing::warn!("{}: others than its owner may use this file of the {what} (its mode is {mode:04o}): `chmod 600` it", shown(path));
    }
    Ok(())
}

/// Whether a secret's file with this mode is too open.
fn is_open(mode: u32, is_own: bool) -> bool {
    mode & (if is_own { GROUP_AND_OTHERS } else { BEYOND_GROUP_READ }) != 0
}

fn read(what: &'static str, named: &Sourced<PathBuf>, file: &File, most: u64) -> Result<Vec<u8>, ConfigError> {
    // Room for a small file, so that growing leaves no copies of a secret behind.
    let mut bytes = Vec::with_capacity(ROOM);
    let read: io::Result<usize> = file.take(most + 1).read_to_end(&mut bytes);
    let length = read.map_err(|source| unreadable(what, named, source))?;
    if length as u64 > most {
        return Err(ConfigError::TooLong { what, path: named.value.clone(), most: most >> 10 });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    fn file(folder: &Path, name: &str, text: &[u8], mode: u32) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its own");
        path
    }

    fn named(path: impl Into<PathBuf>) -> Sourced<PathBuf> {
        Sourced { value: path.into(), source: Source::Option("--client-secret-file") }
    }

    #[test]
    fn a_world_writable_secret_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for (mode, is_refused) in
            [(0o600, false), (0o400, false), (0o644, false), (0o660, false), (0o602, true), (0o666, true), (0o777, true)]
        {
            let read = read_secret("client secret", &named(file(folder.path(), &format!("{mode:o}"), b"s3cret\n", mode)));
            assert_eq!(matches!(read, Err(ConfigError::WorldWritable { .. })), is_refused, "{mode:o}");
            assert!(is_refused || read.expect("readable") == "s3cret\n", "{mode:o}");
        }
    }

    #[test]
    fn the_group_may_read_a_file_with_another_owner() {
        for (mode, own, anothers) in [
            (0o600, false, false),
            (0o400, false, false),
            (0o440, true, false),
            (0o640, true, false),
            (0o460, true, true),
            (0o604, true, true),
            (0o610, true, true),
        ] {
            assert_eq!((is_open(0o100_000 | mode, true), is_open(0o100_000 | mode, false)), (own, anothers), "{mode:o}");
        }
    }

    #[test]
    fn no_file_is_read_beyond_its_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let size = |most: u64, more: usize| vec![b'x'; usize::try_from(most).expect("small") + more];
        let secret = |bytes: &[u8]| read_secret("client secret", &named(file(folder.path(), "s", bytes, 0o600)));
        assert_eq!(secret(&size(MAX_SECRET, 0)).expect("short enough").len() as u64, MAX_SECRET);
        let error = secret(&size(MAX_SECRET, 1)).expect_err("too long").to_string();
        assert!(error.ends_with("s: this is no client secret: it is longer than 64 KiB"), "{error}");
        assert!(matches!(read_secret("client secret", &named("/dev/zero")), Err(ConfigError::TooLong { .. })));
        assert!(read_certificates(&named(file(folder.path(), "c", &size(MAX_CERTIFICATES, 0), 0o644))).is_ok());
        assert!(matches!(read_certificates(&named("/dev/zero")), Err(ConfigError::TooLong { most: 1024, .. })));
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("its own");
        assert!(matches!(read_secret("client secret", &named(folder.path())), Err(ConfigError::Unreadable { .. })));
    }
}
