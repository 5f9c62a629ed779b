//! Tests of the pacer's holds, permits and rate, and of the figures of its gate.

use std::time::Duration;

use governor::clock::Clock;
use tokio::time::Instant;
use tracing::Level;

use super::evidence::Counter;
use super::explanation::Explanation;
use super::pacer::{Pacer, burst, interval, quota, sleep_finely_until};
use super::rate::Rate;
use crate::logged::Logged;

impl Pacer {
    /// How many requests were admitted, and how many refused for the rate.
    pub(crate) fn seen(&self) -> (usize, usize) {
        let all = self.state().throttle.log.since(0.0);
        let let_in = all.iter().filter(|answered| answered.admitted).count();
        (let_in, all.len() - let_in)
    }
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Gives a pacer a known limit, with no rows left to probe a higher one for.
fn know(pacer: &Pacer, counter: Counter, rate: f64) {
    let throttle = &mut pacer.state().throttle;
    throttle.expect(0);
    throttle.estimate.set(Explanation { counter, size: 1.0, misfits: 0.0, rate, low: rate, high: rate });
}

const SECOND: Counter = Counter::Sliding { window: 1.0 };

#[tokio::test(start_paused = true)]
async fn a_learnt_rate_is_logged_when_it_changes_noticeably_and_a_lower_one_at_info() {
    let pacer = Pacer::new(Rate::PerSecond(10_000.0));
    let log = |rate: f64| {
        know(&pacer, SECOND, rate);
        let logged = Logged::from(Level::DEBUG);
        pacer.state().log_rate(secs(1.0));
        (pacer.state().logged, logged.text())
    };
    pacer.state().log_rate(secs(1.0));
    assert!(pacer.state().logged.is_infinite(), "nothing is learnt");
    // A change of seven percent is logged.
    for (rate, expected, level) in [
        (100.0, 100.0, "INFO"),
        (106.0, 100.0, ""),
        (94.0, 100.0, ""),
        (93.0, 93.0, "INFO"),
        (99.0, 93.0, ""),
        (100.0, 100.0, "DEBUG"),
        (108.0, 108.0, "DEBUG"),
    ] {
        let (logged, text) = log(rate);
        assert!((logged - expected).abs() < 1e-9, "{rate}: {logged}");
        assert_eq!(text.is_empty(), level.is_empty(), "{rate}: {text}");
        assert!(text.contains(level), "{rate}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_throttle_gets_the_number_of_rows_if_it_is_known() {
    let pacer = Pacer::new(Rate::PerSecond(50.0));
    pacer.expect(None);
    assert!(pacer.state().throttle.left.is_infinite());
    pacer.expect(Some(7));
    assert!((pacer.state().throttle.left - 7.0).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn a_turn_comes_at_once_only_with_no_limit_and_no_hold() {
    let (limited, unlimited) = (Pacer::new(Rate::PerSecond(50.0)), Pacer::new(Rate::Unlimited));
    assert!(unlimited.is_open());
    assert!(!limited.is_open());
    unlimited.hold(secs(1.0));
    assert!(!unlimited.is_open());
    tokio::time::sleep(secs(1.2)).await;
    assert!(unlimited.is_open());
}

#[tokio::test(start_paused = true)]
async fn admitted_and_refused_requests_are_counted() {
    let pacer = Pacer::new(Rate::PerSecond(50.0));
    pacer.admitted(Instant::now());
    pacer.admitted(Instant::now());
    assert_eq!(pacer.refused(Instant::now(), Some(secs(5.0))), Some(secs(5.0)));
    assert_eq!(pacer.refused(Instant::now(), Some(secs(5.0))), None);
    assert_eq!(pacer.seen(), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_hold_ends_on_time_and_counts_as_lost_as_it_passes() {
    let (start, pacer) = (Instant::now(), Pacer::new(Rate::PerSecond(50.0)));
    assert_eq!(pacer.held_until(), None);
    assert_eq!(pacer.lost(), Duration::ZERO);
    tokio::time::sleep(secs(10.0)).await;
    assert!(pacer.hold(secs(2.0)));
    let until = pacer.held_until().expect("a hold") - start;
    assert!((secs(12.04)..=secs(12.2)).contains(&until), "{until:?}");
    assert_eq!(pacer.lost(), Duration::ZERO);
    tokio::time::sleep(secs(1.0)).await;
    assert_eq!(pacer.lost(), secs(1.0));
    // Longer by the addition; then a new hold.
    assert!(!pacer.hold(secs(4.0)));
    tokio::time::sleep(secs(9.0)).await;
    let first = pacer.lost().as_secs_f64();
    assert!((5.08..=5.4).contains(&first), "{first}");
    assert!(pacer.hold(secs(1.0)));
    tokio::time::sleep(secs(9.0)).await;
    let both = pacer.lost().as_secs_f64() - first;
    assert!((1.02..=1.1).contains(&both), "{both}");
    assert_eq!(pacer.held_until(), None);
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_due_later_than_now_or_at_once() {
    let (start, pacer) = (Instant::now(), Pacer::new(Rate::PerSecond(50.0)));
    tokio::time::sleep(secs(10.0)).await;
    assert_eq!(pacer.due(), None);
    pacer.state().throttle.due = 10.5;
    assert_eq!(pacer.due(), Some((start + secs(10.5), false)));
    tokio::time::sleep(secs(0.5)).await;
    assert_eq!(pacer.due(), None);
}

#[tokio::test(start_paused = true)]
async fn a_small_bucket_needs_fine_timing_but_not_in_a_hold() {
    let pacer = Pacer::new(Rate::PerSecond(1000.0));
    know(&pacer, Counter::Bucket { drain: 100.0 }, 90.0);
    pacer.state().throttle.due = 0.5;
    assert!(pacer.due().is_some_and(|(_, is_fine)| is_fine));
    pacer.hold(secs(1.0));
    assert!(pacer.due().is_some_and(|(_, is_fine)| !is_fine));
    let pacer = Pacer::new(Rate::PerSecond(1000.0));
    know(&pacer, SECOND, 90.0);
    pacer.state().throttle.due = 0.5;
    assert!(pacer.due().is_some_and(|(_, is_fine)| !is_fine));
}

#[tokio::test(start_paused = true)]
async fn no_turn_is_taken_in_a_hold() {
    let pacer = Pacer::new(Rate::PerSecond(50.0));
    assert!(pacer.take_permit());
    assert_eq!(pacer.state().throttle.sends.len(), 1);
    pacer.hold(secs(1.0));
    assert!(!pacer.take_permit());
    assert_eq!(pacer.state().throttle.sends.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_two_milliseconds_are_slept_on_a_thread() {
    let (start, began) = (Instant::now(), std::time::Instant::now());
    sleep_finely_until(start + Duration::from_millis(100)).await;
    // Tokio's clock stands still meanwhile.
    assert_eq!(start.elapsed(), Duration::from_millis(98));
    assert!(began.elapsed() >= Duration::from_millis(2));
}

#[test]
fn turns_come_half_a_percent_slower_than_the_rate() {
    for (rate, micros) in [(100.0, 10_050.0), (0.5, 2_010_050.0), (1.0, 1_005_025.0)] {
        let found = interval(rate).as_secs_f64() * 1e6;
        assert!((found / micros - 1.0).abs() < 1e-4, "{rate}: {found}");
    }
}

#[test]
fn a_late_turn_makes_up_for_three_milliseconds_and_up_to_500_a_second_at_most_nine_tenths_of_a_request() {
    // In hundredths of a request: a whole one, plus 3 ms of intervals of 10.05, 2.01, 2.006 and 1.005 ms.
    for (rate, parts) in [(0.01, 100), (100.0, 129), (500.0, 190), (501.0, 249), (1000.0, 398)] {
        assert_eq!(burst(rate), parts, "{rate}");
    }
}

#[test]
fn the_quota_is_a_hundredth_of_an_interval_plus_a_nanosecond() {
    // 10 ms between two requests.
    let quota = quota(100.0 / 0.995);
    assert_eq!(quota.replenish_interval(), Duration::from_nanos(100_001));
    assert_eq!(quota.burst_size().get(), 130);
}

#[tokio::test(start_paused = true)]
async fn the_clock_counts_from_its_start() {
    let before = Instant::now();
    tokio::time::sleep(secs(1.0)).await;
    let pacer = Pacer::new(Rate::Unlimited);
    tokio::time::sleep(secs(5.0)).await;
    assert_eq!(pacer.clock.now(), secs(5.0));
    assert_eq!(pacer.clock.at(before + secs(4.0)), secs(3.0));
    assert_eq!(pacer.clock.at(before), Duration::ZERO, "nothing was before");
}

#[tokio::test(start_paused = true)]
async fn one_of_several_clients_starts_at_its_part_of_the_rate_and_alone_at_all_of_it() {
    let first_two = async |clients: u32| {
        let pacer = Pacer::new(Rate::PerSecond(1000.0)).shared_by(clients);
        pacer.join().await.permit().await;
        let start = Instant::now();
        pacer.join().await.permit().await;
        start.elapsed().as_secs_f64()
    };
    let (alone, eighth) = (first_two(1).await, first_two(8).await);
    assert!((0.015..0.025).contains(&alone), "{alone}");
    assert!((0.15..0.17).contains(&eighth), "{eighth}");
}

#[tokio::test(start_paused = true)]
async fn one_of_several_clients_learns_its_share_from_a_refusal() {
    let pacer = Pacer::new(Rate::PerSecond(1000.0)).shared_by(8);
    assert_eq!(pacer.limit(), None);
    for _ in 0..12 {
        pacer.join().await.permit().await;
        pacer.admitted(Instant::now());
        tokio::time::advance(Duration::from_millis(20)).await;
    }
    pacer.join().await.permit().await;
    pacer.refused(Instant::now(), Some(Duration::from_secs(1)));
    pacer.join().await.permit().await;
    // Its count times eight is nearly 100.
    let limit = pacer.limit().expect("learnt");
    assert!((limit - 97.0 / 8.0).abs() < 0.5, "{limit}");
}
