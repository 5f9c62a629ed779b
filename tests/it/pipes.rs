//! Inputs from a pipe, whatever they contain and whether or not they end.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Done, Field, done, field, send_signal};
use crate::resume::SmallDisk;

const A: &str = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";

/// The most that is read before a head is refused: the head itself, and what a pipe holds.
const HEAD_AND_PIPE: usize = (64 << 10) + (64 << 10);

/// More than is read of an input that is refused.
const ENDLESS: usize = 64 << 20;

/// Runs `tool` with `head` on standard input, followed by `more` repeated until the tool stops reading, or up to
/// [`ENDLESS`]. Returns how many bytes it read.
fn fed(mut tool: Command, head: &[u8], more: &[u8]) -> (Done, usize) {
    let mut child = tool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool runs");
    let mut pipe = child.stdin.take().expect("a pipe");
    let more = more.repeat(1 + (4 << 10) / more.len());
    let head = head.to_vec();
    let feeding = std::thread::spawn(move || {
        let mut taken = 0;
        let mut next = head.as_slice();
        loop {
            match pipe.write(next) {
                Ok(_) if taken > ENDLESS => return taken,
                Ok(count) => taken += count,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return taken,
                Err(error) => panic!("{error}"),
            }
            next = &more;
        }
    });
    let ended = done(child.wait_with_output().expect("ends"));
    (ended, feeding.join().expect("no panic"))
}

fn make_pipe(field: &Field, name: &str) -> PathBuf {
    let path = field.path(name);
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
    path
}

/// The tool with a limit on the size of the files that it writes, in blocks of 512 bytes.
pub(crate) fn limited(field: &Field, arguments: &[&str], blocks: u32) -> Command {
    let tool = field.tool(arguments);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -f {blocks}; exec \"$0\" \"$@\"")]).arg(tool.get_program()).args(tool.get_args());
    limited.current_dir(field.folder()).env_clear().envs(tool.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited
}

#[test]
fn a_pipe_without_end_is_refused_by_what_it_begins_with() {
    let field = field();
    let utf16: Vec<u8> = "\u{feff}userID\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let row = format!("{A}\n");
    let cases: [(&[u8], &[u8], &str); 5] = [
        (b"\0", b"\0", "error: standard input: this is not text: there are zero bytes in it"),
        (&utf16, b"7\0", "error: standard input:1: the text is encoded as UTF-16"),
        (b"PK\x03\x04", b"x", "error: standard input: this is an Excel workbook"),
        (b"name,until\n", row.as_bytes(), "error: standard input:1: there is no column `userID`: the columns are `name`, `until`"),
        (b"x", b"x", "error: standard input:1: the header is longer than 64 KiB"),
    ];
    for (head, more, expected) in cases {
        for last in ["--overwrite", "--dry-run"] {
            let (refused, taken) = fed(field.tool(&["audit", "-", last]), head, more);
            assert_eq!(refused.code, 2, "{}", refused.stderr);
            assert!(refused.stderr.contains(expected), "{}\nshould have: {expected}", refused.stderr);
            assert!(taken <= HEAD_AND_PIPE, "{taken} bytes were read: {expected}");
        }
    }
    let (refused, taken) = fed(field.tool(&["audit", "-"]), b"userID\n", b"x");
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("error: standard input:2: the input cannot be read\ncaused by: line 2 is longer than 256 KiB"));
    assert!(taken <= 1 << 20, "{taken} bytes were read");
    assert!(field.calls().is_empty());
    assert_eq!(fs::read_dir(field.folder()).expect("a folder").count(), 0, "nothing is left");
}

#[test]
fn a_pipe_is_read_no_further_than_max_users_allows() {
    let field = field();
    let row = format!("{A}\n");
    let (refused, taken) = fed(field.tool(&["audit", "-", "--max-users", "1000"]), b"userID\n", row.as_bytes());
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let expected = "error: standard input: there are more than 1000 rows, which is what `--max-users` allows; the rest was not read, and nothing was sent";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    assert!(taken <= 1 << 20, "{taken} bytes were read");
    assert!(field.calls().is_empty());
    // Lines are not rows: some are blank, some end within quotes.
    let rows: String = (0..4).map(|index| format!("\r\n,\n{},\"a\n\"\"b\n\"\n", field.sandbox.user_id(index))).collect();
    let text = format!("\u{feff}userID,note\n{rows}\n\n");
    let pipe = make_pipe(&field, "in.pipe");
    for (most, code) in [("4", 0), ("3", 2)] {
        let mut tool = field.tool(&["audit", "in.pipe", "--overwrite", "-o", "r.csv", "--max-users", most]);
        let child = tool.stderr(Stdio::piped()).spawn().expect("the tool runs");
        // The tool need not read it to its end.
        drop(fs::write(&pipe, &text));
        let run = done(child.wait_with_output().expect("ends"));
        assert_eq!(run.code, code, "{}", run.stderr);
    }
    assert!(field.report("r.csv").is_whole(4));
}

#[test]
fn it_is_told_how_much_of_a_pipe_has_been_read() {
    let field = field();
    let spawned = |name: &str, arguments: &[&str]| {
        let pipe = make_pipe(&field, name);
        let mut tool = field.tool(&[&["audit", name], arguments].concat());
        let child = tool.stderr(Stdio::piped()).spawn().expect("the tool runs");
        let mut pipe = fs::OpenOptions::new().write(true).open(pipe).expect("it is read");
        write!(pipe, "userID\n{}\n", field.sandbox.user_id(0)).expect("it is read");
        (child, pipe)
    };
    let all = [("told.pipe", &[][..]), ("quiet.pipe", &["-q"]), ("none.pipe", &["--progress", "none"])];
    let running: Vec<_> = all.iter().map(|(name, arguments)| spawned(name, arguments)).collect();
    std::thread::sleep(Duration::from_millis(3500));
    let ended: Vec<Done> = running
        .into_iter()
        .map(|(child, pipe)| {
            drop(pipe);
            done(child.wait_with_output().expect("ends"))
        })
        .collect();
    assert!(ended.iter().all(|run| run.code == 0), "{ended:?}");
    assert!(ended[0].stderr.starts_with("reading told.pipe: 44 B so far\n"), "{}", ended[0].stderr);
    assert!(ended[1..].iter().all(|run| !run.stderr.contains("so far")), "{ended:?}");
}

/// Waits until `child` handles signals, and sends it one. Returns its result and how long it took to end.
fn stopped(field: &Field, mut child: Child, signal: &str) -> (Done, Duration) {
    let start = Instant::now();
    // The lock is taken after the signal handlers are installed.
    while !field.path(".r.lock").exists() {
        assert!(start.elapsed() < Duration::from_secs(30), "it did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
    send_signal(&child, signal);
    let sent = Instant::now();
    while child.try_wait().expect("known").is_none() && sent.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(2));
    }
    let waited = sent.elapsed();
    // A tool that ignores signals would never end.
    drop(child.kill());
    (done(child.wait_with_output().expect("ends")), waited)
}

#[test]
fn a_signal_ends_the_wait_for_an_input_at_once() {
    let field = field();
    make_pipe(&field, "in.pipe");
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        for input in ["in.pipe", "-"] {
            let mut tool = field.tool(&["audit", input, "-o", "r.csv"]);
            let mut child = tool.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool runs");
            let held = child.stdin.take();
            let (ended, waited) = stopped(&field, child, signal);
            assert_eq!(ended.code, code, "{}", ended.stderr);
            let expected = format!("error: stopped by SIG{signal} before the first row was sent: nothing was changed by this command");
            assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
            assert!(waited < Duration::from_millis(1500), "{waited:?}");
            assert!(!field.path(".r.lock").exists());
            drop(held);
        }
    }
    assert!(field.calls().is_empty());
}

#[test]
fn a_folder_for_temporary_files_that_is_full_is_named() {
    let field = field();
    let row = format!("{A}\n");
    let temporary = std::env::temp_dir().display().to_string();
    let mut tool = limited(&field, &["audit", "-"], 400);
    tool.env("TMPDIR", &temporary);
    let (full, _) = fed(tool, b"userID\n", row.as_bytes());
    assert_eq!(full.code, 5, "{}", full.stderr);
    for expected in [
        "error: standard input: the input cannot be kept while it is used",
        &format!("caused by: {temporary}: no temporary file can be written in this folder\ncaused by: File too large"),
        "hint: make room in this folder, or name another one for temporary files in TMPDIR",
    ] {
        assert!(full.stderr.contains(expected), "{}\nshould have: {expected}", full.stderr);
    }
    let (wanting, _) = fed(
        {
            let mut tool = field.tool(&["audit", "-"]);
            tool.env("TMPDIR", "/nowhere");
            tool
        },
        b"userID\n",
        row.as_bytes(),
    );
    assert_eq!(wanting.code, 5, "{}", wanting.stderr);
    assert!(wanting.stderr.contains("caused by: /nowhere: no temporary file can be made in this folder"), "{}", wanting.stderr);
    assert!(field.calls().is_empty());
    // A file in that folder helps, but is optional.
    fs::write(field.path("in.csv"), format!("userID\n{}", row.repeat(10_000))).expect("written");
    let spared = |folder: &str, why: &str, mut tool: std::process::Command| {
        let done = done(tool.args(["--overwrite"]).env("TMPDIR", folder).output().expect("the tool runs"));
        assert_eq!(done.code, 0, "{}", done.stderr);
        let warned = format!("in.csv: no copy of the input can be kept ({folder}: no temporary file can be {why} in this folder)");
        assert!(done.stderr.contains(&warned), "{}\nshould have: {warned}", done.stderr);
    };
    spared("/nowhere", "made", field.tool(&["audit", "in.csv", "--max-failures", "100%"]));
    if let Some(disk) = SmallDisk::mounted_at(field.path("disk")) {
        spared(&disk.0.display().to_string(), "written", field.tool(&["audit", "in.csv"]));
    }
}

#[test]
fn a_piped_run_that_is_stopped_says_that_it_needs_its_input_again() {
    let field = field();
    let users = fs::File::open(field.users(400, "+4h")).expect("there");
    let mut tool = field.tool(&["grant", "-", "-o", "r.csv", "--rate", "40/s"]);
    let child = tool.stdin(users).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool runs");
    let late = Instant::now() + Duration::from_secs(20);
    let settled = || fs::read_to_string(field.path("r.partial.csv")).map_or(0, |journal| journal.lines().count());
    while settled() < 5 && Instant::now() < late {
        std::thread::sleep(Duration::from_millis(10));
    }
    send_signal(&child, "INT");
    let stopped = done(child.wait_with_output().expect("ends"));
    assert_eq!(stopped.code, 130, "{}", stopped.stderr);
    let last = stopped.stderr.lines().last().expect("a line");
    assert!(last.starts_with("to resume, with the same input piped in once more: ") && last.contains(" grant --resume - "), "{last}");
}
