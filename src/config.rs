//! Validates the options, environment variables and profile, once, and turns them into a run's configuration.

mod connection;
mod credentials;
mod diagnosis;
mod error;
mod files;
mod list;
mod profile;
mod proxy;
mod settings;
mod source;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::{AuditArgs, DirectoryArgs, EndArgs, GrantArgs, InputArgs, PaceArgs, RunArgs, SafetyArgs};
use crate::domain::{EnvironmentId, Lines, Operation, OutputDialect, Selection, Shard, quote};
use crate::input::{Dialect, Rules};
use crate::pace::{Pacer, Rate};
use crate::pingone::{AccessToken, Credentials, Endpoints, TrustedCa};
use crate::report::{Destination, OutputError, ReadFile, Replaced, ReportFiles, check_output_paths};
use chrono::{DateTime, Utc};

pub(crate) use self::credentials::read_public_key;
pub(crate) use self::diagnosis::{Diagnosis, SettingLine, proxy_of};
pub(crate) use self::error::ConfigError;
pub(crate) use self::list::ListConfig;
pub(crate) use self::proxy::NamedProxy;
pub(crate) use self::source::Source;

use self::connection::{connection, variable};
use self::settings::{Layers, Secret, Settings};
use self::source::Setting;

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
    /// The rows that this process carries out, if several share them.
    pub(crate) shard: Option<Shard>,
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
    /// Those to whom PingOne's device report gives a bypass.
    Reported,
}

impl Users {
    /// What an `operation` on them is called in metrics: a quick look is no audit of everybody.
    pub(crate) fn called(&self, operation: Operation) -> &'static str {
        match self {
            Self::Reported => "audit --reported",
            Self::File(_) | Self::Directory(_) => operation.name(),
        }
    }
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
    /// As in [`Users::called`].
    pub(crate) operation: &'static str,
    pub(crate) shard: Option<Shard>,
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
        let DirectoryArgs { all_users, reported, filter, population, group } = arguments.directory;
        let users = match Selection::of(filter, population, group) {
            _ if reported => Users::Reported,
            selection if all_users || !selection.is_of_all() => Users::Directory(selection),
            _ => file(&arguments.run).map_err(|_| ConfigError::NobodyToAudit)?,
        };
        let lines = arguments.only.unwrap_or(Lines::All);
        if lines != Lines::All && arguments.run.shard.is_some() {
            return Err(ConfigError::OnlyOfShard.into());
        }
        Ok(Self { lines, ..Self::of(Operation::Audit, users, arguments.run, None)? })
    }

    pub(crate) fn of_end(arguments: EndArgs) -> Result<Self, Refusal> {
        let end = if arguments.restore { Operation::Restore } else { Operation::End };
        Self::of(end(arguments.grace), file(&arguments.run)?, arguments.run, None)
    }

    fn of(operation: Operation, users: Users, arguments: RunArgs, until_column: Option<String>) -> Result<Self, Refusal> {
        let (output, shard) = (arguments.output, arguments.shard);
        if shard.is_some() && matches!(users, Users::Directory(_) | Users::Reported) {
            return Err(ConfigError::ShardOfDirectory.into());
        }
        let destination = destination(output.output.as_deref(), &users, shard)?;
        let layers = Layers::of(&arguments.connection, &variable)?;
        let settings = layers.settings();
        let files = read_files(&users, &layers);
        let files: Vec<ReadFile<'_>> = files.iter().map(|(what, path)| ReadFile { what, path }).collect();
        let metrics = check_output_paths(&destination, output.metrics_file.as_deref(), &files)?;
        // From here on, the metrics can tell of a refusal.
        let environment = settings.as_ref().ok().and_then(|settings| settings.environment.as_ref()).map(|given| given.value);
        let told = metrics
            .clone()
            .filter(|_| !arguments.safety.dry_run)
            .map(|place| Box::new(ToldIn { place, operation: users.called(operation), shard, environment }));
        let existing = match (output.resume, output.overwrite) {
            (true, _) => Existing::Resume,
            (false, true) => Existing::Overwrite,
            (false, false) => Existing::Keep,
        };
        if matches!(destination, Destination::StandardOutput) && existing == Existing::Resume {
            return Err(Refusal { why: OutputError::NoResume.into(), told });
        }
        let connection = connected(&layers, settings).map_err(|why| Refusal { why, told })?;
        let InputArgs { user_column, lookup_by, delimiter, no_headers, skip_invalid } = arguments.reading;
        let dialect = Dialect { user_column, lookup_by, until_column, delimiter, no_headers };
        Ok(Self {
            operation,
            users,
            until: None,
            dialect,
            skip_invalid,
            shard,
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

    /// The pace of this process's requests.
    pub(crate) fn pacer(&self) -> Pacer {
        Pacer::new(self.own_rate()).shared_by(self.shard.unwrap_or_default().processes())
    }

    /// The most requests that this process may send a second.
    pub(crate) fn own_rate(&self) -> Rate {
        self.pace.rate.shared_by(self.shard.unwrap_or_default().processes())
    }

    /// The rules that decide whether a row is valid, in a run that started at `start`.
    pub(crate) fn rules(&self, start: DateTime<Utc>) -> Result<Rules, ConfigError> {
        let rules =
            Rules { operation: self.operation, start, until: None, max_window: self.max_window, shard: self.shard.unwrap_or_default() };
        let until = self.until.as_deref().map(|text| rules.read_until(text)).transpose();
        let until = until.map_err(|error| ConfigError::Until(error.to_string()))?;
        Ok(Rules { until, ..rules })
    }
}

/// The connection that is meant; the sandbox inside this process needs no settings.
fn connected(layers: &Layers<'_>, settings: Result<Settings, ConfigError>) -> Result<Connection, ConfigError> {
    if layers.options.sandbox { Ok(Connection::Sandbox) } else { connection(&settings?, layers.profile_name()) }
}

/// The files that a run reads, and so must not overwrite.
fn read_files(users: &Users, layers: &Layers<'_>) -> Vec<(&'static str, PathBuf)> {
    let input = match users {
        Users::File(path) => Some(path.clone()),
        Users::Directory(_) | Users::Reported => None,
    };
    let secret = |setting| match layers.secret(setting).map(|given| given.value) {
        Some(Secret::InFile(path)) => Some(path),
        Some(Secret::InVariable(_)) | None => None,
    };
    let path = |setting| layers.path(setting).map(|given| given.value);
    let all = [
        ("the input", input),
        ("the client secret", secret(Setting::SecretFile)),
        ("the client key", path(Setting::KeyFile)),
        ("the access token", secret(Setting::TokenFile)),
        ("the certificate authority", path(Setting::CaCert)),
        ("the configuration file", layers.profile.as_ref().map(|profile| profile.name.path.clone())),
    ];
    all.into_iter().filter_map(|(what, path)| path.map(|path| (what, path))).collect()
}

fn file(arguments: &RunArgs) -> Result<Users, ConfigError> {
    arguments.input.clone().map(Users::File).ok_or(ConfigError::NoInput)
}

fn destination(output: Option<&Path>, users: &Users, shard: Option<Shard>) -> Result<Destination, OutputError> {
    match output {
        Some(path) if path.as_os_str() == "-" => Ok(Destination::StandardOutput),
        Some(path) => ReportFiles::beside(path).map(|files| Destination::Files(Box::new(files))),
        None => {
            let mut name = match users {
                Users::Directory(_) => "users".into(),
                Users::Reported => "reported".into(),
                Users::File(input) if input.as_os_str() == "-" => "stdin".into(),
                Users::File(input) => input.file_stem().unwrap_or_default().to_owned(),
            };
            if let Some(shard) = shard {
                name.push(format!(".{}-of-{}", shard.index(), shard.count()));
            }
            name.push(".report.csv");
            ReportFiles::beside(Path::new(&name)).map(|files| Destination::Files(Box::new(files)))
        }
    }
}
