//! A run that is disturbed and resumed until it has finished, and a check that everything it reports is true.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pingone_bypass::sandbox::{Faults, SandboxConfig};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::harness::{Done, Field, Report, done, ended_within, field_with};

/// The end date of grants.
const UNTIL: &str = "2099-08-31T00:00:00.000Z";
/// A run must finish within this many resumes without a disturbance.
const MOST_RESUMES: usize = 5;
/// Trials at a time: they mostly wait.
const TOGETHER: usize = 12;

/// The operation of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    Grant,
    /// A grant that looks first.
    LookAndGrant,
    End,
}

/// How PingOne answers in a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum World {
    /// Success for everything.
    Kind,
    /// Faults, some of which leave open whether a request was applied.
    Open,
    /// The same, and refusals that say nothing about whether an earlier request was applied.
    Hostile,
}

/// A run to be disturbed.
pub(crate) struct Trial {
    field: Field,
    asks: Asks,
    world: World,
    arguments: Vec<String>,
    /// The user of each row, and the end date before the first run.
    users: Vec<(String, Option<String>)>,
    /// The errors found so far.
    wrong: Vec<String>,
    /// The final lines that a journal had, by row.
    settled: BTreeMap<String, Vec<String>>,
}

impl Trial {
    pub(crate) fn new(asks: Asks, world: World, rows: u64, seed: u64) -> Self {
        let faults = match world {
            World::Kind => Faults::default(),
            World::Open => "reset=10%,truncate=8%,html=4%,500=3%,503=5%".parse().expect("faults"),
            World::Hostile => "reset=12%,truncate=8%,html=4%,500=3%,503=5%,520=2%,400=3%,403=2%,404=3%,409=2%".parse().expect("faults"),
        };
        let field = field_with(SandboxConfig { faults, seed, latency: Duration::from_millis(seed % 4), ..SandboxConfig::default() });
        let name = match asks {
            Asks::Grant | Asks::LookAndGrant => "grant",
            Asks::End => "end",
        };
        // A row mostly gets one attempt, so that trials do not wait long.
        let attempts = if seed.is_multiple_of(6) { "2" } else { "1" };
        let options = ["--rate", "500/s", "--max-attempts", attempts, "--max-failures", "100%", "--metrics-file", "run.prom"];
        let look_first = if asks == Asks::LookAndGrant { &["--look-first"][..] } else { &[] };
        let arguments = [&[name, "in.csv"][..], &options, look_first].concat().into_iter().map(str::to_owned).collect();
        // Every tenth user has a bypass from the start.
        let user = |row: u64| field.sandbox.user_id(if asks == Asks::End { row * 10 + 9 } else { row });
        let users: Vec<_> =
            (0..rows).map(|row| (user(row).to_string(), field.sandbox.bypass_of(user(row)).map(|until| until.to_string()))).collect();
        let until = if asks == Asks::End { "" } else { UNTIL };
        let lines = users.iter().fold(String::new(), |mut lines, (user, _)| {
            writeln!(lines, "{user},{until},\"a\n{user}\"").expect("memory");
            lines
        });
        field.write("in.csv", format!("userID,until,note\n{lines}"));
        Self { field, asks, world, arguments, users, wrong: Vec::new(), settled: BTreeMap::new() }
    }

    /// The tool, to begin the run or to resume it.
    pub(crate) fn tool(&self, resumes: bool) -> std::process::Command {
        let resume = if resumes { &["--resume"][..] } else { &[] };
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).chain(resume.iter().copied()).collect();
        let mut tool = self.field.tool(&arguments);
        tool.stdout(Stdio::piped()).stderr(Stdio::piped());
        tool
    }

    /// Checks a run that ended by itself; `expected` are the exit codes allowed.
    pub(crate) fn ended(&mut self, done: &Done, expected: &[i32]) {
        if done.stderr.contains("panicked") || !expected.contains(&done.code) {
            self.wrong.push(format!("exit code {}, and not one of {expected:?}: {}", done.code, done.stderr));
        }
        if matches!(done.code, 0 | 1) {
            self.look_at_report(done.code);
        }
        self.remember_journal();
    }

    /// Begins or resumes the run, and kills it after `alive`; returns whether it was killed.
    pub(crate) fn kill(&mut self, resumes: bool, alive: Duration) -> bool {
        match ended_within(alive, self.tool(resumes).spawn().expect("the tool runs")) {
            Ok(done) => {
                self.ended(&done, self.codes());
                false
            }
            Err(mut child) => {
                child.kill().expect("it is there");
                let killed = done(child.wait_with_output().expect("it ends"));
                if killed.stderr.contains("panicked") {
                    self.wrong.push(format!("it panicked: {}", killed.stderr));
                }
                self.remember_journal();
                true
            }
        }
    }

    /// The exit codes of a run whose files and clock are in order.
    pub(crate) fn codes(&self) -> &'static [i32] {
        match self.world {
            World::Kind => &[0],
            World::Open | World::Hostile => &[0, 1, 3],
        }
    }

    /// Resumes the run until it has finished, and returns the errors found.
    pub(crate) fn verdict(mut self) -> Vec<String> {
        for _ in 0..MOST_RESUMES {
            let finished = done(self.tool(true).output().expect("the tool runs"));
            self.ended(&finished, self.codes());
            if matches!(finished.code, 0 | 1) {
                self.look_at_files();
                return self.wrong;
            }
        }
        self.wrong.push("it never finished".to_owned());
        self.wrong
    }

    /// Remembers each whole line of the journal that settles its row for good: it must be in the report.
    fn remember_journal(&mut self) {
        let Ok(journal) = fs::read(self.field.path("in.report.partial.csv")) else {
            return;
        };
        let whole = journal.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&journal[..whole]);
        let Ok(width) = reader.headers().map(csv::StringRecord::len) else {
            return;
        };
        // The last one may have been torn within quotes.
        for line in reader.into_records().filter_map(Result::ok).filter(|line| line.len() == width) {
            let line: Vec<_> = line.iter().map(str::to_owned).collect();
            if !matches!(line[2].as_str(), "failed" | "unknown") && line[line.len() - 1].ends_with(&line[1]) {
                self.settled.insert(line[0].clone(), line);
            }
        }
    }

    /// Checks the report of a run that ended with this exit code.
    fn look_at_report(&mut self, code: i32) {
        let Ok(text) = fs::read_to_string(self.field.path("in.report.csv")) else {
            self.wrong.push(format!("exit code {code}, and there is no report"));
            return;
        };
        let report = Report::read(&text);
        if !report.is_whole(self.users.len()) {
            self.wrong.push(format!("the report is not whole: {text}"));
            return;
        }
        let failures = report.lines.iter().filter(|line| !matches!(line[2].as_str(), "granted" | "ended" | "inactive")).count();
        if code != i32::from(failures > 0) {
            self.wrong.push(format!("exit code {code}, and {failures} rows failed"));
        }
        for (line, (user, before)) in report.lines.iter().zip(&self.users) {
            let held = self.field.sandbox.bypass_of(user.parse().expect("a UUID")).map(|until| until.to_string());
            if line[1] != *user || line[line.len() - 1] != format!("a\n{user}") || !self.is_true(line, before.as_deref(), held.as_deref()) {
                self.wrong.push(format!("the sandbox holds {held:?}, before {before:?}, and the report says {line:?}"));
            }
            if self.settled.get(&line[0]).is_some_and(|settled| settled != line) {
                self.wrong.push(format!("{:?} was settled, and is {line:?}", self.settled[&line[0]]));
            }
        }
    }

    /// Whether a line of the report is true.
    fn is_true(&self, line: &[String], before: Option<&str>, held: Option<&str>) -> bool {
        let (result, until) = (line[2].as_str(), line[4].as_str());
        // A row that nobody looked at, or of which it is not known any more, says nothing of the time before.
        if !line[6].is_empty() && line[6] != before.unwrap_or("none") {
            return false;
        }
        match result {
            "granted" => self.asks != Asks::End && held == Some(UNTIL) && until == UNTIL,
            // The date may have passed since, and PingOne then states none.
            "ended" => self.asks == Asks::End && held != before && (held == Some(until) || until.is_empty()),
            "inactive" => self.asks == Asks::End && held.is_none(),
            // Nothing was applied. (Before the first run, no user has the end date that a grant asks for.)
            "failed" | "rejected" | "not_found" => held == before,
            "unknown" => true,
            _ => false,
        }
    }

    /// Checks which files there are when a run has finished.
    fn look_at_files(&mut self) {
        let path = |name: &str| self.field.path(name);
        let mut names: Vec<_> = fs::read_dir(self.field.folder())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        let report = fs::read(path("in.report.csv")).expect("looked at");
        let record: Value = serde_json::from_slice(&fs::read(path("in.report.run.json")).expect("a record")).expect("JSON");
        let sha256: String = Sha256::digest(&report).iter().map(|byte| format!("{byte:02x}")).collect();
        let report = Report::read(&String::from_utf8(report).expect("UTF-8"));
        let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
        for result in report.column("result") {
            *totals.entry(result).or_default() += 1;
            *totals.entry("rows").or_default() += 1;
        }
        let told = record["totals"].as_object().expect("an object").iter();
        let told: BTreeMap<_, _> = told.map(|(name, rows)| (name.as_str(), rows.as_u64().unwrap_or_default())).collect();
        let differs = told.iter().any(|(name, rows)| totals.get(name).copied().unwrap_or_default() != *rows);
        if record["status"] != "completed" || record["report"]["sha256"] != sha256 || differs {
            self.wrong.push(format!("the record does not tell of its report: {record}"));
        }
        let failures = report.lines.iter().any(|line| !matches!(line[2].as_str(), "granted" | "ended" | "inactive"));
        let mut expected = vec!["in.csv", "in.report.csv", "in.report.failed.csv", "in.report.run.json"];
        expected.retain(|name| failures || *name != "in.report.failed.csv");
        // A run that finds itself finished writes no metrics.
        names.retain(|name| !name.starts_with("run.prom"));
        if names != expected {
            self.wrong.push(format!("there are {names:?}"));
        }
    }
}

/// The results of many trials.
#[derive(Debug, Default)]
pub(crate) struct Trials {
    count: AtomicU32,
    wrong: Mutex<Vec<String>>,
}

impl Trials {
    /// Counts a disturbance.
    pub(crate) fn counted(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn so_far(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }

    /// Records the errors of a finished trial, under its name.
    pub(crate) fn judged(&self, name: &str, wrong: &[String]) {
        self.wrong.lock().expect("whole").extend(wrong.iter().map(|wrong| format!("{name}: {wrong}")));
    }

    /// Prints how many disturbances there were; fails if there was any error.
    #[expect(clippy::print_stdout, reason = "what a long run ends with")]
    pub(crate) fn conclude(self, what: &str, began: Instant) {
        let wrong = self.wrong.into_inner().expect("whole");
        let count = self.count.into_inner();
        println!("{count} {what}, {} violations, {} s", wrong.len(), began.elapsed().as_secs());
        assert!(wrong.is_empty(), "{} of {count} {what}:\n{}", wrong.len(), wrong.join("\n"));
    }
}

/// Runs `trial` with the numbers from 1 on, on several threads, until it returns that it was the last.
pub(crate) fn each(trial: impl Fn(u32) -> bool + Sync) {
    let (next, is_over) = (AtomicU32::new(1), std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..TOGETHER {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    if trial(next.fetch_add(1, Ordering::SeqCst)) {
                        is_over.store(true, Ordering::SeqCst);
                    }
                }
            });
        }
    });
}

/// How many disturbances to run: the value of the variable `name`, or `few`, which are enough between two changes.
pub(crate) fn wanted(name: &str, few: u32) -> u32 {
    std::env::var(name).map_or(few, |number| number.parse().expect("a number"))
}
