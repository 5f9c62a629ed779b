//! The plan's digest and `--approve`: what changes the digest, and what goes on only with it.

use std::path::Path;
use std::process::Command;

use pingone_bypass::sandbox::SandboxConfig;
use serde_json::{Value, json};

use crate::harness::{Done, Field, done, field, field_with, tool};
use crate::terminal::{Terminal, without_terminal};

/// The digest on the plan's line for it, which holds nothing else.
fn digest_in(shown: &str) -> String {
    let digests: Vec<_> = shown.lines().filter_map(|line| line.strip_prefix("digest     ")).collect();
    let [digest] = digests[..] else { panic!("one line has the digest: {shown}") };
    assert!(digest.len() == 64 && digest.bytes().all(|digit| digit.is_ascii_hexdigit()), "{digest}");
    digest.to_owned()
}

/// The tool as it is typed, without options of the test's own.
fn typed(field: &Field, arguments: &[&str]) -> Command {
    let mut tool = field.tool(&[]);
    tool.args(arguments);
    tool
}

fn run(field: &Field, arguments: &[&str]) -> Done {
    done(typed(field, arguments).output().expect("the tool runs"))
}

/// The same where there is nobody to ask.
fn run_alone(field: &Field, arguments: &[&str]) -> Done {
    done(without_terminal(&typed(field, arguments)).output().expect("the tool runs"))
}

fn planned_by(mut tool: Command) -> String {
    let dry = done(tool.arg("--dry-run").output().expect("the tool runs"));
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    digest_in(&dry.stderr)
}

fn planned(field: &Field, arguments: &[&str]) -> String {
    planned_by(typed(field, arguments))
}

fn confirmed(field: &Field, record: &str) -> Value {
    let record = std::fs::read(field.path(record)).expect("a record");
    serde_json::from_slice::<Value>(&record).expect("JSON")["confirmed"].take()
}

#[test]
fn a_plan_has_one_digest_wherever_and_however_it_is_carried_out() {
    let field = field();
    let input = std::fs::read(field.users(3, "+4h")).expect("there");
    let first = planned(&field, &["grant", "in.csv"]);
    let api = field.sandbox.api_url();
    let elsewhere = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(elsewhere.path().join("a/b")).expect("created");
    std::fs::write(elsewhere.path().join("a/b/copy.txt"), &input).expect("written");
    for path in ["copy.txt", "../b/copy.txt", elsewhere.path().join("a/b/copy.txt").to_str().expect("UTF-8")] {
        let mut there = typed(&field, &["grant", path]);
        there.current_dir(elsewhere.path().join("a/b"));
        assert_eq!(planned_by(there), first, "{path}");
    }
    let mut piped = typed(&field, &["grant", "-"]);
    piped.stdin(std::fs::File::open(field.path("in.csv")).expect("there"));
    assert_eq!(planned_by(piped), first, "from standard input");
    for option in [
        &["--rate", "3/s"][..],
        &["--concurrency", "2"],
        &["--max-attempts", "3"],
        &["--timeout", "7s"],
        &["--give-up-after", "7m"],
        &["--output", "other.csv"],
        &["--output", "-"],
        &["--overwrite"],
        &["--resume"],
        &["--metrics-file", "m.prom"],
        &["--allow", "not_found,invalid"],
        &["--log-format", "text"],
        &["-v"],
        &["--progress", "none"],
        &["--reason", "INC-4711"],
        &["--approved-by", "Ann"],
        &["--yes"],
        &["--approve", &first],
        &["--client-id", "another"],
        &["--auth-method", "post"],
        &["--auth-environment-id", "7e94b96e-0364-463b-a059-d97d1e4cb1d5"],
        &["--api-url", &api, "--auth-url", "https://auth.example.com"],
        // The same, in other words.
        &["--max-window", "168h"],
        &["--max-failures", "20.0%"],
    ] {
        assert_eq!(planned(&field, &[&["grant", "in.csv"], option].concat()), first, "{option:?}");
    }
    let mut other_clock = typed(&field, &["grant", "in.csv"]);
    other_clock.env("TZ", "Pacific/Auckland").env("LC_ALL", "de_DE.UTF-8");
    assert_eq!(planned_by(other_clock), first);
    assert!(field.calls().is_empty(), "a dry run sends nothing");
}

#[test]
fn whatever_changes_what_is_sent_to_whom_changes_the_digest() {
    let field = field();
    let text = std::fs::read_to_string(field.users(3, "2026-08-31T17:00:00Z")).expect("there").replace("2026-08-31T17:00:00Z", "+4h");
    field.write("in.csv", &text);
    let mut all = vec![("nothing".to_owned(), planned(&field, &["grant", "in.csv"]))];
    for option in [
        &["--until", "+5h"][..],
        &["--until", "+300m"],
        &["--until-column", "until"],
        &["--user-column", "userID"],
        &["--delimiter", ","],
        &["--skip-invalid"],
        &["--max-window", "8d"],
        &["--trust-clock"],
        &["--max-users", "3"],
        &["--max-users", "4"],
        &["--canary", "1"],
        &["--max-failures", "21%"],
        &["--max-failures", "20"],
        &["--environment-id", "7e94b96e-0364-463b-a059-d97d1e4cb1d5"],
        &["--api-url", "https://api.pingone.eu/v1", "--auth-url", "https://auth.pingone.eu"],
        &["--api-url", "https://api.pingone.com/v1", "--auth-url", "https://auth.pingone.eu"],
    ] {
        all.push((format!("{option:?}"), planned(&field, &[&["grant", "in.csv"], option].concat())));
    }
    let mut sandbox = tool();
    sandbox.current_dir(field.folder()).args(["grant", "in.csv", "--sandbox"]);
    all.push(("--sandbox".to_owned(), planned_by(sandbox)));
    for operation in [&["audit", "in.csv"][..], &["end", "in.csv"], &["end", "in.csv", "--in", "61s"]] {
        all.push((format!("{operation:?}"), planned(&field, operation)));
    }
    let rows = text.split_once('\n').expect("a header").1;
    for (what, changed) in [
        ("one byte", text.replacen("+4h", "+5h", 1)),
        ("an end of a line", format!("{text}\n")),
        ("a byte order mark", format!("\u{feff}{text}")),
        ("no header", rows.to_owned()),
    ] {
        field.write("in.csv", changed);
        let header: &[&str] = if what == "no header" { &["--no-headers"] } else { &[] };
        all.push((what.to_owned(), planned(&field, &[&["grant", "in.csv"], header].concat())));
    }
    let (one, two) = ("7e94b96e-0364-463b-a059-d97d1e4cb1d5", "7e94b96e-0364-463b-a059-d97d1e4cb1d6");
    for selection in [
        &["--all-users"][..],
        &["--population", one],
        &["--population", two],
        &["--group", one],
        &["--filter", "enabled eq true"],
        &["--filter", "enabled eq false"],
        &["--all-users", "--max-users", "7"],
    ] {
        all.push((format!("{selection:?}"), planned(&field, &[&["audit"], selection].concat())));
    }
    for (index, (what, digest)) in all.iter().enumerate() {
        for (other, of_other) in &all[..index] {
            assert_ne!(digest, of_other, "{what} and {other}");
        }
    }
    // Which lines the report has is nothing that PingOne sees.
    let listed = |more: &[&str]| planned(&field, &[&["audit", "--all-users"], more].concat());
    assert_eq!(listed(&["--only", "active"]), listed(&[]));
    let region = |arguments: &[&str]| {
        let mut tool = typed(&field, &[&["grant", "in.csv", "--no-headers"], arguments].concat());
        tool.env_remove("PINGONE_API_URL").env_remove("PINGONE_AUTH_URL");
        planned_by(tool)
    };
    let urls = ["--api-url", "https://api.pingone.eu/v1/", "--auth-url", "https://auth.pingone.eu"];
    assert_eq!(region(&["--region", "EU"]), region(&urls), "a region is its URL");
    assert_ne!(region(&["--region", "EU"]), region(&[]));
    assert!(field.calls().is_empty());
}

#[test]
fn a_run_goes_on_with_the_digest_of_its_dry_run_and_nobody_to_ask() {
    let field = field();
    field.users(4, "+4h");
    for (operation, result) in [("grant", "granted"), ("audit", "active"), ("end", "ended")] {
        let name = format!("{operation}.csv");
        let digest = planned(&field, &[operation, "in.csv"]).to_uppercase();
        let arguments = [operation, "in.csv", "-o", &name, "--approve", &digest, "--approved-by", "Ann Lee", "--reason", "INC-4711"];
        let ran = run_alone(&field, &arguments);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(digest_in(&ran.stderr), digest.to_lowercase());
        assert_eq!(field.report(&name).count(result), 4);
        let expected = json!({"how": "approve", "plan": digest.to_lowercase(), "approvedBy": "Ann Lee"});
        assert_eq!(confirmed(&field, &format!("{operation}.run.json")), expected);
    }
}

#[test]
fn another_plan_than_the_approved_one_sends_nothing() {
    let field = field();
    field.users(3, "+4h");
    let digest = planned(&field, &["grant", "in.csv"]);
    let other = format!("{}{}", &digest[..63], if digest.ends_with('0') { '1' } else { '0' });
    let before = std::fs::read_dir(field.folder()).expect("a folder").count();
    let refuse = |arguments: &[&str], approved: &str| {
        let refused = run_alone(&field, &[arguments, &["--approve", approved]].concat());
        assert_eq!(refused.code, 2, "{arguments:?}: {}", refused.stderr);
        let expected = format!("error: this is not the plan that was approved: `--approve` has `{approved}`, and this plan's digest is `");
        assert!(refused.stderr.contains(&expected) && refused.stderr.contains("\nhint: the operation, the input, "), "{}", refused.stderr);
        assert!(field.calls().is_empty(), "{arguments:?}: not even for a token");
        assert_eq!(std::fs::read_dir(field.folder()).expect("a folder").count(), before, "{arguments:?}: nothing is left");
    };
    refuse(&["grant", "in.csv"], &other);
    refuse(&["grant", "in.csv", "--dry-run"], &other);
    refuse(&["grant", "in.csv", "-o", "-"], &other);
    refuse(&["grant", "in.csv", "--canary", "1"], &digest);
    refuse(&["grant", "in.csv", "--resume"], &other);
    refuse(&["end", "in.csv"], &digest);
    refuse(&["audit", "in.csv"], &digest);
    refuse(&["audit", "--all-users"], &digest);
    let text = std::fs::read_to_string(field.path("in.csv")).expect("there");
    field.write("in.csv", text.replacen("+4h", "+6h", 1));
    refuse(&["grant", "in.csv"], &digest);
    let mut sandbox = tool();
    sandbox.current_dir(field.folder()).args(["grant", "in.csv", "--sandbox", "--approve", &digest]);
    assert_eq!(done(sandbox.output().expect("the tool runs")).code, 2);
    for (arguments, expected) in [
        (&["--approve", &digest, "--yes"][..], "cannot be used with"),
        (&["--approve", "4711"], "`4711` is not a plan's digest: expected the 64 hexadecimal digits that `--dry-run` prints"),
    ] {
        let refused = run(&field, &[&["grant", "in.csv"], arguments].concat());
        assert!(refused.code == 2 && refused.stderr.contains(expected), "{}", refused.stderr);
    }
    assert!(field.calls().is_empty());
}

#[test]
fn a_lookup_does_not_change_the_digest() {
    let field = field_with(SandboxConfig { users: Some(20), ..SandboxConfig::default() });
    let rows: String = (0..5).map(|index| format!("user{index:06}@example.com\n")).collect();
    field.write("in.csv", format!("email\n{rows}nobody@example.com\n"));
    let digest = planned(&field, &["grant", "in.csv", "--until", "+4h"]);
    let ran = run_alone(&field, &["grant", "in.csv", "--until", "+4h", "--approve", &digest]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("looked up  6 rows by `email`: 5 found, 1 not_found"), "{}", ran.stderr);
    assert_eq!(digest_in(&ran.stderr), digest);
    assert_eq!(field.report("in.report.csv").count("granted"), 5);
}

#[test]
fn a_run_is_taken_up_with_the_digest_that_it_began_with() {
    let field = field_with(SandboxConfig { users: Some(30), ..SandboxConfig::default() });
    let mut users: Vec<_> = (0..30).map(|index| field.sandbox.user_id(index).to_string()).collect();
    users[1] = "00000000-0000-4000-8000-000000000000".to_owned();
    field.write("in.csv", format!("userID\n{}\n", users.join("\n")));
    let arguments = ["grant", "in.csv", "--until", "+1h", "--canary", "3", "--rate", "unlimited"];
    let digest = planned(&field, &arguments);
    let arguments = [&arguments[..], &["--approve", &digest]].concat();
    assert_eq!(run_alone(&field, &arguments).code, 3);
    field.calls();
    let other = if digest.starts_with('0') { digest.replacen('0', "1", 1) } else { format!("0{}", &digest[1..]) };
    let refused = run_alone(&field, &[&arguments[..9], &[&other, "--resume"]].concat());
    assert_eq!((refused.code, field.calls().len()), (2, 0), "{}", refused.stderr);
    assert!(refused.stderr.contains("error: this is not the plan that was approved"), "{}", refused.stderr);
    let resumed = run_alone(&field, &[&arguments[..], &["--resume"]].concat());
    assert_eq!(resumed.code, 1, "{}", resumed.stderr);
    assert_eq!(digest_in(&resumed.stderr), digest);
    assert_eq!(field.report("in.report.csv").count("granted"), 29);
    assert_eq!(confirmed(&field, "in.report.run.json"), json!({"how": "approve", "plan": digest, "approvedBy": null}));
    let refused = run_alone(&field, &[&arguments[..9], &[&other, "--resume"]].concat());
    assert_eq!(refused.code, 2, "the plan that has finished is another: {}", refused.stderr);
    assert_eq!(run_alone(&field, &[&arguments[..], &["--resume"]].concat()).code, 1, "as it finished");
}

#[test]
fn the_record_says_how_the_run_was_confirmed() {
    let field = field();
    field.users(2, "+4h");
    let mut digest = String::new();
    let mut terminal = Terminal::of(&typed(&field, &["grant", "in.csv"]), 100);
    terminal.see("Grant a bypass of MFA to 2 users? [y/N] ");
    for line in terminal.shown.lines().filter_map(|line| line.strip_prefix("digest     ")) {
        digest = line.to_owned();
    }
    terminal.type_in("y\n");
    assert_eq!(terminal.ended().0, Some(0));
    let how = |how: &str, digest: &str| json!({"how": how, "plan": digest, "approvedBy": null});
    assert_eq!(digest.len(), 64, "it fits on a line");
    assert_eq!(confirmed(&field, "in.report.run.json"), how("typed", &digest));
    let yes = run(&field, &["grant", "in.csv", "--yes", "--overwrite"]);
    assert_eq!((yes.code, confirmed(&field, "in.report.run.json")), (0, how("yes", &digest)), "{}", yes.stderr);
    let mut sandbox = tool();
    sandbox.current_dir(field.folder()).args(["end", "in.csv", "--sandbox", "--yes", "--overwrite"]);
    let rehearsed = done(sandbox.output().expect("the tool runs"));
    assert_eq!(confirmed(&field, "in.report.run.json"), how("sandbox", &digest_in(&rehearsed.stderr)));
    // An audit changes nothing, so there is nothing to confirm.
    let audit = run(&field, &["audit", "in.csv", "--yes", "--approved-by", "Ann", "--overwrite"]);
    let expected = json!({"how": null, "plan": digest_in(&audit.stderr), "approvedBy": "Ann"});
    assert_eq!(confirmed(&field, "in.report.run.json"), expected);
    assert!(Path::new(&field.path("in.report.csv")).exists());
}

#[test]
fn without_a_terminal_an_input_that_never_comes_is_not_waited_for() {
    let field = field();
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let mut alone = without_terminal(&typed(&field, &["grant", "-", "--until", "+4h"]));
    let child = alone.stdin(reader).stderr(std::process::Stdio::piped()).spawn().expect("the tool runs");
    let refused = crate::harness::ended_within(std::time::Duration::from_secs(20), child).expect("it does not wait");
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.starts_with("error: this is to be confirmed, and there is no terminal to ask on"), "{}", refused.stderr);
    assert!(field.calls().is_empty());
    assert_eq!(std::fs::read_dir(field.folder()).expect("a folder").count(), 0, "nothing is left");
}
