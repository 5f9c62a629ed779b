//! Finds each setting of a connection: in the options, in the variables, or in the profile, in this order.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use secrecy::SecretString;

use crate::cli::ConnectionArgs;
use crate::domain::{ALWAYS_SHOWN, EnvironmentId, quote};
use crate::jwt::Algorithm;
use crate::pingone::{AuthMethod, BaseUrl, Region};

use super::ConfigError;
use super::profile::{Profile, Variables, is_blank};
use super::source::{ProfileName, Setting, Source, Sourced, TOP_LEVEL_DOMAIN};

/// Where a secret is.
#[derive(Debug, Clone)]
pub(super) enum Secret {
    InFile(PathBuf),
    /// The secret itself; `None` if it is not UTF-8.
    InVariable(Option<SecretString>),
}

/// The three places of settings.
pub(super) struct Layers<'a> {
    pub(super) options: &'a ConnectionArgs,
    pub(super) variable: Variables<'a>,
    pub(super) profile: Option<Profile>,
}

/// The settings, as far as they are given. What depends on more than one of them is not checked yet.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) environment: Option<Sourced<EnvironmentId>>,
    pub(super) auth_environment: Option<Sourced<EnvironmentId>>,
    pub(super) client_id: Option<Sourced<String>>,
    pub(super) secret: Option<Sourced<Secret>>,
    pub(super) method: Sourced<AuthMethod>,
    pub(super) key_file: Option<Sourced<PathBuf>>,
    pub(super) key_id: Option<Sourced<String>>,
    pub(super) key_alg: Option<Sourced<Algorithm>>,
    pub(super) token: Option<Sourced<Secret>>,
    pub(super) region: Sourced<Region>,
    pub(super) api: Option<Sourced<BaseUrl>>,
    pub(super) auth: Option<Sourced<BaseUrl>>,
    pub(super) ca: Option<Sourced<PathBuf>>,
}

impl<'a> Layers<'a> {
    /// Reads the profile, if one is chosen, and warns of what variables displace in it.
    pub(super) fn of(options: &'a ConnectionArgs, variable: Variables<'a>) -> Result<Self, ConfigError> {
        // A variable may choose a profile for other runs.
        let profile = if options.sandbox { None } else { Profile::chosen(options, variable)? };
        let layers = Self { options, variable, profile };
        layers.warn_of_displaced();
        Ok(layers)
    }

    pub(super) fn profile_name(&self) -> Option<Arc<ProfileName>> {
        self.profile.as_ref().map(|profile| Arc::clone(&profile.name))
    }

    pub(super) fn settings(&self) -> Result<Settings, ConfigError> {
        let options = self.options;
        let (id, text) =
            (|text: &str| text.parse().map_err(|error: crate::domain::NotAUuid| error.to_string()), |text: &str| Ok(text.to_owned()));
        let url = |setting, option: &Option<String>| {
            let given = self.find(setting, option.clone(), text)?;
            given.map(|given| given.read(|text| text.trim().parse::<BaseUrl>().map_err(|error| error.to_string()))).transpose()
        };
        let (api, auth) = (url(Setting::ApiUrl, &options.api_url)?, url(Setting::AuthUrl, &options.auth_url)?);
        // Of a region that is given above the URLs, it is checked whether they are its own.
        let is_above =
            |url: &Option<Sourced<BaseUrl>>| url.as_ref().is_none_or(|url| Source::Variable(TOP_LEVEL_DOMAIN).rank() < url.source.rank());
        let domain_counts = is_above(&api) || is_above(&auth);
        Ok(Settings {
            environment: self.find(Setting::Environment, options.environment_id, id)?,
            auth_environment: self.find(Setting::AuthEnvironment, options.auth_environment_id, id)?,
            client_id: self.find(Setting::ClientId, options.client_id.clone(), text)?,
            secret: self.secret(Setting::SecretFile),
            method: self.find(Setting::AuthMethod, options.auth_method, one_of)?.unwrap_or(default(AuthMethod::Basic)),
            key_file: self.path(Setting::KeyFile),
            key_id: self.find(Setting::KeyId, options.client_key_id.clone(), text)?,
            key_alg: self.find(Setting::KeyAlg, options.client_key_alg, one_of)?,
            token: self.secret(Setting::TokenFile),
            region: self.region(domain_counts)?.unwrap_or(default(Region::Na)),
            api,
            auth,
            ca: self.path(Setting::CaCert),
        })
    }

    /// The path of a file, if it is given.
    pub(super) fn path(&self, setting: Setting) -> Option<Sourced<PathBuf>> {
        self.typed_path(setting).or_else(|| self.below(setting).map(|given| given.map(PathBuf::from)))
    }

    /// Where a secret is, if it is given.
    pub(super) fn secret(&self, setting: Setting) -> Option<Sourced<Secret>> {
        if let Some(typed) = self.typed_path(setting) {
            return Some(typed.map(Secret::InFile));
        }
        self.below(setting).map(|Sourced { value, source }| {
            let value = match source {
                Source::Variable(_) => Secret::InVariable(value.into_string().ok().map(SecretString::from)),
                Source::Option(_) | Source::Profile { .. } | Source::Default => Secret::InFile(value.into()),
            };
            Sourced { value, source }
        })
    }

    fn typed_path(&self, setting: Setting) -> Option<Sourced<PathBuf>> {
        let ConnectionArgs { client_secret_file, client_key_file, access_token_file, ca_cert, .. } = self.options;
        let typed = match setting {
            Setting::SecretFile => client_secret_file,
            Setting::KeyFile => client_key_file,
            Setting::TokenFile => access_token_file,
            Setting::CaCert => ca_cert,
            Setting::Environment
            | Setting::AuthEnvironment
            | Setting::ClientId
            | Setting::AuthMethod
            | Setting::KeyId
            | Setting::KeyAlg
            | Setting::Region
            | Setting::ApiUrl
            | Setting::AuthUrl => &None,
        };
        typed.clone().map(|value| Sourced { value, source: Source::Option(setting.option()) })
    }

    /// A setting: the `option`, or what `read` makes of the text of a variable or the profile.
    fn find<T>(
        &self,
        setting: Setting,
        option: Option<T>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<Sourced<T>>, ConfigError> {
        if let Some(value) = option {
            return Ok(Some(Sourced { value, source: Source::Option(setting.option()) }));
        }
        self.below(setting).map(|given| given.read(utf8)?.read(|text| read(text.trim()))).transpose()
    }

    /// The region. A domain in its place that is none is refused only if it `counts`.
    fn region(&self, domain_counts: bool) -> Result<Option<Sourced<Region>>, ConfigError> {
        if self.options.region.is_none()
            && let Some(domain) = self.below(Setting::Region).filter(|given| given.source == Source::Variable(TOP_LEVEL_DOMAIN))
        {
            let region = domain.read(utf8).and_then(|domain| domain.read(|text| of_domain(text.trim())));
            return if domain_counts { region.map(Some) } else { Ok(region.ok()) };
        }
        self.find(Setting::Region, self.options.region, one_of)
    }

    /// What is given besides the options. A variable that is empty counts as not set.
    fn below(&self, setting: Setting) -> Option<Sourced<OsString>> {
        let set = |name: &'static str| (self.variable)(name).filter(|value| !is_blank(value)).map(|value| (name, value));
        if let Some((name, value)) = setting.variables().iter().find_map(|name| set(name)) {
            return Some(Sourced { value, source: Source::Variable(name) });
        }
        let profile = self.profile.as_ref()?;
        profile.get(setting).map(|value| Sourced { value: value.to_owned(), source: profile.source(setting) })
    }

    /// Warns of each variable that goes before what the profile says: it may have been set for another tenant. If credentials go
    /// elsewhere by it, `--quiet` does not hide that.
    fn warn_of_displaced(&self) {
        let Some(profile) = &self.profile else {
            return;
        };
        let (token, url) = (Setting::TokenFile, Setting::ApiUrl);
        let pairs = Setting::ALL.into_iter().map(|setting| (setting, setting)).chain([(token, Setting::ClientId), (url, Setting::Region)]);
        for (setting, displaced) in pairs {
            if self.is_typed(setting) || self.is_typed(displaced) {
                continue;
            }
            let Some(Sourced { value, source: Source::Variable(name) }) = self.below(setting) else {
                continue;
            };
            if profile.get(displaced).is_some_and(|other| setting != displaced || other != value) {
                let warning =
                    format!("{name} goes before `{}` of {}: unset it if it was set for something else", displaced.key(), profile.name);
                if displaced.names_a_host() {
                    tracing::warn!(target: ALWAYS_SHOWN, "{warning}");
                } else {
                    tracing::warn!("{warning}");
                }
            }
        }
    }

    fn is_typed(&self, setting: Setting) -> bool {
        let ConnectionArgs {
            environment_id,
            auth_environment_id,
            client_id,
            auth_method,
            client_key_id,
            client_key_alg,
            region,
            api_url,
            auth_url,
            ..
        } = self.options;
        match setting {
            Setting::Environment => environment_id.is_some(),
            Setting::AuthEnvironment => auth_environment_id.is_some(),
            Setting::ClientId => client_id.is_some(),
            Setting::AuthMethod => auth_method.is_some(),
            Setting::KeyId => client_key_id.is_some(),
            Setting::KeyAlg => client_key_alg.is_some(),
            Setting::Region => region.is_some(),
            Setting::ApiUrl => api_url.is_some(),
            Setting::AuthUrl => auth_url.is_some(),
            Setting::SecretFile | Setting::KeyFile | Setting::TokenFile | Setting::CaCert => self.typed_path(setting).is_some(),
        }
    }
}

fn default<T>(value: T) -> Sourced<T> {
    Sourced { value, source: Source::Default }
}

fn utf8(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|_| "this is not UTF-8".to_owned())
}

/// The value that is named so, in capitals or not.
fn one_of<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, true).map_err(|_| {
        let names = T::value_variants().iter().filter_map(ValueEnum::to_possible_value).map(|value| format!("`{}`", value.get_name()));
        format!("`{}` is none of its values: expected {}", quote(text), either(&names.collect::<Vec<_>>()))
    })
}

fn of_domain(domain: &str) -> Result<Region, String> {
    let expected = "expected `com`, `ca`, `eu`, `com.au`, `sg` or `asia`";
    Region::of_top_level_domain(domain).ok_or_else(|| format!("`{}` is not a domain of PingOne's: {expected}", quote(domain)))
}

/// `a, b or c`.
pub(super) fn either(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
