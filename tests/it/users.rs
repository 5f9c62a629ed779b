//! `users`: the list of the directory's users as an input, whole or not there, and no bypass read.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pingone_bypass::sandbox::SandboxConfig;

use crate::directory::{directory_of, kinds};
use crate::harness::{Done, Field, Report, answering, done, ended_within, field_with, send_signal, tool};
use crate::listing::{listing, page, refusing, run_at, user};

const COLUMNS: [&str; 5] = ["userID", "username", "email", "populationID", "enabled"];

/// The names in the field's folder.
fn names(field: &Field) -> Vec<String> {
    let folder = fs::read_dir(field.folder()).expect("a folder");
    let mut names: Vec<_> = folder.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// The list with its lines in the order of usernames.
fn list_of(text: &str) -> Report {
    let mut list = Report::read(text);
    assert_eq!(list.columns, COLUMNS);
    list.lines.sort_by(|one, other| one[1].cmp(&other[1]));
    list
}

fn file(field: &Field) -> Report {
    list_of(&fs::read_to_string(field.path("users.csv")).expect("a list"))
}

/// The index of each user in the sandbox's list.
fn indexes(list: &Report) -> Vec<u64> {
    list.column("username").iter().map(|name| name.trim_start_matches("user").parse().expect("a number")).collect()
}

fn told(done: &Done, code: i32, expected: &str) {
    assert_eq!(done.code, code, "{}", done.stderr);
    assert!(done.stderr.contains(expected), "{}\nshould have: {expected}", done.stderr);
}

#[test]
fn the_whole_directory_is_listed_by_its_pages_and_a_token_alone() {
    let field = directory_of(1000);
    let done = field.run(&["users", "--all-users", "-o", "users.csv", "--rate", "unlimited"]);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "", "1000 users in 5 pages: users.csv\n"));
    assert_eq!(kinds(&field.calls()), (0, 5, 1), "no bypass, and not even the environment");
    let list = file(&field);
    assert_eq!(indexes(&list), (0..1000).collect::<Vec<_>>());
    for (index, line) in (0..).zip(&list.lines) {
        let (id, population) = (field.sandbox.user_id(index).to_string(), field.sandbox.population_of(index).to_string());
        assert_eq!(line[..4], [id, format!("user{index:06}"), format!("user{index:06}@example.com"), population]);
    }
    let enabled = |value: &str| list.column("enabled").iter().filter(|found| **found == value).count();
    assert!(enabled("true") > 0 && enabled("true") + enabled("false") == 1000, "{} {}", enabled("true"), enabled("false"));
    assert_eq!(names(&field), ["users.csv"], "no record, no lock");
    assert_eq!(field.path("users.csv").metadata().expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn filter_population_and_group_select_as_in_an_audit() {
    let field = directory_of(300);
    let (population, group) = (field.sandbox.population_of(1).to_string(), field.sandbox.group_of(2).to_string());
    let filter = r#"username sw "user00000" or username sw "user0001""#;
    let is_named = |index: &u64| *index < 10 || (100..200).contains(index);
    let all = |test: &dyn Fn(&u64) -> bool| (0..300).filter(|index| test(index)).collect::<Vec<u64>>();
    for (arguments, expected) in [
        (&["--filter", filter][..], all(&is_named)),
        (&["--population", &population], all(&|index| index % 3 == 1)),
        (&["--group", &group], all(&|index| index % 5 == 2)),
        (
            &["--group", &group, "--population", &population, "--filter", filter],
            all(&|index| is_named(index) && index % 3 == 1 && index % 5 == 2),
        ),
    ] {
        let done = field.run(&[&["users", "--rate", "unlimited"], arguments].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(indexes(&list_of(&done.stdout)), expected, "{arguments:?}");
        let (bypasses, pages, tokens) = kinds(&field.calls());
        assert_eq!((bypasses, pages, tokens), (0, expected.len().div_ceil(200), 1));
        let pages = if pages == 1 { "1 page".to_owned() } else { format!("{pages} pages") };
        assert_eq!(done.stderr, format!("{} users in {pages}: standard output\n", expected.len()));
    }
    assert!(names(&field).is_empty());
}

#[test]
fn a_disabled_user_is_told_from_an_enabled_one() {
    let field = directory_of(60);
    let list = |filter: &str| list_of(&field.run(&["users", "--filter", filter, "-o", "-", "-q"]).stdout);
    for enabled in ["true", "false"] {
        let list = list(&format!("enabled eq {enabled}"));
        assert!(!list.lines.is_empty() || enabled == "false", "{list:?}");
        assert!(list.column("enabled").iter().all(|found| *found == enabled), "{list:?}");
    }
    let (url, _) = listing(|_| {
        format!(
            r#"{{"_embedded":{{"users":[{{"id":"{}","enabled":false}},{{"id":"{}","enabled":"x"}},{{"id":"{}"}}]}}}}"#,
            user(1),
            user(2),
            user(3)
        )
    });
    let done = run_at(&field, &url, &["users", "--all-users"]);
    assert_eq!(Report::read(&done.stdout).column("enabled"), ["false", "", ""], "what is not said is not made up");
}

#[test]
fn a_grant_takes_the_list_and_grants_each_of_its_users() {
    let field = directory_of(450);
    let group = field.sandbox.group_of(0).to_string();
    let done = field.run(&["users", "--group", &group, "-o", "users.csv"]);
    told(&done, 0, "90 users in 1 page: users.csv");
    let granted = field.run(&["grant", "users.csv", "--until", "+4h", "--rate", "unlimited"]);
    assert_eq!(granted.code, 0, "{}", granted.stderr);
    let report = field.report("users.report.csv");
    assert!(report.is_whole(90) && report.count("granted") == 90);
    assert!(report.columns.ends_with(&COLUMNS[1..].iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()), "{:?}", report.columns);
    let has_bypass = |index: &u64| report.column("userID").contains(&field.sandbox.user_id(*index).to_string().as_str());
    assert_eq!((0..450).filter(has_bypass).collect::<Vec<_>>(), (0..450).filter(|index| index % 5 == 0).collect::<Vec<_>>());
    assert!((0..450).filter(has_bypass).all(|index| field.sandbox.bypass_of(field.sandbox.user_id(index)).is_some()));
}

#[test]
fn a_file_that_exists_is_left_alone_without_overwrite() {
    let field = directory_of(3);
    field.write("users.csv", "mine");
    let refused = field.run(&["users", "--all-users", "-o", "users.csv"]);
    told(
        &refused,
        2,
        "error: users.csv: the file exists, and is not touched without `--overwrite`\nhint: name another file with `--output`",
    );
    assert!(field.calls().is_empty(), "nothing is asked for");
    assert_eq!(fs::read_to_string(field.path("users.csv")).expect("there"), "mine");
    let replaced = field.run(&["users", "--all-users", "-o", "users.csv", "--overwrite"]);
    told(&replaced, 0, "3 users in 1 page: users.csv");
    assert_eq!((file(&field).lines.len(), names(&field)), (3, vec!["users.csv".to_owned()]));
    fs::create_dir(field.path("folder")).expect("created");
    std::os::unix::fs::symlink("users.csv", field.path("link.csv")).expect("a link");
    field.write("secret", field.sandbox.client_secret());
    for (output, code, expected) in [
        ("link.csv", 2, "error: link.csv: the list would replace a symbolic link: expected a regular file, or none"),
        ("folder", 2, "error: folder: the list would replace a folder"),
        ("folder/", 2, "error: folder/: expected the path of a file"),
        ("secret", 2, "error: secret: the list would replace the client secret, `secret`"),
        ("nowhere/users.csv", 5, "error: nowhere/users.csv: the file cannot be created"),
    ] {
        let mut tool = field.tool(&["users", "--all-users", "--overwrite", "--client-secret-file", "secret", "-o", output]);
        let done = done(tool.env_remove("PINGONE_CLIENT_SECRET").output().expect("the tool runs"));
        told(&done, code, expected);
        assert!(done.stderr.contains("\nhint: "), "{}", done.stderr);
    }
    assert_eq!(fs::read_to_string(field.path("secret")).expect("there"), field.sandbox.client_secret());
}

#[test]
fn what_cannot_be_listed_is_refused_with_a_hint() {
    let field = directory_of(300);
    for (arguments, code, expected) in [
        (
            &[][..],
            2,
            "error: there is nobody to list: expected `--all-users`, `--filter`, `--population` or `--group`\nhint: `pingone-bypass users --all-users`",
        ),
        (&["--all-users", "--filter", "x"], 2, "the argument '--all-users' cannot be used with '--filter <SCIM>'"),
        (&["in.csv"], 2, "unexpected argument 'in.csv'"),
        (&["--all-users", "--concurrency", "3"], 2, "unexpected argument '--concurrency'"),
        (&["--filter", "shoesize eq 47"], 2, "PingOne refused the list: HTTP 400, INVALID_DATA"),
        (&["--all-users", "--max-users", "299"], 2, "there are 300 users, and `--max-users` allows 299"),
    ] {
        for output in [&[][..], &["-o", "users.csv"]] {
            let done = field.run(&[&["users"], arguments, output].concat());
            told(&done, code, expected);
            assert!(done.stdout.is_empty() && done.stderr.contains("\nhint: "), "{}", done.stderr);
        }
    }
    assert!(names(&field).is_empty());
}

#[test]
fn an_empty_list_is_a_header_and_says_so() {
    let field = directory_of(3);
    let nobody = ["users", "--filter", r#"username eq "nobody""#];
    let done = field.run(&[&nobody[..], &["-o", "users.csv"]].concat());
    assert_eq!(done.stderr, "0 users in 1 page: users.csv: nobody is selected, and there is the header alone\n");
    assert_eq!((done.code, fs::read_to_string(field.path("users.csv")).expect("there")), (0, format!("{}\n", COLUMNS.join(","))));
    let done = field.run(&nobody);
    assert_eq!((done.code, done.stdout), (0, format!("{}\n", COLUMNS.join(","))));
}

/// A server whose list goes on after two users, and whose second page does not come.
fn stuck() -> String {
    let (url, _) = listing(|path| {
        if path.contains("cursor") {
            std::thread::sleep(Duration::from_secs(60));
        }
        page(&[1, 2], Some("?cursor=1"))
    });
    url
}

#[test]
fn a_signal_leaves_no_file_and_no_half_a_list_that_looks_whole() {
    let field = directory_of(1);
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        for is_file in [true, false] {
            let mut tool = field.tool(&["users", "--all-users", "-o", if is_file { "users.csv" } else { "-" }]);
            let url = stuck();
            tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", &url);
            let mut child = tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool runs");
            let mut rows = BufReader::new(child.stdout.take().expect("piped"));
            if is_file {
                let start = Instant::now();
                let begun = || fs::read_to_string(field.path("users.csv.tmp")).is_ok_and(|text| text.lines().count() == 3);
                while !begun() {
                    assert!(start.elapsed() < Duration::from_secs(30), "it did not happen");
                    std::thread::sleep(Duration::from_millis(2));
                }
                assert!(!field.path("users.csv").exists());
            } else {
                // Rows go out as pages come.
                for _ in 0..3 {
                    rows.read_line(&mut String::new()).expect("a line");
                }
            }
            send_signal(&child, signal);
            let stopped = ended_within(Duration::from_secs(5), child).expect("it waits for no page");
            told(&stopped, code, &format!("stopped by SIG{signal} before the list was read to its end\n"));
            assert!(stopped.stderr.contains("\nhint: start the command again when it suits"), "{}", stopped.stderr);
            if !is_file {
                told(&stopped, code, "error: standard output: the list is not complete: 2 users at most are in it\ncaused by: ");
            }
            assert!(names(&field).is_empty(), "{:?}", names(&field));
        }
    }
}

#[test]
fn a_stop_does_not_wait_for_a_reader_that_reads_nothing() {
    let field = directory_of(20_000);
    let mut tool = field.tool(&["users", "--all-users", "--rate", "unlimited"]);
    let mut child = tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool runs");
    let mut rows = child.stdout.take().expect("piped");
    rows.read_exact(&mut [0]).expect("it has begun");
    // More than a pipe holds: at some time, no further page is asked for.
    let (start, mut last) = (Instant::now(), Instant::now());
    while last.elapsed() < Duration::from_millis(500) {
        assert!(start.elapsed() < Duration::from_secs(30), "it reads ahead without end");
        if !field.calls().is_empty() {
            last = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    send_signal(&child, "TERM");
    let stopped = ended_within(Duration::from_secs(10), child).expect("it waits for nobody");
    told(&stopped, 143, "error: standard output: the list is not complete: ");
}

#[test]
fn a_reader_that_goes_away_ends_the_list() {
    let field = directory_of(20_000);
    let mut tool = field.tool(&["users", "--all-users", "--rate", "unlimited"]);
    let mut child = tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool runs");
    drop(child.stdout.take());
    let ended = ended_within(Duration::from_secs(30), child).expect("it ends");
    told(&ended, 5, "error: standard output: the list is not complete: ");
    assert!(ended.stderr.contains("caused by: standard output: the file cannot be written"), "{}", ended.stderr);
    assert!(kinds(&field.calls()).1 < 100, "the other pages are not asked for");
}

#[test]
fn faults_are_retried_and_a_page_that_never_comes_ends_the_list() {
    let faults = "503=30%,reset=10%".parse().expect("faults");
    let field = field_with(SandboxConfig { users: Some(2000), page: 100, faults, ..SandboxConfig::default() });
    let done = field.run(&["users", "--all-users", "-o", "users.csv", "--rate", "unlimited", "--max-attempts", "50"]);
    told(&done, 0, "2000 users in 20 pages: users.csv\n");
    assert_eq!(indexes(&file(&field)), (0..2000).collect::<Vec<_>>());
    let calls = field.calls();
    assert!(calls.iter().any(|call| call.status == Some(503)) && calls.iter().all(|call| !call.path.ends_with("/bypassMFA")));

    let bad = answering(|request| {
        let body = match request.split_whitespace().nth(1).unwrap_or_default() {
            path if path.ends_with("/token") => r#"{"access_token":"s3cr3t-token","expires_in":3600}"#.to_owned(),
            path if path.contains("cursor") => return ("503 Service Unavailable".to_owned(), String::new()),
            _ => page(&[1, 2], Some("?cursor=1")),
        };
        ("200 OK".to_owned(), body)
    });
    fs::remove_file(field.path("users.csv")).expect("there");
    let failed = run_at(&field, &bad, &["users", "--all-users", "--max-attempts", "2", "-o", "users.csv"]);
    told(&failed, 3, "error: every user of the directory: a page of the list could not be had: HTTP 503");
    assert!(failed.stderr.contains("\nhint: start again when PingOne answers"), "{}", failed.stderr);
    assert!(names(&field).is_empty(), "{:?}", names(&field));
    let failed = run_at(&field, &bad, &["users", "--all-users", "--max-attempts", "2"]);
    told(
        &failed,
        3,
        "error: standard output: the list is not complete: 2 users at most are in it\ncaused by: every user of the directory: a page",
    );
    assert_eq!(failed.stdout.lines().count(), 3);
}

#[test]
fn a_list_that_may_not_be_read_names_the_role() {
    let field = directory_of(1);
    let url = refusing();
    let done = run_at(&field, &url, &["users", "--all-users", "-o", "users.csv"]);
    told(&done, 4, "HTTP 403, ACCESS_FAILED, You may not., id f1");
    let hint =
        "\nhint: give the worker application the role Identity Data Admin for the environment, or ask for a population that it may read";
    assert!(done.stderr.contains(hint) && names(&field).is_empty(), "{}", done.stderr);
}

#[test]
fn a_link_to_another_host_or_a_list_without_end_is_refused() {
    let field = directory_of(1);
    let (elsewhere, reached) = listing(|_| page(&[9], None));
    let (url, _) = listing(move |path| {
        let own = path.split('?').next().unwrap_or_default().to_owned();
        let next = if path.contains("cursor") { format!("{elsewhere}{own}?cursor=2") } else { "?cursor=1".to_owned() };
        page(if path.contains("cursor") { &[3] } else { &[1, 2] }, Some(&next))
    });
    let done = run_at(&field, &url, &["users", "--all-users", "-o", "users.csv"]);
    told(&done, 3, "error: the user list goes on at `http://127.0.0.1:");
    assert!(reached.lock().expect("whole").is_empty() && names(&field).is_empty(), "{reached:?}");
    let (endless, _) = listing(|path| {
        let cursor = path.split_once("cursor=").map_or(0, |(_, cursor)| cursor.parse::<u128>().expect("a number"));
        page(&[1], Some(&format!("?cursor={}", cursor + 1)))
    });
    let done = run_at(&field, &endless, &["users", "--all-users", "-o", "users.csv"]);
    told(&done, 3, "error: the user list at `127.0.0.1` has no end: 3 pages in a row bring nobody new");
    assert!(names(&field).is_empty(), "{:?}", names(&field));
}

#[test]
fn each_user_stands_in_the_list_once_harmless_and_a_short_list_is_warned_of() {
    let field = directory_of(1);
    let (url, seen) = listing(|path| {
        let body = match path.split_once("cursor=").map(|(_, cursor)| cursor) {
            None => page(&[1, 2, 3], Some("?cursor=1")),
            Some("1") => page(&[], Some("?cursor=2")),
            Some(_) => page(&[3, 2, 4, 4], None),
        };
        body.replacen('{', r#"{"count":7,"#, 1)
    });
    let done = run_at(&field, &url, &["users", "--all-users", "-o", "users.csv"]);
    told(&done, 0, "PingOne counted 7 users at first, and listed 4: only those listed are in the list");
    assert!(done.stderr.ends_with("4 users in 3 pages: users.csv\n"), "{}", done.stderr);
    let list = file(&field);
    assert_eq!(list.column("userID"), [1, 2, 3, 4].map(user).each_ref());
    assert_eq!(list.column("username"), ["'=u1", "'=u2", "'=u3", "'=u4"], "a spreadsheet runs none of it");
    assert!(seen.lock().expect("whole").iter().all(|request| !request.contains("/bypassMFA")));
    let grown = run_at(&field, &url, &["users", "--all-users", "--max-users", "7", "--overwrite", "-o", "users.csv", "-q"]);
    assert_eq!((grown.code, grown.stderr.as_str()), (0, ""), "`-q` leaves only errors");
}

#[test]
fn quiet_json_progress_sandbox_and_profile_are_those_of_other_commands() {
    let field = directory_of(250);
    let done_in = |arguments: &[&str]| done(tool().current_dir(field.folder()).args(arguments).output().expect("the tool runs"));
    let sandbox = done_in(&["users", "--filter", r#"username sw "user00000""#, "--sandbox"]);
    assert_eq!((sandbox.code, list_of(&sandbox.stdout).lines.len()), (0, 10), "{}", sandbox.stderr);
    let json = field.run(&["users", "--all-users", "--log-format", "json", "-o", "users.csv"]);
    let line: serde_json::Value = serde_json::from_str(json.stderr.lines().last().expect("a line")).expect("JSON");
    assert_eq!((&line["message"], line["runId"].is_string()), (&"250 users in 2 pages: users.csv".into(), true), "{line}");
    fs::write(field.path("secret"), field.sandbox.client_secret()).expect("written");
    fs::set_permissions(field.path("secret"), fs::Permissions::from_mode(0o600)).expect("its own");
    let own = &field.sandbox;
    let (environment, client, api, auth) = (own.environment_id(), own.client_id(), own.api_url(), own.auth_url());
    field.write("config.toml", format!("[prod]\nenvironment-id = \"{environment}\"\nclient-id = \"{client}\"\nclient-secret-file = \"secret\"\napi-url = \"{api}\"\nauth-url = \"{auth}\"\n"));
    let profile = ["users", "--all-users", "-q", "--config", "config.toml", "--profile", "prod"];
    let done = done_in(&profile);
    assert_eq!((done.code, done.stderr.as_str(), list_of(&done.stdout).lines.len()), (0, "", 250));
    let onto = done_in(&[&profile[..], &["-o", "config.toml", "--overwrite"]].concat());
    told(&onto, 2, "error: config.toml: the list would replace the configuration file, `config.toml`");
}

#[test]
fn two_lists_do_not_write_one_file() {
    let field = directory_of(1);
    let url = stuck();
    let mut tool = field.tool(&["users", "--all-users", "-o", "users.csv"]);
    tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", &url).stderr(Stdio::piped());
    let first = tool.spawn().expect("the tool runs");
    let start = Instant::now();
    while !field.path("users.csv.tmp").exists() {
        assert!(start.elapsed() < Duration::from_secs(30), "it did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
    for more in [&[][..], &["--overwrite"]] {
        let second = field.run(&[&["users", "--all-users", "-o", "users.csv"], more].concat());
        told(&second, 2, "error: users.csv: another process is writing this file\nhint: wait until that process has ended");
    }
    send_signal(&first, "INT");
    told(&ended_within(Duration::from_secs(5), first).expect("it ends"), 130, "stopped by SIGINT");
    assert!(names(&field).is_empty());
}
