//! Runs clients against each kind of server in simulated time: half a minute takes a few milliseconds. A client must
//! find the limit and stay under it. The same against a server with sockets is a benchmark (`cargo bench -- throttle`).

pub(crate) mod clients;
mod run;
mod server;
#[cfg(test)]
mod shards;
#[cfg(test)]
mod tests;
pub(crate) mod worlds;

pub(crate) use self::run::{Together, run, run_all};
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
    /// How many addresses the clients have in turn, and what share of the limit each address is allowed.
    pub(crate) addresses: Option<(u8, f64)>,
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
            addresses: None,
        }
    }
}

impl World {
    /// The world of the `nth` of `count` clients: its rows, and the rate that each may ask for.
    pub(crate) fn share_of(&self, nth: u32, count: u32) -> Self {
        let rows = self.rows / count + u32::from(nth < self.rows % count);
        Self { rows, most: self.most / f64::from(count), ..self.clone() }
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
