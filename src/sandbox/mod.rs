//! A local stand-in for PingOne, for rehearsals and tests.
//!
//! It serves the token endpoint, the environment, the user list, the device report and `bypassMFA` as PingOne documents them, and is as
//! strict about requests. It listens on loopback only.
//!
//! ```text
//! serve (hyper) ── Request ──▶ Machine (pure: the clock is an argument) ── Answer ──▶ serve
//!                                ├─ Faults    which request meets which fault, by the seed alone
//!                                ├─ Directory users and their bypasses
//!                                └─ Application and its tokens, the rate limit
//! ```

mod assertions;
mod device_report;
mod directory;
mod faults;
mod filter;
mod limit;
mod log;
mod machine;
mod message;
mod others;
mod serve;
mod tokens;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use chrono::Utc;
use clap::builder::TypedValueParser;
use clap::{Args, FromArgMatches};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::domain::{BypassUntil, EnvironmentId, UserId, positive_span};
use crate::jwt::PublicKey;

pub use self::device_report::{ReportConfig, ReportDates, ReportFault};
pub use self::faults::Faults;
pub use self::limit::{LimitKind, LimitWindow, RateLimit, RetryAfterForm};
pub use self::log::LoggedCall;
pub use self::others::Share;

use self::directory::one_of;
use self::machine::Machine;

/// A user with given names, which other users may have too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedUser {
    /// The username.
    pub username: String,
    /// The email.
    pub email: String,
    /// The external ID.
    pub external_id: String,
}

/// How the sandbox behaves. What clap does not skip is an option of `sandbox`.
#[derive(Debug, Clone, Args)]
pub struct SandboxConfig {
    /// Where it listens: a loopback address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8089")]
    pub listen: SocketAddr,
    /// How many users there are, and no others [default: 1000, and whoever else is asked for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    pub users: Option<u64>,
    /// How many users have a bypass from the start [default: one in ten]
    #[arg(long, value_name = "N")]
    pub bypasses: Option<u64>,
    /// Refuse filters of the user list that have an `or`
    #[arg(long)]
    pub no_or: bool,
    /// The most API requests of a window; more are answered 429. Changes after so many seconds: `100,40@10,100@20`
    #[arg(long, value_name = "N")]
    pub rate_limit: Option<RateLimit>,
    /// How they are counted: in the last window, since the last full one, or by a bucket of tokens
    #[arg(long, value_name = "KIND", default_value = "sliding")]
    pub limit_kind: LimitKind,
    /// The window that they are counted in: a second or a minute
    #[arg(long, value_name = "WINDOW", default_value = "1s", requires = "rate_limit")]
    pub limit_window: LimitWindow,
    /// The most that a bucket holds [default: a window's worth]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "rate_limit")]
    pub burst: Option<u32>,
    /// What another caller of the same licence takes of the limit, at most: every 5 s another part of it
    #[arg(long, value_name = "SHARE", default_value = "0%", requires = "rate_limit")]
    pub other_callers: Share,
    /// What a 429 says of how long to wait
    #[arg(long, value_name = "FORM", default_value = "seconds")]
    pub retry_after: RetryAfterForm,
    /// What `capabilities` tells of the licence's rates, such as `rlgMfaRps=100,rlgDirAccessRps=200`
    #[arg(long = "licence-rate", value_name = "GROUP=N,…", value_delimiter = ',', value_parser = licence_rate)]
    pub licence_rates: Vec<(String, u64)>,
    /// How long each answer takes, in milliseconds
    #[arg(long, value_name = "MS", default_value = "0", value_parser = clap::value_parser!(u64).range(..=3_600_000).map(Duration::from_millis))]
    pub latency: Duration,
    /// Shares of requests that meet faults: a status from 400 to 599, html, reset, truncate, slow, expired, otherdate, nobypass
    #[arg(long, value_name = "KIND=SHARE,…", default_value = "")]
    pub faults: Faults,
    /// What users, credentials and faults follow from
    #[arg(long, value_name = "N", default_value = "0")]
    pub seed: u64,
    /// How long a token lives
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = positive_span)]
    pub token_lifetime: Duration,
    /// The device report.
    #[command(flatten)]
    pub report: ReportConfig,
    /// Users with given names, in addition to these.
    #[arg(skip)]
    pub named: Vec<NamedUser>,
    /// The most users on a page of the list, even if more are asked for.
    #[arg(skip = machine::MOST_ON_A_PAGE)]
    pub page: u64,
    /// Whether the application may authenticate by HTTP Basic.
    #[arg(skip = true)]
    pub basic: bool,
    /// Whether the application may authenticate in the form.
    #[arg(skip = true)]
    pub post: bool,
    /// The key that verifies the application's assertions, if it may authenticate by them.
    #[arg(skip)]
    pub client_key: Option<PublicKey>,
}

impl Default for SandboxConfig {
    /// Without any option, and on any free port.
    fn default() -> Self {
        let matches = Self::augment_args(clap::Command::new("sandbox")).try_get_matches_from(["sandbox"]);
        let options = matches.and_then(|matches| Self::from_arg_matches(&matches)).expect("no option is required");
        Self { listen: (Ipv4Addr::LOCALHOST, 0).into(), ..options }
    }
}

fn licence_rate(text: &str) -> Result<(String, u64), String> {
    let read = text.split_once('=').and_then(|(group, limit)| Some((group.trim().to_owned(), limit.trim().parse().ok()?)));
    read.ok_or_else(|| "expected a group and its rate, such as `rlgMfaRps=100`".to_owned())
}

impl SandboxConfig {
    /// The one environment of a sandbox that is set up so.
    pub(crate) fn environment_id(&self) -> EnvironmentId {
        tokens::environment_of(self.seed)
    }
}

/// A running sandbox. Dropping it stops it and closes its connections.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    shared: Arc<Shared>,
    _closing: DropGuard,
}

#[derive(Debug)]
struct Shared {
    machine: Mutex<Machine>,
    calls: Mutex<Option<mpsc::Sender<LoggedCall>>>,
}

impl Sandbox {
    /// Starts a sandbox, which accepts requests when this returns.
    ///
    /// # Errors
    ///
    /// If the address is not on loopback or cannot be listened on.
    pub async fn start(config: SandboxConfig) -> io::Result<Self> {
        if !config.listen.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "expected a loopback address, such as 127.0.0.1:8089"));
        }
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let machine = Mutex::new(Machine::new(config, &format!("http://{address}")));
        let shared = Arc::new(Shared { machine, calls: Mutex::new(None) });
        let closing = CancellationToken::new();
        tokio::spawn(closing.clone().run_until_cancelled_owned(serve::accept(listener, Arc::clone(&shared), closing.clone())));
        Ok(Self { address, shared, _closing: closing.drop_guard() })
    }

    /// The value for `PINGONE_API_URL`.
    pub fn api_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The value for `PINGONE_AUTH_URL`.
    pub fn auth_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The ID of its only environment.
    pub fn environment_id(&self) -> EnvironmentId {
        self.with(|machine| machine.application.environment)
    }

    /// The worker application's client ID.
    pub fn client_id(&self) -> String {
        self.with(|machine| machine.application.client_id.clone())
    }

    /// The worker application's secret, which is valid for this sandbox only.
    pub fn client_secret(&self) -> String {
        self.with(|machine| machine.application.client_secret.clone())
    }

    /// A token valid for `lifetime`, as if the application had fetched it.
    pub fn issue_token(&self, lifetime: Duration) -> String {
        self.with(|machine| machine.application.issue(lifetime, std::time::Instant::now()))
    }

    /// The end date of the user's bypass, whether it has passed or not.
    pub fn bypass_of(&self, user: UserId) -> Option<BypassUntil> {
        self.with(|machine| machine.directory.bypass_of(user))
    }

    /// Gives the user a bypass until this date, as somebody else than the caller of the API would.
    pub fn set_bypass(&self, user: UserId, until: BypassUntil) {
        self.with(|machine| machine.directory.grant(user, until, Utc::now()));
    }

    /// The ID of the `index`th user, from 0; named users come after the others.
    pub fn user_id(&self, index: u64) -> UserId {
        self.with(|machine| machine.directory.user_id(index))
    }

    /// Gives the `number`th named user, from 0, these names: an address may go over from one user to another.
    ///
    /// # Panics
    ///
    /// If there are not so many named users.
    pub fn rename(&self, number: usize, named: NamedUser) {
        self.with(|machine| machine.directory.rename(number, named));
    }

    /// The population of the `index`th user.
    pub fn population_of(&self, index: u64) -> Uuid {
        self.with(|machine| one_of(&machine.directory.populations, index))
    }

    /// The group of the `index`th user.
    pub fn group_of(&self, index: u64) -> Uuid {
        self.with(|machine| one_of(&machine.directory.groups, index))
    }

    /// Receives every call from now on, in the order of arrival. A later receiver replaces this one.
    pub fn calls(&self) -> mpsc::Receiver<LoggedCall> {
        let (sender, receiver) = mpsc::channel();
        *self.shared.calls.lock().expect("no panic while it is held") = Some(sender);
        receiver
    }

    /// Serves a connection that came in another way, such as over TLS.
    ///
    /// # Errors
    ///
    /// If the connection breaks.
    pub fn serve<I>(&self, connection: I) -> impl Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>> + Send + use<I>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        serve::connection(connection, Arc::clone(&self.shared))
    }

    /// Writes each call to the file at `path` as it comes, as CSV.
    pub(crate) fn log_calls(&self, path: &Path) -> io::Result<()> {
        log::write_calls(path, self.calls())
    }

    /// Writes the users to the file at `path`, as an input for an audit.
    pub(crate) fn export_users(&self, path: &Path) -> io::Result<()> {
        let users = self.with(|machine| machine.directory.len());
        let mut file = csv::Writer::from_path(path)?;
        file.write_record(["userID", "username", "email"])?;
        for index in 0..users {
            let user = self.with(|machine| machine.directory.listed(index));
            file.write_record([&user.id.to_string(), &user.username, &user.email])?;
        }
        file.flush()
    }

    fn with<T>(&self, read: impl FnOnce(&mut Machine) -> T) -> T {
        read(&mut self.shared.machine.lock().expect("no panic while it is held"))
    }
}
