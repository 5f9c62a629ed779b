//! `--shard`: every row is done by one of the processes, each of which checks the whole input.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use pingone_bypass::sandbox::SandboxConfig;
use serde_json::{Value, json};

use crate::directory::directory_of;
use crate::harness::{Done, Field, Report, done, ended_within, field, field_with, send_signal};

fn record(field: &Field, name: &str) -> Value {
    serde_json::from_slice(&fs::read(field.path(name)).expect("a record")).expect("JSON")
}

fn rows(report: &Report) -> Vec<u64> {
    report.column("row").iter().map(|row| row.parse().expect("a number")).collect()
}

fn refused(done: &Done, expected: &str) {
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains(expected), "{}\nshould have: {expected}", done.stderr);
    assert_eq!(done.stderr.matches("hint:").count(), 1, "{}", done.stderr);
}

#[test]
fn each_row_is_done_by_one_shard() {
    let field = field();
    field.users(20, "+4h");
    let mut seen = Vec::new();
    for index in 0..3_u64 {
        let done = field.run(&["grant", "in.csv", "--shard", &format!("{index}/3"), "--rate", "unlimited"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let report = field.report(&format!("in.{index}-of-3.report.csv"));
        let own: Vec<u64> = (1..=20).filter(|row| row % 3 == (index + 1) % 3).collect();
        assert_eq!(rows(&report), own);
        assert_eq!(report.count("granted"), own.len());
        let record = record(&field, &format!("in.{index}-of-3.report.run.json"));
        assert_eq!(record["shard"], json!({"index": index, "count": 3}));
        assert_eq!(
            (&record["input"]["rows"], &record["totals"]["rows"], &record["report"]["rows"]),
            (&json!(20), &json!(own.len()), &json!(own.len()))
        );
        let plan = format!(
            "shard      {index}/3: rows {}, {} and so on, of 20\nall 3      the digest, and the next line, are of the plan of all 20 rows\n",
            index + 1,
            index + 4
        );
        assert!(done.stderr.contains(&plan), "{}", done.stderr);
        assert_eq!(field.run(&["verify", &format!("in.{index}-of-3.report.csv")]).code, 0);
        let page = field.run(&["page", &format!("in.{index}-of-3.report.csv"), "-o", "page.html", "--overwrite"]);
        assert_eq!(page.code, 0, "{}", page.stderr);
        let page = fs::read_to_string(field.path("page.html")).expect("a page");
        assert!(page.contains(&format!("This is shard {index}/3 alone:")), "it is not the whole run");
        seen.extend(rows(&report));
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    let sent: Vec<_> = field.api_calls().into_iter().map(|call| call.path).collect();
    let mut users = sent.clone();
    users.sort();
    users.dedup();
    assert_eq!((sent.len(), users.len()), (20, 20), "each user once");
}

#[test]
fn duplicates_and_contradictions_in_other_shards_are_noticed() {
    let field = field();
    let id = |index| field.sandbox.user_id(index);
    field.write("in.csv", format!("userID,until\n{},+4h\n{},+4h\n{},+4h\n{},+4h\n", id(0), id(1), id(2), id(0)));
    let last = field.run(&["grant", "in.csv", "--shard", "3/4"]);
    assert_eq!(last.code, 0, "{}", last.stderr);
    let report = field.report("in.3-of-4.report.csv");
    assert_eq!((rows(&report), report.count("duplicate")), (vec![4], 1), "its user stands in row 1, which is another's");
    assert!(field.api_calls().is_empty());
    assert!(last.stderr.contains("plan       grant 0 of 1 row, 0 users"), "{}", last.stderr);
    field.write("in.csv", format!("userID,until\n{},+4h\n{},+4h\n{},+5h\n", id(0), id(1), id(0)));
    for shard in ["0/3", "1/3", "2/3"] {
        let refused = field.run(&["grant", "in.csv", "--shard", shard, "--overwrite"]);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains("in.csv:2") && refused.stderr.contains("in.csv:4"), "{}", refused.stderr);
    }
    assert!(field.calls().iter().all(|call| !call.path.contains("/users")), "nothing is sent");
}

#[test]
fn bad_rows_of_others_refuse_it_and_skipped_ones_are_reported_by_their_own_shard() {
    let field = field();
    let id = |index| field.sandbox.user_id(index);
    field.write("in.csv", format!("userID,until\n{},+4h\nnobody,+4h\n{},+4h\n", id(0), id(1)));
    assert_eq!(field.run(&["grant", "in.csv", "--shard", "0/2"]).code, 2);
    let done = field.run(&["grant", "in.csv", "--shard", "0/2", "--skip-invalid"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let other = field.run(&["grant", "in.csv", "--shard", "1/2", "--skip-invalid"]);
    assert_eq!(other.code, 1, "{}", other.stderr);
    assert_eq!(field.report("in.1-of-2.report.csv").count("invalid"), 1);
    let failed = fs::read_to_string(field.path("in.1-of-2.report.failed.csv")).expect("there");
    assert!(failed.starts_with("userID,until,result,errorMessage\nnobody,+4h,invalid,"), "{failed}");
}

#[test]
fn a_rate_is_that_of_all_shards_and_each_takes_its_share() {
    let field = field();
    field.users(40, "+4h");
    let began = std::time::Instant::now();
    let done = field.run(&["grant", "in.csv", "--shard", "1/4", "--rate", "20/s"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("requests   10, at 5/s at least 2 s"), "{}", done.stderr);
    assert!(done.stderr.contains("at most 5/s of the 20/s of all 4"), "{}", done.stderr);
    // Nine intervals between ten rows, besides token, environment and licence.
    assert!(began.elapsed() >= Duration::from_millis(1700), "{:?}", began.elapsed());
    assert_eq!(record(&field, "in.1-of-4.report.run.json")["options"]["rate"], "20/s", "as it was typed");
}

#[test]
fn the_approval_of_the_whole_plan_holds_for_each_shard() {
    let field = field();
    field.users(6, "+4h");
    let mut digests = Vec::new();
    for arguments in [&["grant", "in.csv", "--dry-run"][..], &["grant", "in.csv", "--dry-run", "--shard", "1/3"]] {
        let dry = done(field.tool(&[]).args(arguments).output().expect("the tool runs"));
        let digest = dry.stderr.lines().find_map(|line| line.strip_prefix("digest     ")).expect("a digest").to_owned();
        digests.push(digest);
    }
    assert_eq!(digests[0], digests[1]);
    let mut tool = field.tool(&[]);
    let approved = done(tool.args(["grant", "in.csv", "--shard", "1/3", "--approve", &digests[0]]).output().expect("the tool runs"));
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    assert_eq!(record(&field, "in.1-of-3.report.run.json")["confirmed"]["plan"], digests[0].as_str());
    let other =
        done(field.tool(&[]).args(["grant", "in.csv", "--shard", "2/3", "--approve", &"0".repeat(64)]).output().expect("the tool runs"));
    assert_eq!(other.code, 2, "{}", other.stderr);
}

#[test]
fn a_killed_shard_resumes_alone_and_only_as_itself() {
    let field = field_with(SandboxConfig { latency: Duration::from_millis(20), ..SandboxConfig::default() });
    field.users(400, "+4h");
    let shard = ["grant", "in.csv", "--shard", "2/4", "-o", "part.csv", "--rate", "200/s", "--concurrency", "2"];
    let child = field.tool(&shard).stderr(Stdio::piped()).spawn().expect("the tool runs");
    loop {
        let settled = fs::read_to_string(field.path("part.partial.csv")).map_or(0, |text| text.lines().count());
        if settled > 20 {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    send_signal(&child, "KILL");
    let killed = ended_within(Duration::from_secs(20), child).expect("it is killed");
    assert_eq!(killed.code, -1);
    let before = field.api_calls().len();
    let resume = |shard: &str| field.run(&["grant", "in.csv", "--shard", shard, "-o", "part.csv", "--rate", "unlimited", "--resume"]);
    refused(&resume("1/4"), "the shard was `2/4` and is `1/4`");
    let whole = field.run(&["grant", "in.csv", "-o", "part.csv", "--resume"]);
    refused(&whole, "the shard was `2/4` and is `all rows`");
    assert!(field.api_calls().is_empty());
    let done = resume("2/4");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = field.report("part.csv");
    assert_eq!(rows(&report), (1..=400).filter(|row| row % 4 == 3).collect::<Vec<_>>());
    assert_eq!(report.count("granted"), 100);
    let after = field.api_calls().len();
    assert!(before + after <= 100 + 2 && after < 90, "{before} before, {after} after: what was in flight may be sent twice");
    refused(&field.run(&["grant", "in.csv", "--shard", "1/4", "-o", "part.csv", "--resume"]), "the shard was `2/4` and is `1/4`");
    let again = resume("2/4");
    assert!(again.code == 0 && again.stderr.contains("has finished already"), "{}", again.stderr);
}

#[test]
fn every_row_that_a_crashed_shard_may_have_sent_is_in_doubt() {
    let field = field();
    field.users(3000, "+4h");
    let shard = ["grant", "in.csv", "--shard", "0/3", "--rate", "unlimited", "--max-failures", "100%"];
    assert_eq!(field.run(&shard).code, 0);
    // As if it had crashed when ten of its rows had lines: the thousandth may have been sent too, by how much is sent ahead.
    let report = fs::read_to_string(field.path("in.0-of-3.report.csv")).expect("there");
    let journal: String = report.lines().take(11).map(|line| format!("{line}\n")).collect();
    fs::remove_file(field.path("in.0-of-3.report.csv")).expect("removed");
    field.write("in.0-of-3.report.partial.csv", journal);
    let mut crashed = record(&field, "in.0-of-3.report.run.json");
    (crashed["status"], crashed["finishedAt"], crashed["inDoubtAhead"]) = (json!("running"), Value::Null, json!(3 * 64));
    field.write("in.0-of-3.report.run.json", crashed.to_string());
    let mut command = shard.to_vec();
    command.push("--resume");
    assert_eq!(field.run(&command).code, 0);
    let last = 1 + 9 * 3;
    assert_eq!(record(&field, "in.0-of-3.report.run.json")["inDoubtUpTo"], last + 3 * 64, "as the record told");
    field.users(30, "+4h");
    let running = ["grant", "in.csv", "--shard", "0/3", "-o", "again.csv", "--concurrency", "7"];
    assert_eq!(field.run(&running).code, 0);
    let ahead = |path: &str| record(&field, path)["inDoubtAhead"].as_u64().expect("a number");
    assert_eq!(ahead("again.run.json"), 0, "its journal is whole");
}

#[test]
fn a_settled_shard_without_its_report_is_published_even_without_its_input() {
    let field = field();
    field.users(10, "+4h");
    assert_eq!(field.run(&["grant", "in.csv", "--shard", "1/3", "-o", "part.csv"]).code, 0);
    let whole = fs::read_to_string(field.path("part.csv")).expect("there");
    for is_gone in [false, true] {
        fs::rename(field.path("part.csv"), field.path("part.partial.csv")).expect("renamed");
        let mut crashed = record(&field, "part.run.json");
        (crashed["status"], crashed["report"]["sha256"], crashed["report"]["rows"]) = (json!("running"), Value::Null, Value::Null);
        field.write("part.run.json", crashed.to_string());
        if is_gone {
            fs::remove_file(field.path("in.csv")).expect("removed");
        }
        drop(field.api_calls());
        let resumed = field.run(&["grant", "in.csv", "--shard", "1/3", "-o", "part.csv", "--resume"]);
        assert_eq!(resumed.code, 0, "{}", resumed.stderr);
        assert!(field.calls().is_empty());
        assert_eq!(fs::read_to_string(field.path("part.csv")).expect("there"), whole);
        assert_eq!(field.run(&["verify", "part.csv"]).code, 0);
        let record = record(&field, "part.run.json");
        assert_eq!((&record["input"]["rows"], &record["totals"]["rows"]), (&json!(10), &json!(3)));
    }
}

#[test]
fn users_that_are_looked_up_are_compared_across_shards() {
    let field = directory_of(300);
    field.write("in.csv", "username,until\nuser000001,+4h\nuser000002,+4h\nUSER000001,+4h\nnobody,+4h\n");
    let run = |shard: &str| field.run(&["grant", "in.csv", "--shard", shard]);
    assert_eq!(run("0/2").code, 0);
    let report = field.report("in.0-of-2.report.csv");
    assert_eq!(report.column("result"), ["granted", "duplicate"]);
    assert_eq!(run("1/2").code, 1);
    assert_eq!(field.report("in.1-of-2.report.csv").column("result"), ["granted", "not_found"]);
    assert_eq!(field.api_calls().len(), 2);
}

#[test]
fn a_shard_without_rows_has_an_empty_report() {
    let field = field();
    field.users(2, "+4h");
    let done = field.run(&["audit", "in.csv", "--shard", "5/8"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("no row of the input is in this shard: the report is empty"), "{}", done.stderr);
    assert!(done.stderr.contains("shard      5/8: none of 2 rows; at most"), "{}", done.stderr);
    let report = field.report("in.5-of-8.report.csv");
    assert!(report.lines.is_empty() && report.columns[0] == "row");
    assert_eq!(field.run(&["verify", "in.5-of-8.report.csv"]).code, 0);
    assert!(field.api_calls().is_empty());
}

#[test]
fn a_canary_is_of_the_shards_own_rows() {
    let field = directory_of(300);
    let id = |index| field.sandbox.user_id(index);
    let nobody = "00000000-0000-4000-8000-000000000000";
    field.write("in.csv", format!("userID,until\n{},+4h\n{nobody},+4h\n{},+4h\n{},+4h\n", id(0), id(1), id(2)));
    let good = field.run(&["grant", "in.csv", "--shard", "0/2", "--canary", "1"]);
    assert_eq!(good.code, 0, "{}", good.stderr);
    let bad = field.run(&["grant", "in.csv", "--shard", "1/2", "--canary", "1"]);
    assert_eq!(bad.code, 3, "{}", bad.stderr);
    assert_eq!(field.api_calls().len(), 3);
}

#[test]
fn what_a_shard_cannot_be_of_is_refused_before_anything_is_sent() {
    let field = field();
    field.users(2, "+4h");
    for directory in [&["--all-users"][..], &["--filter", "enabled eq true"]] {
        let done = field.run(&[&["audit", "--shard", "0/2"], directory].concat());
        refused(&done, "`--shard` is for the rows of a file");
        assert!(
            done.stderr.contains("hint: list the users once, by `pingone-bypass users --all-users -o everyone.csv`"),
            "{}",
            done.stderr
        );
    }
    refused(&field.run(&["audit", "in.csv", "--shard", "0/2", "--only", "active"]), "`--only` leaves rows out");
    for bad in ["2/2", "0", "0/0", "a/b", "-1/2", "0/1001"] {
        let done = field.run(&["audit", "in.csv", &format!("--shard={bad}")]);
        refused(&done, &format!("invalid value '{bad}' for '--shard <K/N>'"));
    }
    assert!(field.calls().is_empty());
}

#[test]
fn a_shard_of_a_pipe_is_named_after_it_and_one_to_standard_output_has_its_rows() {
    let field = field();
    let input = fs::read(field.users(5, "+4h")).expect("there");
    let mut child = field.tool(&["audit", "-", "--shard", "1/2"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), &input).expect("taken");
    assert_eq!(done(child.wait_with_output().expect("it ends")).code, 0);
    assert_eq!(rows(&field.report("stdin.1-of-2.report.csv")), [2, 4]);
    let streamed = field.run(&["audit", "in.csv", "--shard", "0/2", "-o", "-"]);
    let mut found = rows(&Report::read(&streamed.stdout));
    found.sort_unstable();
    assert_eq!((streamed.code, found), (0, vec![1, 3, 5]));
}

#[test]
fn a_grant_is_undone_in_shards_too() {
    let field = field();
    field.users(7, "+4h");
    assert_eq!(field.run(&["grant", "in.csv", "--look-first"]).code, 0);
    for (shard, own) in [("0/2", 4), ("1/2", 3)] {
        let done = field.run(&["end", "in.report.csv", "--restore", "--shard", shard]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stderr.contains(&format!("plan       end {own} of {own} rows, {own} users")), "{}", done.stderr);
        assert!(
            done.stderr.contains(&format!("restore    0 to the end date that they had, {own} to an end; 0 untouched")),
            "{}",
            done.stderr
        );
        let report = field.report(&format!("in.report.{}.report.csv", shard.replace('/', "-of-")));
        assert_eq!(report.count("ended"), own);
    }
}
