//! A row, and the work to do for it.

use csv::ByteRecord;

use super::{Action, BypassUntil, Detail, Outcome, Previous, RowNumber};

/// A row on its way through the pipeline.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) number: RowNumber,
    pub(crate) origin: Origin,
    /// The values of the columns that are carried into the report.
    pub(crate) carried: ByteRecord,
    /// Whether its request may have been carried out already.
    pub(crate) in_doubt: bool,
    /// What the user had before, if an earlier process of the run has recorded it.
    pub(crate) previous: Option<Previous>,
    pub(crate) work: Work,
}

/// How a row stands in its input, for messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The line on which it begins, from 1; `None` for a user of the directory.
    pub(crate) line: Option<u64>,
    /// The value that names its user, if that is not the user's ID.
    pub(crate) named: Option<Box<str>>,
    /// The end date of its bypass by PingOne's device report; `None` if no report was asked.
    pub(crate) reported: Option<BypassUntil>,
}

/// The work to do for a row.
#[derive(Debug)]
pub(crate) enum Work {
    Send(Action),
    /// Nothing: an earlier row requests the same.
    Duplicate(Action),
    /// Nothing: the end date has passed since the run started. The row keeps this outcome.
    Expired(Action, Outcome),
    /// Nothing: the lookup found no user, or no unambiguous one. A resumed run looks nobody up again, so nothing was sent before.
    Unresolved {
        outcome: Outcome,
        /// The reason, for the report.
        detail: Box<Detail>,
        /// The end date that the row requests.
        until: Option<BypassUntil>,
    },
    /// Nothing: a grant had not changed the row's user.
    Untouched {
        /// The text in the user ID column.
        user: String,
        /// The result of the grant.
        result: Outcome,
    },
    /// Nothing: the row cannot be read.
    Invalid {
        /// The text in the user ID column, or the ID that was found.
        user: String,
        /// What is wrong.
        why: String,
    },
}
