//! How near does a run come to a limit that it does not know, and how many of its requests are refused?

use std::thread;
use std::time::Duration;

use pingone_bypass::sandbox::{LimitKind, RetryAfterForm, SandboxConfig};

use crate::say;
use crate::server::audit;

const KINDS: [LimitKind; 3] = [LimitKind::Sliding, LimitKind::Fixed, LimitKind::Bucket];
const LATENCY: Duration = Duration::from_millis(50);

/// A limit, what a 429 says, and how many rows are sent.
const WORLDS: [(&str, RetryAfterForm, u64); 4] = [
    ("100", RetryAfterForm::Seconds, 3000),
    ("100", RetryAfterForm::Date, 3000),
    ("100", RetryAfterForm::None, 3000),
    ("100,40@20,100@40", RetryAfterForm::Seconds, 6000),
];

/// Each run waits nearly all of its time, so that they may all go at once.
pub(crate) fn bench() {
    thread::scope(|scope| {
        for (limit, retry_after, rows) in WORLDS {
            for kind in KINDS {
                scope.spawn(move || say(&told(limit, kind, retry_after, rows)));
            }
        }
    });
}

fn told(limit: &str, limit_kind: LimitKind, retry_after: RetryAfterForm, rows: u64) -> String {
    let rate_limit: pingone_bypass::sandbox::RateLimit = limit.parse().expect("a limit");
    let config =
        SandboxConfig { rate_limit: Some(rate_limit.clone()), limit_kind, retry_after, latency: LATENCY, ..SandboxConfig::default() };
    let seen = audit(config, rows, &["--rate", "1000/s"]);
    let hundredths = u32::try_from(seen.took().as_millis() / 10).expect("a short run");
    let allowed: f64 = (0..hundredths).map(|at| f64::from(rate_limit.at(Duration::from_millis(10) * at)) / 100.0).sum();
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let goodput = rows as f64 / allowed;
    format!(
        "throttle: limit {limit}/s ({limit_kind:?}, Retry-After: {retry_after:?}): no row lost of {rows}, {:.1} % of the limit, {:.2} % refused, {:.2} % after 2 s",
        goodput * 100.0,
        seen.refused(Duration::ZERO) * 100.0,
        seen.refused(Duration::from_secs(2)) * 100.0,
    )
}
