//! One row's life, from its place in flight to its line in the report.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::life::{Finding, Life, Next, Step};
use super::outage::Trying;
use super::worker::{Admission, Relieved, RowEnd, Shift};
use super::{Pipeline, Place, place};
use crate::domain::{Ask, BypassUntil, Detail, Outcome, Row, Work};
use crate::pingone::{AccessToken, Attempt, PingOneError, Request, Turn, Wire};
use crate::report::Settlement;
use crate::stop::Stop;

/// Does what the row asks, until it is settled or the run stops. If the row has to wait meanwhile, and another
/// worker comes in place of this one, that is noted in `relieved`.
pub(super) async fn settle<'a, W: Wire>(shift: &'a Shift<W>, admission: Admission, relieved: &mut Option<Relieved<'a>>) -> RowEnd {
    let Admission { row, first } = admission;
    let clock = shift.pipeline.clock;
    match row.task {
        Work::Send(ask) => {
            let mut life = Life::new(ask, shift.pipeline.limits, row.in_doubt);
            let lived = live(shift, &row, &mut life, first.expect("there is something to send"), relieved).await;
            let (finding, refused) = match lived {
                Ok(finding) => (finding.or_else(|| life.stopped()), None),
                Err(refused) => (life.stopped(), Some(refused)),
            };
            RowEnd { settled: finding.map(|finding| sent(row, &ask, &life, finding, clock.now())), refused }
        }
        Work::Duplicate(ask) => {
            let why = own("the same request stands in an earlier row");
            unsent(row, ask.user().to_string(), Outcome::Duplicate, ask.until(), why, clock.now())
        }
        Work::Passed(ask, outcome) => {
            let why = own("the end date has passed since the run was begun");
            unsent(row, ask.user().to_string(), outcome, ask.until(), why, clock.now())
        }
        Work::Nobody { outcome, ref said, until } => {
            let said = Detail::clone(said);
            unsent(row, String::new(), outcome, until, said, clock.now())
        }
        Work::Invalid { ref user, ref why } => {
            let (user, why) = (user.clone(), own(why));
            unsent(row, user, Outcome::Invalid, None, why, clock.now())
        }
    }
}

/// Tries until there is a finding; `None` if the run stops first, an error if the whole run must. `first` is
/// the place in flight that the row has, and its first turn.
async fn live<'a, W: Wire>(
    shift: &'a Shift<W>,
    row: &Row,
    life: &mut Life,
    first: (Place, Turn),
    relieved: &mut Option<Relieved<'a>>,
) -> Result<Option<Finding>, PingOneError> {
    let Pipeline { session, stop, .. } = &*shift.pipeline;
    let mut trying = None;
    let (mut in_flight, mut came) = (Some(first.0), Some(first.1));
    loop {
        let turn = if let Some(turn) = came.take() {
            turn
        } else {
            if in_flight.is_none() {
                in_flight = place_again(&shift.pipeline, life.deadline()).await;
            }
            session.turn(life.deadline(), stop).await?
        };
        let token = match turn {
            Turn::Stopped => return Ok(None),
            Turn::OutOfTime => return Ok(Some(life.gave_up())),
            Turn::Come(token) => token,
        };
        let next = one_call(&shift.pipeline, row, life, &token, &mut trying).await?;
        if next != Next::GoOn {
            drop(in_flight.take());
        }
        match next {
            Next::GoOn => {}
            Next::Leave => return Ok(None),
            Next::Settle(finding) if finding.outcome == Outcome::NotFound => {
                return session.check_environment(stop).await.map(|is_there| is_there.then_some(finding));
            }
            Next::Settle(finding) => return Ok(Some(finding)),
            Next::TokenRefused(detail) => return Err(session.fresh_token_refused(&detail)),
            Next::Again(wait) => {
                if relieved.is_none() {
                    *relieved = shift.relieve();
                }
                back_off(wait, row, life, stop).await;
            }
        }
    }
}

/// What a turn that has come is used for: the row's next call, if there is still one to send.
async fn one_call<'a, W: Wire>(
    pipeline: &'a Pipeline<W>,
    row: &Row,
    life: &mut Life,
    token: &AccessToken,
    trying: &mut Option<Trying<'a>>,
) -> Result<Next, PingOneError> {
    let Pipeline { session, stop, outage, clock, .. } = pipeline;
    let (call, again) = match life.step(clock.now()) {
        Step::Settle(finding) => return Ok(Next::Settle(finding)),
        Step::Send { call, again } => (call, again),
    };
    let request = Request { call, row: row.number, again, deadline: life.deadline() };
    let began = Instant::now();
    // An answer that ends the run is one to this row too.
    let attempt = session.send(request, token, stop).await.inspect_err(|_| life.count(began, Instant::now()))?;
    Ok(match attempt {
        Attempt::Abandoned { sent } => life.abandoned(call, sent, Instant::now()),
        Attempt::Answered { sent, verdict } => {
            outage.learn(&verdict, trying);
            life.after(call, verdict, sent, Instant::now(), clock.now())
        }
    })
}

/// Another place in flight, as soon as one is free; `None` if the run stops, or the row's time is over.
async fn place_again<W>(pipeline: &Pipeline<W>, deadline: Option<Instant>) -> Option<Place> {
    let over = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = pipeline.stop.requested() => None,
        () = over => None,
        place = place(&pipeline.places) => Some(place),
    }
}

/// Waits before another try, unless the run stops.
async fn back_off(wait: Duration, row: &Row, life: &Life, stop: &Stop) {
    tracing::debug!(row = row.number.0, attempt = life.attempts, wait = ?wait, "to be tried again");
    tokio::select! {
        () = stop.requested() => {}
        () = tokio::time::sleep(wait) => {}
    }
}

fn sent(row: Row, ask: &Ask, life: &Life, finding: Finding, completed: DateTime<Utc>) -> Settlement {
    Settlement {
        row: row.number,
        user: ask.user().to_string(),
        outcome: finding.outcome,
        can_bypass: finding.bypass.map(|bypass| bypass.can_bypass),
        until: finding.bypass.and_then(|bypass| bypass.until),
        requested: life.requested(),
        detail: finding.detail,
        attempts: life.attempts,
        took: life.took(),
        completed,
        carried: row.carried,
    }
}

fn own(why: &str) -> Detail {
    Detail::own(None, why.to_owned())
}

fn unsent(row: Row, user: String, outcome: Outcome, requested: Option<BypassUntil>, detail: Detail, completed: DateTime<Utc>) -> RowEnd {
    let settled = Settlement {
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
    };
    RowEnd { settled: Some(settled), refused: None }
}
