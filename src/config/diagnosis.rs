//! The settings of a connection as `doctor` shows them: each with its value and where it comes from. Of a secret, only where it is.

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::ConnectionArgs;
use crate::domain::{escaped, quote, shown};
use crate::pingone::BaseUrl;

use super::connection::{connection, variable};
use super::settings::{Layers, Secret, Settings};
use super::source::{Setting, Source, Sourced};
use super::{ConfigError, Connection, proxy};

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

/// The variable that names the proxy for this URL, and the proxy's host; `None` if it is reached directly.
pub(crate) fn proxy_of(base: &BaseUrl) -> Option<(&'static str, String)> {
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
        // The URLs stand for it where they are given.
        Setting::Region if settings.api.is_some() && settings.auth.is_some() => None,
        Setting::Region => Some((named(&settings.region.value), &settings.region.source)),
        Setting::ApiUrl => text(settings.api.as_ref()),
        Setting::AuthUrl => text(settings.auth.as_ref()),
        Setting::CaCert => path(settings.ca.as_ref()),
    }
    .and_then(|(value, source)| shown_as(value, source))
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
