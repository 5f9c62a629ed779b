//! What the record beside a report says, and whether the report is the one that it tells of.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::error::PageError;
use super::figures::{RunFigures, instant};
use super::words::{counted, thousands};
use crate::domain::{Outcome, escaped, shown};
use crate::report::{HoldRecord, ReportFiles, RunRecord, Status, tally};

/// The most holds that are marked.
const MOST_HOLDS: usize = 100;

/// The record of a report's run.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) record: RunRecord,
    /// Whether the record tells of holds: older versions did not.
    pub(super) has_holds: bool,
    pub(super) format: String,
}

/// A hold, from one instant to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hold {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    pub(super) seconds: f64,
}

impl Told {
    /// The record among these `files`; `None` if there is none.
    pub(super) fn read(files: &ReportFiles) -> Result<Option<Self>, PageError> {
        let found = RunRecord::read_any(&files.record).map_err(PageError::Record)?;
        Ok(found.map(|(record, keys)| {
            let format = keys.get("formatVersion").map_or_else(|| "1".to_owned(), ToString::to_string);
            Self { record, has_holds: keys.contains_key("holds"), format }
        }))
    }

    pub(super) fn started(&self) -> Option<DateTime<Utc>> {
        instant(&self.record.started_at)
    }

    pub(super) fn finished(&self) -> Option<DateTime<Utc>> {
        self.record.finished_at.as_deref().and_then(instant)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.record.status == Status::Completed
    }

    /// The holds whose times are recorded.
    pub(super) fn episodes(&self) -> Vec<Hold> {
        let hold = |episode: &HoldRecord| {
            let from = instant(&episode.at)?;
            let length = std::time::Duration::try_from_secs_f64(episode.seconds).ok()?;
            let to = from.checked_add_signed(chrono::TimeDelta::from_std(length).ok()?)?;
            Some(Hold { from, to, seconds: episode.seconds })
        };
        self.record.holds.episodes.iter().take(MOST_HOLDS).filter_map(hold).collect()
    }

    /// In what the report at `path`, with these `figures` and this SHA-256, is not as the record says.
    pub(super) fn faults(&self, path: &Path, files: &ReportFiles, figures: &RunFigures, sha256: &str) -> Vec<String> {
        let record = &self.record;
        let mut faults = Vec::new();
        if let Some(difference) = record.other_report(path) {
            faults.push(format!("the record is of another report: {difference}"));
        }
        match &record.report.sha256 {
            Some(recorded) if recorded == sha256 => {}
            Some(recorded) => faults.push(format!(
                "the report is not the one that the run wrote: its SHA-256 is {sha256}, and the record has {}",
                escaped(recorded)
            )),
            None => faults.push("the record has no SHA-256 of the report".to_owned()),
        }
        if !self.is_complete() {
            faults.push("the record does not say that the run was completed".to_owned());
        }
        if files.partial.exists() {
            faults.push(format!(
                "the run is not finished: its journal is there, {}",
                shown(files.partial.file_name().unwrap_or_default().as_ref())
            ));
        }
        let lines = figures.tally.rows() + figures.unreadable.count;
        if let Some(recorded) = record.report.rows.filter(|recorded| *recorded != lines) {
            faults.push(format!("the report has {}, and the record says {}", counted(lines, "line"), thousands(recorded)));
        }
        faults.extend(self.other_totals(figures));
        faults
    }

    /// The results that the report has in another number than the record.
    fn other_totals(&self, figures: &RunFigures) -> Option<String> {
        let recorded = tally(&self.record.totals);
        let is_reported = |outcome: &Outcome| self.record.options.only.is_none() || *outcome == Outcome::Active;
        let differing = Outcome::ALL.into_iter().filter(is_reported).filter(|outcome| recorded.of(*outcome) != figures.tally.of(*outcome));
        let differing: Vec<String> = differing
            .map(|outcome| format!("{outcome} {} (record: {})", thousands(figures.tally.of(outcome)), thousands(recorded.of(outcome))))
            .collect();
        (!differing.is_empty()).then(|| format!("the record has other totals than the report: {}", differing.join(", ")))
    }
}
