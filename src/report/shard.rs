//! The shard in a run's record, and the shards in a merged one.

use serde::{Deserialize, Serialize};

use super::evidence::{ConfirmationRecord, HoldsRecord, OperatorRecord, RequestsRecord};
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

/// A shard in the record of a merged report: its process, and its report as it was then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MergedShard {
    /// From 0.
    pub(crate) index: u64,
    pub(crate) run_id: String,
    pub(crate) started_at: String,
    pub(crate) finished_at: Option<String>,
    #[serde(default)]
    pub(crate) operator: OperatorRecord,
    #[serde(default)]
    pub(crate) confirmed: ConfirmationRecord,
    pub(crate) reason: Option<String>,
    pub(crate) requests: RequestsRecord,
    #[serde(default)]
    /// Their number and length. The record has the first of all shards with their times.
    pub(crate) holds: HoldsRecord,
    pub(crate) report: ShardReport,
}

/// The report of a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShardReport {
    /// Where it was when it was merged.
    pub(crate) path: String,
    pub(crate) sha256: String,
    pub(crate) rows: u64,
}
