//! How far apart the throttle spaces requests, before and after a limit is known.

use std::time::Duration;

use super::evidence::{Counter, REMEMBERED};
use super::explanation::Explanation;
use super::throttle::{LEAST, Throttle, whole};

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

fn near_both(found: (f64, f64), expected: (f64, f64)) {
    near(found.0, expected.0);
    near(found.1, expected.1);
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn limit(counter: Counter, size: f64, rate: f64) -> Explanation {
    Explanation { counter, size, misfits: 0.0, rate, low: rate, high: rate }
}

/// A throttle that knows its limit, with no rows left to probe a higher one for. The jitter is 10 ms, and requests are
/// spaced by `margin` more.
fn knows(counter: Counter, size: f64, rate: f64, margin: f64) -> Throttle {
    let mut throttle = Throttle::new(10_000.0);
    throttle.expect(0);
    throttle.trips.jitter = 0.01;
    throttle.estimate.set(limit(counter, size, rate));
    throttle.estimate.margin = margin;
    throttle
}

const TWO_SECONDS: Counter = Counter::Sliding { window: 2.0 };

#[test]
fn at_the_rate_asked_for_the_gate_spaces_requests_and_the_throttle_does_not() {
    near_both(Throttle::new(50.0).interval(50.0), (0.0, 0.0));
    near_both(Throttle::new(50.0).interval(51.0), (0.0, 0.0));
    near_both(Throttle::new(f64::INFINITY).interval(f64::INFINITY), (0.0, 0.0));
}

#[test]
fn before_a_limit_is_known_spacing_is_even_and_three_ticks_are_made_up_for() {
    near_both(Throttle::new(50.0).interval(40.0), (0.025, 0.003));
    near_both(Throttle::new(50.0).interval(0.5), (2.0, 0.003));
}

#[test]
fn under_a_window_the_interval_allows_for_jitter() {
    // 10 ms of jitter, 5 ms for a stall and 20 ms of margin, in two seconds.
    for counter in [TWO_SECONDS, Counter::Fixed { window: 2.0, phase: 0.3 }] {
        near_both(knows(counter, 200.0, 100.0, 0.02).interval(100.0), ((1.0 + 0.035 / 2.0) / 100.0, 0.05));
    }
}

#[test]
fn late_requests_are_made_up_for_only_where_a_whole_window_is_remembered() {
    let throttle = knows(TWO_SECONDS, 2048.0, 1024.0, 0.0);
    near(throttle.interval(1024.0).1, 0.05);
    near(throttle.interval(1024.5).1, 0.001);
}

#[test]
fn a_bucket_is_used_to_within_half_a_percent_and_half_its_size_may_be_made_up_for() {
    let throttle = knows(Counter::Bucket { drain: 100.0 }, 5.5, 90.0, 0.002);
    // It holds five: four more than the one that is sent, which drain in 4/90 s.
    near_both(throttle.interval(90.0), (1.005 / 90.0, 2.0 / 90.0));
    // Of twenty-one, twenty drain in more than 200 ms: half of that is more than may ever be made up for.
    near_both(knows(Counter::Bucket { drain: 100.0 }, 21.0, 90.0, 0.0).interval(90.0), (1.005 / 90.0, 0.05));
}

#[test]
fn a_small_bucket_never_overflows_however_early_a_request_comes() {
    // Whatever the jitter, at most a tenth of the interval is added before refusals show that it takes more.
    let early = 0.1 / 95.0;
    // In a bucket of one, each request must have drained before the next can come, however early.
    let one = knows(Counter::Bucket { drain: 95.0 }, 1.0, 95.0, 0.002);
    near_both(one.interval(95.0), (early + 0.002 + 1.005 / 95.0, 0.0));
    // In a bucket of two, three requests take at least as long as one takes to drain, plus what is made up for.
    let two = knows(Counter::Bucket { drain: 95.0 }, 2.9, 95.0, 0.006);
    near_both(two.interval(95.0), ((early + 0.006 + (0.5 + 1.005) / 95.0) / 2.0, 0.5 / 95.0));
    // A size below one counts as one.
    near_both(knows(Counter::Bucket { drain: 95.0 }, 0.4, 95.0, 0.002).interval(95.0), one.interval(95.0));
    // A probed rate is used, though it exceeds the drain.
    near_both(one.interval(190.0), (early + 0.002 + 1.005 / 190.0, 0.0));
    let mut even = knows(Counter::Bucket { drain: 95.0 }, 1.0, 95.0, 0.0);
    even.trips.jitter = 0.001;
    near_both(even.interval(95.0), (0.001 / 2_f64.sqrt() + 1.005 / 95.0, 0.0));
}

#[test]
fn only_a_bucket_that_holds_next_to_nothing_needs_turns_finer_than_a_tick() {
    let bucket = |size| knows(Counter::Bucket { drain: 100.0 }, size, 90.0, 0.0);
    // In two ticks, a fifth of a request drains.
    assert!(bucket(1.0).is_fine() && bucket(1.19).is_fine());
    assert!(!bucket(1.21).is_fine());
    assert!(!knows(TWO_SECONDS, 1.0, 0.5, 0.0).is_fine());
    assert!(!Throttle::new(100.0).is_fine());
}

#[test]
fn a_request_waits_until_a_window_of_requests_is_a_window_old() {
    let mut throttle = knows(TWO_SECONDS, 6.0, 3.0, 0.02);
    throttle.sends.extend([5.0, 5.1, 5.2, 5.3, 5.4]);
    assert_eq!(throttle.window_due(3.0), None, "there is room for a sixth");
    throttle.sends.push_back(5.5);
    // Two seconds after the first of six, plus 35 ms for jitter, a stall and the margin.
    near(throttle.window_due(3.0).expect("the window is full"), 7.035);
    near(throttle.window_due(3.4).expect("six and a part are six"), 7.035);
    throttle.sends.extend([7.1, 7.2]);
    near(throttle.window_due(3.0).expect("the third counts"), 7.235);
    near(throttle.next(secs(7.21)).as_secs_f64(), 7.235);
    assert_eq!(throttle.next(secs(7.25)), secs(7.25));
    assert_eq!(throttle.window_due(0.2), None, "a window that holds no whole request tells nothing");
}

#[test]
fn a_bucket_has_no_window_to_wait_for() {
    let mut throttle = knows(Counter::Bucket { drain: 3.0 }, 1.0, 3.0, 0.0);
    throttle.sends.extend([5.0; 50]);
    assert_eq!(throttle.window_due(3.0), None);
}

#[test]
fn whole_requests_are_counted_despite_rounding_errors() {
    for (requests, count) in [(6.0, Some(6)), (6.9, Some(6)), (6.999_999_5, Some(7)), (1.0, Some(1)), (0.999, None), (0.0, None)] {
        assert_eq!(whole(requests), count, "{requests}");
    }
    assert_eq!(whole(f64::INFINITY), None);
}

#[test]
fn a_late_request_makes_up_for_three_milliseconds_and_a_pause_for_no_more() {
    let mut throttle = Throttle::new(1000.0);
    // Fifty a second, before anything is answered: 20 ms apart.
    for (sent, due) in [(10.0, 10.017), (10.018, 10.037), (10.5, 10.517)] {
        throttle.sent(secs(sent));
        near(throttle.due, due);
        near(throttle.next(secs(sent)).as_secs_f64(), due);
    }
    assert_eq!(throttle.next(secs(10.6)), secs(10.6), "its time has passed");
}

#[test]
fn only_the_remembered_number_of_sends_is_kept() {
    let mut throttle = Throttle::new(1000.0);
    for nth in 0..REMEMBERED {
        throttle.sent(Duration::from_secs(nth as u64));
    }
    assert_eq!((throttle.sends.len(), throttle.sends.front()), (REMEMBERED, Some(&0.0)));
    throttle.sent(Duration::from_secs(5000));
    assert_eq!((throttle.sends.len(), throttle.sends.front()), (REMEMBERED, Some(&1.0)));
}

#[test]
fn nothing_is_sent_before_now_however_long_it_has_run() {
    // A float no longer resolves a nanosecond.
    let now = Duration::new(1 << 40, 1);
    assert_eq!(Throttle::new(1000.0).next(now), now);
}

#[test]
fn after_a_hold_the_next_request_is_due_within_a_second_and_no_turns_are_made_up_for() {
    for (due, next) in [(100.0, 6.0), (5.5, 5.5), (1.0, 5.0)] {
        let mut throttle = Throttle::new(1000.0);
        throttle.refused(secs(1.0), secs(1.1), Some(secs(1.0)), 0.0);
        throttle.due = due;
        assert_eq!(throttle.next(secs(5.0)), secs(next), "{due}");
        near(throttle.due, next);
    }
}

#[test]
fn the_working_rate_is_the_learnt_one_but_at_least_one_an_hour() {
    let mut throttle = knows(TWO_SECONDS, 60.0, 30.0, 0.0);
    near(throttle.learnt(1.0).expect("a limit"), 30.0);
    near(throttle.rate(1.0), 30.0);
    near(LEAST * 3600.0, 1.0);
    let mut slow = knows(Counter::Sliding { window: 3600.0 }, 0.001, 1e-7, 0.0);
    near(slow.rate(1.0) * 3600.0, 1.0);
    assert_eq!(Throttle::new(100.0).learnt(1.0), None);
}
