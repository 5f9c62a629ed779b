//! The message of the server or the network about a request.

use super::ForeignText;

/// A message of the server or the network, for the report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(crate) status: Option<u16>,
    pub(crate) code: ForeignText,
    pub(crate) message: ForeignText,
    /// PingOne's `id` of the error, by which it is found in PingOne's logs.
    pub(crate) id: ForeignText,
    /// The answer's `Correlation-Id`.
    pub(crate) correlation: ForeignText,
}

impl Detail {
    /// Applies `change` to each text and then cuts it, so that `change` can find a secret anywhere in it.
    pub(crate) fn map(self, change: impl Fn(String) -> String) -> Self {
        let Self { status, code, message, id, correlation } = self;
        let [code, message, id, correlation] = [code, message, id, correlation].map(|text| text.map(&change));
        Self { status, code, message, id, correlation }
    }

    /// Whether it is an error in PingOne's own form. Gateways in front of PingOne answer too, in forms of their own.
    pub(crate) fn is_of_pingone(&self) -> bool {
        !self.code.is_empty() || !self.id.is_empty()
    }

    /// A detail with a message of this program.
    pub(crate) fn own(status: Option<u16>, message: String) -> Self {
        Self { status, message: message.into(), ..Self::default() }
    }
}
