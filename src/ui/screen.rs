//! Queues lines and the bar for standard error. A thread of its own writes them in order, so that callers never block,
//! even if standard error is a stopped or closed terminal or a pipe that is not read.

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressDrawTarget, TermLike};

/// Bytes that may be queued before log lines are dropped. With `-vv`, that is the log of some 8,000 rows.
const MOST_WAITING: usize = 1 << 21;
/// At the end of the program, the queue is given up after this long without progress…
const STALL_TIMEOUT: Duration = Duration::from_secs(2);
/// …or after this long in total.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);

/// A handle to the queue. The writing thread ends with the last clone.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    items: mpsc::Sender<Item>,
    backlog: Arc<Backlog>,
    /// Formats the notice about dropped lines.
    notice: Notice,
}

/// Makes the line that tells of this many dropped ones.
#[derive(Clone)]
struct Notice(Arc<dyn Fn(u64) -> String + Send + Sync>);

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notice")
    }
}

/// Whether a line may be dropped while too many are queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// It may, and is counted.
    Log,
    /// It may not.
    Message,
}

#[derive(Debug)]
enum Item {
    /// One or more lines, each with its line feed.
    Lines(Vec<u8>),
    /// The bar has changed.
    Bar,
    /// Dropped once everything queued before it is written.
    Flush(mpsc::Sender<()>),
}

/// What is not written yet.
#[derive(Debug, Default)]
struct Backlog {
    /// The latest bar; `None` once the thread has taken it.
    bar: Mutex<Option<String>>,
    /// Bytes of queued lines.
    bytes: AtomicUsize,
    /// Dropped lines that no notice has mentioned yet.
    left_out: AtomicU64,
}

impl Screen {
    /// Writes to `out`. `notice` formats the line that replaces dropped ones.
    pub(super) fn new(out: impl Write + Send + 'static, notice: impl Fn(u64) -> String + Send + Sync + 'static) -> Self {
        let (items, queued) = mpsc::channel();
        let backlog = Arc::new(Backlog::default());
        let pen = Pen { out, backlog: Arc::clone(&backlog), bar: String::new(), drawn: String::new() };
        std::thread::spawn(move || pen.write_all(&queued));
        Self { items, backlog, notice: Notice(Arc::new(notice)) }
    }

    /// Queues `lines`, unless their weight lets them be dropped and the queue is full.
    pub(super) fn queue_lines(&self, lines: Vec<u8>, weight: Weight) {
        let Backlog { bytes, left_out, .. } = &*self.backlog;
        let is_out = left_out.load(Ordering::Relaxed) > 0;
        // Not before there is room for many, or every other line would be a notice.
        let room = if is_out { MOST_WAITING / 2 } else { MOST_WAITING };
        let fits = bytes.load(Ordering::Relaxed) + lines.len() <= room;
        if weight == Weight::Log && !fits {
            left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if is_out && fits {
            self.queue_notice();
        }
        self.push(lines);
    }

    fn queue_notice(&self) {
        let lines = self.backlog.left_out.swap(0, Ordering::Relaxed);
        if lines > 0 {
            self.push((self.notice.0)(lines).into_bytes());
        }
    }

    fn push(&self, lines: Vec<u8>) {
        self.backlog.bytes.fetch_add(lines.len(), Ordering::Relaxed);
        self.send(Item::Lines(lines));
    }

    fn send(&self, item: Item) {
        // The thread outlives all senders.
        drop(self.items.send(item));
    }

    /// Waits until everything queued is written, however long that takes.
    pub(super) fn wait(&self) {
        self.flush().recv().unwrap_or(());
    }

    /// Waits until everything queued is written, or until the timeouts.
    pub(super) fn wait_or_time_out(&self) {
        self.queue_notice();
        let (start, written) = (Instant::now(), self.flush());
        loop {
            let before = self.backlog.bytes.load(Ordering::Relaxed);
            let is_late = written.recv_timeout(STALL_TIMEOUT) == Err(RecvTimeoutError::Timeout);
            if !is_late || self.backlog.bytes.load(Ordering::Relaxed) == before || start.elapsed() > FLUSH_TIMEOUT {
                return;
            }
        }
    }

    /// Replaces the bar. Intermediate states may be skipped.
    fn show(&self, bar: String) {
        if lock(&self.backlog.bar).replace(bar).is_none() {
            self.send(Item::Bar);
        }
    }

    fn flush(&self) -> mpsc::Receiver<()> {
        let (written, wait) = mpsc::channel();
        self.send(Item::Flush(written));
        wait
    }

    /// A target to draw a bar on, at most `hz` times a second.
    pub(super) fn bar(&self, hz: u8) -> ProgressDrawTarget {
        ProgressDrawTarget::term_like_with_hz(Box::new(Canvas { screen: self.clone(), bar: Mutex::default() }), hz)
    }
}

/// A lock that outlives a panic: panics are shown here too.
fn lock<T>(bar: &Mutex<T>) -> MutexGuard<'_, T> {
    bar.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state of the writing thread.
struct Pen<W> {
    out: W,
    backlog: Arc<Backlog>,
    /// The bar to be drawn…
    bar: String,
    /// …and the bar on the terminal.
    drawn: String,
}

impl<W: Write> Pen<W> {
    fn write_all(mut self, items: &mpsc::Receiver<Item>) {
        while let Ok(item) = items.recv() {
            self.take(item);
            // The bar is redrawn once no more lines are queued.
            while let Ok(item) = items.try_recv() {
                self.take(item);
            }
            self.draw();
        }
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Lines(lines) => {
                let waited = lines.len();
                // A single write, so that the output of other programs does not come in between.
                let text = if self.drawn.is_empty() { lines } else { [self.clear().as_bytes(), &lines].concat() };
                self.write(&text);
                self.backlog.bytes.fetch_sub(waited, Ordering::Relaxed);
            }
            Item::Bar => self.bar = lock(&self.backlog.bar).take().unwrap_or_default(),
            Item::Flush(written) => {
                self.draw();
                drop(written);
            }
        }
    }

    fn draw(&mut self) {
        if self.bar != self.drawn {
            let text = self.clear() + &self.bar;
            self.write(text.as_bytes());
            self.drawn.clone_from(&self.bar);
        }
    }

    /// The sequence that removes the bar from the terminal.
    fn clear(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            bar if bar.is_empty() => bar,
            bar => format!("\r\x1b[2K{}", "\x1b[1A\x1b[2K".repeat(bar.matches('\n').count())),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        // If standard error fails, there is nowhere left to report it.
        drop(self.out.write_all(bytes).and_then(|()| self.out.flush()));
    }
}

/// The terminal that indicatif draws a bar on. Only the appearance is captured; the thread redraws the whole bar each time.
#[derive(Debug)]
struct Canvas {
    screen: Screen,
    bar: Mutex<String>,
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        console::Term::stderr().size().1
    }

    fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> std::io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> std::io::Result<()> {
        lock(&self.bar).push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> std::io::Result<()> {
        let bar = std::mem::take(&mut *lock(&self.bar));
        self.screen.show(in_rows(bar.trim_end(), usize::from(self.width())));
        Ok(())
    }
}

/// `bar` in rows of `columns` characters, so that the number of rows to clear is known.
fn in_rows(bar: &str, columns: usize) -> String {
    let chars: Vec<char> = bar.chars().collect();
    chars.chunks(columns.max(1)).map(|row| row.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
