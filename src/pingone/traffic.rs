//! Counts requests and the statuses of their answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

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
    statuses: Statuses,
}

/// The number of answers with each status; index 0 counts requests without an answer.
#[derive(Debug)]
struct Statuses(Box<[AtomicU64]>);

impl Default for Statuses {
    /// A counter for every HTTP status: three digits.
    fn default() -> Self {
        Self((0..1000).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Traffic {
    pub(super) fn answered(&self, reply: &Reply) {
        let status = reply.as_ref().map_or(0, |answer| usize::from(answer.status));
        self.statuses.0[status].fetch_add(1, Ordering::Relaxed);
    }

    /// The number of answers with each status that occurred; `None` counts requests without an answer.
    pub(crate) fn statuses(&self) -> BTreeMap<Option<u16>, u64> {
        let counts = (0..).zip(&self.statuses.0).map(|(status, count)| (Some(status).filter(|status| *status > 0), count));
        counts.map(|(status, count)| (status, count.load(Ordering::Relaxed))).filter(|(_, count)| *count > 0).collect()
    }
}
