//! The errors of PingOne that end the whole run, with a hint for each.

use std::fmt;

use crate::domain::{Detail, EnvironmentId, ForeignText, quote};

/// A list is given up after this many pages in a row without a new user. A single page may be empty, or repeat the one before
/// it if users have joined meanwhile.
pub(super) const MAX_IDLE_PAGES: u32 = 3;

/// What to do about a 403 that is not in PingOne's own form. Source: seen on a tenant, where the API gateway answers so for a path
/// that it does not know.
pub(crate) const WRONG_PATH: &str = "check `--api-url` and `--region`: this is a gateway's answer for a path that it does not know. The URL is the \
                                     part before `/environments`, such as `https://api.pingone.eu/v1`";

/// Why a list looks endless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Endless {
    #[error("it leads back to a page that was read before")]
    LeadsBack,
    #[error("{MAX_IDLE_PAGES} pages in a row bring nobody new")]
    NobodyNew,
    #[error("it is said to have {counted} user{}, and goes on after {users}", if *counted == 1 { "" } else { "s" })]
    Beyond { counted: u64, users: u64 },
}

/// What a refused assertion was made with.
#[derive(Debug, Clone)]
pub(crate) struct MadeWith {
    /// The file of the key.
    pub(super) key: String,
    /// The key's ID, if it was given.
    pub(super) key_id: Option<String>,
    /// What the key signs with.
    pub(super) algorithm: &'static str,
    /// The clock here in comparison with PingOne's.
    pub(super) clock: String,
}

impl MadeWith {
    fn hint(&self, auth_environment: EnvironmentId, host: &str) -> String {
        let Self { key, key_id, algorithm, clock } = self;
        let key_id = key_id.as_ref().map_or_else(|| "none is given".to_owned(), |id| format!("`{}`", quote(id)));
        format!(
            "check that the public key of {key} is the application's (`openssl pkey -in {key} -pubout` prints it), `--client-key-id` ({key_id}), \
             `--client-key-alg` ({algorithm}), the client ID, that the application authenticates by PRIVATE_KEY_JWT (`--auth-method`), whether \
             it lives in environment {auth_environment} (if it lives in another one, say so with `--auth-environment-id`), whether `{host}` \
             is its region, and the clock here ({clock})"
        )
    }
}

/// Why no more rows can be sent.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum PingOneError {
    #[error("PingOne refused the worker application: {message}")]
    Credentials { auth_environment: EnvironmentId, host: String, message: ServerMessage },
    #[error("PingOne refused the worker application: {message}")]
    Assertion { auth_environment: EnvironmentId, host: String, message: ServerMessage, made_with: Box<MadeWith> },
    #[error("the client key cannot sign: {0}")]
    Unsigned(String),
    #[error("no token could be had from `{host}` in {attempts} tries: {message}")]
    NoToken { host: String, attempts: u32, message: ServerMessage },
    #[error("PingOne refused the access token: {0}")]
    ReadyToken(ServerMessage),
    #[error("PingOne refused a token that had just been fetched: {0}")]
    FreshToken(ServerMessage),
    #[error("there is no environment {environment} at `{host}`: {message}")]
    NoEnvironment { environment: EnvironmentId, host: String, message: ServerMessage },
    #[error("the user list goes on at `{host}`, which is not a page of the list at `{api}`: nothing was sent there")]
    ForeignPage { host: ForeignText, api: String },
    #[error("the user list at `{host}` has no end: {why}")]
    EndlessList { host: String, why: Endless },
    #[error("PingOne limits the rate and asks to wait for {seconds} s, which is longer than `--give-up-after` allows: {message}")]
    HeldTooLong { seconds: u64, message: ServerMessage },
    #[error("the certificate of `{host}` is not trusted: {why}")]
    Untrusted { host: String, why: ForeignText },
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}

/// A message of the server or the network: status, code, text and ID, as far as known.
#[derive(Debug, Clone)]
pub(crate) struct ServerMessage(Box<Detail>);

impl From<Detail> for ServerMessage {
    fn from(detail: Detail) -> Self {
        Self(Box::new(detail))
    }
}

impl ServerMessage {
    /// Whether it is an error in PingOne's own form.
    pub(crate) fn is_of_pingone(&self) -> bool {
        self.0.is_of_pingone()
    }

    /// Whether it came with an answer.
    pub(super) fn has_status(&self) -> bool {
        self.0.status.is_some()
    }

    /// The status, or the innermost cause of there being none: `HTTP 503`, `Connection refused`.
    pub(crate) fn in_short(&self) -> String {
        if let Some(status) = self.0.status {
            return format!("HTTP {status}");
        }
        let message = self.0.message.to_string();
        let innermost = message.rsplit(": ").next().unwrap_or(&message);
        innermost.split(" (os error").next().unwrap_or(innermost).to_owned()
    }
}

impl fmt::Display for ServerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = &self.0;
        let mut said: Vec<String> = Vec::new();
        said.extend(detail.status.map(|status| format!("HTTP {status}")));
        said.extend([&detail.code, &detail.message].into_iter().filter(|text| !text.is_empty()).map(ToString::to_string));
        if !detail.id.is_empty() {
            said.push(format!("id {}", detail.id));
        }
        f.write_str(&said.join(", "))
    }
}

impl PingOneError {
    /// What the operator can do, in one line.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Credentials { auth_environment, host, .. } => Some(format!(
                "check the client ID and secret and `--auth-method`, whether the application lives in environment {auth_environment} \
                 (if it lives in another one, say so with `--auth-environment-id`), and whether `{host}` is its region"
            )),
            Self::Assertion { auth_environment, host, made_with, .. } => Some(made_with.hint(*auth_environment, host)),
            Self::NoToken { .. } => Some("check the network, the proxy variables, `--region` and `--auth-url`".into()),
            Self::ReadyToken(_) => Some("a token lives one hour: fetch a new one, or give a client ID and secret, which renews it".into()),
            Self::FreshToken(_) => Some("check that `--api-url` or `--region` fits the token's environment".into()),
            Self::Untrusted { .. } => Some("if a proxy of yours opens TLS, name its certificate authority with `--ca-cert`".into()),
            Self::NoEnvironment { .. } => Some("check `--environment-id` and `--region`".into()),
            Self::ForeignPage { .. } => {
                Some("check `--api-url`: it must be the URL under which PingOne's own answers link to each other".into())
            }
            Self::EndlessList { .. } | Self::Client(_) | Self::Unsigned(_) => None,
            Self::HeldTooLong { .. } => Some(
                "take the run up later, with a lower `--rate`; one IP address may use 35 % of the licence's rate, unless it is entered \
                 under `Rate Limits and Allowed IPs` in the admin console"
                    .into(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str, message: &str, id: &str) -> ServerMessage {
        Detail { status: Some(400), code: code.into(), message: message.into(), id: id.into(), ..Detail::default() }.into()
    }

    #[test]
    fn a_message_has_no_empty_parts() {
        for (said, expected) in [
            (said("C", "Said so.", "f1"), "HTTP 400, C, Said so., id f1"),
            (said("", "Said so.", ""), "HTTP 400, Said so."),
            (said("C", "", ""), "HTTP 400, C"),
            (said("", "", "f1"), "HTTP 400, id f1"),
            (Detail::own(None, "no answer".to_owned()).into(), "no answer"),
        ] {
            assert_eq!(said.to_string(), expected);
        }
    }

    #[test]
    fn each_error_has_its_hint() {
        let environment: EnvironmentId = "abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6".parse().expect("a UUID");
        let (host, said) = (|| "auth.pingone.eu".to_owned(), || said("C", "m", ""));
        let refused = PingOneError::Credentials { auth_environment: environment, host: host(), message: said() };
        let refused = refused.hint().expect("a hint");
        assert!(
            refused.contains(&format!("environment {environment}")) && refused.contains("`auth.pingone.eu` is its region"),
            "{refused}"
        );
        for (error, expected) in [
            (PingOneError::NoToken { host: host(), attempts: 8, message: said() }, "check the network"),
            (PingOneError::ReadyToken(said()), "a token lives one hour"),
            (PingOneError::FreshToken(said()), "check that `--api-url` or `--region` fits"),
            (PingOneError::Untrusted { host: host(), why: "x".into() }, "if a proxy of yours opens TLS"),
            (PingOneError::NoEnvironment { environment, host: host(), message: said() }, "check `--environment-id` and `--region`"),
            (PingOneError::ForeignPage { host: "x".into(), api: host() }, "check `--api-url`"),
            (PingOneError::HeldTooLong { seconds: 601, message: said() }, "take the run up later, with a lower `--rate`"),
        ] {
            let hint = error.hint().expect(expected);
            assert!(hint.starts_with(expected), "{hint}");
        }
        assert_eq!(PingOneError::Client("x".to_owned()).hint(), None);
    }
}
