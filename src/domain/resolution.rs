//! The user that a row names otherwise than by ID.

use super::{Detail, Outcome, UserId};

/// The result of looking up a row's user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolution {
    User(UserId),
    /// No user, or no unambiguous one. Nothing is sent, and this is the row's outcome.
    Unresolved(Outcome, Box<Detail>),
}
