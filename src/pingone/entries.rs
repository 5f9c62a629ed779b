//! Reads a page of the device report. Its form is not documented beyond the names of the fields, so every plausible one is read, and
//! a page that cannot be understood is refused with what was found in it.

use chrono::DateTime;
use serde_json::{Map, Value};

use super::verdict::text_in;
use crate::domain::{BypassUntil, ForeignText, UserId, quote};

/// A number that is at least this is in milliseconds since 1970, a smaller one in seconds. As milliseconds it is 1973-03-03, before any
/// bypass; as seconds it is the year 5138.
const LEAST_MILLIS: i64 = 100_000_000_000;
/// The most names of members that a message quotes.
const MOST_NAMED: usize = 8;

/// A device of a user, as the report has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceEntry {
    pub(crate) user: UserId,
    pub(crate) username: Option<ForeignText>,
    /// When the user's bypass ends; `None` if the entry says that there is none.
    pub(crate) until: Option<BypassUntil>,
}

/// A page of entries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct EntriesPage {
    pub(crate) entries: Vec<DeviceEntry>,
    /// Whether an entry has a `bypassUntil`, even an empty one.
    pub(crate) has_field: bool,
    /// The number of entries that the answer states, whether of this page or of all is not documented.
    pub(crate) counted: u64,
    /// The link to the next page.
    pub(super) next: Option<String>,
}

/// An answer about the device report that cannot be understood. A retry does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotUnderstood {
    #[error("the answer to the request for it has no usable `id`: {}, and letters, digits and `-` were expected", found_in(.0.as_ref()))]
    NoId(Option<ForeignText>),
    #[error("a page has no list of entries: expected `_embedded.entries`, and it has {0}")]
    NoEntries(String),
    #[error("the link to the next page cannot be read")]
    NoLink,
    #[error("an entry has no `userId`: it has {0}")]
    NoUser(String),
    #[error("the `userId` of an entry is `{0}`: expected a UUID")]
    User(String),
    #[error(
        "the `bypassUntil` of user {user} is `{value}`: expected an RFC 3339 date-time with an offset, such as `2026-08-31T17:00:00Z`, or \
         seconds or milliseconds since 1970"
    )]
    Until { user: UserId, value: String },
}

fn found_in(id: Option<&ForeignText>) -> String {
    id.map_or_else(|| "there is none".to_owned(), |id| format!("it is `{}`", quote(id.as_received())))
}

/// The entries in the `body` of a page.
pub(super) fn read_entries(body: &Value, redact: &dyn Fn(String) -> String) -> Result<EntriesPage, NotUnderstood> {
    let found = entries_in(body).ok_or_else(|| NotUnderstood::NoEntries(members(body, redact)))?;
    let counted = ["/count", "/entries/count"].into_iter().find_map(|place| body.pointer(place)?.as_u64()).unwrap_or_default();
    let mut page = EntriesPage { next: next_in(body)?, counted, ..EntriesPage::default() };
    for entry in found {
        let Some(user) = field(entry, "userId") else {
            return Err(NotUnderstood::NoUser(members(entry, redact)));
        };
        let user = read_user(user, redact)?;
        let until = field(entry, "bypassUntil");
        page.has_field |= until.is_some();
        let until = until.map(|until| read_until(user, until, redact)).transpose()?.flatten();
        let username = field(entry, "username").and_then(text_in).map(|name| ForeignText::from(name).map(redact));
        page.entries.push(DeviceEntry { user, username, until });
    }
    Ok(page)
}

/// The list of entries: where the user list has its users, or at the top, or within an object `entries`.
fn entries_in(body: &Value) -> Option<&Vec<Value>> {
    let places = ["/_embedded/entries", "/entries", "/entries/_embedded/entries", "/entries/entries", "/_embedded/entries/entries"];
    let named = places.into_iter().find_map(|place| body.pointer(place)?.as_array());
    named.or_else(|| {
        // Under another name, if there is only one list.
        let mut lists = body.get("_embedded")?.as_object()?.values().filter_map(Value::as_array);
        lists.next().filter(|_| lists.next().is_none())
    })
}

/// The link to the next page; `None` after the last. "The response will include a `next` object": where is not said.
fn next_in(body: &Value) -> Result<Option<String>, NotUnderstood> {
    let places = ["/_links/next", "/next", "/entries/_links/next", "/entries/next", "/_embedded/_links/next", "/_embedded/next"];
    let next = places.into_iter().find_map(|place| body.pointer(place).filter(|next| !next.is_null()));
    let link = |next: &Value| next.get("href").unwrap_or(next).as_str().map(str::to_owned).ok_or(NotUnderstood::NoLink);
    next.map(link).transpose()
}

/// The value of a field of an entry: a member of it, or of an object within it, or one of a list of names and values.
fn field<'a>(entry: &'a Value, name: &str) -> Option<&'a Value> {
    let entry = entry.as_object()?;
    let named = |object: &'a Map<String, Value>| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let pair = |pair: &'a Value| {
        let is_it = pair.get("name").and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(name));
        is_it.then(|| pair.get("value").unwrap_or(&Value::Null))
    };
    named(entry).or_else(|| {
        entry.values().find_map(|member| match member {
            Value::Object(object) => named(object),
            Value::Array(pairs) => pairs.iter().find_map(pair),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        })
    })
}

fn read_user(user: &Value, redact: &dyn Fn(String) -> String) -> Result<UserId, NotUnderstood> {
    let read = user.as_str().and_then(|user| user.parse().ok());
    read.ok_or_else(|| NotUnderstood::User(quoted(user, redact)))
}

/// When the bypass of `user` ends; `None` if there is none.
fn read_until(user: UserId, until: &Value, redact: &dyn Fn(String) -> String) -> Result<Option<BypassUntil>, NotUnderstood> {
    let read = match until {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => date(text.trim()),
        Value::Number(number) => number.as_i64().and_then(since_1970).or_else(|| fraction(&number.to_string())),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    read.map(Some).ok_or_else(|| NotUnderstood::Until { user, value: quoted(until, redact) })
}

fn date(text: &str) -> Option<BypassUntil> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().and_then(since_1970);
    }
    // Chrono also takes a space between date and time.
    let is_strict = text.as_bytes().get(10).is_some_and(|byte| byte.eq_ignore_ascii_case(&b'T'));
    // Java writes an offset without a colon, too.
    let read = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"));
    let read = read.ok().filter(|_| is_strict).map(|read| read.to_utc());
    read.and_then(BypassUntil::from_instant).or_else(|| fraction(text))
}

/// Seconds after 1970 with a fraction, as Java's serialisers write an instant: cut to milliseconds.
fn fraction(text: &str) -> Option<BypassUntil> {
    let (seconds, fraction) = text.split_once('.')?;
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(seconds) || !all_digits(fraction) {
        return None;
    }
    let seconds: i64 = seconds.parse().ok().filter(|seconds| *seconds < LEAST_MILLIS)?;
    let millis: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    BypassUntil::from_instant(DateTime::from_timestamp_millis(seconds * 1000 + millis)?)
}

/// The end date that is this many seconds or milliseconds after 1970.
fn since_1970(number: i64) -> Option<BypassUntil> {
    let instant = match number {
        ..0 => None,
        0..LEAST_MILLIS => DateTime::from_timestamp(number, 0),
        LEAST_MILLIS.. => DateTime::from_timestamp_millis(number),
    };
    BypassUntil::from_instant(instant?)
}

/// A value for a message: JSON, except for strings.
fn quoted(value: &Value, redact: &dyn Fn(String) -> String) -> String {
    quote(&redact(value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
}

/// The names of the members of an object, for a message.
fn members(value: &Value, redact: &dyn Fn(String) -> String) -> String {
    let Some(object) = value.as_object() else {
        return format!("no members, being `{}`", quoted(value, redact));
    };
    let names: Vec<String> = object.keys().take(MOST_NAMED).map(|name| format!("`{}`", quote(&redact(name.clone())))).collect();
    let more = object.len().saturating_sub(MOST_NAMED);
    match (names.is_empty(), more) {
        (true, _) => "no member at all".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
#[path = "entries_tests.rs"]
mod tests;
