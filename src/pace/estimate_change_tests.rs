//! What a changed limit costs as an explanation, and what is believed of it then. Costs are in nats.

use super::estimate::{Estimate, HIGHER, MATTERS};
use super::estimate_tests::{MISFIT, answered, believing, bucket, full, is_exactly, is_near, known, let_in, log_of, lone, window};
use super::evidence::{Answered, Counter, Episode, Log, Observed};
use super::explanation::Explanation;
use super::weighing::{Answers, Weighed};

/// One more number.
const OTHER: f64 = 4.6;

fn episode(after: f64, refused: f64, until: f64) -> Episode {
    Episode { after, until, refused, wait: 1.0 }
}

fn weighed(keep: f64, refit: (f64, Explanation)) -> Weighed {
    Weighed { keep, refit, change: None, fallen: f64::INFINITY, share: f64::INFINITY }
}

fn weigh(estimate: &Estimate, episode: &Episode, known: &Observed<'_>) -> Weighed {
    estimate.weigh(&estimate.answers(episode, known), known)
}

#[test]
fn another_explanation_costs_what_the_cheapest_one_does() {
    let all = |change: f64, fallen: f64, share: f64| Weighed {
        change: Some((change, window(1.0))),
        fallen,
        share,
        ..weighed(0.5, (0.5, window(1.0)))
    };
    is_exactly(all(3.0, 4.0, 5.0).another(), 3.0);
    is_exactly(all(5.0, 3.0, 4.0).another(), 3.0);
    is_exactly(all(5.0, 4.0, 3.0).another(), 3.0);
    is_exactly(all(5.0, 4.0, 3.0).changed(), 5.0);
    assert!(weighed(1.0, (1.0, window(1.0))).another().is_infinite());
}

#[test]
fn old_answers_were_sent_two_windows_before_a_refusal_or_before_the_last_hold_ended() {
    let log = log_of(&[[10.0, 79.0, 80.0, 81.0, 150.0, 200.0].map(|sent| Answered { sent, admitted: true }).to_vec()]);
    let limit = Explanation { counter: Counter::Sliding { window: 60.0 }, ..window(10.0) };
    let answers = |after: f64| Estimate { evident: 20.0, ..believing(limit) }.answers(&episode(after, 200.0, 210.0), &known(&log, 210.0));
    let sent = |answered: &[Answered]| answered.iter().map(|answered| answered.sent).collect::<Vec<_>>();
    let found = answers(0.0);
    is_exactly(found.changed, 80.0);
    assert_eq!((sent(&found.old), sent(&found.new)), (vec![79.0], vec![80.0, 81.0, 150.0, 200.0]));
    assert_eq!(sent(&found.all), [79.0, 80.0, 81.0, 150.0, 200.0]);
    let found = answers(150.0);
    is_exactly(found.changed, 150.0);
    assert_eq!(sent(&found.new), [150.0, 200.0]);
}

/// Two full seconds of ten and two refusals by chance; then, long after, ten more and a full second of five.
fn fallen_log() -> Log {
    log_of(&[full(0.0, 10), full(2.0, 10), lone(20.0), lone(30.0), let_in(98.5, 10), full(100.0, 5)])
}

#[test]
fn each_explanation_of_a_hold_costs_its_assumptions_and_its_misfits() {
    let log = fallen_log();
    let known = known(&log, 400.0);
    let estimate = Estimate { unexplained: 2.0, ..believing(window(10.0)) };
    // 2 s without a 429, at a hazard of one change in 1,000 s: a change costs ln 500.
    let found = weigh(&estimate, &episode(98.3, 100.3, 102.0), &known);
    let (before, seldom) = (2.0 * MISFIT, 500_f64.ln());
    is_near(found.keep, 5.0 * MISFIT);
    is_near(found.fallen, before + OTHER + seldom);
    let (cost, limit) = found.change.expect("a change");
    assert!((1.0..=3.0).contains(&limit.misfits) && limit.surprise() <= 0.0, "{limit:?}");
    is_near(cost, limit.misfits.mul_add(MISFIT, before) + OTHER + seldom);
    is_near(found.share, before + 6.0 + 2.0 + 3.0 * MISFIT);
    is_near(found.refit.0, 5.0 * MISFIT);
    // What was put down to chance before is not charged again.
    let forgiven = weigh(&Estimate { unexplained: 0.5, ..believing(window(10.0)) }, &episode(98.3, 100.3, 102.0), &known);
    is_near(forgiven.fallen, 0.5 * MISFIT + OTHER + seldom);
}

#[test]
fn a_changed_bucket_costs_its_prior_and_its_change_of_size() {
    // A bucket of forty, with eight seconds in store, after one of twenty.
    let log = log_of(&[lone(10.0), lone(20.0), answered(bucket(5.0, 40.0), 100.0, 50, 4)]);
    let known = known(&log, 400.0);
    let estimate = Estimate { unexplained: 2.0, ..believing(bucket(10.0, 20.0)) };
    let found = weigh(&estimate, &episode(91.0, 101.0, 105.0), &known);
    let (cost, limit) = found.change.expect("a change");
    assert!((4.5..=5.5).contains(&limit.rate) && (38.0..=42.0).contains(&limit.size), "{limit:?}");
    let (surprise, more) = ((limit.size / limit.rate).ln(), (limit.size / 20.0).ln());
    assert!(surprise > 1.9 && more > 0.6);
    is_near(cost, limit.misfits.mul_add(MISFIT, 2.0 * MISFIT) + surprise + more + OTHER + 100_f64.ln());
    assert!(found.fallen.is_infinite(), "a bucket shows at once how far it has fallen");
}

#[test]
fn without_earlier_answers_nothing_has_changed() {
    let log = log_of(&[full(100.0, 5)]);
    let found = weigh(&believing(window(10.0)), &episode(99.0, 100.3, 102.0), &known(&log, 102.0));
    assert!(found.change.is_none() && found.another().is_infinite());
    let none = Estimate { wait: 1.0, ..Estimate::default() };
    assert!(weigh(&none, &episode(98.3, 100.3, 102.0), &known(&fallen_log(), 102.0)).another().is_infinite());
}

#[test]
fn a_limit_falls_only_once_until_it_is_known_how_far_and_not_after_a_hold_that_was_too_short() {
    let log = fallen_log();
    let fallen = |estimate: Estimate| weigh(&estimate, &episode(98.3, 100.3, 102.0), &known(&log, 102.0)).fallen;
    assert!(fallen(believing(window(10.0))).is_finite());
    assert!(fallen(Estimate { has_fallen: true, ..believing(window(10.0)) }).is_infinite());
    assert!(fallen(Estimate { is_long: true, ..believing(window(10.0)) }).is_infinite());
}

#[test]
fn where_answers_are_forgotten_another_limiter_counts_as_a_change() {
    let many = |count: u16| (0..count).map(|nth| Answered { sent: f64::from(nth) / 1000.0, admitted: true }).collect::<Vec<_>>();
    let log = log_of(&[many(2049), full(10.0, 10), full(12.0, 10)]);
    let refit = |estimate: &Estimate| weigh(estimate, &episode(2.3, 12.3, 14.0), &known(&log, 400.0)).refit.0;
    // 10 s without a 429, at a hazard of one change in 1,000 s.
    is_near(refit(&believing(window(10.0))), OTHER + 100_f64.ln());
    is_near(refit(&Estimate { evident: 5.0, ..believing(window(10.0)) }), 0.0);
    is_near(refit(&Estimate { wait: 1.0, ..Estimate::default() }), 9.2);
}

fn with_doubted(estimate: &mut Estimate, before: Episode, now: &Episode, log: &Log) -> Episode {
    estimate.doubted = Some(before);
    let known = known(log, now.until);
    let answers = estimate.answers(now, &known);
    let (answers, _) = estimate.weigh_with_doubted(answers, &known);
    assert!(estimate.doubted.is_none());
    answers.episode
}

#[test]
fn a_chance_hold_joins_the_next_one_where_it_was_the_first_of_a_change() {
    let log = log_of(&[full(0.0, 10), full(2.0, 10), full(104.0, 5), full(111.0, 5)]);
    let mut estimate = Estimate { unexplained: 3.0, ..believing(window(10.0)) };
    let (before, now) = (episode(3.5, 104.3, 110.0), Episode { wait: 2.0, ..episode(110.0, 111.3, 113.0) });
    let found = with_doubted(&mut estimate, before, &now, &log);
    assert_eq!([found.after, found.refused, found.until, found.wait].map(f64::to_bits), [3.5, 104.3, 113.0, 2.0].map(f64::to_bits));
    // Not one that was still on when this one began.
    let found = with_doubted(&mut estimate, Episode { until: 110.5, ..before }, &now, &log);
    is_exactly(found.refused, 111.3);
}

#[test]
fn a_real_chance_hold_stays_separate_from_the_next_one() {
    let log = log_of(&[full(0.0, 10), full(2.0, 10), lone(50.0), full(104.0, 5)]);
    let (before, now) = (episode(3.5, 50.0, 52.0), episode(52.0, 104.3, 106.0));
    is_exactly(with_doubted(&mut believing(window(10.0)), before, &now, &log).refused, 104.3);
    // Where no limit is known, nothing can have changed.
    is_exactly(with_doubted(&mut Estimate { wait: 1.0, ..Estimate::default() }, before, &now, &log).refused, 104.3);
}

/// What is kept of a hold with these answers after `quiet` seconds without one: how many are unexplained, how many were
/// chance, and the margin.
fn kept_after(quiet: f64, mut estimate: Estimate, new: Vec<Answered>, was_probing: bool) -> (f64, f64, f64) {
    let log = log_of(&[new]);
    let until = quiet + 8.0;
    let answers = Answers { episode: episode(0.0, quiet, until), all: vec![], old: vec![], new: log.since(0.0), changed: 0.0 };
    (estimate.by_chance, estimate.probes.doubt) = (2.0, Some((50.0, 0.5)));
    let cost = 6.0 * estimate.misfit(&known(&log, 9.0));
    // With the count of chance refusals from before this hold.
    estimate.keep(cost, &answers, was_probing, &known(&log, 9.0));
    assert!(estimate.doubted.is_some_and(|doubted| (doubted.until - until).abs() < 1e-9) && estimate.probes.doubt.is_none());
    (estimate.unexplained, estimate.by_chance, estimate.margin)
}

fn kept(estimate: Estimate, new: Vec<Answered>, was_probing: bool) -> (f64, f64, f64) {
    kept_after(1000.0, estimate, new, was_probing)
}

#[test]
fn refusals_that_the_limit_explains_were_too_close_together_and_others_were_chance() {
    let is = |found: (f64, f64, f64), chance: f64, margin: f64| {
        is_exactly(found.0, 6.0);
        is_exactly(found.1, chance);
        is_exactly(found.2, margin);
    };
    let limit = || believing(window(10.0));
    // By one stall of a busy machine.
    is(kept(limit(), full(1.0, 10), false), 2.0, 0.005);
    is(kept(limit(), lone(1.0), false), 3.0, 0.0);
    is(kept(limit(), full(1.0, 10), true), 2.0, 0.0);
    is(kept(Estimate { wait: 1.0, ..Estimate::default() }, full(1.0, 10), false), 5.0, 0.0);
    // At most four of them.
    is(kept(Estimate { margin: 0.012, ..limit() }, full(1.0, 10), false), 2.0, 0.017);
    is(kept(Estimate { margin: 0.017, ..limit() }, full(1.0, 10), false), 2.0, 0.02);
}

#[test]
fn the_margin_grows_where_it_costs_less_than_frequent_refusals() {
    // Five thousandths of each second cost as much as one hold in 200 s.
    for (quiet, margin) in [(199.0, 0.005), (201.0, 0.0)] {
        is_exactly(kept_after(quiet, believing(window(10.0)), lone(1.0), false).2, margin);
        is_exactly(kept_after(quiet, believing(window(10.0)), lone(1.0), true).2, 0.0);
        is_exactly(kept_after(quiet, Estimate { wait: 1.0, ..Estimate::default() }, lone(1.0), false).2, 0.0);
    }
    // At a bucket's 10 a second, 2 ms per request are a fiftieth of the time.
    for (quiet, margin) in [(49.0, 0.002), (51.0, 0.0)] {
        is_exactly(kept_after(quiet, believing(bucket(10.0, 1.0)), lone(1.0), false).2, margin);
    }
}

fn refit(mut estimate: Estimate, cost: f64, other: f64, found: Explanation) -> Estimate {
    let log = Log::default();
    estimate.refit(&weighed(other, (cost, found)), &known(&log, 70.0));
    assert_eq!(estimate.limit.map(|limit| limit.counter), Some(found.counter));
    estimate
}

#[test]
fn a_fallen_limit_that_is_found_lower_has_changed() {
    let fallen =
        |rate: f64, has_fallen: bool| refit(Estimate { has_fallen, changes: 2.0, ..believing(window(100.0)) }, 1.0, 2.0, window(rate));
    let lower = fallen(50.0, true);
    assert_eq!([lower.changes, lower.former, lower.since].map(f64::to_bits), [3.0, 100.0, 70.0].map(f64::to_bits));
    for as_before in [fallen(100.0, true), fallen(110.0, true), fallen(50.0, false)] {
        assert_eq!([as_before.changes, as_before.former, as_before.since].map(f64::to_bits), [2.0, 0.0, 0.0].map(f64::to_bits));
    }
}

#[test]
fn the_former_limit_is_the_likelier_the_closer_the_costs_of_both() {
    let doubt = |before: f64, found: f64| refit(believing(window(before)), 5.0, 5.0 + 3_f64.ln(), window(found)).probes.doubt;
    // Three times as unlikely: one in four.
    let (rate, likely) = doubt(100.0, 50.0).expect("some");
    is_exactly(rate, 100.0);
    is_exactly(likely, 0.25);
    assert_eq!((doubt(100.0, 95.0), doubt(100.0, 120.0), doubt(100.0 * MATTERS, 100.0)), (None, None, None));
    let first = refit(Estimate { wait: 1.0, ..Estimate::default() }, 5.0, 6.0, window(50.0));
    assert_eq!((first.probes.doubt, first.since.to_bits()), (Some((50.0 * HIGHER, 0.03)), 70_f64.to_bits()));
}

#[test]
fn a_window_longer_than_any_429_asked_for_may_instead_be_others_for_a_while() {
    let found = |is_long: bool, wait: f64, window_found: f64| {
        let found = Explanation { counter: Counter::Sliding { window: window_found }, ..window(200.0) };
        refit(Estimate { is_long, wait, ..believing(window(100.0)) }, 5.0, 6.0, found).probes.doubt
    };
    // The rate that puts five requests in flight.
    let (rate, likely) = found(true, 10.0, 60.0).expect("some");
    is_exactly(rate, 50.0);
    is_exactly(likely, 0.5);
    for doubt in [found(false, 10.0, 60.0), found(true, 60.0, 60.0), found(true, 0.5, 1.0), found(true, 70.0, 60.0)] {
        assert_eq!(doubt, None);
    }
}

fn change(mut estimate: Estimate, found: Explanation) -> Estimate {
    let log = Log::default();
    estimate.probes.too_high = 1.0;
    estimate.change(found, 60.0, &episode(50.0, 62.0, 65.0), &known(&log, 70.0));
    estimate
}

fn has_changed(estimate: &Estimate, from: f64, to: f64) {
    assert_eq!(estimate.limit.map(|limit| limit.rate.to_bits()), Some(to.to_bits()));
    let found = [estimate.changes, estimate.former, estimate.evident, estimate.since, estimate.probes.too_high];
    assert_eq!(found.map(f64::to_bits), [3.0, from, 60.0, 70.0, f64::INFINITY].map(f64::to_bits));
    assert!(!estimate.has_fallen);
}

#[test]
fn a_change_that_is_clear_is_believed_and_otherwise_the_next_hold_decides() {
    let limit = |rate: f64| Estimate { changes: 2.0, ..believing(window(rate)) };
    let wide = Explanation { low: 20.0, high: 60.0, ..window(50.0) };
    has_changed(&change(limit(100.0), window(50.0)), 100.0, 50.0);
    has_changed(&change(Estimate { has_fallen: true, ..limit(100.0) }, wide), 100.0, 50.0);
    has_changed(&change(Estimate { has_fallen: true, ..limit(100.0) }, window(50.0)), 100.0, 50.0);
    for (before, found) in [(100.0, wide), (100.0, window(103.0)), (100.0, window(97.0)), (1.0, window(MATTERS))] {
        let fallen = change(limit(before), found);
        assert_eq!(fallen.limit, Some(window(before)));
        assert_eq!((fallen.has_fallen, fallen.changes.to_bits(), fallen.evident.to_bits()), (true, 2_f64.to_bits(), 65_f64.to_bits()));
    }
}
