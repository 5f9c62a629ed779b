//! The users of the directory that an audit selects, as a SCIM filter for PingOne.

use std::fmt;
use std::str::FromStr;

use super::{GroupId, PopulationId, escaped};

/// A SCIM filter as typed. It is balanced, so that it can be put in parentheses and cannot escape from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a filter such as `username sw \"a\" and enabled eq true`, with each parenthesis, bracket and quote closed")]
pub(crate) struct NotAFilter;

impl FromStr for Filter {
    type Err = NotAFilter;

    fn from_str(text: &str) -> Result<Self, NotAFilter> {
        let text = text.trim();
        if !text.is_empty() && is_closed(text) { Ok(Self(text.to_owned())) } else { Err(NotAFilter) }
    }
}

/// Whether the parentheses, brackets and quotes of a filter are balanced, not counting those inside quoted values.
fn is_closed(filter: &str) -> bool {
    let (mut open, mut letters) = (Vec::new(), filter.chars());
    while let Some(letter) = letters.next() {
        match (letter, open.last()) {
            // A backslash escapes the next character, even a quote.
            ('\\', Some('"')) => drop(letters.next()),
            ('"', Some('"')) | (')', Some('(')) | (']', Some('[')) => drop(open.pop()),
            (_, Some('"')) => {}
            ('"' | '(' | '[', _) => open.push(letter),
            (')' | ']', _) => return false,
            _ => {}
        }
    }
    open.is_empty()
}

/// Users of the directory: all of them, or those selected by a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    filter: Option<String>,
}

impl Selection {
    /// The users that match all of `filter`, `population` and `group`, as far as given.
    pub(crate) fn of(filter: Option<Filter>, population: Option<PopulationId>, group: Option<GroupId>) -> Self {
        let population = population.map(|id| format!("population.id eq \"{id}\""));
        let group = group.map(|id| format!("memberOfGroups[id eq \"{id}\"]"));
        let is_alone = population.is_none() && group.is_none();
        // It may contain an `or`, which binds less tightly than `and`.
        let filter = filter.map(|Filter(filter)| if is_alone { filter } else { format!("({filter})") });
        let parts: Vec<String> = [filter, population, group].into_iter().flatten().collect();
        Self { filter: (!parts.is_empty()).then(|| parts.join(" and ")) }
    }

    /// Whether it selects every user.
    pub(crate) fn is_of_all(&self) -> bool {
        self.filter.is_none()
    }

    /// The filter to send to PingOne, if there is one.
    pub(crate) fn filter(&self) -> Option<&str> {
        self.filter.as_deref()
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.filter {
            None => f.write_str("every user of the directory"),
            Some(filter) => write!(f, "the users of the directory that `{}` selects", escaped(filter)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_combined_into_one_filter() {
        let (one, other) = (PopulationId::from(uuid::Uuid::from_u128(1)), GroupId::from(uuid::Uuid::from_u128(2)));
        let filter = |filter: Option<&str>, population, group| {
            Selection::of(filter.map(|text| text.parse().expect("a filter")), population, group).filter
        };
        let either = Some(r#"username sw "a" or username sw "b""#);
        let (population, group) = (format!(r#"population.id eq "{one}""#), format!(r#"memberOfGroups[id eq "{other}"]"#));
        assert_eq!(filter(None, None, None), None);
        assert_eq!(filter(either, None, None).as_deref(), either);
        assert_eq!(filter(None, Some(one), None), Some(population.clone()));
        assert_eq!(filter(None, None, Some(other)), Some(group.clone()));
        let all = format!(r#"(username sw "a" or username sw "b") and {population} and {group}"#);
        assert_eq!(filter(either, Some(one), Some(other)), Some(all));
    }

    #[test]
    fn an_unbalanced_filter_is_refused() {
        for good in [r#" username eq ")" "#, r#"(a eq "x") and (b eq "\"(")"#, r#"memberOfGroups[id eq "1"]"#, "enabled eq true"] {
            assert!(good.parse::<Filter>().is_ok(), "{good}");
        }
        for bad in ["", " ", r#"a eq "x") or (b eq "y""#, r#"a eq "x"#, r#"a eq "x\""#, "(a eq 1", "[(a])", "a]"] {
            assert_eq!(bad.parse::<Filter>(), Err(NotAFilter), "{bad}");
        }
    }
}
