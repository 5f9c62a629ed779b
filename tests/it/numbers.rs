//! Extreme and malformed numbers from outside: in options, in a server's answers, in a record, in a journal. Whatever
//! they are, the run ends in a documented way.

use std::io::Read;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::{Done, Field, answering, done, faulty, field, no_bypass, tool};

/// 2^63, 2^64 - 1, 2^64, and texts that are not such numbers.
const NUMBERS: [&str; 9] = ["0", "1", "9223372036854775808", "18446744073709551615", "18446744073709551616", "NaN", "-1", "1e308", "inf"];

fn assert_no_panic(done: &Done, what: &str) {
    assert!((0..=5).contains(&done.code) && !done.stderr.contains("panicked"), "{what}: exit {}\n{}", done.code, done.stderr);
}

#[test]
fn an_option_takes_any_number_or_refuses_it_by_name() {
    let field = field();
    field.users(2, "+4h");
    for (command, option, form) in [
        ("audit", "--rate", "N"),
        ("audit", "--concurrency", "N"),
        ("audit", "--max-attempts", "N"),
        ("audit", "--timeout", "Ns"),
        ("audit", "--give-up-after", "Ns"),
        ("audit", "--give-up-after", "Nd"),
        ("audit", "--max-users", "N"),
        ("audit", "--canary", "N"),
        ("audit", "--max-failures", "N"),
        ("audit", "--max-failures", "N%"),
        ("grant", "--max-window", "Ns"),
        ("grant", "--max-window", "Nd"),
        ("grant", "--until", "+Ns"),
        ("grant", "--until", "+Nd"),
        ("end", "--in", "Ns"),
    ] {
        for number in NUMBERS {
            let value = form.replace('N', number);
            let run = done(
                tool()
                    .current_dir(field.folder())
                    .args([command, "in.csv", "--sandbox", "--overwrite", "--yes", &format!("{option}={value}")])
                    .output()
                    .expect("the tool runs"),
            );
            assert_no_panic(&run, &format!("{option} {value}"));
            if run.code == 2 && option != "--max-users" && !(command == "grant" && run.stderr.contains("in.csv:")) {
                assert!(run.stderr.contains(option), "{option} {value}: {}", run.stderr);
            }
            let is_no_number = number.parse::<u64>().is_err();
            assert!(run.code == 2 || !is_no_number, "{option} {value} is taken: {}", run.stderr);
        }
    }
    for option in ["--timeout", "--give-up-after"] {
        let run = field.run(&["audit", "in.csv", "--dry-run", option, "366d"]);
        assert!(
            run.code == 2 && run.stderr.contains(&format!("invalid value '366d' for '{option} <DURATION>': expected at most 365d")),
            "{}",
            run.stderr
        );
        assert_eq!(field.run(&["audit", "in.csv", "--dry-run", "--overwrite", option, "365d"]).code, 0);
    }
}

#[test]
fn an_option_of_the_sandbox_takes_any_number_or_refuses_it() {
    for (option, form) in [
        ("--users", "N"),
        ("--rate-limit", "N"),
        ("--rate-limit", "1,2@N"),
        ("--latency", "N"),
        ("--faults", "500=N"),
        ("--faults", "500=N%"),
        ("--seed", "N"),
        ("--token-lifetime", "Ns"),
        ("--burst", "N"),
        ("--limit-window", "Ns"),
        ("--other-callers", "N"),
        ("--other-callers", "N%"),
    ] {
        for number in NUMBERS {
            let value = form.replace('N', number);
            let mut tool = tool();
            tool.args(["sandbox", "--listen", "127.0.0.1:0", &format!("{option}={value}")]).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = tool.spawn().expect("the tool runs");
            let begun = child.stdout.as_mut().expect("piped").read(&mut [0]).expect("readable") > 0;
            // In case it has not ended by itself.
            child.kill().expect("a child");
            let output = child.wait_with_output().expect("ended");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(begun != (output.status.code() == Some(2)) && !stderr.contains("panicked"), "{option} {value}: {output:?}");
        }
    }
}

/// Audits a list of two users that states this `count`, with tokens that state this expiry.
fn listed(field: &Field, count: &str, expires: &str) -> Done {
    let (count, expires) = (count.to_owned(), expires.to_owned());
    let url = answering(move |request| {
        let path = request.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let user = |number: u128| json!({"id": uuid::Uuid::from_u128(number).to_string()}).to_string();
        let body = match path.as_str() {
            path if path.ends_with("/token") => format!(r#"{{"access_token":"s3cr3t-token","expires_in":{expires}}}"#),
            path if path.ends_with("/bypassMFA") => no_bypass(path),
            path if path.contains("cursor") => format!(r#"{{"count":{count},"_embedded":{{"users":[{}]}}}}"#, user(2)),
            _ => format!(r#"{{"count":{count},"_embedded":{{"users":[{}]}},"_links":{{"next":{{"href":"?cursor=1"}}}}}}"#, user(1)),
        };
        ("200 OK".to_owned(), body)
    });
    let mut tool = field.tool(&["audit", "--all-users", "-vv", "--progress", "bar", "--overwrite", "--max-attempts", "1"]);
    done(tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", &url).output().expect("the tool runs"))
}

#[test]
fn a_server_may_say_any_number() {
    let field = field();
    for number in NUMBERS {
        // JSON has no such numbers.
        let is_json = !matches!(number, "NaN" | "inf");
        let run = listed(&field, number, "3600");
        assert_no_panic(&run, &format!("count {number}"));
        assert_eq!(run.code, if is_json { 0 } else { 3 }, "count {number}: {}", run.stderr);
        let run = listed(&field, "2", number);
        assert_no_panic(&run, &format!("expires_in {number}"));
        assert_eq!(run.code, if is_json { 0 } else { 3 }, "expires_in {number}: {}", run.stderr);
        let run = listed(&field, "2", &format!("\"{number}\""));
        assert_eq!(run.code, 0, "expires_in \"{number}\": {}", run.stderr);
    }
}

#[test]
fn a_server_may_ask_to_wait_for_any_time() {
    let field = field();
    field.users(1, "+4h");
    for wait in NUMBERS.into_iter().chain(["Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"]) {
        for (status, code) in [("429 Too Many Requests", [0, 1, 3]), ("503 Service Unavailable", [0, 1, 3])] {
            let url = answering(move |request| {
                if request.starts_with("POST") {
                    return ("200 OK".to_owned(), r#"{"access_token":"s3cr3t-token","expires_in":3600}"#.to_owned());
                }
                (format!("{status}\r\nRetry-After: {wait}\r\nDate: Fri, 31 Dec 9999 23:59:59 GMT"), String::new())
            });
            let mut tool =
                field.tool(&["grant", "in.csv", "--overwrite", "--trust-clock", "--max-attempts", "2", "--give-up-after", "500ms"]);
            let run = done(tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", &url).output().expect("the tool runs"));
            assert_no_panic(&run, &format!("{status}, {wait}"));
            assert!(code.contains(&run.code), "{status}, {wait}: {} {}", run.code, run.stderr);
        }
    }
}

/// A run that has stopped, with one settled row and one to be sent again.
fn stopped() -> Field {
    let field = faulty("500=100%");
    field.users(3, "+4h");
    let run = field.run(&["audit", "in.csv", "--max-attempts", "1", "--max-failures", "0", "--concurrency", "1"]);
    assert!(run.code == 3 && field.path("in.report.partial.csv").exists(), "{}", run.stderr);
    field
}

#[test]
fn a_record_may_hold_any_number() {
    let field = stopped();
    let path = field.path("in.report.run.json");
    let journal = std::fs::read(field.path("in.report.partial.csv")).expect("a journal");
    let record: Value = serde_json::from_slice(&std::fs::read(&path).expect("a record")).expect("JSON");
    let groups: [&[&str]; 6] = [
        &["/requests/sent", "/requests/retried", "/requests/throttled"],
        &["/totals/failed", "/totals/active", "/totals/rows"],
        &["/input/rows"],
        &["/options/concurrency"],
        &["/options/maxAttempts"],
        &["/report/rows"],
    ];
    for group in groups {
        for number in NUMBERS {
            let mut text = record.clone();
            text["inDoubtUpTo"] = json!(0);
            for place in group {
                *text.pointer_mut(place).unwrap_or_else(|| panic!("{place}")) = json!("the number");
            }
            for text in [text.to_string(), text.to_string().replace(r#""inDoubtUpTo":0"#, r#""inDoubtUpTo":"the number""#)] {
                std::fs::write(&path, text.replace(r#""the number""#, number)).expect("written");
                std::fs::write(field.path("in.report.partial.csv"), &journal).expect("written");
                let run = field.run(&["audit", "in.csv", "--resume", "--max-attempts", "1", "--rate", "unlimited"]);
                assert_no_panic(&run, &format!("{group:?} {number}"));
                // A run that was resumed to its end has left a report.
                drop(std::fs::remove_file(field.path("in.report.csv")));
            }
        }
    }
    for started in
        ["9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00.000Z", "+262142-12-31T23:59:59Z", "-262143-01-01T00:00:00Z", "0", "NaN"]
    {
        let mut text = record.clone();
        text["startedAt"] = json!(started);
        std::fs::write(&path, text.to_string()).expect("written");
        std::fs::write(field.path("in.report.partial.csv"), &journal).expect("written");
        assert_no_panic(&field.run(&["audit", "in.csv", "--resume", "--max-attempts", "1", "--rate", "unlimited"]), started);
        drop(std::fs::remove_file(field.path("in.report.csv")));
    }
}

#[test]
fn a_journal_may_hold_any_row() {
    let field = field();
    let journal = field.path("users.report.partial.csv");
    let is_read = AtomicBool::new(false);
    let url = answering(move |request| {
        let path = request.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let body = match path.as_str() {
            path if path.ends_with("/token") => r#"{"access_token":"s3cr3t-token","expires_in":3600}"#.to_owned(),
            path if path.contains("/users?") && !path.contains("cursor") => {
                let user = json!({"id": uuid::Uuid::from_u128(1).to_string()});
                json!({"_embedded": {"users": [user]}, "_links": {"next": {"href": "?cursor=1"}}}).to_string()
            }
            path => {
                // The second page cannot be read once the user of the first one has been.
                is_read.fetch_or(path.ends_with("/bypassMFA"), Ordering::SeqCst);
                while !is_read.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                "{}".to_owned()
            }
        };
        ("200 OK".to_owned(), body)
    });
    let run = |resume: &str| {
        let mut tool = field.tool(&["audit", "--all-users", "--max-attempts", "1", resume]);
        done(tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", &url).output().expect("the tool runs"))
    };
    let stopped = run("--overwrite");
    let text = std::fs::read_to_string(&journal).expect("a journal");
    assert!(stopped.code == 3 && text.contains("\n1,"), "{}", stopped.stderr);
    for row in NUMBERS.into_iter().chain(["2", "4000000000", "100000000000"]) {
        std::fs::write(&journal, text.replace("\n1,", &format!("\n{row},"))).expect("written");
        let resumed = run("--resume");
        assert_no_panic(&resumed, row);
        assert_eq!(resumed.code, if ["1", "2"].contains(&row) { 3 } else { 5 }, "{row}: {}", resumed.stderr);
        assert!(resumed.code == 3 || resumed.stderr.contains("is not a line of this run"), "{row}: {}", resumed.stderr);
    }
}
