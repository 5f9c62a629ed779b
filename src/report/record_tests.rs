//! Records read back as they were written, and what differs is named.

use super::super::ReportFiles;
use super::*;

pub(in crate::report) fn record() -> RunRecord {
    RunRecord {
        tool: "pingone-bypass".into(),
        version: "0".into(),
        run_id: "r".into(),
        operation: "grant".into(),
        environment: EnvironmentRecord { id: "e".into(), name: None, kind: None },
        api_url: "https://api.pingone.eu/v1".into(),
        reason: None,
        licence: None,
        started_at: "2026-02-27T10:20:30.456Z".into(),
        finished_at: None,
        clock_offset_seconds: None,
        status: Status::Running,
        stop_reason: None,
        input: InputRecord { path: Some("in.csv".into()), sha256: Some("s".into()), rows: Some(3), directory: None },
        options: OptionsRecord {
            sandbox: false,
            reading: ReadingRecord {
                until: Some("+4h".into()),
                user_column: None,
                until_column: None,
                delimiter: Some(';'),
                no_headers: false,
                skip_invalid: false,
            },
            only: None,
            grace: None,
            rate: "50/s".into(),
            concurrency: 64,
            max_attempts: 8,
            timeout: "30s".into(),
            give_up_after: "10m".into(),
            max_failures: "20%".into(),
        },
        totals: totals(&Tally::default()),
        requests: RequestsRecord::default(),
        report: ReportRecord { path: "r.csv".into(), sha256: None, rows: None },
        in_doubt_ahead: Some(0),
        in_doubt_up_to: 0,
    }
}

#[test]
fn what_a_journal_does_not_tell_is_in_doubt_unless_it_is_whole() {
    for (ahead, up_to, last_row, expected) in [
        (Some(0), 0, 7, 0),
        (Some(0), 3, 7, 3),
        (Some(5), 0, 7, 12),
        (Some(5), 20, 7, 20),
        (Some(500), 0, 7, 100),
        (Some(u64::MAX), 0, 7, 100),
        (None, 0, 7, 100),
    ] {
        let former = RunRecord { in_doubt_ahead: ahead, in_doubt_up_to: up_to, ..record() };
        let mut taken = record();
        taken.input.rows = Some(100);
        taken.take_over_doubt(&former, last_row);
        assert_eq!(taken.in_doubt_up_to, expected, "{ahead:?} {up_to}");
    }
}

#[test]
fn a_record_reads_back_as_it_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file").record;
    assert_eq!(RunRecord::read(&place).expect("readable"), None);
    record().write(&place).expect("written");
    let later = RunRecord { status: Status::Completed, ..record() };
    later.write(&place).expect("written");
    assert_eq!(RunRecord::read(&place).expect("readable"), Some(later));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn what_differs_is_named() {
    assert_eq!(record().difference(&RunRecord { run_id: "another".into(), ..record() }), None);
    let mut other = record();
    other.options.rate = "1/s".into();
    assert_eq!(record().difference(&other), None, "a rate may be changed");
    let named = |change: fn(&mut RunRecord)| {
        let mut other = record();
        change(&mut other);
        record().difference(&other).expect("a difference")
    };
    assert_eq!(named(|other| other.operation = "audit".into()), "the operation was `grant` and is `audit`");
    let finished = |only: Option<&str>| {
        let mut record = record();
        (record.status, record.options.only) = (Status::Completed, only.map(str::to_owned));
        record
    };
    assert_eq!(finished(None).difference(&finished(None)), None);
    let other_lines = finished(None).difference(&finished(Some("active"))).expect("a difference");
    assert_eq!(other_lines, "the report is finished, its lines were `all users` and are `active`");
    assert_eq!(named(|other| other.environment.id = "f".into()), "the environment was `e` and is `f`");
    assert!(named(|other| other.api_url = "https://x".into()).starts_with("the API was"));
    assert!(named(|other| other.input.sha256 = Some("t".into())).starts_with("the input's SHA-256 was"));
    assert!(named(|other| other.options.reading.until = None).contains(r#""until":"+4h""#));
}
