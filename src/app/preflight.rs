//! What is said and asked before a run begins: the plan, the environment, the clock, the question.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use super::context::Context;
use super::error::RunError;
use super::source::{ResolvedSource, RowSource};
use super::target::TargetInfo;
use crate::clock::{GOOD_TO, Offset, Side};
use crate::config::RunConfig;
use crate::domain::{BypassUntil, Operation, shown};
use crate::pace::Rate;
use crate::pingone::{EnvironmentInfo, LicenceRates};
use crate::report::{Destination, EnvironmentRecord, RunRecord};
use crate::ui::{NotConfirmed, PlanView, Planned, Question, Terminal, confirm};

/// A clock that is off by more than this grants nothing. From the contract.
const CLOCK_OFF: Duration = Duration::from_secs(60);
/// The type of an environment where a `y` is enough. Source: the API's `type`, which is this or `PRODUCTION`.
const SANDBOX: &str = "SANDBOX";

/// Finds out who the users are, shows what is to be done, and asks whether it should be. Returns the source with its users
/// known; where a run is resumed, the users are known already that stand in its `journal`.
pub(super) async fn preflight<S: RowSource>(
    context: &mut Context<'_>,
    source: S,
    record: &mut RunRecord,
    journal: Option<&Path>,
) -> Result<S::Resolved, RunError> {
    let config = context.config();
    let changes = config.operation.changes() && !context.info().is_sandbox;
    let asks = changes && !config.safety.yes;
    let terminal = if asks { Some(Terminal::controlling().ok_or(RunError::NobodyToAsk)?) } else { None };
    // Whoever is refused is refused before a file of an earlier run is touched.
    context.has_token().await?;
    let info = if changes { context.environment().await? } else { EnvironmentInfo::default() };
    let licence = if changes { context.licence().await? } else { LicenceRates::default() };
    warn_of_rate(config.pace.rate, &licence);
    record.licence = (!licence.is_empty()).then(|| licence.by_name().clone());
    let offset = info.offset.or_else(|| context.session().offset());
    if changes {
        warn_of(&info);
        if let Some(offset) = offset {
            check_clock(config, offset)?;
        } else {
            tracing::warn!("PingOne did not tell its time: end dates count from the clock here, right or wrong");
        }
    }
    let source = set_clock(context, source, record, offset, journal.is_none()).await?;
    record.environment.name = info.name.as_ref().map(ToString::to_string);
    record.environment.kind = info.kind.as_ref().map(ToString::to_string);
    let source = source.resolve(context, journal).await?;
    let target = named(&info, &context.info().name);
    let planned = source.planned();
    let users = planned.users();
    let plan = view(config, planned, context.info(), target, licence);
    context.console().show_plan(&plan, asks);
    if let Some(terminal) = terminal {
        // Nobody agrees to what is not to be seen there.
        let plan = if io::stderr().is_terminal() { String::new() } else { format!("{plan}\n") };
        ask(&question(config.operation, users, &record.environment), &plan, terminal, context).await?;
    }
    Ok(source)
}

/// Counts dates from PingOne's time, if it is known and the clock here is not to be trusted instead. In a run that
/// begins, spans and the window count from there too: its input is checked once more.
async fn set_clock<S: RowSource>(
    context: &mut Context<'_>,
    source: S,
    record: &mut RunRecord,
    offset: Option<Offset>,
    begins: bool,
) -> Result<S, RunError> {
    let config = context.config();
    record.clock_offset_seconds = offset.map(|offset| offset.signed().num_seconds());
    let Some(offset) = offset.filter(|offset| offset.off > GOOD_TO && !config.trust_clock) else {
        return Ok(source);
    };
    context.correct_clock(offset);
    if !begins {
        return Ok(source);
    }
    let start = context.clock().millis();
    record.started_at = BypassUntil::from_instant(start).map(|start| start.to_string()).unwrap_or_default();
    source.restart(config, start, context.stop()).await
}

async fn ask(question: &Question, plan: &str, terminal: Terminal, context: &Context<'_>) -> Result<(), RunError> {
    match confirm(question, plan, terminal, context.console(), context.stop()).await {
        Ok(()) => Ok(()),
        Err(NotConfirmed::No) => Err(RunError::NotConfirmed),
        Err(NotConfirmed::Stopped) => Err(RunError::before_the_first_row(context.stop())),
    }
}

/// A plan of what `config` asks for.
pub(super) fn view<'a>(
    config: &'a RunConfig,
    planned: Planned<'a>,
    info: &TargetInfo,
    target: String,
    licence: LicenceRates,
) -> PlanView<'a> {
    let report = match &config.destination {
        Destination::StandardOutput => "standard output".to_owned(),
        Destination::Files(files) => shown(&files.report).to_string(),
    };
    PlanView { operation: config.operation, planned, rate: config.pace.rate, licence, target, identity: info.identity.clone(), report }
}

fn named(info: &EnvironmentInfo, target: &str) -> String {
    match (&info.name, &info.kind) {
        (Some(name), Some(kind)) => format!("`{name}` ({kind}), {target}"),
        (Some(name), None) => format!("`{name}`, {target}"),
        (None, _) => target.to_owned(),
    }
}

/// Warns of a rate that is above every one that the licence allows: all requests beyond those would be refused.
fn warn_of_rate(rate: Rate, licence: &LicenceRates) {
    let is_above = |highest: f64| match rate {
        Rate::Unlimited => true,
        Rate::PerSecond(rate) => rate > highest,
    };
    if licence.highest().is_some_and(is_above) {
        tracing::warn!("`--rate` {rate} is above every rate of the licence: PingOne will refuse what is beyond them");
    }
}

fn warn_of(info: &EnvironmentInfo) {
    if let Some(said) = &info.unread {
        let why = format!("{} {}", said.code, said.message);
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

/// The question that fits the environment: one whose type is not known is taken for the kind that matters, and
/// one whose name cannot be seen is called by its ID.
fn question(operation: Operation, users: u64, environment: &EnvironmentRecord) -> Question {
    if environment.kind.as_deref() == Some(SANDBOX) {
        return Question::YesOrNo(asked(operation, users));
    }
    match &environment.name {
        // What is not seen has been made a space.
        Some(name) if name.chars().any(char::is_alphanumeric) => Question::Type { what: "the environment's name", text: name.clone() },
        Some(_) | None => Question::Type { what: "the environment's ID", text: environment.id.clone() },
    }
}

fn asked(operation: Operation, users: u64) -> String {
    match operation {
        Operation::Grant => format!("Grant a bypass of MFA for {users} users?"),
        Operation::Audit => format!("Read the bypass of MFA of {users} users?"),
        Operation::End(_) => format!("End the bypass of MFA of each of {users} users who has one?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ForeignText;

    fn question_in(kind: Option<&str>, name: Option<&str>) -> Question {
        let text = |text: Option<&str>| text.map(|text| ForeignText::from(text).to_string());
        question(Operation::Grant, 2, &EnvironmentRecord { id: "its-id".into(), name: text(name), kind: text(kind) })
    }

    fn to_be_typed(question: Question) -> String {
        match question {
            Question::Type { text, .. } => text,
            Question::YesOrNo(_) => "y".into(),
        }
    }

    #[test]
    fn a_name_that_cannot_be_seen_is_not_asked_for() {
        let blank = [
            "",
            " ",
            "\t",
            "\u{a0}",
            "\u{200b}\u{2060}\u{feff}",
            "\u{3164}",
            "\u{2800}",
            "\u{ad}",
            "\u{1b}\u{7f}",
            "\u{e0041}",
            "=",
            "***",
        ];
        for kind in [Some("PRODUCTION"), None] {
            for name in blank {
                assert_eq!(to_be_typed(question_in(kind, Some(name))), "its-id", "{name:?}");
            }
            assert_eq!(to_be_typed(question_in(kind, None)), "its-id");
            for name in ["Acme", "x", "7", "株式会社", "=1"] {
                assert_eq!(to_be_typed(question_in(kind, Some(name))), ForeignText::from(name).to_string());
            }
        }
    }

    #[test]
    fn a_y_is_enough_in_a_sandbox_alone() {
        assert_eq!(to_be_typed(question_in(Some("SANDBOX"), Some("Acme"))), "y");
        for kind in ["PRODUCTION", "production", " PRODUCTION", "", " ", "TRIAL"] {
            assert_eq!(to_be_typed(question_in(Some(kind), Some("Acme"))), "Acme", "{kind:?}");
        }
    }
}
