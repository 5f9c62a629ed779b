//! Shards made of a whole report are merged to that report again, however many there are.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::domain::{Outcome, OutputDialect, Shard, Tally};
use crate::report::evidence::{EarlierRecord, EndDatesRecord, HoldRecord, HoldsRecord, OperatorRecord};
use crate::report::hashed::{hex, sha256_of};
use crate::report::line::Column;
use crate::report::publish::{Published, count_report};
use crate::report::record::tests::record;
use crate::report::record::totals;
use crate::report::shard::ShardRecord;
use sha2::{Digest, Sha256};

/// A row of a run: its result, and a value that is carried.
type TestRow = (Outcome, String);

/// What one process writes for these rows of so many: the report and the failed rows.
fn written(rows: &[(u64, &TestRow)], input: CsvDialect, dialect: CsvDialect, has_header: bool) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut report = dialect.writer().from_writer(dialect.mark().to_vec());
    report.write_record(COLUMNS.iter().chain(&["note"])).expect("memory");
    let file = tempfile::NamedTempFile::new().expect("a file");
    let header = has_header.then(|| ByteRecord::from(vec!["who", "note"]));
    let mut failed = FailedWriter::begin(file.as_file(), input, header).expect("written");
    let mut failures = 0;
    for (row, (outcome, note)) in rows {
        let message = if is_failure(*outcome) { format!("\"{row}\": {note}") } else { String::new() };
        let own = [(Column::Row, row.to_string()), (Column::Result, outcome.name().to_owned()), (Column::ErrorMessage, message)];
        let value = |column: Column| own.iter().find(|(own, _)| *own == column).map_or("", |(_, value)| value);
        let line: ByteRecord = Column::ALL.into_iter().map(value).chain([note.as_str()]).collect();
        report.write_byte_record(&line).expect("memory");
        if is_failure(*outcome) {
            failures += 1;
            failed.write(ByteRecord::from(vec![format!("user {row}"), note.clone()]), &line).expect("written");
        }
    }
    failed.finish().expect("written");
    let failed = (failures > 0).then(|| fs::read(file.path()).expect("there"));
    (report.into_inner().expect("memory"), failed)
}

/// The files of these rows of a run of `all`, as a run leaves them.
fn leave(path: &Path, shard: Option<Shard>, all: &[TestRow], [input, output]: [CsvDialect; 2], has_header: bool, dialect: OutputDialect) {
    let files = ReportFiles::beside(path).expect("a file");
    let includes = |row: u64| shard.is_none_or(|shard| shard.includes(RowNumber(row)));
    let own: Vec<(u64, &TestRow)> = (1..).zip(all).filter(|(row, _)| includes(*row)).collect();
    let (report, failed) = written(&own, input, output, has_header);
    fs::write(path, &report).expect("written");
    if let Some(failed) = failed {
        fs::write(&*files.failed, failed).expect("written");
    }
    let mut tally = Tally::default();
    for (_, (outcome, _)) in &own {
        tally.add(*outcome);
    }
    let mut record = RunRecord { status: Status::Completed, totals: totals(&tally), shard: shard.map(ShardRecord), ..record() };
    record.run_id = format!("00000000-0000-4000-8000-{:012}", shard.map_or(0, Shard::index));
    record.finished_at = Some("2026-02-27T10:21:30.456Z".into());
    record.input.rows = Some(all.len() as u64);
    record.input.dialect = Some(input.into());
    record.options.reading.no_headers = !has_header;
    record.options.output_dialect = dialect.name().to_owned();
    record.report.sha256 = Some(hex(&Sha256::digest(&report)));
    record.report.rows = Some(own.len() as u64);
    record.write(&files.record).expect("written");
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![Just(Outcome::Granted), Just(Outcome::NotFound), Just(Outcome::Duplicate), Just(Outcome::Invalid)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn however_many_shards_there_are_they_are_merged_to_what_one_process_writes(
        rows in prop::collection::vec((outcome(), "[a\"\r\n,;é ]{0,5}"), 0..40), count in 1..12_u64, excel in any::<bool>(), has_header in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let dialect = if excel { OutputDialect::Excel } else { OutputDialect::Rfc4180 };
        let input = CsvDialect { delimiter: Some(b';'), has_mark: excel, line_end: crate::domain::LineEnd::CrLf };
        let dialects = [input, dialect.of(input)];
        leave(&path("whole.csv"), None, &rows, dialects, has_header, dialect);
        // Ten comes before two here: the order in which they are named does not matter.
        let mut names: Vec<PathBuf> = (0..count).map(|index| path(&format!("{index}.csv"))).collect();
        for (index, name) in names.iter().enumerate() {
            let shard = format!("{index}/{count}").parse().expect("a shard");
            leave(name, Some(shard), &rows, dialects, has_header, dialect);
        }
        names.sort();
        let output = ReportFiles::beside(&path("merged.csv")).expect("a file");
        let set = ShardSet::read(&names).expect("one run");
        let merged = set.merge(&output, Former::Keep, || false).expect("merged").expect("not stopped");
        let whole = ReportFiles::beside(&path("whole.csv")).expect("a file");
        let read = |path: &Path| fs::read(path).ok();
        prop_assert_eq!(read(&output.report), read(&whole.report));
        prop_assert_eq!(read(&output.failed), read(&whole.failed));
        let failed_sha256 = output.failed.exists().then(|| sha256_of(&output.failed).expect("readable"));
        let counted = count_report(&whole.report).expect("there");
        prop_assert_eq!(&merged.published, &Published { failed_sha256, ..counted });
        let record = RunRecord::read(&output.record).expect("readable").expect("there");
        prop_assert_eq!(&record, &merged.record);
        prop_assert_eq!(record.totals, totals(&merged.published.tally));
        prop_assert_eq!(record.shards.len() as u64, count);
        prop_assert!(!output.ordered.exists() && !output.lock.exists());
        // Again, over the first: the same bytes.
        let before = read(&output.record);
        prop_assert!(matches!(set.merge(&output, Former::Keep, || false), Err(MergeError::Exists(_))));
        set.merge(&output, Former::Replace, || false).expect("merged").expect("not stopped");
        prop_assert_eq!(read(&output.record), before);
    }
}

#[test]
fn a_stop_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = vec![(Outcome::NotFound, "x".to_owned()); 2000];
    let shard = folder.path().join("0.csv");
    leave(&shard, Some("0/1".parse().expect("a shard")), &rows, [CsvDialect::default(); 2], true, OutputDialect::Rfc4180);
    let output = ReportFiles::beside(&folder.path().join("merged.csv")).expect("a file");
    let set = ShardSet::read(&[shard]).expect("one run");
    assert!(set.merge(&output, Former::Keep, || true).expect("stopped").is_none());
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 3, "the shard's own files");
    assert!(set.merge(&output, Former::Keep, || false).expect("merged").is_some());
}

#[test]
fn the_record_adds_up_what_the_shards_tell() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = vec![(Outcome::Granted, "x".to_owned()); 3];
    let names: Vec<PathBuf> = (0..2).map(|index| folder.path().join(format!("{index}.csv"))).collect();
    let hold = |minute: u64| HoldRecord { at: format!("2026-02-27T10:{minute:02}:00.000Z"), seconds: 1.5 };
    for (index, name) in names.iter().enumerate() {
        let shard = format!("{index}/2").parse().expect("a shard");
        leave(name, Some(shard), &rows, [CsvDialect::default(); 2], true, OutputDialect::Rfc4180);
        let place = ReportFiles::beside(name).expect("a file").record;
        let mut record = RunRecord::read(&place).expect("readable").expect("there");
        let minutes: Vec<u64> = if index == 0 { vec![30, 50] } else { (0..60).chain(0..60).collect() };
        record.holds = HoldsRecord { count: minutes.len() as u64, seconds: 4.5, episodes: minutes.into_iter().map(hold).collect() };
        let [earliest, latest] =
            [["2026-03-02", "2026-03-05"], ["2026-03-01", "2026-03-03"]][index].map(|day| Some(format!("{day}T00:00:00.000Z")));
        record.end_dates = EndDatesRecord { earliest, latest };
        record.started_at = ["2026-02-27T12:00:00.000Z", "2026-02-27T11:30:00.000+00:00"][index].into();
        record.operator = OperatorRecord { user: Some("ann".into()), host: Some(format!("m{index}")), ..OperatorRecord::default() };
        record.earlier = vec![EarlierRecord { reason: Some(format!("r{index}")), ..EarlierRecord::default() }; 70];
        record.options.rate = format!("{}/s", 50 + index);
        record.options.allow = if index == 0 { vec!["failed".into()] } else { Vec::new() };
        (record.canary_succeeded, record.reason) = (index == 0, Some("why".into()));
        record.write(&place).expect("written");
    }
    let output = ReportFiles::beside(&folder.path().join("merged.csv")).expect("a file");
    let set = ShardSet::read(&names).expect("one run");
    let Merged { record, differing_options, .. } = set.merge(&output, Former::Keep, || false).expect("merged").expect("not stopped");
    let HoldsRecord { count, seconds, episodes } = record.holds;
    assert_eq!((count, seconds, episodes.len()), (122, 9.0, 100), "the first hundred with their times");
    assert!(episodes.is_sorted_by_key(|hold| hold.at.clone()) && episodes.iter().filter(|found| **found == hold(30)).count() == 3);
    let EndDatesRecord { earliest, latest } = record.end_dates;
    assert_eq!([earliest, latest].map(Option::unwrap_or_default), ["2026-03-01T00:00:00.000Z", "2026-03-05T00:00:00.000Z"]);
    assert_eq!(record.started_at, "2026-02-27T11:30:00.000+00:00");
    assert_eq!((record.operator.user.as_deref(), record.operator.host, record.reason.as_deref()), (Some("ann"), None, Some("why")));
    assert_eq!(record.earlier.iter().map(|earlier| earlier.reason.as_deref()).filter(|why| *why == Some("r1")).count(), 30);
    assert_eq!((record.options.rate.as_str(), record.options.allow.len(), record.canary_succeeded), ("50/s", 0, false));
    assert_eq!(differing_options, ["allow", "rate"]);
    assert!(record.shards[1].holds.episodes.is_empty() && record.shards[1].holds.count == 120);
    let id: uuid::Uuid = record.run_id.parse().expect("a UUID");
    assert_eq!(id.get_version_num(), 8, "no run has such an ID");
}
