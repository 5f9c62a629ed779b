//! Reads a profile: a table of the configuration file with the settings of one connection. It holds paths of secrets, never a
//! secret, and no message shows a value whose key is not known.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use crate::cli::ConnectionArgs;
use crate::domain::quote;

use super::error::ProfileFault;
use super::source::{ProfileName, Setting, Source, Sourced};
use super::{ConfigError, files};

/// The variable that chooses a profile.
pub(crate) const PROFILE_VARIABLE: &str = "PINGONE_BYPASS_PROFILE";
const PROFILE_OPTION: &str = "--profile";
const CONFIG_OPTION: &str = "--config";
/// The folder of configuration files, and where it is in the home folder otherwise. Source: XDG Base Directory Specification.
const CONFIG_HOME: &str = "XDG_CONFIG_HOME";
const HOME: &str = "HOME";
/// The file's place in that folder.
const FILE: &str = "pingone-bypass/config.toml";

/// What the names of secrets have in them, without `-` and `_`.
const SECRET_WORDS: [&str; 4] = ["secret", "token", "password", "key"];

/// Looks an environment variable up.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The settings of a profile, as they stand there. Paths are absolute, or relative to the folder that the program runs in.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) name: Arc<ProfileName>,
    values: Vec<(Setting, OsString)>,
}

impl Profile {
    /// The profile that was chosen, if any. Without one, no file is read.
    pub(super) fn chosen(arguments: &ConnectionArgs, variable: Variables<'_>) -> Result<Option<Self>, ConfigError> {
        let of_variable = || variable(PROFILE_VARIABLE).filter(|name| !is_blank(name)).map(|name| name.to_string_lossy().into_owned());
        let (name, from) = match (&arguments.profile, of_variable()) {
            (Some(name), _) => (name.clone(), PROFILE_OPTION),
            (None, Some(name)) => (name.trim().to_owned(), PROFILE_VARIABLE),
            (None, None) if arguments.config.is_some() => return Err(ConfigError::NoProfileChosen),
            (None, None) => return Ok(None),
        };
        let file = match &arguments.config {
            Some(path) => Sourced { value: path.clone(), source: Source::Option(CONFIG_OPTION) },
            None => usual_path(variable).ok_or(ConfigError::NoConfigFolder { from })?,
        };
        let text = files::read_config(&file)?;
        let name = Arc::new(ProfileName { name, path: file.value });
        let home = variable(HOME).map(PathBuf::from);
        read(&text, &name, from, home.as_deref()).map(|values| Some(Self { name, values }))
    }

    pub(super) fn get(&self, setting: Setting) -> Option<&OsStr> {
        self.values.iter().find(|(of, _)| *of == setting).map(|(_, value)| value.as_os_str())
    }

    pub(super) fn source(&self, setting: Setting) -> Source {
        Source::Profile { profile: Arc::clone(&self.name), key: setting.key() }
    }
}

pub(super) fn is_blank(value: &OsStr) -> bool {
    value.to_string_lossy().trim().is_empty()
}

/// Where the file is if no option says so; `None` without a home folder.
fn usual_path(variable: Variables<'_>) -> Option<Sourced<PathBuf>> {
    // A relative path is to be ignored, by the specification.
    let folder = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = folder(CONFIG_HOME).or_else(|| folder(HOME).map(|home| home.join(".config")))?;
    Some(Sourced { value: folder.join(FILE), source: Source::Default })
}

/// The values of the profile `name` in the file's `text`. The whole file is searched for secrets, since all of it lies open.
fn read(text: &str, name: &ProfileName, from: &'static str, home: Option<&Path>) -> Result<Vec<(Setting, OsString)>, ConfigError> {
    let path = || name.path.clone();
    let document = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        ConfigError::NotToml { path: path(), line: line.unwrap_or(1), why: error.message().to_owned() }
    })?;
    if let Some((table, key)) = secret_in(document.get_ref(), &mut Vec::new()) {
        let table = (!table.is_empty()).then_some(table);
        return Err(ConfigError::Profile { path: path(), table, key, fault: ProfileFault::Secret });
    }
    let mut chosen = None;
    let mut names = Vec::new();
    for (table, value) in document.get_ref() {
        let (table, fault) =
            (table.get_ref(), |key: &str, fault| ConfigError::Profile { path: path(), table: None, key: key.to_owned(), fault });
        let DeValue::Table(values) = value.get_ref() else {
            return Err(fault(table, ProfileFault::OutsideTable));
        };
        names.push(table.to_string());
        chosen = chosen.or_else(|| (**table == *name.name).then_some(values));
    }
    let Some(values) = chosen else {
        return Err(ConfigError::NoSuchProfile { from, name: name.name.clone(), path: path(), there: names });
    };
    let read = |(key, value): (_, &toml::Spanned<DeValue<'_>>)| {
        let key: &toml::Spanned<std::borrow::Cow<'_, str>> = key;
        let key = key.get_ref();
        let read = setting(key, value.get_ref(), &name.path, home);
        read.map_err(|fault| ConfigError::Profile { path: path(), table: Some(name.name.clone()), key: key.to_string(), fault })
    };
    values.iter().map(read).collect()
}

/// The first key of a secret in `values` or below, and the tables that it stands in, beginning with those in `outer`. A table of
/// the file's first level has a profile's name, which may be any.
fn secret_in<'a>(values: &'a DeTable<'_>, outer: &mut Vec<&'a str>) -> Option<(String, String)> {
    values.iter().find_map(|(key, value)| {
        let (key, value): (&'a str, _) = (key.get_ref(), value.get_ref());
        let is_profile = outer.is_empty() && matches!(value, DeValue::Table(_));
        if !is_profile && is_of_a_secret(key) {
            return Some((outer.join("."), key.to_owned()));
        }
        outer.push(key);
        let found = secret_below(value, outer);
        outer.pop();
        found
    })
}

/// The same in a value: a table, or an array with tables in it.
fn secret_below<'a>(value: &'a DeValue<'_>, outer: &mut Vec<&'a str>) -> Option<(String, String)> {
    match value {
        DeValue::Table(values) => secret_in(values, outer),
        DeValue::Array(items) => items.iter().find_map(|item| secret_below(item.get_ref(), outer)),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => None,
    }
}

/// Whether a key that is no setting has the name of a secret, so that its value might be one.
fn is_of_a_secret(key: &str) -> bool {
    let plain = key.to_lowercase().replace(['-', '_'], "");
    Setting::of_key(key).is_none() && SECRET_WORDS.iter().any(|word| plain.contains(word))
}

fn setting(key: &str, value: &DeValue<'_>, file: &Path, home: Option<&Path>) -> Result<(Setting, OsString), ProfileFault> {
    let setting = Setting::of_key(key).ok_or(ProfileFault::Unknown)?;
    let DeValue::String(text) = value else {
        return Err(ProfileFault::NotText { kind: value.type_str() });
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(ProfileFault::Empty);
    }
    let value = if setting.is_path() { absolute(text, file, home)?.into_os_string() } else { text.into() };
    Ok((setting, value))
}

/// The path that `text` names in the `file`: below its folder, unless it is absolute or begins with `~/`.
fn absolute(text: &str, file: &Path, home: Option<&Path>) -> Result<PathBuf, ProfileFault> {
    match text.strip_prefix("~/") {
        Some(rest) => home.filter(|home| home.is_absolute()).map(|home| home.join(rest)).ok_or(ProfileFault::NoHome { path: quote(text) }),
        None => Ok(file.parent().unwrap_or(Path::new("")).join(text)),
    }
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;
