//! Why can the list of users not be read, and what does the program's user do about it?

use std::fmt;

use crate::exit::{EXIT_REFUSED, EXIT_STOPPED, EXIT_USAGE};
use crate::pingone::{PingOneError, ServerMessage};
use crate::stop::Signal;

/// What the list is read for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListedFor {
    /// To audit users: which ones.
    Audit(String),
    /// To look up the users of an input: by which attribute.
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

/// Why the user list cannot be read, or not be gone through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingError {
    /// The worker application may not read the list. Nothing was sent for a user.
    #[error("{list}: PingOne does not let the user list be read: {message}")]
    Forbidden {
        /// What for.
        list: ListedFor,
        /// What PingOne said.
        message: ServerMessage,
    },
    /// PingOne refused the first page. Nothing was sent for a user.
    #[error("{list}: PingOne refused the list: {message}")]
    Refused {
        /// Whose list was asked for.
        list: String,
        /// Whether a filter was sent, which may be what is wrong.
        filtered: bool,
        /// What PingOne said.
        message: ServerMessage,
    },
    /// PingOne refused a later page, or what it answered could not be used, to the last try.
    #[error("{list}: a page of the list could not be had: {message}")]
    Unread {
        /// What for.
        list: ListedFor,
        /// What PingOne or the network said last.
        message: ServerMessage,
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
            Self::Forbidden { .. } => EXIT_REFUSED,
            Self::Refused { .. } | Self::TooMany { .. } => EXIT_USAGE,
            Self::Unread { .. } | Self::Grown { .. } => EXIT_STOPPED,
        }
    }

    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Forbidden { list, .. } => {
                let or = match list {
                    ListedFor::Audit(_) => "ask for a population that it may read with `--population`",
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

/// Why the user list did not become rows.
#[derive(Debug)]
pub(crate) enum NotListed {
    /// The list cannot be read, or not be gone through.
    List(ListingError),
    /// PingOne takes no request of ours.
    PingOne(PingOneError),
    /// The run stops before its first row, by this signal if one came.
    Stopped(Option<Signal>),
}

impl From<ListingError> for NotListed {
    fn from(error: ListingError) -> Self {
        Self::List(error)
    }
}

impl From<PingOneError> for NotListed {
    fn from(error: PingOneError) -> Self {
        Self::PingOne(error)
    }
}
