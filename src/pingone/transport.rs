//! What passes between us and PingOne, one request at a time.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::Url;

use super::token::{AccessToken, Credentials};
use crate::domain::{BypassUntil, RowNumber, UserId};

/// A request for a user: one of the two that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Tell whether the user can bypass MFA, and until when.
    Get(UserId),
    /// Let the user bypass MFA until then.
    Put(UserId, BypassUntil),
}

impl Call {
    /// Whom it is for.
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

/// One request, one reply; no waiting, no trying again.
pub(crate) trait Transport: Send + Sync {
    /// Sends a `call` for `row`, and waits for the reply for no longer than `limit`.
    fn send(&self, call: Call, row: RowNumber, token: &AccessToken, limit: Duration) -> impl Future<Output = Reply> + Send;

    /// Asks for the environment.
    fn fetch_environment(&self, token: &AccessToken) -> impl Future<Output = Reply> + Send;

    /// Asks for the environment's capabilities, which may tell the licence's rates.
    fn fetch_licence(&self, token: &AccessToken) -> impl Future<Output = Reply> + Send;

    /// Asks for a `page` of the user list: a URL of [`Endpoints::users`](super::Endpoints::users), or a next
    /// page's, which has been checked.
    fn fetch_users(&self, page: &Url, token: &AccessToken) -> impl Future<Output = Reply> + Send;

    /// Asks for a token.
    fn fetch_token(&self, credentials: &Credentials) -> impl Future<Output = Reply> + Send;
}

/// What came of a request.
pub(crate) type Reply = Result<Answer, Fault>;

/// An answer of HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// How long to wait, if the server said so.
    pub(crate) retry_after: Option<Duration>,
    /// What time it is there.
    pub(crate) date: Option<SystemTime>,
    /// The body; or why it is not whole.
    pub(crate) body: Result<Bytes, String>,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// Whether the request may have reached the server.
    pub(crate) may_have_arrived: bool,
    /// Whether the server's certificate is not trusted: trying again cannot mend that.
    pub(crate) untrusted: bool,
    /// What happened, in words.
    pub(crate) what: String,
}
