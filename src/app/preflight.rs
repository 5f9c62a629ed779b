//! What happens before a run begins: the checks of token, environment and clock, the plan, and the confirmation.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use super::approval::Approval;
use super::context::Context;
use super::error::RunError;
use super::source::{ResolvedSource, RowSource};
use super::target::TargetInfo;
use crate::clock::{GOOD_TO, Offset, Side};
use crate::config::RunConfig;
use crate::domain::{BypassUntil, Operation, PlanDigest, RunId, are, counted, shown, span_in_words};
use crate::pace::Rate;
use crate::pingone::{EnvironmentInfo, LicenceRates, WRONG_PATH};
use crate::report::{Destination, EnvironmentRecord, OperatorRecord, RunRecord};
use crate::ui::{NotConfirmed, PlanView, Planned, Question, Terminal, confirm};

/// With a clock off by more than this, nothing is granted. From the contract.
pub(super) const CLOCK_OFF: Duration = Duration::from_secs(60);
/// The status of a refusal, by PingOne or a gateway in front of it.
const FORBIDDEN: u16 = 403;
/// The environment type for which `y` is enough. Source: the API's `type`, which is this or `PRODUCTION`.
const SANDBOX: &str = "SANDBOX";

/// A run that is resumed.
pub(super) struct Resumed<'a> {
    pub(super) run: RunId,
    /// How many of its rows are settled.
    pub(super) settled: u64,
    /// The file of the users that it has looked up; `None` if it was stopped before.
    pub(super) known: Option<&'a Path>,
}

/// Resolves the users, shows the plan and asks for confirmation. Returns the source with its users.
pub(super) async fn preflight<S: RowSource>(
    context: &mut Context<'_>,
    source: S,
    record: &mut RunRecord,
    approval: Approval,
    resumed: Option<Resumed<'_>>,
) -> Result<S::Resolved, RunError> {
    let config = context.config();
    let changes = config.operation.changes() && !context.info().is_sandbox;
    // Check the token first, so that a refused run touches no file of an earlier run.
    context.has_token().await?;
    let info = if changes { context.environment().await? } else { EnvironmentInfo::default() };
    let licence = if changes { context.licence().await? } else { LicenceRates::default() };
    warn_about_rate(config.pace.rate, &licence);
    record.licence = (!licence.is_empty()).then(|| licence.0.clone());
    let offset = info.offset.or_else(|| context.session().offset());
    if changes {
        warn_about_environment(&info);
        if let Some(offset) = offset {
            check_clock(config, offset)?;
        } else {
            tracing::warn!("PingOne did not tell its time: end dates count from the clock here, right or wrong");
        }
    }
    let source = set_clock(context, source, record, offset, resumed.is_none()).await?;
    record.environment.name = info.name.as_ref().map(ToString::to_string);
    record.environment.kind = info.kind.as_ref().map(ToString::to_string);
    let began = Instant::now();
    let source = source.resolve(context, resumed.as_ref().and_then(|resumed| resumed.known)).await?;
    context.note_finding(began.elapsed());
    let target = display_name(&info, &context.info().name);
    source.note_in(&mut record.input);
    let planned = source.planned();
    let users = planned.users();
    let before = resumed.map(|Resumed { run, settled, .. }| (run, settled)).filter(|(_, settled)| *settled > 0);
    let environment = record.environment.clone();
    let plan = PlanView { resumes: before, environment, ..view(config, planned, context.info(), target, licence, approval.plan) };
    context.console().show_plan(&plan, approval.terminal.is_some());
    record.operator = OperatorRecord::of(&config.connection);
    record.confirmed = approval.record(config, &record.confirmed);
    record.end_dates = planned.end_dates().into();
    if let Some(terminal) = approval.terminal {
        // The terminal must show the plan that is confirmed, even if standard error is redirected.
        let plan = if io::stderr().is_terminal() { String::new() } else { format!("{plan}\n") };
        ask(&question(config.operation, users, before.map(|(_, settled)| settled), &record.environment), &plan, terminal, context).await?;
    }
    Ok(source)
}

/// Counts dates from PingOne's time, if it is known, the local clock is off and `--trust-clock` is not given. A new run's time
/// spans and window then count from PingOne's time too, so its input is checked again.
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

/// The plan of what `config` requests.
pub(super) fn view<'a>(
    config: &'a RunConfig,
    planned: Planned<'a>,
    info: &TargetInfo,
    target: String,
    licence: LicenceRates,
    digest: PlanDigest,
) -> PlanView<'a> {
    let report = match &config.destination {
        Destination::StandardOutput => "standard output".to_owned(),
        Destination::Files(files) => shown(&files.report).to_string(),
    };
    let identity = info.identity.clone();
    let environment = EnvironmentRecord { id: info.environment.to_string(), name: None, kind: None };
    let (operation, rate, api_url, hosts) = (config.operation, config.own_rate(), info.api_url.clone(), info.hosts.clone());
    PlanView {
        operation,
        planned,
        rate,
        licence,
        target,
        environment,
        api_url,
        hosts,
        identity,
        shard: config.shard.map(|shard| (shard, config.pace.rate)),
        canary: config.safety.canary,
        report,
        digest,
        resumes: None,
    }
}

fn display_name(info: &EnvironmentInfo, target: &str) -> String {
    match (&info.name, &info.kind) {
        (Some(name), Some(kind)) => format!("`{name}` ({kind}), {target}"),
        (Some(name), None) => format!("`{name}`, {target}"),
        (None, _) => target.to_owned(),
    }
}

/// Warns if the rate exceeds every rate of the licence: PingOne would refuse the excess requests.
fn warn_about_rate(rate: Rate, licence: &LicenceRates) {
    let is_above = |highest: f64| match rate {
        Rate::Unlimited => true,
        Rate::PerSecond(rate) => rate > highest,
    };
    if licence.highest().is_some_and(is_above) {
        tracing::warn!("`--rate` {rate} is above every rate of the licence: PingOne will refuse what is beyond them");
    }
}

fn warn_about_environment(info: &EnvironmentInfo) {
    if let Some(refusal) = &info.unread {
        let why = format!("{} {}", refusal.code, refusal.message);
        let hint = if refusal.status == Some(FORBIDDEN) && !refusal.is_of_pingone() { format!("; {WRONG_PATH}") } else { String::new() };
        tracing::warn!("the environment's name and type may not be read ({}): it is called by its ID{hint}", why.trim());
    }
}

/// Refuses a clock that is far off, and warns of one that is off. If it is off by the grace of an end or more, no bypass is
/// ended: the near dates would already have passed, or running bypasses would look expired.
fn check_clock(config: &RunConfig, offset: Offset) -> Result<(), RunError> {
    let off = span_in_words(Duration::from_secs(offset.off.as_secs()));
    let side = offset.side;
    let most = match config.operation {
        Operation::Grant | Operation::LookAndGrant if offset.off > CLOCK_OFF && !config.trust_clock => {
            return Err(RunError::ClockWrong { off, side });
        }
        Operation::Grant | Operation::LookAndGrant | Operation::Audit => CLOCK_OFF,
        Operation::End(grace) | Operation::Restore(grace) if offset.off >= grace.span() => {
            let then = match side {
                Side::Ahead => "bypasses that run would be taken for ended",
                Side::Behind => "bypasses would be asked to end in the past",
            };
            return Err(RunError::ClockOff { off, side, grace: grace.to_string(), then });
        }
        // The nearer the end dates, the smaller the error that puts them in the past.
        Operation::End(grace) | Operation::Restore(grace) => (grace.span() / 2).clamp(GOOD_TO, CLOCK_OFF),
    };
    if offset.off > most {
        let dates = if config.trust_clock { "it is trusted, and end dates are off by as much" } else { "dates count from PingOne's time" };
        tracing::warn!("the clock here is {off} {side} PingOne's: {dates}");
    }
    Ok(())
}

/// The question for this environment. An unknown type is treated like PRODUCTION. If the name cannot be displayed, the ID must
/// be typed.
fn question(operation: Operation, users: u64, settled: Option<u64>, environment: &EnvironmentRecord) -> Question {
    if environment.kind.as_deref() == Some(SANDBOX) {
        let resumes = settled
            .map(|settled| format!("Resume the run, of which {} {} settled? ", counted(settled, "row"), are(settled)))
            .unwrap_or_default();
        let whom = if settled.is_some() { format!("the rest of {}", counted(users, "user")) } else { counted(users, "user") };
        return Question::YesOrNo(resumes + &yes_or_no(operation, &whom));
    }
    match &environment.name {
        // Invisible characters have been replaced with spaces.
        Some(name) if name.chars().any(char::is_alphanumeric) => Question::Type { what: "the environment's name", text: name.clone() },
        Some(_) | None => Question::Type { what: "the environment's ID", text: environment.id.clone() },
    }
}

fn yes_or_no(operation: Operation, whom: &str) -> String {
    match operation {
        Operation::Grant => format!("Grant a bypass of MFA to {whom}?"),
        Operation::LookAndGrant => format!("Grant a bypass of MFA to {whom}, except where one runs at least as long?"),
        Operation::Audit => format!("Read the bypass of MFA of {whom}?"),
        Operation::Restore(_) => format!("Give back to {whom} what they had before the grant?"),
        Operation::End(_) => format!("End the bypass of MFA of {whom}, where there is one?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ForeignText;

    fn question_in(kind: Option<&str>, name: Option<&str>) -> Question {
        let text = |text: Option<&str>| text.map(|text| ForeignText::from(text).to_string());
        question(Operation::Grant, 2, None, &EnvironmentRecord { id: "its-id".into(), name: text(name), kind: text(kind) })
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
    fn only_a_sandbox_accepts_a_y() {
        assert_eq!(to_be_typed(question_in(Some("SANDBOX"), Some("Acme"))), "y");
        for kind in ["PRODUCTION", "production", " PRODUCTION", "", " ", "TRIAL"] {
            assert_eq!(to_be_typed(question_in(Some(kind), Some("Acme"))), "Acme", "{kind:?}");
        }
    }
}
