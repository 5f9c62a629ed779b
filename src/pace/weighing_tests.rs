//! Refusals that a stall caused together, and the other explanation of a first 429. Costs are in nats.

use super::estimate::{Estimate, Probe};
use super::estimate_tests::{MISFIT, believing, bucket, is_exactly, is_near, known, log_of, window};
use super::evidence::{Answered, Episode, Log, Observed};
use super::explanation::Explanation;

/// What each further refusal of one stall costs.
const OF_ONE_STALL: f64 = 2.0;

/// Answers from 10 s on, so many milliseconds apart: `R` is refused, anything else admitted.
fn from_ten(apart: f64, answers: &str) -> Vec<Answered> {
    let at = |nth: usize| 10.0 + apart * f64::from(u16::try_from(nth).expect("few")) / 1000.0;
    answers.chars().enumerate().map(|(nth, c)| Answered { sent: at(nth), admitted: c != 'R' }).collect()
}

fn keep(log: &Log) -> f64 {
    let estimate = believing(window(100.0));
    let episode = Episode { after: 5.0, until: 12.0, refused: 10.0, wait: 1.0 };
    let known = known(log, 12.0);
    estimate.weigh(&estimate.answers(&episode, &known), &known).keep
}

#[test]
fn requests_that_one_stall_has_refused_cost_one_refusal_and_a_little() {
    let before = vec![Answered { sent: 4.0, admitted: true }];
    let cost = |apart: f64, answers: &str| keep(&log_of(&[before.clone(), from_ten(apart, answers)]));
    is_near(cost(2.0, "R......"), MISFIT);
    is_near(cost(2.0, "RR....."), MISFIT + OF_ONE_STALL);
    is_near(cost(2.0, "R..R..R"), MISFIT + 2.0 * OF_ONE_STALL);
    // The third comes 60 ms after the first, which no stall explains.
    is_near(cost(20.0, "RR.R..."), 2.0 * MISFIT + OF_ONE_STALL);
    // What was sent after them is refused too: the limit is used up.
    is_near(cost(2.0, "RRRR"), 4.0 * MISFIT);
    is_near(cost(2.0, "RRR.."), 3.0 * MISFIT);
}

/// Half a second at 743/s; one of the requests in flight overtakes another that is refused, and the rest are refused.
fn overtaken() -> Log {
    let admitted = (0..499_u16).map(|nth| Answered { sent: f64::from(nth) / 743.0, admitted: true });
    let last = "R.RRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR".chars().zip(499_u16..);
    let last = last.map(|(c, nth)| Answered { sent: f64::from(nth) / 743.0, admitted: c != 'R' });
    log_of(&[admitted.chain(last).collect()])
}

fn at_two_seconds(log: &Log) -> Observed<'_> {
    Observed { sent: 537.0, left: 14_500.0, trip: 0.051, ..known(log, 2.0) }
}

#[test]
fn a_first_429_that_a_far_higher_limit_would_explain_too_is_found_out_by_a_probe() {
    let log = overtaken();
    let mut estimate = Estimate { wait: 1.0, ..Estimate::default() };
    estimate.learn(&Episode { after: 0.0, until: 1.9, refused: 0.67, wait: 1.0 }, &at_two_seconds(&log));
    let limit = estimate.limit.expect("a limit");
    assert!(limit.counter.window().is_none() && limit.rate < 100.0, "a bucket that admits one while others are refused: {limit:?}");
    let (rate, likely) = estimate.probes.doubt.expect("a window explains all but one answer");
    assert!((490.0..=510.0).contains(&rate) && (0.0005..0.05).contains(&likely), "{rate} {likely}");
    // With few rows left, a probe would not pay.
    let mut estimate = Estimate { wait: 1.0, ..Estimate::default() };
    estimate.learn(&Episode { after: 0.0, until: 1.9, refused: 0.67, wait: 1.0 }, &Observed { left: 50.0, ..at_two_seconds(&log) });
    let (rate, likely) = estimate.probes.doubt.expect("a first explanation may be wrong");
    is_near(rate, limit.rate * 1.4);
    is_exactly(likely, 0.03);
}

#[test]
fn an_explanation_that_is_open_by_more_than_a_factor_is_no_rival() {
    let log = overtaken();
    let known = at_two_seconds(&log);
    let estimate = Estimate { wait: 1.0, ..Estimate::default() };
    let higher = estimate.rival(&bucket(20.0, 480.0), &known);
    assert!(higher.is_some_and(|(rate, _)| rate > 100.0), "{higher:?}");
    assert_eq!(estimate.rival(&window(600.0), &known), None, "nothing is higher");
}

#[test]
fn a_probe_of_a_bucket_waits_for_no_more_than_may_be_in_store_since_the_last_hold() {
    // 500 in store would take 50 s to use up at ten more a second; but it was empty a second ago.
    let limit = Explanation { low: 20.0, high: 30.0, ..bucket(20.0, 500.0) };
    let proven = |emptied: f64| {
        let mut estimate = Estimate { emptied, ..believing(limit) };
        estimate.probes.on = Some(Probe { from: 100.0, rate: 30.0 });
        let admitted = (0..300_u16).map(|nth| Answered { sent: 100.0 + f64::from(nth) / 30.0, admitted: true });
        let log = log_of(&[admitted.collect()]);
        estimate.rate(&known(&log, 110.0));
        estimate.limit.is_some_and(|limit| limit.rate >= 30.0)
    };
    assert!(proven(99.0), "30 that came in during the hold, and ten more: used up in 4 s");
    assert!(!proven(0.0), "what was left in 100 s may be a thousand");
}
