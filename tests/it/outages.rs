//! What is told while nobody answers: notices, the bar, plain lines and events, and the ID of the run in each line.

use std::net::TcpListener;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pingone_bypass::sandbox::SandboxConfig;
use serde_json::Value;

use crate::harness::{Done, Field, answering, done, faulty, field, field_with, no_bypass};
use crate::terminal::{Terminal, without_terminal};

/// A URL at which nothing listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

/// What follows the first request for a user, until that long ago.
#[derive(Debug, Clone, Copy)]
enum Outage {
    /// Each request is answered 503.
    Busy(Duration),
    /// No request is answered before.
    Hangs(Duration),
}

/// PingOne with an outage.
fn broken(outage: Outage) -> String {
    let first = OnceLock::new();
    answering(move |request| {
        if request.contains("/token") {
            return ("200 OK".to_owned(), r#"{"access_token":"s3cr3t-token","expires_in":3600}"#.to_owned());
        }
        let since = first.get_or_init(Instant::now).elapsed();
        match outage {
            Outage::Busy(time) if since < time => {
                ("503 Service Unavailable".to_owned(), r#"{"code":"BUSY","message":"Later."}"#.to_owned())
            }
            Outage::Hangs(time) if since < time => {
                std::thread::sleep(time.saturating_sub(since));
                ("200 OK".to_owned(), no_bypass(request))
            }
            Outage::Busy(_) | Outage::Hangs(_) => ("200 OK".to_owned(), no_bypass(request)),
        }
    })
}

fn tool_at(field: &Field, url: &str, arguments: &[&str]) -> Command {
    let mut tool = field.tool(&[&["audit", "in.csv", "--overwrite"], arguments].concat());
    tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", url);
    tool
}

fn run_at(field: &Field, url: &str, arguments: &[&str]) -> Done {
    done(tool_at(field, url, arguments).output().expect("the tool runs"))
}

fn lines_with<'a>(text: &'a str, what: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.contains(what)).collect()
}

/// The lines of a log in JSON.
fn events(run: &Done) -> Vec<Value> {
    run.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn a_token_endpoint_that_is_not_there_is_told_after_two_seconds() {
    let (field, nowhere) = (field(), nowhere());
    field.users(3, "");
    // A first try is followed by others for half a minute or so: none of these runs ends by itself within two seconds.
    let mut plain = Terminal::of(&tool_at(&field, &nowhere, &["--progress", "plain"]), 200);
    plain.see("WARN");
    plain.see("waiting for a token from 127.0.0.1: try ");
    plain.see(" so far, gives up within 9m ");
    plain.type_in("\u{3}");
    let (code, shown) = plain.ended();
    assert_eq!(code, Some(130), "{shown}");
    let told = lines_with(&shown, "outage: no answer from 127.0.0.1 for 2 s (Connection refused): a token is waited for");
    assert!(told.len() == 1 && told[0].contains(" retried for at most 9m 5"), "{shown}");
    assert_eq!(lines_with(&shown, "waiting for a token").len(), 1, "one in ten seconds: {shown}");

    for (columns, whole) in [(120, ": Connection refused"), (80, ": try ")] {
        let mut terminal = Terminal::of(&tool_at(&field, &nowhere, &[]), columns);
        terminal.see("waiting for a token from 127.0.0.1: try ");
        terminal.see("gives up within 9m 5");
        terminal.type_in("\u{3}");
        let (code, shown) = terminal.ended();
        assert!(code == Some(130) && shown.contains(whole), "{shown}");
    }
}

#[test]
fn a_quiet_run_tells_nothing_of_a_token_endpoint_that_is_not_there_but_its_error() {
    let (field, nowhere) = (field(), nowhere());
    field.users(3, "");
    let quiet = Terminal::of(&tool_at(&field, &nowhere, &["--give-up-after", "6s", "-q"]), 120);
    let (code, shown) = quiet.ended();
    assert_eq!(code, Some(3), "{shown}");
    assert!(shown.starts_with("error: no token could be had from `127.0.0.1`"), "{shown}");
    let unseen = run_at(&field, &nowhere, &["--give-up-after", "6s", "--progress", "none"]);
    assert!(unseen.code == 3 && !unseen.stderr.contains("waiting for a token"), "{}", unseen.stderr);
}

#[test]
fn a_server_that_hangs_is_told_and_so_is_its_return() {
    let field = field();
    field.users(3, "");
    let url = broken(Outage::Hangs(Duration::from_millis(3_500)));
    let mut terminal = Terminal::of(&tool_at(&field, &url, &[]), 120);
    terminal.see("0/3 0%, no answer for 2 s, ");
    terminal.see(" rows are retried, gives up within ");
    let (code, shown) = terminal.ended();
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(shown.matches("outage: no answer from 127.0.0.1 for 2 s: ").count(), 1, "{shown}");
    assert_eq!(shown.matches("the outage is over: 127.0.0.1 answers again, after 3 s").count(), 1, "{shown}");
    assert!(!shown.contains("/s, ") && !shown.contains(" left"), "there is nothing to estimate from: {shown}");
}

#[test]
fn each_outage_has_one_notice_at_its_beginning_and_one_at_its_end() {
    let field = field();
    field.users(30, "");
    let arguments = ["--concurrency", "4", "--rate", "unlimited", "--max-attempts", "20"];
    let run = run_at(&field, &broken(Outage::Busy(Duration::from_secs(4))), &arguments);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let began = lines_with(&run.stderr, "outage: no answer from 127.0.0.1 for 2 s (HTTP 503, BUSY, Later.): ");
    assert_eq!(began.len(), 1, "{}", run.stderr);
    assert!(began[0].contains(" rows are waiting and being retried for at most ") && began[0].contains(" WARN "), "{}", began[0]);
    let over = lines_with(&run.stderr, "the outage is over: 127.0.0.1 answers again, after ");
    assert!(over.len() == 1 && over[0].contains(" INFO "), "{}", run.stderr);

    let quiet = run_at(&field, &broken(Outage::Busy(Duration::from_secs(3))), &[&arguments[..], &["-q"]].concat());
    assert_eq!((quiet.code, quiet.stderr.as_str()), (0, ""));
}

#[test]
fn a_row_that_fails_among_others_is_no_outage() {
    let field = field();
    field.users(40, "");
    let bad = field.sandbox.user_id(5).to_string();
    let url = answering(move |request| match request {
        _ if request.contains("/token") => ("200 OK".to_owned(), r#"{"access_token":"s3cr3t-token","expires_in":3600}"#.to_owned()),
        _ if request.contains(&bad) => ("503 Service Unavailable\r\nRetry-After: 1".to_owned(), "{}".to_owned()),
        _ => ("200 OK".to_owned(), no_bypass(request)),
    });
    let run = run_at(&field, &url, &["--rate", "20/s", "--max-attempts", "5"]);
    assert_eq!((run.code, field.report("in.report.csv").count("failed")), (1, 1), "{}", run.stderr);
    assert!(!run.stderr.contains("outage"), "{}", run.stderr);
}

#[test]
fn a_run_that_is_held_by_a_429_shows_its_counts_and_the_limit() {
    for columns in [120, 80] {
        let limited = SandboxConfig { rate_limit: Some("20".parse().expect("a limit")), ..SandboxConfig::default() };
        let field = field_with(limited);
        field.users(120, "");
        let terminal = Terminal::of(&field.tool(&["audit", "in.csv", "--rate", "60/s"]), columns);
        let (code, shown) = terminal.ended();
        assert_eq!(code, Some(0), "{shown}");
        assert!(shown.contains("%, held by PingOne for 2 s, active ") || shown.contains("%, held by PingOne for 1 s, active "), "{shown}");
        assert!(shown.contains("/s, limited by PingOne"), "{shown}");
        assert!(!shown.contains("outage"), "{shown}");
        // The local time to the second, with the colours of the level.
        let warning = lines_with(&shown, "PingOne limits the rate (429)")[0];
        let warning = &warning[warning.rfind("\u{1b}[2K").map_or(0, |at| at + 4)..];
        let (time, level) = warning.split_once(' ').expect("a time");
        assert!(time.starts_with("\u{1b}[2m") && time.matches(':').count() == 2 && !time.contains('.'), "{warning}");
        assert!(level.starts_with("\u{1b}[33mWARN\u{1b}[0m PingOne limits"), "{warning}");
    }
}

#[test]
fn a_log_on_a_terminal_has_no_colours_if_none_are_wanted_and_its_time_in_full_elsewhere() {
    let field = faulty("500=100%");
    field.users(2, "");
    let arguments = ["audit", "in.csv", "-v", "--max-attempts", "1", "--overwrite", "--progress", "none"];
    let mut tool = field.tool(&arguments);
    tool.env("NO_COLOR", "1").env("TZ", "Asia/Tokyo");
    let (_, shown) = Terminal::of(&tool, 80).ended();
    let set_up = lines_with(&shown, " is set up")[0];
    assert!(!shown.contains('\u{1b}') && set_up.len() > 80, "nothing is wrapped: {shown}");
    let (time, rest) = set_up.split_once(' ').expect("a time");
    assert!(time.len() == 8 && rest.starts_with("INFO run "), "{set_up}");
    let elsewhere = done(without_terminal(&field.tool(&arguments)).output().expect("the tool runs")).stderr;
    let (time, _) = lines_with(&elsewhere, " is set up")[0].split_once(' ').expect("a time");
    assert!(time.contains('T') && time.ends_with('Z') && time.contains('.'), "{elsewhere}");
}

#[test]
fn plan_progress_and_summary_are_events_with_fields_and_each_line_has_the_run() {
    let field = field_with(SandboxConfig { latency: Duration::from_millis(20), ..SandboxConfig::default() });
    let users = std::fs::read_to_string(field.users(115, "+4h")).expect("there");
    let twice = users.lines().nth(1).expect("a row");
    field.write("in.csv", format!("{users}x,+4h\n{twice}\n"));
    let run = field.run(&["grant", "in.csv", "--skip-invalid", "--rate", "10/s", "--log-format", "json", "-vv"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let events = events(&run);
    let run_id = events[0]["runId"].as_str().expect("an ID").to_owned();
    assert_eq!(run_id.len(), 36);
    assert!(events.iter().all(|event| event["runId"] == run_id.as_str()), "{}", run.stderr);
    let record: Value = serde_json::from_str(&std::fs::read_to_string(field.path("in.report.run.json")).expect("a record")).expect("JSON");
    assert_eq!(record["runId"], run_id.as_str());
    let named = |name: &str| events.iter().filter(|event| event["message"] == name).collect::<Vec<_>>();

    let [plan] = named("plan")[..] else { panic!("one plan: {}", run.stderr) };
    for (name, value) in [("operation", "grant"), ("environmentType", "SANDBOX"), ("report", "in.report.csv")] {
        assert_eq!(plan[name], value, "{plan}");
    }
    assert_eq!(plan["environmentId"], field.sandbox.environment_id().to_string().as_str());
    assert_eq!(plan["apiUrl"], field.sandbox.api_url().as_str());
    for (name, value) in [("rows", 117), ("users", 115), ("invalid", 1), ("duplicates", 1)] {
        assert_eq!(plan[name], value, "{plan}");
    }
    assert_eq!(plan["rate"], 10.0);
    assert!(plan["environmentName"].is_string() && plan["digest"].as_str().is_some_and(|digest| digest.len() == 64), "{plan}");
    assert!(plan["firstEndDate"].as_str() <= plan["lastEndDate"].as_str() && plan["firstEndDate"].is_string(), "{plan}");

    let progress = named("progress");
    assert!(!progress.is_empty(), "{}", run.stderr);
    for event in progress {
        let settled = event["granted"].as_u64().expect("a number") + event["invalid"].as_u64().expect("a number");
        assert!(event["rows"].as_u64() >= Some(settled) && event["total"] == 117 && event["failed"] == 0, "{event}");
        assert!(event["perSecond"].as_f64() > Some(5.0) && event["secondsLeft"].is_number() && event["heldSeconds"] == 0.0, "{event}");
        assert!(event.get("waitingFor").is_none(), "{event}");
    }
    let [summary] = named("summary")[..] else { panic!("one summary: {}", run.stderr) };
    for (name, value) in [("rows", 117), ("granted", 115), ("invalid", 1), ("duplicate", 1), ("unknown", 0), ("exitCode", 1)] {
        assert_eq!(summary[name], value, "{summary}");
    }
    assert!(summary["sent"].as_u64() >= Some(116) && summary["seconds"].as_f64() > Some(5.0), "{summary}");
    assert_eq!((&summary["status"], &summary["report"]), (&"completed".into(), &"in.report.csv".into()));
    for outcome in pingone_bypass::Outcome::ALL {
        assert!(summary[outcome.to_string()].is_u64(), "{outcome}: {summary}");
    }
}

#[test]
fn json_logs_tell_of_an_outage_with_the_run_and_have_none_before_it_is_known() {
    let field = field();
    field.users(2, "");
    let json = ["--log-format", "json", "--max-attempts", "20"];
    let run = run_at(&field, &broken(Outage::Busy(Duration::from_secs(3))), &json);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let told = events(&run);
    assert!(told.iter().all(|event| event["runId"] == told[0]["runId"] && event["runId"].is_string()), "{}", run.stderr);
    let outages = |text: &str| told.iter().filter(|event| event["message"].as_str().is_some_and(|said| said.contains(text))).count();
    assert_eq!((outages("outage: no answer"), outages("the outage is over")), (1, 1), "{}", run.stderr);

    let refused = field.run(&["audit", "in.csv", "--environment-id", "x", "--log-format", "json"]);
    let missing = field.run(&["audit", "nowhere.csv", "--log-format", "json"]);
    for (run, is_known) in [(refused, false), (missing, true)] {
        assert_eq!(run.code, 2);
        let error = lines_with(&run.stderr, r#""level":"ERROR""#);
        if let Some(line) = error.first() {
            let event: Value = serde_json::from_str(line).expect(line);
            assert_eq!((event["runId"].is_string(), &event["exitCode"]), (is_known, &2.into()), "{line}");
        } else {
            assert!(!is_known, "clap refuses in its own form: {}", run.stderr);
        }
    }
}
