//! The environment's name and type, for the operator, and whether it exists.

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::answer::Answer;
use super::error::PingOneError;
use super::fetch::{Fetched, Resource};
use super::session::Session;
use super::token::AccessToken;
use super::transport::Transport;
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
            match self.fetch_once(Resource::Environment, false, stop, |_, _| Ok(())).await {
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

    fn info_in(&self, answer: &Answer, token: &AccessToken) -> EnvironmentInfo {
        let body: Value = answer.body.as_ref().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
        let part = |name| text(&body, name).map(|text| ForeignText::from(text).map(|text| self.redact(text, Some(token))));
        EnvironmentInfo { name: part("name"), kind: part("type"), unread: None, offset: self.offset_from(answer.date) }
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;
    use crate::fuzz::{body, cases, parsed};
    use crate::pingone::user_list::UserList;
    use proptest::prelude::*;

    const BODIES: &[&str] = &[
        r#"{"_links":{"self":{"href":"https://api.pingone.com/v1/environments/e"}},"id":"e","name":"Acme","type":"PRODUCTION","region":"NA"}"#,
        r#"{"name":"s3cr3t-token","type":7}"#,
    ];

    proptest! {
        #![proptest_config(cases(256))]

        /// The name is the one in the body, or unknown. An echoed token is never shown.
        #[test]
        fn the_environments_name_is_the_one_in_the_body(body in body(BODIES, &["id", "name", "type"])) {
            let list = UserList::new(|_| unreachable!("no page is asked for"));
            let (session, token) = (list.session(), AccessToken::new(&"s3cr3t-token".into(), 1, None).expect("a token"));
            let parsed = parsed(&body).unwrap_or_default();
            let info = session.info_in(&Answer { status: 200, retry_after: None, date: None, correlation: "".into(), body: Ok(body.into()) }, &token);
            let pieces: Vec<&str> = (0..5).map(|from| &"s3cr3t-token"[from..from + 8]).collect();
            for (told, name) in [(info.name, "name"), (info.kind, "type")] {
                let stands = text(&parsed, name);
                let told = told.map(|told| told.as_received().to_owned());
                prop_assert!(pieces.iter().all(|piece| told.as_ref().is_none_or(|told| !told.contains(piece))), "{told:?}");
                prop_assert_eq!(told.is_some(), stands.is_some());
                // Escapes may hide a piece of the token.
                let is_plain = |text: &String| !text.contains(['\\', '%', '&']) && !pieces.iter().any(|piece| text.to_lowercase().contains(piece));
                if stands.as_ref().is_some_and(is_plain) {
                    prop_assert_eq!(told, stands.map(|text| text.chars().take(500).collect::<String>()));
                }
            }
        }
    }
}
