//! How the worker application proves to the token endpoint who it is: by a secret, or by an assertion that its key signs.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use uuid::Uuid;

use super::redact::Pieces;
use crate::jwt::SigningKey;

/// How long an assertion is valid, in seconds: the time of one request. PingOne takes up to an hour, and refuses one that has
/// expired.
pub(super) const ASSERTION_LIFETIME: i64 = 60;

/// How the worker application authenticates: a setting of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AuthMethod {
    // By HTTP Basic (CLIENT_SECRET_BASIC).
    Basic,
    // In the form (CLIENT_SECRET_POST).
    Post,
    // By a signed assertion (PRIVATE_KEY_JWT).
    PrivateKeyJwt,
}

impl AuthMethod {
    /// Its name as an option's value.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Post => "post",
            Self::PrivateKeyJwt => "private-key-jwt",
        }
    }
}

/// A worker application's client ID and what proves it.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) client_id: String,
    pub(crate) proof: Proof,
}

/// What the application proves itself with.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// The client secret, by HTTP Basic.
    Basic(SecretString),
    /// The client secret, in the form.
    Post(SecretString),
    /// Assertions that the key signs.
    PrivateKeyJwt(Arc<ClientKey>),
}

/// The application's private key.
#[derive(Debug)]
pub(crate) struct ClientKey {
    pub(crate) key: SigningKey,
    /// Its ID, if the application has several keys.
    pub(crate) id: Option<String>,
    /// The file that it was read from.
    pub(crate) path: PathBuf,
}

/// What one token request carries.
#[derive(Debug)]
pub(crate) enum Authentication<'a> {
    Basic { client_id: &'a str, secret: &'a SecretString },
    Post { client_id: &'a str, secret: &'a SecretString },
    Assertion(Assertion<'a>),
}

/// A signed assertion, for one request.
#[derive(Debug)]
pub(crate) struct Assertion<'a> {
    pub(crate) text: SecretString,
    pub(super) signed_by: &'a ClientKey,
    /// When it was made, by the clock that its dates are counted from.
    pub(super) made: DateTime<Utc>,
}

/// The claims of an assertion. Source: auth-config-options/create-a-private-key-jwt; `jti` and `iat` from RFC 7523.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
}

impl Credentials {
    /// What a request to the `token_endpoint` carries that is sent `now`. Each assertion is another one.
    pub(super) fn authentication(&self, token_endpoint: &str, now: DateTime<Utc>) -> Result<Authentication<'_>, String> {
        let client_id = &self.client_id;
        Ok(match &self.proof {
            Proof::Basic(secret) => Authentication::Basic { client_id, secret },
            Proof::Post(secret) => Authentication::Post { client_id, secret },
            Proof::PrivateKeyJwt(key) => {
                let iat = now.timestamp();
                let exp = iat + ASSERTION_LIFETIME;
                let claims = Claims { iss: client_id, sub: client_id, aud: token_endpoint, iat, exp, jti: Uuid::new_v4().to_string() };
                let text = key.key.sign(&claims, key.id.as_deref())?;
                Authentication::Assertion(Assertion { text, signed_by: key, made: now })
            }
        })
    }

    /// The pieces of what stays secret over all requests, in the forms in which it is sent.
    pub(super) fn secrets(&self) -> Vec<Pieces> {
        match &self.proof {
            Proof::Basic(secret) | Proof::Post(secret) => {
                let secret = secret.expose_secret();
                // The form body has it escaped, and escapes are removed before the search.
                let basic = SecretString::from(BASE64_STANDARD.encode(format!("{}:{secret}", self.client_id)));
                [secret, basic.expose_secret()].into_iter().map(Pieces::of).collect()
            }
            // The key is never sent.
            Proof::PrivateKeyJwt(_) => Vec::new(),
        }
    }
}
