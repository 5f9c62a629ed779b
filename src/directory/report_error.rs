//! The errors of reading PingOne's device report, and what the operator can do about each.

use std::time::Duration;

use crate::domain::{Detail, ForeignText, counted, quote, span_in_words};
use crate::exit::{EXIT_REFUSED, EXIT_STOPPED, EXIT_USAGE};
use crate::file_error::FileError;
use crate::pingone::{NotHad, NotUnderstood, PingOneError, ServerMessage, WRONG_PATH};

/// Why there is no device report that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    #[error("PingOne does not let its device report be read: {0}")]
    Forbidden(ServerMessage),
    #[error("PingOne refused its device report: {0}")]
    Refused(ServerMessage),
    /// All attempts ended without a usable answer.
    #[error("PingOne's device report could not be had: {0}")]
    Unread(ServerMessage),
    #[error("PingOne's device report was not made: its status is `{}`", quote(.0.as_received()))]
    NeverMade(ForeignText),
    #[error("PingOne's device report was not made within {}: {}", span_in_words(Duration::from_secs(.waited.as_secs())), last(.status.as_ref()))]
    NotMadeYet { waited: Duration, status: Option<ForeignText> },
    #[error("PingOne's device report cannot be understood: {0}")]
    NotUnderstood(NotUnderstood),
    #[error("PingOne's device report gives more than {} a bypass, which is what `--max-users` allows; nothing was sent for them", counted(*.most, "user"))]
    TooMany { most: u64 },
}

fn last(status: Option<&ForeignText>) -> String {
    status.map_or_else(|| "no answer has a `status`".to_owned(), |status| format!("its status is still `{}`", quote(status.as_received())))
}

impl ReportError {
    /// The program's exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Forbidden(_) => EXIT_REFUSED,
            Self::Refused(_) | Self::NeverMade(_) | Self::NotUnderstood(_) | Self::TooMany { .. } => EXIT_USAGE,
            Self::Unread(_) | Self::NotMadeYet { .. } => EXIT_STOPPED,
        }
    }

    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Forbidden(message) if !message.is_of_pingone() => WRONG_PATH,
            Self::Forbidden(_) => {
                "use `--all-users`, which needs no report, or give the worker application the role Identity Data Admin for the environment"
            }
            Self::Refused(_) => {
                "use `--all-users`, which needs no report: not every environment has one, nor every report the field `bypassUntil` (and check `--environment-id`)"
            }
            Self::Unread(_) => "start again when PingOne answers, or use `--all-users`, which needs no report",
            Self::NeverMade(_) | Self::NotUnderstood(_) => "use `--all-users`, which needs no report",
            Self::NotMadeYet { .. } => "wait longer with `--give-up-after`, or use `--all-users`, which needs no report",
            Self::TooMany { .. } => "allow more with `--max-users`",
        }
    }
}

/// Why the device report gives no rows.
#[derive(Debug)]
pub(crate) enum NotReported {
    Report(ReportError),
    /// PingOne accepts none of our requests, or the report leads elsewhere.
    PingOne(PingOneError),
    /// Its users cannot be kept.
    File(FileError),
    Stopped,
}

impl From<NotHad> for NotReported {
    fn from(not_had: NotHad) -> Self {
        let message = |detail: Detail| ServerMessage::from(detail);
        Self::Report(match not_had {
            NotHad::Forbidden(detail) => ReportError::Forbidden(message(detail)),
            NotHad::Refused(detail) => ReportError::Refused(message(detail)),
            NotHad::Failed(detail) => ReportError::Unread(message(detail)),
            NotHad::NeverMade(status) => ReportError::NeverMade(status),
            NotHad::NotMadeYet { waited, status } => ReportError::NotMadeYet { waited, status },
            NotHad::NotUnderstood(why) => ReportError::NotUnderstood(why),
            NotHad::PingOne(error) => return Self::PingOne(error),
            NotHad::Stopped => return Self::Stopped,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint_tests::assert_all_told;

    fn said(status: u16, code: &str) -> ServerMessage {
        Detail { status: Some(status), code: code.into(), message: "m".into(), id: "f1".into(), ..Detail::default() }.into()
    }

    /// The error after `error`. The compiler asks here for a new one.
    fn next(error: &ReportError) -> Option<ReportError> {
        let user = || "7e94b96e-0364-463b-a059-d97d1e4cb1d5".parse().expect("a UUID");
        let not_understood = |why| Some(ReportError::NotUnderstood(why));
        match error {
            ReportError::Forbidden(message) if message.is_of_pingone() => {
                Some(ReportError::Forbidden(Detail::own(Some(403), "no error body".to_owned()).into()))
            }
            ReportError::Forbidden(_) => Some(ReportError::Refused(said(400, "INVALID_DATA"))),
            ReportError::Refused(_) => Some(ReportError::Unread(said(503, "C"))),
            ReportError::Unread(_) => Some(ReportError::NeverMade("FAILED\u{1b}".into())),
            ReportError::NeverMade(_) => {
                Some(ReportError::NotMadeYet { waited: Duration::from_secs(599), status: Some("IN_PROGRESS".into()) })
            }
            ReportError::NotMadeYet { status: Some(_), waited } => Some(ReportError::NotMadeYet { waited: *waited, status: None }),
            ReportError::NotMadeYet { status: None, .. } => not_understood(NotUnderstood::NoId(Some("../x".into()))),
            ReportError::NotUnderstood(NotUnderstood::NoId(Some(_))) => not_understood(NotUnderstood::NoId(None)),
            ReportError::NotUnderstood(NotUnderstood::NoId(None)) => not_understood(NotUnderstood::NoEntries("`a`".into())),
            ReportError::NotUnderstood(NotUnderstood::NoEntries(_)) => not_understood(NotUnderstood::NoLink),
            ReportError::NotUnderstood(NotUnderstood::NoLink) => not_understood(NotUnderstood::NoUser("`a`".into())),
            ReportError::NotUnderstood(NotUnderstood::NoUser(_)) => not_understood(NotUnderstood::User("ann".into())),
            ReportError::NotUnderstood(NotUnderstood::User(_)) => {
                not_understood(NotUnderstood::Until { user: user(), value: "soon".into() })
            }
            ReportError::NotUnderstood(NotUnderstood::Until { .. }) => Some(ReportError::TooMany { most: 1 }),
            ReportError::TooMany { .. } => None,
        }
    }

    #[test]
    fn each_error_says_what_to_do() {
        assert_eq!(assert_all_told(ReportError::Forbidden(said(403, "ACCESS_FAILED")), next, |error| error.hint().to_owned()), 15);
    }

    #[test]
    fn what_a_tenant_without_the_report_answers_names_all_users() {
        for (error, code) in [
            (ReportError::Forbidden(said(403, "ACCESS_FAILED")), 4),
            (ReportError::Refused(said(400, "INVALID_DATA")), 2),
            (ReportError::Refused(said(404, "NOT_FOUND")), 2),
            (ReportError::NeverMade("FAILED".into()), 2),
            (ReportError::NotUnderstood(NotUnderstood::NoLink), 2),
            (ReportError::Unread(said(503, "C")), 3),
            (ReportError::NotMadeYet { waited: Duration::from_secs(600), status: None }, 3),
        ] {
            assert!(error.code() == code && error.hint().contains("`--all-users`"), "{error}");
        }
        assert_eq!(ReportError::TooMany { most: 1 }.code(), 2);
        let gateway = ReportError::Forbidden(Detail::own(Some(403), "no error body".to_owned()).into());
        assert_eq!((gateway.code(), gateway.hint()), (4, WRONG_PATH));
    }
}
