//! Time to plan a million rows, compared with counting the file's records with the csv crate.

use std::path::Path;
use std::time::Instant;

use crate::print;
use crate::tool::{median, run, tool, write_input};

const ROWS: u64 = 1_000_000;
const ROUNDS: usize = 7;

pub(crate) fn bench() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("in.csv");
    write_input(&input, ROWS);
    let (mut plans, mut counts) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plans.push(run(&mut tool(folder.path(), &["grant", "in.csv", "--sandbox", "--dry-run"])).seconds);
        let start = Instant::now();
        assert_eq!(count(&input), ROWS + 1);
        counts.push(start.elapsed().as_secs_f64());
    }
    let (plan, count) = (median(plans), median(counts));
    let ratio = plan / count;
    print(&format!("plan: {ROWS} rows in {plan:.3} s; the csv crate counts them in {count:.3} s: {ratio:.2} times as long"));
}

fn count(path: &Path) -> u64 {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).expect("readable");
    let mut record = csv::ByteRecord::new();
    let mut rows = 0;
    while reader.read_byte_record(&mut record).expect("CSV") {
        rows += 1;
    }
    rows
}
