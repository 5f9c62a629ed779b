//! How close a run comes to an unknown limit, and how many of its requests are refused, against a sandbox with each
//! common kind of limiter; the worst of five runs.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use pingone_bypass::sandbox::{LimitKind, LimitWindow, RateLimit, RetryAfterForm, SandboxConfig};

use crate::print;
use crate::server::{audit, ratio};

/// Runs of each world. All runs of a world go at once, and so do some worlds, because they mostly wait.
const RUNS: u64 = 5;
const AT_ONCE: usize = 3;

/// A sandbox, the number of rows, and the guarantee for the worst run: the least share of what the limit would have
/// admitted, and the most refused; in per cent.
struct World {
    name: String,
    config: SandboxConfig,
    rows: u64,
    most: &'static str,
    least: f64,
    refused: f64,
}

fn config(limit: &str, limit_kind: LimitKind, latency: u64) -> SandboxConfig {
    let rate_limit = Some(limit.parse().expect("a limit"));
    SandboxConfig { rate_limit, limit_kind, latency: Duration::from_millis(latency), ..SandboxConfig::default() }
}

fn world(name: &str, config: SandboxConfig, least: f64, refused: f64) -> World {
    World { name: name.to_owned(), config, rows: 3000, most: "1000/s", least, refused }
}

fn bucket(burst: u32, limit: &str, latency: u64) -> SandboxConfig {
    SandboxConfig { burst: Some(burst), ..config(limit, LimitKind::Bucket, latency) }
}

fn worlds() -> Vec<World> {
    use LimitKind::{Bucket, Fixed, Sliding};
    let mut worlds = vec![world("sliding", config("100", Sliding, 50), 97.0, 1.0), world("fixed", config("100", Fixed, 50), 97.0, 1.0)];
    for (burst, least) in [(1, 90.0), (5, 95.0), (20, 95.0), (50, 95.0), (100, 95.0), (500, 95.0)] {
        worlds.push(world(&format!("bucket, burst {burst}"), bucket(burst, "100", 50), least, 1.0));
    }
    for kind in [Sliding, Fixed, Bucket] {
        worlds.push(World { rows: 300, ..world(&format!("10/s, {kind:?}"), config("10", kind, 50), 92.0, 2.0) });
        worlds.push(World { rows: 150, ..world(&format!("5/s, {kind:?}"), config("5", kind, 50), 92.0, 2.0) });
        worlds.push(World { rows: 15_000, ..world(&format!("500/s, {kind:?}"), config("500", kind, 50), 0.0, 1.0) });
        let by_minute = SandboxConfig { limit_window: LimitWindow::Minute, ..config("600", kind, 50) };
        worlds.push(World { rows: 1500, ..world(&format!("600/min, {kind:?}"), by_minute, 90.0, 2.0) });
        let falls = config("100,40@15,100@35", kind, 50);
        worlds.push(World { rows: 6000, ..world(&format!("100, from 15 s 40, from 35 s 100, {kind:?}"), falls, 88.0, 1.0) });
        let shared = SandboxConfig { other_callers: "60%".parse().expect("a share"), ..config("100", kind, 50) };
        worlds.push(world(&format!("another caller takes 0 to 60 %, {kind:?}"), shared, 70.0, 3.0));
    }
    let shared = SandboxConfig { other_callers: "60%".parse().expect("a share"), ..bucket(20, "100", 50) };
    worlds.push(world("another caller takes 0 to 60 %, burst 20", shared, 70.0, 3.0));
    for latency in [10, 200] {
        worlds.push(world(&format!("{latency} ms, Sliding"), config("100", Sliding, latency), 0.0, 1.0));
        worlds.push(world(&format!("{latency} ms, burst 20"), bucket(20, "100", latency), 0.0, 1.0));
    }
    for (name, retry_after) in [("no Retry-After", RetryAfterForm::None), ("Retry-After as a date", RetryAfterForm::Date)] {
        worlds.push(world(&format!("{name}, Sliding"), SandboxConfig { retry_after, ..config("100", Sliding, 50) }, 0.0, 1.0));
    }
    worlds
}

pub(crate) fn bench() {
    let only = std::env::var("THROTTLE").unwrap_or_default();
    let worlds = Mutex::new(worlds().into_iter().filter(|world| world.name.contains(&only)));
    let next = || worlds.lock().expect("no panic").next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(world) = next() {
                    print(&format!("throttle: {}", worst_of(&world)));
                }
            });
        }
    });
    if !only.is_empty() {
        return;
    }
    for most in ["50/s", "200/s", "1000/s"] {
        print(&format!("throttle: 2 % of 429 by chance, --rate {most}: {}", by_chance(most)));
    }
}

/// The worst of each figure.
fn worst_of(world: &World) -> String {
    let worst = Mutex::new((f64::INFINITY, 0.0_f64, Vec::new()));
    thread::scope(|scope| {
        for seed in 0..RUNS {
            let worst = &worst;
            scope.spawn(move || {
                let config = SandboxConfig { seed, ..world.config.clone() };
                let (goodput, refused) = run(&config, world);
                let mut worst = worst.lock().expect("no panic");
                *worst = (worst.0.min(goodput), worst.1.max(refused), [worst.2.as_slice(), &[goodput]].concat());
            });
        }
    });
    let (goodput, refused, all) = worst.into_inner().expect("no panic");
    let promised = if world.least > 0.0 { format!(" of {}", world.least) } else { String::new() };
    let kept = if goodput >= world.least && refused <= world.refused { "" } else { "  <- not kept" };
    let all: Vec<String> = all.iter().map(|goodput| format!("{goodput:.0}")).collect();
    format!("{:52} {goodput:6.1} %{promised}, {refused:.2} % refused of {} [{}]{kept}", world.name, world.refused, all.join(" "))
}

/// Requests admitted, as a percentage of what the limit would have admitted; and requests refused, as a percentage of all.
fn run(config: &SandboxConfig, world: &World) -> (f64, f64) {
    let limit = config.rate_limit.clone().expect("each has one");
    let (window, others) = (config.limit_window.get(), config.other_callers);
    let seen = audit(config.clone(), world.rows, &["--rate", world.most]);
    // A limit by the minute admits whole minutes.
    let took = if window > Duration::from_secs(1) { seen.took().max(window) } else { seen.took() };
    let allowed = allowed(&limit, took) / window.as_secs_f64();
    let left = if others.get() > 0.0 { others.left(config.seed, took) } else { 1.0 };
    (ratio(usize::try_from(world.rows).expect("small"), 1) / (allowed * left) * 100.0, seen.refused(Duration::ZERO) * 100.0)
}

/// How much the limit admits within that time, in windows' worth × seconds.
fn allowed(limit: &RateLimit, took: Duration) -> f64 {
    let hundredths = u32::try_from(took.as_millis() / 10).expect("a short run");
    (0..hundredths).map(|at| f64::from(limit.at(Duration::from_millis(10) * at)) / 100.0).sum()
}

/// How long a run with random 429s takes, compared with their holds plus its rows; there is no limit.
fn by_chance(most: &'static str) -> String {
    let faults = "429=2%".parse().expect("a fault");
    let config = SandboxConfig { faults, latency: Duration::from_millis(50), ..SandboxConfig::default() };
    let rows: u32 = 3000;
    let seen = audit(config, rows.into(), &["--rate", most]);
    let refused = seen.refused(Duration::ZERO);
    let count = refused / (1.0 - refused) * f64::from(rows);
    let rate: f64 = most.trim_end_matches("/s").parse().expect("a number");
    let bound = count + f64::from(rows) / rate;
    format!(
        "{:.1} s, {:.2} of {count:.0} holds and {rows} rows (promised 1.5)",
        seen.took().as_secs_f64(),
        seen.took().as_secs_f64() / bound
    )
}
