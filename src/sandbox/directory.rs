//! Which users are there, and which of them can bypass MFA?

use std::collections::HashMap;
use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::{Builder, Uuid};

use super::faults::drawn;
use super::filter::Attribute;
use crate::domain::{BypassUntil, UserId};

/// Of so many users of the directory one has a bypass from the start, so that an audit finds some.
const ONE_BYPASS_IN: u64 = 10;
/// How long these bypasses run.
const FIRST_BYPASSES: TimeDelta = TimeDelta::days(1);
const POPULATIONS: u64 = 3;
const GROUPS: u64 = 5;
/// Of so many filters it is remembered how many users they select.
const MOST_COUNTED: usize = 1000;

/// The users of the sandbox.
#[derive(Debug)]
pub(super) struct Directory {
    seed: u64,
    len: u64,
    /// Whether whoever is asked for is a user.
    open: bool,
    users: HashMap<UserId, User>,
    populations: Vec<Uuid>,
    groups: Vec<Uuid>,
    /// How many users were found to be selected by which filter: each page of a list tells it, and users
    /// neither come nor go.
    counted: Mutex<HashMap<String, u64>>,
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
        let ids = |purpose: &str, count| (0..count).map(|number| made_id(seed, purpose, number)).collect();
        Self {
            seed,
            len,
            open,
            users: (0..len).map(user).collect(),
            populations: ids("population", POPULATIONS),
            groups: ids("group", GROUPS),
            counted: Mutex::default(),
        }
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

    /// How many users the filter of this text `selects`.
    pub(super) fn count(&self, filter: &str, selects: impl Fn(&u64) -> bool) -> u64 {
        let mut counted = self.counted.lock().expect("no panic while it is held");
        if let Some(count) = counted.get(filter) {
            return *count;
        }
        if counted.len() == MOST_COUNTED {
            counted.clear();
        }
        let count = (0..self.len).filter(selects).count() as u64;
        counted.insert(filter.to_owned(), count);
        count
    }

    /// An attribute of the `index`th user. It alone is made, since a filter asks it of everybody.
    pub(super) fn text(&self, index: u64, attribute: Attribute) -> String {
        match attribute {
            Attribute::Id => self.user_id(index).to_string(),
            Attribute::Username => format!("user{index:06}"),
            Attribute::Email => format!("user{index:06}@example.com"),
            Attribute::ExternalId => format!("E{index:06}"),
            Attribute::Population => one_of(&self.populations, index).to_string(),
            Attribute::Group => one_of(&self.groups, index).to_string(),
            Attribute::Enabled => (index % 20 != 19).to_string(),
        }
    }

    /// The `index`th user as the list shows it.
    pub(super) fn listed(&self, index: u64) -> Listed {
        Listed {
            id: self.user_id(index),
            username: self.text(index, Attribute::Username),
            email: self.text(index, Attribute::Email),
            external_id: self.text(index, Attribute::ExternalId),
            population: one_of(&self.populations, index),
            enabled: self.text(index, Attribute::Enabled) == "true",
        }
    }

    /// The population that the `index`th user is of.
    pub(super) fn population(&self, index: u64) -> Uuid {
        one_of(&self.populations, index)
    }

    /// The group that the `index`th user is a member of.
    pub(super) fn group(&self, index: u64) -> Uuid {
        one_of(&self.groups, index)
    }
}

/// The one of `ids` that falls to the `index`th user.
fn one_of(ids: &[Uuid], index: u64) -> Uuid {
    let count = ids.len() as u64;
    ids[usize::try_from(index % count).expect("there are few")]
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
