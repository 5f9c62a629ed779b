//! Shows the progress of a run: a bar on a terminal, otherwise a line every ten seconds.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Console;
use crate::cli::ProgressMode;
use crate::domain::Tally;
use crate::pace::Pacer;

/// The most redraws of the bar.
pub(super) const REDRAWS_A_SECOND: u8 = 10;
pub(super) const REDRAW_EVERY: Duration = Duration::from_millis(100);
pub(super) const LINE_EVERY: Duration = Duration::from_secs(10);
/// On a terminal with fewer columns, the bar is left out.
const NARROW: u16 = 60;

/// A task that shows the progress until the run ends.
pub(crate) struct Progress {
    pub(super) task: tokio::task::JoinHandle<()>,
}

impl Progress {
    /// Shows `tally` as it grows to `rows`, if that is known.
    pub(crate) fn start(console: &Console, rows: Option<u64>, tally: watch::Receiver<Tally>, pacer: Arc<Pacer>) -> Self {
        let task = match console.progress {
            ProgressMode::None => tokio::spawn(async {}),
            ProgressMode::Bar => tokio::spawn(draw(console.bar(rows), tally, pacer)),
            ProgressMode::Auto | ProgressMode::Plain => tokio::spawn(print_lines(console.clone(), rows, tally, pacer)),
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
    ProgressBar::with_draw_target(rows, target).with_style(style(false, rows.is_some()))
}

/// On a narrow terminal there is only room for the figures; without a total there is no percentage.
fn style(is_narrow: bool, is_known: bool) -> ProgressStyle {
    let template = match (is_known, is_narrow) {
        (false, _) => "{pos} rows {msg}",
        (true, true) => "{pos}/{len} {percent}% {msg}",
        (true, false) => "{wide_bar} {pos}/{len} {percent}% {msg}",
    };
    ProgressStyle::with_template(template).expect("the template is sound")
}

async fn draw(bar: ProgressBar, mut tally: watch::Receiver<Tally>, pacer: Arc<Pacer>) {
    let mut redraw = tokio::time::interval(REDRAW_EVERY);
    let mut was_narrow = false;
    // Rows settled by an earlier run do not count towards this run's speed.
    bar.set_position(tally.borrow().rows());
    bar.reset_eta();
    loop {
        let over = tokio::select! {
            () = until_over(&mut tally) => true,
            _ = redraw.tick() => false,
        };
        let now = *tally.borrow();
        let is_narrow = console::Term::stderr().size().1 < NARROW;
        if is_narrow != was_narrow {
            bar.set_style(style(is_narrow, bar.length().is_some()));
            was_narrow = is_narrow;
        }
        bar.set_position(now.rows());
        bar.set_message(message(&bar, &now, held(&pacer)));
        if over {
            bar.finish_and_clear();
            return;
        }
    }
}

fn message(bar: &ProgressBar, now: &Tally, held: Option<String>) -> String {
    let left = bar.length().map(|_| format!(" {:#} left", HumanDuration(bar.eta()))).unwrap_or_default();
    held.unwrap_or_else(|| format!("{:.0}/s{left} {}", bar.per_sec(), counts(now)))
}

/// How long PingOne holds the run back, if it does.
pub(super) fn held(pacer: &Pacer) -> Option<String> {
    let until = pacer.held_until()?;
    let left = until.saturating_duration_since(Instant::now()).as_secs_f64();
    Some(format!("held by PingOne for {:.0} s", left.ceil()))
}

async fn print_lines(console: Console, rows: Option<u64>, mut tally: watch::Receiver<Tally>, pacer: Arc<Pacer>) {
    let (mut since, mut before) = (Instant::now(), tally.borrow().rows());
    loop {
        let line = tokio::time::sleep_until(since + LINE_EVERY);
        tokio::select! {
            () = line => {}
            () = until_over(&mut tally) => return,
        }
        let now = *tally.borrow();
        let held = held(&pacer).map(|held| format!(", {held}")).unwrap_or_default();
        console.tell(&format!("{}{held}", progress_line(&now, rows, before, since.elapsed())));
        (since, before) = (Instant::now(), now.rows());
    }
}

/// Returns when the sender is gone.
pub(super) async fn until_over<T>(updates: &mut watch::Receiver<T>) {
    while updates.changed().await.is_ok() {}
}

#[expect(clippy::cast_precision_loss, reason = "shown to one digit")]
fn progress_line(now: &Tally, rows: Option<u64>, before: u64, since: Duration) -> String {
    let settled = now.rows();
    let rate = settled.saturating_sub(before) as f64 / since.as_secs_f64();
    let of = rows.map(|rows| format!("/{rows}")).unwrap_or_default();
    let share = rows.map(|rows| format!(" ({}%)", u128::from(settled) * 100 / u128::from(rows.max(1)))).unwrap_or_default();
    let left = match rows {
        _ if rate <= 0.0 => ", waiting".to_owned(),
        // A list may be longer than the server stated, and the estimate may exceed a `Duration`.
        Some(rows) => Duration::try_from_secs_f64(rows.saturating_sub(settled) as f64 / rate)
            .map(|left| format!(", about {} left", HumanDuration(left)))
            .unwrap_or_default(),
        None => String::new(),
    };
    let counts = if settled > 0 { format!(", {}", counts(now)) } else { String::new() };
    format!("{settled}{of} rows{share}, {rate:.1}/s{left}{counts}")
}

fn counts(tally: &Tally) -> String {
    let counts: Vec<String> = tally.seen().map(|(outcome, rows)| format!("{} {rows}", outcome.name())).collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Outcome;

    #[test]
    fn the_line_and_the_bar_can_show_any_number_of_rows() {
        let tally = |rows| {
            let mut tally = Tally::default();
            tally.add_rows(Outcome::Active, rows);
            tally
        };
        let second = Duration::from_secs(1);
        assert_eq!(progress_line(&tally(30), Some(120), 10, 10 * second), "30/120 rows (25%), 2.0/s, about 45 seconds left, active 30");
        assert_eq!(progress_line(&tally(0), Some(0), 0, second), "0/0 rows (0%), 0.0/s, waiting");
        for (rows, settled) in
            [0, 1, 1 << 63, u64::MAX].into_iter().flat_map(|rows| [0, 1, 1 << 63, u64::MAX].map(|settled| (rows, settled)))
        {
            let line = progress_line(&tally(settled), Some(rows), 0, second * 1000);
            assert!(line.starts_with(&format!("{settled}/{rows} rows")), "{line}");
            let bar = ProgressBar::with_draw_target(Some(rows), ProgressDrawTarget::hidden()).with_style(style(false, true));
            bar.set_position(0);
            bar.reset_eta();
            bar.set_position(settled);
            assert!(message(&bar, &tally(settled), None).contains("left"));
            bar.finish_and_clear();
        }
    }
}
