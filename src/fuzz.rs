//! Hostile input for properties: arbitrary bytes, valid texts with mutations, and arbitrary JSON.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

/// How many cases a property runs by default, unless `PROPTEST_CASES` is set.
const USUAL: u64 = 256;

/// This many cases where other properties run 256; `PROPTEST_CASES` scales all of them.
pub(crate) fn cases(of_256: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = (u64::from(default.cases) * u64::from(of_256)).div_ceil(USUAL);
    ProptestConfig { cases: u32::try_from(cases).unwrap_or(u32::MAX), failure_persistence: None, ..default }
}

/// Bytes and words with a meaning in some format.
const WORDS: &[&str] = &[
    "\"",
    "\"\"",
    ",",
    ";",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "\0",
    " ",
    "'",
    "\\",
    "/",
    ":",
    "=",
    "+",
    "-",
    "@",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "[]",
    "{}",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e999",
    "NaN",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775808",
    "\u{feff}",
    "\u{202e}",
    "\u{e9}",
    "\u{1b}[2J",
    "\\u0000",
    "\\ud800",
    "granted",
    "failed",
    "unknown",
    "row",
    "userID",
    "+4h",
    "+9999999999d",
    "2026-02-30",
    "9999-12-31T23:59:59.999Z",
    "0000-01-01T00:00:00.000Z",
    "24:00:00",
    "canBypassMFA",
    "http://evil.example/",
    "//evil.example",
    "..",
    "%2e%2e",
    "%00",
    "?",
    "#",
    "eq",
    "or",
    "and",
];

/// A mutation of a text.
#[derive(Debug, Clone)]
enum Edit {
    Replace(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize, Index),
    CutAt(Index),
}

impl Edit {
    fn apply(&self, text: &mut Vec<u8>) {
        let at = |index: &Index, text: &Vec<u8>| index.index(text.len() + 1);
        let some = |from: usize, length: usize, text: &Vec<u8>| from..(from + length).min(text.len());
        match self {
            Self::Replace(index, byte) if !text.is_empty() => {
                let at = index.index(text.len());
                text[at] = *byte;
            }
            Self::Replace(..) => {}
            Self::Insert(index, bytes) => {
                let at = at(index, text);
                text.splice(at..at, bytes.iter().copied());
            }
            Self::Remove(index, length) => drop(text.drain(some(at(index, text), *length, text))),
            Self::Repeat(index, length, to) => {
                let (bytes, to) = (text[some(at(index, text), *length, text)].to_vec(), at(to, text));
                text.splice(to..to, bytes);
            }
            Self::CutAt(index) => text.truncate(at(index, text)),
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let word = select(WORDS).prop_map(|word| word.as_bytes().to_vec());
    prop_oneof![
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        4 => (any::<Index>(), word).prop_map(|(at, word)| Edit::Insert(at, word)),
        1 => (any::<Index>(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        2 => (any::<Index>(), 1_usize..40).prop_map(|(at, length)| Edit::Remove(at, length)),
        2 => (any::<Index>(), 1_usize..90, any::<Index>()).prop_map(|(at, length, to)| Edit::Repeat(at, length, to)),
        1 => any::<Index>().prop_map(Edit::CutAt),
    ]
}

/// One of the `valid` texts with up to five mutations, sometimes none.
pub(crate) fn spoilt<T: AsRef<[u8]>>(valid: impl IntoIterator<Item = T>) -> impl Strategy<Value = Vec<u8>> {
    let valid: Vec<Vec<u8>> = valid.into_iter().map(|text| text.as_ref().to_vec()).collect();
    (select(valid), vec(edit(), 0..6)).prop_map(|(mut text, edits)| {
        for edit in &edits {
            edit.apply(&mut text);
        }
        text
    })
}

/// The same as text; invalid UTF-8 is replaced.
pub(crate) fn spoilt_text<T: AsRef<[u8]>>(valid: impl IntoIterator<Item = T>) -> impl Strategy<Value = String> {
    spoilt(valid).prop_map(|text| String::from_utf8_lossy(&text).into_owned())
}

/// A few arbitrary bytes.
pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..300), vec(select(WORDS), 0..40).prop_map(|words| words.concat().into_bytes())]
}

/// Arbitrary JSON; most of its objects' names are from `names`.
pub(crate) fn json(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof![any::<u64>(), 0_u64..9, select(vec![u64::MAX, u64::MAX - 1, 1 << 63])].prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(WORDS).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let name = prop_oneof![9 => select(names).prop_map(str::to_owned), 1 => ".{0,6}"];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((name.clone(), inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A body: a mutated valid answer, arbitrary JSON, or arbitrary bytes.
pub(crate) fn body(valid: &'static [&'static str], names: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => spoilt(valid), 3 => json(names).prop_map(|value| value.to_string().into_bytes()), 1 => bytes()]
}

/// A `body` as JSON, parsed in full. `None` if it is invalid; a parser that reads only a part of it may still succeed.
pub(crate) fn parsed(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok()
}
