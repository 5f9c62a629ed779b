//! The line of a settled row in the report.

use std::time::Duration;

use chrono::{DateTime, Utc};
use csv::ByteRecord;

use crate::domain::{BypassUntil, Detail, Outcome, Previous, RowNumber};

/// The report's own columns; the input's other columns follow.
pub(crate) const COLUMNS: [&str; 15] = [
    "row",
    "userID",
    "result",
    "canBypassMFA",
    "bypassMFAEnabledUntil",
    "requestedUntil",
    "previousUntil",
    "httpStatus",
    "errorCode",
    "errorMessage",
    "errorId",
    "correlationId",
    "attempts",
    "durationMs",
    "completedAt",
];

/// A settled row and its outcome.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) row: RowNumber,
    pub(crate) user: String,
    pub(crate) outcome: Outcome,
    /// `None` if not known.
    pub(crate) can_bypass: Option<bool>,
    pub(crate) until: Option<BypassUntil>,
    pub(crate) requested: Option<BypassUntil>,
    /// What the user had before; `None` if nobody looked, or if it is not known any more.
    pub(crate) previous: Option<Previous>,
    pub(crate) detail: Detail,
    /// Requests sent for the row, throttled ones included.
    pub(crate) attempts: u32,
    /// The time from the first attempt to the last answer, waits included.
    pub(crate) took: Duration,
    pub(crate) completed: DateTime<Utc>,
    /// The values of the input's other columns.
    pub(crate) carried: ByteRecord,
}

impl Settlement {
    /// One line about a failed row.
    pub(crate) fn failure(&self) -> String {
        let status = self.detail.status.map(|status| format!("HTTP {status}"));
        let texts = [&self.detail.code, &self.detail.message].map(ToString::to_string);
        let parts = status.into_iter().chain(texts).filter(|text| !text.is_empty());
        format!("row {}: {}: {}", self.row, self.outcome.name(), parts.collect::<Vec<_>>().join(", "))
    }

    /// Writes the row's values to `line`.
    pub(crate) fn write_to(&self, line: &mut ByteRecord) {
        let text = |value: Option<String>| value.unwrap_or_default();
        let own: [String; COLUMNS.len()] = [
            self.row.to_string(),
            self.user.clone(),
            self.outcome.name().to_owned(),
            text(self.can_bypass.map(|can| can.to_string())),
            text(self.until.map(|until| until.to_string())),
            text(self.requested.map(|until| until.to_string())),
            text(self.previous.map(|previous| previous.to_string())),
            text(self.detail.status.map(|status| status.to_string())),
            self.detail.code.to_string(),
            self.detail.message.to_string(),
            self.detail.id.to_string(),
            self.detail.correlation.to_string(),
            self.attempts.to_string(),
            self.took.as_millis().to_string(),
            text(BypassUntil::from_instant(self.completed).map(|at| at.to_string())),
        ];
        line.clear();
        line.extend(&own);
        line.extend(&self.carried);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_value_for_each_column_and_then_the_carried_ones() {
        let settlement = Settlement {
            row: RowNumber(7),
            user: "7e94b96e-0364-463b-a059-d97d1e4cb1d5".into(),
            outcome: Outcome::Mismatch,
            can_bypass: Some(false),
            until: None,
            requested: BypassUntil::from_instant(DateTime::from_timestamp_millis(1_800_000_000_123).expect("in range")),
            previous: Some(Previous::NoBypass),
            detail: Detail { status: Some(200), code: "=C".into(), message: "m".into(), id: "".into(), correlation: "-c".into() },
            attempts: 2,
            took: Duration::from_micros(1_234_567),
            completed: DateTime::from_timestamp_millis(1_800_000_001_000).expect("in range"),
            carried: ByteRecord::from(vec!["INC-1", "=kept as it is"]),
        };
        let mut line = ByteRecord::new();
        settlement.write_to(&mut line);
        let line: Vec<_> = line.iter().map(String::from_utf8_lossy).collect();
        let expected = [
            "7",
            "7e94b96e-0364-463b-a059-d97d1e4cb1d5",
            "mismatch",
            "false",
            "",
            "2027-01-15T08:00:00.123Z",
            "none",
            "200",
            "'=C",
            "m",
            "",
            "'-c",
            "2",
            "1234",
            "2027-01-15T08:00:01.000Z",
            "INC-1",
            "=kept as it is",
        ];
        assert_eq!(line, expected);
    }
}
