//! Simulates system faults and wrong clocks: shim.c, compiled once and preloaded into the tool.
//!
//! ```text
//! let shim = Shim::failing(7, "ENOSPC").for_good();
//! let mut tool = field.tool(&["grant", "in.csv"]);
//! let done = done(shim.preload(&mut tool).output().expect("the tool runs"));
//! assert!(!shim.faults().is_empty());
//! ```

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::NamedTempFile;

/// How the system differs from the real one.
#[derive(Debug, Default)]
pub(crate) struct Shim {
    variables: Vec<(&'static str, OsString)>,
    /// The file that lists the calls that failed.
    log: Option<NamedTempFile>,
}

impl Shim {
    /// Fails the `nth` call on a file in the tool's folder, from 1: to create, write, sync, truncate, rename or remove
    /// one. `errno` is `ENOSPC`, `EIO` or `EDQUOT`.
    pub(crate) fn failing(nth: u32, errno: &str) -> Self {
        let log = NamedTempFile::new().expect("a file");
        let variables = vec![("SHIM_AT", nth.to_string().into()), ("SHIM_ERRNO", errno.into()), ("SHIM_LOG", log.path().into())];
        Self { variables, log: Some(log) }
    }

    /// Kills the tool before the `nth` such call, as `kill -9` does.
    pub(crate) fn killing(nth: u32) -> Self {
        Self::failing(nth, "KILL")
    }

    /// The `nth` write to a file in the tool's folder writes half of its bytes.
    pub(crate) fn short(nth: u32) -> Self {
        Self::failing(nth, "SHORT")
    }

    /// All calls after that one fail too.
    pub(crate) fn for_good(mut self) -> Self {
        self.variables.push(("SHIM_FOR_GOOD", "1".into()));
        self
    }

    /// The `nth` call on a file in the tool's folder writes half of its bytes, if it is a write, and all calls after it
    /// fail: a disk that fills up.
    pub(crate) fn torn(nth: u32, errno: &str) -> Self {
        let mut shim = Self::failing(nth, errno).for_good();
        shim.variables.push(("SHIM_TORN", "1".into()));
        shim
    }

    /// The tool's clock is this many seconds ahead, or behind if negative.
    pub(crate) fn clock(seconds: i64) -> Self {
        Self { variables: vec![("SHIM_CLOCK", seconds.to_string().into())], log: None }
    }

    /// The tool's clock is right until there is a file at `from`.
    pub(crate) fn clock_jumping(seconds: i64, from: &Path) -> Self {
        let mut shim = Self::clock(seconds);
        shim.variables.push(("SHIM_FROM", from.into()));
        shim
    }

    /// Preloads the shim into `tool`, which has a folder of its own to run in.
    pub(crate) fn preload<'a>(&self, tool: &'a mut Command) -> &'a mut Command {
        let folder = tool.get_current_dir().expect("a folder").canonicalize().expect("it is there");
        tool.env("LD_PRELOAD", library()).env("SHIM_FOLDER", folder).envs(self.variables.iter().map(|(name, value)| (name, value)))
    }

    /// The calls that failed so far, such as `7: open in.report.partial.csv`.
    pub(crate) fn faults(&self) -> Vec<String> {
        let log = self.log.as_ref().map(|log| fs::read_to_string(log.path()).expect("readable")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

/// The library to preload.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/shim.c");
        let built = folder.join(format!("shim-{}.so", std::process::id()));
        let cc = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let compiled = Command::new(cc).args(["-shared", "-fPIC", "-O1", "-o"]).args([&built, &source]).arg("-ldl").output();
        let compiled = compiled.expect("there is a C compiler");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        let library = folder.join("shim.so");
        // In one step: tests in another process may be using it.
        fs::rename(built, &library).expect("renamed");
        library
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{done, field};

    #[test]
    fn the_call_that_is_to_fail_does() {
        let field = field();
        field.users(2, "+4h");
        for (errno, says) in [("ENOSPC", "No space left on device"), ("EDQUOT", "quota exceeded"), ("EIO", "Input/output error")] {
            let shim = Shim::failing(3, errno);
            let done = done(shim.preload(&mut field.tool(&["grant", "in.csv"])).output().expect("the tool runs"));
            assert!(done.code == 5 && done.stderr.contains(says), "{}", done.stderr);
            assert!(matches!(&shim.faults()[..], [fault] if fault.starts_with("3: open in.report.")), "{:?}", shim.faults());
        }
    }

    #[test]
    fn a_short_write_is_a_short_one() {
        let field = field();
        field.users(2, "+4h");
        let shim = Shim::short(1).for_good();
        let done = done(shim.preload(&mut field.tool(&["grant", "in.csv"])).output().expect("the tool runs"));
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(shim.faults().len() > 20, "{:?}", shim.faults());
        assert_eq!(field.report("in.report.csv").count("granted"), 2);
    }

    #[test]
    fn the_clock_is_as_far_ahead_as_it_is_to_be() {
        const MONTH: i64 = 30 * 86400;
        let field = field();
        field.users(1, "");
        let jumped = field.path("jumped");
        let seconds_ahead = |shim: &Shim| {
            let mut tool = field.tool(&["audit", "in.csv", "--overwrite"]);
            let done = done(shim.preload(&mut tool).output().expect("the tool runs"));
            assert_eq!(done.code, 0, "{}", done.stderr);
            let record: serde_json::Value =
                serde_json::from_slice(&fs::read(field.path("in.report.run.json")).expect("a record")).expect("JSON");
            record["clockOffsetSeconds"].as_i64().expect("a number")
        };
        let jumping = Shim::clock_jumping(MONTH, &jumped);
        assert!((0..=9).contains(&seconds_ahead(&jumping)));
        field.write("jumped", "");
        for (shim, ahead) in [(jumping, MONTH), (Shim::clock(-MONTH), -MONTH)] {
            assert!((ahead - 9..=ahead + 9).contains(&seconds_ahead(&shim)));
        }
    }
}
