//! The run record as it is at the start of a run.

use chrono::{DateTime, Utc};

use super::target::TargetInfo;
use crate::config::{Connection, Identity, RunConfig};
use crate::domain::{Attribute, BypassUntil, Lines, Operation, RunId, Tally, typed_span};
use crate::platform::{account, host, sudo_account};
use crate::report::{
    CURRENT_FORMAT, ConfirmationRecord, Destination, EndDatesRecord, EnvironmentRecord, HoldsRecord, InputRecord, OperatorRecord,
    OptionsRecord, ReadingRecord, ReportRecord, RequestsRecord, RunRecord, ShardRecord, Status, totals,
};

impl RunRecord {
    /// The record of a run at its start.
    pub(super) fn of(config: &RunConfig, input: InputRecord, start: DateTime<Utc>, target: &TargetInfo, run: RunId) -> Self {
        let report = match &config.destination {
            Destination::StandardOutput => "-".to_owned(),
            Destination::Files(files) => files.report.display().to_string(),
        };
        let started = BypassUntil::from_instant(start);
        Self {
            tool: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            format_version: CURRENT_FORMAT,
            run_id: run.to_string(),
            operation: config.operation.name().to_owned(),
            environment: EnvironmentRecord { id: target.environment.to_string(), name: None, kind: None },
            api_url: target.api_url.clone(),
            reason: config.safety.reason.clone(),
            operator: OperatorRecord::default(),
            confirmed: ConfirmationRecord::default(),
            earlier: Vec::new(),
            end_dates: EndDatesRecord::default(),
            licence: None,
            started_at: started.map(|started| started.to_string()).unwrap_or_default(),
            finished_at: None,
            clock_offset_seconds: None,
            status: Status::Running,
            stop_reason: None,
            canary_succeeded: false,
            input,
            shard: config.shard.map(ShardRecord),
            shards: Vec::new(),
            options: OptionsRecord::of(config, target.is_sandbox),
            totals: totals(&Tally::default()),
            requests: RequestsRecord::default(),
            holds: HoldsRecord::default(),
            report: ReportRecord { path: report, sha256: None, rows: None, failed_sha256: None },
            lookup_sha256: None,
            in_doubt_ahead: Some(0),
            in_doubt_up_to: 0,
        }
    }
}

impl OperatorRecord {
    /// Who runs this process, and the application that it signs on as.
    pub(super) fn of(connection: &Connection) -> Self {
        let client_id = match connection {
            Connection::PingOne { identity: Identity::Worker(credentials), .. } => Some(credentials.client_id.clone()),
            Connection::PingOne { identity: Identity::Ready(_), .. } | Connection::Sandbox => None,
        };
        Self { user: Some(account()), sudo_user: sudo_account(), host: Some(host()), client_id }
    }
}

impl OptionsRecord {
    fn of(config: &RunConfig, sandbox: bool) -> Self {
        let RunConfig { dialect, pace, .. } = config;
        Self {
            sandbox,
            reading: ReadingRecord {
                until: config.until.clone(),
                user_column: dialect.user_column.clone(),
                lookup_by: dialect.lookup_by.map(|by| Attribute::name(by).to_owned()),
                until_column: dialect.until_column.clone(),
                delimiter: dialect.delimiter.map(char::from),
                no_headers: dialect.no_headers,
                skip_invalid: config.skip_invalid,
            },
            only: match config.lines {
                Lines::All => None,
                Lines::Active => Some("active".to_owned()),
            },
            output_dialect: config.output_dialect.name().to_owned(),
            look_first: config.operation == Operation::LookAndGrant,
            restore: matches!(config.operation, Operation::Restore(_)),
            grace: config.operation.grace().map(|grace| grace.to_string()),
            rate: pace.rate.to_string(),
            concurrency: pace.concurrency,
            max_attempts: pace.max_attempts,
            timeout: humantime::format_duration(pace.timeout).to_string(),
            give_up_after: humantime::format_duration(pace.give_up_after).to_string(),
            max_failures: config.safety.max_failures.to_string(),
            canary: config.safety.canary,
            max_users: config.safety.max_users,
            max_window: config.max_window.map(typed_span),
            trust_clock: config.trust_clock,
            allow: config.safety.allow.iter().map(|outcome| outcome.name().to_owned()).collect(),
        }
    }
}
