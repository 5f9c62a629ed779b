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

/// The share of the ceiling that is worked at: what the jitter of a network adds to evenly spaced requests
/// stays under the ceiling.
const UNDER: f64 = 0.97;
/// The share of the working rate that is left where that was refused itself.
const LOWER: f64 = 0.95;
/// The same if it was refused soon.
const MUCH_LOWER: f64 = 0.85;
/// An episode that begins within so many holds of the last one comes soon.
const SOON: f64 = 1.5;
/// Ceilings within this share of each other are the same.
const SAME: f64 = 0.15;
/// The first step up, as a share of the ceiling; each further one is twice as large.
const STEP: f64 = 0.03;
/// A rate so far above the ceiling that was not refused shows that the limit has risen.
const RISEN: f64 = 1.08;
/// How long between two steps, and how many requests at least.
const BETWEEN: Duration = Duration::from_millis(1250);
const BETWEEN_REQUESTS: f64 = 20.0;
/// Where the limit is known to have been higher, so much of the way back is taken at a time.
const BACK: f64 = 0.7;
/// Patience with a ceiling, in holds: the longer a 429 costs, the less it is risked.
const PATIENCE: f64 = 25.0;
/// With one that has just fallen, which may be somebody else's for a while only.
const PATIENCE_WHEN_FALLEN: f64 = 3.0;
/// Patience grows with the time for which a ceiling has been the same, by this share of it.
const STEADY: f64 = 0.25;
/// Nobody is more patient.
const MOST_PATIENT: Duration = Duration::from_secs(600);
/// How long everybody waits after a 429 that does not say how long; doubled each time that nothing was
/// admitted since.
const UNSAID: Duration = Duration::from_secs(1);
const MOST_UNSAID: Duration = Duration::from_secs(30);
/// A hold lasts longer than the server asks for, by at least and at most this share: its clock is not ours,
/// and several runs of a licence are not to come back in step.
const MARGIN: (f64, f64) = (0.02, 0.10);
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
}

/// The rate that was found to be the most.
#[derive(Debug, Default)]
struct Ceiling {
    rate: f64,
    /// A higher one that was found before.
    former: Option<f64>,
    /// When it was first found, or one that is the same.
    since: Duration,
    /// What a 429 costs.
    hold: Duration,
    /// The least patience with it, in holds.
    patience: f64,
    /// A rate that was kept up without a 429; 0 if none was.
    proven: f64,
    /// Whether a step up has been taken since the last 429.
    is_seeking: bool,
    /// When the next one is taken, and how large it is.
    next: Duration,
    step: f64,
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
            unsaid: 0,
            admitted_since: false,
        }
    }

    /// A request that was sent then was not refused for the rate.
    pub(super) fn admitted(&mut self, sent: Duration) {
        self.admitted.add(sent);
        self.admitted_since = true;
        if self.hold.is_none() {
            self.unsaid = 0;
        }
    }

    /// A request that was `sent` then was refused for the rate `now`, and everybody is to `wait`. `jitter` is
    /// in `[0, 1)`. Tells how long requests are held back, if this begins a hold.
    pub(super) fn refused(&mut self, sent: Duration, now: Duration, wait: Option<Duration>, jitter: f64) -> Option<Duration> {
        let wait = wait.unwrap_or_else(|| UNSAID.saturating_mul(1 << self.unsaid.min(8)).min(MOST_UNSAID));
        let is_new = self.hold_back(now, wait, jitter);
        if let Some(hold) = self.hold.as_mut().filter(|_| sent >= self.episode) {
            let first = hold.refused.get_or_insert(sent);
            *first = sent.min(*first);
            if is_new {
                self.episode = now;
                if !std::mem::take(&mut self.admitted_since) {
                    self.unsaid += 1;
                }
            }
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
            return false;
        }
        self.end_hold(now);
        self.hold = Some(Hold { from: now, wait, until, refused: None });
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
        let measured = self.admitted.rate_before(refused, hold.wait, self.held_to);
        let found = self.rate.min(measured);
        let before = self.ceiling.take();
        let proven = before.as_ref().map_or(0.0, |ceiling| ceiling.proven);
        let is_soon = hold.from.saturating_sub(self.held_to) < hold.wait.mul_f64(SOON);
        self.rate = if proven < self.rate && proven >= found * (1.0 - SAME) {
            // A step too high: what was fine before is fine again.
            proven.min(found * UNDER)
        } else if measured < self.rate * (1.0 - SAME) {
            found * UNDER
        } else if is_soon {
            // What was thought to be low enough is far from it.
            found * MUCH_LOWER
        } else {
            found * LOWER
        };
        self.rate = self.rate.max(LEAST).min(self.most);
        self.ceiling = Some(Ceiling::found(found, before, hold.wait, now));
    }

    /// Takes a step up if it is time to.
    fn seek(&mut self, now: Duration) {
        let most = self.most;
        if let Some(ceiling) = self.ceiling.as_mut().filter(|ceiling| now >= ceiling.next && self.rate < most) {
            self.rate = ceiling.above(self.rate, now).clamp(self.rate, most);
        }
    }
}

impl Ceiling {
    /// A ceiling that was found `now`, after another or as the first, at the cost of a `hold`.
    fn found(rate: f64, before: Option<Self>, hold: Duration, now: Duration) -> Self {
        let new = |former, patience| Self { rate, former, since: now, hold, patience, ..Self::default() };
        let ceiling = match before {
            Some(before) if (rate / before.rate - 1.0).abs() <= SAME => Self { rate, hold, ..before },
            Some(before) if rate < before.rate => {
                let lasted = now.saturating_sub(before.since) >= hold.mul_f64(PATIENCE_WHEN_FALLEN);
                let former = before.former.or(lasted.then_some(before.rate));
                new(former, if former.is_some() { PATIENCE_WHEN_FALLEN } else { PATIENCE })
            }
            // Risen, perhaps to what it was.
            Some(before) => new(before.former.filter(|former| rate < former * (1.0 - SAME)), PATIENCE),
            None => new(None, PATIENCE),
        };
        ceiling.waiting(now)
    }

    /// The ceiling, with patience from now on.
    fn waiting(self, now: Duration) -> Self {
        let patience = now.saturating_sub(self.since).mul_f64(STEADY).max(self.hold.mul_f64(self.patience)).min(MOST_PATIENT);
        Self { proven: 0.0, is_seeking: false, next: now + patience, step: self.rate * STEP, ..self }
    }

    /// The next rate above `rate`, which was not refused.
    fn above(&mut self, rate: f64, now: Duration) -> f64 {
        let has_risen = rate >= self.rate * RISEN;
        if !self.is_seeking || has_risen {
            self.proven = rate;
        }
        self.is_seeking = true;
        self.next = now + BETWEEN.max(Duration::from_secs_f64(BETWEEN_REQUESTS / rate));
        match self.former.filter(|_| has_risen) {
            // Most of the way to where the limit was, and there it waits again.
            Some(former) if rate < former * (1.0 - SAME) => (former * UNDER - rate).mul_add(BACK, rate),
            Some(former) => {
                *self = Self { rate: former, since: now, hold: self.hold, patience: PATIENCE, ..Self::default() }.waiting(now);
                former * UNDER
            }
            None => {
                let higher = rate + self.step;
                self.step *= 2.0;
                higher
            }
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
