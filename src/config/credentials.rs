//! What the run authenticates with: a ready token, a client secret or a client key.

use std::env;
use std::path::Path;
use std::sync::Arc;

use secrecy::SecretString;

use super::{ConfigError, Identity, Missing, files};
use crate::cli::ConnectionArgs;
use crate::domain::shown;
use crate::jwt::{PublicKey, SigningKey};
use crate::pingone::{AccessToken, AuthMethod, ClientKey, Credentials, Proof};

/// What the files are called in messages.
pub(super) const CLIENT_SECRET: &str = "client secret";
pub(super) const ACCESS_TOKEN: &str = "access token";
pub(super) const CLIENT_KEY: &str = "client key";
pub(super) const PUBLIC_KEY: &str = "client's public key";

const SECRET_VARIABLE: &str = "PINGONE_CLIENT_SECRET";

/// A ready token, if there is one, or else the worker application. What is missing is added to `missing`, which has entries when
/// this returns `None`.
pub(super) fn identity(arguments: &ConnectionArgs, missing: &mut Vec<Missing>) -> Result<Option<Identity>, ConfigError> {
    let named = "PINGONE_API_ACCESS_TOKEN";
    let token_counts = arguments.access_token_file.is_some() || !arguments.application_typed;
    if token_counts && let Some(token) = secret(ACCESS_TOKEN, arguments.access_token_file.as_deref(), named)? {
        let from = arguments.access_token_file.as_ref().map_or_else(|| named.to_owned(), |path| shown(path).to_string());
        let token = AccessToken::new(&token, 1, None).map_err(|_| ConfigError::NotASecret { what: ACCESS_TOKEN, from })?;
        return Ok(Some(Identity::Ready(Arc::new(token))));
    }
    check_method(arguments)?;
    let client_id = arguments.client_id.clone().filter(|id| !id.is_empty());
    if client_id.is_none() {
        missing.push(Missing::ClientId);
    }
    let proof = match arguments.auth_method {
        AuthMethod::Basic => client_secret(arguments, missing)?.map(Proof::Basic),
        AuthMethod::Post => client_secret(arguments, missing)?.map(Proof::Post),
        AuthMethod::PrivateKeyJwt => client_key(arguments, missing)?.map(|key| Proof::PrivateKeyJwt(Arc::new(key))),
    };
    Ok(client_id.zip(proof).map(|(client_id, proof)| Identity::Worker(Credentials { client_id, proof })))
}

/// Refuses an option that the method does not use: it was typed for another one. A variable may be set for other runs.
fn check_method(arguments: &ConnectionArgs) -> Result<(), ConfigError> {
    let method = arguments.auth_method;
    let typed = match method {
        AuthMethod::Basic | AuthMethod::Post => [
            ("--client-key-file", arguments.key.file_typed),
            ("--client-key-id", arguments.key.client_key_id.is_some()),
            ("--client-key-alg", arguments.key.client_key_alg.is_some()),
        ],
        AuthMethod::PrivateKeyJwt => {
            if arguments.client_secret_file.is_none() && variable(SECRET_VARIABLE).is_some() {
                tracing::info!("{SECRET_VARIABLE} is not used: the application authenticates by its key");
            }
            [("--client-secret-file", arguments.client_secret_file.is_some()), ("", false), ("", false)]
        }
    };
    match typed.into_iter().find(|(_, is_typed)| *is_typed) {
        Some((option, _)) => Err(ConfigError::Unused { option, method: method.name() }),
        None => Ok(()),
    }
}

fn client_secret(arguments: &ConnectionArgs, missing: &mut Vec<Missing>) -> Result<Option<SecretString>, ConfigError> {
    let secret = secret(CLIENT_SECRET, arguments.client_secret_file.as_deref(), SECRET_VARIABLE)?;
    if secret.is_none() {
        missing.push(if arguments.key.client_key_file.is_some() { Missing::SecretBesideKey } else { Missing::Secret });
    }
    Ok(secret)
}

fn client_key(arguments: &ConnectionArgs, missing: &mut Vec<Missing>) -> Result<Option<ClientKey>, ConfigError> {
    let Some(path) = arguments.key.client_key_file.clone() else {
        missing.push(Missing::Key);
        return Ok(None);
    };
    let pem = files::read_secret_bytes(CLIENT_KEY, &path)?;
    match SigningKey::from_pem(&pem, arguments.key.client_key_alg) {
        Ok(key) => Ok(Some(ClientKey { key, id: arguments.key.client_key_id.clone(), path })),
        Err(fault) => Err(ConfigError::Key { path, fault }),
    }
}

/// Reads the public key with which the sandbox verifies assertions.
pub(crate) fn read_public_key(path: &Path) -> Result<PublicKey, ConfigError> {
    let pem = files::read_public(PUBLIC_KEY, path)?;
    String::from_utf8_lossy(&pem).parse().map_err(|fault| ConfigError::Key { path: path.to_owned(), fault })
}

/// The secret from the file at `path`, or else from the environment variable `name`.
fn secret(what: &'static str, path: Option<&Path>, name: &str) -> Result<Option<SecretString>, ConfigError> {
    let (text, from) = match path {
        Some(path) => (Some(files::read_secret(what, path)?), shown(path).to_string()),
        None if env::var_os(name).is_some_and(|value| value.to_str().is_none()) => {
            return Err(ConfigError::NotASecret { what, from: name.to_owned() });
        }
        None => (variable(name), name.to_owned()),
    };
    let Some(text) = text else {
        return Ok(None);
    };
    let text = text.trim();
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(ConfigError::NotASecret { what, from });
    }
    Ok(Some(text.to_owned().into()))
}

/// An environment variable; an empty one counts as not set.
pub(super) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}
