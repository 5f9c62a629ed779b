//! What an answer of 200 means for its row. Pure: the user's status, and what the row has done so far, in; a meaning out.

use chrono::{DateTime, Utc};

use crate::domain::{Action, BypassUntil, Detail, Grace, Outcome, Previous, Restoration};
use crate::pingone::BypassStatus;

/// The message of a granted row whose GET found the date asked for, which a process that was killed may have set.
const NOT_KNOWN_ANY_MORE: &str =
    "what the user had before is not known: a process of this run that was broken off may have granted this bypass already";

/// The user's status as an answer gave it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observed {
    pub(super) status: u16,
    pub(super) bypass: BypassStatus,
}

/// The result of a settled row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RowResult {
    pub(crate) outcome: Outcome,
    pub(crate) bypass: Option<BypassStatus>,
    pub(crate) detail: Detail,
}

/// What the row has done so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct History {
    /// Whether a PUT may have been applied whose answer was not seen, of this process or an earlier one.
    pub(super) in_doubt: bool,
    /// Whether this process has sent a PUT.
    pub(super) has_put: bool,
    /// What the user had before, as far as it was known before this answer.
    pub(super) previous: Option<Previous>,
}

/// What the answer to a GET means.
#[derive(Debug)]
pub(super) enum Found {
    /// The row is settled.
    Settled(RowResult),
    /// A PUT of this date follows.
    ToPut(BypassUntil),
    /// Nothing: an unanswered PUT may still be applied.
    Open,
}

impl Observed {
    /// The status at `date`, if only time has passed.
    pub(super) fn at(self, date: DateTime<Utc>) -> Self {
        match self.bypass.until {
            Some(until) if until.instant() <= date => Self { bypass: BypassStatus { can_bypass: false, until: None }, ..self },
            Some(_) | None => self,
        }
    }

    /// Whether a bypass until this date runs.
    fn runs_until(self, until: BypassUntil) -> bool {
        self.bypass.can_bypass && self.bypass.until == Some(until)
    }

    fn settled(self, outcome: Outcome) -> RowResult {
        self.because(outcome, String::new())
    }

    fn because(self, outcome: Outcome, why: String) -> RowResult {
        RowResult { outcome, bypass: Some(self.bypass), detail: Detail::own(Some(self.status), why) }
    }

    fn mismatch(self, why: String) -> RowResult {
        self.because(Outcome::Mismatch, why)
    }

    /// What the journal says of a row whose PUT is sent next.
    pub(super) fn announced(self) -> RowResult {
        self.because(Outcome::Unknown, "the bypass was about to be granted when the run was broken off".to_owned())
    }

    /// The result of a row whose unanswered PUT may still be applied: this is the status for now, `before` it happened what
    /// the message says.
    pub(super) fn unknown(self, before: &Detail) -> RowResult {
        let now = match (self.bypass.can_bypass, self.bypass.until) {
            (false, _) => "the user cannot bypass MFA".to_owned(),
            (true, Some(until)) => format!("the user can bypass MFA until {until}"),
            (true, None) => "the user can bypass MFA, and there is no end date".to_owned(),
        };
        self.because(Outcome::Unknown, format!("{}; asked for afterwards, {now}", before.message))
    }
}

/// What the answer to a GET means for the `action`. `date` is the wall-clock time.
pub(super) fn after_get(action: Action, observed: Observed, date: DateTime<Utc>, history: History) -> Found {
    match action {
        Action::Read(_) if observed.bypass.can_bypass => Found::Settled(observed.settled(Outcome::Active)),
        Action::Read(_) => Found::Settled(observed.settled(Outcome::Inactive)),
        // A grant looks only after its PUTs.
        Action::Grant(_, until) if observed.runs_until(until) => Found::Settled(observed.settled(Outcome::Granted)),
        Action::Grant(..) => Found::Open,
        Action::LookAndGrant(_, until) => to_grant(observed, until, history),
        Action::Restore(_, back) => to_restore(observed, back, date, history),
        Action::End(_, grace) => match nothing_to_end(observed, grace, date, history) {
            Some(result) => Found::Settled(result),
            None => Found::ToPut(grace.after(date)),
        },
    }
}

/// What the answer to a PUT of this date means; `None` if a GET must show whether it was applied.
pub(super) fn after_put(action: Action, until: BypassUntil, observed: Observed) -> Option<RowResult> {
    match (action, observed.bypass.can_bypass, observed.bypass.until) {
        (Action::Restore(_, back), true, Some(found)) if back.previous == Previous::Until(until) && found == until => {
            Some(observed.settled(Outcome::Restored))
        }
        (Action::Restore(_, back), true, _) if back.previous == Previous::Until(until) => {
            Some(observed.mismatch(contradiction(observed.bypass)))
        }
        (Action::End(..) | Action::Restore(..), true, Some(found)) if found <= until => Some(observed.settled(Outcome::Ended)),
        // The bypass should run until then. A GET shows whether it ended or the PUT was not applied.
        (Action::End(..) | Action::Restore(..), false, _) => None,
        // The end date in the answer can differ from the one sent (as in the documentation's own example), so the two are
        // compared for every row.
        (Action::Grant(..) | Action::LookAndGrant(..), true, Some(found)) if found == until => Some(observed.settled(Outcome::Granted)),
        (Action::End(..) | Action::Restore(..) | Action::Grant(..) | Action::LookAndGrant(..) | Action::Read(_), _, _) => {
            Some(observed.mismatch(contradiction(observed.bypass)))
        }
    }
}

/// What the user had before the run, as far as the answer to a GET tells: nothing, where an earlier PUT of the row may have set
/// what it shows.
pub(super) fn previous(action: Action, bypass: BypassStatus, date: DateTime<Utc>, history: History) -> Option<Previous> {
    let found = match (bypass.can_bypass, bypass.until) {
        (false, _) => Previous::NoBypass,
        (true, Some(until)) => Previous::Until(until),
        (true, None) => return None,
    };
    let may_be_own = match (action, found) {
        // An earlier near date cannot be later than that of now, and may have passed.
        (Action::End(_, grace), Previous::Until(until)) => until <= grace.after(date),
        (Action::End(..), Previous::NoBypass) => true,
        (Action::Restore(_, back), found) => found != Previous::Until(back.granted),
        (Action::LookAndGrant(_, requested), found) => found == Previous::Until(requested),
        (Action::Grant(..) | Action::Read(_), _) => return None,
    };
    (!history.in_doubt || !may_be_own).then_some(found)
}

/// What a grant does that looks first. A bypass that runs at least as long is left alone, unless an earlier PUT of the row may have
/// granted it.
fn to_grant(observed: Observed, until: BypassUntil, history: History) -> Found {
    match (observed.bypass.can_bypass, observed.bypass.until) {
        (true, Some(found)) if found == until && history.in_doubt => {
            let told = if history.previous.is_some() { "" } else { NOT_KNOWN_ANY_MORE };
            Found::Settled(observed.because(Outcome::Granted, told.to_owned()))
        }
        // Somebody else has changed it meanwhile, and the PUT without an answer may still cut it short.
        (true, Some(found)) if found >= until && history.in_doubt && history.has_put => Found::Open,
        (true, Some(found)) if found >= until => Found::Settled(observed.settled(Outcome::Kept)),
        (true, None) => Found::Settled(endless(observed)),
        (true | false, _) => Found::ToPut(until),
    }
}

/// What undoes a grant: a PUT, only if the user has exactly what the grant gave.
fn to_restore(observed: Observed, back: Restoration, date: DateTime<Utc>, history: History) -> Found {
    let (near, earlier) = (back.grace.after(date), back.earlier(date));
    let ends = earlier.is_none();
    match (observed.bypass.can_bypass, observed.bypass.until) {
        (false, _) if ends && history.has_put => Found::Settled(observed.settled(Outcome::Ended)),
        (false, _) => Found::Settled(observed.settled(Outcome::Inactive)),
        (true, None) => Found::Settled(endless(observed)),
        (true, Some(found)) if is_long_over(found, near, back.grace) => Found::Settled(long_over(observed)),
        (true, Some(found)) if found == back.granted && ends && found <= near => Found::Settled(observed.settled(Outcome::Ended)),
        (true, Some(found)) if found == back.granted => Found::ToPut(earlier.unwrap_or(near)),
        (true, Some(found)) if back.previous == Previous::Until(found) => Found::Settled(observed.settled(Outcome::Restored)),
        // An earlier near date of the row's own.
        (true, Some(found)) if history.in_doubt && ends && found <= near => Found::Settled(observed.settled(Outcome::Ended)),
        // Somebody else has changed it meanwhile, and the PUT without an answer may still be applied.
        (true, Some(_)) if history.in_doubt && history.has_put => Found::Open,
        (true, Some(_)) => {
            let why = format!("the grant gave {}, and somebody has changed it since: the bypass is left as it is", back.granted);
            Found::Settled(observed.because(Outcome::Changed, why))
        }
    }
}

/// The row's result, unless a bypass runs beyond the near date. One that ends by then is left alone, because a PUT of the near
/// date would extend it.
fn nothing_to_end(observed: Observed, grace: Grace, date: DateTime<Utc>, history: History) -> Option<RowResult> {
    let near = grace.after(date);
    match (observed.bypass.can_bypass, observed.bypass.until) {
        (false, _) if history.has_put => Some(observed.settled(Outcome::Ended)),
        (false, _) => Some(observed.settled(Outcome::Inactive)),
        (true, Some(until)) if is_long_over(until, near, grace) => Some(long_over(observed)),
        (true, Some(until)) if until <= near => Some(observed.settled(Outcome::Ended)),
        (true, Some(_)) => None,
        (true, None) => Some(endless(observed)),
    }
}

/// Whether a bypass until this date ended longer ago than clocks may differ, which is the distance of `near` from now. A wrong
/// local clock would otherwise take running bypasses for ended ones.
fn is_long_over(until: BypassUntil, near: BypassUntil, grace: Grace) -> bool {
    until.instant() + 2 * grace.span() <= near.instant()
}

fn long_over(observed: Observed) -> RowResult {
    observed.mismatch("PingOne answered that the user can bypass MFA until a date that has passed by the clock here".to_owned())
}

/// The result for a bypass without an end date.
fn endless(observed: Observed) -> RowResult {
    observed.mismatch("PingOne answered that the user can bypass MFA, but not until when: the bypass is left as it is".to_owned())
}

/// How PingOne's answer to a PUT differs from the request.
pub(super) fn contradiction(bypass: BypassStatus) -> String {
    match (bypass.can_bypass, bypass.until) {
        (false, _) => "PingOne took the request, but answered that the user cannot bypass MFA".to_owned(),
        (true, Some(until)) => format!("PingOne took the request, but answered with the end date {until}"),
        (true, None) => "PingOne took the request, but answered without an end date".to_owned(),
    }
}
