//! Shows the progress of a run: a bar on a terminal, otherwise a line every ten seconds.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Console;
use super::events::progress_fields;
use super::fit::{Piece, fit};
use super::silence::{held, no_answer};
use crate::cli::ProgressMode;
use crate::domain::Tally;
use crate::pingone::{Answers, Silence};

/// The most redraws of the bar.
pub(super) const REDRAWS_A_SECOND: u8 = 10;
pub(super) const REDRAW_EVERY: Duration = Duration::from_millis(100);
pub(super) const LINE_EVERY: Duration = Duration::from_secs(10);
/// The bar is left out where the figures leave it fewer columns.
const LEAST_BAR: usize = 12;
/// A speed within this share of the limit is shown as the limit.
const AT_THE_LIMIT: f64 = 0.1;

/// A task that shows the progress until the run ends.
pub(crate) struct Progress {
    pub(super) task: tokio::task::JoinHandle<()>,
}

impl Progress {
    /// Shows `tally` as it grows to `rows`, if that is known.
    pub(crate) fn start(console: &Console, rows: Option<u64>, tally: watch::Receiver<Tally>, answers: Arc<Answers>) -> Self {
        let task = match console.progress {
            ProgressMode::None => tokio::spawn(async {}),
            ProgressMode::Bar => tokio::spawn(draw(console.bar(rows), tally, answers)),
            ProgressMode::Auto | ProgressMode::Plain => tokio::spawn(print_lines(console.clone(), rows, tally, answers)),
        };
        Self { task }
    }

    /// Waits until the final state is shown; the sender of the tally must be gone.
    pub(crate) async fn finish(self) {
        if let Err(error) = self.task.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// A bar of this many rows, if known, on `target`.
pub(super) fn bar(rows: Option<u64>, target: ProgressDrawTarget) -> ProgressBar {
    ProgressBar::with_draw_target(rows, target).with_style(style(false))
}

/// The columns of the terminal.
pub(super) fn columns() -> usize {
    usize::from(console::Term::stderr().size().1)
}

fn style(has_bar: bool) -> ProgressStyle {
    ProgressStyle::with_template(if has_bar { "{wide_bar} {msg}" } else { "{msg}" }).expect("the template is sound")
}

/// What keeps rows from being settled, or how fast they are.
#[derive(Debug)]
enum Pace {
    Held(Duration),
    Silent(Silence),
    /// Rows a second, and the limit on requests that is known.
    Flows {
        speed: f64,
        limit: Option<f64>,
    },
}

impl Pace {
    fn now(answers: &Answers, speed: f64) -> Self {
        match (answers.held(), answers.silence()) {
            (Some(left), _) => Self::Held(left),
            (None, Some(silence)) => Self::Silent(silence),
            (None, None) => Self::Flows { speed, limit: answers.limit() },
        }
    }
}

async fn draw(bar: ProgressBar, mut tally: watch::Receiver<Tally>, answers: Arc<Answers>) {
    let mut redraw = tokio::time::interval(REDRAW_EVERY);
    // Rows settled by an earlier run do not count towards this run's speed.
    bar.set_position(tally.borrow().rows());
    bar.reset_eta();
    loop {
        let over = tokio::select! {
            () = until_over(&mut tally) => true,
            _ = redraw.tick() => false,
        };
        let now = *tally.borrow();
        bar.set_position(now.rows());
        let pace = Pace::now(&answers, bar.per_sec());
        show(&bar, &message(&now, bar.length(), &pace, bar.eta()), columns());
        if over {
            bar.finish_and_clear();
            return;
        }
    }
}

/// Shows a line on a terminal of this many columns, with a bar before it if there is room.
pub(super) fn show(bar: &ProgressBar, pieces: &[Piece], columns: usize) {
    let line = fit(pieces, columns);
    let has_bar = bar.length().is_some() && line.chars().count() + 1 + LEAST_BAR <= columns;
    bar.set_style(style(has_bar));
    bar.set_message(line);
}

/// What stands behind the bar. The counts are never left out.
fn message(now: &Tally, rows: Option<u64>, pace: &Pace, left: Duration) -> Vec<Piece> {
    let settled = now.rows();
    let share = rows.map(|rows| u128::from(settled) * 100 / u128::from(rows.max(1)));
    let head = match (rows, share) {
        (Some(rows), Some(share)) => format!("{settled}/{rows} {share}%"),
        (None, _) | (_, None) => format!("{settled} rows"),
    };
    let mut pieces = vec![Piece::always(head)];
    match pace {
        Pace::Held(left) => pieces.push(Piece::always(held(*left))),
        Pace::Silent(silence) => pieces.extend(no_answer(silence)),
        Pace::Flows { speed, limit } => {
            // Before the first answer, there is nothing to say.
            if *speed > 0.0 {
                pieces.extend(flow(*speed, *limit, 0));
                pieces.extend(rows.map(|_| Piece::kept(3, format!("{:#} left", HumanDuration(left)))));
            }
        }
    }
    pieces.push(Piece::always(counts(now)));
    pieces
}

/// The speed with this many digits, and by what it is limited.
fn flow(speed: f64, limit: Option<f64>, digits: usize) -> [Piece; 2] {
    let (shown, limited) = match limit {
        Some(limit) if (speed / limit - 1.0).abs() <= AT_THE_LIMIT => (limit, "limited by PingOne".to_owned()),
        Some(limit) => (speed, format!("limited by PingOne to {limit:.0}/s")),
        None => (speed, String::new()),
    };
    [Piece::kept(1, format!("{shown:.digits$}/s")), Piece::kept(2, limited)]
}

async fn print_lines(console: Console, rows: Option<u64>, mut tally: watch::Receiver<Tally>, answers: Arc<Answers>) {
    let (mut since, mut before) = (Instant::now(), tally.borrow().rows());
    loop {
        let line = tokio::time::sleep_until(since + LINE_EVERY);
        tokio::select! {
            () = line => {}
            () = until_over(&mut tally) => return,
        }
        let now = *tally.borrow();
        let speed = speed(now.rows().saturating_sub(before), since.elapsed());
        let pace = Pace::now(&answers, speed);
        let silence = match &pace {
            Pace::Silent(silence) => Some(silence),
            Pace::Held(_) | Pace::Flows { .. } => None,
        };
        let fields = || progress_fields(&now, rows, speed, &answers, silence);
        console.tell_progress(&progress_line(&now, rows, &pace, speed), fields);
        (since, before) = (Instant::now(), now.rows());
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown to one digit")]
fn speed(rows: u64, within: Duration) -> f64 {
    rows as f64 / within.as_secs_f64()
}

/// Returns when the sender is gone.
pub(super) async fn until_over<T>(updates: &mut watch::Receiver<T>) {
    while updates.changed().await.is_ok() {}
}

/// A line of plain progress; `speed` is that since the line before.
fn progress_line(now: &Tally, rows: Option<u64>, pace: &Pace, speed: f64) -> String {
    let settled = now.rows();
    let of = rows.map(|rows| format!("/{rows}")).unwrap_or_default();
    let share = rows.map(|rows| format!(" ({}%)", u128::from(settled) * 100 / u128::from(rows.max(1)))).unwrap_or_default();
    let mut pieces = vec![Piece::always(format!("{settled}{of} rows{share}"))];
    let limit = match pace {
        Pace::Held(_) | Pace::Silent(_) => None,
        Pace::Flows { limit, .. } => *limit,
    };
    match pace {
        Pace::Silent(silence) => pieces.extend(no_answer(silence)),
        Pace::Held(_) | Pace::Flows { .. } => {
            pieces.extend(flow(speed, limit, 1));
            pieces.extend(left(settled, rows, speed).map(Piece::always));
        }
    }
    pieces.push(Piece::always(if settled > 0 { counts(now) } else { String::new() }));
    if let Pace::Held(left) = pace {
        pieces.push(Piece::always(held(*left)));
    }
    fit(&pieces, usize::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn left(settled: u64, rows: Option<u64>, speed: f64) -> Option<String> {
    if speed <= 0.0 {
        return Some("waiting".to_owned());
    }
    // A list may be longer than the server stated, and the estimate may exceed a `Duration`.
    let left = Duration::try_from_secs_f64(rows?.saturating_sub(settled) as f64 / speed).ok()?;
    Some(format!("about {} left", HumanDuration(left)))
}

fn counts(tally: &Tally) -> String {
    let counts: Vec<String> = tally.seen().map(|(outcome, rows)| format!("{} {rows}", outcome.name())).collect();
    counts.join(", ")
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
