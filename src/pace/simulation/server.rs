//! Rate limiters of servers. Written apart from the sandbox's limiter, so that a fault in one does not hide in the
//! other; with kinds for which the throttle has no counter.

use std::collections::VecDeque;

use super::World;

/// How a server counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// The requests of the last window.
    Sliding,
    /// The requests since the window began, at any phase of our clock.
    Fixed,
    /// A token bucket of this size.
    Bucket(f64),
    /// A queue of this length: requests that fit wait for their turn, and are answered later.
    Queue(f64),
}

/// A server's limits.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) kind: Kind,
    /// In seconds.
    pub(crate) window: f64,
    /// Steps of the limit: from when, and how many a window.
    pub(crate) steps: Vec<(f64, f64)>,
    /// The most that another caller takes, as a share; a new caller every five seconds.
    pub(crate) others: f64,
    /// Whether refused requests count as well.
    pub(crate) counts_refused: bool,
    /// A second limit, by a sliding window: how many, in what window.
    pub(crate) second: Option<(f64, f64)>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { kind: Kind::Sliding, window: 1.0, steps: vec![(0.0, 100.0)], others: 0.0, counts_refused: false, second: None }
    }
}

impl Limits {
    fn at(&self, now: f64) -> f64 {
        self.steps.iter().rev().find(|(from, _)| *from <= now).map_or(f64::INFINITY, |(_, limit)| *limit)
    }

    /// A share of these limits.
    pub(crate) fn part(&self, share: f64) -> Self {
        Self { steps: self.steps.iter().map(|(from, limit)| (*from, limit * share)).collect(), ..self.clone() }
    }

    /// What a window longer than a second admits at once: those are counted whole.
    pub(crate) fn at_least(&self) -> f64 {
        if self.window > 1.0 { self.at(0.0) } else { 0.0 }
    }
}

pub(crate) struct Server {
    limits: Limits,
    phase: f64,
    latest: f64,
    recent: VecDeque<f64>,
    recent_of_second: VecDeque<f64>,
    counted: (f64, f64),
    /// When the bucket was last updated, and its level.
    bucket: (f64, f64),
    random: fastrand::Rng,
    /// What another caller takes, and the generator of that.
    shares: Vec<f64>,
    drawn: fastrand::Rng,
    /// When another caller sends next; how often it did, and how often it was refused.
    next: f64,
    others: (f64, f64),
}

impl Server {
    pub(crate) fn new(limits: &Limits, random: &mut fastrand::Rng, seed: u64) -> Self {
        let burst = match limits.kind {
            Kind::Bucket(burst) | Kind::Queue(burst) => burst,
            Kind::Sliding | Kind::Fixed => 0.0,
        };
        Self {
            phase: random.f64() * limits.window,
            limits: limits.clone(),
            latest: 0.0,
            recent: VecDeque::new(),
            recent_of_second: VecDeque::new(),
            counted: (-1.0, 0.0),
            bucket: (0.0, burst),
            random: fastrand::Rng::with_seed(seed + 555),
            shares: Vec::new(),
            drawn: fastrand::Rng::with_seed(seed + 777),
            next: 0.0,
            others: (0.0, 0.0),
        }
    }

    /// What others leave, in requests a second.
    pub(crate) fn left(&mut self, now: f64) -> f64 {
        let rate = self.limits.at(now) / self.limits.window;
        let rate = self.limits.second.map_or(rate, |(limit, window)| rate.min(limit / window));
        rate * (1.0 - self.share(now))
    }

    fn share(&mut self, now: f64) -> f64 {
        let five = std::time::Duration::from_secs_f64(now).as_secs() / 5;
        let nth = usize::try_from(five).unwrap_or(usize::MAX);
        while self.shares.len() <= nth {
            self.shares.push(self.drawn.f64() * self.limits.others);
        }
        self.shares[nth]
    }

    pub(crate) fn admits(&mut self, now: f64) -> bool {
        while self.limits.others > 0.0 && self.next <= now {
            let at = self.next;
            let fastest = self.limits.others * self.limits.at(at) / self.limits.window;
            self.next -= (1.0 - self.random.f64()).ln() / fastest;
            if self.random.f64() * self.limits.others < self.share(at) {
                let is_refused = !self.counts(at);
                self.others.0 += 1.0;
                self.others.1 += if is_refused { 1.0 } else { 0.0 };
            }
        }
        self.counts(now)
    }

    fn counts(&mut self, now: f64) -> bool {
        let now = self.latest.max(now);
        self.latest = now;
        if let Some((limit, window)) = self.limits.second {
            self.recent_of_second.retain(|at| now - at < window);
            if count(&self.recent_of_second) >= limit {
                return false;
            }
        }
        let (limit, window) = (self.limits.at(now), self.limits.window);
        let admitted = match self.limits.kind {
            Kind::Sliding => self.slides(now, limit, window),
            Kind::Fixed => {
                let nth = ((now + self.phase) / window).floor();
                if nth > self.counted.0 {
                    self.counted = (nth, 0.0);
                }
                self.counted.1 += 1.0;
                self.counted.1 <= limit
            }
            Kind::Bucket(burst) | Kind::Queue(burst) => {
                let (before, left) = self.bucket;
                let filled = ((now - before) * limit / window + left).min(burst);
                let admitted = filled >= 1.0 - 1e-9;
                self.bucket = (now, if admitted || self.limits.counts_refused { (filled - 1.0).max(0.0) } else { filled });
                admitted
            }
        };
        if admitted && self.limits.second.is_some() {
            self.recent_of_second.push_back(now);
        }
        admitted
    }

    fn slides(&mut self, now: f64, limit: f64, window: f64) -> bool {
        while self.recent.front().is_some_and(|at| now - at >= window) {
            self.recent.pop_front();
        }
        let admitted = count(&self.recent) < limit;
        if admitted || self.limits.counts_refused {
            self.recent.push_back(now);
        }
        admitted
    }

    /// The share of another caller's requests that was refused.
    pub(crate) fn others_refused(&self) -> f64 {
        let (asked, refused) = self.others;
        refused / asked.max(1.0)
    }

    /// How long a request queues there before it is answered.
    pub(crate) fn delay(&self, now: f64) -> f64 {
        match self.limits.kind {
            Kind::Queue(size) => (size - self.bucket.1) * self.limits.window / self.limits.at(now),
            Kind::Sliding | Kind::Fixed | Kind::Bucket(_) => 0.0,
        }
    }

    /// How long until one is admitted, in whole seconds.
    pub(crate) fn wait(&self, now: f64) -> f64 {
        let window = self.limits.window;
        let exact = match self.limits.kind {
            Kind::Sliding => self.recent.front().map_or(0.0, |at| at + window - now),
            Kind::Fixed => window - (now + self.phase) % window,
            Kind::Bucket(_) | Kind::Queue(_) => (1.0 - self.bucket.1) * window / self.limits.at(now),
        };
        exact.ceil().max(1.0)
    }
}

fn count(times: &VecDeque<f64>) -> f64 {
    u32::try_from(times.len()).map_or(f64::INFINITY, f64::from)
}

/// The server, seen from several addresses: each has its own limit, and all have one in common.
pub(crate) struct Servers {
    common: Server,
    addresses: Vec<Server>,
}

impl Servers {
    pub(crate) fn new(world: &World, random: &mut fastrand::Rng, seed: u64) -> Self {
        let common = Server::new(&world.limits, random, seed);
        let Some((count, share)) = world.addresses else {
            return Self { common, addresses: Vec::new() };
        };
        let limits = world.limits.part(share);
        let addresses = (0..count).map(|nth| Server::new(&limits, random, seed + 1000 * (1 + u64::from(nth)))).collect();
        Self { common, addresses }
    }

    /// Decides about a request of the `nth` client: the wait that a refusal asks for, and how long the answer takes.
    pub(crate) fn decide(&mut self, at: f64, nth: usize, is_refused: bool) -> (Option<f64>, f64) {
        let count = self.addresses.len();
        let address = self.addresses.get_mut(nth.checked_rem(count).unwrap_or(0));
        if let Some(address) = address.filter(|_| !is_refused)
            && !address.admits(at)
        {
            return (Some(address.wait(at)), address.delay(at));
        }
        let is_in = !is_refused && self.common.admits(at);
        let refused = (!is_in).then(|| self.common.wait(at));
        (refused, self.common.delay(at))
    }

    /// The share of another caller's requests that was refused.
    pub(crate) fn others_refused(&self) -> f64 {
        self.common.others_refused()
    }

    /// How much is allowed, a second.
    pub(crate) fn left(&mut self, at: f64) -> f64 {
        let common = self.common.left(at);
        if self.addresses.is_empty() { common } else { self.addresses.iter_mut().map(|address| address.left(at)).sum::<f64>().min(common) }
    }
}
