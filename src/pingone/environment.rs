//! The environment's name and type, for the operator, and whether it exists.

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::answer::Answer;
use super::error::PingOneError;
use super::fetch::Fetched;
use super::session::Session;
use super::token::AccessToken;
use super::transport::{Resource, Transport};
use super::verdict::text;
use crate::clock::Offset;
use crate::domain::{Detail, ForeignText};
use crate::stop::Stop;

/// What PingOne says about the environment before anything is changed in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EnvironmentInfo {
    /// Its name and its type; `None` if they may not be read or the answer lacks them.
    pub(crate) name: Option<ForeignText>,
    pub(crate) kind: Option<ForeignText>,
    /// Why they are not known.
    pub(crate) unread: Option<Detail>,
    /// The offset of this machine's clock from PingOne's, if the answer stated the time.
    pub(crate) offset: Option<Offset>,
}

impl<W: Transport> Session<W> {
    /// Fetches the environment, with retries; `None` if the run stops first. An environment that may not be read, and a PingOne
    /// that does not answer, are reported in `unread` and do not end the run.
    pub(crate) async fn environment(&self, stop: &Stop) -> Result<Option<EnvironmentInfo>, PingOneError> {
        let fetched = self.fetch(Resource::Environment, stop, |answer, token| Ok(self.info_in(answer, token))).await?;
        let info = match fetched {
            Fetched::Value(info) => info,
            // One that may not be read does exist.
            Fetched::Refused { detail, date } => {
                EnvironmentInfo { unread: Some(detail), offset: self.offset_from(date), ..EnvironmentInfo::default() }
            }
            Fetched::Failed { detail, .. } | Fetched::Throttled(detail) => {
                return Ok(Some(EnvironmentInfo { unread: Some(detail), ..EnvironmentInfo::default() }));
            }
            Fetched::Stopped => return Ok(None),
        };
        // It exists, so no row checks again.
        drop(self.environment.set(()));
        Ok(Some(info))
    }

    /// Checks, once per run, whether the environment exists: the first user that is not found may mean that it does not. A check
    /// that fails is no reason to stop. Returns `false` if another row has found that it does not exist.
    pub(crate) async fn check_environment(&self, stop: &Stop) -> Result<bool, PingOneError> {
        let check = || async {
            match self.fetch_once(Resource::Environment, stop, |_, _| Ok(())).await {
                Ok(Fetched::Value(()) | Fetched::Refused { .. } | Fetched::Failed { .. } | Fetched::Throttled(_)) => Ok(()),
                Ok(Fetched::Stopped) => Err(None),
                Err(error) => Err(Some(error)),
            }
        };
        match self.environment.get_or_try_init(check).await {
            Ok(()) => Ok(true),
            // The run stops. Unless that is because the environment does not exist, the row's 404 stands.
            Err(None) => Ok(!self.tokens.failed.load(Ordering::Relaxed)),
            Err(Some(error)) => {
                self.tokens.failed.store(true, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    pub(super) fn info_in(&self, answer: &Answer, token: &AccessToken) -> EnvironmentInfo {
        let body: Value = answer.body.as_ref().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
        let part = |name| text(&body, name).map(|text| ForeignText::from(text).map(|text| self.redact(text, Some(token))));
        EnvironmentInfo { name: part("name"), kind: part("type"), unread: None, offset: self.offset_from(answer.date) }
    }
}
