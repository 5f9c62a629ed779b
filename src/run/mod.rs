//! How do rows become settled rows? One pipeline for every operation:
//!
//! ```text
//! feed (a thread) ──▶ rows ──▶ a place in flight ──▶ settle ──▶ record ──▶ journal (a thread)
//!                   bounded     (--concurrency)    many at a time  │
//!                                                                  └──▶ tally ──▶ bar
//! ```
//!
//! A new row is taken only when a place in flight is free, so that reading is held back by sending. A row
//! in back-off gives its place away: as many rows may wait as there is [`ROOM`] for. Record is one place, so
//! that report, totals and bar cannot disagree.

mod life;
mod settle;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::input::Row;
use crate::pingone::{PingOneError, Session, Wire};
use crate::report::{Journal, Settlement, Tally};
use crate::stop::Stop;

pub(crate) use self::life::Patience;
use self::settle::settle;

/// How many rows may wait to be tried again, besides those in flight. At 200 rows a second of which one in
/// ten waits 30 s, there are 600.
const ROOM: usize = 8192;

/// What the pipeline runs on.
#[derive(Debug)]
pub(crate) struct Pipeline<W> {
    pub(crate) session: Session<W>,
    pub(crate) patience: Patience,
    /// The most requests in flight.
    pub(crate) concurrency: usize,
    pub(crate) stop: Stop,
}

/// A row's place among those in flight.
type Place = OwnedSemaphorePermit;

/// What came of a row.
enum RowEnd {
    Settled(Box<Settlement>),
    /// The run stopped first: the row is left as it was.
    Left,
}

/// How a run ended that took every row, or stopped.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) tally: Tally,
    /// Why it stopped before the last row, if PingOne was the reason.
    pub(crate) refused: Option<PingOneError>,
    /// Whether the journal takes no more lines.
    pub(crate) journal_closed: bool,
}

impl<W: Wire> Pipeline<W> {
    /// Settles every one of `rows`, or those that can be before the run stops. Each settled row is in the
    /// `journal`, and counted in `seen`, when this ends.
    pub(crate) async fn run(&self, rows: mpsc::Receiver<Row>, journal: &Journal, seen: &watch::Sender<Tally>) -> Ended {
        let places = Arc::new(Semaphore::new(self.concurrency));
        let settling = admitted(rows, Arc::clone(&places), &self.stop).map(|(row, place)| settle(self, &places, row, place));
        let mut settled = std::pin::pin!(settling.buffer_unordered(self.concurrency + ROOM));
        let mut ended = Ended::default();
        while let Some(end) = settled.next().await {
            match end {
                Ok(RowEnd::Settled(settlement)) => {
                    ended.tally.add(settlement.outcome);
                    seen.send_replace(ended.tally);
                    if journal.append(*settlement).await.is_err() {
                        ended.journal_closed = true;
                        self.stop.request();
                    }
                }
                Ok(RowEnd::Left) => {}
                Err(refused) => {
                    self.stop.request();
                    ended.refused.get_or_insert(refused);
                }
            }
        }
        ended
    }
}

/// The rows, each with a place in flight, until the run stops.
fn admitted(rows: mpsc::Receiver<Row>, places: Arc<Semaphore>, stop: &Stop) -> impl futures::Stream<Item = (Row, Place)> {
    futures::stream::unfold(rows, move |mut rows| {
        let places = Arc::clone(&places);
        async move {
            let next = async { Some((place(&places).await, rows.recv().await?)) };
            let (place, row) = tokio::select! {
                biased;
                () = stop.requested() => None,
                next = next => next,
            }?;
            Some(((row, place), rows))
        }
    })
}

async fn place(places: &Arc<Semaphore>) -> Place {
    Arc::clone(places).acquire_owned().await.expect("nobody closes it")
}
