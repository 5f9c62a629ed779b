//! Which environment is it? Its name and type, for the operator; and whether it is there at all.

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::error::PingOneError;
use super::fetch::{Fetched, Resource};
use super::session::Session;
use super::token::AccessToken;
use super::transport::{Answer, Transport};
use super::verdict::text;
use crate::clock::Offset;
use crate::domain::{Detail, ForeignText};
use crate::stop::Stop;

/// What PingOne tells of an environment before anything is done in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EnvironmentInfo {
    /// Its name and its type; `None` if they may not be read, or PingOne does not say.
    pub(crate) name: Option<ForeignText>,
    pub(crate) kind: Option<ForeignText>,
    /// Why they are not known.
    pub(crate) unread: Option<Detail>,
    /// How far the clock here is from PingOne's, if PingOne tells its time.
    pub(crate) offset: Option<Offset>,
}

impl<W: Transport> Session<W> {
    /// Asks for the environment, and tries again what may pass; `None` if the run stops first. That it may
    /// not be read, or that PingOne does not answer, is told, and no reason to stop.
    pub(crate) async fn environment(&self, stop: &Stop) -> Result<Option<EnvironmentInfo>, PingOneError> {
        let fetched = self.fetch(Resource::Environment, stop, |answer, token| Ok(self.info_in(answer, token))).await?;
        let info = match fetched {
            Fetched::Value(info) => info,
            // That it may not be read says that it is there.
            Fetched::Refused { detail, date } => {
                EnvironmentInfo { unread: Some(detail), offset: self.offset_from(date), ..EnvironmentInfo::default() }
            }
            Fetched::Failed { detail, .. } | Fetched::Throttled(detail) => {
                return Ok(Some(EnvironmentInfo { unread: Some(detail), ..EnvironmentInfo::default() }));
            }
            Fetched::Stopped => return Ok(None),
        };
        // Known from here on: no row asks again.
        drop(self.environment.set(()));
        Ok(Some(info))
    }

    /// Finds out, once in a run, whether it is the environment that is not there, where a user was not
    /// found. What cannot be found out is no reason to stop. Tells `false` if another row has found that it
    /// is not there.
    pub(crate) async fn check_environment(&self, stop: &Stop) -> Result<bool, PingOneError> {
        let ask = || async {
            match self.fetch_once(Resource::Environment, false, stop, |_, _| Ok(())).await {
                Ok(Fetched::Value(()) | Fetched::Refused { .. } | Fetched::Failed { .. } | Fetched::Throttled(_)) => Ok(()),
                Ok(Fetched::Stopped) => Err(None),
                Err(error) => Err(Some(error)),
            }
        };
        match self.environment.get_or_try_init(ask).await {
            Ok(()) => Ok(true),
            // Nobody is asked any more. If that is for another reason, what was answered stands.
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

        /// What an environment is called is what stands there, or it is not known; a token that is echoed is not told.
        #[test]
        fn an_environment_is_called_what_it_says_or_nothing(body in body(BODIES, &["id", "name", "type"])) {
            let list = UserList::new(|_| unreachable!("no page is asked for"));
            let (session, token) = (list.session(), AccessToken::new(&"s3cr3t-token".into(), 1, None).expect("a token"));
            let parsed = parsed(&body).unwrap_or_default();
            let info = session.info_in(&Answer { status: 200, retry_after: None, date: None, body: Ok(body.into()) }, &token);
            let pieces: Vec<&str> = (0..5).map(|from| &"s3cr3t-token"[from..from + 8]).collect();
            for (told, name) in [(info.name, "name"), (info.kind, "type")] {
                let stands = text(&parsed, name);
                let told = told.map(|told| told.as_received().to_owned());
                prop_assert!(pieces.iter().all(|piece| told.as_ref().is_none_or(|told| !told.contains(piece))), "{told:?}");
                prop_assert_eq!(told.is_some(), stands.is_some());
                // What is escaped may hide a piece.
                let is_plain = |text: &String| !text.contains(['\\', '%', '&']) && !pieces.iter().any(|piece| text.to_lowercase().contains(piece));
                if stands.as_ref().is_some_and(is_plain) {
                    prop_assert_eq!(told, stands.map(|text| text.chars().take(500).collect::<String>()));
                }
            }
        }
    }
}
