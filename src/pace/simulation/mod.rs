//! Runs clients against each kind of server in simulated time: half a minute takes a few milliseconds. A client must
//! find the limit and stay under it. The same against a server with sockets is a benchmark (`cargo bench -- throttle`).

pub(crate) mod clients;
mod server;
#[cfg(test)]
mod tests;
pub(crate) mod worlds;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use self::server::Server;
pub(crate) use self::server::{Kind, Limits};

/// The wait that a 429 asks for, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RetryAfter {
    /// Until one is admitted.
    Truth,
    Always(f64),
    Nothing,
}

/// The conditions of a run; times are in seconds.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) limits: Limits,
    /// The wait that a 429 asks for.
    pub(crate) retry_after: RetryAfter,
    /// The rate asked for.
    pub(crate) most: f64,
    pub(crate) rows: u32,
    pub(crate) latency: f64,
    /// The jitter of either way.
    pub(crate) jitter: f64,
    /// One time in a hundred, a busy machine stalls for up to this long.
    pub(crate) stall: f64,
    /// One time in a thousand, the server or the way there stalls; what arrives meanwhile then arrives at once.
    pub(crate) stall_there: f64,
    /// The share of requests that are refused by chance.
    pub(crate) chance: f64,
    /// When every request is refused, because others have used up the limit.
    pub(crate) outage: (f64, f64),
}

impl Default for World {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            retry_after: RetryAfter::Always(1.0),
            most: 1000.0,
            rows: 3000,
            latency: 0.05,
            jitter: 0.0008,
            stall: 0.03,
            stall_there: 0.0,
            chance: 0.0,
            outage: (0.0, 0.0),
        }
    }
}

/// The result of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) took: f64,
    /// Requests admitted, as a share of what the limit allowed in that time.
    pub(crate) goodput: f64,
    /// How many requests were refused, and how many were sent.
    pub(crate) refused: u32,
    pub(crate) sent: u32,
    /// How many rows were done.
    pub(crate) done: u32,
    /// The most requests sent within a second.
    pub(crate) fullest: u32,
    /// The share of another caller's requests that was refused.
    pub(crate) others: f64,
}

impl Outcome {
    pub(crate) fn share_refused(&self) -> f64 {
        f64::from(self.refused) / f64::from(self.sent)
    }
}

/// A client that sends requests.
pub(crate) trait Client {
    /// When it would send the next request, if it had one.
    fn next(&mut self, now: f64) -> f64;
    fn sent(&mut self, now: f64);
    fn admitted(&mut self, sent: f64, now: f64);
    /// How long this row waits in addition, after `attempts` attempts.
    fn refused(&mut self, sent: f64, now: f64, wait: Option<f64>, attempts: u32) -> f64;
    /// Whether it needs finer wake-ups than a timer tick.
    fn is_fine(&self) -> bool {
        false
    }
    /// Whether a waiting row keeps its slot.
    fn keeps_place(&self) -> bool {
        false
    }
}

/// An instant that can be ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
struct At(f64);

impl Eq for At {}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

const IN_FLIGHT: usize = 64;
/// A run that takes longer than this is given up.
const TOO_LONG: f64 = 1e6;

/// An answer under way.
#[derive(Debug, Clone, Copy)]
struct Answer {
    sent: f64,
    attempts: u32,
    /// The wait that the server asks for; `None` if it admitted the request.
    refused: Option<f64>,
}

/// The state of a run.
struct Run<'a> {
    world: &'a World,
    random: fastrand::Rng,
    server: Server,
    now: f64,
    /// When the last request reached the server: they arrive in order.
    there: f64,
    /// When the rate asked for allows the next.
    turn: f64,
    fresh: u32,
    again: Vec<u32>,
    waiting: BinaryHeap<Reverse<(At, u32)>>,
    under_way: BinaryHeap<Reverse<(At, usize)>>,
    answers: Vec<Answer>,
    /// When the last was admitted.
    last: f64,
    done: u32,
    refused: u32,
}

/// Runs a client in a world.
pub(crate) fn run(world: &World, seed: u64, client: &mut dyn Client) -> Outcome {
    let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(7919) + 13);
    let server = Server::new(&world.limits, &mut random, seed);
    let mut run = Run {
        world,
        random,
        server,
        now: 0.0,
        there: 0.0,
        turn: 0.0,
        fresh: world.rows,
        again: Vec::new(),
        waiting: BinaryHeap::new(),
        under_way: BinaryHeap::new(),
        answers: Vec::new(),
        last: 0.001,
        done: 0,
        refused: 0,
    };
    while run.done < world.rows && run.now < TOO_LONG {
        run.step(client);
    }
    run.outcome()
}

impl Run<'_> {
    fn step(&mut self, client: &mut dyn Client) {
        while let Some(Reverse((at, attempts))) = self.waiting.peek().copied().filter(|Reverse((at, _))| at.0 <= self.now) {
            self.waiting.pop();
            self.again.push(attempts);
            debug_assert!(at.0 <= self.now, "in order");
        }
        let kept = if client.keeps_place() { self.waiting.len() } else { 0 };
        let has_one = (self.fresh > 0 || !self.again.is_empty()) && self.under_way.len() + kept < IN_FLIGHT;
        let next = if has_one { client.next(self.now).max(self.turn).max(self.now) } else { f64::INFINITY };
        let answered = self.under_way.peek().map_or(f64::INFINITY, |Reverse((at, _))| at.0);
        let woken = self.waiting.peek().map_or(f64::INFINITY, |Reverse((at, _))| at.0);
        if woken <= next.min(answered) {
            self.now = self.now.max(woken);
        } else if answered <= next {
            self.take_answer(client);
        } else if next > self.now {
            // It looks again when it is time.
            self.now = next;
        } else {
            self.send(client);
        }
    }

    fn send(&mut self, client: &mut dyn Client) {
        let late = if client.is_fine() { 0.0002 } else { 0.001 };
        let stall = if self.random.u32(..100) == 0 { self.world.stall } else { late };
        self.now += self.random.f64() * stall;
        // As in the pacer's gate.
        let apart = 1.0 / (self.world.most * 0.995);
        self.turn = (self.turn + apart).max(self.now + apart - 0.003_f64.min(0.9 * apart));
        let attempts = self.again.pop().unwrap_or_else(|| {
            self.fresh -= 1;
            0
        });
        client.sent(self.now);
        let stall = if self.world.stall_there > 0.0 && self.random.u32(..1000) == 0 { self.world.stall_there } else { 0.0 };
        self.there = self.there.max(self.now + 0.0002 + self.world.jitter * self.random.f64() + stall * self.random.f64());
        let (from, to) = self.world.outage;
        let is_in = !(from..to).contains(&self.there) && self.random.f64() >= self.world.chance && self.server.admits(self.there);
        let refused = (!is_in).then(|| self.server.wait(self.there));
        if is_in {
            self.last = self.there;
        }
        let back = self.server.delay(self.there) + self.world.latency + self.world.jitter * self.random.f64();
        self.under_way.push(Reverse((At(self.there + back), self.answers.len())));
        self.answers.push(Answer { sent: self.now, attempts: attempts + 1, refused });
    }

    fn take_answer(&mut self, client: &mut dyn Client) {
        let Some(Reverse((at, nth))) = self.under_way.pop() else {
            unreachable!("one was seen");
        };
        self.now = self.now.max(at.0);
        let Answer { sent, attempts, refused } = self.answers[nth];
        let Some(exact) = refused else {
            self.done += 1;
            return client.admitted(sent, self.now);
        };
        self.refused += 1;
        let wait = match self.world.retry_after {
            RetryAfter::Truth => Some(exact),
            RetryAfter::Always(seconds) => Some(seconds),
            RetryAfter::Nothing => None,
        };
        let own = client.refused(sent, self.now, wait, attempts);
        if own > 0.0 { self.waiting.push(Reverse((At(self.now + own), attempts))) } else { self.again.push(attempts) }
    }

    fn outcome(mut self) -> Outcome {
        const STEPS: u32 = 2000;
        let step = self.last / f64::from(STEPS);
        let allowed: f64 = (0..STEPS).map(|nth| self.server.left((f64::from(nth) + 0.5) * step).min(self.world.most) * step).sum();
        let mut from = 0;
        let mut fullest = 0;
        for (to, answer) in self.answers.iter().enumerate() {
            while answer.sent - self.answers[from].sent >= 1.0 {
                from += 1;
            }
            fullest = fullest.max(to - from + 1);
        }
        Outcome {
            took: self.last,
            goodput: f64::from(self.done) / allowed.max(self.world.limits.at_least()),
            refused: self.refused,
            sent: u32::try_from(self.answers.len()).unwrap_or(u32::MAX),
            done: self.done,
            fullest: u32::try_from(fullest).unwrap_or(u32::MAX),
            others: self.server.others_refused(),
        }
    }
}
