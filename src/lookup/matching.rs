//! Which user is meant by a value? The one who has it: the server's answer holds the users of all the values that
//! it was asked for, and whatever else it holds decides nothing.

use std::collections::HashMap;

use crate::domain::{Attribute, Detail, ForeignText, Outcome, UserId};
use crate::input::Known;
use crate::pingone::ListedUser;

/// How many users of one value are named.
const NAMED: usize = 3;

/// `text` as it is compared where the case does not matter. Only letters that are each other's one capital and
/// one small letter are taken for the same: not those of which several share a capital, such as `ſ` and `s` or
/// the Kelvin sign and `k`, which somebody may have chosen to look like somebody else.
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

/// The users that a server has told of one value.
#[derive(Debug, Default)]
struct Told {
    /// Those who have just this value…
    same: Vec<UserId>,
    /// …and those who have it in other case; no more of either than are named, and one.
    alike: Vec<UserId>,
}

/// Values that are asked for, no two of them equal but for the case, and the users that have been told.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    by: Attribute,
    values: &'a [&'a str],
    places: HashMap<String, usize>,
    told: Vec<Told>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(by: Attribute, values: &'a [&'a str]) -> Self {
        let places = values.iter().enumerate().map(|(place, value)| (folded(value), place)).collect();
        Self { by, values, places, told: values.iter().map(|_| Told::default()).collect() }
    }

    /// Takes in a user that the server has told; tells whether the user has one of the values.
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
        let told = &mut self.told[place];
        let told = if has == self.values[place] { &mut told.same } else { &mut told.alike };
        if told.len() <= NAMED && !told.contains(&user.id) {
            told.push(user.id);
        }
        true
    }

    /// Whom each value means, once every page has been taken in.
    pub(super) fn known(self) -> Vec<Known> {
        self.told.into_iter().map(|told| known(self.by, told)).collect()
    }
}

fn known(by: Attribute, told: Told) -> Known {
    let Told { same, alike } = told;
    let users: Vec<UserId> = match by {
        // Two people's names and addresses do not differ in the case alone: which of them is meant, nobody knows.
        Attribute::Username | Attribute::Email => same.iter().chain(alike.iter().filter(|user| !same.contains(user))).copied().collect(),
        // Other systems give these IDs, and may tell small letters from capitals.
        Attribute::ExternalId if same.is_empty() => alike,
        Attribute::ExternalId => same,
    };
    let nobody = |outcome, why| Known::Nobody(outcome, Box::new(Detail::own(None, why)));
    match users[..] {
        [] => nobody(Outcome::NotFound, format!("no user has this {}", by.name())),
        [user] => Known::User(user),
        [..] => {
            let named: Vec<_> = users.iter().take(NAMED).map(UserId::to_string).collect();
            let more = if users.len() > NAMED { " and others" } else { "" };
            nobody(Outcome::Ambiguous, format!("several users have this {}: {}{more}", by.name(), named.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(number: u128, email: &str) -> ListedUser {
        let id = uuid::Uuid::from_u128(number).into();
        ListedUser { id, username: None, email: Some(email.into()), external_id: None, population: None }
    }

    /// What is known of each of `values`, where the server tells these users, whose IDs count from 1: the ID's
    /// number, or the outcome.
    fn shown(values: &[&str], told: &[&str]) -> Vec<String> {
        shown_by(Attribute::Email, values, told)
    }

    fn shown_by(by: Attribute, values: &[&str], told: &[&str]) -> Vec<String> {
        let mut asked = Asked::new(by, values);
        for (number, text) in (1..).zip(told) {
            let user = user(number, text);
            asked.take(&ListedUser { external_id: user.email.clone(), ..user });
        }
        let show = |known| match known {
            Known::User(user) => user.uuid().as_u128().to_string(),
            Known::Nobody(outcome, _) => outcome.name().to_owned(),
        };
        asked.known().into_iter().map(show).collect()
    }

    #[test]
    fn a_value_means_the_one_user_who_has_it() {
        assert_eq!(shown(&["a@x", "b@x", "c@x"], &["c@x", "other@x", "a@x"]), ["3", "not_found", "1"]);
        assert_eq!(shown(&["a@x"], &["A@X"]), ["1"], "the case does not matter");
        assert_eq!(shown(&["jörg@x"], &["JÖRG@X"]), ["1"]);
        assert_eq!(shown(&["a@x"], &["A@x", "a@X"]), ["ambiguous"]);
        assert_eq!(shown(&["a@x"], &["A@x", "a@x"]), ["ambiguous"], "even if one has it exactly");
        assert_eq!(shown_by(Attribute::ExternalId, &["a"], &["A", "a"]), ["2"], "unless it is an ID of another system");
        assert_eq!(shown(&["a@x"], &["a@x", "A@x", "a@x"]), ["ambiguous"]);
    }

    #[test]
    fn who_only_looks_alike_is_somebody_else() {
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
    fn several_users_are_named_up_to_three_each_once() {
        let mut asked = Asked::new(Attribute::Email, &["a@x"]);
        for number in [1, 1, 2, 3, 3, 4, 5] {
            asked.take(&user(number, "a@x"));
        }
        let Known::Nobody(_, said) = &asked.known()[0] else { panic!("several") };
        assert!(
            said.message.as_received().ends_with("-000000000003 and others")
                && said.message.as_received().matches("0000-000000000001").count() == 1,
            "{said:?}"
        );
    }

    proptest! {
        #[test]
        fn letters_are_alike_only_in_pairs(letter in any::<char>(), other in any::<char>()) {
            let alike = small(letter) == small(other);
            let pair = |one: char, two: char| one.to_lowercase().eq([two]) && two.to_uppercase().eq([one]);
            prop_assert_eq!(alike, letter == other || pair(letter, other) || pair(other, letter));
            prop_assert_eq!(small(small(letter)), small(letter));
        }
    }
}
