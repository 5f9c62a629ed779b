//! The process: what signals and limits do to it, and how long it was suspended.

use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// Makes the system keep no image of this process's memory, which holds secrets, however it ends. On Linux, this also keeps
/// other processes of the same user from reading it and its environment.
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

/// Turns exceeding the file size limit (`ulimit -f`) into a write error. The default action of SIGXFSZ would end the program
/// without a message. Once a handler is installed, it stays for the life of the process.
pub(crate) fn outlive_file_size_limit() -> io::Result<()> {
    signal(SignalKind::from_raw(libc::SIGXFSZ)).map(drop)
}

/// Makes room for this many more open files, as far as the hard limit (`ulimit -Hn`) allows. The soft limit is often 1024.
///
/// # Errors
///
/// The system's error, if it refuses.
pub(crate) fn make_room_for_files(count: u64) -> io::Result<()> {
    /// What the program has open anyway, standard streams and runtime.
    const OTHERS: u64 = 64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(count + OTHERS, |maximum| maximum.min(count + OTHERS));
    if current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?;
    }
    Ok(())
}

/// Whether the program was started to outlive its terminal, as with `nohup`. False where the system does not say.
pub(crate) fn hangups_are_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangups(&status))
}

fn ignores_hangups(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // One bit per signal, the lowest for signal 1, SIGHUP.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Two clocks read one after the other may differ by this much.
const SHORTEST_SLEEP: Duration = Duration::from_millis(100);

/// How long the machine has been suspended since it was booted; the monotonic clock does not count that time.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn suspended() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    // In this order: the second is read slightly later, which must not look like a suspension.
    let (all, awake) = (read(ClockId::Boottime), read(ClockId::Monotonic));
    let slept = all.saturating_sub(awake);
    if slept < SHORTEST_SLEEP { Duration::ZERO } else { slept }
}

/// Elsewhere, the monotonic clock is used as it is.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn suspended() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_hangups_are_read_from_the_status() {
        assert!(ignores_hangups("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000000\n"));
        assert!(!ignores_hangups("SigBlk:\t0000000000000001\nSigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangups(""));
    }
}
