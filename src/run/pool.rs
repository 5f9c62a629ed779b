//! The event loop of a run. It owns the rows that wait and those in flight, the permit and the slot in hand, and the
//! [state](super::run_state) of the run. Nothing here is shared, so nothing is locked.
//!
//! A new row takes a slot, then a permit, and is sent. At most one new row waits for its permit at a time, so that retries and the
//! renewal of the token never queue behind new rows, and a stop leaves few rows behind. A row in backoff gives its slot away.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::row_state::{Next, RowResult, RowState, Step};
use super::row_task::{Done, Job, perform, sent, settle_unsent};
use super::run_state::RunState;
use super::started_row::{Slot, StartedRow};
use super::waiting::{Priority, WaitingRows};
use super::{Ended, MOST_WAITING, Pipeline, StopReason};
use crate::domain::{Outcome, Row, Tally, Work, quote};
use crate::pingone::{AccessToken, Attempt, Call, PingOneError, Transport};
use crate::report::{Appender, Closed, NotAppended, Settlement};

/// What came of waiting for a permit to send: the token to send with, or `None` if the run stops.
type Permit = Result<Option<Arc<AccessToken>>, PingOneError>;

/// What the loop waited for.
enum Event {
    Done(Done),
    Permit(Permit),
    NewRow(Option<Row>),
    Slot(Slot),
    /// The journal has room again, or is closed.
    Journal(Result<(), Closed>),
    /// A backoff has passed, or a row is overdue.
    Due,
    Stop,
}

/// A run under way.
pub(super) struct Pool<'a, W> {
    pipeline: &'a Pipeline<W>,
    rows: mpsc::Receiver<Row>,
    journal: Appender,
    seen: watch::Sender<Tally>,
    state: RunState,
    waiting: WaitingRows,
    /// Settled rows for which the journal has no room yet; nothing is sent meanwhile.
    unwritten: VecDeque<Settlement>,
    in_flight: FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send + 'a>>>,
    /// The next new row, and whether it is the last that is read.
    next: Option<Row>,
    is_read: bool,
    /// In hand for whichever row is sent next.
    slot: Option<Slot>,
    permit: Option<Pin<Box<dyn Future<Output = Permit> + Send + 'a>>>,
    is_stopping: bool,
}

/// What the row that is sent next lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lacks {
    Slot,
    Permit,
}

impl<'a, W: Transport> Pool<'a, W> {
    pub(super) fn new(pipeline: &'a Pipeline<W>, rows: mpsc::Receiver<Row>, journal: Appender, seen: watch::Sender<Tally>) -> Self {
        Self {
            pipeline,
            rows,
            journal,
            seen,
            state: RunState::new(&pipeline.rules, pipeline.concurrency),
            waiting: WaitingRows::default(),
            unwritten: VecDeque::new(),
            in_flight: FuturesUnordered::new(),
            next: None,
            is_read: false,
            slot: None,
            permit: None,
            is_stopping: false,
        }
    }

    /// Settles every row, or those that can be before the run stops.
    pub(super) async fn run(mut self) -> Ended {
        while let Some(event) = self.event().await {
            self.take(event);
        }
        self.state.ended()
    }

    /// What happens next; `None` if there is nothing left to wait for.
    async fn event(&mut self) -> Option<Event> {
        let lacks = self.proceed();
        if self.is_over() {
            return None;
        }
        let Pipeline { session, slots, stop, .. } = self.pipeline;
        if lacks == Some(Lacks::Permit) && self.permit.is_none() {
            self.permit = Some(Box::pin(session.permit(stop)));
        }
        let (due, has_permit, is_stopping) = (self.waiting.next_due(), self.permit.is_some(), self.is_stopping);
        let has_all_written = self.unwritten.is_empty();
        let reads_on = self.next.is_none() && !self.is_read && !is_stopping;
        Some(tokio::select! {
            biased;
            () = stop.requested(), if !is_stopping => Event::Stop,
            Some(done) = self.in_flight.next() => Event::Done(done),
            permit = ready(&mut self.permit), if has_permit => Event::Permit(permit),
            room = self.journal.has_room(), if !has_all_written => Event::Journal(room),
            slot = Arc::clone(slots).acquire_owned(), if lacks == Some(Lacks::Slot) => Event::Slot(slot.expect("nobody closes it")),
            row = self.rows.recv(), if reads_on => Event::NewRow(row),
            () = until(due) => Event::Due,
        })
    }

    fn is_over(&self) -> bool {
        let has_new = self.next.is_some() || !self.is_read;
        self.in_flight.is_empty() && self.waiting.is_empty() && self.unwritten.is_empty() && (self.is_stopping || !has_new)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Done(Done::Answered { row, call, slot, began, attempt }) => self.answered(row, call, slot, began, attempt),
            Event::Done(Done::Checked { row, result, is_there }) => match is_there {
                Ok(true) => self.settle(row, result),
                Ok(false) => self.leave(row),
                Err(refused) => self.refuse(row, refused),
            },
            Event::Permit(permit) => {
                self.permit = None;
                match permit {
                    Ok(Some(token)) => self.use_permit(&token),
                    Ok(None) => self.begin_to_stop(),
                    Err(refused) => self.stop(StopReason::Refused(refused)),
                }
            }
            Event::NewRow(row) => {
                self.is_read = row.is_none();
                self.next = row;
            }
            Event::Slot(slot) => self.slot = Some(slot),
            Event::Journal(Ok(())) => self.write_on(),
            Event::Journal(Err(Closed)) => self.close(),
            Event::Due => {}
            Event::Stop => self.begin_to_stop(),
        }
    }

    /// Does all that can be done at once. Tells what the row lacks that is to be sent next, if there is one.
    fn proceed(&mut self) -> Option<Lacks> {
        if self.pipeline.stop.is_requested() && !self.is_stopping {
            self.begin_to_stop();
        }
        let now = Instant::now();
        self.waiting.wake(now);
        while let Some(mut row) = self.waiting.take_overdue(now) {
            let result = row.state.gave_up();
            self.settle(row, result);
        }
        loop {
            let lacks = self.lacks();
            let may_send_now = lacks == Some(Lacks::Permit) && self.permit.is_none();
            let token = if may_send_now { self.pipeline.session.ready_now(&self.pipeline.stop) } else { None };
            match token {
                Some(token) => self.use_permit(&token),
                None => return lacks,
            }
        }
    }

    /// What the row lacks that is to be sent next; takes what is to be had at once.
    fn lacks(&mut self) -> Option<Lacks> {
        if !self.unwritten.is_empty() {
            return None;
        }
        if let Some(row) = self.waiting.first_ready() {
            return if row.slot.is_some() || self.has_slot() { Some(Lacks::Permit) } else { Some(Lacks::Slot) };
        }
        self.read_on();
        let may_begin = self.next.as_ref().is_some_and(|row| self.state.lets(row.number));
        let lacks = if !may_begin || self.is_stopping || self.waiting.len() >= MOST_WAITING {
            None
        } else if !self.has_slot() {
            Some(Lacks::Slot)
        } else {
            Some(Lacks::Permit)
        };
        if lacks.is_none() {
            // Others may need it.
            self.slot = None;
        }
        lacks
    }

    /// Looks for the next new row, and settles those for which nothing is to be sent.
    fn read_on(&mut self) {
        while !self.is_stopping {
            if self.next.is_none() {
                self.next = self.rows.try_recv().ok();
            }
            let is_settled = self.next.as_ref().is_some_and(|row| !matches!(row.work, Work::Send(_)) && self.state.lets(row.number));
            let row = self.next.take_if(|_| is_settled && self.unwritten.is_empty());
            let Some(row) = row else {
                return;
            };
            self.begin(row);
        }
    }

    fn has_slot(&mut self) -> bool {
        if self.slot.is_none() {
            self.slot = Arc::clone(&self.pipeline.slots).try_acquire_owned().ok();
        }
        self.slot.is_some()
    }

    /// Begins a row: `None` if nothing is to be sent for it, and it is settled.
    fn begin(&mut self, row: Row) -> Option<Box<StartedRow>> {
        self.state.begin(row.number);
        match settle_unsent(row, self.pipeline.clock.now()) {
            Ok((Row { number, carried, in_doubt, .. }, action)) => {
                let state = RowState::new(action, self.pipeline.limits, in_doubt);
                Some(Box::new(StartedRow { number, action, state, carried, retries: false, slot: None }))
            }
            Err(settlement) => {
                self.record(*settlement);
                None
            }
        }
    }

    /// Sends the next row, whose permit has come. A row that turns out to need no request leaves the permit to the next.
    fn use_permit(&mut self, token: &Arc<AccessToken>) {
        while self.lacks() == Some(Lacks::Permit) {
            let row = match self.waiting.take_ready() {
                Some(row) => Some(row),
                None => self.next.take().and_then(|row| self.begin(row)),
            };
            let Some(mut row) = row else {
                continue;
            };
            match row.state.step(self.pipeline.clock.now()) {
                Step::Settle(result) => self.settle(row, result),
                Step::Send { call, again } => {
                    let slot = row.slot.take().or_else(|| self.slot.take()).expect("a row that lacks its permit alone has a slot");
                    return self.start(Job::Send { row, call, again, slot, token: Arc::clone(token) });
                }
            }
        }
    }

    fn start(&mut self, job: Job) {
        self.in_flight.push(Box::pin(perform(self.pipeline, job)));
    }

    fn answered(&mut self, mut row: Box<StartedRow>, call: Call, slot: Slot, began: Instant, attempt: Result<Attempt, PingOneError>) {
        let now = Instant::now();
        let next = match attempt {
            // An answer that ends the run is one to this row too.
            Err(refused) => {
                row.state.count(began, now);
                return self.refuse(row, refused);
            }
            Ok(Attempt::Abandoned { sent }) => row.state.abandoned(call, sent, now),
            Ok(Attempt::Answered { sent, verdict }) => {
                self.state.learn(&verdict, &mut row.retries);
                row.state.after(call, verdict, sent, now, self.pipeline.clock.now())
            }
        };
        match next {
            Next::GoOn | Next::Again(_) if self.is_stopping => self.leave(row),
            Next::Leave => self.leave(row),
            Next::GoOn => {
                row.slot = Some(slot);
                self.waiting.make_ready(row, Priority::SecondCall);
            }
            Next::Settle(result) if result.outcome == Outcome::NotFound => self.start(Job::CheckEnvironment { row, result }),
            Next::Settle(result) => self.settle(row, result),
            Next::TokenRefused(detail) => {
                let refused = self.pipeline.session.fresh_token_refused(&detail);
                self.refuse(row, refused);
            }
            Next::Again(wait) => {
                tracing::debug!(row = row.number.0, attempt = row.state.attempts, wait = ?wait, "to be tried again");
                if wait.is_zero() { self.waiting.make_ready(row, Priority::Retry) } else { self.waiting.back_off(row, now + wait) }
            }
        }
    }

    /// The run stops: no request is taken any more.
    fn refuse(&mut self, row: Box<StartedRow>, refused: PingOneError) {
        self.stop(StopReason::Refused(refused));
        self.leave(row);
    }

    /// A row that is not tried again, since the run stops: it ends if something may have been carried out, or else stays as it
    /// was.
    fn leave(&mut self, mut row: Box<StartedRow>) {
        match row.state.stopped() {
            Some(result) => self.settle(row, result),
            None if row.retries => self.state.end_retry(),
            None => {}
        }
    }

    fn settle(&mut self, mut row: Box<StartedRow>, result: RowResult) {
        if row.retries {
            self.state.end_retry();
        }
        let settlement = sent(&mut row, result, self.pipeline.clock.now());
        self.record(settlement);
    }

    /// Counts a settled row, and hands it to the journal. The run stops if it must.
    fn record(&mut self, settlement: Settlement) {
        log(&settlement);
        // The progress bar looks at it from time to time, and is not woken for each row.
        self.seen.send_if_modified(|tally| {
            tally.add(settlement.outcome);
            false
        });
        let reason = self.state.settle(&settlement);
        self.unwritten.push_back(settlement);
        self.write_on();
        if let Some(reason) = reason {
            self.stop(reason);
        }
    }

    /// Hands over the rows for which the journal has room.
    fn write_on(&mut self) {
        while let Some(settlement) = self.unwritten.pop_front() {
            match self.journal.append(settlement) {
                Ok(()) => {}
                Err(NotAppended::Full(settlement)) => return self.unwritten.push_front(*settlement),
                Err(NotAppended::Closed) => return self.close(),
            }
        }
    }

    /// The journal takes no more lines.
    fn close(&mut self) {
        self.unwritten.clear();
        self.stop(StopReason::JournalClosed);
    }

    fn stop(&mut self, reason: StopReason) {
        self.state.stop(reason);
        self.pipeline.stop.request();
        if !self.is_stopping {
            self.begin_to_stop();
        }
    }

    /// Nothing new is sent from here on; what is in flight is waited for.
    fn begin_to_stop(&mut self) {
        self.is_stopping = true;
        (self.permit, self.slot, self.next) = (None, None, None);
        self.rows.close();
        while let Some(row) = self.waiting.take_any() {
            self.leave(row);
        }
    }
}

async fn ready(permit: &mut Option<Pin<Box<dyn Future<Output = Permit> + Send + '_>>>) -> Permit {
    match permit {
        Some(permit) => permit.await,
        None => pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

/// One line for each row, where details are asked for. User IDs stand here alone.
fn log(settlement: &Settlement) {
    tracing::debug!(
        row = settlement.row.0,
        user = quote(&settlement.user),
        result = settlement.outcome.name(),
        attempt = settlement.attempts,
        status = settlement.detail.status,
        errorId = settlement.detail.id.to_string(),
        durationMs = u64::try_from(settlement.took.as_millis()).unwrap_or(u64::MAX),
        "settled"
    );
}
