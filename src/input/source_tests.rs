//! Files and pipes as sources: what is inspected before more is read, and which bytes are counted.

use std::io::Write;
use std::os::fd::AsRawFd;

use super::*;
use crate::external_sort::no_temporary;

fn beginning(head: &[u8], has_more: bool) -> Beginning {
    Beginning { name: "in.csv".to_owned(), head: head.to_vec(), has_more, mark: b"" }
}

/// A pipe that delivers these `pieces` one by one, opened by its path.
fn pipe(pieces: Vec<Vec<u8>>, bytes_read: &BytesRead) -> Result<OpenedInput, InputError> {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    let writing = std::thread::spawn(move || {
        for piece in pieces {
            // A reader that refuses the input does not read the rest.
            if writer.write_all(&piece).is_err() {
                return;
            }
            std::thread::yield_now();
        }
    });
    let opened = OpenedInput::at(Path::new(&path), bytes_read.clone());
    // A pipe ends when all its writers are closed.
    drop(reader);
    if opened.is_err() {
        writing.join().expect("no panic");
    }
    opened
}

#[test]
fn what_can_be_read_once_only_is_a_pipe() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("in.csv");
    std::fs::write(&file, "userID\n").expect("written");
    for (path, expected) in [
        (Path::new("-"), true),
        (Path::new("/dev/null"), true),
        (&file, false),
        (folder.path(), false),
        (&folder.path().join("nowhere"), false),
    ] {
        assert_eq!(is_pipe(path), expected, "{}", path.display());
    }
    assert_eq!((name_of(Path::new("-")), name_of(Path::new("a/in.csv"))), ("standard input".to_owned(), "a/in.csv".to_owned()));
    assert!(!OpenedInput::at(&file, BytesRead::default()).expect("readable").is_pipe);
}

#[test]
fn bytes_are_counted_as_they_are_read_for_the_first_time() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "userID\nx\n").expect("written");
    let bytes_read = BytesRead::default();
    assert_eq!(bytes_read.bytes(), 0);
    let source = OpenedInput::at(file.path(), bytes_read.clone()).expect("readable").whole(&ReadOptions::default()).expect("taken");
    io::read_to_string(source.text().expect("there")).expect("text");
    assert_eq!(bytes_read.bytes(), 9, "a file of which all is looked at is read again for the rows");
}

#[test]
fn what_is_not_text_is_detected_from_its_first_bytes() {
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    for (head, has_more, expected) in [
        (utf16("user", false), true, Some("UTF-16")),
        (utf16("user", true), true, Some("UTF-16")),
        // With fewer bytes it is not clear yet; and if there are no more, the input is not text.
        (utf16("use", false), true, None),
        (utf16("use", false), false, Some("zero bytes")),
        (b"userID\0\n".to_vec(), true, Some("zero bytes")),
        (b"user\0".to_vec(), true, None),
        (b"user\0".to_vec(), false, Some("zero bytes")),
        (b"userID\n".to_vec(), true, None),
        (b"userID,until\n".to_vec(), false, None),
        (b"a\0b\0c\0\0\0".to_vec(), true, Some("zero bytes")),
        (b"PK\x03\x04".to_vec(), true, Some("Excel")),
        (b"\xfe\xff\0u".to_vec(), true, Some("UTF-16")),
    ] {
        let found = beginning(&head, has_more).refuse_what_is_no_text().err().map(|error| error.to_string());
        assert_eq!(found.is_some(), expected.is_some(), "{head:?} {has_more}: {found:?}");
        assert!(found.is_none_or(|found| found.contains(expected.expect("it is refused"))), "{head:?}");
    }
}

#[test]
fn no_more_than_64_kib_are_looked_at_of_a_pipe_that_brings_little_at_a_time() {
    let pieces: Vec<Vec<u8>> = std::iter::once(b"userID\n".to_vec()).chain((0..90).map(|_| vec![b'x'; 1000])).collect();
    let bytes_read = BytesRead::default();
    let opened = pipe(pieces, &bytes_read).expect("text");
    assert!(opened.is_pipe);
    assert_eq!((opened.beginning.head.len(), bytes_read.bytes()), (64 << 10, 64 << 10));
    let source = opened.whole(&ReadOptions::default()).expect("room");
    assert_eq!(io::read_to_string(source.text().expect("there")).expect("text").len(), 7 + 90 * 1000);
    assert_eq!(bytes_read.bytes(), 7 + 90 * 1000);
}

#[test]
fn a_pipe_is_read_as_long_as_its_rows_may_be_run() {
    let text = |rows: usize| format!("\u{feff}userID\n{}", "7e94b96e-0364-463b-a059-d97d1e4cb1d5\n".repeat(rows)).into_bytes();
    let taken = |rows: usize, most: Option<u64>, has_header: bool| {
        let options = ReadOptions { keep: false, expected: Some(Expected { delimiter: b',', has_header, most_rows: most }) };
        let source =
            pipe(vec![text(rows)], &BytesRead::default()).and_then(|opened| opened.whole(&options)).map_err(|error| error.to_string())?;
        Ok::<_, String>(io::read_to_string(source.text().expect("there")).expect("text").lines().count())
    };
    assert_eq!(taken(3, Some(3), true), Ok(4));
    assert_eq!(taken(3, Some(4), false), Ok(4));
    assert_eq!(taken(5000, None, true), Ok(5001));
    for (rows, most, has_header) in [(4, 3, true), (3, 3, false), (5000, 4999, true)] {
        let message = taken(rows, Some(most), has_header).expect_err("one too many");
        let expected = format!(": there are more than {most} rows, which is what `--max-users` allows; the rest was not read");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn a_copy_is_taken_only_of_what_was_looked_at() {
    let keep = ReadOptions { keep: true, expected: None };
    for (before, after, is_same) in [
        ("\u{feff}userID\nx\n", "\u{feff}userID\nx\n", true),
        ("userID\nx\n", "userID\nx\nlater\n", true),
        ("\u{feff}userID\nx\n", "\u{feff}userID\ny\n", false),
        ("\u{feff}userID\nx\n", "xxxuserID\nx\n", false),
        ("userID\nx\n", "userID\n", false),
    ] {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), before).expect("written");
        let opened = OpenedInput::at(file.path(), BytesRead::default()).expect("readable");
        std::fs::write(file.path(), after).expect("written");
        assert_eq!(opened.whole(&keep).is_ok(), is_same, "{before:?} {after:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_not_retried_forever() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let written_only = File::options().write(true).open(file.path()).expect("a file");
    assert!(beginning(b"", true).read_on(&written_only).is_err());
    // Unlike with a full disk, the run does not continue without a copy.
    let opened =
        OpenedInput { beginning: beginning(b"userID\n", false), file: written_only, is_pipe: false, bytes_read: BytesRead::default() };
    let error = opened.whole(&ReadOptions { keep: true, expected: None }).expect_err("it cannot be read");
    assert_eq!(error.to_string(), "in.csv: the input cannot be read");
}

#[test]
fn only_what_befalls_temporary_files_is_want_of_room() {
    let full = || io::Error::from(io::ErrorKind::StorageFull);
    assert!(is_no_room(&no_temporary(Path::new("/tmp"), "made", full())));
    assert!(!is_no_room(&full()) && !is_no_room(&io::Error::other("the input changed while it was read")));
}
