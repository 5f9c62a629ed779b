//! What a report says, in numbers and examples of bounded size, from one pass over its lines.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use csv::ByteRecord;
use uuid::Uuid;

use super::Users;
use super::buckets::{Border, Buckets};
use super::causes::{Causes, Example, Kind, MOST_TEXT, pattern_of};
use super::spread::Spread;
use crate::domain::{BypassUntil, Counts, EndDates, Outcome, Tally};
use crate::report::{COLUMNS, Column};

/// The most spans of time in which settled rows are counted: a picture of a phone's width shows no more.
const MOST_SPANS: usize = 120;
/// The most end dates that are told apart.
const MOST_ENDS: usize = 240;
/// Rows settled in less than a second are not told apart.
const LEAST_SPAN: i64 = 1_000;
/// The most lines that cannot be read and are named.
const NAMED: usize = 5;
/// How many of the input's other columns an example has, and how many characters of each value.
const CARRIED: usize = 4;
const MOST_CARRIED: usize = 60;
/// The longest error code that counts as one: PingOne's are words such as `INVALID_DATA`.
const MOST_CODE: usize = 40;

/// How a row ended, in the pace of the run.
pub(super) const FAILED: usize = 1;

/// A report in numbers.
#[derive(Debug)]
pub(super) struct RunFigures {
    /// Where each of the report's own columns stands.
    places: Vec<(Column, Option<usize>)>,
    width: usize,
    users: Users,
    pub(super) tally: Tally,
    pub(super) causes: Causes,
    /// The rows that were sent, by the time at which they were settled: those that failed, and the others.
    pub(super) pace: Buckets<2>,
    pub(super) durations: Spread,
    pub(super) attempts: Spread,
    pub(super) ends: Ends,
    /// The end dates of the rows that are `granted`.
    pub(super) granted_until: EndDates,
    /// The names of the input's other columns, as far as examples have them.
    pub(super) carried: Vec<String>,
    pub(super) unreadable: Unreadable,
}

/// When the bypasses run out of users who can bypass MFA.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) dates: Buckets<1>,
    pub(super) count: u64,
    /// Those whose end date is not known.
    pub(super) without: u64,
    /// When the run had ended, if it is known, and those whose bypasses had run out by then.
    pub(super) beginning: Option<DateTime<Utc>>,
    pub(super) over: u64,
}

/// Lines that are none of a report.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    pub(super) count: u64,
    pub(super) first: Vec<u64>,
}

impl Ends {
    /// From this instant on.
    pub(super) fn new(beginning: Option<DateTime<Utc>>) -> Self {
        Self { dates: Buckets::new(Border::Ends, 1, MOST_ENDS), count: 0, without: 0, beginning, over: 0 }
    }

    pub(super) fn add(&mut self, until: Option<BypassUntil>) {
        match until {
            Some(until) if self.beginning.is_some_and(|beginning| until.instant() <= beginning) => self.over += 1,
            Some(until) => {
                self.dates.add(until.instant(), 0);
                self.count += 1;
            }
            None => self.without += 1,
        }
    }
}

impl Unreadable {
    pub(super) fn add(&mut self, line: u64) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(line);
        }
    }
}

impl RunFigures {
    /// For a report with this `header`, of a run that ended at this time, if it is known.
    pub(super) fn new(header: &ByteRecord, users: Users, ended: Option<DateTime<Utc>>) -> Self {
        let place = |column: Column| header.iter().position(|name| name == column.name().as_bytes());
        let others = header.iter().filter(|name| !COLUMNS.iter().any(|own| own.as_bytes() == *name));
        let carried = match users {
            Users::Shown => others.take(CARRIED).map(|name| cut(name, MOST_CARRIED)).collect(),
            Users::LeftOut => Vec::new(),
        };
        Self {
            places: Column::ALL.into_iter().map(|column| (column, place(column))).collect(),
            width: header.len(),
            users,
            tally: Tally::default(),
            causes: Causes::default(),
            pace: Buckets::new(Border::Begins, LEAST_SPAN, MOST_SPANS),
            durations: Spread::default(),
            attempts: Spread::default(),
            ends: Ends::new(ended),
            granted_until: EndDates::default(),
            carried,
            unreadable: Unreadable::default(),
        }
    }

    /// Takes in a line.
    pub(super) fn take(&mut self, line: &ByteRecord) {
        let outcome = self.text(line, Column::Result).and_then(Outcome::named).filter(|_| line.len() == self.width);
        let Some(outcome) = outcome else {
            self.unreadable.add(line.position().map_or(0, csv::Position::line));
            return;
        };
        self.tally.add(outcome);
        self.take_pace(line, outcome);
        self.take_end(line, outcome);
        if outcome.counts() == Counts::Failure {
            let message = self.value(line, Column::ErrorMessage);
            let (kind, message) = match self.users {
                Users::Shown => (self.kind(line, outcome, pattern_of(&message)), message),
                Users::LeftOut => (self.kind(line, outcome, String::new()), String::new()),
            };
            let example = self.example(line, &message);
            self.causes.add(kind, &message, || example);
        }
    }

    fn take_pace(&mut self, line: &ByteRecord, outcome: Outcome) {
        let attempts = self.parsed::<u64>(line, Column::Attempts).unwrap_or_default();
        if attempts == 0 {
            return;
        }
        self.attempts.add(attempts);
        if let Some(took) = self.parsed(line, Column::DurationMs) {
            self.durations.add(took);
        }
        if let Some(completed) = self.text(line, Column::CompletedAt).and_then(instant) {
            self.pace.add(completed, if outcome.counts() == Counts::Failure { FAILED } else { 0 });
        }
    }

    /// As the summary of a run has it: a row that is to be sent again is not settled for good.
    fn take_end(&mut self, line: &ByteRecord, outcome: Outcome) {
        let until = self.text(line, Column::Until).and_then(BypassUntil::read);
        if self.text(line, Column::CanBypass) == Some("true") && !outcome.is_to_be_sent_again() {
            self.ends.add(until);
        }
        if outcome == Outcome::Granted {
            self.granted_until.extend(until);
        }
    }

    fn kind(&self, line: &ByteRecord, outcome: Outcome, pattern: String) -> Kind {
        let code = self.value(line, Column::ErrorCode);
        let is_code = |code: &str| code.len() <= MOST_CODE && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let code = if self.users == Users::Shown || is_code(&code) { code } else { String::new() };
        let status = self.parsed::<u16>(line, Column::HttpStatus).map(|status| status.to_string()).unwrap_or_default();
        Kind { outcome, status, code, pattern }
    }

    fn example(&self, line: &ByteRecord, message: &str) -> Example {
        let user = self.value(line, Column::UserId);
        let is_shown = self.users == Users::Shown;
        // An ID that PingOne gave to an error is a UUID, and no user's.
        let id = |column| {
            let id = self.value(line, column);
            let is_id = Uuid::parse_str(&id).is_ok() && !id.eq_ignore_ascii_case(&user);
            if is_shown || is_id { id } else { String::new() }
        };
        let number = |column| self.parsed::<u64>(line, column).map(|number| number.to_string()).unwrap_or_default();
        let completed = self.text(line, Column::CompletedAt).and_then(instant);
        let is_own = |index: usize| self.places.iter().any(|(_, place)| *place == Some(index));
        let others = line.iter().enumerate().filter(|(index, _)| !is_own(*index)).map(|(_, value)| cut(value, MOST_CARRIED));
        Example {
            row: number(Column::Row),
            message: message.to_owned(),
            error_id: id(Column::ErrorId),
            correlation: id(Column::CorrelationId),
            attempts: number(Column::Attempts),
            completed: completed.map(|at| at.format("%H:%M:%S").to_string()).unwrap_or_default(),
            carried: others.take(self.carried.len()).collect(),
            user: if is_shown { user } else { String::new() },
        }
    }

    fn text<'a>(&self, line: &'a ByteRecord, column: Column) -> Option<&'a str> {
        let (_, place) = self.places.get(column as usize)?;
        std::str::from_utf8(line.get((*place)?)?).ok()
    }

    fn parsed<T: FromStr>(&self, line: &ByteRecord, column: Column) -> Option<T> {
        self.text(line, column)?.parse().ok()
    }

    /// A value, cut to the length that is shown. What is no text in UTF-8 is shown as far as it is.
    fn value(&self, line: &ByteRecord, column: Column) -> String {
        let (_, place) = self.places[column as usize];
        place.and_then(|place| line.get(place)).map(|value| cut(value, MOST_TEXT)).unwrap_or_default()
    }
}

/// The instant of a date-time in the API's form.
pub(super) fn instant(text: &str) -> Option<DateTime<Utc>> {
    BypassUntil::read(text).map(BypassUntil::instant)
}

/// At most this many characters of a value.
pub(super) fn cut(value: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(value);
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
