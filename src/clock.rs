//! What time is it? By the clock of this machine, read once and carried on by the system's monotonic clock, so that it
//! does not jump during a run; and by PingOne's, as soon as an answer has told its time.
//!
//! An end date is an instant of PingOne's. A clock here that is a month ahead would make `+4h` a month and four hours.

use std::fmt;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use tokio::time::Instant;

/// PingOne tells its time to the second, and the answer takes a while: clocks that differ by no more are the same.
pub(crate) const GOOD_TO: Duration = Duration::from_secs(2);

/// Two clocks that are read one after the other may differ by so much.
const SHORTEST_SLEEP: Duration = Duration::from_millis(100);

/// A clock that does not jump.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    read: DateTime<Utc>,
    at: Instant,
    /// For how long the machine had slept until then, since it was started.
    slept: Duration,
}

/// How far a clock here is from PingOne's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offset {
    /// By how much.
    pub(crate) off: Duration,
    pub(crate) side: Side,
}

/// On which side of PingOne's clock the one here is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It is ahead.
    Ahead,
    /// It is behind.
    Behind,
}

/// The clock of this machine tells no time that dates can be counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Before1970;

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ahead => "ahead of",
            Self::Behind => "behind",
        })
    }
}

impl Clock {
    /// The clock of this machine.
    pub(crate) fn of_this_machine() -> Result<Self, Before1970> {
        Self::reading(SystemTime::now())
    }

    /// A clock that tells the `time` now.
    pub(crate) fn reading(time: SystemTime) -> Result<Self, Before1970> {
        // `Utc::now` would panic.
        if time < SystemTime::UNIX_EPOCH { Err(Before1970) } else { Ok(Self { read: time.into(), at: Instant::now(), slept: slept() }) }
    }

    /// The time now.
    pub(crate) fn now(self) -> DateTime<Utc> {
        let since = self.at.elapsed() + slept().saturating_sub(self.slept);
        let since = TimeDelta::from_std(since).unwrap_or(TimeDelta::MAX);
        self.read.checked_add_signed(since).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Now, in whole milliseconds, as it stands in the record.
    pub(crate) fn millis(self) -> DateTime<Utc> {
        let now = self.now();
        now.duration_trunc(TimeDelta::milliseconds(1)).unwrap_or(now)
    }

    /// How far this clock is from the one that tells `there`, now.
    pub(crate) fn offset(self, there: SystemTime) -> Offset {
        // Not by way of dates, which do not reach as far.
        match SystemTime::from(self.now()).duration_since(there) {
            Ok(off) => Offset { off, side: Side::Ahead },
            Err(behind) => Offset { off: behind.duration(), side: Side::Behind },
        }
    }

    /// PingOne's clock, from which this one is so far off; the same one if that is nothing that can be told.
    pub(crate) fn corrected(self, offset: Offset) -> Self {
        if offset.off <= GOOD_TO {
            return self;
        }
        Self { read: self.read.checked_sub_signed(offset.signed()).unwrap_or(self.read), ..self }
    }
}

/// For how long the machine has slept since it was started: the monotonic clock stands still meanwhile.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn slept() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    // In this order: the second is read a little later, and no sleep is made of that.
    let (all, awake) = (read(ClockId::Boottime), read(ClockId::Monotonic));
    let slept = all.saturating_sub(awake);
    if slept < SHORTEST_SLEEP { Duration::ZERO } else { slept }
}

/// Elsewhere, the monotonic clock is taken as it is.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn slept() -> Duration {
    Duration::ZERO
}

impl Offset {
    /// Positive where the clock here is ahead.
    pub(crate) fn signed(self) -> TimeDelta {
        let off = TimeDelta::from_std(self.off).unwrap_or(TimeDelta::MAX);
        match self.side {
            Side::Ahead => off,
            Side::Behind => -off,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_clock_before_1970_is_refused_and_no_panic() {
        for before in [Duration::from_nanos(1), Duration::from_secs(1 << 40)] {
            assert_eq!(Clock::reading(SystemTime::UNIX_EPOCH - before).err(), Some(Before1970));
        }
        assert_eq!(Clock::reading(at(0)).expect("an instant").read, DateTime::UNIX_EPOCH);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_goes_on_evenly_and_can_be_corrected() {
        let clock = Clock::reading(at(1_000_000)).expect("an instant");
        tokio::time::advance(Duration::from_millis(90_500)).await;
        assert_eq!(clock.now().timestamp_millis(), 1_000_090_500);
        for (there, off, side, corrected) in [
            (1_000_089, 1500, Side::Ahead, 1_000_090_500),
            (1_000_080, 10_500, Side::Ahead, 1_000_080_000),
            (1_000_093, 2500, Side::Behind, 1_000_093_000),
            (0, 1_000_090_500, Side::Ahead, 0),
        ] {
            let offset = clock.offset(at(there));
            assert_eq!(offset, Offset { off: Duration::from_millis(off), side });
            assert_eq!(clock.corrected(offset).now().timestamp_millis(), corrected, "{there}");
        }
    }
}
