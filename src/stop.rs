//! The stop signal of a run, checked before every wait and every request.
//!
//! It escalates: at first no new requests are sent, but those in flight are awaited; then they are abandoned too.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// A signal that asks a run to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGINT, sent by Ctrl-C.
    Interrupt,
    Terminate,
    /// SIGHUP, sent when the terminal is closed.
    Hangup,
}

impl Signal {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Hangup => "SIGHUP",
        }
    }
}

/// Says whether the run is to stop. Clones share their state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    requested: CancellationToken,
    abandoned: CancellationToken,
    signal: Arc<OnceLock<Signal>>,
}

impl Stop {
    /// Asks the run to stop. Requests in flight are still awaited.
    pub(crate) fn request(&self) {
        self.requested.cancel();
    }

    /// Handles a signal: the first one asks the run to stop, the second one abandons the requests in flight. Returns whether it is
    /// the first.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        let is_first = self.signal.set(signal).is_ok();
        if !is_first {
            self.abandoned.cancel();
        }
        self.request();
        is_first
    }

    /// The signal that stopped the run, if one did.
    pub(crate) fn signalled(&self) -> Option<Signal> {
        self.signal.get().copied()
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Completes once the run is to stop.
    pub(crate) async fn requested(&self) {
        self.requested.cancelled().await;
    }

    /// Completes once the requests in flight are abandoned.
    pub(crate) async fn abandoned(&self) {
        self.abandoned.cancelled().await;
    }
}
