//! What to do next for a row, given everything that has happened to it. Pure: takes verdicts and the time, returns a decision.
//!
//! A grant or an audit takes one call, repeated until it is answered. An end takes a GET and, if a bypass runs beyond the near
//! date, a PUT of that date. Each such PUT directly follows a GET that found a bypass: after a fault the bypass may have ended,
//! and a PUT would grant it again. A grant that looks first takes a GET and, unless a bypass runs at least as long, a PUT, which
//! directly follows a GET too: after a fault somebody else may have granted a longer one.
//!
//! What the user had *before* is what a GET finds, unless a PUT of the row, whose answer was not seen, may have set just that. What
//! is known is kept then: from an earlier GET, or from the line of an earlier process. A row that is to be granted puts it into the
//! journal before its PUT is sent ([`RowState::take_announcement`]), so that a killed process does not take it along.
//!
//! A row is in *doubt* when a PUT may have been applied: its answer was not seen, or does not rule it out. Only a 200 resolves
//! the doubt: the answer to a later PUT, which states the user's status, or to a GET. So a row that would end in doubt gets one
//! more GET, its *last look*. Its result is `granted` or `ended`, or otherwise `unknown`, because an unanswered PUT may still
//! be applied after the GET.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::meaning::{Found, History, Observed, RowResult, after_get, after_put, contradiction, previous};
use crate::domain::{Action, BypassUntil, Detail, ForeignText, Outcome, Previous, UserId};
use crate::pace::Backoff;
use crate::pingone::{Call, Limits, Verdict};

/// After this many 401s in succession for one row, new tokens count as refused. Two in succession could be two expired tokens.
const MOST_401S: u32 = 3;
/// A row with less time left than this is given up; less if the request timeout is shorter.
const LEAST_FOR_AN_ANSWER: Duration = Duration::from_secs(1);

/// What is known about a row that has been started.
#[derive(Debug)]
pub(crate) struct RowState {
    pub(super) action: Action,
    limits: Limits,
    backoff: Backoff,
    /// When the first request was sent.
    first: Option<Instant>,
    last_answer: Option<Instant>,
    pub(crate) attempts: u32,
    /// 401s in succession, counted separately for GETs and PUTs, because PingOne may accept a token for one and refuse it for
    /// the other.
    unauthorized_gets: u32,
    unauthorized_puts: u32,
    /// Whether a PUT may have been applied whose answer was not seen.
    doubt: bool,
    last_fault: Detail,
    /// Whether only the last look is left to do.
    is_last_look: bool,
    /// The status that a PUT is to change, if the last call was a GET that found so.
    running: Option<Observed>,
    /// The end date that the last PUT requested.
    requested: Option<BypassUntil>,
    /// What the user had before the run, as far as it is known.
    pub(crate) previous: Option<Previous>,
    /// What the journal says that the user had before.
    announced: Option<Previous>,
    /// The last answer's `Correlation-Id`.
    pub(crate) correlation: ForeignText,
}

/// What to do with a permit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send this call; `is_retry` if it repeats an earlier one.
    Send { call: Call, is_retry: bool },
    /// Send nothing: the row is settled.
    Settle(RowResult),
}

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The row is settled.
    Settle(RowResult),
    /// The row's second call is sent at the next permit.
    SecondCall,
    /// Retry after this wait.
    Retry(Duration),
    /// The run stops, and the row stays unsettled.
    Leave,
    /// New tokens were refused repeatedly.
    TokenRefused(Detail),
}

impl RowState {
    /// The state of a new row. `in_doubt` says that its action may already have been carried out by an earlier process, and
    /// `previous` what that process found before.
    pub(crate) fn new(action: Action, limits: Limits, in_doubt: bool, previous: Option<Previous>) -> Self {
        Self {
            action,
            limits,
            backoff: Backoff::new(),
            first: None,
            last_answer: None,
            attempts: 0,
            unauthorized_gets: 0,
            unauthorized_puts: 0,
            doubt: in_doubt && action.changes(),
            last_fault: Detail::default(),
            is_last_look: false,
            running: None,
            requested: None,
            previous,
            announced: previous,
            correlation: ForeignText::default(),
        }
    }

    /// The requested end date: the row's own, or that of the last PUT.
    pub(crate) fn requested(&self) -> Option<BypassUntil> {
        self.action.until().or(self.requested)
    }

    /// What the journal must say of a row before its PUT is sent, which overwrites what the user had before: nothing, if it is
    /// said already or not wanted.
    pub(crate) fn take_announcement(&mut self) -> Option<RowResult> {
        let observed = self.running.filter(|_| matches!(self.action, Action::LookAndGrant(..)))?;
        let previous = self.previous.filter(|previous| self.announced != Some(*previous))?;
        self.announced = Some(previous);
        Some(observed.announced())
    }

    /// The time by which the row must be settled; `None` before its first request.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.first.and_then(|first| first.checked_add(self.limits.give_up_after))
    }

    /// The latest time to send a request for the row: one that is cut short may still be applied.
    pub(crate) fn latest_send(&self) -> Option<Instant> {
        let for_an_answer = LEAST_FOR_AN_ANSWER.min(self.limits.timeout);
        self.deadline().map(|deadline| deadline.checked_sub(for_an_answer).unwrap_or(deadline))
    }

    /// From the first request to the last answer.
    pub(crate) fn took(&self) -> Duration {
        self.last_answer.zip(self.first).map_or(Duration::ZERO, |(last, first)| last - first)
    }

    /// What to do with a permit; `date` is the wall-clock time.
    pub(crate) fn step(&mut self, date: DateTime<Utc>) -> Step {
        let user = self.action.user();
        if let Some(observed) = self.running {
            // The bypass may have ended while the row waited for its permit.
            return match after_get(self.action, observed.at(date), date, self.history()) {
                Found::Settled(result) => Step::Settle(result),
                Found::ToPut(until) => self.put(user, until),
                Found::Open => Step::Settle(self.unknown(observed)),
            };
        }
        match self.action {
            Action::Grant(_, until) if !self.is_last_look => self.put(user, until),
            Action::Grant(..) | Action::LookAndGrant(..) | Action::Read(_) | Action::End(..) | Action::Restore(..) => {
                Step::Send { call: Call::Get(user), is_retry: self.attempts > 0 }
            }
        }
    }

    fn history(&self) -> History {
        History { in_doubt: self.doubt, has_put: self.requested.is_some(), previous: self.previous }
    }

    fn put(&mut self, user: UserId, until: BypassUntil) -> Step {
        let is_retry = self.requested.replace(until).is_some();
        Step::Send { call: Call::Put(user, until), is_retry }
    }

    /// Decides what follows from the `verdict` on a `call` sent at `sent` and answered `now`; `date` is the wall-clock time.
    pub(crate) fn after(&mut self, call: Call, verdict: Verdict, sent: Instant, now: Instant, date: DateTime<Utc>) -> Next {
        self.count(sent, now);
        self.running = None;
        let unauthorized = match call {
            Call::Get(_) => &mut self.unauthorized_gets,
            Call::Put(..) => &mut self.unauthorized_puts,
        };
        *unauthorized = if matches!(verdict, Verdict::Unauthorized(_)) { *unauthorized + 1 } else { 0 };
        let token_is_refused = *unauthorized >= MOST_401S;
        match verdict {
            Verdict::Answered { status, bypass } => self.answered(call, Observed { status, bypass }, now, date),
            Verdict::NotFound(detail) => self.refused(call, Outcome::NotFound, detail, now),
            Verdict::Refused { detail, may_have_been_applied } => {
                self.doubt |= may_have_been_applied;
                self.refused(call, Outcome::Rejected, detail, now)
            }
            Verdict::Unauthorized(detail) if token_is_refused => Next::TokenRefused(detail),
            Verdict::Unauthorized(_) => Next::Retry(Duration::ZERO),
            // The pacer holds all requests back, so this row needs no wait of its own.
            Verdict::Throttled { detail, .. } => {
                self.last_fault = detail;
                self.retry_unless_over(Duration::ZERO, now)
            }
            Verdict::Faulted { fault, retry_after, may_have_been_applied } => {
                self.doubt |= may_have_been_applied;
                self.faulted(call, fault, retry_after, now)
            }
        }
    }

    /// A refusal settles a row that is not in doubt. In doubt, it does not: an earlier request may have been applied all the
    /// same.
    fn refused(&mut self, call: Call, outcome: Outcome, detail: Detail, now: Instant) -> Next {
        if !self.doubt {
            return Next::Settle(RowResult { outcome, bypass: None, detail });
        }
        let message = format!("an earlier request may have been carried out; the last answer: {}", detail.message).into();
        self.last_fault = Detail { message, ..detail };
        self.last_look_after(call, Duration::ZERO, now)
    }

    fn faulted(&mut self, call: Call, fault: Detail, retry_after: Option<Duration>, now: Instant) -> Next {
        self.last_fault = fault;
        let wait = self.backoff.after_fault(retry_after);
        if self.is_last_look {
            Next::Settle(self.give_up())
        } else if self.backoff.faults() < self.limits.max_attempts {
            self.retry_unless_over(wait, now)
        } else if self.doubt {
            self.last_look_after(call, wait, now)
        } else {
            Next::Settle(self.give_up())
        }
    }

    /// Ends a row in doubt that is not retried: with the last look, after `wait` if there is time for it, or at once if the
    /// `call` was itself a GET.
    fn last_look_after(&mut self, call: Call, wait: Duration, now: Instant) -> Next {
        match call {
            Call::Get(_) => Next::Settle(self.give_up()),
            Call::Put(..) => {
                self.is_last_look = true;
                let wait = if self.is_over(now + wait) { Duration::ZERO } else { wait };
                self.retry_unless_over(wait, now)
            }
        }
    }

    /// Decides what follows from a 200.
    fn answered(&mut self, call: Call, observed: Observed, now: Instant, date: DateTime<Utc>) -> Next {
        match call {
            Call::Get(_) => self.after_get(observed, date),
            Call::Put(_, until) => after_put(self.action, until, observed).map_or_else(
                || {
                    self.doubt = true;
                    self.faulted(call, Detail::own(Some(observed.status), contradiction(observed.bypass)), None, now)
                },
                Next::Settle,
            ),
        }
    }

    /// The answer to a GET also shows whether earlier PUTs were applied.
    fn after_get(&mut self, observed: Observed, date: DateTime<Utc>) -> Next {
        let found = after_get(self.action, observed, date, self.history());
        self.previous = previous(self.action, observed.bypass, date, self.history()).or(self.previous);
        match found {
            Found::Settled(result) => Next::Settle(result),
            Found::ToPut(_) if !self.is_last_look => {
                // A bypass that still runs resolves the doubt of an end. Otherwise it lasts until the date that was put is seen.
                self.doubt &= !matches!(self.action, Action::End(..));
                self.running = Some(observed);
                self.last_fault = Detail::own(None, format!("no turn came to {} the bypass before the row's time was over", self.verb()));
                Next::SecondCall
            }
            Found::ToPut(_) | Found::Open => Next::Settle(self.unknown(observed)),
        }
    }

    /// What is done with the bypass, in a message.
    fn verb(&self) -> &'static str {
        match self.action {
            Action::Grant(..) | Action::LookAndGrant(..) => "grant",
            Action::Read(_) => "read",
            Action::End(..) => "end",
            Action::Restore(..) => "restore",
        }
    }

    fn unknown(&mut self, observed: Observed) -> RowResult {
        observed.unknown(&std::mem::take(&mut self.last_fault))
    }

    /// Counts a call sent at `sent` whose exchange is over `now`.
    pub(crate) fn count(&mut self, sent: Instant, now: Instant) {
        self.attempts += 1;
        self.first.get_or_insert(sent);
        self.last_answer = Some(now);
    }

    /// A `call` sent at `sent` was abandoned. An abandoned GET changes nothing, so the row stays unsettled.
    pub(crate) fn abandoned(&mut self, call: Call, sent: Instant, now: Instant) -> Next {
        self.count(sent, now);
        self.last_fault = Detail::own(None, "the run was interrupted before the answer came".to_owned());
        match call {
            Call::Put(..) => {
                self.doubt = true;
                Next::Settle(self.give_up())
            }
            Call::Get(_) => Next::Leave,
        }
    }

    /// The result of a row that is not retried because the run stops; `None` if nothing can have been applied, and the row
    /// stays as it was.
    pub(crate) fn stopped(&mut self) -> Option<RowResult> {
        (self.attempts > 0 && self.doubt).then(|| self.give_up())
    }

    fn retry_unless_over(&mut self, wait: Duration, now: Instant) -> Next {
        if self.is_over(now + wait) { Next::Settle(self.give_up()) } else { Next::Retry(wait) }
    }

    /// Whether the row's time is over at `then`.
    fn is_over(&self, then: Instant) -> bool {
        self.deadline().is_some_and(|deadline| then >= deadline)
    }

    /// The result of a row that is given up after faults.
    pub(crate) fn give_up(&mut self) -> RowResult {
        let outcome = if self.doubt { Outcome::Unknown } else { Outcome::Failed };
        RowResult { outcome, bypass: None, detail: std::mem::take(&mut self.last_fault) }
    }
}
