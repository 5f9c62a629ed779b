//! What goes with a row from its first request to its line in the journal.

use csv::ByteRecord;
use tokio::sync::OwnedSemaphorePermit;

use super::row_state::RowState;
use crate::domain::{Action, RowNumber};

/// One of the requests that may be in flight.
pub(super) type Slot = OwnedSemaphorePermit;

/// A row that something is sent for.
#[derive(Debug)]
pub(super) struct StartedRow {
    pub(super) number: RowNumber,
    pub(super) action: Action,
    pub(super) state: RowState,
    pub(super) carried: ByteRecord,
    /// Whether it met a fault.
    pub(super) retries: bool,
    /// Its slot, while its second call waits for a permit.
    pub(super) slot: Option<Slot>,
}
