//! Options of `sandbox`, besides those of [`SandboxConfig`].

use std::path::PathBuf;

use clap::Args;

use crate::pingone::AuthMethod;
use crate::sandbox::SandboxConfig;

#[derive(Debug, Args)]
pub(crate) struct SandboxArgs {
    #[command(flatten)]
    pub(crate) config: SandboxConfig,
    /// How the worker application must authenticate [default: either way, with a secret]
    #[arg(long, value_name = "METHOD", ignore_case = true, requires_if("private-key-jwt", "client_public_key"))]
    pub(crate) auth_method: Option<AuthMethod>,
    /// The application's public key, for `private-key-jwt`: assertions are verified with it
    #[arg(long, value_name = "PEM", requires = "auth_method")]
    pub(crate) client_public_key: Option<PathBuf>,
    /// Write each request to this file, as CSV
    #[arg(long, value_name = "PATH")]
    pub(crate) request_log: Option<PathBuf>,
    /// Write the users to this file, as an input for an audit
    #[arg(long, value_name = "PATH")]
    pub(crate) export_users: Option<PathBuf>,
}
