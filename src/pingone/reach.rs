//! What `doctor` tries: whether each host answers, and whether the user list may be read.

use super::endpoints::BaseUrl;
use super::error::PingOneError;
use super::fetch::Fetched;
use super::http::HttpTransport;
use super::session::Session;
use super::transport::{Resource, Transport};
use super::users::{PageResult, read_page};
use crate::domain::ForeignText;
use crate::stop::Stop;

/// Why a host does not answer.
#[derive(Debug)]
pub(crate) enum Unreached {
    Untrusted(ForeignText),
    Failed(ForeignText),
}

impl Session<HttpTransport> {
    /// Asks the host of `base` for anything, without a token: whatever it answers, it can be reached. Its clock is noted.
    pub(crate) async fn reach(&self, base: &BaseUrl) -> Result<(), Unreached> {
        let reply = self.transport.reach(base).await;
        let noted = self.note_reply(base.host(), &reply);
        let Err(fault) = reply else {
            return Ok(());
        };
        let what = self.redact(fault.what, None).into();
        // No reply but that of a server that is not trusted is an error of itself.
        Err(if noted.is_err() { Unreached::Untrusted(what) } else { Unreached::Failed(what) })
    }
}

impl<W: Transport> Session<W> {
    /// Asks for a page of one user, of all there are. An error ends everything, as for a list.
    pub(crate) async fn peek_at_users(&self, stop: &Stop) -> Result<PageResult, PingOneError> {
        let url = self.endpoints.first_user();
        let fetched =
            self.fetch(Resource::Users(&url), stop, |answer, token| read_page(answer, |text| self.redact(text, Some(token)))).await?;
        Ok(match fetched {
            Fetched::Value((page, _)) => PageResult::Page(page),
            Fetched::Refused { detail, .. } if detail.status == Some(403) => PageResult::Forbidden(detail),
            Fetched::Refused { detail, .. } => PageResult::Refused(detail),
            Fetched::Failed { detail, .. } | Fetched::Throttled(detail) => PageResult::Failed(detail),
            Fetched::Stopped => PageResult::Stopped,
        })
    }
}
