//! `merge`: makes one report of the reports of a run's shards.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::error::RunError;
use super::finish::code_of;
use super::signals::listen_saying;
use crate::cli::MergeArgs;
use crate::domain::{EndDates, Outcome, counted, escaped, shown};
use crate::report::{Ending, Former, MergeError, Merged, OutputError, ReportFiles, RunRecord, ShardSet, Status, Summary};
use crate::stop::Stop;
use crate::ui::Console;

/// The key of `--allow` among the options in a record.
const ALLOW: &str = "allow";
/// What a signal does, and a second one.
const STOPPED: [&str; 2] = ["nothing is written", "nothing is written"];

/// Merges the reports, and returns the exit code: that of the run whose rows they are.
pub(super) async fn merge(arguments: MergeArgs, console: &Console) -> Result<u8, RunError> {
    if arguments.output.as_os_str() == "-" {
        return Err(MergeError::Output(OutputError::NotAFile(arguments.output)).into());
    }
    let files = ReportFiles::beside(&arguments.output).map_err(MergeError::Output)?;
    let stop = Stop::default();
    let signals = listen_saying(stop.clone(), STOPPED)?;
    let former = if arguments.overwrite { Former::Replace } else { Former::Keep };
    let (output, stopped) = (files.clone(), stop.clone());
    let merging = tokio::task::spawn_blocking(move || {
        let shards = ShardSet::read(&arguments.shards)?;
        let merged = shards.merge(&output, former, || stopped.is_requested())?;
        Ok::<_, MergeError>(merged.map(|merged| (merged, shards.count())))
    });
    let merged = merging.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    signals.abort();
    match merged? {
        Some((merged, count)) => Ok(conclude(merged, count, &files, console)),
        // Only a signal stops it.
        None => Err(stop.signalled().map_or(RunError::Unaccounted, RunError::MergeStopped)),
    }
}

/// Tells the operator what was merged. Returns the exit code.
fn conclude(merged: Merged, count: usize, files: &ReportFiles, console: &Console) -> u8 {
    let Merged { record, published, differing_options } = merged;
    let allowed: Vec<Outcome> = record.options.allow.iter().filter_map(|name| Outcome::named(name)).collect();
    let mut summary = summary_of(&record, files);
    summary.tally = published.tally;
    let exit_code = super::finish::exit_code(&published.tally, &allowed);
    summary.ending = Some(Ending { status: Status::Completed, exit_code });
    console.summarize(&summary);
    console.tell(&format!("merged {}: {}", counted(count as u64, "shard"), shown(&files.report)));
    if !differing_options.is_empty() {
        let names = differing_options.join("`, `");
        console.tell(&format!("the shards ran with different options, of which the record has those of shard 0: `{names}`"));
    }
    if differing_options.iter().any(|name| name == ALLOW) {
        console.tell("not all shards ran with the same `--allow`: none is honoured, and the record has none");
    }
    if published.tally.failures() > 0 {
        console.tell(&format!("failed rows are in {}: fix them and run that file", shown(&files.failed)));
    }
    code_of(&published.tally, &allowed, console)
}

/// The summary of all shards as one run: from the first start to the last end.
fn summary_of(record: &RunRecord, files: &ReportFiles) -> Summary {
    let instant = |text: &str| text.parse::<DateTime<Utc>>().ok();
    let finished = record.finished_at.as_deref().and_then(instant);
    let took = instant(&record.started_at).zip(finished).and_then(|(started, finished)| (finished - started).to_std().ok());
    // The shards are held back at the same time: the sum might be more than the time that passed.
    let held = record.shards.iter().map(|shard| shard.holds.seconds).fold(0.0, f64::max);
    let environment = escaped(&record.environment.id);
    let place = if record.options.sandbox { "the sandbox".to_owned() } else { escaped(&record.api_url) };
    Summary {
        target: format!("environment {environment} at {place}"),
        tally: crate::report::tally(&record.totals),
        bypass_ends: EndDates::default(),
        rows: None,
        sent: record.requests.sent,
        retried: record.requests.retried,
        throttled: record.requests.throttled,
        took: took.unwrap_or_default(),
        held: Duration::try_from_secs_f64(held).unwrap_or_default(),
        files: files.finished(),
        differing: None,
        ending: None,
    }
}
