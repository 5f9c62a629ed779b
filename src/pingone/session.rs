//! Sends one request for a row and shares what its answer says with all other requests.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::answer::Reply;
use super::endpoints::Endpoints;
use super::error::PingOneError;
use super::report_pace::ReportPace;
use super::silence::{Answers, Wanted};
use super::token::{AccessToken, Secrets, TokenSource, Tokens};
use super::traffic::Traffic;
use super::transport::{Call, Transport};
use super::verdict::{Verdict, classify};
use crate::clock::{Clock, Offset};
use crate::domain::{Detail, ForeignText, RowNumber};
use crate::pace::Pacer;
use crate::stop::Stop;

/// How long all requests wait after a 429 from the token endpoint that does not say how long.
const HOLD: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
pub(crate) struct RowRequest {
    pub(crate) call: Call,
    pub(crate) row: RowNumber,
    pub(crate) again: bool,
    /// No answer is awaited beyond this.
    pub(crate) deadline: Option<Instant>,
}

/// A row's request that was not abandoned.
#[derive(Debug)]
pub(crate) struct Answered {
    /// What the answer means, or what its absence does.
    pub(crate) verdict: Verdict,
    /// The answer's `Correlation-Id`; `None` if there is no answer.
    pub(crate) correlation: Option<ForeignText>,
}

/// The state that all requests to PingOne share.
#[derive(Debug)]
pub(crate) struct Session<W> {
    pub(super) transport: W,
    pub(super) endpoints: Endpoints,
    pub(super) tokens: Tokens,
    pub(crate) pacer: Arc<Pacer>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) traffic: Traffic,
    /// The pace of requests for the device report.
    pub(super) report_pace: ReportPace,
    /// Set once the environment is known to exist.
    pub(super) environment: OnceCell<()>,
    /// The client secret in every form in which it is sent, or the last assertion.
    pub(super) secrets: Secrets,
    pub(super) limits: Limits,
    clock: Clock,
    /// Its offset from PingOne's clock, from the first answer that stated the time.
    offset: OnceLock<Offset>,
}

/// Timeouts and the number of attempts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// For one request.
    pub(crate) timeout: Duration,
    /// For a row or a token, all attempts and waits together.
    pub(crate) give_up_after: Duration,
    /// The number of attempts that may fail.
    pub(crate) max_attempts: u32,
}

impl<W: Transport> Session<W> {
    pub(crate) fn new(transport: W, endpoints: Endpoints, tokens: TokenSource, pacer: Arc<Pacer>, limits: Limits, clock: Clock) -> Self {
        let secrets = Secrets::of(&tokens);
        let answers = Arc::new(Answers::new(Arc::clone(&pacer), &endpoints));
        Self {
            transport,
            endpoints,
            tokens: Tokens::new(tokens),
            pacer,
            answers,
            traffic: Traffic::default(),
            report_pace: ReportPace::default(),
            environment: OnceCell::new(),
            secrets,
            limits,
            clock,
            offset: OnceLock::new(),
        }
    }

    /// The offset of this machine's clock from PingOne's, if an answer has stated the time.
    pub(crate) fn offset(&self) -> Option<Offset> {
        self.offset.get().copied()
    }

    /// PingOne's time; this machine's as long as no answer has stated the time.
    pub(super) fn time(&self) -> DateTime<Utc> {
        self.offset().map_or(self.clock, |offset| self.clock.corrected(offset)).now()
    }

    /// The offset of this machine's clock from the server's, given the `date` of an answer that has just arrived.
    pub(super) fn offset_from(&self, date: Option<SystemTime>) -> Option<Offset> {
        date.map(|date| self.clock.offset(date))
    }

    /// Sends a request for a row once; `None` if the run is stopped before the answer comes. The caller has a permit, which came
    /// with this `token`.
    pub(crate) async fn send(&self, request: RowRequest, token: &AccessToken, stop: &Stop) -> Result<Option<Answered>, PingOneError> {
        let RowRequest { call, row, again, deadline } = request;
        self.count(again);
        self.traffic.for_users.fetch_add(1, Ordering::Relaxed);
        let sent = Instant::now();
        let left = deadline.map_or(self.limits.give_up_after, |deadline| deadline - sent);
        let limit = self.limits.timeout.min(left);
        let mut wait = self.answers.wait(Wanted::Rows, sent.checked_add(left), self.limits.max_attempts);
        wait.sent(sent);
        let reply = tokio::select! {
            biased;
            reply = self.transport.send(call, row, token, limit) => reply,
            () = stop.abandoned() => return Ok(None),
        };
        self.note_reply(self.endpoints.api.host(), &reply)?;
        let verdict = classify(call, &reply).map_texts(|text| self.redact(text, Some(token)));
        wait.ended(verdict.fault());
        let status = reply.as_ref().ok().map(|answer| answer.status);
        let correlation = reply.ok().map(|answer| answer.correlation.map(|text| self.redact(text, Some(token))));
        let took = u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(row = row.0, status, durationMs = took, "answered");
        self.learn(&verdict, token, sent)?;
        Ok(Some(Answered { verdict, correlation }))
    }

    pub(super) fn count(&self, again: bool) {
        self.traffic.sent.fetch_add(1, Ordering::Relaxed);
        self.traffic.retried.fetch_add(again.into(), Ordering::Relaxed);
    }

    /// Applies what one row's answer says about the token and the rate.
    fn learn(&self, verdict: &Verdict, token: &AccessToken, sent: Instant) -> Result<(), PingOneError> {
        match verdict {
            Verdict::Throttled { wait, detail } => return self.throttled(*wait, Some(sent), detail),
            Verdict::Unauthorized(detail) => self.unauthorized(detail, token)?,
            Verdict::Answered { .. } | Verdict::NotFound(_) | Verdict::Refused { .. } => token.accept(),
            // It is not known whether the request was admitted.
            Verdict::Faulted { fault, .. } if fault.status.is_none() => return Ok(()),
            // A gateway may answer like this without checking the token.
            Verdict::Faulted { .. } => {}
        }
        self.pacer.admitted(sent);
        Ok(())
    }

    /// Holds back all requests after a 429. `sent` is the time of the request if it counts towards the limit for users; the
    /// pacer then learns the rate from it.
    pub(super) fn throttled(&self, wait: Option<Duration>, sent: Option<Instant>, detail: &Detail) -> Result<(), PingOneError> {
        self.traffic.throttled.fetch_add(1, Ordering::Relaxed);
        let asked = wait.filter(|wait| !wait.is_zero());
        if let Some(asked) = asked.filter(|asked| *asked > self.limits.give_up_after) {
            self.tokens.failed.store(true, Ordering::Relaxed);
            return Err(PingOneError::HeldTooLong { seconds: asked.as_secs(), message: detail.clone().into() });
        }
        let begun = match sent {
            Some(sent) => self.pacer.refused(sent, asked),
            None => Some(asked.unwrap_or(HOLD)).filter(|held| self.pacer.hold(*held)),
        };
        if let Some(held) = begun {
            self.traffic.held(self.time(), held);
            let why = match wait {
                _ if held > asked.unwrap_or(HOLD) => "since nothing was let in after the last wait",
                Some(Duration::ZERO) => "its Retry-After is zero",
                Some(_) => "as it asks",
                None => "it did not say for how long",
            };
            tracing::warn!("PingOne limits the rate (429): all requests wait {} s, {why}", held.as_secs_f64());
        }
        Ok(())
    }

    /// Takes the refused `token` out of use, so that the next request renews it. An error if a renewal cannot help.
    pub(super) fn unauthorized(&self, detail: &Detail, token: &AccessToken) -> Result<(), PingOneError> {
        match &self.tokens.source {
            TokenSource::Ready(_) => return Err(PingOneError::ReadyToken(detail.clone().into())),
            // This token replaced a refused one, and PingOne has never accepted it.
            TokenSource::Endpoint(_) if token.generation > 1 && !token.was_accepted() => {
                return Err(self.fresh_token_refused(detail));
            }
            TokenSource::Endpoint(_) => {}
        }
        tracing::info!("PingOne answered 401: the token is renewed");
        self.tokens.discard(token);
        Ok(())
    }

    pub(crate) fn fresh_token_refused(&self, detail: &Detail) -> PingOneError {
        self.tokens.failed.store(true, Ordering::Relaxed);
        PingOneError::FreshToken(detail.clone().into())
    }

    /// The server's `text` without the client secret and without the `token` that the request carried. For a request without
    /// a token, the current one is removed.
    pub(super) fn redact(&self, text: String, token: Option<&AccessToken>) -> String {
        let current = if token.is_none() { self.tokens.last() } else { None };
        self.secrets.redact(text, token.or(current.as_deref()))
    }

    /// Counts the reply and reads the server's clock from it. An error if the server's certificate is not trusted.
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

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
