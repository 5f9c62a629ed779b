//! Who is in the directory? PingOne's user list, a page at a time.

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use super::endpoints::Endpoints;
use super::error::PingOneError;
use super::fetch::{Fetched, Resource};
use super::pages::ListReader;
use super::session::Session;
use super::transport::{Answer, Transport};
use crate::domain::{Detail, ForeignText, UserId};
use crate::stop::Stop;

/// The status that says that the list may not be read, whatever is asked for.
const FORBIDDEN: u16 = 403;

/// A user as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedUser {
    pub(crate) id: UserId,
    pub(crate) username: Option<ForeignText>,
    pub(crate) email: Option<ForeignText>,
    pub(crate) external_id: Option<ForeignText>,
    /// The ID of the user's population.
    pub(crate) population: Option<ForeignText>,
}

/// A page of the list, which may be shorter than another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserPage {
    pub(crate) users: Vec<ListedUser>,
    /// How many users all pages together hold, if the server says so.
    pub(crate) total: Option<u64>,
}

/// No environment has so many users: whoever counts more does not count.
const MOST_USERS: u64 = 1_000_000_000_000;

/// What came of asking for a page.
#[derive(Debug)]
pub(crate) enum Listed {
    Page(UserPage),
    /// The list may not be read at all: 403.
    Forbidden(Detail),
    /// Another refusal that trying again cannot mend, such as 400, 414 or 431 for a filter.
    Refused(Detail),
    /// Faults until the tries or the time ran out; the last of them.
    Failed(Detail),
    /// The run stops.
    Stopped,
}

impl<W: Transport> Session<W> {
    /// The user list from its first page on: of all users, or of those that a SCIM `filter` selects.
    pub(crate) fn user_list(&self, filter: Option<&str>) -> ListReader {
        ListReader::new(self.endpoints.users(filter), self.endpoints.api.host().to_owned())
    }

    /// Asks for the next page of a `list` that has one, when the turn for it has come, and again while that may help.
    /// An error ends the run: no token is to be had, there is no such environment, or the list leads astray.
    pub(crate) async fn next_users(&self, list: &mut ListReader, stop: &Stop) -> Result<Listed, PingOneError> {
        let url = list.next().expect("there is a page that has not been read").clone();
        let fetched =
            self.fetch(Resource::Users(&url), stop, |answer, token| read_page(answer, |text| self.redact(text, Some(token)))).await?;
        Ok(match fetched {
            Fetched::Value((users, total, next)) => {
                // So the environment is there: no row that is not found has to ask.
                drop(self.environment.set(()));
                let next = next.map(|link| next_page(&link, &url, &self.endpoints, |text| self.redact(text, None))).transpose()?;
                list.advance(total, next)?;
                Listed::Page(UserPage { users, total })
            }
            Fetched::Refused { detail, .. } if detail.status == Some(FORBIDDEN) => Listed::Forbidden(detail),
            Fetched::Refused { detail, .. } => Listed::Refused(detail),
            Fetched::Failed { detail, .. } | Fetched::Throttled(detail) => Listed::Failed(detail),
            Fetched::Stopped => Listed::Stopped,
        })
    }
}

/// The page that a `link` on the page at `current` leads to. The token is never sent to another place than the list
/// itself.
fn next_page(link: &str, current: &Url, endpoints: &Endpoints, redact: impl Fn(String) -> String) -> Result<Url, PingOneError> {
    let list = endpoints.users(None);
    let foreign = |host: String| {
        let mut api = list.clone();
        api.set_query(None);
        PingOneError::ForeignPage { host: ForeignText::from(host).map(redact), api: api.to_string() }
    };
    let Ok(mut url) = current.join(link) else {
        return Err(foreign("no URL at all".to_owned()));
    };
    url.set_fragment(None);
    let is_plain = url.username().is_empty() && url.password().is_none();
    let is_same_list = url.path().trim_end_matches('/').eq_ignore_ascii_case(list.path());
    if url.origin() != list.origin() || !is_plain || !is_same_list {
        return Err(foreign(place(&url)));
    }
    Ok(url)
}

/// Where a URL leads, as messages have it: not the rest, which may hold anything.
fn place(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// The list's own form. What is not needed is not read, and what may be odd is read by itself.
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
}

/// What a page's body tells: the users, how many there are on all pages, and the link to the next page. A body
/// without a list is not one of an empty list, and a user without an ID cannot be left out.
type PageParts = (Vec<ListedUser>, Option<u64>, Option<String>);

fn read_page(answer: &Answer, redact: impl Fn(String) -> String) -> Result<PageParts, String> {
    let body = answer.body.as_deref().map_err(Clone::clone)?;
    // Serde would take an array for a struct.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err("the answer is not a JSON object".to_owned());
    }
    let page: PageBody = serde_json::from_slice(body)
        .map_err(|error| format!("the list of users cannot be read (line {}, column {})", error.line(), error.column()))?;
    let users = page.embedded.users.into_iter().map(|user| listed(user, &redact)).collect::<Result<_, _>>()?;
    let next = match page.links.get("next") {
        None | Some(Value::Null) => None,
        Some(next) => Some(next.get("href").and_then(Value::as_str).ok_or("the link to the next page cannot be read")?.to_owned()),
    };
    Ok((users, page.count.as_u64().filter(|users| *users <= MOST_USERS), next))
}

fn listed(user: UserBody, redact: impl Fn(String) -> String) -> Result<ListedUser, String> {
    let id = user.id.parse().map_err(|_| "a user of the list has no ID that is a UUID")?;
    let population = user.population.get("id").cloned().unwrap_or_default();
    let text = |value| text_in(value).map(|text| ForeignText::from(text).map(&redact));
    Ok(ListedUser {
        id,
        username: text(user.username),
        email: text(user.email),
        external_id: text(user.external_id),
        population: text(population),
    })
}

/// A text, or a number as text.
fn text_in(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
