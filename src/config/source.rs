//! The settings of a connection, and where the value of each comes from: an option goes before a variable, and a variable before
//! the profile.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::{quote, shown};

use super::ConfigError;

/// A setting that has an option, and stands in a profile under that option's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    Environment,
    AuthEnvironment,
    ClientId,
    SecretFile,
    AuthMethod,
    KeyFile,
    KeyId,
    KeyAlg,
    TokenFile,
    Region,
    ApiUrl,
    AuthUrl,
    CaCert,
}

impl Setting {
    pub(crate) const ALL: [Self; 13] = [
        Self::Environment,
        Self::AuthEnvironment,
        Self::ClientId,
        Self::SecretFile,
        Self::AuthMethod,
        Self::KeyFile,
        Self::KeyId,
        Self::KeyAlg,
        Self::TokenFile,
        Self::Region,
        Self::ApiUrl,
        Self::AuthUrl,
        Self::CaCert,
    ];

    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::Environment => "--environment-id",
            Self::AuthEnvironment => "--auth-environment-id",
            Self::ClientId => "--client-id",
            Self::SecretFile => "--client-secret-file",
            Self::AuthMethod => "--auth-method",
            Self::KeyFile => "--client-key-file",
            Self::KeyId => "--client-key-id",
            Self::KeyAlg => "--client-key-alg",
            Self::TokenFile => "--access-token-file",
            Self::Region => "--region",
            Self::ApiUrl => "--api-url",
            Self::AuthUrl => "--auth-url",
            Self::CaCert => "--ca-cert",
        }
    }

    /// Its name in a profile.
    pub(crate) fn key(self) -> &'static str {
        self.option().trim_start_matches('-')
    }

    pub(super) fn of_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.key() == key)
    }

    /// The variables that say it, the first one that is set counts. Of a secret they hold the secret, not the path of a file.
    pub(crate) fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Environment => &["PINGONE_ENVIRONMENT_ID"],
            Self::AuthEnvironment => &["PINGONE_AUTH_ENVIRONMENT_ID"],
            Self::ClientId => &["PINGONE_CLIENT_ID"],
            Self::SecretFile => &["PINGONE_CLIENT_SECRET"],
            Self::AuthMethod => &["PINGONE_AUTH_METHOD"],
            Self::KeyFile => &["PINGONE_CLIENT_KEY_FILE"],
            Self::TokenFile => &["PINGONE_API_ACCESS_TOKEN"],
            Self::Region => &["PINGONE_REGION", TOP_LEVEL_DOMAIN],
            Self::ApiUrl => &["PINGONE_API_URL"],
            Self::AuthUrl => &["PINGONE_AUTH_URL"],
            Self::KeyId | Self::KeyAlg | Self::CaCert => &[],
        }
    }

    /// Whether it says where credentials go.
    pub(super) fn names_a_host(self) -> bool {
        match self {
            Self::Region | Self::ApiUrl | Self::AuthUrl => true,
            Self::Environment
            | Self::AuthEnvironment
            | Self::ClientId
            | Self::SecretFile
            | Self::AuthMethod
            | Self::KeyFile
            | Self::KeyId
            | Self::KeyAlg
            | Self::TokenFile
            | Self::CaCert => false,
        }
    }

    /// Whether its value is the path of a file, relative to the folder of the profile that it stands in.
    pub(super) fn is_path(self) -> bool {
        match self {
            Self::SecretFile | Self::KeyFile | Self::TokenFile | Self::CaCert => true,
            Self::Environment
            | Self::AuthEnvironment
            | Self::ClientId
            | Self::AuthMethod
            | Self::KeyId
            | Self::KeyAlg
            | Self::Region
            | Self::ApiUrl
            | Self::AuthUrl => false,
        }
    }
}

/// The region as another client of Ping's has it.
pub(super) const TOP_LEVEL_DOMAIN: &str = "PINGONE_TOP_LEVEL_DOMAIN";

/// A profile's name, and the file that it is a table of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProfileName {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "profile [{}] in {}", quote(&self.name), shown(&self.path))
    }
}

/// Where a value comes from. `Display` is what a message begins with that blames it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Option(&'static str),
    Variable(&'static str),
    Profile { profile: Arc<ProfileName>, key: &'static str },
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(name) | Self::Variable(name) => f.write_str(name),
            Self::Profile { profile, key } => write!(f, "{}: [{}] {key}", shown(&profile.path), quote(&profile.name)),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Source {
    /// Lower for what goes before the others.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Option(_) => 0,
            Self::Variable(_) => 1,
            Self::Profile { .. } => 2,
            Self::Default => 3,
        }
    }

    /// Its kind and its name, beside a value.
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Option(name) => format!("option {name}"),
            Self::Variable(name) => format!("variable {name}"),
            Self::Profile { profile, .. } => profile.to_string(),
            Self::Default => "default".to_owned(),
        }
    }

    /// Where it stands, for a hint.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Option(name) => format!("`{name}`"),
            Self::Variable(name) => (*name).to_owned(),
            Self::Profile { profile, key } => format!("`{key}` of {profile}"),
            Self::Default => "the default".to_owned(),
        }
    }
}

/// A value, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

impl<T> Sourced<T> {
    /// The value that `read` makes of it. A fault is blamed on the source.
    pub(super) fn read<U>(self, read: impl FnOnce(T) -> Result<U, String>) -> Result<Sourced<U>, ConfigError> {
        let Self { value, source } = self;
        match read(value) {
            Ok(value) => Ok(Sourced { value, source }),
            Err(why) => Err(ConfigError::Value { from: source, why }),
        }
    }

    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Sourced<U> {
        Sourced { value: change(self.value), source: self.source }
    }
}
