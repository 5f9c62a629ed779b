//! A gateway's answer for a path that it does not know: the hint is at the URL, not at the role.

use crate::harness::{Done, Field, answering, done, field};

/// The body that an API gateway answers with, which quotes the request's header.
fn refusal(request: &str) -> String {
    let header = request.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:"));
    let (_, token) = header.unwrap_or_default().split_once("earer ").unwrap_or_default();
    format!(r#"{{"message":"Invalid key=value pair (missing equal-sign) in Authorization header: 'Bearer {token}'."}}"#)
}

/// A run against a gateway that knows no path, beside a token endpoint that works.
fn run(field: &Field, arguments: &[&str], body: impl Fn(&str) -> String + Send + Sync + 'static) -> Done {
    let url = answering(move |request| ("403 Forbidden\r\nContent-Type: application/json".to_owned(), body(request)));
    let mut tool = field.tool(arguments);
    done(tool.env("PINGONE_API_URL", format!("{url}/nowhere")).output().expect("the tool runs"))
}

const HINT: &str = "check `--api-url` and `--region`: this is a gateway's answer for a path that it does not know. The URL is the part before \
                    `/environments`, such as `https://api.pingone.eu/v1`";
const SAID: &str =
    "the answer has no error body of PingOne's: Invalid key=value pair (missing equal-sign) in Authorization header: 'Bearer [redacted]'.";

#[test]
fn a_gateway_that_knows_no_path_is_not_taken_for_a_missing_role() {
    let field = field();
    field.users(20, "+4h");
    for operation in ["grant", "audit", "end"] {
        let stopped = run(&field, &[operation, "in.csv", "--concurrency", "1", "--overwrite"], refusal);
        assert_eq!(stopped.code, 4, "{}", stopped.stderr);
        for expected in
            ["error: stopped: each of the first 10 rows was answered 403, and not by PingOne itself\n", SAID, &format!("\nhint: {HINT}\n")]
        {
            assert!(stopped.stderr.contains(expected), "{}\nshould have: {expected}", stopped.stderr);
        }
        assert!(!stopped.stderr.contains("Identity Data Admin"), "{}", stopped.stderr);
        let is_warned = stopped.stderr.contains(&format!("it is called by its ID; {HINT}"));
        assert_eq!(is_warned, operation != "audit", "before anything is changed: {}", stopped.stderr);
    }
}

#[test]
fn a_list_that_a_gateway_refuses_hints_at_the_url_too() {
    let field = field();
    field.write("in.csv", "email\nann@example.com\n");
    for arguments in [&["grant", "in.csv", "--until", "+4h"][..], &["audit", "--all-users"]] {
        let stopped = run(&field, arguments, refusal);
        assert_eq!(stopped.code, 4, "{}", stopped.stderr);
        assert!(stopped.stderr.contains(SAID) && stopped.stderr.contains(&format!("\nhint: {HINT}")), "{}", stopped.stderr);
    }
}

#[test]
fn pingones_own_refusal_hints_at_the_role() {
    let field = field();
    field.users(20, "+4h");
    let own = r#"{"id":"f1","code":"ACCESS_FAILED","message":"Not for you."}"#;
    let stopped = run(&field, &["audit", "in.csv", "--concurrency", "1"], |_| own.to_owned());
    assert_eq!(stopped.code, 4, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("\nhint: give the worker application the role Identity Data Admin"), "{}", stopped.stderr);
    assert!(!stopped.stderr.contains("a gateway"), "{}", stopped.stderr);
}
