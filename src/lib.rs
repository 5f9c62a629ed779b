//! Grants, audits and ends PingOne MFA bypasses in bulk.
//!
//! ```text
//!  cli ──▶ config ──▶ input: check every row ──▶ run: the pipeline ──▶ report: journal ──▶ NAME.csv
//!                     directory: list page by page │        ▲
//!                                                  ▼        │ verdicts
//!                                              pingone: permit, token, request
//! ```
//!
//! A module imports only from those in the rows below its own (`config` from `cli` too).
//!
//! | module | what it does |
//! |---|---|
//! | `app` | runs each command, and decides what ends a run early |
//! | `page` | makes a page about a run, for people |
//! | `diff` | compares two reports |
//! | `ui` | shows the plan, the progress and messages to the operator |
//! | `cli`, `config` | parse the command line, and validate it together with the environment variables and the profile |
//! | `run` | sends the rows' requests until every row is settled |
//! | `lookup` | finds the users for usernames, emails or external IDs |
//! | `directory` | lists the users of the directory, and makes rows of them |
//! | `input` | reads the rows of the input, and validates each one |
//! | `report` | records the outcome of each row |
//! | `pingone` | sends requests to PingOne, and classifies its answers |
//! | [`sandbox`] | imitates PingOne, for rehearsals and tests |
//! | `pace` | decides when the next request may be sent, and when a failed one is retried |
//! | `explain` | holds the reference, and shows it on a terminal and as manual pages |
//! | `clock`, `external_sort`, `stdio` | tell the time of the run; sort more than fits into memory; write to the standard streams |
//! | `jwt` | signs JSON Web Tokens with a private key, and verifies them with the public key |
//! | `file_error` | the error for a local file |
//! | `domain`, `exit`, `platform`, `stop` | the values that every module uses; the exit codes; what is asked of Unix; the stop signal |
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
mod exit;
mod explain;
mod external_sort;
mod file_error;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod hint_tests;
mod input;
mod jwt;
#[cfg(test)]
mod logged;
mod lookup;
mod pace;
mod page;
mod pingone;
mod platform;
mod report;
mod run;
mod stdio;
mod stop;
mod ui;

pub use self::app::{run, tell_of_mistake};
pub use self::cli::Cli;
pub use self::domain::{BypassUntil, EnvironmentId, NotAUuid, Outcome, UserId};
pub use self::platform::forbid_core_dumps;
pub use self::ui::Console;
