//! Talks to PingOne: sends requests, and says what the answers mean.
//!
//! ```text
//! Session ── Pacer (a permit) ── Tokens (one for all rows) ── Transport (one request) ── classify → Verdict
//! ```
//!
//! [`Answers`] keeps whether anybody answers, for `ui` to show.
//!
//! [`Transport`] is the seam: in the program it is [`HttpTransport`], in tests a script.

mod answer;
mod credentials;
mod endpoints;
mod entries;
mod environment;
mod error;
mod exploration;
mod fetch;
#[cfg(test)]
mod fuzz;
mod http;
mod licence;
mod pages;
mod permit;
mod places;
mod reach;
mod redact;
mod report_pace;
mod session;
mod silence;
mod token;
mod traffic;
mod transport;
mod url_budget;
#[cfg(test)]
pub(crate) mod user_list;
mod users;
mod verdict;

pub(crate) use self::credentials::{AuthMethod, ClientKey, Credentials, Proof};
pub(crate) use self::endpoints::{BaseUrl, Endpoints, Region};
pub(crate) use self::entries::{DeviceEntry, NotUnderstood};
pub(crate) use self::environment::EnvironmentInfo;
pub(crate) use self::error::{BY_DOCTOR, Endless, PingOneError, ServerMessage, WRONG_PATH};
pub(crate) use self::exploration::{NotHad, REPORT_TEMPLATE};
pub(crate) use self::http::{HttpSettings, HttpTransport, TrustedCa};
pub(crate) use self::licence::LicenceRates;
pub(crate) use self::pages::ListReader;
pub(crate) use self::places::UrlPlaces;
pub(crate) use self::reach::Unreached;
pub(crate) use self::session::{Answered, Limits, RowRequest, Session};
pub(crate) use self::silence::{Answers, Notice, Silence, Wanted};
pub(crate) use self::token::{AccessToken, TokenSource};
pub(crate) use self::traffic::Holds;
pub(crate) use self::transport::{Call, Transport};
pub(crate) use self::url_budget::{USUAL_BUDGET, encoded_len};
pub(crate) use self::users::{ListedUser, PageResult, UserPage};
pub(crate) use self::verdict::{BypassStatus, Verdict};

#[cfg(test)]
pub(crate) use self::answer::{Answer, Fault, Reply};
#[cfg(test)]
pub(crate) use self::credentials::Authentication;
#[cfg(test)]
pub(crate) use self::transport::Resource;
