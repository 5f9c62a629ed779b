//! Fetches what belongs to no row, such as the environment or a page of the user list, and retries until there is an answer.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::answer::{Answer, Reply};
use super::endpoints::Endpoints;
use super::error::PingOneError;
use super::places::Where;
use super::session::Session;
use super::silence::{Wait, Wanted};
use super::token::AccessToken;
use super::transport::{Resource, Transport};
use super::verdict::{Class, class, error_detail};
use crate::domain::Detail;
use crate::pace::Backoff;
use crate::stop::Stop;

impl Resource<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Licence => "rates of the licence",
            Self::Users(_) => "user list",
            Self::Report(_) => "device report",
        }
    }

    /// What is waited for while it is fetched.
    fn wanted(self) -> Wanted {
        match self {
            Self::Environment => Wanted::Environment,
            Self::Licence => Wanted::Licence,
            Self::Users(_) => Wanted::Users,
            Self::Report(_) => Wanted::Report,
        }
    }

    /// Whether the run depends on it. If not, a refusal says nothing about the token or the environment.
    fn is_needed(self) -> bool {
        match self {
            Self::Licence => false,
            Self::Environment | Self::Users(_) | Self::Report(_) => true,
        }
    }

    /// Whether it counts towards the limit for users, so that the pacer learns the rate from it.
    fn informs_pacer(self) -> bool {
        match self {
            Self::Environment | Self::Licence | Self::Report(_) => false,
            Self::Users(_) => true,
        }
    }

    /// Whether a 404 in PingOne's form may be of this resource alone, rather than of the environment.
    fn may_be_missing(self) -> bool {
        match self {
            Self::Report(_) => true,
            Self::Environment | Self::Licence | Self::Users(_) => false,
        }
    }
}

/// The result of a fetch.
#[derive(Debug)]
pub(super) enum Fetched<T> {
    Value(T),
    /// A refusal that a retry cannot fix, with the server's time.
    Refused {
        detail: Detail,
        date: Option<SystemTime>,
    },
    /// No usable answer. A retry may help, after `wait` if the server named one.
    Failed {
        detail: Detail,
        wait: Option<Duration>,
    },
    /// The pacer holds back all requests; a retry after that may help.
    Throttled(Detail),
    Stopped,
}

impl<T> Fetched<T> {
    /// Why there is no usable answer. A 401 is one: the token is renewed.
    fn fault(&self) -> Option<&Detail> {
        match self {
            Self::Failed { detail, .. } => Some(detail).filter(|detail| detail.status != Some(401)),
            Self::Value(_) | Self::Refused { .. } | Self::Throttled(_) | Self::Stopped => None,
        }
    }
}

/// Parses an answer, or says why it cannot. The texts of the result must not show the token.
pub(super) trait Parse<T>: Fn(&Answer, &AccessToken) -> Result<T, String> {}

impl<T, F: Fn(&Answer, &AccessToken) -> Result<T, String>> Parse<T> for F {}

impl<W: Transport> Session<W> {
    /// Fetches a resource and retries until there is an answer that `parse` accepts, a refusal, or no time or attempt left.
    /// In the last case, returns the last failure as [`Fetched::Failed`].
    pub(super) async fn fetch<T>(&self, resource: Resource<'_>, stop: &Stop, parse: impl Parse<T>) -> Result<Fetched<T>, PingOneError> {
        let deadline = Instant::now() + self.limits.give_up_after;
        let mut backoff = Backoff::new();
        let mut waiting = self.answers.wait(resource.wanted(), Some(deadline), self.limits.max_attempts);
        loop {
            let fetched = self.fetch_in(&mut waiting, resource, stop, &parse).await?;
            let (detail, wait) = match fetched {
                Fetched::Throttled(detail) if self.pacer.held_until().is_some_and(|until| until >= deadline) => (detail, None),
                Fetched::Throttled(_) => continue,
                Fetched::Failed { detail, wait } => (detail, Some(backoff.after_fault(wait))),
                fetched @ (Fetched::Value(_) | Fetched::Refused { .. } | Fetched::Stopped) => return Ok(fetched),
            };
            let wait = wait.map(|wait| wait.max(self.wait_of_its_own(resource)));
            let Some(wait) = wait.filter(|wait| backoff.faults() < self.limits.max_attempts && Instant::now() + *wait < deadline) else {
                return Ok(Fetched::Failed { detail, wait: None });
            };
            waiting.retried_in(wait);
            let what = &detail.message;
            tracing::info!("no {} yet ({what}): it is asked for again in {:.1} s", resource.name(), wait.as_secs_f64());
            tokio::select! {
                () = stop.requested() => return Ok(Fetched::Stopped),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Waits for a permit and fetches a resource once, without retries.
    pub(super) async fn fetch_once<T>(
        &self,
        resource: Resource<'_>,
        stop: &Stop,
        parse: impl Parse<T>,
    ) -> Result<Fetched<T>, PingOneError> {
        self.fetch_in(&mut self.answers.wait(resource.wanted(), None, 1), resource, stop, parse).await
    }

    /// Waits for a permit and makes the next try of `waiting`.
    async fn fetch_in<T>(
        &self,
        waiting: &mut Wait<'_>,
        resource: Resource<'_>,
        stop: &Stop,
        parse: impl Parse<T>,
    ) -> Result<Fetched<T>, PingOneError> {
        tokio::select! {
            biased;
            () = stop.requested() => return Ok(Fetched::Stopped),
            () = tokio::time::sleep(self.wait_of_its_own(resource)) => {}
        }
        let Some(token) = self.permit(stop).await? else {
            return Ok(Fetched::Stopped);
        };
        self.count(waiting.is_repeated());
        let sent = Instant::now();
        waiting.sent(sent);
        let reply = tokio::select! {
            biased;
            reply = self.transport.fetch(resource, &token) => reply,
            () = stop.abandoned() => return Ok(Fetched::Stopped),
        };
        if let Resource::Report(part) = resource {
            self.report_pace.note(part, sent);
        }
        let took = u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(status = reply.as_ref().ok().map(|answer| answer.status), durationMs = took, "answered: {}", resource.name());
        self.note_reply(self.endpoints.api.host(), &reply)?;
        let fetched = self.classify_fetch(resource, &reply, &token, sent, parse)?;
        waiting.ended(fetched.fault());
        let was_admitted = reply.is_ok() && !matches!(fetched, Fetched::Throttled(_));
        if resource.informs_pacer() && was_admitted {
            self.pacer.admitted(sent);
        }
        Ok(fetched)
    }

    /// How long a request for `resource` must wait besides for a permit.
    fn wait_of_its_own(&self, resource: Resource<'_>) -> Duration {
        match resource {
            Resource::Report(part) => self.report_pace.wait(part),
            Resource::Environment | Resource::Licence | Resource::Users(_) => Duration::ZERO,
        }
    }

    /// What the `reply` to a request sent at `sent` means. An error ends the run.
    fn classify_fetch<T>(
        &self,
        resource: Resource<'_>,
        reply: &Reply,
        token: &AccessToken,
        sent: Instant,
        parse: impl Parse<T>,
    ) -> Result<Fetched<T>, PingOneError> {
        let answer = match reply {
            Ok(answer) => answer,
            Err(fault) => {
                let detail = Detail::own(None, fault.what.clone()).map(|text| self.redact(text, Some(token)));
                return Ok(Fetched::Failed { detail, wait: None });
            }
        };
        let (detail, is_pingones) = error_detail(answer);
        let detail = detail.map(|text| self.redact(text, Some(token)));
        let wait = answer.retry_after;
        Ok(match class(answer.status) {
            Class::NotFound | Class::Unauthorized | Class::Refused | Class::Throttled if !resource.is_needed() => {
                Fetched::Refused { detail, date: answer.date }
            }
            Class::NotFound if is_pingones && resource.may_be_missing() => Fetched::Refused { detail, date: answer.date },
            Class::NotFound if is_pingones => return Err(self.no_environment(detail)),
            Class::Answered => {
                token.accept();
                match parse(answer, token) {
                    Ok(value) => Fetched::Value(value),
                    Err(why) => Fetched::Failed { detail: Detail::own(Some(answer.status), why), wait },
                }
            }
            Class::Refused => {
                token.accept();
                Fetched::Refused { detail, date: answer.date }
            }
            Class::Unauthorized => {
                self.unauthorized(&detail, token)?;
                Fetched::Failed { detail, wait: None }
            }
            Class::Throttled => {
                self.throttled(wait, resource.informs_pacer().then_some(sent), &detail)?;
                Fetched::Throttled(detail)
            }
            Class::NotFound | Class::Transient => Fetched::Failed { detail, wait },
        })
    }

    fn no_environment(&self, detail: Detail) -> PingOneError {
        let Endpoints { api, urls, .. } = &self.endpoints;
        let host = Where::of(api.host(), urls.as_ref().map(|urls| &urls.api));
        PingOneError::NoEnvironment { environment: self.endpoints.environment, host, message: detail.into() }
    }
}
