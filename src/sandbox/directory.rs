//! Which users are there, and which of them can bypass MFA?

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::{Builder, Uuid};

use super::NamedUser;
use super::faults::drawn;
use super::filter::{Attribute, Filter, of};
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
    /// How many users are made up.
    made_up: u64,
    /// Those that follow them.
    named: Vec<NamedUser>,
    /// The index of each named user, by attributes in small letters.
    index: HashMap<(Attribute, String), Vec<u64>>,
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
    /// `made_up` users and those that are `named`; `open` to any other.
    pub(super) fn new(seed: u64, made_up: u64, named: Vec<NamedUser>, open: bool, now: DateTime<Utc>) -> Self {
        let bypass = BypassUntil::from_instant(now + FIRST_BYPASSES);
        let user = |index| {
            let bypass = if index < made_up && index % ONE_BYPASS_IN == ONE_BYPASS_IN - 1 { bypass } else { None };
            (user_id(seed, index), User { bypass, requests: 0 })
        };
        let mut index: HashMap<_, Vec<u64>> = HashMap::new();
        for (at, NamedUser { username, email, external_id }) in (made_up..).zip(&named) {
            for (attribute, value) in [(Attribute::Username, username), (Attribute::Email, email), (Attribute::ExternalId, external_id)] {
                index.entry((attribute, value.to_lowercase())).or_default().push(at);
            }
        }
        let users = (0..made_up + named.len() as u64).map(user).collect();
        Self { seed, made_up, named, index, open, users }
    }

    pub(super) fn len(&self) -> u64 {
        self.made_up + self.named.len() as u64
    }

    /// The users that the `filter` selects, by their places in the list.
    pub(super) fn selected<'a>(&'a self, filter: Option<&'a Filter>) -> Box<dyn Iterator<Item = (u64, Listed)> + 'a> {
        let alternatives = filter.and_then(Filter::alternatives).filter(|all| all.iter().all(|(attribute, _)| is_name(*attribute)));
        if let Some(alternatives) = alternatives {
            let found = alternatives.into_iter().zip(self.len()..).flat_map(|((attribute, value), at)| self.having(attribute, value, at));
            return Box::new(found.collect::<BTreeMap<_, _>>().into_iter());
        }
        let all = (0..self.len()).map(|index| (index, self.listed(index)));
        Box::new(all.filter(move |(_, user)| filter.is_none_or(|filter| filter.selects(user))))
    }

    /// The users whose `attribute` has this `value`, and their places. In an open directory there is one, at the
    /// place `at` of the list if need be.
    fn having(&self, attribute: Attribute, value: &str, at: u64) -> Vec<(u64, Listed)> {
        let value = value.to_lowercase();
        let number = value.trim_start_matches(|c: char| c.is_ascii_lowercase()).trim_end_matches("@example.com").parse();
        let made_up = number.ok().filter(|index| *index < self.made_up && of(&self.listed(*index), attribute).to_lowercase() == value);
        let named = self.index.get(&(attribute, value.clone())).into_iter().flatten().copied();
        let mut found: Vec<_> = made_up.into_iter().chain(named).map(|index| (index, self.listed(index))).collect();
        if found.is_empty() && self.open {
            found.push((at, self.whoever(attribute, value)));
        }
        found
    }

    /// A user who is there because somebody asked for this `value`.
    fn whoever(&self, attribute: Attribute, value: String) -> Listed {
        let number = drawn(self.seed, &format!("{attribute:?} {value}"), &[]);
        let mut user = self.listed(u64::from_le_bytes(std::array::from_fn(|place| number[place])) | 1 << 63);
        match attribute {
            Attribute::Username => user.username = value,
            Attribute::Email => user.email = value,
            Attribute::ExternalId => user.external_id = value,
            Attribute::Id | Attribute::Population | Attribute::Enabled | Attribute::Group => {}
        }
        user
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
        let named = index.checked_sub(self.made_up).and_then(|index| self.named.get(usize::try_from(index).ok()?)).cloned();
        let NamedUser { username, email, external_id } = named.unwrap_or_else(|| NamedUser {
            username: format!("user{index:06}"),
            email: format!("user{index:06}@example.com"),
            external_id: format!("E{index:06}"),
        });
        Listed {
            id: self.user_id(index),
            username,
            email,
            external_id,
            population: made_id(self.seed, "population", index % POPULATIONS),
            group: made_id(self.seed, "group", index % GROUPS),
            enabled: index % 20 != 19,
        }
    }
}

/// Whether it is what people are called by.
fn is_name(attribute: Attribute) -> bool {
    match attribute {
        Attribute::Username | Attribute::Email | Attribute::ExternalId => true,
        Attribute::Id | Attribute::Population | Attribute::Enabled | Attribute::Group => false,
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
