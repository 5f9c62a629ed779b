//! Grants, audits and ends PingOne MFA bypasses in bulk.
//!
//! ```text
//!  cli ──▶ config ──▶ input: check every row ──▶ run: the pipeline ──▶ report: journal ──▶ NAME.csv
//!                     directory: list page by page │        ▲
//!                                                  ▼        │ verdicts
//!                                              pingone: token, turn, request
//! ```
//!
//! | module | the question that it answers |
//! |---|---|
//! | `cli`, `config` | what was typed, and what is meant |
//! | `domain`, `when`, `clock` | which values everybody speaks of; what instant a text means; what time it is |
//! | `input` | which rows the input holds, and whether every one is sound |
//! | `lookup` | who is meant by a username, an email or an external ID |
//! | `directory` | which users the directory holds, and which rows they become |
//! | `pace` | when the next request may be sent, and when a failed one is tried again |
//! | `pingone` | what is asked of PingOne, and what its answers mean |
//! | `run` | how rows become settled rows |
//! | `report` | what became of each row, and how that is kept |
//! | `diff` | what changed from one report to another |
//! | `ui` | what the operator sees |
//! | [`sandbox`] | what PingOne would have answered |
//!
//! The library never exits, and prints through [`Console`] only.

pub mod error;
pub mod sandbox;

mod app;
mod cli;
mod clock;
mod config;
mod diff;
mod directory;
mod domain;
mod dumps;
mod external_sort;
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
pub use self::input::{BadRows, HeaderFault, InputError};
pub use self::pingone::{Endless, PingOneError, Said};
pub use self::report::{FileError, OutputError, Summary};
pub use self::stop::Signal;
pub use self::ui::Console;
