//! Grants, audits and ends PingOne MFA bypasses in bulk.
//!
//! ```text
//!  cli ──▶ config ──▶ input: check every row ──▶ run: the pipeline ──▶ report: journal ──▶ NAME.csv
//!                     directory: list page by page │        ▲
//!                                                  ▼        │ verdicts
//!                                              pingone: token, turn, request
//! ```
//!
//! A module imports only from those in the rows below its own (`config` from `cli` too).
//!
//! | module | the question that it answers |
//! |---|---|
//! | `app` | what each command does, and what ends a run before its time |
//! | `diff` | what changed from one report to another |
//! | `ui` | what the operator sees |
//! | `cli`, `config` | what was typed, and what is meant |
//! | `run` | how rows become settled rows |
//! | `lookup` | who is meant by a username, an email or an external ID |
//! | `directory` | which users the directory holds, and which rows they become |
//! | `input` | which rows the input holds, and whether every one is sound |
//! | `report` | what became of each row, and how that is kept |
//! | `pingone` | what is asked of PingOne, and what its answers mean |
//! | [`sandbox`] | what PingOne would have answered |
//! | `pace` | when the next request may be sent, and when a failed one is tried again |
//! | `clock`, `external_sort`, `stdio` | what time it is; how more is sorted than memory holds; how the standard streams are written |
//! | `file_error` | which local file could not be used |
//! | `domain`, `exit`, `stop` | which values every module uses; with which code the program exits; whether the run is to stop |
//!
//! The library never exits, and prints through [`Console`] only.

pub mod sandbox;

mod app;
mod cli;
mod clock;
mod config;
mod diff;
mod directory;
mod domain;
mod dumps;
mod exit;
mod external_sort;
mod file_error;
#[cfg(test)]
mod fuzz;
mod input;
#[cfg(test)]
mod logged;
mod lookup;
mod pace;
mod pingone;
mod report;
mod run;
mod stdio;
mod stop;
mod ui;

pub use self::app::run;
pub use self::cli::Cli;
pub use self::clock::Side;
pub use self::config::ConfigError;
pub use self::diff::{DiffError, LineFault};
pub use self::directory::{ListedFor, ListingError};
pub use self::domain::{BypassUntil, Counts, EnvironmentId, ForeignText, NotAUuid, Outcome, Tally, UserId};
pub use self::dumps::forbid_core_dumps;
pub use self::file_error::FileError;
pub use self::input::{BadRows, HeaderFault, InputError};
pub use self::pingone::{Endless, PingOneError, ServerMessage};
pub use self::report::{OutputError, Summary};
pub use self::stop::Signal;
pub use self::ui::Console;

/// What ends a run before its time, and with which code the program exits.
pub mod error {
    pub use crate::app::{LastFailure, RunError};
    pub use crate::exit::{
        EXIT_CHANGES, EXIT_FILES, EXIT_REFUSED, EXIT_ROWS_FAILED, EXIT_SIGHUP, EXIT_SIGINT, EXIT_SIGTERM, EXIT_STOPPED, EXIT_SUCCESS,
        EXIT_TROUBLE, EXIT_USAGE,
    };
}
