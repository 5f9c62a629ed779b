//! Invalid inputs: each exits with 2 and names the place, and no request is sent, not even for a token.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use crate::harness::{Field, field};

/// A user that owns nothing.
const NOBODY: u32 = 65534;

const A: &str = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";

fn refused(field: &Field, arguments: &[&str], expected: &[&str]) {
    let done = field.run(arguments);
    assert_eq!(done.code, 2, "{}", done.stderr);
    for part in expected {
        assert!(done.stderr.contains(part), "{}\nshould have: {part}", done.stderr);
    }
    assert!(done.stderr.starts_with("error: "), "{}", done.stderr);
    assert!(field.calls().is_empty(), "something was sent");
    assert!(!field.path("in.report.csv").exists() && !field.path("in.report.partial.csv").exists());
}

#[test]
fn every_bad_input_is_refused_by_its_place() {
    let field = field();
    let header = "userID,until";
    let utf16: Vec<u8> = format!("\u{feff}{header}\n{A},+4h\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: Vec<(Vec<u8>, &[&str])> = vec![
        (format!("name,until\n{A},+4h\n").into(), &["in.csv:1: there is no column `userID`: the columns are `name`, `until`", "hint: "]),
        (format!("{header}\nx,+4h\n").into(), &["in.csv:2: column `userID`: `x` is not a UUID"]),
        (
            format!("{header}\n{A},31/08/2099\n").into(),
            &["in.csv:2: column `until`: `31/08/2099` is not an end date: expected `2099-08-31`"],
        ),
        (format!("{header}\n{A},2020-01-01\n").into(), &["in.csv:2: column `until`: `2020-01-01` is not in the future"]),
        (
            format!("{header}\n{A},2098-01-01\n{A},2099-01-01\n").into(),
            &["in.csv:2: column `until`: ", "in.csv:3: column `until`: ", A, "`2098-01-01T00:00:00.000Z`", "on line 3", "on line 2"],
        ),
        (utf16, &["in.csv:1: the text is encoded as UTF-16", "hint: in Excel"]),
        (Vec::new(), &["in.csv: the input is empty"]),
        (format!("{header}\n{A}\n").into(), &["in.csv:2: column `until`: there is no value: found 1 value, expected 2"]),
        (format!("{header}\n{A},+4h,x\n").into(), &["in.csv:2: `x` stands beyond the last column, `until`"]),
        (format!("{header}\n{A},\"+4h\n").into(), &["in.csv:2: column `until`: the quote before `+4h` is never closed"]),
    ];
    for (text, expected) in cases {
        field.write("in.csv", text);
        refused(&field, &["grant", "in.csv"], expected);
    }
}

#[test]
fn what_is_no_readable_file_is_refused() {
    let field = field();
    refused(&field, &["grant", "nowhere.csv"], &["nowhere.csv: the input cannot be read", "caused by: No such file"]);
    std::fs::create_dir(field.path("folder")).expect("created");
    refused(&field, &["grant", "folder"], &["folder: the input cannot be read", "caused by: is a directory"]);
    refused(&field, &["grant"], &["there is no input"]);
    let path = field.write("in.csv", "userID\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).expect("changed");
    std::fs::set_permissions(field.folder(), std::fs::Permissions::from_mode(0o777)).expect("changed");
    let mut tool = field.tool(&["grant", "in.csv"]);
    if std::fs::File::open(&path).is_ok() {
        // Root can read everything, so another user runs a copy of the tool that anyone may execute.
        let copy = field.path("tool");
        std::fs::copy(tool.get_program(), &copy).expect("copied");
        let mut other = std::process::Command::new(copy);
        other.args(tool.get_args()).env_clear().envs(tool.get_envs().filter_map(|(name, value)| Some((name, value?))));
        other.current_dir(field.folder()).uid(NOBODY);
        tool = other;
    }
    let done = crate::harness::done(tool.output().expect("the tool runs"));
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("in.csv: the input cannot be read\ncaused by: Permission denied"), "{}", done.stderr);
    assert!(field.calls().is_empty());
}

#[test]
fn the_command_line_outranks_the_environment_and_what_is_empty_is_not_set() {
    let field = field();
    field.users(1, "+4h");
    std::fs::write(field.path("secret"), field.sandbox.client_secret()).expect("written");
    let client = field.sandbox.client_id();
    let mut tool = field.tool(&["grant", "in.csv", "--client-id", &client, "--client-secret-file", "secret"]);
    tool.env("PINGONE_API_ACCESS_TOKEN", "stale").env("PINGONE_TOP_LEVEL_DOMAIN", "xyz");
    for name in ["PINGONE_REGION", "PINGONE_AUTH_METHOD", "PINGONE_AUTH_ENVIRONMENT_ID"] {
        tool.env(name, "");
    }
    let done = crate::harness::done(tool.output().expect("the tool runs"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let mut tool = crate::harness::tool();
    tool.current_dir(field.folder()).args(["grant", "in.csv", "--sandbox", "-o", "rehearsal.csv"]);
    for name in ["PINGONE_ENVIRONMENT_ID", "PINGONE_REGION", "PINGONE_API_URL"] {
        tool.env(name, "nonsense");
    }
    let done = crate::harness::done(tool.output().expect("the tool runs"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let elsewhere = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";
    field.calls();
    let done = crate::harness::done(
        field.tool(&["grant", "in.csv", "--overwrite"]).env("PINGONE_AUTH_ENVIRONMENT_ID", elsewhere).output().expect("the tool runs"),
    );
    assert_eq!(done.code, 4, "{}", done.stderr);
    assert!(field.calls()[0].path.starts_with(&format!("/{elsewhere}/as/token")));
}

#[test]
fn what_is_not_clear_is_not_guessed() {
    let field = field();
    field.users(1, "+4h");
    for (unset, expected) in [
        ("PINGONE_ENVIRONMENT_ID", "there is no environment: expected `--environment-id` or PINGONE_ENVIRONMENT_ID"),
        ("PINGONE_CLIENT_ID", "there is no client ID: expected `--client-id` or PINGONE_CLIENT_ID"),
        ("PINGONE_CLIENT_SECRET", "there is no secret for the client ID: expected PINGONE_CLIENT_SECRET or `--client-secret-file`"),
    ] {
        let done = crate::harness::done(field.tool(&["grant", "in.csv"]).env_remove(unset).output().expect("the tool runs"));
        assert_eq!(done.code, 2);
        assert!(done.stderr.contains(expected), "{}", done.stderr);
    }
    for (name, value, expected) in [
        ("PINGONE_API_URL", "https://api.pingone.eu/v1/environments/", "expected the part before it, `https://api.pingone.eu/v1`\nhint: "),
        ("PINGONE_API_URL", "http://api.pingone.eu/v1", "error: PINGONE_API_URL: `http://api.pingone.eu/v1` is not encrypted"),
        ("PINGONE_AUTH_URL", "ftp://localhost", "error: PINGONE_AUTH_URL: this is not a URL"),
        ("PINGONE_CLIENT_SECRET", "two words", "PINGONE_CLIENT_SECRET: this is no client secret"),
        ("PINGONE_ENVIRONMENT_ID", "x", "error: PINGONE_ENVIRONMENT_ID: `x` is not a UUID"),
        ("PINGONE_REGION", "MARS", "error: PINGONE_REGION: `MARS` is none of its values: expected `NA`, "),
    ] {
        let done = crate::harness::done(field.tool(&["grant", "in.csv"]).env(name, value).output().expect("the tool runs"));
        assert_eq!(done.code, 2);
        assert!(done.stderr.contains(expected), "{}", done.stderr);
        assert!(!done.stderr.contains("two words"));
    }
    let mut tool = field.tool(&["grant", "in.csv"]);
    tool.env_remove("PINGONE_API_URL").env_remove("PINGONE_AUTH_URL").env("PINGONE_TOP_LEVEL_DOMAIN", "co.uk");
    let done = crate::harness::done(tool.output().expect("the tool runs"));
    assert!(done.code == 2 && done.stderr.contains("`co.uk` is not a domain of PingOne's"), "{}", done.stderr);
    for option in ["--api-url", "--auth-url"] {
        let done = field.run(&["grant", "in.csv", option, "https://user:hunter2@api.pingone.eu/v1"]);
        assert!(done.code == 2 && !done.stderr.contains("hunter2"), "{}", done.stderr);
        assert!(done.stderr.starts_with(&format!("error: {option}: ")), "{}", done.stderr);
    }
    let done = field.run(&["grant", "in.csv", "--environment-id=y"]);
    assert!(done.stderr.contains("invalid value 'y' for '--environment-id <UUID>'"), "the option was typed: {}", done.stderr);
    for arguments in [["--until", "yesterday"], ["--rate", "0"], ["--timeout", "0s"], ["--delimiter", "ab"], ["--concurrency", "0"]] {
        let done = field.run(&[&["grant", "in.csv"], &arguments[..]].concat());
        assert_eq!(done.code, 2, "{arguments:?}: {}", done.stderr);
    }
    assert!(field.calls().is_empty());
}

#[test]
fn whatever_is_missing_is_named_at_once() {
    let field = field();
    field.users(1, "+4h");
    let refuse = |unset: &[&str]| {
        let mut tool = field.tool(&["grant", "in.csv"]);
        for name in unset {
            tool.env_remove(name);
        }
        let done = crate::harness::done(tool.output().expect("the tool runs"));
        assert_eq!(done.code, 2, "{}", done.stderr);
        done.stderr
    };
    let hint = "\nhint: set PINGONE_ENVIRONMENT_ID, PINGONE_CLIENT_ID and PINGONE_CLIENT_SECRET to those of a worker application";
    let all = refuse(&["PINGONE_ENVIRONMENT_ID", "PINGONE_CLIENT_ID", "PINGONE_CLIENT_SECRET", "PINGONE_AUTH_URL"]);
    for expected in [
        "error: 4 settings are missing:\n",
        "\n  environment: `--environment-id` or PINGONE_ENVIRONMENT_ID\n",
        "\n  client ID: `--client-id` or PINGONE_CLIENT_ID\n",
        "\n  secret for the client ID: PINGONE_CLIENT_SECRET or `--client-secret-file`\n",
        "\n  auth URL beside the API URL: `--auth-url` or PINGONE_AUTH_URL",
        hint,
    ] {
        assert!(all.contains(expected), "{all}\nshould have: {expected}");
    }
    let one = refuse(&["PINGONE_CLIENT_SECRET"]);
    assert!(one.starts_with("error: there is no secret for the client ID: expected "), "{one}");
    // The hint is about what is missing, and about nothing else.
    for (unset, hint) in [
        (&["PINGONE_CLIENT_SECRET"][..], "set PINGONE_CLIENT_SECRET to that of the worker application, or rehearse"),
        (&["PINGONE_CLIENT_ID"], "set PINGONE_CLIENT_ID to that of the worker application, or rehearse"),
        (&["PINGONE_ENVIRONMENT_ID"], "set PINGONE_ENVIRONMENT_ID to the ID of the environment whose users are meant, or rehearse"),
        (
            &["PINGONE_ENVIRONMENT_ID", "PINGONE_CLIENT_SECRET"],
            "set PINGONE_ENVIRONMENT_ID and PINGONE_CLIENT_SECRET to those of a worker application, or",
        ),
        (
            &["PINGONE_CLIENT_ID", "PINGONE_CLIENT_SECRET"],
            "set PINGONE_CLIENT_ID and PINGONE_CLIENT_SECRET to those of a worker application (an access token",
        ),
    ] {
        let said = refuse(unset);
        assert!(said.contains(&format!("\nhint: {hint}")), "{said}");
    }
    // The secret of the one place must not be sent to another.
    let half = refuse(&["PINGONE_API_URL"]);
    assert!(half.starts_with("error: there is no API URL beside the auth URL: expected `--api-url` or PINGONE_API_URL"), "{half}");
    assert!(half.contains("\nhint: set both URLs, or neither: `--region` then decides"), "{half}");
    assert!(field.calls().is_empty());
}
