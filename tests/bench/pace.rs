//! Is the rate that is asked for reached, and never passed? Seen from the server.

use pingone_bypass::sandbox::SandboxConfig;

use crate::say;
use crate::server::audit;

/// Rates, in requests a second, and how many rows take ten seconds or so.
const RATES: [(u32, u64); 5] = [(1, 10), (10, 100), (100, 1000), (500, 5000), (2000, 20_000)];

pub(crate) fn bench() {
    for (rate, rows) in RATES {
        let words = ["--rate", &format!("{rate}/s")];
        let seen = audit(SandboxConfig::default(), rows, &words);
        let share = seen.rate() / f64::from(rate);
        say(&format!("pace: --rate {rate}/s: {:.1} % reached, {} requests in the fullest second", share * 100.0, seen.fullest_second()));
    }
}
