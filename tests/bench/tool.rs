//! The program as a process, and the resources it used.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// Linux counts processor time in hundredths of a second.
const TICKS: f64 = 100.0;

/// The resources that a process used.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Took {
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
    /// Seconds of processor time.
    pub(crate) cpu: f64,
    /// Peak memory, in MiB.
    pub(crate) peak: f64,
}

/// The program with these arguments in `folder`, quiet.
pub(crate) fn tool(folder: &Path, words: &[&str]) -> Command {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_pingone-bypass"));
    tool.current_dir(folder).args(words).stderr(Stdio::null()).stdout(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PINGONE_")) {
        tool.env_remove(name);
    }
    tool
}

/// How often a process's memory is sampled: more often would slow it down.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs `command`, which must succeed.
pub(crate) fn run(command: &mut Command) -> Took {
    let (before, start) = (children_cpu(), Instant::now());
    let mut child = command.spawn().expect("the program is there");
    let process = child.id();
    let (over, is_over) = mpsc::channel::<()>();
    let looker = std::thread::spawn(move || {
        let mut peak = peak_of(process).unwrap_or_default();
        while is_over.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            peak = peak.max(peak_of(process).unwrap_or_default());
        }
        peak
    });
    let status = child.wait().expect("a child of ours");
    let seconds = start.elapsed().as_secs_f64();
    drop(over);
    assert!(status.success(), "{command:?}: {status}");
    Took { seconds, cpu: children_cpu() - before, peak: looker.join().expect("no panic") }
}

/// A process's peak memory so far, in MiB.
fn peak_of(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024.0)
}

/// Processor time of the children that have ended.
fn children_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in parentheses: the fields from the third on.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    (ticks(16) + ticks(17)) / TICKS
}

/// The user of a row: spread like UUIDs, because an odd multiplier visits every value once.
pub(crate) fn user(row: u64) -> Uuid {
    let high = row.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Uuid::from_u64_pair(high, high.rotate_left(32) ^ row)
}

/// Writes an input of `rows` users, with end dates four hours ahead.
pub(crate) fn write_input(path: &Path, rows: u64) {
    let mut file = BufWriter::new(File::create(path).expect("created"));
    writeln!(file, "userID,bypassMFAEnabledUntil").expect("written");
    for row in 1..=rows {
        writeln!(file, "{},+4h", user(row)).expect("written");
    }
    file.flush().expect("written");
}

/// The median.
pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
