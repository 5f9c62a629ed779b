//! Reads PingOne's user list, one page at a time.

use serde::Deserialize;
use serde_json::Value;

use super::answer::Answer;
use super::error::{ListKind, PingOneError};
use super::fetch::Fetched;
use super::pages::ListReader;
use super::session::Session;
use super::transport::{Resource, Transport};
use super::verdict::{object_in, text_in};
use crate::domain::{Detail, ForeignText, UserId};
use crate::stop::Stop;

/// A user in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedUser {
    pub(crate) id: UserId,
    pub(crate) username: Option<ForeignText>,
    pub(crate) email: Option<ForeignText>,
    pub(crate) external_id: Option<ForeignText>,
    /// The ID of the user's population.
    pub(crate) population: Option<ForeignText>,
    /// Whether the user may sign on, if the server says so.
    pub(crate) enabled: Option<bool>,
}

/// A page of the list. Pages may differ in length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserPage {
    pub(crate) users: Vec<ListedUser>,
    /// The number of users on all pages together, if the server states it.
    pub(crate) total: Option<u64>,
}

/// No environment has this many users: a higher count from the server is ignored.
const MAX_USERS: u64 = 1_000_000_000_000;

#[derive(Debug)]
pub(crate) enum PageResult {
    Page(UserPage),
    /// The list may not be read at all: 403.
    Forbidden(Detail),
    /// Another refusal that a retry cannot fix, such as 400, 414 or 431 for a filter.
    Refused(Detail),
    /// Faults until the attempts or the time ran out; this is the last one.
    Failed(Detail),
    Stopped,
}

impl<W: Transport> Session<W> {
    /// The user list, before its first page: of all users, or of those that a SCIM `filter` selects.
    pub(crate) fn user_list(&self, filter: Option<&str>) -> ListReader {
        ListReader::new(ListKind::Users, self.endpoints.users(filter), &self.endpoints.api)
    }

    /// Fetches the next page of the `list`, which must have one, with retries. An error ends the run: no token can be obtained,
    /// the environment does not exist, or the list is endless or leads to another place.
    pub(crate) async fn next_users(&self, list: &mut ListReader, stop: &Stop) -> Result<PageResult, PingOneError> {
        let url = list.next().expect("there is a page that has not been read").clone();
        let fetched =
            self.fetch(Resource::Users(&url), stop, |answer, token| read_page(answer, |text| self.redact(text, Some(token)))).await?;
        Ok(match fetched {
            Fetched::Value((page, next)) => {
                // The environment exists, so no row that gets a 404 checks it.
                drop(self.environment.set(()));
                let next = next.map(|link| list.follow(&link, &url, |text| self.redact(text, None))).transpose()?;
                list.advance(page.total, next)?;
                PageResult::Page(page)
            }
            Fetched::Refused { detail, .. } if detail.status == Some(403) => PageResult::Forbidden(detail),
            Fetched::Refused { detail, .. } => PageResult::Refused(detail),
            Fetched::Failed { detail, .. } | Fetched::Throttled(detail) => PageResult::Failed(detail),
            Fetched::Stopped => PageResult::Stopped,
        })
    }
}

/// The body of a page. Fields that are not needed are not read; those that may be malformed are read as JSON values.
#[derive(Deserialize)]
struct PageBody {
    #[serde(rename = "_embedded")]
    embedded: Embedded,
    #[serde(rename = "_links", default)]
    links: Value,
    #[serde(default)]
    count: Value,
}

#[derive(Deserialize)]
struct Embedded {
    users: Vec<UserBody>,
}

#[derive(Deserialize)]
struct UserBody {
    id: String,
    #[serde(default)]
    username: Value,
    #[serde(default)]
    email: Value,
    #[serde(rename = "externalId", default)]
    external_id: Value,
    #[serde(default)]
    population: Value,
    #[serde(default)]
    enabled: Value,
}

/// A page, and the link to the next one. A body without a list is an error, not an empty list; so is a user without an ID.
pub(super) fn read_page(answer: &Answer, redact: impl Fn(String) -> String) -> Result<(UserPage, Option<String>), String> {
    let page: PageBody = object_in(answer, "the list of users")?;
    let users = page.embedded.users.iter().map(|user| listed(user, &redact)).collect::<Result<_, _>>()?;
    let next = match page.links.get("next") {
        None | Some(Value::Null) => None,
        Some(next) => Some(next.get("href").and_then(Value::as_str).ok_or("the link to the next page cannot be read")?.to_owned()),
    };
    Ok((UserPage { users, total: page.count.as_u64().filter(|users| *users <= MAX_USERS) }, next))
}

fn listed(user: &UserBody, redact: impl Fn(String) -> String) -> Result<ListedUser, String> {
    let id = user.id.parse().map_err(|_| "a user of the list has no ID that is a UUID")?;
    let text = |value| text_in(value).map(|text| ForeignText::from(text).map(&redact));
    Ok(ListedUser {
        id,
        username: text(&user.username),
        email: text(&user.email),
        external_id: text(&user.external_id),
        population: user.population.get("id").and_then(text),
        enabled: user.enabled.as_bool(),
    })
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
