//! Which rates are worth probing, and when: expected gain against expected cost.

use super::estimate::Estimate;
use super::evidence::{Counter, Log, Observed};
use super::explanation::Explanation;
use super::probes::HOLD;

/// A limit of `rate` a second that may be up to `high`.
fn window(rate: f64, high: f64) -> Explanation {
    Explanation { counter: Counter::Sliding { window: 1.0 }, size: rate, misfits: 0.0, rate, low: rate, high }
}

fn bucket(rate: f64, high: f64) -> Explanation {
    Explanation { counter: Counter::Bucket { drain: rate }, size: 5.0, ..window(rate, high) }
}

/// `left` rows, and a round trip of two seconds, which is what a refused probe costs where no wait is asked for.
fn known(log: &Log, left: f64) -> Observed<'_> {
    let (now, sent, most) = (1000.0, 1e6, 1e6);
    Observed { now, began: 0.0, log, sent, refused: 0.0, left, most, fastest: 140.0, trip: 2.0, jitter: 0.001, early: 0.001 }
}

/// An estimate for which it is too early to probe without a reason.
fn early() -> Estimate {
    Estimate { since: 1000.0, ..Estimate::default() }
}

/// What is probed above a limit with `left` rows left.
fn open(limit: Explanation, left: f64) -> Option<f64> {
    early().worth_probing(&limit, &known(&Log::default(), left))
}

#[test]
fn a_doubt_is_probed_where_the_expected_gain_exceeds_the_cost_of_a_hold() {
    let probes = |likely: f64, wait: f64, trip: f64, left: f64| {
        let mut estimate = early();
        estimate.wait = wait;
        estimate.probes.doubt = Some((200.0, likely));
        let log = Log::default();
        let probe = estimate.worth_probing(&window(100.0, 100.0), &Observed { trip, ..known(&log, left) });
        assert_ne!(probe.is_some(), estimate.probes.doubt.is_some(), "a probe clears the doubt");
        probe
    };
    // Twice the rate halves what is left: 400 rows take 2 s less.
    assert_eq!(probes(0.5, 0.0, 2.0, 400.0), None, "even");
    assert_eq!(probes(0.5, 0.0, 2.0, 401.0), Some(200.0));
    assert_eq!(probes(0.5, 0.0, 2.0, 4000.0), Some(200.0));
    // One in four: the gain must be three times as high.
    assert_eq!(probes(0.25, 0.0, 2.0, 1200.0), None);
    assert_eq!(probes(0.25, 0.0, 2.0, 1210.0), Some(200.0));
    // A wait of 10 s is a hold of 10.6, plus the round trip: 11.1 s, or 2220 rows.
    assert_eq!(probes(0.5, 10.0, 0.5, 2215.0), None);
    assert_eq!(probes(0.5, 10.0, 0.5, 2225.0), Some(200.0));
}

#[test]
fn an_open_range_is_probed_if_it_is_wider_than_the_jitter_of_rates() {
    assert_eq!(open(window(100.0, 107.0), 1e9), None);
    assert_eq!(open(window(100.0, 108.0), 1e9), Some(108.0));
    assert_eq!(open(window(100.0, 100.0), 1e9), None);
    assert_eq!(open(window(100.0, 180.0), 1e9), Some(180.0));
}

#[test]
fn a_window_is_not_round_one_time_in_ten() {
    // e^2.3 − 1 = 8.974 to one against: the gain must be 8.974 × 2 s, of a third of the time, which is 5385 rows.
    assert_eq!(open(window(100.0, 150.0), 5380.0), None);
    assert_eq!(open(window(100.0, 150.0), 5390.0), Some(150.0));
}

#[test]
fn the_wide_range_of_a_bucket_is_probed_in_the_middle() {
    assert_eq!(open(bucket(90.0, 160.0), 1e6), Some(120.0));
    assert_eq!(open(bucket(90.0, 100.0), 1e6), Some(100.0));
    // Up to √2 counts as near.
    let edge = 90.0 * 2.0_f64.sqrt();
    assert_eq!(open(bucket(90.0, edge), 1e6), Some(edge));
    let beyond = open(bucket(90.0, edge + 0.1), 1e6).expect("a try");
    assert!((beyond - 90.0 * 2.0_f64.powf(0.25)).abs() < 0.1, "{beyond}");
}

#[test]
fn the_range_of_a_bucket_is_uniform_unless_its_rate_is_plain() {
    // From 90 to 100 gains a tenth: at even odds, 2 s of 1800 rows.
    assert_eq!(open(bucket(90.0, 100.0), 1790.0), None);
    assert_eq!(open(bucket(90.0, 100.0), 1810.0), Some(100.0));
    // 100 is a number people choose: up to 110 the odds are 8.974 to one against, which is 2 s of 19743 rows.
    assert_eq!(open(bucket(100.0, 110.0), 19_700.0), None);
    assert_eq!(open(bucket(100.0, 110.0), 19_800.0), Some(110.0));
    // Far off, the odds are even for such a number too: from 100 to 141 and more, 29 % of what 683 rows take.
    assert_eq!(open(bucket(100.0, 200.0), 680.0), None);
    assert!(open(bucket(100.0, 200.0), 690.0).is_some());
}

#[test]
fn a_refused_rate_is_not_probed_again_and_none_above_the_one_asked_for() {
    let probes = |too_high: f64, most: f64| {
        let mut estimate = early();
        estimate.probes.too_high = too_high;
        estimate.worth_probing(&window(100.0, 150.0), &Observed { most, ..known(&Log::default(), 1e6) })
    };
    assert_eq!(probes(150.0, 1000.0), None);
    assert_eq!(probes(149.0, 1000.0), None);
    assert_eq!(probes(151.0, 1000.0), Some(150.0));
    assert_eq!(probes(150.0, 140.0), Some(140.0));
}

#[test]
fn probes_may_have_one_and_a_half_percent_of_all_rows_refused() {
    // 150 a second put 15 in flight in a tenth of a second; with the refused one and the 14 before, that is 30 of 2000.
    let probes = |sent: f64| {
        let log = Log::default();
        early().worth_probing(&window(100.0, 150.0), &Observed { trip: 0.1, sent, refused: 14.0, ..known(&log, 1500.0) })
    };
    assert_eq!(probes(499.0), None);
    assert_eq!(probes(501.0), Some(150.0));
}

/// A limit that changes once in a hundred seconds, and has lasted for `seconds`.
fn calm(seconds: f64, wait: f64, former: f64) -> Estimate {
    let mut estimate = Estimate::default();
    (estimate.changes, estimate.wait, estimate.former) = (10.0, wait, former);
    (estimate.since, estimate.probes.ended) = (1000.0 - seconds, 100.0);
    estimate
}

#[test]
fn without_a_known_higher_limit_two_fifths_more_is_probed_at_the_cheapest_interval() {
    // A hold costs 0.8 s; √(2 × 0.8 / (0.01 × 0.4)) = 20 s.
    let wait = (0.8 - 0.01) / HOLD;
    let probes =
        |mut estimate: Estimate| estimate.worth_probing(&window(100.0, 100.0), &Observed { trip: 0.01, ..known(&Log::default(), 1e6) });
    assert_eq!(probes(calm(19.9, wait, 0.0)), None);
    assert_eq!(probes(calm(20.1, wait, 0.0)), Some(140.0));
    // Since the last probe or the last change, whichever is later.
    for (since, ended, is_time) in [(100.0, 979.0, true), (100.0, 981.0, false), (979.0, 100.0, true), (981.0, 100.0, false)] {
        let mut estimate = calm(0.0, wait, 0.0);
        (estimate.since, estimate.probes.ended) = (since, ended);
        assert_eq!(probes(estimate).is_some(), is_time, "{since} {ended}");
    }
}

#[test]
fn a_former_limit_is_probed_if_it_differs_noticeably() {
    let probes = |former: f64| calm(900.0, 0.0, former).worth_probing(&window(100.0, 100.0), &known(&Log::default(), 1e6));
    assert_eq!(probes(130.0), Some(130.0));
    assert_eq!(probes(300.0), Some(300.0));
    assert_eq!(probes(107.0), Some(140.0), "that is where it is now");
    let log = Log::default();
    let few = Observed { most: 120.0, ..known(&log, 1e6) };
    assert_eq!(calm(900.0, 0.0, 0.0).worth_probing(&window(100.0, 100.0), &few), Some(120.0));
}

#[test]
fn probes_have_one_percent_refused_and_three_where_a_higher_limit_is_known() {
    // At 70 a second, 28 are in flight in 0.4 s, and one is refused: 29, which is a hundredth of what 50 a second make
    // in 58 s, and three hundredths of what they make in 19.3 s.
    let probes = |seconds: f64, former: f64| {
        calm(seconds, 0.0, former).worth_probing(&window(50.0, 50.0), &Observed { trip: 0.4, ..known(&Log::default(), 1e6) })
    };
    assert_eq!(probes(57.9, 0.0), None);
    assert_eq!(probes(58.1, 0.0), Some(70.0));
    assert_eq!(probes(19.2, 70.0), None);
    assert_eq!(probes(19.4, 70.0), Some(70.0));
}

#[test]
fn a_rise_is_probed_where_its_expected_gain_exceeds_a_hold() {
    // After 69.3 s a change is as likely as not; 140 instead of 100 gains 1 s of 350 rows; so 0.8 s is half of 560.
    let seconds = 100.0 * 2.0_f64.ln();
    let probes = |left: f64| {
        let mut estimate = calm(seconds, (0.8 - 0.01) / HOLD, 0.0);
        estimate.worth_probing(&window(100.0, 100.0), &Observed { trip: 0.01, ..known(&Log::default(), left) })
    };
    assert_eq!(probes(555.0), None);
    assert_eq!(probes(565.0), Some(140.0));
}

#[test]
fn a_certain_rise_is_not_probed_where_it_only_gains_what_a_hold_costs() {
    // After fifty times as long as a limit lasts, and at twice the rate: 400 rows take 2 s less.
    let probes = |left: f64| {
        let mut estimate = calm(0.0, 0.0, 200.0);
        (estimate.changes, estimate.since) = (100.0, 5000.0);
        estimate.worth_probing(&window(100.0, 100.0), &Observed { now: 10_000.0, ..known(&Log::default(), left) })
    };
    assert_eq!(probes(400.0), None);
    assert_eq!(probes(401.0), Some(200.0));
}

#[test]
fn no_rise_is_probed_where_one_request_in_forty_would_be_refused() {
    // Of a million sent and as many left, 50,000; at 140 a second, 281 are in flight for two seconds.
    let probes = |refused: f64, former: f64| {
        calm(900.0, 0.0, former).worth_probing(&window(100.0, 100.0), &Observed { refused, ..known(&Log::default(), 1e6) })
    };
    for former in [0.0, 140.0] {
        assert_eq!(probes(49_719.0, former), Some(140.0));
        assert_eq!(probes(49_720.0, former), None);
    }
}
