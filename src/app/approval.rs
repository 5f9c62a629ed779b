//! What a plan's digest covers, and whether the run may go on: it was approved, or there is a terminal to ask on, or nothing has
//! to be confirmed.

use std::time::Duration;

use serde::Serialize;

use super::context::Start;
use super::error::RunError;
use crate::cli::{PaceArgs, SafetyArgs};
use crate::config::{Connection, RunConfig};
use crate::domain::{Attribute, Operation, PlanDigest};
use crate::input::Dialect;
use crate::pingone::Endpoints;
use crate::report::{ConfirmationRecord, Confirmed, DirectoryRecord, InputRecord};
use crate::ui::Terminal;

/// The format of what is hashed. It changes if a plan of the same words comes to mean other requests, or if [`Covered`] does.
const FORMAT: &str = "pingone-bypass plan 2";

/// What the digest covers, in the order in which it is hashed, as JSON: all that decides which requests are sent to whom, and the
/// limits that the run was approved with. Everything is as typed, so that the digest is the same on another machine and on
/// another day: `+4h` stays `+4h`, and a file has no path. [`covered`] names what is left out, and why.
#[derive(Serialize)]
struct Covered<'a> {
    format: &'static str,
    operation: &'static str,
    /// `--in`.
    grace_ms: Option<u64>,
    /// The environment, and the API's URL, which stands for the region; none in the sandbox inside the process.
    environment: Option<String>,
    api: Option<String>,
    /// The SHA-256 of the input's bytes.
    input: Option<&'a str>,
    /// The selection of the directory, as the filter that PingOne is sent.
    directory: Option<CoveredSelection<'a>>,
    /// The template of the device report, if the users are those of the report. Left out otherwise, so that other plans keep their
    /// digests.
    #[serde(skip_serializing_if = "Option::is_none")]
    reported: Option<&'a str>,
    until: Option<&'a str>,
    user_column: Option<&'a str>,
    lookup_by: Option<&'static str>,
    until_column: Option<&'a str>,
    delimiter: Option<char>,
    no_headers: bool,
    skip_invalid: bool,
    max_window_ms: Option<u64>,
    trust_clock: bool,
    max_users: Option<u64>,
    canary: Option<u64>,
    max_failures: String,
}

#[derive(Serialize)]
struct CoveredSelection<'a> {
    filter: Option<&'a str>,
}

/// The digest of the plan of `config` for this `input`.
pub(super) fn plan_digest(config: &RunConfig, input: &InputRecord) -> PlanDigest {
    let canonical = serde_json::to_vec(&covered(config, input)).expect("it has no map, and nothing else that JSON cannot hold");
    PlanDigest::of(&canonical)
}

/// What of `config` and `input` the digest covers. Each field is named here, so that the compiler asks about a new one.
fn covered<'a>(config: &'a RunConfig, input: &'a InputRecord) -> Covered<'a> {
    let RunConfig {
        operation,
        // The `input` says what was read of them.
        users: _,
        until,
        dialect: Dialect { user_column, lookup_by, until_column, delimiter, no_headers },
        skip_invalid,
        // The plan is that of all shards: who approves it approves each of its parts.
        shard: _,
        connection,
        // How fast and how patiently requests are sent: not which.
        pace: PaceArgs { rate: _, concurrency: _, max_attempts: _, timeout: _, give_up_after: _ },
        max_window,
        trust_clock,
        safety,
        // Where the report goes, which of its lines, and in which form: nothing that PingOne sees.
        destination: _,
        lines: _,
        output_dialect: _,
        existing: _,
        metrics: _,
    } = config;
    // How it is confirmed, what is noted about that, and what the exit code counts is not part of what is confirmed.
    let SafetyArgs { yes: _, approve: _, approved_by: _, dry_run: _, max_users, canary, max_failures, allow: _, reason: _ } = safety;
    let InputRecord { path: _, sha256, rows: _, dialect: _, directory, reported } = input;
    let (environment, api) = match connection {
        Connection::Sandbox => (None, None),
        // Another application, or another way to reach the same API, sends the same requests.
        Connection::PingOne { endpoints, identity: _, ca: _ } => {
            let Endpoints { api, auth: _, environment, auth_environment: _, urls: _ } = &**endpoints;
            (Some(environment.to_string()), Some(api.to_string()))
        }
    };
    let (operation, grace) = covered_operation(*operation);
    Covered {
        format: FORMAT,
        operation,
        grace_ms: grace.map(millis),
        environment,
        api,
        input: sha256.as_deref(),
        directory: directory.as_ref().map(|DirectoryRecord { filter }| CoveredSelection { filter: filter.as_deref() }),
        reported: reported.as_ref().map(|reported| reported.template.as_str()),
        until: until.as_deref(),
        user_column: user_column.as_deref(),
        lookup_by: lookup_by.map(Attribute::name),
        until_column: until_column.as_deref(),
        delimiter: delimiter.map(char::from),
        no_headers: *no_headers,
        skip_invalid: *skip_invalid,
        max_window_ms: max_window.map(millis),
        trust_clock: *trust_clock,
        max_users: *max_users,
        canary: *canary,
        max_failures: max_failures.to_string(),
    }
}

/// An operation with the options that make another one of it, and its `--in`.
fn covered_operation(operation: Operation) -> (&'static str, Option<Duration>) {
    match operation {
        Operation::Grant => ("grant", None),
        Operation::LookAndGrant => ("grant --look-first", None),
        Operation::Audit => ("audit", None),
        Operation::End(grace) => ("end", Some(grace.span())),
        Operation::Restore(grace) => ("end --restore", Some(grace.span())),
    }
}

/// A duration in milliseconds, the smallest unit in which one can be typed.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A plan that may be carried out, once the question is answered if there is one.
#[derive(Debug)]
pub(super) struct Approval {
    pub(super) plan: PlanDigest,
    /// Where to ask; `None` if nothing is asked.
    pub(super) terminal: Option<Terminal>,
    how: Option<Confirmed>,
}

impl Approval {
    /// Decides how the plan for this `input` is confirmed. Fails if another plan was approved, or if there is nobody to ask.
    pub(super) fn of(start: &Start<'_>, input: &InputRecord) -> Result<Self, RunError> {
        let SafetyArgs { approve, yes, .. } = &start.config.safety;
        let plan = plan_digest(start.config, input);
        check_approved(start.config, plan)?;
        let terminal = terminal(start)?;
        let how = if approve.is_some() {
            Some(Confirmed::Approve)
        } else if start.info.is_sandbox {
            Some(Confirmed::Sandbox)
        } else if !start.config.operation.changes() {
            None
        } else if *yes {
            Some(Confirmed::Yes)
        } else {
            Some(Confirmed::Typed)
        };
        Ok(Self { plan, terminal, how })
    }

    /// What the record says of it. Who agreed to the same plan in the `former` record has still agreed, unless `--approved-by` names
    /// somebody else now.
    pub(super) fn record(&self, config: &RunConfig, former: &ConfirmationRecord) -> ConfirmationRecord {
        let plan = Some(self.plan.to_string());
        let former = former.approved_by.clone().filter(|_| former.plan == plan);
        ConfirmationRecord { how: self.how, plan, approved_by: config.safety.approved_by.clone().or(former) }
    }
}

/// Fails if `--approve` names another plan than this.
pub(super) fn check_approved(config: &RunConfig, plan: PlanDigest) -> Result<(), RunError> {
    match config.safety.approve {
        Some(approved) if approved != plan => Err(RunError::OtherPlan { approved, plan }),
        Some(_) | None => Ok(()),
    }
}

/// The terminal to ask on; `None` if nothing is asked. Fails if something is to be asked and there is none.
pub(super) fn terminal(start: &Start<'_>) -> Result<Option<Terminal>, RunError> {
    let SafetyArgs { yes, approve, .. } = &start.config.safety;
    let asks = start.config.operation.changes() && !start.info.is_sandbox && !yes && approve.is_none();
    if asks { Terminal::controlling().ok_or(RunError::NobodyToAsk).map(Some) } else { Ok(None) }
}
