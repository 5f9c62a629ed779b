//! What is guessed, and what is said of it.

use super::*;
use crate::domain::parse_until;
use proptest::prelude::*;

fn shown(text: &str) -> String {
    shown_at(text, "2025-02-27T10:20:30Z")
}

fn shown_at(text: &str, start: &str) -> String {
    let start = start.parse().expect("an instant");
    Guess::of(text).map_or_else(String::new, |guess| guess.said(start))
}

#[test]
fn what_is_plainly_meant_is_said() {
    for (text, expected) in [
        ("8h", "`+8h`"),
        ("90m", "`+90m`"),
        ("2d", "`+2d`"),
        ("8 hours", "`+8h`"),
        ("+ 8 H", "`+8h`"),
        ("1 day", "`+1d`"),
        ("2 weeks", "`+14d`"),
        ("1h 30m", "`+1h30m`"),
        ("30/11/2026", "`2026-11-30`"),
        ("30.11.2026", "`2026-11-30`"),
        ("11/30/2026", "`2026-11-30`"),
        ("30.11.26", "`2026-11-30`"),
        ("2026/11/30", "`2026-11-30`"),
        ("2026-8-31", "`2026-08-31`"),
        ("03/03/2026", "`2026-03-03`"),
        ("20261125", "`2026-11-25`"),
        ("45986", "`2025-11-25`, which has this number in Excel"),
        ("46351,5", "`2026-11-25T12:00:00Z`, which is UTC, or `2026-11-25T12:00:00+01:00`, say; that time has this number in Excel"),
        ("46351.7083333", "`2026-11-25T17:00:00Z`, which is UTC, or `2026-11-25T17:00:00+01:00`, say"),
        ("1795000000", "`2026-11-18T11:06:40Z`, which has this number as Unix time"),
        ("1795000000123", "`2026-11-18T11:06:40.123Z`, which has this number as Unix time"),
        ("2026-11-25 17:00Z", "`2026-11-25T17:00:00Z`"),
        ("2026-11-25 17:00:00 UTC", "`2026-11-25T17:00:00Z`"),
        ("2026-11-25T17:00:00.5+0100", "`2026-11-25T17:00:00.5+01:00`"),
        ("tomorrow", "a date such as `2025-02-28`, or a span such as `+1d`"),
    ] {
        let found = shown(text);
        assert!(found.starts_with(&format!("is not an end date: expected {expected}")), "{text}: {found}");
    }
}

#[test]
fn where_two_things_may_be_meant_both_are_said() {
    let both = "is not an end date: expected `2026-04-03` if its day comes first, or `2026-03-04` if its month does";
    assert_eq!(shown("03/04/2026"), both);
    assert_eq!(shown("3.4.26"), both);
    let expected = "lacks `T` and an offset from UTC: expected `2026-11-25T17:00:00Z`, which is UTC, or `2026-11-25T17:00:00+01:00`, say";
    for text in ["2026-11-25 17:00", "25.11.2026 17:00", "11/25/2026 5:00 PM"] {
        assert_eq!(shown(text), expected, "{text}");
    }
    assert_eq!(shown("2026-11-25T17:00"), expected.replace("`T` and ", ""));
    assert!(shown("03/04/2026 12:00 am").contains("`2026-04-03T00:00:00Z` if its day"), "{}", shown("03/04/2026 12:00 am"));
    let local = "is not an end date: expected `2027-04-03T17:00:00Z` if its day comes first, or `2027-03-04T17:00:00Z` if its month \
                 does, which is UTC; with `+01:00` in place of `Z`, say, it is local";
    assert_eq!(shown("03.04.2027 17:00"), local);
    assert!(!shown("03.04.2027 17:00 +0200").contains("UTC"));
}

#[test]
fn what_has_passed_is_not_offered_first() {
    let passed = "is not an end date, and what it may mean has passed: ";
    for (text, start, expected) in [
        ("31/08/2026", "2026-11-27T10:00:00Z", format!("{passed}`2026-08-31`")),
        ("03/04/2026", "2026-11-27T10:00:00Z", format!("{passed}both `2026-04-03` and `2026-03-04`")),
        ("25.11.2026 17:00", "2026-11-27T10:00:00Z", format!("{passed}`2026-11-25T17:00:00`, in every time zone")),
        ("46351,5", "2026-11-27T10:00:00Z", format!("{passed}`2026-11-25T12:00:00`, in every time zone")),
        ("45986", "2026-11-27T10:00:00Z", format!("{passed}`2025-11-25`")),
        ("1795000000", "2026-11-27T10:00:00Z", format!("{passed}`2026-11-18T11:06:40Z`")),
        (
            "01/12/2026",
            "2026-11-27T10:00:00Z",
            "is not an end date: expected `2026-12-01` if its day comes first (else it has passed: `2026-01-12`)".to_owned(),
        ),
        (
            "12/01/2026",
            "2026-11-27T10:00:00Z",
            "is not an end date: expected `2026-12-01` if its month comes first (else it has passed: `2026-01-12`)".to_owned(),
        ),
    ] {
        assert_eq!(shown_at(text, start), expected, "{text}");
    }
    let elsewhere = "lacks `T` and an offset from UTC: expected an offset behind UTC, such as `2026-11-27T17:00:00-08:00`: as \
                     `2026-11-27T17:00:00Z`, which is UTC, it has passed";
    assert_eq!(shown_at("2026-11-27 17:00", "2026-11-27T20:00:00Z"), elsewhere, "it has not passed everywhere");
}

#[test]
fn what_is_not_plain_is_not_guessed() {
    for text in [
        "",
        "x",
        "4M",
        "4",
        "+4",
        "99/99/2026",
        "31/02/2026",
        "26-11-30",
        "12345",
        "2026-11-25 25:00",
        "1.2.3.4",
        "8h!",
        "0h",
        "\u{2212}4h",
    ] {
        assert_eq!(Guess::of(text), None, "{text}");
    }
}

proptest! {
    /// What is said to be expected is an end date.
    #[test]
    fn what_is_said_can_be_written(text in "[0-9]{1,4}[-/. ]?[0-9]{0,2}[-/. ]?[0-9]{0,4}[ tT]?[0-9]{0,2}:?[0-9]{0,2}(:[0-9]{2})?( ?[aApP][mM])?( ?[zZ]|[+-][0-9]{2}:?[0-9]{2})?|[0-9]{1,5} ?(h|m|d|min|days|hours)|[0-9]{5}[.,][0-9]{1,9}|[0-9]{5,13}") {
        let start = "0001-01-01T00:00:00Z".parse().expect("an instant");
        let texts = match Guess::of(&text) {
            Some(Guess::Span(text) | Guess::Date(text) | Guess::DateTime(text) | Guess::Excel(text) | Guess::Unix(text)) => vec![text],
            Some(Guess::DayOrMonth { day_first, month_first, .. }) => vec![day_first, month_first],
            Some(Guess::NoOffset { date_time, .. } | Guess::ExcelTime(date_time)) => vec![format!("{date_time}Z"), format!("{date_time}+01:00")],
            Some(Guess::Word(_)) | None => Vec::new(),
        };
        for expected in texts {
            let read = parse_until(&expected, start);
            let is_out_of_the_calendar = expected.starts_with("0000") || text.contains(['+', '-']);
            prop_assert!(read.is_ok() || is_out_of_the_calendar || expected.starts_with('+'), "{}: {:?}", text, read);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,45}") {
        let _: Option<Guess> = Guess::of(&text);
    }
}
