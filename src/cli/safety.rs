//! Options that keep a run from doing what nobody wanted.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::domain::{Counts, MaxFailures, Outcome, PlanDigest};

#[derive(Debug, Args)]
#[command(next_help_heading = "Safety")]
pub(crate) struct SafetyArgs {
    /// Ask no question
    #[arg(long)]
    pub(crate) yes: bool,
    /// In place of the question: go on only if this is the plan's digest, as `--dry-run` prints it
    #[arg(long, value_name = "DIGEST", conflicts_with = "yes")]
    pub(crate) approve: Option<PlanDigest>,
    /// Who agreed, for the run's record
    #[arg(long, value_name = "TEXT")]
    pub(crate) approved_by: Option<String>,
    /// Show the plan and stop there; nothing is sent
    ///
    /// Not even a token is asked for.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Refuse an input of more rows
    #[arg(long, value_name = "N")]
    pub(crate) max_users: Option<u64>,
    /// Settle the first N rows alone, and go on only if every one succeeded
    ///
    /// Rows for which nothing is sent do not count.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) canary: Option<u64>,
    /// Stop when more rows than this have failed
    ///
    /// A share counts once 50 rows have settled.
    #[arg(long, value_name = "N|P%", default_value = "20%")]
    pub(crate) max_failures: MaxFailures,
    /// Failures that do not make the exit code 1; they are counted, reported and limited as ever
    #[arg(long, value_name = "RESULT,…", value_delimiter = ',', value_parser = failure())]
    pub(crate) allow: Vec<Outcome>,
    /// Why, for the run's record: a ticket number, say
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// A result that counts as a failure.
fn failure() -> impl TypedValueParser<Value = Outcome> {
    let failures = Outcome::ALL.into_iter().filter(|outcome| outcome.counts() == Counts::Failure);
    PossibleValuesParser::new(failures.map(Outcome::name)).try_map(|name| Outcome::named(&name).ok_or("no such result"))
}
