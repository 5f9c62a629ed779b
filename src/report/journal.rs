//! Writes settled rows to the journal at once without holding up other rows. A separate thread writes the lines in batches
//! and syncs them to disk.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use csv::ByteRecord;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::line::{COLUMNS, Settlement};
use crate::domain::{CsvDialect, Lines};
use crate::file_error::FileError;
use crate::stdio::OUTPUT;
use crate::stop::Stop;

/// Settled rows that wait to be written. With more, nothing is sent until the disk has caught up.
const WAITING: usize = 4096;
/// The most lines written at a time.
const TOGETHER: usize = 1024;
/// How long lines are collected before they are written: waking a thread for each line costs more than settling a row.
const GATHERED: Duration = Duration::from_millis(5);
/// A power cut loses at most the lines of this period.
const SYNC_EVERY: Duration = Duration::from_millis(500);
/// A power cut loses at most this many written lines. With a sync every 16,384 lines, a million lines take 61 syncs.
const UNSYNCED: usize = 16 << 10;
/// The most rows that are handed over and of which no line is sure to be on disk.
pub(crate) const UNRECORDED: usize = WAITING + TOGETHER + UNSYNCED;

/// How long the reader of an abandoned stream has to read the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Why settled rows could not be written.
#[derive(Debug)]
pub(crate) enum NotWritten {
    File(FileError),
    /// A signal abandoned the requests in flight, and nobody read the stream.
    GivenUp,
}

impl From<FileError> for NotWritten {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// Where a journal is written.
pub(crate) enum Target {
    /// Standard output, with the selection of lines written to it, and how they are written.
    Stream(Box<dyn Write + Send>, Lines, CsvDialect),
    /// A file, which must survive a power cut.
    File(File, PathBuf),
}

impl Target {
    fn path(&self) -> &Path {
        match self {
            Self::Stream(..) => Path::new(OUTPUT),
            Self::File(_, path) => path,
        }
    }

    fn dialect(&self) -> CsvDialect {
        match self {
            Self::Stream(_, _, dialect) => *dialect,
            Self::File(..) => CsvDialect::default(),
        }
    }

    fn takes(&self, line: &Line) -> bool {
        match self {
            Self::Stream(_, lines, _) => line.written.is_none() && lines.include(line.settlement.outcome),
            // The run is resumed from it.
            Self::File(..) => true,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let written = match self {
            Self::Stream(stream, ..) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Self::File(file, _) => file.write_all(bytes),
        };
        written.map_err(|source| FileError::new("written", self.path(), source))
    }

    fn sync(&mut self) -> Result<(), FileError> {
        match self {
            Self::Stream(..) => Ok(()),
            Self::File(file, path) => file.sync_data().map_err(|source| FileError::new("written to disk", path, source)),
        }
    }
}

/// A line for the journal.
#[derive(Debug)]
pub(crate) struct Line {
    settlement: Settlement,
    /// For a line that says what is about to be done: is told once the line is written. A later line replaces it, so it is not
    /// written to a stream.
    written: Option<oneshot::Sender<()>>,
}

impl Line {
    /// A line that must be written before something is done. The receiver resolves once it is, and fails if it cannot be.
    pub(crate) fn ahead(settlement: Settlement) -> (Self, oneshot::Receiver<()>) {
        let (written, receiver) = oneshot::channel();
        (Self { settlement, written: Some(written) }, receiver)
    }
}

impl From<Settlement> for Line {
    fn from(settlement: Settlement) -> Self {
        Self { settlement, written: None }
    }
}

/// The journal of a run, open for more lines.
#[derive(Debug)]
pub(crate) struct Journal {
    appender: Appender,
    thread: JoinHandle<Result<(), FileError>>,
    /// Resolves when the header of a stream is written.
    begun: oneshot::Receiver<()>,
    /// Resolves when the thread has ended and dropped the sender.
    ended: oneshot::Receiver<()>,
}

/// The journal accepts no more lines. [`Journal::finish`] returns the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// Appends lines to a journal.
#[derive(Debug, Clone)]
pub(crate) struct Appender {
    lines: mpsc::Sender<Line>,
    /// Abandons a stream that nobody reads. `None` for a file, which is never abandoned.
    stop: Option<Stop>,
}

impl Appender {
    /// Hands over the first of the `lines`, to be written soon: all, unless as many wait to be written as may.
    pub(crate) fn append(&self, lines: &mut VecDeque<Line>) -> Result<(), Closed> {
        while let Some(line) = lines.pop_front() {
            match self.lines.try_send(line) {
                Ok(()) => {}
                Err(TrySendError::Full(line)) => {
                    lines.push_front(line);
                    return Ok(());
                }
                Err(TrySendError::Closed(_)) => return Err(Closed),
            }
        }
        Ok(())
    }

    /// Waits until a row can be handed over. That takes long only if the disk, or the reader of the stream, is far behind.
    pub(crate) async fn has_room(&self) -> Result<(), Closed> {
        tokio::select! {
            biased;
            reserved = self.lines.reserve() => reserved.map(drop).map_err(|_| Closed),
            () = abandoned(self.stop.as_ref()) => Err(Closed),
        }
    }
}

/// Returns once the requests in flight are abandoned; never without a `stop`.
async fn abandoned(stop: Option<&Stop>) {
    match stop {
        Some(stop) => stop.abandoned().await,
        None => std::future::pending().await,
    }
}

impl Journal {
    /// Starts a journal in `target` with the header: the report's columns, then `carried`. In a file, the header is written
    /// when this returns; in a stream, after [`Journal::begun`].
    pub(crate) fn start<'a>(mut target: Target, carried: impl Iterator<Item = &'a str>) -> Result<Self, FileError> {
        let header: ByteRecord = COLUMNS.into_iter().chain(carried).collect();
        let dialect = target.dialect();
        let header = text(&header, dialect).map_err(|source| FileError::new("written", target.path(), source))?;
        let header = [dialect.mark(), &header].concat();
        match &target {
            Target::Stream(..) => Self::write_on(target, header),
            Target::File(..) => {
                target.write(&header)?;
                target.sync()?;
                Self::resume(target)
            }
        }
    }

    /// Continues a journal. `target` must be positioned at its end.
    pub(crate) fn resume(target: Target) -> Result<Self, FileError> {
        Self::write_on(target, Vec::new())
    }

    fn write_on(mut target: Target, first: Vec<u8>) -> Result<Self, FileError> {
        let (lines, receiver) = mpsc::channel(WAITING);
        let ((has_begun, begun), (end, ended)) = (oneshot::channel(), oneshot::channel());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|source| FileError::new("written", target.path(), source))?;
        let thread = std::thread::spawn(move || {
            let _end: oneshot::Sender<()> = end;
            target.write(&first)?;
            // For a file, nobody waits for this.
            has_begun.send(()).unwrap_or(());
            runtime.block_on(write_all(target, receiver))
        });
        Ok(Self { appender: Appender { lines, stop: None }, thread, begun, ended })
    }

    /// Waits until the header of a stream is written, or until a stop is requested. The stream may never be read: from here
    /// on, it is given up when `stop` abandons the requests in flight.
    pub(crate) async fn begun(mut self, stop: &Stop) -> Result<Self, NotWritten> {
        let begun = tokio::select! {
            biased;
            begun = &mut self.begun => begun,
            () = stop.requested() => return Err(NotWritten::GivenUp),
        };
        self.appender.stop = Some(stop.clone());
        match begun {
            Ok(()) => Ok(self),
            Err(_) => Err(self.finish().await.expect_err("the thread has ended before it began")),
        }
    }

    /// A handle that appends lines.
    pub(crate) fn appender(&self) -> Appender {
        self.appender.clone()
    }

    /// Waits until every line is on disk. All appenders must have been dropped.
    pub(crate) async fn finish(self) -> Result<(), NotWritten> {
        let Self { appender: Appender { lines, stop }, thread, ended, .. } = self;
        drop(lines);
        let given_up = async {
            abandoned(stop.as_ref()).await;
            tokio::time::sleep(LAST_LINES).await;
        };
        tokio::select! {
            biased;
            _ = ended => {}
            () = given_up => return Err(NotWritten::GivenUp),
        }
        match thread.join() {
            Ok(written) => Ok(written?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

async fn write_all(mut target: Target, mut lines: mpsc::Receiver<Line>) -> Result<(), FileError> {
    let mut settled = Vec::with_capacity(TOGETHER);
    let mut sync = tokio::time::interval(SYNC_EVERY);
    sync.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut unsynced = 0;
    loop {
        tokio::select! {
            count = lines.recv_many(&mut settled, TOGETHER) => {
                if count == 0 {
                    return target.sync();
                }
                if unsynced + count > UNSYNCED {
                    target.sync()?;
                    unsynced = 0;
                }
                target.write(&text_of(&settled, &target).map_err(|source| FileError::new("written", target.path(), source))?)?;
                unsynced += count;
                for written in settled.drain(..).filter_map(|line| line.written) {
                    // The row may have been abandoned meanwhile.
                    written.send(()).unwrap_or(());
                }
                // While this thread sleeps, settled rows do not wake it.
                tokio::time::sleep(GATHERED).await;
            }
            _ = sync.tick(), if unsynced > 0 => {
                target.sync()?;
                unsynced = 0;
            }
        }
    }
}

/// The text of those of these lines that `target` takes.
fn text_of(lines: &[Line], target: &Target) -> io::Result<Vec<u8>> {
    let mut writer = target.dialect().writer().from_writer(Vec::new());
    let mut record = ByteRecord::new();
    for line in lines.iter().filter(|line| target.takes(line)) {
        line.settlement.write_to(&mut record);
        writer.write_byte_record(&record).map_err(io::Error::other)?;
    }
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// A record as a line of a journal.
pub(super) fn encoded(record: &ByteRecord) -> io::Result<Vec<u8>> {
    text(record, CsvDialect::default())
}

fn text(record: &ByteRecord, dialect: CsvDialect) -> io::Result<Vec<u8>> {
    let mut writer = dialect.writer().from_writer(Vec::new());
    writer.write_byte_record(record).map_err(io::Error::other)?;
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
