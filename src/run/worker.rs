//! Who settles rows? Tasks that all do the same, and what they share.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};

use super::budget::{Budget, Exceeded};
use super::settle::settle;
use super::{Ended, Pipeline, Place, ROOM, Stopped, place};
use crate::domain::{Row, Tally, Work, quote};
use crate::pingone::{PingOneError, Turn, Wire};
use crate::report::{Appender, Settlement};

/// What the workers of a run share.
pub(super) struct Shift<W> {
    pub(super) pipeline: Arc<Pipeline<W>>,
    /// Where rows come in. Whoever holds it lets nobody else in until its row's first turn has come. Rows that
    /// are tried again or have a second call to send, and the renewal of the token, have no queue of new rows
    /// before them, and a stop leaves few rows behind.
    door: tokio::sync::Mutex<()>,
    rows: Mutex<mpsc::Receiver<Row>>,
    /// For workers that wait with their rows.
    room: Semaphore,
    relief: mpsc::UnboundedSender<()>,
    journal: Appender,
    seen: watch::Sender<Tally>,
    book: Mutex<Book>,
}

/// What has come of the rows so far.
struct Book {
    budget: Budget,
    ended: Ended,
}

/// A row that has been let in.
pub(super) struct Admission {
    pub(super) row: Row,
    /// A row for which nothing is to be sent has none.
    pub(super) first: Option<(Place, Turn)>,
}

/// What came of a row.
pub(super) struct RowEnd {
    /// `None` if the run stopped first: the row is left as it was.
    pub(super) settled: Option<Settlement>,
    /// Why the whole run must stop.
    pub(super) refused: Option<PingOneError>,
}

/// Another worker has been asked for in place of one that waits with its row; as long as this lives, it takes
/// room.
pub(super) type Relieved<'a> = SemaphorePermit<'a>;

/// Settles one row after another, until there are no more, or the run stops; or until this worker had to wait
/// with a row and another has come in its place.
pub(super) async fn work<W: Wire>(shift: Arc<Shift<W>>) {
    while let Some(admitted) = shift.admit().await {
        let mut relieved = None;
        let end = match admitted {
            Ok(admission) => settle(&shift, admission, &mut relieved).await,
            Err(refused) => RowEnd { settled: None, refused: Some(refused) },
        };
        shift.record(end).await;
        if relieved.is_some() {
            return;
        }
    }
}

impl<W: Wire> Shift<W> {
    /// A shift, and where it asks for relief.
    pub(super) fn new(
        pipeline: Arc<Pipeline<W>>,
        rows: mpsc::Receiver<Row>,
        journal: Appender,
        seen: watch::Sender<Tally>,
    ) -> (Self, mpsc::UnboundedReceiver<()>) {
        let (relief, asked) = mpsc::unbounded_channel();
        let book = Book { budget: Budget::new(pipeline.max_failures, pipeline.is_taken_up), ended: Ended::default() };
        let (door, rows, room) = (tokio::sync::Mutex::new(()), Mutex::new(rows), Semaphore::new(ROOM));
        (Self { pipeline, door, rows, room, relief, journal, seen, book: Mutex::new(book) }, asked)
    }

    /// How the run ended; once the workers are gone.
    pub(super) fn ended(&self) -> Ended {
        std::mem::take(&mut self.book().ended)
    }

    /// The next row, when it may be sent; `None` if there is no other, or the run stops. During an outage, and
    /// while the canary is out, nobody is let in.
    async fn admit(&self) -> Option<Result<Admission, PingOneError>> {
        if let Some(admission) = self.walk_in() {
            return Some(Ok(admission));
        }
        let Pipeline { session, stop, .. } = &*self.pipeline;
        let taken = tokio::select! {
            biased;
            () = stop.requested() => None,
            taken = self.take() => taken,
        };
        let (row, place, _door) = taken?;
        let Some(place) = place else {
            return Some(Ok(Admission { row, first: None }));
        };
        let turn = session.turn(None, stop).await;
        Some(turn.map(|turn| Admission { row, first: Some((place, turn)) }))
    }

    /// The next row, if nothing holds rows back and one is there: then nobody needs to queue. (One that does
    /// makes all the others queue, and be woken one by one, from then on.)
    fn walk_in(&self) -> Option<Admission> {
        let Pipeline { session, outage, canary, places, stop, .. } = &*self.pipeline;
        if canary.is_some() || outage.is_on() {
            return None;
        }
        let token = session.ready_now(stop)?;
        let place = Arc::clone(places).try_acquire_owned().ok()?;
        let row = self.rows().try_recv().ok()?;
        let first = is_to_be_sent(&row).then_some((place, Turn::Come(token)));
        Some(Admission { row, first })
    }

    /// The next row, its place in flight if it needs one, and the door.
    async fn take(&self) -> Option<(Row, Option<Place>, impl Drop + '_)> {
        let Pipeline { outage, canary, places, .. } = &*self.pipeline;
        let door = self.door.lock().await;
        outage.over().await;
        // Before the place: who lists the rows may need one to come to the next.
        let row = std::future::poll_fn(|context| self.rows().poll_recv(context)).await?;
        if let Some(canary) = canary {
            canary.lets(row.number).await;
        }
        let place = if is_to_be_sent(&row) { Some(place(places).await) } else { None };
        Some((row, place, door))
    }

    /// Asks for another worker in place of one that is to wait; `None` if too many wait already.
    pub(super) fn relieve(&self) -> Option<Relieved<'_>> {
        let room = self.room.try_acquire().ok()?;
        self.relief.send(()).ok()?;
        Some(room)
    }

    /// Counts a row, and hands it to the journal. The run stops if it must.
    async fn record(&self, RowEnd { settled, refused }: RowEnd) {
        if let Some(refused) = refused {
            self.stop(&mut self.book(), Stopped::Refused(refused));
        }
        let Some(settlement) = settled else {
            return;
        };
        log(&settlement);
        // Whoever shows it looks at it from time to time, and is not woken for each row.
        self.seen.send_if_modified(|tally| {
            tally.add(settlement.outcome);
            false
        });
        {
            let mut book = self.book();
            book.ended.tally.add(settlement.outcome);
            if let Some(why) = self.stops_after(&mut book.budget, &settlement) {
                self.stop(&mut book, why);
            }
        }
        if self.journal.append(settlement).await.is_err() {
            self.stop(&mut self.book(), Stopped::JournalClosed);
        }
    }

    /// Stops the run; why it was stopped first is what is told. The book is held from when that is found: the
    /// row that spends the budget next has another reason.
    fn stop(&self, book: &mut Book, why: Stopped) {
        book.ended.stopped.get_or_insert(why);
        self.pipeline.stop.request();
    }

    /// Why the run stops after a row that was settled, if it does.
    fn stops_after(&self, budget: &mut Budget, settlement: &Settlement) -> Option<Stopped> {
        let Pipeline { canary, outage, .. } = &*self.pipeline;
        if canary.as_ref().is_some_and(|canary| canary.fails(settlement.row, settlement.outcome)) {
            return Some(Stopped::Canary(settlement.failure()));
        }
        // Rows that nothing was sent for cost nothing.
        if settlement.attempts == 0 {
            return None;
        }
        let spent = budget.spend(settlement.outcome, settlement.detail.status);
        let why = spent.or_else(|| outage.is_total().then_some(Exceeded::Outage))?;
        let (failed, settled) = budget.spent();
        Some(Stopped::Exceeded { why, failed, settled, last: settlement.failure() })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no panic while it is held")
    }

    fn rows(&self) -> MutexGuard<'_, mpsc::Receiver<Row>> {
        self.rows.lock().expect("no panic while it is held")
    }
}

fn is_to_be_sent(row: &Row) -> bool {
    match row.task {
        Work::Send(_) => true,
        Work::Duplicate(_) | Work::Passed(..) | Work::Nobody { .. } | Work::Invalid { .. } => false,
    }
}

/// One line for each row, where details are asked for. Here alone stand user IDs.
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
