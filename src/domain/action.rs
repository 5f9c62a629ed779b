//! The operation of a run, and what it asks for each row.

use chrono::{DateTime, Utc};

use super::{BypassUntil, Grace, Previous, UserId};

/// The operation of a run, applied to each user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Grants the user a bypass until an end date (PUT).
    Grant,
    /// The same, unless a bypass runs at least as long (GET, then PUT).
    LookAndGrant,
    /// Reads whether the user can bypass MFA, and until when (GET).
    Audit,
    /// Ends the user's bypass early, if there is one (GET, then PUT).
    End(Grace),
    /// Gives the user back what a grant's report says that was there before, if nobody has changed it since (GET, then PUT).
    Restore(Grace),
}

impl Operation {
    /// The command's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Grant | Self::LookAndGrant => "grant",
            Self::Audit => "audit",
            Self::End(_) | Self::Restore(_) => "end",
        }
    }

    /// Whether it can change users' bypasses.
    pub(crate) fn changes(self) -> bool {
        match self {
            Self::Grant | Self::LookAndGrant | Self::End(_) | Self::Restore(_) => true,
            Self::Audit => false,
        }
    }

    /// For `End` and `Restore`: how long the bypasses that end still run.
    pub(crate) fn grace(self) -> Option<Grace> {
        match self {
            Self::End(grace) | Self::Restore(grace) => Some(grace),
            Self::Grant | Self::LookAndGrant | Self::Audit => None,
        }
    }
}

/// How to undo a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restoration {
    /// The end date that the grant gave.
    pub(crate) granted: BypassUntil,
    /// What the user had before.
    pub(crate) previous: Previous,
    /// How long the bypass still runs if there is nothing to go back to.
    pub(crate) grace: Grace,
}

impl Restoration {
    /// The earlier end date, if a bypass until then still makes a difference `now`: PingOne rejects end dates in the past, and by
    /// the near date a bypass ends anyway.
    pub(crate) fn earlier(self, now: DateTime<Utc>) -> Option<BypassUntil> {
        match self.previous {
            Previous::Until(until) if until > self.grace.after(now) => Some(until),
            Previous::Until(_) | Previous::NoBypass => None,
        }
    }
}

/// What to do for one row. Before its user is known, `U` is how the row names the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action<U = UserId> {
    /// Lets the user bypass MFA until this date.
    Grant(U, BypassUntil),
    /// The same, unless a bypass runs at least as long.
    LookAndGrant(U, BypassUntil),
    /// Reads the user's status.
    Read(U),
    /// Ends the user's bypass this long after the request. Never grants or extends a bypass.
    End(U, Grace),
    /// Undoes a grant, unless somebody has changed the user's bypass since.
    Restore(U, Restoration),
}

impl<U: Copy> Action<U> {
    /// The row's user.
    pub(crate) fn user(&self) -> U {
        match *self {
            Self::Grant(user, _) | Self::LookAndGrant(user, _) | Self::Read(user) | Self::End(user, _) | Self::Restore(user, _) => user,
        }
    }

    /// The same for this user.
    pub(crate) fn of(&self, user: UserId) -> Action {
        match *self {
            Self::Grant(_, until) => Action::Grant(user, until),
            Self::LookAndGrant(_, until) => Action::LookAndGrant(user, until),
            Self::Read(_) => Action::Read(user),
            Self::End(_, grace) => Action::End(user, grace),
            Self::Restore(_, back) => Action::Restore(user, back),
        }
    }

    /// The end date to set, for a grant.
    pub(crate) fn until(&self) -> Option<BypassUntil> {
        match *self {
            Self::Grant(_, until) | Self::LookAndGrant(_, until) => Some(until),
            Self::Read(_) | Self::End(..) | Self::Restore(..) => None,
        }
    }

    /// Whether it can change the user's bypass.
    pub(crate) fn changes(&self) -> bool {
        match self {
            Self::Grant(..) | Self::LookAndGrant(..) | Self::End(..) | Self::Restore(..) => true,
            Self::Read(_) => false,
        }
    }
}
