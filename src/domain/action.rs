//! The operation of a run, and what it asks for each row.

use super::{BypassUntil, Grace, UserId};

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
}

impl Operation {
    /// The command's name.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Grant | Self::LookAndGrant => "grant",
            Self::Audit => "audit",
            Self::End(_) => "end",
        }
    }

    /// Whether it can change users' bypasses.
    #[must_use]
    pub(crate) fn changes(self) -> bool {
        match self {
            Self::Grant | Self::LookAndGrant | Self::End(_) => true,
            Self::Audit => false,
        }
    }

    /// For `End`: how long the bypasses still run.
    #[must_use]
    pub(crate) fn grace(self) -> Option<Grace> {
        match self {
            Self::End(grace) => Some(grace),
            Self::Grant | Self::LookAndGrant | Self::Audit => None,
        }
    }
}

/// What to do for one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Lets the user bypass MFA until this date.
    Grant(UserId, BypassUntil),
    /// The same, unless a bypass runs at least as long.
    LookAndGrant(UserId, BypassUntil),
    /// Reads the user's status.
    Read(UserId),
    /// Ends the user's bypass this long after the request. Never grants or extends a bypass.
    End(UserId, Grace),
}

impl Action {
    /// The row's user.
    #[must_use]
    pub(crate) fn user(&self) -> UserId {
        match *self {
            Self::Grant(user, _) | Self::LookAndGrant(user, _) | Self::Read(user) | Self::End(user, _) => user,
        }
    }

    /// The end date to set, for a grant.
    #[must_use]
    pub(crate) fn until(&self) -> Option<BypassUntil> {
        match *self {
            Self::Grant(_, until) | Self::LookAndGrant(_, until) => Some(until),
            Self::Read(_) | Self::End(..) => None,
        }
    }

    /// Whether it can change the user's bypass.
    #[must_use]
    pub(crate) fn changes(&self) -> bool {
        match self {
            Self::Grant(..) | Self::LookAndGrant(..) | Self::End(..) => true,
            Self::Read(_) => false,
        }
    }
}
