//! What comes back for a request: an HTTP response, or why there is none.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::domain::ForeignText;

pub(crate) type Reply = Result<Answer, Fault>;

/// An HTTP response.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The wait that the server asks for, if any.
    pub(crate) retry_after: Option<Duration>,
    /// The server's time.
    pub(crate) date: Option<SystemTime>,
    /// Its `Correlation-Id`, by which Ping's support finds it; empty if it has none.
    pub(crate) correlation: ForeignText,
    /// The body, or why it is incomplete.
    pub(crate) body: Result<Bytes, String>,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// Whether the request may have reached the server.
    pub(crate) may_have_arrived: bool,
    /// Whether the server's certificate is not trusted, which a retry cannot fix.
    pub(crate) untrusted: bool,
    pub(crate) what: String,
}
