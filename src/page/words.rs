//! Numbers, dates and spans as people write them, in English and UTC.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// A number with commas between thousands.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// "1 row", "2 rows".
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", thousands(count), if count == 1 { "" } else { "s" })
}

/// "27 November 2026".
pub(super) fn day(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y").to_string()
}

/// "19:02", and seconds only if there are any.
pub(super) fn time(at: DateTime<Utc>) -> String {
    let form = if at.timestamp() % 60 == 0 { "%H:%M" } else { "%H:%M:%S" };
    at.format(form).to_string()
}

/// "19:02 UTC on 27 November 2026", or without the day if it is `today`.
pub(super) fn moment(at: DateTime<Utc>, today: Option<DateTime<Utc>>) -> String {
    match today {
        Some(today) if today.date_naive() == at.date_naive() => format!("{} UTC", time(at)),
        Some(_) | None => format!("{} UTC on {}", time(at), day(at)),
    }
}

/// "2026-11-27 19:02:03 UTC".
pub(super) fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A machine's form of an instant, as a report has it.
pub(super) fn iso(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// "1 h 12 min", "4 min 3 s", "2.5 s", "120 ms", in at most two parts.
pub(super) fn span(millis: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    if millis < 1_000 {
        return format!("{millis} ms");
    }
    if millis < 10_000 && !millis.is_multiple_of(1_000) {
        return format!("{} s", tenths(millis, 100));
    }
    let mut rest = millis;
    let mut parts = Vec::new();
    for (unit, name) in UNITS {
        let count = rest / unit;
        rest %= unit;
        if count > 0 {
            parts.push(format!("{count} {name}"));
        }
        if parts.len() == 2 || (parts.len() == 1 && count == 0) {
            break;
        }
    }
    parts.join(" ")
}

/// A span in seconds.
pub(super) fn seconds(seconds: f64) -> String {
    let span = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    self::span(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// A tenth of `number / unit`, rounded to the nearest, without a trailing `.0`.
fn tenths(number: u64, unit: u64) -> String {
    let tenths = (number + unit / 2) / unit;
    if tenths.is_multiple_of(10) { (tenths / 10).to_string() } else { format!("{}.{}", tenths / 10, tenths % 10) }
}

/// A share of all: "98.2%". What is not all, or not nothing, is not shown as if it were.
pub(super) fn share(part: u64, all: u64) -> String {
    if all == 0 {
        return String::new();
    }
    let thousandths = (u128::from(part) * 2000 + u128::from(all)) / (u128::from(all) * 2);
    match thousandths {
        0 if part > 0 => "< 0.1%".to_owned(),
        1000 if part < all => "> 99.9%".to_owned(),
        _ if thousandths.is_multiple_of(10) => format!("{}%", thousandths / 10),
        _ => format!("{}.{}%", thousandths / 10, thousandths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas_and_plurals() {
        assert_eq!([0, 7, 999, 1_000, 49_100, 1_000_000].map(thousands), ["0", "7", "999", "1,000", "49,100", "1,000,000"]);
        assert_eq!([0, 1, 2_000].map(|count| counted(count, "row")), ["0 rows", "1 row", "2,000 rows"]);
    }

    #[test]
    fn spans_have_two_parts_at_most() {
        for (millis, expected) in [
            (0, "0 ms"),
            (120, "120 ms"),
            (1_000, "1 s"),
            (2_449, "2.4 s"),
            (9_960, "10 s"),
            (63_000, "1 min 3 s"),
            (3_600_000, "1 h"),
            (3_601_000, "1 h"),
            (4_320_000, "1 h 12 min"),
            (100_000_000, "1 d 3 h"),
        ] {
            assert_eq!(span(millis), expected, "{millis}");
        }
        assert_eq!([seconds(2.5), seconds(f64::NAN), seconds(-1.0)], ["2.5 s", "0 ms", "0 ms"]);
    }

    #[test]
    fn shares_do_not_claim_more_than_there_is() {
        for (part, all, expected) in [
            (0, 0, ""),
            (0, 7, "0%"),
            (7, 7, "100%"),
            (1, 50_000, "< 0.1%"),
            (49_999, 50_000, "> 99.9%"),
            (49_100, 50_000, "98.2%"),
            (1, 2, "50%"),
            (u64::MAX, u64::MAX, "100%"),
        ] {
            assert_eq!(share(part, all), expected, "{part} {all}");
        }
    }

    #[test]
    fn dates_are_in_utc_and_leave_out_what_is_known() {
        let at = DateTime::from_timestamp_millis(1_795_806_120_000).expect("in range");
        assert_eq!((day(at), time(at), stamp(at)), ("27 November 2026".into(), "19:02".into(), "2026-11-27 19:02:00 UTC".into()));
        assert_eq!(moment(at, Some(at)), "19:02 UTC");
        assert_eq!(moment(at, None), "19:02 UTC on 27 November 2026");
    }
}
