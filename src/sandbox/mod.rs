//! A local stand-in for PingOne, for rehearsals and tests.
//!
//! It serves the token endpoint, the environment, the user list and `bypassMFA` as PingOne documents them, and is as
//! strict about requests. It listens on loopback only.
//!
//! ```text
//! serve (hyper) ── Request ──▶ Machine (pure: the clock is an argument) ── Answer ──▶ serve
//!                                ├─ Faults    which request meets which fault, by the seed alone
//!                                ├─ Directory users and their bypasses
//!                                └─ Tokens, the worker application, the rate limit
//! ```

mod assertions;
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

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::domain::{BypassUntil, EnvironmentId, UserId};
use crate::jwt::PublicKey;

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

/// How the sandbox behaves.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The address to listen on, on loopback. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// The number of users, with no others. `None`: 1,000, and any other ID or name exists too.
    pub users: Option<u64>,
    /// Users with given names, in addition to these.
    pub named: Vec<NamedUser>,
    /// Whether user-list filters with an `or` are refused.
    pub no_or: bool,
    /// The most users on a page of the list, even if more are asked for.
    pub page: u64,
    /// The most API requests a window; further ones are answered 429.
    pub rate_limit: Option<RateLimit>,
    /// How they are counted.
    pub limit_kind: LimitKind,
    /// The window in which they are counted.
    pub limit_window: LimitWindow,
    /// The size of a bucket, if that is not a window's worth.
    pub burst: Option<u32>,
    /// The most that another caller of the same licence takes of the limit.
    pub other_callers: Share,
    /// The form of a 429's `Retry-After`.
    pub retry_after: RetryAfterForm,
    /// The rates that the licence states, by PingOne's names.
    pub licence_rates: Vec<(String, u64)>,
    /// How long each answer takes.
    pub latency: Duration,
    /// Which share of requests meets which fault.
    pub faults: Faults,
    /// Users, tokens and faults are derived from this.
    pub seed: u64,
    /// How long a token is valid.
    pub token_lifetime: Duration,
    /// Whether the application may authenticate by HTTP Basic.
    pub basic: bool,
    /// Whether the application may authenticate in the form.
    pub post: bool,
    /// The key that verifies the application's assertions, if it may authenticate by them.
    pub client_key: Option<PublicKey>,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            users: None,
            named: Vec::new(),
            no_or: false,
            page: machine::MOST_ON_A_PAGE,
            rate_limit: None,
            limit_kind: LimitKind::default(),
            limit_window: LimitWindow::default(),
            burst: None,
            other_callers: Share::default(),
            retry_after: RetryAfterForm::default(),
            licence_rates: Vec::new(),
            latency: Duration::ZERO,
            faults: Faults::default(),
            seed: 0,
            token_lifetime: Duration::from_secs(3600),
            basic: true,
            post: true,
            client_key: None,
        }
    }
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
    latency: Duration,
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
        let latency = config.latency;
        let machine = Mutex::new(Machine::new(config, &format!("http://{address}")));
        let shared = Arc::new(Shared { machine, latency, calls: Mutex::new(None) });
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
        self.with(|machine| machine.tokens.issue(lifetime, std::time::Instant::now()))
    }

    /// The end date of the user's bypass, whether it has passed or not.
    pub fn bypass_of(&self, user: UserId) -> Option<BypassUntil> {
        self.with(|machine| machine.directory.bypass_of(user))
    }

    /// Gives the user a bypass until this date, as somebody else than the caller of the API would.
    pub fn set_bypass(&self, user: UserId, until: BypassUntil) {
        self.with(|machine| machine.directory.grant(user, until));
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
    ///
    /// # Errors
    ///
    /// If the file cannot be created.
    pub(crate) fn log_calls(&self, path: &Path) -> io::Result<()> {
        log::write_calls(path, self.calls())
    }

    /// Writes the users to the file at `path`, as an input for an audit.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
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
