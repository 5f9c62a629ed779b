//! Shows the progress of the lookup: a bar on a terminal, otherwise a line every ten seconds.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Console;
use super::progress::{LINE_EVERY, Progress, REDRAW_EVERY, held, until_over};
use crate::cli::ProgressMode;
use crate::domain::counted;
use crate::pace::Pacer;

impl Progress {
    /// Shows `looked_up` as it grows to `rows`, until its sender is gone.
    pub(crate) fn of_looking_up(console: &Console, rows: u64, looked_up: watch::Receiver<u64>, pacer: Arc<Pacer>) -> Self {
        let task = match console.progress {
            ProgressMode::None => tokio::spawn(async {}),
            ProgressMode::Bar => tokio::spawn(draw(console.clone(), rows, looked_up, pacer)),
            ProgressMode::Auto | ProgressMode::Plain => tokio::spawn(print_lines(console.clone(), rows, looked_up, pacer)),
        };
        Self { task }
    }
}

async fn draw(console: Console, rows: u64, mut looked_up: watch::Receiver<u64>, pacer: Arc<Pacer>) {
    let bar = console.bar(Some(rows));
    loop {
        let now = *looked_up.borrow();
        bar.set_position(now);
        bar.set_message(held(&pacer).unwrap_or_else(|| "looking up users".to_owned()));
        let redraw = sleep_until(Instant::now() + REDRAW_EVERY);
        tokio::select! {
            () = until_over(&mut looked_up) => break,
            () = redraw => {}
        }
    }
    bar.finish_and_clear();
}

async fn print_lines(console: Console, rows: u64, mut looked_up: watch::Receiver<u64>, pacer: Arc<Pacer>) {
    let mut since = Instant::now();
    loop {
        tokio::select! {
            () = until_over(&mut looked_up) => return,
            () = sleep_until(since + LINE_EVERY) => since = Instant::now(),
        }
        let now = *looked_up.borrow();
        let held = held(&pacer).map(|held| format!(", {held}")).unwrap_or_default();
        console.tell(&format!("looking up users: {now} of {}{held}", counted(rows, "row")));
    }
}
