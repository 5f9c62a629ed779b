//! Rows that failed are written as their input is, and are read with the same options.

use std::io::Read;

use csv::QuoteStyle;
use proptest::prelude::*;

use super::tests::{A, B, checked_input, rules};
use super::*;
use crate::domain::{Attribute, LineEnd};
use crate::fuzz::cases;
use crate::report::{COLUMNS, FailedRows};

/// The file of the failed rows of `input`: these rows, each with a message.
pub(super) fn failed_file(input: &ValidInput, failed: &[(u64, &str)]) -> Vec<u8> {
    let mut file = tempfile::tempfile().expect("a file");
    let mut originals = input.original_rows().expect("unchanged");
    let mut rows = FailedRows::begin(&file, &mut originals).expect("begun");
    for (row, message) in failed {
        let value = |column: &&str| match *column {
            "result" => "not_found",
            "errorMessage" => message,
            _ => "",
        };
        rows.write(*row, &COLUMNS.iter().map(value).collect()).expect("written");
    }
    rows.finish().expect("written");
    let mut text = Vec::new();
    std::io::Seek::rewind(&mut file).and_then(|()| file.read_to_end(&mut text)).expect("readable");
    text
}

/// An input: its text, and the options that read it.
#[derive(Debug, Clone)]
struct Written {
    text: Vec<u8>,
    options: Dialect,
    dialect: CsvDialect,
    operation: Operation,
}

/// A value of a column that is not the users', nor that of the end dates.
fn note() -> impl Strategy<Value = String> {
    "[a ,;|\t\"'\u{fc}\u{df}=+\n-]{0,7}(\r\n)?[a,;\"\u{e9}]?"
}

/// A message, which may have more of some delimiter than there are values in a row.
fn message() -> impl Strategy<Value = String> {
    let delimiters = (prop::sample::select(vec![",", ";", "\t", "|"]), 0_usize..12).prop_map(|(delimiter, count)| delimiter.repeat(count));
    (note(), delimiters).prop_map(|(note, delimiters)| note + &delimiters)
}

fn dialects() -> impl Strategy<Value = CsvDialect> {
    let line_end = prop::sample::select(vec![LineEnd::Lf, LineEnd::CrLf]);
    (prop::sample::select(b",;\t|'".to_vec()), any::<bool>(), line_end).prop_map(|(delimiter, has_mark, line_end)| CsvDialect {
        delimiter: Some(delimiter),
        has_mark,
        line_end,
    })
}

/// An input of `rows`, whose users and end dates are put into the notes at these places.
fn written(rows: &[Vec<String>], dialect: CsvDialect, quotes: QuoteStyle, has_header: bool) -> Vec<u8> {
    let mut writer = dialect.writer().quote_style(quotes).from_writer(dialect.mark().to_vec());
    for row in if has_header { rows } else { &rows[1..] } {
        writer.write_record(row).expect("memory");
    }
    writer.into_inner().expect("memory")
}

fn inputs() -> impl Strategy<Value = Written> {
    let rows = prop::collection::vec(prop::collection::vec(note(), 0..=3), 1..6);
    let places = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (rows, dialects(), places, switches).prop_map(|(notes, dialect, places, switches)| {
        let (is_typed, has_header, is_grant, is_looked_up, all_quoted) = switches;
        let width = notes[0].len();
        let user_at = places.0.index(width + 1);
        let until_at = places.1.index(width + 2);
        let put = |mut row: Vec<String>, user: String, until: String| {
            row.resize(width, "x".to_owned());
            row.insert(user_at, user);
            if is_grant {
                row.insert(until_at, until);
            }
            row
        };
        let names = (1..=width).map(|number| format!("note{number}")).collect();
        let mut rows = vec![put(names, "Who".to_owned(), "To".to_owned())];
        for (number, row) in notes.into_iter().enumerate() {
            let user = if is_looked_up {
                format!("user{number};,|\"'\u{fc}@example.com")
            } else {
                uuid::Uuid::from_u128(number as u128).to_string()
            };
            rows.push(put(row, user, format!("+{}h", number + 1)));
        }
        let place = |index: usize, name: &str| if has_header { name.to_owned() } else { (index + 1).to_string() };
        let user_at = if is_grant && until_at <= user_at { user_at + 1 } else { user_at };
        let options = Dialect {
            user_column: Some(place(user_at, "who")),
            lookup_by: is_looked_up.then_some(Attribute::Email),
            until_column: is_grant.then(|| place(until_at, "to")),
            delimiter: dialect.delimiter.filter(|delimiter| is_typed || matches!(delimiter, b'|' | b'\'')),
            no_headers: !has_header,
        };
        let quotes = if all_quoted { QuoteStyle::Always } else { QuoteStyle::Necessary };
        let operation = if is_grant { Operation::Grant } else { Operation::Audit };
        Written { text: written(&rows, dialect, quotes, has_header), options, dialect, operation }
    })
}

/// What each row asks for, and its values.
fn asked(input: &ValidInput) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut reader = input.read_again().expect("unchanged");
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().expect("readable") {
        let asked = match &row.asked {
            Ok(Asked::For(action)) => format!("{action:?}"),
            Ok(Asked::Nothing(_)) => "nothing".to_owned(),
            Err(fault) => fault.to_string(),
        };
        rows.push((asked, (0..row.width()).map(|index| row.field(index).to_vec()).collect()));
    }
    rows
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn failed_rows_read_with_the_same_options_are_those_rows(
        input in inputs(),
        failed in prop::collection::btree_set(1_u64..6, 1..5),
        message in message(),
    ) {
        let Written { text, options, dialect, operation } = input;
        let shown = String::from_utf8_lossy(&text).into_owned();
        let before = checked_input(&text, rules(operation), &options, false);
        // Where the delimiter is found out, another one that stands in the values may be taken for it.
        prop_assume!(before.as_ref().is_ok_and(|input| input.layout.dialect.delimiter() == dialect.delimiter()));
        let before = before.expect("it is valid");
        let failed: Vec<_> = failed.into_iter().filter(|row| *row <= before.rows()).map(|row| (row, message.as_str())).collect();
        prop_assume!(!failed.is_empty());
        let again = failed_file(&before, &failed);
        let after = match checked_input(&again, rules(operation), &options, false) {
            Ok(after) => after,
            Err(why) => return Err(TestCaseError::fail(format!("{why}\n{shown}\n---\n{}", String::from_utf8_lossy(&again)))),
        };
        let all = asked(&before);
        let line = |(row, _): &(u64, &str)| {
            let (asked, mut values) = all[usize::try_from(*row).expect("small") - 1].clone();
            values.extend([b"not_found".to_vec(), message.clone().into_bytes()]);
            (asked, values)
        };
        let expected: Vec<_> = failed.iter().map(line).collect();
        prop_assert_eq!(asked(&after), expected, "{}\n---\n{}", shown, String::from_utf8_lossy(&again));
        let form = |input: &ValidInput| (input.layout.dialect.delimiter(), input.layout.dialect.has_mark, input.layout.has_header);
        prop_assert_eq!(form(&after), form(&before));
        if before.layout.has_header {
            prop_assert_eq!(after.layout.dialect.line_end, dialect.line_end);
            let names = after.layout.names.iter().take(before.layout.names.len());
            prop_assert!(names.eq(&before.layout.names) && after.layout.names.ends_with(&FAILED_COLUMNS.map(str::to_owned)));
        }
        let unmarked = again.strip_prefix(dialect.mark()).expect("the mark");
        prop_assert!(!unmarked.starts_with(crate::domain::BYTE_ORDER_MARK));
        let ends_as = |text: &[u8], end: &[u8]| text.ends_with(end);
        prop_assert_eq!(ends_as(&again, b"\r\n"), before.layout.dialect.line_end == LineEnd::CrLf);
    }
}

#[test]
fn the_dialect_is_found_in_the_first_line() {
    let of = |text: &str, options: &Dialect| {
        let rules = Rules { until: Some(rules(Operation::Grant).read_until("+4h").expect("a date")), ..rules(Operation::Grant) };
        checked_input(text.as_bytes(), rules, options, false).expect(text).layout.dialect
    };
    let is = |delimiter: Option<u8>, has_mark: bool, line_end: LineEnd| CsvDialect { delimiter, has_mark, line_end };
    let bare = Dialect { no_headers: true, ..Dialect::default() };
    let piped = Dialect { delimiter: Some(b'|'), ..Dialect::default() };
    for (text, options, expected) in [
        (format!("userID,until\n{A},+4h\r\n"), &Dialect::default(), is(Some(b','), false, LineEnd::Lf)),
        (format!("\u{feff}userID;until\r\n{A};+4h\n"), &Dialect::default(), is(Some(b';'), true, LineEnd::CrLf)),
        (format!("\r\n\nuserID\tnote\r\n{A}\t\n"), &Dialect::default(), is(Some(b'\t'), false, LineEnd::CrLf)),
        (format!("\u{feff}userID\r\n{A}\r\n"), &Dialect::default(), is(None, true, LineEnd::CrLf)),
        (format!("userID\n{A}\n"), &piped, is(Some(b'|'), false, LineEnd::Lf)),
        (format!("userID,\"a\r\nb\"\n{A},x\n"), &Dialect::default(), is(Some(b','), false, LineEnd::Lf)),
        (A.to_owned(), &bare, is(None, false, LineEnd::Lf)),
        (format!("\"{A}\";+4h;\"a,b,c,d\"\r\n"), &bare, is(Some(b';'), false, LineEnd::CrLf)),
        (format!("\r\n;;\n{A};+4h;x\n"), &bare, is(Some(b';'), false, LineEnd::Lf)),
    ] {
        assert_eq!(of(&text, options), expected, "{text}");
    }
}

#[test]
fn a_list_of_users_alone_without_a_header_gets_a_column_for_their_end_dates() {
    let until = rules(Operation::Grant).read_until("+4h").expect("a date");
    let rules = Rules { until: Some(until), ..rules(Operation::Grant) };
    let bare = Dialect { no_headers: true, ..Dialect::default() };
    let input = checked_input(format!("{A}\n{B}\n").as_bytes(), rules, &bare, false).expect("valid");
    let again = failed_file(&input, &[(2, "none")]);
    assert_eq!(String::from_utf8_lossy(&again), format!("\"{B}\",\"\",\"not_found\",\"none\"\n"));
    let again = checked_input(&again, rules, &bare, false).expect("valid");
    assert_eq!(asked(&again)[0].0, asked(&input)[1].0);
}

#[test]
fn a_report_in_any_dialect_is_read_by_its_header() {
    for delimiter in [",", ";", "\t", "|", "'", " "] {
        let text = format!("\u{feff}{}\r\n1,{A},failed{}\r\n", COLUMNS.join(","), ",".repeat(COLUMNS.len() - 3)).replace(',', delimiter);
        let input = checked_input(text.as_bytes(), rules(Operation::Audit), &Dialect::default(), false).expect("valid");
        assert_eq!(input.layout.dialect.delimiter().to_string(), delimiter.as_bytes()[0].to_string());
        assert_eq!(input.plan().to_send, 1, "{delimiter}");
    }
}
