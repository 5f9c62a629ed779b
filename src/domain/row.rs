//! A row of the input, and what to do for it.

use csv::ByteRecord;

use super::{Action, BypassUntil, Detail, Outcome, RowNumber};

/// A row on its way through the pipeline.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) number: RowNumber,
    /// The values of the columns that are copied to the report.
    pub(crate) carried: ByteRecord,
    /// Whether an earlier run may already have applied it.
    pub(crate) in_doubt: bool,
    pub(crate) task: Work,
}

/// What to do for a row.
#[derive(Debug)]
pub(crate) enum Work {
    /// Send a request.
    Send(Action),
    /// Nothing: an earlier row has the same request.
    Duplicate(Action),
    /// Nothing: the end date has passed since the run began. The row keeps its earlier outcome.
    Passed(Action, Outcome),
    /// Nothing: the lookup did not yield exactly one user.
    Nobody {
        outcome: Outcome,
        /// The message for the report.
        detail: Box<Detail>,
        /// The requested end date.
        until: Option<BypassUntil>,
    },
    /// Nothing: the row is invalid.
    Invalid {
        /// The text in the user column, or the ID that the lookup found.
        user: String,
        /// What is wrong.
        why: String,
    },
}

impl Work {
    /// The same work, for a row that an interrupted run may already have applied. If the lookup no longer finds the user, the
    /// outcome becomes `unknown`.
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
