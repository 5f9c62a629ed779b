//! What is said and asked before a run begins: the plan, the environment, the clock, the question.

use std::path::Path;
use std::time::Duration;

use super::rows::Run;
use super::subjects::Subjects;
use crate::config::RunConfig;
use crate::directory::Listing;
use crate::domain::{Operation, shown};
use crate::error::RunError;
use crate::pingone::EnvironmentInfo;
use crate::report::{Destination, RunRecord};
use crate::ui::{NotConfirmed, PlanView, Planned, Question, confirm};

/// A clock that is off by more than this is warned of.
const CLOCK_OFF: Duration = Duration::from_secs(60);
/// PingOne tells its time to the second, and the answer takes a while.
const CLOCK_GOOD_TO: Duration = Duration::from_secs(2);
/// The type of an environment whose name must be typed. Source: the API's `type`.
const PRODUCTION: &str = "PRODUCTION";

/// Finds out whom the run is about, shows what is to be done, and asks whether it should be. Answers the subjects
/// with their users known, or the beginning of their list; where a run is taken up, those users of an input are
/// known already that stand in its `journal`.
pub(super) async fn preflight(
    config: &RunConfig,
    subjects: Subjects,
    run: &Run<'_>,
    record: &mut RunRecord,
    journal: Option<&Path>,
) -> Result<(Subjects, Option<Listing>), RunError> {
    let changes = config.operation.changes() && !run.is_sandbox();
    // Whoever is refused is refused before a file of an earlier run is touched.
    run.has_token().await?;
    let info = if changes { run.environment().await? } else { EnvironmentInfo::default() };
    if changes {
        warn_of(&info);
        check_clock(config.operation, &info)?;
    }
    record.environment.name = info.name.as_ref().map(ToString::to_string);
    record.environment.kind = info.kind.as_ref().map(ToString::to_string);
    let (subjects, listing) = subjects.found(config, run, journal).await?;
    let asks = changes && !config.safety.yes;
    let target = named(&info, run.target());
    let planned = subjects.planned(listing.as_ref(), None);
    run.console().show_plan(&view(config, planned, target, run.identity().to_owned()), asks);
    if asks {
        ask(&question(config, planned.users(), record), run).await?;
    }
    Ok((subjects, listing))
}

async fn ask(question: &Question, run: &Run<'_>) -> Result<(), RunError> {
    match confirm(question, run.console(), run.stop()).await {
        Ok(()) => Ok(()),
        Err(NotConfirmed::NoTerminal) => Err(RunError::NobodyToAsk),
        Err(NotConfirmed::No) => Err(RunError::NotConfirmed),
        Err(NotConfirmed::Stopped) => Err(RunError::before_the_first_row(run.stop())),
    }
}

/// A plan of what `config` asks for.
pub(super) fn view<'a>(config: &'a RunConfig, planned: Planned<'a>, target: String, identity: String) -> PlanView<'a> {
    let report = match &config.destination {
        Destination::StandardOutput => "standard output".to_owned(),
        Destination::Files(files) => shown(&files.report).to_string(),
    };
    PlanView { operation: config.operation, planned, rate: config.pace.rate, target, identity, report }
}

fn named(info: &EnvironmentInfo, target: &str) -> String {
    match (&info.name, &info.kind) {
        (Some(name), Some(kind)) => format!("`{name}` ({kind}), {target}"),
        (Some(name), None) => format!("`{name}`, {target}"),
        (None, _) => target.to_owned(),
    }
}

fn warn_of(info: &EnvironmentInfo) {
    if let Some(said) = &info.unread {
        let why = format!("{} {}", said.code, said.message);
        tracing::warn!("the environment's name and type may not be read ({}): it is called by its ID", why.trim());
    }
}

/// Warns of a clock that is off. With one that is off by more than near dates are ahead, no bypass is ended: they
/// would have passed, or bypasses that run would seem to have.
fn check_clock(operation: Operation, info: &EnvironmentInfo) -> Result<(), RunError> {
    let Some((off, ahead)) = info.clock else {
        return Ok(());
    };
    let shown = humantime::format_duration(Duration::from_secs(off.as_secs()));
    let side = if ahead { "ahead of" } else { "behind" };
    if let Some(grace) = operation.grace().filter(|grace| off >= grace.span()) {
        let then = if ahead { "bypasses that run would be taken for ended" } else { "bypasses would be asked to end in the past" };
        return Err(RunError::ClockOff { off: shown.to_string(), side, grace: grace.to_string(), then });
    }
    // The nearer the dates, the less it takes for them to have passed.
    let most = operation.grace().map_or(CLOCK_OFF, |grace| (grace.span() / 2).clamp(CLOCK_GOOD_TO, CLOCK_OFF));
    if off > most {
        let dates = if operation.grace().is_some() { "the dates at which bypasses end" } else { "spans such as `+4h`" };
        tracing::warn!("the clock here is {shown} {side} PingOne's: {dates} are off by as much");
    }
    Ok(())
}

/// The question that fits the environment: one whose type is not known is taken for the kind that matters.
fn question(config: &RunConfig, users: u64, record: &RunRecord) -> Question {
    let environment = &record.environment;
    match (&environment.kind, &environment.name) {
        (Some(kind), _) if kind != PRODUCTION => Question::YesOrNo(asked(config.operation, users)),
        (_, Some(name)) => Question::Type { what: "the environment's name", text: name.clone() },
        (_, None) => Question::Type { what: "the environment's ID", text: environment.id.clone() },
    }
}

fn asked(operation: Operation, users: u64) -> String {
    match operation {
        Operation::Grant => format!("Grant a bypass of MFA for {users} users?"),
        Operation::Audit => format!("Read the bypass of MFA of {users} users?"),
        Operation::End(_) => format!("End the bypass of MFA of each of {users} users who has one?"),
    }
}
