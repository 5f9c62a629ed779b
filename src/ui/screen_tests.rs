//! What is said is written in its order, and nobody waits for it.

use std::io;
use std::sync::{Condvar, RwLock};

use super::*;

/// A terminal that takes nothing while it is stopped.
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

fn say(screen: &Screen, line: &str, weight: Weight) {
    screen.say(format!("{line}\n").into_bytes(), weight);
}

#[test]
fn lines_stand_above_the_bar_in_the_order_in_which_they_were_said() {
    let (screen, tty) = screen();
    say(&screen, "one", Weight::Log);
    screen.show("bar".into());
    screen.wait();
    tty.stop(true);
    say(&screen, "two", Weight::Message);
    say(&screen, "three", Weight::Log);
    screen.show("not seen".into());
    screen.show("b\na\nr".into());
    tty.stop(false);
    screen.wait();
    screen.show(String::new());
    say(&screen, "four", Weight::Log);
    screen.wait();
    let clear = "\r\x1b[2K";
    let rows = format!("{clear}\x1b[1A\x1b[2K\x1b[1A\x1b[2K");
    assert_eq!(tty.shown(), format!("one\nbar{clear}two\nthree\nb\na\nr{rows}four\n"));
}

#[test]
fn a_terminal_that_is_stopped_costs_lines_of_the_log_and_says_how_many() {
    let (screen, tty) = screen();
    tty.stop(true);
    let long = "x".repeat(1 << 16);
    let fit = MOST_WAITING / (long.len() + 1);
    for _ in 0..fit + 5 {
        say(&screen, &long, Weight::Log);
    }
    say(&screen, "error", Weight::Message);
    // While the terminal is stopped, none of them is lost and nothing waits.
    for _ in 0..1000 {
        screen.show("bar".into());
    }
    screen.show(String::new());
    tty.stop(false);
    screen.wait();
    say(&screen, "more", Weight::Log);
    screen.wait();
    let shown = tty.shown();
    let short: Vec<_> = shown.lines().filter(|line| line.len() < 100).collect();
    assert_eq!(short, ["error", "5 left out", "more"]);
    assert_eq!(shown.lines().filter(|line| **line == long).count(), fit);
}

#[test]
fn at_the_end_it_is_said_that_lines_were_left_out() {
    let (screen, tty) = screen();
    tty.stop(true);
    say(&screen, &"x".repeat(MOST_WAITING), Weight::Log);
    tty.stop(false);
    screen.wait_a_while();
    assert_eq!(tty.shown(), "1 left out\n");
}

#[test]
fn a_terminal_that_is_gone_keeps_nobody() {
    let (screen, tty) = screen();
    *tty.is_gone.write().expect("no panic") = true;
    screen.show("bar".into());
    say(&screen, "one", Weight::Message);
    screen.wait();
    assert_eq!((tty.shown().as_str(), screen.backlog.bytes.load(Ordering::Relaxed)), ("", 0));
}

#[test]
fn what_is_not_taken_is_not_waited_for_in_the_end() {
    let (screen, tty) = screen();
    tty.stop(true);
    say(&screen, "one", Weight::Message);
    let start = Instant::now();
    screen.wait_a_while();
    assert!(start.elapsed() < MOST_PATIENCE, "{:?}", start.elapsed());
    tty.stop(false);
}

#[test]
fn a_bar_that_is_wider_than_the_terminal_has_several_rows() {
    assert_eq!(in_rows("abcdefg", 3), "abc\ndef\ng");
    assert_eq!((in_rows("abc", 3).as_str(), in_rows("", 3).as_str(), in_rows("ab", 0).as_str()), ("abc", "", "a\nb"));
}
