//! The settings that name PingOne's base URLs, for hints.

use std::fmt;
use std::sync::Arc;

/// The settings that name the base URLs, as hints call them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UrlPlaces {
    pub(crate) api: Arc<str>,
    pub(crate) auth: Arc<str>,
}

/// A host that requests go to, and the setting of its URL, if it is not the region's. `Display` is the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Where {
    pub(super) host: String,
    pub(super) set_in: Option<Arc<str>>,
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)
    }
}

impl Where {
    /// The host, and of the URLs' places its own, if any.
    pub(super) fn of(host: &str, set_in: Option<&Arc<str>>) -> Self {
        Self { host: host.to_owned(), set_in: set_in.cloned() }
    }

    /// What to check of it if it refuses an application.
    pub(super) fn to_check(&self) -> String {
        match &self.set_in {
            None => format!("whether `{}` is its region", self.host),
            Some(place) => format!("whether `{}`, the host of the auth URL in {place}, is where it lives", self.host),
        }
    }
}
