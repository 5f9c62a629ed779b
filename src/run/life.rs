//! What next for a row, after all that has happened to it? Pure: verdicts and the time in, a decision out.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::Ask;
use crate::pace::Backoff;
use crate::pingone::{BypassStatus, Detail, Limits, Verdict};
use crate::report::Outcome;

/// A row whose every token is refused, one after another, is given up after so many; two in a row may be
/// two that expired.
const MOST_401S: u32 = 3;

/// One row's life so far.
#[derive(Debug)]
pub(crate) struct Life {
    limits: Limits,
    backoff: Backoff,
    /// When the first request was sent.
    first: Option<Instant>,
    last_answer: Option<Instant>,
    pub(crate) attempts: u32,
    unauthorized: u32,
    /// Whether a PUT may have been applied whose answer was not seen.
    doubt: bool,
    last_fault: Detail,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The row is settled.
    Settle(Finding),
    /// Wait so long, then try again.
    Again(Duration),
    /// A fresh token was refused again and again.
    TokenRefused(Detail),
}

/// How a row is settled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) outcome: Outcome,
    pub(crate) bypass: Option<BypassStatus>,
    pub(crate) detail: Detail,
}

impl Life {
    /// The life of a row. What it asks for may have been carried out before, if it is `in_doubt`.
    pub(crate) fn new(limits: Limits, in_doubt: bool) -> Self {
        Self {
            limits,
            backoff: Backoff::new(),
            first: None,
            last_answer: None,
            attempts: 0,
            unauthorized: 0,
            doubt: in_doubt,
            last_fault: Detail::default(),
        }
    }

    /// Until when the row may be tried, once it has been.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.first.and_then(|first| first.checked_add(self.limits.give_up_after))
    }

    /// From the first try to the last answer.
    pub(crate) fn took(&self) -> Duration {
        self.last_answer.zip(self.first).map_or(Duration::ZERO, |(last, first)| last - first)
    }

    /// Takes in the `verdict` on a request that was sent at `sent` and answered `now`.
    pub(crate) fn after(&mut self, ask: &Ask, verdict: Verdict, sent: Instant, now: Instant) -> Next {
        self.attempts += 1;
        self.first.get_or_insert(sent);
        self.last_answer = Some(now);
        if !matches!(verdict, Verdict::Unauthorized(_)) {
            self.unauthorized = 0;
        }
        let settled = |outcome, detail| Next::Settle(Finding { outcome, bypass: None, detail });
        match verdict {
            Verdict::Answered { status, bypass } => Next::Settle(answered(ask, status, bypass)),
            Verdict::NotFound(detail) => settled(Outcome::NotFound, detail),
            Verdict::Refused(detail) => settled(Outcome::Rejected, detail),
            Verdict::Unauthorized(detail) => self.unauthorized(detail),
            // The pacer holds everybody back: there is nothing to wait for here besides.
            Verdict::Throttled { detail, .. } => {
                self.last_fault = detail;
                self.again_unless_over(Duration::ZERO, now)
            }
            Verdict::Faulted { fault, retry_after, may_have_been_applied } => {
                self.last_fault = fault;
                self.doubt |= may_have_been_applied;
                let wait = self.backoff.after_fault(retry_after);
                if self.backoff.faults() >= self.limits.max_attempts {
                    Next::Settle(self.gave_up())
                } else {
                    self.again_unless_over(wait, now)
                }
            }
        }
    }

    /// A request sent at `sent` is not waited for any more. A read is simply not done.
    pub(crate) fn abandoned(&mut self, ask: &Ask, sent: Instant, now: Instant) -> Option<Finding> {
        self.attempts += 1;
        self.first.get_or_insert(sent);
        self.last_answer = Some(now);
        self.last_fault = Detail::own(None, "the run was interrupted before the answer came".to_owned());
        match ask {
            Ask::Grant(..) => {
                self.doubt = true;
                Some(self.gave_up())
            }
            Ask::Read(_) => None,
        }
    }

    /// The run stops, and the row is not tried again: that is its end, if something may have been carried
    /// out; or else it is left as it was.
    pub(crate) fn stopped(&mut self) -> Option<Finding> {
        (self.attempts > 0 && self.doubt).then(|| self.gave_up())
    }

    fn unauthorized(&mut self, detail: Detail) -> Next {
        self.unauthorized += 1;
        if self.unauthorized >= MOST_401S { Next::TokenRefused(detail) } else { Next::Again(Duration::ZERO) }
    }

    fn again_unless_over(&mut self, wait: Duration, now: Instant) -> Next {
        match self.deadline() {
            Some(deadline) if now + wait >= deadline => Next::Settle(self.gave_up()),
            Some(_) | None => Next::Again(wait),
        }
    }

    /// The end of a row that met nothing but faults.
    pub(crate) fn gave_up(&mut self) -> Finding {
        let outcome = if self.doubt { Outcome::Unknown } else { Outcome::Failed };
        Finding { outcome, bypass: None, detail: std::mem::take(&mut self.last_fault) }
    }
}

/// What an answer means for what was asked. The end date that comes back may be another than the one sent
/// (as in the documentation's own example), so the two are compared for every row.
fn answered(ask: &Ask, status: u16, bypass: BypassStatus) -> Finding {
    let plain = |outcome| Finding { outcome, bypass: Some(bypass), detail: Detail::own(Some(status), String::new()) };
    match ask {
        Ask::Read(_) if bypass.can_bypass => plain(Outcome::Active),
        Ask::Read(_) => plain(Outcome::Inactive),
        Ask::Grant(_, until) if bypass.can_bypass && bypass.until == Some(*until) => plain(Outcome::Granted),
        Ask::Grant(..) => {
            let why = match (bypass.can_bypass, bypass.until) {
                (false, _) => "PingOne took the request, but answered that the user cannot bypass MFA".to_owned(),
                (true, Some(until)) => format!("PingOne took the request, but answered with the end date {until}"),
                (true, None) => "PingOne took the request, but answered without an end date".to_owned(),
            };
            Finding { detail: Detail::own(Some(status), why), ..plain(Outcome::Mismatch) }
        }
    }
}
