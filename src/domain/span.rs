//! Parses durations, and shows them.

use std::time::Duration;

use super::{counted, quote};

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

/// The parts of a span, the greatest unit first, each with the number of its unit; without those that are 0. (A month or a year
/// has no fixed length.)
fn parts(span: Duration) -> Vec<(u64, &'static str)> {
    let seconds = span.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(span.subsec_millis()), "ms"),
    ];
    parts.into_iter().filter(|(count, _)| *count > 0).collect()
}

/// A span as options take it, to the millisecond: `7d`, `1h30m`.
pub(crate) fn typed_span(span: Duration) -> String {
    let parts = parts(span);
    if parts.is_empty() { "0s".to_owned() } else { parts.iter().map(|(count, unit)| format!("{count}{unit}")).collect() }
}

/// A span for people, to the millisecond: "7 days", "3 d 11 h", "1 min 30 s".
pub(crate) fn span_in_words(span: Duration) -> String {
    match parts(span)[..] {
        [] => "0 s".to_owned(),
        [(days, "d")] => counted(days, "day"),
        ref parts => {
            let shown = |(count, unit): &(u64, &str)| format!("{count} {}", if *unit == "m" { "min" } else { unit });
            parts.iter().map(shown).collect::<Vec<_>>().join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_shown_as_people_write_them_and_recorded_as_options_take_them() {
        for (millis, words, typed) in [
            (0, "0 s", "0s"),
            (250, "250 ms", "250ms"),
            (90_000, "1 min 30 s", "1m30s"),
            (4 * 3_600_000, "4 h", "4h"),
            (86_400_000, "1 day", "1d"),
            (7 * 86_400_000, "7 days", "7d"),
            (299_400_000, "3 d 11 h 10 min", "3d11h10m"),
            (40_000 * 86_400_000, "40000 days", "40000d"),
        ] {
            let span = Duration::from_millis(millis);
            assert_eq!((span_in_words(span).as_str(), typed_span(span).as_str()), (words, typed));
            assert_eq!(parse_span(typed.trim_start_matches("0s")).unwrap_or_default(), span);
        }
    }
}
