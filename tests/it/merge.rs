//! `merge`: the reports of all shards make the report that one process would have written, or nothing is written.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pingone_bypass::sandbox::{NamedUser, SandboxConfig};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Done, Field, Report, done, field_with, send_signal};
use crate::verify::lines;

/// A date as far ahead as the harness lets a grant go.
const UNTIL: &str = "2099-08-30T00:00:00.000Z";
/// The columns whose values are others in each run.
const OF_ONE_RUN: [&str; 5] = ["errorId", "correlationId", "attempts", "durationMs", "completedAt"];

fn record(field: &Field, name: &str) -> Value {
    serde_json::from_slice(&fs::read(field.path(name)).expect("a record")).expect("JSON")
}

fn bytes(field: &Field, name: &str) -> Option<Vec<u8>> {
    fs::read(field.path(name)).ok()
}

/// The columns and values of a report without those that differ from run to run.
fn lasting(field: &Field, name: &str, delimiter: u8) -> Vec<Vec<String>> {
    let report = Report::read_with(delimiter, &fs::read_to_string(field.path(name)).expect("a report"));
    let kept: Vec<usize> = (0..report.columns.len()).filter(|index| !OF_ONE_RUN.contains(&report.columns[*index].as_str())).collect();
    let all = std::iter::once(&report.columns).chain(&report.lines);
    all.map(|line| kept.iter().map(|index| line[*index].clone()).collect()).collect()
}

fn sandbox(users: u64) -> Field {
    let named = (0..3).map(|n| NamedUser { username: format!("jörg{n}"), email: String::new(), external_id: String::new() }).collect();
    field_with(SandboxConfig { users: Some(users), named, ..SandboxConfig::default() })
}

/// Names of the reports of this many shards.
fn names(count: u64) -> Vec<String> {
    (0..count).map(|index| format!("s.{index}-of-{count}.csv")).collect()
}

/// Runs all shards of a command, and expects each to end with one of these codes.
fn run_shards(field: &Field, count: u64, arguments: &[&str], codes: &[i32]) -> Vec<String> {
    let names = names(count);
    for (index, name) in names.iter().enumerate() {
        let shard = format!("{index}/{count}");
        let done = field.run(&[arguments, &["--shard", &shard, "-o", name, "--overwrite", "--rate", "unlimited"]].concat());
        assert!(codes.contains(&done.code), "{shard}: {}", done.stderr);
    }
    names
}

fn merge(field: &Field, output: &str, shards: &[String], more: &[&str]) -> Done {
    let shards: Vec<&str> = shards.iter().map(String::as_str).collect();
    field.run(&[&["merge", output], &shards[..], more].concat())
}

/// Runs a command as one process and as 3 and 8 shards, merges those, and compares everything that is written.
fn compare(field: &Field, arguments: &[&str], delimiter: u8, code: i32) {
    let whole = field.run(&[arguments, &["-o", "whole.csv", "--rate", "unlimited"]].concat());
    assert_eq!(whole.code, code, "{}", whole.stderr);
    let expected = record(field, "whole.run.json");
    for count in [3, 8] {
        let mut shards = run_shards(field, count, arguments, &[0, code]);
        shards.reverse();
        let output = format!("merged-{count}.csv");
        let merged = merge(field, &output, &shards, &[]);
        assert_eq!(merged.code, code, "{}", merged.stderr);
        assert_eq!(lasting(field, &output, delimiter), lasting(field, "whole.csv", delimiter));
        let text = |name: &str| fs::read_to_string(field.path(name)).expect("there");
        let parts: Vec<Vec<String>> = names(count).iter().map(|name| lines(&text(name))).collect();
        let turns = (0..).map(|row| parts[row % parts.len()].get(1 + row / parts.len())).map_while(|line| line).cloned();
        assert_eq!(text(&output), parts[0][0].clone() + &turns.collect::<String>(), "byte for byte");
        let failed = format!("merged-{count}.failed.csv");
        assert_eq!(bytes(field, &failed), bytes(field, "whole.failed.csv"), "{failed}");
        let found = record(field, &format!("merged-{count}.run.json"));
        for key in [
            "tool",
            "version",
            "formatVersion",
            "operation",
            "environment",
            "apiUrl",
            "reason",
            "operator",
            "confirmed",
            "endDates",
            "licence",
            "status",
            "input",
            "options",
            "totals",
        ] {
            assert_eq!(found[key], expected[key], "{key}");
        }
        assert_eq!(found["report"]["rows"], expected["report"]["rows"]);
        assert_eq!(found.get("shard"), None);
        let verified = field.run(&["verify", &output]);
        assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
        let summary: Vec<&str> = merged.stderr.lines().filter(|line| line.starts_with("rows") || line.contains("(failed)")).collect();
        let expected: Vec<&str> = whole.stderr.lines().filter(|line| line.starts_with("rows ") || line.contains("(failed)")).collect();
        assert!(expected.ends_with(&summary) && !summary.is_empty(), "{}\n{}", whole.stderr, merged.stderr);
        assert_eq!(merged.stderr.contains(&format!("failed rows are in {failed}: fix them")), code == 1, "{}", merged.stderr);
    }
}

/// An input with everything that may go wrong with a row, written with this delimiter and line end.
fn mixed(field: &Field, delimiter: char, end: &str, header: &str) -> String {
    let id = |index| field.sandbox.user_id(index).to_string();
    let mut rows = vec![header.to_owned()];
    rows.extend((0..25).map(|index| {
        let note = match index % 4 {
            0 => format!("\"ticket {index}{end}\"\"zweite\"\" Zeile\""),
            1 => "Jörg 日本語".to_owned(),
            2 => format!("\"a{delimiter}b\""),
            _ => String::new(),
        };
        let user = match index {
            7 | 19 | 20 => format!("00000000-0000-4000-8000-0000000000{index:02}"),
            9 => id(2),
            11 => "nobody".to_owned(),
            _ => id(index),
        };
        [user, if index == 14 { "31/08/2099".to_owned() } else { UNTIL.to_owned() }, note].join(&delimiter.to_string())
    }));
    rows.into_iter().filter(|row| !row.is_empty()).map(|row| row + end).collect()
}

#[test]
fn a_grant_in_shards_is_merged_to_what_one_process_writes() {
    let field = sandbox(30);
    field.write("in.csv", mixed(&field, ',', "\n", "userID,until,note"));
    compare(&field, &["grant", "in.csv", "--skip-invalid", "--max-failures", "100%"], b',', 1);
    let tally = field.report("merged-8.csv");
    let counts = ["granted", "not_found", "duplicate", "invalid"].map(|result| tally.count(result));
    assert_eq!(counts, [19, 3, 1, 2]);
    assert_eq!(fs::read_to_string(field.path("merged-8.failed.csv")).expect("there").matches("not_found").count(), 3);
}

#[test]
fn reports_for_excel_are_merged_to_one_for_excel() {
    let field = sandbox(30);
    field.write("in.csv", "\u{feff}".to_owned() + &mixed(&field, ';', "\r\n", "userID;until;note"));
    compare(&field, &["grant", "in.csv", "--skip-invalid", "--output-dialect", "excel", "--max-failures", "100%"], b';', 1);
    let [report, failed] = ["merged-3.csv", "merged-3.failed.csv"].map(|name| bytes(&field, name).expect("there"));
    assert!(report.starts_with(b"\xef\xbb\xbfrow;") && failed.starts_with(b"\xef\xbb\xbfuserID;") && failed.ends_with(b"\r\n"));
}

#[test]
fn inputs_without_a_header_and_lookups_are_merged_too() {
    let field = sandbox(30);
    field.write("in.csv", mixed(&field, ',', "\n", ""));
    compare(&field, &["grant", "in.csv", "--no-headers", "--skip-invalid", "--max-failures", "100%"], b',', 1);
    let field = sandbox(30);
    let names = ["jörg0", "nobody", "jörg1", "nobody else", "jörg2", "jörg0", "user000004", "user000005", "user000006", "user000007"];
    let rows: String = names.iter().map(|name| format!("{name},team\n")).collect();
    field.write("in.csv", format!("username,team\n{rows}"));
    compare(&field, &["grant", "in.csv", "--until", UNTIL, "--max-failures", "100%"], b',', 1);
    assert_eq!(field.report("merged-3.csv").count("not_found"), 2);
}

#[test]
fn shards_without_a_row_are_merged_with_the_others() {
    let field = sandbox(30);
    field.users(2, UNTIL);
    compare(&field, &["audit", "in.csv"], b',', 0);
}

#[test]
fn the_record_has_all_shards_and_merging_again_gives_the_same_bytes() {
    let field = sandbox(30);
    field.users(20, UNTIL);
    let mut shards = Vec::new();
    for (index, more) in [["--reason", "INC-1"], ["--reason", "INC-2"], ["--approved-by", "Ann"]].into_iter().enumerate() {
        let (shard, name) = (format!("{index}/3"), format!("s{index}.csv"));
        let done = field
            .run(&[&["grant", "in.csv", "--shard", &shard, "-o", &name, "--concurrency", &(index + 1).to_string()], &more[..]].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        shards.push(name);
    }
    let merged = merge(&field, "m.csv", &shards, &[]);
    assert_eq!(merged.code, 0, "{}", merged.stderr);
    assert!(merged.stderr.contains("merged 3 shards: m.csv\n"), "{}", merged.stderr);
    assert!(
        merged.stderr.contains("the shards ran with different options, of which the record has those of shard 0: `concurrency`\n"),
        "{}",
        merged.stderr
    );
    let found = record(&field, "m.run.json");
    let parts: Vec<Value> = (0..3).map(|index| record(&field, &format!("s{index}.run.json"))).collect();
    let sum = |key: &str| parts.iter().map(|part| part["requests"][key].as_u64().expect("a number")).sum::<u64>();
    assert_eq!(found["requests"], json!({"sent": sum("sent"), "retried": sum("retried"), "throttled": sum("throttled")}));
    let all = |key: &str| parts.iter().map(|part| part[key].as_str().expect("text").to_owned()).collect::<Vec<_>>();
    assert_eq!(found["startedAt"].as_str(), all("startedAt").iter().min().map(String::as_str));
    assert_eq!(found["finishedAt"].as_str(), all("finishedAt").iter().max().map(String::as_str));
    assert_eq!(
        (&found["reason"], &found["confirmed"]["how"], &found["confirmed"]["approvedBy"]),
        (&Value::Null, &json!("yes"), &Value::Null)
    );
    assert_eq!(found["operator"], parts[0]["operator"]);
    assert_eq!(found["options"]["concurrency"], json!(1));
    for (index, (shard, part)) in found["shards"].as_array().expect("a list").iter().zip(&parts).enumerate() {
        for key in ["runId", "startedAt", "finishedAt", "operator", "confirmed", "reason", "requests"] {
            assert_eq!(shard[key], part[key], "{key}");
        }
        let report = json!({"path": format!("s{index}.csv"), "sha256": part["report"]["sha256"], "rows": part["report"]["rows"]});
        assert_eq!((&shard["index"], &shard["report"]), (&json!(index), &report));
    }
    let before = [bytes(&field, "m.csv"), bytes(&field, "m.run.json")];
    shards.rotate_left(1);
    assert_eq!(merge(&field, "m.csv", &shards, &["--overwrite"]).code, 0);
    assert_eq!([bytes(&field, "m.csv"), bytes(&field, "m.run.json")], before);
    let page = field.run(&["page", "m.csv", "-o", "-"]);
    assert_eq!(page.code, 0, "{}", page.stderr);
    for id in all("runId") {
        assert!(page.stdout.contains(&id), "the page names each shard's run");
    }
    assert!(page.stdout.contains("carried the run ID of its shard"));
}

#[test]
fn a_merged_report_is_resumed_as_finished_compared_and_undone() {
    let field = sandbox(30);
    field.users(12, UNTIL);
    let shards = run_shards(&field, 3, &["grant", "in.csv", "--look-first"], &[0]);
    assert_eq!(merge(&field, "m.csv", &shards, &[]).code, 0);
    let before = [bytes(&field, "m.csv"), bytes(&field, "m.run.json")];
    field.calls();
    let resumed = field.run(&["grant", "in.csv", "--look-first", "-o", "m.csv", "--resume"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    assert!(resumed.stderr.contains("has finished already, and nothing was sent: m.csv"), "{}", resumed.stderr);
    let other = field.run(&["grant", "in.csv", "--look-first", "-o", "m.csv", "--resume", "--shard", "0/3"]);
    assert!(other.code == 2 && other.stderr.contains("the shard was `all rows` and is `0/3`"), "{}", other.stderr);
    assert!(field.api_calls().is_empty());
    assert_eq!([bytes(&field, "m.csv"), bytes(&field, "m.run.json")], before);
    let audits = run_shards(&field, 2, &["audit", "m.csv"], &[0]);
    assert_eq!(merge(&field, "a.csv", &audits, &[]).code, 0);
    assert_eq!(field.run(&["audit", "m.csv", "-o", "b.csv"]).code, 0);
    let diff = field.run(&["diff", "a.csv", "b.csv"]);
    assert_eq!(diff.code, 0, "{}{}", diff.stdout, diff.stderr);
    let undone = field.run(&["end", "m.csv", "--restore", "-o", "undone.csv"]);
    assert_eq!(undone.code, 0, "{}", undone.stderr);
    let undone = field.report("undone.csv");
    assert!(undone.is_whole(12) && undone.count("ended") + undone.count("restored") == 12);
}

#[test]
fn what_all_shards_allow_is_allowed() {
    let field = sandbox(30);
    field.write("in.csv", mixed(&field, ',', "\n", "userID,until,note"));
    let arguments = ["grant", "in.csv", "--skip-invalid", "--max-failures", "100%", "--allow", "not_found,invalid"];
    let shards = run_shards(&field, 3, &arguments, &[0]);
    let merged = merge(&field, "m.csv", &shards, &[]);
    assert_eq!(merged.code, 0, "{}", merged.stderr);
    assert!(merged.stderr.contains("not counted in the exit code, as `--allow` says: 3 not_found, 2 invalid"), "{}", merged.stderr);
    let strict = field.run(&[&arguments[..5], &["--shard", "1/3", "-o", "s.1-of-3.csv", "--overwrite"]].concat());
    assert_eq!(strict.code, 1, "{}", strict.stderr);
    let merged = merge(&field, "n.csv", &shards, &[]);
    assert_eq!((merged.code, &record(&field, "n.run.json")["options"]["allow"]), (1, &Value::Null), "{}", merged.stderr);
    assert!(merged.stderr.contains("not all shards ran with the same `--allow`: none is honoured"), "{}", merged.stderr);
    let quiet = merge(&field, "q.csv", &shards, &["-q"]);
    assert_eq!((quiet.code, quiet.stderr.as_str(), quiet.stdout.as_str()), (1, "", ""));
}

/// A folder with three shards of a grant, of which two have rows that failed.
fn three() -> (Field, Vec<String>) {
    let field = sandbox(30);
    field.write("in.csv", mixed(&field, ',', "\n", "userID,until,note"));
    let shards = run_shards(&field, 3, &["grant", "in.csv", "--skip-invalid", "--max-failures", "100%"], &[0, 1]);
    (field, shards)
}

/// The files in the folder.
fn files(field: &Field) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(field.folder()).expect("a folder").map(|entry| entry.expect("an entry"));
    let entries = entries.filter(|entry| entry.path().is_file());
    entries.map(|entry| (entry.file_name().into_string().expect("UTF-8"), fs::read(entry.path()).expect("readable"))).collect()
}

/// Asserts that a merge is refused for this reason, with and without `--overwrite`, and that nothing is written.
fn refused(field: &Field, output: &str, shards: &[String], expected: &str) {
    let before = files(field);
    for more in [&[][..], &["--overwrite"]] {
        let done = merge(field, output, shards, more);
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains(expected), "{}\nshould have: {expected}", done.stderr);
        assert_eq!(done.stderr.matches("hint:").count(), 1, "{}", done.stderr);
        assert!(files(field) == before, "something was written: {:?}", files(field).keys());
    }
}

#[test]
fn a_shard_that_is_there_twice_is_refused() {
    let (field, shards) = three();
    let twice = [&shards[..], &shards[1..2]].concat();
    refused(&field, "m.csv", &twice, "error: s.1-of-3.csv: shard `1/3` is there twice: s.1-of-3.csv is it too\nhint: name each shard once");
    for (from, to) in [("s.1-of-3.csv", "again.csv"), ("s.1-of-3.run.json", "again.run.json"), ("s.1-of-3.failed.csv", "again.failed.csv")]
    {
        fs::copy(field.path(from), field.path(to)).expect("copied");
    }
    let copied = [shards[0].clone(), shards[1].clone(), "again.csv".to_owned()];
    refused(&field, "m.csv", &copied, "error: again.csv: shard `1/3` is there twice: s.1-of-3.csv is it too\n");
    // Under another name, it is the same shard.
    assert_eq!(merge(&field, "m.csv", &[shards[2].clone(), "again.csv".into(), shards[0].clone()], &[]).code, 1);
}

#[test]
fn a_missing_shard_is_refused() {
    let (field, shards) = three();
    refused(&field, "m.csv", &shards[..2], "error: s.0-of-3.csv: of 3 shards, 1 is missing: `2/3`\nhint: name the reports of all shards");
    refused(&field, "m.csv", &shards[1..2], "s.1-of-3.csv: of 3 shards, 2 are missing: `0/3`, `2/3`\n");
    fs::remove_file(field.path("s.1-of-3.csv")).expect("there");
    refused(&field, "m.csv", &shards, "error: s.1-of-3.csv: there is no such report\n");
    fs::remove_file(field.path("s.1-of-3.run.json")).expect("there");
    refused(&field, "m.csv", &shards, "error: s.1-of-3.csv: there is no such report\n");
    fs::remove_file(field.path("s.2-of-3.run.json")).expect("there");
    refused(&field, "m.csv", &shards[2..], "error: s.2-of-3.csv: there is no record of this report's run: expected `s.2-of-3.run.json`\n");
}

#[test]
fn an_unfinished_shard_is_refused_and_merged_once_it_is_finished() {
    let (field, shards) = three();
    let arguments =
        ["grant", "in.csv", "--skip-invalid", "--max-failures", "100%", "--shard", "2/3", "-o", "s.2-of-3.csv", "--rate", "12/s"];
    let mut running = field.tool(&[&arguments[..], &["--overwrite"]].concat()).stderr(Stdio::null()).spawn().expect("the tool runs");
    let began = Instant::now();
    let settled = || fs::read_to_string(field.path("s.2-of-3.partial.csv")).is_ok_and(|text| lines(&text).len() > 2);
    while !settled() {
        assert!(began.elapsed() < Duration::from_secs(60), "no row is settled");
        std::thread::sleep(Duration::from_millis(5));
    }
    // While it runs, nothing is said of its files but that.
    let busy = merge(&field, "m.csv", &shards, &[]);
    assert_eq!(busy.code, 2, "{}", busy.stderr);
    assert!(busy.stderr.contains("error: s.2-of-3.csv: another process is writing this report\nhint: wait"), "{}", busy.stderr);
    running.kill().expect("killed");
    running.wait().expect("it ended");
    refused(
        &field,
        "m.csv",
        &shards,
        "error: s.2-of-3.csv: shard `2/3` is not finished: its record says `running`, so it runs, or was killed\n",
    );
    for (status, expected) in [
        ("stopped", "its record says `stopped`\n"),
        ("interrupted", "its record says `interrupted`\n"),
        ("completed", "its journal is there, `s.2-of-3.partial.csv`\n"),
    ] {
        let mut record = record(&field, "s.2-of-3.run.json");
        record["status"] = status.into();
        field.write("s.2-of-3.run.json", record.to_string());
        refused(&field, "m.csv", &shards, &format!("shard `2/3` is not finished: {expected}"));
    }
    let resumed = field.run(&[&arguments[..], &["--resume"]].concat());
    assert_eq!(resumed.code, 1, "{}", resumed.stderr);
    let merged = merge(&field, "m.csv", &shards, &[]);
    assert_eq!(merged.code, 1, "{}", merged.stderr);
    assert!(field.report("m.csv").is_whole(25));
}

#[test]
fn shards_of_another_run_are_refused() {
    let (field, shards) = three();
    let of = "error: s.2-of-3.csv: this is no shard of the run that s.0-of-3.csv is a shard of: ";
    let arguments = ["grant", "in.csv", "--skip-invalid", "--max-failures", "100%", "--shard", "2/3", "-o", "s.2-of-3.csv", "--overwrite"];
    let run = |field: &Field, arguments: &[&str]| {
        let done = field.run(arguments);
        assert!([0, 1].contains(&done.code), "{}", done.stderr);
    };
    run(&field, &[&arguments[..], &["--until", "2099-01-01"]].concat());
    refused(&field, "m.csv", &shards, &format!("{of}`--until` is `2099-01-01`, and there not given\nhint: "));
    run(&field, &[&arguments[..], &["--look-first"]].concat());
    refused(&field, "m.csv", &shards, &format!("{of}the operation is `grant --look-first`, and there `grant`\n"));
    run(&field, &[&arguments[..], &["--output-dialect", "excel"]].concat());
    refused(&field, "m.csv", &shards, &format!("{of}the report's dialect is `excel`, and there `rfc4180`\n"));
    run(&field, &["audit", "in.csv", "--skip-invalid", "--max-failures", "100%", "--shard", "2/3", "-o", "s.2-of-3.csv", "--overwrite"]);
    refused(&field, "m.csv", &shards, &format!("{of}the operation is `audit`, and there `grant`\n"));
    // Another environment.
    let elsewhere = field_with(SandboxConfig { seed: 7, ..SandboxConfig::default() });
    let tool = |environment: &Field| done(environment.tool(&arguments).current_dir(field.folder()).output().expect("the tool runs"));
    assert!([0, 1].contains(&tool(&elsewhere).code));
    let [other, own] = [&elsewhere, &field].map(|field| field.sandbox.environment_id());
    refused(&field, "m.csv", &shards, &format!("{of}the environment is `{other}`, and there `{own}`\n"));
    // The same environment at another address.
    let mut elsewhere = record(&field, "s.1-of-3.run.json");
    elsewhere["apiUrl"] = "https://api.pingone.eu/v1".into();
    field.write("s.1-of-3.run.json", elsewhere.to_string());
    refused(
        &field,
        "m.csv",
        &shards[..2],
        "this is no shard of the run that s.0-of-3.csv is a shard of: the API is `https://api.pingone.eu/v1`, and there `http://",
    );
    // Another input: one byte more.
    let (field, shards) = three();
    let input = fs::read_to_string(field.path("in.csv")).expect("there");
    field.write("in.csv", input + "\n");
    run(&field, &arguments);
    refused(&field, "m.csv", &shards, &format!("{of}the input's SHA-256 is `"));
}

#[test]
fn another_number_of_shards_is_refused() {
    let (field, shards) = three();
    let four = run_shards(&field, 4, &["grant", "in.csv", "--skip-invalid", "--max-failures", "100%"], &[0, 1]);
    let mixed = [&shards[..2], &four[2..3]].concat();
    refused(
        &field,
        "m.csv",
        &mixed,
        "error: s.2-of-4.csv: this is shard `2/4`, and s.0-of-3.csv is shard `0/3`: their counts differ\nhint: ",
    );
    let done = field.run(&["grant", "in.csv", "--skip-invalid", "--max-failures", "100%", "-o", "whole.csv"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let whole = [&shards[..], &["whole.csv".to_owned()]].concat();
    refused(&field, "m.csv", &whole, "error: whole.csv: this is the report of a whole run, and not of a shard\nhint: ");
    // So is one that was merged.
    assert_eq!(merge(&field, "m.csv", &four, &[]).code, 1);
    refused(&field, "n.csv", &["m.csv".to_owned()], "error: m.csv: this is the report of a whole run, and not of a shard\n");
}

#[test]
fn a_report_that_is_not_as_its_record_says_is_refused() {
    let (field, shards) = three();
    let read = |name: &str| fs::read_to_string(field.path(name)).expect("there");
    let (whole, other) = (read("s.1-of-3.csv"), lines(&read("s.2-of-3.csv")));
    let all = lines(&whole);
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = all.clone();
        change(&mut lines);
        lines.concat()
    };
    // In row 2, the note has no line breaks.
    let line = all[1].clone();
    assert!(line.starts_with("2,") && line.contains("Jörg"), "{line}");
    for (text, expected) in [
        (with(&|lines| lines[1] = line.replace("Jörg", "Görg")), "its SHA-256 is "),
        (with(&|lines| drop(lines.remove(1))), "line 2: expected row 2, and it is of row `5`"),
        (with(&|lines| drop(lines.pop())), "row 23 has no line: the file ends before it"),
        (with(&|lines| lines[1] = other[1].clone()), "line 2: expected row 2, and it is of row `3`"),
        (with(&|lines| lines.swap(1, 2)), "line 2: expected row 2, and it is of row `5`"),
        (with(&|lines| lines.insert(2, line.clone())), "expected row 5, and it is of row `2`"),
        (with(&|lines| lines.push(line.replacen("2,", "26,", 1))), "there is a line after that of the shard's last row"),
        (with(&|lines| lines[1] = line.replace(",granted,", ",kept,")), "there are 5 `granted`, and the record has 6"),
        (with(&|lines| lines[1] = line.replace(",granted,", ",given,")), "line 2: `given` is no result"),
        (with(&|lines| lines[1] = line.replacen(',', ",,", 1)), "line 2: it has 17 values, and the header has 16"),
        (whole[..whole.len() - 3].to_owned(), "the file ends within it"),
        (whole.replacen(",note", ",notes", 1), "the header is another than that of s.0-of-3.csv"),
        (String::new(), "it is empty"),
        (whole.replacen("Jörg", "\"Jörg", 1), ""),
        (whole.replace('\n', "\r\n"), ""),
    ] {
        field.write("s.1-of-3.csv", text);
        refused(&field, "m.csv", &shards, "error: s.1-of-3.csv: the report is not as its record says: ");
        refused(&field, "m.csv", &shards, expected);
    }
    field.write("s.1-of-3.csv", &whole);
    for (key, value) in
        [("/totals/granted", json!(5)), ("/report/rows", json!(7)), ("/report/sha256", json!("0")), ("/input/rows", json!(28))]
    {
        let kept = read("s.1-of-3.run.json");
        let mut record: Value = serde_json::from_str(&kept).expect("JSON");
        *record.pointer_mut(key).expect("a key") = value;
        field.write("s.1-of-3.run.json", record.to_string());
        refused(&field, "m.csv", &shards, "error: s.1-of-3.csv: the report is not as its record says: ");
        field.write("s.1-of-3.run.json", kept);
    }
    assert_eq!(merge(&field, "m.csv", &shards, &[]).code, 1, "as it was, it is merged");
}

#[test]
fn failed_rows_that_are_not_those_of_the_report_are_refused() {
    let (field, shards) = three();
    // Of its rows, 8 and 20 are of nobody, so that only their users are different.
    let name = "s.1-of-3.failed.csv";
    let whole = fs::read_to_string(field.path(name)).expect("there");
    let all = lines(&whole);
    assert!(all.len() >= 3, "{whole}");
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = all.clone();
        change(&mut lines);
        Some(lines.concat())
    };
    let id = all[1].split(',').next().expect("a value").to_owned();
    for (what, text, expected) in [
        ("none", None, "it is not there, and "),
        ("the last row, removed", with(&|lines| drop(lines.pop())), "the file ends before row "),
        ("a row more", with(&|lines| lines.push(lines[1].clone())), ": there is a row more than failed\n"),
        ("two rows, swapped", with(&|lines| lines.swap(1, 2)), "line 2: expected row 8"),
        (
            "another result",
            Some(whole.replacen("not_found", "failed", 1)),
            "line 2: expected row 8 with the `result` and `errorMessage` of its line",
        ),
        (
            "a mended user",
            Some(whole.replacen(&id, &field.sandbox.user_id(29).to_string(), 1)),
            "line 2: expected row 8, and its values in the report are others",
        ),
        ("a mended date", Some(whole.replacen("2099-08-30", "2099-08-29", 1)), "its SHA-256 is "),
        (
            "another header",
            Some(whole.replacen(",errorMessage", ",message", 1)),
            "the header does not end with `result` and `errorMessage`\n",
        ),
        ("another column", Some(whole.replacen("note", "notes", 1)), "its columns are others than those of s."),
        ("nothing", Some(String::new()), "line 1: the file ends within it\n"),
    ] {
        match text {
            Some(text) => drop(field.write(name, text)),
            None => fs::remove_file(field.path(name)).expect("there"),
        }
        let who = if what == "another column" { "" } else { name };
        refused(&field, "m.csv", &shards, &format!("error: {who}"));
        refused(&field, "m.csv", &shards, expected);
    }
    field.write(name, whole);
    assert_eq!(merge(&field, "m.csv", &shards, &[]).code, 1, "as it was, it is merged");
    // One where no row failed.
    field.users(4, UNTIL);
    let shards = run_shards(&field, 2, &["audit", "in.csv"], &[0]);
    field.write("s.1-of-2.failed.csv", "userID,result,errorMessage\n");
    refused(
        &field,
        "n.csv",
        &shards,
        "error: s.1-of-2.failed.csv: this is not the file of the rows that failed as the shard wrote it: no row of the shard failed, and yet it is there\n",
    );
}

#[test]
fn no_file_is_replaced_that_is_not_to_be() {
    let (field, shards) = three();
    for (output, expected) in [
        ("s.0-of-3.csv", "s.0-of-3.csv: the report would replace the report of a shard, `s.0-of-3.csv`\nhint: name a file of its own"),
        ("./s.0-of-3.failed.csv", "would replace the failed rows of a shard, `s.0-of-3.failed.csv`"),
        ("in.csv", "in.csv: the report would replace the input, `in.csv`"),
        ("folder/", "folder/: expected the path of a file"),
        ("-", "-: expected the path of a file"),
    ] {
        refused(&field, output, &shards, expected);
    }
    refused(&field, "m.csv", &["folder/".to_owned()], "folder/: expected a regular file of a shard\nhint: name the reports");
    for there in ["m.csv", "m.run.json", "m.failed.csv", "m.partial.csv"] {
        field.write(there, "mine");
        let before = files(&field);
        let done = merge(&field, "m.csv", &shards, &[]);
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(
            done.stderr
                .contains(&format!("error: {there}: the file exists, and is not touched without `--overwrite`\nhint: name another OUTPUT")),
            "{}",
            done.stderr
        );
        assert!(files(&field) == before);
        fs::remove_file(field.path(there)).expect("there");
    }
    // The record has the input's path as it was in the folder of the runs.
    fs::create_dir(field.path("below")).expect("created");
    let before = files(&field);
    let names: Vec<String> = shards.iter().map(|shard| format!("../{shard}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut from_below = field.tool(&[&["merge", "--overwrite", "../in.csv"], &names[..]].concat());
    let from_below = done(from_below.current_dir(field.path("below")).output().expect("the tool runs"));
    assert_eq!(from_below.code, 2, "{}", from_below.stderr);
    assert!(
        from_below.stderr.contains("../in.csv: the merge would replace the input of the shards, by its SHA-256"),
        "{}",
        from_below.stderr
    );
    assert!(files(&field) == before);
    let nowhere = merge(&field, "nowhere/m.csv", &shards, &[]);
    assert_eq!(nowhere.code, 5, "{}", nowhere.stderr);
    assert!(nowhere.stderr.contains("hint: check the path, or make its folder"), "{}", nowhere.stderr);
    let done = done(field.tool(&["merge", "m.csv"]).output().expect("the tool runs"));
    assert_eq!(done.code, 2, "{}", done.stderr);
}

#[test]
fn a_report_that_was_changed_is_blamed_and_not_its_failed_rows() {
    let (field, shards) = three();
    let report = fs::read_to_string(field.path("s.1-of-3.csv")).expect("there");
    field.write("s.1-of-3.csv", report.replacen(",not_found,", ",rejected,", 1));
    refused(&field, "m.csv", &shards, "error: s.1-of-3.csv: the report is not as its record says: its SHA-256 is ");
}

#[test]
fn shards_that_judged_a_users_date_differently_are_refused() {
    let field = sandbox(3);
    let (user, other) = (field.sandbox.user_id(0), field.sandbox.user_id(1));
    let soon = chrono::Utc::now() + chrono::TimeDelta::seconds(3605);
    let at = soon.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    field.write("in.csv", format!("userID,until\n{user},{at}\n{user},{at}\n{other},+1m\n"));
    let run = |shard: &str, more: &[&str]| {
        let mut tool = field.tool(&[]);
        tool.args(["grant", "in.csv", "--yes", "--max-window", "1h", "--skip-invalid", "--max-failures", "100%", "--shard", shard]);
        done(tool.args(more).output().expect("the tool runs"))
    };
    let early = run("0/2", &[]);
    assert_eq!(early.code, 1, "its row is too far ahead: {}", early.stderr);
    while chrono::Utc::now() <= soon - chrono::TimeDelta::hours(1) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let late = run("1/2", &[]);
    assert_eq!(late.code, 0, "{}", late.stderr);
    let names: Vec<String> = (0..2).map(|index| format!("in.{index}-of-2.report.csv")).collect();
    let expected = "error: in.1-of-2.report.csv: row 2 is a `duplicate` for shard `1/2`, but the earlier row 1 of the same user is `invalid` in \
                    in.0-of-2.report.csv: neither was sent\nhint: ";
    refused(&field, "m.csv", &names, expected);
    assert_eq!(run("0/2", &["--overwrite"]).code, 0, "as the hint says");
    assert_eq!(merge(&field, "m.csv", &names, &[]).code, 0);
}

#[test]
fn ends_after_different_times_are_not_one_run() {
    let field = sandbox(30);
    field.users(4, UNTIL);
    let run = |shard: &str, grace: &str| field.run(&["end", "in.csv", "--in", grace, "--shard", shard]);
    assert_eq!((run("0/2", "60s").code, run("1/2", "300s").code), (0, 0));
    let names: Vec<String> = (0..2).map(|index| format!("in.{index}-of-2.report.csv")).collect();
    refused(&field, "m.csv", &names, "`--in` is `5m`, and there `1m`");
}

/// The report `whole.csv` in as many shards, as their processes would have written them.
fn split(field: &Field, count: usize) -> Vec<String> {
    let all = lines(&fs::read_to_string(field.path("whole.csv")).expect("there"));
    let whole = record(field, "whole.run.json");
    let mut names = Vec::new();
    for index in 0..count {
        let own: Vec<&str> = all[1..].iter().skip(index).step_by(count).map(String::as_str).collect();
        let text = all[0].clone() + &own.concat();
        let mut record = whole.clone();
        record["shard"] = json!({"index": index, "count": count});
        for (result, rows) in record["totals"].as_object_mut().expect("totals") {
            let of = own.iter().filter(|line| line.contains(&format!(",{result},"))).count();
            *rows = json!(if result == "rows" { own.len() } else { of });
        }
        let sha256: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        record["report"] = json!({"path": format!("s{index}.csv"), "sha256": sha256, "rows": own.len()});
        field.write(&format!("s{index}.csv"), text);
        field.write(&format!("s{index}.run.json"), record.to_string());
        let failed: String = own
            .iter()
            .filter(|line| line.contains(",not_found,"))
            .map(|line| {
                let line = Report::read(&(all[0].clone() + line));
                let value = |name: &str| line.column(name)[0].to_owned();
                format!("{},{UNTIL},not_found,{}\n", value("userID"), value("errorMessage"))
            })
            .collect();
        if !failed.is_empty() {
            field.write(&format!("s{index}.failed.csv"), format!("userID,until,result,errorMessage\n{failed}"));
        }
        names.push(format!("s{index}.csv"));
    }
    names
}

/// A field with a whole report of as many rows, of which each seventh is of nobody.
fn whole(rows: u64) -> Field {
    let field = sandbox(rows);
    let user = |row: u64| if row % 7 == 3 { format!("00000000-0000-4000-8000-{row:012}") } else { field.sandbox.user_id(row).to_string() };
    let text: String = (0..rows).map(|row| format!("{},{UNTIL}\n", user(row))).collect();
    field.write("in.csv", format!("userID,until\n{text}"));
    let done = field.run(&["grant", "in.csv", "-o", "whole.csv", "--rate", "unlimited", "--max-failures", "100%"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    field
}

#[test]
fn four_hundred_shards_are_merged_where_few_files_may_be_open() {
    let field = whole(900);
    let names = split(&field, 400);
    let tool = field.tool(&[&["merge", "m.csv"], &names.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    let limited = |limit: &str| {
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\"")]).arg(tool.get_program()).args(tool.get_args());
        limited.current_dir(field.folder()).env_clear();
        done(limited.output().expect("a shell"))
    };
    let few = limited("-n 256");
    assert_eq!(few.code, 5, "{}", few.stderr);
    assert!(few.stderr.contains("Too many open files") && few.stderr.contains("`ulimit -n`"), "{}", few.stderr);
    assert!(!field.path("m.csv").exists() && !field.path("m.run.json").exists());
    let merged = limited("-S -n 256");
    assert_eq!(merged.code, 1, "{}", merged.stderr);
    assert_eq!(bytes(&field, "m.csv"), bytes(&field, "whole.csv"));
    assert_eq!(bytes(&field, "m.failed.csv"), bytes(&field, "whole.failed.csv"));
}

#[test]
fn a_signal_stops_a_merge_and_nothing_is_left() {
    /// A merge of so many takes seconds.
    const ROWS: usize = 60_000;
    let field = whole(7);
    let few = lines(&fs::read_to_string(field.path("whole.csv")).expect("there"));
    let line = few[1].strip_prefix("1,").expect("the first row");
    let rows: String = (1..=ROWS).map(|row| format!("{row},{line}")).collect();
    field.write("whole.csv", few[0].clone() + &rows);
    let mut record = record(&field, "whole.run.json");
    record["input"]["rows"] = json!(ROWS);
    field.write("whole.run.json", record.to_string());
    let names = split(&field, 4);
    let before = files(&field);
    let arguments = [&["merge", "m.csv"], &names.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat();
    let merging = field.tool(&arguments).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the tool runs");
    let began = Instant::now();
    while !field.path("m.partial.csv.tmp").exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing is written");
        std::thread::sleep(Duration::from_millis(1));
    }
    send_signal(&merging, "TERM");
    let stopped = done(merging.wait_with_output().expect("it ends"));
    assert_eq!(stopped.code, 143, "{}", stopped.stderr);
    assert!(
        stopped.stderr.contains("error: stopped by SIGTERM before everything was merged: nothing was written\nhint: "),
        "{}",
        stopped.stderr
    );
    assert!(files(&field) == before, "{:?}", files(&field).keys());
    assert_eq!(merge(&field, "m.csv", &names, &[]).code, 0);
    assert_eq!(bytes(&field, "m.csv"), bytes(&field, "whole.csv"));
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod faults {
    use super::*;
    use crate::shim::Shim;

    /// What stands under OUTPUT's name is nothing, or not accepted, or whole; and `--overwrite` mends it.
    fn judge(field: &Field, names: &[String], what: &str) {
        if field.path("m.csv").exists() {
            assert!(field.path("m.run.json").exists(), "{what}: a report without its record");
            assert_eq!(bytes(field, "m.csv"), bytes(field, "whole.csv"), "{what}");
            let is_accepted = field.run(&["verify", "m.csv"]).code == 0;
            assert_eq!(is_accepted, record(field, "m.run.json")["status"] == "completed", "{what}");
            assert_eq!(bytes(field, "m.failed.csv"), bytes(field, "whole.failed.csv"), "{what}");
        }
        // Given once more, the command mends what a kill has left, and replaces no report that is done.
        let is_done = field.path("m.run.json").exists() && record(field, "m.run.json")["status"] == "completed";
        let mended = merge(field, "m.csv", names, if is_done { &["--overwrite"] } else { &[] });
        assert_eq!(mended.code, 1, "{what}: {}", mended.stderr);
        assert_eq!(bytes(field, "m.csv"), bytes(field, "whole.csv"), "{what}");
        assert_eq!(bytes(field, "m.failed.csv"), bytes(field, "whole.failed.csv"), "{what}");
        assert_eq!(field.run(&["verify", "m.csv"]).code, 0, "{what}");
        let left: Vec<String> = files(field).into_keys().filter(|name| name.contains(".tmp") || name.starts_with('.')).collect();
        assert!(left.is_empty(), "{what}: {left:?}");
        for name in ["m.csv", "m.run.json", "m.failed.csv"] {
            fs::remove_file(field.path(name)).expect("there");
        }
    }

    /// Merges with the `nth` call on a file failing, for each n until all calls succeed. Returns how many there were.
    fn each_call(field: &Field, names: &[String], shim: impl Fn(u32) -> Shim, judged: impl Fn(&Done, &str)) -> u32 {
        let arguments = [&["merge", "m.csv"], &names.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat();
        for nth in 1.. {
            let shim = shim(nth);
            let ended = done(shim.preload(&mut field.tool(&arguments)).output().expect("the tool runs"));
            let faults = shim.faults();
            if faults.is_empty() {
                assert_eq!(ended.code, 1, "{}", ended.stderr);
                return nth - 1;
            }
            let what = format!("call {nth}, {faults:?}");
            judged(&ended, &what);
            judge(field, names, &what);
        }
        0
    }

    #[test]
    fn whenever_a_merge_is_killed_it_leaves_nothing_that_passes_for_a_report() {
        let field = whole(300);
        let names = split(&field, 3);
        let calls = each_call(&field, &names, Shim::killing, |ended, what| assert_eq!(ended.code, -1, "{what}: {}", ended.stderr));
        assert!(calls > 15, "{calls}");
    }

    #[test]
    fn a_disk_that_is_full_leaves_no_half_report() {
        let field = whole(300);
        let names = split(&field, 3);
        let calls = each_call(
            &field,
            &names,
            |nth| Shim::torn(nth, "ENOSPC"),
            |ended, what| {
                // What cannot be removed at the end does no harm.
                assert!(ended.code == 5 || ended.code == 1, "{what}: {}", ended.stderr);
                if ended.code == 5 {
                    assert!(
                        ended.stderr.contains("o space left on device") && ended.stderr.contains("hint: free some space"),
                        "{what}: {}",
                        ended.stderr
                    );
                    assert!(!ended.stderr.contains("--resume"), "{what}: {}", ended.stderr);
                }
            },
        );
        assert!(calls > 15, "{calls}");
    }
}
