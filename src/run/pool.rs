//! The event loop of a run. It owns the waiting rows, the requests in flight, the slot and permit in hand, and the
//! [state](super::run_state) of the run. Nothing is shared, so nothing is locked.
//!
//! A new row acquires a slot, then a permit, and is sent. Only one new row waits for a permit at a time: retries and token
//! renewals never queue behind new rows, and a stop leaves few rows begun. A row in backoff releases its slot.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::OptionFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::meaning::RowResult;
use super::row_state::{Next, Step};
use super::row_task::{Done, announce, check_environment, log_settled, send, settlement, start};
use super::run_state::RunState;
use super::started_row::{Slot, StartedRow};
use super::waiting::{Priority, WaitingRows};
use super::{Ended, MOST_WAITING, Pipeline, StopReason};
use crate::domain::{Outcome, Row, Tally, Work};
use crate::pingone::{AccessToken, Answered, Call, PingOneError, RowRequest, Transport};
use crate::report::{Appender, Closed, Line, Settlement};

/// The token to send with, once a permit is free; `None` if the run stops first.
type Permit = Result<Option<Arc<AccessToken>>, PingOneError>;

/// What the loop was waiting for.
enum Event {
    Done(Done),
    Permit(Permit),
    NewRow(Option<Row>),
    Slot(Slot),
    /// The journal has room again, or is closed.
    Journal(Result<(), Closed>),
    /// A backoff has ended, or a row is overdue.
    Due,
    Stop,
}

/// A run in progress.
pub(super) struct Pool<'a, W> {
    pipeline: &'a Pipeline<W>,
    rows: mpsc::Receiver<Row>,
    journal: Appender,
    tally: watch::Sender<Tally>,
    state: RunState,
    waiting: WaitingRows,
    /// Lines that the journal has no room for yet. While there are any, nothing is sent.
    unwritten: VecDeque<Line>,
    in_flight: FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send + 'a>>>,
    /// The next new row, and whether all rows have been read.
    next: Option<Row>,
    is_read: bool,
    /// Acquired for the row that is sent next.
    slot: Option<Slot>,
    permit: Option<Pin<Box<dyn Future<Output = Permit> + Send + 'a>>>,
    is_stopping: bool,
}

/// What the next row needs before it can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Slot,
    Permit,
}

impl<'a, W: Transport> Pool<'a, W> {
    pub(super) fn new(pipeline: &'a Pipeline<W>, rows: mpsc::Receiver<Row>, journal: Appender, tally: watch::Sender<Tally>) -> Self {
        Self {
            pipeline,
            rows,
            journal,
            tally,
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

    /// Settles every row, or as many as it can before the run stops.
    pub(super) async fn run(mut self) -> Ended {
        while let Some(event) = self.event().await {
            self.handle(event);
        }
        // Its last rows may have been settled before it saw the signal.
        if let Some(signal) = self.pipeline.stop.signalled() {
            self.state.stop(StopReason::Signal(signal));
        }
        self.state.ended()
    }

    /// Waits for the next event; `None` if nothing is left to wait for.
    async fn event(&mut self) -> Option<Event> {
        let missing = self.proceed();
        self.pipeline.session.answers.set_rows(self.in_flight.len() + self.waiting.len());
        if self.is_over() {
            return None;
        }
        let Pipeline { session, slots, stop, .. } = self.pipeline;
        if missing == Some(Missing::Permit) && self.permit.is_none() {
            self.permit = Some(Box::pin(session.permit(stop)));
        }
        let (due, has_permit, is_stopping) = (self.waiting.next_due(), self.permit.is_some(), self.is_stopping);
        let has_all_written = self.unwritten.is_empty();
        let reads_more = self.next.is_none() && !self.is_read && !is_stopping;
        Some(tokio::select! {
            biased;
            // First, since it comes most often; whether the run stops is also checked before anything is sent.
            Some(done) = self.in_flight.next() => Event::Done(done),
            () = stop.requested(), if !is_stopping => Event::Stop,
            Some(permit) = OptionFuture::from(self.permit.as_mut()), if has_permit => Event::Permit(permit),
            room = self.journal.has_room(), if !has_all_written => Event::Journal(room),
            slot = Arc::clone(slots).acquire_owned(), if missing == Some(Missing::Slot) => Event::Slot(slot.expect("nobody closes it")),
            row = self.rows.recv(), if reads_more => Event::NewRow(row),
            Some(()) = OptionFuture::from(due.map(sleep_until)), if due.is_some() => Event::Due,
        })
    }

    fn is_over(&self) -> bool {
        let has_new = self.next.is_some() || !self.is_read;
        self.in_flight.is_empty() && self.waiting.is_empty() && self.unwritten.is_empty() && (self.is_stopping || !has_new)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Done(Done::Answered { row, call, slot, sent, answered }) => self.answered(row, call, slot, sent, answered),
            Event::Done(Done::Announced { row, slot, is_written: true }) => self.second_call(row, slot),
            Event::Done(Done::Announced { row, .. }) => {
                self.leave(row);
                self.close();
            }
            Event::Done(Done::Checked { row, result, exists }) => match exists {
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
            Event::Journal(Ok(())) => self.flush_unwritten(),
            Event::Journal(Err(Closed)) => self.close(),
            Event::Due => {}
            Event::Stop => self.begin_to_stop(),
        }
    }

    /// Does everything that needs no waiting. Returns what the next row to send still needs, if there is one.
    fn proceed(&mut self) -> Option<Missing> {
        if self.pipeline.stop.is_requested() && !self.is_stopping {
            self.begin_to_stop();
        }
        let now = Instant::now();
        self.waiting.wake(now);
        while let Some(mut row) = self.waiting.take_overdue(now) {
            let result = row.state.give_up();
            self.settle(row, result);
        }
        loop {
            let missing = self.missing();
            let may_send_now = missing == Some(Missing::Permit) && self.permit.is_none();
            let token = if may_send_now { self.pipeline.session.ready_now(&self.pipeline.stop) } else { None };
            match token {
                Some(token) => self.use_permit(&token),
                None => return missing,
            }
        }
    }

    /// What the next row to send still needs. Acquires a slot if one is free.
    fn missing(&mut self) -> Option<Missing> {
        if !self.unwritten.is_empty() {
            return None;
        }
        if let Some(row) = self.waiting.first_ready() {
            return Some(if row.slot.is_some() || self.has_slot() { Missing::Permit } else { Missing::Slot });
        }
        self.fetch_next();
        let may_begin = self.next.as_ref().is_some() && self.state.allows_next();
        if !may_begin || self.is_stopping || self.waiting.len() >= MOST_WAITING {
            // A page of the user list may need it.
            self.slot = None;
            return None;
        }
        Some(if self.has_slot() { Missing::Permit } else { Missing::Slot })
    }

    /// Fetches the next new row, and settles those that need no request.
    fn fetch_next(&mut self) {
        while !self.is_stopping {
            if self.next.is_none() {
                self.next = self.rows.try_recv().ok();
            }
            let is_settled = self.next.as_ref().is_some_and(|row| !matches!(row.work, Work::Send(_)) && self.state.allows_next());
            let Some(row) = self.next.take_if(|_| is_settled && self.unwritten.is_empty()) else {
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

    /// Starts a row. Returns `None` if it needs no request and is settled already.
    fn begin(&mut self, row: Row) -> Option<Box<StartedRow>> {
        self.state.begin(&row);
        let Pipeline { limits, clock, .. } = self.pipeline;
        start(row, *limits, clock.now()).map_err(|settlement| self.record(*settlement)).ok()
    }

    /// Sends the next row with the granted permit. If a row turns out to need no request, the permit goes to the next one.
    fn use_permit(&mut self, token: &Arc<AccessToken>) {
        while self.missing() == Some(Missing::Permit) {
            let Some(mut row) = self.waiting.take_ready().or_else(|| self.next.take().and_then(|row| self.begin(row))) else {
                continue;
            };
            match row.state.step(self.pipeline.clock.now()) {
                Step::Settle(result) => self.settle(row, result),
                Step::Send { call, is_retry } => {
                    let slot = row.slot.take().or_else(|| self.slot.take()).expect("a row that lacks its permit alone has a slot");
                    let request = RowRequest { call, row: row.number, again: is_retry, deadline: row.state.deadline() };
                    return self.in_flight.push(Box::pin(send(self.pipeline, row, request, slot, Arc::clone(token))));
                }
            }
        }
    }

    fn answered(
        &mut self,
        mut row: Box<StartedRow>,
        call: Call,
        slot: Slot,
        sent: Instant,
        answered: Result<Option<Answered>, PingOneError>,
    ) {
        let now = Instant::now();
        let next = match answered {
            // This answer ends the run, but it counts as an attempt of the row too.
            Err(refused) => {
                row.state.count(sent, now);
                return self.refuse(row, refused);
            }
            Ok(None) => row.state.abandoned(call, sent, now),
            Ok(Some(Answered { verdict, correlation })) => {
                row.state.correlation = correlation.unwrap_or_else(|| std::mem::take(&mut row.state.correlation));
                self.state.breaker.learn(&verdict, &mut row.has_faulted);
                row.state.after(call, verdict, sent, now, self.pipeline.clock.now())
            }
        };
        match next {
            Next::SecondCall | Next::Retry(_) if self.is_stopping => self.leave(row),
            Next::Leave => self.leave(row),
            Next::SecondCall => match row.state.take_announcement() {
                Some(said) => {
                    let (line, written) = Line::ahead(settlement(&row, said, self.pipeline.clock.now(), row.carried.clone()));
                    self.write(line);
                    self.in_flight.push(Box::pin(announce(row, written, slot)));
                }
                None => self.second_call(row, slot),
            },
            Next::Settle(result) if result.outcome == Outcome::NotFound => {
                self.in_flight.push(Box::pin(check_environment(self.pipeline, row, result, slot)));
            }
            Next::Settle(result) => self.settle(row, result),
            Next::TokenRefused(detail) => {
                let refused = self.pipeline.session.fresh_token_refused(&detail);
                self.refuse(row, refused);
            }
            Next::Retry(wait) => {
                tracing::debug!(row = row.number.0, attempt = row.state.attempts, wait = ?wait, "to be tried again");
                if wait.is_zero() { self.waiting.make_ready(row, Priority::Retry) } else { self.waiting.back_off(row, now + wait) }
            }
        }
    }

    /// Lets a row keep its `slot` for its second call, which is sent with the next permit.
    fn second_call(&mut self, mut row: Box<StartedRow>, slot: Slot) {
        if self.is_stopping {
            return self.leave(row);
        }
        row.slot = Some(slot);
        self.waiting.make_ready(row, Priority::SecondCall);
    }

    /// Stops the run, because PingOne accepts no more requests.
    fn refuse(&mut self, row: Box<StartedRow>, refused: PingOneError) {
        self.stop(StopReason::Refused(refused));
        self.leave(row);
    }

    /// Ends a row that is not retried because the run stops: it is settled if one of its requests may have been applied, and
    /// otherwise stays as it was.
    fn leave(&mut self, mut row: Box<StartedRow>) {
        match row.state.stopped() {
            Some(result) => self.settle(row, result),
            None if row.has_faulted => self.state.breaker.end_retry(),
            None => {}
        }
    }

    fn settle(&mut self, mut row: Box<StartedRow>, result: RowResult) {
        if row.has_faulted {
            self.state.breaker.end_retry();
        }
        let carried = std::mem::take(&mut row.carried);
        self.record(settlement(&row, result, self.pipeline.clock.now(), carried));
    }

    /// Counts a settled row, hands it to the journal, and stops the run if a limit is reached.
    fn record(&mut self, settlement: Settlement) {
        log_settled(&settlement);
        // The progress bar polls the tally, so no row wakes it.
        self.tally.send_if_modified(|tally| {
            tally.add(settlement.outcome);
            false
        });
        let reason = self.state.settle(&settlement);
        self.write(settlement.into());
        if let Some(reason) = reason {
            self.stop(reason);
        }
    }

    fn write(&mut self, line: Line) {
        self.unwritten.push_back(line);
        self.flush_unwritten();
    }

    /// Hands lines to the journal while it has room.
    fn flush_unwritten(&mut self) {
        if self.journal.append(&mut self.unwritten).is_err() {
            self.close();
        }
    }

    /// Stops the run, because the journal accepts no more lines.
    fn close(&mut self) {
        self.unwritten.clear();
        self.stop(StopReason::JournalClosed);
    }

    fn stop(&mut self, reason: StopReason) {
        if self.pipeline.stop.is_requested() && !self.is_stopping {
            // A signal came first.
            self.begin_to_stop();
        }
        self.state.stop(reason);
        self.pipeline.stop.request();
        if !self.is_stopping {
            self.begin_to_stop();
        }
    }

    /// Sends nothing new from here on; requests in flight are awaited.
    fn begin_to_stop(&mut self) {
        self.state.stop(self.pipeline.stop.signalled().map_or(StopReason::Source, StopReason::Signal));
        self.is_stopping = true;
        (self.permit, self.slot, self.next) = (None, None, None);
        self.rows.close();
        while let Some(row) = self.waiting.take_any() {
            self.leave(row);
        }
    }
}
