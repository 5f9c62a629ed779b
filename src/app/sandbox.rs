//! `pingone-bypass sandbox`, and the sandbox inside the process.

use std::path::Path;

use super::error::RunError;
use super::print;
use crate::cli::SandboxArgs;
use crate::config::{ConfigError, Source, read_public_key};
use crate::domain::shown;
use crate::jwt::PublicKey;
use crate::pingone::AuthMethod;
use crate::sandbox::{Sandbox, SandboxConfig};

pub(super) async fn start_sandbox(config: SandboxConfig) -> Result<Sandbox, RunError> {
    let address = config.listen.to_string();
    Sandbox::start(config).await.map_err(|source| RunError::Sandbox { address, source })
}

/// Serves a sandbox until the program is stopped.
pub(super) async fn serve_sandbox(arguments: SandboxArgs) -> Result<u8, RunError> {
    let method = arguments.auth_method;
    let client_key = public_key(method, arguments.client_public_key.as_deref())?;
    let config = SandboxConfig {
        basic: matches!(method, None | Some(AuthMethod::Basic)),
        post: matches!(method, None | Some(AuthMethod::Post)),
        client_key,
        ..arguments.config
    };
    let sandbox = start_sandbox(config).await?;
    let file_error = |path: &Path| {
        let path = shown(path).to_string();
        move |source| RunError::SandboxFile { path, source }
    };
    if let Some(path) = &arguments.export_users {
        sandbox.export_users(path).map_err(file_error(path))?;
    }
    if let Some(path) = &arguments.request_log {
        sandbox.log_calls(path).map_err(file_error(path))?;
    }
    print(sandbox_variables(&sandbox, method).as_bytes())?;
    std::future::pending().await
}

/// The key that verifies the application's assertions, if it authenticates by them.
fn public_key(method: Option<AuthMethod>, path: Option<&Path>) -> Result<Option<PublicKey>, RunError> {
    match (method, path) {
        (Some(AuthMethod::PrivateKeyJwt), Some(path)) => Ok(Some(read_public_key(path)?)),
        (Some(method), Some(_)) => Err(ConfigError::Unused { given: Source::Option("--client-public-key"), method: method.name() }.into()),
        (_, None) | (None, Some(_)) => Ok(None),
    }
}

/// The environment variables that direct a run to the sandbox, ready to paste into a shell.
fn sandbox_variables(sandbox: &Sandbox, method: Option<AuthMethod>) -> String {
    let (secret, other) = match method {
        None | Some(AuthMethod::Basic) => (Some(sandbox.client_secret()), ""),
        Some(AuthMethod::Post) => (Some(sandbox.client_secret()), "export PINGONE_AUTH_METHOD=post\n"),
        Some(AuthMethod::PrivateKeyJwt) => {
            (None, "export PINGONE_AUTH_METHOD=private-key-jwt\n# PINGONE_CLIENT_KEY_FILE is the file of your private key\n")
        }
    };
    let secret = secret.map(|secret| format!("export PINGONE_CLIENT_SECRET={secret}\n")).unwrap_or_default();
    format!(
        "export PINGONE_ENVIRONMENT_ID={}\nexport PINGONE_CLIENT_ID={}\n{secret}export PINGONE_API_URL={}\nexport PINGONE_AUTH_URL={}\n{other}\
         # users to select: --group {} or --population {}\n",
        sandbox.environment_id(),
        sandbox.client_id(),
        sandbox.api_url(),
        sandbox.auth_url(),
        sandbox.group_of(0),
        sandbox.population_of(0)
    )
}
