//! `kill -9` at any instant, again and again.

use std::time::{Duration, Instant};

use crate::trial::{Asks, Trial, Trials, World, each, wanted};

const ROWS: u64 = 60;
/// The most kills of one run.
const MOST_KILLS: u32 = 3;
/// About the duration of a run in milliseconds, so that some kills meet its end.
const LONGEST: u64 = 350;

/// Kills a run a few times, at instants derived from `seed`, and resumes it until it has finished.
fn kill(seed: u32, of: &[(Asks, World)], trials: &Trials) {
    let mut random = fastrand::Rng::with_seed(u64::from(seed));
    let (asks, world) = of[seed as usize % of.len()];
    let mut trial = Trial::new(asks, world, ROWS, u64::from(seed));
    let mut instants = Vec::new();
    for kills in 0..random.u32(1..=MOST_KILLS) {
        instants.push(random.u64(1..LONGEST));
        if !trial.kill(kills > 0, Duration::from_millis(instants[instants.len() - 1])) {
            break;
        }
        trials.counted();
    }
    trials.judged(&format!("trial {seed}, {asks:?}, {world:?}, killed after {instants:?} ms"), &trial.verdict());
}

fn kills(of: &[(Asks, World)]) {
    let (began, trials) = (Instant::now(), Trials::default());
    let wanted = wanted("KILLS", 40);
    each(|seed| {
        kill(seed, of, &trials);
        trials.so_far() >= wanted
    });
    trials.conclude("kills", began);
}

#[test]
fn whenever_a_run_is_killed_it_is_taken_up_to_a_true_report() {
    kills(&[(Asks::Grant, World::Open), (Asks::End, World::Open), (Asks::Grant, World::Kind), (Asks::LookAndGrant, World::Open)]);
}

#[test]
fn whenever_a_run_is_killed_nobody_is_said_to_have_no_bypass_who_may_have_one() {
    kills(&[(Asks::Grant, World::Hostile), (Asks::End, World::Hostile), (Asks::LookAndGrant, World::Hostile)]);
}
