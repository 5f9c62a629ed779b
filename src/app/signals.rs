//! Which signals stop a run.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal as Listener, SignalKind, signal};
use tokio::task::JoinHandle;

use super::error::RunError;
use crate::stop::{Signal, Stop};

/// Closing a terminal may send SIGHUP twice: from its shell, and from the kernel when the shell exits. Two SIGHUPs within this
/// time count as one.
const ONE_HANGUP: Duration = Duration::from_millis(200);

/// Passes signals on to `stop`.
pub(super) fn listen(stop: Stop) -> Result<JoinHandle<()>, RunError> {
    let listen = |kind| signal(kind).map_err(RunError::Signals);
    let (mut interrupts, mut terminations) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let mut hangups = if hangups_are_ignored() { None } else { Some(listen(SignalKind::hangup())?) };
    Ok(tokio::spawn(async move {
        let mut hung_up = HungUp::default();
        loop {
            let signal = tokio::select! {
                _ = interrupts.recv() => Signal::Interrupt,
                _ = terminations.recv() => Signal::Terminate,
                () = next(hangups.as_mut()) => {
                    if hung_up.is_repeat(Instant::now()) {
                        continue;
                    }
                    Signal::Hangup
                }
            };
            // Stop first, then log: writing the message may block.
            let what = if stop.signal(signal) {
                "nothing new is sent; what is in flight is waited for (a second signal gives it up)"
            } else {
                "what is in flight is given up"
            };
            tracing::warn!("{}: {what}", signal.name());
        }
    }))
}

/// When the last SIGHUP came.
#[derive(Debug, Default)]
struct HungUp(Option<Instant>);

impl HungUp {
    /// Whether a SIGHUP that comes `now` repeats the last one.
    fn is_repeat(&mut self, now: Instant) -> bool {
        self.0.replace(now).is_some_and(|last| now.duration_since(last) < ONE_HANGUP)
    }
}

async fn next(listener: Option<&mut Listener>) {
    match listener {
        Some(listener) => drop(listener.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether the program was started to outlive its terminal, as with `nohup`. False where the system does not say.
fn hangups_are_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangups(&status))
}

fn ignores_hangups(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // One bit per signal, the lowest for signal 1, SIGHUP.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_hangup_counts_once() {
        let (start, mut hung_up) = (Instant::now(), HungUp::default());
        let repeats = [0, 1, 150, 349, 600].map(|millis| hung_up.is_repeat(start + Duration::from_millis(millis)));
        assert_eq!(repeats, [false, true, true, true, false]);
    }

    #[test]
    fn ignored_hangups_are_read_from_the_status() {
        assert!(ignores_hangups("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000000\n"));
        assert!(!ignores_hangups("SigBlk:\t0000000000000001\nSigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangups(""));
    }
}
