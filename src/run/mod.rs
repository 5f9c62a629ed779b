//! How do rows become settled rows? One pipeline for every operation:
//!
//! ```text
//! source ──▶ rows ──▶ pool: slot ─▶ permit ─▶ request ─▶ verdict ─▶ row state ──▶ run state ──▶ journal (a thread)
//!          bounded     │            up to --concurrency in flight       │             └──▶ tally ──▶ bar
//!                      └──────── retries, after their backoff ◀─────────┘
//! ```
//!
//! **The life of a row.** The source reads rows ahead into a bounded channel, so that reading is held back by sending. The
//! [pool] takes a row, which waits for a slot, which bounds the
//! requests in flight, and for a permit, which the [pacer](crate::pace) spaces. [`row_task`] sends the request; the verdict on its
//! answer goes to the [`row_state`], which says what follows: the row is settled, its second call comes at once, or it is
//! retried after a backoff. A row in backoff gives its slot away; up to [`MOST_WAITING`] rows may wait. A settled row is counted
//! by the [`run_state`] and handed to the journal in one step, so that report, totals and bar cannot disagree.
//! If the journal is far behind, nothing is sent until it has caught up.
//!
//! **Stopping.** The first [`StopReason`] wins: a signal, a failed canary, too many failures, an outage, a refused token, a
//! journal that takes no more lines. From then on nothing new is sent; what is in flight is waited for, and given up only
//! after a second signal. A row that waits is settled as `unknown` if a request of it may have been carried out, or else left as it
//! was, for `--resume`.

mod breaker;
mod budget;
mod canary;
#[cfg(test)]
mod end_tests;
mod pool;
mod row_state;
mod row_task;
#[cfg(test)]
mod row_tests;
mod run_state;
#[cfg(test)]
pub(crate) mod script;
mod started_row;
#[cfg(test)]
mod tests;
mod waiting;

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};

use crate::clock::Clock;
use crate::domain::MaxFailures;
use crate::domain::{Row, Tally};
use crate::pingone::{Limits, PingOneError, Session, Transport};
use crate::report::Appender;
use crate::stop::Stop;

pub(crate) use self::budget::Exceeded;

use self::pool::Pool;

/// How many rows may wait to be retried, besides those in flight. At 200 rows a second of which one in ten waits 30 s, there are
/// 600.
pub(crate) const MOST_WAITING: usize = 8192;

/// What the pipeline runs on.
#[derive(Debug)]
pub(crate) struct Pipeline<W> {
    pub(crate) session: Session<W>,
    pub(crate) limits: Limits,
    /// The most requests in flight.
    pub(crate) concurrency: usize,
    /// As many slots, which the pages of a user list take too.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) rules: StopRules,
    /// From which near dates are counted.
    pub(crate) clock: Clock,
    pub(crate) stop: Stop,
}

/// When a run stops by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StopRules {
    pub(crate) max_failures: MaxFailures,
    /// How many of the first rows run alone.
    pub(crate) canary: Option<u64>,
    /// Whether rows were settled before, in an earlier process.
    pub(crate) is_resumed: bool,
}

/// How a run ended that took every row, or stopped.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Rows settled in this run, by outcome.
    pub(crate) tally: Tally,
    /// Why it stopped before the last row, if it did so by itself.
    pub(crate) stopped: Option<StopReason>,
}

/// Why a run stops by itself.
#[derive(Debug)]
pub(crate) enum StopReason {
    /// PingOne takes no request of ours.
    Refused(PingOneError),
    /// Too many rows failed; the last of them with this message.
    Exceeded { why: Exceeded, failed: u64, settled: u64, last: String },
    /// One of the first rows did not succeed; with this message.
    Canary(String),
    /// The journal takes no more lines.
    JournalClosed,
}

impl<W: Transport> Pipeline<W> {
    /// Settles every one of `rows`, or those that can be before the run stops. Each settled row is handed to the `journal`, and
    /// counted in `seen`.
    pub(crate) async fn run(&self, rows: mpsc::Receiver<Row>, journal: Appender, seen: watch::Sender<Tally>) -> Ended {
        Box::pin(Pool::new(self, rows, journal, seen).run()).await
    }
}
