//! The sample of an Indexed Job, one pod for each shard, and what Kubernetes demands of it and of the nightly audit: the rules of its API that a schema does not
//! tell. The schemas themselves were checked with `kubernetes-validate` (1.29 and 1.33, strict).

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Done, done, ended_within, send_signal};
use crate::schedulers::{LEFT_ALONE, SHARDS, TRIED_AGAIN, Work, run, sample, strings, text_of};
use crate::yaml;

fn numbers(list: &Value) -> Vec<i64> {
    list.as_array().expect("a list").iter().map(|item| item.as_i64().expect("a number")).collect()
}

fn jobs() -> (Value, Value) {
    let mut documents = yaml::documents(&text_of("shards-job.yaml"));
    let merge = documents.pop().expect("a job that merges");
    (documents.pop().expect("a job of shards"), merge)
}

/// The container of a job, and the command in it with the variables of its environment put in, as the kubelet does it.
fn arguments(work: &Work, job: &Value, index: &str) -> Vec<String> {
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(strings(&container["command"]), ["/usr/bin/pingone-bypass"]);
    assert_eq!(container["workingDir"], "/work");
    let mut variables = BTreeMap::from([("JOB_COMPLETION_INDEX", index)]);
    for variable in container["env"].as_array().into_iter().flatten() {
        let value = match variable["name"].as_str().expect("a name") {
            "UNTIL" => &work.until,
            "PLAN" => &work.plan,
            name => panic!("{name}"),
        };
        variables.insert(variable["name"].as_str().expect("a name"), value);
    }
    let put_in = |argument: &str| {
        let filled = variables.iter().fold(argument.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value));
        assert!(!filled.contains("$("), "{argument} names a variable that the container does not have");
        filled.replace("/secret/", "")
    };
    strings(&container["args"]).into_iter().map(put_in).collect()
}

fn pod(work: &Work, job: &Value, index: usize) -> Child {
    let mut pod = work.command(env!("CARGO_BIN_EXE_pingone-bypass"));
    // The secret is a file there.
    pod.env_remove("PINGONE_CLIENT_SECRET").args(arguments(work, job, &index.to_string()));
    pod.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the tool runs")
}

/// What a Job does with an exit code.
fn fate(job: &Value, code: i64) -> &str {
    let rules = job["spec"]["podFailurePolicy"]["rules"].as_array().expect("rules");
    let rule = rules.iter().find(|rule| rule["onExitCodes"].is_object() && numbers(&rule["onExitCodes"]["values"]).contains(&code));
    rule.map_or("Count", |rule| rule["action"].as_str().expect("an action"))
}

#[test]
fn eight_pods_of_which_one_is_killed_do_all_rows_once_and_are_merged() {
    let (shards, merge) = jobs();
    let work = Work::new();
    let running: Vec<Child> = (0..SHARDS).map(|index| pod(&work, &shards, index)).collect();
    work.wait_for_rows(5);
    send_signal(&running[5], "KILL");
    let ended: Vec<Done> = running.into_iter().map(|pod| ended_within(Duration::from_secs(60), pod).expect("it ends")).collect();
    for (index, ended) in ended.iter().enumerate() {
        // Row 81 is of the first shard.
        let expected = [(0, 1), (5, -1)].into_iter().find(|(found, _)| *found == index).map_or(0, |(_, code)| code);
        assert_eq!(ended.code, expected, "shard {index}: {}", ended.stderr);
    }
    let merged = |work: &Work| run(work.command(env!("CARGO_BIN_EXE_pingone-bypass")).args(arguments(work, &merge, "none")));
    let too_early = merged(&work);
    assert_eq!(too_early.code, 2, "a shard is not finished: {}", too_early.stderr);
    assert_eq!(
        (fate(&shards, 137), fate(&shards, 1)),
        ("Count", "FailIndex"),
        "a pod that was killed is replaced, one that has finished is not"
    );
    let again = ended_within(Duration::from_secs(60), pod(&work, &shards, 5)).expect("it ends");
    assert_eq!(again.code, 0, "{}", again.stderr);
    // A shard has as many in flight as its rate and the latency allow: one or two.
    work.assert_merged(&merged(&work), 4);
}

#[test]
fn the_jobs_keep_the_rules_of_kubernetes() {
    let (shards, merge) = jobs();
    let cron = yaml::documents(&text_of("audit-cronjob.yaml")).remove(0);
    for (job, spec) in [(&shards, &shards["spec"]), (&merge, &merge["spec"]), (&cron, &cron["spec"]["jobTemplate"]["spec"])] {
        let name = job["metadata"]["name"].as_str().expect("a name");
        assert_eq!(job["apiVersion"], "batch/v1", "{name}");
        let pod = &spec["template"]["spec"];
        assert_eq!(pod["restartPolicy"], "Never", "{name}: --resume in a new pod, not a restart in the same");
        let named = |list: &Value| -> Vec<String> {
            let names = list.as_array().expect("a list").iter().map(|item| item["name"].as_str().expect("a name").to_owned());
            names.collect()
        };
        for container in pod["containers"].as_array().expect("containers") {
            let (mut mounted, mut there) = (named(&container["volumeMounts"]), named(&pod["volumes"]));
            mounted.sort();
            there.sort();
            assert_eq!(mounted, there, "{name}");
            assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true, "{name}");
            assert!(mounted.contains(&"tmp".to_owned()), "{name}: temporary files need a folder");
        }
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
    }
    assert_eq!(merge["spec"]["suspend"], true, "it would be refused until the shards have ended");
    assert!(merge["spec"]["template"]["spec"]["containers"][0]["envFrom"].is_null(), "nothing is sent");

    let spec = &shards["spec"];
    assert_eq!((&spec["completionMode"], &spec["completions"], &spec["parallelism"]), (&"Indexed".into(), &8.into(), &8.into()));
    assert!(spec["backoffLimitPerIndex"].is_i64() && spec["backoffLimit"].is_null(), "FailIndex and retries of an index need it");
    assert_eq!(spec["podReplacementPolicy"], "Failed", "the only one that podFailurePolicy allows");
    for rule in spec["podFailurePolicy"]["rules"].as_array().expect("rules") {
        let (codes, conditions) = (&rule["onExitCodes"], &rule["onPodConditions"]);
        assert!(codes.is_object() != conditions.is_array(), "one of both: {rule}");
        if codes.is_object() {
            let values = numbers(&codes["values"]);
            assert!(values.is_sorted_by(|left, right| left < right) && !values.contains(&0), "each once, in order, and not 0: {rule}");
            assert_eq!((&codes["operator"], &codes["containerName"]), (&"In".into(), &"shard".into()));
        }
        assert!(["FailIndex", "Ignore"].contains(&rule["action"].as_str().expect("an action")));
    }
    assert!(
        LEFT_ALONE.iter().all(|code| fate(&shards, *code) == "FailIndex") && TRIED_AGAIN.iter().all(|code| fate(&shards, *code) == "Count")
    );
    let grace = spec["template"]["spec"]["terminationGracePeriodSeconds"].as_i64().expect("seconds");
    assert!(grace > 30, "a request may take 30 s");
}

/// Passes without a check where Python has no YAML.
#[test]
fn python_reads_the_same_in_the_yaml() {
    let script = "import sys, json, yaml\nprint(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    for name in ["shards-job.yaml", "audit-cronjob.yaml"] {
        let parsed = Command::new("python3").args(["-c", script]).arg(sample(name)).output();
        if let Ok(parsed) = parsed.map(done)
            && !parsed.stderr.contains("No module named")
        {
            assert_eq!(parsed.code, 0, "{}", parsed.stderr);
            let theirs: Vec<Value> = serde_json::from_str(&parsed.stdout).expect("JSON");
            assert_eq!(yaml::documents(&text_of(name)), theirs, "{name}");
        }
    }
}
