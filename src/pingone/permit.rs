//! Permits to send, each with a valid token: waits for the pacer, and renews the token for all requests.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::Value;
use tokio::time::Instant;

use super::answer::{Answer, Reply};
use super::credentials::{ASSERTION_LIFETIME, Assertion, Authentication, Credentials};
use super::endpoints::Endpoints;
use super::error::{MadeWith, PingOneError};
use super::places::Where;
use super::session::Session;
use super::silence::Wanted;
use super::token::{AccessToken, TokenSource, read_token};
use super::transport::Transport;
use super::verdict::{Class, class, error_detail, text};
use crate::clock::GOOD_TO;
use crate::domain::{Detail, shown, span_in_words};
use crate::pace::{Backoff, QueueHead};
use crate::stop::Stop;

impl<W: Transport> Session<W> {
    /// Makes sure that there is a token. Returns `false` if the run stops first.
    pub(crate) async fn has_token(&self, stop: &Stop) -> Result<bool, PingOneError> {
        Ok(self.permit(stop).await?.is_some())
    }

    /// The token, if a request may be sent without waiting.
    pub(crate) fn ready_now(&self, stop: &Stop) -> Option<Arc<AccessToken>> {
        let may_send = self.pacer.is_open() && !stop.is_requested();
        may_send.then(|| self.tokens.fresh()).flatten()
    }

    /// Waits for a permit and returns the token to send with; `None` if the run stops first or no token can be obtained. The
    /// first request that finds the token expired renews it; the others wait in the queue behind it.
    pub(crate) async fn permit(&self, stop: &Stop) -> Result<Option<Arc<AccessToken>>, PingOneError> {
        if let Some(token) = self.ready_now(stop) {
            return Ok(Some(token));
        }
        let mut queue = tokio::select! {
            biased;
            () = stop.requested() => return Ok(None),
            queue = self.pacer.join() => queue,
        };
        let mut renewed = None;
        loop {
            if !permit_of(&mut queue, stop).await || self.tokens.failed.load(Ordering::Relaxed) {
                return Ok(None);
            }
            // A renewed token is used once even if it has expired already, or the renewals would never end.
            if let Some(token) = self.tokens.fresh().or(renewed) {
                return Ok(Some(token));
            }
            let credentials = match &self.tokens.source {
                TokenSource::Ready(token) => return Ok(Some(Arc::clone(token))),
                TokenSource::Endpoint(credentials) => credentials,
            };
            let fetched = self.renew(credentials, &mut queue, stop).await;
            self.tokens.failed.fetch_or(fetched.is_err(), Ordering::Relaxed);
            renewed = fetched?;
            if renewed.is_none() {
                return Ok(None);
            }
        }
    }

    /// Fetches a new token and retries faults. The caller already has the permit for the first request. `None` if the run
    /// stops first.
    async fn renew(
        &self,
        credentials: &Credentials,
        queue: &mut QueueHead<'_>,
        stop: &Stop,
    ) -> Result<Option<Arc<AccessToken>>, PingOneError> {
        let deadline = Instant::now() + self.limits.give_up_after;
        let mut attempts = 0;
        let mut backoff = Backoff::new();
        let mut redated = false;
        let mut waiting = self.answers.wait(Wanted::Token, Some(deadline), self.limits.max_attempts);
        loop {
            self.count(attempts > 0);
            attempts += 1;
            let sent = Instant::now();
            // A server may refuse an assertion that it has seen, so each request has its own.
            let authentication =
                credentials.authentication(self.endpoints.token().as_str(), self.time()).map_err(PingOneError::Unsigned)?;
            self.secrets.note(&authentication);
            waiting.sent(sent);
            let reply = tokio::select! {
                biased;
                reply = self.transport.fetch_token(&authentication) => reply,
                () = stop.abandoned() => return Ok(None),
            };
            self.note_reply(self.endpoints.auth.host(), &reply)?;
            let verdict = self.classify_token(&reply, sent, &authentication);
            waiting.ended(verdict.fault());
            match verdict {
                TokenVerdict::Granted(token) => return Ok(Some(self.tokens.set(token))),
                TokenVerdict::Refused(_) if !redated && self.is_misdated(&authentication) => {
                    redated = true;
                    tracing::info!("PingOne refused an assertion whose dates its clock contradicts: another one is signed by its time");
                }
                TokenVerdict::Refused(error) => return Err(error),
                TokenVerdict::Throttled(wait, detail) => {
                    self.throttled(wait, None, &detail)?;
                    if self.pacer.held_until().is_some_and(|until| until >= deadline) {
                        return Err(self.no_token(attempts, detail));
                    }
                }
                TokenVerdict::Faulted(fault, retry_after) => {
                    let wait = backoff.after_fault(retry_after);
                    if backoff.faults() >= self.limits.max_attempts || Instant::now() + wait >= deadline {
                        return Err(self.no_token(attempts, fault));
                    }
                    waiting.retried_in(wait);
                    let what = &fault.message;
                    tracing::info!("no token yet ({what}): the token endpoint is asked again in {:.1} s", wait.as_secs_f64());
                    tokio::select! {
                        () = stop.requested() => return Ok(None),
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
            if !permit_of(queue, stop).await {
                return Ok(None);
            }
        }
    }

    fn classify_token(&self, reply: &Reply, sent: Instant, authentication: &Authentication<'_>) -> TokenVerdict {
        let answer = match reply {
            Ok(answer) => answer,
            Err(fault) => {
                let detail = Detail::own(None, fault.what.clone()).map(|text| self.redact(text, None));
                return TokenVerdict::Faulted(detail, None);
            }
        };
        let detail = oauth_detail(answer).map(|text| self.redact(text, None));
        match class(answer.status) {
            Class::Answered => match read_token(answer, sent, self.tokens.next_generation()) {
                Ok(token) => TokenVerdict::Granted(token),
                Err(why) => TokenVerdict::Faulted(Detail::own(Some(answer.status), why), answer.retry_after),
            },
            Class::Throttled => TokenVerdict::Throttled(answer.retry_after, detail),
            Class::Transient => TokenVerdict::Faulted(detail, answer.retry_after),
            Class::Unauthorized | Class::NotFound | Class::Refused if matches!(answer.status, 400 | 401 | 403 | 404) => {
                TokenVerdict::Refused(self.application_refused(authentication, detail))
            }
            Class::Unauthorized | Class::NotFound | Class::Refused => TokenVerdict::Refused(self.no_token(1, detail)),
        }
    }

    /// Whether the dates of a refused assertion may be why: PingOne's time, which is known from the refusal, is another one.
    fn is_misdated(&self, authentication: &Authentication<'_>) -> bool {
        match authentication {
            Authentication::Basic { .. } | Authentication::Post { .. } => false,
            Authentication::Assertion(Assertion { made, .. }) => (self.time() - made).abs() > TimeDelta::seconds(ASSERTION_LIFETIME / 2),
        }
    }

    /// The host of tokens.
    fn at_auth(&self) -> Where {
        let Endpoints { auth, urls, .. } = &self.endpoints;
        Where::of(auth.host(), urls.as_ref().map(|urls| &urls.auth))
    }

    fn application_refused(&self, authentication: &Authentication<'_>, detail: Detail) -> PingOneError {
        let auth_environment = self.endpoints.auth_environment;
        let (host, message) = (self.at_auth(), detail.into());
        match authentication {
            Authentication::Basic { .. } | Authentication::Post { .. } => PingOneError::Credentials { auth_environment, host, message },
            Authentication::Assertion(Assertion { signed_by, .. }) => PingOneError::Assertion {
                auth_environment,
                host,
                message,
                made_with: Box::new(MadeWith {
                    key: shown(&signed_by.path).to_string(),
                    key_id: signed_by.id.clone(),
                    algorithm: signed_by.key.algorithm.name(),
                    clock: self.clock_compared(),
                }),
            },
        }
    }

    /// What is known of the clock here, in comparison with PingOne's.
    fn clock_compared(&self) -> String {
        match self.offset() {
            None => "PingOne did not tell its time".to_owned(),
            Some(offset) if offset.off <= GOOD_TO => "it agrees with PingOne's".to_owned(),
            Some(offset) => {
                let off = span_in_words(Duration::from_secs(offset.off.as_secs()));
                format!("it is {off} {} PingOne's, which assertions are dated by", offset.side)
            }
        }
    }

    fn no_token(&self, attempts: u32, detail: Detail) -> PingOneError {
        PingOneError::NoToken { host: self.at_auth(), attempts, message: detail.into() }
    }
}

/// Waits for a permit. Returns `false` if the run stops first.
async fn permit_of(queue: &mut QueueHead<'_>, stop: &Stop) -> bool {
    tokio::select! {
        biased;
        () = stop.requested() => false,
        () = queue.permit() => true,
    }
}

enum TokenVerdict {
    Granted(AccessToken),
    /// A retry cannot help.
    Refused(PingOneError),
    Throttled(Option<Duration>, Detail),
    Faulted(Detail, Option<Duration>),
}

impl TokenVerdict {
    /// Why there is no usable answer.
    fn fault(&self) -> Option<&Detail> {
        match self {
            Self::Faulted(fault, _) => Some(fault),
            Self::Granted(_) | Self::Refused(_) | Self::Throttled(..) => None,
        }
    }
}

/// The text of an error of the token endpoint, in OAuth's form or PingOne's.
fn oauth_detail(answer: &Answer) -> Detail {
    let body: Value = answer.body.as_ref().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    match text(&body, "error") {
        Some(code) => {
            let message = text(&body, "error_description").unwrap_or_default().into();
            Detail { status: Some(answer.status), code: code.into(), message, ..Detail::default() }
        }
        None => error_detail(answer).0,
    }
}
