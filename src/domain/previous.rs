//! What a user had before a run changed it: the report's column `previousUntil`.

use std::fmt;

use super::BypassUntil;

/// The text of [`Previous::NoBypass`].
const NONE: &str = "none";

/// What a user had before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Previous {
    /// No bypass that still ran.
    NoBypass,
    /// A bypass until this date.
    Until(BypassUntil),
}

impl Previous {
    /// The value that this `text` of the column stands for; `None` if it stands for none.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if text == NONE { Some(Self::NoBypass) } else { BypassUntil::read(text).map(Self::Until) }
    }

    /// The end date of the bypass, if there was one.
    pub(crate) fn until(self) -> Option<BypassUntil> {
        match self {
            Self::NoBypass => None,
            Self::Until(until) => Some(until),
        }
    }
}

impl fmt::Display for Previous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBypass => f.pad(NONE),
            Self::Until(until) => until.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_before_reads_back_as_it_was_written() {
        let until = BypassUntil::read("2026-08-31T17:00:00.000Z").expect("a date");
        for previous in [Previous::NoBypass, Previous::Until(until)] {
            assert_eq!(Previous::read(&previous.to_string()), Some(previous));
        }
        for text in ["", "None", "never", "2026-08-31"] {
            assert_eq!(Previous::read(text), None, "{text}");
        }
    }
}
