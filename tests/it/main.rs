//! The program as its users meet it: the built binary against the sandbox, over real sockets and files.

mod cli;
mod contract;
mod diff;
mod directory;
mod documents;
mod end;
mod harness;
mod inputs;
mod leaks;
mod listing;
mod lookup;
mod messages;
mod names;
mod numbers;
mod pace;
mod resume;
mod safety;
mod telling;
mod texts;
mod tls;
