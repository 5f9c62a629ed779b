//! End-to-end tests: the built binary against the sandbox, over real sockets and files.

mod approval;
mod changed;
mod cli;
mod clock;
mod completions;
mod contract;
mod diff;
mod directory;
mod documents;
mod end;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod faults;
mod files;
mod gateway;
mod harness;
mod inputs;
mod keys;
mod kills;
mod leaks;
mod licence;
mod listing;
mod lookup;
mod messages;
mod names;
mod numbers;
mod pace;
mod page;
mod page_browser;
mod pipes;
mod question;
mod resume;
mod safety;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod shim;
mod signals;
mod streams;
mod structure;
mod telling;
mod terminal;
mod texts;
mod tls;
mod trial;
mod undo;
mod verify;
mod versions;
