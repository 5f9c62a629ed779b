//! Counts requests and the statuses of their answers.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::answer::Reply;

/// Counts of all requests, token requests included.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) throttled: AtomicU64,
    /// The holds after a 429.
    holds: Mutex<Holds>,
    /// The requests for rows, out of `sent`.
    pub(crate) for_users: AtomicU64,
    /// The number of answers with each status; `None` counts requests without an answer.
    statuses: Mutex<BTreeMap<Option<u16>, u64>>,
}

/// How often all requests were held back after a 429, and when.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holds {
    pub(crate) count: u64,
    /// When the first of them began, by PingOne's time, and how long each was to last.
    pub(crate) first: Vec<(DateTime<Utc>, Duration)>,
}

/// How many holds are kept with their times, so that memory stays bounded however long a run is throttled.
pub(crate) const MOST_HOLDS: usize = 100;

impl Traffic {
    pub(super) fn held(&self, at: DateTime<Utc>, length: Duration) {
        let mut holds = self.holds.lock().expect("no panic while it is held");
        holds.count += 1;
        if holds.first.len() < MOST_HOLDS {
            holds.first.push((at, length));
        }
    }

    pub(crate) fn holds(&self) -> Holds {
        self.holds.lock().expect("no panic while it is held").clone()
    }

    pub(super) fn answered(&self, reply: &Reply) {
        let status = reply.as_ref().ok().map(|answer| answer.status);
        *self.statuses.lock().expect("no panic while it is held").entry(status).or_default() += 1;
    }

    /// The number of answers with each status that occurred; `None` counts requests without an answer.
    pub(crate) fn statuses(&self) -> BTreeMap<Option<u16>, u64> {
        self.statuses.lock().expect("no panic while it is held").clone()
    }
}
