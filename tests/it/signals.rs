//! Signals, and terminals that disappear.

use std::process::Stdio;
use std::time::Duration;

use pingone_bypass::sandbox::SandboxConfig;
use serde_json::Value;

use crate::harness::{Field, Report, done, field_with, send_signal};
use crate::terminal::{Terminal, in_shell, run_by};

/// A slow sandbox.
fn slow() -> Field {
    field_with(SandboxConfig { latency: Duration::from_millis(100), ..SandboxConfig::default() })
}

#[test]
fn under_nohup_a_hangup_is_ignored() {
    let field = slow();
    field.users(50, "+4h");
    let tool = field.tool(&["grant", "in.csv", "--concurrency", "5", "--rate", "unlimited"]);
    let child = run_by(&["nohup"], &tool).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("nohup runs");
    while field.api_calls().is_empty() {
        std::thread::sleep(Duration::from_millis(2));
    }
    send_signal(&child, "HUP");
    let done = done(child.wait_with_output().expect("it ends"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(field.report("in.report.csv").count("granted"), 50);
}

/// Reads the `terminal` until the run is half-way.
fn look_until_it_runs(terminal: &mut Terminal, field: &Field) {
    let mut calls = 0;
    while calls < 20 {
        assert!(terminal.look(Duration::from_millis(20)), "{}", terminal.shown);
        calls += field.api_calls().len();
    }
}

#[test]
fn a_terminal_that_is_closed_stops_the_run_and_the_journal_is_kept() {
    for how in [&["-q"][..], &["--progress", "bar"], &["-vv"]] {
        let field = slow();
        field.users(400, "+4h");
        let arguments = [&["grant", "in.csv", "--rate", "100/s", "--concurrency", "10"], how].concat();
        let mut terminal = Terminal::of(&field.tool(&arguments), 80);
        look_until_it_runs(&mut terminal, &field);
        assert_eq!(terminal.taken_away(), Some(129), "{how:?}");
        let record = std::fs::read_to_string(field.path("in.report.run.json")).expect("a record");
        let record: Value = serde_json::from_str(&record).expect("JSON");
        assert_eq!((&record["status"], &record["stopReason"]), (&"interrupted".into(), &"stopped by SIGHUP".into()), "{how:?}");
        let journal = Report::read(&std::fs::read_to_string(field.path("in.report.partial.csv")).expect("a journal"));
        assert!(journal.lines.len() >= 20 && journal.count("granted") == journal.lines.len(), "what was in flight was waited for");
        assert_eq!(record["totals"]["granted"], journal.lines.len());
    }
}

#[test]
fn a_run_that_is_told_to_outlives_its_terminal() {
    for how in [&["--progress", "bar"][..], &["-vv"]] {
        let field = slow();
        field.users(150, "+4h");
        let tool = field.tool(&[&["grant", "in.csv", "--rate", "100/s"], how].concat());
        let mut terminal = Terminal::of(&in_shell(r#"trap "" HUP; exec "$@""#, &tool), 80);
        look_until_it_runs(&mut terminal, &field);
        assert_eq!(terminal.taken_away(), Some(0), "{how:?}");
        assert_eq!(field.report("in.report.csv").count("granted"), 150);
    }
}

#[test]
fn the_bar_fits_the_terminal_and_no_line_is_torn() {
    for columns in [100, 80, 40] {
        let field = field_with(SandboxConfig { latency: Duration::from_millis(20), ..SandboxConfig::default() });
        field.users(150, "+4h");
        let mut tool = field.tool(&["grant", "in.csv", "--rate", "100/s", "-vv"]);
        let (code, shown) = Terminal::of(tool.env("NO_COLOR", "1"), columns).ended();
        assert_eq!(code, Some(0), "{shown}");
        let drawn = shown.replace("\u{1b}[2K", "\n");
        let bars: Vec<_> = drawn.split(['\r', '\n', '\u{1b}']).filter(|line| line.contains("/150 ") && line.contains('%')).collect();
        assert!(bars.len() > 5, "{shown}");
        assert_eq!(bars.iter().find(|bar| bar.chars().count() > usize::from(columns)), None);
        // On a narrow terminal the bar gives way to the figures.
        assert!(columns < 100 || bars.iter().all(|bar| bar.contains(['█', '░'])), "{bars:?}");
        let settled: Vec<_> = shown.split("\r\n").filter(|line| line.contains(" DEBUG settled row=")).collect();
        assert_eq!(settled.len(), 150);
        for line in settled {
            // It begins at the start of a line, or where the bar was cleared.
            let line = line.rsplit("\u{1b}[2K").next().expect("a part");
            let time: String = line.chars().take(9).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            assert!(time == "00:00:00 " && line.contains(" durationMs=") && !line.contains('%'), "{line:?}");
        }
    }
}
