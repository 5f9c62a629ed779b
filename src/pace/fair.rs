//! Learns a fair share of a limit that several clients like this one split evenly. Pure: finished holds in, a rate out.
//!
//! Each of `n` clients knows `n`, and sees its own answers alone: its evidence is a sample of the whole, and a refusal may be due to
//! another's request. No counter explains such a sample, so the estimate of a single client does not apply. Two facts remain. Up to the
//! first refusal, all of them together were admitted as much as the limiter holds, so the counts of the last window add up to it. And
//! under a used-up limit each request is refused with the same likelihood, whichever client sends it.
//!
//! **Start.** All start at the same rate and grow by the same factor a second, so that their counts are nearly equal when the first
//! refusal comes; the sum starts at the rate that one client would start at.
//!
//! **Balance.** The rate `r` grows by the share `g` a second, and a refusal lowers it by the share `b`. If `p` of all requests are
//! refused, `r` is at rest where `g = b p r`: at the same rate for all, whatever it was before. A client at `1 + x` times that rate
//! returns to it as `e^(-g t)`, so fairness takes `1 / g` seconds, and each client is refused every `b / g` seconds. A hold of `h`
//! seconds then costs the share `h g / b`: fairness that comes sooner costs more. So `g` falls with time, as `1 / t`, down to where
//! holds cost a hundredth. After a long time without a refusal there must be room, as when others are done, and `g` grows again.
//!
//! **Round limits.** People set round limits, so clients that take `n r` for nearly 1, 2 or 5 with zeros all take the same number for
//! the limit, and are even at once.

use super::evidence::{Episode, Observed};
use super::probes::HOLD;

/// Growth before the first refusal, in e-folds a second. Faster, clients that started 50 ms apart count more unequally; slower, the
/// first to be refused leave more room to the others, which go on growing.
const RAMP: f64 = 2.0;
/// The share of the first count that is used: windows of clients that are not in step hold up to one request of each more than their mean.
const FIRST_USED: f64 = 0.94;
/// A refusal lowers the rate by this share: eight rates that each vary by as much vary by a hundredth or two together. One within a window of the last hold lowers it by about half as much, since it may be the same overload.
const LESS: f64 = 0.15;
const LESS_AGAIN: f64 = 0.08;
/// The share of all time that holds may take in the long run.
const HELD: f64 = 0.01;
/// And earlier, the growth in units of `LESS / t`: from `t` to `10 t`, half a hold (`0.2 × ln 10`).
const EARLY: f64 = 0.2;
/// After so many holds' time without a refusal, growth doubles; after more, it grows with the square.
const QUIET: f64 = 24.0;
/// The limit is taken for a plain number at most this factor below the estimate. Above it as well at first; after a refusal no more
/// than a little above, or a refusal would change nothing.
const NEAR: f64 = 1.2;
const ABOVE: f64 = 1.06;
/// The share of a plain limit that is used. Evenly spaced streams that are not in step exceed their mean by a few requests.
const USED: f64 = 0.97;
/// Windows that limits use, in seconds.
const WINDOWS: [f64; 3] = [1.0, 60.0, 3600.0];
/// Where nothing was admitted in the last window, half a request is assumed.
const LEAST: f64 = 0.5;

/// What one of several clients has learnt.
#[derive(Debug)]
pub(super) struct Fair {
    clients: f64,
    learnt: Option<Learnt>,
}

#[derive(Debug, Clone, Copy)]
struct Learnt {
    /// The rate that is in balance, and when it was computed.
    rate: f64,
    at: f64,
    /// What a refusal costs, in seconds.
    hold: f64,
    window: f64,
    /// When the first hold ended, and the last.
    first: f64,
    ended: f64,
    was_refused_again: bool,
}

impl Fair {
    /// One of `clients`.
    pub(super) fn new(clients: u32) -> Self {
        Self { clients: f64::from(clients.max(1)), learnt: None }
    }

    pub(super) fn is_known(&self) -> bool {
        self.learnt.is_some()
    }

    /// The rate before the first refusal, `passed` seconds after the first answer, if one client would start at `first`.
    pub(super) fn start(&self, first: f64, passed: f64) -> f64 {
        first / self.clients * (RAMP * passed).exp()
    }

    /// Learns from a finished hold.
    pub(super) fn learn(&mut self, episode: &Episode, known: &Observed<'_>) {
        let hold = episode.wait.mul_add(HOLD, known.trip);
        let Some(before) = self.balance(known) else {
            // A wait of so long would be too long for a shorter window.
            let window = WINDOWS.into_iter().find(|window| *window >= episode.wait - 1.0).unwrap_or(WINDOWS[2]);
            let counted = known.log.let_in(episode.refused - window, episode.refused).max(LEAST);
            let rate = (counted / window * FIRST_USED).min(known.most);
            self.learnt =
                Some(Learnt { rate, at: known.now, hold, window, first: known.now, ended: episode.until, was_refused_again: false });
            return;
        };
        let less = if episode.quiet() < before.window { LESS_AGAIN } else { LESS };
        let rate = before.rate * (1.0 - less);
        self.learnt = Some(Learnt { rate, hold: before.hold.max(hold), ended: episode.until, was_refused_again: true, ..before });
    }

    /// The working rate, once there was a refusal.
    pub(super) fn rate(&mut self, known: &Observed<'_>) -> Option<f64> {
        let learnt = self.balance(known)?;
        self.learnt = Some(learnt);
        Some(self.plain(&learnt).unwrap_or(learnt.rate).min(known.most))
    }

    /// Grows with time.
    fn balance(&self, known: &Observed<'_>) -> Option<Learnt> {
        let learnt = self.learnt?;
        let quiet = (known.now - learnt.ended).max(0.0) / learnt.hold;
        let late = HELD * LESS / learnt.hold * (quiet / QUIET).mul_add(quiet / QUIET, 1.0);
        let early = EARLY * LESS / (known.now - learnt.first).max(learnt.hold);
        let growth = late.max(early) * (known.now - learnt.at).max(0.0);
        Some(Learnt { rate: (learnt.rate * growth.exp()).min(known.most), at: known.now, ..learnt })
    }

    /// The share of a plain limit, if there is one nearby.
    fn plain(&self, learnt: &Learnt) -> Option<f64> {
        let all = learnt.rate * self.clients;
        let above = if learnt.was_refused_again { ABOVE } else { NEAR };
        let power = 10_f64.powf(all.log10().floor());
        let plain = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
        plain.into_iter().find(|plain| *plain <= all * above && all <= plain * NEAR).map(|plain| plain * USED / self.clients)
    }
}
