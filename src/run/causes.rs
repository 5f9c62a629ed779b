//! What made rows fail, the most frequent cause first. Pure, and of bounded size however many rows fail.

use crate::domain::{Detail, ForeignText, Origin, Outcome, RowNumber, quote};
use crate::report::Settlement;

/// The most causes that are told apart. A cause is about 1 KiB: a code and a message of at most 500 characters each.
const MOST_KEPT: usize = 64;
const OK: u16 = 200;

/// Why some rows failed: their answers were the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    /// How many rows.
    pub(crate) rows: u64,
    /// The first of them in the input, and where it stands there.
    first: (RowNumber, Option<u64>),
    outcome: Outcome,
    status: Option<u16>,
    code: ForeignText,
    message: ForeignText,
}

/// Why the rows so far failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Causes {
    kept: Vec<Cause>,
    /// Failed rows whose causes are not told apart.
    others: u64,
}

impl Cause {
    fn of(settlement: &Settlement) -> Self {
        let Settlement { row, origin, outcome, detail, .. } = settlement;
        let Detail { status, code, message, .. } = detail.clone();
        Self { rows: 1, first: (*row, origin.line), outcome: *outcome, status, code, message }
    }

    /// Whether the two differ in their messages at most.
    fn resembles(&self, other: &Self) -> bool {
        (self.outcome, self.status, &self.code) == (other.outcome, other.status, &other.code)
    }

    /// Whether they are one cause. An answer of 200 is told with the end date that it had, which differs from row to row.
    fn is(&self, other: &Self) -> bool {
        self.resembles(other) && (self.status == Some(OK) || self.message == other.message)
    }

    /// What was answered, without its message.
    fn answer(&self) -> String {
        let implied = matches!(self.outcome, Outcome::Failed | Outcome::NotFound | Outcome::Rejected) && self.status.is_some();
        let status = self.status.map(|status| format!("HTTP {status}"));
        let parts = [(!implied).then(|| self.outcome.name().to_owned()), status, some(self.code.to_string())];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn answer_and_message(&self) -> String {
        let message = some(self.message.to_string()).map(|message| format!(" \"{message}\"")).unwrap_or_default();
        format!("{}{message}", self.answer())
    }

    /// One line about it.
    pub(crate) fn told(&self) -> String {
        format!("{} × {} (first: {})", self.rows, self.answer_and_message(), place(self.first))
    }

    /// The same without PingOne's message.
    pub(crate) fn in_short(&self) -> String {
        format!("{} × {} (first: {})", self.rows, self.answer(), place(self.first))
    }
}

impl Causes {
    /// Adds a row that failed.
    pub(super) fn add(&mut self, settlement: &Settlement) {
        let cause = Cause::of(settlement);
        let is_full = self.kept.len() >= MOST_KEPT;
        let same = self.kept.iter().position(|kept| kept.is(&cause));
        let similar = same.or_else(|| self.kept.iter().position(|kept| is_full && kept.resembles(&cause)));
        match similar {
            Some(index) => {
                let kept = &mut self.kept[index];
                kept.rows += 1;
                kept.first = kept.first.min(cause.first);
            }
            None if is_full => self.others += 1,
            None => self.kept.push(cause),
        }
    }

    /// The `most` frequent causes, and how many rows failed for others.
    pub(crate) fn most_frequent(mut self, most: usize) -> (Vec<Cause>, u64) {
        self.kept.sort_by_key(|cause| (u64::MAX - cause.rows, cause.first));
        let beyond: u64 = self.kept.iter().skip(most).map(|cause| cause.rows).sum();
        self.kept.truncate(most);
        (self.kept, self.others + beyond)
    }
}

/// A failed row by its place and its value in the input, with what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedRow {
    value: String,
    cause: Cause,
}

impl FailedRow {
    pub(super) fn of(settlement: &Settlement) -> Self {
        let Settlement { origin: Origin { named, .. }, user, .. } = settlement;
        let value = named.as_deref().unwrap_or(user).to_owned();
        Self { value, cause: Cause::of(settlement) }
    }

    /// One line about it.
    pub(crate) fn told(&self) -> String {
        format!("{}: `{}`: {}", place(self.cause.first), quote(&self.value), self.cause.answer_and_message())
    }

    /// The same without its value and PingOne's message.
    pub(crate) fn in_short(&self) -> String {
        format!("{}: {}", place(self.cause.first), self.cause.answer())
    }
}

/// The line in the input, or the row's number where the directory is the input.
fn place((row, line): (RowNumber, Option<u64>)) -> String {
    line.map_or_else(|| format!("row {row}"), |line| format!("line {line}"))
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;
    use csv::ByteRecord;

    use super::*;

    fn failed(row: u64, outcome: Outcome, status: Option<u16>, code: &str, message: &str) -> Settlement {
        Settlement {
            row: RowNumber(row),
            origin: Origin { line: Some(row + 1), named: None, reported: None },
            user: format!("user {row}"),
            outcome,
            can_bypass: None,
            until: None,
            requested: None,
            previous: None,
            detail: Detail { status, code: code.into(), message: message.into(), ..Detail::default() },
            attempts: 1,
            took: Duration::ZERO,
            completed: DateTime::UNIX_EPOCH,
            carried: ByteRecord::new(),
        }
    }

    fn told(causes: Causes, most: usize) -> (Vec<String>, u64) {
        let (kept, others) = causes.most_frequent(most);
        (kept.iter().map(Cause::told).collect(), others)
    }

    #[test]
    fn causes_are_counted_and_the_most_frequent_comes_first() {
        let mut causes = Causes::default();
        causes.add(&failed(2, Outcome::NotFound, Some(404), "NOT_FOUND", "No such user."));
        for row in [9, 6, 7] {
            causes.add(&failed(row, Outcome::Rejected, Some(400), "INVALID_DATA", "Bad."));
        }
        causes.add(&failed(5, Outcome::Rejected, Some(400), "INVALID_DATA", "Worse."));
        causes.add(&failed(3, Outcome::Failed, None, "", "no connection"));
        causes.add(&failed(4, Outcome::Unknown, Some(502), "", "no body"));
        for (row, date) in [(11, "2026-01-01"), (12, "2026-01-02")] {
            causes.add(&failed(row, Outcome::Mismatch, Some(200), "", &format!("answered with {date}")));
        }
        let expected = [
            "3 × HTTP 400 INVALID_DATA \"Bad.\" (first: line 7)",
            "2 × mismatch HTTP 200 \"answered with 2026-01-01\" (first: line 12)",
            "1 × HTTP 404 NOT_FOUND \"No such user.\" (first: line 3)",
            "1 × failed \"no connection\" (first: line 4)",
            "1 × unknown HTTP 502 \"no body\" (first: line 5)",
            "1 × HTTP 400 INVALID_DATA \"Worse.\" (first: line 6)",
        ];
        assert_eq!(told(causes.clone(), 9), (expected.map(str::to_owned).to_vec(), 0));
        assert_eq!(told(causes.clone(), 2), (expected[..2].iter().map(|line| (*line).to_owned()).collect(), 4));
        assert_eq!(causes.most_frequent(1).0[0].in_short(), "3 × HTTP 400 INVALID_DATA (first: line 7)");
    }

    #[test]
    fn however_many_causes_there_are_few_are_kept_and_every_row_counts() {
        let mut causes = Causes::default();
        for row in 1..=10_000 {
            causes.add(&failed(row, Outcome::Rejected, Some(400), "CODE", &format!("message {row}")));
            causes.add(&failed(row, Outcome::Rejected, Some(400), &format!("CODE {row}"), "message"));
        }
        assert_eq!(causes.kept.len(), MOST_KEPT);
        let (told, others) = causes.most_frequent(5);
        assert_eq!(told.len(), 5);
        assert_eq!(told.iter().map(|cause| cause.rows).sum::<u64>() + others, 20_000);
        assert!(told[0].rows > 9_000, "those that resemble it are counted with it: {told:?}");
    }

    #[test]
    fn a_row_is_told_by_its_line_and_its_value() {
        let by_id = failed(3, Outcome::NotFound, Some(404), "NOT_FOUND", "Gone.");
        assert_eq!(FailedRow::of(&by_id).told(), "line 4: `user 3`: HTTP 404 NOT_FOUND \"Gone.\"");
        assert_eq!(FailedRow::of(&by_id).in_short(), "line 4: HTTP 404 NOT_FOUND");
        let by_name = Settlement { origin: Origin { line: Some(9), named: Some("ann\u{1b}@x".into()), reported: None }, ..by_id };
        assert_eq!(FailedRow::of(&by_name).told(), "line 9: `ann\\u{1b}@x`: HTTP 404 NOT_FOUND \"Gone.\"");
        let listed = Settlement { origin: Origin::default(), ..by_name };
        assert_eq!(FailedRow::of(&listed).told(), "row 3: `user 3`: HTTP 404 NOT_FOUND \"Gone.\"");
    }
}
