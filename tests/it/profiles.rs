//! Profiles of the configuration file, beside options and variables: the same connection by each, and the same mistakes.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::{Done, Field, done, field, tool};

/// A file of profiles, in the place where it is looked for, with the field's connection in `prod`. Returns its folder.
fn configure(field: &Field, more: &str) -> String {
    let folder = field.path("home/.config/pingone-bypass");
    std::fs::create_dir_all(&folder).expect("a folder");
    let secret = folder.join("prod.secret");
    std::fs::write(&secret, field.sandbox.client_secret()).expect("written");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("its own");
    let text = format!("[prod]\n{}client-secret-file = \"prod.secret\"\n{more}", lines(field));
    std::fs::write(folder.join("config.toml"), text).expect("written");
    folder.display().to_string()
}

/// What of the field's connection is no secret.
fn lines(field: &Field) -> String {
    let sandbox = &field.sandbox;
    format!(
        "environment-id = \"{}\"\nclient-id = \"{}\"\napi-url = \"{}\"\nauth-url = \"{}\"\n",
        sandbox.environment_id(),
        sandbox.client_id(),
        sandbox.api_url(),
        sandbox.auth_url()
    )
}

/// The tool without a setting in its environment.
fn bare(field: &Field, arguments: &[&str]) -> Command {
    let mut tool = tool();
    tool.current_dir(field.folder()).env("HOME", field.path("home")).args(arguments);
    tool
}

fn run(field: &Field, arguments: &[&str]) -> Done {
    done(bare(field, arguments).output().expect("the tool runs"))
}

#[test]
fn a_connection_may_stand_in_a_profile_or_in_options_or_in_variables() {
    let field = field();
    let folder = configure(&field, "");
    field.users(3, "+4h");
    let (sandbox, secret) = (&field.sandbox, format!("{folder}/prod.secret"));
    let (environment, client) = (sandbox.environment_id().to_string(), sandbox.client_id());
    let (api, auth) = (sandbox.api_url(), sandbox.auth_url());
    let options =
        ["--environment-id", &environment, "--client-id", &client, "--client-secret-file", &secret, "--api-url", &api, "--auth-url", &auth];
    for command in [&["grant", "in.csv", "--yes"][..], &["audit", "in.csv"], &["end", "in.csv", "--yes"], &["doctor"]] {
        let overwrite: &[&str] = if command[0] == "doctor" { &[] } else { &["--overwrite"] };
        let words = |more: &[&str]| [command, overwrite, more].concat().iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let by_variable = {
            let mut tool = field.tool(&[]);
            tool.args(words(&[]));
            tool
        };
        let with = |more: &[&str]| {
            let mut tool = bare(&field, &[]);
            tool.args(words(more));
            tool
        };
        let mut by_name = with(&[]);
        by_name.env("PINGONE_BYPASS_PROFILE", "prod");
        let mut elsewhere = with(&["--profile", "prod"]);
        elsewhere.env("XDG_CONFIG_HOME", field.path("home/.config")).env_remove("HOME");
        let file = format!("{folder}/config.toml");
        for (how, mut tool) in [
            ("options", with(&options)),
            ("variables", by_variable),
            ("a profile", with(&["--profile", "prod"])),
            ("a profile of a variable", by_name),
            ("a profile beside XDG_CONFIG_HOME", elsewhere),
            ("a profile of a file", with(&["--profile", "prod", "--config", &file])),
        ] {
            field.calls();
            let ended = done(tool.output().expect("the tool runs"));
            assert_eq!(ended.code, 0, "{command:?} by {how}: {}{}", ended.stdout, ended.stderr);
            let calls = field.calls();
            let users = calls.iter().filter(|call| call.path.ends_with("/bypassMFA")).count();
            assert!((command[0] == "doctor" && users == 0) || users >= 3, "{command:?} by {how}: {calls:?}");
        }
    }
}

#[test]
fn a_mistake_is_blamed_on_its_own_place() {
    let field = field();
    field.users(1, "+4h");
    let place =
        configure(&field, "[bad]\nenvironment-id = \"x\"\n[url]\napi-url = \"http://x.example\"\n[method]\nauth-method = \"jwt\"\n")
            + "/config.toml";
    for (key, value, profile, variable, expected) in [
        ("environment-id", "x", "bad", "PINGONE_ENVIRONMENT_ID", "`x` is not a UUID: expected a form such as"),
        ("api-url", "http://x.example", "url", "PINGONE_API_URL", "`http://x.example` is not encrypted"),
        ("auth-method", "jwt", "method", "PINGONE_AUTH_METHOD", "expected `basic`, `post` or `private-key-jwt`"),
    ] {
        for command in [&["grant", "in.csv", "--dry-run"][..], &["audit", "in.csv"], &["doctor"]] {
            let said = |mut tool: Command| {
                let ended = done(tool.output().expect("the tool runs"));
                assert_eq!(ended.code, 2, "{}{}", ended.stdout, ended.stderr);
                ended.stdout + &ended.stderr
            };
            let said_of_profile = said(bare(&field, &[command, &["--profile", profile]].concat()));
            assert!(said_of_profile.contains(&format!("{place}: [{profile}] {key}: ")), "{said_of_profile}");
            assert!(said_of_profile.contains(&format!("hint: correct `{key}` of profile [{profile}] in ")), "{said_of_profile}");
            let mut tool = field.tool(command);
            tool.env(variable, value);
            let said_of_variable = said(tool);
            assert!(said_of_variable.contains(&format!("{variable}: ")), "{said_of_variable}");
            let said_of_option = said(field.tool(&[command, &[&format!("--{key}"), value]].concat()));
            assert!(said_of_option.contains(&format!("--{key}")), "{said_of_option}");
            for text in [said_of_profile, said_of_variable] {
                assert!(text.contains(expected), "{text}");
            }
        }
    }
    assert!(field.calls().is_empty());
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_a_hint() {
    let field = field();
    field.users(1, "+4h");
    configure(&field, "");
    let path = field.path("home/.config/pingone-bypass/config.toml");
    let refused = |arguments: &[&str]| {
        let ended = run(&field, &[&["audit", "in.csv"], arguments].concat());
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("\nhint: ").count(), 1, "{}", ended.stderr);
        ended.stderr
    };
    let said = refused(&["--profile", "test"]);
    assert!(said.contains(&format!("error: --profile: there is no profile `test` in {}: it has `prod`", path.display())), "{said}");
    let said = refused(&["--profile", "prod", "--config", "nowhere.toml"]);
    assert!(said.starts_with("error: nowhere.toml: the configuration file cannot be read\ncaused by: No such file"), "{said}");
    let said = refused(&["--profile", "prod", "--config", "."]);
    assert!(said.contains("hint: name a file in `--config`: this is a folder"), "{said}");
    let said = refused(&["--config", "nowhere.toml"]);
    assert!(said.contains("no profile of it is chosen: expected `--profile` or PINGONE_BYPASS_PROFILE"), "{said}");
    let said = refused(&[]);
    assert!(said.contains("3 settings are missing"), "a profile is chosen or it is not read: {said}");
    for (mode, is_refused, is_warned) in [(0o600, false, false), (0o644, false, false), (0o664, false, true), (0o666, true, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its own");
        let ended = run(&field, &["audit", "in.csv", "--dry-run", "--profile", "prod"]);
        assert_eq!(ended.code, if is_refused { 2 } else { 0 }, "{mode:o}: {}", ended.stderr);
        assert_eq!(ended.stderr.contains("its group may write to this file"), is_warned, "{mode:o}: {}", ended.stderr);
        assert_eq!(ended.stderr.contains("anybody may write to this file, which says where credentials are sent\nhint: "), is_refused);
    }
    assert!(field.calls().is_empty());
}

#[test]
fn what_a_profile_lacks_is_named_with_the_profile() {
    let field = field();
    field.users(1, "+4h");
    configure(&field, "[empty]\n");
    let ended = run(&field, &["audit", "in.csv", "--profile", "empty"]);
    assert!(ended.code == 2 && ended.stderr.contains("3 settings are missing:\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains(", or say them in profile [empty] in "), "{}", ended.stderr);
}

#[test]
fn a_variable_that_displaces_a_profiles_setting_is_told_of() {
    let field = field();
    field.users(1, "+4h");
    configure(&field, "[dev]\nregion = \"EU\"\nclient-id = \"other\"\n");
    let mut tool = field.tool(&["audit", "in.csv", "--profile", "dev", "--dry-run"]);
    let ended = done(tool.env("HOME", field.path("home")).output().expect("the tool runs"));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for expected in ["PINGONE_CLIENT_ID goes before `client-id` of profile [dev]", "PINGONE_API_URL goes before `region` of profile [dev]"]
    {
        assert!(ended.stderr.contains(expected), "{expected}: {}", ended.stderr);
    }
    // Where credentials go is told of even so.
    let mut tool = field.tool(&["audit", "in.csv", "--profile", "dev", "--dry-run", "-q"]);
    let quiet = done(tool.env("HOME", field.path("home")).output().expect("the tool runs"));
    assert_eq!((quiet.code, quiet.stderr.matches(" goes before ").count()), (0, 1), "{}", quiet.stderr);
    assert!(quiet.stderr.contains("PINGONE_API_URL goes before `region` of profile [dev]"), "{}", quiet.stderr);
    let mut tool = field.tool(&["doctor", "--profile", "dev", "-q"]);
    let doctor = done(tool.env("HOME", field.path("home")).output().expect("the tool runs"));
    assert!(doctor.stderr.contains("PINGONE_API_URL goes before `region` of profile [dev]"), "{}", doctor.stderr);
    let mut tool = field.tool(&["doctor", "--profile", "dev"]);
    let doctor = done(tool.env("HOME", field.path("home")).output().expect("the tool runs"));
    let line = doctor.stdout.lines().find(|line| line.trim_start().starts_with("region ")).unwrap_or_default();
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.starts_with("region EU profile [dev] in ") && words.ends_with(" (not used: the URLs replace it)"), "{}", doctor.stdout);
    // The same value is no news, and neither is what an option decides.
    let mut tool = field.tool(&["audit", "in.csv", "--profile", "prod", "--dry-run"]);
    let ended = done(tool.env("HOME", field.path("home")).output().expect("the tool runs"));
    assert_eq!((ended.code, ended.stderr.matches(" goes before ").count()), (0, 1), "{}", ended.stderr);
    assert!(ended.stderr.contains("PINGONE_CLIENT_SECRET goes before `client-secret-file`"), "{}", ended.stderr);
}

#[test]
fn nothing_is_sent_where_a_region_and_the_urls_below_it_differ() {
    let field = field();
    field.users(1, "+4h");
    configure(&field, "");
    let host = field.sandbox.auth_url().replace("http://", "");
    for command in [&["grant", "in.csv"][..], &["audit", "in.csv"], &["end", "in.csv"], &["doctor"]] {
        let by_variables = field.run(&[command, &["--region", "EU"]].concat());
        let by_profile = {
            let mut tool = bare(&field, &[command, &["--profile", "prod"]].concat());
            done(tool.env("PINGONE_REGION", "EU").output().expect("the tool runs"))
        };
        let split = {
            let mut tool = field.tool(&[command, &["--api-url", "https://api.pingone.eu/v1"]].concat());
            done(tool.env_remove("PINGONE_API_URL").output().expect("the tool runs"))
        };
        for (ended, expected) in [
            (
                by_variables,
                "--region: the region is EU, whose hosts are `api.pingone.eu` and `auth.pingone.eu`, but the API URL of variable",
            ),
            (
                by_profile,
                "PINGONE_REGION: the region is EU, whose hosts are `api.pingone.eu` and `auth.pingone.eu`, but the API URL of profile",
            ),
            (split, "the API URL comes from option --api-url (`api.pingone.eu`), and the auth URL from variable PINGONE_AUTH_URL"),
        ] {
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(ended.code == 2 && said.contains(expected) && said.contains(&format!("`{host}`")), "{command:?}: {said}");
        }
    }
    assert!(field.calls().is_empty());
}

#[test]
fn the_sandbox_reads_no_profile() {
    let field = field();
    field.users(1, "+4h");
    for option in [["--profile", "prod"], ["--config", "x.toml"]] {
        let refused = run(&field, &[&["audit", "in.csv", "--sandbox"], &option[..]].concat());
        let expected = format!("the argument '--sandbox' cannot be used with '{}'", option[0]);
        assert!(refused.code == 2 && refused.stderr.contains(&expected), "{}", refused.stderr);
    }
    let mut tool = bare(&field, &["doctor", "--sandbox"]);
    assert_eq!(done(tool.env("PINGONE_BYPASS_PROFILE", "nowhere").output().expect("the tool runs")).code, 0);
}

#[test]
fn no_report_replaces_the_configuration_or_the_secret_that_it_names() {
    let field = field();
    field.users(1, "+4h");
    let folder = configure(&field, "");
    for name in ["config.toml", "prod.secret"] {
        let path = format!("{folder}/{name}");
        let before = std::fs::read(&path).expect("there");
        let refused = run(&field, &["audit", "in.csv", "--profile", "prod", "-o", &path, "--overwrite"]);
        assert!(refused.code == 2 && refused.stderr.contains("would replace"), "{}", refused.stderr);
        assert_eq!(std::fs::read(&path).expect("there"), before);
    }
}

#[test]
fn the_plan_names_the_hosts_and_their_region_and_the_local_time() {
    let field = field();
    field.users(1, "2099-08-31T22:30:00Z");
    let plan = |zone: &str, arguments: &[&str]| {
        let mut tool = field.tool(&[&["grant", "in.csv", "--dry-run"], arguments].concat());
        tool.env_remove("PINGONE_API_URL").env_remove("PINGONE_AUTH_URL").env("TZ", zone);
        done(tool.output().expect("the tool runs")).stderr
    };
    let of_region = plan("UTC", &["--region", "EU"]);
    assert!(of_region.contains("\nhosts      API api.pingone.eu, auth auth.pingone.eu; region EU\n"), "{of_region}");
    assert!(of_region.contains("end dates  2099-08-31T22:30:00.000Z (in "), "{of_region}");
    let custom = plan("<+02>-2", &["--api-url", "https://ping.example/v1", "--auth-url", "https://ping.example:8443"]);
    assert!(custom.contains("\nhosts      API ping.example, auth ping.example:8443; your own URLs, of no region\n"), "{custom}");
    assert!(custom.contains("end dates  2099-08-31T22:30:00.000Z, 2099-09-01 00:30 here (in "), "{custom}");
    let west = plan("<-05>5", &[]);
    assert!(west.contains("2099-08-31T22:30:00.000Z, 17:30 here (in ") && west.contains("; region NA\n"), "{west}");
}

/// Every variable that the program reads.
const VARIABLES: [&str; 18] = [
    "PINGONE_ENVIRONMENT_ID",
    "PINGONE_AUTH_ENVIRONMENT_ID",
    "PINGONE_CLIENT_ID",
    "PINGONE_CLIENT_SECRET",
    "PINGONE_AUTH_METHOD",
    "PINGONE_CLIENT_KEY_FILE",
    "PINGONE_API_ACCESS_TOKEN",
    "PINGONE_REGION",
    "PINGONE_TOP_LEVEL_DOMAIN",
    "PINGONE_API_URL",
    "PINGONE_AUTH_URL",
    "PINGONE_BYPASS_PROFILE",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "XDG_CONFIG_HOME",
    "NO_COLOR",
    "REQUEST_METHOD",
];

#[test]
fn the_help_names_every_variable_and_no_value() {
    for command in ["grant", "audit", "end", "doctor"] {
        let mut tool = tool();
        tool.args([command, "--help"]);
        for name in VARIABLES {
            tool.env(name, "s3cr3t-value");
        }
        let help = done(tool.output().expect("the tool runs")).stdout;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!help.contains("s3cr3t-value"), "{help}");
        for name in VARIABLES {
            let in_brackets =
                help.match_indices("[env").any(|(at, _)| help[at..].split(']').next().is_some_and(|part| part.contains(name)));
            let is_of_cgi = name == "REQUEST_METHOD";
            assert!(in_brackets || is_of_cgi || (name == "NO_COLOR" && command == "doctor"), "{command} {name}: {help}");
        }
    }
}
