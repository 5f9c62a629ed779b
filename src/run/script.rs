//! The pipeline tests' PingOne: it answers by a script, under a paused clock.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use csv::ByteRecord;
use tokio::time::Instant;

use super::*;
use crate::domain::{Action, BypassUntil, EnvironmentId, Operation, Origin, Outcome, Previous, Restoration, RowNumber, UserId, Work};
use crate::pace::{Pacer, Rate};
use crate::pingone::{AccessToken, Answer, Authentication, Call, Endpoints, Fault, Region, Reply, Resource, TokenSource};
use crate::report::{Journal, Target};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Applied; 200 with the requested state.
    Good,
    /// Applied; 200 with another end date.
    OtherDate,
    /// Applied; 200 with a bypass that has no end date.
    NoDate,
    /// Applied; 200 with a body that cannot be parsed.
    Garbled,
    /// Applied; no answer.
    Lost,
    /// Not applied; 200 saying that there is no bypass.
    NoBypass,
    /// Not applied; 200 from something other than the endpoint.
    Maintenance,
    Status(u16),
    /// Applied, and answered with this status.
    Applied(u16),
    RetryAfter(u16, u64),
    /// No answer; the request may have arrived.
    Silence,
    /// The request did not arrive.
    NoConnection,
}

/// A PingOne that follows its script for each row, and then answers everything with success.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) rows: Mutex<HashMap<u64, Vec<Event>>>,
    pub(crate) tokens: Mutex<Vec<Event>>,
    pub(crate) latency: Duration,
    pub(crate) sent: Mutex<Vec<(u64, Instant, u64)>>,
    pub(crate) tokens_sent: Mutex<u64>,
    pub(crate) environment: Option<Event>,
    /// What happens to requests for the user list, which is empty.
    pub(crate) users: Mutex<Vec<Event>>,
    pub(crate) in_flight: Mutex<(usize, usize)>,
    /// Each row's bypass, including expired ones.
    pub(crate) bypasses: Mutex<HashMap<u64, BypassUntil>>,
    pub(crate) calls: Mutex<Vec<Called>>,
    /// The rows for which a PUT was applied and no answer has stated the user's status since.
    pub(crate) unconfirmed: Mutex<HashSet<u64>>,
}

/// A call and the state that it found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Called {
    pub(crate) row: u64,
    pub(crate) call: Call,
    pub(crate) date: DateTime<Utc>,
    /// The end date of the bypass running at the time, if any.
    pub(crate) running: Option<BypassUntil>,
}

/// The wall-clock time, which is paused with the other clock.
pub(crate) fn now() -> DateTime<Utc> {
    static BEGAN: OnceLock<std::time::Instant> = OnceLock::new();
    let (began, now) = (*BEGAN.get_or_init(std::time::Instant::now), Instant::now().into_std());
    let since = |from, to: std::time::Instant| TimeDelta::from_std(to.duration_since(from)).expect("short");
    let began_at = DateTime::from_timestamp_millis(1_700_000_000_000).expect("in range");
    began_at + since(began, now) - since(now, began)
}

impl Script {
    pub(crate) fn of(rows: &[(u64, &[Event])]) -> Self {
        let rows = rows.iter().map(|(row, events)| (*row, events.to_vec())).collect();
        Self { rows: Mutex::new(rows), latency: Duration::from_millis(50), ..Self::default() }
    }

    /// The same events for each of `rows`.
    pub(crate) fn alike(rows: impl Iterator<Item = u64>, events: &[Event]) -> Self {
        let rows: Vec<_> = rows.map(|row| (row, events)).collect();
        Self::of(&rows)
    }

    /// Gives each of these rows' users a bypass for this many more seconds.
    pub(crate) fn with_bypasses(self, rows: impl Iterator<Item = u64>, seconds: i64) -> Self {
        let until = BypassUntil::from_instant(now() + TimeDelta::seconds(seconds)).expect("in range");
        self.bypasses.lock().expect("whole").extend(rows.map(|row| (row, until)));
        self
    }

    /// The end date of a row's running bypass.
    pub(crate) fn running(&self, row: u64) -> Option<BypassUntil> {
        self.bypasses.lock().expect("whole").get(&row).copied().filter(|until| until.instant() > now())
    }

    /// Logs a call, and applies it if `event` says so. Returns the body of a successful answer.
    fn carry_out(&self, row: u64, call: Call, event: Event) -> String {
        self.calls.lock().expect("whole").push(Called { row, call, date: now(), running: self.running(row) });
        let is_carried_out = match event {
            Event::Good | Event::OtherDate | Event::NoDate | Event::Garbled | Event::Lost | Event::Applied(_) => true,
            Event::NoBypass | Event::Maintenance | Event::Status(_) | Event::RetryAfter(..) | Event::Silence | Event::NoConnection => false,
        };
        if let (Call::Put(_, until), true) = (call, is_carried_out) {
            self.bypasses.lock().expect("whole").insert(row, until);
            self.unconfirmed.lock().expect("whole").insert(row);
        }
        let body = self.running(row).map(|until| format!(r#"{{"bypassMFAEnabledUntil":"{until}","canBypassMFA":true}}"#));
        body.unwrap_or_else(|| no_bypass(call.user()))
    }

    /// A row's calls as letters, such as `GPG`.
    pub(crate) fn calls_of(&self, row: u64) -> String {
        let calls = self.calls.lock().expect("whole");
        let letter = |called: &Called| if called.call.changes() { 'P' } else { 'G' };
        calls.iter().filter(|called| called.row == row).map(letter).collect()
    }

    pub(crate) fn requests_of(&self, row: u64) -> usize {
        self.sent.lock().expect("whole").iter().filter(|(sent, ..)| *sent == row).count()
    }
}

/// The body for a user who has no bypass.
fn no_bypass(user: UserId) -> String {
    format!(r#"{{"_links":{{"user":{{"href":"https://api.pingone.com/v1/environments/e/users/{user}"}}}}}}"#)
}

pub(crate) fn next(events: Option<&mut Vec<Event>>) -> Event {
    match events {
        Some(events) if !events.is_empty() => events.remove(0),
        Some(_) | None => Event::Good,
    }
}

/// The answer to an event: `good` on success, `none` where there is no bypass.
pub(crate) fn reply(event: Event, good: &str, none: &str) -> Reply {
    let answer = |status, retry_after, body: &str| {
        Ok(Answer { status, retry_after, date: None, correlation: "".into(), body: Ok(body.to_owned().into()) })
    };
    match event {
        Event::Good => answer(200, None, good),
        Event::OtherDate => answer(200, None, r#"{"bypassMFAEnabledUntil":"2025-11-26T00:00:00.000Z","canBypassMFA":true}"#),
        Event::NoDate => answer(200, None, r#"{"canBypassMFA":true}"#),
        Event::NoBypass => answer(200, None, none),
        Event::Garbled => answer(200, None, "<html>"),
        Event::Maintenance => answer(200, None, r#"{"message":"Service in maintenance"}"#),
        Event::Status(status) | Event::Applied(status) => answer(status, None, r#"{"id":"f1","code":"SOME_CODE","message":"Said so."}"#),
        Event::RetryAfter(status, seconds) => answer(status, Some(Duration::from_secs(seconds)), "{}"),
        Event::Silence | Event::Lost => Err(Fault { may_have_arrived: true, untrusted: false, what: "no answer".into() }),
        Event::NoConnection => Err(Fault { may_have_arrived: false, untrusted: false, what: "no connection".into() }),
    }
}

impl Transport for Arc<Script> {
    async fn send(&self, call: Call, row: RowNumber, token: &AccessToken, _limit: Duration) -> Reply {
        self.sent.lock().expect("whole").push((row.0, Instant::now(), token.generation));
        let event = next(self.rows.lock().expect("whole").get_mut(&row.0));
        let good = self.carry_out(row.0, call, event);
        {
            let mut in_flight = self.in_flight.lock().expect("whole");
            in_flight.0 += 1;
            in_flight.1 = in_flight.1.max(in_flight.0);
        }
        tokio::time::sleep(self.latency).await;
        self.in_flight.lock().expect("whole").0 -= 1;
        if matches!(event, Event::Good | Event::OtherDate | Event::NoDate | Event::NoBypass) {
            self.unconfirmed.lock().expect("whole").remove(&row.0);
        }
        reply(event, &good, &no_bypass(call.user()))
    }

    async fn fetch(&self, resource: Resource<'_>, _token: &AccessToken) -> Reply {
        tokio::time::sleep(self.latency).await;
        let (event, good) = match resource {
            Resource::Environment => (self.environment.unwrap_or(Event::Good), "{}"),
            Resource::Licence | Resource::Report(_) => (Event::Good, "{}"),
            Resource::Users(_) => (next(Some(&mut self.users.lock().expect("whole"))), r#"{"_embedded":{"users":[]},"count":0}"#),
        };
        reply(event, good, "{}")
    }

    async fn fetch_token(&self, _: &Authentication<'_>) -> Reply {
        *self.tokens_sent.lock().expect("whole") += 1;
        tokio::time::sleep(self.latency).await;
        let event = next(Some(&mut self.tokens.lock().expect("whole")));
        reply(event, r#"{"access_token":"abc","expires_in":3600}"#, "{}")
    }
}

/// What a run produced.
pub(crate) struct Output {
    pub(crate) ended: Ended,
    /// Each row's outcome and its whole line, in the order of settling.
    pub(crate) lines: Vec<(u64, Outcome, ByteRecord)>,
    pub(crate) took: Duration,
}

impl Output {
    pub(crate) fn outcome(&self, row: u64) -> Outcome {
        self.line(row).1
    }

    pub(crate) fn line(&self, row: u64) -> &(u64, Outcome, ByteRecord) {
        self.lines.iter().find(|(number, ..)| *number == row).expect("settled")
    }

    pub(crate) fn value(&self, row: u64, column: &str) -> String {
        let index = crate::report::COLUMNS.iter().position(|name| *name == column).expect("a column");
        String::from_utf8(self.line(row).2[index].to_vec()).expect("UTF-8")
    }
}

/// The user of a row.
pub(crate) fn user(row: u64) -> UserId {
    uuid::Uuid::from_u64_pair(1, row).into()
}

pub(crate) fn row(operation: Operation, number: u64) -> Row {
    let user = user(number);
    let until = chrono::DateTime::from_timestamp_millis(1_800_000_000_000).and_then(BypassUntil::from_instant).expect("in range");
    let action = match operation {
        Operation::Grant => Action::Grant(user, until),
        Operation::LookAndGrant => Action::LookAndGrant(user, until),
        Operation::Audit => Action::Read(user),
        Operation::End(grace) => Action::End(user, grace),
        Operation::Restore(grace) => Action::Restore(user, Restoration { granted: until, previous: Previous::NoBypass, grace }),
    };
    Row {
        number: RowNumber(number),
        origin: Origin::default(),
        carried: ByteRecord::new(),
        in_doubt: false,
        previous: None,
        work: Work::Send(action),
    }
}

pub(crate) fn pipeline(script: &Arc<Script>, rate: Rate, concurrency: usize, limits: Limits) -> Pipeline<Arc<Script>> {
    let environment: EnvironmentId = "abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6".parse().expect("a UUID");
    let endpoints =
        Endpoints { api: Region::Na.api_url(), auth: Region::Na.auth_url(), environment, auth_environment: environment, urls: None };
    let clock = Clock::reading(now().into()).expect("after 1970");
    let pacer = Arc::new(Pacer::new(rate));
    let session = Session::new(Arc::clone(script), endpoints, TokenSource::for_tests(), pacer, limits, clock);
    Pipeline {
        session,
        limits,
        concurrency,
        slots: Arc::new(Semaphore::new(concurrency)),
        rules: StopRules { max_failures: MaxFailures::Percent(100.0), canary: None, is_resumed: false },
        clock,
        stop: Stop::default(),
    }
}

pub(crate) const PATIENCE: Limits = Limits { timeout: Duration::from_secs(30), max_attempts: 8, give_up_after: Duration::from_secs(600) };

/// Collects what is written to a journal.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) async fn run(pipeline: &Pipeline<Arc<Script>>, rows: Vec<Row>) -> Output {
    let written = Lines::default();
    let journal = Journal::start(
        Target::Stream(Box::new(written.clone()), crate::domain::Lines::All, crate::domain::CsvDialect::default()),
        std::iter::empty(),
    )
    .expect("memory");
    let (send, receive) = mpsc::channel(rows.len().max(1));
    for row in rows {
        send.try_send(row).expect("room");
    }
    drop(send);
    let (seen, _) = watch::channel(Tally::default());
    let start = Instant::now();
    let ended = pipeline.run(receive, journal.appender(), seen).await;
    let took = start.elapsed();
    journal.finish().await.expect("memory");
    let text = written.0.lock().expect("whole").clone();
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let outcome = |name: &[u8]| Outcome::ALL.into_iter().find(|outcome| outcome.name().as_bytes() == name).expect("a name");
    let line = |record: ByteRecord| {
        let number = std::str::from_utf8(&record[0]).expect("UTF-8").parse().expect("a number");
        (number, outcome(&record[2]), record)
    };
    let lines = reader.byte_records().map(|record| line(record.expect("CSV"))).collect();
    Output { ended, lines, took }
}
