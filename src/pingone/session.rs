//! How does one request get to PingOne and back? With the run's token, when its turn has come.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::endpoints::Endpoints;
use super::error::{PingOneError, Said};
use super::token::{AccessToken, Secrets, TokenSource, Tokens, granted};
use super::traffic::Traffic;
use super::verdict::{Class, Verdict, class, detail, judge, text};
use super::wire::{Answer, Call, Reply, Wire};
use crate::clock::{Clock, Offset};
use crate::domain::{Detail, RowNumber};
use crate::pace::{Backoff, Lane, Pacer};
use crate::stop::Stop;

/// How long everybody waits after a 429 of the token endpoint that does not say how long.
const HOLD: Duration = Duration::from_secs(1);

/// What is to be sent, and for how long an answer is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) call: Call,
    pub(crate) row: RowNumber,
    pub(crate) again: bool,
    pub(crate) deadline: Option<Instant>,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// There is an answer, or it is known why not.
    Answered { sent: Instant, verdict: Verdict },
    /// Its answer is not waited for any more.
    Abandoned { sent: Instant },
}

/// Everything that rows share on their way to PingOne.
#[derive(Debug)]
pub(crate) struct Session<W> {
    pub(super) wire: W,
    pub(super) endpoints: Endpoints,
    pub(super) tokens: Tokens,
    pub(crate) pacer: Arc<Pacer>,
    pub(crate) traffic: Traffic,
    /// Set once the environment has been found to be there.
    pub(super) environment: OnceCell<()>,
    /// What the application authenticates with, in every form in which it is sent.
    secrets: Secrets,
    pub(super) limits: Limits,
    /// The clock of this machine.
    clock: Clock,
    /// How far it is from PingOne's, by the first answer that told its time.
    offset: OnceLock<Offset>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// One request.
    pub(crate) timeout: Duration,
    /// A row or a token, all tries and waits together.
    pub(crate) give_up_after: Duration,
    /// Tries that meet faults.
    pub(crate) max_attempts: u32,
}

impl<W: Wire> Session<W> {
    pub(crate) fn new(
        wire: W,
        endpoints: Endpoints,
        tokens: TokenSource,
        secrets: Secrets,
        pacer: Arc<Pacer>,
        limits: Limits,
        clock: Clock,
    ) -> Self {
        Self {
            wire,
            endpoints,
            tokens: Tokens::new(tokens),
            pacer,
            traffic: Traffic::default(),
            environment: OnceCell::new(),
            secrets,
            limits,
            clock,
            offset: OnceLock::new(),
        }
    }

    /// How far the clock here is from PingOne's, if an answer told its time.
    pub(crate) fn offset(&self) -> Option<Offset> {
        self.offset.get().copied()
    }

    /// How far the clock here is from the one that tells this `date`, in an answer that has just come.
    pub(super) fn offset_from(&self, date: Option<SystemTime>) -> Option<Offset> {
        date.map(|date| self.clock.offset(date))
    }

    /// Makes sure that there is a token; tells `false` if the run stops first.
    pub(crate) async fn has_token(&self, stop: &Stop) -> Result<bool, PingOneError> {
        Ok(self.permit(stop).await?.is_some())
    }

    /// Sends a call for a row, once, with the `token` of a turn that has come. `again` tells that it is not
    /// the first time; where there is a `deadline`, no answer is waited for longer.
    pub(crate) async fn send(&self, request: Request, token: &AccessToken, stop: &Stop) -> Result<Attempt, PingOneError> {
        let Request { call, row, again, deadline } = request;
        self.count(again);
        self.traffic.for_users.fetch_add(1, Ordering::Relaxed);
        let sent = Instant::now();
        let left = deadline.map_or(self.limits.give_up_after, |deadline| deadline - sent);
        let limit = self.limits.timeout.min(left);
        let reply = tokio::select! {
            biased;
            reply = self.wire.send(call, row, token, limit) => reply,
            () = stop.abandoned() => return Ok(Attempt::Abandoned { sent }),
        };
        self.note_reply(self.endpoints.api.host(), &reply)?;
        let verdict = judge(call, &reply).map_texts(|text| self.redact(text, Some(token)));
        let status = reply.as_ref().ok().map(|answer| answer.status);
        tracing::debug!(row = row.0, status, durationMs = millis(sent.elapsed()), "answered");
        self.learn(&verdict, token, sent)?;
        Ok(Attempt::Answered { sent, verdict })
    }

    pub(super) fn count(&self, again: bool) {
        self.traffic.sent.fetch_add(1, Ordering::Relaxed);
        self.traffic.retried.fetch_add(again.into(), Ordering::Relaxed);
    }

    /// The token, if nobody has to wait for a turn now.
    pub(crate) fn ready_now(&self, stop: &Stop) -> Option<Arc<AccessToken>> {
        let may_send = self.pacer.is_open() && !stop.is_requested();
        may_send.then(|| self.tokens.fresh()).flatten()
    }

    /// Waits for a turn and a token; `None` if the run stops, or another row has found that there is no
    /// token to be had. Whoever finds the token stale renews it before anybody else may send.
    pub(crate) async fn permit(&self, stop: &Stop) -> Result<Option<Arc<AccessToken>>, PingOneError> {
        if let Some(token) = self.ready_now(stop) {
            return Ok(Some(token));
        }
        let mut lane = tokio::select! {
            biased;
            () = stop.requested() => return Ok(None),
            lane = self.pacer.enter() => lane,
        };
        let mut renewed = None;
        loop {
            if !turn_of(&mut lane, stop).await || self.tokens.failed.load(Ordering::Relaxed) {
                return Ok(None);
            }
            // However short its life: a token is used once, or there would be no end of fetching.
            if let Some(token) = self.tokens.fresh().or(renewed) {
                return Ok(Some(token));
            }
            let fetched = self.renew(&mut lane, stop).await;
            self.tokens.failed.fetch_or(fetched.is_err(), Ordering::Relaxed);
            renewed = fetched?;
            if renewed.is_none() {
                return Ok(None);
            }
        }
    }

    /// What one row's answer tells for all the others.
    fn learn(&self, verdict: &Verdict, token: &AccessToken, sent: Instant) -> Result<(), PingOneError> {
        match verdict {
            Verdict::Throttled { wait, detail } => return self.throttled(*wait, Some(sent), detail),
            Verdict::Unauthorized(detail) => self.unauthorized(detail, token)?,
            Verdict::Answered { .. } | Verdict::NotFound(_) | Verdict::Refused { .. } => token.accept(),
            // Nobody knows whether it was let in.
            Verdict::Faulted { fault, .. } if fault.status.is_none() => return Ok(()),
            // A gateway may answer so without having looked at the token.
            Verdict::Faulted { .. } => {}
        }
        self.pacer.admitted(sent);
        Ok(())
    }

    /// Holds everybody back; where the request is counted by the limit for users, and was `sent` then, the
    /// rate is learnt from it.
    pub(super) fn throttled(&self, wait: Option<Duration>, sent: Option<Instant>, said: &Detail) -> Result<(), PingOneError> {
        self.traffic.throttled.fetch_add(1, Ordering::Relaxed);
        let asked = wait.filter(|wait| !wait.is_zero());
        if let Some(asked) = asked.filter(|asked| *asked > self.limits.give_up_after) {
            self.tokens.failed.store(true, Ordering::Relaxed);
            return Err(PingOneError::HeldTooLong { seconds: asked.as_secs(), said: said.clone().into() });
        }
        let begun = match sent {
            Some(sent) => self.pacer.refused(sent, asked),
            None => Some(asked.unwrap_or(HOLD)).filter(|held| self.pacer.hold(*held)),
        };
        if let Some(held) = begun {
            let why = match wait {
                _ if held > asked.unwrap_or(HOLD) => "since nothing was let in after the last wait",
                Some(Duration::ZERO) => "its Retry-After is zero",
                Some(_) => "as its Retry-After says",
                None => "it did not say for how long",
            };
            tracing::warn!("PingOne limits the rate (429): every request is held back for {} s, {why}", held.as_secs_f64());
        }
        Ok(())
    }

    pub(super) fn unauthorized(&self, detail: &Detail, token: &AccessToken) -> Result<(), PingOneError> {
        match self.tokens.source {
            TokenSource::Ready(_) => return Err(PingOneError::ReadyToken(detail.clone().into())),
            // One that follows another which was refused.
            TokenSource::Endpoint if token.generation > 1 && !token.was_accepted() => {
                return Err(self.fresh_token_refused(detail));
            }
            TokenSource::Endpoint => {}
        }
        tracing::info!("PingOne answered 401: the token is renewed");
        self.tokens.discard(token);
        Ok(())
    }

    pub(crate) fn fresh_token_refused(&self, detail: &Detail) -> PingOneError {
        self.tokens.failed.store(true, Ordering::Relaxed);
        PingOneError::FreshToken(detail.clone().into())
    }

    /// Fetches a token; the turn for it has come. `None` if the run stops first.
    async fn renew(&self, lane: &mut Lane<'_>, stop: &Stop) -> Result<Option<Arc<AccessToken>>, PingOneError> {
        let deadline = Instant::now() + self.limits.give_up_after;
        let mut attempts = 0;
        let mut backoff = Backoff::new();
        loop {
            self.count(attempts > 0);
            attempts += 1;
            let sent = Instant::now();
            let reply = tokio::select! {
                biased;
                reply = self.wire.fetch_token() => reply,
                () = stop.abandoned() => return Ok(None),
            };
            self.note_reply(self.endpoints.auth.host(), &reply)?;
            match self.judge_token(&reply, sent)? {
                TokenVerdict::Granted(token) => return Ok(Some(self.tokens.set(token))),
                TokenVerdict::Throttled(wait, said) => {
                    self.throttled(wait, None, &said)?;
                    if self.pacer.held_until().is_some_and(|until| until >= deadline) {
                        return Err(self.no_token(attempts, said));
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
            if !turn_of(lane, stop).await {
                return Ok(None);
            }
        }
    }

    /// `text` of the server's without any secret in it, nor the `token` that it was sent; or that of other
    /// requests, where it was sent none.
    pub(super) fn redact(&self, text: String, token: Option<&AccessToken>) -> String {
        match token {
            Some(token) => self.secrets.redact(text, Some(token)),
            None => self.secrets.redact(text, self.tokens.last().as_deref()),
        }
    }

    fn judge_token(&self, reply: &Reply, sent: Instant) -> Result<TokenVerdict, PingOneError> {
        let answer = match reply {
            Ok(answer) => answer,
            Err(fault) => {
                let said = Detail::own(None, fault.what.clone()).map(|text| self.redact(text, None));
                return Ok(TokenVerdict::Faulted(said, None));
            }
        };
        let said = oauth_detail(answer).map(|text| self.redact(text, None));
        match class(answer.status) {
            Class::Answered => Ok(match granted(answer, sent, self.tokens.next_generation()) {
                Ok(token) => TokenVerdict::Granted(token),
                Err(why) => TokenVerdict::Faulted(Detail::own(Some(answer.status), why), answer.retry_after),
            }),
            Class::Throttled => Ok(TokenVerdict::Throttled(answer.retry_after, said)),
            Class::Transient => Ok(TokenVerdict::Faulted(said, answer.retry_after)),
            Class::Unauthorized | Class::NotFound | Class::Refused if matches!(answer.status, 400 | 401 | 403 | 404) => {
                Err(PingOneError::Credentials {
                    auth_environment: self.endpoints.auth_environment,
                    host: self.endpoints.auth.host().to_owned(),
                    said: said.into(),
                })
            }
            Class::Unauthorized | Class::NotFound | Class::Refused => Err(self.no_token(1, said)),
        }
    }

    fn no_token(&self, attempts: u32, fault: Detail) -> PingOneError {
        PingOneError::NoToken { host: self.endpoints.auth.host().to_owned(), attempts, said: Said::from(fault) }
    }

    /// Notes that there is a reply; one that shows that the server is not trusted ends the run.
    pub(super) fn note_reply(&self, host: &str, reply: &Reply) -> Result<(), PingOneError> {
        self.traffic.answered(reply);
        if let (Ok(answer), None) = (reply, self.offset.get())
            && let Some(offset) = self.offset_from(answer.date)
        {
            self.offset.get_or_init(|| offset);
        }
        match reply {
            Err(fault) if fault.untrusted => {
                self.tokens.failed.store(true, Ordering::Relaxed);
                Err(PingOneError::Untrusted { host: host.to_owned(), why: self.redact(fault.what.clone(), None).into() })
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// A duration as logs have it.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Waits for a turn; tells whether it came, or the run stops.
async fn turn_of(lane: &mut Lane<'_>, stop: &Stop) -> bool {
    tokio::select! {
        biased;
        () = stop.requested() => false,
        () = lane.turn() => true,
    }
}

enum TokenVerdict {
    Granted(AccessToken),
    Throttled(Option<Duration>, Detail),
    Faulted(Detail, Option<Duration>),
}

/// What an error of the token endpoint says, in OAuth's form or PingOne's.
fn oauth_detail(answer: &Answer) -> Detail {
    let body: Value = answer.body.as_ref().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    match text(&body, "error") {
        Some(code) => {
            let message = text(&body, "error_description").unwrap_or_default().into();
            Detail { status: Some(answer.status), code: code.into(), message, id: "".into() }
        }
        None => detail(answer).0,
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
