//! When it is said that nobody answers: events and their times in, no clock and no socket.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Exchanges, and the time since they began.
struct Trace {
    exchanges: Exchanges,
    began: Instant,
}

impl Trace {
    fn new() -> Self {
        Self { exchanges: Exchanges::default(), began: Instant::now() }
    }

    fn at(&self, millis: u64) -> Instant {
        self.began + Duration::from_millis(millis)
    }

    /// A wait for this begins, and its request is sent.
    fn send(&mut self, wanted: Wanted, millis: u64) {
        self.exchanges.waits += 1;
        self.retry(wanted, millis);
    }

    /// Another request of a wait is sent.
    fn retry(&mut self, wanted: Wanted, millis: u64) {
        let tries = (wanted != Wanted::Rows).then_some((1, 8));
        let gives_up = Some(self.at(millis) + 60 * SECOND);
        self.exchanges.sent(Try { wanted, tries, next: None, gives_up }, self.at(millis));
    }

    fn fault(&mut self) {
        self.exchanges.faulted(&Detail::own(None, "refused".to_owned()));
    }

    /// The answer to a request that was sent `took` before.
    fn answer(&mut self, wanted: Wanted, took: u64, millis: u64) {
        let now = self.at(millis);
        self.exchanges.usable(wanted, Duration::from_millis(took), now);
        self.exchanges.close(wanted, now);
    }

    /// For how many milliseconds there has been no answer, if that is shown.
    fn silent(&mut self, millis: u64) -> Option<u128> {
        let now = self.at(millis);
        self.exchanges.silence(now, false).map(|(_, lasted)| lasted.as_millis())
    }

    fn begins(&mut self, millis: u64) -> bool {
        let now = self.at(millis);
        self.exchanges.begins(now, false)
    }

    /// How many milliseconds the outage lasted whose end is to be told.
    fn over(&mut self) -> Option<u128> {
        self.exchanges.over.take().map(|(_, lasted)| lasted.as_millis())
    }
}

#[test]
fn a_server_that_hangs_is_an_outage_after_two_seconds_and_until_its_answer() {
    let mut trace = Trace::new();
    trace.send(Wanted::Token, 0);
    assert_eq!((trace.silent(1_999), trace.begins(1_999)), (None, false));
    assert_eq!((trace.silent(2_000), trace.begins(2_000)), (Some(2_000), true));
    assert!(!trace.begins(2_100) && !trace.begins(60_000), "it is told once");
    trace.answer(Wanted::Token, 7_000, 7_000);
    assert_eq!((trace.over(), trace.over()), (Some(7_000), None));
    assert_eq!(trace.silent(20_000), None, "nothing is waited for");
}

#[test]
fn faults_are_an_outage_and_answers_of_any_other_kind_end_it() {
    let mut trace = Trace::new();
    trace.send(Wanted::Rows, 0);
    trace.fault();
    assert!(!trace.begins(3_000), "one fault is none");
    trace.retry(Wanted::Rows, 3_000);
    trace.fault();
    assert!(trace.begins(3_100));
    trace.retry(Wanted::Rows, 9_000);
    trace.fault();
    assert_eq!((trace.begins(9_100), trace.silent(9_100)), (false, Some(9_100)));
    trace.retry(Wanted::Rows, 10_000);
    trace.answer(Wanted::Rows, 50, 10_050);
    assert_eq!((trace.over(), trace.silent(30_000)), (Some(10_050), None));
    trace.send(Wanted::Rows, 30_000);
    trace.fault();
    trace.retry(Wanted::Rows, 30_100);
    trace.fault();
    assert!(!trace.begins(31_999) && trace.begins(32_000), "another outage is told again");
}

#[test]
fn faults_between_answers_are_no_outage() {
    let mut trace = Trace::new();
    for second in 0..60 {
        trace.send(Wanted::Rows, second * 1000);
        trace.send(Wanted::Rows, second * 1000);
        trace.fault();
        trace.exchanges.close(Wanted::Rows, trace.at(second * 1000));
        trace.answer(Wanted::Rows, 100, second * 1000 + 100);
        assert!(!trace.begins(second * 1000 + 999), "{second}");
    }
    assert_eq!(trace.over(), None);
}

#[test]
fn time_in_which_nothing_is_waited_for_does_not_count() {
    let mut trace = Trace::new();
    trace.send(Wanted::Environment, 0);
    trace.fault();
    trace.exchanges.close(Wanted::Environment, trace.at(1_000));
    assert_eq!((trace.silent(90_000), trace.begins(90_000)), (None, false), "a question is asked");
    trace.send(Wanted::Rows, 90_000);
    assert_eq!((trace.silent(90_500), trace.silent(91_000)), (None, Some(2_000)));
}

#[test]
fn a_hold_is_no_outage_and_its_time_does_not_count() {
    let mut trace = Trace::new();
    trace.send(Wanted::Rows, 0);
    trace.send(Wanted::Rows, 0);
    // A 429 is an answer.
    trace.answer(Wanted::Rows, 1_000, 1_000);
    for millis in [2_000, 5_000, 30_000] {
        let now = trace.at(millis);
        assert!(!trace.exchanges.begins(now, true) && trace.exchanges.silence(now, true).is_none());
    }
    assert_eq!((trace.silent(31_999), trace.silent(32_000)), (None, Some(2_000)));
}

#[test]
fn a_server_that_is_known_to_be_slow_is_given_time() {
    let mut trace = Trace::new();
    let mut told = 0;
    for row in 0..20 {
        trace.send(Wanted::Rows, row * 3_000);
        told += u64::from(trace.begins(row * 3_000 + 2_500));
        assert_eq!(trace.silent(row * 3_000 + 2_500), Some(2_500), "the bar shows it all the same");
        trace.answer(Wanted::Rows, 3_000, (row + 1) * 3_000);
        trace.over();
    }
    assert_eq!(told, 1);
    trace.send(Wanted::Rows, 60_000);
    assert!(!trace.begins(65_999) && trace.begins(66_000), "twice the time that it takes");
    trace.answer(Wanted::Rows, 6_000, 66_000);
    // Quick answers are a reason to expect quick ones.
    for row in 0..60 {
        trace.send(Wanted::Rows, 70_000 + row);
        trace.answer(Wanted::Rows, 1, 70_001 + row);
    }
    trace.send(Wanted::Rows, 80_000);
    assert!(trace.begins(82_000));
}

#[test]
fn a_request_that_is_given_up_is_not_waited_for() {
    let mut trace = Trace::new();
    trace.send(Wanted::Rows, 0);
    trace.exchanges.abandoned();
    trace.exchanges.close(Wanted::Rows, trace.at(1_000));
    trace.exchanges.rows = 3;
    assert_eq!((trace.silent(9_000), trace.begins(9_000)), (None, false));
    trace.send(Wanted::Rows, 9_000);
    assert_eq!((trace.silent(10_999), trace.silent(11_000)), (None, Some(2_000)));
}

#[test]
fn one_row_that_is_answered_503_is_no_outage_where_others_were_answered() {
    for (others, status, is_outage) in [(true, Some(503), false), (true, None, true), (false, Some(503), true)] {
        let mut trace = Trace::new();
        if others {
            trace.send(Wanted::Rows, 0);
            trace.answer(Wanted::Rows, 10, 10);
        }
        trace.exchanges.rows = 1;
        for millis in [1_000, 2_000, 3_500] {
            trace.send(Wanted::Rows, millis);
            trace.exchanges.faulted(&Detail::own(status, "busy".to_owned()));
            trace.exchanges.close(Wanted::Rows, trace.at(millis));
        }
        assert_eq!((trace.silent(4_000), trace.begins(4_000)), (Some(3_000), is_outage), "{others} {status:?}");
    }
}

#[test]
fn a_licence_that_is_not_told_is_no_outage() {
    let mut trace = Trace::new();
    trace.send(Wanted::Licence, 0);
    assert_eq!((trace.silent(4_000), trace.begins(4_000)), (Some(4_000), false));
}

#[test]
fn of_the_rows_the_one_counts_that_is_given_up_last() {
    let mut trace = Trace::new();
    trace.send(Wanted::Rows, 0);
    let latest = trace.at(0) + 60 * SECOND;
    let shorter = Try { wanted: Wanted::Rows, tries: None, next: None, gives_up: Some(trace.at(5_000)) };
    let now = trace.at(1_000);
    trace.exchanges.sent(shorter, now);
    assert_eq!(trace.exchanges.last.and_then(|last| last.gives_up), Some(latest));
    trace.send(Wanted::Token, 2_000);
    let token = trace.at(2_000) + 60 * SECOND;
    assert_eq!(trace.exchanges.last.and_then(|last| last.gives_up), Some(token));
}
