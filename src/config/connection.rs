//! Makes the connection of the settings: what must be given together, and which server is meant.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use crate::pingone::{Endpoints, TrustedCa};

use super::credentials::identity;
use super::error::Missing;
use super::settings::Settings;
use super::source::{ProfileName, Source, Sourced};
use super::{ConfigError, Connection, files, proxy};

/// An environment variable.
pub(super) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name)
}

/// The connection that the `settings` describe. Whatever is missing is named at once.
pub(super) fn connection(settings: &Settings, profile: Option<Arc<ProfileName>>) -> Result<Connection, ConfigError> {
    let Settings { environment, auth_environment, region, api, auth, ca, .. } = settings;
    let mut missing: Vec<Missing> = environment.is_none().then_some(Missing::Environment).into_iter().collect();
    let identity = identity(settings, &mut missing)?;
    let ca = ca.as_ref().map(trusted).transpose()?.unwrap_or_default();
    // With one of them, requests would go to the one place and the application's secret to another.
    match (api, auth) {
        (Some(_), None) => missing.push(Missing::AuthUrl),
        (None, Some(_)) => missing.push(Missing::ApiUrl),
        (Some(api), Some(auth)) => check_pair(&api.source, &auth.source)?,
        (None, None) => {}
    }
    let (Some(environment), Some(identity), true) = (environment, identity, missing.is_empty()) else {
        return Err(ConfigError::Missing { missing, profile });
    };
    let (api, auth) = if let (Some(api), Some(auth)) = (api, auth) {
        (api.value.clone(), auth.value.clone())
    } else {
        (region.value.api_url(), region.value.auth_url())
    };
    for base in [&api, &auth] {
        proxy::check_proxy(base, &variable)?;
    }
    let auth_environment = auth_environment.as_ref().unwrap_or(environment).value;
    let endpoints = Box::new(Endpoints { api, auth, environment: environment.value, auth_environment });
    Ok(Connection::PingOne { endpoints, identity, ca })
}

/// Refuses a pair of which a variable has one URL and the profile the other: they were set for two places. An option that is typed
/// may replace either.
fn check_pair(api: &Source, auth: &Source) -> Result<(), ConfigError> {
    match (api, auth) {
        (Source::Variable(_), Source::Profile { .. }) | (Source::Profile { .. }, Source::Variable(_)) => {
            Err(ConfigError::SplitUrls { api: api.clone(), auth: auth.clone() })
        }
        (Source::Option(_) | Source::Variable(_) | Source::Profile { .. } | Source::Default, _) => Ok(()),
    }
}

fn trusted(file: &Sourced<PathBuf>) -> Result<TrustedCa, ConfigError> {
    let pem = files::read_certificates(file)?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(TrustedCa(certificates)),
        Ok(_) | Err(_) => Err(ConfigError::NotACertificate(file.value.clone())),
    }
}
