//! Makes the connection of the settings: what must be given together, and which server is meant.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use crate::pingone::{BaseUrl, Endpoints, Region, TrustedCa, UrlPlaces};

use super::credentials::identity;
use super::error::{Missing, NotItsUrls};
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
        (Some(api), Some(auth)) => {
            check_pair(api, auth)?;
            check_region(region, api, auth)?;
        }
        (None, None) => {}
    }
    let (Some(environment), Some(identity), true) = (environment, identity, missing.is_empty()) else {
        return Err(ConfigError::Missing { missing, profile });
    };
    let (api, auth, urls) = if let (Some(api), Some(auth)) = (api, auth) {
        let urls = UrlPlaces { api: api.source.place().into(), auth: auth.source.place().into() };
        (api.value.clone(), auth.value.clone(), Some(urls))
    } else {
        (region.value.api_url(), region.value.auth_url(), None)
    };
    for base in [&api, &auth] {
        proxy::check_proxy(base, &variable)?;
    }
    let auth_environment = auth_environment.as_ref().unwrap_or(environment).value;
    let endpoints = Box::new(Endpoints { api, auth, environment: environment.value, auth_environment, urls });
    Ok(Connection::PingOne { endpoints, identity, ca })
}

/// Refuses a pair from two places, of which one was set for another host: credentials would go to both. A variable and a profile
/// are never mixed; an option may replace a URL of the same region, or of the same host and port.
fn check_pair(api: &Sourced<BaseUrl>, auth: &Sourced<BaseUrl>) -> Result<(), ConfigError> {
    let is_typed = [&api.source, &auth.source].iter().any(|source| matches!(source, Source::Option(_)));
    let are_of_one_place = api.source.rank() == auth.source.rank();
    let belong_together = api.value.place() == auth.value.place() || Region::of_hosts(&api.value, &auth.value).is_some();
    if are_of_one_place || (is_typed && belong_together) {
        return Ok(());
    }
    let hosts = [&api.value, &auth.value].map(BaseUrl::place);
    Err(ConfigError::SplitUrls { api: api.source.clone(), auth: auth.source.clone(), hosts: Box::new(hosts) })
}

/// Refuses URLs that are not those of the region, if that comes from a higher place: it is meant, and they would replace it.
pub(super) fn check_region(region: &Sourced<Region>, api: &Sourced<BaseUrl>, auth: &Sourced<BaseUrl>) -> Result<(), ConfigError> {
    let lowest = api.source.rank().max(auth.source.rank());
    if region.source.rank() >= lowest || Region::of_hosts(&api.value, &auth.value) == Some(region.value) {
        return Ok(());
    }
    let at = |url: &Sourced<BaseUrl>| Sourced { value: url.value.place(), source: url.source.clone() };
    Err(ConfigError::NotItsUrls(Box::new(NotItsUrls { region: region.clone(), api: at(api), auth: at(auth) })))
}

fn trusted(file: &Sourced<PathBuf>) -> Result<TrustedCa, ConfigError> {
    let pem = files::read_certificates(file)?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(TrustedCa(certificates)),
        Ok(_) | Err(_) => Err(ConfigError::NotACertificate(file.value.clone())),
    }
}
