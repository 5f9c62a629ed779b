//! Counts requests and the statuses of their answers.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use super::answer::Reply;

/// Counts of all requests, token requests included.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) throttled: AtomicU64,
    /// How often all requests were held back after a 429.
    pub(crate) holds: AtomicU64,
    /// The requests for rows, out of `sent`.
    pub(crate) for_users: AtomicU64,
    /// The number of answers with each status; `None` counts requests without an answer.
    statuses: Mutex<BTreeMap<Option<u16>, u64>>,
}

impl Traffic {
    pub(super) fn answered(&self, reply: &Reply) {
        let status = reply.as_ref().ok().map(|answer| answer.status);
        *self.statuses.lock().expect("no panic while it is held").entry(status).or_default() += 1;
    }

    /// The number of answers with each status that occurred; `None` counts requests without an answer.
    pub(crate) fn statuses(&self) -> BTreeMap<Option<u16>, u64> {
        self.statuses.lock().expect("no panic while it is held").clone()
    }
}
