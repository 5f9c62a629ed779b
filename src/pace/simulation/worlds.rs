//! The worlds that the guarantees hold for, and some that nothing was tuned to.

use super::{Kind, Limits, RetryAfter, World};

/// A world, and the guarantee in it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) world: World,
    /// The least goodput and the most refused, in the worst of five runs.
    pub(crate) least: f64,
    pub(crate) refused: f64,
}

fn case(name: &'static str, kind: Kind, least: f64, refused: f64) -> Case {
    let world = World { limits: Limits { kind, ..Limits::default() }, ..World::default() };
    Case { name, world, least, refused }
}

impl Case {
    /// Half a minute's worth of another limit.
    fn of(mut self, limit: u16) -> Self {
        self.world.limits.steps = vec![(0.0, f64::from(limit))];
        self.world.rows = u32::from(limit) * 30;
        self
    }

    fn with(mut self, change: impl FnOnce(&mut World)) -> Self {
        change(&mut self.world);
        self
    }
}

const FALL: [(f64, f64); 3] = [(0.0, 100.0), (15.0, 40.0), (35.0, 100.0)];

/// The worlds with guarantees.
pub(crate) fn promised() -> Vec<Case> {
    let minute = |name, kind| {
        case(name, kind, 0.90, 0.03).with(|world| {
            world.limits.window = 60.0;
            world.limits.steps = vec![(0.0, 600.0)];
            world.retry_after = RetryAfter::Truth;
        })
    };
    let falls = |name, kind| {
        case(name, kind, 0.87, 0.02).with(|world| {
            world.limits.steps = FALL.to_vec();
            world.rows = 6000;
        })
    };
    let shared = |name, kind, least| case(name, kind, least, 0.04).with(|world| world.limits.others = 0.6);
    let slow = |name, kind, latency, limit, least| case(name, kind, least, 0.02).of(limit).with(|world| world.latency = latency);
    let near = |name, kind, latency, limit, least| slow(name, kind, latency, limit, least).with(|world| world.most = 50.0);
    vec![
        case("sliding", Kind::Sliding, 0.97, 0.01),
        case("fixed", Kind::Fixed, 0.97, 0.012),
        case("bucket 1", Kind::Bucket(1.0), 0.75, 0.01),
        case("bucket 5", Kind::Bucket(5.0), 0.95, 0.01),
        case("bucket 20", Kind::Bucket(20.0), 0.95, 0.01),
        case("bucket 50", Kind::Bucket(50.0), 0.95, 0.01),
        case("bucket 100", Kind::Bucket(100.0), 0.95, 0.01),
        case("bucket 500", Kind::Bucket(500.0), 0.95, 0.01),
        case("10/s sliding", Kind::Sliding, 0.92, 0.02).of(10),
        case("10/s fixed", Kind::Fixed, 0.92, 0.02).of(10),
        case("10/s bucket 10", Kind::Bucket(10.0), 0.92, 0.02).of(10),
        minute("600/min sliding", Kind::Sliding),
        minute("600/min fixed", Kind::Fixed),
        minute("600/min bucket 10", Kind::Bucket(10.0)),
        falls("100, 40, 100 sliding", Kind::Sliding),
        falls("100, 40, 100 fixed", Kind::Fixed),
        falls("100, 40, 100 bucket 100", Kind::Bucket(100.0)),
        falls("100, 40, 100 bucket 20", Kind::Bucket(20.0)),
        shared("others, sliding", Kind::Sliding, 0.50),
        shared("others, bucket 100", Kind::Bucket(100.0), 0.70),
        shared("others, bucket 20", Kind::Bucket(20.0), 0.65),
        slow("10 ms, sliding", Kind::Sliding, 0.01, 100, 0.93),
        slow("10 ms, bucket 20", Kind::Bucket(20.0), 0.01, 100, 0.85),
        slow("200 ms, sliding", Kind::Sliding, 0.2, 100, 0.94),
        slow("200 ms, bucket 20", Kind::Bucket(20.0), 0.2, 100, 0.93),
        slow("5/s sliding", Kind::Sliding, 0.05, 5, 0.92).with(|world| world.rows = 300),
        slow("500/s sliding", Kind::Sliding, 0.05, 500, 0.94),
        slow("500/s sliding, stalls there", Kind::Sliding, 0.05, 500, 0.80).with(|world| world.stall_there = 0.02),
        slow("500/s bucket 50", Kind::Bucket(50.0), 0.05, 500, 0.88),
        near("20/s at --rate 50, at once", Kind::Sliding, 0.0, 20, 0.90),
        near("35/s at --rate 50, 1 ms", Kind::Sliding, 0.001, 35, 0.90),
        near("49/s at --rate 50, at once", Kind::Sliding, 0.0, 49, 0.90),
        case("no Retry-After, sliding", Kind::Sliding, 0.97, 0.01).with(|world| world.retry_after = RetryAfter::Nothing),
        case("refused ones count, sliding", Kind::Sliding, 0.97, 0.01).with(|world| world.limits.counts_refused = true),
    ]
}

/// Worlds that nothing was tuned to, with no guarantee beyond the property.
pub(crate) fn apart() -> Vec<Case> {
    let strange = |name, kind| case(name, kind, 0.0, 1.0);
    vec![
        strange("queue of 20", Kind::Queue(20.0)),
        strange("queue of 100", Kind::Queue(100.0)),
        strange("70/s sliding and 3000/min", Kind::Sliding).of(70).with(|world| world.limits.second = Some((3000.0, 60.0))),
        strange("bucket 5 and 50 a second", Kind::Bucket(5.0)).with(|world| world.limits.second = Some((50.0, 1.0))),
        strange("refused ones count, bucket 20", Kind::Bucket(20.0)).with(|world| world.limits.counts_refused = true),
        strange("refused ones count, bucket 100", Kind::Bucket(100.0)).with(|world| world.limits.counts_refused = true),
        strange("137/s fixed", Kind::Fixed).of(137),
        strange("73/s bucket 9", Kind::Bucket(9.0)).of(73),
        strange("sliding, 5 ms of jitter", Kind::Sliding).with(|world| world.jitter = 0.005),
        strange("bucket 20, 20 ms of jitter", Kind::Bucket(20.0)).with(|world| world.jitter = 0.02),
    ]
}

/// 429s by chance, without a limit, at this rate asked for.
pub(crate) fn chance(most: f64) -> World {
    let limits = Limits { steps: vec![(0.0, 1e6)], ..Limits::default() };
    World { limits, chance: 0.02, most, ..World::default() }
}
