//! How is something learnt that belongs to no row, such as the environment or the user list? It is asked for
//! until there is an answer.

use std::time::{Duration, SystemTime};

use reqwest::Url;
use tokio::time::Instant;

use super::error::PingOneError;
use super::session::Session;
use super::token::AccessToken;
use super::verdict::{Class, class, detail};
use super::wire::{Answer, Reply, Wire};
use crate::domain::Detail;
use crate::pace::Backoff;
use crate::stop::Stop;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question<'a> {
    /// The environment.
    Environment,
    /// What the licence allows.
    Licence,
    /// A page of the user list.
    Users(&'a Url),
}

impl Question<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Licence => "rates of the licence",
            Self::Users(_) => "user list",
        }
    }

    /// Whether the run depends on the answer. Where it does not, a refusal says nothing of the token or the environment.
    fn is_needed(self) -> bool {
        match self {
            Self::Licence => false,
            Self::Environment | Self::Users(_) => true,
        }
    }

    /// Whether it is counted by the limit for users, so that the rate is learnt from it.
    fn teaches(self) -> bool {
        match self {
            Self::Environment | Self::Licence => false,
            Self::Users(_) => true,
        }
    }
}

/// What came of asking.
#[derive(Debug)]
pub(super) enum Heard<T> {
    /// What was asked for.
    Told(T),
    /// A refusal that trying again cannot mend, and what time it was there.
    Refused { said: Detail, date: Option<SystemTime> },
    /// Nothing that can be used; trying again may help, not before so long if the server said.
    Unknown { said: Detail, wait: Option<Duration> },
    /// Every request is held back; trying again then may help.
    Throttled(Detail),
    /// The run stops.
    Stopped,
}

/// Reads what was asked for out of an answer, whose texts must not show the token; or says why it cannot.
pub(super) trait Reads<T>: Fn(&Answer, &AccessToken) -> Result<T, String> {}

impl<T, F: Fn(&Answer, &AccessToken) -> Result<T, String>> Reads<T> for F {}

impl<W: Wire> Session<W> {
    /// Asks until there is an answer that `read` takes, a refusal, or no time or try left; then the last that
    /// was heard is [`Heard::Unknown`].
    pub(super) async fn ask<T>(&self, question: Question<'_>, stop: &Stop, read: impl Reads<T>) -> Result<Heard<T>, PingOneError> {
        let deadline = Instant::now() + self.limits.give_up_after;
        let mut backoff = Backoff::new();
        let mut again = false;
        loop {
            let heard = self.ask_once(question, again, stop, &read).await?;
            let (said, wait) = match heard {
                Heard::Throttled(said) if self.pacer.held_until().is_some_and(|until| until >= deadline) => (said, None),
                Heard::Throttled(_) => {
                    again = true;
                    continue;
                }
                Heard::Unknown { said, wait } => (said, Some(backoff.after_fault(wait))),
                heard @ (Heard::Told(_) | Heard::Refused { .. } | Heard::Stopped) => return Ok(heard),
            };
            let Some(wait) = wait.filter(|wait| backoff.faults() < self.limits.max_attempts && Instant::now() + *wait < deadline) else {
                return Ok(Heard::Unknown { said, wait: None });
            };
            let what = &said.message;
            tracing::info!("no {} yet ({what}): it is asked for again in {:.1} s", question.name(), wait.as_secs_f64());
            tokio::select! {
                () = stop.requested() => return Ok(Heard::Stopped),
                () = tokio::time::sleep(wait) => again = true,
            }
        }
    }

    /// Asks once, when the turn for it has come.
    pub(super) async fn ask_once<T>(
        &self,
        question: Question<'_>,
        again: bool,
        stop: &Stop,
        read: impl Reads<T>,
    ) -> Result<Heard<T>, PingOneError> {
        let Some(token) = self.permit(stop).await? else {
            return Ok(Heard::Stopped);
        };
        self.count(again);
        let sent = Instant::now();
        let reply = tokio::select! {
            biased;
            reply = self.put(question, &token) => reply,
            () = stop.abandoned() => return Ok(Heard::Stopped),
        };
        self.note_reply(self.endpoints.api.host(), &reply)?;
        let heard = self.hear(question, &reply, &token, sent, read)?;
        let was_looked_at = reply.is_ok() && !matches!(heard, Heard::Throttled(_));
        if question.teaches() && was_looked_at {
            self.pacer.admitted(sent);
        }
        Ok(heard)
    }

    async fn put(&self, question: Question<'_>, token: &AccessToken) -> Reply {
        match question {
            Question::Environment => self.wire.fetch_environment(token).await,
            Question::Licence => self.wire.fetch_licence(token).await,
            Question::Users(page) => self.wire.fetch_users(page, token).await,
        }
    }

    /// What the `reply` to a request means that was `sent` then; an error ends the run.
    fn hear<T>(
        &self,
        question: Question<'_>,
        reply: &Reply,
        token: &AccessToken,
        sent: Instant,
        read: impl Reads<T>,
    ) -> Result<Heard<T>, PingOneError> {
        let answer = match reply {
            Ok(answer) => answer,
            Err(fault) => {
                let said = Detail::own(None, fault.what.clone()).map(|text| self.redact(text, Some(token)));
                return Ok(Heard::Unknown { said, wait: None });
            }
        };
        let (said, own_form) = detail(answer);
        let said = said.map(|text| self.redact(text, Some(token)));
        let wait = answer.retry_after;
        Ok(match class(answer.status) {
            Class::NotFound | Class::Unauthorized | Class::Refused | Class::Throttled if !question.is_needed() => {
                Heard::Refused { said, date: answer.date }
            }
            Class::NotFound if own_form => return Err(self.no_environment(said)),
            Class::Answered => {
                token.accept();
                match read(answer, token) {
                    Ok(told) => Heard::Told(told),
                    Err(why) => Heard::Unknown { said: Detail::own(Some(answer.status), why), wait },
                }
            }
            Class::Refused => {
                token.accept();
                Heard::Refused { said, date: answer.date }
            }
            Class::Unauthorized => {
                self.unauthorized(&said, token)?;
                Heard::Unknown { said, wait: None }
            }
            Class::Throttled => {
                self.throttled(wait, question.teaches().then_some(sent), &said)?;
                Heard::Throttled(said)
            }
            Class::NotFound | Class::Transient => Heard::Unknown { said, wait },
        })
    }

    fn no_environment(&self, said: Detail) -> PingOneError {
        let host = self.endpoints.api.host().to_owned();
        PingOneError::NoEnvironment { environment: self.endpoints.environment, host, said: said.into() }
    }
}
