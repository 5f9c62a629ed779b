//! The throttle's guarantees, in worlds of many kinds.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::clients::{CLIENTS, Maker, Ours};
use super::worlds::{apart, chance, promised};
use crate::fuzz::cases;
use crate::pace::evidence::number;

use super::{Kind, Limits, Outcome, RetryAfter, World, run};

fn ours(world: &World, seed: u64) -> Outcome {
    run(world, seed, &mut Ours::new(world, seed))
}

/// In a debug build, a run takes half a second.
const RUNS: u64 = if cfg!(debug_assertions) { 1 } else { 5 };

/// Some runs, each of which completes every row.
fn some(world: &World) -> Vec<Outcome> {
    let runs: Vec<Outcome> = (0..RUNS).map(|seed| ours(world, seed)).collect();
    assert!(runs.iter().all(|run| run.done == world.rows), "{runs:?}");
    runs
}

#[test]
fn the_guarantee_for_each_limiter_holds() {
    let broken: Vec<String> = promised()
        .into_iter()
        .flat_map(|case| some(&case.world).into_iter().map(move |run| (case.name, case.least, case.refused, run)))
        .filter(|(_, least, refused, run)| run.goodput < *least || run.share_refused() > *refused)
        .map(|(name, least, _, run)| format!("{name}: {:.3} of {least}, {:.4} refused", run.goodput, run.share_refused()))
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn chance_refusals_cost_their_holds_and_little_else() {
    for most in [50.0, 200.0, 1000.0] {
        for run in some(&World { rows: 1000, ..chance(most) }) {
            let least = f64::from(run.refused) + f64::from(run.done) / most;
            assert!(run.took <= 1.5 * least, "{most}: {run:?}, at least {least}");
        }
    }
}

#[test]
fn after_an_outage_the_run_goes_on_as_before() {
    for (outage, wait) in [((0.0, 1.0), 60.0), ((0.0, 22.0), 5.0), ((6.0, 20.0), 2.0)] {
        let world = World { most: 50.0, rows: 10_000, outage, retry_after: RetryAfter::Always(wait), ..World::default() };
        for run in some(&world) {
            assert!(run.goodput >= 0.70, "{outage:?}: {run:?}");
        }
    }
}

#[test]
fn few_429s_are_risked_where_each_costs_half_a_minute() {
    let world = World { retry_after: RetryAfter::Always(30.0), rows: 30_000, ..World::default() };
    for run in some(&world) {
        assert!(run.goodput >= 0.75 && run.share_refused() <= 0.01, "{run:?}");
    }
}

#[test]
fn others_on_the_same_limit_are_rarely_refused() {
    for case in promised().into_iter().filter(|case| case.world.limits.others > 0.0) {
        for run in some(&case.world) {
            assert!(run.others <= 0.06, "{}: {run:?}", case.name);
        }
    }
}

#[test]
fn no_second_sees_more_than_the_rate_asked_for() {
    for most in [5.0, 80.0, 300.0] {
        let world = World { most, ..World::default() };
        for run in some(&world) {
            assert!(f64::from(run.fullest) <= most + 1.0, "{most}: {run:?}");
        }
    }
}

/// Where others share the limit, single runs say little.
const SHARED_RUNS: u64 = 5;

/// Of the clients with few refusals, none beats ours by more than the noise of so few runs, and in most worlds none
/// comes near. `cargo test --release -- no_other_client --nocapture` prints the table.
#[test]
#[expect(clippy::print_stdout, reason = "the table")]
fn no_other_client_with_as_few_refusals_is_faster() {
    let mut ahead = Vec::new();
    println!(
        "worst of {RUNS}, or mean of {SHARED_RUNS} with others; % of what was left (% refused): {}",
        CLIENTS.map(|(name, _)| name).join(" | ")
    );
    for case in promised().into_iter().chain(apart()) {
        let of = |(_, make): (&str, Maker)| {
            // What others take is the same for all clients, but when each of them is refused is chance.
            let is_shared = case.world.limits.others > 0.0;
            let seeds = if is_shared { SHARED_RUNS } else { RUNS };
            let runs: Vec<Outcome> = (0..seeds).map(|seed| run(&case.world, seed, make(&case.world, seed).as_mut())).collect();
            let all = runs.iter().map(|run| run.goodput);
            let goodput = if is_shared { all.sum::<f64>() / number(runs.len()) } else { all.fold(f64::INFINITY, f64::min) };
            (goodput, runs.iter().map(Outcome::share_refused).fold(0.0, f64::max))
        };
        let all = CLIENTS.map(of);
        println!("{:32}{}", case.name, all.map(|(goodput, refused)| format!("{:8.1} ({:.1})", goodput * 100.0, refused * 100.0)).concat());
        let (ours, refused) = all[0];
        let best = all[1..].iter().filter(|(_, other)| *other <= refused * 1.5).map(|(goodput, _)| *goodput).fold(0.0, f64::max);
        if case.least > 0.0 && best > ours + 0.05 {
            ahead.push(format!("{}: {ours:.3}, another {best:.3}", case.name));
        }
    }
    assert!(ahead.is_empty(), "{ahead:#?}");
}

/// A number from one to `most`, small ones as often as large ones.
fn up_to(most: f64) -> impl Strategy<Value = f64> {
    (0.0..1.0_f64).prop_map(move |share| most.powf(share).round())
}

fn any_world() -> impl Strategy<Value = World> {
    let kind = prop_oneof![Just(Kind::Sliding), Just(Kind::Fixed), up_to(1000.0).prop_map(Kind::Bucket)];
    let wait = prop::sample::select(vec![RetryAfter::Always(1.0), RetryAfter::Nothing, RetryAfter::Truth]);
    (kind, up_to(1000.0), prop::bool::ANY, 0.0..0.2_f64, wait).prop_map(|(kind, limit, by_minute, latency, retry_after)| {
        let (window, limit) = if by_minute { (60.0, limit.max(60.0)) } else { (1.0, limit) };
        // Jitter of network and timers empties a bucket that fills within 10 ms: nobody can use it evenly.
        let kind = if let Kind::Bucket(burst) = kind { Kind::Bucket(burst.max((limit / window / 100.0).ceil())) } else { kind };
        // Two minutes' worth, or ten for windows of a minute; at least so many rows that finding the limit costs comparatively little.
        let seconds = if by_minute { 600.0 } else { 120.0 };
        let rows = std::time::Duration::from_secs_f64(limit / window * seconds).as_secs().max(5000);
        let limits = Limits { kind, window, steps: vec![(0.0, limit)], ..Limits::default() };
        // No more than the slots allow.
        let most = (50.0 / (latency + 0.01)).min(1000.0);
        World { limits, latency, retry_after, most, rows: u32::try_from(rows).expect("small"), ..World::default() }
    })
}

proptest! {
    // The same worlds each time: `PROPTEST_CASES=2000 cargo test --release -- a_long_run_comes_near` checks more, and
    // some of a thousand of those are below.
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..cases(8) })]
    #[test]
    fn a_long_run_comes_near_any_limiter_with_few_refusals(world in any_world(), seed in 0_u64..1000) {
        let run = ours(&world, seed);
        prop_assert!(run.goodput >= 0.75, "{:?}", run);
        // A minute that no 429 names costs more to find out.
        let most = if world.limits.window > 1.0 && world.retry_after != RetryAfter::Truth { 0.06 } else { 0.03 };
        prop_assert!(run.share_refused() <= most, "{:?}", run);
    }
}
