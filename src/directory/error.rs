//! Why can the directory not be audited, and what does its user do about it?

use crate::error::{EXIT_REFUSED, EXIT_STOPPED, EXIT_USAGE};
use crate::pingone::Said;

/// Why the user list cannot be read, or not be gone through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingError {
    /// PingOne refused the first page. Nothing was sent for a user.
    #[error("{list}: PingOne refused the list: {said}")]
    Refused {
        /// Whose list was asked for.
        list: String,
        /// Whether the worker application may not see it.
        forbidden: bool,
        /// Whether a filter was sent, which may be what is wrong.
        filtered: bool,
        /// What PingOne said.
        said: Said,
    },
    /// PingOne refused a later page, or what it answered could not be used, to the last try.
    #[error("{list}: a page of the list could not be had: {said}")]
    Unread {
        /// Whose list was asked for.
        list: String,
        /// What PingOne or the network said last.
        said: Said,
    },
    /// There are more users than may be.
    #[error("{list}: there are {users} users, and `--max-users` allows {most}; nothing was sent for them")]
    TooMany {
        /// Whose list it is.
        list: String,
        /// How many users PingOne says there are.
        users: u64,
        /// How many there may be.
        most: u64,
    },
    /// There are more users than PingOne said, and than may be.
    #[error("{list}: the list goes on after {most} users, which is what `--max-users` allows")]
    Grown {
        /// Whose list it is.
        list: String,
        /// How many users there may be.
        most: u64,
    },
}

impl ListingError {
    /// The program's exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Refused { forbidden: true, .. } => EXIT_REFUSED,
            Self::Refused { forbidden: false, .. } | Self::TooMany { .. } => EXIT_USAGE,
            Self::Unread { .. } | Self::Grown { .. } => EXIT_STOPPED,
        }
    }

    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { forbidden: true, .. } => Some(
                "give the worker application the role Identity Data Admin for the environment, or ask for a population that it may read \
                 with `--population`"
                    .into(),
            ),
            Self::Refused { filtered: false, .. } => Some("check `--api-url` and `--region`".into()),
            Self::Refused { .. } => Some(
                "a filter reads like `username sw \"a\" and enabled eq true`: attributes and operators as PingOne documents them".into(),
            ),
            Self::TooMany { .. } | Self::Grown { .. } => Some("allow more with `--max-users`, or select fewer with `--filter`".into()),
            Self::Unread { .. } => None,
        }
    }
}
