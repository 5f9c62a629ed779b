//! Which environment is it? Its name and type, for the operator; and whether it is there at all.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::error::PingOneError;
use super::session::Session;
use super::verdict::{Class, Detail, class, detail, text};
use super::wire::{Reply, Wire};
use crate::pace::Backoff;
use crate::stop::Stop;

/// What PingOne tells of an environment before anything is done in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EnvironmentInfo {
    /// Its name and its type; `None` if they may not be read, or PingOne does not say.
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<String>,
    /// Why they are not known.
    pub(crate) unread: Option<Detail>,
    /// How far the clock here is from PingOne's, and whether it is ahead of it.
    pub(crate) clock: Option<(Duration, bool)>,
}

/// Why it is not known that the environment is there.
enum NotSeen {
    Unknown(Detail),
    Stopped,
    /// It is known that it is not; or there is no token to ask with.
    Gone(PingOneError),
}

impl<W: Wire> Session<W> {
    /// Asks for the environment, and tries again what may pass; `None` if the run stops first. That it may
    /// not be read, or that PingOne does not answer, is told, and no reason to stop.
    pub(crate) async fn environment(&self, stop: &Stop) -> Result<Option<EnvironmentInfo>, PingOneError> {
        let mut backoff = Backoff::new();
        loop {
            let unknown = match self.ask_environment(stop).await {
                Ok(info) => {
                    // Known from here on: no row asks again.
                    drop(self.environment.set(()));
                    return Ok(Some(info));
                }
                Err(NotSeen::Stopped) => return Ok(None),
                Err(NotSeen::Gone(error)) => return Err(error),
                Err(NotSeen::Unknown(detail)) => detail,
            };
            let wait = backoff.after_fault(None);
            if backoff.faults() >= self.limits.max_attempts {
                return Ok(Some(EnvironmentInfo { unread: Some(unknown), ..EnvironmentInfo::default() }));
            }
            tokio::select! {
                () = stop.requested() => return Ok(None),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Finds out, once in a run, whether it is the environment that is not there, where a user was not
    /// found. What cannot be found out is no reason to stop. Tells `false` if another row has found that it
    /// is not there.
    pub(crate) async fn check_environment(&self, stop: &Stop) -> Result<bool, PingOneError> {
        let ask = || async {
            match self.ask_environment(stop).await {
                Ok(_) | Err(NotSeen::Unknown(_)) => Ok(()),
                Err(other) => Err(other),
            }
        };
        match self.environment.get_or_try_init(ask).await {
            Ok(()) | Err(NotSeen::Unknown(_)) => Ok(true),
            // Nobody is asked any more. If that is for another reason, what was answered stands.
            Err(NotSeen::Stopped) => Ok(!self.tokens.failed.load(Ordering::Relaxed)),
            Err(NotSeen::Gone(error)) => {
                self.tokens.failed.store(true, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    async fn ask_environment(&self, stop: &Stop) -> Result<EnvironmentInfo, NotSeen> {
        let token = self.ready(stop).await.map_err(NotSeen::Gone)?.ok_or(NotSeen::Stopped)?;
        self.count(false);
        let reply = tokio::select! {
            biased;
            reply = self.wire.fetch_environment(&token) => reply,
            () = stop.abandoned() => return Err(NotSeen::Stopped),
        };
        self.note_reply(self.endpoints.api.host(), &reply).map_err(NotSeen::Gone)?;
        let clock = clock_of(&reply);
        let answer = reply.map_err(|fault| NotSeen::Unknown(Detail::own(None, fault.what)))?;
        let (said, own_form) = detail(&answer);
        let said = said.map(|text| self.redact(text, &token));
        match class(answer.status) {
            Class::NotFound if own_form => Err(NotSeen::Gone(PingOneError::NoEnvironment {
                environment: self.endpoints.environment,
                host: self.endpoints.api.host().to_owned(),
                said: said.into(),
            })),
            Class::Answered => {
                token.accept();
                let body: Value = answer.body.ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
                let part = |name| text(&body, name).map(|text| self.redact(text, &token));
                Ok(EnvironmentInfo { name: part("name"), kind: part("type"), unread: None, clock })
            }
            // That it may not be read says that it is there.
            Class::Refused => Ok(EnvironmentInfo { unread: Some(said), clock, ..EnvironmentInfo::default() }),
            Class::Unauthorized => {
                self.unauthorized(&said, &token).map_err(NotSeen::Gone)?;
                Err(NotSeen::Unknown(said))
            }
            Class::Throttled => {
                self.throttled(answer.retry_after, None, &said).map_err(NotSeen::Gone)?;
                Err(NotSeen::Unknown(said))
            }
            Class::NotFound | Class::Transient => Err(NotSeen::Unknown(said)),
        }
    }
}

/// How far the clock here is from the server's, as its answer has it.
fn clock_of(reply: &Reply) -> Option<(Duration, bool)> {
    let date = reply.as_ref().ok()?.date?;
    Some(match SystemTime::now().duration_since(date) {
        Ok(ahead) => (ahead, true),
        Err(behind) => (behind.duration(), false),
    })
}
