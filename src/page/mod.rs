//! Makes a page about a run, for people: one HTML file that loads nothing and runs nothing.
//!
//! ```text
//! NAME.csv ── one pass ─▶ RunFigures, or Changes ─┐
//! NAME.run.json ────────▶ Told ───────────────────┴─▶ html (words, tables) ◀── picture (SVG)
//! ```
//!
//! What is kept of a report is bounded, whatever its length. All texts of the report and the record are untrusted: they reach the
//! page through `html::parts` alone, which shows what is invisible, and maud, which escapes.

mod buckets;
mod causes;
mod changes;
mod error;
mod figures;
mod html;
mod picture;
mod spread;
mod told;
mod words;

use std::io::{self, Cursor, Read};
use std::path::Path;

use chrono::{DateTime, Utc};
use csv::ByteRecord;

pub(crate) use self::error::PageError;

use self::changes::{Changes, delimiter_of_changes};
use self::figures::{RunFigures, Unreadable};
use self::told::Told;
use self::words::counted;
use crate::domain::CsvDialect;
use crate::file_error::FileError;
use crate::report::{COLUMNS, Hashing, ReportFiles, delimiter_of_report, is_journal};

/// Bytes read at a time.
const BUFFER: usize = 256 << 10;
/// The bytes that show the delimiter: a byte order mark, and the names of the first columns.
const SHOWN_BY: u64 = 256;

/// Whether users are named on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Users {
    Shown,
    /// No user is named, and no text that may name one is shown.
    LeftOut,
}

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) html: String,
    /// In what the report is not as it should be. The page begins with them.
    pub(crate) faults: Vec<String>,
    /// What cannot be known of the report, if something cannot.
    pub(crate) note: Option<&'static str>,
}

/// Below a page that was made without a record.
pub(super) const NO_RECORD: &str = "there is no record beside the report: nothing here proves where it comes from, or that it is whole";

/// What a report has in it.
enum Content {
    Run(Box<RunFigures>),
    Diff(Box<Changes>),
}

/// Makes the page of the report at `path`, or of what `diff` wrote there. `link` is whether the page may link to the report as a
/// file beside it.
pub(crate) fn make(path: &Path, users: Users, link: Link) -> Result<Page, PageError> {
    if is_journal(path) {
        return Err(PageError::Journal(path.to_owned()));
    }
    let files = ReportFiles::beside(path).map_err(PageError::Path)?;
    if !path.exists() && files.partial.exists() {
        return Err(PageError::Unfinished { report: path.to_owned(), journal: files.partial.to_path_buf() });
    }
    let told = Told::read(&files)?;
    let (content, sha256) = read(path, users, told.as_ref().and_then(Told::finished))?;
    let source = html::Source { name: name_of(path), sha256, users, link };
    Ok(match content {
        Content::Run(figures) => {
            let mut faults = told.as_ref().map(|told| told.faults(path, &files, &figures, &source.sha256)).unwrap_or_default();
            faults.extend(unreadable(&figures.unreadable));
            let note = told.is_none().then_some(NO_RECORD);
            Page { html: html::page_of_run(&source, &figures, told.as_ref(), &faults), faults, note }
        }
        Content::Diff(changes) => {
            let faults: Vec<String> = unreadable(&changes.unreadable).into_iter().collect();
            Page { html: html::page_of_diff(&source, &changes, &faults), faults, note: None }
        }
    })
}

/// Where the page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// Beside the report, so that its name is the way to it.
    Beside,
    Elsewhere,
}

fn read(path: &Path, users: Users, ended: Option<DateTime<Utc>>) -> Result<(Content, String), PageError> {
    let failed = |source| PageError::Unreadable(FileError::new("read", path, source));
    let mut reader = Hashing::open(path).and_then(reader_of).map_err(failed)?;
    let mut line = ByteRecord::new();
    reader.read_byte_record(&mut line).map_err(|error| failed(error.into()))?;
    let mut content = content_of(path, &line, users, ended)?;
    while reader.read_byte_record(&mut line).map_err(|error| failed(error.into()))? {
        match &mut content {
            Content::Run(figures) => figures.take(&line),
            Content::Diff(changes) => changes.take(&line),
        }
    }
    let (_, file) = reader.into_inner().into_inner();
    Ok((content, file.finish()))
}

/// A parser of `file`, whatever the dialect of what is in it.
fn reader_of(mut file: Hashing) -> io::Result<csv::Reader<io::Chain<Cursor<Vec<u8>>, Hashing>>> {
    let mut head = Vec::new();
    file.by_ref().take(SHOWN_BY).read_to_end(&mut head)?;
    let shown = delimiter_of_report(&head).or_else(|| delimiter_of_changes(&head));
    let mut parser = csv::ReaderBuilder::new();
    parser.delimiter(shown.unwrap_or_else(|| CsvDialect::default().delimiter()));
    Ok(parser.has_headers(false).flexible(true).buffer_capacity(BUFFER).from_reader(Cursor::new(head).chain(file)))
}

/// The columns that reports of older versions lack.
const LATER: [&str; 2] = ["previousUntil", "correlationId"];

fn content_of(path: &Path, header: &ByteRecord, users: Users, ended: Option<DateTime<Utc>>) -> Result<Content, PageError> {
    if let Some(changes) = Changes::new(header, users) {
        return Ok(Content::Diff(Box::new(changes)));
    }
    let is_there = |name: &str| header.iter().any(|found| found == name.as_bytes());
    match COLUMNS.into_iter().find(|name| !LATER.contains(name) && !is_there(name)) {
        None => Ok(Content::Run(Box::new(RunFigures::new(header, users, ended)))),
        Some(missing) => Err(PageError::NotAReport { path: path.to_owned(), missing }),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn unreadable(lines: &Unreadable) -> Option<String> {
    let named: Vec<String> = lines.first.iter().map(ToString::to_string).collect();
    let more = if lines.count > lines.first.len() as u64 { ", …" } else { "" };
    let which = if named.len() == 1 { "line" } else { "lines" };
    (lines.count > 0).then(|| {
        format!(
            "{} cannot be read and {} left out: {which} {}{more}",
            counted(lines.count, "line"),
            if lines.count == 1 { "is" } else { "are" },
            named.join(", ")
        )
    })
}
