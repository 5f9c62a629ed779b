//! How long a row waits after a fault: exponentially longer each time, with full jitter, so that rows that failed
//! together do not come back together.

use std::time::Duration;

/// Upper bound of the wait before the first retry. From Ping's own Go client, which begins with 1 s.
const FIRST: Duration = Duration::from_secs(1);
/// Upper bound of any wait, except a `Retry-After`. From the contract and Ping's own Go client.
const CAP: Duration = Duration::from_secs(30);

/// The waits of one row: random in `[0, min(30 s, 1 s · 2^faults))`.
#[derive(Debug)]
pub(crate) struct Backoff {
    faults: u32,
    random: fastrand::Rng,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { faults: 0, random: fastrand::Rng::new() }
    }

    /// How many faults there have been.
    pub(crate) fn faults(&self) -> u32 {
        self.faults
    }

    /// The wait after another fault; at least what the server asked for, if it did.
    pub(crate) fn after_fault(&mut self, retry_after: Option<Duration>) -> Duration {
        let most = FIRST.saturating_mul(1 << self.faults.min(16)).min(CAP);
        self.faults += 1;
        most.mul_f64(self.random.f64()).max(retry_after.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_stay_under_the_doubling_and_the_cap(seed in any::<u64>()) {
            let mut backoff = Backoff { faults: 0, random: fastrand::Rng::with_seed(seed) };
            for most in [1, 2, 4, 8, 16, 30, 30, 30, 30] {
                prop_assert!(backoff.after_fault(None) < Duration::from_secs(most));
            }
        }

        #[test]
        fn a_retry_after_is_honoured(seconds in 0_u64..100_000, seed in any::<u64>()) {
            let mut backoff = Backoff { faults: 0, random: fastrand::Rng::with_seed(seed) };
            let asked = Duration::from_secs(seconds);
            prop_assert!(backoff.after_fault(Some(asked)) >= asked);
        }
    }

    #[test]
    fn the_jitter_is_full() {
        let draws: Vec<_> = (0..1000).map(|seed| Backoff { faults: 0, random: fastrand::Rng::with_seed(seed) }.after_fault(None)).collect();
        assert!(draws.iter().any(|wait| *wait < FIRST.mul_f64(0.05)));
        assert!(draws.iter().any(|wait| *wait > FIRST.mul_f64(0.95)));
    }

    #[test]
    fn the_longest_wait_doubles_with_each_fault_up_to_the_cap() {
        let mut rows: Vec<Backoff> = (0..300).map(|seed| Backoff { faults: 0, random: fastrand::Rng::with_seed(seed) }).collect();
        for most in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let longest = rows.iter_mut().map(|row| row.after_fault(None).as_secs_f64()).fold(0.0, f64::max);
            assert!(longest > 0.95 * most && longest < most, "{longest} of {most}");
        }
    }

    #[test]
    fn faults_are_counted() {
        let mut backoff = Backoff::new();
        for faults in 0..40 {
            assert_eq!(backoff.faults(), faults);
            backoff.after_fault(Some(Duration::from_secs(1)));
        }
    }
}
