//! Validates the options and environment variables, once, and turns them into a run's configuration.

mod error;
mod files;
mod proxy;

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::cli::{AuditArgs, ConnectionArgs, DirectoryArgs, EndArgs, GrantArgs, PaceArgs, RunArgs, SafetyArgs};
use crate::domain::{Lines, Operation, Selection, quote, shown};
use crate::input::{Dialect, Rules};
use crate::pingone::{AccessToken, BaseUrl, Credentials, Endpoints, NotABaseUrl, Region, TrustedCa};
use crate::report::{Destination, OutputError, ReadFile, Replaced, ReportFiles, check_output_paths};

pub use self::error::ConfigError;

/// The server that the run sends its requests to.
#[derive(Debug)]
pub(crate) enum Connection {
    /// A sandbox inside this process.
    Sandbox,
    PingOne {
        endpoints: Box<Endpoints>,
        identity: Identity,
        ca: TrustedCa,
    },
}

/// The credentials that the run uses.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    Worker(Credentials),
    Ready(Arc<AccessToken>),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(credentials) => write!(f, "client {}", quote(&credentials.client_id)),
            Self::Ready(_) => f.write_str("whoever the access token is of"),
        }
    }
}

/// The configuration of a run.
#[derive(Debug)]
pub(crate) struct RunConfig {
    pub(crate) operation: Operation,
    pub(crate) users: Users,
    /// The end date of rows that have none of their own, as typed: a span counts from the start of the run, which is an earlier
    /// one if the run is resumed.
    pub(crate) until: Option<String>,
    pub(crate) dialect: Dialect,
    pub(crate) skip_invalid: bool,
    pub(crate) connection: Connection,
    pub(crate) pace: PaceArgs,
    /// No end date may be further ahead than this.
    pub(crate) max_window: Option<Duration>,
    /// Whether dates are relative to the local clock even if it differs from PingOne's.
    pub(crate) trust_clock: bool,
    pub(crate) safety: SafetyArgs,
    pub(crate) destination: Destination,
    /// Which lines the report has.
    pub(crate) lines: Lines,
    pub(crate) existing: Existing,
    /// The metrics file, if one is to be written.
    pub(crate) metrics: Option<Replaced>,
}

/// The users that a run is about.
#[derive(Debug)]
pub(crate) enum Users {
    /// Those in a CSV file; `-` is standard input.
    File(PathBuf),
    /// Those selected from the directory.
    Directory(Selection),
}

/// What to do with an existing report or journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Leave it as it is.
    Keep,
    /// Replace it.
    Overwrite,
    /// Resume its run.
    Resume,
}

/// An error in the configuration or the output files, found before the input is read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl RunConfig {
    pub(crate) fn of_grant(arguments: GrantArgs) -> Result<Self, Refused> {
        let until = arguments.until.map(|text| text.trim().to_owned());
        let users = file(&arguments.run)?;
        let operation = if arguments.look_first { Operation::LookAndGrant } else { Operation::Grant };
        let config = Self::of(operation, users, arguments.run, arguments.until_column)?;
        Ok(Self { until, max_window: Some(arguments.max_window), trust_clock: arguments.trust_clock, ..config })
    }

    pub(crate) fn of_audit(arguments: AuditArgs) -> Result<Self, Refused> {
        let DirectoryArgs { all_users, filter, population, group } = arguments.directory;
        let users = match Selection::of(filter, population, group) {
            selection if all_users || !selection.is_of_all() => Users::Directory(selection),
            _ => file(&arguments.run).map_err(|_| ConfigError::NobodyToAudit)?,
        };
        let lines = arguments.only.unwrap_or(Lines::All);
        Ok(Self { lines, ..Self::of(Operation::Audit, users, arguments.run, None)? })
    }

    pub(crate) fn of_end(arguments: EndArgs) -> Result<Self, Refused> {
        let end = if arguments.restore { Operation::Restore } else { Operation::End };
        Self::of(end(arguments.grace), file(&arguments.run)?, arguments.run, None)
    }

    fn of(operation: Operation, users: Users, arguments: RunArgs, until_column: Option<String>) -> Result<Self, Refused> {
        let connection = connection(&arguments.connection)?;
        let output = arguments.output;
        let destination = destination(output.output.as_deref(), &users)?;
        let existing = match (output.resume, output.overwrite) {
            (true, _) => Existing::Resume,
            (false, true) => Existing::Overwrite,
            (false, false) => Existing::Keep,
        };
        if matches!(destination, Destination::StandardOutput) && existing == Existing::Resume {
            return Err(OutputError::NoResume.into());
        }
        let metrics = check_output_paths(&destination, output.metrics_file.as_deref(), &read_files(&users, &arguments.connection))?;
        let reading = arguments.reading;
        let dialect =
            Dialect { user_column: reading.user_column, until_column, delimiter: reading.delimiter, no_headers: reading.no_headers };
        Ok(Self {
            operation,
            users,
            until: None,
            dialect,
            skip_invalid: reading.skip_invalid,
            connection,
            pace: arguments.pace,
            max_window: None,
            trust_clock: false,
            safety: arguments.safety,
            destination,
            lines: Lines::All,
            existing,
            metrics,
        })
    }

    /// The rules that decide whether a row is valid, in a run that started at `start`.
    pub(crate) fn rules(&self, start: DateTime<Utc>) -> Result<Rules, ConfigError> {
        let rules = Rules { operation: self.operation, start, until: None, max_window: self.max_window };
        let until = self.until.as_deref().map(|text| rules.read_until(text)).transpose();
        let until = until.map_err(|error| ConfigError::Until(error.to_string()))?;
        Ok(Rules { until, ..rules })
    }
}

/// The stem of the report's name when the directory is audited.
const USERS: &str = "users";

/// The files that a run reads, and so must not overwrite.
fn read_files<'a>(users: &'a Users, connection: &'a ConnectionArgs) -> Vec<ReadFile<'a>> {
    let input = match users {
        Users::File(path) => Some(path),
        Users::Directory(_) => None,
    };
    let ConnectionArgs { client_secret_file, access_token_file, ca_cert, .. } = connection;
    let all = [
        ("the input", input),
        ("the client secret", client_secret_file.as_ref()),
        ("the access token", access_token_file.as_ref()),
        ("the certificate authority", ca_cert.as_ref()),
    ];
    all.into_iter().filter_map(|(what, path)| path.map(|path| ReadFile { what, path })).collect()
}

fn file(arguments: &RunArgs) -> Result<Users, ConfigError> {
    arguments.input.clone().map(Users::File).ok_or(ConfigError::NoInput)
}

fn destination(output: Option<&Path>, users: &Users) -> Result<Destination, OutputError> {
    match output {
        Some(path) if path.as_os_str() == "-" => Ok(Destination::StandardOutput),
        Some(path) => ReportFiles::beside(path).map(Destination::Files),
        None => {
            let mut name = match users {
                Users::Directory(_) => USERS.into(),
                Users::File(input) if input.as_os_str() == "-" => "stdin".into(),
                Users::File(input) => input.file_stem().unwrap_or_default().to_owned(),
            };
            name.push(".report.csv");
            ReportFiles::beside(Path::new(&name)).map(Destination::Files)
        }
    }
}

fn connection(arguments: &ConnectionArgs) -> Result<Connection, ConfigError> {
    if arguments.sandbox {
        return Ok(Connection::Sandbox);
    }
    let environment = arguments.environment_id.ok_or(ConfigError::NoEnvironment)?;
    let identity = identity(arguments)?;
    let ca = arguments.ca_cert.as_deref().map(trusted).transpose()?.unwrap_or_default();
    let api = base_url("--api-url", arguments.api_url.as_deref())?;
    let auth = base_url("--auth-url", arguments.auth_url.as_deref())?;
    let (api, auth) = match (api, auth) {
        (Some(api), Some(auth)) => (api, auth),
        (api, auth) => {
            let region = region(arguments.region, variable("PINGONE_TOP_LEVEL_DOMAIN"))?;
            (api.unwrap_or_else(|| region.api_url()), auth.unwrap_or_else(|| region.auth_url()))
        }
    };
    for base in [&api, &auth] {
        proxy::check_proxy(base, &|name| env::var_os(name))?;
    }
    let auth_environment = arguments.auth_environment_id.unwrap_or(environment);
    let endpoints = Box::new(Endpoints { api, auth, environment, auth_environment });
    Ok(Connection::PingOne { endpoints, identity, ca })
}

fn base_url(option: &'static str, text: Option<&str>) -> Result<Option<BaseUrl>, ConfigError> {
    let read = text.map(|text| text.trim().parse()).transpose();
    read.map_err(|error: NotABaseUrl| ConfigError::Url { option, why: error.to_string() })
}

/// The region that was named, or else that of the domain.
fn region(region: Option<Region>, domain: Option<String>) -> Result<Region, ConfigError> {
    match (region, domain) {
        (Some(region), _) => Ok(region),
        (None, Some(domain)) => Region::of_top_level_domain(&domain).ok_or(ConfigError::NoSuchDomain(domain)),
        (None, None) => Ok(Region::Na),
    }
}

/// A ready token, if there is one, or else the worker application.
fn identity(arguments: &ConnectionArgs) -> Result<Identity, ConfigError> {
    let named = "PINGONE_API_ACCESS_TOKEN";
    let token_counts = arguments.access_token_file.is_some() || !arguments.application_typed;
    if token_counts && let Some(token) = secret("access token", arguments.access_token_file.as_deref(), named)? {
        let from = arguments.access_token_file.as_ref().map_or_else(|| named.to_owned(), |path| shown(path).to_string());
        let token = AccessToken::new(&token, 1, None).map_err(|_| ConfigError::NotASecret { what: "access token", from })?;
        return Ok(Identity::Ready(Arc::new(token)));
    }
    let client_id = arguments.client_id.clone().filter(|id| !id.is_empty()).ok_or(ConfigError::NoCredentials)?;
    let client_secret =
        secret("client secret", arguments.client_secret_file.as_deref(), "PINGONE_CLIENT_SECRET")?.ok_or(ConfigError::NoSecret)?;
    Ok(Identity::Worker(Credentials { client_id, client_secret, method: arguments.auth_method }))
}

/// The secret from the file at `path`, or else from the environment variable `name`.
fn secret(what: &'static str, path: Option<&Path>, name: &str) -> Result<Option<SecretString>, ConfigError> {
    let (text, from) = match path {
        Some(path) => (Some(files::read_secret(what, path)?), shown(path).to_string()),
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
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn trusted(path: &Path) -> Result<TrustedCa, ConfigError> {
    let pem = files::read_certificates(path)?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(TrustedCa(certificates)),
        Ok(_) | Err(_) => Err(ConfigError::NotACertificate(path.to_owned())),
    }
}
