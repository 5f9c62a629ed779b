//! The errors of reading the user list, and what the operator can do about each.

use std::fmt;

use crate::exit::{EXIT_REFUSED, EXIT_STOPPED, EXIT_USAGE};
use crate::pingone::{PingOneError, ServerMessage, WRONG_PATH};
use crate::stop::Signal;

/// What the list is read for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListedFor {
    Audit(String),
    LookUp(&'static str),
}

impl fmt::Display for ListedFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audit(users) => f.write_str(users),
            Self::LookUp(attribute) => write!(f, "looking users up by `{attribute}`"),
        }
    }
}

/// Why the user list cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListingError {
    #[error("{list}: PingOne does not let the user list be read: {message}")]
    Forbidden { list: ListedFor, message: ServerMessage },
    /// The first page was refused. A filter may be the cause, if the list was `filtered`.
    #[error("{list}: PingOne refused the list: {message}")]
    Refused { list: String, filtered: bool, message: ServerMessage },
    /// A later page was refused, or all attempts ended without a usable answer.
    #[error("{list}: a page of the list could not be had: {message}")]
    Unread { list: ListedFor, message: ServerMessage },
    #[error("{list}: there are {users} users, and `--max-users` allows {most}; nothing was sent for them")]
    TooMany { list: String, users: u64, most: u64 },
    /// The list is longer than PingOne said.
    #[error("{list}: the list goes on after {most} users, which is what `--max-users` allows")]
    Grown { list: String, most: u64 },
}

impl ListingError {
    /// The program's exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Forbidden { .. } => EXIT_REFUSED,
            Self::Refused { .. } | Self::TooMany { .. } => EXIT_USAGE,
            Self::Unread { .. } | Self::Grown { .. } => EXIT_STOPPED,
        }
    }

    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Forbidden { message, .. } if !message.is_of_pingone() => Some(WRONG_PATH.into()),
            Self::Forbidden { list, .. } => {
                let or = match list {
                    ListedFor::Audit(_) => "action for a population that it may read with `--population`",
                    ListedFor::LookUp(_) => "name the users by their IDs, in a column `userID`",
                };
                Some(format!("give the worker application the role Identity Data Admin for the environment, or {or}"))
            }
            Self::Refused { filtered: false, .. } => Some("check `--api-url` and `--region`".into()),
            Self::Refused { .. } => Some(
                "a filter reads like `username sw \"a\" and enabled eq true`: attributes and operators as PingOne documents them".into(),
            ),
            Self::TooMany { .. } | Self::Grown { .. } => Some("allow more with `--max-users`, or select fewer with `--filter`".into()),
            Self::Unread { list: ListedFor::LookUp(_), .. } => {
                Some("start again when PingOne answers: nothing was changed by this command".into())
            }
            Self::Unread { list: ListedFor::Audit(_), .. } => None,
        }
    }
}

/// Why the user list could not be turned into rows.
#[derive(Debug)]
pub(crate) enum NotListed {
    /// The list cannot be read, or not to its end.
    List(ListingError),
    /// PingOne accepts none of our requests.
    PingOne(PingOneError),
    /// The run stops before its first row, because of this signal if there was one.
    Stopped(Option<Signal>),
}
