//! `page`: makes a page about a run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::RunError;
use super::print;
use crate::cli::PageArgs;
use crate::domain::shown;
use crate::exit::{EXIT_SUCCESS, EXIT_UNVERIFIED};
use crate::page::{Link, Page, PageError, Users, make};
use crate::report::{ReportFiles, check_page_path};
use crate::ui::Console;

/// Makes the page of a report. It is written even if the report is not as its record says: then it begins with a warning.
pub(super) fn page(arguments: &PageArgs, console: &Console) -> Result<u8, RunError> {
    let users = if arguments.redact { Users::LeftOut } else { Users::Shown };
    let report = arguments.report.as_path();
    let to_standard_output = arguments.output.as_deref().is_some_and(|path| path.as_os_str() == "-");
    let made = if to_standard_output {
        let page = make(report, users, Link::Beside)?;
        print(page.html.as_bytes())?;
        page
    } else {
        let path = arguments.output.clone().unwrap_or_else(|| default_path(report));
        let files = ReportFiles::beside(report).map_err(PageError::Path)?;
        let place = check_page_path(&path, &files)?;
        if !arguments.overwrite && path.symlink_metadata().is_ok() {
            return Err(PageError::Exists(path).into());
        }
        let page = make(report, users, link(report, &path))?;
        place.write_whole(page.html.as_bytes())?;
        console.tell(&format!("{}: the page of {}", shown(&path), shown(report)));
        page
    };
    Ok(conclude(&made, report, console))
}

/// Says what the page warns of. Returns the exit code.
fn conclude(page: &Page, report: &Path, console: &Console) -> u8 {
    if let Some(note) = page.note {
        console.tell(&format!("{}: {note}", shown(report)));
    }
    for fault in &page.faults {
        console.tell_anyhow(&format!("warning: {}: {fault}", shown(report)));
    }
    if page.faults.is_empty() { EXIT_SUCCESS } else { EXIT_UNVERIFIED }
}

/// The report's name with `.html` for `.csv`, in the current folder.
fn default_path(report: &Path) -> PathBuf {
    let is_csv = report.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let stem = if is_csv { report.file_stem() } else { report.file_name() };
    let mut name = OsString::from(stem.unwrap_or_default());
    name.push(".html");
    name.into()
}

/// Whether the page stands in the report's folder, so that the report's name is the way to it.
fn link(report: &Path, page: &Path) -> Link {
    let folder = |path: &Path| match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.canonicalize().ok(),
        Some(_) | None => Path::new(".").canonicalize().ok(),
    };
    let (one, other) = (folder(report), folder(page));
    if one.is_some() && one == other { Link::Beside } else { Link::Elsewhere }
}
