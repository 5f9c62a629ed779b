//! How do lines and the bar reach standard error? A thread of its own writes them, in the order in which they were
//! said: who says something never waits, whatever standard error is. It may be a terminal that was stopped or has
//! gone away, or a pipe that nobody reads.

use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressDrawTarget, TermLike};

/// Bytes that may wait to be written before lines of the log are left out. With `-vv` that is what some 8,000 rows
/// say.
const MOST_WAITING: usize = 1 << 21;
/// What is written is waited for at the end of the program, but not for longer than so long while nothing of it is
/// taken…
const PATIENCE: Duration = Duration::from_secs(2);
/// …nor for longer than so long in all.
const MOST_PATIENCE: Duration = Duration::from_secs(10);

/// Where lines are said and the bar is drawn. The thread that writes ends with the last of its clones.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    items: mpsc::Sender<Item>,
    backlog: Arc<Backlog>,
    /// The line that says how many were left out.
    notice: fn(u64) -> String,
}

/// Whether a line may be left out where too many wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// It may, and is counted.
    Log,
    /// It may not.
    Message,
}

#[derive(Debug)]
enum Item {
    /// One line or several, each with its line feed.
    Lines(Vec<u8>),
    /// The bar looks different.
    Bar,
    /// Somebody waits for what was said before, until this is dropped.
    Flush(mpsc::Sender<()>),
}

/// What is not written yet.
#[derive(Debug, Default)]
struct Backlog {
    /// What the bar looks like, if there is one; `None` once the thread has seen it.
    bar: Mutex<Option<String>>,
    /// Of lines.
    bytes: AtomicUsize,
    /// Lines that were left out, and of which that was not said yet.
    left_out: AtomicU64,
}

impl Screen {
    /// Writes to `out`. `notice` makes the line that says how many were left out, which stands in their place.
    pub(super) fn new(out: impl Write + Send + 'static, notice: fn(u64) -> String) -> Self {
        let (items, said) = mpsc::channel();
        let backlog = Arc::new(Backlog::default());
        let pen = Pen { out, backlog: Arc::clone(&backlog), bar: String::new(), drawn: String::new() };
        std::thread::spawn(move || pen.write_all(&said));
        Self { items, backlog, notice }
    }

    /// Says `lines`, unless they are of so little weight that they are left out.
    pub(super) fn say(&self, lines: Vec<u8>, weight: Weight) {
        let Backlog { bytes, left_out, .. } = &*self.backlog;
        let is_out = left_out.load(Ordering::Relaxed) > 0;
        // Not before there is room for many: a notice for every other line helps nobody.
        let room = if is_out { MOST_WAITING / 2 } else { MOST_WAITING };
        let fits = bytes.load(Ordering::Relaxed) + lines.len() <= room;
        if weight == Weight::Log && !fits {
            left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if is_out && fits {
            self.tell_of_left_out();
        }
        self.push(lines);
    }

    fn tell_of_left_out(&self) {
        let lines = self.backlog.left_out.swap(0, Ordering::Relaxed);
        if lines > 0 {
            self.push((self.notice)(lines).into_bytes());
        }
    }

    fn push(&self, lines: Vec<u8>) {
        self.backlog.bytes.fetch_add(lines.len(), Ordering::Relaxed);
        self.send(Item::Lines(lines));
    }

    fn send(&self, item: Item) {
        // The thread that writes ends after all who could say something.
        drop(self.items.send(item));
    }

    /// Waits until all that was said is written, however long that takes.
    pub(super) fn wait(&self) {
        self.flush().recv().unwrap_or(());
    }

    /// Waits until all that was said is written, if it is taken in time.
    pub(super) fn wait_a_while(&self) {
        self.tell_of_left_out();
        let (start, written) = (Instant::now(), self.flush());
        loop {
            let before = self.backlog.bytes.load(Ordering::Relaxed);
            let is_late = written.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
            if !is_late || self.backlog.bytes.load(Ordering::Relaxed) == before || start.elapsed() > MOST_PATIENCE {
                return;
            }
        }
    }

    /// What the bar looks like from now on. What it looked like before need not be seen.
    fn show(&self, bar: String) {
        if self.backlog.bar().replace(bar).is_none() {
            self.send(Item::Bar);
        }
    }

    fn flush(&self) -> mpsc::Receiver<()> {
        let (written, wait) = mpsc::channel();
        self.send(Item::Flush(written));
        wait
    }

    /// Where a bar is drawn that is seen here, at most so many times a second.
    pub(super) fn bar(&self, hz: u8) -> ProgressDrawTarget {
        ProgressDrawTarget::term_like_with_hz(Box::new(Canvas { screen: self.clone(), bar: Mutex::default() }), hz)
    }
}

impl Backlog {
    fn bar(&self) -> MutexGuard<'_, Option<String>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What writes.
struct Pen<W> {
    out: W,
    backlog: Arc<Backlog>,
    /// The bar as it should be…
    bar: String,
    /// …and as it is.
    drawn: String,
}

impl<W: Write> Pen<W> {
    fn write_all(mut self, said: &mpsc::Receiver<Item>) {
        while let Ok(item) = said.recv() {
            self.take(item);
            // The bar comes back when there is no other line.
            while let Ok(item) = said.try_recv() {
                self.take(item);
            }
            self.draw();
        }
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Lines(lines) => {
                let waited = lines.len();
                // One write for each, so that other programs that write there do not come in between.
                let text = if self.drawn.is_empty() { lines } else { [self.clear().as_bytes(), &lines].concat() };
                self.write(&text);
                self.backlog.bytes.fetch_sub(waited, Ordering::Relaxed);
            }
            Item::Bar => self.bar = self.backlog.bar().take().unwrap_or_default(),
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

    /// What takes the bar off the terminal.
    fn clear(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            bar if bar.is_empty() => bar,
            bar => format!("\r\x1b[2K{}", "\x1b[1A\x1b[2K".repeat(bar.matches('\n').count())),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        // Nobody is left to be told that standard error cannot be written to.
        drop(self.out.write_all(bytes).and_then(|()| self.out.flush()));
    }
}

/// What indicatif draws a bar on. The whole bar is drawn anew each time: it asks only for how it looks.
#[derive(Debug)]
struct Canvas {
    screen: Screen,
    bar: Mutex<String>,
}

impl Canvas {
    fn add(&self, text: &str) {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
    }
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
        self.add(text);
        Ok(())
    }

    fn write_str(&self, text: &str) -> std::io::Result<()> {
        self.add(text);
        Ok(())
    }

    fn clear_line(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> std::io::Result<()> {
        let bar = std::mem::take(&mut *self.bar.lock().unwrap_or_else(PoisonError::into_inner));
        self.screen.show(in_rows(bar.trim_end(), usize::from(self.width())));
        Ok(())
    }
}

/// `bar` in rows of so many columns: it is known then how many there are to be cleared.
fn in_rows(bar: &str, columns: usize) -> String {
    let chars: Vec<char> = bar.chars().collect();
    chars.chunks(columns.max(1)).map(|row| row.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
