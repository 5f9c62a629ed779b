//! Which users of the directory? What was asked for, as PingOne's SCIM filter.

use std::fmt;

use uuid::Uuid;

/// Users of the directory: all of them, or those that a filter selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    filter: Option<String>,
}

impl Selection {
    /// The users that are selected by each of a SCIM `filter`, a `population` and a `group`, if there is one.
    pub(crate) fn of(filter: Option<String>, population: Option<Uuid>, group: Option<Uuid>) -> Self {
        let population = population.map(|id| format!("population.id eq \"{id}\""));
        let group = group.map(|id| format!("memberOfGroups[id eq \"{id}\"]"));
        let is_alone = population.is_none() && group.is_none();
        // Within it may stand an `or`.
        let filter = filter.map(|filter| if is_alone { filter } else { format!("({filter})") });
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
            Some(filter) => write!(f, "the users of the directory that `{filter}` selects"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_together_is_one_filter() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let filter = |filter: Option<&str>, population, group| Selection::of(filter.map(str::to_owned), population, group).filter;
        let either = Some(r#"username sw "a" or username sw "b""#);
        let (population, group) = (format!(r#"population.id eq "{one}""#), format!(r#"memberOfGroups[id eq "{other}"]"#));
        assert_eq!(filter(None, None, None), None);
        assert_eq!(filter(either, None, None).as_deref(), either);
        assert_eq!(filter(None, Some(one), None), Some(population.clone()));
        assert_eq!(filter(None, None, Some(other)), Some(group.clone()));
        let all = format!(r#"(username sw "a" or username sw "b") and {population} and {group}"#);
        assert_eq!(filter(either, Some(one), Some(other)), Some(all));
    }
}
