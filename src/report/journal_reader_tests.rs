use super::*;
use crate::domain::UserId;
use proptest::prelude::*;

fn header() -> String {
    format!("{},note\n", COLUMNS.join(","))
}

fn line(row: u64, outcome: &str, note: &str) -> String {
    format!("{row},u,{outcome},,,,,,,,,,1,0,t,\"{note}\"\n")
}

/// The index of the journal, and the file after it was opened to be appended to.
fn reopened(journal: &[u8]) -> (JournalIndex, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("j.csv");
    std::fs::write(&path, journal).expect("written");
    let found = index_journal(&path, 100).expect("readable");
    reopen_journal(&path, &found).expect("writable");
    (found, std::fs::read(&path).expect("readable"))
}

#[test]
fn the_last_line_of_a_row_counts_and_failures_are_sent_again() {
    let lines = [(1, "granted"), (2, "failed"), (3, "unknown"), (2, "granted"), (4, "rejected"), (3, "failed")];
    let journal = header() + &lines.map(|(row, outcome)| line(row, outcome, "")).concat();
    let (found, left) = reopened(journal.as_bytes());
    assert_eq!(left, journal.as_bytes());
    assert_eq!([1, 2, 3, 4, 5].map(|row| found.settled.contains(row)), [true, true, false, true, false]);
    assert_eq!((found.tally.rows(), found.tally.of(Outcome::Failed), found.tally.of(Outcome::Unknown)), (4, 1, 0));
    assert_eq!((found.settled_tally().rows(), found.settled_tally().of(Outcome::Granted)), (3, 2));
}

#[test]
fn a_journal_that_was_edited_is_refused_and_left_as_it_is() {
    let valid = header() + &line(1, "granted", "") + &line(2, "granted", "");
    for edited in [
        valid.replace(',', ";"),
        valid.replacen("granted", "grannted", 1),
        valid.replacen("\n1,", "\n999,", 1),
        valid.replacen("\n1,", "\n99999999999999999,", 1),
        valid.replacen("userID", "user", 1),
        valid.replacen(",note\n", "\n", 1),
        valid.replacen("\n1,u,granted", "\n1,u,granted,", 1),
        valid.replacen("\n1,u,granted,", "\n1,u,granted", 1),
        valid.replacen("\n1,", "\n0,", 1),
        line(1, "granted", ""),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("j.csv");
        std::fs::write(&path, &edited).expect("written");
        assert!(index_journal(&path, 100).is_err(), "{edited}");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), edited);
    }
}

#[test]
fn a_line_of_a_row_that_cannot_be_is_refused_even_where_it_is_not_known_how_many_there_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("j.csv");
    for (row, is_valid) in [(90_000, true), (4_000_000_000, false), (100_000_000_000, false), (u64::MAX, false)] {
        std::fs::write(&path, header() + &line(1, "active", "") + &line(row, "active", "")).expect("written");
        let read = index_journal(&path, u64::MAX);
        assert_eq!(read.is_ok(), is_valid, "{row}");
        assert!(read.is_ok_and(|found| found.settled.contains(row)) == is_valid, "{row}");
    }
}

/// After a power cut, blocks may have reached the disk in any order.
#[test]
fn nothing_counts_after_zero_bytes_that_stand_where_a_line_should() {
    let before = header() + &line(1, "granted", "a\0b");
    for hole in ["\0\0\0\0\n".to_owned(), line(3, "gran\0\0d", ""), "\0".repeat(300) + "\n"] {
        let (found, left) = reopened(format!("{before}{hole}{}", line(2, "granted", "")).as_bytes());
        assert_eq!(left, before.as_bytes(), "{hole:?}");
        assert_eq!((found.tally.rows(), found.settled.contains(1), found.settled.contains(2)), (1, true, false));
    }
    let (found, left) = reopened(&[0, 0, b'\n']);
    assert!(left.is_empty() && !found.has_header());
}

#[test]
fn a_line_may_be_of_a_row_so_far_ahead_as_lines_come_out_of_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("j.csv");
    for lines in [1, 50] {
        let before = header() + &line(1, "active", "").repeat(lines - 1);
        // Both row numbers have six digits.
        let most = ((before.len() + line(100_000, "active", "").len()) / 40) as u64 + 100_000;
        for (row, is_valid) in [(most, true), (most + 1, false)] {
            std::fs::write(&path, format!("{before}{}", line(row, "active", ""))).expect("written");
            let read = index_journal(&path, u64::MAX);
            assert_eq!(read.map(|found| found.last_row).ok(), is_valid.then_some(row), "{row}");
        }
    }
}

#[test]
fn a_journal_has_a_header_once_that_is_whole() {
    let whole = header();
    for (journal, expected) in [("", false), (&whole[..20], false), (&whole[..whole.len() - 1], false), (&whole, true)] {
        let (found, left) = reopened(journal.as_bytes());
        assert_eq!((found.has_header(), left.len()), (expected, if expected { whole.len() } else { 0 }), "{journal}");
        assert_eq!((found.last_row, found.tally.rows(), found.settled_tally().rows()), (0, 0, 0));
    }
}

#[test]
fn failures_that_may_have_been_sent_again_are_in_doubt_and_no_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("j.csv");
    let lines = [(1, "failed"), (2, "granted"), (3, "failed"), (4, "unknown"), (5, "failed")];
    let journal = header() + &lines.map(|(row, outcome)| line(row, outcome, "x")).concat();
    let doubt = |up_to| {
        std::fs::write(&path, &journal).expect("written");
        let mut found = index_journal(&path, 100).expect("readable");
        let mut file = reopen_journal(&path, &found).expect("writable");
        doubt_failures(&mut file, &path, &mut found, up_to).expect("written");
        let again: Vec<_> = found.unsettled.iter().map(|(row, last)| format!("{row} {}", last.outcome)).collect();
        let text = std::fs::read_to_string(&path).expect("there");
        let added = text.strip_prefix(&journal).expect("what was there stays").to_owned();
        let read = index_journal(&path, 100).expect("readable");
        assert_eq!((read.unsettled, read.tally, read.ends), (found.unsettled, found.tally, found.ends), "it reads back so");
        (again.join(", "), added)
    };
    let doubted =
        |row: u64| format!("{row},u,unknown,,,,,,,this may have been sent again before the run was broken off; before that: ,,,1,0,t,x\n");
    let none = "1 failed, 3 failed, 4 unknown, 5 failed".to_owned();
    assert_eq!(doubt(0), (none, String::new()));
    assert_eq!(doubt(3), ("1 unknown, 3 unknown, 4 unknown, 5 failed".to_owned(), doubted(1) + &doubted(3)));
    assert_eq!(doubt(4), ("1 unknown, 3 unknown, 4 unknown, 5 failed".to_owned(), doubted(1) + &doubted(3)));
}

#[test]
fn lines_are_handed_over_up_to_what_is_torn() {
    let id = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";
    let lines = [(3, "granted", id), (1, "not_found", ""), (3, "failed", id), (2, "granted", id)];
    let lines = lines.map(|(row, outcome, user)| line(row, outcome, "").replace(",u,", &format!(",{user},")));
    let journal = header() + &lines.concat();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("j.csv");
    std::fs::write(&path, &journal[..journal.len() - 3]).expect("written");
    let mut found = Vec::new();
    let index = read_journal(&path, 100, |line| {
        found.push((line.row, Column::UserId.parsed(line.values), line.outcome, line.counts));
        Ok::<_, FileError>(())
    });
    let user = Some(id.parse().expect("a UUID"));
    // The last line is torn, and that before it is of a row which is settled.
    let expected: [(u64, Option<UserId>, Outcome, bool); 3] =
        [(3, user, Outcome::Granted, true), (1, None, Outcome::NotFound, true), (3, user, Outcome::Failed, false)];
    assert_eq!(found, expected);
    let index = index.expect("readable");
    assert!(index.has_nameless && !index.settled.contains(2));
    assert_eq!(index.tally.of(Outcome::Failed), 0);
}

proptest! {
    /// Wherever a journal is torn, its complete lines are kept and the rest is truncated.
    #[test]
    fn a_torn_journal_keeps_its_whole_lines(count in 0_u64..6, note in "[a\n\r,]{0,4}", torn in 0_usize..400, zeros in 0_usize..9) {
        let whole: Vec<String> = std::iter::once(header()).chain((1..=count).map(|row| line(row, "granted", &note))).collect();
        let all = whole.concat();
        let cut = torn.min(all.len());
        let mut journal = all.as_bytes()[..cut].to_vec();
        journal.resize(cut + zeros, 0);
        let mut kept = 0;
        let mut lines = 0;
        for text in &whole {
            if kept + text.len() > cut {
                break;
            }
            kept += text.len();
            lines += 1;
        }
        let (found, left) = reopened(&journal);
        prop_assert_eq!(left.len(), kept);
        prop_assert_eq!(found.tally.rows(), u64::saturating_sub(lines, 1));
    }
}
