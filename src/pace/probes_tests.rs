//! When a probe runs, how it ends, and what is believed after it.

use super::estimate::{Estimate, Probe};
use super::evidence::{Answered, Counter, Log, Observed};
use super::explanation::Explanation;
use super::probes::{HOLD, seconds_for};
use super::shared::Shared;

/// A window of `seconds`, known to admit `rate` a second.
fn window(seconds: f64, rate: f64) -> Explanation {
    let counter = Counter::Sliding { window: seconds };
    Explanation { counter, size: rate * seconds, misfits: 0.0, rate, low: rate, high: rate }
}

fn bucket(size: f64, rate: f64) -> Explanation {
    Explanation { counter: Counter::Bucket { drain: rate }, size, ..window(1.0, rate) }
}

/// An estimate with this limit that has been probing a rate since `from`.
fn probing(limit: Explanation, from: f64, rate: f64) -> Estimate {
    let mut estimate = Estimate { limit: Some(limit), ..Estimate::default() };
    estimate.probes.on = Some(Probe { from, rate });
    estimate
}

fn log(sent: impl IntoIterator<Item = f64>) -> Log {
    let mut log = Log::default();
    sent.into_iter().for_each(|sent| log.add(Answered { sent, admitted: true }));
    log
}

/// `count` admitted within a second, and one more refused; the same again a second and a half later.
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

fn known(log: &Log, now: f64) -> Observed<'_> {
    let (sent, left, most) = (1e6, 1e6, 1000.0);
    Observed { now, began: 0.0, log, sent, refused: 0.0, left, most, fastest: 140.0, trip: 0.1, jitter: 0.001, early: 0.001 }
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
fn a_hold_is_expected_to_last_six_percent_longer_than_asked_for() {
    near(HOLD, 1.06);
}

#[test]
fn where_no_limit_is_known_no_rate_is_too_high() {
    assert!(Estimate::default().rate(&known(&Log::default(), 1000.0)).is_infinite());
}

#[test]
fn a_probe_is_considered_ten_times_a_second() {
    let log = Log::default();
    let mut estimate = Estimate { limit: Some(window(1.0, 100.0)), ..Estimate::default() };
    estimate.probes.considered = 10_000.0;
    near(estimate.rate(&known(&log, 10_000.05)), 100.0);
    near(estimate.probes.considered, 10_000.0);
    near(estimate.rate(&known(&log, 10_000.11)), 140.0);
    near(estimate.probes.considered, 10_000.11);
    assert_eq!(estimate.probes.on, Some(Probe { from: 10_000.11, rate: 140.0 }));
}

#[test]
fn nothing_is_probed_above_the_rate_asked_for() {
    let log = Log::default();
    let probes = |most: f64| {
        let mut estimate = Estimate { limit: Some(window(1.0, 100.0)), ..Estimate::default() };
        estimate.probes.doubt = Some((130.0, 0.9));
        let rate = estimate.rate(&Observed { most, ..known(&log, 10_000.0) });
        (rate, estimate.probes.on.map(|probe| probe.rate))
    };
    assert_eq!(probes(1000.0), (130.0, Some(130.0)));
    assert_eq!(probes(120.0), (120.0, Some(120.0)));
    assert_eq!(probes(100.0), (100.0, None));
    assert_eq!(probes(90.0), (100.0, None), "the throttle sees to it");
}

#[test]
fn a_probe_succeeds_after_a_window_and_a_tenth_of_admitted_requests() {
    // 20 a second for 11 s, less the jitter of rates: 220 / 1.07 = 205.6.
    let rate_after = |count: u16| {
        let log = log((0..count).map(|nth| 100.0 + f64::from(nth) * 0.05));
        let mut estimate = probing(window(10.0, 15.0), 100.0, 20.0);
        near(estimate.rate(&Observed { most: 20.0, ..known(&log, 112.0) }), 20.0);
        (estimate.limit.map(|limit| limit.rate), estimate.probes.on.is_some())
    };
    assert_eq!(rate_after(205), (Some(15.0), true));
    assert_eq!(rate_after(206), (Some(20.0), false));
}

#[test]
fn a_probe_is_abandoned_after_three_times_its_duration() {
    // A window of 10 s plus a tenth, and a round trip of a second: 36 s.
    let log = Log::default();
    let at = |now: f64| {
        let mut estimate = probing(window(10.0, 15.0), 100.0, 20.0);
        let rate = estimate.rate(&Observed { trip: 1.0, ..known(&log, now) });
        (rate, estimate.probes.on.is_some(), estimate.probes.ended)
    };
    assert_eq!(at(136.0), (20.0, true, 0.0));
    assert_eq!(at(136.1), (15.0, false, 136.1));
}

#[test]
fn a_probe_lasts_a_window_or_until_the_store_of_a_bucket_is_used_up() {
    near(seconds_for(&window(60.0, 10.0), 14.0), 60.0);
    // 40 in store, used up at 4 a second.
    near(seconds_for(&bucket(40.0, 10.0), 14.0), 10.0);
    near(seconds_for(&bucket(1.0, 10.0), 14.0), 1.0);
    near(seconds_for(&bucket(4000.0, 10.0), 14.0), 60.0);
    // Five requests at one in fifty seconds.
    near(seconds_for(&bucket(1.0, 0.01), 0.02), 250.0);
}

#[test]
fn a_refused_probe_shows_which_rate_is_too_high() {
    let mut estimate = probing(Explanation { high: 150.0, ..window(1.0, 100.0) }, 5.0, 140.0);
    assert!(estimate.end_probe(7.0));
    rates(&estimate, (100.0, 100.0, 140.0));
    assert_eq!((estimate.probes.on, estimate.probes.too_high, estimate.probes.ended), (None, 140.0, 7.0));
    assert!(!estimate.end_probe(8.0), "none was on");
    near(estimate.probes.too_high, 140.0);
}

/// After a rate of 20 was proved where a window of 10 s was known to admit 15.
fn risen(former: f64, most: f64) -> Estimate {
    let log = Log::default();
    let limit = window(10.0, 15.0);
    let mut estimate = probing(limit, 100.0, 20.0);
    (estimate.former, estimate.changes, estimate.probes.too_high) = (former, 3.0, 30.0);
    estimate.prove(Probe { from: 100.0, rate: 20.0 }, limit, &Observed { most, ..known(&log, 112.0) });
    estimate
}

#[test]
fn a_proved_rate_above_the_range_is_a_risen_limit() {
    let estimate = risen(0.0, 1000.0);
    rates(&estimate, (20.0, 20.0, 20.0));
    let limit = estimate.limit.expect("a limit");
    assert_eq!((limit.counter, limit.size), (Counter::Sliding { window: 10.0 }, 200.0));
    assert_eq!((estimate.changes, estimate.evident, estimate.since, estimate.probes.ended), (4.0, 100.0, 112.0, 112.0));
    assert!(estimate.probes.too_high.is_infinite());
}

#[test]
fn a_risen_bucket_keeps_its_size() {
    let log = Log::default();
    let mut estimate = probing(bucket(30.0, 15.0), 100.0, 20.0);
    estimate.prove(Probe { from: 100.0, rate: 20.0 }, bucket(30.0, 15.0), &known(&log, 112.0));
    assert_eq!(estimate.limit, Some(bucket(30.0, 20.0)));
}

#[test]
fn a_risen_limit_is_probed_again_at_once_until_it_is_back_at_the_former_one() {
    let next = |former: f64, most: f64| {
        let estimate = risen(former, most);
        (estimate.probes.on.map(|probe| (probe.from, (probe.rate * 1000.0).round())), estimate.former)
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

/// After 140 a second were proved where 100 were known, and the range was open upwards.
fn proved(limit: Explanation, log: &Log) -> Estimate {
    let limit = Explanation { rate: 100.0, low: 100.0, ..limit };
    let mut estimate = probing(limit, 4.0, 140.0);
    estimate.prove(Probe { from: 4.0, rate: 140.0 }, limit, &known(log, 6.0));
    estimate
}

#[test]
fn a_proved_rate_within_the_range_is_the_limit_and_the_rest_above_stays_open() {
    let log = log((0..15).map(|nth| f64::from(nth) * 0.1));
    for high in [140.0, 150.0] {
        let estimate = proved(Explanation { high, ..window(1.0, 100.0) }, &log);
        rates(&estimate, (140.0, 140.0, high));
        assert_eq!(estimate.limit.map(|limit| limit.size), Some(100.0), "where nothing was refused nothing is explained anew");
        assert_eq!((estimate.changes, estimate.since, estimate.probes.on), (0.0, 6.0, None));
    }
}

#[test]
fn refusals_are_explained_anew_once_a_rate_is_proved() {
    // 150 were admitted within a second, and no more.
    let estimate = proved(Explanation { high: 200.0, ..window(1.0, 100.0) }, &refused_above(150));
    rates(&estimate, (150.0, 150.0, 200.0));
    // If the best explanation is below the proved rate, that is the least.
    let estimate = proved(Explanation { high: 200.0, ..window(1.0, 100.0) }, &refused_above(140));
    rates(&estimate, (140.0, 140.0, 200.0));
}

#[test]
fn a_window_below_the_proved_rate_is_believed_if_it_explains_the_answers() {
    let estimate = proved(Explanation { high: 200.0, ..window(1.0, 100.0) }, &refused_above(80));
    rates(&estimate, (80.0, 80.0, 80.0));
}

#[test]
fn the_belief_gets_the_requests_admitted_in_the_window_up_to_one_round_trip_ago() {
    let log = log([5.0, 5.1, 6.9, 7.0, 7.5, 7.5, 7.5, 8.0, 8.5, 8.9, 8.95, 9.0, 9.5]);
    let estimate = Estimate { wait: 2.0, ..Estimate::default() };
    let now = Observed { trip: 1.0, left: 77.0, ..known(&log, 10.0) };
    // Eight from 7 to 9, in a window of two seconds.
    let seen = estimate.prospect(&window(2.0, 50.0), &now);
    near(seen.let_in, 4.0);
    // Twice 1.06, and a round trip.
    near(seen.hold, 3.12);
    assert_eq!((seen.now, seen.left, seen.most), (10.0, 77.0, 1000.0));
    // A bucket of six had three in store; one of a hundred contributed at most half.
    near(estimate.prospect(&bucket(6.0, 50.0), &now).let_in, 2.5);
    near(estimate.prospect(&bucket(100.0, 50.0), &now).let_in, 2.0);
}

/// An estimate of a limit that others share, certain that all of its 100 a second is left; `full` is since when that has been used.
fn sharing(limit: Explanation, full: Option<f64>) -> Estimate {
    let mut shared = Shared::new(100.0, 1.0, 1000.0);
    shared.cells.fill(0.0);
    shared.cells[49] = 1.0;
    shared.full = full;
    let mut estimate = Estimate::default();
    (estimate.limit, estimate.shared, estimate.wait) = (Some(limit), Some(shared), 1.0);
    estimate.probes.too_high = 70.0;
    estimate
}

#[test]
fn where_others_take_a_share_the_rate_is_the_one_of_highest_worth() {
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
fn where_nobody_takes_a_share_any_more_the_limit_is_the_rate_in_use() {
    let log = Log::default();
    for (limit, seconds) in [(window(2.0, 60.0), Some(2.0)), (bucket(33.0, 60.0), None)] {
        let mut estimate = sharing(Explanation { low: 50.0, high: 70.0, ..limit }, Some(980.0));
        let rate = estimate.rate(&known(&log, 1000.0));
        assert!((90.0..=100.0).contains(&rate), "{rate}");
        rates(&estimate, (rate, rate, rate));
        near(estimate.limit.expect("a limit").size, seconds.map_or(33.0, |seconds| seconds * rate));
        assert!(estimate.shared.is_none() && estimate.probes.too_high.is_infinite());
        near(estimate.since, 1000.0);
    }
}

#[test]
fn where_the_whole_range_of_a_bucket_is_admitted_more_is_probed() {
    let log = log((0..15).map(|nth| f64::from(nth) * 0.1));
    let doubt = |limit: Explanation| proved(limit, &log).probes.doubt.map(|(rate, likely)| ((rate * 1000.0).round(), likely));
    // 1.4 times the 140 that were proved, as likely as not.
    assert_eq!(doubt(Explanation { high: 140.0, ..bucket(5.0, 100.0) }), Some((196_000.0, 0.5)));
    assert_eq!(doubt(Explanation { high: 149.0, ..bucket(5.0, 100.0) }), Some((196_000.0, 0.5)));
    assert_eq!(doubt(Explanation { high: 150.0, ..bucket(5.0, 100.0) }), None, "what is open is probe next");
    assert_eq!(doubt(Explanation { high: 140.0, ..window(1.0, 100.0) }), None, "a window is full or is not");
}

#[test]
fn a_bucket_with_a_wide_range_is_probed_for_a_second_or_five_requests() {
    // A thousand in store, used up at ten more a second: a minute, unless the range spans more than a factor of two.
    let limit = |low: f64| Explanation { low, ..bucket(1000.0, 40.0) };
    near(seconds_for(&limit(20.0), 50.0), 60.0);
    near(seconds_for(&limit(19.9), 50.0), 1.0);
    near(seconds_for(&Explanation { low: 1.0, ..bucket(1000.0, 3.0) }, 4.0), 1.25);
}
