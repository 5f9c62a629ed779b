//! What the record tells an auditor: who ran the run, where, as which application, with which end dates and limits, and how often
//! PingOne held it back.

use std::process::Command;

use pingone_bypass::sandbox::SandboxConfig;
use serde_json::{Value, json};

use crate::harness::{Field, done, faulty, field, field_with, tool};

const RECORD: &str = "in.report.run.json";

fn record(field: &Field) -> Value {
    serde_json::from_slice(&std::fs::read(field.path(RECORD)).expect("a record")).expect("JSON")
}

/// What a command of the system prints.
fn printed(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output().expect("it runs");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

#[test]
fn the_record_says_who_ran_it_and_with_which_dates_and_limits() {
    let field = field();
    let [first, second] = [0, 1].map(|index| field.sandbox.user_id(index));
    field.write("in.csv", format!("userID,until\n{first},2099-08-31T17:00:00+02:00\nnobody,+1h\n{second},2098-08-31\n"));
    let limits = ["--canary", "1", "--max-users", "7", "--trust-clock", "--skip-invalid"];
    let mut tool = field.tool(&[&["grant", "in.csv"][..], &limits].concat());
    tool.env("USER", "mallory").env("LOGNAME", "mallory").env("SUDO_USER", "ann").env("HOSTNAME", "elsewhere");
    let granted = done(tool.output().expect("the tool runs"));
    assert_eq!(granted.code, 1, "{}", granted.stderr);
    let record = record(&field);
    let operator = &record["operator"];
    assert_eq!(operator["user"], printed("id", &["-run"]), "whatever the variables say");
    assert_eq!(operator["host"], printed("uname", &["-n"]));
    assert_eq!(operator["clientId"], field.sandbox.client_id());
    let sudo = if printed("id", &["-ru"]) == "0" { json!("ann") } else { Value::Null };
    assert_eq!(operator["sudoUser"], sudo, "it counts for root alone");
    assert_eq!(record["endDates"], json!({"earliest": "2098-08-31T00:00:00.000Z", "latest": "2099-08-31T15:00:00.000Z"}));
    let options = &record["options"];
    let limits = ["canary", "maxUsers", "maxWindow", "trustClock"].map(|key| options[key].clone());
    assert_eq!(limits, [json!(1), json!(7), json!("40000d"), json!(true)]);
    assert_eq!(record["holds"], json!({"count": 0, "seconds": 0.0}));
    assert_eq!(record["formatVersion"], 4, "older versions can ignore these keys");
}

#[test]
fn what_there_is_not_is_null() {
    let field = field();
    field.users(2, "+4h");
    for command in ["audit", "end"] {
        assert_eq!(field.run(&[command, "in.csv", "--overwrite"]).code, 0);
        let record = record(&field);
        assert_eq!(record["endDates"], json!({"earliest": null, "latest": null}), "{command}");
        let options = &record["options"];
        let limits = ["canary", "maxUsers", "maxWindow", "trustClock"].map(|key| options[key].clone());
        assert_eq!(limits, [Value::Null, Value::Null, Value::Null, Value::Null]);
    }
    let mut rehearsal = tool();
    rehearsal.current_dir(field.folder()).args(["audit", "in.csv", "--sandbox", "--overwrite"]);
    assert!(done(rehearsal.output().expect("the tool runs")).code < 2);
    assert_eq!(record(&field)["operator"]["clientId"], Value::Null, "the sandbox's application is nobody's");
    let mut with_token = field.tool(&["audit", "in.csv", "--overwrite"]);
    let token = with_token.env_remove("PINGONE_CLIENT_ID").env("PINGONE_API_ACCESS_TOKEN", "of-yesterday");
    assert_eq!(done(token.output().expect("the tool runs")).code, 4);
    assert_eq!(record(&field)["operator"]["clientId"], Value::Null, "whose the token is, is not known");
}

#[test]
fn holds_are_counted_as_they_are_told_over_all_processes() {
    let config = SandboxConfig { rate_limit: Some("20".parse().expect("a limit")), users: Some(80), ..SandboxConfig::default() };
    let field = field_with(config);
    let mut users: Vec<_> = (0..80).map(|index| field.sandbox.user_id(index).to_string()).collect();
    // The last row of the canary is of a user who is not there, and stops the first process.
    users[34] = "00000000-0000-4000-8000-000000000000".to_owned();
    field.write("in.csv", format!("userID\n{}\n", users.join("\n")));
    let mut told = 0;
    let grant = ["grant", "in.csv", "--until", "+1h", "--rate", "unlimited"];
    let stopped = field.run(&[&grant[..], &["--canary", "35", "--reason", "INC-1"]].concat());
    assert_eq!(stopped.code, 3, "{}", stopped.stderr);
    told += stopped.stderr.matches("all requests wait").count();
    let before = record(&field)["holds"].clone();
    assert!(told > 0 && before["count"] == told, "{before} and {}", stopped.stderr);
    let resumed = field.run(&[&grant[..], &["--resume"]].concat());
    assert_eq!(resumed.code, 1, "{}", resumed.stderr);
    told += resumed.stderr.matches("all requests wait").count();
    let after = record(&field);
    assert!(resumed.stderr.contains("all requests wait"), "the limit was met again: {}", resumed.stderr);
    assert_eq!(after["holds"]["count"], told, "{before} and {}", resumed.stderr);
    let seconds = |holds: &Value| holds["seconds"].as_f64().expect("a number");
    assert!(seconds(&before) > 0.0 && seconds(&after["holds"]) > seconds(&before) + 0.5, "{before} {}", after["holds"]);
    assert_eq!(after["reason"], "INC-1", "it is that of the run until another is given");
    assert_eq!(field.run(&[&grant[..], &["--resume"]].concat()).code, 1, "it has finished");
    assert_eq!(record(&field), after);
}

#[test]
fn who_approved_a_plan_stays_named_while_the_plan_is_the_same() {
    let field = faulty("400=100%");
    field.users(30, "+4h");
    let digest = {
        let dry = field.run(&["grant", "in.csv", "--canary", "1", "--dry-run"]);
        dry.stderr.lines().find_map(|line| line.strip_prefix("digest     ")).expect("a digest").to_owned()
    };
    let run = |arguments: &[&str]| {
        let mut tool = field.tool(&[]);
        tool.args(["grant", "in.csv", "--max-window", "40000d", "--canary", "1", "--resume"]).args(arguments);
        let ended = done(tool.output().expect("the tool runs"));
        assert_eq!(ended.code, 3, "{}", ended.stderr);
        record(&field)["confirmed"]["approvedBy"].clone()
    };
    assert_eq!(run(&["--approve", &digest, "--approved-by", "Ann"]), "Ann");
    assert_eq!(run(&["--approve", &digest]), "Ann", "it is what she agreed to");
    assert_eq!(run(&["--yes"]), "Ann");
    assert_eq!(run(&["--approve", &digest, "--approved-by", "Bob"]), "Bob");
    assert_eq!(run(&["--yes", "--max-users", "40"]), Value::Null, "nobody is known to have agreed to this plan");
}

#[test]
fn a_run_that_a_version_without_these_keys_recorded_is_taken_up() {
    let field = faulty("400=100%");
    field.users(3, "+4h");
    assert_eq!(field.run(&["grant", "in.csv", "--canary", "1"]).code, 3);
    let mut former = record(&field);
    let keys = former.as_object_mut().expect("an object");
    for key in ["operator", "endDates", "holds"] {
        keys.remove(key).expect("it is there");
    }
    for key in ["canary", "maxUsers", "maxWindow"] {
        keys["options"].as_object_mut().expect("an object").remove(key).expect("it is there");
    }
    field.write(RECORD, former.to_string());
    let resumed = field.run(&["grant", "in.csv", "--max-failures", "100%", "--resume"]);
    assert_eq!(resumed.code, 1, "{}", resumed.stderr);
    let record = record(&field);
    assert_eq!((&record["runId"], &record["status"]), (&former["runId"], &json!("completed")));
    assert!(record["operator"]["user"].is_string() && record["endDates"]["latest"].is_string(), "{record}");
}

#[test]
fn who_approved_a_part_and_why_stays_in_the_record_of_a_run_that_others_resume() {
    let config = SandboxConfig { users: Some(20), ..SandboxConfig::default() };
    let field = field_with(config);
    let mut users: Vec<_> = (0..20).map(|index| field.sandbox.user_id(index).to_string()).collect();
    users[9] = "00000000-0000-4000-8000-000000000000".to_owned();
    field.write("in.csv", format!("userID\n{}\n", users.join("\n")));
    let grant = ["grant", "in.csv", "--until", "+1h", "--resume"];
    let run = |arguments: &[&str]| field.run(&[&grant[..], arguments].concat());
    let first = run(&["--canary", "10", "--approved-by", "Bob", "--reason", "R1"]);
    assert_eq!(first.code, 3, "{}", first.stderr);
    let stopped = record(&field);
    assert_eq!(stopped["earlier"], Value::Null, "there is nothing yet");
    let second = run(&["--max-failures", "100%", "--approved-by", "Carol", "--reason", "R2 <b>"]);
    assert_eq!(second.code, 1, "{}", second.stderr);
    let done = record(&field);
    assert_eq!((&done["confirmed"]["approvedBy"], &done["reason"]), (&json!("Carol"), &json!("R2 <b>")));
    let earlier = done["earlier"].as_array().expect("a list");
    assert_eq!(earlier.len(), 1, "{done}");
    assert_eq!((&earlier[0]["confirmed"]["approvedBy"], &earlier[0]["reason"]), (&json!("Bob"), &json!("R1")));
    assert_eq!((&earlier[0]["operator"], &earlier[0]["until"]), (&stopped["operator"], &stopped["finishedAt"]));
    assert_eq!(run(&["--reason", "R3"]).code, 1, "it has finished");
    assert_eq!(record(&field), done);
    assert_eq!(field.run(&["page", "in.report.csv"]).code, 0);
    let page = std::fs::read_to_string(field.path("in.report.html")).expect("a page");
    let before = page.split("Before that").nth(1).expect("it is told");
    assert!(before.contains("Bob") && before.contains("R1") && !page.contains("R2 <b>"), "{before}");
}
