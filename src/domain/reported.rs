//! PingOne's device report: what it may miss, and whether a user's bypass is another one than it says.

use chrono::{DateTime, Utc};

use super::BypassUntil;

/// What an audit by the device report may miss. Source: mfa-reports ("updated once every fifteen minutes"), and the API's change
/// log of 2026-05-18 ("only displays user bypasses added after this field was introduced"). It is not documented whether users
/// without a device are in it.
pub(crate) const MAY_MISS: [&str; 3] = ["users without a device", "bypasses set before 2026-05-18", "changes of the last 15 minutes"];

/// The columns that the device report adds to an audit's report.
pub(crate) const REPORTED_COLUMNS: [&str; 2] = ["username", REPORTED_UNTIL];

/// The column of the end date that the device report has, in the API's form.
pub(crate) const REPORTED_UNTIL: &str = "reportedUntil";

/// Whether a user's bypass is another than the `reported` one: `now` has an end date that is not the same, or there is no bypass
/// although the reported one has not ended `at` that time. A report may have whole seconds only, so an end date of whole seconds
/// is compared by the second.
pub(crate) fn differs(reported: BypassUntil, now: Option<BypassUntil>, at: DateTime<Utc>) -> bool {
    match now {
        None => reported.instant() > at,
        Some(now) if reported.millis() % 1000 == 0 => now.millis().div_euclid(1000) != reported.millis().div_euclid(1000),
        Some(now) => now != reported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> BypassUntil {
        BypassUntil::read(text).expect("a date")
    }

    #[test]
    fn a_bypass_differs_by_its_end_date_or_by_being_gone() {
        let at = date("2026-11-27T12:00:00.000Z").instant();
        for (reported, now, expected) in [
            ("2026-11-27T18:00:00.000Z", None, true),
            ("2026-11-27T12:00:00.000Z", None, false),
            ("2026-11-27T11:59:59.999Z", None, false),
            ("2026-11-27T18:00:00.000Z", Some("2026-11-27T18:00:00.000Z"), false),
            ("2026-11-27T18:00:00.000Z", Some("2026-11-27T18:00:00.437Z"), false),
            ("2026-11-27T18:00:00.000Z", Some("2026-11-27T17:59:59.999Z"), true),
            ("2026-11-27T18:00:00.000Z", Some("2026-11-27T18:00:01.000Z"), true),
            ("2026-11-27T18:00:00.437Z", Some("2026-11-27T18:00:00.436Z"), true),
            ("2026-11-27T11:00:00.000Z", Some("2026-11-27T18:00:00.000Z"), true),
        ] {
            assert_eq!(differs(date(reported), now.map(date), at), expected, "{reported} {now:?}");
        }
    }
}
