//! With which code does the program exit?

/// Every row succeeded.
pub const EXIT_SUCCESS: u8 = 0;
/// The run finished, but rows failed.
pub const EXIT_ROWS_FAILED: u8 = 1;
/// Usage, configuration or input; nothing was sent.
pub const EXIT_USAGE: u8 = 2;
/// Stopped by too many failures.
pub const EXIT_STOPPED: u8 = 3;
/// Authentication or authorization refused.
pub const EXIT_REFUSED: u8 = 4;
/// Local files.
pub const EXIT_FILES: u8 = 5;

/// `diff`: there are changes.
pub const EXIT_CHANGES: u8 = 1;
/// `diff`: whatever keeps it from telling.
pub const EXIT_TROUBLE: u8 = 2;

/// Interrupted by SIGINT.
pub const EXIT_SIGINT: u8 = 130;
/// Interrupted by SIGTERM.
pub const EXIT_SIGTERM: u8 = 143;
/// Interrupted by SIGHUP.
pub const EXIT_SIGHUP: u8 = 129;
