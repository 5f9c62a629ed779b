//! How does one request get to PingOne and back? With the run's token, when its turn has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::endpoints::Endpoints;
use super::error::{PingOneError, Said};
use super::token::{AccessToken, TokenSource, Tokens, granted};
use super::verdict::{Class, Detail, Verdict, class, detail, judge};
use super::wire::{Answer, Reply, Wire};
use crate::domain::{Ask, RowNumber};
use crate::pace::{Backoff, Lane, Pacer};
use crate::report::server_text;
use crate::stop::Stop;

/// How long everybody waits after a 429 that does not say how long.
const HOLD: Duration = Duration::from_secs(1);

/// Counts of requests, of every kind.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) throttled: AtomicU64,
}

/// What came of waiting for a turn.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It came: send now, with this token.
    Come(Arc<AccessToken>),
    /// The run stops.
    Stopped,
    /// The row's time was over first.
    OutOfTime,
}

/// What is to be sent, and for how long an answer is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) ask: &'a Ask,
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
    wire: W,
    endpoints: Endpoints,
    tokens: Tokens,
    pub(crate) pacer: Pacer,
    pub(crate) traffic: Traffic,
    /// Set once the environment has been found to be there.
    environment: OnceCell<()>,
    /// How long one request may take.
    timeout: Duration,
    /// Tries of the token endpoint.
    max_attempts: u32,
}

impl<W: Wire> Session<W> {
    pub(crate) fn new(wire: W, endpoints: Endpoints, tokens: TokenSource, pacer: Pacer, timeout: Duration, max_attempts: u32) -> Self {
        Self {
            wire,
            endpoints,
            tokens: Tokens::new(tokens),
            pacer,
            traffic: Traffic::default(),
            environment: OnceCell::new(),
            timeout,
            max_attempts,
        }
    }

    /// Waits for a turn and a token, until `deadline`, if there is one.
    pub(crate) async fn turn(&self, deadline: Option<Instant>, stop: &Stop) -> Result<Turn, PingOneError> {
        let ready = self.ready(stop);
        let token = match deadline {
            None => ready.await?,
            Some(deadline) => match tokio::time::timeout_at(deadline, ready).await {
                Ok(ready) => ready?,
                Err(_) => return Ok(Turn::OutOfTime),
            },
        };
        Ok(token.map_or(Turn::Stopped, Turn::Come))
    }

    /// Sends what a row asks, once, with the `token` of a turn that has come. `again` tells that it is not
    /// the first time; where there is a `deadline`, no answer is waited for longer.
    pub(crate) async fn send(&self, request: Request<'_>, token: &AccessToken, stop: &Stop) -> Result<Attempt, PingOneError> {
        let Request { ask, row, again, deadline } = request;
        self.count(again);
        let sent = Instant::now();
        let limit = deadline.map_or(self.timeout, |deadline| self.timeout.min(deadline - sent));
        let reply = tokio::select! {
            biased;
            reply = self.wire.send(ask, row, token, limit) => reply,
            () = stop.abandoned() => return Ok(Attempt::Abandoned { sent }),
        };
        self.refuse_untrusted(self.endpoints.api.host(), &reply)?;
        let verdict = judge(ask, &reply);
        let status = reply.as_ref().ok().map(|answer| answer.status);
        tracing::debug!(row = row.0, status, elapsed_ms = sent.elapsed().as_millis(), "answered");
        self.learn(&verdict, token)?;
        Ok(Attempt::Answered { sent, verdict })
    }

    fn count(&self, again: bool) {
        self.traffic.sent.fetch_add(1, Ordering::Relaxed);
        self.traffic.retried.fetch_add(again.into(), Ordering::Relaxed);
    }

    /// Waits for a turn and a token; `None` if the run stops, or another row has found that there is no
    /// token to be had. Whoever finds the token stale renews it before anybody else may send.
    async fn ready(&self, stop: &Stop) -> Result<Option<Arc<AccessToken>>, PingOneError> {
        if self.pacer.is_open()
            && !stop.is_requested()
            && let Some(token) = self.tokens.fresh()
        {
            return Ok(Some(token));
        }
        let lane = tokio::select! {
            biased;
            () = stop.requested() => return Ok(None),
            lane = self.pacer.enter() => lane,
        };
        loop {
            if !turn_of(&lane, stop).await || self.tokens.failed.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if let Some(token) = self.tokens.fresh() {
                return Ok(Some(token));
            }
            let renewed = self.renew(&lane, stop).await;
            self.tokens.failed.fetch_or(renewed.is_err(), Ordering::Relaxed);
            if !renewed? {
                return Ok(None);
            }
        }
    }

    /// What one row's answer tells for all the others.
    fn learn(&self, verdict: &Verdict, token: &AccessToken) -> Result<(), PingOneError> {
        match verdict {
            Verdict::Unauthorized(detail) => self.unauthorized(detail, token),
            Verdict::Throttled { wait, .. } => {
                self.throttled(*wait);
                Ok(())
            }
            Verdict::Answered { .. } | Verdict::NotFound(_) | Verdict::Refused(_) => {
                token.accept();
                Ok(())
            }
            // A gateway may answer so without having looked at the token.
            Verdict::Faulted { .. } => Ok(()),
        }
    }

    fn throttled(&self, wait: Option<Duration>) {
        self.traffic.throttled.fetch_add(1, Ordering::Relaxed);
        let held = wait.unwrap_or(HOLD);
        if self.pacer.hold(held) {
            let said = if wait.is_some() { "as its Retry-After says" } else { "it did not say for how long" };
            tracing::warn!("PingOne limits the rate (429): every request is held back for {} s, {said}", held.as_secs_f64());
        }
    }

    fn unauthorized(&self, detail: &Detail, token: &AccessToken) -> Result<(), PingOneError> {
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

    /// Fetches a token; the turn for it has come. Tells whether there is one, or the run stops.
    async fn renew(&self, lane: &Lane<'_>, stop: &Stop) -> Result<bool, PingOneError> {
        let mut backoff = Backoff::new();
        let mut again = false;
        loop {
            self.count(again);
            again = true;
            let sent = Instant::now();
            let reply = tokio::select! {
                biased;
                reply = self.wire.fetch_token() => reply,
                () = stop.abandoned() => return Ok(false),
            };
            self.refuse_untrusted(self.endpoints.auth.host(), &reply)?;
            match self.judge_token(&reply, sent)? {
                TokenVerdict::Granted(token) => {
                    self.tokens.set(token);
                    return Ok(true);
                }
                TokenVerdict::Throttled(wait) => self.throttled(wait),
                TokenVerdict::Faulted(fault, retry_after) => {
                    let wait = backoff.after_fault(retry_after);
                    if backoff.faults() >= self.max_attempts {
                        return Err(self.no_token(backoff.faults(), fault));
                    }
                    let what = server_text(&fault.message);
                    tracing::info!("no token yet ({what}): the token endpoint is asked again in {:.1} s", wait.as_secs_f64());
                    tokio::select! {
                        () = stop.requested() => return Ok(false),
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
            if !turn_of(lane, stop).await {
                return Ok(false);
            }
        }
    }

    /// Finds out, once in a run, whether it is the environment that is not there, where a user was not
    /// found. What cannot be found out is no reason to stop. Tells `false` if the run stops first.
    pub(crate) async fn check_environment(&self, stop: &Stop) -> Result<bool, PingOneError> {
        match self.environment.get_or_try_init(|| self.find_environment(stop)).await {
            Ok(()) | Err(NotSeen::Unknown) => Ok(true),
            Err(NotSeen::Stopped) => Ok(false),
            Err(NotSeen::Gone(error)) => Err(error),
        }
    }

    async fn find_environment(&self, stop: &Stop) -> Result<(), NotSeen> {
        let token = self.ready(stop).await.map_err(NotSeen::Gone)?.ok_or(NotSeen::Stopped)?;
        self.count(false);
        let answer = self.wire.fetch_environment(&token).await.map_err(|_| NotSeen::Unknown)?;
        match (class(answer.status), detail(&answer)) {
            (Class::NotFound, (said, true)) => Err(NotSeen::Gone(PingOneError::NoEnvironment {
                environment: self.endpoints.environment,
                host: self.endpoints.api.host().to_owned(),
                said: said.into(),
            })),
            // That it may not be read says that it is there.
            (Class::Answered | Class::Refused, _) => Ok(()),
            (Class::NotFound | Class::Unauthorized | Class::Throttled | Class::Transient, _) => Err(NotSeen::Unknown),
        }
    }

    fn judge_token(&self, reply: &Reply, sent: Instant) -> Result<TokenVerdict, PingOneError> {
        let answer = match reply {
            Ok(answer) => answer,
            Err(fault) => return Ok(TokenVerdict::Faulted(Detail::own(None, fault.what.clone()), None)),
        };
        let generation = self.tokens.next_generation();
        match class(answer.status) {
            Class::Answered => Ok(match granted(answer, sent, generation) {
                Ok(token) => TokenVerdict::Granted(token),
                Err(why) => TokenVerdict::Faulted(Detail::own(Some(answer.status), why), answer.retry_after),
            }),
            Class::Throttled => Ok(TokenVerdict::Throttled(answer.retry_after)),
            Class::Transient => Ok(TokenVerdict::Faulted(oauth_detail(answer), answer.retry_after)),
            Class::Unauthorized | Class::NotFound | Class::Refused => Err(PingOneError::Credentials {
                auth_environment: self.endpoints.auth_environment,
                host: self.endpoints.auth.host().to_owned(),
                said: oauth_detail(answer).into(),
            }),
        }
    }

    fn no_token(&self, attempts: u32, fault: Detail) -> PingOneError {
        PingOneError::NoToken { host: self.endpoints.auth.host().to_owned(), attempts, said: Said::from(fault) }
    }

    fn refuse_untrusted(&self, host: &str, reply: &Reply) -> Result<(), PingOneError> {
        match reply {
            Err(fault) if fault.untrusted => {
                self.tokens.failed.store(true, Ordering::Relaxed);
                Err(PingOneError::Untrusted { host: host.to_owned(), why: fault.what.clone() })
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// Waits for a turn; tells whether it came, or the run stops.
async fn turn_of(lane: &Lane<'_>, stop: &Stop) -> bool {
    tokio::select! {
        biased;
        () = stop.requested() => false,
        () = lane.turn() => true,
    }
}

/// Why it is not known that the environment is there.
enum NotSeen {
    Unknown,
    Stopped,
    /// It is known that it is not; or there is no token to ask with.
    Gone(PingOneError),
}

enum TokenVerdict {
    Granted(AccessToken),
    Throttled(Option<Duration>),
    Faulted(Detail, Option<Duration>),
}

#[derive(Deserialize)]
struct OAuthError {
    error: String,
    error_description: Option<String>,
}

/// What an error of the token endpoint says, in OAuth's form or PingOne's.
fn oauth_detail(answer: &Answer) -> Detail {
    let body = answer.body.as_deref().unwrap_or_default();
    match serde_json::from_slice::<OAuthError>(body) {
        Ok(OAuthError { error, error_description }) => {
            Detail { status: Some(answer.status), code: error, message: error_description.unwrap_or_default(), id: String::new() }
        }
        Err(_) => detail(answer).0,
    }
}
