//! No secret and no token, anywhere, at any verbosity.

use crate::harness::{answering, done, faulty};

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
        let mut texts = vec![done.stdout, done.stderr];
        for entry in std::fs::read_dir(field.folder()).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.file_name().is_some_and(|name| name != "secret") {
                texts.push(std::fs::read_to_string(path).expect("text"));
            }
        }
        for text in texts {
            for word in ["sandbox-secret", "sandbox-token", "Bearer", "Basic "] {
                assert!(!text.contains(word), "{word} in: {text}");
            }
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
        ("400 Bad Request".to_owned(), body)
    });
    let mut tool = field.tool(&["grant", "in.csv", "-vv"]);
    let done = done(tool.env("PINGONE_API_URL", format!("{url}/v1")).output().expect("the tool runs"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    let report = field.report("in.report.csv");
    assert_eq!(report.column("errorMessage"), ["'=HYPERLINK(you sent [redacted] or [redacted])"]);
    assert_eq!(report.column("errorId"), ["'=x"]);
}
