//! The sandbox in this process, and what it recorded of a run of the program.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pingone_bypass::sandbox::{LoggedCall, Sandbox, SandboxConfig};
use tokio::runtime::Runtime;

use crate::tool::{run, tool, write_input};

/// A run as the server saw it.
pub(crate) struct Seen {
    /// The requests, in the order of arrival.
    pub(crate) calls: Vec<LoggedCall>,
}

/// Audits `rows` users in a sandbox of their own; every row must succeed.
pub(crate) fn audit(config: SandboxConfig, rows: u64, words: &[&str]) -> Seen {
    let folder = tempfile::tempdir().expect("a folder");
    write_input(&folder.path().join("in.csv"), rows);
    let runtime = Runtime::new().expect("threads");
    let sandbox = runtime.block_on(Sandbox::start(config)).expect("a free port");
    let calls = sandbox.calls();
    let words = [&["audit", "in.csv", "-q"], words].concat();
    run(&mut against(&sandbox, folder.path(), &words));
    let lines = csv::Reader::from_path(folder.path().join("in.report.csv")).expect("a report").into_records().count();
    assert_eq!(lines as u64, rows, "a line for each row");
    Seen { calls: calls.try_iter().collect() }
}

/// The program, configured for the `sandbox`.
pub(crate) fn against(sandbox: &Sandbox, folder: &Path, words: &[&str]) -> Command {
    let mut tool = tool(folder, words);
    tool.env("PINGONE_ENVIRONMENT_ID", sandbox.environment_id().to_string())
        .env("PINGONE_CLIENT_ID", sandbox.client_id())
        .env("PINGONE_CLIENT_SECRET", sandbox.client_secret())
        .env("PINGONE_API_URL", sandbox.api_url())
        .env("PINGONE_AUTH_URL", sandbox.auth_url());
    tool
}

impl Seen {
    /// The time from the first request for a user to the last.
    pub(crate) fn took(&self) -> Duration {
        self.times().next_back().unwrap_or_default()
    }

    /// When requests for users came, relative to the first.
    fn times(&self) -> impl DoubleEndedIterator<Item = Duration> + Clone {
        let first = self.users().next().map(|call| call.at).unwrap_or_default();
        self.users().map(move |call| call.at.saturating_sub(first))
    }

    fn users(&self) -> impl DoubleEndedIterator<Item = &LoggedCall> + Clone {
        self.calls.iter().filter(|call| !call.is_token())
    }

    /// Requests for users a second.
    pub(crate) fn rate(&self) -> f64 {
        ratio(self.users().count() - 1, 1) / self.took().as_secs_f64()
    }

    /// The most requests within any second, of every kind.
    pub(crate) fn fullest_second(&self) -> usize {
        let times: Vec<Duration> = self.calls.iter().map(|call| call.at).collect();
        let until = |from: &Duration| times.partition_point(|at| *at < *from + Duration::from_secs(1));
        times.iter().enumerate().map(|(place, from)| until(from) - place).max().unwrap_or_default()
    }

    /// The share of requests for users answered 429, from `after` on.
    pub(crate) fn refused(&self, after: Duration) -> f64 {
        let later = || self.users().zip(self.times()).filter(|(_, at)| *at >= after);
        ratio(later().filter(|(call, _)| call.status == Some(429)).count(), later().count())
    }
}

#[expect(clippy::cast_precision_loss, reason = "small")]
pub(crate) fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
