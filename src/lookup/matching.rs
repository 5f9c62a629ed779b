//! Matches users to values. The server's answer holds the users of all values in a request; only a user that really has
//! a value counts for it.

use std::collections::HashMap;

use crate::domain::{Attribute, Detail, ForeignText, Outcome, Resolution, UserId};
use crate::pingone::ListedUser;

/// How many users of an ambiguous value are listed.
const NAMED: usize = 3;

/// `text` folded for case-insensitive comparison. Only letters that form a pair of exactly one capital and one small
/// letter are folded, not those that share a capital, such as `ſ` and `s` or the Kelvin sign and `k`: somebody may have
/// chosen such a letter to look like another user.
pub(super) fn folded(text: &str) -> String {
    text.chars().map(small).collect()
}

fn small(capital: char) -> char {
    match (only(capital.to_lowercase()), capital) {
        (Some(small), capital) if only(small.to_uppercase()) == Some(capital) => small,
        (Some(_) | None, other) => other,
    }
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}

/// The users found for one value.
#[derive(Debug, Default)]
struct Matches {
    /// Users with exactly this value…
    same: Vec<UserId>,
    /// …and users with another case of it; of either, at most one more than are listed.
    alike: Vec<UserId>,
}

/// The values of a request, which differ in more than case, and the users found for them.
#[derive(Debug)]
pub(super) struct Matcher<'a> {
    by: Attribute,
    values: &'a [&'a str],
    places: HashMap<String, usize>,
    found: Vec<Matches>,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(by: Attribute, values: &'a [&'a str]) -> Self {
        let places = values.iter().enumerate().map(|(place, value)| (folded(value), place)).collect();
        Self { by, values, places, found: values.iter().map(|_| Matches::default()).collect() }
    }

    /// Adds a user from the server's answer; returns whether the user has one of the values.
    pub(super) fn take(&mut self, user: &ListedUser) -> bool {
        let has = match self.by {
            Attribute::Username => &user.username,
            Attribute::Email => &user.email,
            Attribute::ExternalId => &user.external_id,
        };
        let has = has.as_ref().map(ForeignText::as_received);
        let Some((has, place)) = has.and_then(|has| Some((has, *self.places.get(&folded(has))?))) else {
            return false;
        };
        let matches = &mut self.found[place];
        let matches = if has == self.values[place] { &mut matches.same } else { &mut matches.alike };
        if matches.len() <= NAMED && !matches.contains(&user.id) {
            matches.push(user.id);
        }
        true
    }

    /// The result for each value, once every page has been added.
    pub(super) fn resolutions(self) -> Vec<Resolution> {
        self.found.into_iter().map(|matches| resolution_of(self.by, matches)).collect()
    }
}

fn resolution_of(by: Attribute, matches: Matches) -> Resolution {
    let Matches { same, alike } = matches;
    let users: Vec<UserId> = match by {
        // Names and addresses of two people do not differ in case alone: the value is ambiguous.
        Attribute::Username | Attribute::Email => same.iter().chain(alike.iter().filter(|user| !same.contains(user))).copied().collect(),
        // These IDs come from other systems, which may be case-sensitive.
        Attribute::ExternalId if same.is_empty() => alike,
        Attribute::ExternalId => same,
    };
    let unresolved = |outcome, why| Resolution::Unresolved(outcome, Box::new(Detail::own(None, why)));
    match users[..] {
        [] => unresolved(Outcome::NotFound, format!("no user has this {}", by.name())),
        [user] => Resolution::User(user),
        [..] => {
            let named: Vec<_> = users.iter().take(NAMED).map(UserId::to_string).collect();
            let more = if users.len() > NAMED { " and others" } else { "" };
            unresolved(Outcome::Ambiguous, format!("several users have this {}: {}{more}", by.name(), named.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(number: u128, email: &str) -> ListedUser {
        let id = uuid::Uuid::from_u128(number).into();
        ListedUser { id, username: None, email: Some(email.into()), external_id: None, population: None, enabled: None }
    }

    /// The result for each of `values`, if the server's answer holds these `users`, with IDs from 1: the ID's number, or the outcome.
    fn shown(values: &[&str], users: &[&str]) -> Vec<String> {
        shown_by(Attribute::Email, values, users)
    }

    fn shown_by(by: Attribute, values: &[&str], users: &[&str]) -> Vec<String> {
        let mut matcher = Matcher::new(by, values);
        for (number, text) in (1..).zip(users) {
            let user = user(number, text);
            matcher.take(&ListedUser { external_id: user.email.clone(), ..user });
        }
        let show = |resolution| match resolution {
            Resolution::User(user) => user.uuid().as_u128().to_string(),
            Resolution::Unresolved(outcome, _) => outcome.name().to_owned(),
        };
        matcher.resolutions().into_iter().map(show).collect()
    }

    #[test]
    fn a_value_matches_the_only_user_who_has_it() {
        assert_eq!(shown(&["a@x", "b@x", "c@x"], &["c@x", "other@x", "a@x"]), ["3", "not_found", "1"]);
        assert_eq!(shown(&["a@x"], &["A@X"]), ["1"], "the case does not matter");
        assert_eq!(shown(&["jörg@x"], &["JÖRG@X"]), ["1"]);
        assert_eq!(shown(&["a@x"], &["A@x", "a@X"]), ["ambiguous"]);
        assert_eq!(shown(&["a@x"], &["A@x", "a@x"]), ["ambiguous"], "even if one has it exactly");
        assert_eq!(shown_by(Attribute::ExternalId, &["a"], &["A", "a"]), ["2"], "unless it is an ID of another system");
        assert_eq!(shown(&["a@x"], &["a@x", "A@x", "a@x"]), ["ambiguous"]);
    }

    #[test]
    fn a_name_that_only_looks_alike_is_another_user() {
        for (value, other) in [
            ("mark", "mar\u{212a}"),
            ("mas", "ma\u{17f}"),
            ("ist", "\u{130}st"),
            ("ist", "\u{131}st"),
            ("\u{b5}", "\u{3bc}"),
            ("σ", "ς"),
            ("straße", "strasse"),
            ("e\u{301}", "\u{e9}"),
            ("a*", "ab"),
            ("a", "a "),
        ] {
            assert_eq!(shown(&[value], &[other]), ["not_found"], "{value} {other}");
            assert_eq!(shown(&[other], &[value]), ["not_found"], "{other} {value}");
        }
    }

    #[test]
    fn several_users_are_listed_once_each_up_to_three() {
        let mut matcher = Matcher::new(Attribute::Email, &["a@x"]);
        for number in [1, 1, 2, 3, 3, 4, 5] {
            matcher.take(&user(number, "a@x"));
        }
        let Resolution::Unresolved(_, detail) = &matcher.resolutions()[0] else { panic!("several") };
        assert!(
            detail.message.as_received().ends_with("-000000000003 and others")
                && detail.message.as_received().matches("0000-000000000001").count() == 1,
            "{detail:?}"
        );
    }

    proptest! {
        #[test]
        fn letters_fold_only_in_pairs(letter in any::<char>(), other in any::<char>()) {
            let alike = small(letter) == small(other);
            let pair = |one: char, two: char| one.to_lowercase().eq([two]) && two.to_uppercase().eq([one]);
            prop_assert_eq!(alike, letter == other || pair(letter, other) || pair(other, letter));
            prop_assert_eq!(small(small(letter)), small(letter));
        }
    }
}
