//! `pingone-bypass sandbox`, and the sandbox inside the process.

use std::path::Path;
use std::time::Duration;

use super::error::RunError;
use super::print;
use crate::cli::SandboxArgs;
use crate::domain::shown;
use crate::pingone::AuthMethod;
use crate::sandbox::{Sandbox, SandboxConfig};

pub(super) async fn start_sandbox(config: SandboxConfig) -> Result<Sandbox, RunError> {
    let address = config.listen.to_string();
    Sandbox::start(config).await.map_err(|source| RunError::Sandbox { address, source })
}

/// Serves a sandbox until the program is stopped.
pub(super) async fn serve_sandbox(arguments: SandboxArgs) -> Result<u8, RunError> {
    let config = SandboxConfig {
        listen: arguments.listen,
        users: arguments.users,
        no_or: arguments.no_or,
        rate_limit: arguments.rate_limit,
        limit_kind: arguments.limit_kind,
        limit_window: arguments.limit_window,
        burst: arguments.burst,
        other_callers: arguments.other_callers,
        retry_after: arguments.retry_after,
        licence_rates: arguments.licence_rate,
        latency: Duration::from_millis(arguments.latency),
        faults: arguments.faults,
        seed: arguments.seed,
        token_lifetime: arguments.token_lifetime,
        basic: arguments.auth_method != Some(AuthMethod::Post),
        post: arguments.auth_method != Some(AuthMethod::Basic),
        ..SandboxConfig::default()
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
    print(sandbox_variables(&sandbox, arguments.auth_method).as_bytes())?;
    std::future::pending().await
}

/// The environment variables that direct a run to the sandbox, ready to paste into a shell.
fn sandbox_variables(sandbox: &Sandbox, method: Option<AuthMethod>) -> String {
    let mut variables = format!(
        "export PINGONE_ENVIRONMENT_ID={}\nexport PINGONE_CLIENT_ID={}\nexport PINGONE_CLIENT_SECRET={}\nexport PINGONE_API_URL={}\nexport PINGONE_AUTH_URL={}\n",
        sandbox.environment_id(),
        sandbox.client_id(),
        sandbox.client_secret(),
        sandbox.api_url(),
        sandbox.auth_url()
    );
    if method == Some(AuthMethod::Post) {
        variables.push_str("export PINGONE_AUTH_METHOD=post\n");
    }
    variables
}
