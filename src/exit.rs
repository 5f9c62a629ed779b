//! The program's exit codes.

/// Every row succeeded.
pub(crate) const EXIT_SUCCESS: u8 = 0;
/// The run finished, but rows failed.
pub(crate) const EXIT_ROWS_FAILED: u8 = 1;
/// An error in usage, configuration or input; nothing was sent.
pub(crate) const EXIT_USAGE: u8 = 2;
/// The run was stopped because too many rows failed.
pub(crate) const EXIT_STOPPED: u8 = 3;
/// Authentication or authorization was refused.
pub(crate) const EXIT_REFUSED: u8 = 4;
/// A local file could not be used.
pub(crate) const EXIT_FILES: u8 = 5;

/// `diff`: the reports differ.
pub(crate) const EXIT_CHANGES: u8 = 1;
/// `diff`, `verify`: any error.
pub(crate) const EXIT_TROUBLE: u8 = 2;

/// `verify`: the report does not stand as its record says.
pub(crate) const EXIT_UNVERIFIED: u8 = 1;

pub(crate) const EXIT_SIGINT: u8 = 130;
pub(crate) const EXIT_SIGTERM: u8 = 143;
pub(crate) const EXIT_SIGHUP: u8 = 129;
