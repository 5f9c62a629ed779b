//! The time of the run: this machine's clock, read once and then advanced by the monotonic clock, so that it does not
//! jump during a run; corrected to PingOne's clock once an answer has stated its time.
//!
//! End dates are instants on PingOne's clock. A local clock that is a month ahead would turn `+4h` into a month and four hours.

use std::fmt;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use tokio::time::Instant;

use crate::platform::suspended;

/// PingOne states its time to the second, and an answer takes a while: clocks this close count as equal.
pub(crate) const GOOD_TO: Duration = Duration::from_secs(2);

/// A clock that does not jump.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    read: DateTime<Utc>,
    at: Instant,
    /// How long the machine had been suspended by then, since it was booted.
    slept: Duration,
}

/// The difference between a local clock and PingOne's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offset {
    pub(crate) off: Duration,
    pub(crate) side: Side,
}

/// Whether the local clock is ahead of PingOne's or behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Ahead,
    Behind,
}

/// This machine's clock shows a time before 1970, which dates cannot be counted from.
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
    /// This machine's clock.
    pub(crate) fn of_this_machine() -> Result<Self, Before1970> {
        Self::reading(SystemTime::now())
    }

    /// A clock that shows `time` now.
    pub(crate) fn reading(time: SystemTime) -> Result<Self, Before1970> {
        // `Utc::now` would panic.
        if time < SystemTime::UNIX_EPOCH { Err(Before1970) } else { Ok(Self { read: time.into(), at: Instant::now(), slept: suspended() }) }
    }

    /// The time now.
    pub(crate) fn now(self) -> DateTime<Utc> {
        let since = self.at.elapsed() + suspended().saturating_sub(self.slept);
        let since = TimeDelta::from_std(since).unwrap_or(TimeDelta::MAX);
        self.read.checked_add_signed(since).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// The time now, in whole milliseconds, as the record holds it.
    pub(crate) fn millis(self) -> DateTime<Utc> {
        let now = self.now();
        now.duration_trunc(TimeDelta::milliseconds(1)).unwrap_or(now)
    }

    /// The offset of this clock from one that shows `there` now.
    pub(crate) fn offset(self, there: SystemTime) -> Offset {
        // Not via `DateTime`, whose range is smaller.
        match SystemTime::from(self.now()).duration_since(there) {
            Ok(off) => Offset { off, side: Side::Ahead },
            Err(behind) => Offset { off: behind.duration(), side: Side::Behind },
        }
    }

    /// PingOne's clock, given this clock's offset from it; unchanged if the offset is too small to be measured.
    pub(crate) fn corrected(self, offset: Offset) -> Self {
        if offset.off <= GOOD_TO {
            return self;
        }
        Self { read: self.read.checked_sub_signed(offset.signed()).unwrap_or(self.read), ..self }
    }
}

impl Offset {
    /// Positive if the local clock is ahead.
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
    fn a_clock_before_1970_is_refused_without_a_panic() {
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
