//! Tests that no report says anything false about a user. Runs are killed, stopped or denied disk space at any point, and
//! resumed against a PingOne that may behave differently each time, with the program's own files from the first row to the
//! published report.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::*;
use tokio::sync::{mpsc, watch};

use super::context::{READ_AHEAD, RunResults};
use super::csv_source::CsvSource;
use super::error::RunError;
use super::feed::{ResumePoint, RowFeed};
use super::finish::{Conclusion, report_finished};
use super::metrics_file::MetricsFile;
use super::source::{ResolvedSource, RowSource};
use super::target::TargetInfo;
use super::workspace::Workspace;
use crate::cli::{Cli, Command};
use crate::clock::Clock;
use crate::config::{RunConfig, Users};
use crate::domain::{BypassUntil, Outcome, RunId};
use crate::file_error::FileError;
use crate::fuzz::cases;
use crate::pace::Rate;
use crate::pingone::Limits;
use crate::report::{COLUMNS, Destination, HoldsRecord, NotWritten, ReportFiles, RequestsRecord, RunRecord};
use crate::run::Ended;
use crate::run::script::{Event, PATIENCE, Script, now, pipeline, user};
use crate::stop::{Signal, Stop};
use crate::ui::Console;

/// How the pipeline ended, and the number of rows, if known.
type PipelineResult = (Ended, Result<Option<u64>, RunError>);

/// How one process of the program ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// By itself.
    Own,
    /// By `kill -9` or a power cut after this many milliseconds, with this share of the journal on disk.
    Killed { after: u64, kept: f64 },
    /// By a signal after this many milliseconds, and perhaps a second one this much later.
    Stopped { after: u64, second: Option<u64> },
    /// The disk is full after this share of the journal.
    Starved { after: u64, kept: f64 },
}

/// One process of the program, and how PingOne behaves during it.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) scripts: Vec<Vec<Event>>,
    pub(super) end: End,
    pub(super) max_attempts: u32,
    pub(super) give_up_after: u64,
    /// Whether the end date of a grant has passed when this process resumes an earlier one.
    pub(super) is_late: bool,
}

impl End {
    /// The result of `running`, which `stop` can stop, until this end.
    async fn of(self, running: impl Future<Output = PipelineResult>, stop: &Stop) -> PipelineResult {
        match self {
            Self::Own => running.await,
            Self::Killed { after, .. } | Self::Starved { after, .. } => tokio::select! {
                biased;
                result = running => result,
                () = tokio::time::sleep(Duration::from_millis(after)) => (Ended::default(), Ok(None)),
            },
            Self::Stopped { after, second } => {
                let signals = async {
                    for wait in [Some(after), second].into_iter().flatten() {
                        tokio::time::sleep(Duration::from_millis(wait)).await;
                        stop.signal(Signal::Terminate);
                    }
                };
                tokio::join!(running, signals).0
            }
        }
    }

    /// Whether the journal was written, given that it `finished` this way; `None` if the process was killed.
    fn written(self, files: &ReportFiles, finished: Result<(), NotWritten>) -> Option<Result<(), NotWritten>> {
        match self {
            Self::Killed { kept, .. } => {
                cut(files, kept);
                None
            }
            Self::Starved { kept, .. } => {
                cut(files, kept);
                let full = FileError::new("written", &files.partial, std::io::ErrorKind::StorageFull.into());
                Some(Err(NotWritten::File(full)))
            }
            Self::Own | Self::Stopped { .. } => Some(finished),
        }
    }
}

impl Life {
    fn limits(&self) -> Limits {
        Limits { max_attempts: self.max_attempts, give_up_after: Duration::from_secs(self.give_up_after), ..PATIENCE }
    }

    /// How much later it is than the clock says.
    fn late(&self) -> TimeDelta {
        if self.is_late { TimeDelta::hours(2) } else { TimeDelta::zero() }
    }
}

/// Any event but a false answer: a 200 tells the truth, and the five statuses that rule out an applied PUT do so truthfully.
fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Good),
        2 => Just(Event::Lost),
        1 => Just(Event::Silence),
        1 => Just(Event::NoConnection),
        1 => Just(Event::Garbled),
        1 => Just(Event::Maintenance),
        2 => (300_u16..600).prop_map(Event::Status),
        2 => prop::sample::select(vec![400_u16, 401, 403, 404, 429]).prop_map(Event::Status),
        3 => (300_u16..600).prop_filter("says that it was not", |status| ![400, 401, 403, 404, 429].contains(status)).prop_map(Event::Applied),
        1 => (prop::sample::select(vec![429_u16, 503]), 0..40_u64).prop_map(|(status, wait)| Event::RetryAfter(status, wait)),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        1 => Just(End::Own),
        2 => (0_u64..8_000, 0.0..=1.0).prop_map(|(after, kept)| End::Killed { after, kept }),
        2 => (0_u64..8_000, prop::option::of(0_u64..2_000)).prop_map(|(after, second)| End::Stopped { after, second }),
        2 => (0_u64..8_000, 0.0..=1.0).prop_map(|(after, kept)| End::Starved { after, kept }),
    ]
}

pub(super) fn life(rows: usize) -> impl Strategy<Value = Life> {
    let scripts = prop::collection::vec(prop::collection::vec(event(), 0..6), rows);
    (scripts, end(), 1_u32..5, 1_u64..90, prop::bool::weighted(0.1)).prop_map(|(scripts, end, max_attempts, give_up_after, is_late)| Life {
        scripts,
        end,
        max_attempts,
        give_up_after,
        is_late,
    })
}

pub(super) const GRANT: &[&str] = &["grant", "--until", "+1h", "--max-window", "40000d"];
pub(super) const LOOK_AND_GRANT: &[&str] = &["grant", "--look-first", "--until", "+1h", "--max-window", "40000d"];
const END: &[&str] = &["end"];
const AUDIT: &[&str] = &["audit"];

/// A folder with an input, and what PingOne knows of its users.
pub(super) struct World {
    folder: tempfile::TempDir,
    command: &'static [&'static str],
    /// The names of the input and of the report.
    pub(super) files: [&'static str; 2],
    run: RunId,
    pub(super) bypasses: HashMap<u64, BypassUntil>,
    unconfirmed: std::collections::HashSet<u64>,
}

impl World {
    pub(super) fn new(command: &'static [&'static str], rows: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let users: String = (1..=rows as u64).map(|row| format!("{}\n", user(row))).collect();
        std::fs::write(folder.path().join("in.csv"), format!("userID\n{users}")).expect("written");
        let later = BypassUntil::from_instant(now() + TimeDelta::days(1)).expect("in range");
        let bypasses = if command[0] == "end" { (1..=rows as u64).map(|row| (row, later)).collect() } else { HashMap::new() };
        Self { folder, command, files: ["in.csv", "r.csv"], run: RunId::random(), bypasses, unconfirmed: std::collections::HashSet::new() }
    }

    /// Goes on with a run of this `command` and these files.
    pub(super) fn begin(&mut self, command: &'static [&'static str], files: [&'static str; 2]) {
        (self.command, self.files, self.run) = (command, files, RunId::random());
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn config(&self) -> (RunConfig, Console) {
        let [input, report] = self.files.map(|name| self.path(name));
        let always = ["-o", &report, "--sandbox", "--resume", "-q", "--max-failures", "100%", &input];
        let typed = [&["pingone-bypass"], self.command, &always[..]].concat();
        let cli = Cli::read(typed).expect("sound");
        let console = Console::of(&cli);
        let config = match cli.command {
            Command::Grant(arguments) => RunConfig::of_grant(arguments),
            Command::End(arguments) => RunConfig::of_end(arguments),
            Command::Audit(arguments) => RunConfig::of_audit(arguments),
            Command::Diff(_)
            | Command::Merge(_)
            | Command::Verify(_)
            | Command::Users(_)
            | Command::Page(_)
            | Command::Doctor(_)
            | Command::Explain(_)
            | Command::Man(_)
            | Command::Sandbox(_)
            | Command::Completions { .. } => panic!("not of this test"),
        };
        (config.expect("sound"), console)
    }

    /// Runs one process. Returns the exit code, if the process lived to return one.
    pub(super) fn live(&mut self, life: &Life) -> Option<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let scripts: HashMap<_, _> = (1..).zip(life.scripts.clone()).collect();
        let script = Arc::new(Script {
            rows: Mutex::new(scripts),
            latency: Duration::from_millis(50),
            bypasses: Mutex::new(std::mem::take(&mut self.bypasses)),
            unconfirmed: Mutex::new(std::mem::take(&mut self.unconfirmed)),
            ..Script::default()
        });
        let code = runtime.block_on(self.process(&script, life));
        self.bypasses.clone_from(&script.bypasses.lock().expect("whole"));
        self.unconfirmed.clone_from(&script.unconfirmed.lock().expect("whole"));
        code
    }

    /// Does what `run` does, with a script in place of HTTP.
    async fn process(&self, script: &Arc<Script>, life: &Life) -> Option<u8> {
        let (config, console) = self.config();
        let Destination::Files(files) = config.destination.clone() else { panic!("files") };
        let Users::File(path) = &config.users else { panic!("a file") };
        let workspace = Workspace::open(ReportFiles::clone(&files), config.existing).expect("no other process has it");
        let clock = Clock::of_this_machine().expect("after 1970");
        let (start, run) = workspace.origin().unwrap_or_else(|| (clock.millis(), self.run));
        let source = CsvSource::read(path, &config, start, &Stop::default(), &console).await.and_then(|read| read.approve(None));
        let source = source.expect("valid");
        let mut record = RunRecord::of(&config, source.record(), start, &TargetInfo::of(&config.connection), run);
        workspace.refuse_another(&mut record).expect("the same run");
        if let Some(former) = workspace.finished() {
            return Some(report_finished(&files, former.clone(), &[], clock, &console).expect("its own report").0);
        }
        let source = source.resolved();
        let mut index = workspace.index(record.input.rows.expect("a file")).expect("readable");
        let journal = workspace.begin(config.operation, &mut record, &source, &mut index).expect("a journal");
        let (before, is_resumed) = (index.settled_tally(), index.has_header());
        let mut pipeline = pipeline(script, Rate::PerSecond(20.0), 4, life.limits());
        pipeline.rules.is_resumed = is_resumed;
        let now = clock.now() + life.late();
        let resume_point = ResumePoint { index, journal: None, in_doubt_up_to: record.in_doubt_up_to, now };
        let (rows, feed) = source.into_feed(resume_point).expect("rows");
        let expected = feed.expected();
        let (send, receive) = mpsc::channel(READ_AHEAD);
        let (tally, _seen) = watch::channel(before);
        let running = async { tokio::join!(pipeline.run(receive, journal.appender(), tally), feed.run(&pipeline, send)) };
        let (ended, all) = life.end.of(running, &pipeline.stop).await;
        let written = life.end.written(&files, journal.finish().await)?;
        let results = RunResults {
            ended,
            rows: all,
            expected,
            written,
            requests: RequestsRecord::default(),
            sent_for_users: !script.sent.lock().expect("whole").is_empty(),
            statuses: BTreeMap::new(),
            took: Duration::ZERO,
            holds: HoldsRecord::default(),
            held: Duration::ZERO,
            finished: clock.millis(),
        };
        let metrics = MetricsFile::of(&config);
        let conclusion = Conclusion {
            config: &config,
            console: &console,
            metrics: &metrics,
            target: "",
            workspace: &workspace,
            to_resume: "",
            record,
            before,
        };
        Some(conclusion.conclude(results, &*rows).expect("files can be written"))
    }

    /// What the report says of each row, or the last line of the journal if there is no report.
    pub(super) fn reported(&self) -> HashMap<u64, (Outcome, String)> {
        let report = Path::new(&self.path(self.files[1])).to_owned();
        let path = if report.exists() { report } else { report.with_extension("partial.csv") };
        // The last line may be torn.
        let mut text = std::fs::read(path).unwrap_or_default();
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let until = COLUMNS.iter().position(|name| *name == "bypassMFAEnabledUntil").expect("a column");
        let lines = reader.records().map(|line| line.expect("CSV"));
        lines.map(|line| (line[0].parse().expect("a row"), (Outcome::named(&line[2]).expect("a result"), line[until].to_owned()))).collect()
    }

    /// Compares what the lines say with the truth. A `failed` row that was sent again and whose new line was lost keeps its old
    /// line until the run is resumed; the record says so.
    fn check(&self, after: &str, end: End) -> Result<(), TestCaseError> {
        // Each process's clock starts again, before the end of the previous one.
        let soon = now() + TimeDelta::hours(1);
        let is_whole = matches!(end, End::Own | End::Stopped { .. });
        for (row, (outcome, until)) in self.reported().into_iter().filter(|(_, (outcome, _))| is_whole || *outcome != Outcome::Failed) {
            let bypass = self.bypasses.get(&row).copied();
            let is_unconfirmed = self.unconfirmed.contains(&row);
            match outcome {
                Outcome::Failed | Outcome::Rejected | Outcome::NotFound | Outcome::Inactive | Outcome::Invalid => {
                    prop_assert!(!is_unconfirmed, "{after}: row {row} is {outcome}, and a PUT was carried out: {bypass:?}");
                }
                Outcome::Granted | Outcome::Kept => {
                    prop_assert_eq!(bypass.map(|until| until.to_string()), Some(until), "{}: row {} is granted", after, row);
                }
                Outcome::Ended => {
                    prop_assert!(bypass.is_none_or(|until| until.instant() < soon), "{after}: row {row} is ended: {bypass:?}");
                }
                Outcome::Unknown | Outcome::Mismatch => {}
                Outcome::Restored | Outcome::Changed | Outcome::Untouched | Outcome::Active | Outcome::Ambiguous | Outcome::Duplicate => {
                    prop_assert!(false, "{after}: row {row} is {outcome}");
                }
            }
        }
        Ok(())
    }
}

/// Truncates the journal to this share of what follows its header.
fn cut(files: &ReportFiles, kept: f64) {
    let text = std::fs::read(&files.partial).expect("a journal");
    let header = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| end + 1);
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "any place will do")]
    let length = header + ((text.len() - header) as f64 * kept) as usize;
    std::fs::write(&files.partial, &text[..length]).expect("written");
}

/// A `failed` row is sent again by a run that is killed, and not by the next run, which is stopped at once or starts after the
/// end date.
#[test]
fn a_failed_row_that_may_have_been_sent_again_becomes_unknown() {
    let life = |events: &[Event], end, is_late| Life { scripts: vec![events.to_vec()], end, max_attempts: 1, give_up_after: 60, is_late };
    for last in [life(&[], End::Stopped { after: 0, second: None }, false), life(&[], End::Own, true)] {
        let mut world = World::new(GRANT, 1);
        world.live(&life(&[Event::NoConnection], End::Killed { after: 5_000, kept: 1.0 }, false));
        assert_eq!(world.reported()[&1].0, Outcome::Failed);
        world.live(&life(&[Event::Lost], End::Killed { after: 60, kept: 1.0 }, false));
        assert!(world.unconfirmed.contains(&1), "it was carried out, and no line says so: {:?}", world.reported());
        world.live(&last);
        assert_eq!(world.reported()[&1].0, Outcome::Unknown, "{last:?}");
    }
}

/// Reads may be repeated, so they leave no doubt.
#[test]
fn a_read_that_failed_before_a_kill_stays_failed() {
    let life = |events: &[Event], end| Life { scripts: vec![events.to_vec()], end, max_attempts: 1, give_up_after: 60, is_late: false };
    let mut world = World::new(AUDIT, 1);
    world.live(&life(&[Event::Silence], End::Killed { after: 5_000, kept: 1.0 }));
    world.live(&life(&[], End::Stopped { after: 0, second: None }));
    assert_eq!(world.reported()[&1].0, Outcome::Failed);
}

proptest! {
    #![proptest_config(cases(64))]

    /// No line says `failed`, `rejected`, `not_found` or `inactive` about a user for whom a PUT was applied and whose status
    /// nobody has read since, and none says `granted` or `ended` falsely.
    #[test]
    fn whatever_happens_no_line_is_false(
        command in prop::sample::select(vec![GRANT, LOOK_AND_GRANT, END]),
        lives in (1_usize..16).prop_flat_map(|rows| prop::collection::vec(life(rows), 1..5)),
    ) {
        let rows = lives[0].scripts.len();
        let mut world = World::new(command, rows);
        for (number, life) in lives.iter().enumerate() {
            world.live(life);
            world.check(&format!("life {number}, which ended by {:?}", life.end), life.end)?;
        }
        let last = Life { scripts: vec![Vec::new(); rows], end: End::Own, max_attempts: 8, give_up_after: 600, is_late: false };
        prop_assert!(matches!(world.live(&last), Some(0 | 1)));
        world.check("the last life", last.end)?;
        prop_assert_eq!(world.reported().len(), rows, "every row has a line");
    }
}
