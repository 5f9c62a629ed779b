//! The line of a settled row in the report.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use csv::ByteRecord;

use crate::domain::{BypassUntil, Detail, Origin, Outcome, Previous, RowNumber, differs};

/// A column of the report that is its own. The input's other columns follow these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Row,
    UserId,
    Result,
    CanBypass,
    Until,
    RequestedUntil,
    PreviousUntil,
    HttpStatus,
    ErrorCode,
    ErrorMessage,
    ErrorId,
    CorrelationId,
    Attempts,
    DurationMs,
    CompletedAt,
}

impl Column {
    /// All of them, in the order in which they are written.
    pub(crate) const ALL: [Self; 15] = [
        Self::Row,
        Self::UserId,
        Self::Result,
        Self::CanBypass,
        Self::Until,
        Self::RequestedUntil,
        Self::PreviousUntil,
        Self::HttpStatus,
        Self::ErrorCode,
        Self::ErrorMessage,
        Self::ErrorId,
        Self::CorrelationId,
        Self::Attempts,
        Self::DurationMs,
        Self::CompletedAt,
    ];

    /// Its name in the header.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::UserId => "userID",
            Self::Result => "result",
            Self::CanBypass => "canBypassMFA",
            Self::Until => "bypassMFAEnabledUntil",
            Self::RequestedUntil => "requestedUntil",
            Self::PreviousUntil => "previousUntil",
            Self::HttpStatus => "httpStatus",
            Self::ErrorCode => "errorCode",
            Self::ErrorMessage => "errorMessage",
            Self::ErrorId => "errorId",
            Self::CorrelationId => "correlationId",
            Self::Attempts => "attempts",
            Self::DurationMs => "durationMs",
            Self::CompletedAt => "completedAt",
        }
    }

    /// Its value in a `line`; empty if the line is too short.
    pub(crate) fn of(self, line: &ByteRecord) -> &[u8] {
        line.get(self as usize).unwrap_or_default()
    }

    /// Its value in a `line`, if it is text.
    pub(crate) fn text(self, line: &ByteRecord) -> Option<&str> {
        std::str::from_utf8(self.of(line)).ok()
    }

    /// Its value in a `line`, read as a `T`.
    pub(crate) fn parsed<T: FromStr>(self, line: &ByteRecord) -> Option<T> {
        self.text(line)?.parse().ok()
    }
}

/// The names of the report's own columns.
pub(crate) const COLUMNS: [&str; Column::ALL.len()] = {
    let mut names = [""; Column::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = Column::ALL[index].name();
        index += 1;
    }
    names
};

/// The outcome that a `line` of a report or journal tells.
pub(super) fn outcome_of(line: &ByteRecord) -> Option<Outcome> {
    Column::Result.text(line).and_then(Outcome::named)
}

/// Bytes of a line that are parsed at a time: most lines are shorter, and each gets a buffer of its own.
const PARSED_AT_ONCE: usize = 1 << 10;

/// The values in the `text` of a line.
pub(super) fn parsed(text: &[u8]) -> io::Result<ByteRecord> {
    let mut line = ByteRecord::new();
    csv::ReaderBuilder::new().has_headers(false).buffer_capacity(PARSED_AT_ONCE).from_reader(text).read_byte_record(&mut line)?;
    Ok(line)
}

/// The values of the input's other columns in a `line`.
pub(super) fn carried(line: &ByteRecord) -> impl Iterator<Item = &[u8]> {
    line.iter().skip(COLUMNS.len())
}

/// A settled row and its outcome.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) row: RowNumber,
    /// How the row stands in the input; no column of the report.
    pub(crate) origin: Origin,
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
    /// When the bypass ends, if the row is settled for good and its user can bypass MFA.
    pub(crate) fn active_until(&self) -> Option<BypassUntil> {
        self.until.filter(|_| self.can_bypass == Some(true) && !self.outcome.is_to_be_sent_again())
    }

    /// Whether PingOne has told of another bypass than its device report had.
    pub(crate) fn differs_from_report(&self) -> bool {
        let now = self.until.filter(|_| self.can_bypass == Some(true));
        let is_told = matches!(self.outcome, Outcome::Active | Outcome::Inactive);
        self.origin.reported.is_some_and(|reported| is_told && differs(reported, now, self.completed))
    }

    /// Writes the row's values to `line`.
    pub(crate) fn write_to(&self, line: &mut ByteRecord) {
        fn text(value: Option<impl ToString>) -> String {
            value.map(|value| value.to_string()).unwrap_or_default()
        }
        let value = |column| match column {
            Column::Row => self.row.to_string(),
            Column::UserId => self.user.clone(),
            Column::Result => self.outcome.name().to_owned(),
            Column::CanBypass => text(self.can_bypass),
            Column::Until => text(self.until),
            Column::RequestedUntil => text(self.requested),
            Column::PreviousUntil => text(self.previous),
            Column::HttpStatus => text(self.detail.status),
            Column::ErrorCode => self.detail.code.to_string(),
            Column::ErrorMessage => self.detail.message.to_string(),
            Column::ErrorId => self.detail.id.to_string(),
            Column::CorrelationId => self.detail.correlation.to_string(),
            Column::Attempts => self.attempts.to_string(),
            Column::DurationMs => self.took.as_millis().to_string(),
            Column::CompletedAt => text(BypassUntil::from_instant(self.completed)),
        };
        line.clear();
        line.extend(&Column::ALL.map(value));
        line.extend(&self.carried);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_stands_where_its_name_does() {
        for (index, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!((column as usize, column.name()), (index, COLUMNS[index]));
        }
    }

    #[test]
    fn a_line_has_a_value_for_each_column_and_then_the_carried_ones() {
        let settlement = Settlement {
            row: RowNumber(7),
            origin: Origin::default(),
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
