//! Cost of the engine where no limit binds, compared with a bare loop of the same HTTP client over the same URLs, which
//! ignores the answers, and with curl.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use crate::print;
use crate::tool::{Took, median, run, tool, user, write_input};

const ROWS: u64 = 100_000;
const IN_FLIGHT: usize = 50;
const ROUNDS: usize = 5;
const ENVIRONMENT: &str = "5f0f3bd4-3aa7-4b1f-a0a4-9b5ab1ee3c35";
/// How many threads the bare loop runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    One,
    Several,
}

impl Threads {
    /// The argument that makes this program the bare loop.
    fn word(self) -> &'static str {
        match self {
            Self::One => "bare-loop-on-one",
            Self::Several => "bare-loop-on-several",
        }
    }

    /// The bare loop that `word` asks for, if it does.
    pub(crate) fn named(word: &str) -> Option<Self> {
        [Self::One, Self::Several].into_iter().find(|threads| threads.word() == word)
    }

    fn runtime(self) -> Runtime {
        match self {
            Self::One => Builder::new_current_thread().enable_all().build().expect("a runtime"),
            Self::Several => Runtime::new().expect("threads"),
        }
    }
}

pub(crate) fn bench() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = serve();
    write_input(&folder.path().join("in.csv"), ROWS);
    let (urls, config) = (folder.path().join("urls"), folder.path().join("curl"));
    write_urls(&urls, &config, address);
    let (mut tools, mut single, mut several, mut curls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let bare = |threads: Threads| run(Command::new(std::env::current_exe().expect("a path")).arg(threads.word()).arg(&urls));
    for _ in 0..ROUNDS {
        tools.push(audit(folder.path(), address));
        single.push(bare(Threads::One));
        several.push(bare(Threads::Several));
        curls.extend(curl(&config));
    }
    print_speed("engine: the program, on one thread", &tools);
    for (what, bares) in [("one thread", &single), ("a thread for each processor", &several)] {
        print_speed(&format!("engine: a bare loop of reqwest on {what}"), bares);
        print(&format!("engine: {:.2} of its rate", faster(&tools, bares)));
    }
    if curls.is_empty() {
        print("engine: curl is not there");
    } else {
        print_speed("engine: curl -Z", &curls);
        print(&format!("engine: {:.2} times curl's rate", faster(&tools, &curls)));
    }
}

/// How many times as fast `runs` were as `others`, compared pairwise: a slow phase of the machine affects both of a pair.
fn faster(runs: &[Took], others: &[Took]) -> f64 {
    median(runs.iter().zip(others).map(|(run, other)| other.seconds / run.seconds).collect())
}

/// Prints the speed of `runs`.
fn print_speed(what: &str, runs: &[Took]) {
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let rows = ROWS as f64;
    let rate = rows / median(runs.iter().map(|took| took.seconds).collect());
    let cpu = median(runs.iter().map(|took| took.cpu).collect());
    let peak = median(runs.iter().map(|took| took.peak).collect());
    print(&format!("{what}: {rate:.0} rows/s, {:.2} s of processor time for 100,000 rows, {peak:.0} MiB", cpu * 100_000.0 / rows));
}

pub(crate) fn audit(folder: &Path, address: SocketAddr) -> Took {
    let flight = IN_FLIGHT.to_string();
    let words = ["audit", "in.csv", "--rate", "unlimited", "--concurrency", &flight, "--overwrite", "-q"];
    run(with_server(&mut tool(folder, &words), address))
}

/// The program, configured with the server's address.
pub(crate) fn with_server(tool: &mut Command, address: SocketAddr) -> &mut Command {
    tool.env("PINGONE_ENVIRONMENT_ID", ENVIRONMENT)
        .env("PINGONE_API_ACCESS_TOKEN", "bench")
        .env("PINGONE_API_URL", format!("http://{address}/v1"))
        .env("PINGONE_AUTH_URL", format!("http://{address}"))
}

fn curl(config: &Path) -> Option<Took> {
    Command::new("curl").arg("--version").stdout(Stdio::null()).status().ok()?;
    let flight = IN_FLIGHT.to_string();
    let mut curl = Command::new("curl");
    curl.args(["-Z", "--parallel-max", &flight, "-s", "-H", "Authorization: Bearer bench", "-K"]).arg(config);
    Some(run(curl.stdout(Stdio::null()).stderr(Stdio::null())))
}

fn write_urls(urls: &Path, config: &Path, address: SocketAddr) {
    let (mut plain, mut curl) = (Vec::new(), Vec::new());
    for row in 1..=ROWS {
        let url = format!("http://{address}/v1/environments/{ENVIRONMENT}/users/{}/bypassMFA", user(row));
        writeln!(plain, "{url}").expect("memory");
        writeln!(curl, "url = \"{url}\"\noutput = \"/dev/null\"").expect("memory");
    }
    std::fs::write(urls, plain).expect("written");
    std::fs::write(config, curl).expect("written");
}

/// Gets every URL in the file `urls`, [`IN_FLIGHT`] at a time, and drops the answers.
pub(crate) fn bare_loop(threads: Threads, urls: &Path) {
    let lines = BufReader::new(std::fs::File::open(urls).expect("the file of URLs")).lines();
    let lines = Arc::new(std::sync::Mutex::new(lines));
    threads.runtime().block_on(async {
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(IN_FLIGHT).build().expect("a client");
        let workers: Vec<_> = (0..IN_FLIGHT).map(|_| tokio::spawn(get_all(client.clone(), Arc::clone(&lines)))).collect();
        for worker in workers {
            worker.await.expect("no panic");
        }
    });
}

type Urls = Arc<std::sync::Mutex<std::io::Lines<BufReader<std::fs::File>>>>;

async fn get_all(client: reqwest::Client, urls: Urls) {
    loop {
        let next = urls.lock().expect("no panic").next();
        let Some(url) = next else {
            return;
        };
        let request = client.get(url.expect("a line")).header("Authorization", "Bearer bench");
        let answer = request.send().await.expect("an answer");
        drop(answer.bytes().await.expect("a body"));
    }
}

/// The cheapest possible server, on a thread of its own: it answers every request alike.
pub(crate) fn serve() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            sender.send(listener.local_addr().expect("an address")).expect("somebody waits");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_all(stream));
            }
        });
    });
    receiver.recv().expect("the server listens")
}

async fn answer_all(mut stream: TcpStream) {
    let body = r#"{"_links":{"self":{"href":"https://api.pingone.com/v1/environments/x/users/y/bypassMFA"},"user":{"href":"https://api.pingone.com/v1/environments/x/users/y"}},"bypassMFAEnabledUntil":"2099-11-26T00:00:00.000Z","canBypassMFA":true}"#;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut buffer = vec![0; 8 << 10];
    let mut filled = 0;
    // The clients measured here send one request at a time, without a body.
    while let Ok(count @ 1..) = stream.read(&mut buffer[filled..]).await {
        filled += count;
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}
