//! Tests of undoing a grant, over a scripted PingOne under a paused clock.

use chrono::TimeDelta;

use super::script::{Event, Output, PATIENCE, Script, now, pipeline, row, run, user};
use super::*;
use crate::domain::{Action, BypassUntil, Grace, Operation, Outcome, Previous, Restoration, Work};
use crate::pace::Rate;

fn seconds_ahead(seconds: i64) -> BypassUntil {
    BypassUntil::from_instant(now() + TimeDelta::seconds(seconds)).expect("in range")
}

fn grace() -> Grace {
    Grace::try_from(std::time::Duration::from_secs(60)).expect("a grace")
}

/// Undoes a grant for four hours of one user, who `has` a bypass for so many seconds now and `had` one before.
async fn restore(has: Option<i64>, had: Option<i64>, events: &[Event], in_doubt: bool) -> (Arc<Script>, Output) {
    let (granted, previous) = (seconds_ahead(GRANTED), had.map_or(Previous::NoBypass, |had| Previous::Until(seconds_ahead(had))));
    let script = Script::of(&[(1, events)]);
    script.bypasses.lock().expect("whole").extend(has.map(|has| (1, seconds_ahead(has))));
    let script = Arc::new(script);
    let work = Work::Send(Action::Restore(user(1), Restoration { granted, previous, grace: grace() }));
    let rows = vec![Row { in_doubt, work, ..row(Operation::Restore(grace()), 1) }];
    let output = run(&pipeline(&script, Rate::Unlimited, 4, PATIENCE), rows).await;
    (script, output)
}

const GRANTED: i64 = 4 * 3600;
const HOUR: i64 = 3600;

#[tokio::test(start_paused = true)]
async fn who_has_what_the_grant_gave_gets_back_what_was_there_and_nobody_else() {
    use Event as E;
    let granted = Some(GRANTED);
    for (has, had, events, outcome, calls) in [
        (granted, Some(HOUR), vec![], Outcome::Restored, "GP"),
        (granted, None, vec![], Outcome::Ended, "GP"),
        // It has passed, or does so before the request arrives.
        (granted, Some(-5), vec![], Outcome::Ended, "GP"),
        (granted, Some(30), vec![], Outcome::Ended, "GP"),
        (None, Some(HOUR), vec![], Outcome::Inactive, "G"),
        (None, None, vec![], Outcome::Inactive, "G"),
        (Some(2 * HOUR), Some(HOUR), vec![], Outcome::Changed, "G"),
        (Some(9 * HOUR), None, vec![], Outcome::Changed, "G"),
        (Some(30), None, vec![], Outcome::Changed, "G"),
        // Somebody has given it back already.
        (Some(HOUR), Some(HOUR), vec![], Outcome::Restored, "G"),
        (granted, None, vec![E::NoDate], Outcome::Mismatch, "G"),
        (granted, None, vec![E::Status(404)], Outcome::NotFound, "G"),
        (granted, None, vec![E::Silence; 8], Outcome::Failed, "GGGGGGGG"),
        (granted, Some(HOUR), vec![E::Good, E::Status(403)], Outcome::Rejected, "GP"),
        (granted, Some(HOUR), vec![E::Good, E::OtherDate], Outcome::Mismatch, "GP"),
        (granted, Some(HOUR), vec![E::Good, E::NoBypass], Outcome::Restored, "GPGP"),
        (granted, Some(HOUR), vec![E::Good, E::Silence], Outcome::Restored, "GPGP"),
        (granted, Some(HOUR), vec![E::Good, E::Lost], Outcome::Restored, "GPG"),
        (granted, None, vec![E::Good, E::Lost], Outcome::Ended, "GPG"),
        (granted, None, vec![E::Good, E::Applied(503), E::RetryAfter(503, 100)], Outcome::Ended, "GPGG"),
        (granted, Some(HOUR), vec![E::Good, E::Silence, E::Good, E::Status(403)], Outcome::Unknown, "GPGPG"),
        (granted, Some(HOUR), vec![E::Good, E::Lost, E::Status(404)], Outcome::Unknown, "GPG"),
    ] {
        let (script, output) = restore(has, had, &events, false).await;
        assert_eq!((output.outcome(1), script.calls_of(1).as_str()), (outcome, calls), "{has:?} {had:?} {events:?}");
        let saw = !matches!(events.first(), Some(E::NoDate | E::Status(404) | E::Silence));
        let found = has.map_or(Previous::NoBypass, |has| Previous::Until(seconds_ahead_of_start(&output, has)));
        assert!(!saw || output.value(1, "previousUntil") == found.to_string(), "what the first GET saw: {:?}", output.line(1));
        let held = script.running(1);
        let is_told = held.map(|held| held.to_string()) == Some(output.value(1, "bypassMFAEnabledUntil"));
        assert!(is_told || ![Outcome::Restored, Outcome::Changed].contains(&outcome), "{held:?}");
        let is_near = held.is_none_or(|held| held.instant() <= now() + TimeDelta::seconds(60));
        assert!(is_near || outcome != Outcome::Ended, "{held:?}");
        let says = output.value(1, "errorMessage").ends_with("somebody has changed it since: the bypass is left as it is");
        assert_eq!(says, outcome == Outcome::Changed);
    }
}

/// The date so many seconds after the run began.
fn seconds_ahead_of_start(output: &Output, seconds: i64) -> BypassUntil {
    let took = TimeDelta::from_std(output.took).expect("short");
    BypassUntil::from_instant(now() - took + TimeDelta::seconds(seconds)).expect("in range")
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_process_may_have_done_is_not_taken_for_somebody_elses_change() {
    let granted = Some(GRANTED);
    for (has, had, events, outcome, calls) in [
        (granted, Some(HOUR), vec![], Outcome::Restored, "GP"),
        (Some(HOUR), Some(HOUR), vec![], Outcome::Restored, "G"),
        (Some(30), None, vec![], Outcome::Ended, "G"),
        (Some(30), Some(-5), vec![], Outcome::Ended, "G"),
        (Some(30), Some(HOUR), vec![], Outcome::Changed, "G"),
        (Some(90), None, vec![], Outcome::Changed, "G"),
        (None, None, vec![], Outcome::Inactive, "G"),
        (granted, Some(HOUR), vec![Event::Silence; 8], Outcome::Unknown, "GGGGGGGG"),
        (granted, Some(HOUR), vec![Event::Status(404)], Outcome::Unknown, "G"),
    ] {
        let (script, output) = restore(has, had, &events, true).await;
        assert_eq!((output.outcome(1), script.calls_of(1).as_str()), (outcome, calls), "{has:?} {had:?} {events:?}");
    }
}

/// A near date counts from when the PUT is sent.
#[tokio::test(start_paused = true)]
async fn what_was_there_before_may_pass_while_a_row_waits() {
    for (had, wait, outcome) in [(100, 20, Outcome::Restored), (100, 50, Outcome::Ended), (100, 200, Outcome::Ended)] {
        let (script, output) = restore(Some(GRANTED), Some(had), &[Event::RetryAfter(503, wait)], false).await;
        assert_eq!((output.outcome(1), script.calls_of(1).as_str()), (outcome, "GGP"), "{had} {wait}");
    }
    let (script, output) = restore(Some(20), None, &[], true).await;
    assert_eq!((output.outcome(1), script.calls_of(1).as_str()), (Outcome::Ended, "G"));
}
