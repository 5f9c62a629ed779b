//! Each refused input says what to do.

use super::*;
use crate::hint_tests::{assert_all_told, assert_told};
use crate::input::RowFault;

/// The header's fault after `fault`. The compiler asks here for a new one.
fn next_fault(fault: &HeaderFault) -> Option<HeaderFault> {
    let (text, found) = (|| "x".to_owned(), || vec!["name".to_owned()]);
    Some(match fault {
        HeaderFault::Missing { data: true, .. } => HeaderFault::Missing { wanted: text(), users: true, found: found(), data: false },
        HeaderFault::Missing { users: true, .. } => HeaderFault::Missing { wanted: text(), users: false, found: found(), data: false },
        HeaderFault::Missing { .. } => HeaderFault::NotAGrantsReport { wanted: text(), found: found() },
        HeaderFault::NotAGrantsReport { .. } => HeaderFault::OtherAttribute { column: text(), by: "email" },
        HeaderFault::OtherAttribute { .. } => HeaderFault::TwoOfUsers { ids: text(), values: "email".into() },
        HeaderFault::TwoOfUsers { .. } => HeaderFault::Twice(text()),
        HeaderFault::Twice(_) => HeaderFault::NotUtf8,
        HeaderFault::NotUtf8 => HeaderFault::TooLong,
        HeaderFault::TooLong => HeaderFault::BareCarriageReturn,
        HeaderFault::BareCarriageReturn => HeaderFault::NotANumber(text(), 3),
        HeaderFault::NotANumber(..) => return None,
    })
}

fn bad_rows(fault: RowFault) -> InputError {
    let mut bad = BadRows::of("in.csv");
    bad.add(2, fault);
    InputError::BadRows { name: "in.csv".into(), rows: 3, bad }
}

/// The refusal after `error`. The compiler asks here for a new one.
fn next(error: &InputError) -> Option<InputError> {
    let name = || "in.csv".to_owned();
    Some(match error {
        InputError::Unreadable { .. } => InputError::NotKept { name: name(), source: io::ErrorKind::StorageFull.into() },
        InputError::NotKept { .. } => InputError::Empty(name()),
        InputError::Empty(_) => InputError::NoRows(name()),
        InputError::NoRows(_) => InputError::Utf16(name()),
        InputError::Utf16(_) => InputError::NotText(name()),
        InputError::NotText(_) => InputError::Workbook(name()),
        InputError::Workbook(_) => InputError::Header { name: name(), line: 1, fault: HeaderFault::TooLong },
        InputError::Header { .. } => InputError::TooManyRows { name: name(), rows: 2, most: 1 },
        InputError::TooManyRows { .. } => InputError::MoreRows { name: name(), most: 1 },
        InputError::MoreRows { .. } => bad_rows(RowFault::NoUntil { column: "until".into() }),
        InputError::BadRows { .. } => return None,
    })
}

#[test]
fn each_refused_input_says_what_to_do() {
    let first = || InputError::Unreadable { name: "in.csv".into(), source: io::ErrorKind::PermissionDenied.into() };
    assert_eq!(assert_all_told(first(), next, InputError::hint), 11);
    let header = HeaderFault::Missing { wanted: "userID".into(), users: true, found: vec!["name".into()], data: true };
    assert_eq!(assert_all_told(header, next_fault, |fault| fault.hint().to_owned()), 11);
    let header = HeaderFault::Missing { wanted: "userID".into(), users: true, found: vec!["userID;until".into()], data: false };
    assert!(header.hint().contains("another delimiter"), "{}", header.hint());
    let (column, value) = (|| "c".to_owned(), || "v".to_owned());
    for fault in [
        RowFault::Unclosed { column: column(), value: value() },
        RowFault::NotUtf8 { column: column(), value: value() },
        RowFault::Result { column: column(), value: value() },
        RowFault::NoPrevious { column: column() },
    ] {
        let error = bad_rows(fault);
        assert_told(&error, &error.hint());
    }
}

#[test]
fn an_input_that_cannot_be_read_is_told_by_its_cause() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("there/in.csv").display().to_string();
    for (source, expected) in [
        (io::Error::other(BadBytes::QuoteNeverClosed { line: 2 }), "close the quote"),
        (io::Error::other(BadBytes::LineTooLong { line: 2 }), "see whether this is a CSV file"),
        (io::Error::other(BadBytes::Changed), "leave the file as it is while it is read"),
        (io::ErrorKind::NotFound.into(), "check the path, or make its folder: `mkdir -p "),
        (io::ErrorKind::IsADirectory.into(), "name a file: this is a folder"),
    ] {
        let error = refused(&nowhere, source);
        let hint = error.hint();
        assert!(hint.starts_with(expected), "{error}: {hint}");
        assert_told(&error, &hint);
    }
    let missing = refused("in.csv", io::ErrorKind::NotFound.into()).hint();
    assert_eq!(missing, "check the path: this folder has no such file; `-` stands for standard input");
}
