//! The confirmation: when and where it is asked, and which answers count.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Field, answering, done, field, no_bypass};
use crate::terminal::{Terminal, in_shell, without_terminal};

const PLAN: &str = "plan       grant 2 of 2 rows, 2 users";

/// A grant that asks.
fn grant(field: &Field) -> Command {
    let mut tool = field.tool(&[]);
    tool.args(["grant", "in.csv", "--overwrite"]);
    tool
}

/// An API that answers with this `environment`, and counts the requests that would change users.
fn environment(environment: &'static str) -> (String, Arc<AtomicUsize>) {
    let puts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&puts);
    let url = answering(move |request| {
        counted.fetch_add(usize::from(request.starts_with("PUT ")), Ordering::Relaxed);
        let is_of_a_user = request.contains("/bypassMFA ");
        ("200 OK".to_owned(), if is_of_a_user { no_bypass(request) } else { environment.to_owned() })
    });
    (format!("{url}/v1"), puts)
}

#[test]
fn the_question_is_asked_on_the_terminal_whatever_the_standard_streams_are() {
    let field = field();
    field.users(2, "+4h");
    for (line, report, tells_there) in [
        (r#""$@" in.csv"#, "in.report.csv", true),
        (r#"cat in.csv | "$@" -"#, "stdin.report.csv", true),
        (r#""$@" in.csv < /dev/null"#, "in.report.csv", true),
        (r#""$@" - < in.csv > /dev/null 2> log; cat log"#, "stdin.report.csv", false),
    ] {
        let mut terminal = Terminal::of(&in_shell(line, field.tool(&[]).args(["grant", "--overwrite"])), 100);
        terminal.see("Grant a bypass of MFA to 2 users? [y/N] ");
        assert!(terminal.shown.contains(PLAN), "nobody agrees to what cannot be seen: {}", terminal.shown);
        terminal.type_in("y\n");
        let (_, shown) = terminal.ended();
        assert_eq!(field.report(report).count("granted"), 2, "{line}: {shown}");
        assert_eq!(shown.matches(PLAN).count(), if tells_there { 1 } else { 2 }, "once, and in the log: {shown}");
    }
}

#[test]
fn nothing_is_no_answer_in_an_environment_whose_name_cannot_be_seen() {
    let field = field();
    field.users(2, "+4h");
    let id = field.sandbox.environment_id().to_string();
    for told in [r#"{"name":"","type":"PRODUCTION"}"#, r#"{"name":" \t ","type":"PRODUCTION"}"#, r#"{"name":"\u200b\u2060\u0007"}"#] {
        let (url, puts) = environment(told);
        let ask = |typed: &str| {
            let mut terminal = Terminal::of(grant(&field).env("PINGONE_API_URL", &url), 100);
            terminal.see(&format!("To go on, type the environment's ID, `{id}`: "));
            terminal.type_in(typed);
            terminal.ended()
        };
        // Enter, Ctrl-D, and answers without Enter.
        for typed in ["\n", "\u{4}", " \n", &format!("{id}\u{4}\u{4}")] {
            let (code, shown) = ask(typed);
            assert_eq!((code, puts.load(Ordering::Relaxed)), (Some(2), 0), "{told} {typed:?}: {shown}");
            assert!(shown.contains("error: not confirmed; nothing was changed by this command"), "{shown}");
        }
        ask(&format!(" {id} \n"));
        assert_eq!(puts.load(Ordering::Relaxed), 2, "{told}");
    }
}

#[test]
fn a_name_is_typed_as_it_is_shown() {
    let field = field();
    field.users(2, "+4h");
    let (url, puts) = environment(r#"{"name":" Ac\u0000me ","type":"PRODUCTION"}"#);
    for (typed, sent) in [("Acme\n", 0), ("y\n", 0), ("Ac me\n", 2)] {
        let mut terminal = Terminal::of(grant(&field).env("PINGONE_API_URL", &url), 100);
        terminal.see("To go on, type the environment's name, `Ac me`: ");
        terminal.type_in(typed);
        let (_, shown) = terminal.ended();
        assert_eq!(puts.load(Ordering::Relaxed), sent, "{typed:?}: {shown}");
    }
}

#[test]
fn without_a_terminal_nothing_is_asked_of_pingone_either() {
    let field = field();
    field.users(2, "+4h");
    for operation in ["grant", "end"] {
        let mut tool = field.tool(&[]);
        let refused = done(without_terminal(tool.args([operation, "in.csv"])).output().expect("the tool runs"));
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.starts_with("error: this is to be confirmed, and there is no terminal to ask on"), "{}", refused.stderr);
        assert!(field.calls().is_empty(), "not even for a token");
    }
}

#[test]
fn the_question_of_a_resumed_run_says_how_many_rows_are_settled() {
    let field = field();
    field.users(200, "+4h");
    let mut child = field.tool(&["grant", "in.csv", "--rate", "50/s", "-q"]).spawn().expect("the tool runs");
    let lines = || std::fs::read_to_string(field.path("in.report.partial.csv")).map_or(0, |text| text.lines().count());
    let began = std::time::Instant::now();
    while lines() < 10 {
        assert!(began.elapsed().as_secs() < 60, "no line was written");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().expect("it ran");
    child.wait().expect("it ended");
    let settled = lines() - 1;
    let mut terminal = Terminal::of(field.tool(&[]).args(["grant", "in.csv", "--resume", "--rate", "unlimited"]), 100);
    terminal.see(&format!("Resume the run, of which {settled} rows are settled? Grant a bypass of MFA to the rest of 200 users? [y/N] "));
    assert!(terminal.shown.contains(&format!(": {settled} rows already done, only the others are sent")), "{}", terminal.shown);
    terminal.type_in("y\n");
    let (_, shown) = terminal.ended();
    assert_eq!(field.report("in.report.csv").count("granted"), 200, "{shown}");
}
