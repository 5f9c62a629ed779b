//! Parses durations.

use std::time::Duration;

use super::quote;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a duration: expected a form such as `90s`, `30m`, `4h`, `2d` or `1h30m`", quote(.0))]
pub(crate) struct NotADuration(String);

/// The length of a text such as `90m`, `4h` or `1d12h`, in the fixed-length units `ms`, `s`, `m`, `h` and `d`. Months
/// and years are refused, and so is a number without a unit, except `0`.
pub(crate) fn parse_span(text: &str) -> Result<Duration, NotADuration> {
    let refused = || NotADuration(text.to_owned());
    if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'd' | b'h' | b'm' | b's')) {
        return Err(refused());
    }
    humantime::parse_duration(text).map_err(|_| refused())
}

/// A time to wait, at most a year.
pub(crate) fn positive_span(text: &str) -> Result<Duration, String> {
    span_up_to(365, text)
}

/// A span of more than nothing, and at most this many `days`.
pub(crate) fn span_up_to(days: u32, text: &str) -> Result<Duration, String> {
    match parse_span(text) {
        Ok(Duration::ZERO) => Err("expected more than nothing".to_owned()),
        Ok(span) if span > DAY * days => Err(format!("expected at most {days}d")),
        Ok(span) => Ok(span),
        Err(error) => Err(error.to_string()),
    }
}
