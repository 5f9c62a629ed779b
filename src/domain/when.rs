//! Parses end dates.
//!
//! An end date decides how long an account is protected by a password alone, so a text has exactly one meaning or is
//! refused: no local time zones, no day-month guesses, no rolling over.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::span::parse_span;
use super::until_guess::{Guess, day_after};
use super::{BypassUntil, quote};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UntilError {
    #[error("`{}` {}", quote(.value), meant(.value, *.start))]
    Form { value: String, start: DateTime<Utc> },
    #[error("`{}` has no offset from UTC: expected `{}Z`, which is UTC, or `{}+01:00`, say", quote(.0), quote(.0), quote(.0))]
    NoOffset(String),
    #[error(
        "`{}` has a 24th hour or a 60th second, which PingOne's form does not have: expected the instant after it",
        quote(.0)
    )]
    RollsOver(String),
    #[error("`{}` names a day or a time that does not exist", quote(.0))]
    NotInCalendar(String),
    #[error("`{}` ends after the year 9999 or before the year 1, for which PingOne's form has no room", quote(.0))]
    Year(String),
    #[error("`{}` is further ahead than {window}, which is what `--max-window` allows", quote(.value))]
    TooFar { value: String, window: String },
    #[error("`{}` is not in the future: the run started at {start}", quote(.value))]
    Past { value: String, start: String },
}

impl UntilError {
    /// The text that is refused.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::NoOffset(text) | Self::RollsOver(text) | Self::NotInCalendar(text) | Self::Year(text) => text,
            Self::Form { value, .. } | Self::TooFar { value, .. } | Self::Past { value, .. } => value,
        }
    }
}

/// What is wrong with a text of another form, and what was expected in a run that started at `start`.
fn meant(text: &str, start: DateTime<Utc>) -> String {
    let day = day_after(start);
    let unguessed = || format!("is not an end date: expected `{day}`, `{day}T17:00:00Z` or a span such as `+4h`");
    Guess::of(text).map_or_else(unguessed, |guess| guess.said(start))
}

/// The end date that `text` means in a run that started at `start`: an RFC 3339 date-time with an offset, whose seconds may
/// be left out, a date (its first instant, UTC), or `+` and a span.
pub(crate) fn parse_until(text: &str, start: DateTime<Utc>) -> Result<BypassUntil, UntilError> {
    let instant = match text.strip_prefix('+') {
        Some(span) => after_span(text, span, start)?,
        None => match shape(text).as_str() {
            "0000-00-00" => first_instant_of(text)?,
            "0000-00-00T00:00:00" => return Err(UntilError::NoOffset(text.to_owned())),
            "0000-00-00T00:00:00Z" | "0000-00-00T00:00:00+00:00" => date_time(text, text)?,
            "0000-00-00T00:00Z" | "0000-00-00T00:00+00:00" => {
                let (minutes, offset) = text.split_at(MINUTES);
                date_time(text, &format!("{minutes}:00{offset}"))?
            }
            _ => return Err(form(text, start)),
        },
    };
    let until = BypassUntil::from_instant(instant).ok_or_else(|| UntilError::Year(text.to_owned()))?;
    if until.instant() <= start {
        let start = BypassUntil::from_instant(start).map_or_else(|| start.to_rfc3339(), |at| at.to_string());
        return Err(UntilError::Past { value: text.to_owned(), start });
    }
    Ok(until)
}

fn form(text: &str, start: DateTime<Utc>) -> UntilError {
    UntilError::Form { value: text.to_owned(), start }
}

/// The length of a date-time up to its minutes, and up to its seconds.
const MINUTES: usize = "0000-00-00T00:00".len();
const SECONDS: usize = "0000-00-00T00:00:00".len();

/// `text` with each digit replaced by `0`, without a fraction of a second, and with `+` as the sign of an offset.
fn shape(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '0'..='9' => shape.push('0'),
            't' if shape.len() == 10 => shape.push('T'),
            'z' if matches!(shape.len(), MINUTES | SECONDS) => shape.push('Z'),
            '-' if matches!(shape.len(), MINUTES | SECONDS) => shape.push('+'),
            '.' if shape.len() == SECONDS && rest.peek().is_some_and(char::is_ascii_digit) => {
                while rest.next_if(char::is_ascii_digit).is_some() {}
            }
            other => shape.push(other),
        }
    }
    shape
}

fn first_instant_of(text: &str) -> Result<DateTime<Utc>, UntilError> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| UntilError::NotInCalendar(text.to_owned()))?;
    Ok(day.and_time(chrono::NaiveTime::MIN).and_utc())
}

/// The instant of a `text` that is, `whole`, of the shape of an RFC 3339 date-time.
fn date_time(text: &str, whole: &str) -> Result<DateTime<Utc>, UntilError> {
    if &whole[11..13] == "24" || &whole[17..19] == "60" {
        return Err(UntilError::RollsOver(text.to_owned()));
    }
    DateTime::parse_from_rfc3339(whole).map(|instant| instant.to_utc()).map_err(|_| UntilError::NotInCalendar(text.to_owned()))
}

fn after_span(text: &str, span: &str, start: DateTime<Utc>) -> Result<DateTime<Utc>, UntilError> {
    let span = parse_span(span).map_err(|_| form(text, start))?;
    let year = || UntilError::Year(text.to_owned());
    let span = TimeDelta::from_std(span).map_err(|_| year())?;
    start.checked_add_signed(span).ok_or_else(year)
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn start() -> DateTime<Utc> {
        "2026-02-27T10:20:30.456789Z".parse().expect("an instant")
    }

    fn read(text: &str) -> Result<String, UntilError> {
        parse_until(text, start()).map(|until| until.to_string())
    }

    #[test]
    fn every_documented_form_is_read() {
        for (text, expected) in [
            ("2026-08-31T17:00:00.000Z", "2026-08-31T17:00:00.000Z"),
            ("2026-08-31T17:00:00Z", "2026-08-31T17:00:00.000Z"),
            ("2026-08-31t17:00:00z", "2026-08-31T17:00:00.000Z"),
            ("2026-08-31T17:00:00+02:00", "2026-08-31T15:00:00.000Z"),
            ("2026-08-31T17:00:00.5-05:30", "2026-08-31T22:30:00.500Z"),
            ("2026-08-31T17:00Z", "2026-08-31T17:00:00.000Z"),
            ("2026-08-31t17:00z", "2026-08-31T17:00:00.000Z"),
            ("2026-08-31T17:00+01:00", "2026-08-31T16:00:00.000Z"),
            ("2026-08-31T17:59-05:30", "2026-08-31T23:29:00.000Z"),
            ("2026-08-31", "2026-08-31T00:00:00.000Z"),
            ("+90m", "2026-02-27T11:50:30.456Z"),
            ("+4h", "2026-02-27T14:20:30.456Z"),
            ("+2d", "2026-03-01T10:20:30.456Z"),
            ("+1h30m", "2026-02-27T11:50:30.456Z"),
        ] {
            assert_eq!(read(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn edges_of_the_calendar_are_right() {
        for (text, expected) in [
            ("2028-02-29", "2028-02-29T00:00:00.000Z"),
            ("2028-02-28T23:30:00-01:00", "2028-02-29T00:30:00.000Z"),
            ("2026-12-31T23:59:59.9999999Z", "2026-12-31T23:59:59.999Z"),
            ("2026-12-31T23:59:59.99999999999999Z", "2026-12-31T23:59:59.999Z"),
            ("2026-12-31T23:00:00-14:00", "2027-01-01T13:00:00.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(read(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn ambiguous_texts_are_refused() {
        use UntilError as E;
        let wrong = |text: &str, kind: fn(String) -> E| assert_eq!(read(text), Err(kind(text.to_owned())), "{text}");
        let is_of_no_form = |text: &str| assert_eq!(read(text), Err(form(text, start())), "{text}");
        for text in ["", "31/08/2026", "08/31/2026", "2026-8-31", "46265", "tomorrow", "2026-08-31 17:00:00Z", "2026-08-31 17:00Z"] {
            is_of_no_form(text);
        }
        // Seconds alone may be left out.
        for text in [
            "2026-08-31T17:00",
            "2026-08-31T17:00.5Z",
            "2026-08-31T17Z",
            "2026-08-31T1700Z",
            "2026-08-31T17:0Z",
            "2026-08-31T17:00+0100",
            "2026-08-31T17:00+01",
            "2026-08-31T17:00 +01:00",
            "2026-08-31T17:00:+01:00",
            "2026-08-31T17:00\u{2212}02:00",
        ] {
            is_of_no_form(text);
        }
        for text in ["+", "+4", "+4M", "+1y", "+4 h", "+-4h", "4h", "+1.5h", "+4h!", "\u{2212}4h", "2026-08-31T17:00:00\u{2212}02:00"] {
            is_of_no_form(text);
        }
        wrong("2026-08-31T17:00:00", E::NoOffset);
        wrong("2026-08-31T17:00:00.123", E::NoOffset);
        wrong("2026-08-31T24:00:00Z", E::RollsOver);
        wrong("2026-08-31T24:00Z", E::RollsOver);
        wrong("2026-08-31T17:60Z", E::NotInCalendar);
        wrong("2026-02-29T17:00+01:00", E::NotInCalendar);
        wrong("2026-12-31T23:59:60Z", E::RollsOver);
        for text in ["2026-02-29", "2100-02-29", "2026-13-01", "2026-08-31T17:60:00Z", "2026-08-31T25:00:00Z", "2026-08-31T17:00:00+25:00"]
        {
            wrong(text, E::NotInCalendar);
        }
        wrong("9999-12-31T23:59:59-01:00", E::Year);
        wrong("+9999999d", E::Year);
    }

    #[test]
    fn an_end_date_that_is_not_in_the_future_is_refused() {
        for text in ["2026-02-27", "+0h", "2026-02-27T10:20:30.456Z", "0000-01-01", "2026-02-27T12:20:30+02:00"] {
            assert!(matches!(read(text), Err(UntilError::Past { .. } | UntilError::Year(_))), "{text}");
        }
        assert!(read("2026-02-27T10:20:30.457Z").is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics_or_yields_a_past_date(text in ".{0,40}") {
            if let Ok(until) = parse_until(&text, start()) {
                prop_assert!(until.instant() > start());
            }
        }

        #[test]
        fn near_misses_do_not_panic(text in "[0-9+.:TZtz-]{0,30}") {
            let _: Result<_, _> = parse_until(&text, start());
        }

        #[test]
        fn any_instant_in_any_offset_is_read_back(ms in 1_800_000_000_000_i64..253_402_200_000_000, minutes in -1439_i32..1440) {
            let instant = DateTime::from_timestamp_millis(ms).expect("in range");
            let offset = chrono::FixedOffset::east_opt(minutes * 60).expect("under a day");
            let text = instant.with_timezone(&offset).to_rfc3339();
            prop_assume!(shape(&text).len() == 25 || shape(&text).ends_with('Z'));
            prop_assert_eq!(parse_until(&text, start()).map(BypassUntil::instant), Ok(instant));
        }
    }
}

#[cfg(test)]
mod fuzz {
    use std::time::Duration;

    use super::*;
    use crate::fuzz::{cases, spoilt_text};
    use proptest::prelude::*;

    fn start() -> DateTime<Utc> {
        "2026-02-27T10:20:30.456Z".parse().expect("an instant")
    }

    /// The same by another method: each number and its unit, added up.
    fn length(text: &str) -> Option<Duration> {
        let mut rest = if text == "0" { "0s" } else { text };
        let mut millis = 0_u128;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u128 = rest[..digits].parse().ok()?;
            let unit = &rest[digits..];
            let (unit, length) = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]
                .into_iter()
                .find(|(name, _)| unit.starts_with(name) && unit[name.len()..].bytes().next().is_none_or(|next| next.is_ascii_digit()))?;
            millis = millis.checked_add(number.checked_mul(length)?)?;
            rest = &rest[digits + unit.len()..];
        }
        let seconds = u64::try_from(millis / 1000).ok()?;
        (!text.is_empty()).then(|| Duration::new(seconds, u32::try_from(millis % 1000).expect("small") * 1_000_000))
    }

    proptest! {
        #![proptest_config(cases(256))]

        /// A text that is accepted as an end date means the instant that an RFC 3339 parser finds in it, and lies ahead.
        #[test]
        fn no_text_is_read_as_a_different_instant(
            text in spoilt_text([
                "2026-08-31T17:00:00.000Z",
                "2026-08-31t17:00:00.123456+02:00",
                "2028-02-29",
                "2026-08-31T17:00+02:00",
                "9999-12-31T23:59:59.999-14:00",
                "+1d12h",
                "+90m",
            ]),
        ) {
            if let Ok(until) = parse_until(&text, start()) {
                prop_assert!(until.instant() > start());
                let meant = match text.strip_prefix('+') {
                    Some(span) => length(span).and_then(|span| start().checked_add_signed(TimeDelta::from_std(span).ok()?)),
                    None => DateTime::parse_from_rfc3339(&text)
                        .or_else(|_| DateTime::parse_from_rfc3339(&format!("{text}T00:00:00Z")))
                        .or_else(|_| DateTime::parse_from_rfc3339(&format!("{}:00{}", &text[..MINUTES], &text[MINUTES..])))
                        .ok()
                        .map(|at| at.to_utc()),
                };
                prop_assert_eq!(meant.and_then(BypassUntil::from_instant), Some(until));
            }
        }

        #[test]
        fn a_span_is_the_sum_of_its_parts_or_invalid(text in "[0-9]{0,3}(ms|s|m|h|d|)[0-9dhms]{0,12}[0-9]{0,20}(ms|s|m|h|d|)") {
            if let Ok(span) = parse_span(&text) {
                prop_assert_eq!(Some(span), length(&text), "{}", text);
            }
        }
    }
}
