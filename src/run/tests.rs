//! Tests of the pipeline over a scripted PingOne under a paused clock: no sockets, no waiting.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;

use super::script::{Event, Output, PATIENCE, Script, pipeline, row, run};
use super::*;
use crate::domain::{Counts, Operation, Outcome};
use crate::pace::Rate;

async fn settle_one(operation: Operation, events: &[Event]) -> (Outcome, usize, Output) {
    let script = Arc::new(Script::of(&[(1, events)]));
    let output = run(&pipeline(&script, Rate::Unlimited, 4, PATIENCE), vec![row(operation, 1)]).await;
    (output.outcome(1), script.requests_of(1), output)
}

#[tokio::test(start_paused = true)]
async fn a_row_settles_as_its_answers_say() {
    use Event as E;
    use Operation::{Audit, Grant};
    for (operation, events, outcome, requests) in [
        (Grant, vec![E::Good], Outcome::Granted, 1),
        (Audit, vec![E::Good], Outcome::Inactive, 1),
        (Audit, vec![E::OtherDate], Outcome::Active, 1),
        (Grant, vec![E::OtherDate], Outcome::Mismatch, 1),
        (Grant, vec![E::Status(400)], Outcome::Rejected, 1),
        (Grant, vec![E::Status(403)], Outcome::Rejected, 1),
        (Audit, vec![E::Status(302)], Outcome::Rejected, 1),
        (Audit, vec![E::Maintenance, E::Status(520), E::OtherDate], Outcome::Active, 3),
        (Audit, vec![E::Maintenance; 8], Outcome::Failed, 8),
        (Grant, vec![E::Status(404)], Outcome::NotFound, 1),
        (Grant, vec![E::Silence, E::Status(503), E::Good], Outcome::Granted, 3),
        (Audit, vec![E::Status(500); 8], Outcome::Failed, 8),
        (Grant, vec![E::NoConnection; 8], Outcome::Failed, 8),
        (Audit, vec![E::Silence; 8], Outcome::Failed, 8),
        (Grant, [vec![E::NoConnection; 7], vec![E::Status(403)]].concat(), Outcome::Rejected, 8),
        (Grant, vec![E::RetryAfter(429, 1); 20], Outcome::Granted, 21),
        (Grant, vec![E::Status(401)], Outcome::Granted, 2),
    ] {
        let (found, sent, _) = settle_one(operation, &events).await;
        assert_eq!((found, sent), (outcome, requests), "{operation:?} {events:?}");
    }
}

/// Once a PUT may have been applied, a later refusal proves nothing, so one more GET reads the status.
#[tokio::test(start_paused = true)]
async fn a_put_that_may_have_been_applied_is_checked_and_never_reported_as_refused() {
    use Event as E;
    for refusal in [E::Status(400), E::Status(403), E::Status(404), E::Status(409), E::Status(302), E::Status(415)] {
        for (before, outcome) in [(E::Lost, Outcome::Granted), (E::Applied(500), Outcome::Granted), (E::Silence, Outcome::Unknown)] {
            let (found, sent, _) = settle_one(Operation::Grant, &[before, refusal]).await;
            assert_eq!((found, sent), (outcome, 3), "{before:?} {refusal:?}");
        }
    }
    for (events, outcome, requests) in [
        (vec![E::Applied(409)], Outcome::Granted, 2),
        (vec![E::Status(302)], Outcome::Unknown, 2),
        (vec![E::Silence; 8], Outcome::Unknown, 9),
        (vec![E::Applied(503); 8], Outcome::Granted, 9),
        (vec![E::Status(500); 8], Outcome::Unknown, 9),
        (vec![E::Applied(507); 9], Outcome::Unknown, 9),
        ([vec![E::NoConnection; 7], vec![E::Lost]].concat(), Outcome::Granted, 9),
        ([vec![E::Lost], vec![E::Status(500); 7]].concat(), Outcome::Granted, 9),
        (vec![E::Lost, E::Status(400), E::Status(429), E::Status(401)], Outcome::Granted, 5),
        (vec![E::Lost, E::Status(400), E::Status(404)], Outcome::Unknown, 3),
        (vec![E::Lost, E::Status(400), E::Silence], Outcome::Unknown, 3),
        (vec![E::Lost, E::Status(400), E::Maintenance], Outcome::Unknown, 3),
        (vec![E::Lost, E::Status(400), E::OtherDate], Outcome::Unknown, 3),
    ] {
        let (found, sent, _) = settle_one(Operation::Grant, &events).await;
        assert_eq!((found, sent), (outcome, requests), "{events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_result_of_the_last_look_is_in_the_line() {
    let (_, _, output) = settle_one(Operation::Grant, &[Event::Silence, Event::Status(403)]).await;
    let expected = [
        ("result", "unknown"),
        ("canBypassMFA", "false"),
        ("httpStatus", "200"),
        ("attempts", "3"),
        (
            "errorMessage",
            "an earlier request may have been carried out; the last answer: Said so.; asked for afterwards, the user cannot bypass MFA",
        ),
    ];
    for (column, value) in expected {
        assert_eq!(output.value(1, column), value, "{column}");
    }
    let (_, _, output) = settle_one(Operation::Grant, &[Event::Silence, Event::Status(403), Event::Status(404)]).await;
    assert_eq!((output.value(1, "httpStatus"), output.value(1, "canBypassMFA")), ("404".to_owned(), String::new()));
    assert_eq!(output.value(1, "errorMessage"), "an earlier request may have been carried out; the last answer: Said so.");
}

#[tokio::test(start_paused = true)]
async fn what_the_server_said_is_in_the_line() {
    let (_, _, output) = settle_one(Operation::Grant, &[Event::NoConnection, Event::Status(403)]).await;
    let expected = [
        ("httpStatus", "403"),
        ("errorCode", "SOME_CODE"),
        ("errorMessage", "Said so."),
        ("errorId", "f1"),
        ("attempts", "2"),
        ("canBypassMFA", ""),
    ];
    for (column, value) in expected {
        assert_eq!(output.value(1, column), value, "{column}");
    }
    let (_, _, output) = settle_one(Operation::Audit, &[]).await;
    assert_eq!((output.value(1, "canBypassMFA"), output.value(1, "bypassMFAEnabledUntil")), ("false".to_owned(), String::new()));
}

#[tokio::test(start_paused = true)]
async fn a_row_is_given_up_when_its_time_is_over() {
    let script = Arc::new(Script::of(&[(1, &[Event::RetryAfter(503, 7); 100]), (2, &[Event::RetryAfter(429, 7); 100])]));
    let patience = Limits { max_attempts: 1000, give_up_after: Duration::from_secs(60), ..PATIENCE };
    let rows = vec![row(Operation::Grant, 1), row(Operation::Grant, 2)];
    let output = run(&pipeline(&script, Rate::Unlimited, 4, patience), rows).await;
    assert_eq!((output.outcome(1), output.outcome(2)), (Outcome::Unknown, Outcome::Failed));
    assert!(output.took <= Duration::from_secs(61), "{:?}", output.took);
    assert_eq!(output.value(2, "httpStatus"), "429");
}

#[tokio::test(start_paused = true)]
async fn a_429_holds_back_every_row() {
    let script = Arc::new(Script::of(&[(3, &[Event::RetryAfter(429, 5)])]));
    let rows = (1..=100).map(|number| row(Operation::Grant, number)).collect();
    let output = run(&pipeline(&script, Rate::PerSecond(50.0), 4, PATIENCE), rows).await;
    assert_eq!(output.ended.tally.of(Outcome::Granted), 100);
    let sent = script.sent.lock().expect("whole");
    let throttled = sent.iter().find(|(row, ..)| *row == 3).expect("sent").1 + script.latency;
    let held = sent.iter().filter(|(_, at, _)| *at > throttled && *at < throttled + Duration::from_secs(5)).count();
    assert_eq!(held, 0);
}

#[tokio::test(start_paused = true)]
async fn rows_in_backoff_hold_no_slot() {
    let script = Arc::new(Script::alike((1..=300).map(|n| n * 10), &[Event::RetryAfter(503, 30)]));
    let rows = (1..=3000).map(|number| row(Operation::Grant, number)).collect();
    let output = run(&pipeline(&script, Rate::PerSecond(200.0), 20, PATIENCE), rows).await;
    assert_eq!(output.ended.tally.of(Outcome::Granted), 3000);
    // 3,300 requests at 200/s take 16.5 s, and the last row to back off waits 30 s.
    let sent = script.sent.lock().expect("whole");
    let first_tries = sent.iter().take(3000).map(|(_, at, _)| *at).max().expect("sent") - sent[0].1;
    assert!(first_tries < Duration::from_secs_f64(3000.0 / 200.0 / 0.95), "{first_tries:?}");
    assert!(script.in_flight.lock().expect("whole").1 <= 20);
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_in_flight_than_slots() {
    let script = Arc::new(Script::of(&[]));
    let rows = (1..=500).map(|number| row(Operation::Audit, number)).collect();
    let output = run(&pipeline(&script, Rate::Unlimited, 7, PATIENCE), rows).await;
    assert_eq!(output.ended.tally.rows(), 500);
    assert_eq!(script.in_flight.lock().expect("whole").1, 7);
}

#[tokio::test(start_paused = true)]
async fn one_token_serves_all_rows_and_a_401_renews_it_once() {
    let script = Arc::new(Script::alike(1..=20, &[Event::Status(401)]));
    let rows = (1..=100).map(|number| row(Operation::Audit, number)).collect();
    let output = run(&pipeline(&script, Rate::Unlimited, 20, PATIENCE), rows).await;
    assert_eq!(output.ended.tally.of(Outcome::Inactive), 100);
    assert_eq!(*script.tokens_sent.lock().expect("whole"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_token_that_is_refused_stops_the_run() {
    for (refused, requests, settled) in [(1..=100, 2, 0), (50..=50, 52, 49)] {
        let script = Arc::new(Script::alike(refused, &[Event::Status(401); 9]));
        let rows = (1..=100).map(|number| row(Operation::Audit, number)).collect();
        let output = run(&pipeline(&script, Rate::PerSecond(10.0), 1, PATIENCE), rows).await;
        assert!(matches!(output.ended.stopped, Some(StopReason::Refused(PingOneError::FreshToken(_)))), "{:?}", output.ended);
        let sent = script.sent.lock().expect("whole").len();
        assert!(sent <= requests + 2 && output.ended.tally.rows() <= settled + 2, "{sent} {:?}", output.ended);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_application_stops_the_run_after_one_request() {
    for status in [400, 401, 403, 404] {
        let script = Arc::new(Script { tokens: Mutex::new(vec![Event::Status(status); 10]), ..Script::of(&[]) });
        let rows = (1..=100).map(|number| row(Operation::Grant, number)).collect();
        let output = run(&pipeline(&script, Rate::Unlimited, 64, PATIENCE), rows).await;
        assert!(
            matches!(output.ended.stopped, Some(StopReason::Refused(PingOneError::Credentials { .. }))),
            "{status}: {:?}",
            output.ended
        );
        assert_eq!(*script.tokens_sent.lock().expect("whole"), 1, "{status}");
        assert!(script.sent.lock().expect("whole").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_token_endpoint_are_retried_like_the_rest() {
    let faults = vec![Event::Status(500), Event::NoConnection, Event::RetryAfter(429, 2), Event::Silence, Event::RetryAfter(503, 3)];
    let script = Arc::new(Script { tokens: Mutex::new(faults), ..Script::of(&[]) });
    let rows = (1..=10).map(|number| row(Operation::Grant, number)).collect();
    let output = run(&pipeline(&script, Rate::Unlimited, 4, PATIENCE), rows).await;
    assert_eq!(output.ended.tally.of(Outcome::Granted), 10);
    assert!(output.took > Duration::from_secs(5));

    let script = Arc::new(Script { tokens: Mutex::new(vec![Event::NoConnection; 100]), ..Script::of(&[]) });
    let output = run(&pipeline(&script, Rate::Unlimited, 4, PATIENCE), vec![row(Operation::Grant, 1)]).await;
    assert!(matches!(output.ended.stopped, Some(StopReason::Refused(PingOneError::NoToken { attempts: 8, .. }))), "{:?}", output.ended);
}

#[tokio::test(start_paused = true)]
async fn when_the_run_stops_rows_in_flight_are_waited_for_and_no_other_is_sent() {
    let script = Arc::new(Script { latency: Duration::from_secs(3), ..Script::of(&[(1, &[Event::RetryAfter(503, 30)])]) });
    let pipeline = pipeline(&script, Rate::Unlimited, 4, PATIENCE);
    let stop = pipeline.stop.clone();
    tokio::spawn(async move {
        // The token takes 3 s, and the first answers 3 s more. At 7 s other rows are in flight, and row 1 waits.
        tokio::time::sleep(Duration::from_secs(7)).await;
        stop.request();
    });
    let rows = (1..=100).map(|number| row(Operation::Grant, number)).collect();
    let output = run(&pipeline, rows).await;
    assert!(output.took < Duration::from_secs(10), "{:?}", output.took);
    assert_eq!(output.ended.tally.of(Outcome::Granted), 7);
    assert_eq!(script.sent.lock().expect("whole").len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_gives_up_what_is_in_flight() {
    for (operation, unknown) in [(Operation::Grant, 4), (Operation::Audit, 0)] {
        let script = Arc::new(Script { latency: Duration::from_secs(20), ..Script::of(&[]) });
        let pipeline = pipeline(&script, Rate::Unlimited, 4, PATIENCE);
        let stop = pipeline.stop.clone();
        tokio::spawn(async move {
            for seconds in [25, 1] {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                stop.signal(crate::stop::Signal::Interrupt);
            }
        });
        let rows = (1..=100).map(|number| row(operation, number)).collect();
        let output = run(&pipeline, rows).await;
        assert!(output.took < Duration::from_secs(27), "{:?}", output.took);
        assert_eq!((output.ended.tally.rows(), output.ended.tally.of(Outcome::Unknown)), (unknown, unknown));
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_failures_stop_the_run() {
    let script = Arc::new(Script::alike((1..=100).map(|row| row * 2), &[Event::Status(404)]));
    let mut pipeline = pipeline(&script, Rate::PerSecond(20.0), 4, PATIENCE);
    pipeline.rules.max_failures = "20%".parse().expect("a share");
    let output = run(&pipeline, (1..=200).map(|number| row(Operation::Grant, number)).collect()).await;
    let stopped = output.ended.stopped.expect("stopped");
    assert!(matches!(stopped, StopReason::Exceeded { why: Exceeded::Failures, failed: 25, settled: 50, .. }), "{stopped:?}");
    let StopReason::Exceeded { causes, .. } = stopped else { panic!("too many failures") };
    let (causes, others) = causes.most_frequent(5);
    let told: Vec<_> = causes.iter().map(Cause::told).collect();
    assert_eq!((told, others), (vec!["25 × HTTP 404 SOME_CODE \"Said so.\" (first: row 2)".to_owned()], 0));
    assert!(output.ended.tally.rows() <= 54);
}

/// On several threads, like the program.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_reason_to_stop_is_reported() {
    for _ in 0..200 {
        let script = Arc::new(Script { latency: Duration::ZERO, ..Script::alike(1..=64, &[Event::Status(403)]) });
        let mut pipeline = pipeline(&script, Rate::Unlimited, 64, PATIENCE);
        pipeline.rules.max_failures = MaxFailures::Rows(9);
        let output = run(&pipeline, (1..=64).map(|number| row(Operation::Grant, number)).collect()).await;
        let stopped = output.ended.stopped.expect("stopped");
        assert!(matches!(stopped, StopReason::Exceeded { why: Exceeded::Forbidden, failed: 10, settled: 10, .. }), "{stopped:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_does_not_use_up_the_input() {
    let script = Arc::new(Script::alike(501..=5000, &[Event::NoConnection; 8]));
    let output =
        run(&pipeline(&script, Rate::PerSecond(100.0), 20, PATIENCE), (1..=5000).map(|number| row(Operation::Grant, number)).collect())
            .await;
    let stopped = output.ended.stopped.expect("stopped");
    assert!(matches!(&stopped, StopReason::Exceeded { why: Exceeded::Outage, .. }), "{stopped:?}");
    let StopReason::Exceeded { causes, .. } = stopped else { panic!("too many failures") };
    let (causes, others) = causes.most_frequent(5);
    assert!(others == 0 && causes.len() == 1 && causes[0].told().contains("no connection"), "{causes:?}");
    assert!(output.took < Duration::from_secs(100), "{:?}", output.took);
    let begun = script.sent.lock().expect("whole").iter().map(|(row, ..)| *row).max().expect("sent");
    assert!(begun <= 500 + 40, "rows up to {begun} were begun");
}

#[tokio::test(start_paused = true)]
async fn after_a_short_outage_every_row_is_settled() {
    let script = Arc::new(Script::alike(101..=600, &[Event::Silence; 3]));
    let output =
        run(&pipeline(&script, Rate::PerSecond(100.0), 20, PATIENCE), (1..=1000).map(|number| row(Operation::Grant, number)).collect())
            .await;
    assert_eq!(output.ended.tally.of(Outcome::Granted), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_missing_environment_stops_the_run_and_an_existing_one_does_not() {
    for (environment, stops) in [(Event::Status(404), true), (Event::Good, false), (Event::Status(403), false), (Event::Silence, false)] {
        let script = Arc::new(Script { environment: Some(environment), ..Script::alike(1..=100, &[Event::Status(404)]) });
        let output =
            run(&pipeline(&script, Rate::PerSecond(50.0), 4, PATIENCE), (1..=100).map(|number| row(Operation::Grant, number)).collect())
                .await;
        if stops {
            assert!(matches!(output.ended.stopped, Some(StopReason::Refused(PingOneError::NoEnvironment { .. }))), "{:?}", output.ended);
            assert_eq!(output.ended.tally.rows(), 0);
        } else {
            assert_eq!(output.ended.tally.of(Outcome::NotFound), 100, "{environment:?}");
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Good),
        1 => Just(Event::OtherDate),
        2 => prop::sample::select(vec![400_u16, 403, 404, 408, 500, 502, 503, 504]).prop_map(Event::Status),
        1 => (prop::sample::select(vec![429_u16, 503]), 0..40_u64).prop_map(|(status, wait)| Event::RetryAfter(status, wait)),
        1 => Just(Event::Silence),
        1 => Just(Event::Lost),
        1 => Just(Event::Maintenance),
        1 => Just(Event::NoConnection),
    ]
}

proptest! {
    #![proptest_config(crate::fuzz::cases(64))]

    /// Whatever the faults and the stop, each row settles exactly once or stays unsettled, a settled row is not sent again, and
    /// the totals add up.
    #[test]
    fn every_row_settles_once_or_stays_unsettled(
        scripts in prop::collection::vec(prop::collection::vec(event(), 0..6), 1..40),
        concurrency in 1_usize..9,
        stop_after in prop::option::of(0_u64..20_000),
        max_attempts in 1_u32..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let count = scripts.len() as u64;
            let rows: HashMap<_, _> = (1..).zip(scripts).collect();
            let script = Arc::new(Script { rows: Mutex::new(rows), latency: Duration::from_millis(50), ..Script::default() });
            let patience = Limits { max_attempts, give_up_after: Duration::from_secs(60), ..PATIENCE };
            let pipeline = pipeline(&script, Rate::PerSecond(20.0), concurrency, patience);
            if let Some(millis) = stop_after {
                let stop = pipeline.stop.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    stop.request();
                });
            }
            let output = run(&pipeline, (1..=count).map(|number| row(Operation::Grant, number)).collect()).await;
            let mut settled: Vec<u64> = output.lines.iter().map(|(row, ..)| *row).collect();
            settled.sort_unstable();
            settled.dedup();
            prop_assert_eq!(settled.len(), output.lines.len(), "a row settled twice");
            if stop_after.is_none() {
                prop_assert_eq!(settled.len() as u64, count);
            }
            prop_assert_eq!(output.ended.tally.rows(), output.lines.len() as u64);
            let failed = output.lines.iter().filter(|(_, outcome, _)| outcome.counts() == Counts::Failure).count() as u64;
            prop_assert_eq!(output.ended.tally.failures(), failed);
            for (row, _, line) in &output.lines {
                let attempts: usize = std::str::from_utf8(&line[12]).expect("UTF-8").parse().expect("a number");
                prop_assert_eq!(script.requests_of(*row), attempts);
            }
            Ok(())
        })?;
    }
}
