//! Tests of early ends, over a scripted PingOne under a paused clock: whatever happens, no user gains a bypass or more time.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::row_state::{Next, RowState, Step};
use super::script::{Called, Event, Output, PATIENCE, Script, now, pipeline, row, run};
use super::*;
use crate::domain::{Action, BypassUntil, Grace, Operation, Outcome, Previous};
use crate::pace::Rate;
use crate::pingone::{BypassStatus, Call, Verdict};
use crate::stop::Signal;

fn in_a_minute() -> Operation {
    Operation::End(Grace::try_from(Duration::from_secs(60)).expect("a grace"))
}

fn rows_to_end(count: u64) -> Vec<Row> {
    (1..=count).map(|number| row(in_a_minute(), number)).collect()
}

impl Script {
    /// The PUTs that granted a bypass or extended one.
    fn extensions(&self) -> Vec<Called> {
        let gives = |called: &Called| match called.call {
            Call::Get(_) => false,
            Call::Put(_, until) => called.running.is_none_or(|running| running <= until),
        };
        self.calls.lock().expect("whole").iter().copied().filter(gives).collect()
    }

    /// The PUTs whose date is not one minute after they were sent.
    fn not_in_a_minute(&self) -> Vec<Called> {
        let is_off = |called: &Called| match called.call {
            Call::Get(_) => false,
            Call::Put(_, until) => until.instant().timestamp_millis() != (called.date + TimeDelta::minutes(1)).timestamp_millis(),
        };
        self.calls.lock().expect("whole").iter().copied().filter(is_off).collect()
    }
}

/// Ends the bypass of one user, which runs for this many seconds; `None` if there is none.
async fn end_one(runs_for: Option<i64>, events: &[Event]) -> (Outcome, String, Output) {
    let script =
        Arc::new(Script::of(&[(1, events)]).with_bypasses(runs_for.is_some().then_some(1).into_iter(), runs_for.unwrap_or_default()));
    let output = run(&pipeline(&script, Rate::Unlimited, 4, PATIENCE), rows_to_end(1)).await;
    assert!(script.extensions().is_empty() && script.not_in_a_minute().is_empty(), "{events:?}: {:?}", script.calls);
    (output.outcome(1), script.calls_of(1), output)
}

#[tokio::test(start_paused = true)]
async fn a_bypass_that_runs_on_is_ended_and_any_other_is_left_alone() {
    use Event as E;
    for (runs_for, events, outcome, calls) in [
        (None, vec![], Outcome::Inactive, "G"),
        (Some(3600), vec![], Outcome::Ended, "GP"),
        (Some(59), vec![], Outcome::Ended, "G"),
        (Some(3600), vec![E::Status(404)], Outcome::NotFound, "G"),
        (Some(3600), vec![E::Status(403)], Outcome::Rejected, "G"),
        (Some(3600), vec![E::NoDate], Outcome::Mismatch, "G"),
        (Some(3600), vec![E::Good, E::Status(404)], Outcome::NotFound, "GP"),
        (Some(3600), vec![E::Good, E::Status(400)], Outcome::Rejected, "GP"),
        (Some(3600), vec![E::Good, E::OtherDate], Outcome::Mismatch, "GP"),
        (Some(3600), vec![E::Good, E::NoDate], Outcome::Mismatch, "GP"),
        (Some(3600), vec![E::Status(503), E::NoConnection], Outcome::Ended, "GGGP"),
        (Some(3600), vec![E::Silence; 8], Outcome::Failed, "GGGGGGGG"),
    ] {
        let (found, sent, _) = end_one(runs_for, &events).await;
        assert_eq!((found, sent.as_str()), (outcome, calls), "{runs_for:?} {events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_any_fault_of_a_put_a_get_comes_first() {
    use Event as E;
    for (event, calls) in [
        (E::Status(500), "GPGP"),
        (E::Status(401), "GPGP"),
        (E::Status(502), "GPGP"),
        (E::RetryAfter(429, 1), "GPGP"),
        (E::NoConnection, "GPGP"),
        (E::Silence, "GPGP"),
        (E::NoBypass, "GPGP"),
        (E::Garbled, "GPG"),
        (E::Lost, "GPG"),
    ] {
        let (found, sent, output) = end_one(Some(3600), &[E::Good, event]).await;
        assert_eq!((found, sent.as_str()), (Outcome::Ended, calls), "{event:?}");
        assert_eq!(output.value(1, "bypassMFAEnabledUntil"), output.value(1, "requestedUntil"), "{event:?}");
        assert_eq!(output.value(1, "attempts"), calls.len().to_string(), "{event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bypass_that_lapses_before_the_next_try_is_not_granted_anew() {
    for event in [Event::RetryAfter(503, 120), Event::RetryAfter(502, 120), Event::RetryAfter(429, 120)] {
        let (found, sent, output) = end_one(Some(100), &[Event::Good, event]).await;
        assert_eq!((found, sent.as_str()), (Outcome::Ended, "GPG"), "{event:?}");
        assert_eq!((output.value(1, "canBypassMFA"), output.value(1, "bypassMFAEnabledUntil")), ("false".to_owned(), String::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn faults_of_both_calls_count_and_a_get_settles_what_a_put_left_in_doubt() {
    use Event as E;
    let unanswered = [vec![E::Good, E::Silence], vec![E::Status(503); 7]].concat();
    let (found, sent, _) = end_one(Some(3600), &unanswered).await;
    assert_eq!((found, sent.as_str()), (Outcome::Unknown, "GPGGGGGGG"));
    let refused = [vec![E::Good, E::Silence], [E::Good, E::Status(503)].repeat(7)].concat();
    let (found, sent, _) = end_one(Some(3600), &refused).await;
    assert_eq!((found, sent.as_str()), (Outcome::Unknown, "GPGPGPGPGPGPGPGPG"), "a last GET looks");
    let applied = [[E::Good, E::NoConnection].repeat(7), vec![E::Good, E::Applied(503)]].concat();
    let (found, sent, _) = end_one(Some(3600), &applied).await;
    assert_eq!((found, sent.as_str()), (Outcome::Ended, "GPGPGPGPGPGPGPGPG"));
    for (answer, outcome) in [(E::Status(404), Outcome::Unknown), (E::Status(403), Outcome::Unknown), (E::Good, Outcome::Ended)] {
        let (found, sent, _) = end_one(Some(3600), &[E::Good, E::Lost, answer]).await;
        assert_eq!((found, sent.as_str()), (outcome, "GPG"), "{answer:?}");
    }
    let contradicted = [E::Good, E::NoBypass].repeat(8);
    let (found, sent, output) = end_one(Some(3600), &contradicted).await;
    assert_eq!((found, sent.len()), (Outcome::Unknown, 17));
    assert!(output.value(1, "errorMessage").contains("answered that the user cannot bypass MFA"));
}

#[test]
fn a_date_that_passed_long_ago_is_not_taken_for_the_end_of_a_bypass_that_runs() {
    let Operation::End(grace) = in_a_minute() else { unreachable!("it is an end") };
    let action = Action::End("7e94b96e-0364-463b-a059-d97d1e4cb1d5".parse().expect("a UUID"), grace);
    for (ago, expected) in [(30, Outcome::Ended), (59, Outcome::Ended), (61, Outcome::Mismatch), (4 * 3600, Outcome::Mismatch)] {
        let mut state = RowState::new(action, PATIENCE, false, None);
        let Step::Send { call, .. } = state.step(now()) else { panic!("a GET comes first") };
        let until = BypassUntil::from_instant(now() - TimeDelta::seconds(ago));
        let verdict = Verdict::Answered { status: 200, bypass: BypassStatus { can_bypass: true, until } };
        let instant = tokio::time::Instant::now();
        let Next::Settle(result) = state.after(call, verdict, instant, instant, now()) else { panic!("nothing is to be sent") };
        assert_eq!(result.outcome, expected, "{ago} s ago");
    }
}

#[tokio::test(start_paused = true)]
async fn the_near_date_is_counted_from_when_the_put_is_sent() {
    let script = Arc::new(Script::of(&[]).with_bypasses(1..=40, 9000));
    let output = run(&pipeline(&script, Rate::PerSecond(0.1), 8, PATIENCE), rows_to_end(40)).await;
    assert_eq!(output.ended.tally.of(Outcome::Ended), 40);
    assert!(output.took > Duration::from_secs(700), "{:?}", output.took);
    assert!(script.extensions().is_empty() && script.not_in_a_minute().is_empty(), "{:?}", script.not_in_a_minute());
    for called in script.calls.lock().expect("whole").iter() {
        if let Call::Put(_, until) = called.call {
            assert_eq!(output.value(called.row, "requestedUntil"), until.to_string());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_put_is_sent_once_the_bypass_ends_by_itself() {
    let script = Arc::new(Script::of(&[]).with_bypasses(1..=1, 65));
    let output = run(&pipeline(&script, Rate::PerSecond(0.1), 4, PATIENCE), rows_to_end(1)).await;
    assert_eq!((output.outcome(1), script.calls_of(1).as_str()), (Outcome::Ended, "G"));
    assert_eq!(output.value(1, "bypassMFAEnabledUntil"), script.running(1).expect("it runs").to_string());
    assert_eq!((output.value(1, "requestedUntil"), output.value(1, "canBypassMFA")), (String::new(), "true".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn no_put_is_sent_for_a_bypass_that_ends_while_its_row_waits_for_a_permit() {
    let script = Arc::new(Script::of(&[(2, &[Event::RetryAfter(429, 100)])]).with_bypasses(1..=1, 65));
    // Row 2 is sent first, so that its 429 arrives before the answer to row 1.
    let rows = rows_to_end(2).into_iter().rev().collect();
    let output = run(&pipeline(&script, Rate::PerSecond(1000.0), 4, PATIENCE), rows).await;
    assert_eq!((output.outcome(1), script.calls_of(1).as_str()), (Outcome::Inactive, "G"));
    assert_eq!((output.value(1, "bypassMFAEnabledUntil"), output.value(1, "canBypassMFA")), (String::new(), "false".to_owned()));
    assert_eq!(output.outcome(2), Outcome::Inactive);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_gets_no_permit_in_time_says_so() {
    let script = Arc::new(Script::of(&[]).with_bypasses(1..=1, 3600));
    let patience = Limits { give_up_after: Duration::from_secs(30), ..PATIENCE };
    let output = run(&pipeline(&script, Rate::PerSecond(1.0 / 60.0), 4, patience), rows_to_end(1)).await;
    assert_eq!((output.outcome(1), script.calls_of(1).as_str()), (Outcome::Failed, "G"));
    assert!(output.value(1, "errorMessage").contains("no turn came to end the bypass"), "{:?}", output.line(1));
}

#[tokio::test(start_paused = true)]
async fn a_second_call_does_not_queue_behind_new_rows() {
    let script = Arc::new(Script::of(&[]).with_bypasses(1..=200, 3600));
    let output = run(&pipeline(&script, Rate::PerSecond(10.0), 64, PATIENCE), rows_to_end(200)).await;
    assert_eq!(output.ended.tally.of(Outcome::Ended), 200);
    let calls = script.calls.lock().expect("whole");
    let place = |row, changes| calls.iter().position(|called| called.row == row && called.call.changes() == changes).expect("sent");
    for row in 1..=200 {
        assert!(place(row, true) - place(row, false) <= 4, "row {row}: {} {}", place(row, false), place(row, true));
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_in_flight_than_slots_when_each_row_has_two_calls() {
    let script = Arc::new(Script::of(&[]).with_bypasses(1..=200, 3600));
    let output = run(&pipeline(&script, Rate::Unlimited, 7, PATIENCE), rows_to_end(200)).await;
    assert_eq!((output.ended.tally.rows(), script.in_flight.lock().expect("whole").1), (200, 7));
}

#[tokio::test(start_paused = true)]
async fn only_what_repeats_a_call_counts_as_retried() {
    for (events, sent, retried) in [(vec![], 2, 0), (vec![Event::Good, Event::Status(500)], 4, 2), (vec![Event::Status(500)], 3, 1)] {
        let script = Arc::new(Script::of(&[(1, &events)]).with_bypasses(1..=1, 3600));
        let pipeline = pipeline(&script, Rate::Unlimited, 4, PATIENCE);
        run(&pipeline, rows_to_end(1)).await;
        let traffic = &pipeline.session.traffic;
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!((count(&traffic.for_users), count(&traffic.retried)), (sent, retried), "{events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_whose_every_token_is_refused_stops_the_run() {
    let script = Arc::new(Script::of(&[(1, &[Event::Good, Event::Status(401)].repeat(20))]).with_bypasses(1..=1, 3600));
    let output = run(&pipeline(&script, Rate::Unlimited, 4, PATIENCE), rows_to_end(1)).await;
    assert!(matches!(output.ended.stopped, Some(StopReason::Refused(PingOneError::FreshToken(_)))), "{:?}", output.ended);
    assert_eq!(script.calls_of(1), "GPGPGP");
}

#[tokio::test(start_paused = true)]
async fn the_call_whose_answer_ends_the_run_is_counted_too() {
    let doubtful = [Event::Good, Event::RetryAfter(502, 0), Event::Status(401), Event::Status(401)];
    let script = Arc::new(Script::of(&[(1, &doubtful)]).with_bypasses(1..=1, 3600));
    let output = run(&pipeline(&script, Rate::Unlimited, 4, PATIENCE), rows_to_end(1)).await;
    assert!(matches!(output.ended.stopped, Some(StopReason::Refused(PingOneError::FreshToken(_)))), "{:?}", output.ended);
    assert_eq!((output.outcome(1), output.value(1, "attempts")), (Outcome::Unknown, script.requests_of(1).to_string()));
}

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_in_doubt_only_what_a_put_may_have_done() {
    use Event as E;
    // The token takes 50 ms, and so does each call; then the row waits for 30 s.
    for (events, signals, settled) in [
        (vec![E::Good, E::RetryAfter(502, 30)], vec![10_000], 1),
        (vec![E::Good, E::RetryAfter(503, 30)], vec![10_000], 1),
        (vec![E::Good, E::RetryAfter(429, 30)], vec![10_000], 0),
        (vec![E::RetryAfter(502, 30)], vec![10_000], 0),
        (vec![], vec![75, 1], 0),
        (vec![], vec![125, 1], 1),
        ([vec![E::Good], vec![E::Silence; 7]].concat(), vec![1200, 1], 1),
    ] {
        let script = Arc::new(Script::of(&[(1, &events)]).with_bypasses(1..=1, 3600));
        let pipeline = pipeline(&script, Rate::Unlimited, 4, PATIENCE);
        let (stop, waits) = (pipeline.stop.clone(), signals.clone());
        tokio::spawn(async move {
            for millis in waits {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                stop.signal(Signal::Interrupt);
            }
        });
        let output = run(&pipeline, rows_to_end(1)).await;
        let tally = output.ended.tally;
        assert_eq!((tally.rows(), tally.of(Outcome::Unknown)), (settled, settled), "{events:?} {signals:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_in_doubt_is_unknown_until_a_get_is_answered() {
    for (runs_for, events, outcome) in [
        (None, vec![Event::Silence; 8], Outcome::Unknown),
        (None, vec![Event::Silence; 7], Outcome::Inactive),
        (Some(20), vec![], Outcome::Ended),
        (Some(3600), vec![], Outcome::Ended),
    ] {
        let users = runs_for.is_some().then_some(1).into_iter();
        let script = Arc::new(Script::of(&[(1, &events)]).with_bypasses(users, runs_for.unwrap_or_default()));
        let rows = vec![Row { in_doubt: true, ..row(in_a_minute(), 1) }];
        let output = run(&pipeline(&script, Rate::Unlimited, 4, PATIENCE), rows).await;
        assert_eq!(output.outcome(1), outcome, "{runs_for:?} {events:?}");
    }
}

/// What a PUT of the row's own may have set is not taken for what was there before.
#[tokio::test(start_paused = true)]
async fn what_the_user_had_before_is_what_the_first_get_saw() {
    use Event as E;
    let known = BypassUntil::from_instant(now() + TimeDelta::days(9)).map(Previous::Until);
    for (runs_for, events, in_doubt, recorded, expected) in [
        (Some(3600), vec![], false, None, "date"),
        (Some(30), vec![], false, None, "date"),
        (None, vec![], false, None, "none"),
        (Some(3600), vec![E::Good, E::Lost], false, None, "date"),
        (Some(3600), vec![E::Good, E::Lost, E::Silence], false, None, "date"),
        (Some(100), vec![E::Good, E::RetryAfter(503, 120)], false, None, "date"),
        (Some(3600), vec![E::NoDate], false, None, ""),
        (Some(3600), vec![E::Silence; 8], false, None, ""),
        (Some(3600), vec![E::Status(404)], false, None, ""),
        // An earlier process may have ended it.
        (Some(3600), vec![], true, None, "date"),
        (Some(30), vec![], true, None, ""),
        (None, vec![], true, None, ""),
        (Some(30), vec![], true, known, "known"),
        (None, vec![], true, Some(Previous::NoBypass), "none"),
        // Nothing was applied, so it is as this process finds it.
        (Some(3600), vec![], false, known, "date"),
        (Some(3600), vec![E::Silence; 8], false, known, "known"),
    ] {
        let users = runs_for.is_some().then_some(1).into_iter();
        let script = Arc::new(Script::of(&[(1, &events)]).with_bypasses(users, runs_for.unwrap_or_default()));
        let before = script.running(1).map(|until| until.to_string()).unwrap_or_default();
        let rows = vec![Row { in_doubt, previous: recorded, ..row(in_a_minute(), 1) }];
        let output = run(&pipeline(&script, Rate::Unlimited, 4, PATIENCE), rows).await;
        let expected = match expected {
            "date" => before,
            "known" => known.map(|known| known.to_string()).unwrap_or_default(),
            text => text.to_owned(),
        };
        assert_eq!(output.value(1, "previousUntil"), expected, "{runs_for:?} {events:?} {in_doubt}");
    }
}

/// Any event but a false answer.
fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Good),
        1 => prop::sample::select(vec![Event::Garbled, Event::Lost, Event::Silence, Event::NoConnection]),
        1 => prop::sample::select(vec![400_u16, 401, 404, 500, 502]).prop_map(Event::Status),
        2 => (prop::sample::select(vec![429_u16, 502, 503]), 0..100_u64).prop_map(|(status, wait)| Event::RetryAfter(status, wait)),
    ]
}

proptest! {
    #![proptest_config(crate::fuzz::cases(128))]

    /// Whatever the faults, the waits and the stop: no PUT grants or extends a bypass, each requests the date one minute after
    /// it is sent, and a user reported as `ended` or `inactive` has no bypass beyond the last of these dates.
    #[test]
    fn an_early_end_never_extends_a_bypass(
        scripts in prop::collection::vec((prop::option::of(1_i64..600), prop::collection::vec(event(), 0..6)), 1..30),
        rate in prop::sample::select(vec![0.5, 5.0, 100.0]),
        stop_after in prop::option::of(0_u64..200_000),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let count = scripts.len() as u64;
            let rows: HashMap<_, _> = (1..).zip(scripts.iter().map(|(_, events)| events.clone())).collect();
            let mut script = Script { rows: Mutex::new(rows), latency: Duration::from_millis(50), ..Script::default() };
            for (row, (runs_for, _)) in (1..).zip(&scripts) {
                script = script.with_bypasses(runs_for.iter().map(|_| row), runs_for.unwrap_or_default());
            }
            let script = Arc::new(script);
            let pipeline = pipeline(&script, Rate::PerSecond(rate), 8, PATIENCE);
            if let Some(millis) = stop_after {
                let stop = pipeline.stop.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    stop.request();
                });
            }
            let output = run(&pipeline, rows_to_end(count)).await;
            prop_assert!(script.extensions().is_empty(), "{:?}", script.extensions());
            prop_assert!(script.not_in_a_minute().is_empty(), "{:?}", script.not_in_a_minute());
            prop_assert!(stop_after.is_some() || output.ended.stopped.is_some() || output.lines.len() as u64 == count);
            for (row, outcome, _) in &output.lines {
                prop_assert_eq!(script.requests_of(*row).to_string(), output.value(*row, "attempts"));
                if matches!(outcome, Outcome::Ended | Outcome::Inactive) {
                    prop_assert!(script.running(*row).is_none_or(|until| until.instant() <= now() + TimeDelta::minutes(1)), "row {row}");
                }
            }
            Ok(())
        })?;
    }
}
