//! The licence's rates: requested once, shown and recorded; no error if they are not available.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pingone_bypass::sandbox::SandboxConfig;
use serde_json::Value;

use crate::harness::{Field, answering, done, field, field_with, no_bypass};

fn licence(field: &Field) -> Value {
    let record = std::fs::read_to_string(field.path("in.report.run.json")).expect("a record");
    serde_json::from_str::<Value>(&record).expect("JSON")["licence"].clone()
}

#[test]
fn what_the_licence_allows_is_in_the_plan_and_in_the_record() {
    let licence_rates = vec![("rlgMfaRps".to_owned(), 100), ("rlgDirAccessRps".to_owned(), 200), ("rlgConfigRpm".to_owned(), 600)];
    let field = field_with(SandboxConfig { licence_rates, ..SandboxConfig::default() });
    field.users(3, "+4h");
    let plan = "licence    Config 600/min, directory reads 200/s, MFA 100/s; one address may use 35 % of each by default\n";
    let above = "`--rate` 201/s is above every rate of the licence";
    for (rate, warned) in [("50/s", false), ("200/s", false), ("201/s", true)] {
        let granted = field.run(&["grant", "in.csv", "--rate", rate, "--overwrite"]);
        assert_eq!(granted.code, 0, "{}", granted.stderr);
        assert!(granted.stderr.contains(plan), "{}", granted.stderr);
        assert_eq!(granted.stderr.contains(above), warned, "{}", granted.stderr);
        assert_eq!(licence(&field), serde_json::json!({"rlgConfigRpm": 600, "rlgDirAccessRps": 200, "rlgMfaRps": 100}));
        assert_eq!(field.calls().iter().filter(|call| call.path.ends_with("/capabilities")).count(), 1);
    }
    let audit = field.run(&["audit", "in.csv", "--overwrite"]);
    assert!(audit.code == 0 && !audit.stderr.contains("licence"), "{}", audit.stderr);
    assert!(field.calls().iter().all(|call| !call.path.ends_with("/capabilities")), "an audit asks for no environment either");
}

#[test]
fn where_the_licence_is_not_told_nothing_is_wrong() {
    let own = |code: &str| format!(r#"{{"id":"f1","code":"{code}","message":"\u001b[2J token {{token}}"}}"#);
    let huge = format!(r#"{{"rlgMfaRps":{{"limit":1}},"x":"{}"}}"#, "x".repeat(1 << 20));
    for (status, body) in [
        ("200 OK", "{}".to_owned()),
        ("200 OK", "<html>".to_owned()),
        ("200 OK", r#"{"rlgMfaRps":{"limit":"1"}}"#.to_owned()),
        ("200 OK", "[".repeat(60_000)),
        ("200 OK", huge),
        ("401 Unauthorized", own("INVALID_TOKEN")),
        ("403 Forbidden", own("ACCESS_FAILED")),
        ("404 Not Found", own("NOT_FOUND")),
        ("404 Not Found", "<html>".to_owned()),
        ("302 Found", String::new()),
        ("429 Too Many Requests", String::new()),
        ("429 Too Many Requests\r\nRetry-After: 3600", own("REQUEST_LIMITED")),
        ("503 Service Unavailable", String::new()),
    ] {
        let field = field();
        field.users(2, "+4h");
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let shown: String = body.chars().take(50).collect();
        let url = answering(move |request| {
            let path = request.split_whitespace().nth(1).unwrap_or_default();
            if path.ends_with("/capabilities") {
                counted.fetch_add(1, Ordering::SeqCst);
                return (status.to_owned(), body.clone());
            }
            let is_of_a_user = path.ends_with("/bypassMFA");
            ("200 OK".to_owned(), if is_of_a_user { no_bypass(request) } else { r#"{"name":"Acme","type":"SANDBOX"}"#.to_owned() })
        });
        let mut tool = field.tool(&["end", "in.csv", "-vv"]);
        let ended = done(tool.env("PINGONE_API_URL", format!("{url}/v1")).output().expect("the tool runs"));
        assert_eq!(ended.code, 0, "{status} {shown}: {}", ended.stderr);
        assert!(!ended.stderr.contains("licence    ") && licence(&field).is_null(), "{status} {shown}: {}", ended.stderr);
        assert!(ended.stderr.contains("the rates of the licence are not known: "), "{status} {shown}: {}", ended.stderr);
        assert!(!ended.stderr.contains('\u{1b}'), "{status} {shown}: {}", ended.stderr);
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{status} {shown}");
        assert_eq!(field.report("in.report.csv").count("inactive"), 2);
    }
}
