//! Which row is next of those that have been begun and wait? Pure: a row waits until its backoff has passed, and then for a
//! permit, but no longer than there is time left for an answer.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::started_row::StartedRow;

/// In which order rows get permits; the second call of a row comes before retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    /// The row's second call, which follows its first at once.
    SecondCall,
    /// The same call again.
    Retry,
}

/// A place in the queue for permits: by priority, then in the order of arrival.
type Place = (Priority, u64);

/// The rows that have been begun and are not in flight.
#[derive(Debug, Default)]
pub(super) struct WaitingRows {
    backing_off: BTreeMap<(Instant, u64), Box<StartedRow>>,
    ready: BTreeMap<Place, Box<StartedRow>>,
    /// Until when the rows that are ready can be sent.
    latest: BTreeSet<(Instant, Place)>,
    arrivals: u64,
}

impl WaitingRows {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.backing_off.len() + self.ready.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in a row that is retried at `due`.
    pub(super) fn back_off(&mut self, row: Box<StartedRow>, due: Instant) {
        let arrival = self.arrival();
        self.backing_off.insert((due, arrival), row);
    }

    /// Takes in a row that waits for a permit.
    pub(super) fn make_ready(&mut self, row: Box<StartedRow>, priority: Priority) {
        let place = (priority, self.arrival());
        if let Some(latest) = row.state.latest_send() {
            self.latest.insert((latest, place));
        }
        self.ready.insert(place, row);
    }

    /// Lets the rows whose backoff has passed wait for a permit.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some(entry) = self.backing_off.first_entry().filter(|entry| entry.key().0 <= now) {
            let row = entry.remove();
            self.make_ready(row, Priority::Retry);
        }
    }

    /// The next row that gets a permit.
    pub(super) fn first_ready(&self) -> Option<&StartedRow> {
        self.ready.first_key_value().map(|(_, row)| &**row)
    }

    pub(super) fn take_ready(&mut self) -> Option<Box<StartedRow>> {
        let (place, row) = self.ready.pop_first()?;
        self.forget(place, &row);
        Some(row)
    }

    /// A row that is ready and has no time left for an answer.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Option<Box<StartedRow>> {
        let (_, place) = self.latest.first().copied().filter(|(latest, _)| *latest <= now)?;
        let row = self.ready.remove(&place)?;
        self.forget(place, &row);
        Some(row)
    }

    /// Takes any row out, while there is one.
    pub(super) fn take_any(&mut self) -> Option<Box<StartedRow>> {
        self.take_ready().or_else(|| self.backing_off.pop_first().map(|(_, row)| row))
    }

    /// When a backoff has passed or a row is overdue.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let backoff = self.backing_off.first_key_value().map(|((due, _), _)| *due);
        let overdue = self.latest.first().map(|(latest, _)| *latest);
        backoff.into_iter().chain(overdue).min()
    }

    fn forget(&mut self, place: Place, row: &StartedRow) {
        if let Some(latest) = row.state.latest_send() {
            self.latest.remove(&(latest, place));
        }
    }

    fn arrival(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }
}
