//! No secret and no token leaks, anywhere, at any verbosity.

use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pingone_bypass::sandbox::SandboxConfig;

use crate::harness::{Done, Field, answering, done, faulty, field, send_signal};
use crate::keys::{EC, KeyPair, RSA, assertions, by_key, write_key};

/// Everything that a run leaves behind for others to read.
fn texts(field: &Field, done: Done) -> Vec<String> {
    let files = std::fs::read_dir(field.folder()).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.file_name().is_some_and(|name| name != "secret" && name != "client.pem"));
    files.map(|path| std::fs::read_to_string(path).expect("text")).chain([done.stdout, done.stderr]).collect()
}

#[test]
fn no_secret_or_token_is_in_any_output_file_or_argument() {
    let field = faulty("500=20%,401=10%,400=10%,expired=5%,truncate=10%");
    field.users(60, "+4h");
    let secret = field.sandbox.client_secret();
    std::fs::write(field.path("secret"), format!("{secret}\n")).expect("written");
    for extra in [vec![], vec!["--log-format", "json"], vec!["--auth-method", "post"], vec!["--client-secret-file", "secret"]] {
        let arguments = [vec!["grant", "in.csv", "-vv", "--overwrite", "--rate", "unlimited", "--max-failures", "100%"], extra].concat();
        let mut tool = field.tool(&arguments);
        if arguments.contains(&"--client-secret-file") {
            tool.env_remove("PINGONE_CLIENT_SECRET");
        }
        tool.env("RUST_LOG", "trace");
        let done = done(tool.output().expect("the tool runs"));
        assert!(done.code == 1 || done.code == 4, "{}", done.stderr);
        assert!(done.stderr.contains("answered"), "it does log: {}", done.stderr);
        for text in texts(&field, done) {
            for word in ["sandbox-secret", "sandbox-token", "Bearer", "Basic "] {
                assert!(!text.contains(word), "{word} in: {text}");
            }
        }
    }
}

/// The lines of a PEM text that are the key.
fn key_lines(pem: &str) -> Vec<&str> {
    pem.lines().filter(|line| !line.is_empty() && !line.contains("-----")).collect()
}

#[test]
fn no_byte_of_a_key_or_an_assertion_is_in_any_output_or_file() {
    for make in [RSA, EC] {
        let Some(pair) = KeyPair::made(make) else {
            return;
        };
        let faults = "500=20%,401=10%,400=10%,expired=10%,truncate=10%".parse().expect("faults");
        let field = pair.field(SandboxConfig { faults, ..SandboxConfig::default() });
        field.users(20, "+4h");
        assert!(key_lines(&pair.private).len() >= 3);
        for extra in [
            &["--metrics-file", "m.prom"][..],
            &["--log-format", "json", "--metrics-file", "m.prom"],
            &["--client-key-id", "k-1"],
            // Refused: by the sandbox, and before anything is sent.
            &["--auth-environment-id", "7e94b96e-0364-463b-a059-d97d1e4cb1d5", "--log-format", "json"],
            &["--client-key-alg", if make == RSA { "ES256" } else { "RS256" }],
        ] {
            let options = ["-vv", "--overwrite", "--rate", "unlimited", "--max-failures", "100%", "--max-attempts", "3"];
            let arguments = [&["grant", "in.csv"], &options[..], extra].concat();
            let ended = done(by_key(&field, &arguments).env("RUST_LOG", "trace").output().expect("the tool runs"));
            assert!([1, 2, 4].contains(&ended.code), "{extra:?}: {}", ended.stderr);
            let sent = assertions(&field);
            assert_eq!(sent.is_empty(), ended.code == 2, "{extra:?}: {}", ended.stderr);
            let texts = texts(&field, ended);
            for line in key_lines(&pair.private) {
                assert!(!texts.iter().any(|text| text.contains(line)), "{extra:?}: {line}: {texts:?}");
            }
            // Nor are 16 characters in a row.
            let all = [key_lines(&pair.private).concat(), sent.join("\n")].join("\n");
            assert!(!is_told(&all, &texts), "{extra:?}: {texts:?}");
        }
    }
}

#[test]
fn no_piece_of_an_echoed_assertion_gets_out() {
    let Some(pair) = KeyPair::made(EC) else {
        return;
    };
    for (status, code) in [("401 Unauthorized", 4), ("503 Service Unavailable", 3), ("405 Method Not Allowed", 3), ("200 OK", 3)] {
        for format in ["text", "json"] {
            let field = field();
            field.users(1, "+4h");
            write_key(&field, "client.pem", &pair.private);
            let sent: Arc<Mutex<Vec<String>>> = Arc::default();
            let seen = Arc::clone(&sent);
            let url = answering(move |request| {
                let (_, assertion) = request.split_once("client_assertion=").expect("an assertion");
                let mut seen = seen.lock().expect("whole");
                seen.push(assertion.to_owned());
                let [one, two] = [0, 1].map(|more| echoed(assertion, 7 * seen.len() + more));
                (status.to_owned(), format!(r#"{{"error":"You sent {one}","error_description":"and {assertion} and {two}"}}"#))
            });
            let arguments = ["audit", "in.csv", "-vv", "--log-format", format, "--max-attempts", "3"];
            let ended = done(by_key(&field, &arguments).env("PINGONE_AUTH_URL", &url).output().expect("the tool runs"));
            assert_eq!(ended.code, code, "{}", ended.stderr);
            assert!(status == "200 OK" || ended.stderr.contains("[redacted]"), "it is echoed: {}", ended.stderr);
            let texts = texts(&field, ended);
            let sent = sent.lock().expect("whole");
            assert_eq!(sent.len(), if [405, 401].contains(&status[..3].parse().unwrap_or(0)) { 1 } else { 3 });
            assert!(!sent.iter().any(|assertion| is_told(assertion, &texts)), "{status}: {texts:?}");
        }
    }
}

#[test]
fn what_a_server_echoes_is_redacted() {
    let field = faulty("");
    field.users(1, "+4h");
    let url = answering(|request| {
        let token = request.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).expect("a token");
        let escaped = token.replace('-', "\\u002d");
        let body = format!(r#"{{"id":"=x","code":"INVALID_DATA","message":"=HYPERLINK(you sent {token} or {escaped})"}}"#);
        (format!("400 Bad Request\r\nCorrelation-Id: =1+{token}"), body)
    });
    let mut tool = field.tool(&["grant", "in.csv", "-vv"]);
    let done = done(tool.env("PINGONE_API_URL", format!("{url}/v1")).output().expect("the tool runs"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    let report = field.report("in.report.csv");
    assert_eq!(report.column("errorMessage"), ["'=HYPERLINK(you sent [redacted] or [redacted])"]);
    assert_eq!(report.column("errorId"), ["'=x"]);
    assert_eq!(report.column("correlationId"), ["'=1+[redacted]"]);
}

/// A secret of this length, made of the characters of tokens.
fn made(length: usize) -> String {
    let mut random = fastrand::Rng::with_seed(length as u64);
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~+/=";
    (0..length).filter_map(|_| random.choice(letters)).map(|letter| char::from(*letter)).collect()
}

/// A piece of `secret` as the `nth` answer echoes it in a JSON text: whole or cut anywhere, in one of the encodings that servers use.
fn echoed(secret: &str, nth: usize) -> String {
    let mut random = fastrand::Rng::with_seed(nth as u64);
    let (from, to) = match nth % 3 {
        0 => (0, secret.len()),
        1 => (random.usize(..secret.len() - 20), secret.len()),
        _ => (0, random.usize(20..secret.len())),
    };
    let each = |form: &dyn Fn(u8) -> String| secret[from..to].bytes().map(form).collect::<String>();
    let escape = |all: bool, form: &dyn Fn(u8) -> String| {
        each(&|byte| if all || !byte.is_ascii_alphanumeric() { form(byte) } else { char::from(byte).to_string() })
    };
    match nth / 3 % 6 {
        0 => escape(false, &|byte| char::from(byte).to_string()),
        1 => escape(true, &|byte| format!("\\u{byte:04x}")),
        2 => escape(false, &|byte| format!("%{byte:02X}")),
        3 => escape(true, &|byte| format!("%{byte:02x}")),
        4 => escape(false, &|byte| format!("\\\\u{byte:04X}")),
        _ => escape(false, &|byte| format!("%25{byte:02X}")),
    }
}

/// A text without escapes, in lower case.
fn plain(text: &str) -> String {
    let mut plain = text.to_ascii_lowercase();
    if !plain.contains('%') && !plain.contains("\\u") {
        return plain;
    }
    for byte in 0x21..0x7f_u8 {
        let letter = char::from(byte).to_ascii_lowercase().to_string();
        for form in [format!("%25{byte:02x}"), format!("%{byte:02x}"), format!("\\\\u{byte:04x}"), format!("\\u{byte:04x}")] {
            plain = if plain.contains(&form) { plain.replace(&form, &letter) } else { plain };
        }
    }
    plain
}

/// Whether any of the `texts` contains 16 consecutive characters of a secret.
fn is_told(secret: &str, texts: &[String]) -> bool {
    let secret = secret.to_ascii_lowercase();
    let pieces: HashSet<&[u8]> = secret.as_bytes().windows(16).collect();
    texts.iter().any(|text| {
        text.to_ascii_lowercase().as_bytes().windows(16).chain(plain(text).as_bytes().windows(16)).any(|run| pieces.contains(run))
    })
}

/// The credentials of a request, after `Bearer` or `Basic`.
fn authorization(request: &str) -> &str {
    let header = request.lines().find_map(|line| line.strip_prefix("authorization: ")).expect("a header");
    header.split_once(' ').expect("a scheme and a secret").1
}

/// A server that echoes what it receives in every text of its answers: the application's secret, for which it issues
/// the `token` (with `late`, the second time), and the token itself.
fn echoing(token: String, late: bool) -> String {
    let (asked, for_tokens) = (AtomicUsize::new(0), AtomicUsize::new(0));
    answering(move |request| {
        let nth = asked.fetch_add(1, Ordering::Relaxed);
        let sent = authorization(request);
        let [one, two, three] = [0, 1, 2].map(|more| echoed(sent, 3 * nth + more));
        let path = request.split_whitespace().nth(1).expect("a path");
        let error =
            format!(r#"{{"id":"{one}","code":"{two}","message":"You sent {three}","details":[{{"target":"{one}","message":"{two}"}}]}}"#);
        let user = format!(
            r#"{{"id":"{}","username":"{one}","email":"{two}","population":{{"id":"{three}"}}}}"#,
            uuid::Uuid::from_u128(nth as u128)
        );
        match path {
            path if path.ends_with("/token") && late && for_tokens.fetch_add(1, Ordering::Relaxed) == 0 => {
                ("503 Service Unavailable".to_owned(), format!(r#"{{"error":"{one}","error_description":"{two}"}}"#))
            }
            path if path.ends_with("/token") => ("200 OK".to_owned(), format!(r#"{{"access_token":"{token}","expires_in":3600}}"#)),
            path if path.contains("filter=email") => ("400 Bad Request".to_owned(), error),
            path if path.contains("/users?") && path.contains("cursor=4") => (
                "200 OK".to_owned(),
                format!(r#"{{"_embedded":{{"users":[{user}]}},"_links":{{"next":{{"href":"https://{one}.example/"}}}}}}"#),
            ),
            path if path.contains("/users?") => {
                let next = path.split_once("cursor=").map_or(1, |(_, cursor)| cursor.parse::<usize>().expect("a number") + 1);
                ("200 OK".to_owned(), format!(r#"{{"_embedded":{{"users":[{user}]}},"_links":{{"next":{{"href":"?cursor={next}"}}}}}}"#))
            }
            path if path.ends_with("/bypassMFA") => ("400 Bad Request".to_owned(), error),
            // The environment.
            _ if nth % 2 == 0 => ("200 OK".to_owned(), format!(r#"{{"name":"{one}","type":"{two}"}}"#)),
            _ => ("403 Forbidden".to_owned(), error),
        }
    })
}

#[test]
fn no_piece_of_an_echoed_token_or_secret_gets_out_however_long_it_is() {
    for length in [100, 501, 1143, 8000] {
        let (token, secret) = (made(length), made(length.min(2000) + 1));
        for arguments in [
            &["grant", "in.csv", "--max-failures", "100%", "--log-format", "json", "--metrics-file", "m.prom"][..],
            &["audit", "in.csv", "--max-failures", "3", "--reason", "INC-1"],
            &["audit", "--all-users", "--max-failures", "100%"],
            &["audit", "emails.csv"],
            &["audit", "in.csv", "-o", "-"],
        ] {
            let field = field();
            field.users(24, "+4h");
            field.write("emails.csv", "email\na@example.com\nb@example.com\n");
            let url = echoing(token.clone(), arguments.contains(&"json"));
            let mut tool = field.tool(&[arguments, &["-vv", "--rate", "unlimited"]].concat());
            tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", &url).env("PINGONE_CLIENT_SECRET", &secret);
            let done = done(tool.output().expect("the tool runs"));
            assert!(done.code == 1 || done.code == 3, "{arguments:?}: {}", done.stderr);
            let texts = texts(&field, done);
            assert!(texts.iter().any(|text| text.contains("[redacted]")), "it is echoed: {arguments:?} {texts:?}");
            assert!(!is_told(&token, &texts), "{length} {arguments:?}: {texts:?}");
            assert!(!is_told(&secret, &texts), "{length} {arguments:?}: {texts:?}");
        }
    }
}

#[test]
fn no_piece_of_a_token_or_secret_that_is_refused_gets_out() {
    let refusing = answering(|request| {
        let sent = authorization(request);
        ("401 Unauthorized".to_owned(), format!(r#"{{"id":"f1","code":"INVALID_TOKEN","message":"You sent {}"}}"#, echoed(sent, 2)))
    });
    for length in [100, 1143, 8000] {
        let (token, field) = (made(length), field());
        field.users(1, "+4h");
        for ready in [true, false] {
            let mut tool = field.tool(&["grant", "in.csv", "-vv"]);
            tool.env("PINGONE_API_URL", format!("{refusing}/v1")).env("PINGONE_AUTH_URL", &refusing);
            tool.env(if ready { "PINGONE_API_ACCESS_TOKEN" } else { "PINGONE_CLIENT_SECRET" }, &token);
            let done = done(tool.output().expect("the tool runs"));
            assert!(done.code == 4 && done.stderr.contains("You sent [redacted]"), "{}", done.stderr);
            assert!(!is_told(&token, &texts(&field, done)), "{length}");
        }
    }
}

#[test]
fn a_secret_file_that_others_may_use_is_told_of_and_one_that_anybody_writes_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let field = field();
    field.users(1, "+4h");
    for (option, what, content) in [
        ("--client-secret-file", "client secret", field.sandbox.client_secret()),
        ("--access-token-file", "access token", "not-of-the-sandbox".to_owned()),
    ] {
        for (mode, warned, code) in [(0o600, false, 0), (0o640, true, 0), (0o646, false, 2)] {
            let path = field.write("secret", format!("{content}\n"));
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its own");
            let mut tool = field.tool(&["audit", "in.csv", "--dry-run", option, "secret"]);
            let done = done(tool.env_remove("PINGONE_CLIENT_SECRET").output().expect("the tool runs"));
            assert_eq!(done.code, code, "{mode:o}: {}", done.stderr);
            let warning = format!("secret: others than its owner may use this file of the {what} (its mode is 0640): `chmod 600` it");
            assert_eq!(done.stderr.contains(&warning), warned, "{mode:o}: {}", done.stderr);
            if code == 2 {
                let refusal = format!("error: secret: anybody may write to this file of the {what}\nhint: check what it holds");
                assert!(done.stderr.contains(&refusal) && done.stderr.contains("`chmod 600 secret`"), "{}", done.stderr);
            }
        }
    }
}

#[test]
fn a_secret_may_come_through_a_pipe_but_not_without_end() {
    let field = field();
    field.users(1, "+4h");
    let piped = |command: &str| {
        let mut writer = Command::new("sh").args(["-c", command]).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut tool = field.tool(&["audit", "in.csv", "--overwrite", "--client-secret-file", "/dev/stdin"]);
        tool.env_remove("PINGONE_CLIENT_SECRET").stdin(writer.stdout.take().expect("piped"));
        let done = done(tool.output().expect("the tool runs"));
        // This closes the last reader.
        drop(tool);
        writer.wait().expect("it ends without a reader");
        done
    };
    let good = piped(&format!("echo {}", field.sandbox.client_secret()));
    assert_eq!(good.code, 0, "{}", good.stderr);
    let endless = piped("exec yes");
    assert_eq!(endless.code, 2, "{}", endless.stderr);
    assert!(endless.stderr.contains("error: /dev/stdin: this is no client secret: it is longer than 64 KiB"), "{}", endless.stderr);
}

#[test]
fn a_crash_leaves_no_core_file() {
    let field = field();
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"ulimit -c unlimited 2>/dev/null; exec "$0" sandbox --listen 127.0.0.1:0"#, env!("CARGO_BIN_EXE_pingone-bypass")]);
    let mut child = shell.current_dir(field.folder()).stdout(Stdio::piped()).spawn().expect("it runs");
    // It is running once it prints how to reach it.
    let mut said = [0];
    std::io::Read::read_exact(child.stdout.as_mut().expect("piped"), &mut said).expect("it says something");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id()));
    send_signal(&child, "ABRT");
    let ended = child.wait().expect("it ends");
    assert_eq!(ended.signal(), Some(6));
    assert!(!ended.core_dumped() && std::fs::read_dir(field.folder()).expect("a folder").count() == 0);
    if let Ok(limits) = limits {
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    }
}
