//! Which rates are worth trying, and when: what may be won against what may be lost.

use super::estimate::Estimate;
use super::evidence::{Counter, Known, Log};
use super::explanation::Explanation;
use super::tries::HOLD;

/// A limit of so many a second that may be up to so many.
fn window(rate: f64, high: f64) -> Explanation {
    Explanation { counter: Counter::Sliding { window: 1.0 }, size: rate, misfits: 0.0, rate, low: rate, high }
}

fn bucket(rate: f64, high: f64) -> Explanation {
    Explanation { counter: Counter::Bucket { drain: rate }, size: 5.0, ..window(rate, high) }
}

/// So many rows are left, and a request takes two seconds: what a try that is refused costs, where no wait is asked for.
fn known(log: &Log, left: f64) -> Known<'_> {
    let (now, sent, most) = (1000.0, 1e6, 1e6);
    Known { now, began: 0.0, log, sent, refused: 0.0, left, most, fastest: 140.0, trip: 2.0, jitter: 0.001, early: 0.001 }
}

/// An estimate for which it is too early to try without a reason.
fn early() -> Estimate {
    let mut estimate = Estimate::new();
    estimate.since = 1000.0;
    estimate
}

/// What is tried of a limit where so many rows are left.
fn open(limit: Explanation, left: f64) -> Option<f64> {
    early().worthwhile(&limit, &known(&Log::default(), left))
}

#[test]
fn a_doubt_is_tried_where_the_rows_that_are_left_win_more_than_a_hold_costs() {
    let tries = |likely: f64, wait: f64, trip: f64, left: f64| {
        let mut estimate = early();
        estimate.wait = wait;
        estimate.tries.doubt = Some((200.0, likely));
        let log = Log::default();
        let tried = estimate.worthwhile(&window(100.0, 100.0), &Known { trip, ..known(&log, left) });
        assert_ne!(tried.is_some(), estimate.tries.doubt.is_some(), "what is tried is in doubt no more");
        tried
    };
    // Twice the rate halves what is left: 400 rows take 2 s less.
    assert_eq!(tries(0.5, 0.0, 2.0, 400.0), None, "even");
    assert_eq!(tries(0.5, 0.0, 2.0, 401.0), Some(200.0));
    assert_eq!(tries(0.5, 0.0, 2.0, 4000.0), Some(200.0));
    // One time of four: three times as much must be won.
    assert_eq!(tries(0.25, 0.0, 2.0, 1200.0), None);
    assert_eq!(tries(0.25, 0.0, 2.0, 1210.0), Some(200.0));
    // A wait of 10 s is one of 10.6, and the way there and back: 11.1 s, or 2220 rows.
    assert_eq!(tries(0.5, 10.0, 0.5, 2215.0), None);
    assert_eq!(tries(0.5, 10.0, 0.5, 2225.0), Some(200.0));
}

#[test]
fn what_is_open_is_tried_where_it_differs_by_more_than_rates_jitter() {
    assert_eq!(open(window(100.0, 107.0), 1e9), None);
    assert_eq!(open(window(100.0, 108.0), 1e9), Some(108.0));
    assert_eq!(open(window(100.0, 100.0), 1e9), None);
    assert_eq!(open(window(100.0, 180.0), 1e9), Some(180.0));
}

#[test]
fn a_window_is_not_round_one_time_of_ten() {
    // e^2.3 − 1 = 8.974 to one against it: 8.974 × 2 s must be won, of a third of the time; 5385 rows.
    assert_eq!(open(window(100.0, 150.0), 5380.0), None);
    assert_eq!(open(window(100.0, 150.0), 5390.0), Some(150.0));
}

#[test]
fn what_a_bucket_may_be_is_tried_in_the_middle_where_that_is_far_off() {
    assert_eq!(open(bucket(90.0, 160.0), 1e6), Some(120.0));
    assert_eq!(open(bucket(90.0, 100.0), 1e6), Some(100.0));
    // Up to √2 it is not far.
    let edge = 90.0 * 2.0_f64.sqrt();
    assert_eq!(open(bucket(90.0, edge), 1e6), Some(edge));
    let beyond = open(bucket(90.0, edge + 0.1), 1e6).expect("a try");
    assert!((beyond - 90.0 * 2.0_f64.powf(0.25)).abs() < 0.1, "{beyond}");
}

#[test]
fn what_a_bucket_may_be_is_open_evenly_unless_its_rate_is_plain() {
    // From 90 to 100 a tenth is won: even, that is 2 s of 1800 rows.
    assert_eq!(open(bucket(90.0, 100.0), 1790.0), None);
    assert_eq!(open(bucket(90.0, 100.0), 1810.0), Some(100.0));
    // 100 is what people set: from there to 110 it is 8.974 to one, which is 2 s of 19743 rows.
    assert_eq!(open(bucket(100.0, 110.0), 19_700.0), None);
    assert_eq!(open(bucket(100.0, 110.0), 19_800.0), Some(110.0));
    // Far off it is even for a plain one too: from 100 to 141 and more, 29 % of what 683 rows take.
    assert_eq!(open(bucket(100.0, 200.0), 680.0), None);
    assert!(open(bucket(100.0, 200.0), 690.0).is_some());
}

#[test]
fn what_was_refused_already_is_not_tried_again_and_nothing_above_what_was_asked_for() {
    let tries = |too_high: f64, most: f64| {
        let mut estimate = early();
        estimate.tries.too_high = too_high;
        estimate.worthwhile(&window(100.0, 150.0), &Known { most, ..known(&Log::default(), 1e6) })
    };
    assert_eq!(tries(150.0, 1000.0), None);
    assert_eq!(tries(149.0, 1000.0), None);
    assert_eq!(tries(151.0, 1000.0), Some(150.0));
    assert_eq!(tries(150.0, 140.0), Some(140.0));
}

#[test]
fn tries_may_have_a_hundredth_and_a_half_of_all_rows_refused() {
    // 150 a second are under way for a tenth: 15 and the one that is refused, beside 14 before: 30, of 2000.
    let tries = |sent: f64| {
        let log = Log::default();
        early().worthwhile(&window(100.0, 150.0), &Known { trip: 0.1, sent, refused: 14.0, ..known(&log, 1500.0) })
    };
    assert_eq!(tries(499.0), None);
    assert_eq!(tries(501.0), Some(150.0));
}

/// A limit that changes once in a hundred seconds, and was there for so long.
fn calm(seconds: f64, wait: f64, former: f64) -> Estimate {
    let mut estimate = Estimate::new();
    (estimate.changes, estimate.wait, estimate.former) = (10.0, wait, former);
    (estimate.since, estimate.tries.ended) = (1000.0 - seconds, 100.0);
    estimate
}

#[test]
fn where_nothing_is_known_two_fifths_more_are_tried_as_often_as_costs_least() {
    // A hold costs 0.8 s; √(2 × 0.8 / (0.01 × 0.4)) = 20 s.
    let wait = (0.8 - 0.01) / HOLD;
    let tries = |mut estimate: Estimate| estimate.worthwhile(&window(100.0, 100.0), &Known { trip: 0.01, ..known(&Log::default(), 1e6) });
    assert_eq!(tries(calm(19.9, wait, 0.0)), None);
    assert_eq!(tries(calm(20.1, wait, 0.0)), Some(140.0));
    // Since the last try, or the last change, whichever is later.
    for (since, ended, is_time) in [(100.0, 979.0, true), (100.0, 981.0, false), (979.0, 100.0, true), (981.0, 100.0, false)] {
        let mut estimate = calm(0.0, wait, 0.0);
        (estimate.since, estimate.tries.ended) = (since, ended);
        assert_eq!(tries(estimate).is_some(), is_time, "{since} {ended}");
    }
}

#[test]
fn what_was_there_before_is_tried_where_that_matters() {
    let tries = |former: f64| calm(900.0, 0.0, former).worthwhile(&window(100.0, 100.0), &known(&Log::default(), 1e6));
    assert_eq!(tries(130.0), Some(130.0));
    assert_eq!(tries(300.0), Some(300.0));
    assert_eq!(tries(107.0), Some(140.0), "that is where it is now");
    let log = Log::default();
    let few = Known { most: 120.0, ..known(&log, 1e6) };
    assert_eq!(calm(900.0, 0.0, 0.0).worthwhile(&window(100.0, 100.0), &few), Some(120.0));
}

#[test]
fn of_what_is_sent_tries_have_a_hundredth_refused_and_three_where_a_higher_limit_is_known() {
    // Of 70 a second, 28 are under way for 0.4 s, and the one that is refused: 29, a hundredth of what 50 a second
    // are in 58 s, and three hundredths of what they are in 19.3 s.
    let tries = |seconds: f64, former: f64| {
        calm(seconds, 0.0, former).worthwhile(&window(50.0, 50.0), &Known { trip: 0.4, ..known(&Log::default(), 1e6) })
    };
    assert_eq!(tries(57.9, 0.0), None);
    assert_eq!(tries(58.1, 0.0), Some(70.0));
    assert_eq!(tries(19.2, 70.0), None);
    assert_eq!(tries(19.4, 70.0), Some(70.0));
}

#[test]
fn a_rise_is_tried_where_what_it_wins_times_how_likely_it_is_is_more_than_a_hold() {
    // After 69.3 s a change is as likely as not; 140 for 100 wins 1 s of 350 rows; so 0.8 s are half of 560.
    let seconds = 100.0 * 2.0_f64.ln();
    let tries = |left: f64| {
        let mut estimate = calm(seconds, (0.8 - 0.01) / HOLD, 0.0);
        estimate.worthwhile(&window(100.0, 100.0), &Known { trip: 0.01, ..known(&Log::default(), left) })
    };
    assert_eq!(tries(555.0), None);
    assert_eq!(tries(565.0), Some(140.0));
}

#[test]
fn a_rise_that_is_certain_is_not_tried_where_it_wins_just_what_a_hold_costs() {
    // After fifty times as long as a limit stays, and twice the rate: 400 rows take 2 s less.
    let tries = |left: f64| {
        let mut estimate = calm(0.0, 0.0, 200.0);
        (estimate.changes, estimate.since) = (100.0, 5000.0);
        estimate.worthwhile(&window(100.0, 100.0), &Known { now: 10_000.0, ..known(&Log::default(), left) })
    };
    assert_eq!(tries(400.0), None);
    assert_eq!(tries(401.0), Some(200.0));
}

#[test]
fn nothing_is_tried_for_a_rise_where_one_request_of_forty_would_be_refused() {
    // Of a million that were sent and as many that are left, 50,000; with 140 a second, 281 are under way for two seconds.
    let tries = |refused: f64, former: f64| {
        calm(900.0, 0.0, former).worthwhile(&window(100.0, 100.0), &Known { refused, ..known(&Log::default(), 1e6) })
    };
    for former in [0.0, 140.0] {
        assert_eq!(tries(49_719.0, former), Some(140.0));
        assert_eq!(tries(49_720.0, former), None);
    }
}
