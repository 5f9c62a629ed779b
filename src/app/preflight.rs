//! What is said and asked before a run begins: the plan, the environment, the clock, the question.

use std::path::Path;
use std::time::Duration;

use super::rows::Run;
use super::subjects::Subjects;
use crate::clock::{GOOD_TO, Offset, Side};
use crate::config::RunConfig;
use crate::directory::Listing;
use crate::domain::{BypassUntil, Operation};
use crate::error::RunError;
use crate::pingone::EnvironmentInfo;
use crate::report::{Destination, RunRecord, server_text};
use crate::ui::{NotConfirmed, PlanView, Planned, Question, confirm};

/// A clock that is off by more than this grants nothing. From the contract.
const CLOCK_OFF: Duration = Duration::from_secs(60);
/// The type of an environment whose name must be typed. Source: the API's `type`.
const PRODUCTION: &str = "PRODUCTION";

/// Finds out whom the run is about, shows what is to be done, and asks whether it should be. Answers the subjects
/// with their users known, or the beginning of their list; where a run is taken up, those users of an input are
/// known already that stand in its `journal`.
pub(super) async fn preflight(
    config: &RunConfig,
    subjects: Subjects,
    run: &mut Run<'_>,
    record: &mut RunRecord,
    journal: Option<&Path>,
) -> Result<(Subjects, Option<Listing>), RunError> {
    let changes = config.operation.changes() && !run.is_sandbox();
    // Whoever is refused is refused before a file of an earlier run is touched.
    run.has_token().await?;
    let info = if changes { run.environment().await? } else { EnvironmentInfo::default() };
    let offset = info.offset.or_else(|| run.session().offset());
    if changes {
        warn_of(&info);
        offset.map_or(Ok(()), |offset| check_clock(config, offset))?;
    }
    let subjects = set_clock(config, subjects, run, record, offset, journal.is_none())?;
    record.environment.name = info.name.as_deref().map(server_text);
    record.environment.kind = info.kind.as_deref().map(server_text);
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

/// Counts dates from PingOne's time, if it is known and the clock here is not to be trusted instead. In a run that
/// begins, spans and the window count from there too: its input is checked once more.
fn set_clock(
    config: &RunConfig,
    subjects: Subjects,
    run: &mut Run<'_>,
    record: &mut RunRecord,
    offset: Option<Offset>,
    begins: bool,
) -> Result<Subjects, RunError> {
    record.clock_offset_seconds = offset.map(|offset| offset.signed().num_seconds());
    let Some(offset) = offset.filter(|offset| offset.off > GOOD_TO && !config.trust_clock) else {
        return Ok(subjects);
    };
    run.correct_clock(offset);
    if !begins {
        return Ok(subjects);
    }
    let start = run.clock().millis();
    record.started_at = BypassUntil::from_instant(start).map(|start| start.to_string()).unwrap_or_default();
    subjects.begun_at(config, start)
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
        Destination::Files(files) => files.report.display().to_string(),
    };
    PlanView { operation: config.operation, planned, rate: config.pace.rate, target, identity, report }
}

fn named(info: &EnvironmentInfo, target: &str) -> String {
    match (&info.name, &info.kind) {
        (Some(name), Some(kind)) => format!("`{}` ({}), {target}", server_text(name), server_text(kind)),
        (Some(name), None) => format!("`{}`, {target}", server_text(name)),
        (None, _) => target.to_owned(),
    }
}

fn warn_of(info: &EnvironmentInfo) {
    if let Some(said) = &info.unread {
        let why = server_text(&format!("{} {}", said.code, said.message));
        tracing::warn!("the environment's name and type may not be read ({}): it is called by its ID", why.trim());
    }
}

/// Refuses a clock that is far off, and warns of one that is off. With one that is off by more than near dates are
/// ahead, no bypass is ended: they would have passed, or bypasses that run would seem to have.
fn check_clock(config: &RunConfig, offset: Offset) -> Result<(), RunError> {
    let off = humantime::format_duration(Duration::from_secs(offset.off.as_secs())).to_string();
    let side = offset.side;
    let most = match config.operation {
        Operation::Grant if offset.off > CLOCK_OFF && !config.trust_clock => return Err(RunError::ClockWrong { off, side }),
        Operation::Grant | Operation::Audit => CLOCK_OFF,
        Operation::End(grace) if offset.off >= grace.span() => {
            let then = match side {
                Side::Ahead => "bypasses that run would be taken for ended",
                Side::Behind => "bypasses would be asked to end in the past",
            };
            return Err(RunError::ClockOff { off, side, grace: grace.to_string(), then });
        }
        // The nearer the dates, the less it takes for them to have passed.
        Operation::End(grace) => (grace.span() / 2).clamp(GOOD_TO, CLOCK_OFF),
    };
    if offset.off > most {
        let dates = if config.trust_clock { "it is trusted, and end dates are off by as much" } else { "dates count from PingOne's time" };
        tracing::warn!("the clock here is {off} {side} PingOne's: {dates}");
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
