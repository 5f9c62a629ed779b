//! Memory must not grow with the input: audits of few rows and of many, at the same concurrency.

use crate::engine::{audit, serve};
use crate::print;
use crate::tool::write_input;

const FEW: u64 = 10_000;

pub(crate) fn bench() {
    let address = serve();
    let mut least = None;
    for rows in [FEW, 100_000, 1_000_000] {
        let folder = tempfile::tempdir().expect("a folder");
        write_input(&folder.path().join("in.csv"), rows);
        let peak = audit(folder.path(), address).peak;
        let of_few = *least.get_or_insert(peak);
        print(&format!("memory: {rows} rows: {peak:.1} MiB at most, {:.2} times that of {FEW}", peak / of_few));
    }
}
