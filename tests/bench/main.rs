//! Measures speed and memory, and checks the guarantees.
//!
//! `cargo bench` runs every benchmark, `cargo bench -- plan pace` only these. Each runs the whole program and prints
//! its figures beside those of a reference in the same run. The machine may be shared, so the ratios are what counts.

mod engine;
mod memory;
mod pace;
mod plan;
mod server;
mod startup;
mod throttle;
mod tool;

use std::io::Write;

/// Their names, in the order in which they run.
const BENCHES: [(&str, fn()); 6] = [
    ("startup", startup::bench),
    ("plan", plan::bench),
    ("engine", engine::bench),
    ("memory", memory::bench),
    ("pace", pace::bench),
    ("throttle", throttle::bench),
];

fn main() {
    // Cargo adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if let [first, urls] = &words[..]
        && let Some(threads) = engine::Threads::named(first)
    {
        return engine::bare_loop(threads, urls.as_ref());
    }
    for (name, bench) in BENCHES {
        if words.is_empty() || words.iter().any(|word| word == name) {
            bench();
        }
    }
}

fn print(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("standard output is open");
}
