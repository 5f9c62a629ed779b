//! What the records beside the two reports tell: whether the reports can be compared, and what is to be known of the answer.

use std::path::Path;

use chrono::SecondsFormat;

use super::change::Change;
use super::error::Apart;
use super::summary::Summary;
use crate::domain::shown;
use crate::report::{Origin, origin_of};

/// What the messages call the reports.
const SIDES: [&str; 2] = ["OLD", "NEW"];

/// The records beside the reports. One that a report has by its name counts from the start; one that was renamed, once the report
/// has been read and has the SHA-256 that the record says.
pub(super) struct Origins {
    paths: [String; 2],
    found: [Option<Origin>; 2],
    warnings: Vec<String>,
}

impl Origins {
    /// Reads the records. Reports whose records say that they do not belong together are refused.
    pub(super) fn of(reports: [&Path; 2]) -> Result<Self, Apart> {
        let origins = Self { paths: reports.map(|path| shown(path).to_string()), found: reports.map(origin_of), warnings: Vec::new() };
        if origins.found.iter().flatten().all(|origin| origin.other_name.is_none()) {
            origins.check()?;
        }
        Ok(origins)
    }

    /// Checks the records against the SHA-256s of the reports, which have been read.
    pub(super) fn check_digests(&mut self, read: &[String; 2]) -> Result<(), Apart> {
        for ((found, path), read) in self.found.iter_mut().zip(&self.paths).zip(read) {
            let Some(Origin { sha256, other_name, .. }) = found else {
                continue;
            };
            match (sha256.as_ref() == Some(read), other_name, sha256) {
                (true, ..) | (false, None, None) => {}
                (false, Some(difference), _) => {
                    self.warnings.push(format!(
                        "{path}: the record beside it is not of this report, and is not considered: {difference}, and its SHA-256 is another"
                    ));
                    *found = None;
                }
                (false, None, Some(_)) => self
                    .warnings
                    .push(format!("{path}: the report is not as its run wrote it: its SHA-256 is {read}, and the record has another")),
            }
        }
        self.check()
    }

    /// Checks that the reports can be an earlier and a later one of the same users, as far as the records tell.
    fn check(&self) -> Result<(), Apart> {
        let [Some(old), Some(new)] = &self.found else {
            return Ok(());
        };
        if old.environment != new.environment {
            return Err(Apart::Environments(old.environment.clone(), new.environment.clone()));
        }
        if new.started < old.started {
            let [old, new] = [old, new].map(|origin| origin.started.to_rfc3339_opts(SecondsFormat::Millis, true));
            return Err(Apart::Swapped(old, new));
        }
        match (&old.only, &new.only) {
            (Some(_), None) => Err(Apart::Selections("OLD")),
            (None, Some(_)) => Err(Apart::Selections("NEW")),
            (Some(_), Some(_)) | (None, None) => Ok(()),
        }
    }

    /// What is to be known of the answer, a line each.
    pub(super) fn warnings(self, summary: &Summary) -> Vec<String> {
        let Self { found, mut warnings, paths } = self;
        let [added, removed] = [Change::Added, Change::Removed].map(|change| summary.of(change) > 0);
        for (side, path) in paths.iter().enumerate() {
            if let Some(Origin { caveat: Some(caveat), .. }) = &found[side] {
                let change = if side == 0 { "added" } else { "removed" };
                warnings.push(format!("{path}: {caveat}; `{change}` may stand for users whom it missed"));
            }
        }
        match &found {
            [Some(Origin { only: Some(_), .. }), None] if added => warnings.push(selected(0, "added")),
            [None, Some(Origin { only: Some(_), .. })] if removed => warnings.push(selected(1, "removed")),
            [Some(Origin { audited: Some(old), .. }), Some(Origin { audited: Some(new), .. })] if old != new && (added || removed) => {
                warnings.push(
                    "OLD and NEW are audits of different inputs, or of different shards of one: `added` and `removed` may stand for users who are in one of them only"
                        .to_owned(),
                );
            }
            [Some(_) | None, Some(_) | None] => {}
        }
        warnings
    }
}

/// The warning that the report at `side` has selected lines, where the other's are not known.
fn selected(side: usize, change: &str) -> String {
    format!(
        "{} has lines only for users who could bypass MFA (`--only active`), and there is no record of {}: `{change}` may stand for users whose lines were left out",
        SIDES[side],
        SIDES[1 - side]
    )
}
