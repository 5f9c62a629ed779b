//! What is a row, and what is to be done for it?

use csv::ByteRecord;

use super::{Action, BypassUntil, Detail, Outcome, RowNumber};

/// A row on its way through the pipeline.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) number: RowNumber,
    /// The values of the columns that are carried into the report.
    pub(crate) carried: ByteRecord,
    /// Whether what it asks for may have been carried out already.
    pub(crate) in_doubt: bool,
    pub(crate) task: Work,
}

/// What is to be done for a row.
#[derive(Debug)]
pub(crate) enum Work {
    /// Send this.
    Send(Action),
    /// Nothing: the same stands in an earlier row.
    Duplicate(Action),
    /// Nothing: the end date has passed since the run was begun. The row stays what it was.
    Passed(Action, Outcome),
    /// Nothing: its user was looked up, and there is none of whom it is clear that the row means them.
    Nobody {
        outcome: Outcome,
        /// What is to be said of it.
        detail: Box<Detail>,
        /// The end date that the row asks for.
        until: Option<BypassUntil>,
    },
    /// Nothing: the row cannot be read.
    Invalid {
        /// What stands in the column of user IDs, or the ID that was found.
        user: String,
        /// What is wrong.
        why: String,
    },
}

impl Work {
    /// The work, where it may have been carried out by a run that was broken off: whoever was meant then may be
    /// nobody to look up now.
    pub(crate) fn in_doubt(self) -> Self {
        match self {
            Self::Nobody { until, mut detail, .. } => {
                detail.message = format!("this may have been carried out before the run was broken off; now: {}", detail.message).into();
                Self::Nobody { outcome: Outcome::Unknown, detail, until }
            }
            work @ (Self::Send(_) | Self::Duplicate(_) | Self::Passed(..) | Self::Invalid { .. }) => work,
        }
    }
}
