//! What is in flight for a row: a request, or the check whether the environment exists.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::Pipeline;

use super::row_state::{RowResult, RowState};
use super::started_row::{Slot, StartedRow};
use crate::domain::{Action, BypassUntil, Detail, Outcome, Row, Work};
use crate::pingone::{AccessToken, Call, PingOneError, RowRequest, Transport, Verdict};
use crate::report::Settlement;

/// The work to do in flight.
#[derive(Debug)]
pub(super) enum Job {
    /// Send this call.
    Send { row: Box<StartedRow>, call: Call, is_retry: bool, slot: Slot, token: Arc<AccessToken> },
    /// The user was not found: check whether the environment exists.
    CheckEnvironment { row: Box<StartedRow>, result: RowResult, slot: Slot },
}

/// The result of a job.
#[derive(Debug)]
pub(super) enum Done {
    /// The call was answered, or its failure is known; without a verdict if it was abandoned.
    Answered { row: Box<StartedRow>, call: Call, slot: Slot, sent: Instant, verdict: Result<Option<Verdict>, PingOneError> },
    /// Whether the environment exists; `false` also if the run stops first.
    Checked { row: Box<StartedRow>, result: RowResult, exists: Result<bool, PingOneError> },
}

/// Does a job.
pub(super) async fn perform<W: Transport>(pipeline: &Pipeline<W>, job: Job) -> Done {
    let Pipeline { session, stop, .. } = pipeline;
    match job {
        Job::Send { row, call, is_retry, slot, token } => {
            let request = RowRequest { call, row: row.number, again: is_retry, deadline: row.state.deadline() };
            let sent = Instant::now();
            let verdict = session.send(request, &token, stop).await;
            Done::Answered { row, call, slot, sent, verdict }
        }
        Job::CheckEnvironment { row, result, slot } => {
            let exists = session.check_environment(stop).await;
            // The row keeps its slot, so that no more rows are out than may be in flight.
            drop(slot);
            Done::Checked { row, result, exists }
        }
    }
}

/// The settlement of a row for which a request was sent.
pub(super) fn settle_sent(row: &mut StartedRow, result: RowResult, completed: DateTime<Utc>) -> Settlement {
    let state: &RowState = &row.state;
    Settlement {
        row: row.number,
        user: row.action.user().to_string(),
        outcome: result.outcome,
        can_bypass: result.bypass.map(|bypass| bypass.can_bypass),
        until: result.bypass.and_then(|bypass| bypass.until),
        requested: state.requested(),
        detail: result.detail,
        attempts: state.attempts,
        took: state.took(),
        completed,
        carried: std::mem::take(&mut row.carried),
    }
}

/// Returns the row and its action if it needs a request, or else its settlement.
pub(super) fn settle_unsent(row: Row, completed: DateTime<Utc>) -> Result<(Row, Action), Box<Settlement>> {
    let settlement = |row: Row, user: String, outcome: Outcome, requested: Option<BypassUntil>, detail: Detail| {
        Err(Box::new(Settlement {
            row: row.number,
            user,
            outcome,
            can_bypass: None,
            until: None,
            requested,
            detail,
            attempts: 0,
            took: Duration::ZERO,
            completed,
            carried: row.carried,
        }))
    };
    let reason = |why: &str| Detail::own(None, why.to_owned());
    match row.work {
        Work::Send(action) => Ok((row, action)),
        Work::Duplicate(action) => {
            let why = reason("the same request stands in an earlier row");
            settlement(row, action.user().to_string(), Outcome::Duplicate, action.until(), why)
        }
        Work::Expired(action, outcome) => {
            let why = reason("the end date has passed since the run was begun");
            settlement(row, action.user().to_string(), outcome, action.until(), why)
        }
        Work::Unresolved { outcome, ref detail, until } => {
            let detail = Detail::clone(detail);
            settlement(row, String::new(), outcome, until, detail)
        }
        Work::Invalid { ref user, ref why } => {
            let (user, why) = (user.clone(), reason(why));
            settlement(row, user, Outcome::Invalid, None, why)
        }
    }
}
