//! Prevents core dumps: the memory of a crashed process holds secrets.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Makes the system keep no image of this process's memory, however it ends. On Linux, this also keeps other processes
/// of the same user from reading it and its environment.
///
/// # Errors
///
/// The system's error, if it refuses.
pub fn forbid_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // The limit does not apply when core dumps are piped to a program.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
