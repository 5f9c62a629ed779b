//! Lines are written in order, and no caller waits.

use std::io;
use std::sync::{Condvar, RwLock};

use super::*;

/// A terminal that accepts nothing while it is stopped.
#[derive(Clone, Default)]
struct Tty {
    shown: Arc<Mutex<Vec<u8>>>,
    stopped: Arc<(Mutex<bool>, Condvar)>,
    is_gone: Arc<RwLock<bool>>,
}

impl Tty {
    fn stop(&self, stop: bool) {
        *self.stopped.0.lock().expect("no panic") = stop;
        self.stopped.1.notify_all();
    }

    fn shown(&self) -> String {
        String::from_utf8(self.shown.lock().expect("no panic").clone()).expect("UTF-8")
    }
}

impl Write for Tty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (stopped, changed) = &*self.stopped;
        drop(changed.wait_while(stopped.lock().expect("no panic"), |stopped| *stopped));
        if *self.is_gone.read().expect("no panic") {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.shown.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn screen() -> (Screen, Tty) {
    let tty = Tty::default();
    (Screen::new(tty.clone(), |lines| format!("{lines} left out\n")), tty)
}

fn queue_lines(screen: &Screen, line: &str, weight: Weight) {
    screen.queue_lines(format!("{line}\n").into_bytes(), weight);
}

#[test]
fn lines_are_above_the_bar_in_order() {
    let (screen, tty) = screen();
    queue_lines(&screen, "one", Weight::Log);
    screen.show("bar".into());
    screen.wait();
    tty.stop(true);
    queue_lines(&screen, "two", Weight::Message);
    queue_lines(&screen, "three", Weight::Log);
    screen.show("not seen".into());
    screen.show("b\na\nr".into());
    tty.stop(false);
    screen.wait();
    screen.show(String::new());
    queue_lines(&screen, "four", Weight::Log);
    screen.wait();
    let clear = "\r\x1b[2K";
    let rows = format!("{clear}\x1b[1A\x1b[2K\x1b[1A\x1b[2K");
    assert_eq!(tty.shown(), format!("one\nbar{clear}two\nthree\nb\na\nr{rows}four\n"));
}

#[test]
fn a_stopped_terminal_drops_log_lines_and_says_how_many() {
    let (screen, tty) = screen();
    tty.stop(true);
    let long = "x".repeat(1 << 16);
    let fit = MOST_WAITING / (long.len() + 1);
    for _ in 0..fit + 5 {
        queue_lines(&screen, &long, Weight::Log);
    }
    queue_lines(&screen, "error", Weight::Message);
    // While the terminal is stopped, no line is lost and nothing blocks.
    for _ in 0..1000 {
        screen.show("bar".into());
    }
    screen.show(String::new());
    tty.stop(false);
    screen.wait();
    queue_lines(&screen, "more", Weight::Log);
    screen.wait();
    let shown = tty.shown();
    let short: Vec<_> = shown.lines().filter(|line| line.len() < 100).collect();
    assert_eq!(short, ["error", "5 left out", "more"]);
    assert_eq!(shown.lines().filter(|line| **line == long).count(), fit);
}

#[test]
fn dropped_lines_are_reported_at_the_end() {
    let (screen, tty) = screen();
    tty.stop(true);
    queue_lines(&screen, &"x".repeat(MOST_WAITING), Weight::Log);
    tty.stop(false);
    screen.wait_or_time_out();
    assert_eq!(tty.shown(), "1 left out\n");
}

#[test]
fn a_closed_terminal_blocks_nothing() {
    let (screen, tty) = screen();
    *tty.is_gone.write().expect("no panic") = true;
    screen.show("bar".into());
    queue_lines(&screen, "one", Weight::Message);
    screen.wait();
    assert_eq!((tty.shown().as_str(), screen.backlog.bytes.load(Ordering::Relaxed)), ("", 0));
}

#[test]
fn the_end_does_not_wait_for_output_that_is_not_read() {
    let (screen, tty) = screen();
    tty.stop(true);
    queue_lines(&screen, "one", Weight::Message);
    let start = Instant::now();
    screen.wait_or_time_out();
    assert!(start.elapsed() < FLUSH_TIMEOUT, "{:?}", start.elapsed());
    tty.stop(false);
}

#[test]
fn a_bar_wider_than_the_terminal_has_several_rows() {
    assert_eq!(in_rows("abcdefg", 3), "abc\ndef\ng");
    assert_eq!((in_rows("abc", 3).as_str(), in_rows("", 3).as_str(), in_rows("ab", 0).as_str()), ("abc", "", "a\nb"));
}
