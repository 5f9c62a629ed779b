//! When may the next request be sent, and when is a failed one tried again? Nothing here knows what a
//! request is: [`Pacer`] hands out turns, [`Backoff`] tells how long to wait.

mod backoff;
mod estimate;
mod evidence;
mod explanation;
mod pacer;
mod rate;
mod shared;
#[cfg(test)]
mod simulation;
mod throttle;
mod tries;

pub(crate) use self::backoff::Backoff;
pub(crate) use self::pacer::{Lane, Pacer};
pub(crate) use self::rate::Rate;
