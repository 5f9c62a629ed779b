//! The outside world: what is asked of PingOne, and what do its answers mean?
//!
//! ```text
//! Session ── Tokens (one for all rows) ── Pacer (a turn) ── Wire (one request) ── judge → Verdict
//! ```
//!
//! [`Wire`] is the seam: over HTTP it is [`HttpWire`], in tests a script.

mod ask;
mod endpoints;
mod environment;
mod error;
#[cfg(test)]
mod fuzz;
mod http;
mod licence;
mod pages;
mod redact;
mod room;
mod session;
mod token;
mod traffic;
#[cfg(test)]
pub(crate) mod user_list;
mod users;
mod verdict;
mod wire;

pub use self::error::{PingOneError, Said};
pub use self::pages::Endless;

pub(crate) use self::endpoints::{BaseUrl, Endpoints, NotABaseUrl, Region};
pub(crate) use self::environment::EnvironmentInfo;
pub(crate) use self::http::{AuthMethod, Credentials, HttpSettings, HttpWire, TrustedCa};
pub(crate) use self::licence::LicenceRates;
pub(crate) use self::pages::ListReader;
pub(crate) use self::room::{USUAL_ROOM, encoded_len};
pub(crate) use self::session::{Attempt, Limits, Request, Session};
pub(crate) use self::token::{AccessToken, Secrets, TokenSource};
pub(crate) use self::users::{ListedUser, PageResult, UserPage};
pub(crate) use self::verdict::{BypassStatus, Verdict};
pub(crate) use self::wire::{Call, Wire};

#[cfg(test)]
pub(crate) use self::wire::{Answer, Fault, Reply};
