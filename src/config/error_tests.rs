//! Each refused configuration says what to do.

use super::*;
use crate::hint_tests::{assert_all_told, assert_told};

/// The refusal after `error`. The compiler asks here for a new one.
fn next(error: &ConfigError) -> Option<ConfigError> {
    let path = || PathBuf::from("secret.txt");
    Some(match error {
        ConfigError::NoInput => ConfigError::NobodyToAudit,
        ConfigError::NobodyToAudit => ConfigError::Missing(vec![Missing::Secret]),
        ConfigError::Missing(_) => ConfigError::Unused { option: "--client-key-id", method: "basic" },
        ConfigError::Unused { option: "--client-key-id", .. } => {
            ConfigError::Unused { option: "--client-secret-file", method: "private-key-jwt" }
        }
        ConfigError::Unused { .. } => ConfigError::Key { path: path(), fault: KeyFault::Damaged },
        ConfigError::Key { .. } => ConfigError::Unreadable { what: CLIENT_SECRET, path: path(), source: io::ErrorKind::NotFound.into() },
        ConfigError::Unreadable { .. } => ConfigError::NotASecret { what: ACCESS_TOKEN, from: "PINGONE_API_ACCESS_TOKEN".into() },
        ConfigError::NotASecret { .. } => ConfigError::WorldWritable { what: CLIENT_SECRET, path: path() },
        ConfigError::WorldWritable { .. } => ConfigError::TooLong { what: CLIENT_SECRET, path: path(), most: 64 },
        ConfigError::TooLong { .. } => ConfigError::NotACertificate(path()),
        ConfigError::NotACertificate(_) => ConfigError::Url { from: "--auth-url", why: "it is no URL".into() },
        ConfigError::Url { from: "--auth-url", .. } => ConfigError::Url { from: "PINGONE_API_URL", why: "it is no URL".into() },
        ConfigError::Url { .. } => ConfigError::NotAProxy("HTTPS_PROXY"),
        ConfigError::NotAProxy(_) => ConfigError::ProxyUnderCgi("HTTP_PROXY"),
        ConfigError::ProxyUnderCgi(_) => ConfigError::NoSuchDomain("fr".into()),
        ConfigError::NoSuchDomain(_) => ConfigError::Until("`x` is not an end date".into()),
        ConfigError::Until(_) => OutputError::NoResume.into(),
        ConfigError::Output(_) => return None,
    })
}

#[test]
fn each_refused_configuration_says_what_to_do() {
    assert_eq!(assert_all_told(ConfigError::NoInput, next, ConfigError::hint), 18);
    let url = |from| ConfigError::Url { from, why: String::new() }.hint();
    assert!(url("--auth-url").contains("`https://auth.pingone.eu`") && url("PINGONE_AUTH_URL").contains("`https://auth.pingone.eu`"));
    assert!(url("--api-url").contains("`https://api.pingone.eu/v1`"));
}

#[test]
fn whatever_is_missing_is_asked_for() {
    use Missing::{ApiUrl, AuthUrl, ClientId, Environment, Key, Secret, SecretBesideKey};
    for (missing, expected) in [
        (vec![Environment], "set PINGONE_ENVIRONMENT_ID"),
        (vec![ClientId, Secret], "set PINGONE_ENVIRONMENT_ID"),
        (vec![SecretBesideKey], "a client key is given"),
        (vec![Key], "make a key pair"),
        (vec![ApiUrl], "set both URLs, or neither"),
        (vec![AuthUrl], "set both URLs, or neither"),
    ] {
        let error = ConfigError::Missing(missing);
        let hint = error.hint();
        assert!(hint.starts_with(expected), "{error}: {hint}");
        assert_told(&error, &hint);
    }
}

#[test]
fn a_file_is_asked_for_by_its_option() {
    for (what, expected) in [
        (CLIENT_SECRET, "`--client-secret-file`"),
        (ACCESS_TOKEN, "`--access-token-file`"),
        (CLIENT_KEY, "`--client-key-file` or PINGONE_CLIENT_KEY_FILE"),
        (PUBLIC_KEY, "`--client-public-key`"),
        ("certificate", "`--ca-cert`"),
    ] {
        let error = ConfigError::Unreadable { what, path: "x".into(), source: io::ErrorKind::NotFound.into() };
        assert_eq!(error.hint(), format!("check the path in {expected}, and that this user may read the file"));
    }
}
