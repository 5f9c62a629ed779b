//! Decides when the next request may be sent, and when a failed one is retried. Nothing here knows what a request is: [`Pacer`] hands
//! out permits, [`Backoff`] computes how long to wait.
//!
//! # How an undocumented limit is found
//!
//! **Input.** For each request: when it was sent, when it was answered, whether it was admitted or refused with a 429, and the wait
//! that the 429 asked for. Nothing else is used.
//!
//! **Model.** Every limiter is a *counter* that admits a request while it holds less than its *size* ([`evidence`]). A sliding window
//! counts the requests of the last second (or minute, or hour); a fixed window those since it began, at a phase unknown to our clock; a
//! token bucket those that have not drained yet, at its *rate*. So every candidate limiter has a level at each remembered request, and
//! its *misfits* are the answers it would have given differently. The best candidate of each kind is an *explanation*
//! ([`explanation`]). One hold tells windows from buckets: a full window admits nothing, an empty bucket still admits its refill.
//!
//! **Confidence.** An explanation costs nats, the negative logarithm of its likelihood ([`weighing`]): each misfit costs as much as a
//! chance refusal is rare, each assumed number costs its precision, and an unusual limiter costs its prior (a bucket that stores many
//! seconds' worth, a limit that is not a round number). After each hold these compete: the limiter believed so far, another limiter for
//! all the evidence, a limit that changed, a limit that fell just now (the next hold shows how far), a share taken by others, and
//! chance. A hold put down to chance is weighed once more together with the next one. Little evidence can leave the rate open between
//! two numbers; the roundest is then the likeliest, and the range is kept with it.
//!
//! **Probing upwards** ([`probes`]). Nothing contradicts a rate that is too low, so the throttle probes a higher one from time to time.
//! A refused probe costs a hold and the requests in flight; a successful one saves time on every remaining row. A probe starts when its
//! expected gain exceeds its expected cost. Where no higher limit is known, it starts at the interval of least cost: if the limit rises
//! `h` times a second, a rise would gain the share `g`, and a probe costs `c` seconds, then probing every `t` seconds costs `c / t + h
//! g t / 2`, which is least at `t = √(2 c / h g)`. The probe interval therefore grows with confidence: the longer nothing has changed,
//! the rarer a change. The share of requests that probes may have refused is capped.
//!
//! **Others** ([`shared`]). Where somebody else takes a changing share of the limit, what is left is not a number but a probability
//! distribution, and the rate is the one with the highest expected number of rows.
//!
//! **Shards** ([`fair`]). Where a run is split over several processes, each knows how many there are, and sees its own answers alone.
//! It learns its even share then, by what is the same for all of them, instead of an estimate.
//!
//! **Pacing** ([`throttle`], [`pacer`]). One queue for all requests, evenly spaced, never above the rate asked for. Until the first
//! 429, the rate is capped so that some forty requests, or 1 % of the rows, are in flight when it comes. Under a window of `n`
//! requests, each request also waits until the `n`th before it is a window old. A 429 holds the whole queue until its `Retry-After` has
//! passed, and a little longer; refusals of requests sent before it belong to the same *episode*.
//!
//! **Upper bound.** With 3,000 rows and a limit of 100 a second, the first hold alone costs some 1.1 s. The rows admitted before it win
//! back nearly all of that under a window and nothing under a bucket of one, so no client can exceed 99.3 %, or 96 % there.
//!
//! **Given up on purpose.** No burst after a hold, though a window would admit it: sign-ons share the limit. A bucket without a burst
//! is used to some 80 to 88 %: the jitter of network, timers and a busy machine must be added to the spacing, because each request that
//! arrives early costs a hold. A client that ignores refusals gets more of a shared limit, at everybody else's cost. A sliding window
//! of which others use 0 to 60 % cannot be used evenly to more than some 78 %, even by a client that is told their share at every
//! moment. A token-bucket gateway that also counts the requests it refuses is taken for a window at first, and approached slowly. A
//! three-digit limit found by a burst that may have straddled the edge of a fixed window is first taken for a round number where few
//! rows are left. Clients that share a limit and do not know of each other find an even share by chance refusals alone, which takes
//! minutes; they are even at once only where they start together or the limit is round. A server that also refuses by chance slows them
//! down, because they cannot tell that from the limit.

mod backoff;
mod estimate;
#[cfg(test)]
mod estimate_change_tests;
#[cfg(test)]
mod estimate_learn_tests;
#[cfg(test)]
mod estimate_tests;
mod evidence;
mod explanation;
#[cfg(test)]
mod explanation_search_tests;
#[cfg(test)]
mod explanation_tests;
mod fair;
#[cfg(test)]
mod fair_tests;
mod learning;
mod pacer;
#[cfg(test)]
mod pacer_tests;
mod probes;
#[cfg(test)]
mod probes_tests;
#[cfg(test)]
mod probes_worth_tests;
mod rate;
mod round;
mod shared;
#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod simulation;
mod throttle;
#[cfg(test)]
mod throttle_learning_tests;
#[cfg(test)]
mod throttle_spacing_tests;
#[cfg(test)]
mod throttle_tests;
mod weighing;
#[cfg(test)]
mod weighing_tests;

pub(crate) use self::backoff::Backoff;
pub(crate) use self::pacer::{Pacer, QueueHead};
pub(crate) use self::rate::Rate;
