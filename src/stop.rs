//! Is the run to stop? A value that everybody consults who is about to wait or to send.
//!
//! It escalates: first nothing new is sent and what is in flight is waited for, then that is given up too.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// A signal that asks a run to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, as by Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP, as by a terminal that is closed.
    Hangup,
}

impl Signal {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Hangup => "SIGHUP",
        }
    }
}

/// The wish that nothing new be sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    requested: CancellationToken,
    abandoned: CancellationToken,
    signal: Arc<OnceLock<Signal>>,
}

impl Stop {
    /// Asks the run to stop. Requests in flight are waited for.
    pub(crate) fn request(&self) {
        self.requested.cancel();
    }

    /// A signal came: the first asks the run to stop, the second to give up what is in flight. Answers whether it
    /// is the first.
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

    /// Ends once the run is to stop.
    pub(crate) async fn requested(&self) {
        self.requested.cancelled().await;
    }

    /// Ends once requests in flight are given up.
    pub(crate) async fn abandoned(&self) {
        self.abandoned.cancelled().await;
    }
}
