//! A test double of PingOne that has only a user list and a device report, for the tests of listing, lookup and the report.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Url;

use super::answer::{Answer, Reply};
use super::credentials::{Authentication, Credentials, Proof};
use super::endpoints::{Endpoints, Region};
use super::session::{Limits, Session};
use super::token::{AccessToken, TokenSource};
use super::transport::{Call, ReportPart, Resource, Transport};
use crate::domain::RowNumber;
use crate::pace::{Pacer, Rate};

impl TokenSource {
    /// A token endpoint whose secrets are too short to be redacted.
    pub(crate) fn for_tests() -> Self {
        Self::Endpoint(Credentials { client_id: "i".to_owned(), proof: Proof::Basic("s".into()) })
    }
}

/// Answers each page request as the test says, and records the URLs.
pub(crate) struct UserList {
    answers: Box<dyn Fn(&Url) -> Reply + Send + Sync>,
    asked: Mutex<Vec<Url>>,
}

impl fmt::Debug for UserList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserList").finish_non_exhaustive()
    }
}

impl UserList {
    pub(crate) fn new(answers: impl Fn(&Url) -> Reply + Send + Sync + 'static) -> Self {
        Self { answers: Box::new(answers), asked: Mutex::default() }
    }

    /// The requested URLs, in order.
    pub(crate) fn asked(&self) -> Vec<Url> {
        self.asked.lock().expect("whole").clone()
    }

    fn endpoints() -> Endpoints {
        let environment = "abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6".parse().expect("a UUID");
        Endpoints { api: Region::Na.api_url(), auth: Region::Na.auth_url(), environment, auth_environment: environment, urls: None }
    }

    pub(crate) fn session(&self) -> Session<&Self> {
        let endpoints = Self::endpoints();
        let limits = Limits { timeout: Duration::from_secs(30), give_up_after: Duration::from_secs(600), max_attempts: 4 };
        let clock = crate::clock::Clock::of_this_machine().expect("after 1970");
        Session::new(self, endpoints, TokenSource::for_tests(), Arc::new(Pacer::new(Rate::Unlimited)), limits, clock)
    }
}

impl Transport for &UserList {
    async fn send(&self, _: Call, _: RowNumber, _: &AccessToken, _: Duration) -> Reply {
        unreachable!("nothing is sent for a row")
    }

    async fn fetch(&self, resource: Resource<'_>, _: &AccessToken) -> Reply {
        let order = UserList::endpoints().explorations();
        let page = match resource {
            Resource::Users(page) | Resource::Report(ReportPart::Status(page) | ReportPart::Entries(page)) => page,
            Resource::Report(ReportPart::Order) => &order,
            Resource::Environment | Resource::Licence => panic!("only lists are fetched"),
        };
        self.asked.lock().expect("whole").push(page.clone());
        (self.answers)(page)
    }

    async fn fetch_token(&self, _: &Authentication<'_>) -> Reply {
        answer(200, r#"{"access_token":"s3cr3t-token","expires_in":3600}"#)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a reply beside those that are faults")]
pub(crate) fn answer(status: u16, body: &str) -> Reply {
    Ok(Answer { status, retry_after: None, date: None, correlation: "".into(), body: Ok(body.to_owned().into()) })
}
