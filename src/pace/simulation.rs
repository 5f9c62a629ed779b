//! Does the throttle find the limit, and stay under it? A run against each kind of server, in a time of its
//! own: thirty seconds take a few milliseconds, so that a change of the throttle's constants can be judged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::throttle::Throttle;
use crate::sandbox::{LimitKind, Limiter, RateLimit};

/// What a run is like.
#[derive(Debug, Clone, Copy)]
struct World {
    kind: LimitKind,
    limit: &'static str,
    /// What a 429 says, if it says something.
    retry_after: Option<Duration>,
    most: f64,
    rows: u32,
    latency: Duration,
    concurrency: usize,
    seed: u64,
}

/// What came of it.
#[derive(Debug)]
struct Outcome {
    took: Duration,
    requests: u32,
    refused: u32,
    refused_late: u32,
    /// How many requests were admitted, as a share of what the limit allowed in that time.
    share: f64,
}

impl Outcome {
    fn refused_share(&self) -> f64 {
        f64::from(self.refused) / f64::from(self.requests)
    }

    fn refused_late_share(&self) -> f64 {
        f64::from(self.refused_late) / f64::from(self.requests)
    }
}

/// The run of a client that sends as soon as it may, with a place in flight and a turn.
fn run(world: World) -> Outcome {
    let mut random = fastrand::Rng::with_seed(world.seed);
    let limit: RateLimit = world.limit.parse().expect("a limit");
    let mut server = Limiter::new(world.kind, limit.clone());
    let mut throttle = Throttle::new(world.most);
    // Fixed windows do not begin with the run.
    let start = Duration::from_secs_f64(random.f64());
    let mut now = start;
    let (mut turn, mut there) = (start, start);
    let mut answers: BinaryHeap<Reverse<(Duration, Duration, bool)>> = BinaryHeap::new();
    let (mut admitted, mut requests, mut refused, mut refused_late) = (0, 0, 0, 0);
    while admitted < world.rows {
        let next_answer = answers.peek().map(|Reverse((at, ..))| *at);
        let may_send = throttle.held_until(now).unwrap_or(now).max(turn).max(now);
        if answers.len() < world.concurrency && next_answer.is_none_or(|at| may_send < at) {
            now = may_send;
            if throttle.held_until(now).is_some() {
                continue;
            }
            // A machine that is busy stalls now and then; a little of that is made up for.
            let late = if random.u32(..100) == 0 { random.f64() * 0.03 } else { random.f64() * 0.001 };
            now += Duration::from_secs_f64(late);
            let rate = throttle.rate(now);
            let interval = Duration::from_secs_f64(1.0 / (rate * 0.995).min(100_000.0));
            turn = (turn + interval).max((now + interval).saturating_sub(MADE_UP));
            if std::env::var_os("TRACE").is_some()
                && world.latency.as_millis().to_string() == std::env::var("MS").unwrap()
                && world.limit == std::env::var("TRACE").unwrap()
                && format!("{:?}", world.kind) == std::env::var("KIND").unwrap()
                && world.retry_after.is_some()
            {
                println!("T {:.3} rate {rate:.1} {}", (now - start).as_secs_f64(), refused);
            }
            // They arrive in the order in which they are sent.
            there = there.max(now + world.latency.mul_f64(0.4 + 0.2 * random.f64()));
            requests += 1;
            answers.push(Reverse((there + world.latency.mul_f64(0.5), now, server.admits(there))));
            continue;
        }
        let Some(Reverse((at, sent, is_in))) = answers.pop() else {
            now = may_send;
            continue;
        };
        now = now.max(at);
        if is_in {
            admitted += 1;
            throttle.admitted(sent);
        } else {
            refused += 1;
            refused_late += u32::from(sent > start + Duration::from_secs(2));
            throttle.refused(sent, now, world.retry_after, random.f64());
        }
    }
    let took = now - start;
    let allowed: f64 = (0..took.as_millis()).map(|ms| f64::from(limit.at(Duration::from_millis(ms as u64))) / 1000.0).sum();
    Outcome { took, requests, refused, refused_late, share: f64::from(world.rows) / allowed }
}

/// What the pacer makes up for.
const MADE_UP: Duration = Duration::from_millis(5);

const KINDS: [LimitKind; 3] = [LimitKind::Sliding, LimitKind::Fixed, LimitKind::Bucket];

#[test]
fn table() {
    for (limit, rows) in
        [("100", 3000), ("100,40@10,100@20", 3500), ("100,40@20,100@40", 6000), ("100,40@30,100@60", 9000), ("5", 300), ("20", 2000)]
    {
        for retry_after in [Some(Duration::from_secs(1)), None] {
            for kind in KINDS {
                for ms in [5, 50, 300] {
                    let runs: Vec<Outcome> = (0..20)
                        .map(|seed| {
                            run(World {
                                kind,
                                limit,
                                retry_after,
                                most: 1000.0,
                                rows,
                                latency: Duration::from_millis(ms),
                                concurrency: 64,
                                seed,
                            })
                        })
                        .collect();
                    let worst = runs.iter().map(|run| run.share).fold(9.0, f64::min);
                    let mean = runs.iter().map(|run| run.share).sum::<f64>() / 20.0;
                    let refused = runs.iter().map(Outcome::refused_share).fold(0.0, f64::max);
                    let late = runs.iter().map(Outcome::refused_late_share).fold(0.0, f64::max);
                    println!(
                        "{limit:18} {:?} {kind:?} {ms}ms: worst {worst:.3} mean {mean:.3} refused {refused:.3} late {late:.3}",
                        retry_after.is_some()
                    );
                }
            }
        }
    }
}
