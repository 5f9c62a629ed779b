//! How many requests a second were being let in, just before one was not?

use std::collections::VecDeque;
use std::time::Duration;

/// How many requests were admitted, by when they were sent.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    /// The number of a slot of time, and how many; in order.
    slots: VecDeque<(u32, u32)>,
    first: Option<Duration>,
}

/// How long a slot is.
const SLOT: Duration = Duration::from_millis(50);
/// How far back is remembered: no measure is taken over longer.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How many requests tell a rate, at least.
const ENOUGH: f64 = 10.0;
/// The shortest time over which a rate is measured: limits are by the second, or longer.
const SHORTEST: Duration = Duration::from_secs(1);

impl Admitted {
    fn slot(at: Duration) -> u32 {
        u32::try_from(at.as_millis() / SLOT.as_millis()).unwrap_or(u32::MAX)
    }

    pub(super) fn add(&mut self, sent: Duration) {
        self.first.get_or_insert(sent);
        let slot = Self::slot(sent);
        match self.slots.iter_mut().rev().find(|(at, _)| *at <= slot) {
            Some((at, count)) if *at == slot => *count += 1,
            _ => {
                let place = self.slots.partition_point(|(at, _)| *at < slot);
                self.slots.insert(place, (slot, 1));
            }
        }
        let oldest = Self::slot(sent.saturating_sub(REMEMBERED));
        while self.slots.front().is_some_and(|(at, _)| *at < oldest) {
            self.slots.pop_front();
        }
    }

    /// How many were admitted that were sent after `refused` was.
    pub(super) fn since(&self, refused: Duration) -> u32 {
        let slot = Self::slot(refused);
        self.slots.iter().rev().take_while(|(at, _)| *at > slot).map(|(_, count)| count).sum()
    }

    /// How many a second were admitted before `refused` was sent, and after the last hold, which ended at
    /// `held_to`; `None` if none were. A wait of so long tells over what time the server counts; requests were
    /// sent at `rate`.
    pub(super) fn rate_before(&self, refused: Duration, rate: f64, wait: Duration, held_to: Duration) -> Option<f64> {
        let from = self.first.unwrap_or(refused).max(held_to);
        let span = wait.max(enough_at(rate)).min(refused.saturating_sub(from)).clamp(SHORTEST, REMEMBERED);
        let count = self.count(refused.saturating_sub(span), refused);
        // Half of one more, since an interval is open at either end.
        (count > 0).then(|| (f64::from(count) + 0.5) / span.as_secs_f64())
    }

    /// How many a second were admitted until `now`, at a working rate of `rate`.
    pub(super) fn rate_until(&self, now: Duration, rate: f64) -> f64 {
        let span = enough_at(rate).clamp(2 * SHORTEST, REMEMBERED);
        f64::from(self.count(now.saturating_sub(span), now)) / span.as_secs_f64()
    }

    fn count(&self, from: Duration, to: Duration) -> u32 {
        let slots = Self::slot(from)..=Self::slot(to);
        self.slots.iter().filter(|(at, _)| slots.contains(at)).map(|(_, count)| count).sum()
    }
}

/// How long it takes to send enough requests at `rate` to tell a rate from them.
fn enough_at(rate: f64) -> Duration {
    Duration::from_secs_f64((ENOUGH / rate).min(REMEMBERED.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_rate_is_measured_over_the_time_that_the_server_counts_by() {
        let mut admitted = Admitted::default();
        let at = Duration::from_millis;
        // Ten a second for a minute, in whatever order the answers come.
        (0..600).rev().for_each(|nth| admitted.add(at(nth * 100)));
        for (wait, held_to) in [(0, 0), (1, 0), (30, 0), (3000, 0), (30, 50), (30, 70)] {
            let rate = admitted.rate_before(at(60_000), 10.0, SECOND * wait, SECOND * held_to).expect("some were let in");
            assert!((9.0..12.0).contains(&rate), "{wait} {held_to}: {rate}");
        }
    }

    #[test]
    fn what_was_let_in_within_less_than_a_second_is_that_many_a_second() {
        let mut admitted = Admitted::default();
        (0..100).for_each(|nth| admitted.add(Duration::from_millis(nth)));
        let rate = admitted.rate_before(Duration::from_millis(100), 1000.0, 30 * SECOND, Duration::ZERO).expect("some were let in");
        assert!((100.0..101.0).contains(&rate), "{rate}");
    }

    #[test]
    fn no_more_than_a_minute_is_remembered() {
        let mut admitted = Admitted::default();
        (0..100_000).for_each(|nth| admitted.add(Duration::from_millis(nth * 10)));
        assert!(admitted.slots.len() <= 1202, "{}", admitted.slots.len());
    }
}
