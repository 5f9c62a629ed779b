//! SCIM filters, in the part of the language that PingOne documents for users: `eq`, `sw`, `and`, `or`, parentheses,
//! and `memberOfGroups[id eq "…"]`.

/// A parsed filter.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Or(Box<Self>, Box<Self>),
    And(Box<Self>, Box<Self>),
    Equals(Attribute, String),
    StartsWith(Attribute, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Attribute {
    Id,
    Username,
    Email,
    ExternalId,
    Population,
    Enabled,
    Group,
}

impl Filter {
    /// Parses `text`; the error says what is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text };
        let filter = reader.either(0)?;
        if reader.rest.trim_start().is_empty() { Ok(filter) } else { Err(format!("unexpected `{}`", reader.rest)) }
    }

    /// Whether it contains an `or`.
    pub(super) fn has_or(&self) -> bool {
        match self {
            Self::Or(..) => true,
            Self::And(one, other) => one.has_or() || other.has_or(),
            Self::Equals(..) | Self::StartsWith(..) => false,
        }
    }

    /// The attributes and values, if it selects exactly the users with one of them.
    pub(super) fn alternatives(&self) -> Option<Vec<(Attribute, &str)>> {
        match self {
            Self::Or(one, other) => Some([one.alternatives()?, other.alternatives()?].concat()),
            Self::Equals(attribute, value) => Some(vec![(*attribute, value)]),
            Self::And(..) | Self::StartsWith(..) => None,
        }
    }
}

/// Whether two texts are equal except for case.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() { one.eq_ignore_ascii_case(other) } else { one.to_lowercase() == other.to_lowercase() }
}

/// The deepest nesting of parentheses.
const MOST_NESTED: usize = 50;

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn either(&mut self, depth: usize) -> Result<Filter, String> {
        let mut filter = self.both(depth)?;
        while self.takes_word("or") {
            filter = Filter::Or(Box::new(filter), Box::new(self.both(depth)?));
        }
        Ok(filter)
    }

    fn both(&mut self, depth: usize) -> Result<Filter, String> {
        let mut filter = self.term(depth)?;
        while self.takes_word("and") {
            filter = Filter::And(Box::new(filter), Box::new(self.term(depth)?));
        }
        Ok(filter)
    }

    fn term(&mut self, depth: usize) -> Result<Filter, String> {
        if depth > MOST_NESTED {
            return Err("too many parentheses".to_owned());
        }
        if self.takes("(") {
            let inner = self.either(depth + 1)?;
            return if self.takes(")") { Ok(inner) } else { Err("a parenthesis is not closed".to_owned()) };
        }
        if self.takes("memberOfGroups[id eq ") {
            let value = self.value()?;
            return if self.takes("]") { Ok(Filter::Equals(Attribute::Group, value)) } else { Err("a bracket is not closed".to_owned()) };
        }
        let attribute = self.attribute()?;
        if self.takes_word("eq") {
            Ok(Filter::Equals(attribute, self.value()?))
        } else if self.takes_word("sw") {
            Ok(Filter::StartsWith(attribute, self.value()?))
        } else {
            Err("expected `eq` or `sw`".to_owned())
        }
    }

    fn attribute(&mut self) -> Result<Attribute, String> {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        self.rest = after;
        match name.to_ascii_lowercase().as_str() {
            "id" => Ok(Attribute::Id),
            "username" => Ok(Attribute::Username),
            "email" => Ok(Attribute::Email),
            "externalid" => Ok(Attribute::ExternalId),
            "population.id" => Ok(Attribute::Population),
            "enabled" => Ok(Attribute::Enabled),
            _ => Err(format!("`{name}` is not an attribute to filter by")),
        }
    }

    /// A quoted value, written as a JSON string; or `true` or `false`.
    fn value(&mut self) -> Result<String, String> {
        for word in ["true", "false"] {
            if self.takes_word(word) {
                return Ok(word.to_owned());
            }
        }
        let rest = self.rest.trim_start();
        if !rest.starts_with('"') {
            return Err("expected a value in quotes".to_owned());
        }
        let mut values = serde_json::Deserializer::from_str(rest).into_iter();
        match values.next() {
            Some(Ok(value)) => {
                self.rest = &rest[values.byte_offset()..];
                Ok(value)
            }
            Some(Err(error)) if !error.is_eof() => Err("a value is not well-formed".to_owned()),
            Some(Err(_)) | None => Err("a quote is not closed".to_owned()),
        }
    }

    fn takes(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Consumes `word` if it comes next as a whole word.
    fn takes_word(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start();
        let stands = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        let whole = stands && !rest[word.len()..].starts_with(|c: char| c.is_alphanumeric());
        if whole {
            self.rest = &rest[word.len()..];
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_filters_are_read() {
        let eq = |attribute, value: &str| Filter::Equals(attribute, value.to_owned());
        assert_eq!(Filter::read(r#"username eq "a\"b\\c""#), Ok(eq(Attribute::Username, "a\"b\\c")));
        assert_eq!(Filter::read(r#"memberOfGroups[id eq "g"]"#), Ok(eq(Attribute::Group, "g")));
        let both = Filter::And(Box::new(eq(Attribute::Enabled, "true")), Box::new(Filter::StartsWith(Attribute::Email, "x".into())));
        let either = Filter::Or(Box::new(eq(Attribute::Id, "1")), Box::new(both));
        assert_eq!(Filter::read(r#"id eq "1" OR (enabled eq true and email sw "x")"#), Ok(either));
        for bad in [
            "",
            "username",
            r#"username eq "a"#,
            r#"username eq "a\c""#,
            "username eq \"a\nb\"",
            r#"name eq "a""#,
            r#"(id eq "a""#,
            r#"id eq "a" id eq "b""#,
            r#"id eq "a" or"#,
        ] {
            assert!(Filter::read(bad).is_err(), "{bad}");
        }
        assert!(Filter::read(&"(".repeat(100_000)).is_err());
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;
    use crate::domain::{Filter as Typed, PopulationId, Selection};
    use crate::fuzz::{cases, spoilt_text};
    use proptest::prelude::*;

    /// Filters that are typed, and texts made to break out of one.
    fn filters() -> impl Strategy<Value = String> {
        spoilt_text([
            r#"username eq "ann""#,
            r#"(email sw "a" or externalId eq "E\"1\\") and enabled eq true"#,
            r#"memberOfGroups[id eq "g"] or population.id eq "p" or id eq "7""#,
            r#"username eq "x") or (username sw """#,
            r#"username eq "\" or enabled eq true""#,
        ])
    }

    /// The text of a filter.
    fn written(filter: &Filter) -> String {
        let name = |attribute: &Attribute| match attribute {
            Attribute::Id => "id",
            Attribute::Username => "username",
            Attribute::Email => "email",
            Attribute::ExternalId => "externalId",
            Attribute::Population => "population.id",
            Attribute::Enabled => "enabled",
            Attribute::Group => "memberOfGroups",
        };
        let quoted = |value: &String| serde_json::to_string(value).expect("text");
        match filter {
            Filter::Or(one, other) => format!("({} or {})", written(one), written(other)),
            Filter::And(one, other) => format!("({} and {})", written(one), written(other)),
            Filter::Equals(Attribute::Group, value) => format!("memberOfGroups[id eq {}]", quoted(value)),
            Filter::Equals(attribute, value) => format!("{} eq {}", name(attribute), quoted(value)),
            Filter::StartsWith(attribute, value) => format!("{} sw {}", name(attribute), quoted(value)),
        }
    }

    proptest! {
        #![proptest_config(cases(256))]

        #[test]
        fn a_filter_that_is_read_can_be_written_and_read_again(text in filters()) {
            if let Ok(filter) = Filter::read(&text) {
                prop_assert_eq!(Filter::read(&written(&filter)), Ok(filter));
            }
        }

        /// A filter combined with a population selects the users that both select, whatever was typed.
        #[test]
        fn no_filter_undoes_the_one_it_is_combined_with(text in filters()) {
            let population = PopulationId::from(uuid::Uuid::from_u128(7));
            if let Ok(typed) = text.parse::<Typed>() {
                let both = Selection::of(Some(typed), Some(population), None);
                let both = Filter::read(both.filter().expect("a filter"));
                let beside = Filter::Equals(Attribute::Population, population.to_string());
                match Filter::read(&text) {
                    Ok(filter) => prop_assert_eq!(both, Ok(Filter::And(Box::new(filter), Box::new(beside)))),
                    Err(_) => prop_assert!(both.is_err(), "{:?}", both),
                }
            }
        }
    }
}
