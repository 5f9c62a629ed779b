//! Other algorithms that look for a limit, to compare with. Each is written from its description.

use std::time::Duration;

use super::super::throttle::Throttle;
use super::{Client, World};

/// Makes a client for a world.
pub(crate) type Maker = fn(&World, u64) -> Box<dyn Client>;

/// All clients, ours first.
pub(crate) const CLIENTS: [(&str, Maker); 6] = [
    ("this throttle", |world, seed| Box::new(Ours::new(world, seed))),
    ("AWS adaptive retry mode", |_, seed| Box::new(Aws::new(seed))),
    ("AIMD: half, and 10/s a second", |world, _| Box::new(Aimd::new(world.most))),
    ("rclone's pacer", |_, _| Box::new(Rclone { due: 0.0, sleep: Rclone::LEAST })),
    ("wait and go on", |_, _| Box::new(Waits { held: 0.0 })),
    ("count a second, and keep to it", |_, _| Box::new(Counts::default())),
];

/// This module's throttle.
pub(crate) struct Ours {
    throttle: Throttle,
    random: fastrand::Rng,
}

impl Ours {
    pub(crate) fn new(world: &World, seed: u64) -> Self {
        let mut throttle = Throttle::new(world.most);
        throttle.expect(world.rows.into());
        Self { throttle, random: fastrand::Rng::with_seed(seed + 99) }
    }

    /// One of `clients` that know how many they are.
    pub(crate) fn of(mut self, clients: u32) -> Self {
        self.throttle.share_by(clients);
        self
    }
}

fn seconds(at: f64) -> Duration {
    Duration::from_secs_f64(at)
}

impl Client for Ours {
    fn next(&mut self, now: f64) -> f64 {
        let at = self.throttle.next(seconds(now));
        // The pacer logs the rate whenever it looks.
        self.throttle.learnt(now);
        if at > seconds(now) { at.as_secs_f64().max(now + 1e-9) } else { now }
    }

    fn sent(&mut self, now: f64) {
        self.throttle.sent(seconds(now));
    }

    fn is_fine(&self) -> bool {
        self.throttle.is_fine()
    }

    fn admitted(&mut self, sent: f64, now: f64) {
        self.throttle.admitted(seconds(sent), seconds(now));
    }

    fn refused(&mut self, sent: f64, now: f64, wait: Option<f64>, _: u32) -> f64 {
        self.throttle.refused(seconds(sent), seconds(now), wait.map(seconds), self.random.f64());
        0.0
    }
}

/// Waits as long as asked, and goes on at the full rate.
struct Waits {
    held: f64,
}

impl Client for Waits {
    fn next(&mut self, now: f64) -> f64 {
        self.held.max(now)
    }

    fn sent(&mut self, _: f64) {}

    fn admitted(&mut self, _: f64, _: f64) {}

    fn refused(&mut self, _: f64, now: f64, wait: Option<f64>, _: u32) -> f64 {
        self.held = self.held.max(now + wait.unwrap_or(1.0));
        0.0
    }
}

/// Additive increase, multiplicative decrease: half the rate after a hold, and ten a second more each second.
struct Aimd {
    most: f64,
    rate: f64,
    since: f64,
    begun: f64,
    held: f64,
    due: f64,
}

impl Aimd {
    fn new(most: f64) -> Self {
        Self { most, rate: most, since: 0.0, begun: 0.0, held: 0.0, due: 0.0 }
    }

    fn rate(&self, now: f64) -> f64 {
        (now - self.since).max(0.0).mul_add(10.0, self.rate).min(self.most)
    }
}

impl Client for Aimd {
    fn next(&mut self, now: f64) -> f64 {
        now.max(self.due).max(self.held)
    }

    fn sent(&mut self, now: f64) {
        let apart = 1.0 / self.rate(now);
        self.due = (self.due + apart).max(now + apart - 0.005);
    }

    fn admitted(&mut self, _: f64, _: f64) {}

    fn refused(&mut self, sent: f64, now: f64, wait: Option<f64>, _: u32) -> f64 {
        let wait = wait.unwrap_or(1.0);
        if sent >= self.begun {
            self.rate = (self.rate(now) / 2.0).max(1.0);
            (self.begun, self.since) = (now, now + wait);
        }
        self.held = self.held.max(now + wait);
        0.0
    }
}

/// rclone's pacer: sleeps once as long as it was asked to, then a quarter less each time.
struct Rclone {
    due: f64,
    sleep: f64,
}

impl Rclone {
    const LEAST: f64 = 0.001;
}

impl Client for Rclone {
    fn next(&mut self, now: f64) -> f64 {
        now.max(self.due)
    }

    fn sent(&mut self, now: f64) {
        self.due = now + self.sleep;
    }

    fn admitted(&mut self, _: f64, _: f64) {
        self.sleep = (self.sleep * 0.75).max(Self::LEAST);
    }

    fn refused(&mut self, _: f64, _: f64, wait: Option<f64>, _: u32) -> f64 {
        self.sleep = wait.unwrap_or((self.sleep * 2.0).min(2.0));
        0.0
    }
}

/// The adaptive retry mode of the AWS SDKs: a token bucket of its own, filled by CUBIC from the measured rate; each row
/// backs off by itself and keeps its slot.
struct Aws {
    random: fastrand::Rng,
    is_on: bool,
    fill: f64,
    level: (f64, f64),
    most: f64,
    last: f64,
    measured: f64,
    count: f64,
    bin: f64,
}

impl Aws {
    fn new(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed + 99);
        Self { random, is_on: false, fill: 1.0, level: (0.0, 1.0), most: 0.0, last: 0.0, measured: 0.0, count: 0.0, bin: 0.0 }
    }

    fn refill(&mut self, now: f64) {
        let (before, level) = self.level;
        self.level = (now, (now - before).mul_add(self.fill, level).min(self.fill.max(1.0)));
    }

    fn measure(&mut self, now: f64) -> f64 {
        let bin = (now * 2.0).floor() / 2.0;
        self.count += 1.0;
        if bin > self.bin {
            self.measured = self.count / (bin - self.bin) * 0.8 + self.measured * 0.2;
            (self.count, self.bin) = (0.0, bin);
        }
        self.measured
    }

    fn fill_at(&mut self, rate: f64, now: f64) {
        self.refill(now);
        self.fill = rate.max(0.5);
        self.level.1 = self.level.1.min(self.fill.max(1.0));
    }
}

impl Client for Aws {
    fn next(&mut self, now: f64) -> f64 {
        if !self.is_on {
            return now;
        }
        self.refill(now);
        if self.level.1 >= 1.0 - 1e-6 { now } else { now + (1.0 - self.level.1) / self.fill }
    }

    fn sent(&mut self, now: f64) {
        if self.is_on {
            self.refill(now);
            self.level.1 -= 1.0;
        }
    }

    fn admitted(&mut self, _: f64, now: f64) {
        let measured = self.measure(now);
        let inflexion = (self.most * 0.3 / 0.4).cbrt();
        let cubic = 0.4 * (now - self.last - inflexion).powi(3) + self.most;
        self.fill_at(cubic.min(2.0 * measured), now);
    }

    fn refused(&mut self, _: f64, now: f64, _: Option<f64>, attempts: u32) -> f64 {
        let measured = self.measure(now);
        self.most = if self.is_on { measured.min(self.fill) } else { measured };
        (self.last, self.is_on) = (now, true);
        self.fill_at((self.most * 0.7).min(2.0 * measured), now);
        self.random.f64() * f64::from(1_u32 << attempts.saturating_sub(1).min(6)).min(20.0)
    }

    fn keeps_place(&self) -> bool {
        true
    }
}

/// Takes what was admitted within the second before a 429 for the limit: stays a little under it, and attempts half as
/// much again every twenty-five seconds.
#[derive(Default)]
struct Counts {
    let_in: Vec<f64>,
    limit: Option<f64>,
    before: f64,
    trying: bool,
    since: f64,
    begun: f64,
    held: f64,
    due: f64,
}

impl Client for Counts {
    fn next(&mut self, now: f64) -> f64 {
        if let Some(limit) = self.limit.filter(|_| now > self.since + 25.0) {
            (self.before, self.limit, self.trying, self.since) = (limit, Some(limit * 1.5), true, now);
        }
        now.max(self.due).max(self.held)
    }

    fn sent(&mut self, now: f64) {
        let apart = self.limit.map_or(1.0 / 400.0, |limit| 1.01 / limit);
        self.due = (self.due + apart).max(now + apart - 0.005);
    }

    fn admitted(&mut self, sent: f64, _: f64) {
        self.let_in.push(sent);
    }

    fn refused(&mut self, sent: f64, now: f64, wait: Option<f64>, _: u32) -> f64 {
        if sent >= self.begun {
            let counted = self.let_in.iter().rev().take_while(|at| **at > sent - 2.0).filter(|at| **at > sent - 1.0 && **at < sent).count();
            let counted = u32::try_from(counted).map_or(1.0, f64::from).max(1.0);
            self.limit = Some(if std::mem::take(&mut self.trying) { counted.min(self.before) } else { counted });
            (self.begun, self.since) = (now, now);
        }
        self.held = self.held.max(now + wait.unwrap_or(1.0) * 1.05);
        0.0
    }
}
