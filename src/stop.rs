//! Is the run to stop? A value that everybody consults who is about to wait or to send.

use tokio_util::sync::CancellationToken;

/// The wish that nothing new be sent. Requests in flight are waited for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(CancellationToken);

impl Stop {
    /// Asks the run to stop.
    pub(crate) fn request(&self) {
        self.0.cancel();
    }

    /// Ends once the run is to stop.
    pub(crate) async fn requested(&self) {
        self.0.cancelled().await;
    }
}
