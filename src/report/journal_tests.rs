//! What reaches a stream or a file, and which error is returned if it does not.

use super::*;
use crate::domain::{BypassUntil, CsvDialect, Detail, Outcome, Previous, RowNumber};
use crate::report::index_journal;
use std::sync::{Arc, Mutex};

/// A slow stream that keeps what is written to it.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Vec<u8>>>);

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        std::thread::sleep(Duration::from_millis(20));
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn settlement(row: u64, outcome: Outcome) -> Settlement {
    Settlement {
        row: RowNumber(row),
        origin: crate::domain::Origin::default(),
        user: format!("u{row}"),
        outcome,
        can_bypass: None,
        until: None,
        requested: None,
        previous: None,
        detail: Detail::default(),
        attempts: 1,
        took: Duration::ZERO,
        completed: chrono::DateTime::from_timestamp_millis(1_800_000_000_000).expect("in range"),
        carried: ByteRecord::new(),
    }
}

/// The clock is paused, so a timeout on the stream would expire before a line is written.
#[tokio::test(start_paused = true)]
async fn a_slow_stream_is_waited_for_and_has_the_lines_that_were_asked_for() {
    for (lines, expected) in [(Lines::All, "1 2 3"), (Lines::Active, "1 3")] {
        let stream = Slow::default();
        let journal =
            Journal::start(Target::Stream(Box::new(stream.clone()), lines, CsvDialect::default()), ["note"].into_iter()).expect("begun");
        let appender = journal.appender();
        for (row, outcome) in [(1, Outcome::Active), (2, Outcome::Inactive), (3, Outcome::Active)] {
            appender.append(&mut VecDeque::from([settlement(row, outcome).into()])).expect("it is open");
        }
        drop(appender);
        journal.finish().await.expect("written");
        let text = String::from_utf8(stream.0.lock().expect("whole").clone()).expect("UTF-8");
        let (header, rows) = text.split_once('\n').expect("a header");
        assert_eq!(header, format!("{},note", COLUMNS.join(",")));
        let rows: Vec<_> = rows.lines().filter_map(|line| line.split(',').next()).collect();
        assert_eq!(rows.join(" "), expected);
    }
}

#[tokio::test]
async fn a_journal_that_is_not_sure_to_be_on_disk_is_told() {
    // A device accepts writes but cannot be synced.
    let device = || File::options().write(true).open("/dev/null").expect("a device");
    let started = Journal::start(Target::File(device(), "r.partial.csv".into()), std::iter::empty());
    assert_eq!(started.expect_err("not on disk").to_string(), "r.partial.csv: the file cannot be written to disk");
    let resumed = Journal::resume(Target::File(device(), "r.partial.csv".into())).expect("a thread");
    resumed.appender().append(&mut VecDeque::from([settlement(1, Outcome::Granted).into()])).expect("it is open");
    match resumed.finish().await {
        Err(NotWritten::File(error)) => assert_eq!(error.to_string(), "r.partial.csv: the file cannot be written to disk"),
        other => panic!("{other:?}"),
    }
    let full = File::options().write(true).open("/dev/full").expect("a device");
    let started = Journal::start(Target::File(full, "r.partial.csv".into()), std::iter::empty());
    assert_eq!(started.expect_err("full").to_string(), "r.partial.csv: the file cannot be written");
}

/// This number is in the run record; a resumed run uses it to find the rows in doubt.
#[test]
fn a_crash_loses_no_more_than_what_waits_what_is_gathered_and_what_is_not_synced() {
    assert_eq!(UNRECORDED, 4096 + 1024 + 16_384);
}

/// The sender of a row's PUT waits for this.
#[tokio::test]
async fn what_is_about_to_be_done_is_in_the_file_before_it_is_said_and_in_no_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("j.csv");
    let target = Target::File(File::create(&path).expect("created"), path.clone());
    let journal = Journal::start(target, std::iter::empty()).expect("begun");
    let (line, written) = Line::ahead(settlement(1, Outcome::Unknown));
    journal.appender().append(&mut VecDeque::from([line])).expect("it is open");
    written.await.expect("it is written");
    assert!(std::fs::read_to_string(&path).expect("there").ends_with("\n1,u1,unknown,,,,,,,,,,1,0,2027-01-15T08:00:00.000Z\n"));
    journal.finish().await.expect("written");

    let stream = Slow::default();
    let journal =
        Journal::start(Target::Stream(Box::new(stream.clone()), Lines::All, CsvDialect::default()), std::iter::empty()).expect("begun");
    let (line, written) = Line::ahead(settlement(1, Outcome::Unknown));
    journal.appender().append(&mut VecDeque::from([line])).expect("it is open");
    written.await.expect("nobody waits for a stream");
    journal.finish().await.expect("written");
    assert_eq!(String::from_utf8(stream.0.lock().expect("whole").clone()).expect("UTF-8").lines().count(), 1, "the header");

    let journal = Journal::start(Target::File(File::open(&path).expect("there"), path.clone()), std::iter::empty());
    assert!(journal.is_err(), "it cannot be written");
    let journal = Journal::resume(Target::File(File::open(&path).expect("there"), path)).expect("begun");
    let (line, written) = Line::ahead(settlement(1, Outcome::Unknown));
    journal.appender().append(&mut VecDeque::from([line])).unwrap_or(());
    assert!(written.await.is_err() && journal.finish().await.is_err(), "what is not written is not said to be");
}

#[tokio::test]
async fn what_users_had_before_is_read_back_for_the_rows_that_are_sent_again() {
    let date = BypassUntil::read("2026-08-31T17:00:00.000Z").map(Previous::Until);
    let lines = [
        (1, Outcome::Failed, date),
        (2, Outcome::Unknown, Some(Previous::NoBypass)),
        (3, Outcome::Unknown, None),
        (4, Outcome::Granted, date),
        (5, Outcome::Failed, date),
        (5, Outcome::Granted, date),
        // A later line replaces what an earlier one says, if it says anything.
        (1, Outcome::Unknown, None),
        (2, Outcome::Failed, date),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("j.csv");
    let target = Target::File(File::create(&path).expect("created"), path.clone());
    let journal = Journal::start(target, std::iter::empty()).expect("begun");
    let appender = journal.appender();
    for (row, outcome, previous) in lines {
        appender.append(&mut VecDeque::from([Settlement { previous, ..settlement(row, outcome) }.into()])).expect("it is open");
    }
    drop(appender);
    journal.finish().await.expect("written");
    let found = index_journal(&path, 5).expect("readable");
    assert_eq!(
        found.unsettled.into_iter().filter_map(|(row, last)| Some((row, last.previous?))).collect::<Vec<_>>(),
        [(1, date.expect("a date")), (2, date.expect("a date"))]
    );
}
