//! What is in flight for one row? A request and its answer, or the check whether the environment is there at all.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::Pipeline;

use super::row_state::{RowResult, RowState};
use super::started_row::{Slot, StartedRow};
use crate::domain::{Action, BypassUntil, Detail, Outcome, Row, Work};
use crate::pingone::{AccessToken, Attempt, Call, PingOneError, RowRequest, Transport};
use crate::report::Settlement;

/// What is to be done in flight.
#[derive(Debug)]
pub(super) enum Job {
    /// Send this call.
    Send { row: Box<StartedRow>, call: Call, again: bool, slot: Slot, token: Arc<AccessToken> },
    /// The user was not found: is it the environment that is not there?
    CheckEnvironment { row: Box<StartedRow>, result: RowResult },
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    /// There is an answer, or it is known why not.
    Answered { row: Box<StartedRow>, call: Call, slot: Slot, began: Instant, attempt: Result<Attempt, PingOneError> },
    /// Whether the environment is there; `false` too if the run stops first.
    Checked { row: Box<StartedRow>, result: RowResult, is_there: Result<bool, PingOneError> },
}

/// Does a job.
pub(super) async fn perform<W: Transport>(pipeline: &Pipeline<W>, job: Job) -> Done {
    let Pipeline { session, stop, .. } = pipeline;
    match job {
        Job::Send { row, call, again, slot, token } => {
            let request = RowRequest { call, row: row.number, again, deadline: row.state.deadline() };
            let began = Instant::now();
            let attempt = session.send(request, &token, stop).await;
            Done::Answered { row, call, slot, began, attempt }
        }
        Job::CheckEnvironment { row, result } => {
            let is_there = session.check_environment(stop).await;
            Done::Checked { row, result, is_there }
        }
    }
}

/// The settlement of a row that something was sent for.
pub(super) fn sent(row: &mut StartedRow, result: RowResult, completed: DateTime<Utc>) -> Settlement {
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

/// A row for which there is something to send, or the settlement of one for which there is not.
pub(super) fn settle_unsent(row: Row, completed: DateTime<Utc>) -> Result<(Row, Action), Box<Settlement>> {
    let unsent = |row: Row, user: String, outcome: Outcome, requested: Option<BypassUntil>, detail: Detail| {
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
    let own = |why: &str| Detail::own(None, why.to_owned());
    match row.work {
        Work::Send(action) => Ok((row, action)),
        Work::Duplicate(action) => {
            let why = own("the same request stands in an earlier row");
            unsent(row, action.user().to_string(), Outcome::Duplicate, action.until(), why)
        }
        Work::Expired(action, outcome) => {
            let why = own("the end date has passed since the run was begun");
            unsent(row, action.user().to_string(), outcome, action.until(), why)
        }
        Work::Unresolved { outcome, ref detail, until } => {
            let detail = Detail::clone(detail);
            unsent(row, String::new(), outcome, until, detail)
        }
        Work::Invalid { ref user, ref why } => {
            let (user, why) = (user.clone(), own(why));
            unsent(row, user, Outcome::Invalid, None, why)
        }
    }
}
