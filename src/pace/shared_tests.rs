//! The belief in what others leave, with figures worked out by hand.
//!
//! With a top of 100, the middles of the cells are 1, 3, 5, … 99, and the noise of what is left is the square root of what others take.

use super::shared::{Prospect, Shared};

fn fresh() -> Shared {
    Shared::new(100.0, 1.0, 0.0)
}

/// A belief with all its probability in one cell.
fn sure(top: f64, window: f64, cell: usize) -> Shared {
    let mut shared = Shared::new(top, window, 0.0);
    shared.cells.fill(0.0);
    shared.cells[cell] = 1.0;
    shared
}

fn prospect() -> Prospect {
    Prospect { now: 20.0, let_in: 50.0, hold: 1.1, left: 1e6, most: 1000.0 }
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} is not {expected}");
}

#[test]
fn the_cells_cover_the_whole_limit_with_a_uniform_prior() {
    for (cell, middle) in [(0, 1.0), (10, 21.0), (49, 99.0)] {
        near(fresh().middle(cell), middle);
    }
    near(fresh().mean(), 50.0);
    near(sure(200.0, 1.0, 25).mean(), 102.0);
}

#[test]
fn the_noise_is_the_root_of_what_others_take_and_at_least_a_cell() {
    near(fresh().noise(0.0), 10.0);
    near(fresh().noise(36.0), 8.0);
    near(fresh().noise(100.0), 2.0);
    near(Shared::new(100.0, 4.0, 0.0).noise(0.0), 5.0);
    // With a top of twenty a cell is 0.4, but one request of somebody else more or less is 1.
    near(Shared::new(20.0, 1.0, 0.0).noise(20.0), 1.0);
}

#[test]
fn the_hazard_is_the_jumps_so_far_with_a_prior_of_two_in_twenty_seconds() {
    let mut shared = Shared::new(100.0, 1.0, 5.0);
    near(shared.hazard(5.0), 2.0 / 20.0);
    near(shared.hazard(25.0), 2.0 / 40.0);
    shared.jumps = 4.0;
    near(shared.hazard(25.0), 6.0 / 40.0);
}

#[test]
fn evidence_multiplies_the_probability_of_each_share() {
    let mut shared = fresh();
    let lower = |left: f64, _: f64| if left < 50.0 { 3.0 } else { 1.0 };
    // Three to one, and then nine to one, over 25 cells each.
    for (below, above) in [(0.75, 0.25), (0.9, 0.1)] {
        shared.weigh(lower);
        near(shared.cells[0], below / 25.0);
        near(shared.cells[24], below / 25.0);
        near(shared.cells[25], above / 25.0);
    }
    let mut shared = fresh();
    shared.weigh(|_, noise| noise);
    near(shared.cells[18] / shared.cells[42], 63.0_f64.sqrt() / 15.0_f64.sqrt());
}

#[test]
fn time_flattens_the_belief_evenly_before_anything_was_refused() {
    let mut shared = sure(100.0, 1.0, 0);
    // At twenty seconds others come twice in forty: once in the twenty that have passed.
    near(shared.pass(20.0), 20.0);
    let same = (-1.0_f64).exp();
    near(shared.cells[0], same + (1.0 - same) / 50.0);
    near(shared.cells[1], (1.0 - same) / 50.0);
    near(shared.cells[49], (1.0 - same) / 50.0);
}

#[test]
fn elapsed_time_is_not_counted_twice() {
    let mut shared = Shared::new(100.0, 1.0, 3.0);
    near(shared.pass(5.0), 2.0);
    near(shared.pass(6.0), 1.0);
    near(shared.pass(6.0), 0.0);
}

#[test]
fn the_belief_spreads_only_above_the_least_ever_left() {
    let mut shared = sure(100.0, 1.0, 0);
    shared.least = shared.middle(30);
    shared.pass(20.0);
    let same = (-1.0_f64).exp();
    near(shared.cells[0], same);
    near(shared.cells[29], 0.0);
    // 61, 63, … 99: twenty cells.
    near(shared.cells[30], (1.0 - same) / 20.0);
    near(shared.cells[49], (1.0 - same) / 20.0);
}

#[test]
fn all_of_it_may_be_left_even_if_the_least_is_above_the_last_cell() {
    let mut shared = sure(100.0, 1.0, 0);
    shared.least = 99.9;
    shared.pass(20.0);
    near(shared.cells[48], 0.0);
    near(shared.cells[49], 1.0 - (-1.0_f64).exp());
}

#[test]
fn a_refusal_more_than_two_noises_below_the_mean_counts_as_two_jumps() {
    // 51 are expected, give or take 7.
    for (let_in, jumps) in [(36.9, 2.0), (37.0, 0.0), (51.0, 0.0), (70.0, 0.0)] {
        let mut shared = sure(100.0, 1.0, 25);
        shared.refused(let_in, 0.0, 0.0);
        near(shared.jumps, jumps);
    }
    let mut shared = sure(100.0, 1.0, 25);
    shared.jumps = 3.0;
    shared.refused(20.0, 0.0, 0.0);
    near(shared.jumps, 5.0);
}

#[test]
fn a_refusal_lowers_the_least_that_was_left_and_never_raises_it() {
    let mut shared = fresh();
    // 51 − √49, and then 36 − √64; 75 − √25 is more.
    for (let_in, least) in [(51.0, 44.0), (36.0, 28.0), (75.0, 28.0), (5.0, 0.0)] {
        shared.refused(let_in, 0.0, 0.0);
        near(shared.least, least);
    }
}

#[test]
fn a_rate_admitted_above_the_top_is_the_new_top() {
    let mut shared = fresh();
    shared.refused(120.0, 0.0, 0.0);
    near(shared.top, 120.0);
    shared.refused(110.0, 0.0, 0.0);
    near(shared.top, 120.0);
}

#[test]
fn a_refusal_makes_a_share_less_likely_the_more_noises_it_is_off() {
    // 19 is left give or take 9, so 28 is off by one noise. 75, give or take 5, is off by nine: an outlier.
    let mut shared = fresh();
    shared.refused(28.0, 0.0, 0.0);
    near(shared.cells[37] / shared.cells[9], 0.01 / (0.01 + (-0.5_f64).exp()));
    // If 28 may be wrong by 12, the two together make 15, and 34 is off by one again.
    let mut shared = fresh();
    shared.refused(34.0, 12.0, 0.0);
    let strange_to_75 = 0.01 + (-(41.0_f64 / 13.0).powi(2) / 2.0).exp();
    near(shared.cells[37] / shared.cells[9], strange_to_75 / (0.01 + (-0.5_f64).exp()));
}

#[test]
fn a_refusal_ages_the_belief_before_it_is_weighed() {
    let mut shared = sure(100.0, 1.0, 25);
    // 1/e stays at 51, the rest is uniform: 51 e⁻¹ + 50 (1 − e⁻¹) are expected, give or take 7, and 37 is still no jump.
    shared.refused(37.0, 0.0, 20.0);
    near(shared.jumps, 0.0);
    // 39 was ruled out before, and fits: 0.0126 × 0.98, against the 0.38 × 0.145 of 51.
    let ratio = shared.cells[19] / shared.cells[25];
    assert!((0.2..0.25).contains(&ratio), "{ratio}");
}

#[test]
fn admitted_requests_weigh_by_the_windows_that_passed() {
    // One second is half a window. With 60 a second admitted, 1 left would be an outlier, and 99 fits.
    let mut shared = Shared::new(100.0, 2.0, 0.0);
    shared.rate(&Prospect { now: 1.0, let_in: 60.0, ..prospect() });
    let ratio = shared.cells[0] / shared.cells[49];
    assert!((ratio - (0.01_f64 / 1.01).sqrt()).abs() < 1e-5, "{ratio}");
}

#[test]
fn the_horizon_ends_when_others_come_or_rows_run_out_but_lasts_a_window_and_a_hold() {
    let shared = Shared::new(100.0, 3.0, 0.0);
    // Others come twice in forty seconds.
    near(shared.horizon(&prospect()), 20.0);
    // 500 rows at the expected 50 a second.
    near(shared.horizon(&Prospect { left: 500.0, ..prospect() }), 10.0);
    near(shared.horizon(&Prospect { left: 0.0, hold: 2.0, ..prospect() }), 5.0);
}

#[test]
fn the_rate_is_the_one_of_fifty_with_the_highest_worth() {
    for (cell, let_in, hold) in [(10, 20.0, 0.2), (25, 45.0, 1.1), (25, 45.0, 8.0), (40, 70.0, 2.0), (49, 90.0, 1.1)] {
        let mut shared = sure(100.0, 1.0, cell);
        let seen = Prospect { now: 1.0, let_in, hold, left: 300.0, ..prospect() };
        let rate = shared.rate(&seen);
        let horizon = shared.horizon(&seen);
        let worth = |rate: f64| shared.worth(rate, horizon, hold);
        let most = (1..=50_u16).map(|nth| worth(f64::from(nth) * 2.0)).fold(0.0, f64::max);
        near(worth(rate), most);
        near(rate / 2.0, (rate / 2.0).round());
        assert!((2.0..=100.0).contains(&rate), "{rate}");
    }
}

#[test]
fn within_a_tenth_of_the_top_or_at_the_highest_rate_allowed_the_limit_counts_as_fully_used() {
    let asked = |cell: usize, most: f64| {
        let mut shared = sure(100.0, 1.0, cell);
        let rate = shared.rate(&Prospect { now: 0.0, hold: 20.0, left: 300.0, most, ..prospect() });
        (rate, shared.full)
    };
    let (rate, full) = asked(49, 1000.0);
    assert!((90.0..98.0).contains(&rate), "{rate}");
    assert_eq!(full, Some(0.0));
    let (rate, full) = asked(35, 1000.0);
    assert!((40.0..88.0).contains(&rate), "{rate}");
    assert_eq!(full, None);
    assert_eq!(asked(35, 40.0), (40.0, Some(0.0)));
}

#[test]
fn the_start_of_full_use_is_remembered() {
    let mut shared = sure(100.0, 1.0, 49);
    let at = |now: f64| Prospect { now, let_in: 99.0, left: 300.0, ..prospect() };
    shared.rate(&at(2.0));
    shared.rate(&at(3.0));
    assert_eq!(shared.full, Some(2.0));
    shared.refused(50.0, 0.0, 4.0);
    assert_eq!(shared.full, None);
}

#[test]
fn after_twenty_seconds_of_full_use_nobody_takes_a_share() {
    let mut shared = fresh();
    assert!(!shared.is_over(100.0));
    shared.full = Some(5.0);
    assert!(!shared.is_over(24.9));
    assert!(shared.is_over(25.0));
}

#[test]
fn a_rate_is_worth_all_its_rows_or_one_window_and_what_is_left_after_the_hold() {
    // 51 are left, give or take 7. Half the windows admit 51: one time in eight all three, which is 153 rows; else 51,
    // and 44 a second in the second and a half left after the window and the hold.
    near(sure(100.0, 1.0, 25).worth(51.0, 3.0, 0.5), 0.125 * 153.0 + 0.875 * (51.0 + 44.0 * 1.5));
    // 102 are left of 200 a second, give or take √(98 / 2) = 7: three windows of two seconds again.
    near(sure(200.0, 2.0, 25).worth(102.0, 6.0, 1.0), 0.125 * 612.0 + 0.875 * (204.0 + 95.0 * 3.0));
    // Less than a window counts as one. At a rate that is far too high, what is left is what is admitted.
    near(sure(200.0, 2.0, 25).worth(102.0, 1.0, 0.0), 0.5 * 102.0 + 0.5 * (204.0 - 95.0));
    near(sure(100.0, 1.0, 25).worth(1000.0, 3.0, 0.5), 51.0 + 44.0 * 1.5);
}

#[test]
fn the_worth_of_a_rate_is_its_mean_over_the_belief() {
    let mut both = sure(100.0, 1.0, 25);
    (both.cells[25], both.cells[9]) = (0.75, 0.25);
    let of = |cell: usize| sure(100.0, 1.0, cell).worth(40.0, 3.0, 0.5);
    near(both.worth(40.0, 3.0, 0.5), 0.75 * of(25) + 0.25 * of(9));
}
