//! The options that say where PingOne is and who signs on. Each may stand in an environment variable or a profile instead:
//! `config` looks there, and so clap knows nothing of them but the help.

#![expect(clippy::doc_markdown, reason = "clap shows these texts as they are, and its own `[env: NAME]` has no backticks")]

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};

use crate::domain::EnvironmentId;
use crate::jwt::Algorithm;
use crate::pingone::{AuthMethod, Region};

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// The environment of the users [env: PINGONE_ENVIRONMENT_ID]
    #[arg(long, value_name = "UUID")]
    pub(crate) environment_id: Option<EnvironmentId>,
    /// Where the worker application lives, if in another environment [env: PINGONE_AUTH_ENVIRONMENT_ID]
    #[arg(long, value_name = "UUID")]
    pub(crate) auth_environment_id: Option<EnvironmentId>,
    /// The worker application's client ID [env: PINGONE_CLIENT_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// The client secret, in a file [env: PINGONE_CLIENT_SECRET]
    ///
    /// The variable holds the secret itself.
    #[arg(long, value_name = "PATH")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// How the worker application authenticates: a setting of the application [env: PINGONE_AUTH_METHOD] [default: basic]
    #[arg(long, value_name = "METHOD", ignore_case = true)]
    pub(crate) auth_method: Option<AuthMethod>,
    /// The application's private key, as PEM [env: PINGONE_CLIENT_KEY_FILE]
    ///
    /// It is for `private-key-jwt`: RSA or EC P-256.
    #[arg(long, value_name = "PEM")]
    pub(crate) client_key_file: Option<PathBuf>,
    /// The key's ID, if the application has several
    #[arg(long, value_name = "KID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) client_key_id: Option<String>,
    /// What the key signs with [default: RS256 for an RSA key, ES256 for an EC key]
    #[arg(long, value_name = "ALG", ignore_case = true)]
    pub(crate) client_key_alg: Option<Algorithm>,
    /// A ready access token, in a file [env: PINGONE_API_ACCESS_TOKEN]
    ///
    /// It stands in for an application. The variable holds the token itself.
    #[arg(long, value_name = "PATH")]
    pub(crate) access_token_file: Option<PathBuf>,
    /// Region [default: NA]
    ///
    /// PingOne's region [env: PINGONE_REGION] [env: PINGONE_TOP_LEVEL_DOMAIN]
    #[arg(long, ignore_case = true)]
    pub(crate) region: Option<Region>,
    /// The API, instead of the region's [env: PINGONE_API_URL]
    ///
    /// It is the part of a URL before `/environments`.
    #[arg(long, value_name = "URL")]
    pub(crate) api_url: Option<String>,
    /// The token endpoint's host, instead of the region's [env: PINGONE_AUTH_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) auth_url: Option<String>,
    /// Trust this certificate authority too, such as that of a proxy [env of proxies: HTTPS_PROXY, ALL_PROXY, NO_PROXY]
    #[arg(long, value_name = "PEM")]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Settings from this table of the configuration file
    ///
    /// An option or a variable goes before them. [env: PINGONE_BYPASS_PROFILE]
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The configuration file [default: `pingone-bypass/config.toml` in `~/.config`] [env of that folder: XDG_CONFIG_HOME]
    #[arg(long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// Run against a sandbox inside this process; needs no credentials
    #[arg(long)]
    pub(crate) sandbox: bool,
}

/// What `--sandbox` leaves no room for. Variables, and a profile that a variable names, may be set.
const SURPLUS: [&str; 13] = [
    "environment_id",
    "auth_environment_id",
    "client_id",
    "client_secret_file",
    "client_key_file",
    "client_key_id",
    "client_key_alg",
    "access_token_file",
    "region",
    "api_url",
    "auth_url",
    "profile",
    "config",
];

/// The option, if any, that contradicts `--sandbox`.
pub(super) fn surplus_beside_sandbox(matches: &ArgMatches) -> Option<String> {
    if matches.try_get_one::<bool>("sandbox").ok().flatten() != Some(&true) {
        return None;
    }
    let is_typed = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
    SURPLUS.into_iter().find(is_typed).map(|id| format!("--{}", id.replace('_', "-")))
}
