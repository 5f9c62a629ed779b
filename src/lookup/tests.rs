//! Looking up over a PingOne that takes or refuses filters as a test says.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Url;
use serde_json::json;

use super::*;
use crate::domain::{EnvironmentId, RowNumber};
use crate::pace::{Pacer, Rate};
use crate::pingone::{AccessToken, Answer, Call, Endpoints, Limits, Region, Reply, Secrets, TokenSource};

/// What is answered to a filter: the emails of the users, who have their place in it for an ID; or a status.
type Answers = dyn Fn(&str) -> Result<Vec<&'static str>, u16> + Sync + Send;

/// A PingOne of nothing but a user list, and the filters that it was asked for.
struct List {
    answers: Box<Answers>,
    asked: Mutex<Vec<String>>,
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").finish_non_exhaustive()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a reply beside those that are faults")]
fn answer(status: u16, body: &serde_json::Value) -> Reply {
    Ok(Answer { status, retry_after: None, date: None, body: Ok(body.to_string().into()) })
}

impl Wire for &List {
    async fn send(&self, _: Call, _: RowNumber, _: &AccessToken, _: Duration) -> Reply {
        unreachable!("nothing is sent for a row")
    }

    async fn fetch_environment(&self, _: &AccessToken) -> Reply {
        unreachable!("nobody asks for the environment")
    }

    async fn fetch_users(&self, page: &Url, _: &AccessToken) -> Reply {
        let filter = page.query_pairs().find(|(name, _)| name == "filter").expect("a filter").1.into_owned();
        let told = (self.answers)(&filter);
        self.asked.lock().expect("whole").push(filter);
        let user = |(number, email): (u128, &str)| json!({"id": uuid::Uuid::from_u128(number).to_string(), "email": email});
        match told {
            Ok(emails) => answer(200, &json!({"_embedded": {"users": (1..).zip(emails).map(user).collect::<Vec<_>>()}})),
            Err(status) => answer(status, &json!({"id": "f1", "code": "INVALID_DATA", "message": "Said so."})),
        }
    }

    async fn fetch_token(&self) -> Reply {
        answer(200, &json!({"access_token": "s3cr3t-token", "expires_in": 3600}))
    }
}

/// What is known of each batch of values in turn, where the list answers so; and the filters asked for.
async fn looked_up(
    batches: &[&[&str]],
    answers: impl Fn(&str) -> Result<Vec<&'static str>, u16> + Sync + Send + 'static,
) -> (Vec<String>, Vec<String>) {
    let list = List { answers: Box::new(answers), asked: Mutex::default() };
    let environment: EnvironmentId = "abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6".parse().expect("a UUID");
    let endpoints = Endpoints { api: Region::Na.api_url(), auth: Region::Na.auth_url(), environment, auth_environment: environment };
    let limits = Limits { timeout: Duration::from_secs(30), give_up_after: Duration::from_secs(600), max_attempts: 4 };
    let pacer = Arc::new(Pacer::new(Rate::Unlimited));
    let session = Session::new(&list, endpoints, TokenSource::Endpoint, Secrets::default(), pacer, limits);
    let stop = Stop::default();
    let looking_up = LookUp::new(&session, Attribute::Email, &stop, 1);
    let mut shown = Vec::new();
    for values in batches {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let known = looking_up.values(&values).await.unwrap_or_else(|error| panic!("{error:?}"));
        shown.extend(known.into_iter().map(|known| match known {
            Known::User(user) => user.uuid().as_u128().to_string(),
            Known::Nobody(outcome, said) => format!("{outcome} {}", said.message),
        }));
    }
    drop(session);
    (shown, list.asked.into_inner().expect("whole"))
}

#[tokio::test]
async fn a_server_that_takes_no_or_is_asked_for_it_once() {
    let (known, asked) = looked_up(&[&["a", "b"], &["c", "d"]], |filter| match filter {
        r#"email eq "b""# | r#"email eq "d""# => Ok(vec!["b", "d"]),
        filter if filter.contains(" or ") => Err(414),
        _ => Ok(vec![]),
    })
    .await;
    assert_eq!(known, ["not_found no user has this email", "1", "not_found no user has this email", "2"]);
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert_eq!(asked.iter().filter(|filter| filter.contains(" or ")).count(), 1);
}

#[tokio::test]
async fn a_value_that_is_refused_by_itself_does_not_keep_others_from_being_asked_together() {
    let (known, asked) =
        looked_up(&[&["a", "bad"], &["c", "d"]], |filter| if filter.contains("bad") { Err(400) } else { Ok(vec!["a", "c", "d"]) }).await;
    assert_eq!(known, ["1", "rejected Said so.", "2", "3"]);
    assert_eq!(asked.last().map(String::as_str), Some(r#"email eq "c" or email eq "d""#), "{asked:?}");
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn what_is_told_of_one_spelling_is_no_answer_to_another() {
    // A server to which the case matters.
    let (known, asked) = looked_up(&[&["A", "a", "B"]], |filter| {
        let has = |email: &str| filter.contains(&format!("\"{email}\""));
        Ok(["A", "b"].into_iter().filter(|email| has(email)).collect())
    })
    .await;
    assert_eq!(known, ["1", "not_found no user has this email", "not_found no user has this email"]);
    assert_eq!(asked, [r#"email eq "A" or email eq "B""#, r#"email eq "a""#]);
}
