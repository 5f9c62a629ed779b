//! Checks the signed assertions by which an application may authenticate.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

/// The longest lifetime. Source: auth-config-options/create-a-private-key-jwt.
const LONGEST: TimeDelta = TimeDelta::hours(1);

/// Why the application is not accepted. PingOne's words for a wrong method; for the others, they are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAccepted {
    /// It authenticates in another way than it is set to.
    #[error("Request denied: Unsupported authentication method")]
    Method,
    /// Its credentials are wrong, or it is of another environment.
    #[error("Request denied: Unsupported authentication method or unknown client.")]
    Client,
    /// Its assertion is not valid.
    #[error("Request denied: Invalid client assertion: {0}")]
    Assertion(String),
}

/// The assertions that were used, by their `jti`, until they expire.
#[derive(Debug, Default)]
pub(super) struct Assertions(HashMap<String, DateTime<Utc>>);

/// What an assertion claims about itself.
#[derive(Deserialize)]
pub(super) struct Claims {
    exp: i64,
    nbf: Option<i64>,
    jti: String,
}

impl Assertions {
    /// Checks the `claims` of a signed assertion, which cannot be used again.
    pub(super) fn check(&mut self, claims: Claims, date: DateTime<Utc>) -> Result<(), NotAccepted> {
        let invalid = |why: &str| Err(NotAccepted::Assertion(why.to_owned()));
        let Some(expires) = DateTime::from_timestamp(claims.exp, 0) else {
            return invalid("exp is no date");
        };
        if expires <= date {
            return invalid("it has expired");
        }
        if expires > date + LONGEST {
            return invalid("it expires more than an hour from now");
        }
        if claims.nbf.is_some_and(|from| from > date.timestamp()) {
            return invalid("it is not valid yet");
        }
        self.0.retain(|_, expires| *expires > date);
        match self.0.insert(claims.jti, expires) {
            Some(_) => invalid("its jti was used before"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "assertions_tests.rs"]
mod tests;
