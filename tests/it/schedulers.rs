//! The samples that run shards by a scheduler: Slurm, AWS Batch, GNU parallel; for Kubernetes, see `kubernetes`. Their commands run here against a sandbox, with what the
//! scheduler would put into them, and their rules say of each exit code what the program means by it.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta, Utc};
use pingone_bypass::sandbox::SandboxConfig;
use serde_json::Value;

use crate::harness::{Done, Field, done, ended_within, field_with, send_signal};

/// How many shards each sample makes.
pub(crate) const SHARDS: usize = 8;
const USERS: usize = 80;
/// In the last row: not PingOne's.
const NOBODY: &str = "00000000-0000-4000-8000-00000000ffff";
/// What --resume mends: a full disk, and a run that was ended from outside.
pub(crate) const TRIED_AGAIN: [i64; 5] = [5, 129, 130, 137, 143];
/// What somebody must look at: rows failed, a wrong input, too many failures, a refusal.
pub(crate) const LEFT_ALONE: [i64; 4] = [1, 2, 3, 4];

pub(crate) fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)
}

pub(crate) fn text_of(name: &str) -> String {
    fs::read_to_string(sample(name)).expect("a sample")
}

/// A folder that all shards share: an input whose last row fails, an end date, and the digest of the plan that somebody approved.
pub(crate) struct Work {
    pub(crate) field: Field,
    pub(crate) until: String,
    pub(crate) plan: String,
}

impl Work {
    pub(crate) fn new() -> Self {
        let field = field_with(SandboxConfig { latency: Duration::from_millis(50), users: Some(USERS as u64), ..SandboxConfig::default() });
        let rows: String = (0..USERS).map(|index| format!("{}\n", field.sandbox.user_id(index as u64))).collect();
        field.write("grants.csv", format!("userID\n{rows}{NOBODY}\n"));
        let secret = field.write("client-secret", field.sandbox.client_secret());
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).expect("ours");
        fs::create_dir(field.path("bin")).expect("created");
        let until = (Utc::now() + TimeDelta::days(1)).to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut dry = field.tool(&[]);
        let dry = done(dry.args(["grant", "grants.csv", "--until", &until, "--dry-run"]).output().expect("the tool runs"));
        let plan = dry.stderr.lines().find_map(|line| line.strip_prefix("digest     ")).expect("a digest").to_owned();
        Self { field, until, plan }
    }

    /// A command in the folder, with the tool's settings, and the tool and what stands in `bin` on the search path.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let environment = self.field.tool(&[]);
        let tool = Path::new(env!("CARGO_BIN_EXE_pingone-bypass")).parent().expect("a folder").display();
        let path = std::env::var("PATH").expect("a search path");
        let mut command = Command::new(program);
        command.env_clear().envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("PATH", format!("{}:{tool}:{path}", self.field.path("bin").display())).env("HOME", self.field.folder());
        command.current_dir(self.field.folder()).stdin(Stdio::null());
        command
    }

    /// Puts a script before what else has its name.
    fn stand_in(&self, name: &str, script: &str) {
        let path = self.field.write(&format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
    }

    /// Waits until a shard has settled some rows.
    pub(crate) fn wait_for_rows(&self, shard: usize) {
        let journal = self.field.path(&format!("grants.{shard}-of-8.report.partial.csv"));
        for _ in 0..4000 {
            if fs::read_to_string(&journal).map_or(0, |text| text.lines().count()) > 3 {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("shard {shard} settles no rows");
    }

    /// The merged report has each row once, and each user was granted a bypass: once, but for what a shard that was killed had in flight.
    pub(crate) fn assert_merged(&self, merged: &Done, sent_twice_at_most: usize) {
        assert_eq!(merged.code, 1, "the last row failed: {}", merged.stderr);
        let report = self.field.report("grants.report.csv");
        assert!(report.is_whole(USERS + 1), "{:?}", report.column("row"));
        assert_eq!((report.count("granted"), report.count("not_found")), (USERS, 1));
        let mut calls: HashMap<String, usize> = HashMap::new();
        for call in self.field.api_calls() {
            *calls.entry(call.path).or_default() += 1;
        }
        let sent: usize = calls.values().sum();
        assert_eq!(calls.len(), USERS + 1);
        assert!(sent <= USERS + 1 + sent_twice_at_most, "{sent}");
        assert_eq!(self.field.run(&["verify", "grants.report.csv"]).code, 0);
    }
}

pub(crate) fn run(command: &mut Command) -> Done {
    done(command.output().expect("it runs"))
}

pub(crate) fn strings(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|item| item.as_str().expect("text")).collect()
}

fn slurm_task(work: &Work, index: usize) -> Command {
    let mut task = work.command("/bin/sh");
    task.arg(sample("shards.slurm")).args(["grants.csv", &work.until, &work.plan]);
    task.env("SLURM_ARRAY_TASK_ID", index.to_string()).env("SLURM_ARRAY_JOB_ID", "77");
    task.env("SECRET_FILE", work.field.path("client-secret")).env_remove("PINGONE_CLIENT_SECRET");
    task
}

#[test]
fn the_tasks_of_a_slurm_array_do_all_rows_and_end_so_that_the_merge_begins() {
    let work = Work::new();
    work.stand_in("srun", "exec \"$@\"");
    let tasks = (0..SHARDS).map(|index| slurm_task(&work, index).stderr(Stdio::piped()).spawn().expect("a shell"));
    for task in tasks.collect::<Vec<_>>() {
        let ended = ended_within(Duration::from_secs(60), task).expect("it ends");
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
    let script = text_of("shards.slurm");
    let (_, wrapped) = script.split_once("--wrap '").expect("the job that merges");
    let (wrapped, _) = wrapped.split_once('\'').expect("its end");
    work.assert_merged(&run(work.command("/bin/sh").args(["-c", wrapped])), 0);
    assert!(script.starts_with("#!") && script.contains("#SBATCH --array=0-7\n") && script.contains("#SBATCH --requeue\n"));
    let last = script.rfind("#SBATCH").expect("directives");
    assert!(script[..last].lines().all(|line| line.starts_with('#')), "sbatch reads none after the first command");
}

#[test]
fn a_slurm_task_is_requeued_only_for_what_resume_mends() {
    let work = Work::new();
    work.stand_in("srun", "exec \"$@\"");
    work.stand_in("pingone-bypass", "exit \"$CODE\"");
    work.stand_in("scontrol", "echo \"$*\" >>requeued");
    for code in [0].into_iter().chain(LEFT_ALONE).chain(TRIED_AGAIN) {
        for restarts in ["", "3"] {
            let ended = run(slurm_task(&work, 6).env("CODE", code.to_string()).env("SLURM_RESTART_COUNT", restarts));
            assert_eq!(i64::from(ended.code), if code == 1 { 0 } else { code }, "{}", ended.stderr);
            let requeued = fs::read_to_string(work.field.path("requeued")).unwrap_or_default();
            let is_again = TRIED_AGAIN.contains(&code) && restarts.is_empty();
            assert_eq!(requeued, if is_again { "requeue 77_6\n" } else { "" }, "{code}, restarted {restarts}");
            drop(fs::remove_file(work.field.path("requeued")));
        }
    }
}

fn batch() -> Value {
    serde_json::from_str(&text_of("shards-aws-batch.json")).expect("JSON")
}

fn batch_task(work: &Work, index: usize) -> Command {
    let command = batch()["shards"]["containerOverrides"]["command"].clone();
    let words = strings(&command);
    let mut task = work.command(words[0]);
    task.args(&words[1..]).env("AWS_BATCH_JOB_ARRAY_INDEX", index.to_string());
    task.env("UNTIL", &work.until).env("PLAN", &work.plan);
    task
}

#[test]
fn the_children_of_an_aws_batch_array_do_all_rows_though_one_is_terminated() {
    let work = Work::new();
    let spawn = |index| batch_task(&work, index).stderr(Stdio::piped()).spawn().expect("a shell");
    let running: Vec<Child> = (0..SHARDS).map(spawn).collect();
    work.wait_for_rows(3);
    send_signal(&running[3], "TERM");
    for (index, task) in running.into_iter().enumerate() {
        let ended = ended_within(Duration::from_secs(60), task).expect("it ends");
        assert_eq!(ended.code, if index == 3 { 143 } else { 0 }, "{index}: {}", ended.stderr);
    }
    let again = ended_within(Duration::from_secs(60), spawn(3)).expect("it ends");
    assert_eq!(again.code, 0, "{}", again.stderr);
    let command = batch()["merge"]["containerOverrides"]["command"].clone();
    let words = strings(&command);
    assert_eq!(words[0], "/usr/bin/pingone-bypass");
    work.assert_merged(&run(work.command("pingone-bypass").args(&words[1..])), 0);
}

#[test]
fn aws_batch_tries_again_only_what_resume_mends() {
    let work = Work::new();
    work.stand_in("pingone-bypass", "exit \"$CODE\"");
    let definition = &batch()["jobDefinition"];
    let exits = definition["retryStrategy"]["evaluateOnExit"].as_array().expect("conditions").clone();
    assert!(exits.len() <= 5 && exits.iter().all(|condition| condition["action"] == "EXIT" && condition["onExitCode"].is_string()));
    for code in LEFT_ALONE.into_iter().chain(TRIED_AGAIN) {
        let seen = i64::from(run(batch_task(&work, 0).env("CODE", code.to_string())).code);
        assert_eq!(seen, if code == 1 { 0 } else { code });
        // What no condition matches is tried again.
        let is_left_alone = seen == 0 || exits.iter().any(|condition| condition["onExitCode"].as_str() == Some(seen.to_string().as_str()));
        assert_eq!(is_left_alone, LEFT_ALONE.contains(&code), "{code}");
    }
    let container = &definition["containerProperties"];
    assert_eq!(container["mountPoints"][0]["sourceVolume"], container["volumes"][0]["name"]);
    assert_eq!(container["secrets"][0]["name"], "PINGONE_CLIENT_SECRET");
    assert_eq!(batch()["shards"]["arrayProperties"]["size"], SHARDS);
}

/// Passes without a check where jq is not installed.
#[test]
fn the_aws_batch_script_submits_the_shards_and_the_merge_that_waits_for_them() {
    let work = Work::new();
    if Command::new("jq").arg("--version").output().is_err() {
        return;
    }
    work.stand_in("aws", "for last; do :; done; printf '%s' \"$last\" >\"$2.$(ls | grep -c json)\"; mv \"$2\".* \"$(ls *.json | wc -l)-$2.json\"; echo job-of-shards");
    let mut script = work.command(sample("shards-aws-batch.sh"));
    let submitted = run(script.arg(sample("shards-aws-batch.json")).args([&work.until, &work.plan]));
    assert_eq!(submitted.code, 0, "{}", submitted.stderr);
    let given = |name: &str| -> Value { serde_json::from_slice(&fs::read(work.field.path(name)).expect(name)).expect("JSON") };
    let sample = batch();
    assert_eq!(given("0-register-job-definition.json"), sample["jobDefinition"]);
    let shards = given("1-submit-job.json");
    assert_eq!(shards["containerOverrides"]["command"], sample["shards"]["containerOverrides"]["command"]);
    let environment = &shards["containerOverrides"]["environment"];
    assert_eq!((&environment[0]["value"], &environment[1]["value"]), (&work.until.as_str().into(), &work.plan.as_str().into()));
    assert_eq!(given("2-submit-job.json")["dependsOn"][0]["jobId"], "job-of-shards");
}

/// Passes without a check where GNU parallel is not installed.
#[test]
fn gnu_parallel_does_all_rows_though_two_shards_are_killed() {
    let work = Work::new();
    if !Command::new("parallel").arg("--version").output().is_ok_and(|output| output.stdout.starts_with(b"GNU parallel")) {
        return;
    }
    let tool = env!("CARGO_BIN_EXE_pingone-bypass");
    work.stand_in("pingone-bypass", &format!("case $4 in 2/8 | 6/8) echo $$ >\"pid.${{4%/8}}\" ;; esac\nexec '{tool}' \"$@\""));
    let script = || {
        let mut script = work.command(sample("shards-parallel.sh"));
        script.args(["grants.csv", "--until", &work.until, "--approve", &work.plan, "--rate", "50/s"]);
        script.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a shell")
    };
    let running = script();
    for shard in [2, 6] {
        work.wait_for_rows(shard);
        let pid = fs::read_to_string(work.field.path(&format!("pid.{shard}"))).expect("written by the shard");
        assert!(Command::new("kill").args(["-s", "KILL", pid.trim()]).status().expect("kill runs").success());
    }
    let first = ended_within(Duration::from_secs(60), running).expect("it ends");
    assert_eq!(first.code, 2, "merge refuses what is not finished: {}", first.stderr);
    assert!(
        first.stderr.contains("3 of 8 shards did not end with 0"),
        "those that were killed, and that of the last row: {}",
        first.stderr
    );
    let log = fs::read_to_string(work.field.path("shards.log")).expect("a log");
    // Exit code and signal of each shard, in the order of their numbers. A shell between them makes 137 of signal 9.
    let mut codes: Vec<(usize, String)> = Vec::new();
    for line in log.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        codes.push((fields[0].parse().expect("a number"), format!("{} {}", fields[6], fields[7]).replace("0 9", "137 0")));
    }
    codes.sort();
    let codes: Vec<&str> = codes.iter().map(|(_, code)| code.as_str()).collect();
    assert_eq!(codes, ["1 0", "0 0", "137 0", "0 0", "0 0", "0 0", "137 0", "0 0"], "{log}");
    let second = ended_within(Duration::from_secs(60), script()).expect("it ends");
    work.assert_merged(&second, 8);
    // But for times, attempts and IDs it is what one process writes.
    let mut one = work.field.tool(&[]);
    one.args(["grant", "grants.csv", "--until", &work.until, "--approve", &work.plan, "--rate", "unlimited", "-o", "one.csv"]);
    assert_eq!(run(&mut one).code, 1);
    let (merged, one) = (work.field.report("grants.report.csv"), work.field.report("one.csv"));
    assert_eq!(merged.columns, one.columns);
    for column in merged
        .columns
        .iter()
        .filter(|column| !["errorId", "correlationId", "attempts", "durationMs", "completedAt"].contains(&column.as_str()))
    {
        assert_eq!(merged.column(column), one.column(column), "{column}");
    }
    let failed = |name: &str| fs::read_to_string(work.field.path(name)).expect("failed rows");
    assert_eq!(failed("grants.report.failed.csv"), failed("one.failed.csv"));
}

#[test]
fn each_sample_says_what_shares_an_address_shares() {
    for name in ["shards-job.yaml", "shards.slurm", "shards-aws-batch.sh", "shards-parallel.sh"] {
        let words = text_of(name).replace("\n# ", " ").split_whitespace().collect::<Vec<_>>().join(" ");
        for fact in [
            "what shares an address shares its 35 %",
            "`--rate` is that of all shards together",
            "A span such as +4h would count from each",
        ] {
            assert!(words.to_lowercase().contains(&fact.to_lowercase()), "{name}: {fact}");
        }
    }
}
