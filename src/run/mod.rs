//! How do rows become settled rows? One pipeline for every operation:
//!
//! ```text
//! feed (a thread) ──▶ rows ──▶ a place in flight ──▶ settle ──▶ record ──▶ journal (a thread)
//!                   bounded     (--concurrency)    many at a time  │
//!                                                                  └──▶ tally ──▶ bar
//! ```
//!
//! A new row is taken only when the one before it has its place in flight, so that reading is held back by
//! sending. A row in back-off gives its place away: as many rows may wait as there is [`ROOM`] for. Record is
//! one place, so that report, totals and bar cannot disagree. Where the rows are users of the directory, the
//! feed lists them page by page, and has a place in flight for each page.

mod budget;
mod canary;
#[cfg(test)]
mod end_tests;
mod life;
mod outage;
#[cfg(test)]
mod script;
mod settle;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::input::Row;
use crate::pingone::{Limits, PingOneError, Session, Wire};
use crate::report::{Journal, Settlement, Tally};
use crate::stop::Stop;

pub(crate) use self::budget::{Exceeded, MaxFailures};
pub(crate) use self::canary::Canary;
pub(crate) use self::outage::Outage;

use self::budget::Budget;
use self::settle::settle;

/// How many rows may wait to be tried again, besides those in flight. At 200 rows a second of which one in
/// ten waits 30 s, there are 600.
pub(crate) const ROOM: usize = 8192;

/// What the pipeline runs on.
#[derive(Debug)]
pub(crate) struct Pipeline<W> {
    pub(crate) session: Session<W>,
    pub(crate) limits: Limits,
    /// The most requests in flight.
    pub(crate) concurrency: usize,
    /// So many places, which whoever lists users shares with the rows.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) max_failures: MaxFailures,
    pub(crate) outage: Outage,
    pub(crate) canary: Option<Canary>,
    /// Whether rows were settled before.
    pub(crate) is_taken_up: bool,
    /// What time it is by the clock on the wall, from which near dates are counted.
    pub(crate) now: fn() -> DateTime<Utc>,
    pub(crate) stop: Stop,
}

/// A row's place among those in flight.
type Place = OwnedSemaphorePermit;

/// A row that has been let in.
struct Admission {
    row: Row,
    place: Place,
    /// Held until the row's first turn has come: so long no other is let in. Rows that are tried again or have
    /// a second call to send, and the renewal of the token, have no queue of new rows before them, and a stop
    /// leaves few rows behind.
    door: Place,
}

/// What came of a row.
struct RowEnd {
    /// `None` if the run stopped first: the row is left as it was.
    settled: Option<Box<Settlement>>,
    /// Why the whole run must stop.
    refused: Option<PingOneError>,
}

/// How a run ended that took every row, or stopped.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Rows settled in this run, by outcome.
    pub(crate) tally: Tally,
    /// Why it stopped before the last row, if it did so by itself.
    pub(crate) stopped: Option<Stopped>,
}

/// Why a run stops by itself.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// PingOne takes no request of ours.
    Refused(PingOneError),
    /// Too many rows failed; the last of them with this message.
    Exceeded { why: Exceeded, failed: u64, settled: u64, last: String },
    /// One of the first rows did not succeed; with this message.
    Canary(String),
    /// The journal takes no more lines.
    JournalClosed,
}

impl<W: Wire> Pipeline<W> {
    /// Settles every one of `rows`, or those that can be before the run stops. Each settled row is handed
    /// to the `journal`, and counted in `seen`.
    pub(crate) async fn run(&self, rows: mpsc::Receiver<Row>, journal: &Journal, seen: &watch::Sender<Tally>) -> Ended {
        let settling = self.admitted(rows).map(|admitted| settle(self, &self.places, admitted));
        let mut settled = std::pin::pin!(settling.buffer_unordered(self.concurrency + ROOM));
        let mut budget = Budget::new(self.max_failures, self.is_taken_up);
        let mut ended = Ended::default();
        while let Some(RowEnd { settled, refused }) = settled.next().await {
            let mut stopped = refused.map(Stopped::Refused);
            if let Some(settlement) = settled {
                ended.tally.add(settlement.outcome);
                log(&settlement);
                seen.send_modify(|tally| tally.add(settlement.outcome));
                stopped = stopped.or_else(|| self.stops_after(&mut budget, &settlement));
                if journal.append(*settlement).await.is_err() {
                    stopped = Some(Stopped::JournalClosed);
                }
            }
            if let Some(stopped) = stopped {
                self.stop.request();
                ended.stopped.get_or_insert(stopped);
            }
        }
        ended
    }

    /// Why the run stops after a row that was settled, if it does.
    fn stops_after(&self, budget: &mut Budget, settlement: &Settlement) -> Option<Stopped> {
        if self.canary.as_ref().is_some_and(|canary| canary.fails(settlement.row, settlement.outcome)) {
            return Some(Stopped::Canary(settlement.failure()));
        }
        // Rows that nothing was sent for cost nothing.
        if settlement.attempts == 0 {
            return None;
        }
        let spent = budget.spend(settlement.outcome, settlement.detail.status);
        let why = spent.or_else(|| self.outage.is_total().then_some(Exceeded::Outage))?;
        let (failed, settled) = budget.spent();
        Some(Stopped::Exceeded { why, failed, settled, last: settlement.failure() })
    }

    /// The rows, each with a place in flight, until the run stops. During an outage there are none.
    fn admitted(&self, rows: mpsc::Receiver<Row>) -> impl futures::Stream<Item = Admission> {
        let door = Arc::new(Semaphore::new(1));
        futures::stream::unfold((rows, door), |(mut rows, door)| async {
            let next = async {
                let opened = place(&door).await;
                self.outage.over().await;
                // Before the place: who lists the rows may need one to come to the next.
                let row = rows.recv().await?;
                if let Some(canary) = &self.canary {
                    canary.lets(row.number).await;
                }
                let place = place(&self.places).await;
                Some(Admission { row, place, door: opened })
            };
            let admission = tokio::select! {
                biased;
                () = self.stop.requested() => None,
                next = next => next,
            }?;
            Some((admission, (rows, door)))
        })
    }
}

/// One line for each row, where details are asked for. Here alone stand user IDs.
fn log(settlement: &Settlement) {
    tracing::debug!(
        row = settlement.row.0,
        user = settlement.user,
        result = settlement.outcome.name(),
        attempt = settlement.attempts,
        status = settlement.detail.status,
        errorId = settlement.detail.id,
        durationMs = u64::try_from(settlement.took.as_millis()).unwrap_or(u64::MAX),
        "settled"
    );
}

async fn place(places: &Arc<Semaphore>) -> Place {
    Arc::clone(places).acquire_owned().await.expect("nobody closes it")
}
