//! Which users of the directory? What was asked for, as PingOne's SCIM filter.

use std::fmt;
use std::str::FromStr;

use super::{GroupId, PopulationId, escaped};

/// A SCIM filter as it was typed, which can be put in parentheses: what stands beside it cannot be undone by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(String);

/// Text that cannot be a filter.
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

/// Whether everything that is opened in a filter is closed again, outside of quoted values.
fn is_closed(filter: &str) -> bool {
    let (mut open, mut letters) = (Vec::new(), filter.chars());
    while let Some(letter) = letters.next() {
        match (letter, open.last()) {
            // What follows stands for itself, a quote too.
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

/// Users of the directory: all of them, or those that a filter selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    filter: Option<String>,
}

impl Selection {
    /// The users that are selected by each of a SCIM `filter`, a `population` and a `group`, if there is one.
    pub(crate) fn of(filter: Option<Filter>, population: Option<PopulationId>, group: Option<GroupId>) -> Self {
        let population = population.map(|id| format!("population.id eq \"{id}\""));
        let group = group.map(|id| format!("memberOfGroups[id eq \"{id}\"]"));
        let is_alone = population.is_none() && group.is_none();
        // Within it may stand an `or`.
        let filter = filter.map(|Filter(filter)| if is_alone { filter } else { format!("({filter})") });
        let parts: Vec<String> = [filter, population, group].into_iter().flatten().collect();
        Self { filter: (!parts.is_empty()).then(|| parts.join(" and ")) }
    }

    /// Whether it leaves nobody out.
    pub(crate) fn is_of_all(&self) -> bool {
        self.filter.is_none()
    }

    /// The filter that PingOne is sent, if there is one.
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
    fn what_is_asked_for_together_is_one_filter() {
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
    fn a_filter_cannot_undo_what_stands_beside_it() {
        for good in [r#" username eq ")" "#, r#"(a eq "x") and (b eq "\"(")"#, r#"memberOfGroups[id eq "1"]"#, "enabled eq true"] {
            assert!(good.parse::<Filter>().is_ok(), "{good}");
        }
        for bad in ["", " ", r#"a eq "x") or (b eq "y""#, r#"a eq "x"#, r#"a eq "x\""#, "(a eq 1", "[(a])", "a]"] {
            assert_eq!(bad.parse::<Filter>(), Err(NotAFilter), "{bad}");
        }
    }
}
