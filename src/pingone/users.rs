//! Who is in the directory? PingOne's user list, a page at a time.

use std::hash::{DefaultHasher, Hash, Hasher};

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use super::ask::{Heard, Question};
use super::endpoints::Endpoints;
use super::error::PingOneError;
use super::session::Session;
use super::verdict::{Detail, short};
use super::wire::{Answer, Wire};
use crate::domain::UserId;
use crate::report::server_text;
use crate::stop::Stop;

/// The status that says that the list may not be read, whatever is asked for.
const FORBIDDEN: u16 = 403;

/// A user as the list shows it. Server text, but for the ID: never trusted to be harmless, and cut to
/// [`MOST_OF_A_TEXT`] characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedUser {
    pub(crate) id: UserId,
    pub(crate) username: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) external_id: Option<String>,
    /// The ID of the user's population.
    pub(crate) population: Option<String>,
}

/// A page of the list, which may be shorter than another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserPage {
    pub(crate) users: Vec<ListedUser>,
    /// The page that follows; `None` after the last.
    pub(crate) next: Option<NextPage>,
    /// How many users all pages together hold, if the server says so.
    pub(crate) total: Option<u64>,
}

/// The link to a page that follows another: one of the same list, at the same place, that was not read before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NextPage {
    url: Url,
    /// The hashes of the pages that led here.
    before: Vec<u64>,
}

/// Which page is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UsersAsked {
    /// The first, of all users or those that a SCIM filter selects.
    First { filter: Option<String> },
    /// One that follows another.
    Next(NextPage),
}

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

impl<W: Wire> Session<W> {
    /// Asks for a page of the user list, when the turn for it has come, and again while that may help. An
    /// error ends the run: no token is to be had, there is no such environment, or the list leads astray.
    pub(crate) async fn list_users(&self, asked: &UsersAsked, stop: &Stop) -> Result<Listed, PingOneError> {
        let (url, before) = match asked {
            UsersAsked::First { filter } => (&self.endpoints.users(filter.as_deref()), Vec::new()),
            UsersAsked::Next(NextPage { url, before }) => (url, before.clone()),
        };
        let heard = self.ask(Question::Users(url), stop, |answer, token| read_page(answer, |text| self.redact(text, Some(token)))).await?;
        Ok(match heard {
            Heard::Told((users, total, next)) => {
                // So the environment is there: no row that is not found has to ask.
                drop(self.environment.set(()));
                let next = next.map(|link| next_page(&link, url, before, &self.endpoints, |text| self.redact(text, None))).transpose()?;
                Listed::Page(UserPage { users, next, total })
            }
            Heard::Refused { said, .. } if said.status == Some(FORBIDDEN) => Listed::Forbidden(said),
            Heard::Refused { said, .. } => Listed::Refused(said),
            Heard::Unknown { said, .. } | Heard::Throttled(said) => Listed::Failed(said),
            Heard::Stopped => Listed::Stopped,
        })
    }
}

/// The page that a `link` on the page at `current` leads to, after those `before` it. The token is never sent
/// to another place than the list itself.
fn next_page(
    link: &str,
    current: &Url,
    mut before: Vec<u64>,
    endpoints: &Endpoints,
    redact: impl Fn(String) -> String,
) -> Result<NextPage, PingOneError> {
    let list = endpoints.users(None);
    let foreign = |host: &str| {
        let mut api = list.clone();
        api.set_query(None);
        PingOneError::ForeignPage { host: host.to_owned(), api: api.to_string() }
    };
    let mut url = current.join(link).map_err(|_| foreign("no URL at all"))?;
    url.set_fragment(None);
    let is_plain = url.username().is_empty() && url.password().is_none();
    let is_same_list = url.path().trim_end_matches('/').eq_ignore_ascii_case(list.path());
    if url.origin() != list.origin() || !is_plain || !is_same_list {
        return Err(foreign(&server_text(&redact(place(&url)))));
    }
    before.push(hash(current));
    if before.contains(&hash(&url)) {
        return Err(PingOneError::EndlessList { host: endpoints.api.host().to_owned() });
    }
    Ok(NextPage { url, before })
}

/// Where a URL leads, as messages have it: not the rest, which may hold anything.
fn place(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

fn hash(url: &Url) -> u64 {
    let mut hasher = DefaultHasher::new();
    url.hash(&mut hasher);
    hasher.finish()
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
    Ok((users, page.count.as_u64(), next))
}

fn listed(user: UserBody, redact: impl Fn(String) -> String) -> Result<ListedUser, String> {
    let id = user.id.parse().map_err(|_| "a user of the list has no ID that is a UUID")?;
    let population = user.population.get("id").cloned().unwrap_or_default();
    // A secret is looked for in the whole text, before it is cut.
    let text = |value| text_in(value).map(&redact).map(short);
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
