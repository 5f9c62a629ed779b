//! Does the throttle find the limit, and stay under it? Runs against each kind of server, in a time of their
//! own: half a minute takes a few milliseconds, so that a change of the throttle's constants can be judged.
//! The same against a server with sockets is a benchmark (`cargo bench -- throttle`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::throttle::Throttle;
use crate::sandbox::{LimitKind, Limiter, RateLimit};

const KINDS: [LimitKind; 3] = [LimitKind::Sliding, LimitKind::Fixed, LimitKind::Bucket];
const SEEDS: u64 = 10;
const IN_FLIGHT: usize = 64;
/// What the pacer makes up for.
const MADE_UP: Duration = Duration::from_millis(5);

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
    /// The share of requests that are refused for no reason of ours.
    noise: f64,
    /// When, in seconds from the start, every request is, since others have used the limit up.
    outage: (f64, f64),
}

const WORLD: World = World {
    kind: LimitKind::Sliding,
    limit: "100",
    retry_after: Some(Duration::from_secs(1)),
    most: 1000.0,
    rows: 3000,
    latency: Duration::from_millis(50),
    noise: 0.0,
    outage: (0.0, 0.0),
};

/// What came of it.
#[derive(Debug)]
struct Result {
    /// How many requests were let in, as a share of what the limit allowed in that time.
    goodput: f64,
    /// The share of requests that were refused, in all and of those after the first two seconds.
    refused: f64,
    refused_later: f64,
}

/// A client that sends as soon as it has a place in flight and a turn, and the network between.
struct Client {
    world: World,
    random: fastrand::Rng,
    server: Limiter,
    throttle: Throttle,
    start: Duration,
    now: Duration,
    /// When the next turn is due.
    turn: Duration,
    /// When the last request arrived there.
    there: Duration,
    /// When each answer comes, when its request was sent, whether it was let in.
    answers: BinaryHeap<Reverse<(Duration, Duration, bool)>>,
    let_in: u32,
    /// When those that were refused had been sent, and all.
    refused: Vec<Duration>,
    sent: Vec<Duration>,
}

impl Client {
    fn new(world: World, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        // Fixed windows do not begin with the run.
        let start = Duration::from_secs_f64(random.f64());
        let server = Limiter::new(world.kind, world.limit.parse().expect("a limit"));
        let throttle = Throttle::new(world.most);
        let (refused, sent) = (Vec::new(), Vec::new());
        Self {
            world,
            random,
            server,
            throttle,
            start,
            now: start,
            turn: start,
            there: start,
            answers: BinaryHeap::new(),
            let_in: 0,
            refused,
            sent,
        }
    }

    fn run(mut self) -> Result {
        while self.let_in < self.world.rows {
            let may_send = self.throttle.held_until(self.now).unwrap_or(self.now).max(self.turn);
            let answered = self.answers.peek().map(|Reverse((at, ..))| *at);
            match answered {
                Some(at) if self.answers.len() == IN_FLIGHT || at <= may_send => self.take_answer(),
                _ => {
                    self.now = self.now.max(may_send);
                    self.send();
                }
            }
        }
        let took = self.now.saturating_sub(self.start);
        let limit: RateLimit = self.world.limit.parse().expect("a limit");
        let allowed: f64 = (0..took.as_millis() / 10)
            .map(|at| f64::from(limit.at(Duration::from_millis(10) * u32::try_from(at).expect("a short run"))) / 100.0)
            .sum();
        let later = |times: &[Duration]| share(times.iter().filter(|at| **at > self.start + Duration::from_secs(2)).count(), 1);
        Result {
            goodput: f64::from(self.let_in) / allowed,
            refused: share(self.refused.len(), self.sent.len()),
            refused_later: later(&self.refused) / later(&self.sent),
        }
    }

    fn send(&mut self) {
        let rate = self.throttle.rate(self.now);
        // A machine that is busy stalls now and then; a little of that is made up for.
        let stall = if self.random.u32(..100) == 0 { 0.03 } else { 0.001 };
        self.now += Duration::from_secs_f64(self.random.f64() * stall);
        let interval = Duration::from_secs_f64(1.0 / (rate * 0.995));
        self.turn = (self.turn + interval).max((self.now + interval).saturating_sub(MADE_UP));
        // They arrive in the order in which they are sent.
        self.there = self.there.max(self.now + self.world.latency.mul_f64(0.4 + 0.2 * self.random.f64()));
        let (from, to) = self.world.outage;
        let is_out = (from..to).contains(&self.there.saturating_sub(self.start).as_secs_f64());
        let is_in = !is_out && self.random.f64() >= self.world.noise && self.server.admits(self.there);
        self.answers.push(Reverse((self.there + self.world.latency / 2, self.now, is_in)));
        self.sent.push(self.now);
    }

    fn take_answer(&mut self) {
        let Some(Reverse((at, sent, is_in))) = self.answers.pop() else {
            unreachable!("one was seen");
        };
        self.now = self.now.max(at);
        if is_in {
            self.let_in += 1;
            self.throttle.admitted(sent);
        } else {
            self.refused.push(sent);
            self.throttle.refused(sent, self.now, self.world.retry_after, self.random.f64());
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "small")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// What came of runs in a world with each kind of server: their mean goodput, and the most that were refused.
fn results(world: World) -> impl Iterator<Item = (LimitKind, Result)> {
    KINDS.into_iter().map(move |kind| {
        let runs: Vec<Result> = (0..SEEDS).map(|seed| Client::new(World { kind, ..world }, seed).run()).collect();
        let goodput = runs.iter().map(|run| run.goodput).sum::<f64>() / share(runs.len(), 1);
        let most = |of: fn(&Result) -> f64| runs.iter().map(of).fold(0.0, f64::max);
        let result = Result { goodput, refused: most(|run| run.refused), refused_later: most(|run| run.refused_later) };
        (kind, result)
    })
}

#[test]
fn a_limit_is_found_and_kept_to_whatever_the_kind_of_server() {
    for retry_after in [Some(Duration::from_secs(1)), None] {
        for (kind, result) in results(World { retry_after, ..WORLD }) {
            assert!(result.goodput >= 0.9, "{kind:?}: {result:?}");
            assert!(result.refused <= 0.05 && result.refused_later <= 0.02, "{kind:?}: {result:?}");
        }
    }
}

#[test]
fn a_limit_that_falls_and_rises_again_is_followed() {
    for (kind, result) in results(World { limit: "100,40@20,100@40", rows: 6000, ..WORLD }) {
        assert!(result.goodput >= 0.83 && result.refused <= 0.05, "{kind:?}: {result:?}");
    }
}

#[test]
fn low_and_high_limits_are_found_too() {
    for (limit, rows) in [("5", 150), ("20", 600), ("500", 15_000)] {
        for (kind, result) in results(World { limit, rows, ..WORLD }) {
            assert!(result.goodput >= 0.8 && result.refused_later <= 0.05, "{limit} {kind:?}: {result:?}");
        }
    }
}

#[test]
fn who_is_refused_at_random_does_not_come_to_a_standstill() {
    for (kind, result) in results(World { limit: "50", most: 45.0, rows: 2000, noise: 0.02, ..WORLD }) {
        assert!(result.goodput >= 0.12, "{kind:?}: {result:?}");
    }
}

#[test]
fn after_a_time_in_which_nothing_is_let_in_the_run_goes_on_as_before() {
    for (outage, wait) in [((0.0, 1.0), 60), ((0.0, 22.0), 5), ((6.0, 20.0), 2)] {
        let world = World { most: 50.0, rows: 10_000, outage, retry_after: Some(Duration::from_secs(wait)), ..WORLD };
        for (kind, result) in results(world) {
            // Of 100 that are let in a second, 50 are asked for.
            assert!(result.goodput >= 0.36, "{outage:?} {kind:?}: {result:?}");
        }
    }
}

#[test]
fn who_waits_long_for_each_429_risks_few() {
    let world = World { retry_after: Some(Duration::from_secs(30)), rows: 30_000, ..WORLD };
    for (kind, result) in results(world) {
        assert!(result.goodput >= 0.75 && result.refused <= 0.01, "{kind:?}: {result:?}");
    }
}
