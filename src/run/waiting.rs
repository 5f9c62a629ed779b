//! The started rows that are not in flight. Pure. A row waits until its backoff has ended, then for a permit, but only as long
//! as there is time left for an answer.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::started_row::StartedRow;

/// The order in which rows get permits: second calls come before retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    /// The row's second call, which directly follows its first.
    SecondCall,
    Retry,
}

/// A position in the permit queue: by priority, then in order of arrival.
type Place = (Priority, u64);

/// The started rows that are not in flight.
#[derive(Debug, Default)]
pub(super) struct WaitingRows {
    backing_off: BTreeMap<(Instant, u64), Box<StartedRow>>,
    ready: BTreeMap<Place, Box<StartedRow>>,
    /// The latest time at which each ready row can be sent.
    latest: BTreeSet<(Instant, Place)>,
    arrivals: u64,
}

impl WaitingRows {
    pub(super) fn len(&self) -> usize {
        self.backing_off.len() + self.ready.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a row to be retried at `due`.
    pub(super) fn back_off(&mut self, row: Box<StartedRow>, due: Instant) {
        let arrival = self.arrival();
        self.backing_off.insert((due, arrival), row);
    }

    /// Adds a row that waits for a permit.
    pub(super) fn make_ready(&mut self, row: Box<StartedRow>, priority: Priority) {
        let place = (priority, self.arrival());
        if let Some(latest) = row.state.latest_send() {
            self.latest.insert((latest, place));
        }
        self.ready.insert(place, row);
    }

    /// Moves the rows whose backoff has ended to the permit queue.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some(entry) = self.backing_off.first_entry().filter(|entry| entry.key().0 <= now) {
            let row = entry.remove();
            self.make_ready(row, Priority::Retry);
        }
    }

    /// The row that gets the next permit.
    pub(super) fn first_ready(&self) -> Option<&StartedRow> {
        self.ready.first_key_value().map(|(_, row)| &**row)
    }

    pub(super) fn take_ready(&mut self) -> Option<Box<StartedRow>> {
        let (place, _) = self.ready.first_key_value()?;
        self.take(*place)
    }

    /// Removes a ready row that has no time left for an answer.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Option<Box<StartedRow>> {
        let (_, place) = self.latest.first().copied().filter(|(latest, _)| *latest <= now)?;
        self.take(place)
    }

    /// Removes any row; `None` once there is none.
    pub(super) fn take_any(&mut self) -> Option<Box<StartedRow>> {
        self.take_ready().or_else(|| self.backing_off.pop_first().map(|(_, row)| row))
    }

    /// When the next backoff ends, or the next row becomes overdue.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let backoff = self.backing_off.first_key_value().map(|((due, _), _)| *due);
        let overdue = self.latest.first().map(|(latest, _)| *latest);
        backoff.into_iter().chain(overdue).min()
    }

    fn take(&mut self, place: Place) -> Option<Box<StartedRow>> {
        let row = self.ready.remove(&place)?;
        if let Some(latest) = row.state.latest_send() {
            self.latest.remove(&(latest, place));
        }
        Some(row)
    }

    fn arrival(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use csv::ByteRecord;

    use super::*;
    use crate::domain::{Action, Origin, RowNumber};
    use crate::run::row_state::RowState;
    use crate::run::script::{PATIENCE, user};

    const SECOND: Duration = Duration::from_secs(1);

    /// A row whose first request was sent at `sent`.
    fn started(number: u64, sent: Instant) -> Box<StartedRow> {
        let action = Action::Read(user(number));
        let mut state = RowState::new(action, PATIENCE, false, None);
        state.count(sent, sent);
        Box::new(StartedRow {
            number: RowNumber(number),
            origin: Origin::default(),
            state,
            carried: ByteRecord::new(),
            has_faulted: false,
            slot: None,
        })
    }

    fn numbers(waiting: &mut WaitingRows) -> Vec<u64> {
        std::iter::from_fn(|| waiting.take_ready()).map(|row| row.number.0).collect()
    }

    #[test]
    fn second_calls_come_before_retries_and_each_in_the_order_of_arrival() {
        let now = Instant::now();
        let mut waiting = WaitingRows::default();
        for (number, priority) in [(1, Priority::Retry), (2, Priority::SecondCall), (3, Priority::Retry), (4, Priority::SecondCall)] {
            waiting.make_ready(started(number, now), priority);
        }
        assert_eq!((waiting.len(), waiting.first_ready().map(|row| row.number.0)), (4, Some(2)));
        assert_eq!(numbers(&mut waiting), [2, 4, 1, 3]);
        assert!(waiting.is_empty() && waiting.next_due().is_none());
    }

    #[test]
    fn a_row_is_ready_once_its_backoff_has_passed_and_not_before() {
        let now = Instant::now();
        let mut waiting = WaitingRows::default();
        waiting.back_off(started(1, now), now + 3 * SECOND);
        waiting.back_off(started(2, now), now + SECOND);
        assert_eq!(waiting.next_due(), Some(now + SECOND));
        waiting.wake(now + SECOND - Duration::from_millis(1));
        assert!(waiting.first_ready().is_none());
        waiting.wake(now + 2 * SECOND);
        assert_eq!((numbers(&mut waiting), waiting.next_due()), (vec![2], Some(now + 3 * SECOND)));
        waiting.wake(now + 3 * SECOND);
        assert_eq!(numbers(&mut waiting), [1]);
    }

    #[test]
    fn a_ready_row_is_overdue_a_second_before_its_time_is_over() {
        let now = Instant::now();
        let mut waiting = WaitingRows::default();
        waiting.make_ready(started(1, now + SECOND), Priority::Retry);
        waiting.make_ready(started(2, now), Priority::Retry);
        let latest = now + PATIENCE.give_up_after - SECOND;
        assert_eq!(waiting.next_due(), Some(latest));
        assert!(waiting.take_overdue(latest - Duration::from_millis(1)).is_none());
        assert_eq!(waiting.take_overdue(latest).map(|row| row.number.0), Some(2));
        assert!(waiting.take_overdue(latest).is_none());
        assert_eq!(numbers(&mut waiting), [1]);
        assert!(waiting.take_overdue(latest + SECOND).is_none(), "a row that was taken out is not overdue");
    }

    #[test]
    fn every_row_can_be_taken_out() {
        let now = Instant::now();
        let mut waiting = WaitingRows::default();
        waiting.back_off(started(1, now), now + SECOND);
        waiting.make_ready(started(2, now), Priority::Retry);
        let taken: Vec<u64> = std::iter::from_fn(|| waiting.take_any()).map(|row| row.number.0).collect();
        assert_eq!((taken, waiting.len()), (vec![2, 1], 0));
    }
}
