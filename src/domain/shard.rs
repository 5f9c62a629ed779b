//! The share of an input's rows that one of several processes carries out.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use super::{RowNumber, quote};

/// The most shards of a run. `merge` keeps a file of each open, and beyond a few addresses more processes do not help.
const MOST_SHARDS: u32 = 1000;

/// Every Nth row, from row K + 1: shard `K/N`, with K from 0. The default is shard `0/1`, all rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    index: u64,
    count: NonZeroU32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a shard: expected a form such as `0/8`, which is the first of eight, with N up to {MOST_SHARDS} and K from 0 to N - 1", quote(.0))]
pub(crate) struct NotAShard(String);

impl Shard {
    /// Its place among the shards, from 0.
    pub(crate) fn index(self) -> u64 {
        self.index
    }

    /// The number of shards, at least 1.
    pub(crate) fn count(self) -> u64 {
        self.processes().into()
    }

    /// The number of processes that share the rate and the limit: one for each shard.
    pub(crate) fn processes(self) -> u32 {
        self.count.get()
    }

    /// Whether it has the row.
    pub(crate) fn includes(self, row: RowNumber) -> bool {
        row.0 > self.index && (row.0 - 1 - self.index).is_multiple_of(self.count())
    }

    /// The number of its rows, of an input with this many `rows`.
    pub(crate) fn rows_of(self, rows: u64) -> u64 {
        rows.saturating_sub(self.index).div_ceil(self.count())
    }

    /// The number of its `nth` row, from 1.
    pub(crate) fn nth(self, nth: u64) -> RowNumber {
        RowNumber(self.index + 1 + (nth - 1) * self.count())
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self { index: 0, count: NonZeroU32::MIN }
    }
}

impl FromStr for Shard {
    type Err = NotAShard;

    fn from_str(text: &str) -> Result<Self, NotAShard> {
        let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let parsed = text.split_once('/').and_then(|(index, count)| Some((number(index)?, NonZeroU32::new(number(count)?)?)));
        match parsed {
            Some((index, count)) if index < count.get() && count.get() <= MOST_SHARDS => Ok(Self { index: index.into(), count }),
            Some(_) | None => Err(NotAShard(text.to_owned())),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shard(text: &str) -> Shard {
        text.parse().expect("a shard")
    }

    #[test]
    fn a_shard_is_written_as_it_is_read_and_nothing_else_is_one() {
        for good in ["0/1", "0/8", "7/8", "999/1000"] {
            assert_eq!(shard(good).to_string(), good);
        }
        for bad in
            ["", "1", "8/8", "1/0", "0/0", "-1/8", "+1/8", "1/8/2", " 1/8", "1 /8", "1.0/8", "a/b", "0/1001", "99999999999999999999/8"]
        {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn each_row_is_in_one_shard_and_counted_there(count in 1..50_u64, rows in 0..200_u64) {
            let shards: Vec<Shard> = (0..count).map(|index| shard(&format!("{index}/{count}"))).collect();
            for row in 1..=rows {
                prop_assert_eq!(shards.iter().filter(|shard| shard.includes(RowNumber(row))).count(), 1);
            }
            prop_assert_eq!(shards.iter().map(|shard| shard.rows_of(rows)).sum::<u64>(), rows);
            for shard in &shards {
                let own: Vec<u64> = (1..=rows).filter(|row| shard.includes(RowNumber(*row))).collect();
                prop_assert_eq!(&own, &(1..=shard.rows_of(rows)).map(|nth| shard.nth(nth).0).collect::<Vec<u64>>());
            }
        }
    }
}
