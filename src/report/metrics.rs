//! Writes the metrics of a run in Prometheus' text format, for the textfile collector of `node_exporter`, so that unattended
//! runs can be monitored.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::Summary;
use super::files::Replaced;
use crate::domain::Outcome;
use crate::file_error::FileError;
use crate::platform::{let_all_read, not_regular};

/// The most bytes read of an earlier metrics file; ours are much smaller.
const MAX_PREVIOUS_BYTES: u64 = 1 << 20;
const LAST_SUCCESS: &str = "pingone_bypass_last_success_timestamp_seconds";

/// The first bytes of every metrics file.
const BEGINNING: &str = "# HELP pingone_bypass_";

/// Whether metrics may be written to `path` without losing anything: the file holds those of an earlier run, is empty, or
/// does not exist. A file that cannot be read counts as another file.
pub(super) fn may_hold_metrics(path: &Path) -> bool {
    let mut beginning = Vec::new();
    match File::open(path).and_then(|file| file.take(BEGINNING.len() as u64).read_to_end(&mut beginning)) {
        Ok(length) => length == 0 || beginning == BEGINNING.as_bytes(),
        Err(_) => path.symlink_metadata().is_err(),
    }
}

/// What the metrics of a run are computed from.
#[derive(Debug)]
pub(crate) struct Metrics<'a> {
    pub(crate) operation: &'static str,
    pub(crate) summary: &'a Summary,
    /// Requests by the status of their answer; `None` for those without an answer.
    pub(crate) statuses: &'a BTreeMap<Option<u16>, u64>,
    pub(crate) exit_code: u8,
    /// Seconds since 1970-01-01, UTC.
    pub(crate) now: i64,
}

impl Metrics<'_> {
    /// Atomically writes the metrics to `place`. If this run did not succeed, the time of the last success is kept from the
    /// previous file.
    pub(crate) fn write(&self, place: &Replaced) -> Result<(), FileError> {
        let label = format!("{LAST_SUCCESS}{{operation=\"{}\"}} ", self.operation);
        // A file that cannot be read has no time to keep.
        let before = previous_text(place).unwrap_or_default();
        let before = before.lines().find_map(|line| line.strip_prefix(&label)?.parse().ok());
        let last_success = if self.exit_code == 0 { Some(self.now) } else { before };
        let text = self.text(last_success);
        place.replace(|file| {
            std::io::Write::write_all(file, text.as_bytes())?;
            // The collector runs as another user, and the metrics hold no secret.
            let_all_read(file)
        })
    }

    fn text(&self, last_success: Option<i64>) -> String {
        let operation = self.operation;
        let mut text = String::new();
        let mut family = |name: &str, help: &str, samples: &[(String, String)]| {
            writeln!(text, "# HELP pingone_bypass_{name} {help}\n# TYPE pingone_bypass_{name} gauge").expect("memory");
            for (labels, value) in samples {
                writeln!(text, "pingone_bypass_{name}{{operation=\"{operation}\"{labels}}} {value}").expect("memory");
            }
        };
        let tally = &self.summary.tally;
        let rows: Vec<_> =
            Outcome::ALL.into_iter().map(|outcome| (format!(",result=\"{}\"", outcome.name()), tally.of(outcome).to_string())).collect();
        family("rows", "Rows of the last run by result.", &rows);
        let status = |status: &Option<u16>| status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        let requests: Vec<_> =
            self.statuses.iter().map(|(code, count)| (format!(",status=\"{}\"", status(code)), count.to_string())).collect();
        family("requests", "Requests of the last run by the status of their answer.", &requests);
        let one = |value: String| [(String::new(), value)];
        family("duration_seconds", "How long the last run took.", &one(format!("{:.3}", self.summary.took.as_secs_f64())));
        family("held_seconds", "How long PingOne held the last run back.", &one(format!("{:.3}", self.summary.held.as_secs_f64())));
        family("exit_code", "The exit code of the last run.", &one(self.exit_code.to_string()));
        // A run that asked nobody knows of nobody: to say 0 would be an all-clear.
        if operation == "audit" && (self.exit_code == 0 || tally.rows() > 0) {
            family("active", "Users who could bypass MFA at the last run.", &one(tally.of(Outcome::Active).to_string()));
        }
        family("last_run_timestamp_seconds", "When the last run ended.", &one(self.now.to_string()));
        if let Some(at) = last_success {
            family("last_success_timestamp_seconds", "When the last run ended in which every row succeeded.", &one(at.to_string()));
        }
        text
    }
}

/// The text of an earlier run's metrics file. Anything but a regular file is not opened: that could block forever.
fn previous_text(place: &Replaced) -> io::Result<String> {
    let mut text = String::new();
    if not_regular(place).is_none() {
        File::open(place)?.take(MAX_PREVIOUS_BYTES).read_to_string(&mut text)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::domain::Tally;
    use crate::platform::mode_of;

    #[test]
    fn metrics_replace_metrics_or_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("m.prom");
        assert!(may_hold_metrics(&path), "there is none");
        for (text, expected) in [
            ("", true),
            ("# HELP pingone_bypass_rows Rows.\n", true),
            ("# HELP pingone_bypass_", true),
            ("# HELP pingone_bypas", false),
            ("# HELP node_load1 1m load average.\n", false),
            ("userID\n", false),
        ] {
            fs::write(&path, text).expect("written");
            assert_eq!(may_hold_metrics(&path), expected, "{text}");
        }
        assert!(!may_hold_metrics(folder.path()), "a folder cannot be read");
    }

    /// The lines of the metrics file, without comments, after a run with this operation, exit code and time.
    fn after(place: &Replaced, operation: &'static str, exit_code: u8, now: i64) -> Vec<String> {
        let mut tally = Tally::default();
        tally.add_rows(Outcome::Active, 7);
        tally.add_rows(Outcome::Failed, 2);
        let summary = Summary {
            target: String::new(),
            tally,
            rows: None,
            sent: 12,
            retried: 3,
            throttled: 1,
            took: Duration::from_millis(2_500),
            held: Duration::from_millis(1_250),
            files: Vec::new(),
        };
        let statuses = [(None, 1), (Some(200), 9), (Some(503), 2)].into();
        Metrics { operation, summary: &summary, statuses: &statuses, exit_code, now }.write(place).expect("written");
        let text = fs::read_to_string(place).expect("there");
        assert!(text.starts_with(BEGINNING) && may_hold_metrics(place));
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.strip_prefix("pingone_bypass_").expect("ours").to_owned())
            .collect()
    }

    #[test]
    fn the_last_success_of_an_operation_stays_until_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Replaced::named(&folder.path().join("m.prom")).expect("a file");
        let success =
            |lines: &[String]| lines.iter().find_map(|line| line.strip_prefix("last_success_timestamp_seconds").map(str::to_owned));
        assert_eq!(success(&after(&place, "audit", 1, 100)), None);
        assert_eq!(success(&after(&place, "audit", 0, 200)).as_deref(), Some("{operation=\"audit\"} 200"));
        assert_eq!(success(&after(&place, "audit", 1, 300)).as_deref(), Some("{operation=\"audit\"} 200"));
        assert_eq!(success(&after(&place, "grant", 1, 400)), None, "that was another operation");
        assert_eq!(mode_of(&fs::metadata(&place).expect("there")) & 0o777, 0o644, "the collector is another user");
    }

    #[test]
    fn what_came_of_a_run_stands_in_its_metrics() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Replaced::named(&folder.path().join("m.prom")).expect("a file");
        let lines = after(&place, "audit", 0, 200);
        for expected in [
            "rows{operation=\"audit\",result=\"active\"} 7",
            "rows{operation=\"audit\",result=\"failed\"} 2",
            "rows{operation=\"audit\",result=\"granted\"} 0",
            "requests{operation=\"audit\",status=\"none\"} 1",
            "requests{operation=\"audit\",status=\"503\"} 2",
            "duration_seconds{operation=\"audit\"} 2.500",
            "held_seconds{operation=\"audit\"} 1.250",
            "exit_code{operation=\"audit\"} 0",
            "active{operation=\"audit\"} 7",
            "last_run_timestamp_seconds{operation=\"audit\"} 200",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
        }
        assert!(!after(&place, "grant", 0, 200).iter().any(|line| line.starts_with("active")), "nobody was asked");
    }
}
