//! The settings of a connection as `doctor` shows them: each with its value and where it comes from. Of a secret, only where it is.

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::ConnectionArgs;
use crate::domain::{escaped, quote, shown};
use crate::pingone::BaseUrl;

use super::connection::{check_region, connection, variable};
use super::settings::{Layers, Secret, Settings};
use super::source::{Setting, Source, Sourced};
use super::{ConfigError, Connection, NamedProxy, proxy};

/// What is configured, as far as it can be told.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    /// The settings that are given or have a default; none if one of them cannot be read.
    pub(crate) settings: Vec<SettingLine>,
    pub(crate) connection: Result<Connection, ConfigError>,
}

/// A setting, its value, and where it comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SettingLine {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) source: String,
}

impl Diagnosis {
    pub(crate) fn of(options: &ConnectionArgs) -> Self {
        if options.sandbox {
            return Self { settings: Vec::new(), connection: Ok(Connection::Sandbox) };
        }
        let layers = match Layers::of(options, &variable) {
            Ok(layers) => layers,
            Err(error) => return Self { settings: Vec::new(), connection: Err(error) },
        };
        match layers.settings() {
            Ok(settings) => Self { settings: lines(&settings), connection: connection(&settings, layers.profile_name()) },
            Err(error) => Self { settings: Vec::new(), connection: Err(error) },
        }
    }
}

/// The proxy for this URL; `None` if it is reached directly.
pub(crate) fn proxy_of(base: &BaseUrl) -> Option<NamedProxy> {
    proxy::proxy_of(base, &variable)
}

fn lines(settings: &Settings) -> Vec<SettingLine> {
    Setting::ALL.into_iter().filter_map(|setting| line(setting, settings)).collect()
}

fn line(setting: Setting, settings: &Settings) -> Option<SettingLine> {
    let shown_as = |value: String, source: &Source| Some(SettingLine { name: setting.key(), value, source: source.described() });
    match setting {
        Setting::Environment => text(settings.environment.as_ref()),
        Setting::AuthEnvironment => text(settings.auth_environment.as_ref()),
        Setting::ClientId => settings.client_id.as_ref().map(|id| (escaped(&id.value), &id.source)),
        Setting::SecretFile => secret(settings.secret.as_ref()),
        Setting::AuthMethod => Some((settings.method.value.name().to_owned(), &settings.method.source)),
        Setting::KeyFile => path(settings.key_file.as_ref()),
        Setting::KeyId => settings.key_id.as_ref().map(|id| (quote(&id.value), &id.source)),
        Setting::KeyAlg => settings.key_alg.as_ref().map(|alg| (named(&alg.value), &alg.source)),
        Setting::TokenFile => secret(settings.token.as_ref()),
        Setting::Region => return region(settings),
        Setting::ApiUrl => text(settings.api.as_ref()),
        Setting::AuthUrl => text(settings.auth.as_ref()),
        Setting::CaCert => path(settings.ca.as_ref()),
    }
    .and_then(|(value, source)| shown_as(value, source))
}

/// The region. Where both URLs are given, they replace it, unless it is refused beside them.
fn region(Settings { region, api, auth, .. }: &Settings) -> Option<SettingLine> {
    let unused = match (api, auth) {
        (Some(_), Some(_)) if region.source == Source::Default => return None,
        (Some(api), Some(auth)) if check_region(region, api, auth).is_ok() => " (not used: the URLs replace it)",
        (Some(_), Some(_)) => " (the URLs are not its own)",
        (_, _) => "",
    };
    let source = region.source.described() + unused;
    Some(SettingLine { name: Setting::Region.key(), value: named(&region.value), source })
}

fn text<T: fmt::Display>(given: Option<&Sourced<T>>) -> Option<(String, &Source)> {
    given.map(|given| (escaped(&given.value.to_string()), &given.source))
}

fn path(given: Option<&Sourced<PathBuf>>) -> Option<(String, &Source)> {
    given.map(|given| (shown(&given.value).to_string(), &given.source))
}

fn secret(given: Option<&Sourced<Secret>>) -> Option<(String, &Source)> {
    given.map(|Sourced { value, source }| match value {
        Secret::InFile(path) => (shown(path).to_string(), source),
        Secret::InVariable(_) => ("given (not shown)".to_owned(), source),
    })
}

fn named(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
