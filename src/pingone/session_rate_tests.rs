//! Tests of what the session reports: to its pacer about the rate, and to the operator about holds.
//!
//! PingOne's limit for users is separate from its other limits, so the rate for rows is learnt only from requests that count
//! towards it.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_rate_is_learnt_only_from_requests_for_users() {
    let pages = || (0..5).map(|_| answer(200, r#"{"_embedded":{"users":[]}}"#));
    let named = || (0..5).map(|_| answer(200, "{}"));
    let none = Vec::new;
    for (before, environment, users, seen) in [
        ("users", none(), pages().chain([waiting(429, 5)]).collect::<Vec<_>>(), (6, 1)),
        // No request is known to have been admitted.
        ("environment", named().collect(), vec![waiting(429, 5)], (1, 1)),
        ("users", none(), (0..3).map(|_| lost()).chain([waiting(429, 5)]).collect(), (6, 1)),
        // The refusal came from another limit.
        ("users", vec![waiting(429, 5)], pages().collect(), (6, 0)),
    ] {
        let script = Script { environment: replies(environment), users: replies(users), ..Script::default() };
        let (session, stop) = (script.session(TokenSource::for_tests()), Stop::default());
        for _ in 0..5 {
            tokio::time::advance(Duration::from_millis(20)).await;
            match before {
                "users" => drop(session.next_users(&mut session.user_list(None), &stop).await.expect("a page")),
                _ => drop(session.environment(&stop).await.expect("it is there")),
            }
        }
        session.environment(&stop).await.expect("it is there");
        session.next_users(&mut session.user_list(None), &stop).await.expect("a page");
        assert_eq!(session.pacer.seen(), seen, "{before}: {}", script.asked());
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_longer_than_retry_after_is_explained() {
    let page = || answer(200, r#"{"_embedded":{"users":[]}}"#);
    let script = Script { users: replies((0..4).map(|_| waiting(429, 1)).chain([page()]).collect::<Vec<_>>()), ..Script::default() };
    let session = script.session(TokenSource::for_tests());
    let logged = Logged::from(tracing::Level::WARN);
    session.next_users(&mut session.user_list(None), &Stop::default()).await.expect("a page");
    let told = |seconds: u64, why: &str| logged.text().contains(&format!("all requests wait {seconds} s, {why}"));
    assert!(told(1, "as it asks"), "{}", logged.text());
    assert!(told(2, "since nothing was let in after the last wait") && told(4, "since nothing"), "{}", logged.text());
}

#[tokio::test(start_paused = true)]
async fn any_answer_but_a_429_counts_as_admitted() {
    let five = |reply: fn() -> Reply| (0..5).map(move |_| reply()).chain([waiting(429, 5)]);
    for (rows, seen) in [
        (replies(five(|| answer(200, r#"{"canBypassMFA":false}"#))), (5, 1)),
        (replies(five(|| error(404))), (5, 1)),
        (replies(five(|| error(500))), (5, 1)),
        (replies(five(lost)), (0, 1)),
    ] {
        let script = Script { rows, ..Script::default() };
        let (session, stop) = (script.session(TokenSource::for_tests()), Stop::default());
        for row in 1..=6 {
            tokio::time::advance(Duration::from_millis(20)).await;
            let token = session.permit(&stop).await.expect("no error").expect("no stop");
            let request = RowRequest { call: call(), row: RowNumber(row), again: false, deadline: None };
            session.send(request, &token, &stop).await.expect("no error");
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(session.pacer.seen(), seen);
    }
}
