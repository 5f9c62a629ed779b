//! Errors in options and environment variables, with a hint for each.

use std::io;
use std::path::PathBuf;

use crate::domain::{quote, shown};

/// Why the configuration is refused. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no input.
    #[error("there is no input: expected a CSV file, or `-` for standard input")]
    NoInput,
    /// There is no input, and no option selects users from the directory.
    #[error(
        "there is nobody to audit: expected a CSV file, `-` for standard input, or `--all-users`, `--filter`, `--population` or `--group`"
    )]
    NobodyToAudit,
    /// No environment is given.
    #[error("there is no environment: expected `--environment-id` or PINGONE_ENVIRONMENT_ID")]
    NoEnvironment,
    /// No credentials are given.
    #[error("there are no credentials: expected a client ID and a secret, or an access token")]
    NoCredentials,
    /// A client ID is given without a secret.
    #[error("there is no secret for the client ID: expected PINGONE_CLIENT_SECRET or `--client-secret-file`")]
    NoSecret,
    /// A file cannot be read.
    #[error("{}: the {what} cannot be read", shown(path))]
    Unreadable {
        /// What it should contain.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The file system's error.
        source: io::Error,
    },
    /// A secret is empty, or has characters that no secret has.
    #[error("{from}: this is no {what}: expected one line of text without spaces")]
    NotASecret {
        /// What it should be.
        what: &'static str,
        /// Its file or environment variable.
        from: String,
    },
    /// A secret's file is writable for everyone, so anyone may have replaced it.
    #[error("{}: anybody may write to this file of the {what}", shown(path))]
    WorldWritable {
        /// What it should contain.
        what: &'static str,
        /// Its path.
        path: PathBuf,
    },
    /// A file is too long for what it should contain.
    #[error("{}: this is no {what}: it is longer than {most} KiB", shown(path))]
    TooLong {
        /// What it should contain.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The limit, in KiB.
        most: u64,
    },
    /// A file contains no certificate.
    #[error("{}: there is no certificate in PEM form", shown(.0))]
    NotACertificate(PathBuf),
    /// A token must not be sent to this URL. The URL is not shown: it may contain a password.
    #[error("{option}: {why}")]
    Url {
        /// The option that names it.
        option: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A variable names a proxy that cannot be used. Its value is not shown: it may contain a password.
    #[error("{0}: this names no proxy that can be used: expected a form such as `http://proxy.example.com:8080`")]
    NotAProxy(&'static str),
    /// A variable names a proxy, but the HTTP client would ignore it.
    #[error("{0}: this names a proxy, which is not used as long as REQUEST_METHOD is set, as web servers set it")]
    ProxyUnderCgi(&'static str),
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
    /// What the operator can do, in one line.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoEnvironment | Self::NoCredentials => Some(
                "set PINGONE_ENVIRONMENT_ID, PINGONE_CLIENT_ID and PINGONE_CLIENT_SECRET to those of a worker application, or rehearse with `--sandbox`"
                    .into(),
            ),
            Self::WorldWritable { path, .. } => Some(format!("check what it holds, and let its owner alone use it: `chmod 600 {}`", shown(path))),
            Self::NotAProxy(variable) => Some(format!("mend it, or unset {variable} to connect directly")),
            Self::ProxyUnderCgi(_) => Some("unset REQUEST_METHOD".into()),
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
