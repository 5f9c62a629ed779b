//! What the throttle learns from answers: round-trip times, the starting rate, ends of holds, input for the estimate.

use std::time::Duration;

use super::evidence::Counter;
use super::explanation::Explanation;
use super::throttle::{FIRST, Throttle, Trips};

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

const FASTEST: f64 = 100_000.0;

#[test]
fn round_trip_statistics_are_recomputed_after_sixteen_answers() {
    let mut trips = Trips::default();
    trips.add(1.0);
    near(trips.median, 1.0);
    near(trips.jitter, 0.0);
    (0..15).for_each(|_| trips.add(0.1));
    near(trips.median, 1.0);
    trips.add(0.1);
    near(trips.median, 0.1);
}

#[test]
fn the_round_trip_is_the_median_of_64_and_the_jitter_spans_eight_in_ten() {
    let mut trips = Trips::default();
    // The last 64 take from 0.2 ms to 6.5 ms; the first has been dropped.
    (1..=65).for_each(|nth| trips.add(f64::from(nth) * 1e-4));
    // The 33rd of them; and the 58th less the 7th.
    near(trips.median, 34e-4);
    near(trips.jitter, 59e-4 - 8e-4);
}

#[test]
fn the_jitter_is_at_most_what_is_ever_made_up_for() {
    let mut trips = Trips::default();
    (0..65).for_each(|nth| trips.add(f64::from(nth)));
    near(trips.jitter, 0.05);
}

#[test]
fn the_round_trip_counts_from_sending_whatever_the_answer() {
    let mut throttle = Throttle::new(100.0);
    throttle.admitted(secs(2.0), secs(2.5));
    near(throttle.trips.median, 0.5);
    let mut throttle = Throttle::new(100.0);
    throttle.refused(secs(2.0), secs(2.5), None, 0.0);
    near(throttle.trips.median, 0.5);
}

#[test]
fn each_admitted_row_is_one_less_but_a_few_are_always_assumed_left() {
    let mut throttle = Throttle::new(100.0);
    throttle.expect(22);
    for left in [21.0, 20.0, 20.0] {
        throttle.admitted(secs(1.0), secs(1.1));
        near(throttle.left, left);
    }
}

#[test]
fn at_first_eight_in_a_thousand_rows_and_at_most_forty_may_be_in_flight() {
    for (rows, trip, start) in [(2501, 0.1, 200.0), (100_001, 0.1, 400.0), (2501, 10.0, FIRST), (2501, 0.0, 200_000.0)] {
        let mut throttle = Throttle::new(FASTEST);
        throttle.expect(rows);
        throttle.admitted(secs(1.0), secs(1.0 + trip));
        assert!((throttle.start - start).abs() < start * 1e-6, "{rows} {trip}: {}", throttle.start);
    }
}

#[test]
fn a_later_row_count_changes_the_start_until_a_limit_is_known() {
    let mut throttle = Throttle::new(FASTEST);
    throttle.expect(1250);
    near(throttle.start, FIRST);
    throttle.admitted(secs(1.0), secs(1.1));
    throttle.expect(1250);
    assert!((throttle.start - 100.0).abs() < 1e-6, "ten of them: {}", throttle.start);
    let counter = Counter::Sliding { window: 1.0 };
    throttle.estimate.set(Explanation { counter, size: 30.0, misfits: 0.0, rate: 30.0, low: 30.0, high: 30.0 });
    throttle.expect(2500);
    assert!((throttle.start - 100.0).abs() < 1e-6, "{}", throttle.start);
}

#[test]
fn the_start_grows_by_a_quarter_with_each_whole_second_after_an_answer() {
    let mut throttle = Throttle::new(FASTEST);
    near(throttle.rate(5.0), FIRST);
    // Forty in flight for 500 ms.
    throttle.admitted(secs(0.5), secs(1.0));
    for (now, rate) in [(1.0, 80.0), (1.5, 80.0), (1.99, 80.0), (2.0, 100.0), (2.5, 100.0), (3.0, 125.0), (9.0, 156.25)] {
        near(throttle.rate(now), rate);
    }
}

#[test]
fn a_start_above_the_highest_valid_rate_is_unlimited() {
    let mut throttle = Throttle::new(200_000.0);
    for (start, rate) in [(FASTEST - 1.0, FASTEST - 1.0), (FASTEST, FASTEST)] {
        throttle.start = start;
        near(throttle.starting_rate(0.0), rate);
    }
    throttle.start = FASTEST + 1.0;
    assert!(throttle.starting_rate(0.0).is_infinite());
}

#[test]
fn the_start_begins_with_the_first_admitted_answer_and_a_later_turn_is_due_at_once() {
    let mut throttle = Throttle::new(FASTEST);
    throttle.due = 7.0;
    throttle.admitted(secs(0.5), secs(1.0));
    near(throttle.due, 1.0);
    throttle.due = 7.0;
    throttle.admitted(secs(1.0), secs(1.1));
    near(throttle.due, 7.0);
}

#[test]
fn a_hold_lasts_two_to_ten_percent_longer_than_asked_for() {
    for (jitter, until) in [(0.0, 20.2), (0.5, 20.6), (0.999_999_999, 21.0)] {
        let mut throttle = Throttle::new(100.0);
        assert!(throttle.hold_back(secs(10.0), secs(10.0), jitter));
        let found = throttle.held_until(secs(10.0)).expect("a hold").as_secs_f64();
        assert!((found - until).abs() < 1e-6, "{found}");
        assert!(!throttle.hold_back(secs(11.0), secs(1.0), jitter), "a hold is on");
        let later = throttle.held_until(secs(11.0)).expect("a hold").as_secs_f64();
        assert!((later - until).abs() < 1e-6, "it is not cut short: {later}");
        assert_eq!(throttle.held_until(secs(until + 0.001)), None);
        assert!(throttle.hold_back(secs(30.0), secs(1.0), jitter), "another one");
    }
}

/// The length of the second of two holds, with these events in between.
fn second_hold(between: impl FnOnce(&mut Throttle)) -> Option<Duration> {
    let mut throttle = Throttle::new(100.0);
    assert_eq!(throttle.refused(secs(0.9), secs(1.0), None, 0.0), Some(secs(1.0)));
    throttle.next(secs(3.0));
    between(&mut throttle);
    throttle.refused(secs(4.0), secs(4.1), None, 0.0)
}

#[test]
fn only_requests_sent_after_a_429_show_that_it_is_over() {
    assert_eq!(second_hold(|_| ()), Some(secs(2.0)));
    assert_eq!(second_hold(|throttle| throttle.admitted(secs(0.999), secs(3.0))), Some(secs(2.0)));
    assert_eq!(second_hold(|throttle| throttle.admitted(secs(1.0), secs(3.0))), Some(secs(1.0)));
    let both = |throttle: &mut Throttle| {
        throttle.admitted(secs(3.0), secs(3.1));
        throttle.admitted(secs(0.9), secs(3.2));
    };
    assert_eq!(second_hold(both), Some(secs(1.0)), "what was known stays known");
}

#[test]
fn requests_sent_before_a_429_belong_to_its_episode_even_if_refused_after_the_hold() {
    // It holds again, but does not count as another hold that was too short.
    let late = |throttle: &mut Throttle| {
        assert_eq!(throttle.refused(secs(0.999), secs(3.0), Some(secs(0.1)), 0.0), Some(secs(1.0)));
        throttle.next(secs(4.05));
    };
    assert_eq!(second_hold(late), Some(secs(2.0)));
    // Sent just when the 429 came, it begins another episode.
    let another = |throttle: &mut Throttle| {
        assert_eq!(throttle.refused(secs(1.0), secs(3.0), Some(secs(0.1)), 0.0), Some(secs(1.0)));
        assert_eq!(throttle.next(secs(4.05)), secs(4.05));
    };
    assert_eq!(second_hold(another), Some(secs(4.0)));
}

/// The throttle after `count` holds in a row, each refused after 40 ms.
fn after_holds(count: u32) -> Throttle {
    let mut throttle = Throttle::new(100.0);
    for nth in 1..=count {
        let at = f64::from(nth) * 100.0;
        throttle.refused(secs(at), secs(at + 0.04), Some(secs(1.0)), 0.0);
        throttle.next(secs(at + 50.0));
    }
    throttle
}

#[test]
fn after_a_hold_that_was_too_short_requests_go_one_at_a_time() {
    assert!(after_holds(1).rate(160.0) >= FIRST, "one hold says nothing yet");
    // One request in twice the 40 ms of a round trip and 10 ms for the timers.
    near(after_holds(2).rate(260.0), 10.0);
    let mut throttle = after_holds(2);
    throttle.admitted(secs(255.0), secs(255.04));
    assert!(throttle.rate(260.0) >= FIRST, "it is over");
}

#[test]
fn the_rate_stays_until_a_hold_is_learnt_from() {
    let mut throttle = Throttle::new(1000.0);
    throttle.admitted(secs(0.9), secs(1.0));
    near(throttle.rate(1.0), 400.0);
    throttle.refused(secs(1.1), secs(1.2), Some(secs(5.0)), 0.0);
    near(throttle.rate(4.0), 400.0);
}

#[test]
fn the_estimate_gets_the_counts_and_the_highest_rate() {
    let mut throttle = Throttle::new(1000.0);
    throttle.with_estimate(0.0, |_, known| {
        assert!(known.fastest.is_infinite(), "nothing was sent, so that nothing is too fast");
        near(known.sent, 0.0);
        near(known.refused, 0.0);
        near(known.left, 1000.0);
    });
    (1..=3).for_each(|nth| throttle.sent(secs(f64::from(nth))));
    throttle.refused(secs(1.0), secs(1.1), None, 0.0);
    throttle.refused(secs(2.0), secs(2.1), None, 0.0);
    throttle.with_estimate(4.0, |_, known| {
        near(known.sent, 3.0);
        near(known.refused, 2.0);
        near(known.fastest, FIRST);
        near(known.most, 1000.0);
    });
}

#[test]
fn at_least_a_tenth_of_the_requests_sent_is_still_to_come() {
    let mut throttle = Throttle::new(1000.0);
    throttle.expect(22);
    (1..=500).for_each(|nth| throttle.sent(secs(f64::from(nth))));
    throttle.with_estimate(501.0, |_, known| near(known.left, 50.0));
    throttle.expect(51);
    throttle.with_estimate(501.0, |_, known| near(known.left, 51.0));
}

#[test]
fn the_jitter_is_that_of_round_trips_plus_a_tick_and_one_way_has_the_root_of_half_of_it() {
    let mut throttle = Throttle::new(1000.0);
    throttle.trips.jitter = 0.02;
    throttle.with_estimate(0.0, |_, known| {
        near(known.jitter, 0.021);
        near(known.early, 0.02 * 0.5_f64.sqrt());
    });
}
