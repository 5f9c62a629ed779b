//! The longest filter for the user list: PingOne limits the size of a request's headers, and the URL counts towards it.

use super::session::Session;
use super::transport::Transport;

/// The largest request headers, in bytes. Source: paging-ordering-filtering-collections.
const MAX_HEADERS: usize = 6 << 10;
/// The bytes reserved for headers other than the URL and the token: host, user agent, run ID and the like take less than half of
/// it, and a proxy may add its own.
const OTHER_HEADERS: usize = 1 << 10;
/// The longest URL, in bytes, however short the token, since a renewed token may be longer. The strictest proxies allow 4 KiB.
const MAX_URL: usize = 3500;

/// How many bytes `text` takes in a URL, as part of a filter.
pub(crate) fn encoded_len(text: &str) -> usize {
    // The serializer writes a space as `+`; it is sent as `%20`.
    form_urlencoded::byte_serialize(text.as_bytes()).map(|part| if part == "+" { 3 } else { part.len() }).sum()
}

/// The budget for a filter with a base URL and a token of usual length: 150 bytes for the rest of the URL.
pub(crate) const USUAL_BUDGET: usize = MAX_URL - 150;

impl<W: Transport> Session<W> {
    /// How many bytes a filter may take in a URL, measured by [`encoded_len`].
    pub(crate) fn filter_budget(&self) -> usize {
        let token = self.tokens.fresh().map_or(0, |token| token.header().len());
        let rest = self.endpoints.users(Some("")).as_str().len();
        let url = MAX_URL.min((MAX_HEADERS - OTHER_HEADERS).saturating_sub(token));
        // Never zero: a filter of a single value is always sent, and the server decides whether it is too long.
        url.saturating_sub(rest).max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;
    use secrecy::SecretString;

    use super::*;
    use crate::domain::EnvironmentId;
    use crate::pace::{Pacer, Rate};
    use crate::pingone::{AccessToken, Endpoints, HttpSettings, HttpTransport, Limits, Region, TokenSource, TrustedCa};

    fn endpoints() -> Endpoints {
        let environment: EnvironmentId = "abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6".parse().expect("a UUID");
        Endpoints { api: Region::Au.api_url(), auth: Region::Au.auth_url(), environment, auth_environment: environment, urls: None }
    }

    fn budget(token: usize) -> usize {
        let limits = Limits { timeout: Duration::from_secs(1), give_up_after: Duration::from_secs(1), max_attempts: 1 };
        let settings = HttpSettings {
            endpoints: endpoints(),
            ca: TrustedCa::default(),
            timeout: limits.timeout,
            concurrency: 1,
            run: crate::domain::RunId::random(),
        };
        let transport = HttpTransport::new(settings).expect("a client");
        let token = AccessToken::new(&SecretString::from("x".repeat(token)), 1, None).expect("a token");
        let pacer = Arc::new(Pacer::new(Rate::Unlimited));
        let clock = crate::clock::Clock::of_this_machine().expect("after 1970");
        let session = Session::new(transport, endpoints(), TokenSource::Ready(Arc::new(token)), pacer, limits, clock);
        session.filter_budget()
    }

    #[test]
    fn a_longer_token_leaves_a_smaller_budget() {
        let rest = endpoints().users(Some("")).as_str().len();
        assert_eq!(budget(1500) + rest, MAX_URL);
        assert!(budget(1500) >= USUAL_BUDGET, "the budget is at least what the plan assumes: {rest}");
        assert_eq!(budget(4000) + rest + 4000 + "Bearer ".len() + OTHER_HEADERS, MAX_HEADERS);
        assert_eq!(budget(6000), 1);
        assert_eq!((MAX_HEADERS, OTHER_HEADERS, USUAL_BUDGET), (6144, 1024, 3350));
    }

    proptest! {
        #[test]
        fn the_encoded_length_is_the_length_in_the_url(filter in any::<String>()) {
            let rest = endpoints().users(Some("")).as_str().len();
            prop_assert_eq!(endpoints().users(Some(&filter)).as_str().len(), rest + encoded_len(&filter));
        }
    }
}
