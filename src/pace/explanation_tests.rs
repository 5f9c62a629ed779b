//! What an explanation costs, what a size leaves unexplained, and which numbers people choose.

use super::evidence::{Answered, Counter, Reading};
use super::explanation::{Explanation, least_misfit, misfits, size};
use super::round::{is_plain, is_round, likely, roundest};

const SECOND: Counter = Counter::Sliding { window: 1.0 };
const MINUTE: Counter = Counter::Fixed { window: 60.0, phase: 0.0 };

fn limit(counter: Counter, size: f64) -> Explanation {
    Explanation { counter, size, misfits: 0.0, rate: 1.0, low: 1.0, high: 1.0 }
}

fn admitted(held: f64) -> Reading {
    Reading { held, admitted: true }
}

fn refused(held: f64) -> Reading {
    Reading { held, admitted: false }
}

#[track_caller]
fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
}

#[track_caller]
fn assert_size(readings: &[Reading], soft: f64, expected: (f64, f64)) {
    let (size, misfits) = size(readings.to_vec(), soft);
    assert!((size - expected.0).abs() < 1e-9 && (misfits - expected.1).abs() < 1e-9, "{size} {misfits} instead of {expected:?}");
}

#[test]
fn an_estimate_is_wide_when_it_is_open_by_more_than_a_factor_of_two() {
    let open = |high: f64| Explanation { low: 3.0, high, ..limit(SECOND, 1.0) }.is_wide();
    assert!(!open(3.0) && !open(5.9) && !open(6.0));
    assert!(open(6.1) && open(60.0));
}

#[test]
fn a_bucket_costs_the_logarithm_of_the_seconds_it_stores_and_nothing_up_to_one() {
    let bucket = |size: f64| limit(Counter::Bucket { drain: 100.0 }, size).surprise();
    assert_near(bucket(300.0), 3_f64.ln());
    assert_near(bucket(150.0), 1.5_f64.ln());
    assert_near(bucket(100.0), 0.0);
    assert_near(bucket(5.0), 0.0);
}

#[test]
fn a_window_costs_more_if_it_is_not_round_and_twice_that_if_it_holds_less_than_three() {
    for (size, nats) in [(1.0, 4.6), (2.0, 4.6), (3.0, 0.0), (100.0, 0.0), (120.0, 0.0), (123.0, 2.3), (600.0, 0.0), (601.0, 2.3)] {
        assert_near(limit(SECOND, size).surprise(), nats);
        assert_near(limit(MINUTE, size).surprise(), nats);
    }
}

#[test]
fn a_bucket_of_another_size_costs_the_logarithm_of_the_factor_either_way() {
    let bucket = |drain: f64, size: f64| limit(Counter::Bucket { drain }, size);
    assert_near(bucket(10.0, 5.0).resized(&bucket(50.0, 20.0)), 4_f64.ln());
    assert_near(bucket(10.0, 20.0).resized(&bucket(10.0, 5.0)), 4_f64.ln());
    assert_near(bucket(10.0, 5.0).resized(&bucket(99.0, 5.0)), 0.0);
    assert_near(bucket(10.0, 5.0).resized(&limit(SECOND, 20.0)), 0.0);
    assert_near(limit(SECOND, 5.0).resized(&limit(SECOND, 20.0)), 0.0);
}

#[test]
fn a_window_costs_more_if_a_429_asked_for_a_wait_of_more_than_two_windows() {
    for (wait, nats) in [(0.0, 0.0), (60.0, 0.0), (120.0, 0.0), (180.0, 1.5_f64.ln()), (1200.0, 10_f64.ln())] {
        assert_near(limit(MINUTE, 5.0).surprise_of(wait), nats);
    }
    assert_near(limit(SECOND, 5.0).surprise_of(1200.0), 600_f64.ln());
    assert_near(limit(Counter::Bucket { drain: 1.0 }, 5.0).surprise_of(1200.0), 0.0);
}

#[test]
fn a_bucket_is_judged_more_softly_with_more_network_jitter_up_to_five_milliseconds() {
    // Five fill it; 9.5 ms later 0.95 have drained, and the sixth is 0.05 too many.
    let log = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0095].map(|sent| Answered { sent, admitted: true });
    let bucket = limit(Counter::Bucket { drain: 100.0 }, 5.0);
    assert_near(bucket.misfits_of(&log, 0.0), 1.0);
    assert_near(bucket.misfits_of(&log, 0.001), 0.5);
    assert_near(bucket.misfits_of(&log, 0.005), 0.1);
    assert_near(bucket.misfits_of(&log, 1.0), 0.1);
}

#[test]
fn a_window_is_not_judged_softly() {
    let log = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0].map(|sent| Answered { sent, admitted: true });
    assert_near(limit(SECOND, 5.0).misfits_of(&log, 0.1), 2.0);
    assert_near(limit(MINUTE, 5.0).misfits_of(&log, 0.1), 2.0);
    assert_near(limit(MINUTE, 7.0).misfits_of(&log, 0.1), 0.0);
}

#[test]
fn the_fewest_misfits_are_best_and_of_equals_the_highest_rate() {
    let of = |misfits: f64, rate: f64| Explanation { misfits, rate, ..limit(SECOND, 1.0) };
    assert_near(least_misfit(&[of(2.0, 9.0), of(1.0, 3.0), of(1.0, 5.0), of(1.0, 4.0)]).rate, 5.0);
}

#[test]
fn a_request_admitted_at_the_size_fits_and_one_refused_there_does_not() {
    for (reading, misfit) in [
        (admitted(4.0), 0.0),
        (admitted(5.0), 0.0),
        (admitted(5.0 + 1e-10), 0.0),
        (admitted(5.01), 1.0),
        (refused(4.99), 1.0),
        (refused(5.0), 1.0),
        (refused(5.01), 0.0),
        (refused(9.0), 0.0),
    ] {
        assert_near(misfits(&[reading], 5.0, 0.0), misfit);
    }
    assert_near(misfits(&[admitted(6.0), refused(3.0), admitted(2.0), refused(7.0), refused(1.0)], 5.0, 0.0), 3.0);
}

#[test]
fn a_soft_misfit_counts_by_how_much_it_misses() {
    for (reading, misfit) in [
        (admitted(101.0), 0.5),
        (admitted(100.5), 0.25),
        (admitted(103.0), 1.0),
        (refused(99.5), 0.25),
        (refused(97.0), 1.0),
        (refused(100.0), 0.0),
        (refused(100.5), 0.0),
        (admitted(99.5), 0.0),
    ] {
        assert_near(misfits(&[reading], 100.0, 2.0), misfit);
    }
}

#[test]
fn softness_is_at_most_a_quarter_of_what_a_bucket_holds_beyond_one() {
    // A quarter of what nine hold beyond one is two.
    assert_near(misfits(&[admitted(9.5)], 9.0, 10.0), 0.25);
    assert_near(misfits(&[refused(8.5)], 9.0, 10.0), 0.25);
    assert_near(misfits(&[admitted(1.5)], 1.0, 10.0), 1.0);
    assert_near(misfits(&[refused(1.0)], 1.0, 10.0), 1.0);
    assert_near(misfits(&[admitted(1.0)], 0.5, 10.0), 1.0);
}

#[test]
fn the_size_is_the_most_that_was_admitted_below_every_refusal() {
    assert_size(&[admitted(1.0), admitted(2.0), admitted(3.0), admitted(4.0), refused(5.0)], 0.0, (4.0, 0.0));
    assert_size(&[refused(5.0), admitted(4.0), refused(6.5), admitted(2.0)], 0.0, (4.0, 0.0));
    assert_size(&[admitted(1.0), admitted(2.0), admitted(3.0)], 0.0, (3.0, 0.0));
}

#[test]
fn a_size_is_at_least_one() {
    assert_size(&[], 0.0, (1.0, 0.0));
    assert_size(&[refused(1.0)], 0.0, (1.0, 1.0));
    assert_size(&[refused(1.0), refused(1.0)], 2.0, (1.0, 2.0));
}

#[test]
fn a_chance_refusal_stays_unexplained_where_more_was_admitted_later() {
    let readings = [4.0, 5.0, 6.0, 7.0].map(admitted);
    assert_size(&[&readings[..], &[refused(5.0)]].concat(), 0.0, (7.0, 1.0));
    assert_size(&[&readings[..], &[refused(5.0), refused(8.0)]].concat(), 0.0, (7.0, 1.0));
    // As many refusals as admitted requests above them: two sizes explain as well, and the lower one is taken.
    assert_size(&[admitted(4.0), refused(5.0), admitted(5.0)], 0.0, (4.0, 1.0));
    // A bucket of one admits neither; one of two admits both that were admitted.
    assert_size(&[refused(1.0), refused(1.0), admitted(1.0), admitted(2.0)], 0.0, (2.0, 2.0));
}

#[test]
fn a_soft_size_is_lower_where_that_has_fewer_misfits() {
    let of = |lower: &[Reading], upper: &[Reading]| [&[admitted(90.0)], lower, upper].concat();
    let thrice = [refused(97.0); 3];
    // At 100 the three miss by 3 of 4 each: 2.25. At 99 they miss by 2, two by 0.2 and two by 1: (6 + 0.4 + 2) / 4.
    assert_size(&of(&thrice, &[99.2, 99.2, 100.0, 100.0].map(admitted)), 4.0, (99.0, 2.1));
    // At 99 the three miss by 2, and one by 1: 1.75. At 98 the three miss by 1, three by 0.2 and one by 2: (3 + 0.6 + 2) / 4.
    assert_size(&of(&thrice, &[98.2, 98.2, 98.2, 100.0].map(admitted)), 4.0, (98.0, 1.4));
}

#[test]
fn without_misfits_the_soft_size_is_the_hard_one() {
    assert_size(&[admitted(90.0), refused(110.0)], 4.0, (90.0, 0.0));
    assert_size(&[admitted(90.0), refused(91.0)], 4.0, (90.0, 0.0));
}

#[test]
fn in_a_range_up_to_a_factor_of_two_the_roundest_of_the_upper_three_quarters_is_likeliest() {
    assert_near(likely(30.0, 60.0), 50.0);
    assert_near(likely(93.0, 108.0), 100.0);
    // Not 50, which is below 48.5 × (95 / 48.5)^¼ = 57.
    assert_near(likely(48.5, 95.0), 80.0);
    // No round number lies between.
    assert_near(likely(1231.0, 1233.0), 1232.0);
}

#[test]
fn in_a_wider_range_the_likeliest_is_between_the_highest_and_a_quarter_of_it() {
    assert_near(likely(10.0, 90.0), (22.5_f64 * 90.0).sqrt());
    assert_near(likely(40.0, 90.0), 60.0);
}

#[test]
fn round_numbers_have_two_digits_at_most() {
    for number in [1.0, 3.0, 7.0, 10.0, 12.0, 99.0, 100.0, 120.0, 990.0, 1200.0, 36_000.0] {
        assert!(is_round(number), "{number}");
    }
    // To a millionth.
    for number in [101.0, 123.0, 999.0, 1230.0, 1001.0, 7.5, 0.5, 12.2, 36_100.0, 1e-6] {
        assert!(!is_round(number), "{number}");
    }
}

#[test]
fn plain_numbers_are_one_two_or_five_and_zeros_to_a_thousandth() {
    for number in [1.0, 2.0, 5.0, 10.0, 20.0, 500.0, 10_000.0, 0.2, 1.0005, 99.95, 500.4] {
        assert!(is_plain(number), "{number}");
    }
    for number in [3.0, 4.0, 12.0, 25.0, 300.0, 1.002, 99.8, 501.0] {
        assert!(!is_plain(number), "{number}");
    }
}

#[test]
fn the_roundest_number_is_a_plain_one_the_nearest_to_the_middle() {
    for (low, high, number) in [
        (101.0, 220.0, 200.0),
        // 100, 50 and 20 are candidates; the middle is 60.
        (18.0, 102.0, 50.0),
        // 20, 50, 100, 200 and 500 are candidates; the middle is 307.5.
        (15.0, 600.0, 200.0),
        (20.0, 20.0, 20.0),
        (96.0, 100.0, 100.0),
        (500.0, 560.0, 500.0),
    ] {
        assert_eq!(roundest(low, high), Some(number), "{low} {high}");
    }
}

#[test]
fn where_none_is_plain_the_roundest_number_has_one_digit_then_two_with_halves_before_others() {
    for (low, high, number) in [
        (28.0, 33.0, 30.0),
        (56.0, 96.0, 80.0),
        (143.0, 164.0, 150.0),
        (126.0, 134.0, 130.0),
        (1260.0, 1340.0, 1300.0),
        (124.0, 127.0, 125.0),
        (121.0, 124.0, 123.0),
    ] {
        assert_eq!(roundest(low, high), Some(number), "{low} {high}");
    }
    assert_eq!(roundest(1001.0, 1004.0), None);
    assert_eq!(roundest(60.0, 50.0), None);
}
