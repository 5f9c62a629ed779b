//! Errors in options and environment variables, with a hint for each.

use std::io;
use std::path::PathBuf;

use crate::domain::{quote, shell_word, shown};
use crate::jwt::KeyFault;
use crate::report::OutputError;

use super::credentials::{ACCESS_TOKEN, CLIENT_KEY, CLIENT_SECRET, PUBLIC_KEY};

/// A setting that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Environment,
    ClientId,
    Secret,
    /// The secret by which it is to authenticate, although its key is given.
    SecretBesideKey,
    Key,
    ApiUrl,
    AuthUrl,
}

impl Missing {
    /// What it is, and the option and the variable that set it.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Environment => ("environment", "`--environment-id` or PINGONE_ENVIRONMENT_ID"),
            Self::ClientId => ("client ID", "`--client-id` or PINGONE_CLIENT_ID"),
            Self::Secret | Self::SecretBesideKey => ("secret for the client ID", "PINGONE_CLIENT_SECRET or `--client-secret-file`"),
            Self::Key => ("key for the client ID", "`--client-key-file` or PINGONE_CLIENT_KEY_FILE"),
            Self::ApiUrl => ("API URL beside the auth URL", "`--api-url` or PINGONE_API_URL"),
            Self::AuthUrl => ("auth URL beside the API URL", "`--auth-url` or PINGONE_AUTH_URL"),
        }
    }
}

/// Why the configuration is refused. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("there is no input: expected a CSV file, or `-` for standard input")]
    NoInput,
    #[error(
        "there is nobody to audit: expected a CSV file, `-` for standard input, or `--all-users`, `--filter`, `--population` or `--group`"
    )]
    NobodyToAudit,
    #[error("{}", listed(.0))]
    Missing(Vec<Missing>),
    #[error("`{option}` is not used by `--auth-method {method}`")]
    Unused { option: &'static str, method: &'static str },
    #[error("{}: {fault}", shown(path))]
    Key { path: PathBuf, fault: KeyFault },
    #[error("{}: the {what} cannot be read", shown(path))]
    Unreadable { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{from}: this is no {what}: expected one line of text without spaces")]
    NotASecret { what: &'static str, from: String },
    /// Anybody may have replaced the secret.
    #[error("{}: anybody may write to this file of the {what}", shown(path))]
    WorldWritable { what: &'static str, path: PathBuf },
    #[error("{}: this is no {what}: it is longer than {most} KiB", shown(path))]
    TooLong { what: &'static str, path: PathBuf, most: u64 },
    #[error("{}: there is no certificate in PEM form", shown(.0))]
    NotACertificate(PathBuf),
    /// A token must not be sent to this URL, which is not shown: it may contain a password.
    #[error("{from}: {why}")]
    Url { from: &'static str, why: String },
    /// The value of the variable is not shown: it may contain a password.
    #[error("{0}: this names no proxy that can be used: expected a form such as `http://proxy.example.com:8080`")]
    NotAProxy(&'static str),
    #[error("{0}: this names a proxy, which is not used as long as REQUEST_METHOD is set, as web servers set it")]
    ProxyUnderCgi(&'static str),
    #[error(
        "PINGONE_TOP_LEVEL_DOMAIN: `{}` is not a domain of PingOne's: expected `com`, `ca`, `eu`, `com.au`, `sg` or `asia`",
        quote(.0)
    )]
    NoSuchDomain(String),
    #[error("--until: {0}")]
    Until(String),
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl ConfigError {
    /// What the operator can do, in one line.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoInput => "name the file after the command, such as `users.csv`, with a column `userID`".into(),
            Self::NobodyToAudit => {
                "`pingone-bypass audit users.csv` reads those of a file, and `pingone-bypass audit --all-users` everybody".into()
            }
            Self::Missing(missing) => hint_at(missing).into(),
            Self::Unused { option: "--client-secret-file", .. } => {
                "leave it out, or say `--auth-method basic` or `--auth-method post`, whichever the application is set to".into()
            }
            Self::Unused { .. } => "say `--auth-method private-key-jwt` to authenticate by a key".into(),
            Self::Key { path, fault } => fault.hint(path),
            Self::Unreadable { what, .. } => {
                format!("check the path in {}, and that this user may read the file", option_of(what))
            }
            Self::NotASecret { what, .. } => format!("leave in it only the {what}, as PingOne shows it, on one line"),
            Self::WorldWritable { path, .. } => {
                format!("check what it holds, and let its owner alone use it: `chmod 600 {}`", shell_word(&path.to_string_lossy()))
            }
            Self::TooLong { what, .. } => format!("check the path in {}: another file may be meant", option_of(what)),
            Self::NotACertificate(path) => format!(
                "if it is in DER form, write it as PEM with `openssl x509 -inform DER -in {} -out ca.pem`",
                shell_word(&path.to_string_lossy())
            ),
            Self::Url { from, .. } => {
                let example =
                    if from.contains("AUTH") || from.contains("auth") { "https://auth.pingone.eu" } else { "https://api.pingone.eu/v1" };
                format!("set it to a URL such as `{example}`, or leave {from} out: `--region` then decides")
            }
            Self::NotAProxy(variable) => format!("mend it, or unset {variable} to connect directly"),
            Self::ProxyUnderCgi(_) => "unset REQUEST_METHOD".into(),
            Self::NoSuchDomain(_) => "unset it, and say `--region NA`, `CA`, `EU`, `AU`, `SG` or `AP`".into(),
            Self::Until(_) => {
                "give a date such as `2026-08-31T17:00:00Z`, or a span such as `+4h`, no further ahead than `--max-window`".into()
            }
            Self::Output(error) => error.hint(),
        }
    }
}

/// The option that names the file of `what`, with its variable if it has one.
fn option_of(what: &str) -> &'static str {
    match what {
        CLIENT_SECRET => "`--client-secret-file`",
        ACCESS_TOKEN => "`--access-token-file`",
        CLIENT_KEY => "`--client-key-file` or PINGONE_CLIENT_KEY_FILE",
        PUBLIC_KEY => "`--client-public-key`",
        _ => "`--ca-cert`",
    }
}

/// What is missing: one setting in a line, several in one line each.
fn listed(missing: &[Missing]) -> String {
    if let [missing] = missing {
        let (what, expected) = missing.words();
        return format!("there is no {what}: expected {expected}");
    }
    let line = |missing: &Missing| {
        let (what, expected) = missing.words();
        format!("\n  {what}: {expected}")
    };
    format!("{} settings are missing:{}", missing.len(), missing.iter().map(line).collect::<String>())
}

fn hint_at(missing: &[Missing]) -> &'static str {
    if missing.iter().all(|missing| matches!(missing, Missing::ApiUrl | Missing::AuthUrl)) {
        return "set both URLs, or neither: `--region` then decides";
    }
    if missing.contains(&Missing::SecretBesideKey) {
        return "a client key is given: say `--auth-method private-key-jwt` to authenticate by it";
    }
    if missing.contains(&Missing::Key) {
        return "make a key pair with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out client.pem`, give its public key to a worker \
                application, or rehearse with `--sandbox`";
    }
    "set PINGONE_ENVIRONMENT_ID, PINGONE_CLIENT_ID and PINGONE_CLIENT_SECRET to those of a worker application (an access token in \
     PINGONE_API_ACCESS_TOKEN does for the last two), or rehearse with `--sandbox`"
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
