//! Checks before the first request that no path a run writes is another file of the run. Otherwise, for example, writing
//! the metrics could destroy the input.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::files::{Destination, OutputError, Replaced, ReportFiles, folder_of};
use super::list_file::{ListFile, ListPlace};
use super::metrics::may_hold_metrics;
use crate::domain::shown;
use crate::platform::{FileId, not_regular};

/// A file that a run reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadFile<'a> {
    /// The name of its role, such as "the input".
    pub(crate) what: &'static str,
    /// Its path; `-` is standard input.
    pub(crate) path: &'a Path,
}

/// What makes two paths the same file.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    There(FileId),
    /// A file that does not exist yet: its folder and name.
    Wanting(PathBuf, OsString),
}

/// A file of the run and its name in messages.
struct Named {
    shown: String,
    identity: Option<Identity>,
}

/// Refuses to overwrite anything but a regular file, and any file that the run reads or writes in another role. Returns
/// where the `metrics` go, if anywhere.
pub(crate) fn check_output_paths(
    destination: &Destination,
    metrics: Option<&Path>,
    read: &[ReadFile<'_>],
) -> Result<Option<Replaced>, OutputError> {
    let metrics = metrics.map(Replaced::named).transpose()?;
    let mut others: Vec<Named> = read.iter().map(ReadFile::named).collect();
    match destination {
        Destination::Files(files) => {
            let written = files.written();
            for (what, path) in written {
                check(what, path, "--output", &others)?;
            }
            others.extend(written.map(|(what, path)| Named { shown: called(what, path), identity: Identity::of(path) }));
        }
        Destination::StandardOutput => {
            let identity = check_standard_output("the report", &others)?;
            others.push(Named { shown: "the report on standard output".to_owned(), identity });
        }
    }
    for path in metrics.iter().flat_map(Replaced::written) {
        check("the metrics file", path, "--metrics-file", &others)?;
    }
    if let Some(path) = metrics.as_deref().filter(|path| !may_hold_metrics(path)) {
        return Err(OutputError::NotMetrics(path.to_owned()));
    }
    Ok(metrics)
}

/// Refuses to write a page about a report over anything but a regular file, and over a file of the report. Returns where it
/// goes.
pub(crate) fn check_page_path(page: &Path, report: &ReportFiles) -> Result<Replaced, OutputError> {
    let page = Replaced::named(page)?;
    let others = report.written().map(|(what, path)| Named { shown: called(what, path), identity: Identity::of(path) });
    for path in page.written() {
        check("the page", path, "--output", &others)?;
    }
    Ok(page)
}

/// Refuses to write a list of users over anything but a regular file, and over a file that is `read`. Returns where it goes: to
/// standard output without an `output`, or if that is `-`.
pub(crate) fn check_list_place(output: Option<&Path>, read: &[ReadFile<'_>]) -> Result<ListPlace, OutputError> {
    let others: Vec<Named> = read.iter().map(ReadFile::named).collect();
    let Some(path) = output.filter(|path| path.as_os_str() != "-") else {
        check_standard_output("the list", &others)?;
        return Ok(ListPlace::StandardOutput);
    };
    let file = ListFile::at(path)?;
    for (what, path) in file.written() {
        check(what, path, "--output", &others)?;
    }
    Ok(ListPlace::File(file))
}

/// Checks that standard output, where `what` goes, is none of the `others`. Returns the file that it is, if it is one.
fn check_standard_output(what: &'static str, others: &[Named]) -> Result<Option<Identity>, OutputError> {
    let own = Identity::of_stream(io::stdout().as_fd());
    match others.iter().find(|other| own.is_some() && other.identity == own) {
        Some(other) => {
            let other = other.shown.clone();
            Err(OutputError::WouldReplace { path: "standard output".into(), what, other, option: "--output" })
        }
        None => Ok(own),
    }
}

/// Checks that `what` may be written at `path` without touching the `others`.
fn check(what: &'static str, path: &Path, option: &'static str, others: &[Named]) -> Result<(), OutputError> {
    let identity = Identity::of(path);
    if let Some(other) = others.iter().find(|other| identity.is_some() && other.identity == identity) {
        return Err(OutputError::WouldReplace { path: path.to_owned(), what, other: other.shown.clone(), option });
    }
    match not_regular(path) {
        Some(kind) => Err(OutputError::NotRegular { path: path.to_owned(), what, kind, option }),
        None => Ok(()),
    }
}

impl ReadFile<'_> {
    fn named(&self) -> Named {
        if self.path.as_os_str() == "-" {
            return Named { shown: format!("{}, standard input", self.what), identity: Identity::of_stream(io::stdin().as_fd()) };
        }
        Named { shown: called(self.what, self.path), identity: Identity::of(self.path) }
    }
}

fn called(what: &str, path: &Path) -> String {
    format!("{}, `{}`", what.trim_end_matches(','), shown(path))
}

impl Identity {
    fn of(path: &Path) -> Option<Self> {
        if let Ok(there) = path.metadata() {
            return Some(Self::There(FileId::of(&there)));
        }
        let folder = folder_of(path);
        let folder = folder.canonicalize().or_else(|_| std::path::absolute(folder)).ok()?;
        Some(Self::Wanting(folder, path.file_name()?.to_owned()))
    }

    /// The regular file behind a stream, if it is one. A terminal is not: it may be read and written at the same time.
    fn of_stream(stream: std::os::fd::BorrowedFd<'_>) -> Option<Self> {
        let there = File::from(stream.try_clone_to_owned().ok()?).metadata().ok()?;
        there.is_file().then(|| Self::There(FileId::of(&there)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn refused(folder: &Path, report: &str, metrics: Option<&str>, input: &str) -> Option<String> {
        let files = ReportFiles::beside(&folder.join(report)).expect("a file");
        let (input, metrics) = (folder.join(input), metrics.map(|name| folder.join(name)));
        let read = [ReadFile { what: "the input", path: &input }];
        let found = check_output_paths(&Destination::Files(Box::new(files)), metrics.as_deref(), &read).err()?;
        Some(found.to_string().replace(&format!("{}/", folder.display()), ""))
    }

    #[test]
    fn no_name_that_is_written_may_be_that_of_the_input() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = ReportFiles::beside(Path::new("r.csv")).expect("a file");
        for (what, path) in names.written() {
            let name = path.to_str().expect("UTF-8");
            let expected = Some(format!("{name}: {what} would replace the input, `{name}`"));
            assert_eq!(refused(folder.path(), "r.csv", None, name), expected, "it is not there yet");
            fs::write(folder.path().join(name), "x").expect("written");
            assert_eq!(refused(folder.path(), "r.csv", None, name), expected);
            symlink(name, folder.path().join("link")).expect("a link");
            fs::hard_link(folder.path().join(name), folder.path().join("hard")).expect("a link");
            for other in ["link", "hard", "../"] {
                let other = if other == "../" { format!("{}/../{name}", folder.path().join("sub").display()) } else { other.to_owned() };
                fs::create_dir_all(folder.path().join("sub")).expect("created");
                let found = refused(folder.path(), "r.csv", None, &other).expect(&other);
                assert!(found.starts_with(&format!("{name}: {what} would replace the input, `")), "{found}");
            }
            for left in [name, "link", "hard"] {
                fs::remove_file(folder.path().join(left)).expect("there");
            }
        }
        assert_eq!(refused(folder.path(), "r.csv", Some("m.prom"), "in.csv"), None);
    }

    #[test]
    fn the_metrics_go_where_they_were_asked_for_or_nowhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let (metrics, input) = (folder.path().join("m.prom"), folder.path().join("in.csv"));
        let files = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file");
        // Streams that are not regular files have no identity, so they never count as the same file.
        for input in [Path::new("-"), &input] {
            let read = [ReadFile { what: "the input", path: input }];
            for destination in [Destination::Files(Box::new(files.clone())), Destination::StandardOutput] {
                let place = check_output_paths(&destination, Some(&metrics), &read).expect("apart").expect("a place");
                assert_eq!(&*place, metrics);
                assert!(check_output_paths(&destination, None, &read).expect("apart").is_none());
            }
        }
        fs::write(&metrics, "somebody's notes").expect("written");
        let found = refused(folder.path(), "r.csv", Some("m.prom"), "in.csv");
        assert_eq!(
            found.as_deref(),
            Some("m.prom: the metrics file would replace another file: expected metrics of an earlier run, or none")
        );
    }

    #[test]
    fn a_stream_that_leads_to_a_file_is_that_file_and_any_other_is_none() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let identity = Identity::of_stream(file.as_file().as_fd());
        assert!(identity.is_some() && identity == Identity::of(file.path()));
        let (reader, _writer) = io::pipe().expect("a pipe");
        assert_eq!(Identity::of_stream(reader.as_fd()), None);
    }

    #[test]
    fn the_metrics_replace_no_other_file_of_the_run() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("in.csv"), "x").expect("written");
        let names = ReportFiles::beside(Path::new("r.csv")).expect("a file");
        for (what, path) in names.written() {
            let name = path.to_str().expect("UTF-8");
            let expected = format!("{name}: the metrics file would replace {}", called(what, path));
            assert_eq!(refused(folder.path(), "r.csv", Some(name), "in.csv"), Some(expected));
        }
        fs::hard_link(folder.path().join("in.csv"), folder.path().join("m.prom.tmp")).expect("a link");
        assert_eq!(
            refused(folder.path(), "r.csv", Some("m.prom"), "in.csv").as_deref(),
            Some("m.prom.tmp: the metrics file would replace the input, `in.csv`")
        );
    }

    #[test]
    fn what_is_no_regular_file_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("there")).expect("created");
        symlink("nowhere", folder.path().join("link")).expect("a link");
        let socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).expect("a socket");
        for (name, kind) in [("there", "a folder"), ("link", "a symbolic link"), ("socket", "a socket"), ("/dev/null", "a device")] {
            let expected = format!("{name}: the metrics file would replace {kind}: expected a regular file, or none");
            assert_eq!(refused(folder.path(), "r.csv", Some(name), "in.csv"), Some(expected));
        }
        assert_eq!(
            refused(folder.path(), "link", None, "in.csv").as_deref(),
            Some("link: the report would replace a symbolic link: expected a regular file, or none")
        );
        fs::create_dir(folder.path().join("r.run.json.tmp")).expect("created");
        assert_eq!(
            refused(folder.path(), "r.csv", None, "in.csv").as_deref(),
            Some("r.run.json.tmp: the run's record, while it is written, would replace a folder: expected a regular file, or none")
        );
        drop(socket);
    }
}
