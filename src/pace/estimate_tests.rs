//! The figures of an estimate, and what it remembers. Times are in seconds, costs in nats.

use super::estimate::{Estimate, HIGHER, MATTERS};
use super::evidence::{Answered, Counter, Episode, Log, Observed};
use super::explanation::Explanation;
use super::shared::left_of;
use super::weighing::refused;

/// Cost of an unexplained answer before anything was sent: one in a hundred.
pub(super) const MISFIT: f64 = 4.605;

pub(super) const SECOND: Counter = Counter::Sliding { window: 1.0 };

pub(super) fn window(size: f64) -> Explanation {
    Explanation { counter: SECOND, size, misfits: 0.0, rate: size, low: size, high: size }
}

pub(super) fn bucket(drain: f64, size: f64) -> Explanation {
    Explanation { counter: Counter::Bucket { drain }, size, misfits: 0.0, rate: drain, low: drain, high: drain }
}

pub(super) fn believing(limit: Explanation) -> Estimate {
    Estimate { limit: Some(limit), wait: 1.0, ..Estimate::default() }
}

/// `count` admitted requests, 25 ms apart.
pub(super) fn let_in(at: f64, count: u16) -> Vec<Answered> {
    (0..count).map(|nth| Answered { sent: f64::from(nth).mul_add(0.025, at), admitted: true }).collect()
}

/// A second in which a window admits `count`; three requests later in it are refused.
pub(super) fn full(at: f64, count: u16) -> Vec<Answered> {
    let refused = [0.3, 0.6, 0.9].map(|later| Answered { sent: at + later, admitted: false });
    let_in(at, count).into_iter().chain(refused).collect()
}

/// One is admitted and one refused half a second later, which no full window explains.
pub(super) fn lone(at: f64) -> Vec<Answered> {
    vec![Answered { sent: at - 0.5, admitted: true }, Answered { sent: at, admitted: false }]
}

/// What a limiter answers to `rate` requests a second for some seconds.
pub(super) fn answered(limit: Explanation, at: f64, rate: u16, seconds: u16) -> Vec<Answered> {
    let mut log: Vec<Answered> = Vec::new();
    for nth in 0..rate * seconds {
        log.push(Answered { sent: at + f64::from(nth) / f64::from(rate), admitted: false });
        let held = limit.counter.readings(&log, 0.0).last().expect("one").held;
        log.last_mut().expect("one").admitted = held <= limit.size + 1e-9;
    }
    log
}

pub(super) fn log_of(parts: &[Vec<Answered>]) -> Log {
    let mut log = Log::default();
    parts.iter().flatten().for_each(|answered| log.add(*answered));
    log
}

pub(super) fn known(log: &Log, now: f64) -> Observed<'_> {
    Observed {
        now,
        began: 0.0,
        log,
        sent: 0.0,
        refused: 0.0,
        left: 1000.0,
        most: 1000.0,
        fastest: 500.0,
        trip: 0.1,
        jitter: 0.001,
        early: 0.002,
    }
}

#[track_caller]
pub(super) fn is_near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 0.02, "{found} is not {expected}");
}

#[track_caller]
pub(super) fn is_exactly(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

fn best(estimate: &Estimate, parts: &[Vec<Answered>]) -> (f64, Explanation) {
    let log = log_of(parts);
    estimate.best(&log.since(0.0), &known(&log, 10.0))
}

#[test]
fn the_window_is_a_second_where_none_is_known() {
    assert_eq!(Estimate::default().limit, None);
    assert_eq!(believing(window(10.0)).limit, Some(window(10.0)));
    is_exactly(Estimate::default().window(), 1.0);
    is_exactly(believing(bucket(5.0, 2.0)).window(), 1.0);
    let minute = Explanation { counter: Counter::Sliding { window: 60.0 }, ..window(10.0) };
    is_exactly(believing(minute).window(), 60.0);
}

#[test]
fn the_hazard_is_the_rate_of_changes_so_far_and_falls_while_none_comes() {
    let log = Log::default();
    let hazard =
        |changes: f64, began: f64, now: f64| Estimate { changes, ..Estimate::default() }.hazard(&Observed { began, ..known(&log, now) });
    // Three changes in 300 seconds; then none in 600, so one in as many and ten minutes more.
    is_exactly(hazard(3.0, 100.0, 400.0), 0.01);
    is_exactly(hazard(0.0, 100.0, 700.0), 1.0 / 1200.0);
    is_exactly(hazard(2.0, 5.0, 5.0), 2.0);
}

#[test]
fn a_misfit_costs_more_the_rarer_chance_is() {
    let log = Log::default();
    let misfit = |by_chance: f64, sent: f64| Estimate { by_chance, ..Estimate::default() }.misfit(&Observed { sent, ..known(&log, 1.0) });
    // One in a hundred, one in a thousand, and ten in a thousand.
    is_exactly(misfit(0.0, 0.0), 100_f64.ln());
    is_exactly(misfit(0.0, 900.0), 1000_f64.ln());
    is_exactly(misfit(9.0, 900.0), 100_f64.ln());
}

#[test]
fn without_a_limit_every_refusal_is_unexplained_and_with_one_its_misfits() {
    let log = log_of(&[full(0.0, 10), lone(5.0), lone(7.0)]);
    let answers = log.since(0.0);
    is_exactly(refused(&answers), 5.0);
    is_exactly(Estimate::default().unexplained_of(&answers, &known(&log, 8.0)), 5.0);
    is_exactly(believing(window(10.0)).unexplained_of(&answers, &known(&log, 8.0)), 2.0);
}

#[test]
fn a_first_limiter_costs_two_numbers_another_kind_one_and_the_same_kind_none() {
    let log = [full(0.0, 10), full(2.0, 10)];
    let (cost, found) = best(&Estimate { wait: 1.0, ..Estimate::default() }, &log);
    is_near(cost, 10_000_f64.ln());
    assert_eq!((found.counter, found.rate.to_bits()), (SECOND, 10_f64.to_bits()));
    is_near(best(&believing(bucket(10.0, 1.0)), &log).0, 100_f64.ln());
    is_exactly(best(&believing(window(50.0)), &log).0, 0.0);
}

#[test]
fn each_misfit_costs_its_rarity() {
    let (cost, _) = best(&believing(window(10.0)), &[full(0.0, 10), full(2.0, 10), lone(5.0), lone(7.0)]);
    is_near(cost, 2.0 * MISFIT);
}

#[test]
fn a_number_that_is_not_round_costs_its_rarity_in_addition() {
    let burst = |at: f64, refused: u16| {
        let mut all: Vec<_> = (0..101_u16).map(|nth| Answered { sent: at + f64::from(nth) / 400.0, admitted: true }).collect();
        all.extend((0..refused).map(|nth| Answered { sent: at + 0.27 + f64::from(nth) * 0.05, admitted: false }));
        all
    };
    // The second burst is refused for so long that no fixed window began within the first.
    let (cost, found) = best(&Estimate { wait: 1.0, ..Estimate::default() }, &[burst(0.0, 14), burst(2.3, 15)]);
    is_exactly(found.rate, 101.0);
    // A new limiter, with one of the ten percent of limits that have three digits.
    is_near(cost, 9.2 + 10_f64.ln());
}

#[test]
fn a_wait_longer_than_twice_the_window_costs_its_rarity_in_addition() {
    let log = [full(0.0, 10), full(2.0, 10), full(4.0, 10)];
    let (cost, found) = best(&Estimate { wait: 20.0, ..Estimate::default() }, &log);
    is_exactly(found.rate, 10.0);
    is_near(cost, 9.2 + 10_f64.ln());
}

#[test]
fn a_fallen_limit_keeps_its_kind_of_counter() {
    let log = [answered(bucket(10.0, 3.0), 0.0, 25, 4)];
    let limit = window(50.0);
    assert_eq!(best(&believing(limit), &log).1.counter.window(), None);
    let fallen = Estimate { has_fallen: true, ..believing(limit) };
    assert_eq!(best(&fallen, &log).1.counter.window(), Some(1.0));
    let log = [full(0.0, 10), full(2.0, 10)];
    let fallen = Estimate { has_fallen: true, ..believing(bucket(50.0, 3.0)) };
    assert_eq!(best(&fallen, &log).1.counter.window(), None);
}

#[test]
fn the_phase_of_a_window_stays_if_it_explains_as_well() {
    let phase = |at: f64| Counter::Fixed { window: 1.0, phase: at };
    let estimate = |at: f64| Estimate { wait: 20.0, ..believing(Explanation { counter: phase(at), ..window(10.0) }) };
    let log = [full(0.0, 10), full(2.0, 10), full(4.0, 10)];
    // The window begins in the 70 ms in which nothing was sent, where any phase is as good. A wait of ten times twice
    // the window costs as much as it is rare.
    let (cost, found) = best(&estimate(0.037), &log);
    assert_eq!((found.counter, found.size.to_bits()), (phase(0.037), 10_f64.to_bits()));
    is_near(cost, 10_f64.ln());
    // With a window that begins between refusals, three of each second are unexplained.
    assert_ne!(best(&estimate(0.55), &log).1.counter, phase(0.55));
}

#[test]
fn of_equal_explanations_the_highest_clear_rate_wins_and_the_range_is_kept() {
    let burst = || {
        let mut all = let_in(0.0, 10);
        all.extend([0.25, 0.251, 0.252].map(|sent| Answered { sent, admitted: false }));
        [all]
    };
    // Any bucket that drains less than one in the last 27 ms explains it too, the likeliest at half of that, but with a wide range.
    let (_, found) = best(&Estimate { wait: 1.0, ..Estimate::default() }, &burst());
    assert_eq!((found.counter, found.rate.to_bits()), (SECOND, 10_f64.to_bits()));
    assert!((30.0..=40.0).contains(&found.high), "{found:?}");
    // An hour fits a wait of 150 s best. A minute costs ln 1.25 more, which counts as equal, and admits sixty times as many.
    let (cost, found) = best(&Estimate { wait: 150.0, ..Estimate::default() }, &burst());
    assert_eq!((found.counter, found.size.to_bits()), (Counter::Sliding { window: 60.0 }, 10_f64.to_bits()));
    is_near(cost, 9.2);
}

#[test]
fn a_limit_that_is_nearly_the_former_one_is_it_again() {
    let set = |rate: f64, former: f64, kept: f64| {
        let mut estimate = Estimate { former, kept, has_fallen: true, margin: 0.1, ..Estimate::default() };
        estimate.set(Explanation { misfits: 3.0, ..window(rate) });
        is_exactly(estimate.unexplained, 3.0);
        assert!(!estimate.has_fallen && estimate.margin <= 0.0);
        estimate.former
    };
    is_exactly(set(90.0, 100.0, 0.0), 100.0);
    is_exactly(set(95.0, 100.0, 0.0), 0.0);
    is_exactly(set(100.0, 100.0 * MATTERS, 0.0), 0.0);
    is_exactly(set(100.0, 100.0, 200.0), 200.0);
}

#[test]
fn a_limit_is_no_higher_than_a_rate_that_was_too_high() {
    let high = |too_high: f64| {
        let mut estimate = Estimate::default();
        estimate.probes.too_high = too_high;
        estimate.set(Explanation { high: 200.0, ..window(100.0) });
        estimate.limit.expect("set").high
    };
    for (too_high, expected) in [(f64::INFINITY, 200.0), (150.0, 150.0), (50.0, 100.0)] {
        is_exactly(high(too_high), expected);
    }
}

#[test]
fn dropping_a_limit_keeps_only_what_is_known_of_chance_and_of_waits() {
    let limit = Estimate { by_chance: 7.0, is_long: true, evident: 3.0, changes: 2.0, former: 20.0, ..believing(window(10.0)) };
    let mut estimate = Estimate { wait: 5.0, ..limit };
    estimate.forget();
    assert_eq!((estimate.limit, estimate.is_long), (None, true));
    for (found, expected) in [(estimate.by_chance, 7.0), (estimate.wait, 5.0), (estimate.evident, 3.0), (estimate.changes, 0.0)] {
        is_exactly(found, expected);
    }
}

#[test]
fn a_shared_window_leaves_what_it_admitted_before_it_refused() {
    let log = log_of(&[let_in(5.5, 7), let_in(8.0, 10), let_in(10.0, 4)]);
    let episode = Episode { after: 0.0, until: 12.0, refused: 10.0, wait: 1.0 };
    for counter in [Counter::Sliding { window: 2.0 }, Counter::Fixed { window: 2.0, phase: 0.5 }] {
        let (left, give) = left_of(&Explanation { counter, ..window(30.0) }, &episode, &known(&log, 12.0));
        is_exactly(left, 5.0);
        is_exactly(give, 0.0);
    }
}

#[test]
fn a_shared_bucket_leaves_what_it_admitted_less_its_store() {
    let log = log_of(&[let_in(5.5, 7), let_in(8.0, 26), let_in(9.92, 2), let_in(9.97, 1), let_in(9.98, 1), let_in(10.0, 4)]);
    let left = |size: f64, after: f64| {
        let episode = Episode { after, until: 16.0, refused: 10.0, wait: 4.0 };
        left_of(&bucket(20.0, size), &episode, &known(&log, 16.0))
    };
    // 30 in the two seconds before: all but the 10 it held, or as many in these and the 4 of the previous hold.
    for (size, after, rate, give) in [(10.0, 0.0, 10.0, 1.25), (28.0, 0.0, 5.0, 2.5)] {
        let (found, wrong) = left(size, after);
        is_exactly(found, rate);
        is_exactly(wrong, give);
    }
    // Right after a hold, a tenth of a second counts: 4 are admitted, of which it held 2.
    is_exactly(left(2.0, 9.95).0, 20.0);
    is_exactly(left(2.0, 9.95).1, 5.0);
    is_exactly(left(10.0, 9.0).0, 4.0 / 5.0);
}

#[test]
fn a_first_limit_may_be_higher_with_low_likelihood() {
    let mut estimate = Estimate { wait: 1.0, ..Estimate::default() };
    let log = log_of(&[full(0.0, 10)]);
    estimate.learn(&Episode { after: 0.0, until: 2.0, refused: 0.3, wait: 1.0 }, &known(&log, 2.0));
    assert_eq!(estimate.limit.map(|limit| limit.rate.to_bits()), Some(10_f64.to_bits()));
    let (rate, likely) = estimate.probes.doubt.expect("some");
    is_exactly(rate, 10.0 * HIGHER);
    is_exactly(likely, 0.03);
    is_exactly(estimate.since, 2.0);
}
