//! `--lookup-by`: what the values of a column are. And how wrong ones are told of.

use pingone_bypass::sandbox::SandboxConfig;
use serde_json::Value;

use crate::harness::{Done, Field, field_with};

const A: &str = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";

fn field() -> Field {
    field_with(SandboxConfig { users: Some(20), ..SandboxConfig::default() })
}

fn run(field: &Field, arguments: &[&str], code: i32) -> Done {
    let done = field.run(arguments);
    assert_eq!(done.code, code, "{arguments:?}: {}{}", done.stdout, done.stderr);
    done
}

fn digest(done: &Done) -> String {
    let line = done.stderr.lines().find_map(|line| line.strip_prefix("digest     "));
    line.expect("a digest").to_owned()
}

#[test]
fn a_column_of_any_name_is_looked_up_by_what_it_is_said_to_hold() {
    let field = field();
    field.write("in.csv", "Email Address;until\r\nuser000001@example.com;+4h\r\nnobody@example.com;+4h\r\n");
    let by_email = ["--user-column", "Email Address", "--lookup-by", "email"];
    let granted = run(&field, &[&["grant", "in.csv"], &by_email[..]].concat(), 1);
    assert!(granted.stderr.contains("looked up  2 rows by `Email Address` as email: 1 found"), "{}", granted.stderr);
    let report = field.report("in.report.csv");
    assert_eq!(report.column("result"), ["granted", "not_found"]);
    assert_eq!(report.column("userID")[0], field.sandbox.user_id(1).to_string());
    let record: Value = serde_json::from_slice(&std::fs::read(field.path("in.report.run.json")).expect("there")).expect("JSON");
    assert_eq!(record["options"]["lookupBy"], "email");
    run(&field, &[&["grant", "in.report.failed.csv", "-o", "again.csv"], &by_email[..]].concat(), 1);
    let another = run(&field, &["grant", "in.csv", "--resume", "--user-column", "Email Address", "--lookup-by", "username"], 2);
    assert!(another.stderr.contains("`--lookup-by` was `email` and is `username`"), "{}", another.stderr);

    field.write("bare.csv", "user000002,x\nuser000003,y\n");
    run(&field, &["audit", "bare.csv", "--no-headers", "--user-column", "1", "--lookup-by", "username"], 0);
    let ids = [2, 3].map(|index| field.sandbox.user_id(index).to_string());
    assert_eq!(field.report("bare.report.csv").column("userID"), ids);
    // The report has a column of this name: the values stand beside the users that they name.
    field.write("ids.csv", "userID\nuser000004@example.com\nnobody@example.com\n");
    run(&field, &["audit", "ids.csv", "--lookup-by", "email"], 1);
    assert_eq!(field.report("ids.report.csv").column("email"), ["user000004@example.com", "nobody@example.com"]);
    run(&field, &["audit", "ids.report.failed.csv", "--lookup-by", "email", "-o", "again.csv", "--overwrite"], 1);
}

#[test]
fn what_contradicts_itself_is_refused_before_anything_is_sent() {
    let field = field();
    field.write("in.csv", format!("userID,username,email\n{A},ann,ann@example.com\n"));
    for (arguments, expected) in [
        (
            &["--user-column", "username", "--lookup-by", "email"][..],
            "in.csv:1: column `username`: its values are to be looked up as `email`",
        ),
        (&["--lookup-by", "email"], "in.csv:1: there are two columns of users, `userID` and `email`"),
        (&["--user-column", "mail", "--lookup-by", "email"], "in.csv:1: there is no column `mail`"),
        (&["--lookup-by", "phone"], "invalid value 'phone' for '--lookup-by <ATTRIBUTE>'"),
    ] {
        let refused = run(&field, &[&["audit", "in.csv"], arguments].concat(), 2);
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
        assert!(refused.stderr.contains("\nhint: ") || expected.starts_with("invalid"), "{}", refused.stderr);
    }
    let all = run(&field, &["audit", "--all-users", "--lookup-by", "email"], 2);
    assert!(all.stderr.contains("cannot be used with"), "{}", all.stderr);
    assert!(field.calls().is_empty());
}

#[test]
fn the_plans_digest_covers_who_is_meant_and_not_how_it_is_reported() {
    let field = field();
    field.write("in.csv", "who\nuser000001@example.com\n");
    let dry = |arguments: &[&str]| {
        digest(&run(&field, &[&["grant", "in.csv", "--until", "+4h", "--dry-run", "--user-column", "who"], arguments].concat(), 0))
    };
    let email = dry(&["--lookup-by", "email"]);
    assert_ne!(email, dry(&["--lookup-by", "username"]));
    assert_eq!(email, dry(&["--lookup-by", "email", "--output-dialect", "excel"]));
}

#[test]
fn a_column_of_wrong_dates_is_told_of_once() {
    let field = field();
    let users: Vec<_> = (0..20).map(|index| field.sandbox.user_id(index)).collect();
    let with = |date: &str| format!("userID,until\n{}", users.iter().map(|user| format!("{user},{date}\n")).collect::<String>());
    for (date, expected) in [
        ("30/11/2099", "`30/11/2099` is not an end date: expected `2099-11-30`; 20 rows are like this: `30/11/2099` (lines 2 to 21)"),
        ("8h", "`8h` is not an end date: expected `+8h`, which counts from the start of the run; 20 rows"),
        ("2099-11-25 17:00", "lacks `T` and an offset from UTC: expected `2099-11-25T17:00:00Z`, which is UTC, or"),
        ("03/04/2099", "expected `2099-04-03` if its day comes first, or `2099-03-04` if its month does; 20 rows"),
    ] {
        field.write("in.csv", with(date));
        let refused = run(&field, &["grant", "in.csv"], 2).stderr;
        assert!(
            refused.starts_with("error: in.csv: 20 of 20 rows are invalid; nothing was sent\n  in.csv:2: column `until`: "),
            "{refused}"
        );
        assert!(refused.contains(expected), "{refused}\nshould have: {expected}");
        assert!(refused.lines().count() == 3 && refused.contains("\nhint: ") && !refused.contains("--skip-invalid"), "{refused}");
    }
    field.write("in.csv", with("+4h") + &format!("{A},soon\n"));
    assert!(run(&field, &["grant", "in.csv"], 2).stderr.contains("use `--skip-invalid`"));
    let until = run(&field, &["grant", "in.csv", "--until", "8h"], 2).stderr;
    assert!(until.contains("error: --until: `8h` is not an end date: expected `+8h`"), "{until}");

    field.write("in.csv", with("+4h"));
    run(&field, &["grant", "in.csv"], 0);
    field.calls();
    let restore = run(&field, &["end", "--restore", "in.report.csv"], 2).stderr;
    assert!(
        restore.contains("does not tell what the user had before the grant; 20 rows are like this: lines 2 to 21\nhint: "),
        "{restore}"
    );
    assert!(field.calls().is_empty());
}
