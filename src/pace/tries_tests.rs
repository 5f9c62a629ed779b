//! When a try is on, how it ends, and what is believed after it.

use super::estimate::Estimate;
use super::evidence::{Answered, Counter, Known, Log};
use super::explanation::Explanation;
use super::shared::Shared;
use super::tries::{HOLD, Try, seconds_for};

/// A window of so many seconds that is known to let in so many a second.
fn window(seconds: f64, rate: f64) -> Explanation {
    let counter = Counter::Sliding { window: seconds };
    Explanation { counter, size: rate * seconds, misfits: 0.0, rate, low: rate, high: rate }
}

fn bucket(size: f64, rate: f64) -> Explanation {
    Explanation { counter: Counter::Bucket { drain: rate }, size, ..window(1.0, rate) }
}

/// An estimate that takes this for the limit, and tries a rate since then.
fn trying(limit: Explanation, from: f64, rate: f64) -> Estimate {
    let mut estimate = Estimate::new();
    estimate.limit = Some(limit);
    estimate.tries.on = Some(Try { from, rate });
    estimate
}

fn log(sent: impl IntoIterator<Item = f64>) -> Log {
    let mut log = Log::default();
    sent.into_iter().for_each(|sent| log.add(Answered { sent, admitted: true }));
    log
}

/// So many that were let in within a second, and one more that was refused; the same again, a second and a half after that.
fn refused_above(count: u16) -> Log {
    let mut log = Log::default();
    for burst in [0.0, 2.5] {
        (0..=count).for_each(|nth| {
            let sent = f64::from(nth).mul_add(0.9 / f64::from(count), burst);
            log.add(Answered { sent, admitted: nth < count });
        });
    }
    log
}

fn known(log: &Log, now: f64) -> Known<'_> {
    let (sent, left, most) = (1e6, 1e6, 1000.0);
    Known { now, began: 0.0, log, sent, refused: 0.0, left, most, fastest: 140.0, trip: 0.1, jitter: 0.001, early: 0.001 }
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} is not {expected}");
}

#[track_caller]
fn rates(estimate: &Estimate, expected: (f64, f64, f64)) {
    let limit = estimate.limit.expect("a limit");
    assert_eq!((limit.low, limit.rate, limit.high), expected);
}

#[test]
fn a_hold_is_taken_to_last_six_hundredths_longer_than_is_asked_for() {
    near(HOLD, 1.06);
}

#[test]
fn where_no_limit_is_known_no_rate_is_too_high() {
    assert!(Estimate::new().rate(&known(&Log::default(), 1000.0)).is_infinite());
}

#[test]
fn ten_times_a_second_it_is_considered_whether_to_try() {
    let log = Log::default();
    let mut estimate = Estimate::new();
    estimate.limit = Some(window(1.0, 100.0));
    estimate.tries.considered = 10_000.0;
    near(estimate.rate(&known(&log, 10_000.05)), 100.0);
    near(estimate.tries.considered, 10_000.0);
    near(estimate.rate(&known(&log, 10_000.11)), 140.0);
    near(estimate.tries.considered, 10_000.11);
    assert_eq!(estimate.tries.on, Some(Try { from: 10_000.11, rate: 140.0 }));
}

#[test]
fn nothing_is_tried_above_the_rate_that_was_asked_for() {
    let log = Log::default();
    let tries = |most: f64| {
        let mut estimate = Estimate::new();
        estimate.limit = Some(window(1.0, 100.0));
        estimate.tries.doubt = Some((130.0, 0.9));
        let rate = estimate.rate(&Known { most, ..known(&log, 10_000.0) });
        (rate, estimate.tries.on.map(|tried| tried.rate))
    };
    assert_eq!(tries(1000.0), (130.0, Some(130.0)));
    assert_eq!(tries(120.0), (120.0, Some(120.0)));
    assert_eq!(tries(100.0), (100.0, None));
    assert_eq!(tries(90.0), (100.0, None), "the throttle sees to it");
}

#[test]
fn a_try_is_proved_by_what_was_let_in_of_a_window_and_a_tenth() {
    // 20 a second for 11 s, less what the jitter of rates explains: 220 / 1.07 = 205.6.
    let rate_after = |count: u16| {
        let log = log((0..count).map(|nth| 100.0 + f64::from(nth) * 0.05));
        let mut estimate = trying(window(10.0, 15.0), 100.0, 20.0);
        near(estimate.rate(&Known { most: 20.0, ..known(&log, 112.0) }), 20.0);
        (estimate.limit.map(|limit| limit.rate), estimate.tries.on.is_some())
    };
    assert_eq!(rate_after(205), (Some(15.0), true));
    assert_eq!(rate_after(206), (Some(20.0), false));
}

#[test]
fn a_try_is_given_up_that_takes_three_times_as_long_as_it_should() {
    // A window of 10 s and a tenth, and the way there and back, which is a second: 36 s.
    let log = Log::default();
    let at = |now: f64| {
        let mut estimate = trying(window(10.0, 15.0), 100.0, 20.0);
        let rate = estimate.rate(&Known { trip: 1.0, ..known(&log, now) });
        (rate, estimate.tries.on.is_some(), estimate.tries.ended)
    };
    assert_eq!(at(136.0), (20.0, true, 0.0));
    assert_eq!(at(136.1), (15.0, false, 136.1));
}

#[test]
fn a_try_is_as_long_as_the_window_or_as_it_takes_to_use_up_what_a_bucket_stores() {
    near(seconds_for(&window(60.0, 10.0), 14.0), 60.0);
    // 40 in store, used up at 4 a second.
    near(seconds_for(&bucket(40.0, 10.0), 14.0), 10.0);
    near(seconds_for(&bucket(1.0, 10.0), 14.0), 1.0);
    near(seconds_for(&bucket(4000.0, 10.0), 14.0), 60.0);
    // Five requests at one in fifty seconds.
    near(seconds_for(&bucket(1.0, 0.01), 0.02), 250.0);
}

#[test]
fn a_try_that_is_refused_tells_what_is_too_high() {
    let mut estimate = trying(Explanation { high: 150.0, ..window(1.0, 100.0) }, 5.0, 140.0);
    assert!(estimate.end_try(7.0));
    rates(&estimate, (100.0, 100.0, 140.0));
    assert_eq!((estimate.tries.on, estimate.tries.too_high, estimate.tries.ended), (None, 140.0, 7.0));
    assert!(!estimate.end_try(8.0), "none was on");
    near(estimate.tries.too_high, 140.0);
}

/// After a rate of 20 was proved where 15 were known of a window of 10 s.
fn risen(former: f64, most: f64) -> Estimate {
    let log = Log::default();
    let limit = window(10.0, 15.0);
    let mut estimate = trying(limit, 100.0, 20.0);
    (estimate.former, estimate.changes, estimate.tries.too_high) = (former, 3.0, 30.0);
    estimate.prove(Try { from: 100.0, rate: 20.0 }, limit, &Known { most, ..known(&log, 112.0) });
    estimate
}

#[test]
fn a_rate_that_was_never_explained_is_a_limit_that_has_risen() {
    let estimate = risen(0.0, 1000.0);
    rates(&estimate, (20.0, 20.0, 20.0));
    let limit = estimate.limit.expect("a limit");
    assert_eq!((limit.counter, limit.size), (Counter::Sliding { window: 10.0 }, 200.0));
    assert_eq!((estimate.changes, estimate.evident, estimate.since, estimate.tries.ended), (4.0, 100.0, 112.0, 112.0));
    assert!(estimate.tries.too_high.is_infinite());
}

#[test]
fn a_bucket_that_drains_faster_stores_as_much() {
    let log = Log::default();
    let mut estimate = trying(bucket(30.0, 15.0), 100.0, 20.0);
    estimate.prove(Try { from: 100.0, rate: 20.0 }, bucket(30.0, 15.0), &known(&log, 112.0));
    assert_eq!(estimate.limit, Some(bucket(30.0, 20.0)));
}

#[test]
fn a_limit_that_has_risen_is_tried_again_at_once_until_it_is_back_to_where_it_was() {
    let next = |former: f64, most: f64| {
        let estimate = risen(former, most);
        (estimate.tries.on.map(|tried| (tried.from, (tried.rate * 1000.0).round())), estimate.former)
    };
    assert_eq!(next(0.0, 1000.0), (Some((112.0, 28_000.0)), 0.0), "two fifths more where no higher one is known");
    assert_eq!(next(50.0, 1000.0), (Some((112.0, 50_000.0)), 50.0), "what was there before, where it is known");
    assert_eq!(next(22.0, 1000.0), (Some((112.0, 22_000.0)), 22.0));
    // Within 1.07 × 20 = 21.4 it is back.
    assert_eq!(next(21.3, 1000.0), (None, 0.0));
    assert_eq!(next(18.0, 1000.0), (None, 0.0));
    assert_eq!(next(0.0, 25.0), (Some((112.0, 25_000.0)), 0.0));
    assert_eq!(next(0.0, 20.0), (None, 0.0));
    assert_eq!(next(50.0, 20.0), (None, 50.0));
}

/// After 140 a second were proved where 100 were known, and up to so many open.
fn proved(limit: Explanation, log: &Log) -> Estimate {
    let limit = Explanation { rate: 100.0, low: 100.0, ..limit };
    let mut estimate = trying(limit, 4.0, 140.0);
    estimate.prove(Try { from: 4.0, rate: 140.0 }, limit, &known(log, 6.0));
    estimate
}

#[test]
fn a_rate_that_was_open_is_the_limit_once_it_is_proved_and_what_is_above_stays_open() {
    let log = log((0..15).map(|nth| f64::from(nth) * 0.1));
    for high in [140.0, 150.0] {
        let estimate = proved(Explanation { high, ..window(1.0, 100.0) }, &log);
        rates(&estimate, (140.0, 140.0, high));
        assert_eq!(estimate.limit.map(|limit| limit.size), Some(100.0), "where nothing was refused nothing is explained anew");
        assert_eq!((estimate.changes, estimate.since, estimate.tries.on), (0.0, 6.0, None));
    }
}

#[test]
fn what_was_refused_is_explained_anew_once_a_rate_is_proved() {
    // 150 were let in within a second, and no more.
    let estimate = proved(Explanation { high: 200.0, ..window(1.0, 100.0) }, &refused_above(150));
    rates(&estimate, (150.0, 150.0, 200.0));
    // Where what is found is below what is proved, that is the least.
    let estimate = proved(Explanation { high: 200.0, ..window(1.0, 100.0) }, &refused_above(140));
    rates(&estimate, (140.0, 140.0, 200.0));
}

#[test]
fn a_window_that_explains_less_than_was_proved_is_believed() {
    let estimate = proved(Explanation { high: 200.0, ..window(1.0, 100.0) }, &refused_above(80));
    rates(&estimate, (80.0, 80.0, 80.0));
}

#[test]
fn what_a_belief_is_told_is_what_was_let_in_within_a_window_up_to_a_trip_ago() {
    let log = log([5.0, 5.1, 6.9, 7.0, 7.5, 7.5, 7.5, 8.0, 8.5, 8.9, 8.95, 9.0, 9.5]);
    let mut estimate = Estimate::new();
    estimate.wait = 2.0;
    let now = Known { trip: 1.0, left: 77.0, ..known(&log, 10.0) };
    // Eight from 7 to 9, in a window of two seconds.
    let seen = estimate.prospect(&window(2.0, 50.0), &now);
    near(seen.let_in, 4.0);
    // Twice 1.06, and the way there and back.
    near(seen.hold, 3.12);
    assert_eq!((seen.now, seen.left, seen.most), (10.0, 77.0, 1000.0));
    // A bucket of six had three in store; of one of a hundred, no more than half came from there.
    near(estimate.prospect(&bucket(6.0, 50.0), &now).let_in, 2.5);
    near(estimate.prospect(&bucket(100.0, 50.0), &now).let_in, 2.0);
}

/// An estimate of a limit of which others take a share: sure that all of 100 a second is left, and that has been asked for since then.
fn sharing(limit: Explanation, full: Option<f64>) -> Estimate {
    let mut shared = Shared::new(100.0, 1.0, 1000.0);
    shared.cells.fill(0.0);
    shared.cells[49] = 1.0;
    shared.full = full;
    let mut estimate = Estimate::new();
    (estimate.limit, estimate.shared, estimate.wait) = (Some(limit), Some(shared), 1.0);
    estimate.tries.too_high = 70.0;
    estimate
}

#[test]
fn where_others_take_a_share_the_rate_is_the_one_that_brings_most() {
    let log = Log::default();
    let now = known(&log, 1000.0);
    let limit = Explanation { low: 50.0, high: 70.0, ..window(2.0, 60.0) };
    let mut estimate = sharing(limit, None);
    let expected = sharing(limit, None).shared.expect("others").rate(&estimate.prospect(&limit, &now));
    assert!((90.0..=100.0).contains(&expected), "{expected}");
    near(estimate.rate(&now), expected);
    rates(&estimate, (50.0, expected, 70.0));
    assert!(estimate.shared.is_some());
    near(estimate.rate(&known(&log, 1000.05)), expected);
}

#[test]
fn where_nobody_takes_a_share_any_more_the_limit_is_what_is_asked_for() {
    let log = Log::default();
    for (limit, seconds) in [(window(2.0, 60.0), Some(2.0)), (bucket(33.0, 60.0), None)] {
        let mut estimate = sharing(Explanation { low: 50.0, high: 70.0, ..limit }, Some(980.0));
        let rate = estimate.rate(&known(&log, 1000.0));
        assert!((90.0..=100.0).contains(&rate), "{rate}");
        rates(&estimate, (rate, rate, rate));
        near(estimate.limit.expect("a limit").size, seconds.map_or(33.0, |seconds| seconds * rate));
        assert!(estimate.shared.is_none() && estimate.tries.too_high.is_infinite());
        near(estimate.since, 1000.0);
    }
}

#[test]
fn where_all_that_a_bucket_was_thought_to_be_at_most_is_let_in_more_is_tried() {
    let log = log((0..15).map(|nth| f64::from(nth) * 0.1));
    let doubt = |limit: Explanation| proved(limit, &log).tries.doubt.map(|(rate, likely)| ((rate * 1000.0).round(), likely));
    // 1.4 times the 140 that were proved, as likely as not.
    assert_eq!(doubt(Explanation { high: 140.0, ..bucket(5.0, 100.0) }), Some((196_000.0, 0.5)));
    assert_eq!(doubt(Explanation { high: 149.0, ..bucket(5.0, 100.0) }), Some((196_000.0, 0.5)));
    assert_eq!(doubt(Explanation { high: 150.0, ..bucket(5.0, 100.0) }), None, "what is open is tried next");
    assert_eq!(doubt(Explanation { high: 140.0, ..window(1.0, 100.0) }), None, "a window is full or is not");
}

#[test]
fn where_hardly_anything_is_known_of_a_bucket_a_second_is_tried_or_five_requests() {
    // A thousand in store, of which ten more a second are used up: a minute, unless the rate may be more than twice as low.
    let limit = |low: f64| Explanation { low, ..bucket(1000.0, 40.0) };
    near(seconds_for(&limit(20.0), 50.0), 60.0);
    near(seconds_for(&limit(19.9), 50.0), 1.0);
    near(seconds_for(&Explanation { low: 1.0, ..bucket(1000.0, 3.0) }, 4.0), 1.25);
}
