//! Sends requests over HTTP with reqwest, set up so that the token stays safe.

use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{AGE, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Request, RequestBuilder, Response, Url};
use secrecy::ExposeSecret;

use super::answer::{Answer, Fault, Reply};
use super::credentials::Authentication;
use super::endpoints::{BaseUrl, BypassUrls, Endpoints};
use super::error::PingOneError;
use super::exploration::order;
use super::token::AccessToken;
use super::transport::{Call, ReportPart, Resource, Transport};
use crate::domain::{ForeignText, RowNumber, RunId};
use crate::jwt::CLIENT_ASSERTION_TYPE;

/// The longest body that is read, in bytes. PingOne's answers have less than 2 KiB.
const MAX_BODY: usize = 64 << 10;
/// The longest page of the user list, in bytes: 200 users of some KiB each.
const MAX_PAGE: usize = 4 << 20;
/// The longest list of an environment's capabilities, in bytes: some hundred entries.
const MAX_CAPABILITIES: usize = 256 << 10;
/// The longest page of the device report, in bytes: 1,000 entries of up to 8 KiB.
const MAX_ENTRIES: usize = 8 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout of the request for the licence: nothing depends on its answer.
const LICENCE_TIMEOUT: Duration = Duration::from_secs(5);
/// A longer `Retry-After` is cut to a year, which is longer than any run.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The capacity for a request's headers, including those that the client adds.
const HEADERS: usize = 6;
const CORRELATION_ID: HeaderName = HeaderName::from_static("correlation-id");
const SESSION_ID: HeaderName = HeaderName::from_static("x-ping-external-session-id");
/// The row in the transaction ID of a request that belongs to none. Rows count from 1.
const NO_ROW: RowNumber = RowNumber(0);
const TRANSACTION_ID: HeaderName = HeaderName::from_static("x-ping-external-transaction-id");

/// Certificate authorities to trust besides the system's.
#[derive(Clone, Default)]
pub(crate) struct TrustedCa(pub(crate) Vec<reqwest::Certificate>);

impl fmt::Debug for TrustedCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustedCa({})", self.0.len())
    }
}

#[derive(Debug)]
pub(crate) struct HttpSettings {
    pub(crate) endpoints: Endpoints,
    pub(crate) ca: TrustedCa,
    pub(crate) timeout: Duration,
    pub(crate) concurrency: usize,
    pub(crate) run: RunId,
}

/// PingOne over HTTP.
#[derive(Debug)]
pub(crate) struct HttpTransport {
    api: Client,
    auth: Client,
    bypass_urls: BypassUrls,
    /// The run ID, sent with every request.
    session: HeaderValue,
    /// The prefix of the transaction IDs.
    transactions: String,
    settings: HttpSettings,
}

impl HttpTransport {
    pub(crate) fn new(settings: HttpSettings) -> Result<Self, PingOneError> {
        // Fails if a program that uses this library has installed another provider, which is fine.
        drop(rustls::crypto::ring::default_provider().install_default());
        let api = client(&settings, &settings.endpoints.api)?;
        let Endpoints { api: to, auth: from, .. } = &settings.endpoints;
        // Two clients are needed only if one uses the proxy and the other must not, or only one is encrypted.
        let alike = (to.is_loopback(), to.is_plain()) == (from.is_loopback(), from.is_plain());
        let auth = if alike { api.clone() } else { client(&settings, from)? };
        let session = HeaderValue::try_from(settings.run.to_string()).expect("a UUID is header text");
        let (bypass_urls, transactions) = (settings.endpoints.bypass_urls(), format!("{}-", settings.run));
        Ok(Self { api, auth, bypass_urls, session, transactions, settings })
    }

    /// Asks the host of `base` for nothing in particular, without a token.
    pub(super) async fn reach(&self, base: &BaseUrl) -> Reply {
        let HttpSettings { endpoints, timeout, .. } = &self.settings;
        let client = if *base == endpoints.api { &self.api } else { &self.auth };
        let request = client.get(base.url()).timeout(*timeout).header(SESSION_ID, self.session.clone());
        exchange(MAX_BODY, request.send(), *timeout).await
    }

    fn token_request(&self, authentication: &Authentication<'_>) -> RequestBuilder {
        let request = self.auth.post(self.settings.endpoints.token()).timeout(self.settings.timeout);
        let request = request.header(SESSION_ID, self.session.clone());
        let grant = ("grant_type", "client_credentials");
        match authentication {
            Authentication::Basic { client_id, secret } => request.basic_auth(client_id, Some(secret.expose_secret())).form(&[grant]),
            Authentication::Post { client_id, secret } => {
                request.form(&[grant, ("client_id", client_id), ("client_secret", secret.expose_secret())])
            }
            Authentication::Assertion(assertion) => request.form(&[
                grant,
                ("client_assertion_type", CLIENT_ASSERTION_TYPE),
                ("client_assertion", assertion.text.expose_secret()),
            ]),
        }
    }

    /// A request for `row`.
    fn request(&self, method: Method, url: Url, row: RowNumber, token: &AccessToken, limit: Duration) -> Request {
        let mut request = Request::new(method, url);
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(AUTHORIZATION, token.header());
        headers.insert(SESSION_ID, self.session.clone());
        let transaction = [self.transactions.as_str(), &row.to_string()].concat();
        headers.insert(TRANSACTION_ID, HeaderValue::try_from(transaction).expect("UUIDs and numbers are header text"));
        *request.headers_mut() = headers;
        *request.timeout_mut() = Some(limit);
        request
    }
}

impl Transport for HttpTransport {
    async fn send(&self, call: Call, row: RowNumber, token: &AccessToken, limit: Duration) -> Reply {
        let url = self.bypass_urls.of(call.user());
        let request = match call {
            Call::Get(_) => self.request(Method::GET, url, row, token, limit),
            // The end date needs no escaping: it consists of digits, `-`, `:`, `.`, `T` and `Z`.
            Call::Put(_, until) => {
                let mut request = self.request(Method::PUT, url, row, token, limit);
                request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                *request.body_mut() = Some(format!(r#"{{"bypassMFAEnabledUntil":"{until}"}}"#).into());
                request
            }
        };
        exchange(MAX_BODY, self.api.execute(request), limit).await
    }

    async fn fetch(&self, resource: Resource<'_>, token: &AccessToken) -> Reply {
        let HttpSettings { endpoints, timeout, .. } = &self.settings;
        let (method, url, most, limit) = match resource {
            Resource::Environment => (Method::GET, endpoints.environment(), MAX_BODY, *timeout),
            Resource::Licence => (Method::GET, endpoints.capabilities(), MAX_CAPABILITIES, LICENCE_TIMEOUT.min(*timeout)),
            Resource::Users(page) => (Method::GET, page.clone(), MAX_PAGE, *timeout),
            Resource::Report(ReportPart::Order) => (Method::POST, endpoints.explorations(), MAX_BODY, *timeout),
            Resource::Report(ReportPart::Status(url)) => (Method::GET, url.clone(), MAX_BODY, *timeout),
            Resource::Report(ReportPart::Entries(page)) => (Method::GET, page.clone(), MAX_ENTRIES, *timeout),
        };
        let mut request = self.request(method, url, NO_ROW, token, limit);
        if let Resource::Report(ReportPart::Order) = resource {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(order().into());
        }
        exchange(most, self.api.execute(request), limit).await
    }

    async fn fetch_token(&self, authentication: &Authentication<'_>) -> Reply {
        exchange(MAX_BODY, self.token_request(authentication).send(), self.settings.timeout).await
    }
}

/// A client for one base URL. A server on this machine is reached without a proxy: otherwise the token would leave the machine
/// unencrypted.
fn client(settings: &HttpSettings, base: &BaseUrl) -> Result<Client, PingOneError> {
    let mut builder = Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
        .pool_max_idle_per_host(settings.concurrency)
        .https_only(!base.is_loopback());
    builder = if base.is_plain() {
        // Loading the system's certificate authorities takes longer than the rest of the start, and none is needed here.
        builder.tls_certs_only([])
    } else {
        builder.tls_certs_merge(settings.ca.0.iter().cloned())
    };
    if base.is_loopback() {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| PingOneError::Client(causes(&error)))
}

/// Sends a request and reads up to `most` bytes of the answer's body.
async fn exchange(most: usize, sent: impl Future<Output = reqwest::Result<Response>>, limit: Duration) -> Reply {
    let response = sent.await.map_err(|error| fault(error, limit))?;
    let status = response.status().as_u16();
    let date = date(response.headers());
    let retry_after = retry_after(response.headers());
    let correlation = correlation(response.headers());
    let body = match read_body(response, most).await {
        // For a refusal, the status is enough.
        Ok(None) if !(200..300).contains(&status) => Ok(Bytes::new()),
        Ok(body) => body.ok_or_else(|| format!("the answer is longer than {} KiB", most >> 10)),
        Err(error) => Err(format!("the answer broke off: {}", causes(&error.without_url()))),
    };
    Ok(Answer { status, retry_after, date, correlation, body })
}

/// The body of the response; `None` if it is longer than `most` bytes.
async fn read_body(mut response: Response, most: usize) -> reqwest::Result<Option<Bytes>> {
    let mut body = Bytes::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most {
            return Ok(None);
        }
        // Most bodies arrive in one chunk, which is not copied.
        body = if body.is_empty() { chunk } else { joined(body, &chunk) };
    }
    Ok(Some(body))
}

fn joined(body: Bytes, chunk: &[u8]) -> Bytes {
    let mut body = BytesMut::from(body);
    body.extend_from_slice(chunk);
    body.freeze()
}

fn fault(error: reqwest::Error, limit: Duration) -> Fault {
    let untrusted = is_untrusted(&error);
    let connecting = error.is_connect() || error.is_builder();
    let what = if error.is_timeout() && !connecting {
        format!("no answer within {:.1} s", limit.as_secs_f64())
    } else {
        causes(&error.without_url())
    };
    Fault { may_have_arrived: !connecting, untrusted, what }
}

/// Whether the error is an untrusted server certificate.
fn is_untrusted(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        // `io::Error::source` skips the error that the `io::Error` wraps.
        let made_of = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = made_of.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
    }
    false
}

/// An error and its causes in one line, without repetitions.
fn causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| (*cause).source()) {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
    }
    line
}

/// The server's time. If a cache has stored the answer, its age is added.
fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let date = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok())?;
    let age = text(AGE).and_then(|age| age.trim().parse().ok()).map_or(Duration::ZERO, Duration::from_secs);
    date.checked_add(age.min(MAX_RETRY_AFTER))
}

/// `Correlation-Id`, whatever it holds.
fn correlation(headers: &HeaderMap) -> ForeignText {
    headers.get(CORRELATION_ID).map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned().into()).unwrap_or_default()
}

/// `Retry-After`, in seconds or as a date. A date is relative to the server's own clock if the answer states it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let until = httpdate::parse_http_date(text).ok()?;
        until.duration_since(date(headers).unwrap_or_else(SystemTime::now)).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("text"))).collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let read = |pairs: &[_]| retry_after(&headers(pairs)).map(|wait| wait.as_secs());
        let date = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(read(&[(RETRY_AFTER, "7")]), Some(7));
        assert_eq!(read(&[(RETRY_AFTER, " 0 ")]), Some(0));
        assert_eq!(read(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:49:49 GMT"), date.clone()]), Some(12));
        assert_eq!(read(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:49:00 GMT"), date]), Some(0));
        assert_eq!(read(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:49:37 GMT")]), Some(0));
        assert_eq!(read(&[(RETRY_AFTER, "99999999999")]), Some(31_536_000));
        for none in ["", "soon", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(read(&[(RETRY_AFTER, none)]), None, "{none}");
        }
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;
    use crate::fuzz::{bytes, cases, spoilt};
    use proptest::prelude::*;

    const VALUES: [&str; 7] = [
        "7",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "18446744073709551615",
        "Thu, 01 Jan 1970 00:00:00 GMT",
    ];

    fn value() -> impl Strategy<Value = Option<HeaderValue>> {
        prop_oneof![3 => spoilt(VALUES), 1 => bytes()].prop_map(|value| HeaderValue::from_bytes(&value).ok())
    }

    proptest! {
        #![proptest_config(cases(256))]

        /// No header causes a wait of more than a year, and a number of seconds is read as that number.
        #[test]
        fn a_hostile_header_causes_no_unbounded_wait(wait in value(), now in value()) {
            let mut headers = HeaderMap::new();
            for (name, value) in [(RETRY_AFTER, &wait), (DATE, &now)] {
                headers.extend(value.clone().map(|value| (name, value)));
            }
            let read = retry_after(&headers);
            prop_assert!(read.is_none_or(|wait| wait <= MAX_RETRY_AFTER));
            let number = wait.as_ref().and_then(|wait| wait.to_str().ok()?.trim().parse().ok());
            if let Some(seconds) = number {
                prop_assert_eq!(read, Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER)));
            }
            if let Some(date) = date(&headers) {
                // The offset from the local clock must be computable.
                prop_assert!(SystemTime::now().duration_since(date).is_ok() || date.duration_since(SystemTime::now()).is_ok());
            }
        }
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod over_a_socket;
