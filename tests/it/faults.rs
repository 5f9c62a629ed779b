//! Files that cannot be written: for every call on a file of a run, a run in which that call fails.

use std::time::Instant;

use crate::harness::done;
use crate::shim::Shim;
use crate::trial::{Asks, Trial, Trials, World, each, wanted};

const ROWS: u64 = 40;

/// How a call fails.
#[derive(Debug, Clone, Copy)]
enum Failing {
    Once(&'static str),
    ForGood(&'static str),
    /// For good, after half a write.
    Torn(&'static str),
    Short,
}

const WAYS: [Failing; 8] = [
    Failing::ForGood("ENOSPC"),
    Failing::Once("EIO"),
    Failing::Once("ENOSPC"),
    Failing::Short,
    Failing::ForGood("EIO"),
    Failing::Torn("ENOSPC"),
    Failing::Once("EDQUOT"),
    Failing::Torn("EIO"),
];

impl Failing {
    fn shim(self, nth: u32) -> Shim {
        match self {
            Self::Once(errno) => Shim::failing(nth, errno),
            Self::ForGood(errno) => Shim::failing(nth, errno).for_good(),
            Self::Torn(errno) => Shim::torn(nth, errno),
            Self::Short => Shim::short(nth),
        }
    }

    /// A short write is no fault: the rest is written by the next call.
    fn is_harmless(self) -> bool {
        match self {
            Self::Once(_) | Self::ForGood(_) | Self::Torn(_) => false,
            Self::Short => true,
        }
    }
}

/// Begins or resumes the run of `trial` with this call failing. The run stops because of its files, or it finishes if
/// the failure does not matter. Returns the calls that failed.
fn disturb(trial: &mut Trial, resumes: bool, way: Failing, nth: u32) -> Vec<String> {
    let shim = way.shim(nth);
    let done = done(shim.preload(&mut trial.tool(resumes)).output().expect("the tool runs"));
    let files = if way.is_harmless() { &[][..] } else { &[5] };
    trial.ended(&done, &[trial.codes(), files].concat());
    shim.faults()
}

/// Lets the `nth` call of a run fail, and in every third trial also one of its first resume's. Returns whether the run
/// ended before that call.
fn fails_at(nth: u32, round: u32, of: &[(Asks, World)], trials: &Trials) -> bool {
    let (way, (asks, world)) = (chosen(&WAYS, nth + round), chosen(of, (nth + round) / 8));
    let mut trial = Trial::new(asks, world, ROWS, u64::from(round * 1000 + nth));
    let mut faults = disturb(&mut trial, false, way, nth);
    let is_over = faults.is_empty() && !way.is_harmless();
    if (nth + round).is_multiple_of(3) {
        faults.extend(disturb(&mut trial, true, way, nth * 7 % 53 + 1));
    }
    if !faults.is_empty() {
        trials.counted();
    }
    trials.judged(&format!("round {round}, {asks:?}, {world:?}, call {nth}, {way:?}, {faults:?}"), &trial.verdict());
    is_over
}

fn chosen<T: Copy>(of: &[T], number: u32) -> T {
    of[number as usize % of.len()]
}

fn rounds(of: &[(Asks, World)]) {
    let (began, trials) = (Instant::now(), Trials::default());
    // One round covers each call.
    let wanted = wanted("WRITE_ERRORS", 1);
    let mut round = 0;
    while trials.so_far() < wanted {
        each(|nth| fails_at(nth, round, of, &trials));
        round += 1;
    }
    trials.conclude("write errors", began);
}

#[test]
fn whichever_call_on_a_file_fails_the_run_is_taken_up_to_a_true_report() {
    rounds(&[(Asks::Grant, World::Kind), (Asks::End, World::Kind), (Asks::LookAndGrant, World::Kind)]);
}

#[test]
fn whichever_call_on_a_file_fails_nobody_is_said_to_have_no_bypass_who_may_have_one() {
    rounds(&[(Asks::Grant, World::Hostile), (Asks::End, World::Hostile), (Asks::Grant, World::Open), (Asks::LookAndGrant, World::Open)]);
}
