//! The rate asked for must be reached but never exceeded, as the server sees it.

use pingone_bypass::sandbox::SandboxConfig;

use crate::print;
use crate::server::audit;

/// Rates, in requests a second, and rows that take about ten seconds.
const RATES: [(u32, u64); 5] = [(1, 10), (10, 100), (100, 1000), (500, 5000), (2000, 20_000)];

pub(crate) fn bench() {
    for (rate, rows) in RATES {
        let words = ["--rate", &format!("{rate}/s")];
        let seen = audit(SandboxConfig::default(), rows, &words);
        let share = seen.rate() / f64::from(rate);
        print(&format!("pace: --rate {rate}/s: {:.1} % reached, {} requests in the fullest second", share * 100.0, seen.fullest_second()));
    }
}
