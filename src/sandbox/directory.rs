//! Which users are there, and which of them can bypass MFA?

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::{Builder, Uuid};

use super::faults::drawn;
use crate::domain::{BypassUntil, UserId};

/// Of so many users of the directory one has a bypass from the start, so that an audit finds some.
const ONE_BYPASS_IN: u64 = 10;
/// How long these bypasses run.
const FIRST_BYPASSES: TimeDelta = TimeDelta::days(1);
const POPULATIONS: u64 = 3;
const GROUPS: u64 = 5;

/// The users of the sandbox.
#[derive(Debug)]
pub(super) struct Directory {
    seed: u64,
    len: u64,
    /// Whether whoever is asked for is a user.
    open: bool,
    users: HashMap<UserId, User>,
}

#[derive(Debug, Default)]
struct User {
    bypass: Option<BypassUntil>,
    requests: u64,
}

/// A user as the user list shows it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) id: UserId,
    pub(super) username: String,
    pub(super) email: String,
    pub(super) external_id: String,
    pub(super) population: Uuid,
    pub(super) group: Uuid,
    pub(super) enabled: bool,
}

impl Directory {
    /// `len` users; `open` to any other.
    pub(super) fn new(seed: u64, len: u64, open: bool, now: DateTime<Utc>) -> Self {
        let bypass = BypassUntil::from_instant(now + FIRST_BYPASSES);
        let user = |index| {
            let bypass = if index % ONE_BYPASS_IN == ONE_BYPASS_IN - 1 { bypass } else { None };
            (user_id(seed, index), User { bypass, requests: 0 })
        };
        Self { seed, len, open, users: (0..len).map(user).collect() }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn user_id(&self, index: u64) -> UserId {
        user_id(self.seed, index)
    }

    /// Whether there is such a user.
    pub(super) fn knows(&self, user: UserId) -> bool {
        self.open || self.users.contains_key(&user)
    }

    /// How often the user has been asked for before this.
    pub(super) fn count_request(&mut self, user: UserId) -> u64 {
        let requests = &mut self.users.entry(user).or_default().requests;
        *requests += 1;
        *requests - 1
    }

    pub(super) fn bypass_of(&self, user: UserId) -> Option<BypassUntil> {
        self.users.get(&user).and_then(|user| user.bypass)
    }

    pub(super) fn grant(&mut self, user: UserId, until: BypassUntil) {
        self.users.entry(user).or_default().bypass = Some(until);
    }

    /// The `index`th user as the list shows it.
    pub(super) fn listed(&self, index: u64) -> Listed {
        Listed {
            id: self.user_id(index),
            username: format!("user{index:06}"),
            email: format!("user{index:06}@example.com"),
            external_id: format!("E{index:06}"),
            population: made_id(self.seed, "population", index % POPULATIONS),
            group: made_id(self.seed, "group", index % GROUPS),
            enabled: index % 20 != 19,
        }
    }
}

fn user_id(seed: u64, index: u64) -> UserId {
    made_id(seed, "user", index).into()
}

/// A UUID that follows from the seed.
pub(super) fn made_id(seed: u64, purpose: &str, number: u64) -> Uuid {
    let bits = drawn(seed, purpose, &[number]);
    let bytes: [u8; 16] = std::array::from_fn(|place| bits[place]);
    Builder::from_random_bytes(bytes).into_uuid()
}
