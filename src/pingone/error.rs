//! The errors of PingOne that end the whole run, with a hint for each.

use std::fmt;

use super::places::Where;
use crate::domain::{Detail, EnvironmentId, ForeignText, counted, quote};

/// A list is given up after this many pages in a row without a new user. A single page may be empty, or repeat the one before
/// it if users have joined meanwhile.
const MAX_IDLE_PAGES: u32 = 3;
/// The device report is given up after more: a user has an entry for each device, and pages may be smaller than asked for. Of ten
/// entries each, these are 2,000 devices of one user; they take 20 s.
const MAX_IDLE_PAGES_OF_A_REPORT: u32 = 200;

/// What to do about a 403 that is not in PingOne's own form. Source: seen on a tenant, where the API gateway answers so for a path
/// that it does not know.
pub(crate) const WRONG_PATH: &str = "check `--api-url` and `--region`: this is a gateway's answer for a path that it does not know. The URL is the \
                                     part before `/environments`, such as `https://api.pingone.eu/v1`";

/// The end of hints about what `doctor` tries.
pub(crate) const BY_DOCTOR: &str = ": `pingone-bypass doctor` tries them one by one";

/// What a list has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// Users.
    Users,
    /// The entries of the device report.
    Report,
}

impl ListKind {
    /// A list is given up after this many pages in a row without a new user.
    pub(super) fn most_idle_pages(self) -> u32 {
        match self {
            Self::Users => MAX_IDLE_PAGES,
            Self::Report => MAX_IDLE_PAGES_OF_A_REPORT,
        }
    }
}

impl fmt::Display for ListKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Users => "user list",
            Self::Report => "device report",
        })
    }
}

/// Why a list looks endless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Endless {
    #[error("it leads back to a page that was read before")]
    LeadsBack,
    #[error("{0} pages in a row bring nobody new")]
    NobodyNew(u32),
    #[error("it is said to have {}, and goes on after {users}", counted(*.said, "user"))]
    Beyond { said: u64, users: u64 },
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
    fn hint(&self, auth_environment: EnvironmentId, host: &Where) -> String {
        let Self { key, key_id, algorithm, clock } = self;
        let key_id = key_id.as_ref().map_or_else(|| "none is given".to_owned(), |id| format!("`{}`", quote(id)));
        format!(
            "check that the public key of {key} is the application's (`openssl pkey -in {key} -pubout` prints it), `--client-key-id` ({key_id}), \
             `--client-key-alg` ({algorithm}), the client ID, that the application authenticates by PRIVATE_KEY_JWT (`--auth-method`), whether \
             it lives in environment {auth_environment} (if it lives in another one, say so with `--auth-environment-id`), {}, and the clock here \
             ({clock})",
            host.to_check()
        )
    }
}

/// Why no more rows can be sent.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum PingOneError {
    #[error("PingOne refused the worker application: {message}")]
    Credentials { auth_environment: EnvironmentId, host: Where, message: ServerMessage },
    #[error("PingOne refused the worker application: {message}")]
    Assertion { auth_environment: EnvironmentId, host: Where, message: ServerMessage, made_with: Box<MadeWith> },
    #[error("the client key cannot sign: {0}")]
    Unsigned(String),
    #[error("no token could be had from `{host}` in {}: {message}", counted((*.attempts).into(), "attempt"))]
    NoToken { host: Where, attempts: u32, message: ServerMessage },
    #[error("PingOne refused the access token: {0}")]
    ReadyToken(ServerMessage),
    #[error("PingOne refused a token that had just been fetched: {0}")]
    FreshToken(ServerMessage),
    #[error("there is no environment {environment} at `{host}`: {message}")]
    NoEnvironment { environment: EnvironmentId, host: Where, message: ServerMessage },
    #[error("the {kind} goes on at `{host}`, which is not a page of the list at `{api}`: nothing was sent there")]
    ForeignPage { kind: ListKind, host: ForeignText, api: String },
    #[error("the {kind} at `{host}` has no end: {why}")]
    EndlessList { kind: ListKind, host: String, why: Endless },
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
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Credentials { auth_environment, host, .. } => format!(
                "check the client ID and secret and `--auth-method`, whether the application lives in environment {auth_environment} \
                 (if it lives in another one, say so with `--auth-environment-id`), and {}",
                host.to_check()
            ),
            Self::Assertion { auth_environment, host, made_with, .. } => made_with.hint(*auth_environment, host),
            Self::NoToken { host: Where { set_in: None, .. }, .. } => {
                format!("check the network, the proxy variables, `--region` and `--auth-url`{BY_DOCTOR}")
            }
            Self::NoToken { host: Where { set_in: Some(place), .. }, .. } => {
                format!("check the network, the proxy variables and the auth URL in {place}{BY_DOCTOR}")
            }
            Self::ReadyToken(_) => "a token lives one hour: fetch a new one, or give a client ID and secret, which renews it".into(),
            Self::FreshToken(_) => "check that `--api-url` or `--region` fits the token's environment".into(),
            Self::Untrusted { .. } => "if a proxy of yours opens TLS, name its certificate authority with `--ca-cert`".into(),
            Self::NoEnvironment { host: Where { set_in: None, .. }, .. } => "check `--environment-id` and `--region`".into(),
            Self::NoEnvironment { host: Where { set_in: Some(place), .. }, .. } => {
                format!("check `--environment-id`, and the API URL in {place}: PingOne's own ends in `/v1`")
            }
            Self::ForeignPage { .. } => "check `--api-url`: it must be the URL under which PingOne's own answers link to each other".into(),
            Self::EndlessList { kind: ListKind::Report, .. } => "use `--all-users`, which reads the user list instead".into(),
            Self::EndlessList { kind: ListKind::Users, .. } => {
                "start again, since users may have joined or left meanwhile; if the list has no end again, name the users in a CSV file"
                    .into()
            }
            Self::Client(_) => "check the certificates in `--ca-cert` and the proxy variables".into(),
            Self::Unsigned(_) => "check the key with `openssl pkey -check -noout -in FILE`, FILE being that of `--client-key-file`".into(),
            Self::HeldTooLong { .. } => {
                "take the run up later, with a lower `--rate`; one IP address may use 35 % of the licence's rate, unless it \
                 is entered under `Rate Limits and Allowed IPs` in the admin console"
                    .into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint_tests::assert_all_told;

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

    const ENVIRONMENT: &str = "abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6";

    fn at(set_in: Option<&str>) -> Where {
        Where { host: "auth.pingone.eu".to_owned(), set_in: set_in.map(Into::into) }
    }

    /// The error after `error`. The compiler asks here for a new one.
    fn next(error: &PingOneError) -> Option<PingOneError> {
        let environment: EnvironmentId = ENVIRONMENT.parse().expect("a UUID");
        let (host, message) = (|| at(None), || said("C", "m", ""));
        let api = || "api.pingone.eu".to_owned();
        Some(match error {
            PingOneError::Credentials { .. } => PingOneError::Assertion {
                auth_environment: environment,
                host: host(),
                message: message(),
                made_with: Box::new(MadeWith { key: "k.pem".into(), key_id: None, algorithm: "RS256", clock: "right".into() }),
            },
            PingOneError::Assertion { .. } => PingOneError::Unsigned("x".into()),
            PingOneError::Unsigned(_) => PingOneError::NoToken { host: host(), attempts: 8, message: message() },
            PingOneError::NoToken { .. } => PingOneError::ReadyToken(message()),
            PingOneError::ReadyToken(_) => PingOneError::FreshToken(message()),
            PingOneError::FreshToken(_) => PingOneError::NoEnvironment { environment, host: host(), message: message() },
            PingOneError::NoEnvironment { .. } => PingOneError::ForeignPage { kind: ListKind::Users, host: "x".into(), api: api() },
            PingOneError::ForeignPage { .. } => PingOneError::EndlessList { kind: ListKind::Users, host: api(), why: Endless::LeadsBack },
            PingOneError::EndlessList { kind: ListKind::Users, .. } => {
                PingOneError::EndlessList { kind: ListKind::Report, host: api(), why: Endless::NobodyNew(20) }
            }
            PingOneError::EndlessList { .. } => PingOneError::HeldTooLong { seconds: 601, message: message() },
            PingOneError::HeldTooLong { .. } => PingOneError::Untrusted { host: api(), why: "x".into() },
            PingOneError::Untrusted { .. } => PingOneError::Client("x".into()),
            PingOneError::Client(_) => return None,
        })
    }

    #[test]
    fn a_hint_names_the_setting_of_a_url_and_no_region_that_is_not_used() {
        let (environment, message) = (ENVIRONMENT.parse().expect("a UUID"), || said("C", "m", ""));
        let made_with = MadeWith { key: "k.pem".into(), key_id: None, algorithm: "RS256", clock: "right".into() };
        let (host, made_with) = (|| at(Some("PINGONE_X_URL")), Box::new(made_with));
        for (error, expected) in [
            (
                PingOneError::NoEnvironment { environment, host: host(), message: message() },
                "`--environment-id`, and the API URL in PINGONE_X_URL: PingOne's own ends in `/v1`",
            ),
            (
                PingOneError::Credentials { auth_environment: environment, host: host(), message: message() },
                "the auth URL in PINGONE_X_URL",
            ),
            (
                PingOneError::Assertion { auth_environment: environment, host: host(), message: message(), made_with },
                "the auth URL in PINGONE_X_URL",
            ),
            (PingOneError::NoToken { host: host(), attempts: 1, message: message() }, "and the auth URL in PINGONE_X_URL"),
        ] {
            let hint = error.hint();
            assert!(hint.contains(expected) && !hint.contains("region"), "{hint}");
        }
    }

    #[test]
    fn each_error_has_its_hint() {
        let refused = PingOneError::Credentials {
            auth_environment: ENVIRONMENT.parse().expect("a UUID"),
            host: at(None),
            message: said("C", "m", ""),
        };
        let hint = refused.hint();
        assert!(hint.contains(&format!("environment {ENVIRONMENT}")) && hint.contains("`auth.pingone.eu` is its region"), "{hint}");
        assert_eq!(assert_all_told(refused, next, PingOneError::hint), 13);
    }
}
