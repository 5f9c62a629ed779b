//! The record of a merged report: what one process would have written, and which shards it is made of.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::shards::FinishedShard;
use crate::domain::{BypassUntil, EndDates, RunId, Tally};
use crate::report::evidence::{ConfirmationRecord, EndDatesRecord, HoldsRecord, MOST_EARLIER, OperatorRecord, RequestsRecord};
use crate::report::options::OptionsRecord;
use crate::report::publish::Published;
use crate::report::record::{EnvironmentRecord, ReportRecord, RunRecord, Status, tally, totals};
use crate::report::shard::{MergedShard, ShardReport};
use crate::report::version::CURRENT_FORMAT;

/// The record of the report at `output`, which is `published`, made of these `shards`. The same shards give the same record.
pub(super) fn merged_record(shards: &[FinishedShard], output: &Path, published: &Published) -> RunRecord {
    let records = || shards.iter().map(|shard| &shard.record);
    let all = |value: fn(&RunRecord) -> &Option<String>| common(records().map(value)).flatten();
    let first = shards[0].record.clone();
    let earlier = records().flat_map(|record| record.earlier.iter().cloned()).take(MOST_EARLIER).collect();
    RunRecord {
        tool: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        format_version: CURRENT_FORMAT,
        run_id: derived_id(records()).to_string(),
        operation: first.operation,
        environment: EnvironmentRecord {
            id: first.environment.id,
            name: records().find_map(|record| record.environment.name.clone()),
            kind: records().find_map(|record| record.environment.kind.clone()),
        },
        api_url: first.api_url,
        reason: all(|record| &record.reason),
        operator: OperatorRecord {
            user: all(|record| &record.operator.user),
            sudo_user: all(|record| &record.operator.sudo_user),
            host: all(|record| &record.operator.host),
            client_id: all(|record| &record.operator.client_id),
        },
        confirmed: ConfirmationRecord {
            how: common(records().map(|record| &record.confirmed.how)).flatten(),
            plan: all(|record| &record.confirmed.plan),
            approved_by: all(|record| &record.confirmed.approved_by),
        },
        earlier,
        end_dates: end_dates(records()),
        licence: records().find_map(|record| record.licence.clone()),
        started_at: records().map(|record| record.started_at.clone()).min_by_key(|at| instant(at)).unwrap_or_default(),
        finished_at: records().filter_map(|record| record.finished_at.clone()).max_by_key(|at| instant(at)),
        clock_offset_seconds: common(records().map(|record| &record.clock_offset_seconds)).flatten(),
        status: Status::Completed,
        stop_reason: None,
        canary_succeeded: records().all(|record| record.canary_succeeded),
        input: first.input,
        shard: None,
        shards: shards.iter().map(MergedShard::of).collect(),
        options: OptionsRecord { allow: common(records().map(|record| &record.options.allow)).unwrap_or_default(), ..first.options },
        totals: totals(&published.tally),
        requests: requests(records()),
        holds: holds(records()),
        report: ReportRecord {
            path: output.display().to_string(),
            sha256: Some(published.sha256.clone()),
            rows: Some(published.lines),
            failed_sha256: published.failed_sha256.clone(),
        },
        lookup_sha256: None,
        in_doubt_ahead: Some(0),
        in_doubt_up_to: records().map(|record| record.in_doubt_up_to).max().unwrap_or_default(),
    }
}

impl MergedShard {
    fn of(shard: &FinishedShard) -> Self {
        let record = shard.record.clone();
        Self {
            index: shard.shard.index(),
            run_id: record.run_id,
            started_at: record.started_at,
            finished_at: record.finished_at,
            operator: record.operator,
            confirmed: record.confirmed,
            reason: record.reason,
            requests: record.requests,
            holds: HoldsRecord { episodes: Vec::new(), ..record.holds },
            report: ShardReport { path: shard.path().display().to_string(), sha256: shard.sha256.clone(), rows: shard.rows },
        }
    }
}

/// The keys of `options` that are not the same in all shards, though they have done the same. The record has those of the first.
pub(super) fn differing_options(shards: &[FinishedShard]) -> Vec<String> {
    let keys = |shard: &FinishedShard| serde_json::to_value(&shard.record.options).unwrap_or_default();
    let first = keys(&shards[0]);
    let mut differing = BTreeSet::new();
    for shard in &shards[1..] {
        let other = keys(shard);
        let names = |value: &Value| value.as_object().into_iter().flat_map(|keys| keys.keys().cloned()).collect::<Vec<_>>();
        for name in names(&first).into_iter().chain(names(&other)) {
            if first.get(&name) != other.get(&name) {
                differing.insert(name);
            }
        }
    }
    differing.into_iter().collect()
}

/// The value that all have; `None` if they differ.
fn common<'a, T: PartialEq + Clone + 'a>(mut values: impl Iterator<Item = &'a T>) -> Option<T> {
    let first = values.next()?;
    values.all(|value| value == first).then(|| first.clone())
}

/// No request carries this ID: those of a shard carry the shard's. It follows from theirs, so that merging the shards twice gives the
/// same record.
pub(super) fn derived_id<'a>(records: impl Iterator<Item = &'a RunRecord>) -> RunId {
    let mut sha256 = Sha256::new();
    for record in records {
        sha256.update(record.run_id.as_bytes());
        sha256.update(b"\n");
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&sha256.finalize()[..16]);
    RunId::derived(bytes)
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    text.parse().ok()
}

fn end_dates<'a>(records: impl Iterator<Item = &'a RunRecord>) -> EndDatesRecord {
    let mut dates = EndDates::default();
    let texts = records.flat_map(|record| [&record.end_dates.earliest, &record.end_dates.latest]);
    texts.flatten().filter_map(|text| BypassUntil::read(text)).for_each(|date| dates.add(date));
    dates.into()
}

fn requests<'a>(records: impl Iterator<Item = &'a RunRecord>) -> RequestsRecord {
    let mut sum = RequestsRecord::default();
    records.for_each(|record| sum.add(record.requests));
    sum
}

/// The holds of all, the first ones with their times.
fn holds<'a>(records: impl Iterator<Item = &'a RunRecord>) -> HoldsRecord {
    let mut episodes = Vec::new();
    let mut sum = HoldsRecord::default();
    for record in records {
        episodes.extend(record.holds.episodes.iter().cloned());
        sum.add(HoldsRecord { episodes: Vec::new(), ..record.holds });
    }
    episodes.sort_by_key(|episode| instant(&episode.at));
    sum.add(HoldsRecord { episodes, ..HoldsRecord::default() });
    sum
}

/// The tally of all rows, by the records.
pub(super) fn recorded_tally(shards: &[FinishedShard]) -> Tally {
    let mut sum = Tally::default();
    for shard in shards {
        for (outcome, rows) in tally(&shard.record.totals).seen() {
            sum.add_rows(outcome, rows);
        }
    }
    sum
}
