//! What the bar and the plain line show of any state of a run.

use super::*;
use crate::domain::{Detail, Outcome};
use crate::pingone::Wanted;

const SECOND: Duration = Duration::from_secs(1);

fn tally(rows: u64) -> Tally {
    let mut tally = Tally::default();
    tally.add_rows(Outcome::Active, rows);
    tally
}

fn flows(speed: f64, limit: Option<f64>) -> Pace {
    Pace::Flows { speed, limit }
}

fn silent() -> Pace {
    Pace::Silent(Silence {
        wanted: Wanted::Rows,
        host: "api.pingone.eu".to_owned(),
        lasted: 12 * SECOND,
        tries: None,
        next_try: None,
        gives_up_within: Some(288 * SECOND),
        reason: Some(Detail::own(None, "connect: Connection refused (os error 111)".to_owned()).into()),
        rows: 5,
    })
}

fn at(columns: usize, pace: &Pace) -> String {
    let mut counts = tally(1200);
    counts.add_rows(Outcome::NotFound, 34);
    fit(&message(&counts, Some(3000), pace, 27 * SECOND), columns)
}

#[test]
fn the_line_and_the_bar_can_show_any_number_of_rows() {
    let line = progress_line(&tally(30), Some(120), &flows(2.0, None), 2.0);
    assert_eq!(line, "30/120 rows (25%), 2.0/s, about 45 seconds left, active 30");
    assert_eq!(progress_line(&tally(0), Some(0), &flows(0.0, None), 0.0), "0/0 rows (0%), 0.0/s, waiting");
    for (rows, settled) in [0, 1, 1 << 63, u64::MAX].into_iter().flat_map(|rows| [0, 1, 1 << 63, u64::MAX].map(|settled| (rows, settled))) {
        let speed = speed(settled, SECOND * 1000);
        let line = progress_line(&tally(settled), Some(rows), &flows(speed, None), speed);
        assert!(line.starts_with(&format!("{settled}/{rows} rows")), "{line}");
        let bar = ProgressBar::with_draw_target(Some(rows), ProgressDrawTarget::hidden());
        bar.set_position(0);
        bar.reset_eta();
        bar.set_position(settled);
        let pieces = message(&tally(settled), Some(rows), &flows(bar.per_sec(), None), bar.eta());
        show(&bar, &pieces, 200);
        assert!(bar.message().starts_with(&format!("{settled}/{rows} ")), "{}", bar.message());
        bar.finish_and_clear();
    }
}

#[test]
fn the_learnt_limit_is_shown_with_the_speed() {
    for (speed, shown) in
        [(67.0, "67/s, limited by PingOne"), (61.0, "67/s, limited by PingOne"), (33.0, "33/s, limited by PingOne to 67/s")]
    {
        let expected = format!("1234/3000 41%, {shown}, 27s left, active 1200, not_found 34");
        assert_eq!(at(120, &flows(speed, Some(67.0))), expected);
    }
    assert_eq!(at(120, &flows(67.0, None)), "1234/3000 41%, 67/s, 27s left, active 1200, not_found 34");
    let line = progress_line(&tally(30), Some(120), &flows(9.7, Some(10.0)), 9.7);
    assert_eq!(line, "30/120 rows (25%), 10.0/s, limited by PingOne, about 9 seconds left, active 30");
}

#[test]
fn whatever_keeps_the_run_waiting_the_counts_are_shown() {
    let held = Pace::Held(Duration::from_millis(2_100));
    for columns in [120, 80, 60] {
        assert_eq!(at(columns, &held), "1234/3000 41%, held by PingOne for 3 s, active 1200, not_found 34", "{columns}");
    }
    let whole =
        "1234/3000 41%, no answer for 12 s (Connection refused), 5 rows are retried, gives up within 4m 48s, active 1200, not_found 34";
    for (columns, expected) in [
        (160, whole),
        (120, "1234/3000 41%, no answer for 12 s (Connection refused), gives up within 4m 48s, active 1200, not_found 34"),
        (90, "1234/3000 41%, no answer for 12 s, gives up within 4m 48s, active 1200, not_found 34"),
        (80, "1234/3000 41%, no answer for 12 s, active 1200, not_found 34"),
        (60, "1234/3000 41%, no answer for 12 s, active 1200, not_found 34"),
        (40, "1234/3000 41%, active 1200, not_found 34"),
        (10, "1234/3000 41%, active 1200, not_found 34"),
    ] {
        assert_eq!(at(columns, &silent()), expected, "{columns}");
    }
}

#[test]
fn an_outage_has_no_estimate_and_a_run_without_speed_none_either() {
    assert!(!at(200, &silent()).contains("left") && !at(200, &silent()).contains("/s"));
    assert_eq!(at(200, &flows(0.0, None)), "1234/3000 41%, active 1200, not_found 34");
    let line = progress_line(&tally(30), Some(120), &silent(), 0.0);
    let expected = "30/120 rows (25%), no answer for 12 s (Connection refused), 5 rows are retried, gives up within 4m 48s, active 30";
    assert_eq!(line, expected);
    let held = progress_line(&tally(30), Some(120), &Pace::Held(3 * SECOND), 2.0);
    assert_eq!(held, "30/120 rows (25%), 2.0/s, about 45 seconds left, active 30, held by PingOne for 3 s");
}

#[test]
fn the_bar_is_the_first_to_go() {
    let bar = ProgressBar::with_draw_target(Some(3000), ProgressDrawTarget::hidden());
    let pieces = message(&tally(1200), Some(3000), &flows(67.0, Some(67.0)), 27 * SECOND);
    let whole = "1200/3000 40%, 67/s, limited by PingOne, 27s left, active 1200";
    for (columns, shown) in [(120, whole), (80, whole), (60, "1200/3000 40%, 67/s, limited by PingOne, active 1200")] {
        show(&bar, &pieces, columns);
        assert_eq!(bar.message(), shown, "{columns}");
    }
}
