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
    /// Settings are missing: all of them.
    #[error("{}", listed(.0))]
    Missing(Vec<Setting>),
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
    #[error("{from}: {why}")]
    Url {
        /// The option or the variable that it comes from.
        from: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A variable names a proxy that cannot be used. Its value is not shown: it may contain a password.
    #[error("{variable}: this names no proxy that can be used: expected a form such as `http://proxy.example.com:8080`")]
    NotAProxy {
        /// The variable.
        variable: &'static str,
    },
    /// A variable names a proxy, but the HTTP client would ignore it.
    #[error("{variable}: this names a proxy, which is not used as long as REQUEST_METHOD is set, as web servers set it")]
    ProxyUnderCgi {
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

/// A setting that a run cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// The environment of the users.
    Environment,
    /// The worker application's ID.
    ClientId,
    /// The worker application's secret.
    ClientSecret,
    /// The API's URL, where the token endpoint's is set.
    ApiUrl,
    /// The token endpoint's URL, where the API's is set.
    AuthUrl,
}

impl Setting {
    /// What it is, and the option and the variable that set it.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Environment => ("environment", "`--environment-id` or PINGONE_ENVIRONMENT_ID"),
            Self::ClientId => ("client ID", "`--client-id` or PINGONE_CLIENT_ID"),
            Self::ClientSecret => ("secret for the client ID", "PINGONE_CLIENT_SECRET or `--client-secret-file`"),
            Self::ApiUrl => ("API URL beside the auth URL", "`--api-url` or PINGONE_API_URL"),
            Self::AuthUrl => ("auth URL beside the API URL", "`--auth-url` or PINGONE_AUTH_URL"),
        }
    }
}

/// What is missing: one setting in a line, several in one line each.
fn listed(settings: &[Setting]) -> String {
    if let [setting] = settings {
        let (what, expected) = setting.words();
        return format!("there is no {what}: expected {expected}");
    }
    let line = |setting: &Setting| {
        let (what, expected) = setting.words();
        format!("\n  {what}: {expected}")
    };
    format!("{} settings are missing:{}", settings.len(), settings.iter().map(line).collect::<String>())
}

fn hint_for(settings: &[Setting]) -> &'static str {
    if settings.iter().all(|setting| matches!(setting, Setting::ApiUrl | Setting::AuthUrl)) {
        return "set both URLs, or neither: `--region` then decides";
    }
    "set PINGONE_ENVIRONMENT_ID, PINGONE_CLIENT_ID and PINGONE_CLIENT_SECRET to those of a worker application (an access token in \
     PINGONE_API_ACCESS_TOKEN does for the last two), or rehearse with `--sandbox`"
}

impl ConfigError {
    /// What the operator can do, in one line.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Missing(settings) => Some(hint_for(settings).into()),
            Self::WorldWritable { path, .. } => {
                Some(format!("check what it holds, and let its owner alone use it: `chmod 600 {}`", shown(path)))
            }
            Self::NotAProxy { variable } => Some(format!("mend it, or unset {variable} to connect directly")),
            Self::ProxyUnderCgi { .. } => Some("unset REQUEST_METHOD".into()),
            Self::NoInput
            | Self::NobodyToAudit
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
