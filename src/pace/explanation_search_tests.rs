//! Which limiters are searched, and how exactly the answers determine them.

use super::evidence::{Answered, Counter};
use super::explanation::{Evidence, Explanation};

fn evidence(log: &[Answered]) -> Evidence<'_> {
    Evidence { log, from: 0.0, wait: 1.0, is_long: false, jitter: 0.0, fastest: 1000.0 }
}

fn let_in(sent: f64) -> Answered {
    Answered { sent, admitted: true }
}

fn refused(sent: f64) -> Answered {
    Answered { sent, admitted: false }
}

#[track_caller]
fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
}

/// Some admitted one after another, others at once, and one of these refused: a fixed window of a minute that begins
/// between two of the first has counted only those after.
fn minute_of(singles: u8, at_once: usize) -> Vec<Answered> {
    let mut log: Vec<Answered> = (0..singles).map(|nth| let_in(66.0 + f64::from(nth) * 1.5)).collect();
    log.extend(std::iter::repeat_n(let_in(90.0), at_once));
    log.push(refused(90.0));
    log
}

/// Twenty fill a window; requests before its edge are refused, those after it admitted.
fn edge_of(refused_at: &[f64], let_in_at: &[f64]) -> Vec<Answered> {
    let full = std::iter::repeat_n(let_in(0.1), 20);
    full.chain(refused_at.iter().copied().map(refused)).chain(let_in_at.iter().copied().map(let_in)).collect()
}

fn phase_of(found: &Explanation) -> f64 {
    match found.counter {
        Counter::Fixed { phase, .. } => phase,
        Counter::Sliding { .. } | Counter::Bucket { .. } => panic!("{found:?}"),
    }
}

fn windows_of(evidence: &Evidence<'_>) -> Vec<f64> {
    let found = evidence.explanations();
    let sliding = found.iter().filter(|found| matches!(found.counter, Counter::Sliding { .. }));
    sliding.filter_map(|found| found.counter.window()).collect()
}

#[test]
fn one_of_each_kind_is_searched() {
    let log = [let_in(0.0), refused(0.1)];
    let [sliding, fixed, bucket] = evidence(&log).explanations()[..] else { panic!("three") };
    assert_eq!(sliding.counter, Counter::Sliding { window: 1.0 });
    assert!(matches!(fixed.counter, Counter::Fixed { window: 1.0, .. }), "{fixed:?}");
    assert!(matches!(bucket.counter, Counter::Bucket { .. }), "{bucket:?}");
}

#[test]
fn windows_up_to_the_longest_wait_are_searched() {
    let log = [let_in(0.0), refused(0.1)];
    for (wait, windows) in [
        (0.0, &[1.0][..]),
        (1.0, &[1.0]),
        (2.0, &[1.0]),
        (2.1, &[1.0, 60.0]),
        (61.0, &[1.0, 60.0]),
        (61.1, &[1.0, 60.0, 3600.0]),
        (9999.0, &[1.0, 60.0, 3600.0]),
    ] {
        assert_eq!(windows_of(&Evidence { wait, ..evidence(&log) }), windows, "{wait}");
    }
}

#[test]
fn a_longer_window_is_searched_after_a_hold_that_was_too_short_once_the_log_spans_it() {
    for (wait, passed, is_long, windows) in [
        (1.0, 60.0, true, &[1.0, 60.0][..]),
        (1.0, 59.9, true, &[1.0]),
        (1.0, 60.0, false, &[1.0]),
        (1.0, 9999.0, true, &[1.0, 60.0]),
        (10.0, 3600.0, true, &[1.0, 60.0, 3600.0]),
        (10.0, 3599.0, true, &[1.0, 60.0]),
        (10.0, 3600.0, false, &[1.0, 60.0]),
        (99.0, 9999.0, true, &[1.0, 60.0, 3600.0]),
    ] {
        let log = [let_in(100.0), refused(100.1), let_in(100.0 + passed)];
        assert_eq!(windows_of(&Evidence { wait, is_long, ..evidence(&log) }), windows, "{wait} {passed} {is_long}");
    }
}

#[test]
fn earlier_requests_are_counted_but_not_explained() {
    let log = [0.0, 1.0, 2.0, 3.0, 4.0].map(let_in);
    let held = |from: f64| {
        let readings = Evidence { from, ..evidence(&log) }.readings(Counter::Sliding { window: 10.0 });
        readings.iter().map(|reading| reading.held).collect::<Vec<_>>()
    };
    assert_eq!(held(0.0), [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(held(1.0), [2.0, 3.0, 4.0, 5.0]);
    assert_eq!(held(1.5), [3.0, 4.0, 5.0]);
    assert!(held(4.5).is_empty());
}

#[test]
fn the_rate_of_a_window_is_its_size_per_window() {
    let log = [let_in(0.0), let_in(1.0), let_in(2.0), refused(3.0)];
    for counter in [Counter::Sliding { window: 60.0 }, Counter::Fixed { window: 60.0, phase: 5.0 }] {
        let found = evidence(&log).sized(counter);
        assert_eq!(found.counter, counter);
        assert_near(found.size, 3.0);
        assert_near(found.misfits, 0.0);
        for rate in [found.rate, found.low, found.high] {
            assert_near(rate, 0.05);
        }
    }
}

#[test]
fn the_edge_of_a_fixed_window_is_found_to_a_millisecond() {
    // The edge is at 0.6267, 373 ms before a full second, give or take half a millisecond. Of the coarse phases, 0.63
    // is the better one where more is refused just before the edge, and 0.62 where more is admitted just after.
    let later = edge_of(&[0.6062, 0.6162, 0.6252, 0.6262], &[0.6272, 0.6372, 0.6472]);
    let earlier = edge_of(&[0.6062, 0.6162, 0.6262], &[0.6272, 0.6282, 0.6372, 0.6472]);
    for log in [later, earlier] {
        let found = evidence(&log).fixed(1.0);
        assert_near(phase_of(&found), 0.373);
        assert_near(found.misfits, 0.0);
        for size in [found.size, found.rate, found.low, found.high] {
            assert_near(size, 20.0);
        }
    }
}

#[test]
fn a_fixed_window_that_may_begin_anywhere_leaves_its_size_open() {
    let log = minute_of(7, 196);
    let found = evidence(&log).fixed(60.0);
    assert_near(found.misfits, 0.0);
    assert_near(found.low * 60.0, 196.0);
    assert_near(found.high * 60.0, 203.0);
    // The roundest of these, in requests a minute.
    assert_near(found.size, 200.0);
    assert_near(found.rate * 60.0, 200.0);
    // Three singles come before the edge, four after: it is after 69 s and before 70.5.
    assert!((49.5..51.0).contains(&phase_of(&found)), "{found:?}");
}

#[test]
fn a_fixed_window_has_its_greatest_possible_size_if_that_is_round_or_none_is() {
    let highest = evidence(&minute_of(12, 98)).fixed(60.0);
    assert_near(highest.low * 60.0, 98.0);
    assert_near(highest.size, 110.0);
    let none_round = evidence(&minute_of(3, 1001)).fixed(60.0);
    assert_near(none_round.low * 60.0, 1001.0);
    assert_near(none_round.size, 1004.0);
}

#[test]
fn a_changed_limit_keeps_its_kind_of_counter() {
    let at_a_millisecond = edge_of(&[0.6062, 0.6162, 0.6262], &[0.6272, 0.6282, 0.6372]);
    let found = evidence(&at_a_millisecond).alike(Counter::Sliding { window: 1.0 });
    assert_near(phase_of(&found), 0.373);
    // An edge that is known more exactly than it is searched.
    let exactly = edge_of(&[0.6062, 0.6162, 0.626_4], &[0.626_5, 0.6282, 0.6372]);
    let known = Counter::Fixed { window: 1.0, phase: 0.373_55 };
    assert_eq!(evidence(&exactly).alike(known).counter, known);
    assert!(matches!(evidence(&exactly).alike(Counter::Bucket { drain: 20.0 }).counter, Counter::Bucket { .. }));
}

#[test]
fn a_shared_window_fills_earlier_within_the_noise_of_others() {
    // At first 58 are admitted, and five seconds later 62. Of a hundred, ten more or less are chance.
    let mut log = vec![let_in(0.0); 58];
    log.push(refused(0.0));
    log.extend([let_in(5.0); 62]);
    log.push(refused(5.0));
    let shared = |counter: Counter| {
        let limit = Explanation { counter, size: 100.0, misfits: 0.0, rate: 100.0, low: 100.0, high: 100.0 };
        evidence(&log).misfits_shared(&limit)
    };
    // At 62, the first refusal, with 59, is three too early.
    assert_near(shared(Counter::Sliding { window: 1.0 }), 0.3);
    assert_near(shared(Counter::Fixed { window: 1.0, phase: 0.5 }), 0.3);
    assert_near(shared(Counter::Bucket { drain: 100.0 }), evidence(&log).bucket().misfits);
}

#[test]
fn buckets_are_searched_from_the_highest_rate_down() {
    let log = vec![let_in(0.0); 100];
    let rates = |from: f64, to: f64, step: f64| -> Vec<f64> {
        evidence(&log).buckets(from, to, step).into_iter().map(|(drain, size, misfits)| drain + (size - 100.0) + misfits).collect()
    };
    assert_eq!(rates(8.0, 2.0, 2.0), [8.0, 4.0, 2.0]);
    assert_eq!(rates(8.0, 2.1, 2.0), [8.0, 4.0]);
    assert!(rates(1.0, 2.0, 2.0).is_empty());
    assert_eq!(rates(1.0, 0.0, 1e200), [1.0, 1e-200], "no bucket drains at nothing");
}

#[test]
fn a_bucket_is_judged_to_within_two_seconds_of_a_wrong_rate_or_the_jitter() {
    // The 41st is refused, and the 42nd admitted 50 ms later, when 41.5 are held at 10/s: with any size, half a request
    // is too many or too few.
    let mut log = vec![let_in(0.0); 40];
    log.extend([refused(0.0), let_in(0.0), let_in(0.05)]);
    let misfits = |jitter: f64, step: f64| Evidence { jitter, ..evidence(&log) }.buckets(10.0, 10.0, step)[0].2;
    assert_near(misfits(0.0, 1.05), 0.5);
    assert_near(misfits(0.0, 1.25), 0.1);
    assert_near(misfits(0.005, 1.05), 0.5);
    // At 10/s, at most a twentieth of a request is jitter.
    assert_near(misfits(1.0, 1.002), 1.0);
}

#[test]
fn the_rate_of_a_bucket_is_open_down_to_a_hundredth_without_evidence() {
    // Nine are admitted within 80 ms, and a tenth is refused: 125 a second.
    let mut log: Vec<Answered> = (0..9_u8).map(|nth| let_in(f64::from(nth) / 100.0)).collect();
    log.push(refused(0.08));
    let found = Evidence { fastest: 125.0, ..evidence(&log) }.bucket();
    assert_near(found.misfits, 0.0);
    assert_near(found.high, 125.0);
    assert!((1.25..1.25 * 1.05).contains(&found.low), "{found:?}");
    // Half of that, which a 429 soon shows if it is too high. Nine were admitted within 80 ms, in which five drain at 62.5/s.
    assert_near(found.rate, 62.5);
    assert!((9.0 - 5.0 * 1.05..=4.0).contains(&found.size), "{found:?}");
    assert_eq!(found.counter, Counter::Bucket { drain: found.rate });
}

#[test]
fn the_rate_of_a_bucket_is_searched_down_to_a_quarter_of_the_rate_admitted_after_a_refusal() {
    // The first is refused by chance; 21 are admitted within a second, the last four in 3 ms.
    let mut log = vec![refused(10.0)];
    log.extend((1..18_u8).map(|nth| let_in(10.0 + f64::from(nth) * 0.05)));
    log.extend([10.997, 10.998, 10.999, 11.0].map(let_in));
    let found = Evidence { fastest: 800.0, ..evidence(&log) }.bucket();
    assert_near(found.misfits, 1.0);
    assert_near(found.high, 800.0);
    assert!((5.25..5.25 * 1.05).contains(&found.low), "{found:?}");
    assert_near(found.rate, 400.0);
}

#[test]
fn the_range_of_a_bucket_is_found_to_a_five_hundredth() {
    // One is admitted every 25 ms, and one refused 8 ms after it: a bucket of one that is still full after 8 ms but not after
    // 25 drains at 40 to 125 a second. If it drains slightly more slowly, thirty rounds fill it by less than a refusal shows.
    let cycle = |nth: u8| {
        let at = f64::from(nth) * 0.025;
        [let_in(at), refused(at + 0.006), refused(at + 0.007), refused(at + 0.008)]
    };
    let log: Vec<Answered> = (0..30).flat_map(cycle).collect();
    let found = Evidence { fastest: 170.0, ..evidence(&log) }.bucket();
    assert_near(found.misfits, 0.0);
    assert!((125.0 / 1.002..125.0).contains(&found.high), "{found:?}");
    assert!((38.0..40.0).contains(&found.low), "{found:?}");
    assert_near(found.rate, (found.low * found.high).sqrt());
}

#[test]
fn a_bucket_that_admits_every_second_request_drains_at_half_their_rate() {
    // At 200/s, a bucket of ten at 100/s is full with the 19th, and then has room for every second request.
    let log: Vec<Answered> =
        (0..100_u16).map(|nth| Answered { sent: 1.0 + f64::from(nth) / 200.0, admitted: nth < 18 || nth % 2 == 0 }).collect();
    let found = Evidence { fastest: 200.0, ..evidence(&log) }.bucket();
    assert!(found.misfits < 0.5 && found.low > 95.0 && found.high < 105.0, "{found:?}");
    assert_near(found.rate, 100.0);
    assert!((9.5..10.5).contains(&found.size), "{found:?}");
}

#[test]
fn an_empty_bucket_admits_what_drains() {
    let since = |log: &[Answered]| evidence(log).let_in_since_refused();
    assert_near(since(&[let_in(0.0), refused(1.0), let_in(1.5), let_in(2.0), let_in(2.5), refused(3.0)]), 1.5);
    assert_near(since(&[let_in(2.0), let_in(3.0), let_in(4.0)]), 1.5);
    for nothing in [&[][..], &[let_in(0.0), refused(1.0), refused(2.0)], &[refused(1.0), let_in(1.0)]] {
        assert!(since(nothing).is_infinite() && since(nothing) > 0.0, "{nothing:?}");
    }
}

#[test]
fn the_highest_rate_of_a_bucket_is_the_highest_over_four_requests_and_at_least_that_over_all() {
    let top = |sent: &[f64], fastest: f64| {
        let log: Vec<Answered> = sent.iter().copied().map(let_in).collect();
        Evidence { fastest, ..evidence(&log) }.top()
    };
    let burst = [10.0, 11.0, 11.25, 11.5, 11.75, 14.0, 20.0];
    assert_near(top(&burst, 1000.0), 4.0);
    assert_near(top(&burst, 2.5), 2.5);
    assert_near(top(&burst, 0.1), 0.7);
    // Five within four seconds.
    assert_near(top(&[10.0, 11.0, 12.0, 13.0, 14.0], 1000.0), 1.25);
    // No burst is shorter than 20 ms.
    assert_near(top(&[7.0, 7.0], 1000.0), 100.0);
    assert_near(top(&[], 1000.0), 0.0);
}

/// `count` requests at `rate`, answered by a bucket of this size and drain.
fn of_bucket(size: f64, drain: f64, rate: f64, count: u16) -> Vec<Answered> {
    let mut level = 0.0_f64;
    let answer = |nth: u16| {
        level = (level - drain / rate).max(0.0);
        let admitted = level + 1.0 <= size + 1e-9;
        level += if admitted { 1.0 } else { 0.0 };
        Answered { sent: f64::from(nth) / rate, admitted }
    };
    (0..count).map(answer).collect()
}

#[test]
fn a_round_rate_is_found_though_a_search_by_factors_steps_over_it() {
    // For two seconds, twice as much is sent as drains: a rate off by a hundredth is then off by two requests.
    for (size, drain) in [(10.0, 100.0), (9.0, 73.0), (12.0, 41.0)] {
        let found = evidence(&of_bucket(size, drain, 2.0 * drain, 400)).bucket();
        assert_near(found.misfits, 0.0);
        assert_eq!(found.counter, Counter::Bucket { drain: found.rate });
        assert!((found.rate / drain - 1.0).abs() < 0.003 && (found.size - size).abs() <= 1.0, "{found:?} of {drain}");
        assert!(found.low <= found.rate && found.rate <= found.high, "{found:?}");
    }
}
