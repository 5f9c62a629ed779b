//! Tests of a row's line and its timing, over a scripted PingOne under a paused clock.

use std::time::Duration;

use super::script::{Event, Output, PATIENCE, Script, pipeline, row, run, user};
use super::*;
use crate::domain::{Detail, Grace, Operation, Outcome, Work};
use crate::logged::Logged;
use crate::pace::Rate;
use crate::stop::Signal;

async fn settle_one(operation: Operation, events: &[Event], limits: Limits) -> (Outcome, usize, Output) {
    let script = Arc::new(Script::of(&[(1, events)]).with_bypasses(1..=1, 3600));
    let output = run(&pipeline(&script, Rate::Unlimited, 4, limits), vec![row(operation, 1)]).await;
    (output.outcome(1), script.requests_of(1), output)
}

fn in_a_minute() -> Operation {
    Operation::End(Grace::try_from(Duration::from_secs(60)).expect("a grace"))
}

#[tokio::test(start_paused = true)]
async fn rows_without_a_request_say_why_and_wait_for_no_permit() {
    let grant = row(Operation::Grant, 1);
    let Work::Send(action) = grant.work else { unreachable!("it is to be sent") };
    let until = action.until();
    let detail = Detail { status: None, code: "AMBIGUOUS".into(), message: "two users have this email".into(), ..Detail::default() };
    let tasks = [
        Work::Duplicate(action),
        Work::Expired(action, Outcome::Unknown),
        Work::Unresolved { outcome: Outcome::Ambiguous, detail: Box::new(detail), until },
        Work::Invalid { user: "x".to_owned(), why: "in.csv:5: `x` is not a UUID".to_owned() },
    ];
    let date = until.expect("a date").to_string();
    let (user, date) = (user(1).to_string(), date.as_str());
    let script = Arc::new(Script::of(&[]));
    let tasks: Vec<Work> = tasks.into_iter().chain((5..=100).map(|_| Work::Duplicate(action))).collect();
    let rows = tasks.into_iter().zip(1..).map(|(work, number)| Row { work, ..row(Operation::Grant, number) }).collect();
    let output = run(&pipeline(&script, Rate::PerSecond(1.0), 4, PATIENCE), rows).await;
    for (row, expected) in [
        (1, ["duplicate", &user, date, "", "the same request stands in an earlier row"]),
        (2, ["unknown", &user, date, "", "the end date has passed since the run was begun"]),
        (3, ["ambiguous", "", date, "AMBIGUOUS", "two users have this email"]),
        (4, ["invalid", "x", "", "", "in.csv:5: `x` is not a UUID"]),
        (100, ["duplicate", &user, date, "", "the same request stands in an earlier row"]),
    ] {
        let found = ["result", "userID", "requestedUntil", "errorCode", "errorMessage"].map(|column| output.value(row, column));
        assert_eq!(found, expected, "row {row}");
        assert_eq!(["attempts", "durationMs", "httpStatus"].map(|column| output.value(row, column)), ["0", "0", ""], "row {row}");
    }
    assert_eq!((output.ended.tally.rows(), output.took, script.sent.lock().expect("whole").len()), (100, Duration::ZERO, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_differs_from_the_request_is_reported() {
    use Event as E;
    let date = "2025-11-26T00:00:00.000Z";
    let other = format!("PingOne took the request, but answered with the end date {date}");
    for (operation, events, message, can_bypass, until) in [
        (Operation::Grant, vec![E::OtherDate], other.as_str(), "true", date),
        (Operation::Grant, vec![E::NoDate], "PingOne took the request, but answered without an end date", "true", ""),
        (Operation::Grant, vec![E::NoBypass], "PingOne took the request, but answered that the user cannot bypass MFA", "false", ""),
        (in_a_minute(), vec![E::Good, E::OtherDate], &other, "true", date),
        (in_a_minute(), vec![E::Good, E::NoDate], "PingOne took the request, but answered without an end date", "true", ""),
        (
            in_a_minute(),
            vec![E::NoDate],
            "PingOne answered that the user can bypass MFA, but not until when: the bypass is left as it is",
            "true",
            "",
        ),
    ] {
        let (outcome, _, output) = settle_one(operation, &events, PATIENCE).await;
        let found = ["errorMessage", "canBypassMFA", "bypassMFAEnabledUntil", "httpStatus"].map(|column| output.value(1, column));
        assert_eq!((outcome, found), (Outcome::Mismatch, [message, can_bypass, until, "200"].map(str::to_owned)), "{events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_bypass_seen_by_a_last_look_is_in_the_line() {
    use Event as E;
    for (event, told) in [
        (E::OtherDate, "the user can bypass MFA until 2025-11-26T00:00:00.000Z"),
        (E::NoDate, "the user can bypass MFA, and there is no end date"),
        (E::NoBypass, "the user cannot bypass MFA"),
    ] {
        let (outcome, sent, output) = settle_one(Operation::Grant, &[E::Silence, E::Status(400), event], PATIENCE).await;
        assert_eq!((outcome, sent), (Outcome::Unknown, 3), "{event:?}");
        let expected = format!("an earlier request may have been carried out; the last answer: Said so.; asked for afterwards, {told}");
        assert_eq!(output.value(1, "errorMessage"), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_takes_as_long_as_its_calls_and_the_waits_between_them() {
    for (events, least, most) in [
        (vec![], 50, 50),
        (vec![Event::RetryAfter(503, 30)], 30_100, 30_110),
        (vec![Event::RetryAfter(503, 30), Event::RetryAfter(503, 40)], 70_150, 70_160),
    ] {
        let (outcome, sent, output) = settle_one(Operation::Grant, &events, PATIENCE).await;
        assert_eq!((outcome, sent), (Outcome::Granted, events.len() + 1));
        let took: u64 = output.value(1, "durationMs").parse().expect("a number");
        assert!((least..=most).contains(&took), "{took} ms: {events:?}");
        assert!(output.took >= Duration::from_millis(took + 50), "the token takes 50 ms more");
    }
}

/// The last look waits for the backoff if there is time, and is otherwise sent at once.
#[tokio::test(start_paused = true)]
async fn a_last_look_comes_within_the_rows_time() {
    for (wait, waits) in [(30, true), (120, false)] {
        let limits = Limits { max_attempts: 1, give_up_after: Duration::from_secs(60), ..PATIENCE };
        let (outcome, sent, output) = settle_one(Operation::Grant, &[Event::RetryAfter(503, wait)], limits).await;
        assert_eq!((outcome, sent), (Outcome::Unknown, 2), "{wait} s");
        assert_eq!(output.took >= Duration::from_secs(30), waits, "{wait} s: {:?}", output.took);
        assert!(output.took < Duration::from_secs(60) && output.value(1, "errorMessage").contains("; asked for afterwards, the user can"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_back_from_its_backoff_needs_a_slot_again() {
    for operation in [Operation::Grant, Operation::Audit, in_a_minute()] {
        let script = Arc::new(Script::alike(1..=200, &[Event::RetryAfter(503, 1), Event::RetryAfter(503, 2)]).with_bypasses(1..=200, 3600));
        let output = run(&pipeline(&script, Rate::Unlimited, 4, PATIENCE), (1..=200).map(|number| row(operation, number)).collect()).await;
        assert_eq!((output.ended.tally.rows(), output.ended.tally.failures()), (200, 0));
        assert_eq!(script.in_flight.lock().expect("whole").1, 4, "{operation:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_user_who_is_not_found_triggers_the_environment_check() {
    for status in [400, 403, 409] {
        let script = Arc::new(Script { environment: Some(Event::Status(404)), ..Script::alike(1..=5, &[Event::Status(status)]) });
        let rows = (1..=20).map(|number| row(Operation::Audit, number)).collect();
        let output = run(&pipeline(&script, Rate::Unlimited, 4, PATIENCE), rows).await;
        assert!(output.ended.stopped.is_none(), "{:?}", output.ended);
        assert_eq!((output.ended.tally.of(Outcome::Rejected), output.ended.tally.of(Outcome::Inactive)), (5, 15));
    }
}

#[tokio::test(start_paused = true)]
async fn the_canary_runs_alone_and_no_row_follows_a_failure() {
    let script = Arc::new(Script { latency: Duration::from_secs(5), ..Script::of(&[]) });
    let canary = |script: &Arc<Script>| {
        let mut pipeline = pipeline(script, Rate::Unlimited, 64, PATIENCE);
        pipeline.rules.canary = Some(3);
        pipeline
    };
    let rows = || (1..=50).map(|number| row(Operation::Grant, number)).collect();
    let output = run(&canary(&script), rows()).await;
    assert_eq!(output.ended.tally.of(Outcome::Granted), 50);
    let sent = script.sent.lock().expect("whole").clone();
    let (first, others): (Vec<_>, Vec<_>) = sent.iter().partition(|(row, ..)| *row <= 3);
    let settled = first.iter().map(|(_, at, _)| *at).max().expect("sent") + script.latency;
    assert!(first.len() == 3 && others.iter().all(|(_, at, _)| *at >= settled), "{sent:?}");

    let script = Arc::new(Script::of(&[(2, &[Event::Status(404)])]));
    let output = run(&canary(&script), rows()).await;
    let Some(StopReason::Canary(why)) = &output.ended.stopped else { panic!("the canary fails: {:?}", output.ended) };
    assert_eq!(why.told(), format!("row 2: `{}`: HTTP 404 SOME_CODE \"Said so.\"", user(2)));
    assert!(!output.ended.canary_succeeded);
    assert_eq!((output.ended.tally.rows(), script.sent.lock().expect("whole").len()), (3, 3));
}

/// Rows of which the plan knows that nothing is sent for them are none of the canary, whatever their outcome.
#[tokio::test(start_paused = true)]
async fn the_canary_counts_rows_for_which_something_is_sent() {
    let rows = |script: &Arc<Script>| {
        let mut pipeline = pipeline(script, Rate::Unlimited, 64, PATIENCE);
        pipeline.rules.canary = Some(3);
        let missing = |number: u64| {
            let work = Work::Unresolved { outcome: Outcome::NotFound, detail: Box::default(), until: None };
            Row { work, ..row(Operation::Grant, number) }
        };
        let rows = (1..=40).map(|number| if number <= 10 || number == 12 { missing(number) } else { row(Operation::Grant, number) });
        (pipeline, rows.collect::<Vec<_>>())
    };
    let script = Arc::new(Script { latency: Duration::from_secs(5), ..Script::of(&[]) });
    let (first, all) = rows(&script);
    let output = run(&first, all).await;
    assert_eq!((output.ended.tally.of(Outcome::NotFound), output.ended.tally.of(Outcome::Granted)), (11, 29));
    assert!(output.ended.stopped.is_none() && output.ended.canary_succeeded);
    let sent = script.sent.lock().expect("whole").clone();
    let (canary, others): (Vec<_>, Vec<_>) = sent.iter().partition(|(row, ..)| [11, 13, 14].contains(row));
    let settled = canary.iter().map(|(_, at, _)| *at).max().expect("sent") + script.latency;
    assert!(canary.len() == 3 && others.iter().all(|(_, at, _)| *at >= settled), "{sent:?}");

    let script = Arc::new(Script::of(&[(14, &[Event::Status(404)])]));
    let (second, all) = rows(&script);
    let output = run(&second, all).await;
    assert!(matches!(&output.ended.stopped, Some(StopReason::Canary(_))), "{:?}", output.ended);
    assert_eq!(script.sent.lock().expect("whole").len(), 3);
}

/// A row in doubt keeps its old line in the journal if no request was sent for it.
#[tokio::test(start_paused = true)]
async fn a_row_in_doubt_that_was_not_reached_keeps_its_line() {
    let script = Arc::new(Script::of(&[]));
    let pipeline = pipeline(&script, Rate::PerSecond(0.1), 4, PATIENCE);
    let stop = pipeline.stop.clone();
    tokio::spawn(async move {
        // The first permit goes to the token, the second to the first row.
        tokio::time::sleep(Duration::from_secs(15)).await;
        stop.request();
    });
    let rows = (1..=3).map(|number| Row { in_doubt: true, ..row(Operation::Grant, number) }).collect();
    let output = run(&pipeline, rows).await;
    let settled: Vec<u64> = output.lines.iter().map(|(row, ..)| *row).collect();
    assert_eq!((settled, output.outcome(1)), (vec![1], Outcome::Granted));
}

#[tokio::test(start_paused = true)]
async fn each_token_that_expires_is_renewed_once_it_was_good() {
    let script = Arc::new(Script::of(&[(1, &[Event::Status(401)]), (30, &[Event::Status(401)]), (60, &[Event::Status(401)])]));
    let rows = (1..=90).map(|number| row(Operation::Audit, number)).collect();
    let output = run(&pipeline(&script, Rate::PerSecond(10.0), 1, PATIENCE), rows).await;
    assert!(output.ended.stopped.is_none(), "{:?}", output.ended);
    assert_eq!((output.ended.tally.of(Outcome::Inactive), *script.tokens_sent.lock().expect("whole")), (90, 4));
    assert_eq!((output.value(30, "attempts"), output.value(31, "attempts")), ("2".to_owned(), "1".to_owned()));
}

/// Only the debug log contains user IDs.
#[tokio::test(start_paused = true)]
async fn each_row_is_logged_at_debug_level() {
    for (level, lines) in [(tracing::Level::DEBUG, 1), (tracing::Level::INFO, 0)] {
        let log = Logged::from(level);
        settle_one(Operation::Grant, &[Event::Status(403)], PATIENCE).await;
        let text = log.text();
        let settled: Vec<_> = text.lines().filter(|line| line.contains("settled")).collect();
        assert_eq!(settled.len(), lines, "{text}");
        for part in [format!("user=\"{}\"", user(1)).as_str(), "row=1", "result=\"rejected\"", "attempt=1", "status=403", "durationMs=50"] {
            assert!(settled.iter().all(|line| line.contains(part)), "{part}: {text}");
        }
        assert_eq!(text.lines().filter(|line| line.contains("answered") && line.contains("durationMs=50")).count(), lines, "{text}");
    }
}

/// While it is not known whether the environment is there, no more rows are out than may be in flight.
#[tokio::test(start_paused = true)]
async fn no_new_row_is_sent_while_all_slots_wait_for_the_check_of_the_environment() {
    let script = Script { environment: Some(Event::Status(404)), ..Script::alike(1..=500, &[Event::Status(404)]) };
    let script = Arc::new(Script { latency: Duration::from_secs(4), ..script });
    let rows = (1..=500).map(|number| row(Operation::Audit, number)).collect();
    let output = run(&pipeline(&script, Rate::PerSecond(100.0), 8, PATIENCE), rows).await;
    assert!(matches!(output.ended.stopped, Some(StopReason::Refused(PingOneError::NoEnvironment { .. }))), "{:?}", output.ended);
    assert_eq!(script.sent.lock().expect("whole").len(), 8);
}

/// What is settled because of a signal spends no budget: the signal is the reason.
#[tokio::test(start_paused = true)]
async fn a_signal_stays_the_reason_whatever_it_leaves_unknown() {
    let script = Arc::new(Script { latency: Duration::from_secs(20), ..Script::of(&[]) });
    let mut pipeline = pipeline(&script, Rate::Unlimited, 8, PATIENCE);
    pipeline.rules.max_failures = MaxFailures::Rows(1);
    let stop = pipeline.stop.clone();
    tokio::spawn(async move {
        for seconds in [25, 1] {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            stop.signal(Signal::Interrupt);
        }
    });
    let output = run(&pipeline, (1..=100).map(|number| row(Operation::Grant, number)).collect()).await;
    assert!(matches!(output.ended.stopped, Some(StopReason::Signal(Signal::Interrupt))), "{:?}", output.ended);
    assert_eq!(output.ended.tally.of(Outcome::Unknown), 8);
}
