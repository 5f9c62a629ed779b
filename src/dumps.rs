//! What becomes of the memory of a process that crashes? It holds secrets: nobody is to find them in a core file.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Sees to it that the system keeps no image of this process's memory, however it ends. On Linux, other processes
/// of the same user cannot look into it then either, nor at its environment.
///
/// # Errors
///
/// What the system says if it does not allow that.
pub fn forbid_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // A program that the system hands core files to is not bound by that limit.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
