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
    /// The user.
    #[must_use]
    pub(crate) fn user(self) -> UserId {
        match self {
            Self::Get(user) | Self::Put(user, _) => user,
        }
    }

    /// Whether it changes what the user can do.
    #[must_use]
    pub(crate) fn changes(self) -> bool {
        match self {
            Self::Get(_) => false,
            Self::Put(..) => true,
        }
    }
}

/// Sends one request and returns one reply, without pacing and without retries.
pub(crate) trait Transport: Send + Sync {
    /// Sends a `call` for `row`; waits for the reply for at most `limit`.
    fn send(&self, call: Call, row: RowNumber, token: &AccessToken, limit: Duration) -> impl Future<Output = Reply> + Send;

    /// Requests the environment.
    fn fetch_environment(&self, token: &AccessToken) -> impl Future<Output = Reply> + Send;

    /// Requests the environment's capabilities, which may list the licence's rates.
    fn fetch_licence(&self, token: &AccessToken) -> impl Future<Output = Reply> + Send;

    /// Requests a `page` of the user list: the URL from [`Endpoints::users`](super::Endpoints::users), or a validated link to a
    /// next page.
    fn fetch_users(&self, page: &Url, token: &AccessToken) -> impl Future<Output = Reply> + Send;

    /// Requests a token.
    fn fetch_token(&self, authentication: &Authentication<'_>) -> impl Future<Output = Reply> + Send;
}
