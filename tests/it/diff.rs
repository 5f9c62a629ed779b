//! The output of `diff` for two reports, and its errors.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use pingone_bypass::Outcome;
use pingone_bypass::sandbox::SandboxConfig;
use tempfile::TempDir;

use crate::harness::{Done, Report, done, field, field_with, tool};

const HEADER: &str = "row,userID,result,canBypassMFA,bypassMFAEnabledUntil,requestedUntil,previousUntil,httpStatus,errorCode,errorMessage,errorId,correlationId,attempts,durationMs,completedAt,team";
const MAY: &str = "2026-05-31T17:00:00.000Z";
const JUNE: &str = "2026-06-30T17:00:00.000Z";

fn user(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A report's line, of user `number`.
fn line(number: u64, result: &str, until: &str) -> String {
    let can = if until.is_empty() { "false" } else { "true" };
    format!("{number},{},{result},{can},{until},,,200,,,,,1,40,2026-05-01T10:00:00.000Z,\"a,\"\"b\"\"\nc\"", user(number))
}

fn report(lines: &[String]) -> String {
    format!("{HEADER}\n{}\n", lines.join("\n"))
}

/// A report with these results and end dates, of as many users.
fn results(results: &[(&str, &str)]) -> String {
    let lines: Vec<_> = results.iter().zip(1..).map(|((result, until), number)| line(number, result, until)).collect();
    report(&lines)
}

fn folder_of(reports: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in reports {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn diff_in(folder: &Path, old: &str, new: &str) -> Done {
    done(tool().current_dir(folder).args(["diff", old, new]).output().expect("the tool runs"))
}

fn diff(old: &str, new: &str) -> Done {
    diff_in(folder_of(&[("old.csv", old), ("new.csv", new)]).path(), "old.csv", "new.csv")
}

/// Two reports with every kind of change, and the expected output.
fn every_change() -> [String; 3] {
    let old = [
        ("inactive", ""),
        ("active", MAY),
        ("active", JUNE),
        ("active", MAY),
        ("active", MAY),
        ("inactive", ""),
        ("not_found", ""),
        ("active", MAY),
        ("active", ""),
    ];
    let new = [
        line(9, "active", ""),
        line(1, "active", MAY),
        line(2, "granted", JUNE),
        line(3, "active", MAY),
        line(4, "inactive", MAY),
        line(4, "duplicate", ""),
        line(6, "inactive", ""),
        line(7, "active", MAY),
        line(8, "failed", ""),
        line(10, "inactive", ""),
        line(0, "active", JUNE),
    ];
    let [u0, u1, u2, u3, u4, u5, u7, u8, u10] = [0, 1, 2, 3, 4, 5, 7, 8, 10].map(user);
    let changes = format!(
        "userID,change,before,after\n\
         {u0},added,,{JUNE}\n\
         {u1},new,inactive,{MAY}\n\
         {u2},extended,{MAY},{JUNE}\n\
         {u3},shortened,{JUNE},{MAY}\n\
         {u4},lapsed,{MAY},inactive\n\
         {u5},removed,{MAY},\n\
         {u7},undetermined,not_found,{MAY}\n\
         {u8},undetermined,{MAY},failed\n\
         {u10},added,,inactive\n"
    );
    [results(&old), report(&new), changes]
}

const SUMMARY: &str = "7 changes of 11 users: 1 new, 1 extended, 1 shortened, 1 lapsed, 2 added, 1 removed; 2 undetermined\n";

#[test]
fn every_change_is_told_sorted_by_user_and_ends_1() {
    let [old, new, changes] = every_change();
    let done = diff(&old, &new);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (1, changes.as_str(), SUMMARY));
}

#[test]
fn no_order_of_lines_or_columns_nor_what_excel_makes_of_a_file_changes_the_answer() {
    let [old, new, changes] = every_change();
    let mut reader = csv::Reader::from_reader(new.as_bytes());
    let mut rows = vec![reader.headers().expect("a header").clone()];
    let lines: Vec<_> = reader.records().map(|record| record.expect("CSV")).collect();
    rows.extend(lines.into_iter().rev());
    for (mark, terminator, delimiter) in [("\u{feff}", csv::Terminator::CRLF, b','), ("", csv::Terminator::Any(b'\n'), b';')] {
        let mut writer = csv::WriterBuilder::new().terminator(terminator).delimiter(delimiter).from_writer(mark.as_bytes().to_vec());
        for row in &rows {
            // The user ID comes last, next to the carriage return.
            writer.write_record(row.iter().cycle().skip(2).take(row.len())).expect("memory");
        }
        let other = String::from_utf8(writer.into_inner().expect("memory")).expect("UTF-8");
        let done = diff(&old, &other);
        assert_eq!((done.code, done.stdout, done.stderr.as_str()), (1, changes.clone(), SUMMARY));
    }
}

#[test]
fn where_nothing_is_known_to_have_changed_the_exit_code_is_0() {
    let [old, ..] = every_change();
    let nothing = diff(&results(&[("active", MAY)]), &results(&[("granted", MAY)]));
    assert_eq!((nothing.code, nothing.stderr.as_str()), (0, "0 changes of 1 user\n"));
    assert_eq!(nothing.stdout, "userID,change,before,after\n");
    let itself = diff(&old, &old);
    assert_eq!((itself.code, itself.stderr.as_str()), (0, "0 changes of 9 users; 1 undetermined\n"));
    assert_eq!(itself.stdout, format!("userID,change,before,after\n{},undetermined,not_found,not_found\n", user(7)));
    let nobody = diff(&report(&[]), &format!("{HEADER}\n"));
    assert_eq!((nobody.code, nobody.stderr.as_str()), (0, "0 changes of 0 users\n"));
}

#[test]
fn a_failed_line_leaves_open_what_a_settled_one_beside_it_says() {
    let old = results(&[("active", MAY)]);
    for lines in [[line(1, "active", JUNE), line(1, "invalid", "")], [line(1, "invalid", ""), line(1, "active", JUNE)]] {
        let done = diff(&old, &report(&lines));
        assert_eq!((done.code, done.stderr.as_str()), (0, "0 changes of 1 user; 1 undetermined\n"));
        assert!(done.stdout.ends_with(&format!("{},undetermined,{MAY},invalid\n", user(1))), "{}", done.stdout);
    }
}

#[test]
fn failed_lines_that_name_no_user_are_counted_apart() {
    let old = results(&[("active", MAY), ("invalid", ""), ("invalid", "")]).replace(&user(2), "x").replace(&user(3), "");
    let done = diff(&old, &results(&[("active", MAY)]));
    assert_eq!((done.code, done.stderr.as_str()), (0, "0 changes of 1 user; 2 failed lines name no user ID and are left out\n"));
}

#[test]
fn either_report_may_come_through_standard_input() {
    let [old, new, changes] = every_change();
    let folder = folder_of(&[("old.csv", &old), ("new.csv", &new)]);
    for (arguments, piped) in [(["diff", "-", "new.csv"], &old), (["diff", "old.csv", "-"], &new)] {
        let mut tool = tool();
        tool.current_dir(&folder).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tool.spawn().expect("the tool runs");
        child.stdin.take().expect("piped").write_all(piped.as_bytes()).expect("written");
        let done = done(child.wait_with_output().expect("ends"));
        assert_eq!((done.code, &done.stdout, done.stderr.as_str()), (1, &changes, SUMMARY));
    }
}

const AS_WRITTEN: &str = "compare the reports as they were written, or audit the users again";
const TWO_REPORTS: &str = "name two reports, as `audit` and `grant` write them, with the header and all of their columns";

/// Asserts that comparing a valid report with `new`, in either order, is refused with this `message` and `hint`.
fn assert_refused(new: &str, message: &str, hint: &str) {
    let folder = folder_of(&[("sound.csv", &results(&[("active", MAY)])), ("bad.csv", new)]);
    for (old, new) in [("sound.csv", "bad.csv"), ("bad.csv", "sound.csv")] {
        let done = diff_in(folder.path(), old, new);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{}", done.stderr);
        assert_eq!(done.stderr, format!("error: bad.csv{message}\nhint: {hint}\n"));
    }
}

#[test]
fn a_line_that_is_none_of_a_reports_is_refused_and_named() {
    let sound = results(&[("active", MAY), ("inactive", "")]);
    let results = Outcome::ALL.map(|outcome| format!("`{outcome}`")).join(", ");
    for (bad, message) in [
        (sound.replace(",active,", ",actve,"), &*format!(":2: column `result`: `actve` is not a result: expected one of {results}")),
        (
            sound.replace(&user(1), "x"),
            ":2: column `userID`: `x` is not a UUID: expected a form such as `7e94b96e-0364-463b-a059-d97d1e4cb1d5`",
        ),
        (
            sound.replace(MAY, "31/05/2026"),
            ":2: column `bypassMFAEnabledUntil`: `31/05/2026` is not an end date: expected the form `2030-08-31T17:00:00.000Z`",
        ),
        (
            sound.replace("inactive,false,", "inactive,false,never"),
            ":4: column `bypassMFAEnabledUntil`: `never` is not an end date: expected the form `2030-08-31T17:00:00.000Z`",
        ),
        (
            sound.replace(",inactive,", ","),
            r#":4: column `team`: there is no value: found 15 values, expected 16, the last being `a,"b"\nc`"#,
        ),
        (
            sound.replace(",inactive,", ",inactive,x,"),
            r#":4: `a,"b"\nc` stands beyond the last column, `team`: found 17 values, expected 16"#,
        ),
        (sound.clone() + "\"3,x\n", ":6: column `row`: the quote before `3,x` is never closed"),
    ] {
        assert_refused(&bad, message, AS_WRITTEN);
    }
}

#[test]
fn a_user_with_two_results_in_one_report_is_refused() {
    let twice = report(&[line(1, "active", MAY), line(2, "inactive", ""), line(1, "active", MAY), line(1, "inactive", "")]);
    let message = format!(":6: column `userID`: `{}` has a result here, and another on line 2: expected one for a user", user(1));
    assert_refused(&twice, &message, "compare the reports of single runs, not several of them in one file");
}

#[test]
fn a_report_of_an_earlier_version_lacks_columns_and_is_read_all_the_same() {
    let header = HEADER.replace(",previousUntil", "").replace(",correlationId", "");
    let line = format!("1,{},active,true,{MAY},,200,,,,1,40,2026-05-01T10:00:00.000Z,x", user(1));
    let earlier = format!("{header}\n{line}\n");
    let found = diff(&earlier, &results(&[("active", JUNE)]));
    assert_eq!((found.code, found.stderr.as_str()), (1, "1 change of 1 user: 1 extended\n"));
    let field = field();
    field.write("earlier.csv", &earlier);
    for command in ["audit", "end"] {
        let done = field.run(&[command, "earlier.csv", "--overwrite"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(field.report("earlier.report.csv").columns.join(","), HEADER);
    }
}

#[test]
fn a_file_without_a_reports_columns_is_refused() {
    let sound = results(&[("active", MAY)]);
    for column in ["userID", "result", "canBypassMFA", "bypassMFAEnabledUntil"] {
        let columns = HEADER.replace(column, "x").replace(',', "`, `");
        let message = format!(":1: there is no column `{column}`: the columns are `{columns}`");
        assert_refused(&sound.replacen(column, "x", 1), &message, TWO_REPORTS);
        let message = format!(":1: there are two columns `{column}`");
        assert_refused(&sound.replacen("team", column, 1), &message, TWO_REPORTS);
    }
    assert_refused("", ": the input is empty", "name two reports, the earlier one first");
    let not_text = "in Excel, save as `CSV UTF-8 (Comma delimited)`";
    assert_refused("PK\u{3}\u{4}", ": this is an Excel workbook: expected a CSV file", not_text);
}

#[test]
fn the_failed_rows_of_a_run_are_no_report() {
    let failed = format!("userID,bypassMFAEnabledUntil,result,errorMessage\n{},{MAY},failed,x\n", user(1));
    let message = ":1: there is no column `canBypassMFA`: the columns are `userID`, `bypassMFAEnabledUntil`, `result`, `errorMessage`";
    assert_refused(&failed, message, TWO_REPORTS);
}

#[test]
fn what_cannot_be_compared_at_all_ends_2() {
    let sound = results(&[("active", MAY)]);
    let folder = folder_of(&[("a.csv", &sound), ("a.partial.csv", &sound)]);
    for (old, new, message) in [
        (
            "a.csv",
            "b.csv",
            "b.csv: the input cannot be read\ncaused by: No such file or directory (os error 2)\nhint: check the path: this folder has no such file; `-` stands for standard input",
        ),
        (".", "a.csv", ".: the input cannot be read\ncaused by: is a directory\nhint: name a file: this is a folder"),
        ("-", "-", "`-` stands for both reports: expected a file for one of them at least\nhint: keep one of the reports in a file"),
        (
            "a.csv",
            "./a.partial.csv",
            "./a.partial.csv: this is the journal of a run that has not finished: expected its report\nhint: finish the run with `--resume`, and compare the report that it leaves",
        ),
    ] {
        let done = diff_in(folder.path(), old, new);
        assert_eq!((done.code, done.stdout.as_str(), done.stderr), (2, "", format!("error: {message}\n")));
    }
    assert_eq!(done(tool().args(["diff", "a.csv"]).output().expect("the tool runs")).code, 2);
}

#[test]
fn a_disk_that_is_full_or_has_no_room_for_temporary_files_ends_2() {
    let [old, new, _] = every_change();
    let folder = folder_of(&[("old.csv", &old), ("new.csv", &new)]);
    let mut full = tool();
    let device = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    full.current_dir(&folder).args(["diff", "old.csv", "new.csv"]).stdout(device);
    let full = done(full.output().expect("the tool runs"));
    let message = "error: standard output: the file cannot be written\ncaused by: No space left on device (os error 28)\n\
                   hint: free some space on the disk that standard output goes to, and start again\n";
    assert_eq!((full.code, full.stderr.as_str()), (2, message));
    let mut homeless = tool();
    homeless.current_dir(&folder).args(["diff", "old.csv", "new.csv"]).env("TMPDIR", "/nowhere");
    let homeless = done(homeless.output().expect("the tool runs"));
    assert_eq!((homeless.code, homeless.stdout.as_str()), (2, ""));
    let begins =
        "error: what is compared cannot be kept in a temporary file\ncaused by: /nowhere: no temporary file can be made in this folder\n";
    assert!(homeless.stderr.starts_with(begins) && homeless.stderr.contains("\nhint: make room"), "{}", homeless.stderr);
}

#[test]
fn whoever_reads_only_the_first_lines_is_told_the_rest_and_no_error() {
    let many: Vec<_> = (1..=20_000).map(|number| line(number, "active", MAY)).collect();
    let folder = folder_of(&[("old.csv", &report(&[])), ("new.csv", &report(&many))]);
    let mut tool = tool();
    tool.current_dir(&folder).args(["diff", "old.csv", "new.csv"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = tool.spawn().expect("the tool runs");
    drop(child.stdout.take());
    let done = done(child.wait_with_output().expect("ends"));
    assert_eq!((done.code, done.stderr.as_str()), (1, "20000 changes of 20000 users: 20000 added\n"));
}

#[test]
fn what_a_grant_has_changed_is_told_from_the_audits_around_it() {
    let field = field();
    field.users(30, "2099-08-31");
    let all = std::fs::read_to_string(field.path("in.csv")).expect("there");
    let some: String = all.lines().take(12).map(|line| format!("{line}\n")).collect();
    field.write("some.csv", some);
    for arguments in [
        &["audit", "in.csv", "-o", "before.csv"][..],
        &["grant", "some.csv", "-o", "granted.csv"],
        &["audit", "in.csv", "-o", "after.csv"],
        &["audit", "some.csv", "-o", "some-after.csv"],
    ] {
        let ran = field.run(&[arguments, &["--rate", "unlimited"]].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    // Every tenth user of the sandbox has a bypass for a day.
    let ran = field.run(&["diff", "before.csv", "after.csv"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, "11 changes of 30 users: 10 new, 1 extended\n"));
    let mut expected: Vec<_> = (0..11).map(|index| field.sandbox.user_id(index).to_string()).collect();
    expected.sort();
    let changes = Report::read(&ran.stdout);
    assert_eq!(changes.column("userID"), expected);
    assert!(changes.column("after").iter().all(|after| *after == "2099-08-31T00:00:00.000Z"), "{changes:?}");
    let swapped = field.run(&["diff", "after.csv", "before.csv"]);
    assert!(swapped.code == 2 && swapped.stderr.contains("hint: name the earlier report first\n"), "{}", swapped.stderr);
    std::fs::remove_file(field.path("after.run.json")).expect("a record");
    let back = field.run(&["diff", "after.csv", "before.csv"]);
    assert_eq!((back.code, back.stderr.as_str()), (1, "11 changes of 30 users: 1 shortened, 10 lapsed\n"));
    let proof = field.run(&["diff", "granted.csv", "some-after.csv"]);
    assert_eq!((proof.code, proof.stderr.as_str()), (0, "0 changes of 11 users\n"));
}

#[test]
fn the_help_says_what_the_changes_and_exit_codes_mean() {
    let help = done(tool().args(["diff", "--help"]).output().expect("the tool runs")).stdout;
    for told in ["sorted by user ID", "audit --only active", "undetermined", "Exit codes:\n  0  no change", "  1  changes\n  2  trouble"] {
        assert!(help.contains(told), "{told}: {help}");
    }
    let completions = done(tool().args(["completions", "bash"]).output().expect("the tool runs")).stdout;
    assert!(completions.contains("diff"), "{completions}");
}

#[test]
fn reports_that_do_not_belong_together_by_their_records_are_refused() {
    let field = field_with(SandboxConfig { users: Some(50), ..SandboxConfig::default() });
    let audit = |arguments: &[&str]| assert_eq!(field.run(&[&["audit", "--all-users"], arguments].concat()).code, 0);
    audit(&["-o", "first.csv"]);
    audit(&["-o", "active.csv", "--only", "active"]);
    audit(&["-o", "second.csv"]);
    audit(&["-o", "active2.csv", "--only", "active"]);
    for (old, new, code, expected) in [
        ("first.csv", "second.csv", 0, "0 changes of 50 users"),
        ("active.csv", "active2.csv", 0, "0 changes of 5 users"),
        ("second.csv", "first.csv", 2, "\nhint: name the earlier report first\n"),
        ("first.csv", "active.csv", 2, "error: NEW has lines only for users who could bypass MFA (`--only active`)"),
        ("active.csv", "second.csv", 2, "error: OLD has lines only for users who could bypass MFA (`--only active`)"),
    ] {
        let found = field.run(&["diff", old, new]);
        assert_eq!(found.code, code, "{old} {new}: {}", found.stderr);
        assert!(found.stderr.contains(expected), "{old} {new}: {}", found.stderr);
        assert!(code == 0 || found.stdout.is_empty());
    }
    let record = std::fs::read_to_string(field.path("second.run.json")).expect("a record");
    let id = field.sandbox.environment_id().to_string();
    field.write("second.run.json", record.replace(&id, "00000000-0000-4000-8000-000000000001"));
    let found = field.run(&["diff", "first.csv", "second.csv"]);
    assert!(found.code == 2 && found.stderr.contains("hint: compare two reports of one environment"), "{}", found.stderr);
    // Without a record, or with one of another report, nothing is known.
    std::fs::remove_file(field.path("first.run.json")).expect("there");
    assert_eq!(field.run(&["diff", "second.csv", "first.csv"]).code, 0);
}

/// The names by which reports are kept: dated, with their records.
fn rename(field: &crate::harness::Field, from: &str, to: &str) {
    for end in ["csv", "run.json"] {
        std::fs::rename(field.path(&format!("{from}.{end}")), field.path(&format!("{to}.{end}"))).expect("renamed");
    }
}

#[test]
fn what_the_records_tell_is_not_passed_over() {
    let field = field_with(SandboxConfig { users: Some(50), ..SandboxConfig::default() });
    field.users(20, "+4h");
    let audit = |arguments: &[&str]| assert_eq!(field.run(&[&["audit"], arguments].concat()).code, 0);
    audit(&["--all-users", "-o", "all.csv"]);
    audit(&["--all-users", "-o", "active.csv", "--only", "active"]);
    audit(&["in.csv", "-o", "some.csv"]);
    // A renamed report is known by its digest, and other bytes under the renamed name are not.
    rename(&field, "all", "2026-11-01");
    let swapped = field.run(&["diff", "some.csv", "2026-11-01.csv"]);
    assert!(
        swapped.code == 2 && swapped.stdout.is_empty() && swapped.stderr.contains("name the earlier report first"),
        "{}",
        swapped.stderr
    );
    let selected = field.run(&["diff", "2026-11-01.csv", "active.csv"]);
    assert!(selected.code == 2 && selected.stderr.contains("NEW has lines only"), "{}", selected.stderr);
    // Audits of different inputs.
    let other = field.run(&["diff", "2026-11-01.csv", "some.csv"]);
    let different = "warning: OLD and NEW are audits of different inputs, or of different shards of one: `added` and `removed` may stand for users who are in one of them only\n";
    assert_eq!((other.code, other.stderr.as_str()), (1, format!("{different}30 changes of 50 users: 30 removed\n").as_str()));
    // A record of another report under the renamed report's name, and a report that has changed under its own.
    let text = std::fs::read_to_string(field.path("2026-11-01.csv")).expect("there");
    let cut = text.lines().take(40).map(|line| format!("{line}\n")).collect::<String>();
    field.write("2026-11-01.csv", &cut);
    let foreign = field.run(&["diff", "2026-11-01.csv", "some.csv"]);
    let warning = "warning: 2026-11-01.csv: the record beside it is not of this report, and is not considered: the report was `all.csv` and is \
                   `2026-11-01.csv`, and its SHA-256 is another\n";
    assert!(foreign.code == 1 && foreign.stderr.starts_with(warning) && foreign.stderr.lines().count() == 2, "{}", foreign.stderr);
    rename(&field, "2026-11-01", "all");
    let changed = field.run(&["diff", "all.csv", "some.csv"]);
    let warning = "warning: all.csv: the report is not as its run wrote it: its SHA-256 is ";
    assert!(changed.code == 1 && changed.stderr.starts_with(warning) && changed.stderr.contains(different), "{}", changed.stderr);
    // Only one record is there, and says that lines were left out.
    std::fs::remove_file(field.path("all.run.json")).expect("there");
    for (old, new, told) in [
        (
            "active.csv",
            "all.csv",
            "warning: OLD has lines only for users who could bypass MFA (`--only active`), and there is no record of NEW: `added` may",
        ),
        (
            "all.csv",
            "active.csv",
            "warning: NEW has lines only for users who could bypass MFA (`--only active`), and there is no record of OLD: `removed` may",
        ),
    ] {
        let found = field.run(&["diff", old, new]);
        assert!(found.code == 1 && found.stderr.starts_with(told) && found.stderr.lines().count() == 2, "{}", found.stderr);
    }
    assert_eq!(field.run(&["diff", "all.csv", "all.csv"]).stderr, "0 changes of 39 users\n");
}

#[test]
fn names_stand_beside_the_user_if_a_report_has_them() {
    let [old, new, _] = every_change();
    // Reports with a name's column each: the second report's value goes before the first's.
    let with = |report: &str, column: &str, name: &dyn Fn(&str) -> String| {
        let mut reader = csv::Reader::from_reader(report.as_bytes());
        let mut writer =
            csv::WriterBuilder::new().delimiter(b';').terminator(csv::Terminator::CRLF).from_writer("\u{feff}".as_bytes().to_vec());
        let mut header = reader.headers().expect("a header").clone();
        header.push_field(column);
        writer.write_record(&header).expect("memory");
        for record in reader.records() {
            let mut record = record.expect("CSV");
            let named = name(&record[1]);
            record.push_field(&named);
            writer.write_record(&record).expect("memory");
        }
        String::from_utf8(writer.into_inner().expect("memory")).expect("UTF-8")
    };
    let short = |user: &str| user.trim_start_matches(['0', '-', '4', '8']).to_owned();
    let named = |of: &'static str| move |user: &str| format!("{of};\"{}\"", short(user));
    let plain = diff(&old, &new);
    let columns = |done: &Done| done.stdout.lines().next().expect("a header").to_owned();
    assert_eq!(columns(&plain), "userID,change,before,after");

    let both = diff(&with(&old, "E-Mail", &named("old")), &with(&new, "User Name", &named("new")));
    assert_eq!((both.code, both.stderr.as_str(), columns(&both).as_str()), (1, SUMMARY, "userID,username,email,change,before,after"));
    let (changes, expected) = (Report::read(&both.stdout), Report::read(&plain.stdout));
    assert_eq!(changes.column("userID"), expected.column("userID"));
    assert_eq!(changes.column("after"), expected.column("after"));
    for (line, user) in changes.lines.iter().zip(changes.column("userID")) {
        let is_old_only = line[3] == "removed";
        let is_new_only = line[3] == "added";
        assert_eq!(line[1], if is_old_only { String::new() } else { named("new")(user) });
        assert_eq!(line[2], if is_new_only { String::new() } else { named("old")(user) });
    }
    let empty_where_known = |user: &str| if user == self::user(2) { String::new() } else { "new".to_owned() };
    let later = diff(&with(&old, "email", &|_| "old".to_owned()), &with(&new, "email", &empty_where_known));
    let changes = Report::read(&later.stdout);
    for (email, (user, change)) in changes.column("email").iter().zip(changes.column("userID").iter().zip(changes.column("change"))) {
        let expected = if *user == self::user(2) || change == "removed" { "old" } else { "new" };
        assert_eq!(*email, expected, "{user}");
    }
    assert_eq!(columns(&later), "userID,email,change,before,after");
}
