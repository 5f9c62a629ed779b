//! What a hold teaches: chance, another limiter, a change, others, or that there never was a limit.

use super::estimate::Estimate;
use super::estimate_tests::{answered, believing, bucket, full, is_exactly, known, let_in, log_of, lone, window};
use super::evidence::{Answered, Episode, Observed};
use super::shared::Shared;

fn episode(after: f64, refused: f64, until: f64) -> Episode {
    Episode { after, until, refused, wait: 1.0 }
}

/// The estimate after a hold, given these answers.
fn learn(mut estimate: Estimate, parts: &[Vec<Answered>], episode: &Episode) -> Estimate {
    let log = log_of(parts);
    estimate.learn(episode, &known(&log, episode.until));
    estimate
}

fn rate(estimate: &Estimate) -> Option<f64> {
    estimate.limit.map(|limit| limit.rate)
}

#[test]
fn a_hold_with_nothing_admitted_shows_only_that_the_window_is_longer() {
    let refused = || vec![vec![Answered { sent: 995.0, admitted: false }]];
    let found = learn(Estimate::default(), &refused(), &episode(990.0, 995.0, 1000.0));
    assert!(found.is_long && found.limit.is_none() && found.doubted.is_none());
    is_exactly(found.wait, 1.0);
    let found = learn(Estimate::default(), &[lone(995.0)], &episode(990.0, 995.0, 1000.0));
    assert!(!found.is_long);
}

#[test]
fn answers_are_evidence_for_as_long_as_a_limit_lasts() {
    // Ten changes in 1,000 s: evidence counts for 100 s.
    let refused = || vec![vec![Answered { sent: 995.0, admitted: false }]];
    let found = |evident: f64| {
        learn(Estimate { changes: 10.0, evident, ..Estimate::default() }, &refused(), &episode(990.0, 995.0, 1000.0)).evident
    };
    is_exactly(found(0.0), 900.0);
    is_exactly(found(950.0), 950.0);
}

#[test]
fn one_refusal_is_chance_and_three_that_a_window_explains_are_a_limit() {
    let found = learn(Estimate::default(), &[let_in(1.0, 5), lone(5.0)], &episode(0.0, 5.0, 6.0));
    assert_eq!((rate(&found), found.by_chance.to_bits(), found.doubted.is_some()), (None, 1_f64.to_bits(), true));
    let found = learn(Estimate::default(), &[full(0.0, 10)], &episode(0.0, 0.3, 2.0));
    assert_eq!((rate(&found), found.by_chance.to_bits(), found.doubted.is_some()), (Some(10.0), 0_f64.to_bits(), false));
    let found = learn(Estimate::default(), &[full(0.0, 10), full(2.0, 10)], &episode(0.0, 0.3, 4.0));
    assert_eq!(rate(&found), Some(10.0), "many that are explained are none of chance");
}

/// A full second of ten, ten more, and `count` chance refusals, each some time after ten admitted requests.
fn by_chance(count: u16) -> (Vec<Vec<Answered>>, Episode) {
    let at = |nth: u16| f64::from(nth).mul_add(4.0, 4.0);
    let parts = (1..=count).flat_map(|nth| [let_in(at(nth) - 2.2, 10), lone(at(nth))]);
    let last = at(count);
    ([full(0.0, 10), let_in(2.0, 10)].into_iter().chain(parts).collect(), episode(last - 1.0, last, last + 1.0))
}

#[test]
fn five_or_more_refusals_that_are_mostly_unexplained_were_chance() {
    // Three of the full second are explained; three others leave half of all unexplained.
    let (log, hold) = by_chance(3);
    assert_eq!(rate(&learn(Estimate::default(), &log, &hold)), Some(10.0));
    let (log, hold) = by_chance(4);
    let found = learn(Estimate::default(), &log, &hold);
    assert_eq!((rate(&found), found.doubted.is_some()), (None, true));
}

#[test]
fn a_limit_that_explains_less_than_half_never_was_one() {
    let believed = |unexplained: f64| Estimate { unexplained, ..believing(window(10.0)) };
    let (log, hold) = by_chance(3);
    let found = learn(believed(2.0), &log, &hold);
    assert_eq!((rate(&found), found.doubted.is_some()), (Some(10.0), true));
    let (log, hold) = by_chance(4);
    let found = learn(believed(3.0), &log, &hold);
    assert_eq!((rate(&found), found.doubted.is_some()), (None, false));
}

#[test]
fn a_limit_with_few_known_refusals_is_not_dropped_for_one_by_chance() {
    // The only refusal is unexplained, but fewer than five are too few to decide.
    let found = learn(believing(window(10.0)), &[full(0.0, 10)[..10].to_vec(), lone(5.0)], &episode(4.0, 5.0, 6.0));
    assert_eq!((rate(&found), found.by_chance.to_bits()), (Some(10.0), 1_f64.to_bits()));
}

#[test]
fn a_limit_that_was_quiet_for_a_hold_and_a_window_is_remembered() {
    let kept = |after: f64| learn(believing(window(10.0)), &[full(0.0, 10), lone(20.0)], &episode(after, 20.0, 22.0)).kept;
    is_exactly(kept(18.0), 10.0);
    is_exactly(kept(17.0), 10.0);
    is_exactly(kept(18.125), 0.0);
}

/// Two full seconds of ten, and a full one of five at `at`.
fn less_from(at: f64) -> [Vec<Answered>; 3] {
    [full(0.0, 10), full(2.0, 10), full(at, 5)]
}

#[test]
fn a_window_that_fills_early_soon_after_a_hold_is_shared() {
    // A share costs six nats and one for 0.8 s; a change costs 4.6 and ln (606 / 0.8).
    let found = learn(Estimate { former: 20.0, ..believing(window(10.0)) }, &less_from(4.0), &episode(3.5, 4.3, 6.0));
    assert!(found.shared.is_some() && !found.has_fallen);
    assert_eq!((rate(&found), found.in_a_row, found.evident.to_bits()), (Some(10.0), 1, 3.5_f64.to_bits()));
}

#[test]
fn a_window_that_fills_early_after_a_long_quiet_time_has_fallen() {
    // A share costs a nat for each of a hundred seconds; a change costs 4.6 and ln (706 / 100.8).
    let found = learn(believing(window(10.0)), &less_from(104.0), &episode(3.5, 104.3, 106.0));
    assert!(found.has_fallen && found.shared.is_none() && found.doubted.is_none());
    assert_eq!((rate(&found), found.evident.to_bits()), (Some(10.0), 106_f64.to_bits()));
    // The next hold shows how far.
    let next = [less_from(104.0).to_vec(), vec![full(106.5, 5), full(108.0, 5)]].concat();
    let found = learn(found, &next, &episode(106.0, 106.8, 110.0));
    assert!(!found.has_fallen && found.shared.is_none());
    assert_eq!([found.changes, found.former].map(f64::to_bits), [1.0, 10.0].map(f64::to_bits));
    assert_eq!(rate(&found), Some(5.0));
}

#[test]
fn a_bucket_that_starts_draining_more_slowly_has_changed() {
    let log = [answered(bucket(10.0, 3.0), 0.0, 20, 4), answered(bucket(5.0, 3.0), 100.0, 20, 4)];
    let found = learn(believing(bucket(10.0, 3.0)), &log, &episode(5.0, 100.4, 105.0));
    assert!(rate(&found).is_some_and(|rate| (4.5..=5.5).contains(&rate)), "{:?}", found.limit);
    assert_eq!([found.changes, found.former, found.since].map(f64::to_bits), [1.0, 10.0, 105.0].map(f64::to_bits));
    is_exactly(found.evident, 98.4);
}

#[test]
fn a_bucket_that_was_misjudged_has_not_changed() {
    let log = [answered(bucket(10.0, 3.0), 0.0, 20, 4), answered(bucket(10.0, 3.0), 100.0, 20, 4)];
    let found = learn(believing(bucket(20.0, 3.0)), &log, &episode(5.0, 100.4, 105.0));
    assert!(rate(&found).is_some_and(|rate| (9.0..=11.0).contains(&rate)), "{:?}", found.limit);
    is_exactly(found.changes, 0.0);
}

/// Others took a share; then come three full seconds of ten, and one chance refusal that costs `misfit`.
fn shared(in_a_row: u32, misfit: f64) -> Estimate {
    let shared = Some(Shared::new(20.0, 1.0, 0.0));
    let mut estimate = Estimate { shared, in_a_row, ..believing(window(20.0)) };
    let log = log_of(&[full(0.0, 10), full(2.0, 10), lone(6.0), full(8.0, 10)]);
    let sent = misfit.exp() - 100.0;
    estimate.learn(&episode(7.5, 8.3, 10.0), &Observed { sent, ..known(&log, 10.0) });
    estimate
}

#[test]
fn three_holds_that_one_limiter_explains_for_two_nats_each_were_not_others() {
    let found = shared(2, 5.5);
    assert!(found.shared.is_none());
    assert_eq!((rate(&found), found.since.to_bits()), (Some(10.0), 10_f64.to_bits()));
    let found = shared(2, 6.5);
    assert!(found.shared.is_some());
    assert_eq!((rate(&found), found.in_a_row, found.evident.to_bits()), (Some(20.0), 1, 7.5_f64.to_bits()));
}

#[test]
fn two_holds_are_too_few_to_rule_out_others() {
    for in_a_row in [0, 1] {
        let found = shared(in_a_row, 4.7);
        assert!(found.shared.is_some());
        assert_eq!((found.in_a_row, found.evident.to_bits()), (in_a_row + 1, 0));
    }
}
