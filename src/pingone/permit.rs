//! Permits to send, each with a valid token: waits for the pacer, and renews the token for all requests.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::answer::{Answer, Reply};
use super::error::PingOneError;
use super::session::Session;
use super::token::{AccessToken, Credentials, TokenSource, read_token};
use super::transport::Transport;
use super::verdict::{Class, class, error_detail, text};
use crate::domain::Detail;
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
        loop {
            self.count(attempts > 0);
            attempts += 1;
            let sent = Instant::now();
            let reply = tokio::select! {
                biased;
                reply = self.transport.fetch_token(credentials) => reply,
                () = stop.abandoned() => return Ok(None),
            };
            self.note_reply(self.endpoints.auth.host(), &reply)?;
            match self.classify_token(&reply, sent)? {
                TokenVerdict::Granted(token) => return Ok(Some(self.tokens.set(token))),
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

    fn classify_token(&self, reply: &Reply, sent: Instant) -> Result<TokenVerdict, PingOneError> {
        let answer = match reply {
            Ok(answer) => answer,
            Err(fault) => {
                let detail = Detail::own(None, fault.what.clone()).map(|text| self.redact(text, None));
                return Ok(TokenVerdict::Faulted(detail, None));
            }
        };
        let detail = oauth_detail(answer).map(|text| self.redact(text, None));
        match class(answer.status) {
            Class::Answered => Ok(match read_token(answer, sent, self.tokens.next_generation()) {
                Ok(token) => TokenVerdict::Granted(token),
                Err(why) => TokenVerdict::Faulted(Detail::own(Some(answer.status), why), answer.retry_after),
            }),
            Class::Throttled => Ok(TokenVerdict::Throttled(answer.retry_after, detail)),
            Class::Transient => Ok(TokenVerdict::Faulted(detail, answer.retry_after)),
            Class::Unauthorized | Class::NotFound | Class::Refused if matches!(answer.status, 400 | 401 | 403 | 404) => {
                Err(PingOneError::Credentials {
                    auth_environment: self.endpoints.auth_environment,
                    host: self.endpoints.auth.host().to_owned(),
                    message: detail.into(),
                })
            }
            Class::Unauthorized | Class::NotFound | Class::Refused => Err(self.no_token(1, detail)),
        }
    }

    fn no_token(&self, attempts: u32, detail: Detail) -> PingOneError {
        PingOneError::NoToken { host: self.endpoints.auth.host().to_owned(), attempts, message: detail.into() }
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
    Throttled(Option<Duration>, Detail),
    Faulted(Detail, Option<Duration>),
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
