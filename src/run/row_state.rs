//! What to do next for a row, given everything that has happened to it. Pure: takes verdicts and the time, returns a decision.
//!
//! A grant or an audit takes one call, repeated until it is answered. An end takes a GET and, if a bypass runs beyond the near
//! date, a PUT of that date. Each such PUT directly follows a GET that found a bypass: after a fault the bypass may have ended,
//! and a PUT would grant it again.
//!
//! A row is in *doubt* when a PUT may have been applied: its answer was not seen, or does not rule it out. Only a 200 resolves
//! the doubt: the answer to a later PUT, which states the user's status, or to a GET. So a row that would end in doubt gets one
//! more GET, its *last look*. Its result is `granted` or `ended`, or otherwise `unknown`, because an unanswered PUT may still
//! be applied after the GET.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::domain::{Action, BypassUntil, Detail, Outcome, UserId};
use crate::pace::Backoff;
use crate::pingone::{BypassStatus, Call, Limits, Verdict};

/// After this many 401s in succession for one row, new tokens count as refused. Two in succession could be two expired tokens.
const MOST_401S: u32 = 3;
/// A row with less time left than this is given up; less if the request timeout is shorter.
const LEAST_FOR_AN_ANSWER: Duration = Duration::from_secs(1);

/// What is known about a row that has been started.
#[derive(Debug)]
pub(crate) struct RowState {
    action: Action,
    limits: Limits,
    backoff: Backoff,
    /// When the first request was sent.
    first: Option<Instant>,
    last_answer: Option<Instant>,
    pub(crate) attempts: u32,
    /// 401s in succession, counted separately for GETs and PUTs, because PingOne may accept a token for one and refuse it for
    /// the other.
    unauthorized: Unauthorized,
    /// Whether a PUT may have been applied whose answer was not seen.
    doubt: bool,
    last_fault: Detail,
    /// Whether only the last look is left to do.
    is_last_look: bool,
    /// The running bypass to end, if the last call was a GET that found one.
    running: Option<Observed>,
    /// The end date that the last PUT requested.
    requested: Option<BypassUntil>,
}

/// 401s in succession.
#[derive(Debug, Default)]
struct Unauthorized {
    gets: u32,
    puts: u32,
}

/// The user's status as an answer gave it.
#[derive(Debug, Clone, Copy)]
struct Observed {
    status: u16,
    bypass: BypassStatus,
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

/// The result of a settled row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RowResult {
    pub(crate) outcome: Outcome,
    pub(crate) bypass: Option<BypassStatus>,
    pub(crate) detail: Detail,
}

impl RowState {
    /// The state of a new row. `in_doubt` says that its action may already have been carried out by an earlier process.
    pub(crate) fn new(action: Action, limits: Limits, in_doubt: bool) -> Self {
        Self {
            action,
            limits,
            backoff: Backoff::new(),
            first: None,
            last_answer: None,
            attempts: 0,
            unauthorized: Unauthorized::default(),
            doubt: in_doubt && action.changes(),
            last_fault: Detail::default(),
            is_last_look: false,
            running: None,
            requested: None,
        }
    }

    /// The requested end date: the row's own, or that of the last PUT.
    pub(crate) fn requested(&self) -> Option<BypassUntil> {
        self.action.until().or(self.requested)
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
        match (self.action, self.running) {
            (Action::Grant(user, _), _) if self.is_last_look => Step::Send { call: Call::Get(user), is_retry: true },
            (Action::Grant(user, until), _) => self.put(user, until),
            (Action::Read(user), _) | (Action::End(user, _), None) => Step::Send { call: Call::Get(user), is_retry: self.attempts > 0 },
            (Action::End(user, grace), Some(observed)) => {
                // While the row waited for its permit, the near date moved on and the bypass may have ended.
                let near = grace.after(date);
                match self.nothing_to_end(observed.at(date), near) {
                    Some(result) => Step::Settle(result),
                    None => self.put(user, near),
                }
            }
        }
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
            Call::Get(_) => &mut self.unauthorized.gets,
            Call::Put(..) => &mut self.unauthorized.puts,
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

    /// What a 200 means for the row's action.
    fn answered(&mut self, call: Call, observed: Observed, now: Instant, date: DateTime<Utc>) -> Next {
        match (self.action, call) {
            (Action::Read(_), _) if observed.bypass.can_bypass => Next::Settle(observed.settled(Outcome::Active)),
            (Action::Read(_), _) => Next::Settle(observed.settled(Outcome::Inactive)),
            (Action::Grant(_, until), Call::Put(..)) => Next::Settle(after_grant(observed, until)),
            (Action::Grant(_, until), Call::Get(_)) => Next::Settle(self.after_last_look(observed, until)),
            (Action::End(_, grace), Call::Get(_)) => self.after_check(observed, grace.after(date)),
            (Action::End(..), Call::Put(_, near)) => self.after_end(call, observed, near, now),
        }
    }

    /// The answer to a GET that checks for a bypass running beyond `near`. It also shows whether earlier PUTs were applied.
    fn after_check(&mut self, observed: Observed, near: BypassUntil) -> Next {
        if let Some(result) = self.nothing_to_end(observed, near) {
            return Next::Settle(result);
        }
        if self.is_last_look {
            return Next::Settle(self.unknown(observed));
        }
        self.doubt = false;
        self.running = Some(observed);
        self.last_fault = Detail::own(None, "no turn came to end the bypass before the row's time was over".to_owned());
        Next::SecondCall
    }

    /// The result of a grant's last look: granted, or unknown because an unanswered PUT may still be applied.
    fn after_last_look(&mut self, observed: Observed, until: BypassUntil) -> RowResult {
        if observed.bypass.can_bypass && observed.bypass.until == Some(until) {
            observed.settled(Outcome::Granted)
        } else {
            self.unknown(observed)
        }
    }

    /// An unanswered request may still be applied, so the result is unknown; `observed` is the status for now.
    fn unknown(&mut self, observed: Observed) -> RowResult {
        let before = std::mem::take(&mut self.last_fault).message;
        let now = match (observed.bypass.can_bypass, observed.bypass.until) {
            (false, _) => "the user cannot bypass MFA".to_owned(),
            (true, Some(until)) => format!("the user can bypass MFA until {until}"),
            (true, None) => "the user can bypass MFA, and there is no end date".to_owned(),
        };
        let why = format!("{before}; asked for afterwards, {now}");
        RowResult { detail: Detail::own(Some(observed.status), why), ..observed.settled(Outcome::Unknown) }
    }

    /// The row's result, unless a bypass runs beyond `near`. One that ends by then is left alone, because a PUT of `near` would
    /// extend it.
    fn nothing_to_end(&self, observed: Observed, near: BypassUntil) -> Option<RowResult> {
        match (observed.bypass.can_bypass, observed.bypass.until) {
            (false, _) if self.requested.is_none() => Some(observed.settled(Outcome::Inactive)),
            (false, _) => Some(observed.settled(Outcome::Ended)),
            // A wrong local clock would otherwise take running bypasses for ended ones.
            (true, Some(until)) if self.is_long_over(until, near) => Some(
                observed
                    .mismatch("PingOne answered that the user can bypass MFA until a date that has passed by the clock here".to_owned()),
            ),
            (true, Some(until)) if until <= near => Some(observed.settled(Outcome::Ended)),
            (true, Some(_)) => None,
            (true, None) => Some(
                observed
                    .mismatch("PingOne answered that the user can bypass MFA, but not until when: the bypass is left as it is".to_owned()),
            ),
        }
    }

    /// Whether a bypass until this date ended longer ago than clocks may differ, which is the distance of `near` from now.
    fn is_long_over(&self, until: BypassUntil, near: BypassUntil) -> bool {
        match self.action {
            Action::End(_, grace) => until.instant() + 2 * grace.span() <= near.instant(),
            Action::Grant(..) | Action::Read(_) => false,
        }
    }

    /// What the answer to a PUT of the date `near` means.
    fn after_end(&mut self, call: Call, observed: Observed, near: BypassUntil, now: Instant) -> Next {
        match (observed.bypass.can_bypass, observed.bypass.until) {
            (true, Some(until)) if until <= near => Next::Settle(observed.settled(Outcome::Ended)),
            (true, _) => Next::Settle(observed.mismatch(contradiction(observed.bypass))),
            // The bypass should run until `near`. A GET shows whether it ended or the PUT was not applied.
            (false, _) => {
                self.doubt = true;
                self.faulted(call, Detail::own(Some(observed.status), contradiction(observed.bypass)), None, now)
            }
        }
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

impl Observed {
    /// The status at `date`, if only time has passed.
    fn at(self, date: DateTime<Utc>) -> Self {
        match self.bypass.until {
            Some(until) if until.instant() <= date => Self { bypass: BypassStatus { can_bypass: false, until: None }, ..self },
            Some(_) | None => self,
        }
    }

    fn settled(self, outcome: Outcome) -> RowResult {
        RowResult { outcome, bypass: Some(self.bypass), detail: Detail::own(Some(self.status), String::new()) }
    }

    fn mismatch(self, why: String) -> RowResult {
        RowResult { detail: Detail::own(Some(self.status), why), ..self.settled(Outcome::Mismatch) }
    }
}

/// What the answer to a grant's PUT means. The end date in the answer can differ from the one sent (as in the documentation's
/// own example), so the two are compared for every row.
fn after_grant(observed: Observed, until: BypassUntil) -> RowResult {
    if observed.bypass.can_bypass && observed.bypass.until == Some(until) {
        observed.settled(Outcome::Granted)
    } else {
        observed.mismatch(contradiction(observed.bypass))
    }
}

/// How PingOne's answer to a PUT differs from the request.
fn contradiction(bypass: BypassStatus) -> String {
    match (bypass.can_bypass, bypass.until) {
        (false, _) => "PingOne took the request, but answered that the user cannot bypass MFA".to_owned(),
        (true, Some(until)) => format!("PingOne took the request, but answered with the end date {until}"),
        (true, None) => "PingOne took the request, but answered without an end date".to_owned(),
    }
}
