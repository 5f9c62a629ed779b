//! The values that every part of the program uses: identifiers, row numbers, end dates and the like. Each is validated when it
//! is created, so that no `String` carries meaning after that.

mod action;
mod bit_set;
mod detail;
mod dialect;
mod end_dates;
mod lines;
mod max_failures;
mod outcome;
mod plan_digest;
mod previous;
mod reported;
mod resolution;
mod row;
mod selection;
mod shard;
mod span;
mod text;
mod until_guess;
mod when;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use clap::ValueEnum;
use uuid::Uuid;

pub use self::outcome::Outcome;

pub(crate) use self::action::{Action, Operation, Restoration};
pub(crate) use self::bit_set::BitSet;
pub(crate) use self::detail::Detail;
pub(crate) use self::dialect::{BYTE_ORDER_MARK, CsvDialect, LineEnd, OutputDialect};
pub(crate) use self::end_dates::EndDates;
pub(crate) use self::lines::Lines;
pub(crate) use self::max_failures::MaxFailures;
pub(crate) use self::outcome::{Counts, Tally};
pub(crate) use self::plan_digest::PlanDigest;
pub(crate) use self::previous::Previous;
pub(crate) use self::reported::{MAY_MISS, REPORTED_COLUMNS, REPORTED_UNTIL, differs};
pub(crate) use self::resolution::Resolution;
pub(crate) use self::row::{Origin, Row, Work};
pub(crate) use self::selection::{Filter, Selection};
pub(crate) use self::shard::{NotAShard, Shard};
pub(crate) use self::span::{parse_span, positive_span, span_in_words, span_up_to, typed_span};
pub(crate) use self::text::{ALWAYS_SHOWN, ForeignText, are, counted, escaped, escaped_lines, is_unseen, quote, shell_word, shown};
pub(crate) use self::until_guess::Guess;
pub(crate) use self::when::{UntilError, parse_until};

/// Text that is not a UUID in its hyphenated form of 36 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a UUID: expected {}", quote(.0), expected_uuid(.0))]
pub struct NotAUuid(String);

impl NotAUuid {
    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The UUID that it means in another form: in braces, as a URN, or without hyphens.
    pub(crate) fn in_another_form(&self) -> Option<Uuid> {
        Uuid::try_parse(&self.0).ok()
    }
}

fn expected_uuid(text: &str) -> String {
    let meant = Uuid::try_parse(text).map(|id| format!("`{}`", id.hyphenated()));
    meant.unwrap_or_else(|_| "a form such as `7e94b96e-0364-463b-a059-d97d1e4cb1d5`".to_owned())
}

/// The UUID in `text`, in any case. Braces, URNs and the form without hyphens are refused.
fn hyphenated(text: &str) -> Result<Uuid, NotAUuid> {
    if text.len() == uuid::fmt::Hyphenated::LENGTH
        && let Ok(id) = Uuid::try_parse(text)
    {
        return Ok(id);
    }
    Err(NotAUuid(text.to_owned()))
}

macro_rules! identifier {
    ($(#[$doc:meta])* $vis:vis $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis struct $name(Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl FromStr for $name {
            type Err = NotAUuid;

            fn from_str(text: &str) -> Result<Self, NotAUuid> {
                hyphenated(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

identifier! {
    /// A user of a PingOne environment.
    pub UserId
}
impl UserId {
    /// The identifier as a UUID.
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

identifier! {
    /// A PingOne environment.
    pub EnvironmentId
}
identifier! {
    /// A population of an environment's users.
    pub(crate) PopulationId
}
identifier! {
    /// A group of users.
    pub(crate) GroupId
}
identifier! {
    /// One run of the program. PingOne copies it into its audit records as the session of each request.
    pub(crate) RunId
}

impl RunId {
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The ID that follows from these bytes: a UUID of version 8, which no run is given.
    pub(crate) fn derived(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// The place of a data row in the input, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RowNumber(pub(crate) u64);

impl fmt::Display for RowNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The numbers of some rows.
pub(crate) type RowSet = BitSet;

/// The instant at which a bypass ends, in whole milliseconds, UTC, from year 1 to year 9999.
///
/// Its text is in the only format that PingOne accepts, `YYYY-MM-DDTHH:MM:SS.mmmZ`
/// ("the only date format that can be used", Allow MFA Bypass for User).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BypassUntil(DateTime<Utc>);

impl BypassUntil {
    /// `instant`, truncated to milliseconds, or `None` if its year does not fit the format.
    pub fn from_instant(instant: DateTime<Utc>) -> Option<Self> {
        let cut = DateTime::from_timestamp_millis(instant.timestamp_millis())?;
        (1..=9999).contains(&cut.year()).then_some(Self(cut))
    }

    /// The end date that PingOne means by `text`: an RFC 3339 date-time of whole milliseconds.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let instant = DateTime::parse_from_rfc3339(text).ok()?;
        // A finer date cannot equal any date that can be requested.
        let whole = instant.timestamp_subsec_nanos() % 1_000_000 == 0;
        Self::from_instant(instant.to_utc()).filter(|_| whole)
    }

    /// The end date as an instant.
    pub fn instant(self) -> DateTime<Utc> {
        self.0
    }

    /// Milliseconds since 1970-01-01, UTC.
    pub(crate) fn millis(self) -> i64 {
        self.0.timestamp_millis()
    }
}

impl fmt::Display for BypassUntil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// How long a bypass still runs after `end`: PingOne rejects end dates in the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grace(Duration);

/// A span that is too short or too long for [`Grace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected from 1s, in which a request may arrive, to 1d: a later end is a matter for `grant --until`")]
pub(crate) struct NotAGrace;

impl Grace {
    /// With less, the end date would have passed before the request arrives.
    const LEAST: Duration = Duration::from_secs(1);
    /// `end` is meant to end bypasses soon. A later end date is a matter for `grant`.
    const MOST: Duration = Duration::from_secs(24 * 60 * 60);

    /// The new end date of a bypass that is ended `now`.
    pub(crate) fn after(self, now: DateTime<Utc>) -> BypassUntil {
        BypassUntil::from_instant(now + self.0).expect("no clock is a day from the year 9999")
    }

    pub(crate) fn span(self) -> Duration {
        self.0
    }
}

impl TryFrom<Duration> for Grace {
    type Error = NotAGrace;

    fn try_from(span: Duration) -> Result<Self, NotAGrace> {
        if (Self::LEAST..=Self::MOST).contains(&span) { Ok(Self(span)) } else { Err(NotAGrace) }
    }
}

impl fmt::Display for Grace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// An attribute by which a user can be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attribute {
    Username,
    Email,
    #[value(name = "externalId")]
    ExternalId,
}

impl Attribute {
    /// Every attribute, the most reliable first: usernames are unique within an environment.
    pub(crate) const ALL: [Self; 3] = [Self::Username, Self::Email, Self::ExternalId];

    /// PingOne's name for it, in filters and in answers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Email => "email",
            Self::ExternalId => "externalId",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_user_id_is_a_hyphenated_uuid_in_any_case() {
        let id: UserId = "7E94B96E-0364-463B-a059-d97d1e4cb1d5".parse().expect("valid");
        assert_eq!(id.to_string(), "7e94b96e-0364-463b-a059-d97d1e4cb1d5");
        for bad in [
            "",
            "7e94b96e",
            "7e94b96e0364463ba059d97d1e4cb1d5",
            "{7e94b96e-0364-463b-a059-d97d1e4cb1d5}",
            "urn:uuid:7e94b96e-0364-463b-a059-d97d1e4cb1d5",
            "7e94b96e-0364-463b-a059-d97d1e4cb1d/",
            "7e94b96e-0364-463b-a059-d97d1e4cb1d5 ",
        ] {
            assert!(bad.parse::<UserId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_grace_is_from_a_second_to_a_day() {
        let grace = |seconds| Grace::try_from(Duration::from_secs_f64(seconds));
        for refused in [0.0, 0.999, 86_400.001] {
            assert_eq!(grace(refused), Err(NotAGrace), "{refused}");
        }
        assert!(grace(1.0).is_ok() && grace(86_400.0).is_ok());
        let now = DateTime::from_timestamp_millis(1_800_000_000_123).expect("in range");
        assert_eq!(grace(60.0).expect("a grace").after(now).to_string(), "2027-01-15T08:01:00.123Z");
    }

    proptest! {
        #[test]
        fn identifiers_round_trip(bits in any::<u128>()) {
            let id = UserId::from(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().to_uppercase().parse::<UserId>().expect("own text"), id);
        }

        #[test]
        fn end_dates_are_24_characters_and_round_trip(ms in -62_135_596_800_000_i64..253_402_300_800_000) {
            let until = BypassUntil::from_instant(DateTime::from_timestamp_millis(ms).expect("in range")).expect("year has four digits");
            let text = until.to_string();
            prop_assert_eq!(text.len(), 24);
            prop_assert_eq!(BypassUntil::read(&text), Some(until));
        }
    }
}
