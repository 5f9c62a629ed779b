//! The options of an application that authenticates by a key.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::jwt::Algorithm;

#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ClientKeyArgs {
    /// The file of the application's private key, for `private-key-jwt`: RSA or EC P-256, as PEM
    #[arg(long, value_name = "PEM", env = "PINGONE_CLIENT_KEY_FILE", hide_env_values = true)]
    pub(crate) client_key_file: Option<PathBuf>,
    /// The key's ID, if the application has several
    #[arg(long, value_name = "KID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) client_key_id: Option<String>,
    /// What the key signs with [default: RS256 for an RSA key, ES256 for an EC key]
    #[arg(long, value_name = "ALG", ignore_case = true)]
    pub(crate) client_key_alg: Option<Algorithm>,
    /// Whether the file was named on the command line.
    #[arg(skip)]
    pub(crate) file_typed: bool,
}

impl ClientKeyArgs {
    /// The names of these options in clap.
    pub(super) const IDS: [&str; 3] = ["client_key_file", "client_key_id", "client_key_alg"];
}
