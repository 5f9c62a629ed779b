//! Where a report comes from, as far as the record beside it tells.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::files::ReportFiles;
use super::record::RunRecord;

/// The run that wrote a report.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) environment: String,
    pub(crate) started: DateTime<Utc>,
    /// The selection of users that the report has lines of, as typed; `None` for all.
    pub(crate) only: Option<String>,
}

/// The origin of the report at `report`; `None` if there is no record of it that can be read.
pub(crate) fn origin_of(report: &Path) -> Option<Origin> {
    let files = ReportFiles::beside(report).ok()?;
    let (record, _) = RunRecord::read_any(&files.record).ok()??;
    let (started, _) = record.origin().ok().filter(|_| record.other_report(report).is_none())?;
    Some(Origin { environment: record.environment.id, started, only: record.options.only })
}
