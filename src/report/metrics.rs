//! Writes the metrics of a run in Prometheus' text format, for the textfile collector of `node_exporter`, so that unattended
//! runs can be monitored.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::Summary;
use super::files::Replaced;
use crate::domain::{BypassUntil, EnvironmentId, Outcome, Shard};
use crate::file_error::FileError;
use crate::platform::{let_all_read, not_regular};

/// The most bytes read of an earlier metrics file; ours are much smaller.
const MAX_PREVIOUS_BYTES: u64 = 1 << 20;
const EXIT_CODE: &str = "pingone_bypass_exit_code";
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

/// The file at `path`, if it holds the metrics of an earlier run.
pub(crate) fn earlier_metrics(path: &Path) -> Option<Replaced> {
    // Anything but a regular file is not opened: that could block forever.
    let is_regular = path.metadata().is_ok_and(|there| there.is_file() && there.len() > 0);
    Replaced::named(path).ok().filter(|_| is_regular && may_hold_metrics(path))
}

/// Which series a run's metrics are: those of its operation, and of its shard if it is one, so that files of several shards may lie in
/// one folder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Series {
    pub(crate) operation: &'static str,
    pub(crate) shard: Option<Shard>,
}

impl fmt::Display for Series {
    /// As labels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation=\"{}\"", self.operation)?;
        self.shard.map_or(Ok(()), |shard| write!(f, ",shard=\"{shard}\""))
    }
}

/// What the metrics of a run are computed from.
#[derive(Debug)]
pub(crate) struct Metrics<'a> {
    pub(crate) series: Series,
    /// `None` if it is not known.
    pub(crate) environment: Option<EnvironmentId>,
    pub(crate) summary: &'a Summary,
    /// Requests by the status of their answer; `None` for those without an answer.
    pub(crate) statuses: &'a BTreeMap<Option<u16>, u64>,
    pub(crate) exit_code: u8,
    /// Seconds since 1970-01-01, UTC.
    pub(crate) now: i64,
}

impl Metrics<'_> {
    /// Whether the last run in the file at `place` was of this series and environment, and ended with `exit_code`.
    pub(crate) fn has_exit_code(place: &Replaced, series: Series, environment: Option<EnvironmentId>, exit_code: u8) -> bool {
        let environment = environment.map(|environment| environment.to_string()).unwrap_or_default();
        let told = format!("{EXIT_CODE}{{{series},environment=\"{environment}\"}} {exit_code}");
        previous_text(place).is_ok_and(|text| text.lines().any(|line| line == told))
    }

    /// Atomically writes the metrics to `place`. If this run did not succeed, the last success of the same operation in the same
    /// environment is kept from the previous file.
    pub(crate) fn write(&self, place: &Replaced) -> Result<(), FileError> {
        // A file that cannot be read has no success to keep.
        let before = previous_text(place).unwrap_or_default();
        let label = self.label(&before);
        let last_success = if self.exit_code == 0 { Some(self.now) } else { self.last_success(&before, &label) };
        let text = self.text(&label, last_success);
        place.replace(|file| {
            std::io::Write::write_all(file, text.as_bytes())?;
            // The collector runs as another user, and the metrics hold no secret.
            let_all_read(file)
        })
    }

    /// The value of the label `environment`. Of a run that was refused before its environment was known, it is that of the run
    /// `before`, so that an alert on the series sees the refusal; empty, which Prometheus takes for none, if there was none.
    fn label(&self, before: &str) -> String {
        let known = self.environment.map(|environment| environment.to_string());
        known.or_else(|| self.earlier(EXIT_CODE, before).next().map(|(environment, _)| environment.to_owned())).unwrap_or_default()
    }

    /// When this operation last succeeded in the environment with this `label`, as an earlier run's file tells.
    fn last_success(&self, before: &str, label: &str) -> Option<i64> {
        self.earlier(LAST_SUCCESS, before).find(|(environment, _)| *environment == label)?.1.parse().ok()
    }

    /// The environments and values that this operation has of the metric `name` in an earlier run's file.
    fn earlier<'t>(&self, name: &str, before: &'t str) -> impl Iterator<Item = (&'t str, &'t str)> {
        let beginning = format!("{name}{{{},environment=\"", self.series);
        before.lines().filter_map(move |line| line.strip_prefix(&beginning)?.split_once("\"} "))
    }

    fn text(&self, environment: &str, last_success: Option<i64>) -> String {
        let Self { series, .. } = *self;
        let mut text = String::new();
        let mut family = |name: &str, help: &str, samples: &[(String, String)]| {
            writeln!(text, "# HELP pingone_bypass_{name} {help}\n# TYPE pingone_bypass_{name} gauge").expect("memory");
            for (labels, value) in samples {
                let labels = format!("{series},environment=\"{environment}\"{labels}");
                writeln!(text, "pingone_bypass_{name}{{{labels}}} {value}").expect("memory");
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
        if series.operation.starts_with("audit") && (self.exit_code == 0 || tally.rows() > 0) {
            family("active", "Users who could bypass MFA at the last run.", &one(tally.of(Outcome::Active).to_string()));
        }
        if let Some((earliest, latest)) = self.summary.bypass_ends.span() {
            let seconds = |until: BypassUntil| one(until.instant().timestamp().to_string());
            family(
                "active_until_earliest_timestamp_seconds",
                "The earliest end date of the users who could bypass MFA at the last run.",
                &seconds(earliest),
            );
            family(
                "active_until_latest_timestamp_seconds",
                "The latest end date of the users who could bypass MFA at the last run.",
                &seconds(latest),
            );
        }
        family("last_run_timestamp_seconds", "When the last run ended.", &one(self.now.to_string()));
        if let Some(at) = last_success {
            family("last_success_timestamp_seconds", "When the last run ended whose exit code was 0.", &one(at.to_string()));
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

    const PROD: &str = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";

    /// The lines of the metrics file, without comments, after a run with this operation, environment, exit code and time.
    fn after_in(place: &Replaced, operation: &'static str, environment: Option<&str>, exit_code: u8, now: i64) -> Vec<String> {
        let mut summary = Summary {
            sent: 12,
            retried: 3,
            throttled: 1,
            took: Duration::from_millis(2_500),
            held: Duration::from_millis(1_250),
            ..Summary::default()
        };
        summary.tally.add_rows(Outcome::Active, 7);
        summary.tally.add_rows(Outcome::Failed, 2);
        for until in ["2026-11-28T17:00:00.000Z", "2026-11-27T09:30:00.500Z", "2026-11-27T10:00:00.000Z"] {
            summary.bypass_ends.add(BypassUntil::read(until).expect("a date"));
        }
        let statuses = [(None, 1), (Some(200), 9), (Some(503), 2)].into();
        let environment = environment.map(|id| id.parse().expect("a UUID"));
        let series = Series { operation, shard: None };
        Metrics { series, environment, summary: &summary, statuses: &statuses, exit_code, now }.write(place).expect("written");
        let text = fs::read_to_string(place).expect("there");
        assert!(text.starts_with(BEGINNING) && may_hold_metrics(place));
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.strip_prefix("pingone_bypass_").expect("ours").to_owned())
            .collect()
    }

    fn after(place: &Replaced, operation: &'static str, exit_code: u8, now: i64) -> Vec<String> {
        after_in(place, operation, Some(PROD), exit_code, now)
    }

    fn success(lines: &[String]) -> Option<String> {
        lines.iter().find_map(|line| line.strip_prefix("last_success_timestamp_seconds").map(str::to_owned))
    }

    #[test]
    fn the_last_success_of_an_operation_stays_until_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Replaced::named(&folder.path().join("m.prom")).expect("a file");
        let at_200 = format!("{{operation=\"audit\",environment=\"{PROD}\"}} 200");
        assert_eq!(success(&after(&place, "audit", 1, 100)), None);
        assert_eq!(success(&after(&place, "audit", 0, 200)).as_deref(), Some(&*at_200));
        assert_eq!(success(&after(&place, "audit", 1, 300)).as_deref(), Some(&*at_200));
        assert_eq!(success(&after(&place, "grant", 1, 400)), None, "that was another operation");
        assert_eq!(mode_of(&fs::metadata(&place).expect("there")) & 0o777, 0o644, "the collector is another user");
    }

    #[test]
    fn a_shard_has_series_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Replaced::named(&folder.path().join("m.prom")).expect("a file");
        let series = Series { operation: "audit", shard: "3/8".parse().ok() };
        let environment = PROD.parse().ok();
        let metrics = |exit_code, now| {
            Metrics { series, environment, summary: &Summary::default(), statuses: &BTreeMap::new(), exit_code, now }.write(&place)
        };
        metrics(0, 200).expect("written");
        metrics(1, 300).expect("written");
        let text = fs::read_to_string(&place).expect("there");
        assert!(text.contains(&format!("exit_code{{operation=\"audit\",shard=\"3/8\",environment=\"{PROD}\"}} 1")), "{text}");
        assert!(
            text.contains(&format!("last_success_timestamp_seconds{{operation=\"audit\",shard=\"3/8\",environment=\"{PROD}\"}} 200")),
            "{text}"
        );
        assert!(Metrics::has_exit_code(&place, series, environment, 1));
        assert!(!Metrics::has_exit_code(&place, Series { shard: None, ..series }, environment, 1));
    }

    #[test]
    fn the_last_success_is_of_one_environment() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Replaced::named(&folder.path().join("m.prom")).expect("a file");
        let at_200 = format!("{{operation=\"audit\",environment=\"{PROD}\"}} 200");
        after(&place, "audit", 0, 200);
        let unknown = after_in(&place, "audit", None, 2, 300);
        assert_eq!(success(&unknown).as_deref(), Some(&*at_200), "a run that does not know its environment forgets none");
        assert!(unknown.contains(&format!("exit_code{{operation=\"audit\",environment=\"{PROD}\"}} 2")), "an alert sees it: {unknown:?}");
        assert_eq!(success(&after(&place, "audit", 1, 400)).as_deref(), Some(&*at_200));
        let other = "00000000-0364-463b-a059-d97d1e4cb1d5";
        assert_eq!(success(&after_in(&place, "audit", Some(other), 1, 500)), None, "that was another environment");
    }

    #[test]
    fn what_came_of_a_run_stands_in_its_metrics() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Replaced::named(&folder.path().join("m.prom")).expect("a file");
        let lines = after(&place, "audit", 0, 200);
        for expected in [
            "rows{,result=\"active\"} 7",
            "rows{,result=\"failed\"} 2",
            "rows{,result=\"granted\"} 0",
            "requests{,status=\"none\"} 1",
            "requests{,status=\"503\"} 2",
            "duration_seconds{} 2.500",
            "held_seconds{} 1.250",
            "exit_code{} 0",
            "active{} 7",
            "active_until_earliest_timestamp_seconds{} 1795771800",
            "active_until_latest_timestamp_seconds{} 1795885200",
            "last_run_timestamp_seconds{} 200",
        ] {
            let expected = expected.replacen('{', &format!("{{operation=\"audit\",environment=\"{PROD}\""), 1);
            assert!(lines.contains(&expected), "{expected}: {lines:?}");
        }
        assert!(!after(&place, "grant", 0, 200).iter().any(|line| line.starts_with("active{")), "nobody was asked");
    }
}
