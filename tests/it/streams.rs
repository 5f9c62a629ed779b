//! Standard streams that are closed or not read.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pingone_bypass::sandbox::SandboxConfig;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::harness::{Done, Field, Report, done, field, field_with, send_signal, tool};
use crate::terminal::{Terminal, exit_code, in_shell};

fn in_shell_done(line: &str, command: &Command) -> Done {
    done(in_shell(line, command).output().expect("a shell"))
}

#[test]
fn what_is_to_go_to_a_standard_output_that_is_closed_is_an_error() {
    let field = field();
    field.users(3, "+4h");
    assert_eq!(field.run(&["audit", "in.csv", "-o", "a.csv"]).code, 0);
    let calls = field.calls().len();
    assert!(calls > 0);
    let mut completions = tool();
    completions.args(["completions", "bash"]);
    let mut sandbox = tool();
    sandbox.args(["sandbox", "--listen", "127.0.0.1:0"]);
    let grant = field.tool(&["grant", "in.csv", "-o", "-"]);
    for (command, code) in [(grant, 5), (completions, 5), (sandbox, 5), (field.tool(&["diff", "a.csv", "a.csv"]), 2)] {
        let closed = in_shell_done(r#"exec "$@" >&-"#, &command);
        assert_eq!(closed.code, code, "{command:?}: {}", closed.stderr);
        assert!(
            closed.stderr.starts_with("error: standard output: the file cannot be written\ncaused by: it is closed"),
            "{}",
            closed.stderr
        );
    }
    assert!(field.calls().is_empty(), "it is known before anything is sent");
    for (command, code) in [(field.tool(&["grant", "in.csv", "-o", "-"]), 0), (field.tool(&["diff", "a.csv", "a.csv"]), 0)] {
        assert_eq!(in_shell_done(r#"exec "$@" > /dev/null"#, &command).code, code, "{command:?}");
    }
}

#[test]
fn without_the_other_streams_everything_is_written() {
    let field = field();
    field.users(30, "+4h");
    for line in [r#"exec "$@" 2>&-"#, r#"exec "$@" <&-"#, r#"exec "$@" < /dev/null 2>&-"#] {
        let run = in_shell_done(line, &field.tool(&["grant", "in.csv", "-o", "-", "-vv", "--rate", "unlimited"]));
        assert_eq!(run.code, 0, "{line}: {}", run.stderr);
        assert_eq!(Report::read(&run.stdout).count("granted"), 30, "{line}");
    }
    for line in [r#"exec "$@" 2>&-"#, r#"exec "$@" <&- >&- 2>&-"#] {
        let run = in_shell_done(line, &field.tool(&["grant", "in.csv", "--overwrite", "--progress", "bar", "--rate", "unlimited"]));
        assert_eq!(run.code, 0, "{line}");
        assert_eq!(field.report("in.report.csv").count("granted"), 30, "{line}");
    }
}

/// A full pipe.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    fill(&mut writer);
    (reader, writer)
}

fn fill(pipe: &mut (impl Write + AsFd)) {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    while poll(&mut [PollFd::new(&*pipe, PollFlags::OUT)], Some(&at_once)).expect("it can be asked") > 0 {
        // A pipe that is writable has room for a page.
        pipe.write_all(&[b'x'; 4096]).expect("it has room");
    }
}

fn spawn(field: &Field, arguments: &[&str], output: impl Into<Stdio>, error: impl Into<Stdio>) -> Child {
    field.tool(arguments).stdout(output).stderr(error).spawn().expect("the tool runs")
}

#[test]
fn a_standard_error_that_nobody_reads_holds_nothing_up() {
    let field = field_with(SandboxConfig { latency: Duration::from_millis(20), ..SandboxConfig::default() });
    field.users(300, "+4h");
    for how in ["-vv", "--log-format=json"] {
        let (_reader, writer) = full_pipe();
        let mut child = spawn(&field, &["grant", "in.csv", "--overwrite", "--rate", "unlimited", how], Stdio::null(), writer);
        assert_eq!(exit_code(&mut child), Some(0), "{how}");
        assert!(field.report("in.report.csv").is_whole(300), "{how}");
    }
    let (_reader, writer) = full_pipe();
    let mut child = spawn(&field, &["grant", "in.csv", "--overwrite", "--rate", "50/s", "-vv"], Stdio::null(), writer);
    field.calls();
    while field.api_calls().is_empty() {
        std::thread::sleep(Duration::from_millis(2));
    }
    send_signal(&child, "INT");
    assert_eq!(exit_code(&mut child), Some(130), "it hears a signal");
    let journal = Report::read(&std::fs::read_to_string(field.path("in.report.partial.csv")).expect("a journal"));
    assert!(!journal.lines.is_empty() && journal.lines.len() < 300);
    let record = std::fs::read_to_string(field.path("in.report.run.json")).expect("a record");
    assert!(record.contains(r#""status": "interrupted""#), "{record}");
}

#[test]
fn what_was_said_last_is_read_by_who_reads_late() {
    let field = field();
    field.users(20, "+4h");
    let (mut reader, writer) = full_pipe();
    let mut child = spawn(&field, &["grant", "in.csv", "-vv", "--rate", "unlimited"], Stdio::null(), writer);
    while !field.path("in.report.csv").exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut said = String::new();
    reader.read_to_string(&mut said).expect("text");
    assert_eq!(exit_code(&mut child), Some(0));
    assert_eq!(said.matches(" settled row=").count(), 20, "{said}");
    assert!(said.ends_with("in.report.run.json\n"), "{said}");
}

#[test]
fn a_standard_output_that_nobody_reads_keeps_no_signal_out() {
    let field = field_with(SandboxConfig { users: Some(9000), ..SandboxConfig::default() });
    field.users(9000, "+4h");
    let arguments = ["grant", "in.csv", "-o", "-", "--rate", "unlimited"];
    // Only the first lines are read.
    let (mut reader, writer) = full_pipe();
    let mut child = spawn(&field, &arguments, writer, Stdio::piped());
    let mut filling = vec![0; 1 << 16];
    reader.read_exact(&mut filling).expect("it was full");
    let (mut sent, mut before) = (0, None);
    while before != Some(sent) || sent == 0 {
        before = Some(sent);
        std::thread::sleep(Duration::from_millis(500));
        sent += field.api_calls().len();
    }
    assert!(sent < 9000, "rows wait for who reads");
    send_signal(&child, "INT");
    let mut error = child.stderr.take().expect("piped");
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("SIGINT: nothing new is sent") {
        let mut bytes = [0; 4096];
        let read = error.read(&mut bytes).expect("a pipe");
        assert!(read > 0, "it runs on");
        said.extend_from_slice(&bytes[..read]);
    }
    assert!(child.try_wait().expect("known").is_none(), "it waits for who reads");
    send_signal(&child, "INT");
    assert_eq!(exit_code(&mut child), Some(130));
    let mut rest = String::new();
    error.read_to_string(&mut rest).expect("text");
    assert!(rest.contains("standard output was not read to its end"), "{rest}");
    assert!(
        rest.contains("error: stopped by SIGINT\nhint: ") && rest.ends_with("a report on standard output has none, and begins anew\n"),
        "{rest}"
    );
    assert!(field.api_calls().len() <= 64, "no more than what was in flight");
}

#[test]
fn the_question_is_asked_after_what_was_said_before() {
    let field = field();
    field.users(2, "+4h");
    assert!(Command::new("mkfifo").arg(field.path("log")).status().expect("mkfifo runs").success());
    let mut log = File::options().read(true).write(true).open(field.path("log")).expect("a pipe");
    fill(&mut log);
    let tool = in_shell(r#"exec "$@" 2> log"#, field.tool(&[]).args(["grant", "in.csv"]));
    let mut terminal = Terminal::of(&tool, 100);
    let mut calls = 0;
    while calls < 2 {
        calls += field.calls().len();
        assert!(terminal.look(Duration::from_millis(2)), "{}", terminal.shown);
    }
    terminal.look(Duration::from_millis(300));
    assert_eq!(terminal.shown, "", "the plan is not written yet");
    let mut filling = vec![0; 1 << 16];
    log.read_exact(&mut filling).expect("it was full");
    terminal.see("[y/N] ");
    terminal.type_in("n\n");
    assert_eq!(terminal.ended().0, Some(2));
}

#[test]
fn a_report_that_cannot_begin_is_given_up_before_anything_is_changed() {
    let field = field();
    field.users(20, "+4h");
    let (_reader, writer) = full_pipe();
    let mut child = spawn(&field, &["grant", "in.csv", "-o", "-"], writer, Stdio::piped());
    let mut calls = 0;
    while calls < 2 {
        calls += field.calls().len();
        std::thread::sleep(Duration::from_millis(2));
    }
    let start = Instant::now();
    send_signal(&child, "TERM");
    assert_eq!(exit_code(&mut child), Some(143));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(field.api_calls().is_empty());
}
