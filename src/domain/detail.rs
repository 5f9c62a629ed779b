//! What did the server or the network say of a request?

use super::ForeignText;

/// What the server or the network said, for the report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(crate) status: Option<u16>,
    pub(crate) code: ForeignText,
    pub(crate) message: ForeignText,
    /// PingOne's own `id` of the fault, to be found in its logs.
    pub(crate) id: ForeignText,
}

impl Detail {
    /// The detail with each text changed, and then cut: a secret is looked for in the whole of it.
    pub(crate) fn map(self, change: impl Fn(String) -> String) -> Self {
        Self { status: self.status, code: self.code.map(&change), message: self.message.map(&change), id: self.id.map(&change) }
    }

    /// A detail in words of our own.
    pub(crate) fn own(status: Option<u16>, message: String) -> Self {
        Self { status, message: message.into(), ..Self::default() }
    }
}
