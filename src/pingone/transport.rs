//! One request to PingOne and its reply: the interface that HTTP and the tests implement.

use std::time::Duration;

use reqwest::Url;

use super::answer::Reply;
use super::credentials::Authentication;
use super::token::AccessToken;
use crate::domain::{BypassUntil, RowNumber, UserId};

/// A request for a user. There are only these two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Reads whether the user can bypass MFA, and until when.
    Get(UserId),
    /// Lets the user bypass MFA until this date.
    Put(UserId, BypassUntil),
}

impl Call {
    pub(crate) fn user(self) -> UserId {
        match self {
            Self::Get(user) | Self::Put(user, _) => user,
        }
    }

    /// Whether it changes what the user can do.
    pub(crate) fn changes(self) -> bool {
        matches!(self, Self::Put(..))
    }
}

/// What belongs to no row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resource<'a> {
    Environment,
    /// The environment's capabilities, which may list the licence's rates.
    Licence,
    /// A page of the user list: the URL from [`Endpoints::users`](super::Endpoints::users), or a validated link to a next page.
    Users(&'a Url),
    /// A part of the device report.
    Report(ReportPart<'a>),
}

/// A request about the device report, all of which PingOne counts in a group of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportPart<'a> {
    /// Has a report made: a POST.
    Order,
    /// How far it is made.
    Status(&'a Url),
    /// A page of its entries: the URL of the first, or a validated link to a next page.
    Entries(&'a Url),
}

/// Sends one request and returns one reply, without pacing and without retries.
pub(crate) trait Transport: Send + Sync {
    /// Sends a `call` for `row`; waits for the reply for at most `limit`.
    fn send(&self, call: Call, row: RowNumber, token: &AccessToken, limit: Duration) -> impl Future<Output = Reply> + Send;

    /// Requests what belongs to no row.
    fn fetch(&self, resource: Resource<'_>, token: &AccessToken) -> impl Future<Output = Reply> + Send;

    fn fetch_token(&self, authentication: &Authentication<'_>) -> impl Future<Output = Reply> + Send;
}
