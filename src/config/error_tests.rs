//! Each refused configuration says what to do.

use super::*;
use crate::hint_tests::{assert_all_told, assert_told};

/// The refusal after `error`. The compiler asks here for a new one.
fn next(error: &ConfigError) -> Option<ConfigError> {
    let path = || PathBuf::from("secret.txt");
    let of_profile = |fault| ConfigError::Profile { path: path(), table: Some("prod".into()), key: "region".into(), fault };
    Some(match error {
        ConfigError::NoInput => ConfigError::NobodyToAudit,
        ConfigError::NobodyToAudit => ConfigError::NobodyToList,
        ConfigError::NobodyToList => ConfigError::ShardOfDirectory,
        ConfigError::ShardOfDirectory => ConfigError::OnlyOfShard,
        ConfigError::OnlyOfShard => ConfigError::Missing { missing: vec![Missing::Secret], profile: None },
        ConfigError::Missing { .. } => ConfigError::Unused { given: Source::Option("--client-key-id"), method: "basic" },
        ConfigError::Unused { given, .. } if !is_of_a_secret(given) => {
            ConfigError::Unused { given: Source::Option("--client-secret-file"), method: "private-key-jwt" }
        }
        ConfigError::Unused { .. } => ConfigError::Key { path: path(), fault: KeyFault::Damaged },
        ConfigError::Key { .. } => unreadable(Source::Default),
        ConfigError::Unreadable { from: Source::Default, .. } => unreadable(Source::Option("--ca-cert")),
        ConfigError::Unreadable { .. } => ConfigError::NotASecret { what: "access token", from: "PINGONE_API_ACCESS_TOKEN".into() },
        ConfigError::NotASecret { .. } => ConfigError::WorldWritable { what: "client secret", path: path() },
        ConfigError::WorldWritable { .. } => ConfigError::TooLong { what: "client secret", path: path(), most: 64 },
        ConfigError::TooLong { .. } => ConfigError::NotACertificate(path()),
        ConfigError::NotACertificate(_) => ConfigError::Value { from: Source::Option("--auth-url"), why: "it is no URL".into() },
        ConfigError::Value { from: Source::Option(_), .. } => {
            ConfigError::Value { from: Source::Variable("PINGONE_API_URL"), why: "it is no URL".into() }
        }
        ConfigError::Value { .. } => {
            let hosts = Box::new(["api.example".to_owned(), "auth.example".to_owned()]);
            ConfigError::SplitUrls { api: Source::Variable("PINGONE_API_URL"), auth: Source::Option("--auth-url"), hosts }
        }
        ConfigError::SplitUrls { .. } => {
            let at = |name| Sourced { value: "127.0.0.1:8501".to_owned(), source: Source::Variable(name) };
            let region = Sourced { value: Region::Eu, source: Source::Option("--region") };
            ConfigError::NotItsUrls(Box::new(NotItsUrls { region, api: at("PINGONE_API_URL"), auth: at("PINGONE_AUTH_URL") }))
        }
        ConfigError::NotItsUrls(_) => ConfigError::NotAProxy("HTTPS_PROXY"),
        ConfigError::NotAProxy(_) => ConfigError::ProxyUnderCgi("HTTP_PROXY"),
        ConfigError::ProxyUnderCgi(_) => ConfigError::NoProfileChosen,
        ConfigError::NoProfileChosen => ConfigError::NoConfigFolder { from: "--profile" },
        ConfigError::NoConfigFolder { .. } => ConfigError::NotToml { path: path(), line: 3, why: "expected `=`".into() },
        ConfigError::NotToml { .. } => of_profile(ProfileFault::OutsideTable),
        ConfigError::Profile { fault, .. } => match fault {
            ProfileFault::OutsideTable => of_profile(ProfileFault::Unknown),
            ProfileFault::Unknown => of_profile(ProfileFault::Secret),
            ProfileFault::Secret => of_profile(ProfileFault::NotText { kind: "integer" }),
            ProfileFault::NotText { .. } => of_profile(ProfileFault::Empty),
            ProfileFault::Empty => of_profile(ProfileFault::NoHome { path: "~/x".into() }),
            ProfileFault::NoHome { .. } => no_profile(vec!["test".into()]),
        },
        ConfigError::NoSuchProfile { there, .. } if !there.is_empty() => no_profile(Vec::new()),
        ConfigError::NoSuchProfile { .. } => ConfigError::OpenConfig(path()),
        ConfigError::OpenConfig(_) => ConfigError::Until("`x` is not an end date".into()),
        ConfigError::Until(_) => OutputError::NoResume.into(),
        ConfigError::Output(_) => return None,
    })
}

fn unreadable(from: Source) -> ConfigError {
    ConfigError::Unreadable { what: "client secret", path: "secret.txt".into(), from, source: io::ErrorKind::NotFound.into() }
}

fn no_profile(there: Vec<String>) -> ConfigError {
    ConfigError::NoSuchProfile { from: "--profile", name: "prod".into(), path: "config.toml".into(), there }
}

#[test]
fn each_refused_configuration_says_what_to_do() {
    assert_eq!(assert_all_told(ConfigError::NoInput, next, ConfigError::hint), 35);
}

#[test]
fn whatever_is_missing_is_asked_for() {
    use Missing::{ApiUrl, AuthUrl, ClientId, Environment, Key, Secret, SecretBesideKey};
    for (missing, expected) in [
        (vec![Environment], "set PINGONE_ENVIRONMENT_ID"),
        (vec![ClientId, Secret], "set PINGONE_CLIENT_ID and PINGONE_CLIENT_SECRET"),
        (vec![SecretBesideKey], "a client key is given"),
        (vec![Key], "make a key pair"),
        (vec![ApiUrl], "set both URLs, or neither"),
        (vec![AuthUrl], "set both URLs, or neither"),
    ] {
        let error = ConfigError::Missing { missing, profile: None };
        let hint = error.hint();
        assert!(hint.starts_with(expected), "{error}: {hint}");
        assert_told(&error, &hint);
    }
}

#[test]
fn a_file_is_asked_for_where_it_was_named() {
    for (from, expected) in [
        (Source::Option("--client-secret-file"), "check the path in `--client-secret-file`, and that this user may read the file"),
        (Source::Variable("PINGONE_CLIENT_KEY_FILE"), "check the path in PINGONE_CLIENT_KEY_FILE, and that this user may read the file"),
    ] {
        assert_eq!(unreadable(from).hint(), expected);
    }
}

#[test]
fn a_file_that_is_there_is_not_to_be_written() {
    use io::ErrorKind::{IsADirectory, NotFound, PermissionDenied};
    let usual = |kind: io::ErrorKind| {
        let source = kind.into();
        ConfigError::Unreadable { what: "configuration file", path: "/x/c.toml".into(), from: Source::Default, source }.hint()
    };
    assert_eq!(usual(NotFound), "write it, or name another with `--config`");
    let denied = "let this user read it (`ls -l /x/c.toml` shows who may), or name another with `--config`";
    assert_eq!(usual(PermissionDenied), denied);
    assert_eq!(usual(IsADirectory), "move the folder away, or name another file with `--config`");
    assert!(!usual(io::ErrorKind::Other).contains("write it"));
}

#[test]
fn several_settings_are_said_in_the_profile_and_one_is() {
    let profile = Some(Arc::new(ProfileName { name: "dev".into(), path: "c.toml".into() }));
    let hint = |missing: Vec<Missing>| ConfigError::Missing { missing, profile: profile.clone() }.hint();
    let one = hint(vec![Missing::Environment]);
    assert!(one.contains(", or say it in profile [dev] in c.toml"), "{one}");
    let two = hint(vec![Missing::ClientId, Missing::Secret]);
    assert!(two.contains(", or say them in profile [dev] in c.toml"), "{two}");
}
