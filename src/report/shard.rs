//! The shard in a run's record.

use serde::{Deserialize, Serialize};

use crate::domain::{NotAShard, Shard};

/// A shard of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "ShardFields", try_from = "ShardFields")]
pub(crate) struct ShardRecord(pub(crate) Shard);

/// A [`ShardRecord`] as it is written.
#[derive(Serialize, Deserialize)]
struct ShardFields {
    /// From 0.
    index: u64,
    count: u64,
}

impl From<ShardRecord> for ShardFields {
    fn from(ShardRecord(shard): ShardRecord) -> Self {
        Self { index: shard.index(), count: shard.count() }
    }
}

impl TryFrom<ShardFields> for ShardRecord {
    type Error = NotAShard;

    fn try_from(ShardFields { index, count }: ShardFields) -> Result<Self, NotAShard> {
        format!("{index}/{count}").parse().map(Self)
    }
}
