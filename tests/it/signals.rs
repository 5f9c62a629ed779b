//! Signals, and terminals that go away.

use std::process::{Command, Stdio};
use std::time::Duration;

use pingone_bypass::sandbox::SandboxConfig;

use crate::harness::{Field, done, field_with, send_signal};

/// A sandbox that takes its time.
fn slow() -> Field {
    field_with(SandboxConfig { latency: Duration::from_millis(100), ..SandboxConfig::default() })
}

#[test]
fn under_nohup_a_hangup_is_ignored() {
    let field = slow();
    field.users(50, "+4h");
    let tool = field.tool(&["grant", "in.csv", "--concurrency", "5", "--rate", "unlimited"]);
    let mut nohup = Command::new("nohup");
    nohup.arg(tool.get_program()).args(tool.get_args()).current_dir(field.folder()).stdin(Stdio::null()).stdout(Stdio::piped());
    nohup.env_clear().envs(tool.get_envs().filter_map(|(name, value)| Some((name, value?)))).stderr(Stdio::piped());
    let child = nohup.spawn().expect("nohup runs");
    while field.api_calls().is_empty() {
        std::thread::sleep(Duration::from_millis(2));
    }
    send_signal(&child, "HUP");
    let done = done(child.wait_with_output().expect("it ends"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(field.report("in.report.csv").count("granted"), 50);
}
