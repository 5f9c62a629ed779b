//! How long does the plan of a million rows take, beside counting the same file's records with the csv crate?
//!
//! `cargo bench --bench plan`: both in turn, five times; the ratio of the medians is what counts, since the
//! machine may be shared.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROWS: u64 = 1_000_000;
const ROUNDS: usize = 5;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("in.csv");
    write_input(&input);
    let (mut plans, mut counts) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plans.push(timed(|| plan(folder.path())));
        counts.push(timed(|| assert_eq!(count(&input), ROWS + 1)));
    }
    let (plan, count) = (median(&mut plans), median(&mut counts));
    let ratio = plan.as_secs_f64() / count.as_secs_f64();
    let line = format!("plan of {ROWS} rows: {plan:.2?}; csv crate counting them: {count:.2?}; ratio {ratio:.2}\n");
    std::io::stdout().write_all(line.as_bytes()).expect("standard output is open");
}

fn write_input(path: &Path) {
    let mut file = BufWriter::new(File::create(path).expect("created"));
    writeln!(file, "userID,bypassMFAEnabledUntil").expect("written");
    // Spread as UUIDs are: a multiplier that is odd visits every value once.
    for row in 1..=ROWS {
        let high = row.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let id = uuid::Uuid::from_u64_pair(high, high.rotate_left(32) ^ row);
        writeln!(file, "{id},+4h").expect("written");
    }
    file.flush().expect("written");
}

fn plan(folder: &Path) {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_pingone-bypass"));
    tool.current_dir(folder).args(["grant", "in.csv", "--sandbox", "--dry-run"]).stderr(Stdio::null());
    assert!(tool.status().expect("the tool runs").success());
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

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
