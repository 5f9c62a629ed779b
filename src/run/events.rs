//! Waits for what may never come, as the arms of the event loop do.

use std::future::pending;

use tokio::time::{Instant, sleep_until};

/// The result of `future`; never, if there is none.
pub(super) async fn if_any<F: Future + Unpin>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

/// Returns at the instant `due`; never, if there is none.
pub(super) async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
