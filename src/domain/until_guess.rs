//! What may be meant by a text that is not an end date. A guess is only ever shown, for somebody to write it: nothing is read
//! by it.

use chrono::{DateTime, Days, NaiveDate, SecondsFormat, TimeDelta, Utc};

use super::span::parse_span;

/// No text that means a date is longer, in bytes.
const LONGEST: usize = 40;
/// Excel's day number 0. (It counts a 29 February 1900, so the numbers of earlier days than 1 March are one off.)
const EXCEL_EPOCH: Option<NaiveDate> = NaiveDate::from_ymd_opt(1899, 12, 30);
/// Excel's numbers of the days of 2000 to 2099: other numbers of five digits are postal codes or the like.
const EXCEL_DAYS: std::ops::RangeInclusive<u64> = 36_526..=73_050;
/// Excel rounds a time of the day to less than a second.
const SECONDS_OF_A_DAY: f64 = 86_400.0;
/// No offset in use is further behind UTC, in hours: where it is later than this, it has passed everywhere.
const FURTHEST_BEHIND: i64 = 12;
/// How the messages begin.
const NOT: &str = "is not an end date: expected";

/// What a text may mean. Each has the text to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Guess {
    /// A span without its `+`, or with another unit.
    Span(String),
    /// A word that counts from some day.
    Word(&'static str),
    /// A date in another form.
    Date(String),
    /// A date-time in another form.
    DateTime(String),
    /// A date whose day and month may be either way round. Where it has a time without an offset from UTC, it is taken for UTC.
    DayOrMonth { day_first: String, month_first: String, lacks_offset: bool },
    /// A date-time without an offset from UTC, and perhaps without its `T`.
    NoOffset { has_t: bool, date_time: String },
    /// Excel's number of a day.
    Excel(String),
    /// Excel's number of a day and a time of it, without an offset.
    ExcelTime(String),
    /// Seconds or milliseconds since 1970.
    Unix(String),
}

impl Guess {
    /// What `text`, which is not an end date, may mean.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > LONGEST || !text.is_ascii() {
            return None;
        }
        let lower = text.to_ascii_lowercase();
        word(&lower).or_else(|| span(text, &lower)).or_else(|| number(&lower)).or_else(|| date(&lower))
    }

    /// Whether it has passed at `start`, however it is meant.
    pub(crate) fn has_passed(&self, start: DateTime<Utc>) -> bool {
        match self {
            Self::Span(_) | Self::Word(_) => false,
            Self::Date(date) | Self::DateTime(date) | Self::Excel(date) | Self::Unix(date) => is_past(date, start),
            Self::DayOrMonth { day_first, month_first, lacks_offset } => {
                let start = if *lacks_offset { furthest_behind(start) } else { start };
                is_past(day_first, start) && is_past(month_first, start)
            }
            Self::NoOffset { date_time, .. } | Self::ExcelTime(date_time) => is_past(&format!("{date_time}Z"), furthest_behind(start)),
        }
    }

    /// The end of a sentence that begins with the text, in a run that started at `start`.
    pub(crate) fn said(&self, start: DateTime<Utc>) -> String {
        if self.has_passed(start) {
            return self.said_of_the_past();
        }
        // The first reading of a time without an offset.
        let utc = |date_time: &str| {
            if is_past(&format!("{date_time}Z"), start) {
                format!("an offset behind UTC, such as `{date_time}-08:00`: as `{date_time}Z`, which is UTC, it has passed")
            } else {
                format!("`{date_time}Z`, which is UTC, or `{date_time}+01:00`, say")
            }
        };
        match self {
            Self::Span(span) => format!("{NOT} `{span}`, which counts from the start of the run"),
            Self::Word(span) => format!("{NOT} a date such as `{}`, or a span such as `{span}`", day_after(start)),
            Self::Date(date) | Self::DateTime(date) => format!("{NOT} `{date}`"),
            Self::DayOrMonth { day_first, month_first, lacks_offset } => {
                let utc = if *lacks_offset { ", which is UTC; with `+01:00` in place of `Z`, say, it is local" } else { "" };
                match (is_past(day_first, start), is_past(month_first, start)) {
                    (true, _) => format!("{NOT} `{month_first}` if its month comes first (else it has passed: `{day_first}`){utc}"),
                    (_, true) => format!("{NOT} `{day_first}` if its day comes first (else it has passed: `{month_first}`){utc}"),
                    (false, false) => format!("{NOT} `{day_first}` if its day comes first, or `{month_first}` if its month does{utc}"),
                }
            }
            Self::NoOffset { has_t, date_time } => {
                let lacks = if *has_t { "an offset" } else { "`T` and an offset" };
                format!("lacks {lacks} from UTC: expected {}", utc(date_time))
            }
            Self::Excel(date) => format!("{NOT} `{date}`, which has this number in Excel"),
            Self::ExcelTime(date_time) => format!("{NOT} {}; that time has this number in Excel", utc(date_time)),
            Self::Unix(date) => format!("{NOT} `{date}`, which has this number as Unix time"),
        }
    }

    /// The same of what has passed.
    fn said_of_the_past(&self) -> String {
        let meant = match self {
            Self::Span(text) | Self::Date(text) | Self::DateTime(text) | Self::Excel(text) | Self::Unix(text) => format!("`{text}`"),
            Self::DayOrMonth { day_first, month_first, .. } => format!("both `{day_first}` and `{month_first}`"),
            Self::NoOffset { date_time, .. } | Self::ExcelTime(date_time) => format!("`{date_time}`, in every time zone"),
            Self::Word(text) => format!("`{text}`"),
        };
        format!("is not an end date, and what it may mean has passed: {meant}")
    }
}

/// The day after `start`: an end date that can be written.
pub(super) fn day_after(start: DateTime<Utc>) -> NaiveDate {
    let today = start.date_naive();
    today.succ_opt().unwrap_or(today)
}

/// The start of the run as it is read where the clocks are furthest behind UTC.
fn furthest_behind(start: DateTime<Utc>) -> DateTime<Utc> {
    start.checked_sub_signed(TimeDelta::hours(FURTHEST_BEHIND)).unwrap_or(start)
}

/// Whether the instant that a date or a date-time means is not after `start`.
fn is_past(text: &str, start: DateTime<Utc>) -> bool {
    let read = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc3339(&format!("{text}T00:00:00Z")));
    read.is_ok_and(|at| at <= start)
}

fn word(text: &str) -> Option<Guess> {
    match text {
        "now" | "today" | "tonight" => Some(Guess::Word("+8h")),
        "tomorrow" => Some(Guess::Word("+1d")),
        "next week" => Some(Guess::Word("+7d")),
        _ => None,
    }
}

/// A span; `lower` is the `text` in lower case. A capital `M` may be months.
fn span(text: &str, lower: &str) -> Option<Guess> {
    let bare: String = lower.strip_prefix('+').unwrap_or(lower).chars().filter(|c| *c != ' ').collect();
    let unit_at = bare.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?;
    let (number, unit) = bare.split_at(unit_at);
    let plain = match unit {
        "min" | "mins" | "minute" | "minutes" => format!("{number}m"),
        "hr" | "hrs" | "hour" | "hours" => format!("{number}h"),
        "day" | "days" => format!("{number}d"),
        "w" | "week" | "weeks" => format!("{}d", number.parse::<u32>().ok()?.checked_mul(7)?),
        _ if text.contains('M') => return None,
        _ => bare,
    };
    parse_span(&plain).is_ok_and(|span| !span.is_zero()).then(|| Guess::Span(format!("+{plain}")))
}

/// A number: a date without its hyphens, Excel's number of a day, or a Unix time.
fn number(text: &str) -> Option<Guess> {
    let (whole, fraction) = text.split_once(['.', ',']).map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || fraction.is_some_and(|fraction| !is_digits(fraction)) {
        return None;
    }
    let instant = |at: DateTime<chrono::Utc>| Guess::Unix(at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    match (whole.len(), fraction) {
        (5, _) => {
            let days = whole.parse().ok().filter(|days| EXCEL_DAYS.contains(days))?;
            let day = EXCEL_EPOCH?.checked_add_days(Days::new(days))?;
            let Some(fraction) = fraction else {
                return Some(Guess::Excel(day.to_string()));
            };
            let seconds = format!("0.{fraction}").parse::<f64>().ok()? * SECONDS_OF_A_DAY;
            #[expect(clippy::cast_possible_truncation, reason = "it is less than a day")]
            let at = day.and_time(chrono::NaiveTime::MIN) + TimeDelta::seconds(seconds.round() as i64);
            Some(Guess::ExcelTime(at.format("%Y-%m-%dT%H:%M:%S").to_string()))
        }
        (8, None) => {
            let date = NaiveDate::parse_from_str(text, "%Y%m%d").ok().filter(|date| has_likely_year(*date))?;
            Some(Guess::Date(date.to_string()))
        }
        (10, None) => DateTime::from_timestamp(text.parse().ok()?, 0).map(instant),
        (13, None) => DateTime::from_timestamp_millis(text.parse().ok()?).map(instant),
        _ => None,
    }
}

fn has_likely_year(date: NaiveDate) -> bool {
    use chrono::Datelike;
    (1900..2200).contains(&date.year())
}

/// A date, perhaps with a time.
fn date(text: &str) -> Option<Guess> {
    let ends = text.find(['t', ' ']);
    let (day, time) = ends.map_or((text, None), |at| (&text[..at], Some(text[at + 1..].trim())));
    let has_t = ends.is_some_and(|at| text[at..].starts_with('t'));
    let (day_first, month_first) = days(day)?;
    let time = match time {
        Some(time) => Some(Time::of(time)?),
        None => None,
    };
    let with_time = |day: NaiveDate, offset: &str| match &time {
        Some(time) => format!("{day}T{}{}", time.clock, time.offset.as_deref().unwrap_or(offset)),
        None => day.to_string(),
    };
    match (day_first, month_first, &time) {
        (Some(day_first), Some(month_first), _) if day_first != month_first => {
            let lacks_offset = time.as_ref().is_some_and(|time| time.offset.is_none());
            Some(Guess::DayOrMonth { day_first: with_time(day_first, "Z"), month_first: with_time(month_first, "Z"), lacks_offset })
        }
        (Some(day), _, time) | (None, Some(day), time) => Some(match time {
            Some(Time { offset: None, .. }) => Guess::NoOffset { has_t, date_time: with_time(day, "") },
            Some(_) => Guess::DateTime(with_time(day, "")),
            None => Guess::Date(with_time(day, "")),
        }),
        (None, None, _) => None,
    }
}

/// The date that `text` means if its day comes before its month, and if it comes after it. One that begins with the year can be
/// meant in one way only.
fn days(text: &str) -> Option<(Option<NaiveDate>, Option<NaiveDate>)> {
    let mark = text.chars().find(|c| !c.is_ascii_digit()).filter(|c| matches!(c, '/' | '.' | '-'))?;
    let parts: Vec<&str> = text.split(mark).collect();
    let [first, second, third] = parts[..] else {
        return None;
    };
    let number = |part: &str| part.parse::<u32>().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()));
    let [a, b, c] = [number(first)?, number(second)?, number(third)?];
    let day = |year: u32, month: u32, day: u32| NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day);
    match (first.len(), third.len()) {
        (4, 1..=2) => Some((None, day(a, b, c))),
        (1..=2, 4) => Some((day(c, b, a), day(c, a, b))),
        // With hyphens, it may be the year that comes first.
        (1..=2, 2) if mark != '-' => Some((day(2000 + c, b, a), day(2000 + c, a, b))),
        _ => None,
    }
}

/// A time of the day, in the form of RFC 3339.
struct Time {
    clock: String,
    offset: Option<String>,
}

impl Time {
    fn of(text: &str) -> Option<Self> {
        let ends = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, ':' | '.')).unwrap_or(text.len());
        let (clock, rest) = (&text[..ends], text[ends..].trim());
        let (hours_later, rest) = match (rest.strip_prefix("pm"), rest.strip_prefix("am")) {
            (Some(rest), _) => (Some(12), rest.trim()),
            (_, Some(rest)) => (Some(0), rest.trim()),
            (None, None) => (None, rest),
        };
        let mut parts = clock.split(':');
        let hour = parts.next()?.parse::<u32>().ok()?;
        let hour = hours_later.map_or(hour, |later| hour % 12 + later);
        let minute = parts.next()?;
        let second = parts.next().unwrap_or("00");
        let is_below_60 = |text: &str| text.len() == 2 && text.parse::<u32>().is_ok_and(|number| number < 60);
        let is_sound = hour < 24 && is_below_60(minute) && is_below_60(second.split('.').next()?) && !second.ends_with('.');
        if !is_sound || second.matches('.').count() > 1 || parts.next().is_some() {
            return None;
        }
        let offset = if rest.is_empty() { None } else { Some(offset(rest)?) };
        Some(Self { clock: format!("{hour:02}:{minute}:{second}"), offset })
    }
}

/// An offset from UTC, in the form of RFC 3339.
fn offset(text: &str) -> Option<String> {
    if matches!(text, "z" | "utc" | "gmt") {
        return Some("Z".to_owned());
    }
    let sign = text.chars().next().filter(|c| matches!(c, '+' | '-'))?;
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    let is_sound = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.len() {
        2 if is_sound => Some(format!("{sign}{digits}:00")),
        4 if is_sound => Some(format!("{sign}{}:{}", &digits[..2], &digits[2..])),
        _ => None,
    }
}

#[cfg(test)]
#[path = "until_guess_tests.rs"]
mod tests;
