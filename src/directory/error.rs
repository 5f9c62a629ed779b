//! The errors of reading the user list, and what the operator can do about each.

use std::fmt;

use crate::domain::{are, counted};
use crate::exit::{EXIT_REFUSED, EXIT_STOPPED, EXIT_USAGE};
use crate::pingone::{PingOneError, ServerMessage, WRONG_PATH};
use crate::stop::Signal;

/// What the list is read for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListedFor {
    Audit(String),
    /// To be written as a list.
    Users(String),
    LookUp(&'static str),
}

impl ListedFor {
    /// What the users are in at the end.
    pub(super) fn result(&self) -> &'static str {
        match self {
            Self::Audit(_) => "report",
            Self::Users(_) | Self::LookUp(_) => "list",
        }
    }
}

impl fmt::Display for ListedFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audit(users) | Self::Users(users) => f.write_str(users),
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
    #[error("{list}: there {} {}, and `--max-users` allows {most}; nothing was sent for them", are(*.users), counted(*.users, "user"))]
    TooMany { list: String, users: u64, most: u64 },
    /// The list is longer than PingOne said.
    #[error("{list}: the list goes on after {}, which is what `--max-users` allows", counted(*.most, "user"))]
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
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Forbidden { message, .. } if !message.is_of_pingone() => WRONG_PATH.into(),
            Self::Forbidden { list, .. } => {
                let or = match list {
                    ListedFor::Audit(_) | ListedFor::Users(_) => "ask for a population that it may read with `--population`",
                    ListedFor::LookUp(_) => "name the users by their IDs, in a column `userID`",
                };
                format!("give the worker application the role Identity Data Admin for the environment, or {or}")
            }
            Self::Refused { filtered: false, .. } => "check `--api-url` and `--region`".into(),
            Self::Refused { .. } => {
                "a filter reads like `username sw \"a\" and enabled eq true`: attributes and operators as PingOne documents them".into()
            }
            Self::TooMany { .. } | Self::Grown { .. } => "allow more with `--max-users`, or select fewer with `--filter`".into(),
            Self::Unread { list: ListedFor::LookUp(_) | ListedFor::Users(_), .. } => {
                "start again when PingOne answers: nothing was changed by this command".into()
            }
            Self::Unread { list: ListedFor::Audit(_), .. } => "go on with `--resume` when PingOne answers: nobody is read twice".into(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Detail;
    use crate::hint_tests::assert_all_told;

    /// The error after `error`. The compiler asks here for a new one.
    fn next(error: &ListingError) -> Option<ListingError> {
        let (list, message) = (|| "all users".to_owned(), || ServerMessage::from(Detail::own(None, "no answer".to_owned())));
        let (audit, look_up) = (|| ListedFor::Audit("all users".to_owned()), || ListedFor::LookUp("email"));
        let users = || ListedFor::Users("all users".to_owned());
        Some(match error {
            ListingError::Forbidden { list: ListedFor::Audit(_), .. } => ListingError::Forbidden { list: users(), message: message() },
            ListingError::Forbidden { list: ListedFor::Users(_), .. } => ListingError::Forbidden { list: look_up(), message: message() },
            ListingError::Forbidden { list: ListedFor::LookUp(_), .. } => {
                ListingError::Refused { list: list(), filtered: false, message: message() }
            }
            ListingError::Refused { filtered: false, .. } => ListingError::Refused { list: list(), filtered: true, message: message() },
            ListingError::Refused { filtered: true, .. } => ListingError::Unread { list: audit(), message: message() },
            ListingError::Unread { list: ListedFor::Audit(_), .. } => ListingError::Unread { list: users(), message: message() },
            ListingError::Unread { list: ListedFor::Users(_), .. } => ListingError::Unread { list: look_up(), message: message() },
            ListingError::Unread { list: ListedFor::LookUp(_), .. } => ListingError::TooMany { list: list(), users: 2, most: 1 },
            ListingError::TooMany { .. } => ListingError::Grown { list: list(), most: 1 },
            ListingError::Grown { .. } => return None,
        })
    }

    #[test]
    fn each_list_that_cannot_be_read_says_what_to_do() {
        let message = Detail { status: Some(403), code: "C".into(), message: "m".into(), ..Detail::default() }.into();
        let first = ListingError::Forbidden { list: ListedFor::Audit("all users".to_owned()), message };
        assert_eq!(assert_all_told(first, next, ListingError::hint), 10);
    }
}
