//! Options of `explain` and `man`.

use std::path::PathBuf;

use clap::Args;

/// The description of `explain` above its options.
pub(super) const ABOUT: &str = "\
The reference, offline: what columns, dates, results, codes and options mean

Without a name, lists the topics. A name may also be a result (`mismatch`), a column of the report (`errorId`), an exit code \
(`3`) or an option (`--canary`). On a terminal, a long text is shown by PAGER, or `less`.";

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A topic, a result, a column, an exit code or an option
    #[arg(value_name = "TOPIC", allow_hyphen_values = true)]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder that the pages are written to; without it, the page of the program goes to standard output
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}
