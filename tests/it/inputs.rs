//! Inputs that cannot be meant: each ends 2, is named by its place, and nothing is sent, not even for a
//! token.

use std::os::unix::fs::PermissionsExt;

use crate::harness::{Field, field};

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
            format!("{header}\n{A},31/08/2026\n").into(),
            &["in.csv:2: column `until`: `31/08/2026` is not an end date: expected `2026-08-31`"],
        ),
        (format!("{header}\n{A},2020-01-01\n").into(), &["in.csv:2: column `until`: `2020-01-01` is not in the future"]),
        (
            format!("{header}\n{A},2098-01-01\n{A},2099-01-01\n").into(),
            &["in.csv:2: column `until`: ", "in.csv:3: column `until`: ", A, "`2098-01-01T00:00:00.000Z`", "on line 3", "on line 2"],
        ),
        (utf16, &["in.csv:1: the text is encoded as UTF-16", "hint: in Excel"]),
        (Vec::new(), &["in.csv: the input is empty"]),
        (format!("{header}\n{A}\n").into(), &["in.csv:2: column `until`: there is no value: found 1 values, expected 2"]),
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
    if std::fs::File::open(&path).is_err() {
        refused(&field, &["grant", "in.csv"], &["in.csv: the input cannot be read", "caused by: Permission denied"]);
    }
}

#[test]
fn what_is_not_clear_is_not_guessed() {
    let field = field();
    field.users(1, "+4h");
    for (unset, expected) in [
        ("PINGONE_ENVIRONMENT_ID", "there is no environment: expected `--environment-id` or PINGONE_ENVIRONMENT_ID"),
        ("PINGONE_CLIENT_ID", "there are no credentials"),
        ("PINGONE_CLIENT_SECRET", "there is no secret for the client ID: expected PINGONE_CLIENT_SECRET or `--client-secret-file`"),
    ] {
        let done = crate::harness::done(field.tool(&["grant", "in.csv"]).env_remove(unset).output().expect("the tool runs"));
        assert_eq!(done.code, 2);
        assert!(done.stderr.contains(expected), "{}", done.stderr);
    }
    for (name, value, expected) in [
        ("PINGONE_API_URL", "http://api.pingone.eu/v1", "is not encrypted"),
        ("PINGONE_AUTH_URL", "ftp://localhost", "is not a URL"),
        ("PINGONE_TOP_LEVEL_DOMAIN", "co.uk", "`co.uk` is not a domain of PingOne's"),
        ("PINGONE_CLIENT_SECRET", "two words", "PINGONE_CLIENT_SECRET: this is no client secret"),
        ("PINGONE_ENVIRONMENT_ID", "x", "is not a UUID"),
    ] {
        let done = crate::harness::done(field.tool(&["grant", "in.csv"]).env(name, value).output().expect("the tool runs"));
        assert_eq!(done.code, 2);
        assert!(done.stderr.contains(expected), "{}", done.stderr);
        assert!(!done.stderr.contains("two words"));
    }
    let mut tool = field.tool(&["grant", "in.csv", "--region", "EU"]);
    let done = crate::harness::done(tool.env("PINGONE_TOP_LEVEL_DOMAIN", "com").output().expect("the tool runs"));
    assert!(done.code == 2 && done.stderr.contains("name different regions"), "{}", done.stderr);
    for arguments in [["--until", "yesterday"], ["--rate", "0"], ["--timeout", "0s"], ["--delimiter", "ab"], ["--concurrency", "0"]] {
        let done = field.run(&[&["grant", "in.csv"], &arguments[..]].concat());
        assert_eq!(done.code, 2, "{arguments:?}: {}", done.stderr);
    }
    assert!(field.calls().is_empty());
}
