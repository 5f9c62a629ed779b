//! What next for a row, after all that has happened to it? Pure: verdicts and the time in, a decision out.
//!
//! To grant or to read takes one call, until it is answered. To end a bypass takes a GET and, if one runs
//! beyond the near date, a PUT of that date. A PUT follows upon no GET but the one right before it: after a
//! fault the bypass may be over, and a PUT would grant it anew.
//!
//! A PUT whose answer was not seen, or does not say that it was not carried out, is in *doubt*. Only an answer of
//! 200 ends that: to a later PUT, which tells the user's status, or to a GET. So a row that would end in doubt is
//! asked for by one GET more, its *last look*. What that tells is `granted` or `ended`, or else `unknown`: a PUT
//! that was not answered may still be carried out after the GET.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::domain::{Action, BypassUntil, Detail, Outcome, UserId};
use crate::pace::Backoff;
use crate::pingone::{BypassStatus, Call, Limits, Verdict};

/// A row whose every token is refused, one after another, is given up after so many; two in a row may be
/// two that expired.
const MOST_401S: u32 = 3;
/// A row with less time than this is given up, or as much as a request may take if that is less.
const LEAST_FOR_AN_ANSWER: Duration = Duration::from_secs(1);

/// What is known of a row that has been begun.
#[derive(Debug)]
pub(crate) struct RowState {
    action: Action,
    limits: Limits,
    backoff: Backoff,
    /// When the first request was sent.
    first: Option<Instant>,
    last_answer: Option<Instant>,
    pub(crate) attempts: u32,
    /// Refused tokens in a row, of GETs and of PUTs: what the one takes, the other may refuse.
    unauthorized: Unauthorized,
    /// Whether a PUT may have been applied whose answer was not seen.
    doubt: bool,
    last_fault: Detail,
    /// Whether all that is left to do is the last look.
    is_last_look: bool,
    /// The bypass that is to be ended, as the last call told of it; if that was another, there is none.
    running: Option<Seen>,
    /// The end date that the last PUT asked for.
    requested: Option<BypassUntil>,
}

/// Refused tokens in a row.
#[derive(Debug, Default)]
struct Unauthorized {
    gets: u32,
    puts: u32,
}

/// What an answer told.
#[derive(Debug, Clone, Copy)]
struct Seen {
    status: u16,
    bypass: BypassStatus,
}

/// What to do with a turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send this; `again` tells that it repeats an earlier call.
    Send { call: Call, again: bool },
    /// Nothing: the row is settled.
    Settle(RowResult),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The row is settled.
    Settle(RowResult),
    /// The row's next call may be sent as soon as there is a turn.
    GoOn,
    /// Wait so long, then try again.
    Again(Duration),
    /// Nothing more: the run stops, and the row is left as it was.
    Leave,
    /// A fresh token was refused again and again.
    TokenRefused(Detail),
}

/// How a row is settled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RowResult {
    pub(crate) outcome: Outcome,
    pub(crate) bypass: Option<BypassStatus>,
    pub(crate) detail: Detail,
}

impl RowState {
    /// The state of a row that asks for `action`; which may have been carried out before, if it is `in_doubt`.
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

    /// The end date that was asked for: the row's own, or the last that was sent.
    pub(crate) fn requested(&self) -> Option<BypassUntil> {
        self.action.until().or(self.requested)
    }

    /// Until when the row may be tried, once it has been.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.first.and_then(|first| first.checked_add(self.limits.give_up_after))
    }

    /// Until when a request may be sent for the row: one that is cut short may have been carried out.
    pub(crate) fn latest_send(&self) -> Option<Instant> {
        let for_an_answer = LEAST_FOR_AN_ANSWER.min(self.limits.timeout);
        self.deadline().map(|deadline| deadline.checked_sub(for_an_answer).unwrap_or(deadline))
    }

    /// From the first try to the last answer.
    pub(crate) fn took(&self) -> Duration {
        self.last_answer.zip(self.first).map_or(Duration::ZERO, |(last, first)| last - first)
    }

    /// What to do with a turn that has come, at the `date` of the clock on the wall.
    pub(crate) fn step(&mut self, date: DateTime<Utc>) -> Step {
        match (self.action, self.running) {
            (Action::Grant(user, _), _) if self.is_last_look => Step::Send { call: Call::Get(user), again: true },
            (Action::Grant(user, until), _) => self.put(user, until),
            (Action::Read(user), _) | (Action::End(user, _), None) => Step::Send { call: Call::Get(user), again: self.attempts > 0 },
            (Action::End(user, grace), Some(seen)) => {
                // While the turn was waited for, the near date went on, and the bypass may have run out.
                let near = grace.after(date);
                match self.nothing_to_end(seen.at(date), near) {
                    Some(finding) => Step::Settle(finding),
                    None => self.put(user, near),
                }
            }
        }
    }

    fn put(&mut self, user: UserId, until: BypassUntil) -> Step {
        let again = self.requested.replace(until).is_some();
        Step::Send { call: Call::Put(user, until), again }
    }

    /// Takes in the `verdict` on a `call` that was sent at `sent` and answered `now`, at the `date` of the clock
    /// on the wall.
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
            Verdict::Answered { status, bypass } => self.answered(call, Seen { status, bypass }, now, date),
            Verdict::NotFound(detail) => self.refused(call, Outcome::NotFound, detail, now),
            Verdict::Refused { detail, may_have_been_applied } => {
                self.doubt |= may_have_been_applied;
                self.refused(call, Outcome::Rejected, detail, now)
            }
            Verdict::Unauthorized(detail) if token_is_refused => Next::TokenRefused(detail),
            Verdict::Unauthorized(_) => Next::Again(Duration::ZERO),
            // The pacer holds everybody back: there is nothing to wait for here besides.
            Verdict::Throttled { detail, .. } => {
                self.last_fault = detail;
                self.again_unless_over(Duration::ZERO, now)
            }
            Verdict::Faulted { fault, retry_after, may_have_been_applied } => {
                self.doubt |= may_have_been_applied;
                self.faulted(call, fault, retry_after, now)
            }
        }
    }

    /// A refusal settles a row of which nothing is in doubt. What it refuses may be what was carried out before.
    fn refused(&mut self, call: Call, outcome: Outcome, detail: Detail, now: Instant) -> Next {
        if !self.doubt {
            return Next::Settle(RowResult { outcome, bypass: None, detail });
        }
        let message = format!("an earlier request may have been carried out; the last answer: {}", detail.message).into();
        self.last_fault = Detail { message, ..detail };
        self.in_doubt_after(call, Duration::ZERO, now)
    }

    fn faulted(&mut self, call: Call, fault: Detail, retry_after: Option<Duration>, now: Instant) -> Next {
        self.last_fault = fault;
        let wait = self.backoff.after_fault(retry_after);
        if self.is_last_look {
            Next::Settle(self.gave_up())
        } else if self.backoff.faults() < self.limits.max_attempts {
            self.again_unless_over(wait, now)
        } else if self.doubt {
            self.in_doubt_after(call, wait, now)
        } else {
            Next::Settle(self.gave_up())
        }
    }

    /// What is left for a row that is in doubt and is not to be tried again: the last look, after so long a `wait`
    /// if there is time for it, unless the `call` was one that looked.
    fn in_doubt_after(&mut self, call: Call, wait: Duration, now: Instant) -> Next {
        match call {
            Call::Get(_) => Next::Settle(self.gave_up()),
            Call::Put(..) => {
                self.is_last_look = true;
                let wait = if self.is_over(now + wait) { Duration::ZERO } else { wait };
                self.again_unless_over(wait, now)
            }
        }
    }

    /// What an answer means for what was asked.
    fn answered(&mut self, call: Call, seen: Seen, now: Instant, date: DateTime<Utc>) -> Next {
        match (self.action, call) {
            (Action::Read(_), _) if seen.bypass.can_bypass => Next::Settle(seen.plainly(Outcome::Active)),
            (Action::Read(_), _) => Next::Settle(seen.plainly(Outcome::Inactive)),
            (Action::Grant(_, until), Call::Put(..)) => Next::Settle(granted(seen, until)),
            (Action::Grant(_, until), Call::Get(_)) => Next::Settle(self.looked_last(seen, until)),
            (Action::End(_, grace), Call::Get(_)) => self.looked(seen, grace.after(date)),
            (Action::End(..), Call::Put(_, near)) => self.ended(call, seen, near, now),
        }
    }

    /// What a GET tells that asks whether there is a bypass to be ended by `near`. It tells as well what came
    /// of the PUTs before it.
    fn looked(&mut self, seen: Seen, near: BypassUntil) -> Next {
        if let Some(finding) = self.nothing_to_end(seen, near) {
            return Next::Settle(finding);
        }
        if self.is_last_look {
            return Next::Settle(self.still_unknown(seen));
        }
        self.doubt = false;
        self.running = Some(seen);
        self.last_fault = Detail::own(None, "no turn came to end the bypass before the row's time was over".to_owned());
        Next::GoOn
    }

    /// What the last look tells of a grant: that it was carried out, or else nothing that is sure to last.
    fn looked_last(&mut self, seen: Seen, until: BypassUntil) -> RowResult {
        if seen.bypass.can_bypass && seen.bypass.until == Some(until) { seen.plainly(Outcome::Granted) } else { self.still_unknown(seen) }
    }

    /// A request may still be carried out that was not answered; `seen` is what is so for now.
    fn still_unknown(&mut self, seen: Seen) -> RowResult {
        let before = std::mem::take(&mut self.last_fault).message;
        let now = match (seen.bypass.can_bypass, seen.bypass.until) {
            (false, _) => "the user cannot bypass MFA".to_owned(),
            (true, Some(until)) => format!("the user can bypass MFA until {until}"),
            (true, None) => "the user can bypass MFA, and there is no end date".to_owned(),
        };
        let why = format!("{before}; asked for afterwards, {now}");
        RowResult { detail: Detail::own(Some(seen.status), why), ..seen.plainly(Outcome::Unknown) }
    }

    /// The finding, unless a bypass runs beyond `near`. One that ends by then is left alone: to ask for
    /// `near` would be to extend it.
    fn nothing_to_end(&self, seen: Seen, near: BypassUntil) -> Option<RowResult> {
        match (seen.bypass.can_bypass, seen.bypass.until) {
            (false, _) if self.requested.is_none() => Some(seen.plainly(Outcome::Inactive)),
            (false, _) => Some(seen.plainly(Outcome::Ended)),
            // A clock here that is not PingOne's would take bypasses that run for ended ones.
            (true, Some(until)) if self.is_long_over(until, near) => Some(
                seen.mismatch("PingOne answered that the user can bypass MFA until a date that has passed by the clock here".to_owned()),
            ),
            (true, Some(until)) if until <= near => Some(seen.plainly(Outcome::Ended)),
            (true, Some(_)) => None,
            (true, None) => Some(
                seen.mismatch("PingOne answered that the user can bypass MFA, but not until when: the bypass is left as it is".to_owned()),
            ),
        }
    }

    /// Whether a bypass until then would be over for longer than clocks may differ, which is how near `near` is.
    fn is_long_over(&self, until: BypassUntil, near: BypassUntil) -> bool {
        match self.action {
            Action::End(_, grace) => until.instant() + 2 * grace.span() <= near.instant(),
            Action::Grant(..) | Action::Read(_) => false,
        }
    }

    /// What the answer to a PUT of the date `near` means.
    fn ended(&mut self, call: Call, seen: Seen, near: BypassUntil, now: Instant) -> Next {
        match (seen.bypass.can_bypass, seen.bypass.until) {
            (true, Some(until)) if until <= near => Next::Settle(seen.plainly(Outcome::Ended)),
            (true, _) => Next::Settle(seen.mismatch(otherwise(seen.bypass))),
            // It should run until then. Whether it does not, or was not touched, a GET tells.
            (false, _) => {
                self.doubt = true;
                self.faulted(call, Detail::own(Some(seen.status), otherwise(seen.bypass)), None, now)
            }
        }
    }

    /// Counts a call that was sent at `sent`, and of which there is nothing more to learn `now`.
    pub(crate) fn count(&mut self, sent: Instant, now: Instant) {
        self.attempts += 1;
        self.first.get_or_insert(sent);
        self.last_answer = Some(now);
    }

    /// A `call` sent at `sent` is not waited for any more. A read is simply not done.
    pub(crate) fn abandoned(&mut self, call: Call, sent: Instant, now: Instant) -> Next {
        self.count(sent, now);
        self.last_fault = Detail::own(None, "the run was interrupted before the answer came".to_owned());
        match call {
            Call::Put(..) => {
                self.doubt = true;
                Next::Settle(self.gave_up())
            }
            Call::Get(_) => Next::Leave,
        }
    }

    /// The run stops, and the row is not tried again: that is its end, if something may have been carried
    /// out; or else it is left as it was.
    pub(crate) fn stopped(&mut self) -> Option<RowResult> {
        (self.attempts > 0 && self.doubt).then(|| self.gave_up())
    }

    fn again_unless_over(&mut self, wait: Duration, now: Instant) -> Next {
        if self.is_over(now + wait) { Next::Settle(self.gave_up()) } else { Next::Again(wait) }
    }

    /// Whether the row's time is over at `then`.
    fn is_over(&self, then: Instant) -> bool {
        self.deadline().is_some_and(|deadline| then >= deadline)
    }

    /// The end of a row that met nothing but faults.
    pub(crate) fn gave_up(&mut self) -> RowResult {
        let outcome = if self.doubt { Outcome::Unknown } else { Outcome::Failed };
        RowResult { outcome, bypass: None, detail: std::mem::take(&mut self.last_fault) }
    }
}

impl Seen {
    /// What is so at `date`, if nothing but time has changed it.
    fn at(self, date: DateTime<Utc>) -> Self {
        match self.bypass.until {
            Some(until) if until.instant() <= date => Self { bypass: BypassStatus { can_bypass: false, until: None }, ..self },
            Some(_) | None => self,
        }
    }

    fn plainly(self, outcome: Outcome) -> RowResult {
        RowResult { outcome, bypass: Some(self.bypass), detail: Detail::own(Some(self.status), String::new()) }
    }

    fn mismatch(self, why: String) -> RowResult {
        RowResult { detail: Detail::own(Some(self.status), why), ..self.plainly(Outcome::Mismatch) }
    }
}

/// What the answer to a PUT means. The end date that comes back may be another than the one sent (as in the
/// documentation's own example), so the two are compared for every row.
fn granted(seen: Seen, until: BypassUntil) -> RowResult {
    if seen.bypass.can_bypass && seen.bypass.until == Some(until) {
        seen.plainly(Outcome::Granted)
    } else {
        seen.mismatch(otherwise(seen.bypass))
    }
}

/// What PingOne answered to a PUT instead of what it was asked for.
fn otherwise(bypass: BypassStatus) -> String {
    match (bypass.can_bypass, bypass.until) {
        (false, _) => "PingOne took the request, but answered that the user cannot bypass MFA".to_owned(),
        (true, Some(until)) => format!("PingOne took the request, but answered with the end date {until}"),
        (true, None) => "PingOne took the request, but answered without an end date".to_owned(),
    }
}
