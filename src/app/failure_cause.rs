//! Why the rows failed that stopped a run, as causes of its error.

use crate::run::{Cause, Causes, FailedRow};

/// The most causes that an error tells: the further ones are rare, and the report has them.
const MOST_TOLD: usize = 5;
/// The most causes in the record's `stopReason`.
const MOST_IN_SHORT: usize = 3;

/// A cause of failed rows. Its source is the next most frequent one.
#[derive(Debug, thiserror::Error)]
#[error("{told}")]
pub(crate) struct FailureCause {
    told: String,
    short: String,
    #[source]
    next: Option<Box<FailureCause>>,
}

impl FailureCause {
    /// The most frequent of the `causes`, and then the others; `None` if no row failed.
    pub(super) fn of(causes: Causes) -> Option<Self> {
        let (causes, others) = causes.most_frequent(MOST_TOLD);
        let others = (others > 0).then(|| format!("{others} × something else"));
        let told = causes.iter().map(|cause: &Cause| (cause.told(), cause.in_short()));
        let all: Vec<_> = told.chain(others.map(|others| (others.clone(), others))).collect();
        all.into_iter().rev().fold(None, |next, (told, short)| Some(Self { told, short, next: next.map(Box::new) }))
    }

    pub(super) fn of_row(row: &FailedRow) -> Self {
        Self { told: row.told(), short: row.in_short(), next: None }
    }

    /// The first causes, in one line.
    pub(super) fn in_short(&self) -> String {
        let causes = std::iter::successors(Some(self), |cause| cause.next.as_deref());
        causes.take(MOST_IN_SHORT).map(|cause| cause.short.as_str()).collect::<Vec<_>>().join(", ")
    }
}
