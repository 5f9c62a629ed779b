//! How do rows become settled rows? One pipeline for every operation:
//!
//! ```text
//! feed (a thread) ──▶ rows ──▶ door ──▶ worker: settle ──▶ record ──▶ journal (a thread)
//!                   bounded     --concurrency of them, │
//!                               each a task            └──▶ tally ──▶ bar
//! ```
//!
//! A worker takes a row through the door, settles it, records it, and takes the next. It holds the door until
//! the row has its place in flight and its first turn to send, so that reading is held back by sending. A row
//! in back-off gives its place away, and another worker comes for the one that waits with it: as many rows may
//! wait as there is [`ROOM`] for. Record is one place, so that report, totals and bar cannot disagree. Where
//! the rows are users of the directory, the feed lists them page by page, and has a place in flight for each
//! page.

mod budget;
mod canary;
#[cfg(test)]
mod end_tests;
mod life;
mod outage;
#[cfg(test)]
mod row_tests;
#[cfg(test)]
pub(crate) mod script;
mod settle;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::clock::Clock;
use crate::domain::MaxFailures;
use crate::domain::{Row, Tally};
use crate::pingone::{Limits, PingOneError, Session, Wire};
use crate::report::Appender;
use crate::stop::Stop;

pub(crate) use self::budget::Exceeded;
pub(crate) use self::canary::Canary;
pub(crate) use self::outage::Outage;

use self::worker::{Shift, work};

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
    /// From which near dates are counted.
    pub(crate) clock: Clock,
    pub(crate) stop: Stop,
}

/// A row's place among those in flight.
type Place = OwnedSemaphorePermit;

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

impl<W: Wire + 'static> Pipeline<W> {
    /// Settles every one of `rows`, or those that can be before the run stops. Each settled row is handed
    /// to the `journal`, and counted in `seen`.
    pub(crate) async fn run(self: &Arc<Self>, rows: mpsc::Receiver<Row>, journal: Appender, seen: watch::Sender<Tally>) -> Ended {
        let (shift, mut relief) = Shift::new(Arc::clone(self), rows, journal, seen);
        let shift = Arc::new(shift);
        // What a task logs is of no span, unless it is told.
        let worker = || work(Arc::clone(&shift)).in_current_span();
        let mut workers: JoinSet<()> = (0..self.concurrency).map(|_| worker()).collect();
        loop {
            tokio::select! {
                // A worker asks for relief before it ends: when the last has ended, nobody is asked for.
                biased;
                Some(()) = relief.recv() => {
                    workers.spawn(worker());
                }
                ended = workers.join_next() => match ended {
                    None => break,
                    Some(Ok(())) => {}
                    Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                },
            }
        }
        shift.ended()
    }
}

async fn place(places: &Arc<Semaphore>) -> Place {
    Arc::clone(places).acquire_owned().await.expect("nobody closes it")
}
