//! Test helpers: a sandbox, the tool, and the report that it leaves.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use pingone_bypass::sandbox::{LoggedCall, Sandbox, SandboxConfig};
use tempfile::TempDir;

/// A sandbox in this process, its calls, and a folder to work in.
pub(crate) struct Field {
    runtime: tokio::runtime::Runtime,
    pub(crate) sandbox: Sandbox,
    calls: Receiver<LoggedCall>,
    folder: TempDir,
}

/// The result of a run of the tool.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A sandbox without faults.
pub(crate) fn field() -> Field {
    field_with(SandboxConfig::default())
}

pub(crate) fn faulty(faults: &str) -> Field {
    field_with(SandboxConfig { faults: faults.parse().expect("faults"), ..SandboxConfig::default() })
}

pub(crate) fn field_with(config: SandboxConfig) -> Field {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sandbox = runtime.block_on(Sandbox::start(config)).expect("a free port");
    let calls = sandbox.calls();
    Field { runtime, sandbox, calls, folder: tempfile::tempdir().expect("a folder") }
}

/// The tool, with only a search path in its environment.
pub(crate) fn tool() -> Command {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_pingone-bypass"));
    // Local times are shown beside dates.
    tool.env_clear().env("TZ", "UTC").stdin(Stdio::null());
    for kept in ["PATH", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(kept) {
            tool.env(kept, value);
        }
    }
    tool
}

pub(crate) fn done(output: Output) -> Done {
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

impl Field {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// An input of the sandbox's first `count` users, each with `until`.
    pub(crate) fn users(&self, count: u64, until: &str) -> PathBuf {
        let rows: String = (0..count).map(|index| format!("{},{until}\n", self.sandbox.user_id(index))).collect();
        self.write("in.csv", format!("userID,until\n{rows}"))
    }

    /// The tool, configured for the sandbox by environment variables only. It asks no question, and a grant accepts any date.
    pub(crate) fn tool(&self, arguments: &[&str]) -> Command {
        let mut tool = tool();
        tool.current_dir(self.folder())
            .args(arguments)
            .args(match arguments.first() {
                Some(&"grant") => &["--yes", "--max-window", "40000d"][..],
                Some(&"end") => &["--yes"],
                Some(_) | None => &[],
            })
            .env("PINGONE_ENVIRONMENT_ID", self.sandbox.environment_id().to_string())
            .env("PINGONE_CLIENT_ID", self.sandbox.client_id())
            .env("PINGONE_CLIENT_SECRET", self.sandbox.client_secret())
            .env("PINGONE_API_URL", self.sandbox.api_url())
            .env("PINGONE_AUTH_URL", self.sandbox.auth_url());
        tool
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        done(self.tool(arguments).output().expect("the tool runs"))
    }

    /// The calls since the last time.
    pub(crate) fn calls(&self) -> Vec<LoggedCall> {
        self.calls.try_iter().collect()
    }

    /// The calls for users since the last time, without those for tokens and the environment.
    pub(crate) fn api_calls(&self) -> Vec<LoggedCall> {
        self.calls().into_iter().filter(|call| call.path.ends_with("/bypassMFA")).collect()
    }

    pub(crate) fn report(&self, name: &str) -> Report {
        Report::read(&std::fs::read_to_string(self.path(name)).expect("a report"))
    }

    pub(crate) fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }
}

/// A server on this machine that answers each request with the result of `answer`: status line and headers, and a body. Returns its URL.
pub(crate) fn answering(answer: impl Fn(&str) -> (String, String) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.expect("a connection");
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let (head, body) = answer(&request_from(&mut connection));
                let length = body.len();
                // The client may have gone.
                drop(write!(connection, "HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"));
            });
        }
    });
    url
}

/// PingOne's answer for a user without a bypass, given a path or a request's first line.
pub(crate) fn no_bypass(request: &str) -> String {
    let path = request.split_whitespace().find(|word| word.starts_with('/')).unwrap_or_default();
    format!(r#"{{"_links":{{"self":{{"href":"https://api.pingone.com{path}"}}}}}}"#)
}

/// The head of a request and its body, as far as they arrive.
fn request_from(connection: &mut impl Read) -> String {
    let (mut request, mut part) = (String::new(), [0; 8192]);
    loop {
        let read = connection.read(&mut part).unwrap_or(0);
        request.push_str(&String::from_utf8_lossy(&part[..read]));
        let body = request.split_once("\r\n\r\n").map(|(head, body)| {
            let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            body.len() >= length.unwrap_or(0)
        });
        if read == 0 || body == Some(true) {
            return request;
        }
    }
}

/// A report, read back.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) columns: Vec<String>,
    pub(crate) lines: Vec<Vec<String>>,
}

impl Report {
    pub(crate) fn read(text: &str) -> Self {
        Self::read_with(b',', text)
    }

    /// One with another delimiter, perhaps with a byte order mark.
    pub(crate) fn read_with(delimiter: u8, text: &str) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
        let columns = reader.headers().expect("a header").iter().map(str::to_owned).collect();
        let lines = reader.records().map(|record| record.expect("CSV").iter().map(str::to_owned).collect()).collect();
        Self { columns, lines }
    }

    /// The values of a column, from the first line to the last.
    pub(crate) fn column(&self, name: &str) -> Vec<&str> {
        let index = self.columns.iter().position(|column| column == name).expect("a column");
        self.lines.iter().map(|line| line[index].as_str()).collect()
    }

    pub(crate) fn count(&self, result: &str) -> usize {
        self.column("result").iter().filter(|found| **found == result).count()
    }

    /// Whether there is a line for each of `rows` rows, in order.
    pub(crate) fn is_whole(&self, rows: usize) -> bool {
        self.column("row") == (1..=rows).map(|row| row.to_string()).collect::<Vec<_>>()
    }
}

/// Sends a signal, named without `SIG`.
pub(crate) fn send_signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

/// The result of a run that ends within `time`, or else the run.
pub(crate) fn ended_within(time: Duration, mut child: Child) -> Result<Done, Child> {
    let began = Instant::now();
    while child.try_wait().expect("known").is_none() {
        if began.elapsed() > time {
            return Err(child);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(done(child.wait_with_output().expect("it ended")))
}
