//! What belongs to a row from its first request to its line in the journal.

use csv::ByteRecord;
use tokio::sync::OwnedSemaphorePermit;

use super::row_state::RowState;
use crate::domain::{Origin, RowNumber};

/// The right to have one request in flight.
pub(super) type Slot = OwnedSemaphorePermit;

/// A row that needs at least one request.
#[derive(Debug)]
pub(super) struct StartedRow {
    pub(super) number: RowNumber,
    pub(super) origin: Origin,
    pub(super) state: RowState,
    pub(super) carried: ByteRecord,
    /// Whether one of its requests had a fault.
    pub(super) has_faulted: bool,
    /// The slot it keeps while its second call waits for a permit.
    pub(super) slot: Option<Slot>,
}
