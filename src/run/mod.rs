//! Settles rows. One pipeline serves every operation:
//!
//! ```text
//! source ──▶ rows ──▶ pool: slot ─▶ permit ─▶ request ─▶ verdict ─▶ row state ──▶ run state ──▶ journal (a thread)
//!          bounded     │            up to --concurrency in flight       │             └──▶ tally ──▶ bar
//!                      └──────── retries, after their backoff ◀─────────┘
//! ```
//!
//! **The life of a row.** The source reads ahead into a bounded channel, so slow sending slows the reading. The [pool] takes a
//! row from the channel. The row first acquires a *slot*, which bounds the requests in flight, then a *permit* from the
//! [pacer](crate::pace), which spaces them. [`row_task`] sends the request. [`row_state`] gets the verdict on the answer and
//! decides what follows: the row is settled, its second call is sent next, or the call is retried after a backoff. A row in
//! backoff releases its slot; at most [`MOST_WAITING`] rows wait. When a row settles, [`run_state`] counts it and hands it to
//! the journal in the same step, so report, totals and progress bar always agree. While the journal is far behind, nothing is
//! sent.
//!
//! **Stopping.** A run stops for a [`StopReason`], of which the first is kept: a signal, a source that cannot be read, a failed
//! canary, too many failures, an outage, a refused token, a journal that accepts no more lines. From then on nothing new is sent. Requests in
//! flight are awaited; a second signal abandons them. A waiting row is settled as `unknown` if one of its requests may have
//! been applied. Otherwise it gets no line, and `--resume` sends it.
//!
//! **Crash and resume.** A crash loses the answers in flight and the lines not yet on disk, so those rows may have been
//! applied. Therefore, before the first row is sent, the run record states how many rows beyond the journal's last one may have
//! been sent: the slots, [`MOST_WAITING`], and the lines that the journal may not have synced. A run that ends with a complete
//! journal sets this to 0. `--resume` keeps the journal up to its last complete line and truncates the rest if it is torn, or
//! zeroed by a power cut; any other malformed line is an error, because somebody has edited the file. Rows without a line, or
//! whose last line is `failed` or `unknown`, are sent again. Those within the stated range are in doubt, and their `failed`
//! lines become `unknown` before anything is sent: a row in doubt is never reported as failed or refused until a 200 shows its
//! state. Reads leave no doubt. A grant that looks first overwrites what it is to tell, so a row's line with what was there before
//! (`unknown` for now) is in the journal before its PUT is sent. The journal disappears only when the report replaces it, so a record without a journal means a
//! finished run: nothing is sent, and an incomplete record is completed.

mod breaker;
mod budget;
mod canary;
mod causes;
#[cfg(test)]
mod end_tests;
#[cfg(test)]
mod look_tests;
mod meaning;
mod pool;
#[cfg(test)]
mod restore_tests;
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
use crate::domain::{EndDates, MaxFailures, Row, Tally};
use crate::pingone::{Limits, PingOneError, Session, Transport};
use crate::report::Appender;
use crate::stop::{Signal, Stop};

pub(crate) use self::budget::Exceeded;
pub(crate) use self::causes::{Cause, Causes, FailedRow};

use self::pool::Pool;

/// The most rows that wait to be retried, besides those in flight. At 200 rows a second, of which one in ten waits 30 s, 600 wait.
pub(crate) const MOST_WAITING: usize = 8192;

/// What the pipeline needs.
#[derive(Debug)]
pub(crate) struct Pipeline<W> {
    pub(crate) session: Session<W>,
    pub(crate) limits: Limits,
    pub(crate) concurrency: usize,
    /// As many slots, which rows share with the pages of a user list.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) rules: StopRules,
    /// Near dates count from this clock.
    pub(crate) clock: Clock,
    pub(crate) stop: Stop,
}

/// When a run stops by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StopRules {
    pub(crate) max_failures: MaxFailures,
    /// The number of first rows that run alone, of those for which something is sent.
    pub(crate) canary: Option<u64>,
    /// Whether an earlier process settled rows.
    pub(crate) is_resumed: bool,
}

/// How a run ended, whether it settled every row or stopped.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Rows settled in this run, by outcome.
    pub(crate) tally: Tally,
    /// The end dates of the users who can bypass MFA, as far as these rows tell.
    pub(crate) bypass_ends: EndDates,
    /// How many of these rows' users have another bypass than PingOne's device report says.
    pub(crate) differing: u64,
    /// Whether there was a canary, and each of its rows has succeeded.
    pub(crate) canary_succeeded: bool,
    /// Why it stopped before the last row; `None` if it did not.
    pub(crate) stopped: Option<StopReason>,
}

/// Why a run stops before its last row.
#[derive(Debug)]
pub(crate) enum StopReason {
    /// A signal asked for it.
    Signal(Signal),
    /// The source cannot be read any further; its error says why.
    Source,
    /// PingOne accepts no requests from us.
    Refused(PingOneError),
    /// Too many rows failed, for these causes.
    Exceeded { why: Exceeded, failed: u64, settled: u64, causes: Causes },
    /// This row of the canary did not succeed.
    Canary(FailedRow),
    /// The journal accepts no more lines.
    JournalClosed,
}

impl<W: Transport> Pipeline<W> {
    /// Settles all `rows`, or as many as it can before the run stops. Each settled row is handed to the `journal` and counted in
    /// `tally`.
    pub(crate) async fn run(&self, rows: mpsc::Receiver<Row>, journal: Appender, tally: watch::Sender<Tally>) -> Ended {
        Box::pin(Pool::new(self, rows, journal, tally).run()).await
    }
}
