//! What the run authenticates with: a ready token, a client secret or a client key.

use std::path::Path;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::error::Missing;
use super::settings::{Secret, Settings};
use super::source::{Source, Sourced};
use super::{ConfigError, Identity, files};
use crate::domain::shown;
use crate::jwt::{PublicKey, SigningKey};
use crate::pingone::{AccessToken, AuthMethod, ClientKey, Credentials, Proof};

/// What the files are called in messages.
pub(super) const CLIENT_SECRET: &str = "client secret";
pub(super) const ACCESS_TOKEN: &str = "access token";
pub(super) const CLIENT_KEY: &str = "client key";
pub(super) const PUBLIC_KEY: &str = "client's public key";
const PUBLIC_KEY_OPTION: &str = "--client-public-key";

/// A ready token, if there is one, or else the worker application. Where both are given, the one counts that comes from the higher
/// place, and the token if they come from the same. What is missing is added to `missing`, which has entries when this returns
/// `None`.
pub(super) fn identity(settings: &Settings, missing: &mut Vec<Missing>) -> Result<Option<Identity>, ConfigError> {
    let Settings { client_id, secret, key_file, token, method, .. } = settings;
    if let Some(token) = token.as_ref().filter(|token| application_rank(settings).is_none_or(|rank| token.source.rank() <= rank)) {
        let (text, from) = read_secret(ACCESS_TOKEN, token)?;
        let token = AccessToken::new(&text, 1, None).map_err(|_| ConfigError::NotASecret { what: ACCESS_TOKEN, from })?;
        return Ok(Some(Identity::Ready(Arc::new(token))));
    }
    check_method(settings)?;
    let client_id = client_id.as_ref().map(|id| id.value.clone()).filter(|id| !id.is_empty());
    if client_id.is_none() {
        missing.push(Missing::ClientId);
    }
    let mut secret = || {
        if secret.is_none() {
            missing.push(if key_file.is_some() { Missing::SecretBesideKey } else { Missing::Secret });
        }
        secret.as_ref().map(|secret| read_secret(CLIENT_SECRET, secret)).transpose().map(|read| read.map(|(text, _)| text))
    };
    let proof = match method.value {
        AuthMethod::Basic => secret()?.map(Proof::Basic),
        AuthMethod::Post => secret()?.map(Proof::Post),
        AuthMethod::PrivateKeyJwt => client_key(settings, missing)?.map(|key| Proof::PrivateKeyJwt(Arc::new(key))),
    };
    Ok(client_id.zip(proof).map(|(client_id, proof)| Identity::Worker(Credentials { client_id, proof })))
}

/// The highest place that names an application, if any does. A variable that holds a secret names none: it may be left over.
fn application_rank(settings: &Settings) -> Option<u8> {
    let Settings { client_id, secret, key_file, .. } = settings;
    let in_file = secret.as_ref().filter(|secret| matches!(secret.value, Secret::InFile(_)));
    let sources = [client_id.as_ref().map(|id| &id.source), in_file.map(|secret| &secret.source), key_file.as_ref().map(|key| &key.source)];
    sources.into_iter().flatten().map(Source::rank).min()
}

/// Refuses a setting that the method does not use: it was given for another one. A variable may be set for other runs, and so may a
/// line of the profile, if the method is not the profile's.
fn check_method(settings: &Settings) -> Result<(), ConfigError> {
    let Settings { secret, method, key_file, key_id, key_alg, .. } = settings;
    let source = |given: &Option<Sourced<Secret>>| given.as_ref().map(|given| given.source.clone());
    let given = match method.value {
        AuthMethod::Basic | AuthMethod::Post => {
            [key_file.as_ref().map(|key| &key.source), key_id.as_ref().map(|id| &id.source), key_alg.as_ref().map(|alg| &alg.source)]
                .map(Option::<&Source>::cloned)
        }
        AuthMethod::PrivateKeyJwt => [source(secret), None, None],
    };
    for given in given.into_iter().flatten() {
        let is_meant = match &given {
            Source::Option(_) => true,
            Source::Profile { .. } => method.source.rank() >= given.rank(),
            Source::Variable(_) | Source::Default => false,
        };
        if is_meant {
            return Err(ConfigError::Unused { given, method: method.value.name() });
        }
        let by = if method.value == AuthMethod::PrivateKeyJwt { "key" } else { "secret" };
        tracing::info!("{given} is not used: the application authenticates by its {by}");
    }
    Ok(())
}

fn client_key(settings: &Settings, missing: &mut Vec<Missing>) -> Result<Option<ClientKey>, ConfigError> {
    let Some(file) = &settings.key_file else {
        missing.push(Missing::Key);
        return Ok(None);
    };
    let (pem, path) = (files::read_secret_bytes(CLIENT_KEY, file)?, file.value.clone());
    match SigningKey::from_pem(&pem, settings.key_alg.as_ref().map(|alg| alg.value)) {
        Ok(key) => Ok(Some(ClientKey { key, id: settings.key_id.as_ref().map(|id| id.value.clone()), path })),
        Err(fault) => Err(ConfigError::Key { path, fault }),
    }
}

/// Reads the public key with which the sandbox verifies assertions.
pub(crate) fn read_public_key(path: &Path) -> Result<PublicKey, ConfigError> {
    let pem = files::read_public(PUBLIC_KEY, &Sourced { value: path.to_owned(), source: Source::Option(PUBLIC_KEY_OPTION) })?;
    String::from_utf8_lossy(&pem).parse().map_err(|fault| ConfigError::Key { path: path.to_owned(), fault })
}

/// Reads a secret, and says where it is.
fn read_secret(what: &'static str, given: &Sourced<Secret>) -> Result<(SecretString, String), ConfigError> {
    let Sourced { value, source } = given;
    let (text, from) = match value {
        Secret::InFile(path) => {
            (files::read_secret(what, &Sourced { value: path.clone(), source: source.clone() })?.into(), shown(path).to_string())
        }
        Secret::InVariable(text) => (text.clone().unwrap_or_default(), source.to_string()),
    };
    let trimmed = text.expose_secret().trim();
    if trimmed.is_empty() || !trimmed.chars().all(|c| c.is_ascii_graphic()) {
        return Err(ConfigError::NotASecret { what, from });
    }
    Ok((trimmed.to_owned().into(), from))
}
