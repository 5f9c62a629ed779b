//! Captures what is logged on a test's thread.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Level};

/// The log of a test, captured until this is dropped.
#[derive(Debug)]
pub(crate) struct Logged {
    lines: Lines,
    _guard: DefaultGuard,
}

#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Logged {
    /// Captures the log from now on, at this level and above.
    pub(crate) fn from(level: Level) -> Self {
        // While there is only one dispatcher, tracing asks the thread that meets an event first whether anybody wants it. That may be
        // another test's thread, which has none, and the event would be lost here.
        static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
        ANOTHER.get_or_init(|| Dispatch::new(NoSubscriber::default()));
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).without_time().with_target(false);
        let guard = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
        Self { lines, _guard: guard }
    }

    /// What has been logged so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.lines.0.lock().expect("whole").clone()).expect("UTF-8")
    }
}
