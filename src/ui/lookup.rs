//! Shows the progress of the lookup: a bar on a terminal, otherwise a line every ten seconds.

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

impl Progress {
    /// Shows `looked_up` as it grows to `rows`, until its sender is gone.
    pub(crate) fn of_looking_up(console: &Console, rows: u64, looked_up: watch::Receiver<u64>, answers: Arc<Answers>) -> Self {
        let task = match console.progress {
            ProgressMode::None => tokio::spawn(async {}),
            ProgressMode::Bar => tokio::spawn(draw(console.clone(), rows, looked_up, answers)),
            ProgressMode::Auto | ProgressMode::Plain => tokio::spawn(print_lines(console.clone(), rows, looked_up, answers)),
        };
        Self { task }
    }
}

async fn draw(console: Console, rows: u64, mut looked_up: watch::Receiver<u64>, answers: Arc<Answers>) {
    let bar = console.bar(Some(rows));
    loop {
        let now = *looked_up.borrow();
        bar.set_position(now);
        let share = u128::from(now) * 100 / u128::from(rows.max(1));
        let mut pieces = vec![Piece::always(format!("looking up users: {now}/{rows} {share}%"))];
        pieces.extend(obstacle(&answers));
        show(&bar, &pieces, columns());
        let redraw = sleep_until(Instant::now() + REDRAW_EVERY);
        tokio::select! {
            () = until_over(&mut looked_up) => break,
            () = redraw => {}
        }
    }
    bar.finish_and_clear();
}

/// What the lookup waits for, if it does.
fn obstacle(answers: &Answers) -> Vec<Piece> {
    match (answers.held(), answers.silence()) {
        (Some(left), _) => vec![Piece::always(held(left))],
        (None, Some(silence)) => no_answer(&silence),
        (None, None) => Vec::new(),
    }
}

async fn print_lines(console: Console, rows: u64, mut looked_up: watch::Receiver<u64>, answers: Arc<Answers>) {
    let mut since = Instant::now();
    loop {
        tokio::select! {
            () = until_over(&mut looked_up) => return,
            () = sleep_until(since + LINE_EVERY) => since = Instant::now(),
        }
        let now = *looked_up.borrow();
        let mut pieces = vec![Piece::always(format!("looking up users: {now} of {}", counted(rows, "row")))];
        pieces.extend(obstacle(&answers));
        let fields = || {
            let mut fields: Fields = vec![("lookedUp", now.into()), ("total", rows.into())];
            if let Some(silence) = answers.silence() {
                fields.push(("waitingFor", silence.wanted.name().into()));
                fields.extend(silence_fields(&silence));
            }
            fields
        };
        console.tell_progress(&fit(&pieces, usize::MAX), fields);
    }
}
