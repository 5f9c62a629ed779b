//! Lookups against a PingOne whose answer to each filter a test defines.

use reqwest::Url;
use serde_json::json;

use super::*;
use crate::domain::Resolution;
use crate::pingone::user_list::{UserList, answer};

/// The results for each batch of values in turn, and the filters requested. The list answers a filter with the emails
/// of its users, whose IDs are their places in it; or with a status.
async fn looked_up(
    batches: &[&[&str]],
    answers: impl Fn(&str) -> Result<Vec<&'static str>, u16> + Sync + Send + 'static,
) -> (Vec<String>, Vec<String>) {
    let list = UserList::new(move |page| {
        let user = |(number, email): (u128, &str)| json!({"id": uuid::Uuid::from_u128(number).to_string(), "email": email});
        match answers(&filter(page)) {
            Ok(emails) => answer(200, &json!({"_embedded": {"users": (1..).zip(emails).map(user).collect::<Vec<_>>()}}).to_string()),
            Err(status) => answer(status, r#"{"id":"f1","code":"INVALID_DATA","message":"Entry so."}"#),
        }
    });
    let session = list.session();
    let stop = Stop::default();
    let looking_up = LookUp::new(&session, Attribute::Email, &stop, 1);
    let mut shown = Vec::new();
    for values in batches {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let resolutions = looking_up.values(&values).await.unwrap_or_else(|error| panic!("{error:?}"));
        shown.extend(resolutions.into_iter().map(|resolution| match resolution {
            Resolution::User(user) => user.uuid().as_u128().to_string(),
            Resolution::Unresolved(outcome, detail) => format!("{outcome} {}", detail.message),
        }));
    }
    (shown, list.asked().iter().map(filter).collect())
}

fn filter(page: &Url) -> String {
    page.query_pairs().find(|(name, _)| name == "filter").expect("a filter").1.into_owned()
}

#[tokio::test]
async fn a_server_that_refuses_or_gets_it_once() {
    let (results, asked) = looked_up(&[&["a", "b"], &["c", "d"]], |filter| match filter {
        r#"email eq "b""# | r#"email eq "d""# => Ok(vec!["b", "d"]),
        filter if filter.contains(" or ") => Err(414),
        _ => Ok(vec![]),
    })
    .await;
    assert_eq!(results, ["not_found no user has this email", "1", "not_found no user has this email", "2"]);
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert_eq!(asked.iter().filter(|filter| filter.contains(" or ")).count(), 1);
}

#[tokio::test]
async fn a_value_refused_by_itself_does_not_end_combined_requests() {
    let (results, asked) =
        looked_up(&[&["a", "bad"], &["c", "d"]], |filter| if filter.contains("bad") { Err(400) } else { Ok(vec!["a", "c", "d"]) }).await;
    assert_eq!(results, ["1", "rejected Entry so.", "2", "3"]);
    assert_eq!(asked.last().map(String::as_str), Some(r#"email eq "c" or email eq "d""#), "{asked:?}");
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn the_result_for_one_spelling_is_not_used_for_another() {
    // A case-sensitive server.
    let (results, asked) = looked_up(&[&["A", "a", "B"]], |filter| {
        let has = |email: &str| filter.contains(&format!("\"{email}\""));
        Ok(["A", "b"].into_iter().filter(|email| has(email)).collect())
    })
    .await;
    assert_eq!(results, ["1", "not_found no user has this email", "not_found no user has this email"]);
    assert_eq!(asked, [r#"email eq "A" or email eq "B""#, r#"email eq "a""#]);
}
