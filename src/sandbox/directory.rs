//! The sandbox's users and their bypasses.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::{Builder, Uuid};

use super::faults::drawn;
use super::filter::{Attribute, Filter, is_same};
use super::{NamedUser, SandboxConfig};
use crate::domain::{BypassUntil, UserId};

/// One in this many users has a bypass from the start, so that an audit finds some.
const ONE_BYPASS_IN: u64 = 10;
/// How long these bypasses run.
const FIRST_BYPASSES: TimeDelta = TimeDelta::days(1);
/// Number of users if none is configured.
const USERS: u64 = 1000;
/// How long a device report can be read. Source: `expiresAt` in the example of mfa-reports.
pub(super) const REPORT_KEPT: TimeDelta = TimeDelta::minutes(30);
const POPULATIONS: u64 = 3;
const GROUPS: u64 = 5;
/// How many filters' counts are cached.
const MOST_COUNTED: usize = 1000;

/// The users of the sandbox.
#[derive(Debug)]
pub(super) struct Directory {
    seed: u64,
    /// How many users are generated.
    made_up: u64,
    /// Named users, numbered after those.
    named: Vec<NamedUser>,
    /// Whether any ID or name that is asked for is a user.
    open: bool,
    /// The bypass of each user, if there ever was one.
    users: HashMap<UserId, Option<BypassUntil>>,
    pub(super) populations: Vec<Uuid>,
    pub(super) groups: Vec<Uuid>,
    /// Cached number of users for each filter: every page of a list states it, and the set of users is fixed.
    counted: HashMap<String, u64>,
    /// How many users have a bypass from the start, if that is configured.
    bypasses: Option<u64>,
    /// How far back a report may show the bypasses.
    kept: TimeDelta,
    /// The former bypasses of users whose bypass was changed since, each with the time of the change, in order.
    former: HashMap<UserId, Vec<FormerBypass>>,
}

/// When a bypass was changed, and what it was before.
type FormerBypass = (DateTime<Utc>, Option<BypassUntil>);

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
    /// The directory that the `config` asks for.
    pub(super) fn new(config: &SandboxConfig, now: DateTime<Utc>) -> Self {
        let (seed, named, made_up) = (config.seed, config.named.clone(), config.users.unwrap_or(USERS));
        let bypass = BypassUntil::from_instant(now + FIRST_BYPASSES);
        let bypasses = config.bypasses;
        let user = |index| {
            let bypass = bypass.filter(|_| first_bypass(index, made_up, bypasses).is_some());
            (made_id(seed, "user", index).into(), bypass)
        };
        let ids = |purpose: &str, count| (0..count).map(|number| made_id(seed, purpose, number)).collect();
        Self {
            seed,
            made_up,
            users: (0..made_up + named.len() as u64).map(user).collect(),
            named,
            open: config.users.is_none(),
            populations: ids("population", POPULATIONS),
            groups: ids("group", GROUPS),
            counted: HashMap::new(),
            bypasses,
            kept: TimeDelta::from_std(config.report.report_age)
                .unwrap_or(TimeDelta::MAX)
                .checked_add(&REPORT_KEPT)
                .unwrap_or(TimeDelta::MAX),
            former: HashMap::new(),
        }
    }

    /// The place of the `index`th user among those who have a bypass from the start.
    pub(super) fn first_bypass(&self, index: u64) -> Option<u64> {
        first_bypass(index, self.made_up, self.bypasses)
    }

    /// Gives the names of the `number`th named user to it anew, as when an address goes over to another user.
    pub(super) fn rename(&mut self, number: usize, named: NamedUser) {
        self.named[number] = named;
        self.counted.clear();
    }

    pub(super) fn len(&self) -> u64 {
        self.made_up + self.named.len() as u64
    }

    /// The users that the `filter` selects, with their places in the list, from place `from` on.
    pub(super) fn selected<'a>(&'a self, filter: Option<&'a Filter>, from: u64) -> Box<dyn Iterator<Item = (u64, Listed)> + 'a> {
        if let Some(mut found) = filter.and_then(|filter| self.by_names(filter)) {
            return Box::new(found.split_off(&from).into_iter());
        }
        let selected = (from..self.len()).filter(move |index| filter.is_none_or(|filter| self.matches(filter, *index)));
        Box::new(selected.map(|index| (index, self.listed(index))))
    }

    /// How many users the `filter` selects; `text` is its text.
    pub(super) fn count(&mut self, filter: &Filter, text: &str) -> u64 {
        if let Some(found) = self.by_names(filter) {
            return found.len() as u64;
        }
        if let Some(count) = self.counted.get(text) {
            return *count;
        }
        let count = (0..self.len()).filter(|index| self.matches(filter, *index)).count() as u64;
        if self.counted.len() == MOST_COUNTED {
            self.counted.clear();
        }
        self.counted.insert(text.to_owned(), count);
        count
    }

    /// The users that the `filter` selects, by place, if it only asks for usernames, emails and external IDs: these are
    /// found without a scan of all users.
    fn by_names(&self, filter: &Filter) -> Option<BTreeMap<u64, Listed>> {
        let is_name = |attribute: Attribute| matches!(attribute, Attribute::Username | Attribute::Email | Attribute::ExternalId);
        let alternatives = filter.alternatives().filter(|all| all.iter().all(|(attribute, _)| is_name(*attribute)))?;
        Some(
            alternatives.into_iter().zip(self.len()..).flat_map(|((attribute, value), at)| self.with_value(attribute, value, at)).collect(),
        )
    }

    /// The users whose `attribute` has this `value`, with their places. In an open directory there is always one, if
    /// need be at place `at` of the list.
    fn with_value(&self, attribute: Attribute, value: &str, at: u64) -> Vec<(u64, Listed)> {
        let value = value.to_lowercase();
        let number = value.trim_start_matches(|c: char| c.is_ascii_lowercase()).trim_end_matches("@example.com").parse();
        let made_up = number.ok().filter(|index| *index < self.made_up);
        let has_it = |index: &u64| self.text(*index, attribute).to_lowercase() == value;
        let mut found: Vec<_> =
            made_up.into_iter().chain(self.made_up..self.len()).filter(has_it).map(|index| (index, self.listed(index))).collect();
        if found.is_empty() && self.open {
            found.push((at, self.user_on_demand(attribute, value)));
        }
        found
    }

    /// A user that exists because its `value` was asked for.
    fn user_on_demand(&self, attribute: Attribute, value: String) -> Listed {
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
        made_id(self.seed, "user", index).into()
    }

    /// Whether this user exists.
    pub(super) fn knows(&self, user: UserId) -> bool {
        self.open || self.users.contains_key(&user)
    }

    pub(super) fn bypass_of(&self, user: UserId) -> Option<BypassUntil> {
        self.users.get(&user).copied().flatten()
    }

    /// The user's bypass as it was at that time.
    pub(super) fn bypass_at(&self, user: UserId, time: DateTime<Utc>) -> Option<BypassUntil> {
        let former = self.former.get(&user).and_then(|former| former.iter().find(|(changed, _)| *changed > time));
        former.map_or_else(|| self.bypass_of(user), |(_, before)| *before)
    }

    pub(super) fn grant(&mut self, user: UserId, until: BypassUntil, now: DateTime<Utc>) {
        let before = self.users.insert(user, Some(until)).flatten();
        let former = self.former.entry(user).or_default();
        former.retain(|(changed, _)| now - *changed < self.kept);
        former.push((now, before));
    }

    /// Whether `filter` selects the `index`th user.
    fn matches(&self, filter: &Filter, index: u64) -> bool {
        match filter {
            Filter::Or(one, other) => self.matches(one, index) || self.matches(other, index),
            Filter::And(one, other) => self.matches(one, index) && self.matches(other, index),
            Filter::Equals(attribute, value) => is_same(&self.text(index, *attribute), value),
            Filter::StartsWith(attribute, value) => self.text(index, *attribute).to_lowercase().starts_with(&value.to_lowercase()),
        }
    }

    /// One attribute of the `index`th user. Only this one is generated, because a filter reads it for every user.
    pub(super) fn text(&self, index: u64, attribute: Attribute) -> String {
        let named = index.checked_sub(self.made_up).and_then(|place| self.named.get(usize::try_from(place).ok()?));
        match (attribute, named) {
            (Attribute::Id, _) => self.user_id(index).to_string(),
            (Attribute::Username, Some(named)) => named.username.clone(),
            (Attribute::Username, None) => format!("user{index:06}"),
            (Attribute::Email, Some(named)) => named.email.clone(),
            (Attribute::Email, None) => format!("user{index:06}@example.com"),
            (Attribute::ExternalId, Some(named)) => named.external_id.clone(),
            (Attribute::ExternalId, None) => format!("E{index:06}"),
            (Attribute::Population, _) => one_of(&self.populations, index).to_string(),
            (Attribute::Group, _) => one_of(&self.groups, index).to_string(),
            (Attribute::Enabled, _) => (index % 20 != 19).to_string(),
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
}

/// The place of the `index`th of the `made_up` users among those who have a bypass from the start: `bypasses` of them, evenly spread,
/// or else one in ten.
fn first_bypass(index: u64, made_up: u64, bypasses: Option<u64>) -> Option<u64> {
    if index >= made_up {
        return None;
    }
    let Some(bypasses) = bypasses else {
        return (index % ONE_BYPASS_IN == ONE_BYPASS_IN - 1).then_some(index / ONE_BYPASS_IN);
    };
    let before =
        |index: u64| u64::try_from(u128::from(index) * u128::from(bypasses.min(made_up)) / u128::from(made_up)).unwrap_or(u64::MAX);
    (before(index + 1) > before(index)).then(|| before(index))
}

/// The one of `ids` assigned to the `index`th user.
pub(super) fn one_of(ids: &[Uuid], index: u64) -> Uuid {
    let count = ids.len() as u64;
    ids[usize::try_from(index % count).expect("there are few")]
}

/// A UUID derived from the seed.
pub(super) fn made_id(seed: u64, purpose: &str, number: u64) -> Uuid {
    let bits = drawn(seed, purpose, &[number]);
    let bytes: [u8; 16] = std::array::from_fn(|place| bits[place]);
    Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_so_many_users_have_a_bypass_from_the_start() {
        for (users, bypasses, expected) in [
            (200_000, Some(300), 300),
            (7, Some(7), 7),
            (7, Some(9), 7),
            (7, Some(0), 0),
            (1000, None, 100),
            (15, None, 1),
            (3, Some(1), 1),
        ] {
            let places: Vec<u64> = (0..users + 5).filter_map(|index| first_bypass(index, users, bypasses)).collect();
            assert_eq!(places, (0..expected).collect::<Vec<_>>(), "{users} {bypasses:?}");
        }
    }

    #[test]
    fn a_bypass_is_known_as_it_was() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");
        let at = |minutes| start + TimeDelta::minutes(minutes);
        let until = |minutes| BypassUntil::from_instant(at(minutes)).expect("in range");
        let mut directory = Directory::new(&SandboxConfig::default(), start);
        let user = directory.user_id(0);
        directory.grant(user, until(500), at(10));
        directory.grant(user, until(600), at(20));
        let seen = [0, 9, 10, 19, 20, 99].map(|minutes| directory.bypass_at(user, at(minutes)));
        assert_eq!(seen, [None, None, Some(until(500)), Some(until(500)), Some(until(600)), Some(until(600))]);
        for minute in 21..2000 {
            directory.grant(user, until(5000), at(minute));
        }
        assert!(directory.former[&user].len() <= 46, "what no report can show any more is forgotten");
    }
}
