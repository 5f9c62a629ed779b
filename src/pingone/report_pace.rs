//! How far apart requests for the device report are: PingOne counts them in a group of their own, apart from those for users.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::transport::ReportPart;

/// The least time between two requests: at most 10 a second. Source: the rates of the groups, of which analytics has 600 a minute.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(100);
/// The least time between two orders of a report. Source: mfa-reports ("not more than once per 5 seconds for the same environment").
const BETWEEN_ORDERS: Duration = Duration::from_secs(5);

/// When the next requests may be sent.
#[derive(Debug, Default)]
pub(super) struct ReportPace(Mutex<Next>);

#[derive(Debug, Default, Clone, Copy)]
struct Next {
    /// When anything may be sent; `None` before the first request.
    request: Option<Instant>,
    /// When a report may be ordered.
    order: Option<Instant>,
}

impl ReportPace {
    /// How long a request for this `part` must still wait.
    pub(super) fn wait(&self, part: ReportPart<'_>) -> Duration {
        let Next { request, order } = *self.0.lock().expect("no panic while it is held");
        let next = match part {
            ReportPart::Order => request.max(order),
            ReportPart::Status(_) | ReportPart::Entries(_) => request,
        };
        next.map(|next| next.saturating_duration_since(Instant::now())).unwrap_or_default()
    }

    /// Notes a request that was sent at `sent` and has ended now, with an answer or without. An order that may still have been on
    /// its way until now counts from now.
    pub(super) fn note(&self, part: ReportPart<'_>, sent: Instant) {
        let mut next = self.0.lock().expect("no panic while it is held");
        next.request = Some(sent + BETWEEN_REQUESTS);
        if part == ReportPart::Order {
            next.order = Some(Instant::now() + BETWEEN_ORDERS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::Url;

    #[tokio::test(start_paused = true)]
    async fn orders_are_five_seconds_apart_and_other_requests_a_tenth() {
        let url = Url::parse("https://x/").expect("a URL");
        let (pace, entries) = (ReportPace::default(), ReportPart::Entries(&url));
        assert_eq!((pace.wait(ReportPart::Order), pace.wait(entries)), (Duration::ZERO, Duration::ZERO));
        let sent = Instant::now();
        tokio::time::advance(Duration::from_millis(30)).await;
        pace.note(ReportPart::Order, sent);
        assert_eq!((pace.wait(ReportPart::Order), pace.wait(entries)), (Duration::from_secs(5), Duration::from_millis(70)));
        tokio::time::advance(Duration::from_millis(4_950)).await;
        pace.note(entries, Instant::now());
        assert_eq!((pace.wait(ReportPart::Order), pace.wait(entries)), (Duration::from_millis(100), Duration::from_millis(100)));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!((pace.wait(ReportPart::Order), pace.wait(entries)), (Duration::ZERO, Duration::ZERO));
    }
}
