//! Is anybody answering? Since when no request has had a usable answer while one is waited for, and whether that is an outage.
//!
//! A *usable* answer is any that decides something, a refusal, a 401 or a 429 too. A status of 5xx, an answer that breaks off or cannot
//! be read, and none at all are *faults*. An *outage* begins when nothing but faults has come for [`SILENT_AFTER`] while something is
//! waited for, and ends with the first usable answer. Time in which nothing is waited for, or in which a 429 holds everything back, does
//! not count.
//!
//! [`Exchanges`] is pure: events and their times in. [`Answers`] shares it, and is what `ui` reads.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::endpoints::Endpoints;
use super::error::ServerMessage;
use crate::domain::Detail;
use crate::pace::Pacer;

/// This long without a usable answer is told. Most answers take less than a second.
const SILENT_AFTER: Duration = Duration::from_secs(2);
/// A single fault is no outage: of a slow run, it may be the only request within [`SILENT_AFTER`].
const FAULTS: u32 = 2;
/// Where nothing has come at all, a server that is known to be slow is given twice the time that it takes…
const SLOWER: u32 = 2;
/// …as the slowest answer shows, which loses a tenth of its weight with each answer after it.
const KEPT: f64 = 0.9;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Token,
    Environment,
    Licence,
    Users,
    Report,
    Rows,
}

impl Wanted {
    /// Its name after "waiting for".
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Token => "a token",
            Self::Environment => "the environment",
            Self::Licence => "the rates of the licence",
            Self::Users => "a page of the user list",
            Self::Report => "the device report",
            Self::Rows => "the answers for rows",
        }
    }
}

/// A time without a usable answer.
#[derive(Debug, Clone)]
pub(crate) struct Silence {
    pub(crate) wanted: Wanted,
    /// The host that does not answer.
    pub(crate) host: String,
    /// How long it has lasted.
    pub(crate) lasted: Duration,
    /// Which try is under way or comes next, and how many there are; `None` for rows, which each have their own.
    pub(crate) tries: Option<(u32, u32)>,
    /// The time until the next try; `None` while one is under way.
    pub(crate) next_try: Option<Duration>,
    /// It is given up within this time.
    pub(crate) gives_up_within: Option<Duration>,
    /// The last fault, if there was one.
    pub(crate) reason: Option<ServerMessage>,
    /// The number of rows that are started and not settled.
    pub(crate) rows: usize,
}

/// What is told of an outage, once each.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    Began(Silence),
    Ended { host: String, lasted: Duration },
}

/// The try that was made last.
#[derive(Debug, Clone, Copy)]
struct Try {
    wanted: Wanted,
    tries: Option<(u32, u32)>,
    next: Option<Instant>,
    gives_up: Option<Instant>,
}

/// Requests and what has come of them since the last usable answer.
#[derive(Debug, Default)]
struct Exchanges {
    /// Waits that have not ended: of one request, or of all tries together.
    waits: usize,
    /// Started rows that are not settled, those in backoff included.
    rows: usize,
    in_flight: usize,
    /// Since when there is no usable answer; `None` if none is waited for.
    since: Option<Instant>,
    /// Since when nothing is waited for.
    idle: Option<Instant>,
    faults: u32,
    last: Option<Try>,
    reason: Option<ServerMessage>,
    /// Whether a row was answered before.
    has_answered: bool,
    /// How long an answer may take.
    slowest: Duration,
    /// Whether an outage was told, and its end is not.
    is_out: bool,
    /// How long the outage lasted that is over, until that is told.
    over: Option<(Wanted, Duration)>,
}

impl Exchanges {
    fn is_waiting(&self) -> bool {
        self.waits > 0 || self.rows > 0
    }

    fn sent(&mut self, mut this: Try, now: Instant) {
        if let (Some(idle), Some(since)) = (self.idle.take(), self.since) {
            self.since = Some(since + now.saturating_duration_since(idle));
        }
        self.in_flight += 1;
        self.since.get_or_insert(now);
        if let Some(last) = self.last.filter(|last| last.wanted == this.wanted && this.tries.is_none()) {
            // Of the rows, the one counts that is tried longest.
            this.gives_up = this.gives_up.max(last.gives_up);
        }
        self.last = Some(this);
    }

    fn usable(&mut self, wanted: Wanted, took: Duration, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.slowest = took.max(self.slowest.mul_f64(KEPT));
        self.has_answered |= wanted == Wanted::Rows;
        if let Some(since) = self.since.filter(|_| std::mem::take(&mut self.is_out)) {
            self.over = Some((wanted, now.saturating_duration_since(since)));
        }
        self.since = (self.in_flight > 0).then_some(now);
        (self.faults, self.reason) = (0, None);
    }

    fn faulted(&mut self, fault: &Detail) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.faults = self.faults.saturating_add(1);
        self.reason = Some(fault.clone().into());
    }

    /// A request was given up before its answer came.
    fn abandoned(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight == 0 && self.faults == 0 && !self.is_out {
            self.since = None;
        }
    }

    /// A wait has ended, with or without an answer. Rows follow each other, so that no time between them is idle.
    fn close(&mut self, wanted: Wanted, now: Instant) {
        self.waits = self.waits.saturating_sub(1);
        if !self.is_waiting() && wanted != Wanted::Rows {
            self.idle = Some(now);
        }
    }

    /// The time without a usable answer, if it is worth telling. While requests are held back, none can come.
    fn silence(&mut self, now: Instant, is_held: bool) -> Option<(Try, Duration)> {
        if is_held && !self.is_out {
            self.since = self.since.map(|_| now);
        }
        let lasted = now.saturating_duration_since(self.since?);
        let is_silent = self.is_waiting() && !is_held && lasted >= SILENT_AFTER && (self.in_flight > 0 || self.faults > 0);
        self.last.filter(|_| is_silent).map(|last| (last, lasted))
    }

    /// Whether an outage begins now. A licence that is not told is none: nothing depends on it.
    fn begins(&mut self, now: Instant, is_held: bool) -> bool {
        let Some((last, lasted)) = self.silence(now, is_held) else {
            return false;
        };
        let is_long = self.faults >= FAULTS || (self.in_flight > 0 && lasted >= self.slowest * SLOWER);
        // A single row that is refused over and over may be at fault itself, where others were answered.
        let is_one_row = last.wanted == Wanted::Rows && self.rows == 1 && self.has_answered;
        let is_rows_own = is_one_row && self.reason.as_ref().is_some_and(ServerMessage::has_status);
        let begins = is_long && !self.is_out && last.wanted != Wanted::Licence && !is_rows_own;
        self.is_out |= begins;
        begins
    }
}

/// Whether requests are answered: shared by all that send, and read by what is shown.
#[derive(Debug)]
pub(crate) struct Answers {
    exchanges: Mutex<Exchanges>,
    pacer: Arc<Pacer>,
    api: String,
    auth: String,
}

impl Answers {
    pub(super) fn new(pacer: Arc<Pacer>, endpoints: &Endpoints) -> Self {
        let (api, auth) = (endpoints.api.host().to_owned(), endpoints.auth.host().to_owned());
        Self { exchanges: Mutex::default(), pacer, api, auth }
    }

    /// Begins to wait for something that is given up at `gives_up`, after `most` tries with faults.
    pub(super) fn wait(&self, wanted: Wanted, gives_up: Option<Instant>, most: u32) -> Wait<'_> {
        self.exchanges().waits += 1;
        Wait { answers: self, wanted, gives_up, most, sent: None, tries: 0, faults: 0 }
    }

    /// Sets how many rows are started and not settled.
    pub(crate) fn set_rows(&self, rows: usize) {
        self.exchanges().rows = rows;
    }

    /// For how long requests are still held back by a 429.
    pub(crate) fn held(&self) -> Option<Duration> {
        self.pacer.held_until().map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// The requests a second that PingOne has turned out to let in, if that is below the rate asked for.
    pub(crate) fn limit(&self) -> Option<f64> {
        self.pacer.limit()
    }

    /// How long requests have been held back so far, in total.
    pub(crate) fn held_so_far(&self) -> Duration {
        self.pacer.lost()
    }

    /// The silence, from [`SILENT_AFTER`] on.
    pub(crate) fn silence(&self) -> Option<Silence> {
        let (now, is_held) = (Instant::now(), self.pacer.held_until().is_some());
        let mut exchanges = self.exchanges();
        let (last, lasted) = exchanges.silence(now, is_held)?;
        Some(self.described(&exchanges, last, lasted, now))
    }

    /// What there is to tell of an outage. Each beginning and each end is returned once.
    pub(crate) fn notice(&self) -> Option<Notice> {
        let (now, is_held) = (Instant::now(), self.pacer.held_until().is_some());
        let mut exchanges = self.exchanges();
        if let Some((wanted, lasted)) = exchanges.over.take() {
            return Some(Notice::Ended { host: self.host(wanted).to_owned(), lasted });
        }
        if !exchanges.begins(now, is_held) {
            return None;
        }
        let (last, lasted) = exchanges.silence(now, is_held)?;
        Some(Notice::Began(self.described(&exchanges, last, lasted, now)))
    }

    fn described(&self, exchanges: &Exchanges, last: Try, lasted: Duration, now: Instant) -> Silence {
        let until = |then: Instant| then.saturating_duration_since(now);
        Silence {
            wanted: last.wanted,
            host: self.host(last.wanted).to_owned(),
            lasted,
            tries: last.tries,
            next_try: last.next.map(until).filter(|left| !left.is_zero()),
            gives_up_within: last.gives_up.map(until),
            reason: exchanges.reason.clone(),
            rows: exchanges.rows,
        }
    }

    fn host(&self, wanted: Wanted) -> &str {
        match wanted {
            Wanted::Token => &self.auth,
            Wanted::Environment | Wanted::Licence | Wanted::Users | Wanted::Report | Wanted::Rows => &self.api,
        }
    }

    fn exchanges(&self) -> MutexGuard<'_, Exchanges> {
        self.exchanges.lock().expect("no panic while it is held")
    }
}

/// A wait for an answer, with all its tries. A request that is in flight when this is dropped was abandoned.
#[derive(Debug)]
pub(super) struct Wait<'a> {
    answers: &'a Answers,
    wanted: Wanted,
    gives_up: Option<Instant>,
    most: u32,
    sent: Option<Instant>,
    tries: u32,
    faults: u32,
}

impl Wait<'_> {
    /// Whether a request was sent already.
    pub(super) fn is_repeated(&self) -> bool {
        self.tries > 0
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.tries += 1;
        self.sent = Some(now);
        let this = self.this_try(None);
        self.answers.exchanges().sent(this, now);
    }

    /// The request has ended: with a `fault`, or with a usable answer.
    pub(super) fn ended(&mut self, fault: Option<&Detail>) {
        let Some(sent) = self.sent.take() else {
            return;
        };
        let mut exchanges = self.answers.exchanges();
        if let Some(fault) = fault {
            self.faults += 1;
            exchanges.faulted(fault);
        } else {
            let now = Instant::now();
            exchanges.usable(self.wanted, now.saturating_duration_since(sent), now);
        }
    }

    /// The next try comes after this `wait`.
    pub(super) fn retried_in(&self, wait: Duration) {
        self.answers.exchanges().last = Some(self.this_try(Instant::now().checked_add(wait)));
    }

    fn this_try(&self, next: Option<Instant>) -> Try {
        let tries = (self.wanted != Wanted::Rows).then_some((self.faults + 1, self.most));
        Try { wanted: self.wanted, tries, next, gives_up: self.gives_up }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut exchanges = self.answers.exchanges();
        if self.sent.is_some() {
            exchanges.abandoned();
        }
        exchanges.close(self.wanted, Instant::now());
    }
}

#[cfg(test)]
#[path = "silence_tests.rs"]
mod tests;
