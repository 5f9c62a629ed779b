//! Properties of journals, run records and reports that were damaged or edited.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::files::ReportFiles;
use super::journal_reader::read_journal;
use super::record::tests::record;
use super::*;
use crate::domain::{ForeignText, Lines, Outcome, OutputDialect, Shard};
use crate::fuzz::{bytes, cases, json, spoilt, spoilt_text};

const USERS: [&str; 3] =
    ["7e94b96e-0364-463b-a059-d97d1e4cb1d5", "0a94b96e-0364-463b-a059-d97d1e4cb1d5", "1b94b96e-0364-463b-a059-d97d1e4cb1d5"];
/// The number of rows in the journal's input.
const ROWS: u64 = 9;

/// A journal of rows that settled out of order, one of them twice.
fn journal() -> String {
    let line =
        |row: u64, user: &str, result: &str, note: &str| format!("{row},{user},{result}{}{note}\n", ",".repeat(COLUMNS.len() - 3) + ",");
    let lines = [
        line(2, USERS[1], "failed", "plain"),
        line(1, USERS[0], "granted", "\"of\ntwo lines\""),
        line(2, USERS[1], "granted", ""),
        line(3, USERS[2], "unknown", "\"a \"\"quote\"\"\""),
    ];
    format!("{},note\n{}", COLUMNS.join(","), lines.concat())
}

fn journals() -> impl Strategy<Value = Vec<u8>> {
    let torn = (spoilt([journal()]), 0_usize..40).prop_map(|(mut text, zeros)| {
        text.resize(text.len() + zeros, 0);
        text
    });
    prop_oneof![6 => spoilt([journal()]), 2 => torn, 1 => bytes()]
}

/// The rows and results in a journal, parsed independently.
fn lines(text: &[u8]) -> Vec<(u64, String)> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let line = |record: csv::ByteRecord| {
        let text = |index: usize| String::from_utf8(record.get(index)?.to_vec()).ok();
        Some((text(0)?.parse().ok()?, text(2)?))
    };
    reader.byte_records().map(|record| line(record.expect("readable")).expect("a line")).collect()
}

fn has_odd_quotes(text: &[u8]) -> bool {
    memchr::memchr_iter(b'"', text).count() % 2 == 1
}

/// Whether writing the text's records results in the same text.
fn is_as_written(text: &[u8]) -> bool {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for record in reader.byte_records() {
        writer.write_byte_record(&record.expect("readable")).expect("memory");
    }
    writer.into_inner().expect("memory") == text
}

fn read_back(path: &Path) -> Vec<u8> {
    fs::read(path).expect("it is there")
}

/// The names in a run record, as somebody who edits it might use them.
const NAMES: &[&str] = &[
    "tool",
    "version",
    "runId",
    "operation",
    "environment",
    "id",
    "name",
    "type",
    "apiUrl",
    "reason",
    "startedAt",
    "finishedAt",
    "status",
    "input",
    "path",
    "sha256",
    "rows",
    "directory",
    "filter",
    "options",
    "sandbox",
    "until",
    "delimiter",
    "concurrency",
    "totals",
    "granted",
    "failed",
    "requests",
    "sent",
    "retried",
    "throttled",
    "report",
    "inDoubtUpTo",
];

fn records() -> impl Strategy<Value = Vec<u8>> {
    let valid = serde_json::to_value(record()).expect("a record");
    let text = serde_json::to_string_pretty(&valid).expect("text");
    let pointers = pointers(&valid, "");
    let replaced = prop::collection::vec((prop::sample::select(pointers), json(NAMES)), 1..5).prop_map(move |changes| {
        let mut record = valid.clone();
        for (pointer, value) in changes {
            // Missing if its parent has been replaced.
            if let Some(place) = record.pointer_mut(&pointer) {
                *place = value;
            }
        }
        record.to_string().into_bytes()
    });
    prop_oneof![3 => spoilt([text]), 4 => replaced, 1 => json(NAMES).prop_map(|value| value.to_string().into_bytes()), 1 => bytes()]
}

/// The JSON pointers of all values within a JSON value, itself included.
fn pointers(value: &serde_json::Value, at: &str) -> Vec<String> {
    let inside = value.as_object().into_iter().flatten().flat_map(|(name, value)| pointers(value, &format!("{at}/{name}"))).collect();
    [vec![at.to_owned()], inside].concat()
}

proptest! {
    #![proptest_config(cases(256))]

    /// A journal is either refused and unchanged, or it keeps every complete line and only a torn rest is cut off.
    #[test]
    fn a_journal_is_refused_or_keeps_every_whole_line(text in journals()) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("r.partial.csv");
        fs::write(&path, &text).expect("written");
        let Ok(found) = index_journal(&path, ROWS) else {
            prop_assert_eq!(read_back(&path), text);
            return Ok(());
        };
        reopen_journal(&path, &found).expect("writable");
        let kept = read_back(&path);
        prop_assert!(text.starts_with(&kept));
        let torn = &text[kept.len()..];
        let is_blank = torn.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        prop_assert!(is_blank || torn.contains(&0) || !torn.ends_with(b"\n") || has_odd_quotes(torn), "{:?}", torn);
        let lines = lines(&kept);
        prop_assert!(lines.iter().all(|(row, result)| (1..=ROWS).contains(row) && Outcome::named(result).is_some()));
        let rows: std::collections::BTreeSet<_> = lines.iter().map(|(row, _)| *row).collect();
        prop_assert_eq!(found.tally.rows(), rows.len() as u64);
        for row in rows {
            let again = found.unsettled.contains_key(&row);
            prop_assert!(again != found.settled.contains(row), "a row is either settled or sent again");
            let settles = lines.iter().any(|(line, result)| *line == row && !matches!(result.as_str(), "failed" | "unknown"));
            prop_assert_eq!(found.settled.contains(row), settles);
        }
        drop(ResumedUsers::read(&path));
        // In a form that no journal has, a complete last line may look torn.
        if !is_as_written(&kept) {
            return Ok(());
        }
        let mut rows = Vec::new();
        let index = read_journal(&path, ROWS, |line| {
            rows.push(line.row);
            Ok::<_, crate::file_error::FileError>(())
        });
        prop_assert_eq!(rows.len(), lines.len());
        prop_assert_eq!(index.expect("readable").tally, found.tally, "it is valid now");
        prop_assert_eq!(read_back(&path), kept);
    }

    /// A journal either becomes a report with one line per row, or stays unchanged.
    #[test]
    fn a_journal_is_published_whole_or_not_at_all(text in journals(), rows in 0_u64..5, only_active in any::<bool>()) {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file");
        fs::write(&files.partial, &text).expect("written");
        let Ok(journal) = EndedJournal::read(&files, ROWS) else {
            prop_assert_eq!(read_back(&files.partial), text);
            return Ok(());
        };
        let lines = if only_active { Lines::Active } else { Lines::All };
        let extent = Extent { rows, numbers: Numbers::Of(Shard::default()), lines, dialect: OutputDialect::default() };
        let tally = journal.index.tally;
        let Ok(written) = journal.write(&files, extent, &mut DirectoryRows(&["note"])) else {
            prop_assert_eq!(read_back(&files.partial), text);
            return Ok(());
        };
        let published = written.publish().expect("a folder that may be written");
        prop_assert_eq!((published.tally, published.tally.rows()), (tally, rows));
        prop_assert_eq!(published.tally.failures() > 0, files.failed.exists());
        let numbers: Vec<_> = csv::Reader::from_reader(read_back(&files.report).as_slice())
            .byte_records()
            .map(|record| String::from_utf8_lossy(&record.expect("readable")[0]).parse::<u64>().expect("a number"))
            .collect();
        prop_assert_eq!(numbers.len() as u64, published.lines);
        prop_assert!(only_active || numbers == (1..=rows).collect::<Vec<_>>());
        let counted = count_report(&files.report).expect("readable");
        prop_assert_eq!((counted.sha256, counted.lines), (published.sha256, published.lines));
    }

    /// A record is either refused, or unchanged when it is written and read again. No content makes its readers panic.
    #[test]
    fn a_record_is_refused_or_reads_back_as_it_was(text in records()) {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, files) = (folder.path().join("r.run.json"), ReportFiles::beside(&folder.path().join("r.csv")).expect("a file"));
        fs::write(&path, &text).expect("written");
        let Ok(read) = RunRecord::read(&path) else {
            return Ok(());
        };
        let mut read = read.expect("there is one");
        prop_assert_eq!(read.difference(&read), None);
        drop((read.origin(), read.difference(&record()), record().difference(&read), read.other_report(&path)));
        let tally = tally(&read.totals);
        prop_assert!(tally.failures() <= tally.rows());
        let known: u128 = Outcome::ALL.iter().map(|outcome| u128::from(tally.of(*outcome))).sum();
        prop_assert_eq!(u128::from(tally.rows()), known.min(u128::from(u64::MAX)));
        read.write(&files.record).expect("written");
        prop_assert_eq!(RunRecord::read(&path).expect("readable"), Some(read.clone()));
        read.requests.add(RequestsRecord { sent: 1, retried: 1, throttled: 1 });
        prop_assert!(read.requests.sent > 0);
    }

    /// Text from a server starts no new line, controls no terminal and is not a formula.
    #[test]
    fn text_of_a_servers_is_harmless(text in spoilt_text(["=cmd()", "plain, \"quoted\"", "\u{202e}\u{200b}\u{1b}[2J\r\n@x", "\t-1"])) {
        let harmless = ForeignText::from(text).to_string();
        prop_assert!(!harmless.chars().any(char::is_control));
        prop_assert!(!harmless.trim_start().starts_with(['=', '+', '-', '@']));
        prop_assert_eq!(ForeignText::from(harmless.clone()).to_string(), harmless);
    }
}

#[test]
fn the_journal_is_valid_before_it_is_mutated() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("r.partial.csv");
    fs::write(&path, journal()).expect("written");
    let found = index_journal(&path, ROWS).expect("valid");
    assert_eq!((found.tally.rows(), found.tally.of(Outcome::Granted), found.last_row), (3, 2, 3));
}
