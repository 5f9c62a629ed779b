//! Foreign texts from a server, a file name, a record or a table neither control a terminal, a log or a spreadsheet nor
//! pass for a message of the program.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Done, Field, answering, done, faulty, field};

/// One of each kind of invisible character: controls, DEL, C1, soft hyphen, bidirectional, zero width, line separators,
/// variation selectors, tags.
const UNSEEN: [char; 17] = [
    '\u{8}',
    '\u{1b}',
    '\u{7f}',
    '\u{85}',
    '\u{9b}',
    '\u{ad}',
    '\u{61c}',
    '\u{180e}',
    '\u{200b}',
    '\u{202e}',
    '\u{2028}',
    '\u{2066}',
    '\u{fe0f}',
    '\u{feff}',
    '\u{e0001}',
    '\u{e0041}',
    '\u{e007f}',
];

/// A text that tries to forge an error, clear the screen and reverse what follows it.
fn hostile() -> String {
    format!("x\r\nerror: forged{}", String::from_iter(UNSEEN))
}

fn assert_harmless(text: &str, what: &str) {
    let unseen = text.chars().find(|c| UNSEEN.contains(c) || (c.is_control() && *c != '\n'));
    assert!(unseen.is_none(), "{what}: {:?} in {text:?}", unseen.map(char::escape_unicode).map(|c| c.to_string()));
    assert!(!text.lines().any(|line| line.starts_with("error: forged")), "{what}: {text}");
}

fn assert_says_nothing_harmful(done: &Done, what: &str) {
    assert!((0..=5).contains(&done.code), "{what}: {}", done.stderr);
    assert_harmless(&done.stderr, what);
}

/// A server whose every text is hostile.
fn hostile_server() -> String {
    answering(|request| {
        let text = json!(hostile());
        let formula = |index: u128| json!(format!("{}=1+1", UNSEEN[index as usize % UNSEEN.len()]));
        let user = |index: u128| json!({"id": uuid::Uuid::from_u128(index).to_string(), "username": formula(index), "email": text, "population": {"id": text}});
        let error = json!({"id": text, "code": text, "message": text, "details": [{"target": text, "message": text}]});
        let path = request.split_whitespace().nth(1).unwrap_or_default();
        let (status, body) = match path {
            path if path.ends_with("/token") => ("200 OK", json!({"access_token": "s3cr3t-token", "expires_in": 3600})),
            path if path.contains("filter=email") => ("400 Bad Request", error),
            path if path.contains("/users?") => ("200 OK", json!({"_embedded": {"users": (0..17).map(user).collect::<Vec<_>>()}})),
            path if path.ends_with("/bypassMFA") => ("400 Bad Request", error),
            _ => ("200 OK", json!({"name": text, "type": text})),
        };
        (status.to_owned(), body.to_string())
    })
}

fn run_at(field: &Field, url: &str, arguments: &[&str]) -> Done {
    let mut tool = field.tool(arguments);
    done(tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", url).output().expect("the tool runs"))
}

#[test]
fn what_a_server_says_is_harmless_wherever_it_is_shown() {
    let url = hostile_server();
    for arguments in [
        &["grant", "in.csv", "--max-failures", "0"][..],
        &["audit", "in.csv", "--max-failures", "100%", "--log-format", "json"],
        &["audit", "--all-users", "--max-failures", "100%"],
        &["audit", "emails.csv", "--log-format", "json"],
        &["audit", "in.csv", "--max-failures", "100%", "-o", "-"],
    ] {
        let field = field();
        field.users(3, "+4h");
        field.write("emails.csv", "email\na@example.com\nb@example.com\n");
        let done = run_at(&field, &url, &[arguments, &["-vv", "--rate", "unlimited"]].concat());
        assert_says_nothing_harmful(&done, &format!("{arguments:?}"));
        if !arguments.contains(&"emails.csv") {
            assert!(done.stderr.contains("error: forged"), "it does say it: {arguments:?}: {}", done.stderr);
        }
        assert_harmless(&done.stdout, "standard output");
        for entry in std::fs::read_dir(field.folder()).expect("a folder") {
            let path = entry.expect("an entry").path();
            assert_harmless(&std::fs::read_to_string(&path).expect("text"), &path.display().to_string());
        }
        if arguments.contains(&"--all-users") {
            let report = field.report("users.report.csv");
            assert_eq!(report.column("username"), ["' =1+1"; 17], "no formula, whatever stands before it");
        }
    }
}

#[test]
fn a_server_that_refuses_the_run_forges_no_message() {
    let field = field();
    field.users(1, "+4h");
    for status in ["401 Unauthorized", "404 Not Found", "403 Forbidden", "400 Bad Request", "500 Internal Server Error"] {
        let text = json!(hostile());
        let body = json!({"id": text, "code": text, "message": text, "error": text, "error_description": text}).to_string();
        let url = answering(move |_| (status.to_owned(), body.clone()));
        for format in ["text", "json"] {
            let done = run_at(&field, &url, &["grant", "in.csv", "-vv", "--overwrite", "--max-attempts", "1", "--log-format", format]);
            assert!(done.code > 2 && done.stderr.contains("error: forged"), "{status}: {}", done.stderr);
            assert_says_nothing_harmful(&done, status);
        }
    }
}

/// Hostile file names, which Linux allows.
fn names() -> [String; 2] {
    [format!("{}.csv", hostile().replace('/', "")), "=x\nerror: forged\u{9b}.csv".to_owned()]
}

#[test]
fn the_name_of_a_file_forges_no_message() {
    for name in names() {
        let field = field();
        let input = std::fs::read(field.users(2, "+4h")).expect("written");
        let stem = name.strip_suffix(".csv").expect("a table");
        let run = |what: &str, arguments: &[&str]| {
            let done = field.run(arguments);
            assert_says_nothing_harmful(&done, what);
            done
        };
        assert_eq!(run("no such file", &["grant", &name]).code, 2);
        assert_eq!(run("no such folder", &["grant", "in.csv", "-o", &format!("{name}/{name}")]).code, 5);
        assert_eq!(run("no secret", &["grant", "in.csv", "--client-secret-file", &name]).code, 2);
        assert_eq!(run("no token", &["grant", "in.csv", "--access-token-file", &name]).code, 2);
        assert_eq!(run("no authority", &["grant", "in.csv", "--ca-cert", &name]).code, 2);
        assert_eq!(run("no reports", &["diff", &name, "in.csv"]).code, 2);
        field.write(&name, "userID,until\nx,y\n");
        assert_eq!(run("bad rows", &["grant", &name]).code, 2);
        assert_eq!(run("bad rows left out", &["grant", &name, "--skip-invalid", "-o", "bad.csv", "-vv", "--log-format", "json"]).code, 1);
        assert_eq!(run("no authority in it", &["grant", "in.csv", "--ca-cert", &name]).code, 2);
        assert_eq!(run("no reports", &["diff", &name, "in.csv"]).code, 2);
        field.write(&name, &input);
        assert_eq!(run("no folder for the metrics", &["grant", &name, "--metrics-file", &format!("{name}/m")]).code, 5);
        assert_eq!(run("a grant", &["grant", &name, "-vv"]).code, 0);
        assert_eq!(run("a report that is there", &["grant", &name]).code, 2);
        assert_eq!(run("a run that is over", &["grant", &name, "--resume"]).code, 0);
        assert_eq!(run("another report", &["grant", "in.csv", "--resume", "-o", &format!("{stem}.report")]).code, 2);
        assert_eq!(run("its own input", &["audit", &name, "-o", &name]).code, 2);
        assert_eq!(run("the folder", &["audit", "in.csv", "-o", "."]).code, 2);
        std::fs::create_dir(field.path(&format!("{name}.d"))).expect("a folder");
        assert_eq!(run("a folder", &["audit", "in.csv", "-o", &format!("{name}.d")]).code, 2);
        let mut tool = field.tool(&["audit", "in.csv", "-o", "t.csv"]);
        let done = done(
            tool.env("TMPDIR", field.path(&format!("{name}.none")))
                .env("PINGONE_TOP_LEVEL_DOMAIN", hostile())
                .output()
                .expect("the tool runs"),
        );
        assert_says_nothing_harmful(&done, "no folder for temporary files");
    }
}

#[test]
fn a_run_of_a_file_with_such_a_name_is_taken_up_by_the_command_that_it_names() {
    for name in names() {
        let field = faulty("500=100%");
        let input = std::fs::read(field.users(3, "+4h")).expect("written");
        field.write(&name, input);
        let stopped = field.run(&["audit", &name, "--max-attempts", "1", "--max-failures", "0"]);
        assert_says_nothing_harmful(&stopped, "a stop");
        let command = stopped.stderr.lines().last().and_then(|line| line.strip_prefix("to resume: ")).expect("a command");
        let tool = field.tool(&[]);
        let mut shell = Command::new("bash");
        shell.current_dir(field.folder()).env_clear().args(["-c", command]);
        shell.envs(tool.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let again = done(shell.output().expect("a shell"));
        assert!(again.code == 3 && again.stderr.contains("resuming run"), "{command}: {}", again.stderr);
        assert_says_nothing_harmful(&again, "a resume");
    }
}

/// Copies of a record, each with another text replaced by a hostile one.
fn tampered(record: &Value) -> Vec<Value> {
    fn places(value: &Value, at: String, all: &mut Vec<String>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(name, value)| places(value, format!("{at}/{name}"), all)),
            Value::Null | Value::String(_) => all.push(at),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => {}
        }
    }
    let mut all = Vec::new();
    places(record, String::new(), &mut all);
    let with = |place: &String| {
        let mut record = record.clone();
        *record.pointer_mut(place).expect("there") = json!(hostile());
        record
    };
    all.iter().map(with).collect()
}

fn stopped() -> Field {
    let field = faulty("500=100%");
    field.users(3, "+4h");
    let run = field.run(&["audit", "in.csv", "--max-attempts", "1", "--max-failures", "0"]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    field
}

#[test]
fn a_record_that_was_tampered_with_forges_no_message() {
    let field = stopped();
    let path = field.path("in.report.run.json");
    let journal = std::fs::read(field.path("in.report.partial.csv")).expect("a journal");
    let record: Value = serde_json::from_slice(&std::fs::read(&path).expect("a record")).expect("JSON");
    let all = tampered(&record);
    assert!(all.len() > 20, "{}", all.len());
    let mut refused = 0;
    for tampered in all {
        for format in ["text", "json"] {
            std::fs::write(&path, tampered.to_string()).expect("written");
            std::fs::write(field.path("in.report.partial.csv"), &journal).expect("written");
            let run = field.run(&[
                "audit",
                "in.csv",
                "--resume",
                "--max-attempts",
                "1",
                "--max-failures",
                "0",
                "--rate",
                "unlimited",
                "--log-format",
                format,
            ]);
            assert_says_nothing_harmful(&run, &tampered.to_string());
            refused += u32::from(run.stderr.contains("forged"));
        }
    }
    assert!(refused >= 20, "what was written there is told of: {refused}");
}

#[test]
fn a_journal_or_a_table_that_holds_such_texts_forges_no_message() {
    let field = stopped();
    let path = field.path("in.report.partial.csv");
    let journal = std::fs::read_to_string(&path).expect("a journal");
    let quoted = format!("\"{}\"", hostile());
    for tampered in
        [journal.replacen("row", &quoted, 1), journal.replace("failed", &quoted), journal.replacen("\n1,", &format!("\n{quoted},"), 1)]
    {
        std::fs::write(&path, &tampered).expect("written");
        let run = field.run(&["audit", "in.csv", "--resume"]);
        assert!(run.code == 5 || tampered == journal, "{}", run.stderr);
        assert_says_nothing_harmful(&run, &tampered);
    }
    let id = field.sandbox.user_id(0);
    for (text, arguments) in [
        (format!("{quoted},until\n{id},+4h\n"), &["grant", "t.csv"][..]),
        (format!("userID,{quoted}\n{id},+4h\n"), &["grant", "t.csv"]),
        (format!("{quoted},{quoted},until,userID\n1,2,+4h,{id}\n"), &["grant", "t.csv", "--user-column", "x\r\nerror: forged"]),
        (format!("userID,until,{quoted}\n{id},+4h\n"), &["grant", "t.csv"]),
        (format!("userID,until\n{quoted},+4h\n"), &["grant", "t.csv"]),
        (
            format!("userID,until\n{quoted},+4h\n{id},+4h\n"),
            &["audit", "t.csv", "--skip-invalid", "-vv", "--max-attempts", "1", "--max-failures", "100%", "--log-format", "json"],
        ),
        (format!("userID,until\n{id},{quoted}\n"), &["grant", "t.csv"]),
        (format!("userID,until\n{id},+4h,{quoted}\n"), &["grant", "t.csv"]),
        (format!("userID,until\n{id},+4h\n"), &["grant", "t.csv", "--until-column", "x\nerror: forged\u{9b}"]),
        (format!("{id},+4h\n"), &["grant", "t.csv", "--no-headers", "--user-column", "x\nerror: forged\u{9b}"]),
        (format!("userID,until\n{id},\n"), &["grant", "t.csv", "--until", "x\nerror: forged\u{9b}"]),
        (format!("row,userID,result,canBypassMFA,bypassMFAEnabledUntil\n1,{id},{quoted},,\n"), &["diff", "t.csv", "in.csv"]),
    ] {
        field.write("t.csv", &text);
        let run = field.run(&[arguments, if arguments[0] == "diff" { &[] } else { &["-o", "t.report.csv", "--overwrite"] }].concat());
        assert_says_nothing_harmful(&run, &format!("{arguments:?} {text}"));
    }
    assert!(Path::new(&field.path("t.report.csv")).exists());
}
