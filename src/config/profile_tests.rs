//! Profiles: what is read, and each fault by file, table and key, without a value that might be a secret.

use super::*;

/// The profile `prod` of a file with this text, in a folder with a home folder beside it.
fn read_prod(text: &str) -> Result<Profile, ConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.toml");
    std::fs::write(&path, text).expect("written");
    let arguments = ConnectionArgs { profile: Some("prod".to_owned()), config: Some(path), ..ConnectionArgs::default() };
    let chosen = Profile::chosen(&arguments, &|name| (name == "HOME").then(|| "/home/ann".into()));
    chosen.map(|profile| profile.expect("it is chosen"))
}

fn refused(text: &str) -> (String, String) {
    let error = read_prod(text).expect_err(text);
    (error.to_string(), error.hint())
}

#[test]
fn every_setting_may_stand_in_a_profile() {
    for setting in Setting::ALL {
        let profile = read_prod(&format!("[prod]\n{} = \" x \"\n", setting.key())).expect("well-formed");
        let folder = profile.name.path.parent().expect("a folder");
        let expected = if setting.is_path() { folder.join("x").into_os_string() } else { "x".into() };
        for other in Setting::ALL {
            assert_eq!(profile.get(other), (other == setting).then_some(expected.as_os_str()), "{setting:?} {other:?}");
        }
    }
}

#[test]
fn a_path_is_absolute_or_begins_at_home_or_beside_the_file() {
    let path = |text: &str| absolute(text, Path::new("/etc/p/c.toml"), Some(Path::new("/home/ann"))).expect("a path");
    for (text, expected) in [("s", "/etc/p/s"), ("a/s", "/etc/p/a/s"), ("/s", "/s"), ("~/s", "/home/ann/s"), ("~s", "/etc/p/~s")] {
        assert_eq!(path(text), Path::new(expected), "{text}");
    }
    assert_eq!(absolute("s", Path::new("c.toml"), None), Ok("s".into()));
    for home in [None, Some(Path::new("")), Some(Path::new("ann"))] {
        assert_eq!(absolute("~/s", Path::new("c.toml"), home), Err(ProfileFault::NoHome { path: "~/s".to_owned() }));
    }
}

#[test]
fn a_fault_is_blamed_on_its_file_table_and_key() {
    for (text, error, hint) in [
        ("[prod]\nregoin = 'EU'", ": [prod] regoin: there is no such setting", "the settings are `environment-id`, "),
        ("[prod]\nenvironment_id = 'x'", ": [prod] environment_id: there is no such setting", "the settings are "),
        ("[keys]\n[prod]\nregoin = 'EU'", ": [prod] regoin: there is no such setting", "the settings are "),
        (
            "[prod]\nregion = 7",
            ": [prod] region: the value is of type integer: expected text in quotes",
            "write the value between two `\"`",
        ),
        ("[prod]\nregion = ['EU']", ": [prod] region: the value is of type array: expected text in quotes", "write the value"),
        ("[prod.region]\nx = 'EU'", ": [prod] region: the value is of type table: expected text in quotes", "write the value"),
        ("[prod]\nregion = ' '", ": [prod] region: there is no value: expected one, or no such line", "write a value"),
        ("region = 'EU'\n[prod]", ": region: this stands in no profile: expected it in a table such as `[prod]`", "write `[NAME]`"),
        ("[[prod]]\nregion = 'EU'", ": prod: this stands in no profile", "write `[NAME]`"),
        ("[test]\n[dev]\n", "c.toml: it has `dev`, `test`", "name one of them with --profile"),
        ("", "c.toml: it has none", "write a table such as `[prod]` into it, and name it with --profile"),
        ("[prod]\n\nregion = EU", "c.toml:3: this is not TOML: ", "a profile reads like `[prod]`"),
        ("[prod]\nregion = 'EU'\nregion = 'EU'", "c.toml:3: this is not TOML: ", "a profile reads like"),
        ("[prod", "c.toml:1: this is not TOML: ", "a profile reads like"),
    ] {
        let (said, what_to_do) = refused(text);
        assert!(said.contains(error), "{text}: {said}");
        assert!(what_to_do.starts_with(hint), "{text}: {what_to_do}");
    }
}

#[test]
fn a_secret_in_the_file_is_refused_and_never_shown() {
    const SECRET: &str = "s3cr3t-of-the-application";
    for key in [
        "client-secret",
        "client_secret",
        "clientsecret",
        "clientSecret",
        "CLIENT-SECRET",
        "client-secret-value",
        "client-secret-files",
        "client_secret_file",
        "secret",
        "access-token",
        "access_token",
        "accessToken",
        "token",
        "PINGONE_API_ACCESS_TOKEN",
        "password",
        "pass-word",
        "client-key",
        "keyPem",
    ] {
        for (text, place) in [
            (format!("[prod]\n{key} = '{SECRET}'"), "[prod] "),
            (format!("[prod]\n[test]\n{key} = '{SECRET}'"), "[test] "),
            (format!("[prod]\n[dev.sub]\n{key} = '{SECRET}'"), "[dev.sub] "),
            (format!("[prod]\n[dev.sub.deeper]\nx = {{ {key} = '{SECRET}' }}"), "[dev.sub.deeper.x] "),
            (format!("[prod]\n[dev]\nregion = [[{{ {key} = '{SECRET}' }}]]"), "[dev.region] "),
            (format!("{key} = '{SECRET}'\n[prod]"), ""),
            (format!("[prod]\n[[list]]\n{key} = '{SECRET}'"), "[list] "),
        ] {
            let (said, hint) = refused(&text);
            let expected = format!("c.toml: {place}{key}: a secret does not belong in this file (the value is not shown)");
            assert!(said.contains(&expected), "{said} should have: {expected}");
            assert!(hint.starts_with("name a file with `client-secret-file`") && !(said + &hint).contains(SECRET));
        }
    }
    for line in [
        format!("client-secret = {SECRET}"),
        format!("client-secret = '{SECRET}"),
        SECRET.to_owned(),
        format!("x = '{SECRET}'"),
        format!("region = 7{SECRET}"),
        format!("region = ['{SECRET}']"),
        format!("region = \"\\u{SECRET}\""),
    ] {
        let (said, hint) = refused(&format!("[prod]\n{line}\n"));
        assert!(!(said.clone() + &hint).contains(SECRET), "{line}: {said}");
    }
}

#[test]
fn the_file_is_where_the_desktop_keeps_such_files() {
    let path = |set: &[(&str, &str)]| {
        let variable = |name: &str| set.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value));
        usual_path(&variable).map(|path| path.value)
    };
    for (set, expected) in [
        (&[("HOME", "/home/ann")][..], Some("/home/ann/.config/pingone-bypass/config.toml")),
        (&[("HOME", "/home/ann"), ("XDG_CONFIG_HOME", "/x")], Some("/x/pingone-bypass/config.toml")),
        (&[("HOME", "/home/ann"), ("XDG_CONFIG_HOME", "x")], Some("/home/ann/.config/pingone-bypass/config.toml")),
        (&[("HOME", ""), ("XDG_CONFIG_HOME", "")], None),
        (&[], None),
    ] {
        assert_eq!(path(set), expected.map(PathBuf::from), "{set:?}");
    }
}

#[test]
fn no_file_is_read_unless_a_profile_is_chosen() {
    let chosen = |arguments: &ConnectionArgs, profile: &str| {
        let set = |name: &str| match name {
            PROFILE_VARIABLE => Some(profile.into()),
            _ => None,
        };
        Profile::chosen(arguments, &set).map(|profile| profile.map(|profile| profile.name.to_string()))
    };
    let none = ConnectionArgs::default();
    assert!(matches!(chosen(&none, " "), Ok(None)), "an empty variable chooses none");
    let file = ConnectionArgs { config: Some("/nowhere".into()), ..ConnectionArgs::default() };
    assert!(matches!(chosen(&file, ""), Err(ConfigError::NoProfileChosen)));
    assert!(matches!(chosen(&none, "prod"), Err(ConfigError::NoConfigFolder { from: PROFILE_VARIABLE })));
    let (typed, both) = (Some("prod".to_owned()), ConnectionArgs { config: file.config.clone(), profile: Some("prod".into()), ..file });
    assert!(matches!(chosen(&ConnectionArgs { profile: typed, ..none }, "x"), Err(ConfigError::NoConfigFolder { from: PROFILE_OPTION })));
    let error = chosen(&both, "").expect_err("not there");
    assert_eq!(error.to_string(), "/nowhere: the configuration file cannot be read");
    assert_eq!(error.hint(), "check the path in `--config`, and that this user may read the file");
}
