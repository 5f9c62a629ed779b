//! Which signals stop a run.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal as Listener, SignalKind, signal};
use tokio::task::JoinHandle;

use super::error::RunError;
use crate::platform::hangups_are_ignored;
use crate::stop::{Signal, Stop};

/// Closing a terminal may send SIGHUP twice: from its shell, and from the kernel when the shell exits. Two SIGHUPs within this
/// time count as one.
const ONE_HANGUP: Duration = Duration::from_millis(200);

/// What the first signal does to a run, and the second.
const OF_A_RUN: [&str; 2] =
    ["nothing new is sent; waiting for requests in flight (a second signal abandons them)", "requests in flight are abandoned"];

/// Passes signals on to `stop`.
pub(super) fn listen(stop: Stop) -> Result<JoinHandle<()>, RunError> {
    listen_saying(stop, OF_A_RUN)
}

/// Likewise, and says of the first signal and of each further one what it does.
pub(super) fn listen_saying(stop: Stop, [first, further]: [&'static str; 2]) -> Result<JoinHandle<()>, RunError> {
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
            let what = if stop.signal(signal) { first } else { further };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_hangup_counts_once() {
        let (start, mut hung_up) = (Instant::now(), HungUp::default());
        let repeats = [0, 1, 150, 349, 600].map(|millis| hung_up.is_repeat(start + Duration::from_millis(millis)));
        assert_eq!(repeats, [false, true, true, true, false]);
    }
}
