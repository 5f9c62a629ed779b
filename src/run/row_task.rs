//! What is in flight for a row: a request, or the check whether the environment exists.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use csv::ByteRecord;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Pipeline;

use super::meaning::RowResult;
use super::row_state::RowState;
use super::started_row::{Slot, StartedRow};
use crate::domain::{Action, BypassUntil, Detail, Outcome, Row, Work, quote};
use crate::pingone::{AccessToken, Attempt, Call, PingOneError, RowRequest, Transport};
use crate::report::{Line, Settlement};

/// The work to do in flight.
#[derive(Debug)]
pub(super) enum Job {
    /// Send this call.
    Send { row: Box<StartedRow>, call: Call, is_retry: bool, slot: Slot, token: Arc<AccessToken> },
    /// The row's next call may be sent once this line of the journal is written.
    Announce { row: Box<StartedRow>, written: oneshot::Receiver<()>, slot: Slot },
    /// The user was not found: check whether the environment exists.
    CheckEnvironment { row: Box<StartedRow>, result: RowResult, slot: Slot },
}

impl Job {
    /// Sends the row's second call once the journal has `said` what the user had before. Returns the line with it.
    pub(super) fn announce(row: Box<StartedRow>, said: RowResult, now: DateTime<Utc>, slot: Slot) -> (Line, Self) {
        let (line, written) = Line::ahead(settlement(&row, said, now, row.carried.clone()));
        (line, Self::Announce { row, written, slot })
    }
}

/// The result of a job.
#[derive(Debug)]
pub(super) enum Done {
    /// The call was answered, or its failure is known.
    Answered { row: Box<StartedRow>, call: Call, slot: Slot, began: Instant, attempt: Result<Attempt, PingOneError> },
    /// Whether the journal has the line.
    Announced { row: Box<StartedRow>, slot: Slot, is_written: bool },
    /// Whether the environment exists; `false` also if the run stops first.
    Checked { row: Box<StartedRow>, result: RowResult, exists: Result<bool, PingOneError> },
}

/// Does a job.
pub(super) async fn perform<W: Transport>(pipeline: &Pipeline<W>, job: Job) -> Done {
    let Pipeline { session, stop, .. } = pipeline;
    match job {
        Job::Send { row, call, is_retry, slot, token } => {
            let request = RowRequest { call, row: row.number, again: is_retry, deadline: row.state.deadline() };
            let began = Instant::now();
            let attempt = session.send(request, &token, stop).await;
            Done::Answered { row, call, slot, began, attempt }
        }
        Job::Announce { row, written, slot } => Done::Announced { row, slot, is_written: written.await.is_ok() },
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
    let carried = std::mem::take(&mut row.carried);
    settlement(row, result, completed, carried)
}

fn settlement(row: &StartedRow, result: RowResult, completed: DateTime<Utc>, carried: ByteRecord) -> Settlement {
    let state: &RowState = &row.state;
    Settlement {
        row: row.number,
        user: row.action.user().to_string(),
        outcome: result.outcome,
        can_bypass: result.bypass.map(|bypass| bypass.can_bypass),
        until: result.bypass.and_then(|bypass| bypass.until),
        requested: state.requested(),
        previous: state.previous,
        detail: Detail { correlation: state.correlation.clone(), ..result.detail },
        attempts: state.attempts,
        took: state.took(),
        completed,
        carried,
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
            previous: row.previous,
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
        Work::Untouched { ref user, result } => {
            let (user, why) = (user.clone(), reason(&format!("the result of the grant was `{result}`")));
            settlement(row, user, Outcome::Untouched, None, why)
        }
        Work::Invalid { ref user, ref why } => {
            let (user, why) = (user.clone(), reason(why));
            settlement(row, user, Outcome::Invalid, None, why)
        }
    }
}

/// Logs one line per row at debug level, the only place where user IDs are logged.
pub(super) fn log(settlement: &Settlement) {
    tracing::debug!(
        row = settlement.row.0,
        user = quote(&settlement.user),
        result = settlement.outcome.name(),
        attempt = settlement.attempts,
        status = settlement.detail.status,
        errorId = settlement.detail.id.to_string(),
        correlationId = settlement.detail.correlation.to_string(),
        durationMs = u64::try_from(settlement.took.as_millis()).unwrap_or(u64::MAX),
        "settled"
    );
}
