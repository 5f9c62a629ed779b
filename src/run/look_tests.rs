//! Tests of grants that look first, over a scripted PingOne under a paused clock.

use chrono::TimeDelta;

use super::script::{Event, Output, PATIENCE, Script, now, pipeline, row, run};
use super::*;
use crate::domain::{Action, BypassUntil, Operation, Outcome, Previous, Work};
use crate::pace::Rate;

/// The date that the rows ask for.
fn requested() -> BypassUntil {
    let Work::Send(Action::Grant(_, until)) = row(Operation::Grant, 1).work else { panic!("a grant") };
    until
}

/// How the end date of the user's bypass compares with the one that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Has {
    None,
    Shorter,
    Same,
    Longer,
}

impl Has {
    fn until(self) -> Option<BypassUntil> {
        match self {
            Self::None => None,
            Self::Shorter => BypassUntil::from_instant(now() + TimeDelta::hours(1)),
            Self::Same => Some(requested()),
            Self::Longer => BypassUntil::from_instant(requested().instant() + TimeDelta::milliseconds(1)),
        }
    }

    fn previous(self) -> String {
        self.until().map_or(Previous::NoBypass, Previous::Until).to_string()
    }
}

struct Looked {
    script: Arc<Script>,
    output: Output,
    before: String,
}

impl Looked {
    fn previous(&self) -> String {
        self.output.value(1, "previousUntil")
    }
}

/// Grants one user a bypass.
async fn look_and_grant(has: Has, events: &[Event], in_doubt: bool, known: Option<Previous>) -> Looked {
    let script = Script::of(&[(1, events)]);
    script.bypasses.lock().expect("whole").extend(has.until().map(|until| (1, until)));
    let (script, before) = (Arc::new(script), has.previous());
    let rows = vec![Row { in_doubt, previous: known, ..row(Operation::LookAndGrant, 1) }];
    let output = run(&pipeline(&script, Rate::Unlimited, 4, PATIENCE), rows).await;
    Looked { script, output, before }
}

#[tokio::test(start_paused = true)]
async fn who_has_no_bypass_or_a_shorter_one_is_granted_one_and_any_other_is_kept() {
    use Event as E;
    use Has::{Longer, None, Same, Shorter};
    for (has, events, outcome, calls, is_told) in [
        (None, vec![], Outcome::Granted, "GP", true),
        (Shorter, vec![], Outcome::Granted, "GP", true),
        (Same, vec![], Outcome::Kept, "G", true),
        (Longer, vec![], Outcome::Kept, "G", true),
        (Shorter, vec![E::Status(503), E::NoConnection], Outcome::Granted, "GGGP", true),
        (Shorter, vec![E::Silence; 8], Outcome::Failed, "GGGGGGGG", false),
        (Shorter, vec![E::Status(404)], Outcome::NotFound, "G", false),
        (Shorter, vec![E::Status(403)], Outcome::Rejected, "G", false),
        // A bypass without an end date.
        (Shorter, vec![E::NoDate], Outcome::Mismatch, "G", false),
        (Shorter, vec![E::Good, E::Status(403)], Outcome::Rejected, "GP", true),
        (Shorter, vec![E::Good, E::OtherDate], Outcome::Mismatch, "GP", true),
        (Shorter, vec![E::Good, E::RetryAfter(429, 1)], Outcome::Granted, "GPGP", true),
        (Shorter, vec![E::Good, E::Status(401)], Outcome::Granted, "GPGP", true),
        (Shorter, vec![E::Good, E::Status(500)], Outcome::Granted, "GPGP", true),
        (None, vec![E::Good, E::Silence], Outcome::Granted, "GPGP", true),
        // The PUT was applied: a GET shows it, and is not taken for what was there before.
        (None, vec![E::Good, E::Lost], Outcome::Granted, "GPG", true),
        (Shorter, vec![E::Good, E::Lost], Outcome::Granted, "GPG", true),
        (Shorter, vec![E::Good, E::Applied(502), E::Status(503)], Outcome::Granted, "GPGG", true),
        (Shorter, vec![E::Good, E::Garbled, E::Silence], Outcome::Granted, "GPGG", true),
        // An unanswered PUT may still be applied.
        (Shorter, [vec![E::Good, E::Silence], vec![E::Status(503); 7]].concat(), Outcome::Unknown, "GPGGGGGGG", true),
        (Shorter, vec![E::Good, E::Silence, E::Good, E::Status(403)], Outcome::Unknown, "GPGPG", true),
        (Shorter, vec![E::Good, E::Silence, E::Status(404)], Outcome::Unknown, "GPG", true),
        (Shorter, vec![E::Good, E::Lost, E::Status(403)], Outcome::Unknown, "GPG", true),
    ] {
        let looked = look_and_grant(has, &events, false, Option::None).await;
        assert_eq!((looked.output.outcome(1), looked.script.calls_of(1).as_str()), (outcome, calls), "{has:?} {events:?}");
        let expected = if is_told { looked.before.as_str() } else { "" };
        assert_eq!(looked.previous(), expected, "{has:?} {events:?}");
        assert_eq!(looked.output.value(1, "requestedUntil"), requested().to_string());
        if outcome == Outcome::Kept {
            assert_eq!(looked.output.value(1, "bypassMFAEnabledUntil"), looked.before);
        }
    }
}

/// What a killed process may have set is not taken for what was there before.
#[tokio::test(start_paused = true)]
async fn what_the_user_had_before_is_kept_over_a_crash() {
    use Event as E;
    use Has::{Longer, None, Same, Shorter};
    let known = Some(Previous::NoBypass);
    for (has, events, recorded, outcome, calls, expected) in [
        (Same, vec![], known, Outcome::Granted, "G", "none"),
        (Same, vec![], Option::None, Outcome::Granted, "G", ""),
        (Same, vec![E::Silence], known, Outcome::Granted, "GG", "none"),
        (Longer, vec![], known, Outcome::Kept, "G", "found"),
        (Shorter, vec![], known, Outcome::Granted, "GP", "found"),
        (None, vec![], Option::None, Outcome::Granted, "GP", "none"),
        (Shorter, vec![E::Good, E::Lost], known, Outcome::Granted, "GPG", "found"),
        (Shorter, vec![E::Silence; 8], known, Outcome::Unknown, "GGGGGGGG", "none"),
        (Shorter, vec![E::Status(404)], known, Outcome::Unknown, "G", "none"),
        (Shorter, vec![E::Good, E::Status(403), E::Status(403)], known, Outcome::Unknown, "GPG", "found"),
    ] {
        let looked = look_and_grant(has, &events, true, recorded).await;
        assert_eq!((looked.output.outcome(1), looked.script.calls_of(1).as_str()), (outcome, calls), "{has:?} {events:?}");
        let expected = if expected == "found" { looked.before.as_str() } else { expected };
        assert_eq!(looked.previous(), expected, "{has:?} {events:?}");
        let says_so = looked.output.value(1, "errorMessage").starts_with("what the user had before is not known");
        assert_eq!(says_so, outcome == Outcome::Granted && expected.is_empty(), "{has:?} {events:?}");
    }
    // Nothing was applied, so what is there now counts.
    let looked = look_and_grant(Same, &[], false, known).await;
    assert_eq!((looked.output.outcome(1), looked.previous()), (Outcome::Kept, looked.before));
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_change_between_the_calls_is_seen() {
    for (events, outcome, calls) in [
        (vec![Event::Good, Event::RetryAfter(503, 20)], Outcome::Unknown, "GPG"),
        (vec![Event::Good, Event::RetryAfter(429, 20)], Outcome::Kept, "GPG"),
    ] {
        let script = Arc::new(Script::of(&[(1, &events)]));
        let longer = Has::Longer.until().expect("a date");
        let other = Arc::clone(&script);
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_secs(10)).await;
            other.bypasses.lock().expect("whole").insert(1, longer);
        });
        let output = run(&pipeline(&script, Rate::Unlimited, 4, PATIENCE), vec![row(Operation::LookAndGrant, 1)]).await;
        assert_eq!((output.outcome(1), script.calls_of(1).as_str()), (outcome, calls), "{events:?}");
        assert_eq!((script.running(1), output.value(1, "bypassMFAEnabledUntil")), (Some(longer), longer.to_string()), "it is left");
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_that_gets_no_turn_for_its_put_says_so() {
    let script = Arc::new(Script::of(&[]));
    let patience = Limits { give_up_after: std::time::Duration::from_secs(30), ..PATIENCE };
    let output = run(&pipeline(&script, Rate::PerSecond(1.0 / 60.0), 4, patience), vec![row(Operation::LookAndGrant, 1)]).await;
    assert_eq!((output.outcome(1), script.calls_of(1).as_str()), (Outcome::Failed, "G"));
    assert_eq!(output.value(1, "errorMessage"), "no turn came to grant the bypass before the row's time was over");
    assert_eq!(output.value(1, "previousUntil"), "none");
}
