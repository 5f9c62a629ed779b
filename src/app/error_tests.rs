//! Each error that ends a run says what to do.

use super::*;
use crate::hint_tests::assert_all_told;

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

/// The error after `error`. The compiler asks here for a new one.
fn next(error: &RunError) -> Option<RunError> {
    let text = || "x".to_owned();
    Some(match error {
        RunError::Config(_) => InputError::Empty(text()).into(),
        RunError::Input(_) => ListingError::TooMany { list: text(), users: 2, most: 1 }.into(),
        RunError::Listing(_) => ReportError::TooMany { most: 1 }.into(),
        RunError::Report(_) => OutputError::NoResume.into(),
        RunError::Output(_) => PingOneError::Client(text()).into(),
        RunError::PingOne(_) => FileError::new("written", Path::new("r.csv"), full()).into(),
        RunError::File(_) => RunError::Reading { name: text(), source: full() },
        RunError::Reading { .. } => DiffError::BothStandardInput.into(),
        RunError::Diff(_) => VerifyError::OtherFormat { path: "r.run.json".into(), found: text() }.into(),
        RunError::Verify(_) => RunError::Exceeded { what: text(), code: EXIT_STOPPED, hint: "mend the cause", cause: None },
        RunError::Exceeded { .. } => RunError::NotPingOne { settled: 10, cause: None },
        RunError::NotPingOne { .. } => RunError::Unaccounted,
        RunError::Unaccounted => RunError::Signals(full()),
        RunError::Signals(_) => RunError::NobodyToAsk,
        RunError::NobodyToAsk => {
            let plan = PlanDigest::of(b"");
            RunError::OtherPlan { approved: plan, plan }
        }
        RunError::OtherPlan { .. } => RunError::NotConfirmed,
        RunError::NotConfirmed => RunError::ClockOff {
            off: "2 min".into(),
            side: Side::Behind,
            grace: "1m".into(),
            then: "bypasses would be asked to end in the past",
        },
        RunError::ClockOff { .. } => RunError::ClockWrong { off: "2 min".into(), side: Side::Ahead },
        RunError::ClockWrong { .. } => RunError::ClockBefore1970,
        RunError::ClockBefore1970 => RunError::Interrupted(Signal::Terminate),
        RunError::Interrupted(_) => RunError::InterruptedFirst(Signal::Terminate),
        RunError::InterruptedFirst(_) => RunError::MergeStopped(Signal::Hangup),
        RunError::MergeStopped(_) => MergeError::Exists("r.csv".into()).into(),
        RunError::Merge(_) => RunError::ListStopped(Signal::Hangup),
        RunError::ListStopped(signal) => RunError::ListCut { users: 1, why: Box::new(RunError::ListStopped(*signal)) },
        RunError::ListCut { .. } => RunError::Sandbox { address: "127.0.0.1:1".into(), source: full() },
        RunError::Sandbox { .. } => RunError::SandboxFile { path: "calls.jsonl".into(), source: full() },
        RunError::SandboxFile { .. } => RunError::Unexplained { name: text(), similar: vec!["row".into()] },
        RunError::Unexplained { similar, .. } if !similar.is_empty() => RunError::Unexplained { name: text(), similar: Vec::new() },
        RunError::Unexplained { .. } => PageError::Journal("r.partial.csv".into()).into(),
        RunError::Page(PageError::Journal(path)) => PageError::Unfinished { report: path.clone(), journal: path.clone() }.into(),
        RunError::Page(PageError::Unfinished { report, .. }) => PageError::NotAReport { path: report.clone(), missing: "row" }.into(),
        RunError::Page(PageError::NotAReport { path, .. }) => PageError::Exists(path.clone()).into(),
        RunError::Page(PageError::Exists(path)) => PageError::Record(FileError::new("read", path, full())).into(),
        RunError::Page(PageError::Record(_)) => PageError::Unreadable(FileError::new("read", Path::new("r.csv"), full())).into(),
        RunError::Page(PageError::Unreadable(_)) => PageError::Path(OutputError::NoResume).into(),
        RunError::Page(PageError::Path(_)) => return None,
    })
}

#[test]
fn each_error_that_ends_a_run_says_what_to_do() {
    assert_eq!(assert_all_told(ConfigError::NoInput.into(), next, RunError::hint), 37);
}
