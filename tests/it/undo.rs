//! `grant --look-first` and `end --restore`: what was there before an incident is there after it.

use std::collections::HashMap;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use pingone_bypass::sandbox::{LoggedCall, SandboxConfig};
use pingone_bypass::{BypassUntil, UserId};

use crate::harness::{Done, Field, field, field_with};

/// Of the users, these many have a longer bypass, and as many a shorter one.
const SOME: usize = 100;
const USERS: usize = 400;
/// How many users somebody else changes between the grant and its end.
const CHANGED: usize = 20;
/// How often a run is killed.
const KILLS: usize = 5;

fn in_hours(hours: i64, index: usize) -> BypassUntil {
    let seconds = i64::try_from(index).expect("few");
    BypassUntil::from_instant(Utc::now() + TimeDelta::hours(hours) + TimeDelta::seconds(seconds)).expect("in range")
}

/// A directory, and what its users had at first.
struct World {
    field: Field,
    users: Vec<UserId>,
    before: HashMap<UserId, BypassUntil>,
}

impl World {
    /// Of the users, a quarter has a longer bypass than four hours, a quarter a shorter one, and half of them none.
    fn new(config: SandboxConfig) -> Self {
        let field = field_with(config);
        let users: Vec<UserId> =
            (1..=USERS).map(|number| format!("00000000-0000-4000-8000-{number:012}").parse().expect("a UUID")).collect();
        let longer = (0..SOME).map(|index| (index * 4, 24));
        let shorter = (0..SOME).map(|index| (index * 4 + 1, 2));
        let before: HashMap<_, _> = longer.chain(shorter).map(|(index, hours)| (users[index], in_hours(hours, index))).collect();
        for (user, until) in &before {
            field.sandbox.set_bypass(*user, *until);
        }
        field.write("in.csv", format!("userID,team\n{}\n", users.iter().map(|user| format!("{user},a")).collect::<Vec<_>>().join("\n")));
        Self { field, users, before }
    }

    fn previous(&self, user: UserId) -> String {
        self.before.get(&user).map_or_else(|| "none".to_owned(), ToString::to_string)
    }

    /// Every user of the report is kept or granted, and what it says of the time before is true.
    fn assert_granted(&self) {
        let report = self.field.report("in.report.csv");
        assert!(report.is_whole(USERS));
        for (line, user) in report.lines.iter().zip(&self.users) {
            let is_kept = self.before.get(user).is_some_and(|until| until.instant() > Utc::now() + TimeDelta::hours(5));
            let held = self.field.sandbox.bypass_of(*user).map(|until| until.to_string());
            assert_eq!(line[1], user.to_string());
            assert_eq!((line[2].as_str(), line[6].clone()), (if is_kept { "kept" } else { "granted" }, self.previous(*user)), "{line:?}");
            assert_eq!(held.as_ref(), Some(&line[4]), "{line:?}");
        }
        assert_eq!((report.count("kept"), report.count("granted")), (SOME, USERS - SOME));
    }

    /// Somebody changes some users whom the grant has changed: half of them get more time, half less.
    fn change(&self) -> HashMap<UserId, BypassUntil> {
        let granted = (0..USERS).filter(|index| index % 4 != 0).step_by(11).take(CHANGED);
        let changed: HashMap<_, _> =
            granted.enumerate().map(|(nth, index)| (self.users[index], in_hours(if nth % 2 == 0 { 9 } else { 3 }, index))).collect();
        for (user, until) in &changed {
            self.field.sandbox.set_bypass(*user, *until);
        }
        assert_eq!(changed.len(), CHANGED);
        changed
    }

    /// Compares report and sandbox, user by user, after the grant was undone.
    fn assert_undone(&self, changed: &HashMap<UserId, BypassUntil>) {
        let report = self.field.report("undone.csv");
        assert!(report.is_whole(USERS));
        for (line, user) in report.lines.iter().zip(&self.users) {
            let held = self.field.sandbox.bypass_of(*user);
            let result = line[2].as_str();
            match (changed.get(user), self.before.get(user)) {
                (Some(until), _) => assert_eq!((result, held), ("changed", Some(*until)), "{line:?}"),
                (None, Some(until)) => {
                    assert_eq!(held, Some(*until), "{line:?}");
                    assert!(["restored", "untouched"].contains(&result), "{line:?}");
                }
                (None, None) => {
                    assert!(held.is_some_and(|held| held.instant() <= Utc::now() + TimeDelta::seconds(60)), "{line:?}: {held:?}");
                    // Where a process was killed, the near date may have passed before the next one looked.
                    assert!(["ended", "inactive"].contains(&result), "{line:?}");
                }
            }
        }
        assert_eq!((report.count("changed"), report.count("untouched")), (CHANGED, SOME));
        let record = fs::read(self.field.path("undone.run.json")).expect("a record");
        let record: serde_json::Value = serde_json::from_slice(&record).expect("JSON");
        assert_eq!(
            (&record["operation"], &record["options"]["restore"], &record["totals"]["changed"]),
            (&"end".into(), &true.into(), &CHANGED.into())
        );
    }

    fn lines(&self, name: &str) -> usize {
        fs::read_to_string(self.field.path(name)).map_or(0, |text| text.lines().count())
    }

    /// Runs to the end, killed several times on the way, each time after some more lines.
    fn run_and_kill(&self, arguments: &[&str], journal: &str, seed: u64) -> Done {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut kills = 0;
        while kills < KILLS {
            let mut child = self.field.tool(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool runs");
            let (began, wanted) = (Instant::now(), self.lines(journal).max(1) + random.usize(20..60));
            while self.lines(journal) < wanted && child.try_wait().expect("known").is_none() && began.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(random.u64(0..10)));
            assert!(child.try_wait().expect("known").is_none(), "it ended before it was killed {KILLS} times: {kills}");
            child.kill().expect("it runs");
            child.wait().expect("it ended");
            kills += 1;
        }
        self.field.run(arguments)
    }
}

fn methods(calls: &[LoggedCall]) -> [usize; 2] {
    ["GET", "PUT"].map(|method| calls.iter().filter(|call| call.method == method).count())
}

#[test]
fn after_a_grant_that_looked_first_everybody_has_again_what_they_had() {
    let world = World::new(SandboxConfig::default());
    let field = &world.field;
    let granted = field.run(&["grant", "in.csv", "--look-first", "--until", "+4h", "--rate", "unlimited"]);
    assert_eq!(granted.code, 0, "{}", granted.stderr);
    for expected in ["requests   400 GETs, as fast as they are answered; at most 400 PUTs", "granted        300", "kept           100"] {
        assert!(granted.stderr.contains(expected), "{}\nshould have: {expected}", granted.stderr);
    }
    assert_eq!(methods(&field.api_calls()), [400, 300]);
    world.assert_granted();
    let changed = world.change();
    let undone = field.run(&["end", "in.report.csv", "--restore", "-o", "undone.csv", "--rate", "unlimited"]);
    assert_eq!(undone.code, 1, "{}", undone.stderr);
    let told = "restore    100 to the end date that they had, 200 to an end; 100 untouched";
    for expected in
        [told, "end dates  1 min after each is asked for", "requests   300 GETs", "changed         20 (failed)", "untouched      100"]
    {
        assert!(undone.stderr.contains(expected), "{}\nshould have: {expected}", undone.stderr);
    }
    assert_eq!(methods(&field.api_calls()), [300, 280]);
    world.assert_undone(&changed);
    // The rows that failed are the report's own, and may be tried again.
    let again = field.run(&["end", "undone.failed.csv", "--restore", "-o", "again.csv"]);
    assert_eq!((again.code, field.report("again.csv").count("changed")), (1, CHANGED), "{}", again.stderr);
}

#[test]
fn killed_five_times_on_either_way_it_is_the_same() {
    let faults = "500=5%,reset=3%,429=2%".parse().expect("faults");
    let world = World::new(SandboxConfig { faults, latency: Duration::from_millis(4), ..SandboxConfig::default() });
    let options = ["--rate", "400/s", "--concurrency", "16", "--max-failures", "100%", "--resume"];
    let grant = [&["grant", "in.csv", "--look-first", "--until", "+4h"], &options[..]].concat();
    let granted = world.run_and_kill(&grant, "in.report.partial.csv", 1);
    assert_eq!(granted.code, 0, "{}", granted.stderr);
    world.assert_granted();
    let changed = world.change();
    let end = [&["end", "in.report.csv", "--restore", "-o", "undone.csv"], &options[..]].concat();
    let undone = world.run_and_kill(&end, "undone.partial.csv", 2);
    assert_eq!(undone.code, 1, "{}", undone.stderr);
    world.assert_undone(&changed);
}

#[test]
fn a_report_that_does_not_tell_what_was_there_before_is_refused_before_anything_is_sent() {
    let field = field();
    field.users(20, "+4h");
    assert_eq!(field.run(&["grant", "in.csv", "--rate", "unlimited"]).code, 0);
    let report = fs::read_to_string(field.path("in.report.csv")).expect("a report");
    let earlier: String = report
        .lines()
        .map(|line| line.split(',').enumerate().filter(|(nth, _)| *nth != 6).map(|(_, value)| value).collect::<Vec<_>>().join(",") + "\n")
        .collect();
    field.write("earlier.csv", earlier);
    field.calls();
    for (input, error, hint) in [
        ("in.report.csv", "20 of 20 rows are invalid", "a grant tells what was there before with `--look-first`"),
        ("earlier.csv", "earlier.csv:1: there is no column `previousUntil`", "`end --restore` takes the report of a `grant --look-first`"),
        ("in.csv", "in.csv:1: there is no column `bypassMFAEnabledUntil`", "`end --restore` takes the report of a `grant --look-first`"),
    ] {
        let refused = field.run(&["end", input, "--restore", "-o", "undone.csv"]);
        assert!(refused.code == 2 && refused.stderr.contains(error), "{}", refused.stderr);
        assert!(refused.stderr.contains(&format!("\nhint: {hint}")), "{}", refused.stderr);
    }
    assert!(field.calls().is_empty() && !field.path("undone.csv").exists());
    for option in ["--until", "--user-column", "--no-headers"] {
        let value = if option == "--no-headers" { &[][..] } else { &["x"] };
        let refused = field.run(&[&["end", "in.report.csv", "--restore", option][..], value].concat());
        assert_eq!(refused.code, 2, "{option}: {}", refused.stderr);
    }
}

/// With `--max-window`, a grant of less than what somebody had: what was there is not a matter of windows.
#[test]
fn an_earlier_date_beyond_the_window_is_given_back() {
    let field = field();
    let user = field.sandbox.user_id(1);
    let before = in_hours(24 * 30, 0);
    field.sandbox.set_bypass(user, before);
    field.write("in.csv", format!("userID\n{user}\n"));
    let done = field.run(&["grant", "in.csv", "--look-first", "--until", "+40d"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let done = field.run(&["end", "in.report.csv", "--restore", "-o", "undone.csv"]);
    assert_eq!((done.code, field.sandbox.bypass_of(user)), (0, Some(before)), "{}", done.stderr);
    assert_eq!(field.report("undone.csv").column("result"), ["restored"]);
}

#[test]
fn a_run_is_taken_up_only_as_it_was_begun() {
    let field = field_with(SandboxConfig { faults: "400=100%".parse().expect("faults"), ..SandboxConfig::default() });
    field.users(3, "+4h");
    let look_first = ["grant", "in.csv", "--look-first", "--max-failures", "0", "--concurrency", "1"];
    let stopped = field.run(&look_first);
    assert!(stopped.code == 3 && field.path("in.report.partial.csv").exists(), "{}", stopped.stderr);
    let refused = field.run(&["grant", "in.csv", "--resume"]);
    let expected = "the operation was `grant --look-first` and is `grant`";
    assert!(refused.code == 2 && refused.stderr.contains(expected), "{}", refused.stderr);
    let now: DateTime<Utc> = Utc::now();
    let date = |hours| BypassUntil::from_instant(now + TimeDelta::hours(hours)).expect("in range").to_string();
    let lines: String =
        (0..3).map(|index| format!("{},granted,{},{},{}\n", field.sandbox.user_id(index), date(4), date(4), date(1))).collect();
    field.write("granted.csv", format!("userID,result,bypassMFAEnabledUntil,requestedUntil,previousUntil\n{lines}"));
    let restore = ["end", "granted.csv", "--restore", "--max-failures", "0", "--concurrency", "1"];
    let stopped = field.run(&restore);
    assert_eq!(stopped.code, 3, "{}", stopped.stderr);
    for (arguments, is) in
        [(vec!["end", "granted.csv"], "end"), (vec!["end", "granted.csv", "--restore", "--in", "2m"], "end --restore --in 2m")]
    {
        let refused = field.run(&[&arguments[..], &["--resume"]].concat());
        let expected = format!("the operation was `end --restore --in 1m` and is `{is}`");
        assert!(refused.code == 2 && refused.stderr.contains(&expected), "{}", refused.stderr);
    }
}
