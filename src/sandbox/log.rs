//! The sandbox's call log: each request and when it arrived.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use crate::domain::shown;

/// One request, as it arrived.
#[derive(Debug, Clone)]
pub struct LoggedCall {
    /// When it arrived, since the sandbox started.
    pub at: Duration,
    /// Its HTTP method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// Its query, as sent.
    pub query: String,
    /// The status of the answer; `None` if the connection is closed without one.
    pub status: Option<u16>,
    /// Whether it meets a fault, even one that leaves the answer whole.
    pub faulted: bool,
    /// Its `X-Ping-External-Transaction-Id`.
    pub transaction: String,
    /// The answer's `Correlation-Id`.
    pub correlation: String,
    /// Its body, if it is text.
    pub body: String,
}

impl LoggedCall {
    /// Whether it is a token request.
    pub fn is_token(&self) -> bool {
        self.path.ends_with("/as/token")
    }
}

/// Writes `calls` to the file at `path` as they come, on a thread of its own, until the sender is gone. Bodies are left
/// out: that of a token request may hold the secret.
pub(super) fn write_calls(path: &Path, calls: Receiver<LoggedCall>) -> io::Result<()> {
    let mut file = csv::Writer::from_path(path)?;
    file.write_record(["at", "method", "path", "status", "faulted", "transaction"])?;
    file.flush()?;
    let path = path.to_owned();
    std::thread::spawn(move || {
        if let Err(error) = write_all(&mut file, &calls) {
            tracing::error!("{}: the requests cannot be logged any more: {error}", shown(&path));
        }
    });
    Ok(())
}

fn write_all(file: &mut csv::Writer<File>, calls: &Receiver<LoggedCall>) -> io::Result<()> {
    while let Ok(first) = calls.recv() {
        for call in std::iter::once(first).chain(calls.try_iter()) {
            let at = format!("{:.6}", call.at.as_secs_f64());
            let status = call.status.map(|status| status.to_string()).unwrap_or_default();
            let faulted = call.faulted.to_string();
            file.write_record([&at, &call.method, &call.path, &status, &faulted, &call.transaction])?;
        }
        file.flush()?;
    }
    Ok(())
}
