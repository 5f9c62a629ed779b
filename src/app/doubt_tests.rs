//! Is ever said of a user what is not so? Runs that are killed, stopped or starved of disk at any point, and taken up
//! against a PingOne that may behave otherwise each time, with the program's own files from the first row to the
//! published report.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::*;
use tokio::sync::{mpsc, watch};

use super::context::{READ_AHEAD, Ran};
use super::csv_source::CsvSource;
use super::error::RunError;
use super::feed::{Left, RowFeed};
use super::finish::{Conclusion, report_again};
use super::source::{ResolvedSource, RowSource, SourceRows};
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
use crate::report::{COLUMNS, Destination, NotWritten, ReportFiles, RequestsRecord, RunRecord};
use crate::run::Ended;
use crate::run::script::{Event, PATIENCE, Script, now, pipeline, user};
use crate::stop::{Signal, Stop};
use crate::ui::Console;

/// How a run ended, and how many rows there were, if that is known.
type Came = (Ended, Result<Option<u64>, RunError>);

/// How one life of the program ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// By itself.
    Own,
    /// `kill -9` or a power cut after so many milliseconds; so much of the journal is on disk then.
    Killed { after: u64, kept: f64 },
    /// A signal after so many milliseconds, and perhaps a second one so much later.
    Stopped { after: u64, second: Option<u64> },
    /// The disk is full: so much of the journal could be written.
    Starved { after: u64, kept: f64 },
}

/// One life of the program, and how PingOne behaves meanwhile.
#[derive(Debug, Clone)]
struct Life {
    scripts: Vec<Vec<Event>>,
    end: End,
    max_attempts: u32,
    give_up_after: u64,
    /// Whether the end date of a grant has passed when it begins, if it takes up another.
    is_late: bool,
}

impl End {
    /// What comes of a run that is `running`, and can be stopped, until this end.
    async fn of(self, running: impl Future<Output = Came>, stop: &Stop) -> Came {
        match self {
            Self::Own => running.await,
            Self::Killed { after, .. } | Self::Starved { after, .. } => tokio::select! {
                biased;
                came = running => came,
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

    /// Whether the journal was written, which has been `finished`; `None` if nobody came to ask.
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

/// Anything but lies: what is answered by 200 is so, and the five statuses that say that nothing was carried out are true.
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

fn life(rows: usize) -> impl Strategy<Value = Life> {
    let scripts = prop::collection::vec(prop::collection::vec(event(), 0..6), rows);
    (scripts, end(), 1_u32..5, 1_u64..90, prop::bool::weighted(0.1)).prop_map(|(scripts, end, max_attempts, give_up_after, is_late)| Life {
        scripts,
        end,
        max_attempts,
        give_up_after,
        is_late,
    })
}

const UNTIL: &str = "+1h";

/// A folder with an input, and what PingOne knows of its users.
struct World {
    folder: tempfile::TempDir,
    command: &'static str,
    run: RunId,
    bypasses: HashMap<u64, BypassUntil>,
    untold: std::collections::HashSet<u64>,
}

impl World {
    fn new(command: &'static str, rows: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let users: String = (1..=rows as u64).map(|row| format!("{}\n", user(row))).collect();
        std::fs::write(folder.path().join("in.csv"), format!("userID\n{users}")).expect("written");
        let later = BypassUntil::from_instant(now() + TimeDelta::days(1)).expect("in range");
        let bypasses = if command == "end" { (1..=rows as u64).map(|row| (row, later)).collect() } else { HashMap::new() };
        Self { folder, command, run: RunId::random(), bypasses, untold: std::collections::HashSet::new() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn config(&self) -> (RunConfig, Console) {
        let (input, report) = (self.path("in.csv"), self.path("r.csv"));
        let mut typed =
            vec!["pingone-bypass", self.command, &input, "-o", &report, "--sandbox", "--resume", "-q", "--max-failures", "100%"];
        if self.command == "grant" {
            typed.extend(["--until", UNTIL, "--max-window", "40000d"]);
        }
        let cli = Cli::read(typed).expect("sound");
        let console = Console::of(&cli);
        let config = match cli.command {
            Command::Grant(arguments) => RunConfig::of_grant(arguments),
            Command::End(arguments) => RunConfig::of_end(arguments),
            Command::Audit(arguments) => RunConfig::of_audit(arguments),
            Command::Diff(_) | Command::Sandbox(_) | Command::Completions { .. } => panic!("not of this test"),
        };
        (config.expect("sound"), console)
    }

    /// Lives once; answers the exit code, if the program came to give one.
    fn live(&mut self, life: &Life) -> Option<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let scripts: HashMap<_, _> = (1..).zip(life.scripts.clone()).collect();
        let script = Arc::new(Script {
            rows: Mutex::new(scripts),
            latency: Duration::from_millis(50),
            bypasses: Mutex::new(std::mem::take(&mut self.bypasses)),
            untold: Mutex::new(std::mem::take(&mut self.untold)),
            ..Script::default()
        });
        let code = runtime.block_on(self.process(&script, life));
        self.bypasses.clone_from(&script.bypasses.lock().expect("whole"));
        self.untold.clone_from(&script.untold.lock().expect("whole"));
        code
    }

    /// What `run` does, with a script in the place of HTTP.
    async fn process(&self, script: &Arc<Script>, life: &Life) -> Option<u8> {
        let (config, console) = self.config();
        let Destination::Files(files) = config.destination.clone() else { panic!("files") };
        let Users::File(path) = &config.users else { panic!("a file") };
        let workspace = Workspace::open(files.clone(), config.existing).expect("no other process has it");
        let clock = Clock::of_this_machine().expect("after 1970");
        let (start, run) = workspace.origin().unwrap_or_else(|| (clock.millis(), self.run));
        let source = CsvSource::read(path, &config, start, &Stop::default(), &console).await.and_then(|read| read.approve(None));
        let source = source.expect("valid");
        let mut record = RunRecord::of(&config, source.record(), start, &TargetInfo::of(&config.connection), run);
        workspace.refuse_another(&mut record).expect("the same run");
        if let Some(former) = workspace.finished() {
            let mut originals = SourceRows::original_rows(source.rows()).expect("rows");
            return Some(report_again(&files, former.clone(), &mut *originals, clock, &console).expect("its own report"));
        }
        let source = source.resolved();
        let (journal, recovered) = workspace.begin(config.operation, &mut record, &source.carried_names()).expect("a journal");
        let (before, is_resumed) = (recovered.for_good(), recovered.has_header());
        let mut pipeline = pipeline(script, Rate::PerSecond(20.0), 4, life.limits());
        pipeline.rules.is_resumed = is_resumed;
        let now = clock.now() + life.late();
        let left = Left { recovered, journal: None, in_doubt_up_to: record.in_doubt_up_to, now };
        let (rows, feed) = source.into_feed(left).expect("rows");
        let expected = feed.expected();
        let (send, receive) = mpsc::channel(READ_AHEAD);
        let (tally, _seen) = watch::channel(before);
        let running = async { tokio::join!(pipeline.run(receive, journal.appender(), tally), feed.run(&pipeline, send)) };
        let (ended, all) = life.end.of(running, &pipeline.stop).await;
        let written = life.end.written(&files, journal.finish().await)?;
        let ran = Ran {
            ended,
            rows: all,
            expected,
            written,
            signal: pipeline.stop.signalled(),
            requests: RequestsRecord::default(),
            sent_for_users: !script.sent.lock().expect("whole").is_empty(),
            statuses: BTreeMap::new(),
            took: Duration::ZERO,
            held: Duration::ZERO,
            finished: clock.millis(),
        };
        let conclusion =
            Conclusion { config: &config, console: &console, target: "", workspace: &workspace, to_resume: "", record, before };
        Some(conclusion.conclude(ran, &*rows).expect("files can be written"))
    }

    /// What the report, or else the journal, says of each row last.
    fn said(&self) -> HashMap<u64, (Outcome, String)> {
        let report = Path::new(&self.path("r.csv")).to_owned();
        let path = if report.exists() { report } else { Path::new(&self.path("r.partial.csv")).to_owned() };
        // A line may be torn at the end.
        let mut text = std::fs::read(path).unwrap_or_default();
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let until = COLUMNS.iter().position(|name| *name == "bypassMFAEnabledUntil").expect("a column");
        let lines = reader.records().map(|line| line.expect("CSV"));
        lines.map(|line| (line[0].parse().expect("a row"), (Outcome::named(&line[2]).expect("a result"), line[until].to_owned()))).collect()
    }

    /// Holds what is said against what is so. A row that had `failed` and was sent again, and whose new line is lost,
    /// keeps the old one in the journal until the run is taken up, as its record says.
    fn check(&self, after: &str, end: End) -> Result<(), TestCaseError> {
        // Each life's clock begins anew: before the end of the one before it.
        let soon = now() + TimeDelta::hours(1);
        let is_whole = matches!(end, End::Own | End::Stopped { .. });
        for (row, (outcome, until)) in self.said().into_iter().filter(|(_, (outcome, _))| is_whole || *outcome != Outcome::Failed) {
            let holds = self.bypasses.get(&row).copied();
            let is_untold = self.untold.contains(&row);
            match outcome {
                Outcome::Failed | Outcome::Rejected | Outcome::NotFound | Outcome::Inactive | Outcome::Invalid => {
                    prop_assert!(!is_untold, "{after}: row {row} is {outcome}, and a PUT was carried out: {holds:?}");
                }
                Outcome::Granted => {
                    prop_assert_eq!(holds.map(|until| until.to_string()), Some(until), "{}: row {} is granted", after, row);
                }
                Outcome::Ended => prop_assert!(holds.is_none_or(|until| until.instant() < soon), "{after}: row {row} is ended: {holds:?}"),
                Outcome::Unknown | Outcome::Mismatch => {}
                Outcome::Active | Outcome::Ambiguous | Outcome::Duplicate => prop_assert!(false, "{after}: row {row} is {outcome}"),
            }
        }
        Ok(())
    }
}

/// Cuts the journal off: of what follows its header, so much is left.
fn cut(files: &ReportFiles, kept: f64) {
    let text = std::fs::read(&files.partial).expect("a journal");
    let header = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| end + 1);
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "any place will do")]
    let left = header + ((text.len() - header) as f64 * kept) as usize;
    std::fs::write(&files.partial, &text[..left]).expect("written");
}

/// A row that had failed is sent again by a run that is killed, and then not sent any more: by a run that is stopped at
/// once, or whose end date has passed.
#[test]
fn a_row_that_may_have_been_sent_again_has_not_failed_any_more() {
    let life = |events: &[Event], end, is_late| Life { scripts: vec![events.to_vec()], end, max_attempts: 1, give_up_after: 60, is_late };
    for last in [life(&[], End::Stopped { after: 0, second: None }, false), life(&[], End::Own, true)] {
        let mut world = World::new("grant", 1);
        world.live(&life(&[Event::NoConnection], End::Killed { after: 5_000, kept: 1.0 }, false));
        assert_eq!(world.said()[&1].0, Outcome::Failed);
        world.live(&life(&[Event::Lost], End::Killed { after: 60, kept: 1.0 }, false));
        assert!(world.untold.contains(&1), "it was carried out, and no line says so: {:?}", world.said());
        world.live(&last);
        assert_eq!(world.said()[&1].0, Outcome::Unknown, "{last:?}");
    }
}

/// What is only read may be read twice, and leaves nothing in doubt.
#[test]
fn a_read_that_failed_before_a_kill_is_still_one_that_failed() {
    let life = |events: &[Event], end| Life { scripts: vec![events.to_vec()], end, max_attempts: 1, give_up_after: 60, is_late: false };
    let mut world = World::new("audit", 1);
    world.live(&life(&[Event::Silence], End::Killed { after: 5_000, kept: 1.0 }));
    world.live(&life(&[], End::Stopped { after: 0, second: None }));
    assert_eq!(world.said()[&1].0, Outcome::Failed);
}

proptest! {
    #![proptest_config(cases(64))]

    /// No line says `failed`, `rejected`, `not_found` or `inactive` of a user for whom a PUT was carried out and whose
    /// status nobody read since, and none says `granted` or `ended` of one for whom that is not so.
    #[test]
    fn whatever_happens_no_line_says_what_is_not_so(
        command in prop::sample::select(vec!["grant", "end"]),
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
        prop_assert_eq!(world.said().len(), rows, "every row has a line");
    }
}
