//! How fast may requests be sent, as far as 429s have taught? Pure: what happened and when in, a rate out.
//!
//! A 429 begins an *episode*. Everybody is held back until its `Retry-After` has passed; what comes of
//! requests that were sent before belongs to the same episode. When the hold ends, the *ceiling* is known: as
//! many requests a second as were being admitted. The working rate falls to a little under it, stays there
//! for as long as it is *patient*, and then seeks its way up in steps: small ones up to the ceiling, since the
//! next 429 costs another hold, and larger ones above it, where the limit has evidently risen. Patience grows with
//! the time for which the ceiling has been the same. The working rate is never above the one asked for.

use std::time::Duration;

use super::admitted::Admitted;
use super::ceiling::{Ceiling, SAME, UNDER};

/// The share of the working rate that is left where that was refused itself.
const LOWER: f64 = 0.95;
/// The same if it was refused soon.
const MUCH_LOWER: f64 = 0.85;
/// Fewer of those sent since the first that was refused may have been refused by chance, or for what others
/// send…
const MANY: f64 = 0.25;
/// …and then the working rate falls to no less than this share of what was evident before: a window may have
/// let in two seconds' worth within one…
const CHANCE: f64 = 0.45;
/// …unless it happens so many times in a row.
const STRIKES: u32 = 6;
/// An episode that begins within so many holds of the last one comes soon.
const SOON: f64 = 1.5;
/// How long everybody waits after a 429 that does not say how long; doubled each time that nothing was
/// admitted since.
const UNSAID: Duration = Duration::from_secs(1);
const MOST_UNSAID: Duration = Duration::from_secs(30);
/// A hold lasts longer than the server asks for, by at least and at most this share: its clock is not ours,
/// and several runs of a licence are not to come back in step.
const MARGIN: (f64, f64) = (0.02, 0.10);
/// So much of a rate must have been made use of before a higher one is tried.
const USED: f64 = 0.5;
/// No rate that is tried is higher, in requests a second: the highest that may be asked for.
const MOST: f64 = 100_000.0;
/// No rate is lower, in requests a second.
const LEAST: f64 = 0.05;

/// What 429s have taught.
#[derive(Debug)]
pub(super) struct Throttle {
    /// The rate asked for; infinite if there is none.
    most: f64,
    /// The working rate.
    rate: f64,
    admitted: Admitted,
    hold: Option<Hold>,
    /// When the last hold ended.
    held_to: Duration,
    /// When the last episode began: what was sent before belongs to it.
    episode: Duration,
    ceiling: Option<Ceiling>,
    /// The last rate above which many were refused, or the highest at which any was.
    evident: f64,
    /// Episodes in a row that came soon.
    strikes: u32,
    /// Episodes in a row that did not say how long to wait, and before which nothing was admitted.
    unsaid: u32,
    admitted_since: bool,
}

/// A hold that is on.
#[derive(Debug)]
struct Hold {
    from: Duration,
    /// How long the server asked for.
    wait: Duration,
    until: Duration,
    /// When the first request was sent that was refused; `None` if no request of ours shows the rate.
    refused: Option<Duration>,
    /// How many were refused.
    count: u32,
}

impl Hold {
    /// Whether so many were refused that it was no chance, where others that were sent since were `let_in`.
    fn is_of_many(&self, let_in: u32) -> bool {
        self.count > 1 && f64::from(self.count) >= MANY * f64::from(self.count + let_in)
    }
}

impl Throttle {
    /// Works at the rate that is asked for, in requests a second, until a 429 comes.
    pub(super) fn new(most: f64) -> Self {
        Self {
            most,
            rate: most,
            admitted: Admitted::default(),
            hold: None,
            held_to: Duration::ZERO,
            episode: Duration::ZERO,
            ceiling: None,
            evident: 0.0,
            strikes: 0,
            unsaid: 0,
            admitted_since: false,
        }
    }

    /// A request that was sent then was not refused for the rate.
    pub(super) fn admitted(&mut self, sent: Duration) {
        self.admitted.add(sent);
        // What was sent before the last episode does not show that it is over.
        self.admitted_since |= sent >= self.episode;
    }

    /// A request that was `sent` then was refused for the rate `now`, and everybody is to `wait`. `jitter` is
    /// in `[0, 1)`. Tells how long requests are held back, if this begins a hold.
    pub(super) fn refused(&mut self, sent: Duration, now: Duration, wait: Option<Duration>, jitter: f64) -> Option<Duration> {
        if std::mem::take(&mut self.admitted_since) {
            self.unsaid = 0;
        }
        let wait = wait.unwrap_or_else(|| UNSAID.saturating_mul(1 << self.unsaid.min(8)).min(MOST_UNSAID));
        let is_new = self.hold_back(now, wait, jitter);
        if let Some(hold) = self.hold.as_mut().filter(|hold| hold.refused.is_some() || sent >= self.episode) {
            if hold.refused.is_none() {
                self.episode = now;
                self.unsaid += 1;
            }
            hold.refused = hold.refused.min(Some(sent)).or(Some(sent));
            hold.count += 1;
        }
        is_new.then_some(wait)
    }

    /// Holds everybody back for so long, for what does not show this rate. Tells whether this begins a hold.
    pub(super) fn hold_back(&mut self, now: Duration, wait: Duration, jitter: f64) -> bool {
        let (least, most) = MARGIN;
        let until = now + wait.mul_f64(1.0 + (most - least).mul_add(jitter, least));
        if let Some(hold) = &mut self.hold
            && hold.until > now
        {
            hold.until = hold.until.max(until);
            hold.wait = hold.wait.max(wait);
            return false;
        }
        self.end_hold(now);
        self.hold = Some(Hold { from: now, wait, until, refused: None, count: 0 });
        true
    }

    /// When the hold ends that is on.
    pub(super) fn held_until(&self, now: Duration) -> Option<Duration> {
        self.hold.as_ref().map(|hold| hold.until).filter(|until| *until > now)
    }

    /// The working rate, in requests a second; infinite where no limit is known.
    pub(super) fn rate(&mut self, now: Duration) -> f64 {
        self.end_hold(now);
        if self.hold.is_none() {
            self.seek(now);
        }
        self.rate
    }

    /// Learns from a hold that is over.
    fn end_hold(&mut self, now: Duration) {
        let Some(hold) = self.hold.take_if(|hold| hold.until <= now) else {
            return;
        };
        if let Some(refused) = hold.refused {
            self.learn(&hold, refused, now);
        }
        self.held_to = hold.until;
    }

    /// Lowers the working rate after a hold whose first refused request was sent at `refused`.
    fn learn(&mut self, hold: &Hold, refused: Duration, now: Duration) {
        // Where nothing was let in, there is no rate to go by: it is somebody else's limit that was reached.
        let Some(measured) = self.admitted.rate_before(refused, self.rate, hold.wait, self.held_to) else {
            return;
        };
        let is_soon = !self.held_to.is_zero() && hold.from.saturating_sub(self.held_to) < hold.wait.mul_f64(SOON);
        self.strikes = if is_soon { self.strikes + 1 } else { 0 };
        let found = self.rate.min(measured);
        let is_lower = measured < self.rate * (1.0 - SAME);
        let is_evident = is_lower && (self.strikes >= STRIKES || hold.is_of_many(self.admitted.since(refused)));
        if is_evident || self.evident < found {
            self.evident = found;
        }
        let before = self.ceiling.take();
        let proven = before.as_ref().map_or(0.0, |ceiling| ceiling.proven);
        self.rate = if proven < self.rate && proven >= found * (1.0 - SAME) {
            // A step too high: what was fine before is fine again.
            proven.min(found * UNDER)
        } else if is_evident {
            found * UNDER
        } else {
            let share = if is_lower {
                UNDER
            } else if is_soon {
                MUCH_LOWER
            } else {
                LOWER
            };
            (found * share).max(self.evident * CHANCE).min(self.rate)
        };
        self.rate = self.rate.max(LEAST).min(self.most);
        let ceiling = Ceiling::found(found, before, hold.wait, now);
        self.ceiling = Some(if is_lower && !is_evident { ceiling.doubted(now) } else { ceiling });
    }

    /// Takes a step up if it is time to.
    fn seek(&mut self, now: Duration) {
        let most = self.most.min(MOST);
        if let Some(ceiling) = self.ceiling.as_mut().filter(|ceiling| now >= ceiling.next && self.rate < most)
            // A rate that was not made use of proves nothing.
            && self.admitted.rate_until(now, self.rate) >= self.rate * USED
        {
            self.rate = ceiling.above(self.rate, now).clamp(self.rate, most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_429_holds_for_a_little_longer_than_it_asks_and_a_success_does_not_lift_the_hold() {
        let mut throttle = Throttle::new(100.0);
        assert_eq!(throttle.refused(ms(0), ms(50), Some(ms(2000)), 0.5), Some(ms(2000)));
        throttle.admitted(ms(10));
        let until = throttle.held_until(ms(60)).expect("a hold");
        assert!((ms(2090)..ms(2250)).contains(&until), "{until:?}");
        assert_eq!(throttle.held_until(until), None);
    }

    #[test]
    fn what_was_sent_before_the_hold_belongs_to_its_episode() {
        let mut throttle = Throttle::new(100.0);
        (0..100).for_each(|nth| throttle.admitted(ms(nth)));
        assert!(throttle.refused(ms(100), ms(150), Some(ms(1000)), 0.0).is_some());
        assert!(throttle.refused(ms(101), ms(160), Some(ms(1000)), 0.0).is_none(), "the same hold");
        let lowered = throttle.rate(ms(3000));
        assert!(throttle.refused(ms(102), ms(3100), Some(ms(500)), 0.0).is_some(), "it waits, however late the answer");
        assert_eq!(throttle.rate(ms(3650)).to_bits(), lowered.to_bits(), "but is taught nothing new");
    }

    #[test]
    fn the_rate_falls_to_a_little_under_what_was_let_in() {
        for most in [1000.0, f64::INFINITY] {
            let mut throttle = Throttle::new(most);
            (0..200).for_each(|nth| throttle.admitted(ms(nth)));
            throttle.refused(ms(200), ms(250), Some(ms(1000)), 0.0);
            let rate = throttle.rate(ms(2000));
            assert!((185.0..200.0).contains(&rate), "{rate}");
        }
    }

    #[test]
    fn a_429_that_does_not_say_how_long_is_waited_for_longer_each_time() {
        let mut throttle = Throttle::new(100.0);
        let (mut now, mut waits) = (ms(0), Vec::new());
        for _ in 0..7 {
            waits.extend(throttle.refused(now, now, None, 0.0));
            now = throttle.held_until(now).expect("a hold");
            throttle.rate(now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30].map(Duration::from_secs));
        throttle.admitted(now);
        assert_eq!(throttle.refused(now, now, None, 0.0), Some(ms(1000)));
    }

    #[test]
    fn where_nothing_was_let_in_nothing_is_learnt() {
        let mut throttle = Throttle::new(100.0);
        throttle.refused(ms(0), ms(50), Some(ms(1000)), 0.0);
        assert_eq!(throttle.rate(ms(2000)).to_bits(), 100_f64.to_bits());
    }

    #[test]
    fn a_rate_that_is_not_made_use_of_is_not_raised_and_none_is_above_the_highest() {
        for used in [false, true] {
            let mut throttle = Throttle::new(f64::INFINITY);
            (0..100).for_each(|nth| throttle.admitted(ms(nth)));
            throttle.refused(ms(100), ms(150), Some(ms(1000)), 0.0);
            let learnt = throttle.rate(ms(2000));
            for second in 2..600 {
                if used {
                    (0..200_000).step_by(500).for_each(|nth| throttle.admitted(Duration::from_micros(second * 1_000_000 + nth)));
                }
                throttle.rate(ms(second * 1000 + 900));
            }
            let rate = throttle.rate(ms(600_000));
            assert!(if used { rate > learnt && rate <= MOST } else { rate.to_bits() == learnt.to_bits() }, "{used}: {rate}");
        }
    }

    #[test]
    fn a_hold_of_another_endpoint_teaches_nothing_of_the_rate() {
        let mut throttle = Throttle::new(100.0);
        assert!(throttle.hold_back(ms(0), ms(1000), 0.0));
        assert_eq!(throttle.rate(ms(2000)).to_bits(), 100_f64.to_bits());
    }

    /// What happens, and how long after what happened before.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Admitted,
        Refused(Option<u64>),
        Asked,
    }

    fn event() -> impl Strategy<Value = (u64, Event)> {
        let what = prop_oneof![
            6 => Just(Event::Admitted),
            2 => prop::option::of(0_u64..100_000).prop_map(Event::Refused),
            4 => Just(Event::Asked),
        ];
        (0_u64..20_000, what)
    }

    proptest! {
        #[test]
        fn whatever_happens_no_rate_is_above_the_one_asked_for_and_no_hold_is_cut_short(
            events in prop::collection::vec(event(), 0..200),
            most in prop::sample::select(vec![0.001, 1.0, 50.0, 2000.0, f64::INFINITY]),
            latency in 0_u64..5000,
            jitter in 0.0..1.0,
        ) {
            let mut throttle = Throttle::new(most);
            let (mut now, mut held) = (ms(10_000), ms(0));
            for (after, event) in events {
                now += ms(after);
                let sent = now.saturating_sub(ms(latency));
                match event {
                    Event::Admitted => throttle.admitted(sent),
                    Event::Refused(wait) => {
                        throttle.refused(sent, now, wait.map(ms), jitter);
                        held = held.max(now + wait.map_or(UNSAID, ms));
                    }
                    Event::Asked => {
                        let rate = throttle.rate(now);
                        prop_assert!(rate <= most && rate >= LEAST.min(most), "{}", rate);
                    }
                }
                prop_assert!(now >= held || throttle.held_until(now).is_some_and(|until| until >= held));
            }
        }
    }
}
