//! What can be wrong with what was typed, and what does the user do about it?

use std::io;
use std::path::PathBuf;

use crate::domain::{quote, shown};

/// Why it is not clear what to do, or as whom. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no input.
    #[error("there is no input: expected a CSV file, or `-` for standard input")]
    NoInput,
    /// There is no input, nor is it said whom of the directory to audit.
    #[error(
        "there is nobody to audit: expected a CSV file, `-` for standard input, or `--all-users`, `--filter`, `--population` or `--group`"
    )]
    NobodyToAudit,
    /// It is not said in which environment.
    #[error("there is no environment: expected `--environment-id` or PINGONE_ENVIRONMENT_ID")]
    NoEnvironment,
    /// It is not said as whom.
    #[error("there are no credentials: expected a client ID and a secret, or an access token")]
    NoCredentials,
    /// There is a client ID, and no secret.
    #[error("there is no secret for the client ID: expected PINGONE_CLIENT_SECRET or `--client-secret-file`")]
    NoSecret,
    /// A file that was named cannot be read.
    #[error("{}: the {what} cannot be read", shown(path))]
    Unreadable {
        /// What it should hold.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A secret is empty, or holds what no secret does.
    #[error("{from}: this is no {what}: expected one line of text without spaces")]
    NotASecret {
        /// What it should be.
        what: &'static str,
        /// Where it came from.
        from: String,
    },
    /// Anybody may have put this secret there.
    #[error("{}: anybody may write to this file of the {what}", shown(path))]
    AnybodyWrites {
        /// What it should hold.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
    },
    /// A file is too long for what it should hold.
    #[error("{}: this is no {what}: it is longer than {most} KiB", shown(path))]
    TooLong {
        /// What it should hold.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// The most KiB that it may have.
        most: u64,
    },
    /// A file holds no certificate.
    #[error("{}: there is no certificate in PEM form", shown(.0))]
    NotACertificate(PathBuf),
    /// A URL is not one that a token may be sent to. The URL is not shown: it may hold a password.
    #[error("{option}: {why}")]
    Url {
        /// The option that names it.
        option: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A variable names a proxy, which cannot be used as it stands. It is not shown: it may hold a password.
    #[error("{variable}: this names no proxy that can be used: expected a form such as `http://proxy.example.com:8080`")]
    NotAProxy {
        /// The variable.
        variable: &'static str,
    },
    /// A variable names a proxy, and is not heeded.
    #[error("{variable}: this names a proxy, which is not used as long as REQUEST_METHOD is set, as web servers set it")]
    ProxyOfAWebServer {
        /// The variable.
        variable: &'static str,
    },
    /// There is no such region.
    #[error(
        "PINGONE_TOP_LEVEL_DOMAIN: `{}` is not a domain of PingOne's: expected `com`, `ca`, `eu`, `com.au`, `sg` or `asia`",
        quote(.0)
    )]
    NoSuchDomain(String),
    /// `--until` is not an end date.
    #[error("--until: {0}")]
    Until(String),
}

impl ConfigError {
    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoEnvironment | Self::NoCredentials => Some(
                "set PINGONE_ENVIRONMENT_ID, PINGONE_CLIENT_ID and PINGONE_CLIENT_SECRET to those of a worker application, or rehearse with `--sandbox`"
                    .into(),
            ),
            Self::AnybodyWrites { path, .. } => Some(format!("check what it holds, and let its owner alone use it: `chmod 600 {}`", shown(path))),
            Self::NotAProxy { variable } => Some(format!("mend it, or unset {variable} to connect directly")),
            Self::ProxyOfAWebServer { .. } => Some("unset REQUEST_METHOD".into()),
            Self::NoInput
            | Self::NobodyToAudit
            | Self::NoSecret
            | Self::Unreadable { .. }
            | Self::TooLong { .. }
            | Self::NotASecret { .. }
            | Self::NotACertificate(_)
            | Self::NoSuchDomain(_)
            | Self::Url { .. }
            | Self::Until(_) => None,
        }
    }
}
