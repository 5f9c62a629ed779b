//! `doctor`: each check by what it sees, and what fails by its hint and exit code. No user is touched.

use std::process::Command;
use std::time::Duration;

use pingone_bypass::sandbox::SandboxConfig;

use crate::harness::{Done, answering, done, faulty, field, field_with, tool};
use crate::tls::behind_tls;

const CHECKS: [&str; 9] = ["settings", "proxy", "dns", "tls", "clock", "token", "environment", "users", "licence"];
const ELSEWHERE: &str = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";

fn examined(mut tool: Command) -> Done {
    let done = done(tool.output().expect("the tool runs"));
    let seen: Vec<&str> =
        done.stdout.lines().filter(|line| !line.starts_with(' ')).map(|line| line.split_once(": ").expect("a name").0).collect();
    assert!(seen.iter().zip(CHECKS).all(|(line, name)| line.ends_with(&format!(" {name}"))), "{}", done.stdout);
    assert_eq!(seen.len(), CHECKS.len(), "{}", done.stdout);
    done
}

/// The line of a check, without its mark.
fn line<'a>(done: &'a Done, mark: &str, name: &str) -> &'a str {
    let begin = format!("{mark} {name}: ");
    done.stdout
        .lines()
        .find_map(|line| line.strip_prefix(&begin))
        .unwrap_or_else(|| panic!("no line `{begin}`: {}{}", done.stdout, done.stderr))
}

/// Whether all checks after `name` are said not to be done.
fn stops_at(done: &Done, name: &str) {
    let at = CHECKS.into_iter().position(|check| check == name).expect("a check");
    for later in &CHECKS[at + 1..] {
        assert_eq!(line(done, "-", later), "not checked", "{}", done.stdout);
    }
    assert!(done.stdout.contains("\n  hint: "), "{}", done.stdout);
}

#[test]
fn where_all_is_well_each_check_says_what_it_saw_and_no_user_is_touched() {
    let licence_rates = vec![("rlgMfaRps".to_owned(), 100)];
    let field = field_with(SandboxConfig { users: Some(20), licence_rates, ..SandboxConfig::default() });
    let well = examined(field.tool(&["doctor"]));
    assert_eq!((well.code, well.stderr.as_str()), (0, ""), "{}", well.stdout);
    let host = field.sandbox.auth_url().replace("http://", "");
    assert_eq!(line(&well, "✓", "settings"), format!("API {host}, auth {host}; your own URLs, of no region"));
    assert_eq!(line(&well, "✓", "proxy"), "none is used");
    assert_eq!(line(&well, "✓", "dns"), "127.0.0.1 is 127.0.0.1");
    assert_eq!(line(&well, "✓", "tls"), format!("{host} answers, unencrypted: it is on this machine"));
    assert_eq!(line(&well, "✓", "clock"), "within 2 s of PingOne's");
    assert_eq!(line(&well, "✓", "token"), format!("PingOne has issued one to client {}", field.sandbox.client_id()));
    assert_eq!(line(&well, "✓", "environment"), format!("`Sandbox` (SANDBOX), {}", field.sandbox.environment_id()));
    assert!(line(&well, "✓", "users").starts_with("the list may be read: ") && well.stdout.contains("(there are 20)"), "{}", well.stdout);
    assert!(line(&well, "✓", "licence").starts_with("MFA 100/s; "), "{}", well.stdout);
    for expected in [
        "    client-secret-file  given (not shown)                     variable PINGONE_CLIENT_SECRET\n",
        "    auth-method         basic                                 default\n",
    ] {
        assert!(well.stdout.contains(expected), "{}", well.stdout);
    }
    let calls = field.calls();
    assert!(calls.iter().all(|call| call.method == "GET" || call.is_token()), "{calls:?}");
    assert!(calls.iter().all(|call| !call.path.contains("bypassMFA")), "{calls:?}");
    let paths: Vec<&str> = calls.iter().map(|call| call.path.rsplit('/').next().unwrap_or_default()).collect();
    assert!(paths.iter().any(|path| path.starts_with("users")), "{paths:?}");
    let quiet = field.run(&["doctor", "-q"]);
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (0, "", ""));
    let sandbox = examined({
        let mut tool = tool();
        tool.args(["doctor", "--sandbox"]);
        tool
    });
    assert_eq!(sandbox.code, 0, "{}", sandbox.stdout);
}

#[test]
fn a_refusal_ends_4_and_all_else_2() {
    let field = field();
    let with = |name: &str, value: &str| {
        let mut tool = field.tool(&["doctor"]);
        tool.env(name, value);
        examined(tool)
    };
    let wrong = with("PINGONE_CLIENT_SECRET", "wrong");
    assert_eq!(wrong.code, 4, "{}", wrong.stdout);
    assert!(line(&wrong, "✗", "token").contains("PingOne refused the worker application: HTTP 401, invalid_client"), "{}", wrong.stdout);
    stops_at(&wrong, "token");
    let mut unknown = field.tool(&["doctor", "--environment-id", ELSEWHERE]);
    unknown.env("PINGONE_AUTH_ENVIRONMENT_ID", field.sandbox.environment_id().to_string());
    let unknown = examined(unknown);
    assert_eq!(unknown.code, 4, "{}", unknown.stdout);
    assert!(line(&unknown, "✗", "environment").contains(&format!("there is no environment {ELSEWHERE}")), "{}", unknown.stdout);
    stops_at(&unknown, "environment");
    let stale = with("PINGONE_API_ACCESS_TOKEN", "of-yesterday");
    assert_eq!(line(&stale, "✓", "token"), "a ready one, which does not say when it expires");
    assert!(stale.code == 4 && line(&stale, "✗", "environment").contains("refused the access token"), "{}", stale.stdout);
    let silent = {
        let mut tool = field.tool(&["doctor"]);
        tool.env("PINGONE_API_URL", "http://127.0.0.1:9/v1").env("PINGONE_AUTH_URL", "http://127.0.0.1:9");
        examined(tool)
    };
    assert_eq!(silent.code, 2, "{}", silent.stdout);
    assert!(
        line(&silent, "✗", "tls").contains("127.0.0.1:9 does not answer: ") && silent.stdout.contains("Connection refused"),
        "{}",
        silent.stdout
    );
    stops_at(&silent, "tls");
    let nameless = {
        let mut tool = field.tool(&["doctor"]);
        tool.env("PINGONE_API_URL", "https://no-such-host.invalid/v1").env("PINGONE_AUTH_URL", "https://no-such-host.invalid");
        examined(tool)
    };
    assert_eq!(nameless.code, 2, "{}", nameless.stdout);
    assert!(line(&nameless, "✗", "dns").starts_with("no-such-host.invalid: "), "{}", nameless.stdout);
    stops_at(&nameless, "dns");
    let missing = {
        let mut tool = field.tool(&["doctor"]);
        tool.env_remove("PINGONE_CLIENT_SECRET");
        examined(tool)
    };
    assert_eq!(missing.code, 2, "{}", missing.stdout);
    assert!(line(&missing, "✗", "settings").contains("there is no secret for the client ID"), "{}", missing.stdout);
    assert!(missing.stdout.contains("variable PINGONE_ENVIRONMENT_ID"), "what is there is shown: {}", missing.stdout);
    stops_at(&missing, "settings");
}

#[test]
fn a_certificate_that_is_not_trusted_is_told_from_a_host_that_does_not_answer() {
    let field = field();
    let url = behind_tls(&field);
    let with = |more: &[&str]| {
        let mut tool = field.tool(&[&["doctor"], more].concat());
        tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", &url);
        examined(tool)
    };
    let untrusted = with(&[]);
    assert_eq!(untrusted.code, 2, "{}", untrusted.stdout);
    assert!(line(&untrusted, "✗", "tls").contains("is not trusted") && untrusted.stdout.contains("UnknownIssuer"), "{}", untrusted.stdout);
    assert!(untrusted.stdout.contains("`--ca-cert`"), "{}", untrusted.stdout);
    stops_at(&untrusted, "tls");
    let trusted = with(&["--ca-cert", "ca.pem"]);
    assert_eq!(trusted.code, 0, "{}", trusted.stdout);
    assert!(line(&trusted, "✓", "tls").ends_with(" answers, and its certificate is trusted"), "{}", trusted.stdout);
}

#[test]
fn a_role_that_is_missing_is_told_from_a_wrong_path() {
    let field = faulty("403=100%");
    let refused = examined(field.tool(&["doctor"]));
    assert_eq!(refused.code, 4, "{}", refused.stdout);
    assert!(line(&refused, "✗", "users").contains("PingOne does not let the user list be read: HTTP 403"), "{}", refused.stdout);
    assert!(refused.stdout.contains("hint: give the worker application the role Identity Data Admin"), "{}", refused.stdout);
    let gateway = answering(|request| {
        let path = request.split_whitespace().nth(1).unwrap_or_default();
        match path {
            path if path.ends_with("/token") => ("200 OK".to_owned(), r#"{"access_token":"s3cr3t","expires_in":3600}"#.to_owned()),
            _ => ("403 Forbidden".to_owned(), r#"{"message":"Invalid key=value pair"}"#.to_owned()),
        }
    });
    let mut tool = field.tool(&["doctor"]);
    tool.env("PINGONE_API_URL", format!("{gateway}/v1")).env("PINGONE_AUTH_URL", &gateway);
    let wrong = examined(tool);
    assert_eq!(wrong.code, 4, "{}", wrong.stdout);
    assert_eq!(line(&wrong, "-", "clock"), "PingOne did not tell its time");
    assert!(line(&wrong, "✗", "environment").contains("HTTP 403") && wrong.stdout.contains("hint: check `--api-url`"), "{}", wrong.stdout);
}

#[test]
fn a_proxy_is_named_without_its_password() {
    let field = field();
    let refusing = answering(|_| ("407 Proxy Authentication Required".to_owned(), String::new())).replace("http://", "");
    let mut tool = field.tool(&["doctor"]);
    tool.env_remove("PINGONE_API_URL").env_remove("PINGONE_AUTH_URL").env("HTTPS_PROXY", format!("http://me:s3cr3t@{refusing}"));
    let examined = examined(tool);
    assert_eq!(examined.code, 2, "{}", examined.stdout);
    let by = |host: &str| format!("{host} by {refusing}, which HTTPS_PROXY names");
    assert_eq!(line(&examined, "✓", "proxy"), format!("{}; {}", by("api.pingone.com"), by("auth.pingone.com")));
    assert_eq!(line(&examined, "✓", "dns"), "api.pingone.com is resolved by the proxy; auth.pingone.com is resolved by the proxy");
    let begin = format!("api.pingone.com does not answer by the proxy {refusing}: ");
    assert!(line(&examined, "✗", "tls").starts_with(&begin), "{}", examined.stdout);
    assert!(examined.stdout.contains("\n  hint: check that the proxy in HTTPS_PROXY lets this machine reach"), "{}", examined.stdout);
    assert!(!(examined.stdout + &examined.stderr).contains("s3cr3t"));
}

#[test]
fn a_proxy_that_takes_no_connection_is_blamed_itself() {
    let field = field();
    let mut tool = field.tool(&["doctor"]);
    tool.env_remove("PINGONE_API_URL").env_remove("PINGONE_AUTH_URL").env("HTTPS_PROXY", "http://me:s3cr3t@127.0.0.1:9");
    let examined = examined(tool);
    assert_eq!(examined.code, 2, "{}", examined.stdout);
    let blamed = line(&examined, "✗", "proxy");
    assert!(blamed.starts_with("127.0.0.1:9, which HTTPS_PROXY names, takes no connection: Connection refused"), "{blamed}");
    stops_at(&examined, "proxy");
    assert!(!(examined.stdout + &examined.stderr).contains("s3cr3t"));
}

/// What `doctor` says of a server that answers so for tokens, the environment and users.
fn examined_at(token: (&'static str, &'static str), environment: String, users: (&'static str, &'static str)) -> Done {
    let field = field();
    let server = answering(move |request| {
        let path = request.split_whitespace().nth(1).unwrap_or_default();
        let (head, body) = match path {
            path if path.ends_with("/token") => token,
            path if path.contains("/users") => users,
            path if path.contains("/environments/") => ("200 OK", environment.as_str()),
            _ => ("404 Not Found", ""),
        };
        (head.to_owned(), body.to_owned())
    });
    let mut tool = field.tool(&["doctor"]);
    tool.env("PINGONE_API_URL", format!("{server}/v1")).env("PINGONE_AUTH_URL", &server);
    examined(tool)
}

const TOKEN: (&str, &str) = ("200 OK", r#"{"access_token":"s3cr3t","expires_in":3600}"#);

#[test]
fn only_a_403_is_told_as_a_missing_role() {
    let body = r#"{"id":"f1","code":"INVALID_REQUEST","message":"The request could not be completed."}"#;
    let bad = examined_at(TOKEN, "{}".to_owned(), ("400 Bad Request", body));
    assert_eq!(bad.code, 2, "{}", bad.stdout);
    let said = line(&bad, "✗", "users");
    assert!(said.starts_with("PingOne refused the request for the user list: HTTP 400, INVALID_REQUEST"), "{said}");
    assert!(!bad.stdout.contains("give the worker application"), "{}", bad.stdout);
}

#[test]
fn no_name_fills_the_screen_and_no_hint_names_doctor_to_itself() {
    let name = "n".repeat(500);
    let long = examined_at(TOKEN, format!(r#"{{"name":"{name}","type":"{name}"}}"#), ("200 OK", "{}"));
    let said = line(&long, "✓", "environment");
    assert!(said.starts_with("`nnn") && said.contains('…') && said.chars().count() < 300, "{said}");
    let dead = examined_at(("405 Method Not Allowed", ""), String::new(), ("200 OK", ""));
    assert!(line(&dead, "✗", "token").contains("no token could be had from `127.0.0.1` in 1 attempt"), "{}", dead.stdout);
    let hint = "\n  hint: check the network, the proxy variables and the auth URL in PINGONE_AUTH_URL\n";
    assert!(dead.stdout.contains(hint), "{}", dead.stdout);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn a_clock_that_is_off_is_told_of_and_the_other_checks_go_on() {
    use crate::shim::Shim;
    let field = field();
    let mut tool = field.tool(&["doctor"]);
    let far = examined({
        Shim::clock(300).preload(&mut tool);
        tool
    });
    assert_eq!(far.code, 2, "{}", far.stdout);
    assert!(line(&far, "✗", "clock").contains(" ahead of PingOne's: a `grant` is refused"), "{}", far.stdout);
    assert!(far.stdout.contains("\n  hint: set the clock here, or say `--trust-clock` with `grant`"), "{}", far.stdout);
    assert!(line(&far, "✓", "environment").contains("SANDBOX"), "{}", far.stdout);
}

#[test]
fn no_piece_of_a_secret_gets_out() {
    let field = field();
    let secret = field.sandbox.client_secret();
    let token = field.sandbox.issue_token(Duration::from_secs(60));
    field.write("s", format!("{secret}\n"));
    field.write("t", format!("{token}\n"));
    let echo = answering(|request| {
        let sent = request.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or("nothing").to_owned();
        ("401 Unauthorized".to_owned(), format!(r#"{{"id":"f1","code":"{sent}","message":"You sent {sent}","error":"{sent}"}}"#))
    });
    for arguments in [&["doctor", "-vv"][..], &["doctor", "-vv", "--log-format", "json"], &["doctor", "--client-secret-file", "s"]] {
        for url in [None, Some(&echo)] {
            for ready in [false, true] {
                let mut tool = field.tool(arguments);
                if ready {
                    tool.env("PINGONE_API_ACCESS_TOKEN", &token);
                }
                if let Some(url) = url {
                    tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", url);
                }
                let examined = examined(tool);
                let text = examined.stdout + &examined.stderr;
                assert!(url.is_none() || text.contains("[redacted]"), "it is echoed: {text}");
                for secret in [&secret, &token] {
                    let pieces = (0..=secret.len() - 16).map(|at| &secret[at..at + 16]);
                    assert!(!pieces.into_iter().any(|piece| text.contains(piece)), "{arguments:?}: {text}");
                }
            }
        }
    }
}
