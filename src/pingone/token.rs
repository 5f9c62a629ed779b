//! The access token: one for all requests, renewed by one of them while the others wait.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::answer::Answer;
use super::credentials::{Authentication, Credentials, Proof};
use super::redact::{Pieces, redact};

/// A token is renewed this long before it expires…
const MARGIN: Duration = Duration::from_secs(60);
/// …or a 50th of its lifetime before, if that is less.
const MARGIN_PART: u32 = 50;

/// A bearer token.
pub(crate) struct AccessToken {
    header: HeaderValue,
    pieces: Pieces,
    /// 1 for the first token, one more for each renewal.
    pub(crate) generation: u64,
    expires: Option<Instant>,
    accepted: AtomicBool,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Text that cannot be sent in an Authorization header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the access token is empty or has characters that no token has")]
pub(crate) struct NotAToken;

impl AccessToken {
    pub(crate) fn new(text: &SecretString, generation: u64, expires: Option<Instant>) -> Result<Self, NotAToken> {
        let plain = text.expose_secret();
        if plain.is_empty() || !plain.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NotAToken);
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {plain}")).map_err(|_| NotAToken)?;
        header.set_sensitive(true);
        Ok(Self { header, pieces: Pieces::of(plain), generation, expires, accepted: AtomicBool::new(false) })
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// When it expires, if it is a JWT that says so. Nothing depends on it: its signature is not verified.
    pub(crate) fn stated_expiry(&self) -> Option<DateTime<Utc>> {
        let mut parts = self.header.to_str().ok()?.split('.');
        let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        DateTime::from_timestamp(claims.get("exp")?.as_i64()?, 0)
    }

    fn is_fresh(&self) -> bool {
        self.expires.is_none_or(|expires| Instant::now() < expires)
    }

    /// Records that the API has accepted it.
    pub(crate) fn accept(&self) {
        self.accepted.store(true, Ordering::Relaxed);
    }

    /// Whether the API has ever accepted it.
    pub(crate) fn was_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// The client secret in the forms in which it is sent, or the last assertion, to be redacted.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    lasting: Vec<Pieces>,
    /// The assertion that was sent last; none, without a lock being taken, where there never is one.
    assertion: Option<Mutex<Option<Arc<Pieces>>>>,
}

impl Secrets {
    /// What no text may show of what is sent to get a token from this source.
    pub(super) fn of(source: &TokenSource) -> Self {
        let TokenSource::Endpoint(credentials) = source else {
            return Self::default();
        };
        let assertion = matches!(credentials.proof, Proof::PrivateKeyJwt(_)).then(Mutex::default);
        Self { lasting: credentials.secrets(), assertion }
    }

    /// Notes what is about to be sent.
    pub(super) fn note(&self, sent: &Authentication<'_>) {
        if let (Authentication::Assertion(sent), Some(last)) = (sent, &self.assertion) {
            *last.lock().expect("no panic while it is held") = Some(Arc::new(Pieces::of(sent.text.expose_secret())));
        }
    }

    /// `text` without any piece of these secrets or of the `token`.
    pub(super) fn redact(&self, text: String, token: Option<&AccessToken>) -> String {
        let assertion = self.assertion.as_ref().and_then(|last| last.lock().expect("no panic while it is held").clone());
        let all: Vec<&Pieces> = self.lasting.iter().chain(assertion.as_deref()).chain(token.map(|token| &token.pieces)).collect();
        redact(text, &all)
    }
}

/// Where the token comes from.
#[derive(Debug)]
pub(crate) enum TokenSource {
    /// The user supplied a token, which cannot be renewed.
    Ready(Arc<AccessToken>),
    /// The token endpoint, which accepts these credentials.
    Endpoint(Credentials),
}

/// The token of the run.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) source: TokenSource,
    current: Mutex<Option<Arc<AccessToken>>>,
    fetched: AtomicU64,
    /// Whether the run can send no more requests, because no token can be obtained or for another error that ends it. No request
    /// tries again.
    pub(crate) failed: AtomicBool,
}

impl Tokens {
    pub(crate) fn new(source: TokenSource) -> Self {
        let current = match &source {
            TokenSource::Ready(token) => Some(Arc::clone(token)),
            TokenSource::Endpoint(_) => None,
        };
        Self { source, current: Mutex::new(current), fetched: AtomicU64::new(0), failed: AtomicBool::new(false) }
    }

    /// The current token, unless it has expired or the run has failed.
    pub(crate) fn fresh(&self) -> Option<Arc<AccessToken>> {
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        let current = self.current.lock().expect("no panic while it is held");
        current.as_ref().filter(|token| token.is_fresh()).cloned()
    }

    /// The current token, expired or not, unless PingOne has refused it.
    pub(crate) fn last(&self) -> Option<Arc<AccessToken>> {
        self.current.lock().expect("no panic while it is held").clone()
    }

    /// The generation of the next token.
    pub(crate) fn next_generation(&self) -> u64 {
        self.fetched.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn set(&self, token: AccessToken) -> Arc<AccessToken> {
        let token = Arc::new(token);
        *self.current.lock().expect("no panic while it is held") = Some(Arc::clone(&token));
        token
    }

    /// Takes `token` out of use, unless it has been replaced already.
    pub(crate) fn discard(&self, token: &AccessToken) {
        let mut current = self.current.lock().expect("no panic while it is held");
        if current.as_ref().is_some_and(|current| current.generation == token.generation) {
            *current = None;
        }
    }
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: SecretString,
    /// A number, or a number as text. With anything else, the token is used until it is refused.
    expires_in: Option<Value>,
}

/// Reads the token from the token endpoint's `answer` to a request sent at `sent`.
pub(crate) fn read_token(answer: &Answer, sent: Instant, generation: u64) -> Result<AccessToken, String> {
    let body = answer.body.as_deref().map_err(Clone::clone)?;
    // Serde would read an array as a struct.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err("the token endpoint's answer is not a JSON object".to_owned());
    }
    // The body contains the token and serde's messages may quote it, so only the position is reported.
    let body: TokenBody = serde_json::from_slice(body)
        .map_err(|error| format!("the token endpoint's answer cannot be read (line {}, column {})", error.line(), error.column()))?;
    // Counted from the time of the request, so that it never expires at the server first.
    let seconds = body.expires_in.as_ref().and_then(|seconds| seconds.as_f64().or_else(|| seconds.as_str()?.trim().parse().ok()));
    let expires = seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .and_then(|lifetime| sent.checked_add(lifetime.saturating_sub(MARGIN.min(lifetime / MARGIN_PART))));
    AccessToken::new(&body.access_token, generation, expires).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Answer {
        Answer { status: 200, retry_after: None, date: None, correlation: "".into(), body: Ok(body.to_owned().into()) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_a_little_before_it_expires() {
        for (lifetime, used_for) in [(3600, 3540.0), (2, 1.96), (0, 0.0)] {
            let body = format!(r#"{{"access_token":"abc","token_type":"Bearer","expires_in":{lifetime}}}"#);
            let token = read_token(&answer(&body), Instant::now(), 1).expect("a token");
            let start = Instant::now();
            assert_eq!(token.expires, Some(start + Duration::from_secs_f64(used_for)), "{lifetime}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_used_until_it_expires() {
        let token = |expires| AccessToken::new(&SecretString::from("abc"), 1, expires).expect("a token");
        let now = Instant::now();
        assert!(token(None).is_fresh() && token(Some(now + Duration::from_millis(1))).is_fresh());
        assert!(!token(Some(now)).is_fresh());
        let tokens = Tokens::new(TokenSource::for_tests());
        assert_eq!([tokens.next_generation(), tokens.next_generation(), tokens.next_generation()], [1, 2, 3]);
        tokens.set(token(Some(now + Duration::from_secs(5))));
        assert!(tokens.fresh().is_some() && tokens.last().is_some());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(tokens.fresh().is_none() && tokens.last().is_some(), "it is redacted still");
        let other = AccessToken::new(&SecretString::from("def"), 2, None).expect("a token");
        tokens.discard(&other);
        assert!(tokens.last().is_some(), "another was refused");
        tokens.discard(&token(None));
        assert!(tokens.last().is_none());
        assert!(!other.was_accepted());
        other.accept();
        assert!(other.was_accepted());
    }

    #[test]
    fn a_token_that_is_a_jwt_tells_when_it_expires() {
        let jwt = |claims: &str| format!("eyJ4IjoxfQ.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims));
        for (text, expected) in [
            (jwt(r#"{"exp":1795771800}"#), Some(1_795_771_800)),
            (jwt(r#"{"exp":"1795771800"}"#), None),
            (jwt(r#"{"exp":1e300}"#), None),
            (jwt("{}"), None),
            (jwt("[]"), None),
            ("a.b.c".to_owned(), None),
            ("opaque".to_owned(), None),
            (jwt(r#"{"exp":1}"#) + ".d", None),
        ] {
            let token = AccessToken::new(&text.clone().into(), 1, None).expect("a token");
            assert_eq!(token.stated_expiry().map(|expiry| expiry.timestamp()), expected, "{text}");
        }
    }

    #[test]
    fn a_lifetime_is_a_number_in_any_form_or_unknown() {
        let now = Instant::now();
        for (lifetime, known) in
            [("3600", true), ("3600.5", true), ("\"3600\"", true), ("-5", false), ("null", false), ("\"soon\"", false), ("1e300", false)]
        {
            let body = format!(r#"{{"access_token":"abc","expires_in":{lifetime}}}"#);
            assert_eq!(read_token(&answer(&body), now, 1).expect(lifetime).expires.is_some(), known, "{lifetime}");
        }
        assert!(read_token(&answer(r#"["abc",3600]"#), now, 1).is_err());
    }

    #[test]
    fn a_secret_is_redacted_in_every_form_in_which_it_is_sent() {
        let secrets =
            Secrets::of(&TokenSource::Endpoint(Credentials { client_id: "id".to_owned(), proof: Proof::Post("s3cr+t/&x".into()) }));
        let text = "s3cr+t/&x, aWQ6czNjcit0LyZ4, s3cr%2Bt%2F%26x.".to_owned();
        assert_eq!(secrets.redact(text, None), "[redacted], [redacted], [redacted].");
    }

    #[test]
    fn no_message_or_debug_text_shows_the_token() {
        let now = Instant::now();
        for body in [r#"{"access_token":"s3cret"#, r#"{"access_token":["s3cret"]}"#, r#"{"access_token":"s3cret\n"}"#] {
            let why = read_token(&answer(body), now, 1).expect_err("unusable");
            assert!(!why.contains("s3cret"), "{why}");
        }
        let token = read_token(&answer(r#"{"access_token":"s3cret"}"#), now, 1).expect("a token");
        assert!(!format!("{token:?} {:?}", token.header()).contains("s3cret"));
        assert_eq!(format!("{token:?} {:?}", token.pieces), "AccessToken { generation: 1, .. } Pieces { .. }");
        assert_eq!(Secrets::default().redact("you sent Bearer s3cret!".into(), Some(&token)), "you sent Bearer [redacted]!");
    }
}
