//! An application that authenticates by its key. openssl makes the keys; without it, these tests pass without doing anything, and
//! say so.

use std::collections::HashSet;
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pingone_bypass::sandbox::SandboxConfig;
use serde_json::Value;

use crate::harness::{Done, Field, answering, done, field, field_with, tool};

pub(crate) const RSA: &str = "openssl genrsa -out key.pem 2048";
pub(crate) const EC: &str = "openssl ecparam -name prime256v1 -genkey -out key.pem";

/// A private key and its public key, as PEM.
pub(crate) struct KeyPair {
    pub(crate) private: String,
    pub(crate) public: String,
}

impl KeyPair {
    /// The pair that these commands of a shell write as `key.pem`; `None` if there is no openssl.
    #[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
    pub(crate) fn made(commands: &str) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            eprintln!("skipped: there is no openssl");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let all = format!("{commands}; openssl pkey -in key.pem -pubout -out pub.pem");
        let ran = Command::new("sh").args(["-ec", &all]).current_dir(&folder).output().expect("a shell");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("it was written");
        Some(Self { private: read("key.pem"), public: read("pub.pem") })
    }

    /// A sandbox whose application authenticates by this key alone, which is in `client.pem`.
    pub(crate) fn field(&self, config: SandboxConfig) -> Field {
        let client_key = Some(self.public.parse().expect("a public key"));
        let field = field_with(SandboxConfig { basic: false, post: false, client_key, ..config });
        write_key(&field, "client.pem", &self.private);
        field
    }
}

pub(crate) fn write_key(field: &Field, name: &str, pem: &str) {
    let path = field.write(name, pem);
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).expect("its own");
}

/// The tool, which authenticates by the key in `client.pem`.
pub(crate) fn by_key(field: &Field, arguments: &[&str]) -> Command {
    let mut tool = field.tool(arguments);
    tool.env_remove("PINGONE_CLIENT_SECRET");
    tool.env("PINGONE_AUTH_METHOD", "private-key-jwt").env("PINGONE_CLIENT_KEY_FILE", "client.pem");
    tool
}

fn run_by_key(field: &Field, arguments: &[&str]) -> Done {
    done(by_key(field, arguments).output().expect("the tool runs"))
}

/// The value of a form, and of a token's part.
fn form_value(body: &str, name: &str) -> String {
    let found = form_urlencoded::parse(body.trim().as_bytes()).find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn part(assertion: &str, index: usize) -> Value {
    let part = assertion.split('.').nth(index).expect("a part");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

/// The assertions of all token requests since the last time.
pub(crate) fn assertions(field: &Field) -> Vec<String> {
    field.calls().iter().filter(|call| call.is_token()).map(|call| form_value(&call.body, "client_assertion")).collect()
}

fn jtis(assertions: &[String]) -> HashSet<String> {
    assertions.iter().map(|assertion| part(assertion, 1)["jti"].as_str().expect("a jti").to_owned()).collect()
}

#[test]
fn every_algorithm_gets_a_token_that_the_sandbox_verifies() {
    for (make, algorithms) in [
        (RSA, &["", "RS256", "RS384", "rs512"][..]),
        ("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem", &[""]),
        ("openssl genrsa -traditional -out key.pem 2048 || openssl genrsa -out key.pem 2048", &["RS512"]),
        (EC, &["", "ES256"]),
        ("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem", &["ES256"]),
    ] {
        let Some(pair) = KeyPair::made(make) else {
            return;
        };
        let field = pair.field(SandboxConfig::default());
        field.users(2, "+4h");
        for (command, algorithm) in ["grant", "audit", "end"].into_iter().cycle().zip(algorithms.iter()) {
            let options = if algorithm.is_empty() { vec![] } else { vec!["--client-key-alg", algorithm, "--client-key-id", "k-1"] };
            let ended = run_by_key(&field, &[&[command, "in.csv", "--overwrite"], &options[..]].concat());
            assert_eq!(ended.code, 0, "{make} {algorithm}: {}", ended.stderr);
            let sent = assertions(&field);
            assert_eq!(sent.len(), 1, "{algorithm}");
            let (header, claims) = (part(&sent[0], 0), part(&sent[0], 1));
            let usual = if make.contains("RSA") || make.contains("genrsa") { "RS256" } else { "ES256" };
            let expected = if algorithm.is_empty() { usual.to_owned() } else { algorithm.to_uppercase() };
            assert_eq!((&header["alg"], &header["typ"]), (&expected.into(), &"JWT".into()));
            assert_eq!(header["kid"], if algorithm.is_empty() { Value::Null } else { "k-1".into() });
            let client = field.sandbox.client_id();
            let endpoint = format!("{}/{}/as/token", field.sandbox.auth_url(), field.sandbox.environment_id());
            assert_eq!([&claims["iss"], &claims["sub"], &claims["aud"]], [&Value::from(client.clone()), &client.into(), &endpoint.into()]);
            let at = |name: &str| claims[name].as_i64().expect("a number");
            assert_eq!(at("exp") - at("iat"), 60);
            assert!((at("iat") - chrono::Utc::now().timestamp()).abs() < 30, "{claims}");
            let jti: uuid::Uuid = claims["jti"].as_str().expect("text").parse().expect("a UUID");
            assert_eq!(jti.get_version_num(), 4);
        }
    }
}

#[test]
fn the_form_has_nothing_but_the_assertion() {
    let Some(pair) = KeyPair::made(EC) else {
        return;
    };
    let field = pair.field(SandboxConfig::default());
    field.users(1, "+4h");
    // A secret in the environment is not sent.
    let mut tool = by_key(&field, &["audit", "in.csv", "-v"]);
    let ended = done(tool.env("PINGONE_CLIENT_SECRET", "s3cret").output().expect("the tool runs"));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("PINGONE_CLIENT_SECRET is not used: the application authenticates by its key"), "{}", ended.stderr);
    let call = field.calls().into_iter().find(pingone_bypass::sandbox::LoggedCall::is_token).expect("a token request");
    let names: Vec<String> = form_urlencoded::parse(call.body.as_bytes()).map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names, ["grant_type", "client_assertion_type", "client_assertion"]);
    assert_eq!(form_value(&call.body, "client_assertion_type"), "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
}

#[test]
fn a_wrong_key_or_another_method_is_refused_with_a_hint() {
    let (Some(pair), Some(other)) = (KeyPair::made(RSA), KeyPair::made(EC)) else {
        return;
    };
    let field = pair.field(SandboxConfig::default());
    field.users(1, "+4h");
    write_key(&field, "client.pem", &other.private);
    let refused = run_by_key(&field, &["grant", "in.csv", "--client-key-id", "k-7"]);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    for expected in [
        "error: PingOne refused the worker application: HTTP 401, invalid_client, ",
        "hint: check that the public key of client.pem is the application's (`openssl pkey -in client.pem -pubout` prints it)",
        "`--client-key-id` (`k-7`), `--client-key-alg` (ES256), the client ID",
        "PRIVATE_KEY_JWT (`--auth-method`)",
        "`--auth-environment-id`",
        "the clock here (it agrees with PingOne's)",
    ] {
        assert!(refused.stderr.contains(expected), "{expected}: {}", refused.stderr);
    }
    assert_eq!(field.calls().len(), 1, "it is not tried again");
    // A secret, to an application that is set to a key; a key, to one that is set to a secret.
    let by_secret = field.run(&["grant", "in.csv"]);
    assert!(by_secret.code == 4 && by_secret.stderr.contains("Unsupported authentication method\nhint: "), "{}", by_secret.stderr);
    let by_secrets = crate::harness::field();
    by_secrets.users(1, "+4h");
    write_key(&by_secrets, "client.pem", &pair.private);
    let refused = run_by_key(&by_secrets, &["grant", "in.csv"]);
    assert!(refused.code == 4 && refused.stderr.contains("Unsupported authentication method\nhint: "), "{}", refused.stderr);
    assert!(refused.stderr.contains("`--client-key-id` (none is given), `--client-key-alg` (RS256)"), "{}", refused.stderr);
    // The application of another environment.
    write_key(&field, "client.pem", &pair.private);
    let elsewhere = run_by_key(&field, &["grant", "in.csv", "--auth-environment-id", "7e94b96e-0364-463b-a059-d97d1e4cb1d5"]);
    assert!(elsewhere.code == 4 && elsewhere.stderr.contains("invalid_client"), "{}", elsewhere.stderr);
    assert!(field.api_calls().is_empty());
}

#[test]
fn each_token_is_asked_for_with_a_fresh_assertion() {
    let Some(pair) = KeyPair::made(EC) else {
        return;
    };
    let field = pair.field(SandboxConfig { token_lifetime: Duration::from_secs(1), ..SandboxConfig::default() });
    field.users(60, "+4h");
    let granted = run_by_key(&field, &["grant", "in.csv", "--rate", "20/s"]);
    assert_eq!(granted.code, 0, "{}", granted.stderr);
    let sent = assertions(&field);
    // The sandbox would have refused one that it had seen.
    assert!(sent.len() >= 3, "{}", sent.len());
    assert_eq!(jtis(&sent).len(), sent.len());
    assert_eq!(field.report("in.report.csv").count("granted"), 60);
}

#[test]
fn each_try_has_an_assertion_of_its_own() {
    let Some(pair) = KeyPair::made(RSA) else {
        return;
    };
    let field = pair.field(SandboxConfig::default());
    field.users(1, "+4h");
    let sent: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&sent);
    let token = field.sandbox.issue_token(Duration::from_secs(60));
    let url = answering(move |request| {
        let mut seen = seen.lock().expect("whole");
        seen.push(form_value(request.split("\r\n\r\n").nth(1).unwrap_or_default(), "client_assertion"));
        match seen.len() {
            1 => ("500 Internal Server Error".to_owned(), String::new()),
            2 => ("429 Too Many Requests\r\nRetry-After: 0".to_owned(), String::new()),
            3 => ("200 OK".to_owned(), "{".to_owned()),
            _ => ("200 OK".to_owned(), format!(r#"{{"access_token":"{token}","expires_in":60}}"#)),
        }
    });
    let ended = done(by_key(&field, &["audit", "in.csv"]).env("PINGONE_AUTH_URL", &url).output().expect("the tool runs"));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let sent = sent.lock().expect("whole");
    assert_eq!((sent.len(), jtis(&sent).len()), (4, 4));
    assert!(sent.iter().all(|assertion| part(assertion, 1)["aud"].as_str().is_some_and(|aud| aud.starts_with(&url))));
}

#[test]
fn a_file_that_holds_no_usable_key_is_refused_before_anything_is_sent() {
    let (Some(rsa), Some(ec)) = (KeyPair::made(RSA), KeyPair::made(EC)) else {
        return;
    };
    let field = rsa.field(SandboxConfig::default());
    field.users(1, "+4h");
    write_key(&field, "public.pem", &rsa.public);
    write_key(&field, "ec.pem", &ec.private);
    write_key(&field, "text", "hello\n");
    write_key(&field, "encrypted.pem", &rsa.private.replace(" PRIVATE KEY", " ENCRYPTED PRIVATE KEY"));
    field.write("der", b"\x30\x82\x04\xa4\xff\xfe");
    std::fs::set_permissions(field.path("der"), Permissions::from_mode(0o600)).expect("its own");
    for (file, alg, error, hint) in [
        (
            "nowhere.pem",
            "RS256",
            "nowhere.pem: the client key cannot be read\ncaused by: No such file",
            "check the path in `--client-key-file`",
        ),
        (
            "public.pem",
            "RS256",
            "public.pem: this is what PingOne gets, not the private key: it has `-----BEGIN PUBLIC KEY-----`",
            "name the file",
        ),
        (
            "encrypted.pem",
            "RS256",
            "encrypted.pem: the private key is encrypted",
            "`(umask 077; openssl pkey -in encrypted.pem -out client.pem)`",
        ),
        ("text", "RS256", "text: there is no key in PEM form", "openssl pkey -inform DER -in text"),
        ("der", "RS256", "der: there is no key in PEM form", "openssl pkey -inform DER -in der"),
        (
            "ec.pem",
            "RS384",
            "ec.pem: `--client-key-alg` is RS384, and this is an EC key of the curve P-256: expected ES256",
            "say `--client-key-alg` ES256",
        ),
        (
            "client.pem",
            "ES256",
            "client.pem: `--client-key-alg` is ES256, and this is an RSA key: expected RS256, RS384, RS512",
            "say `--client-key-alg` RS256",
        ),
    ] {
        let refused = run_by_key(&field, &["grant", "in.csv", "--client-key-file", file, "--client-key-alg", alg]);
        assert_eq!(refused.code, 2, "{file}: {}", refused.stderr);
        assert!(refused.stderr.contains(&format!("error: {error}")), "{file}: {}", refused.stderr);
        assert!(refused.stderr.contains("\nhint: ") && refused.stderr.contains(hint), "{file}: {}", refused.stderr);
    }
    for alg in ["HS256", "none", "PS256", "ES384"] {
        assert_eq!(run_by_key(&field, &["grant", "in.csv", "--client-key-alg", alg]).code, 2);
    }
    assert!(field.calls().is_empty());
}

#[test]
fn a_key_file_that_others_may_read_is_warned_of_and_it_may_be_a_pipe() {
    let Some(pair) = KeyPair::made(RSA) else {
        return;
    };
    let field = pair.field(SandboxConfig::default());
    field.users(1, "+4h");
    for (mode, warned, code) in [(0o600, false, 0), (0o644, true, 0), (0o602, false, 2)] {
        std::fs::set_permissions(field.path("client.pem"), Permissions::from_mode(mode)).expect("its own");
        let ended = run_by_key(&field, &["audit", "in.csv", "--dry-run"]);
        assert_eq!(ended.code, code, "{mode:o}: {}", ended.stderr);
        let warning = "client.pem: others than its owner may use this file of the client key (its mode is 0644): `chmod 600` it";
        assert_eq!(ended.stderr.contains(warning), warned, "{}", ended.stderr);
    }
    let mut piped = by_key(&field, &["audit", "in.csv", "--client-key-file", "/dev/stdin"]);
    piped.stdin(std::fs::File::open(field.path("client.pem")).expect("a file"));
    std::fs::set_permissions(field.path("client.pem"), Permissions::from_mode(0o600)).expect("its own");
    let ended = done(piped.output().expect("the tool runs"));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    // The report must not replace it.
    let refused = run_by_key(&field, &["audit", "in.csv", "-o", "client.pem", "--overwrite"]);
    assert!(refused.code == 2 && refused.stderr.contains("the client key"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(field.path("client.pem")).expect("there"), pair.private);
}

#[test]
fn what_is_missing_is_named_at_once_and_what_contradicts_is_refused() {
    let field = field();
    field.users(1, "+4h");
    write_key(&field, "client.pem", "not read");
    let without = |unset: &[&str], arguments: &[&str]| {
        let mut tool = field.tool(&[&["grant", "in.csv"], arguments].concat());
        for name in unset {
            tool.env_remove(name);
        }
        let refused = done(tool.output().expect("the tool runs"));
        assert_eq!(refused.code, 2, "{arguments:?}: {}", refused.stderr);
        refused.stderr
    };
    let (environment, client, secret) = ("PINGONE_ENVIRONMENT_ID", "PINGONE_CLIENT_ID", "PINGONE_CLIENT_SECRET");
    let by_key = ["--auth-method", "private-key-jwt"];
    let said = without(&[environment, client, secret], &by_key);
    assert!(
        said.contains(
            "error: 3 settings are missing:\n  environment: `--environment-id` or PINGONE_ENVIRONMENT_ID\n  client ID: `--client-id` or \
             PINGONE_CLIENT_ID\n  key for the client ID: `--client-key-file` or PINGONE_CLIENT_KEY_FILE\nhint: make a key pair with `openssl genpkey"
        ),
        "{said}"
    );
    let said = without(&[environment, client, secret], &[]);
    assert!(
        said.contains("PINGONE_ENVIRONMENT_ID\n") && said.contains("PINGONE_CLIENT_ID\n") && said.contains("`--client-secret-file`\n"),
        "{said}"
    );
    let said = without(&[secret], &["--client-key-file", "client.pem"]);
    assert!(
        said.contains("error: `--client-key-file` is not used by `--auth-method basic`\nhint: say `--auth-method private-key-jwt`"),
        "{said}"
    );
    for (option, value) in [("--client-key-id", "k"), ("--client-key-alg", "RS256")] {
        let said = without(&[], &["--auth-method", "post", option, value]);
        assert!(said.contains(&format!("error: `{option}` is not used by `--auth-method post`")), "{said}");
    }
    let said = without(&[], &[&by_key[..], &["--client-key-file", "client.pem", "--client-secret-file", "x"]].concat());
    assert!(said.contains("error: `--client-secret-file` is not used by `--auth-method private-key-jwt`\nhint: leave it out"), "{said}");
    // A variable for other runs does no harm, and is told of where it explains what is missing.
    let mut tool = field.tool(&["audit", "in.csv"]);
    assert_eq!(done(tool.env("PINGONE_CLIENT_KEY_FILE", "nowhere").output().expect("the tool runs")).code, 0);
    let mut tool = field.tool(&["audit", "in.csv"]);
    let refused = done(tool.env("PINGONE_CLIENT_KEY_FILE", "nowhere").env_remove(secret).output().expect("the tool runs"));
    assert!(refused.stderr.contains("hint: a client key is given: say `--auth-method private-key-jwt`"), "{}", refused.stderr);
    let refused = field.run(&["grant", "in.csv", "--sandbox", "--client-key-id", "k"]);
    assert!(refused.code == 2 && refused.stderr.contains("'--sandbox' cannot be used with '--client-key-id'"), "{}", refused.stderr);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn a_wrong_clock_costs_one_more_request_and_no_run() {
    use crate::shim::Shim;
    let Some(pair) = KeyPair::made(EC) else {
        return;
    };
    for (seconds, requests) in [(-45, 1), (50, 1), (-600, 2), (2 * 3600, 2), (-30 * 86_400, 2)] {
        let field = pair.field(SandboxConfig { token_lifetime: Duration::from_secs(1), ..SandboxConfig::default() });
        field.users(2, "+4h");
        let ended = done(Shim::clock(seconds).preload(&mut by_key(&field, &["audit", "in.csv", "-v"])).output().expect("the tool runs"));
        assert_eq!(ended.code, 0, "{seconds}: {}", ended.stderr);
        let sent = assertions(&field);
        assert_eq!(sent.len(), requests, "{seconds}: {}", ended.stderr);
        assert_eq!(jtis(&sent).len(), requests);
        let last = part(sent.last().expect("one"), 1)["iat"].as_i64().expect("a number");
        assert_eq!((last - chrono::Utc::now().timestamp()).abs() < 30, requests == 2, "{last}");
    }
    // With a wrong key too, the run ends after that.
    let field = pair.field(SandboxConfig::default());
    field.users(2, "+4h");
    write_key(&field, "client.pem", &KeyPair::made(EC).expect("as before").private);
    let ended = done(Shim::clock(-600).preload(&mut by_key(&field, &["audit", "in.csv"])).output().expect("the tool runs"));
    assert_eq!((ended.code, field.calls().len()), (4, 2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the clock here (it is 10 min behind PingOne's, which assertions are dated by)")
            || ended.stderr.contains("(it is 9 min 5"),
        "{}",
        ended.stderr
    );
}

#[test]
fn the_sandbox_command_insists_on_the_key_and_prints_what_leads_to_it() {
    let Some(pair) = KeyPair::made(RSA) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("client.pem", &pair.private), ("client.pub.pem", &pair.public)] {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let words = ["--auth-method", "private-key-jwt", "--client-public-key", "client.pub.pem", "--users", "3"];
    let (sandbox, printed) = Served::start(folder.path(), &words);
    let lines: Vec<&str> = printed.iter().map(String::as_str).collect();
    assert!(lines.contains(&"export PINGONE_AUTH_METHOD=private-key-jwt"), "{lines:?}");
    assert!(lines.contains(&"# PINGONE_CLIENT_KEY_FILE is the file of your private key"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("SECRET")), "{lines:?}");
    let mut audit = tool();
    audit.current_dir(folder.path()).args(["audit", "--all-users", "--client-key-file", "client.pem"]);
    for line in &printed {
        if let Some((name, value)) = line.strip_prefix("export ").and_then(|line| line.split_once('=')) {
            audit.env(name, value);
        }
    }
    let ended = done(audit.output().expect("the tool runs"));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("rows             3"), "{}", ended.stderr);
    let mut by_secret = tool();
    by_secret.current_dir(folder.path()).args(["audit", "--all-users", "--overwrite"]);
    let variables =
        printed.iter().filter_map(|line| line.strip_prefix("export ")?.split_once('=')).filter(|(name, _)| !name.contains("METHOD"));
    let refused = done(by_secret.envs(variables).env("PINGONE_CLIENT_SECRET", "s").output().expect("the tool runs"));
    assert!(refused.code == 4 && refused.stderr.contains("Unsupported authentication method\n"), "{}", refused.stderr);
    drop(sandbox);
    for (bad, expected) in [
        (&["--auth-method", "private-key-jwt"][..], "--client-public-key <PEM>"),
        (&["--client-public-key", "client.pub.pem"], "--auth-method <METHOD>"),
        (&["--auth-method", "post", "--client-public-key", "client.pub.pem"], "`--client-public-key` is not used by `--auth-method post`"),
        (
            &["--auth-method", "private-key-jwt", "--client-public-key", "client.pem"],
            "client.pem: this is a private key: expected the public key",
        ),
        (&["--auth-method", "private-key-jwt", "--client-public-key", "nowhere"], "nowhere: the client's public key cannot be read"),
    ] {
        let arguments = [&["sandbox", "--listen", "127.0.0.1:0"], bad].concat();
        let refused = done(tool().current_dir(folder.path()).args(&arguments).output().expect("the tool runs"));
        assert!(refused.code == 2 && refused.stderr.contains(expected), "{bad:?}: {}", refused.stderr);
    }
}

/// A sandbox in a process of its own, which ends when this is dropped.
struct Served(Child);

impl Served {
    /// Also returns the lines that it prints.
    fn start(folder: &Path, words: &[&str]) -> (Self, Vec<String>) {
        let mut sandbox = tool();
        sandbox.current_dir(folder).stdout(Stdio::piped()).args(["sandbox", "--listen", "127.0.0.1:0"]).args(words);
        let mut served = Self(sandbox.spawn().expect("the tool runs"));
        let lines = BufReader::new(served.0.stdout.take().expect("piped")).lines();
        let printed = lines.map(|line| line.expect("text")).take(6).collect();
        (served, printed)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}
