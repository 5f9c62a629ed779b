//! Clients that share a limit and do not know of each other: how much all of them reach together, and how fair they are.

use super::clients::Ours;
use super::{Client, Kind, Limits, Together, World, run_all};
use crate::pace::evidence::number;

/// GNU parallel and a scheduler start processes within this time, in seconds.
const STARTS: f64 = 0.05;
/// In a debug build, runs are slow.
const RUNS: u64 = if cfg!(debug_assertions) { 2 } else { 6 };
/// The mean of few runs varies by this much.
const NOISE: f64 = 0.01;
/// In all, of some seconds and of some minutes at the limit; the latter takes too long in a debug build.
const ROWS: &[u32] = if cfg!(debug_assertions) { &[3000] } else { &[3000, 20_000] };
const LIMIT: f64 = 100.0;

/// Runs clients that begin at these times.
fn from(world: &World, seed: u64, starts: &[f64]) -> Together {
    let count = u32::try_from(starts.len()).expect("few");
    let one = |nth| Ours::new(&world.share_of(nth, count), seed * 1000 + u64::from(nth)).of(count);
    let mut all: Vec<Ours> = (0..count).map(one).collect();
    let clients = starts.iter().copied().zip(all.iter_mut().map(|one| one as &mut dyn Client)).collect();
    run_all(world, seed, clients)
}

fn within(world: &World, count: u32, seed: u64, seconds: f64) -> Together {
    let mut random = fastrand::Rng::with_seed(seed + 4321);
    let starts: Vec<f64> = (0..count).map(|nth| if nth == 0 { 0.0 } else { random.f64() * seconds }).collect();
    from(world, seed, &starts)
}

/// The mean of some runs, and the worst.
#[derive(Debug)]
struct Summary {
    /// The goodput until the last row, and while all ran.
    whole: f64,
    meanwhile: f64,
    refused: f64,
    least: f64,
    /// The mean of each run's least.
    usual_least: f64,
    most: f64,
    jain: f64,
}

fn summary(world: &World, count: u32, seconds: f64) -> Summary {
    let runs: Vec<Together> = (0..RUNS).map(|seed| within(world, count, seed, seconds)).collect();
    assert!(runs.iter().all(|run| run.all.done == world.rows), "every row is done");
    let mean = |of: &dyn Fn(&Together) -> f64| runs.iter().map(of).sum::<f64>() / number(runs.len());
    let least = |run: &Together| run.shares().into_iter().fold(f64::INFINITY, f64::min);
    Summary {
        whole: mean(&|run| run.all.goodput),
        meanwhile: mean(&|run| run.meanwhile),
        refused: mean(&|run| run.all.share_refused()),
        least: runs.iter().map(least).fold(f64::INFINITY, f64::min),
        usual_least: mean(&least),
        most: runs.iter().flat_map(Together::shares).fold(0.0, f64::max),
        jain: mean(&Together::jain),
    }
}

fn world(kind: Kind, rows: u32) -> World {
    limited(kind, rows, LIMIT)
}

fn limited(kind: Kind, rows: u32, limit: f64) -> World {
    World { limits: Limits { kind, steps: vec![(0.0, limit)], ..Limits::default() }, rows, ..World::default() }
}

const KINDS: [(&str, Kind); 5] = [
    ("sliding", Kind::Sliding),
    ("fixed", Kind::Fixed),
    ("bucket 20", Kind::Bucket(20.0)),
    ("bucket 100", Kind::Bucket(100.0)),
    ("bucket 500", Kind::Bucket(500.0)),
];

/// What all together reach, as a share of what one client reaches. Half a minute has two or three holds of each, where one client that
/// sees every answer has one; after some minutes they no longer count.
fn least_sum(rows: u32) -> f64 {
    if rows < 10_000 { 0.92 } else { 0.95 }
}

/// The share of requests that may be refused. Before the first refusal, the sum has grown to some two or three times the limit, of which
/// a round trip of 50 ms is in flight: 15 of 3,000. Each client has three to five holds in half a minute, of one or two requests: 5 × 16
/// of 3,000 for sixteen clients, and twice as many in some minutes. A bucket that stores five seconds' worth lets the sum grow to five
/// times the limit or more, so that it takes three times as many holds to come down.
fn most_refused(kind: Kind, rows: u32) -> f64 {
    let times = if matches!(kind, Kind::Bucket(size) if size > LIMIT) { 3.0 } else { 1.0 };
    times * if rows < 10_000 { 0.035 } else { 0.01 }
}

/// Whether sixteen clients share a bucket smaller than two requests of each: whose request finds it empty is luck then, and who was
/// lucky at first stays ahead for minutes.
fn is_left_to_luck(kind: Kind, clients: u32) -> bool {
    matches!(kind, Kind::Bucket(size) if size < 2.0 * f64::from(clients))
}

/// `cargo test --release -- several_clients_reach --nocapture` prints the table.
#[test]
#[expect(clippy::print_stdout, reason = "the table")]
fn several_clients_reach_together_what_one_reaches_and_each_half_of_its_share() {
    let mut broken = Vec::new();
    println!("rows, limiter, clients: % of the limit until the last row, and while all ran; % refused; least share (usual) to most; Jain");
    for (name, kind) in KINDS {
        for rows in ROWS.iter().copied() {
            let world = world(kind, rows);
            let one = summary(&world, 1, 0.0).meanwhile;
            for count in [2, 4, 8, 16] {
                let all = summary(&world, count, STARTS);
                let (whole, meanwhile, refused) = (all.whole * 100.0, all.meanwhile * 100.0, all.refused * 100.0);
                println!(
                    "{rows:6} {name:10} {count:3}: {whole:6.1} {meanwhile:6.1} {refused:6.2} {:5.2} ({:.2}) to {:.2} {:.3}",
                    all.least, all.usual_least, all.most, all.jain
                );
                let is_fair = is_left_to_luck(kind, count) || all.usual_least >= 0.5 && all.least >= if count > 8 { 0.3 } else { 0.4 };
                if all.meanwhile < least_sum(rows) * one - NOISE || all.refused > most_refused(kind, rows) || !is_fair {
                    broken.push(format!("{name}, {rows} rows, {count}: {all:?}, one reaches {one:.3}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Limits that the constants were not chosen with.
const UNROUND: [f64; 5] = [35.0, 70.0, 85.0, 130.0, 270.0];

/// Until the last row, eight clients take longer than one by the rows that the slowest has left when the others are done, and by holds.
#[test]
fn eight_clients_at_a_limit_that_is_not_round_take_a_third_longer_than_one() {
    for (kind, least_of_one, least_share) in [(Kind::Sliding, 0.7, 0.7), (Kind::Fixed, 0.72, 0.7), (Kind::Bucket(100.0), 0.76, 0.65)] {
        let runs = UNROUND.map(|limit| {
            let world = limited(kind, 3000, limit);
            (summary(&world, 1, 0.0), summary(&world, 8, STARTS))
        });
        let mean = |of: &dyn Fn(&(Summary, Summary)) -> f64| runs.iter().map(of).sum::<f64>() / number(runs.len());
        let of_one = mean(&|(one, all)| all.whole / one.whole);
        let share = mean(&|(_, all)| all.usual_least);
        assert!(of_one >= least_of_one && share >= least_share, "{kind:?}: {of_one} of what one reaches, least share {share}");
    }
}

#[test]
fn windows_are_shared_nearly_evenly() {
    for kind in [Kind::Sliding, Kind::Fixed] {
        for count in [2, 8, 16] {
            let all = summary(&world(kind, 3000), count, STARTS);
            assert!(all.least >= 0.8 && all.jain >= 0.99, "{kind:?}, {count}: {all:?}");
        }
    }
}

#[test]
fn one_client_among_one_is_the_client_alone() {
    for (_, kind) in KINDS {
        let world = world(kind, 1000);
        let alone = super::run(&world, 3, &mut Ours::new(&world, 3));
        let among = run_all(&world, 3, vec![(0.0, &mut Ours::new(&world, 3).of(1))]).all;
        assert_eq!(format!("{alone:?}"), format!("{among:?}"));
    }
}

#[test]
fn each_client_has_its_rows_and_keeps_to_its_part_of_the_rate() {
    let world = World { most: 40.0, rows: 1001, ..world(Kind::Sliding, 0) };
    let run = within(&world, 8, 1, STARTS);
    assert_eq!(run.parts.iter().map(|part| part.done).collect::<Vec<_>>(), [126, 125, 125, 125, 125, 125, 125, 125]);
    for part in &run.parts {
        assert!(part.rate(part.start, part.ended) <= 40.0 / 8.0 + 0.1 && part.refused == 0, "{part:?}");
    }
    assert!(f64::from(run.all.fullest) <= 40.0 + 8.0, "{:?}", run.all);
}

/// What is reached of a share is counted over this many seconds.
const SPAN: f64 = 30.0;

/// When a client that started late first reaches half of its share over a span, in seconds after its start.
fn reaches_half(run: &Together, late: f64) -> Option<f64> {
    let part = run.parts.last()?;
    let half = LIMIT / number(run.parts.len()) / 2.0;
    (0..200).map(|nth| f64::from(nth) * 5.0).find(|after| part.rate(late + after, late + after + SPAN) >= half)
}

/// The others have the whole limit by then. Under a window, the newcomer has half of its share within its first half minute. Under a
/// bucket it is refused by luck as often as they are, and may have to wait until they have been refused more often: some minutes.
#[test]
fn a_client_that_starts_ten_seconds_late_gets_half_of_its_share() {
    for (name, kind) in KINDS {
        let within = if matches!(kind, Kind::Bucket(_)) { 300.0 } else { 5.0 };
        for seed in 0..RUNS {
            let starts = [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.02, 10.0];
            let run = from(&world(kind, 40_000), seed, &starts);
            let after = reaches_half(&run, 10.0);
            assert!(after.is_some_and(|after| after <= within), "{name}: {after:?}");
        }
    }
}

/// The share of a licence's rate that one address is allowed.
const OF_ADDRESS: f64 = 0.35;

/// Where each address has a limit of its own, and all of them one in common: one process for each address is enough, and more on the same
/// address only share what it has.
#[test]
fn one_process_for_each_address_is_best() {
    let took = |addresses: u8, each: u32, seed: u64| {
        let world = World { addresses: Some((addresses, OF_ADDRESS)), ..world(Kind::Sliding, 6000) };
        let run = within(&world, u32::from(addresses) * each, seed, STARTS);
        assert_eq!(run.all.done, world.rows);
        run.all.took
    };
    let usual =
        |addresses: u8, each: u32| (0..RUNS).map(|seed| took(addresses, each, seed)).sum::<f64>() / (0..RUNS).map(|_| 1.0).sum::<f64>();
    let one = usual(1, 1);
    assert!(usual(1, 4) > one, "more processes on one address are slower");
    let (two, three, four) = (usual(2, 1), usual(3, 1), usual(4, 1));
    assert!(two < one / 1.7 && three < one / 2.5, "{one} {two} {three}");
    for (addresses, took) in [(1.0, one), (2.0, two), (3.0, three)] {
        let expected = seconds(6000.0, LIMIT, addresses);
        assert!((0.9..1.1).contains(&(took / expected)), "{addresses} addresses: {took} s, and the reference reckons with {expected}");
    }
    assert!(usual(3, 2) >= three * 0.98, "more processes for each address gain nothing");
    assert!(four > three * 0.9, "a fourth address has nothing left to take: {three} {four}");
}

/// How long a run takes, in seconds, on so many addresses of which each has one process.
fn seconds(rows: f64, licence: f64, addresses: f64) -> f64 {
    rows / (licence * (OF_ADDRESS * addresses).min(1.0) * EFFICIENCY)
}

/// The share of the limit that one to three processes reach, each on its own address, from start to end.
const EFFICIENCY: f64 = 0.93;

/// A time in the unit that suits the longest of a row, with two digits.
fn in_words(times: [f64; 3]) -> String {
    let (unit, name) = match times[0] {
        longest if longest < 120.0 => (1.0, "s"),
        longest if longest < 7200.0 => (60.0, "min"),
        longest if longest < 172_800.0 => (3600.0, "h"),
        _ => (86_400.0, "d"),
    };
    let shown = times.map(|time| time / unit).map(|time| if time < 9.95 { format!("{time:.1}") } else { format!("{time:.0}") });
    format!("{} {name}", shown.join(" / "))
}

#[test]
fn the_reference_has_the_times_of_one_to_three_addresses_and_a_fourth_changes_none() {
    let topic = crate::explain::TOPICS.iter().find(|topic| topic.name == "shards").expect("a topic");
    let rows = [("10,000", 1e4), ("100,000", 1e5), ("1,000,000", 1e6), ("10,000,000", 1e7), ("100,000,000", 1e8)];
    for (users, rows) in rows {
        let times = |licence| [1.0, 2.0, 3.0].map(|addresses| seconds(rows, licence, addresses));
        let expected = format!("| {users} | {} |", [100.0, 500.0, 2000.0].map(times).map(in_words).join(" | "));
        assert!(topic.markdown.lines().any(|line| line == expected), "{expected}");
        assert!(seconds(rows, 500.0, 2.0) > seconds(rows, 500.0, 3.0));
        assert!((seconds(rows, 500.0, 3.0) - seconds(rows, 500.0, 4.0)).abs() < 1e-9);
    }
}

/// Reading the input and getting a token take a little longer for one process than for another.
#[test]
fn starts_within_a_third_of_a_second_leave_each_half_of_its_share_of_a_window() {
    for kind in [Kind::Sliding, Kind::Fixed] {
        let all = summary(&world(kind, 3000), 8, 0.3);
        assert!(all.least >= 0.5, "{kind:?}: {all:?}");
    }
}
