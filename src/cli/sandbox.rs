//! Options of `sandbox`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::positive_span;
use crate::pingone::AuthMethod;
use crate::sandbox::{Faults, LimitKind, LimitWindow, RateLimit, RetryAfterForm, Share};

#[derive(Debug, Args)]
pub(crate) struct SandboxArgs {
    /// Where it listens: a loopback address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8089")]
    pub(crate) listen: SocketAddr,
    /// How many users there are, and no others [default: 1000, and whoever else is asked for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    pub(crate) users: Option<u64>,
    /// Refuse filters of the user list that have an `or`
    #[arg(long)]
    pub(crate) no_or: bool,
    /// The most API requests of a window; more are answered 429. Changes after so many seconds: `100,40@10,100@20`
    #[arg(long, value_name = "N")]
    pub(crate) rate_limit: Option<RateLimit>,
    /// How they are counted: in the last window, since the last full one, or by a bucket of tokens
    #[arg(long, value_name = "KIND", default_value = "sliding")]
    pub(crate) limit_kind: LimitKind,
    /// The window that they are counted in: a second or a minute
    #[arg(long, value_name = "WINDOW", default_value = "1s", requires = "rate_limit")]
    pub(crate) limit_window: LimitWindow,
    /// The most that a bucket holds [default: a window's worth]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "rate_limit")]
    pub(crate) burst: Option<u32>,
    /// What another caller of the same licence takes of the limit, at most: every 5 s another part of it
    #[arg(long, value_name = "SHARE", default_value = "0%", requires = "rate_limit")]
    pub(crate) other_callers: Share,
    /// What a 429 says of how long to wait
    #[arg(long, value_name = "FORM", default_value = "seconds")]
    pub(crate) retry_after: RetryAfterForm,
    /// What `capabilities` tells of the licence's rates, such as `rlgMfaRps=100,rlgDirAccessRps=200`
    #[arg(long, value_name = "GROUP=N,…", value_delimiter = ',', value_parser = licence_rate)]
    pub(crate) licence_rate: Vec<(String, u64)>,
    /// How long each answer takes, in milliseconds
    #[arg(long, value_name = "MS", default_value = "0", value_parser = clap::value_parser!(u64).range(..=3_600_000))]
    pub(crate) latency: u64,
    /// Shares of requests that meet faults: a status from 400 to 599, html, reset, truncate, slow, expired, otherdate, nobypass
    #[arg(long, value_name = "KIND=SHARE,…", default_value = "")]
    pub(crate) faults: Faults,
    /// What users, credentials and faults follow from
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) seed: u64,
    /// How long a token lives
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = positive_span)]
    pub(crate) token_lifetime: Duration,
    /// How the worker application must authenticate [default: either way, with a secret]
    #[arg(long, value_name = "METHOD", ignore_case = true, requires_if("private-key-jwt", "client_public_key"))]
    pub(crate) auth_method: Option<AuthMethod>,
    /// The application's public key, for `private-key-jwt`: assertions are verified with it
    #[arg(long, value_name = "PEM", requires = "auth_method")]
    pub(crate) client_public_key: Option<PathBuf>,
    /// Write each request to this file, as CSV
    #[arg(long, value_name = "PATH")]
    pub(crate) request_log: Option<PathBuf>,
    /// Write the users to this file, as an input for an audit
    #[arg(long, value_name = "PATH")]
    pub(crate) export_users: Option<PathBuf>,
}

fn licence_rate(text: &str) -> Result<(String, u64), String> {
    let read = text.split_once('=').and_then(|(group, limit)| Some((group.trim().to_owned(), limit.trim().parse().ok()?)));
    read.ok_or_else(|| "expected a group and its rate, such as `rlgMfaRps=100`".to_owned())
}
