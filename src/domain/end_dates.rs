//! The earliest and the latest of some end dates.

use super::BypassUntil;

/// The earliest and the latest of the end dates that were added, if there were any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct EndDates(Option<(BypassUntil, BypassUntil)>);

impl EndDates {
    pub(crate) fn add(&mut self, until: BypassUntil) {
        let (earliest, latest) = self.0.unwrap_or((until, until));
        self.0 = Some((earliest.min(until), latest.max(until)));
    }

    /// The earliest and the latest.
    pub(crate) fn span(self) -> Option<(BypassUntil, BypassUntil)> {
        self.0
    }
}

impl Extend<BypassUntil> for EndDates {
    fn extend<T: IntoIterator<Item = BypassUntil>>(&mut self, dates: T) {
        dates.into_iter().for_each(|until| self.add(until));
    }
}
