//! Validates the options and environment variables, once, and turns them into a run's configuration.

mod credentials;
mod error;
mod files;
mod proxy;

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::{AuditArgs, ConnectionArgs, DirectoryArgs, EndArgs, GrantArgs, InputArgs, PaceArgs, RunArgs, SafetyArgs};
use crate::domain::{EnvironmentId, Lines, Operation, OutputDialect, Selection, quote};
use crate::input::{Dialect, Rules};
use crate::pingone::{AccessToken, BaseUrl, Credentials, Endpoints, NotABaseUrl, Region, TrustedCa};
use crate::report::{Destination, OutputError, ReadFile, Replaced, ReportFiles, check_output_paths};
use chrono::{DateTime, Utc};

pub(crate) use self::error::{ConfigError, Missing};

pub(crate) use self::credentials::read_public_key;

use self::credentials::{identity, variable};

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
    /// How the report is written.
    pub(crate) output_dialect: OutputDialect,
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

/// A configuration that is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) why: ConfigError,
    /// `None` if there is no metrics file, or before its path is found to be safe.
    pub(crate) told: Option<Box<ToldIn>>,
}

/// The metrics file that tells of a refused configuration, and what it says of it.
#[derive(Debug)]
pub(crate) struct ToldIn {
    pub(crate) place: Replaced,
    pub(crate) operation: Operation,
    pub(crate) environment: Option<EnvironmentId>,
}

impl<E: Into<ConfigError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self { why: error.into(), told: None }
    }
}

impl RunConfig {
    pub(crate) fn of_grant(arguments: GrantArgs) -> Result<Self, Refusal> {
        let until = arguments.until.map(|text| text.trim().to_owned());
        let users = file(&arguments.run)?;
        let operation = if arguments.look_first { Operation::LookAndGrant } else { Operation::Grant };
        let config = Self::of(operation, users, arguments.run, arguments.until_column)?;
        Ok(Self { until, max_window: Some(arguments.max_window), trust_clock: arguments.trust_clock, ..config })
    }

    pub(crate) fn of_audit(arguments: AuditArgs) -> Result<Self, Refusal> {
        let DirectoryArgs { all_users, filter, population, group } = arguments.directory;
        let users = match Selection::of(filter, population, group) {
            selection if all_users || !selection.is_of_all() => Users::Directory(selection),
            _ => file(&arguments.run).map_err(|_| ConfigError::NobodyToAudit)?,
        };
        let lines = arguments.only.unwrap_or(Lines::All);
        Ok(Self { lines, ..Self::of(Operation::Audit, users, arguments.run, None)? })
    }

    pub(crate) fn of_end(arguments: EndArgs) -> Result<Self, Refusal> {
        let end = if arguments.restore { Operation::Restore } else { Operation::End };
        Self::of(end(arguments.grace), file(&arguments.run)?, arguments.run, None)
    }

    fn of(operation: Operation, users: Users, arguments: RunArgs, until_column: Option<String>) -> Result<Self, Refusal> {
        let output = arguments.output;
        let destination = destination(output.output.as_deref(), &users)?;
        let metrics = check_output_paths(&destination, output.metrics_file.as_deref(), &read_files(&users, &arguments.connection))?;
        // From here on, the metrics can tell of a refusal.
        let environment = arguments.connection.environment_id;
        let told = metrics.clone().filter(|_| !arguments.safety.dry_run).map(|place| Box::new(ToldIn { place, operation, environment }));
        let existing = match (output.resume, output.overwrite) {
            (true, _) => Existing::Resume,
            (false, true) => Existing::Overwrite,
            (false, false) => Existing::Keep,
        };
        if matches!(destination, Destination::StandardOutput) && existing == Existing::Resume {
            return Err(Refusal { why: OutputError::NoResume.into(), told });
        }
        let connection = connection(&arguments.connection).map_err(|why| Refusal { why, told })?;
        let InputArgs { user_column, lookup_by, delimiter, no_headers, skip_invalid } = arguments.reading;
        let dialect = Dialect { user_column, lookup_by, until_column, delimiter, no_headers };
        Ok(Self {
            operation,
            users,
            until: None,
            dialect,
            skip_invalid,
            connection,
            pace: arguments.pace,
            max_window: None,
            trust_clock: false,
            safety: arguments.safety,
            destination,
            lines: Lines::All,
            output_dialect: output.output_dialect,
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

/// The files that a run reads, and so must not overwrite.
fn read_files<'a>(users: &'a Users, connection: &'a ConnectionArgs) -> Vec<ReadFile<'a>> {
    let input = match users {
        Users::File(path) => Some(path),
        Users::Directory(_) => None,
    };
    let ConnectionArgs { client_secret_file, key, access_token_file, ca_cert, .. } = connection;
    let all = [
        ("the input", input),
        ("the client secret", client_secret_file.as_ref()),
        ("the client key", key.client_key_file.as_ref()),
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
        Some(path) => ReportFiles::beside(path).map(|files| Destination::Files(Box::new(files))),
        None => {
            let mut name = match users {
                Users::Directory(_) => "users".into(),
                Users::File(input) if input.as_os_str() == "-" => "stdin".into(),
                Users::File(input) => input.file_stem().unwrap_or_default().to_owned(),
            };
            name.push(".report.csv");
            ReportFiles::beside(Path::new(&name)).map(|files| Destination::Files(Box::new(files)))
        }
    }
}

fn connection(arguments: &ConnectionArgs) -> Result<Connection, ConfigError> {
    if arguments.sandbox {
        return Ok(Connection::Sandbox);
    }
    let mut missing: Vec<Missing> = arguments.environment_id.is_none().then_some(Missing::Environment).into_iter().collect();
    let environment = arguments.environment_id;
    let identity = identity(arguments, &mut missing)?;
    let ca = arguments.ca_cert.as_deref().map(trusted).transpose()?.unwrap_or_default();
    let api = base_url(arguments.api_url_from, arguments.api_url.as_deref())?;
    let auth = base_url(arguments.auth_url_from, arguments.auth_url.as_deref())?;
    // With one of them, requests would go to the one place and the application's secret to another.
    match (&api, &auth) {
        (Some(_), None) => missing.push(Missing::AuthUrl),
        (None, Some(_)) => missing.push(Missing::ApiUrl),
        (Some(_), Some(_)) | (None, None) => {}
    }
    let (Some(environment), Some(identity), true) = (environment, identity, missing.is_empty()) else {
        return Err(ConfigError::Missing(missing));
    };
    let (api, auth) = if let (Some(api), Some(auth)) = (api, auth) {
        (api, auth)
    } else {
        let region = region(arguments.region, variable("PINGONE_TOP_LEVEL_DOMAIN"))?;
        (region.api_url(), region.auth_url())
    };
    for base in [&api, &auth] {
        proxy::check_proxy(base, &|name| env::var_os(name))?;
    }
    let auth_environment = arguments.auth_environment_id.unwrap_or(environment);
    let endpoints = Box::new(Endpoints { api, auth, environment, auth_environment });
    Ok(Connection::PingOne { endpoints, identity, ca })
}

fn base_url(from: &'static str, text: Option<&str>) -> Result<Option<BaseUrl>, ConfigError> {
    let read = text.map(|text| text.trim().parse()).transpose();
    read.map_err(|error: NotABaseUrl| ConfigError::Url { from, why: error.to_string() })
}

/// The region that was named, or else that of the domain.
fn region(region: Option<Region>, domain: Option<String>) -> Result<Region, ConfigError> {
    match (region, domain) {
        (Some(region), _) => Ok(region),
        (None, Some(domain)) => Region::of_top_level_domain(&domain).ok_or(ConfigError::NoSuchDomain(domain)),
        (None, None) => Ok(Region::Na),
    }
}

fn trusted(path: &Path) -> Result<TrustedCa, ConfigError> {
    let pem = files::read_certificates(path)?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(TrustedCa(certificates)),
        Ok(_) | Err(_) => Err(ConfigError::NotACertificate(path.to_owned())),
    }
}
