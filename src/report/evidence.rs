//! What an auditor asks of a run, as the record has it: who ran it, how it was confirmed, which end dates it was to set, how
//! many requests it took, and how long PingOne held it back.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::EndDates;

/// Who ran the process that last sent requests for the run. Empty in records of versions that did not write this.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperatorRecord {
    /// The Unix account; its number, if it has no name.
    pub(crate) user: Option<String>,
    /// The account that became root with sudo, if `user` is root's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sudo_user: Option<String>,
    /// The machine's name.
    pub(crate) host: Option<String>,
    /// The worker application; `None` with a ready token, and in the sandbox.
    pub(crate) client_id: Option<String>,
}

/// How the run was confirmed, by the process that last sent requests for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConfirmationRecord {
    /// `None` if nothing had to be confirmed: an audit changes nothing.
    pub(crate) how: Option<Confirmed>,
    /// The digest of the plan.
    pub(crate) plan: Option<String>,
    /// Who agreed, as typed.
    pub(crate) approved_by: Option<String>,
}

/// How a run was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Confirmed {
    /// The question was answered on the terminal.
    Typed,
    /// By `--yes`.
    Yes,
    /// `--approve` named this plan.
    Approve,
    /// It ran against the sandbox, which needs no confirmation.
    Sandbox,
}

/// What held before a process with another operator, confirmation or reason took the run up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EarlierRecord {
    #[serde(default)]
    pub(crate) operator: OperatorRecord,
    #[serde(default)]
    pub(crate) confirmed: ConfirmationRecord,
    pub(crate) reason: Option<String>,
    /// When the last process for which it held ended; `None` if it ended without being able to say.
    pub(crate) until: Option<String>,
}

/// The most of them that a record has: the first. Somebody who resumes a run again and again cannot push them out.
pub(super) const MOST_EARLIER: usize = 100;

/// The earliest and the latest end date that a grant's valid rows ask for, spans counted; both `None` for other operations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndDatesRecord {
    pub(crate) earliest: Option<String>,
    pub(crate) latest: Option<String>,
}

impl From<EndDates> for EndDatesRecord {
    fn from(dates: EndDates) -> Self {
        let (earliest, latest) = dates.span().unzip();
        Self { earliest: earliest.map(|date| date.to_string()), latest: latest.map(|date| date.to_string()) }
    }
}

/// The requests of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RequestsRecord {
    pub(crate) sent: u64,
    pub(crate) retried: u64,
    pub(crate) throttled: u64,
}

impl RequestsRecord {
    /// Adds the requests that were sent later. (Saturating, because an edited record may hold any numbers.)
    pub(crate) fn add(&mut self, more: Self) {
        self.sent = self.sent.saturating_add(more.sent);
        self.retried = self.retried.saturating_add(more.retried);
        self.throttled = self.throttled.saturating_add(more.throttled);
    }
}

/// How often and how long PingOne held the run back, all its processes together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct HoldsRecord {
    pub(crate) count: u64,
    /// To the millisecond.
    pub(crate) seconds: f64,
    /// The first of them. Empty in records of versions that did not write this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) episodes: Vec<HoldRecord>,
}

/// One hold: when it began, and for how many seconds PingOne asked to wait. Another 429 meanwhile may have made it longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HoldRecord {
    pub(crate) at: String,
    pub(crate) seconds: f64,
}

impl HoldRecord {
    pub(crate) fn of(at: DateTime<Utc>, length: Duration) -> Self {
        Self { at: at.to_rfc3339_opts(SecondsFormat::Millis, true), seconds: to_the_millisecond(length.as_secs_f64()) }
    }
}

/// The most holds that a record has with their times.
const MOST_EPISODES: usize = 100;

impl HoldsRecord {
    pub(crate) fn of(count: u64, held: Duration, episodes: Vec<HoldRecord>) -> Self {
        Self { count, seconds: to_the_millisecond(held.as_secs_f64()), episodes }
    }

    /// Adds the holds of a later process. (Saturating, because an edited record may hold any numbers.)
    pub(crate) fn add(&mut self, more: Self) {
        self.count = self.count.saturating_add(more.count);
        self.seconds = to_the_millisecond((self.seconds + more.seconds).min(f64::MAX / 1e3));
        self.episodes.extend(more.episodes);
        self.episodes.truncate(MOST_EPISODES);
    }
}

fn to_the_millisecond(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BypassUntil;

    #[test]
    fn holds_add_up_to_the_millisecond() {
        let at = DateTime::from_timestamp_millis(1_795_000_000_123).expect("a time");
        let hold = |millis| HoldRecord::of(at, Duration::from_millis(millis));
        let mut holds = HoldsRecord::of(2, Duration::from_micros(1_100_400), vec![hold(500), hold(600)]);
        holds.add(HoldsRecord::of(1, Duration::from_millis(2_200), vec![hold(2_200)]));
        assert_eq!((holds.count, holds.seconds, holds.episodes.len()), (3, 3.3, 3));
        assert_eq!(holds.episodes[2], HoldRecord { at: "2026-11-18T11:06:40.123Z".into(), seconds: 2.2 });
        holds.add(HoldsRecord { count: u64::MAX, seconds: f64::MAX, episodes: vec![hold(1); 200] });
        assert!(holds.count == u64::MAX && holds.seconds.is_finite(), "{holds:?}");
        assert_eq!(holds.episodes.len(), MOST_EPISODES);
    }

    #[test]
    fn end_dates_are_in_the_apis_form() {
        let mut dates = EndDates::default();
        assert_eq!(EndDatesRecord::from(dates), EndDatesRecord::default());
        for date in ["2026-08-31T17:00:00.000Z", "2026-08-30T00:00:00.000Z", "2026-08-31T09:00:00.000Z"] {
            dates.add(BypassUntil::read(date).expect("a date"));
        }
        let expected = ["2026-08-30T00:00:00.000Z", "2026-08-31T17:00:00.000Z"].map(|date| Some(date.to_owned()));
        let EndDatesRecord { earliest, latest } = dates.into();
        assert_eq!([earliest, latest], expected);
    }
}
