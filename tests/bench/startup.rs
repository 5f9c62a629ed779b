//! Startup time: to the help, and to the first request.

use std::io::Read;
use std::net::TcpListener;
use std::time::Instant;

use crate::engine::with_server;
use crate::print;
use crate::tool::{median, run, tool, write_input};

const ROUNDS: usize = 21;

pub(crate) fn bench() {
    let folder = tempfile::tempdir().expect("a folder");
    let help = median((0..ROUNDS).map(|_| run(&mut tool(folder.path(), &["--help"])).seconds).collect());
    write_input(&folder.path().join("in.csv"), 1000);
    let request = median((0..ROUNDS).map(|_| first_request(folder.path())).collect());
    let nothing = median((0..ROUNDS).map(|_| run(&mut std::process::Command::new("true")).seconds).collect());
    let ms = |seconds: f64| format!("{:.1} ms", seconds * 1000.0);
    print(&format!("startup: `--help` in {}, the first request of 1000 rows in {} (`true`: {})", ms(help), ms(request), ms(nothing)));
}

/// Seconds from the start to the first request of an audit.
fn first_request(folder: &std::path::Path) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut tool = tool(folder, &["audit", "in.csv", "--overwrite", "-q"]);
    let start = Instant::now();
    let mut child = with_server(&mut tool, address).spawn().expect("the program is there");
    let (mut stream, _) = listener.accept().expect("a connection");
    stream.read_exact(&mut [0]).expect("a request");
    let seconds = start.elapsed().as_secs_f64();
    child.kill().expect("a child of ours");
    child.wait().expect("a child of ours");
    seconds
}
