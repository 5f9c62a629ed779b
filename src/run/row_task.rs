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
use crate::domain::{Detail, Outcome, Row, Work, quote};
use crate::pingone::{AccessToken, Answered, Call, Limits, PingOneError, RowRequest, Transport};
use crate::report::Settlement;

#[derive(Debug)]
pub(super) enum Done {
    /// The call was answered, or its failure is known; `None` if it was abandoned.
    Answered { row: Box<StartedRow>, call: Call, slot: Slot, sent: Instant, answered: Result<Option<Answered>, PingOneError> },
    /// Whether the journal has the line.
    Announced { row: Box<StartedRow>, slot: Slot, is_written: bool },
    /// Whether the environment exists; `false` also if the run stops first.
    Checked { row: Box<StartedRow>, result: RowResult, exists: Result<bool, PingOneError> },
}

/// Sends a request for a row.
pub(super) async fn send<W: Transport>(
    pipeline: &Pipeline<W>,
    row: Box<StartedRow>,
    request: RowRequest,
    slot: Slot,
    token: Arc<AccessToken>,
) -> Done {
    let sent = Instant::now();
    let answered = pipeline.session.send(request, &token, &pipeline.stop).await;
    Done::Answered { row, call: request.call, slot, sent, answered }
}

/// Waits until a line of the journal is written, after which the row's next call may be sent.
pub(super) async fn announce(row: Box<StartedRow>, written: oneshot::Receiver<()>, slot: Slot) -> Done {
    Done::Announced { row, slot, is_written: written.await.is_ok() }
}

/// Checks whether the environment exists, because the user was not found.
pub(super) async fn check_environment<W: Transport>(pipeline: &Pipeline<W>, row: Box<StartedRow>, result: RowResult, slot: Slot) -> Done {
    let exists = pipeline.session.check_environment(&pipeline.stop).await;
    // The row keeps its slot, so that no more rows are out than may be in flight.
    drop(slot);
    Done::Checked { row, result, exists }
}

/// The settlement of a row for which a request was sent.
pub(super) fn settlement(row: &StartedRow, result: RowResult, completed: DateTime<Utc>, carried: ByteRecord) -> Settlement {
    let state = &row.state;
    Settlement {
        row: row.number,
        origin: row.origin.clone(),
        user: state.action.user().to_string(),
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

/// Starts a row, or settles it if it needs no request.
pub(super) fn start(row: Row, limits: Limits, now: DateTime<Utc>) -> Result<Box<StartedRow>, Box<Settlement>> {
    let Row { number, origin, carried, in_doubt, previous, work } = row;
    let own = |why: &str| Detail::own(None, why.to_owned());
    let (user, outcome, requested, detail) = match work {
        Work::Send(action) => {
            let state = RowState::new(action, limits, in_doubt, previous);
            return Ok(Box::new(StartedRow { number, origin, state, carried, has_faulted: false, slot: None }));
        }
        Work::Duplicate(action) => {
            (action.user().to_string(), Outcome::Duplicate, action.until(), own("the same request stands in an earlier row"))
        }
        Work::Expired(action, outcome) => {
            (action.user().to_string(), outcome, action.until(), own("the end date has passed since the run was begun"))
        }
        Work::Unresolved { outcome, detail, until } => (String::new(), outcome, until, *detail),
        Work::Untouched { user, result } => (user, Outcome::Untouched, None, own(&format!("the result of the grant was `{result}`"))),
        Work::Invalid { user, why } => (user, Outcome::Invalid, None, own(&why)),
    };
    Err(Box::new(Settlement {
        row: number,
        origin,
        user,
        outcome,
        can_bypass: None,
        until: None,
        requested,
        previous,
        detail,
        attempts: 0,
        took: Duration::ZERO,
        completed: now,
        carried,
    }))
}

/// Logs one line per row at debug level, the only place where user IDs are logged.
pub(super) fn log_settled(settlement: &Settlement) {
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
