//! The throttle's guarantees about holds, the start and what it learns.

use std::time::Duration;

use proptest::prelude::*;

use super::throttle::{DEFAULT_WAIT, FIRST, LEAST, Throttle};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A hundred are admitted within 200 ms, and five more in flight are refused; so few rows are left that nothing is probed.
fn found(most: f64) -> Throttle {
    let mut throttle = Throttle::new(most);
    throttle.expect(600);
    for nth in 0..105 {
        throttle.sent(ms(nth * 2));
    }
    (0..100).for_each(|nth| throttle.admitted(ms(nth * 2), ms(nth * 2 + 10)));
    for nth in 100..105 {
        throttle.refused(ms(nth * 2), ms(nth * 2 + 10), Some(ms(1000)), 0.0);
    }
    throttle
}

#[test]
fn a_429_holds_for_a_little_longer_than_it_asks_and_a_success_does_not_lift_the_hold() {
    let mut throttle = Throttle::new(100.0);
    assert_eq!(throttle.refused(ms(0), ms(50), Some(ms(2000)), 0.5), Some(ms(2000)));
    throttle.admitted(ms(10), ms(60));
    let until = throttle.held_until(ms(60)).expect("a hold");
    assert!((ms(2090)..ms(2250)).contains(&until), "{until:?}");
    assert_eq!(throttle.next(ms(70)), until);
    assert_eq!(throttle.held_until(until), None);
}

#[test]
fn requests_in_flight_together_begin_one_hold() {
    let mut throttle = Throttle::new(100.0);
    assert!(throttle.refused(ms(100), ms(150), Some(ms(1000)), 0.0).is_some());
    assert!(throttle.refused(ms(101), ms(160), Some(ms(1000)), 0.0).is_none(), "the same hold");
    assert!(throttle.refused(ms(102), ms(3100), Some(ms(500)), 0.0).is_some(), "it waits, however late the answer");
}

#[test]
fn a_full_window_is_used_evenly_and_never_exceeded() {
    let mut throttle = found(1000.0);
    let from = throttle.next(ms(2000));
    let (mut now, mut sent) = (from, Vec::new());
    while now < from + ms(5000) {
        throttle.sent(now);
        throttle.admitted(now, now + ms(10));
        sent.push(now);
        now = throttle.next(now + ms(1)).max(now + ms(1));
    }
    let fullest = sent.iter().map(|at| sent.iter().filter(|other| **other >= *at && **other < *at + ms(1000)).count()).max();
    assert!(fullest.is_some_and(|fullest| (95..=100).contains(&fullest)), "{fullest:?}");
    assert!(throttle.learnt(now.as_secs_f64()).is_some_and(|rate| (rate - 100.0).abs() < 1e-6));
}

#[test]
fn one_429_among_few_requests_says_little_about_the_rate() {
    let mut throttle = Throttle::new(50.0);
    throttle.expect(3000);
    (0..10).for_each(|nth| throttle.admitted(ms(nth * 20), ms(nth * 20 + 10)));
    throttle.refused(ms(200), ms(250), Some(ms(60_000)), 0.0);
    throttle.next(ms(70_000));
    assert_eq!(throttle.learnt(70.0), None);
}

#[test]
fn a_wait_after_which_nothing_is_admitted_is_doubled_whatever_the_429_says() {
    for (asked, waits) in [(None, [1, 2, 4, 8, 16, 30, 30]), (Some(ms(1000)), [1, 1, 2, 4, 8, 16, 30])] {
        let mut throttle = Throttle::new(100.0);
        let (mut now, mut holds) = (ms(0), Vec::new());
        for _ in 0..7 {
            holds.extend(throttle.refused(now, now, asked, 0.0));
            now = throttle.held_until(now).expect("a hold");
            assert_eq!(throttle.next(now), now);
        }
        assert_eq!(holds, waits.map(Duration::from_secs), "{asked:?}");
        throttle.admitted(now, now);
        assert_eq!(throttle.refused(now, now, asked, 0.0), Some(ms(1000)));
    }
}

#[test]
fn a_hold_of_another_endpoint_says_nothing_about_the_rate() {
    let mut throttle = Throttle::new(100.0);
    assert!(throttle.hold_back(ms(0), ms(1000), 0.0));
    throttle.next(ms(2000));
    assert_eq!(throttle.learnt(2.0), None);
    assert!(throttle.log.since(0.0).is_empty());
}

#[test]
fn at_most_forty_are_in_flight_before_a_limit_is_known_and_more_with_each_second() {
    let mut throttle = Throttle::new(1000.0);
    throttle.expect(100_000);
    assert!((throttle.rate(0.0) - FIRST).abs() < 1e-9);
    throttle.admitted(ms(0), ms(100));
    assert!((throttle.rate(0.1) - 400.0).abs() < 1.0);
    assert!((throttle.rate(1.2) - 500.0).abs() < 1.0);
    for second in 2..10 {
        throttle.rate(f64::from(second) + 0.2);
    }
    assert!((throttle.rate(10.3) - 1000.0).abs() < 1e-9);
    assert!(Throttle::new(f64::INFINITY).rate(0.0).is_infinite(), "where no limit is asked for, there is none at the start");
}

/// An event, and how long after the previous one.
#[derive(Debug, Clone, Copy)]
enum Event {
    Admitted,
    Refused(Option<u64>),
    Asked,
}

fn event() -> impl Strategy<Value = (u64, Event)> {
    let what = prop_oneof![
        6 => Just(Event::Admitted),
        2 => prop::option::of(0_u64..100_000).prop_map(Event::Refused),
        4 => Just(Event::Asked),
    ];
    (0_u64..20_000, what)
}

proptest! {
    #[test]
    fn no_rate_exceeds_the_one_asked_for_and_no_hold_is_cut_short(
        events in prop::collection::vec(event(), 0..100),
        most in prop::sample::select(vec![0.001, 1.0, 50.0, 2000.0, f64::INFINITY]),
        latency in 0_u64..5000,
        jitter in 0.0..1.0,
        rows in prop::option::of(0_u64..100_000),
    ) {
        let mut throttle = Throttle::new(most);
        if let Some(rows) = rows {
            throttle.expect(rows);
        }
        let (mut now, mut held) = (ms(10_000), ms(0));
        for (after, event) in events {
            now += ms(after);
            let sent = now.saturating_sub(ms(latency));
            match event {
                Event::Admitted => throttle.admitted(sent, now),
                Event::Refused(wait) => {
                    throttle.refused(sent, now, wait.map(ms), jitter);
                    held = held.max(now + wait.map_or(DEFAULT_WAIT, ms));
                }
                Event::Asked => {
                    let next = throttle.next(now);
                    prop_assert!(next >= held && next >= now);
                    let rate = throttle.rate(now.as_secs_f64());
                    prop_assert!(rate <= most && rate >= LEAST.min(most), "{}", rate);
                    throttle.sent(next);
                }
            }
            prop_assert!(now >= held || throttle.held_until(now).is_some_and(|until| until >= held));
        }
    }
}
