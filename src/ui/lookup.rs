//! Shows the progress of the lookup, of listing users and of reading the device report: a bar on a terminal, otherwise a line every ten seconds.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Console;
use super::events::{Fields, silence_fields};
use super::fit::{Piece, fit};
use super::progress::{LINE_EVERY, Progress, REDRAW_EVERY, columns, show, until_over};
use super::silence::{held, no_answer};
use crate::cli::ProgressMode;
use crate::domain::counted;
use crate::pingone::Answers;

/// What is counted before the first row of a run, or instead of rows.
#[derive(Debug, Clone, Copy)]
struct Counting {
    what: &'static str,
    /// The name of the count in JSON.
    field: &'static str,
    noun: &'static str,
    total: Option<u64>,
}

impl Progress {
    /// Shows `looked_up` as it grows to `rows`, until its sender is gone.
    pub(crate) fn of_looking_up(console: &Console, rows: u64, looked_up: watch::Receiver<u64>, answers: Arc<Answers>) -> Self {
        let counting = Counting { what: "looking up users", field: "lookedUp", noun: "row", total: Some(rows) };
        Self::of_counting(console, counting, looked_up, answers)
    }

    /// Shows `listed` as it grows to `users`, if that is known, until its sender is gone.
    pub(crate) fn of_listing(console: &Console, users: Option<u64>, listed: watch::Receiver<u64>, answers: Arc<Answers>) -> Self {
        let counting = Counting { what: "listing users", field: "listed", noun: "user", total: users };
        Self::of_counting(console, counting, listed, answers)
    }

    /// Shows the `devices` that have been read of the device report, until their sender is gone.
    pub(crate) fn of_device_report(console: &Console, devices: watch::Receiver<u64>, answers: Arc<Answers>) -> Self {
        let counting = Counting { what: "reading the device report", field: "devices", noun: "device", total: None };
        Self::of_counting(console, counting, devices, answers)
    }

    fn of_counting(console: &Console, counting: Counting, count: watch::Receiver<u64>, answers: Arc<Answers>) -> Self {
        let task = match console.progress {
            ProgressMode::None => tokio::spawn(async {}),
            ProgressMode::Bar => tokio::spawn(draw(console.clone(), counting, count, answers)),
            ProgressMode::Auto | ProgressMode::Plain => tokio::spawn(print_lines(console.clone(), counting, count, answers)),
        };
        Self { task }
    }
}

async fn draw(console: Console, counting: Counting, mut count: watch::Receiver<u64>, answers: Arc<Answers>) {
    let Counting { what, noun, total, .. } = counting;
    let bar = console.bar(total);
    loop {
        let now = *count.borrow();
        bar.set_position(now);
        let share = |total: u64| format!("{now}/{total} {}%", u128::from(now) * 100 / u128::from(total.max(1)));
        let mut pieces = vec![Piece::always(format!("{what}: {}", total.map_or_else(|| counted(now, noun), share)))];
        pieces.extend(obstacle(&answers));
        show(&bar, &pieces, columns());
        let redraw = sleep_until(Instant::now() + REDRAW_EVERY);
        tokio::select! {
            () = until_over(&mut count) => break,
            () = redraw => {}
        }
    }
    bar.finish_and_clear();
}

/// What is waited for, if something is.
fn obstacle(answers: &Answers) -> Vec<Piece> {
    match (answers.held(), answers.silence()) {
        (Some(left), _) => vec![Piece::always(held(left))],
        (None, Some(silence)) => no_answer(&silence),
        (None, None) => Vec::new(),
    }
}

async fn print_lines(console: Console, counting: Counting, mut count: watch::Receiver<u64>, answers: Arc<Answers>) {
    let Counting { what, field, noun, total } = counting;
    let mut since = Instant::now();
    loop {
        tokio::select! {
            () = until_over(&mut count) => return,
            () = sleep_until(since + LINE_EVERY) => since = Instant::now(),
        }
        let now = *count.borrow();
        let of = |total| format!("{now} of {}", counted(total, noun));
        let mut pieces = vec![Piece::always(format!("{what}: {}", total.map_or_else(|| counted(now, noun), of)))];
        pieces.extend(obstacle(&answers));
        let fields = || {
            let mut fields: Fields = vec![(field, now.into())];
            fields.extend(total.map(|total| ("total", total.into())));
            if let Some(silence) = answers.silence() {
                fields.push(("waitingFor", silence.wanted.name().into()));
                fields.extend(silence_fields(&silence));
            }
            fields
        };
        console.tell_progress(&fit(&pieces, usize::MAX), fields);
    }
}
