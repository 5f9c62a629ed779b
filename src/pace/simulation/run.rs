//! The loop of a run: clients, each with its own rows, clock and network, in front of one server. One client is the case of one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::evidence::number;
use super::server::Servers;
use super::{Client, Outcome, RetryAfter, World};

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

/// A request sent, and its answer.
#[derive(Debug, Clone, Copy)]
struct Request {
    sent: f64,
    attempts: u32,
    /// When it reaches the server, and how long the answer takes beyond what the server does.
    there: f64,
    back: f64,
    /// Refused whatever the limit.
    is_refused: bool,
    /// The wait that the server asks for; `None` if it admitted the request.
    refused: Option<f64>,
}

/// A client with its rows. Its times are the server's; the client's own clock begins when it starts.
struct Sender<'a> {
    client: &'a mut dyn Client,
    world: World,
    random: fastrand::Rng,
    start: f64,
    now: f64,
    /// When its last request reached the server: they arrive in order.
    there: f64,
    /// When the rate asked for allows the next.
    turn: f64,
    /// When it would send next, as far as it knows now.
    planned: Option<f64>,
    fresh: u32,
    again: Vec<u32>,
    waiting: BinaryHeap<Reverse<(At, u32)>>,
    arriving: usize,
    under_way: BinaryHeap<Reverse<(At, usize)>>,
    requests: Vec<Request>,
    done: u32,
    refused: u32,
}

impl<'a> Sender<'a> {
    fn new(world: World, start: f64, random: fastrand::Rng, client: &'a mut dyn Client) -> Self {
        Self {
            client,
            random,
            start,
            now: start,
            there: 0.0,
            turn: 0.0,
            planned: None,
            fresh: world.rows,
            again: Vec::new(),
            waiting: BinaryHeap::new(),
            arriving: 0,
            under_way: BinaryHeap::new(),
            requests: Vec::new(),
            done: 0,
            refused: 0,
            world,
        }
    }

    fn is_done(&self) -> bool {
        self.done >= self.world.rows
    }

    fn answered(&self) -> f64 {
        self.under_way.peek().map_or(f64::INFINITY, |Reverse((at, _))| at.0)
    }

    fn woken(&self) -> f64 {
        self.waiting.peek().map_or(f64::INFINITY, |Reverse((at, _))| at.0)
    }

    /// When something happens here next; it is asked once after each event.
    fn event(&mut self) -> f64 {
        if self.is_done() {
            return f64::INFINITY;
        }
        let next = self.planned.unwrap_or_else(|| self.plan());
        self.planned = Some(next);
        next.min(self.answered()).min(self.woken())
    }

    fn plan(&mut self) -> f64 {
        while let Some(Reverse((at, attempts))) = self.waiting.peek().copied().filter(|Reverse((at, _))| at.0 <= self.now) {
            self.waiting.pop();
            self.again.push(attempts);
            debug_assert!(at.0 <= self.now, "in order");
        }
        let kept = if self.client.keeps_place() { self.waiting.len() } else { 0 };
        let has_one = (self.fresh > 0 || !self.again.is_empty()) && self.under_way.len() + self.arriving + kept < IN_FLIGHT;
        if !has_one {
            return f64::INFINITY;
        }
        (self.client.next(self.now - self.start) + self.start).max(self.turn).max(self.now)
    }

    /// Lets happen what is next. Returns a request that is sent.
    fn step(&mut self) -> Option<usize> {
        let next = self.planned.take().unwrap_or(f64::INFINITY);
        let (answered, woken) = (self.answered(), self.woken());
        if woken <= next.min(answered) {
            self.now = self.now.max(woken);
        } else if answered <= next {
            self.take_answer();
        } else if next > self.now {
            // It looks again when it is time.
            self.now = next;
        } else {
            return Some(self.send());
        }
        None
    }

    fn send(&mut self) -> usize {
        let world = &self.world;
        let late = if self.client.is_fine() { 0.0002 } else { 0.001 };
        let stall = if self.random.u32(..100) == 0 { world.stall } else { late };
        self.now += self.random.f64() * stall;
        // As in the pacer's gate.
        let apart = 1.0 / (world.most * 0.995);
        self.turn = (self.turn + apart).max(self.now + apart - 0.003_f64.min(0.9 * apart));
        let attempts = self.again.pop().unwrap_or_else(|| {
            self.fresh -= 1;
            0
        });
        self.client.sent(self.now - self.start);
        let stall = if world.stall_there > 0.0 && self.random.u32(..1000) == 0 { world.stall_there } else { 0.0 };
        self.there = self.there.max(self.now + 0.0002 + world.jitter * self.random.f64() + stall * self.random.f64());
        let (from, to) = world.outage;
        let is_refused = (from..to).contains(&self.there) || self.random.f64() < world.chance;
        let back = world.jitter * self.random.f64();
        self.arriving += 1;
        self.requests.push(Request { sent: self.now, attempts: attempts + 1, there: self.there, back, is_refused, refused: None });
        self.requests.len() - 1
    }

    /// The server has decided about a request.
    fn decided(&mut self, nth: usize, refused: Option<f64>, delay: f64) {
        self.arriving -= 1;
        let request = &mut self.requests[nth];
        request.refused = refused;
        let back = delay + self.world.latency + request.back;
        self.under_way.push(Reverse((At(request.there + back), nth)));
    }

    fn take_answer(&mut self) {
        let Some(Reverse((at, nth))) = self.under_way.pop() else {
            return;
        };
        self.now = self.now.max(at.0);
        let Request { sent, attempts, refused, .. } = self.requests[nth];
        let (sent, now) = (sent - self.start, self.now - self.start);
        let Some(exact) = refused else {
            self.done += 1;
            return self.client.admitted(sent, now);
        };
        self.refused += 1;
        let wait = match self.world.retry_after {
            RetryAfter::Truth => Some(exact),
            RetryAfter::Always(seconds) => Some(seconds),
            RetryAfter::Nothing => None,
        };
        let own = self.client.refused(sent, now, wait, attempts);
        if own > 0.0 { self.waiting.push(Reverse((At(self.now + own), attempts))) } else { self.again.push(attempts) }
    }

    /// When its requests were admitted.
    fn admitted(&self) -> impl Iterator<Item = f64> {
        // A request that is under way when the run ends was decided.
        self.requests.iter().filter(|request| request.refused.is_none()).map(|request| request.there)
    }

    fn part(&self) -> Part {
        let ended = self.admitted().fold(0.0, f64::max);
        let mut admitted: Vec<f64> = self.admitted().collect();
        admitted.sort_unstable_by(f64::total_cmp);
        Part { start: self.start, ended, done: self.done, refused: self.refused, admitted }
    }
}

/// What one client did.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) start: f64,
    /// When its last request was admitted.
    pub(crate) ended: f64,
    pub(crate) done: u32,
    pub(crate) refused: u32,
    /// When its requests were admitted.
    pub(crate) admitted: Vec<f64>,
}

impl Part {
    /// How many of its requests a second were admitted in this time.
    pub(crate) fn rate(&self, from: f64, to: f64) -> f64 {
        let count = self.admitted.partition_point(|at| *at < to) - self.admitted.partition_point(|at| *at < from);
        number(count) / (to - from)
    }
}

/// The result of a run of several clients.
#[derive(Debug, Clone)]
pub(crate) struct Together {
    pub(crate) all: Outcome,
    pub(crate) parts: Vec<Part>,
    /// The goodput from when all had started until the first was done.
    pub(crate) meanwhile: f64,
}

impl Together {
    /// From when all had started until the first was done.
    pub(crate) fn while_all(&self) -> (f64, f64) {
        let from = self.parts.iter().map(|part| part.start).fold(0.0, f64::max);
        (from, self.parts.iter().map(|part| part.ended).fold(f64::INFINITY, f64::min))
    }

    /// Each one's rate while all ran, as a share of their mean.
    pub(crate) fn shares(&self) -> Vec<f64> {
        let (from, to) = self.while_all();
        let rates: Vec<f64> = self.parts.iter().map(|part| part.rate(from, to)).collect();
        let mean = rates.iter().sum::<f64>() / number(rates.len());
        rates.into_iter().map(|rate| rate / mean).collect()
    }

    /// Jain's index of fairness: one if all rates are equal, `1 / n` if one client has everything.
    pub(crate) fn jain(&self) -> f64 {
        let shares = self.shares();
        let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), share| (sum + share, squares + share * share));
        sum * sum / squares / number(shares.len())
    }
}

/// The state of a run.
struct Run<'a> {
    world: &'a World,
    servers: Servers,
    senders: Vec<Sender<'a>>,
    /// Requests on their way: when they arrive, the sender, and which of its requests.
    arriving: BinaryHeap<Reverse<(At, usize, usize)>>,
    now: f64,
    /// When the last was admitted.
    last: f64,
}

/// Runs a client in a world.
pub(crate) fn run(world: &World, seed: u64, client: &mut dyn Client) -> Outcome {
    run_all(world, seed, vec![(0.0, client)]).all
}

/// Runs clients that do not know of each other, each from its own start on, with an even share of the rows and of the rate asked for.
pub(crate) fn run_all(world: &World, seed: u64, clients: Vec<(f64, &mut dyn Client)>) -> Together {
    let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(7919) + 13);
    let servers = Servers::new(world, &mut random, seed);
    let count = u32::try_from(clients.len()).unwrap_or(u32::MAX);
    let mut senders = Vec::with_capacity(clients.len());
    for (nth, (start, client)) in (0..).zip(clients) {
        let own = if nth == 0 { random.clone() } else { random.fork() };
        senders.push(Sender::new(world.share_of(nth, count), start, own, client));
    }
    let mut run = Run { world, servers, senders, arriving: BinaryHeap::new(), now: 0.0, last: 0.001 };
    while run.now < TOO_LONG && run.step() {}
    run.outcome()
}

impl Run<'_> {
    /// Lets happen what is next, of all. Returns whether anything was left to happen.
    fn step(&mut self) -> bool {
        let events = self.senders.iter_mut().map(Sender::event).enumerate();
        let Some((nth, next)) = events.min_by(|a, b| a.1.total_cmp(&b.1)) else {
            return false;
        };
        let arrives = self.arriving.peek().map_or(f64::INFINITY, |Reverse((at, ..))| at.0);
        if arrives <= next && arrives.is_finite() {
            self.arrive();
            return true;
        }
        if !next.is_finite() {
            return false;
        }
        self.now = next;
        let sender = &mut self.senders[nth];
        if let Some(request) = sender.step() {
            self.arriving.push(Reverse((At(sender.there), nth, request)));
        }
        true
    }

    fn arrive(&mut self) {
        let Some(Reverse((_, nth, request))) = self.arriving.pop() else {
            return;
        };
        let sender = &mut self.senders[nth];
        let (refused, delay) = self.servers.decide(sender.requests[request].there, nth, sender.requests[request].is_refused);
        if refused.is_none() {
            self.last = sender.requests[request].there;
        }
        sender.decided(request, refused, delay);
    }

    /// How much was allowed in this time.
    fn allowed(&mut self, from: f64, to: f64) -> f64 {
        const STEPS: u32 = 2000;
        let step = (to - from) / f64::from(STEPS);
        (0..STEPS).map(|nth| self.servers.left((f64::from(nth) + 0.5) * step + from).min(self.world.most) * step).sum()
    }

    fn outcome(mut self) -> Together {
        let allowed = self.allowed(0.0, self.last);
        let mut sent: Vec<f64> = self.senders.iter().flat_map(|sender| sender.requests.iter().map(|request| request.sent)).collect();
        sent.sort_unstable_by(f64::total_cmp);
        let done = self.senders.iter().map(|sender| sender.done).sum();
        let all = Outcome {
            took: self.last,
            goodput: f64::from(done) / allowed.max(self.world.limits.at_least()),
            refused: self.senders.iter().map(|sender| sender.refused).sum(),
            sent: u32::try_from(sent.len()).unwrap_or(u32::MAX),
            done,
            fullest: fullest(&sent),
            others: self.servers.others_refused(),
        };
        let parts = self.senders.iter().map(Sender::part).collect();
        let mut together = Together { all, parts, meanwhile: 0.0 };
        let (from, to) = together.while_all();
        let allowed = self.allowed(from, to);
        together.meanwhile = together.parts.iter().map(|part| part.rate(from, to)).sum::<f64>() * (to - from) / allowed;
        together
    }
}

/// The most within a second.
fn fullest(sent: &[f64]) -> u32 {
    let mut from = 0;
    let mut fullest = 0;
    for (to, at) in sent.iter().enumerate() {
        while at - sent[from] >= 1.0 {
            from += 1;
        }
        fullest = fullest.max(to - from + 1);
    }
    u32::try_from(fullest).unwrap_or(u32::MAX)
}
