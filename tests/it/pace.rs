//! The rate, the token's lifetime and the hold, as the server sees them.

use std::time::Duration;

use pingone_bypass::sandbox::SandboxConfig;

use crate::harness::{field, field_with};

#[test]
fn requests_come_evenly_and_never_more_than_the_rate_in_any_second() {
    let field = field();
    field.users(120, "");
    let done = field.run(&["audit", "in.csv", "--rate", "60/s"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let times: Vec<Duration> = field.calls().iter().map(|call| call.at).collect();
    assert_eq!(times.len(), 121);
    let within = |from: &Duration| times.iter().filter(|at| *at >= from && **at < *from + Duration::from_secs(1)).count();
    let fullest = times.iter().map(within).max().expect("calls");
    // One for a window that includes both ends of an interval, and one for a busy machine.
    assert!(fullest <= 62, "{fullest}");
}

#[test]
fn a_token_is_fetched_once_for_each_of_its_lives() {
    let config = SandboxConfig { token_lifetime: Duration::from_secs(1), ..SandboxConfig::default() };
    let field = field_with(config);
    field.users(150, "");
    let done = field.run(&["audit", "in.csv", "--rate", "50/s"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let calls = field.calls();
    let tokens = calls.iter().filter(|call| call.is_token()).count();
    let lives = calls[calls.len() - 1].at.saturating_sub(calls[0].at).as_secs_f64().ceil();
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let tokens = tokens as f64;
    assert!(tokens >= 2.0 && tokens <= lives + 1.0, "{tokens} tokens in {lives} s");
}

#[test]
fn a_429_is_waited_for_and_no_row_is_lost() {
    let rate_limit = Some("20".parse().expect("a limit"));
    let field = field_with(SandboxConfig { rate_limit, ..SandboxConfig::default() });
    field.users(60, "");
    let done = field.run(&["audit", "in.csv", "--rate", "unlimited", "--concurrency", "10"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(field.report("in.report.csv").is_whole(60));
    assert!(done.stderr.contains("PingOne limits the rate (429): all requests wait 1 s"), "{}", done.stderr);
    let throttled = field.api_calls().iter().filter(|call| call.status == Some(429)).count();
    assert!((1..=40).contains(&throttled), "{throttled}");
}
