//! Whatever users' names are, none is mistaken for another: random directories, with the sandbox's own filter parser.

use std::collections::HashSet;

use pingone_bypass::sandbox::{NamedUser, SandboxConfig};
use proptest::prelude::*;

use crate::harness::{Field, field_with};

/// Parts of names with a meaning somewhere between a file and a directory.
const PARTS: [&str; 34] = [
    "a",
    "A",
    "b",
    "k",
    "\u{212a}",
    "s",
    "\u{17f}",
    "ü",
    "Ü",
    "u\u{308}",
    "ß",
    "SS",
    "😀",
    "\"",
    "\\",
    "\\\"",
    " ",
    " or ",
    "(",
    ")",
    "*",
    "%",
    "%22",
    "&",
    "#",
    "+",
    "'",
    "\\u0061",
    "\" or username sw \"",
    "\u{2028}",
    "\u{85}",
    "\u{a0}",
    "\u{200b}",
    "\n",
];

fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&PARTS[..]), 1..4).prop_map(|parts| parts.concat())
}

/// Whether two names differ in case only.
fn is_alike(one: &str, other: &str) -> bool {
    let pair = |one: char, other: char| one.to_lowercase().eq([other]) && other.to_uppercase().eq([one]);
    let alike = |(one, other): (char, char)| one == other || pair(one, other) || pair(other, one);
    one.chars().count() == other.chars().count() && one.chars().zip(other.chars()).all(alike)
}

/// A value as the CSV reader reads it: quotes after a space are stripped.
fn read(value: &str) -> &str {
    let inner = value.trim().strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
    inner.filter(|_| !value.starts_with('"')).unwrap_or(value).trim()
}

/// Audits `values` in a directory of `users`; returns each one's result and user ID.
fn audited(users: &[String], values: &[String], column: &str, no_or: bool) -> Result<(Field, Vec<(String, String)>), TestCaseError> {
    let named = users.iter().map(|user| NamedUser { username: user.clone(), email: user.clone(), external_id: user.clone() }).collect();
    let field = field_with(SandboxConfig { users: Some(0), named, no_or, ..SandboxConfig::default() });
    let mut input = csv::Writer::from_path(field.path("in.csv")).expect("a file");
    input.write_record([column, "n"]).expect("written");
    for value in values {
        input.write_record([value.as_str(), "1"]).expect("written");
    }
    input.flush().expect("written");
    let run = field.run(&["audit", "in.csv", "--delimiter", ",", "--skip-invalid", "--rate", "unlimited", "--max-failures", "100%"]);
    prop_assert!(run.code <= 1, "{}", run.stderr);
    let lines = field.report("in.report.csv").lines;
    Ok((field, lines.into_iter().map(|line| (line[2].clone(), line[1].clone())).collect()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_name_means_whoever_has_it_or_nobody(
        users in prop::collection::vec(name(), 1..60),
        others in prop::collection::vec(name(), 1..60),
        column in prop::sample::select(&["username", "email", "externalId"][..]),
        no_or in any::<bool>(),
    ) {
        let values = [users.clone(), others].concat();
        let (field, found) = audited(&users, &values, column, no_or)?;
        prop_assert_eq!(found.len(), values.len());
        let ids: Vec<String> = (0..users.len() as u64).map(|index| field.sandbox.user_id(index).to_string()).collect();
        let having = |is: &dyn Fn(&str) -> bool| -> HashSet<&String> { ids.iter().zip(&users).filter(|(_, user)| is(user)).map(|(id, _)| id).collect() };
        for (value, (result, id)) in values.iter().zip(&found) {
            let value = read(value);
            let (exact, alike) = (having(&|user| user == value), having(&|user| is_alike(user, value)));
            // IDs of other systems may differ in case only.
            let expected = if exact.is_empty() || column != "externalId" { &exact | &alike } else { exact };
            let told = (value, result, id);
            match result.as_str() {
                "invalid" => prop_assert!(value.is_empty() || value.chars().any(char::is_control), "{told:?}"),
                "not_found" => prop_assert!(expected.is_empty(), "{told:?}"),
                "ambiguous" => prop_assert!(expected.len() > 1, "{told:?}"),
                "inactive" | "duplicate" => prop_assert!(expected.len() == 1 && expected.contains(id), "{told:?}"),
                _ => prop_assert!(false, "{told:?}"),
            }
        }
    }
}
