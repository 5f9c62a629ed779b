//! Has PingOne's device report made, waits until it is, and reads its pages.
//!
//! The report is asked for as `ENTRIES`, not as `ASYNC_FILE`: the form of the file is not documented, it lies at another host, and it
//! comes in one piece. Pages are bounded in memory, and their links are checked as those of the user list are.

use std::time::Duration;

use reqwest::Url;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::Answer;
use super::endpoints::Endpoints;
use super::entries::{EntriesPage, NotUnderstood, read_entries};
use super::error::{ListKind, PingOneError};
use super::fetch::Fetched;
use super::pages::ListReader;
use super::session::Session;
use super::token::AccessToken;
use super::transport::{ReportPart, Resource, Transport};
use super::verdict::{object_in, text};
use crate::domain::{Detail, ForeignText};
use crate::stop::Stop;

/// The only template of reports. Source: mfa-reports.
pub(crate) const REPORT_TEMPLATE: &str = "db632bfd-7054-4bde-b108-a384aac2d513";
/// The most entries of a page. Source: `limit` of `GET …/entries`.
const ENTRIES_OF_A_PAGE: u32 = 1000;
/// The longest ID of a report. PingOne's are UUIDs, of 36 characters.
const MAX_ID: usize = 64;
/// The wait before the first question whether the report is made; each later one is twice as long, up to the longest. These are our
/// own: nothing is documented, and an example took 5 s.
const FIRST_POLL: Duration = Duration::from_secs(1);
const LONGEST_POLL: Duration = Duration::from_secs(10);
/// The status of a report that is made. Source: mfa-reports.
const MADE: &str = "SUCCESS";
/// Statuses of a report that will never be made. Only `IN_PROGRESS` and `SUCCESS` are documented, so these are guesses, which save
/// time if they are right; any other status is waited out.
const NEVER_MADE: [&str; 8] = ["FAILED", "FAILURE", "FAIL", "ERROR", "CANCELED", "CANCELLED", "EXPIRED", "TIMEOUT"];

/// The ID of a report that is being made: letters, digits and `-`, so that it is safe in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ExplorationId(String);

impl ExplorationId {
    fn read(id: &str) -> Option<Self> {
        let is_safe = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_safe && (1..=MAX_ID).contains(&id.len())).then(|| Self(id.to_owned()))
    }
}

/// What a request has a report made of.
pub(super) fn order() -> String {
    let fields = ["userId", "username", "bypassUntil"].map(|name| json!({"name": name}));
    // `sync` is documented as a string.
    json!({"dataExplorationTemplate": {"id": REPORT_TEMPLATE}, "fields": fields, "deliverAs": "ENTRIES", "sync": "false"}).to_string()
}

impl Endpoints {
    pub(super) fn explorations(&self) -> Url {
        self.api.with(&["environments", &self.environment.to_string(), "dataExplorations"])
    }

    fn exploration(&self, id: &ExplorationId) -> Url {
        self.api.with(&["environments", &self.environment.to_string(), "dataExplorations", &id.0])
    }

    fn entries(&self, id: &ExplorationId) -> Url {
        let mut url = self.api.with(&["environments", &self.environment.to_string(), "dataExplorations", &id.0, "entries"]);
        url.set_query(Some(&format!("limit={ENTRIES_OF_A_PAGE}")));
        url
    }
}

/// Why something of the device report is not there.
#[derive(Debug)]
pub(crate) enum NotHad {
    /// 403.
    Forbidden(Detail),
    /// Another refusal that a retry cannot fix.
    Refused(Detail),
    /// Faults until the attempts or the time ran out; this is the last one.
    Failed(Detail),
    /// PingOne says that it cannot be made, by this status.
    NeverMade(ForeignText),
    /// It was not made in this time. The last status, if the answers have one.
    NotMadeYet {
        waited: Duration,
        status: Option<ForeignText>,
    },
    NotUnderstood(NotUnderstood),
    PingOne(PingOneError),
    Stopped,
}

/// How far a report is made.
struct Progress {
    id: Option<String>,
    status: Option<ForeignText>,
}

impl<W: Transport> Session<W> {
    /// Has a report made, and waits until it is. Returns its entries, before their first page.
    pub(crate) async fn device_report(&self, stop: &Stop) -> Result<ListReader, NotHad> {
        let deadline = Instant::now() + self.limits.give_up_after;
        let Progress { id, mut status } = self.progress(ReportPart::Order, stop).await?;
        let Some(id) = id.as_deref().and_then(ExplorationId::read) else {
            let found = id.map(|id| ForeignText::from(id).map(|text| self.redact(text, None)));
            return Err(NotHad::NotUnderstood(NotUnderstood::NoId(found)));
        };
        let (url, mut wait, began) = (self.endpoints.exploration(&id), FIRST_POLL, Instant::now());
        while !is_made(status.as_ref())? {
            // The last question is asked at the deadline.
            let next = wait.min(deadline.saturating_duration_since(Instant::now()));
            if next.is_zero() {
                return Err(NotHad::NotMadeYet { waited: began.elapsed(), status });
            }
            let shown = status.as_ref().map(ToString::to_string).unwrap_or_default();
            tracing::info!("the device report is not made yet ({shown}): it is asked for again in {:.1} s", next.as_secs_f64());
            tokio::time::sleep(next).await;
            wait = (wait * 2).min(LONGEST_POLL);
            status = self.progress(ReportPart::Status(&url), stop).await?.status;
        }
        Ok(ListReader::new(ListKind::Report, self.endpoints.entries(&id), &self.endpoints.api))
    }

    async fn progress(&self, part: ReportPart<'_>, stop: &Stop) -> Result<Progress, NotHad> {
        let parse = |answer: &Answer, token: &AccessToken| {
            let body: Value = object_in(answer, "the answer about the device report")?;
            let status = text(&body, "status").map(|status| ForeignText::from(status).map(|text| self.redact(text, Some(token))));
            Ok(Progress { id: text(&body, "id"), status })
        };
        had(self.fetch(Resource::Report(part), stop, parse).await)
    }

    /// Fetches the next page of the `entries`, which must have one, with retries.
    pub(crate) async fn next_entries(&self, entries: &mut ListReader, stop: &Stop) -> Result<EntriesPage, NotHad> {
        let url = entries.next().expect("there is a page that has not been read").clone();
        let parse = |answer: &Answer, token: &AccessToken| {
            let body: Value = object_in(answer, "the page of the device report")?;
            Ok(read_entries(&body, &|text| self.redact(text, Some(token))))
        };
        let read = had(self.fetch(Resource::Report(ReportPart::Entries(&url)), stop, parse).await)?;
        let page = read.map_err(NotHad::NotUnderstood)?;
        // The environment exists, so no row that gets a 404 checks it.
        drop(self.environment.set(()));
        let redact = |text| self.redact(text, None);
        let next = page.next.as_ref().map(|link| entries.follow(link, &url, redact)).transpose().map_err(NotHad::PingOne)?;
        // The answer's `count` may be of this page or of all: which is not documented, so it bounds nothing.
        entries.advance(None, next).map_err(NotHad::PingOne)?;
        Ok(page)
    }
}

/// Whether a report of this `status` is made. An error if it never will be.
fn is_made(status: Option<&ForeignText>) -> Result<bool, NotHad> {
    match status {
        Some(status) if status.as_received().eq_ignore_ascii_case(MADE) => Ok(true),
        Some(status) if NEVER_MADE.iter().any(|never| status.as_received().eq_ignore_ascii_case(never)) => {
            Err(NotHad::NeverMade(status.clone()))
        }
        Some(_) | None => Ok(false),
    }
}

/// What was fetched, or why it was not.
fn had<T>(fetched: Result<Fetched<T>, PingOneError>) -> Result<T, NotHad> {
    match fetched {
        Ok(Fetched::Value(value)) => Ok(value),
        Ok(Fetched::Refused { detail, .. }) if detail.status == Some(403) => Err(NotHad::Forbidden(detail)),
        Ok(Fetched::Refused { detail, .. }) => Err(NotHad::Refused(detail)),
        Ok(Fetched::Failed { detail, .. } | Fetched::Throttled(detail)) => Err(NotHad::Failed(detail)),
        Ok(Fetched::Stopped) => Err(NotHad::Stopped),
        Err(error) => Err(NotHad::PingOne(error)),
    }
}

#[cfg(test)]
#[path = "exploration_tests.rs"]
mod tests;
