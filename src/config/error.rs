//! Errors in options, environment variables and profiles, with a hint for each.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::{quote, shell_word, shown};
use crate::jwt::KeyFault;
use crate::pingone::Region;
use crate::report::OutputError;

use super::source::{ProfileName, Setting, Source, Sourced};

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

    /// The variable to set; `None` for what another hint is about.
    fn variable(self) -> Option<&'static str> {
        match self {
            Self::Environment => Some("PINGONE_ENVIRONMENT_ID"),
            Self::ClientId => Some("PINGONE_CLIENT_ID"),
            Self::Secret => Some("PINGONE_CLIENT_SECRET"),
            Self::SecretBesideKey | Self::Key | Self::ApiUrl | Self::AuthUrl => None,
        }
    }
}

/// What is wrong with a line of a profile. Values are not shown where the key is not known: they might be secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProfileFault {
    OutsideTable,
    Unknown,
    Secret,
    NotText { kind: &'static str },
    Empty,
    NoHome { path: String },
}

impl fmt::Display for ProfileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsideTable => f.write_str("this stands in no profile: expected it in a table such as `[prod]`"),
            Self::Unknown => f.write_str("there is no such setting"),
            Self::Secret => {
                f.write_str("a secret does not belong in this file (the value is not shown): expected the path of a file that holds it")
            }
            Self::NotText { kind } => write!(f, "the value is of type {kind}: expected text in quotes"),
            Self::Empty => f.write_str("there is no value: expected one, or no such line"),
            Self::NoHome { path } => write!(f, "`{path}` cannot be found: HOME is not set, or is no absolute path"),
        }
    }
}

impl ProfileFault {
    fn hint(&self) -> String {
        match self {
            Self::OutsideTable => "write `[NAME]` on a line above it, and choose it by `--profile NAME`".into(),
            Self::Unknown => format!("the settings are {}", Setting::ALL.map(|setting| format!("`{}`", setting.key())).join(", ")),
            Self::Secret => "name a file with `client-secret-file`, `access-token-file` or `client-key-file`, and take the secret out; if others could read it, have a new one made".into(),
            Self::NotText { .. } => "write the value between two `\"`".into(),
            Self::Empty => "write a value between the quotes, or take the line out".into(),
            Self::NoHome { .. } => "write the whole path, or set HOME".into(),
        }
    }
}

/// A region, and the places of URLs that come from below it and are not its own.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: the region is {}, whose hosts are `{}` and `{}`, but the API URL of {} is at `{}`, and the auth URL of {} at `{}`",
    region.source, region.value.name(), region.value.api_url().place(), region.value.auth_url().place(),
    api.source.described(), quote(&api.value), auth.source.described(), quote(&auth.value)
)]
pub(crate) struct NotItsUrls {
    pub(super) region: Sourced<Region>,
    pub(super) api: Sourced<String>,
    pub(super) auth: Sourced<String>,
}

impl NotItsUrls {
    /// Names each of the URLs that stands below the region.
    fn hint(&self) -> String {
        let Self { region, api, auth } = self;
        let below = [&api.source, &auth.source].into_iter().filter(|source| source.rank() > region.source.rank());
        let urls = below.map(Source::place).collect::<Vec<_>>().join(" and ");
        format!("unset {urls} to go by the region, or leave {} out to go by the URLs", region.source.place())
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
    #[error("there is nobody to list: expected `--all-users`, `--filter`, `--population` or `--group`")]
    NobodyToList,
    #[error("`--shard` is for the rows of a file: processes that each ask PingOne for the list would be given lists that differ")]
    ShardOfDirectory,
    #[error("`--only` leaves rows out of the report of a shard, and `merge` needs a line for each")]
    OnlyOfShard,
    #[error("{}", listed(missing))]
    Missing { missing: Vec<Missing>, profile: Option<Arc<ProfileName>> },
    #[error("{} is not used by `--auth-method {method}`", blamed(given))]
    Unused { given: Source, method: &'static str },
    #[error("{}: {fault}", shown(path))]
    Key { path: PathBuf, fault: KeyFault },
    #[error("{}: the {what} cannot be read", shown(path))]
    Unreadable { what: &'static str, path: PathBuf, from: Source, source: io::Error },
    #[error("{from}: this is no {what}: expected one line of text without spaces")]
    NotASecret { what: &'static str, from: String },
    /// Anybody may have replaced the secret.
    #[error("{}: anybody may write to this file of the {what}", shown(path))]
    WorldWritable { what: &'static str, path: PathBuf },
    #[error("{}: this is no {what}: it is longer than {most} KiB", shown(path))]
    TooLong { what: &'static str, path: PathBuf, most: u64 },
    #[error("{}: there is no certificate in PEM form", shown(.0))]
    NotACertificate(PathBuf),
    /// A value that cannot be read, without the value where it may contain a secret.
    #[error("{from}: {why}")]
    Value { from: Source, why: String },
    /// Credentials of the one place would go to the other.
    #[error(
        "the API URL comes from {} (`{}`), and the auth URL from {} (`{}`): expected both from one place",
        api.described(), quote(&hosts[0]), auth.described(), quote(&hosts[1])
    )]
    SplitUrls { api: Source, auth: Source, hosts: Box<[String; 2]> },
    /// Credentials would go to another place than the one that is meant.
    #[error(transparent)]
    NotItsUrls(Box<NotItsUrls>),
    /// The value of the variable is not shown: it may contain a password.
    #[error("{0}: this names no proxy that can be used: expected a form such as `http://proxy.example.com:8080`")]
    NotAProxy(&'static str),
    #[error("{0}: this names a proxy, which is not used as long as REQUEST_METHOD is set, as web servers set it")]
    ProxyUnderCgi(&'static str),
    #[error("`--config` names a file, and no profile of it is chosen: expected `--profile` or PINGONE_BYPASS_PROFILE")]
    NoProfileChosen,
    #[error("{from}: there is no folder to look for the configuration file in: expected `--config`, or HOME or XDG_CONFIG_HOME to be set")]
    NoConfigFolder { from: &'static str },
    #[error("{}:{line}: this is not TOML: {}", shown(path), quote(why))]
    NotToml { path: PathBuf, line: usize, why: String },
    #[error("{}: {}{}: {fault}", shown(path), table.as_ref().map(|table| format!("[{}] ", quote(table))).unwrap_or_default(), quote(key))]
    Profile { path: PathBuf, table: Option<String>, key: String, fault: ProfileFault },
    #[error("{from}: there is no profile `{}` in {}: {}", quote(name), shown(path), those(there))]
    NoSuchProfile { from: &'static str, name: String, path: PathBuf, there: Vec<String> },
    /// It decides where credentials are sent.
    #[error("{}: anybody may write to this file, which says where credentials are sent", shown(.0))]
    OpenConfig(PathBuf),
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
            Self::NobodyToList => {
                "`pingone-bypass users --all-users` lists everybody, and `pingone-bypass users --group UUID` the members of a group".into()
            }
            Self::ShardOfDirectory => {
                "list the users once, by `pingone-bypass users --all-users -o everyone.csv`, and give all shards that file as their input"
                    .into()
            }
            Self::OnlyOfShard => "leave `--only` out: the report that `merge` writes has everybody, to be filtered then".into(),
            Self::Missing { missing, profile } => hint_at(missing, profile.as_deref()),
            Self::Unused { given, .. } if is_of_a_secret(given) => {
                "leave it out, or say `--auth-method basic` or `--auth-method post`, whichever the application is set to".into()
            }
            Self::Unused { .. } => "say `--auth-method private-key-jwt` to authenticate by a key".into(),
            Self::Key { path, fault } => fault.hint(path),
            Self::Unreadable { path, from, source, .. } => unreadable_hint(path, from, source),
            Self::WorldWritable { path, .. } => {
                format!("check what it holds, and let its owner alone use it: `chmod 600 {}`", shell_word(&path.to_string_lossy()))
            }
            Self::OpenConfig(path) => {
                format!("check what it holds, and let its owner alone write to it: `chmod go-w {}`", shell_word(&path.to_string_lossy()))
            }
            Self::Value { from, .. } => {
                format!("correct {}{}", from.place(), if matches!(from, Source::Variable(_)) { ", or unset it" } else { "" })
            }
            Self::SplitUrls { api, auth, .. } => match if api.rank() < auth.rank() { api } else { auth } {
                option @ Source::Option(_) => format!("set both in one place, or leave {} out", option.place()),
                other @ (Source::Variable(_) | Source::Profile { .. } | Source::Default) => {
                    format!("set both in one place, or unset {other}")
                }
            },
            Self::NotItsUrls(error) => error.hint(),
            Self::NotAProxy(variable) => format!("mend it, or unset {variable} to connect directly"),
            Self::ProxyUnderCgi(_) => "unset REQUEST_METHOD".into(),
            Self::NoProfileChosen => "name the profile with `--profile`, or leave `--config` out".into(),
            Self::NoConfigFolder { .. } => "name the file with `--config`".into(),
            Self::NotToml { .. } => "a profile reads like `[prod]` on a line, and `region = \"EU\"` on another below it".into(),
            Self::Profile { fault, .. } => fault.hint(),
            Self::NoSuchProfile { from, there, .. } if there.is_empty() => {
                format!("write a table such as `[prod]` into it, and name it with {from}")
            }
            Self::NoSuchProfile { from, .. } => format!("name one of them with {from}"),
            Self::NotASecret { what, .. } => format!("leave in it only the {what}, as PingOne shows it, on one line"),
            Self::TooLong { .. } => "check the path: another file may be meant".into(),
            Self::NotACertificate(path) => format!(
                "if it is in DER form, write it as PEM with `openssl x509 -inform DER -in {} -out ca.pem`",
                shell_word(&path.to_string_lossy())
            ),
            Self::Until(_) => {
                "give a date such as `2030-08-31T17:00:00Z`, or a span such as `+4h`, no further ahead than `--max-window`".into()
            }
            Self::Output(error) => error.hint(),
        }
    }
}

/// What can be done about a file that cannot be read. Of what has a default, only the configuration file is read.
#[expect(clippy::wildcard_enum_match_arm, reason = "the kinds are the standard library's, and few call for something of their own")]
fn unreadable_hint(path: &Path, from: &Source, source: &io::Error) -> String {
    let is_usual = *from == Source::Default;
    match source.kind() {
        io::ErrorKind::NotFound if is_usual => "write it, or name another with `--config`".into(),
        io::ErrorKind::PermissionDenied if is_usual => {
            let file = shell_word(&path.to_string_lossy());
            format!("let this user read it (`ls -l {file}` shows who may), or name another with `--config`")
        }
        io::ErrorKind::IsADirectory if is_usual => "move the folder away, or name another file with `--config`".into(),
        io::ErrorKind::IsADirectory => format!("name a file in {}: this is a folder", from.place()),
        _ if is_usual => "see whether another program can read it, or name another with `--config`".into(),
        _ => format!("check the path in {}, and that this user may read the file", from.place()),
    }
}

/// What is not used: an option in quotes, or a line of a profile.
fn blamed(given: &Source) -> String {
    match given {
        Source::Option(name) => format!("`{name}`"),
        Source::Variable(_) | Source::Profile { .. } | Source::Default => format!("{given}: this"),
    }
}

fn is_of_a_secret(given: &Source) -> bool {
    match given {
        Source::Option(name) => *name == Setting::SecretFile.option(),
        Source::Profile { key, .. } => *key == Setting::SecretFile.key(),
        Source::Variable(_) | Source::Default => false,
    }
}

/// The profiles that there are.
fn those(there: &[String]) -> String {
    match there {
        [] => "it has none".to_owned(),
        there => format!("it has {}", there.iter().map(|name| format!("`{}`", quote(name))).collect::<Vec<_>>().join(", ")),
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

fn hint_at(missing: &[Missing], profile: Option<&ProfileName>) -> String {
    let in_profile =
        profile.map(|profile| format!(", or say {} in {profile}", if missing.len() == 1 { "it" } else { "them" })).unwrap_or_default();
    if missing.iter().all(|missing| matches!(missing, Missing::ApiUrl | Missing::AuthUrl)) {
        return format!("set both URLs, or neither: `--region` then decides{in_profile}");
    }
    if missing.contains(&Missing::Key) {
        return "make a key pair with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out client.pem`, give its public key to a worker \
                application, or rehearse with `--sandbox`"
            .into();
    }
    let by_key = "a client key is given: say `--auth-method private-key-jwt` to authenticate by it";
    let variables: Vec<String> = missing.iter().filter_map(|missing| missing.variable().map(str::to_owned)).collect();
    let names = match variables.as_slice() {
        [] => return by_key.into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    };
    let has = |one| missing.contains(&one);
    let to = match variables.len() {
        1 if has(Missing::Environment) => "the ID of the environment whose users are meant",
        1 => "that of the worker application",
        _ if has(Missing::ClientId) && has(Missing::Secret) => {
            "those of a worker application (an access token in PINGONE_API_ACCESS_TOKEN does for the last two)"
        }
        _ => "those of a worker application",
    };
    let key = if has(Missing::SecretBesideKey) { format!("; {by_key}") } else { String::new() };
    format!("set {names} to {to}{in_profile}, or rehearse with `--sandbox`{key}")
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
