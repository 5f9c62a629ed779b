//! `grant`, `audit` and `end`: the flow of a run, from its configuration to its exit code.

use super::approval::{Approval, check_approved, plan_digest, terminal};
use super::context::{Context, Start};
use super::csv_source::CsvSource;
use super::directory_source::DirectorySource;
use super::error::RunError;
use super::feed::{ResumePoint, RowFeed};
use super::file_sink::FileSink;
use super::metrics_file::MetricsFile;
use super::preflight::{Resumed, preflight, view};
use super::reading::unless_stopped;
use super::reported_source::ReportedSource;
use super::sink::{Admitted, ReportSink};
use super::source::{ResolvedSource, RowSource};
use super::stream::Stream;
use super::target::Target;
use crate::config::{Existing, RunConfig, Users};
use crate::domain::RunId;
use crate::exit::EXIT_SUCCESS;
use crate::pingone::LicenceRates;
use crate::report::{Destination, ReportFiles, RunRecord, refuse_existing};
use crate::ui::Console;

/// Runs the operation in `config` for every row of an input, or every user of the directory.
pub(super) async fn run_rows(config: &RunConfig, metrics: &MetricsFile<'_>, to_resume: &str, console: &Console) -> Result<u8, RunError> {
    let start = Start::new(config, metrics, console)?;
    match &config.users {
        Users::File(path) => run_source::<CsvSource>(&start, path, to_resume).await,
        Users::Reported => run_source::<ReportedSource>(&start, &(), to_resume).await,
        Users::Directory(selection) => run_source::<DirectorySource>(&start, selection, to_resume).await,
    }
}

/// Chooses where the report goes. A dry run writes none.
async fn run_source<S: RowSource>(start: &Start<'_>, spec: &S::Spec, to_resume: &str) -> Result<u8, RunError> {
    let config = start.config;
    if config.safety.dry_run {
        return dry_run::<S>(start, spec).await;
    }
    start.metrics.try_out()?;
    if config.existing != Existing::Resume {
        // Before an input is waited for. A run to resume may be finished, and then asks nothing.
        terminal(start)?;
    }
    match &config.destination {
        Destination::StandardOutput => Box::pin(run::<S, _>(start, spec, Stream::open(start)?)).await,
        Destination::Files(files) => Box::pin(run::<S, _>(start, spec, FileSink::open(start, ReportFiles::clone(files), to_resume)?)).await,
    }
}

/// The whole flow: source → preflight → pipeline → journal → report. A run with nothing left to send ends at `admit`, before
/// anything is started.
async fn run<S: RowSource, K: ReportSink>(start: &Start<'_>, spec: &S::Spec, sink: K) -> Result<u8, RunError> {
    let Start { config, info, console, clock, stop, .. } = start;
    let (started_at, run_id) = sink.origin().unwrap_or_else(|| (clock.millis(), RunId::random()));
    console.set_run(run_id);
    let source = S::read(spec, config, started_at, stop, console).await;
    let (source, mut record, mut index) = match sink.admit(source, |input| RunRecord::of(config, input, started_at, info, run_id))? {
        Admitted::Done(code) => return Ok(code),
        Admitted::Rows(source, record, index) => (source, *record, *index),
    };
    let approval = Approval::of(start, &record.input)?;
    let target = Target::connect(&config.connection).await?;
    target.note_in(&mut record);
    let mut context = Context::new(start, target, run_id)?;
    let settled = index.settled_tally().rows();
    let resumed = sink.journal_to_resume().map(|_| Resumed { run: run_id, settled, known: sink.known_users(&index) });
    let source = preflight(&mut context, source, &mut record, approval, resumed).await;
    context.note_requests();
    let source = source?;
    let journal = sink.begin(&mut record, &source, &mut index).await?;
    let (before, is_resumed) = (index.settled_tally(), index.has_header());
    let resume_point = ResumePoint {
        index,
        journal: sink.journal_to_resume().filter(|_| is_resumed),
        in_doubt_up_to: record.in_doubt_up_to,
        now: context.clock().now(),
    };
    let (rows, feed) = source.into_feed(resume_point)?;
    if is_resumed {
        context.resume(run_id, before, feed.expected());
    }
    if record.canary_succeeded {
        context.leave_out_canary();
    }
    let results = context.run(journal, feed, before).await;
    sink.finish(results, &*rows, record, before)
}

/// Shows the plan, and sends and writes nothing.
async fn dry_run<S: RowSource>(start: &Start<'_>, spec: &S::Spec) -> Result<u8, RunError> {
    let Start { config, info, console, clock, stop, .. } = start;
    if let (Destination::Files(files), Existing::Keep) = (&config.destination, config.existing) {
        refuse_existing(files)?;
    }
    let source = S::read(spec, config, clock.millis(), stop, console).await?;
    let (source, forecast) = unless_stopped(stop, move || source.forecast().map(|forecast| (source, forecast))).await??;
    let plan = plan_digest(config, &source.record());
    console.show_plan(&view(config, source.planned(forecast), info, info.name.clone(), LicenceRates::default(), plan), true);
    source.approve(config.safety.max_users)?;
    check_approved(config, plan)?;
    console.tell("this was a dry run: nothing was sent");
    Ok(EXIT_SUCCESS)
}
