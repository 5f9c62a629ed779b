//! Records read back as they were written, and what differs is named.

use super::super::{ReadingRecord, ReportFiles};
use super::*;

pub(in crate::report) fn record() -> RunRecord {
    RunRecord {
        tool: "pingone-bypass".into(),
        version: "0".into(),
        format_version: CURRENT_FORMAT,
        run_id: "r".into(),
        operation: "grant".into(),
        environment: EnvironmentRecord { id: "e".into(), name: None, kind: None },
        api_url: "https://api.pingone.eu/v1".into(),
        reason: None,
        operator: OperatorRecord::default(),
        confirmed: ConfirmationRecord::default(),
        earlier: Vec::new(),
        end_dates: EndDatesRecord::default(),
        licence: None,
        started_at: "2026-02-27T10:20:30.456Z".into(),
        finished_at: None,
        clock_offset_seconds: None,
        status: Status::Running,
        stop_reason: None,
        canary_succeeded: false,
        input: InputRecord {
            path: Some("in.csv".into()),
            sha256: Some("s".into()),
            rows: Some(3),
            dialect: None,
            directory: None,
            reported: None,
        },
        shard: None,
        shards: Vec::new(),
        options: OptionsRecord {
            sandbox: false,
            reading: ReadingRecord {
                until: Some("+4h".into()),
                user_column: None,
                lookup_by: None,
                until_column: None,
                delimiter: Some(';'),
                no_headers: false,
                skip_invalid: false,
            },
            only: None,
            output_dialect: "rfc4180".into(),
            look_first: false,
            restore: false,
            grace: None,
            rate: "50/s".into(),
            concurrency: 64,
            max_attempts: 8,
            timeout: "30s".into(),
            give_up_after: "10m".into(),
            max_failures: "20%".into(),
            canary: None,
            max_users: None,
            max_window: None,
            trust_clock: false,
            allow: Vec::new(),
        },
        totals: totals(&Tally::default()),
        requests: RequestsRecord::default(),
        holds: HoldsRecord::default(),
        report: ReportRecord { path: "r.csv".into(), sha256: None, rows: None, failed_sha256: None },
        lookup_sha256: None,
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
    let restoring = named(|other| (other.options.restore, other.options.grace) = (true, Some("1m".into())));
    assert_eq!(restoring, "the operation was `grant` and is `grant --restore --in 1m`");
    assert_eq!(named(|other| other.options.look_first = true), "the operation was `grant` and is `grant --look-first`");
    let finished = |only: Option<&str>| {
        let mut record = record();
        (record.status, record.options.only) = (Status::Completed, only.map(str::to_owned));
        record
    };
    assert_eq!(finished(None).difference(&finished(None)), None);
    let other_lines = finished(None).difference(&finished(Some("active"))).expect("a difference");
    assert_eq!(other_lines, "the report is finished, its lines were `all users` and are `active`");
    let in_excel = |mut record: RunRecord| {
        record.options.output_dialect = "excel".into();
        record
    };
    assert_eq!(record().difference(&in_excel(record())), None, "before it is finished, another may be asked for");
    let other_dialect = finished(None).difference(&in_excel(finished(None))).expect("a difference");
    assert_eq!(other_dialect, "the report is finished, its dialect was `rfc4180` and is `excel`");
    assert_eq!(named(|other| other.environment.id = "f".into()), "the environment was `e` and is `f`");
    assert!(named(|other| other.api_url = "https://x".into()).starts_with("the API was"));
    assert!(named(|other| other.input.sha256 = Some("t".into())).starts_with("the input's SHA-256 was"));
    assert_eq!(named(|other| other.options.reading.until = None), "`--until` was `+4h` and is not given");
    assert_eq!(named(|other| other.options.reading.lookup_by = Some("email".into())), "`--lookup-by` was not given and is `email`");
    assert_eq!(named(|other| other.options.reading.delimiter = Some('\t')), "`--delimiter` was `;` and is `\\t`");
    assert_eq!(named(|other| other.options.reading.skip_invalid = true), "`--skip-invalid` was not given and is given");
}

#[test]
fn an_input_is_the_same_by_its_text_and_a_list_by_its_filter() {
    let of = |directory: Option<Option<&str>>, sha256: Option<&str>| {
        let directory = directory.map(|filter| DirectoryRecord { filter: filter.map(str::to_owned) });
        let input = InputRecord { path: None, sha256: sha256.map(str::to_owned), rows: None, dialect: None, directory, reported: None };
        RunRecord { input, ..record() }
    };
    let [file, all, some] = [of(None, Some("s")), of(Some(None), None), of(Some(Some("enabled eq true")), None)];
    let mut report = all.clone();
    report.input.reported = Some(ReportedRecord::new("t"));
    for (one, other, expected) in [
        (&file, &report, Some("the input was `s` and is `PingOne's device report`")),
        (&report, &report.clone(), None),
        (&file, &of(None, Some("t")), Some("the input's SHA-256 was `s` and is `t`")),
        (&file, &all, Some("the input was `s` and is `the whole directory`")),
        (&all, &file, Some("the input was `the whole directory` and is `s`")),
        (&all, &some, Some("the input was `the whole directory` and is `the directory with the filter enabled eq true`")),
        (&some, &some.clone(), None),
        (&all, &all.clone(), None),
    ] {
        assert_eq!(one.difference(other).as_deref(), expected);
    }
}

#[test]
fn a_run_that_goes_on_may_write_other_lines_and_one_in_a_sandbox_has_another_port() {
    let active = |status: Status, only: Option<&str>| {
        let mut record = RunRecord { status, ..record() };
        record.options.only = only.map(str::to_owned);
        record
    };
    assert_eq!(active(Status::Running, None).difference(&active(Status::Running, Some("active"))), None);
    assert_eq!(active(Status::Interrupted, Some("active")).difference(&active(Status::Running, None)), None);
    let finished = active(Status::Completed, Some("active")).difference(&active(Status::Running, None));
    assert_eq!(finished.as_deref(), Some("the report is finished, its lines were `active` and are `all users`"));
    let sandbox = |url: &str| {
        let mut record = RunRecord { api_url: url.to_owned(), ..record() };
        record.options.sandbox = true;
        record
    };
    assert_eq!(sandbox("http://127.0.0.1:1/v1").difference(&sandbox("http://127.0.0.1:2/v1")), None);
    let outside = sandbox("http://127.0.0.1:1/v1").difference(&record());
    assert_eq!(outside.as_deref(), Some("the API was `the sandbox` and is `https://api.pingone.eu/v1`"));
}

#[test]
fn a_record_in_the_place_of_another_reports_is_told() {
    for (report, expected) in [
        ("r.csv", None),
        ("elsewhere/r.csv", None),
        ("r", Some("the report was `r.csv` and is `r`")),
        ("R.csv", Some("the report was `r.csv` and is `R.csv`")),
    ] {
        assert_eq!(record().other_report(Path::new(report)).as_deref(), expected, "{report}");
    }
}

#[test]
fn a_record_that_cannot_be_read_or_written_is_no_missing_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("r.run.json");
    fs::create_dir(&path).expect("created");
    assert!(RunRecord::read(&path).is_err(), "a folder");
    fs::remove_dir(&path).expect("empty");
    fs::write(&path, "{").expect("written");
    assert!(RunRecord::read(&path).is_err(), "torn");
    let nowhere = ReportFiles::beside(&folder.path().join("nowhere/r.csv")).expect("a file").record;
    assert!(record().try_out(&nowhere).is_err() && record().write(&nowhere).is_err());
    let place = ReportFiles::beside(&folder.path().join("other.csv")).expect("a file").record;
    record().try_out(&place).expect("there is room");
    assert!(!place.exists(), "to try writes nothing");
}

#[test]
fn doubt_is_written_where_there_is_some() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file").record;
    for (up_to, stands) in [(0, false), (1, true), (5, true)] {
        let doubted = RunRecord { in_doubt_up_to: up_to, ..record() };
        doubted.write(&place).expect("written");
        let text = fs::read_to_string(&place).expect("there");
        assert_eq!(text.contains(&format!("\"inDoubtUpTo\": {up_to}")), stands, "{text}");
        assert!(stands || !text.contains("inDoubtUpTo"));
        assert_eq!(RunRecord::read(&place).expect("readable"), Some(doubted));
    }
}

#[test]
fn totals_and_requests_of_several_runs_add_up() {
    let mut all = Tally::default();
    for (outcome, rows) in [(Outcome::Granted, 3), (Outcome::Failed, 2), (Outcome::Duplicate, 1)] {
        all.add_rows(outcome, rows);
    }
    let written = totals(&all);
    assert_eq!(written.len(), 17);
    assert_eq!(["rows", "granted", "failed", "duplicate", "unknown"].map(|name| written[name]), [6, 3, 2, 1, 0]);
    assert_eq!(tally(&written), all);
    let mut requests = RequestsRecord { sent: 10, retried: 2, throttled: 1 };
    requests.add(RequestsRecord { sent: 5, retried: 3, throttled: u64::MAX });
    assert_eq!(requests, RequestsRecord { sent: 15, retried: 5, throttled: u64::MAX });
}

#[test]
fn what_held_before_is_kept_once_and_in_bounds() {
    let of = |reason: &str| RunRecord { reason: Some(reason.into()), finished_at: Some(format!("end of {reason}")), ..record() };
    let mut second = of("R2");
    second.keep_earlier(&of("R2"));
    assert_eq!(second.earlier, [], "nothing differs");
    second.keep_earlier(&of("R1"));
    assert_eq!(second.earlier.len(), 1);
    assert_eq!((second.earlier[0].reason.as_deref(), second.earlier[0].until.as_deref()), (Some("R1"), Some("end of R1")));
    for _ in 0..2 * MOST_EARLIER {
        second.keep_earlier(&of("R3"));
    }
    assert_eq!((second.earlier.len(), second.earlier[0].reason.as_deref()), (MOST_EARLIER, Some("R1")));
    let text = serde_json::to_string(&second).expect("text");
    assert_eq!(serde_json::from_str::<RunRecord>(&text).expect("JSON"), second);
    assert!(!serde_json::to_string(&record()).expect("text").contains("earlier"));
}
