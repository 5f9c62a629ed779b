//! When may the next request be sent, and when is a failed one tried again? Nothing here knows what a
//! request is: [`Pacer`] hands out turns, [`Backoff`] tells how long to wait.
//!
//! # How a limit is found that nobody tells
//!
//! **What is known.** Of each request: when it was sent, when it was answered, whether it was let in or refused with a
//! 429, and how long that asked everybody to wait. Nothing else is looked at.
//!
//! **The model.** Every limiter is a *counter* that lets a request in where it holds less than its *size* ([`evidence`]).
//! A sliding window counts the requests of the last second (or minute, or hour); a fixed window those since it began,
//! wherever that is by our clock; a token bucket those that have not drained yet, at its *rate*. So each limiter
//! that there may be tells of each remembered request how full it was, and the *misfits* of a limiter are the answers that
//! it would have given otherwise. The best of each kind is looked for ([`explanation`]): it is an *explanation*. Windows and
//! buckets part at once: through a full window nothing is let in, through an empty bucket its refill is.
//!
//! **How sure it is.** Explanations are weighed in nats, the logarithm of how unlikely they are ([`weighing`]): each misfit costs
//! as much as a refusal by chance is rare; each number that is supposed costs its precision; what is rare costs its
//! rareness (a bucket that stores many seconds, a limit that is not a round number). After each hold these
//! compete: the limiter that was believed in, another limiter for all that is known, one that has changed, one that has fallen
//! just now (the next hold tells how far), a share that others take, and chance. What was kept for chance is weighed once more
//! with the hold that follows. What little evidence there is can leave a rate open between two numbers; then the likeliest is
//! the roundest, and how far it is open is kept beside it.
//!
//! **Trying upwards** ([`tries`]). A rate that is too low is refuted by nothing, so a higher one is tried now and then. A try
//! that is refused costs a hold, and what is under way; one that is not wins time for every row that is left.
//! It is made where what it may win, times how likely it is, is more than what it may cost; where no higher limit is known,
//! at the interval that costs least: if a rise comes `h` times a second and would win the share `g`, and a try costs `c` seconds, then
//! trying every `t` seconds costs `c / t + h g t / 2`, which is least at `t = √(2 c / h g)`. So patience grows with certainty:
//! the longer nothing has changed, the rarer a change. Shares of what is sent bound what tries may have refused.
//!
//! **Others** ([`shared`]). Where somebody else takes a share that changes, what is left is not a number but a belief, and the rate
//! is the one with the most rows to be expected.
//!
//! **Pacing** ([`throttle`], [`pacer`]). One lane for every request, evenly spaced, never above the rate that was asked for.
//! Before the first 429 no faster than lets some forty requests, or one of a hundred rows, be under way when it comes. Under a window a
//! request waits besides until as many as the window holds are a window old. A 429 holds everybody until its
//! `Retry-After` has passed, and a little longer; what was sent before belongs to the same *episode*.
//!
//! **The bound.** With 3,000 rows and a limit of 100 a second, the first hold alone costs some 1.1 s, of which the rows that were let in
//! before it win back nearly all under a window and nothing under a bucket of one: no client can be above 99.3 %, or
//! above 96 % there.
//!
//! **What is given up on purpose.** No burst after a hold, though a window would let it in: sign-ons share the limit. A
//! bucket without a burst is used to some 80 to 88 %: what the network, the timers and a busy machine take off the spacing of
//! requests must be added to it, and each request that comes early costs a hold. A client that ignores refusals gets more where
//! others share the limit, at the cost of everybody's; a sliding window that others use to 0 to 60 % cannot be used evenly to more
//! than some 78 %, even by a client that is told their share at each moment. A gateway that counts what it refuses, by a bucket, is
//! taken for a window at first, and crept up on. A limit with three digits, found by a burst that may have met the edge of a fixed
//! window, is first taken for a round one where few rows are left.

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
mod pacer;
#[cfg(test)]
mod pacer_tests;
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
mod tries;
#[cfg(test)]
mod tries_tests;
#[cfg(test)]
mod tries_worth_tests;
mod weighing;

pub(crate) use self::backoff::Backoff;
pub(crate) use self::pacer::{Lane, Pacer};
pub(crate) use self::rate::Rate;
