//! Each setting is found in the options, the variables and the profile, in this order, and blamed on where it was found.

use super::*;
use crate::config::connection::connection;
use crate::config::{Connection, Identity};

const IDS: [&str; 3] =
    ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333"];

/// Three values of a setting: of the option, the variable and the profile.
fn values(setting: Setting) -> [&'static str; 3] {
    match setting {
        Setting::Environment | Setting::AuthEnvironment => IDS,
        Setting::ClientId | Setting::KeyId => ["one", "two", "three"],
        Setting::SecretFile | Setting::KeyFile | Setting::TokenFile | Setting::CaCert => ["/one", "/two", "/three"],
        Setting::AuthMethod => ["basic", "post", "private-key-jwt"],
        Setting::KeyAlg => ["RS256", "RS384", "ES256"],
        Setting::Region => ["EU", "CA", "AU"],
        Setting::ApiUrl | Setting::AuthUrl => ["https://one.example", "https://two.example", "https://three.example"],
    }
}

/// A value that the setting refuses, and what is said of it; `None` if no text is refused before it is used.
fn fault(setting: Setting) -> Option<(&'static str, &'static str)> {
    match setting {
        Setting::Environment | Setting::AuthEnvironment => Some(("x", "`x` is not a UUID: expected a form such as")),
        Setting::AuthMethod => Some(("jwt", "`jwt` is none of its values: expected `basic`, `post` or `private-key-jwt`")),
        Setting::KeyAlg => Some(("HS256", "`HS256` is none of its values: expected `RS256`, ")),
        Setting::Region => Some(("MARS", "`MARS` is none of its values: expected `NA`, `CA`, `EU`, `AU`, `SG` or `AP`")),
        Setting::ApiUrl | Setting::AuthUrl => Some(("http://x.example", "`http://x.example` is not encrypted: expected `https`")),
        Setting::ClientId | Setting::KeyId | Setting::SecretFile | Setting::KeyFile | Setting::TokenFile | Setting::CaCert => None,
    }
}

/// Where the values stand.
#[derive(Default)]
struct Places {
    typed: Vec<(Setting, &'static str)>,
    set: Vec<(&'static str, &'static str)>,
    profile: Vec<(Setting, &'static str)>,
}

impl Places {
    fn read<T>(&self, read: impl FnOnce(&Layers<'_>) -> T) -> T {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.toml");
        let lines: String = self.profile.iter().map(|(setting, value)| format!("{} = '{value}'\n", setting.key())).collect();
        std::fs::write(&path, format!("[prod]\n{lines}")).expect("written");
        let path = path.display().to_string();
        let words = self.typed.iter().flat_map(|(setting, value)| [setting.option(), value]);
        let cli = crate::Cli::read(["pingone-bypass", "doctor", "--profile", "prod", "--config", &path].into_iter().chain(words));
        let cli = cli.expect("options");
        let crate::cli::Command::Doctor(doctor) = &cli.command else { panic!("not it") };
        let variable = |name: &str| self.set.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value));
        let layers = Layers::of(&doctor.connection, &variable).expect("a profile");
        read(&layers)
    }

    /// The value of the setting as it is shown to a person, and the rank of its source.
    fn found(&self, setting: Setting) -> Option<(String, u8)> {
        self.read(|layers| {
            let settings = layers.settings().expect("values");
            let text = |given: Option<&Sourced<String>>| given.map(|given| (given.value.clone(), given.source.rank()));
            let shown = |value: &dyn std::fmt::Display, source: &Source| Some((value.to_string(), source.rank()));
            let secret = |given: Option<&Sourced<Secret>>| {
                given.map(|given| match &given.value {
                    Secret::InFile(path) => (path.display().to_string(), given.source.rank()),
                    Secret::InVariable(_) => (values(setting)[1].to_owned(), given.source.rank()),
                })
            };
            match setting {
                Setting::Environment => settings.environment.as_ref().and_then(|given| shown(&given.value, &given.source)),
                Setting::AuthEnvironment => settings.auth_environment.as_ref().and_then(|given| shown(&given.value, &given.source)),
                Setting::ClientId => text(settings.client_id.as_ref()),
                Setting::KeyId => text(settings.key_id.as_ref()),
                Setting::SecretFile => secret(settings.secret.as_ref()),
                Setting::TokenFile => secret(settings.token.as_ref()),
                Setting::KeyFile => settings.key_file.as_ref().and_then(|given| shown(&given.value.display(), &given.source)),
                Setting::CaCert => settings.ca.as_ref().and_then(|given| shown(&given.value.display(), &given.source)),
                Setting::AuthMethod => shown(&settings.method.value.name(), &settings.method.source),
                Setting::KeyAlg => settings.key_alg.as_ref().and_then(|given| shown(&given.value.name(), &given.source)),
                Setting::Region => shown(&settings.region.value.name(), &settings.region.source),
                Setting::ApiUrl => settings.api.as_ref().and_then(|given| shown(&given.value, &given.source)),
                Setting::AuthUrl => settings.auth.as_ref().and_then(|given| shown(&given.value, &given.source)),
            }
        })
    }
}

#[test]
fn an_option_goes_before_a_variable_and_a_variable_before_the_profile() {
    for setting in Setting::ALL {
        let [typed, set, listed] = values(setting);
        let in_option = || vec![(setting, typed)];
        let in_variable = || setting.variables().first().map(|name| (*name, set)).into_iter().collect::<Vec<_>>();
        let in_profile = || vec![(setting, listed)];
        let found = |typed, set, profile| Places { typed, set, profile }.found(setting);
        let expect = |value: &str, rank| Some((value.to_owned(), rank));
        assert_eq!(found(in_option(), in_variable(), in_profile()), expect(typed, 0), "{setting:?}");
        assert_eq!(found(in_option(), vec![], in_profile()), expect(typed, 0), "{setting:?}");
        let has_variable = !setting.variables().is_empty();
        let second = if has_variable { expect(set, 1) } else { expect(listed, 2) };
        assert_eq!(found(vec![], in_variable(), in_profile()), second, "{setting:?}");
        assert_eq!(found(vec![], vec![], in_profile()), expect(listed, 2), "{setting:?}");
        let blank: Vec<_> = setting.variables().iter().map(|name| (*name, " ")).collect();
        assert_eq!(found(vec![], blank, in_profile()), expect(listed, 2), "an empty variable is not set: {setting:?}");
        let defaults = [(Setting::AuthMethod, "basic"), (Setting::Region, "NA")];
        let default = defaults.iter().find(|(of, _)| *of == setting).and_then(|(_, value)| expect(value, 3));
        assert_eq!(found(vec![], vec![], vec![]), default, "{setting:?}");
    }
}

#[test]
fn a_bad_value_is_blamed_on_where_it_came_from() {
    for setting in Setting::ALL {
        let Some((bad, expected)) = fault(setting) else { continue };
        let said = |places: Places| places.read(|layers| layers.settings().map(drop).expect_err("a fault").to_string());
        for name in setting.variables().iter().filter(|name| **name != TOP_LEVEL_DOMAIN) {
            let said = said(Places { set: vec![(*name, bad)], profile: vec![(setting, values(setting)[2])], ..Places::default() });
            assert!(said.starts_with(&format!("{name}: {expected}")), "{said}");
        }
        let said = said(Places { profile: vec![(setting, bad)], ..Places::default() });
        assert!(said.contains(&format!(": [prod] {}: {expected}", setting.key())), "{said}");
    }
}

#[test]
fn each_setting_is_refused_beside_the_sandbox_or_is_no_part_of_a_place() {
    for setting in Setting::ALL {
        let read = crate::Cli::read(["pingone-bypass", "doctor", "--sandbox", setting.option(), values(setting)[0]]);
        let is_harmless = matches!(setting, Setting::AuthMethod | Setting::CaCert);
        assert_eq!(read.is_ok(), is_harmless, "{setting:?}");
    }
}

/// What the places make of each other.
fn connected(places: &Places) -> Result<Connection, String> {
    places.read(|layers| connection(&layers.settings().expect("values"), layers.profile_name()).map_err(|error| error.to_string()))
}

#[test]
fn the_urls_of_two_places_are_not_mixed() {
    let (api, auth) = (Setting::ApiUrl, Setting::AuthUrl);
    let folder = tempfile::tempdir().expect("a folder");
    let secret: &'static str = Box::leak(folder.path().join("s").display().to_string().into_boxed_str());
    std::fs::write(secret, "s3cret").expect("written");
    let all = |typed: Vec<_>, set: Vec<_>, more: Vec<(Setting, &'static str)>| {
        let profile = [(Setting::Environment, IDS[0]), (Setting::ClientId, "c"), (Setting::SecretFile, secret)].into_iter().chain(more);
        connected(&Places { typed, set, profile: profile.collect() }).map(|connection| match connection {
            Connection::PingOne { endpoints, .. } => format!("{} {}", endpoints.api, endpoints.auth),
            Connection::Sandbox => "sandbox".to_owned(),
        })
    };
    let [one, two, three] = values(api);
    let both = |value| vec![(api, value), (auth, value)];
    assert_eq!(all(vec![], vec![], both(three)), Ok(format!("{three} {three}")));
    for typed in [api, auth] {
        let refused = all(vec![(typed, one)], vec![], both(three)).expect_err("credentials would go to both hosts");
        assert!(refused.contains(&format!("option {}", typed.option())), "{refused}");
        assert!(refused.contains("(`one.example`)") && refused.contains("(`three.example`)"), "{refused}");
    }
    let local = all(vec![(api, "https://api.pingone.eu/v1")], vec![("PINGONE_AUTH_URL", "http://127.0.0.1:8501")], vec![]);
    let refused = local.expect_err("two hosts");
    assert!(
        refused.contains("option --api-url (`api.pingone.eu`)") && refused.contains("PINGONE_AUTH_URL (`127.0.0.1:8501`)"),
        "{refused}"
    );
    let (api_eu, auth_eu) = ("https://api.pingone.eu/v1", "https://auth.pingone.eu");
    for (typed, other) in [((api, api_eu), (auth, auth_eu)), ((auth, auth_eu), (api, api_eu))] {
        assert_eq!(all(vec![typed], vec![], vec![other]), Ok(format!("{api_eu} {auth_eu}")), "one region");
    }
    assert!(all(vec![(api, "https://api.pingone.com/v1")], vec![], vec![(auth, auth_eu)]).is_err(), "two regions");
    let same = all(vec![(api, "https://three.example/v2")], vec![], both(three));
    assert_eq!(same, Ok(format!("https://three.example/v2 {three}")), "one host");
    assert!(all(vec![(api, "https://three.example:8443/v2")], vec![], both(three)).is_err(), "another port");
    assert_eq!(all(vec![], vec![("PINGONE_API_URL", two), ("PINGONE_AUTH_URL", two)], both(three)), Ok(format!("{two} {two}")));
    for (set, sources) in [
        ("PINGONE_API_URL", "variable PINGONE_API_URL (`two.example`), and"),
        ("PINGONE_AUTH_URL", "variable PINGONE_AUTH_URL (`two.example`): expected"),
    ] {
        let refused = all(vec![], vec![(set, two)], both(three)).expect_err(set);
        assert!(refused.starts_with("the API URL comes from ") && refused.contains(sources), "{refused}");
    }
    let half = all(vec![], vec![("PINGONE_API_URL", two)], vec![(auth, three)]).expect_err("two places");
    assert!(
        half.starts_with("the API URL comes from variable PINGONE_API_URL (`two.example`), and the auth URL from profile [prod] in "),
        "{half}"
    );
    for half in [vec![(api, three)], vec![(api, three), (Setting::Region, "EU")]] {
        let refused = all(vec![], vec![], half).expect_err("one is missing");
        assert!(refused.starts_with("there is no auth URL beside the API URL"), "{refused}");
    }
}

#[test]
fn a_region_is_not_replaced_by_urls_from_below_that_are_not_its_own() {
    let (api, auth) = (Setting::ApiUrl, Setting::AuthUrl);
    let given = |typed: Vec<_>, set: Vec<_>, profile: Vec<_>| {
        let environment = [("PINGONE_ENVIRONMENT_ID", IDS[0]), ("PINGONE_CLIENT_ID", "c"), ("PINGONE_CLIENT_SECRET", "s")];
        let places = Places { typed, set: environment.into_iter().chain(set).collect(), profile };
        places.read(|layers| {
            let connected = layers.settings().and_then(|settings| connection(&settings, layers.profile_name()));
            connected.map(drop).map_err(|error| format!("{error}; {}", error.hint()))
        })
    };
    let (region, set) =
        ((Setting::Region, "EU"), vec![("PINGONE_API_URL", "http://127.0.0.1:1/v1"), ("PINGONE_AUTH_URL", "http://127.0.0.1:2")]);
    let refused = given(vec![region], set.clone(), vec![]).expect_err("not its URLs");
    let expected = "--region: the region is EU, whose hosts are `api.pingone.eu` and `auth.pingone.eu`, but the API URL of variable \
                    PINGONE_API_URL is at `127.0.0.1:1`, and the auth URL of variable PINGONE_AUTH_URL at `127.0.0.1:2`; unset \
                    PINGONE_API_URL and PINGONE_AUTH_URL to go by the region, or leave `--region` out to go by the URLs";
    assert_eq!(refused, expected);
    let listed = vec![(api, "https://one.example"), (auth, "https://one.example")];
    for (name, value) in [("PINGONE_REGION", "EU"), (TOP_LEVEL_DOMAIN, "eu")] {
        let refused = given(vec![], vec![(name, value)], listed.clone()).expect_err("not its URLs");
        assert!(refused.starts_with(&format!("{name}: the region is EU")), "{refused}");
        assert!(refused.contains("; unset `api-url` of profile [prod] in ") && refused.contains(" and `auth-url` of "), "{refused}");
    }
    assert!(given(vec![], vec![(TOP_LEVEL_DOMAIN, "xyz")], listed.clone()).is_err(), "nor what is no region");
    // Its own URLs, and a region of the same place or a lower one.
    let eu = vec![(api, "https://api.pingone.eu/v1"), (auth, "https://auth.pingone.eu")];
    assert_eq!(given(vec![region], vec![], eu), Ok(()));
    assert_eq!(given(vec![], set.clone(), vec![region]), Ok(()));
    assert_eq!(given(vec![], [set, vec![("PINGONE_REGION", "EU"), (TOP_LEVEL_DOMAIN, "xyz")]].concat(), vec![]), Ok(()));
    assert_eq!(given(vec![], vec![], [listed, vec![region]].concat()), Ok(()));
}

#[test]
fn of_a_token_and_an_application_the_higher_place_counts_and_the_token_of_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let path: &'static str = Box::leak(folder.path().join("s").display().to_string().into_boxed_str());
    std::fs::write(path, "s3cret").expect("written");
    let (token, client, secret) = ((Setting::TokenFile, path), (Setting::ClientId, "c"), (Setting::SecretFile, path));
    let counts = |typed: Vec<_>, set: Vec<_>, profile: Vec<_>| {
        let set = [("PINGONE_ENVIRONMENT_ID", IDS[0])].into_iter().chain(set).collect();
        match connected(&Places { typed, set, profile }) {
            Ok(Connection::PingOne { identity: Identity::Ready(_), .. }) => "token",
            Ok(Connection::PingOne { identity: Identity::Worker(_), .. }) => "application",
            Ok(Connection::Sandbox) => "sandbox",
            Err(_) => "refused",
        }
    };
    let (env_token, env_client, env_secret) =
        (("PINGONE_API_ACCESS_TOKEN", "t"), ("PINGONE_CLIENT_ID", "c"), ("PINGONE_CLIENT_SECRET", "s"));
    let none = Vec::new;
    for (typed, set, profile, expected) in [
        (vec![token, client, secret], vec![], none(), "token"),
        (vec![client, secret], vec![env_token], vec![token], "application"),
        (vec![token], vec![env_client, env_secret], none(), "token"),
        (none(), vec![env_token, env_client, env_secret], none(), "token"),
        (none(), vec![env_token], vec![client, secret], "token"),
        (none(), vec![env_client, env_secret], vec![token], "application"),
        (none(), vec![env_client], vec![token, secret], "application"),
        // A secret that is left over names no application.
        (none(), vec![env_secret], vec![token], "token"),
        (none(), vec![env_secret], vec![client], "application"),
        (none(), vec![], vec![token, client, secret], "token"),
        (none(), vec![env_client], vec![token], "refused"),
    ] {
        assert_eq!(counts(typed.clone(), set.clone(), profile.clone()), expected, "{typed:?} {set:?} {profile:?}");
    }
}

#[test]
fn a_profile_that_contradicts_itself_is_refused_and_one_that_is_overruled_is_not() {
    let given = |set: Vec<_>, profile: Vec<_>| {
        let environment = [("PINGONE_ENVIRONMENT_ID", IDS[0]), ("PINGONE_CLIENT_SECRET", "s")];
        connected(&Places { typed: vec![], set: environment.into_iter().chain(set).collect(), profile }).err().unwrap_or_default()
    };
    let (client, key) = ((Setting::ClientId, "c"), (Setting::KeyFile, "/nowhere"));
    let refused = given(vec![], vec![client, key]);
    assert!(refused.ends_with(": [prod] client-key-file: this is not used by `--auth-method basic`"), "{refused}");
    assert_eq!(given(vec![("PINGONE_AUTH_METHOD", "post")], vec![client, key]), "");
}
