//! The events of JSON logs that have fields of their own: the plan, the progress and the summary.

use serde_json::{Value, json};

use super::plan::{PlanView, Planned, PlannedInput};
use crate::domain::{MAY_MISS, Outcome, Tally};
use crate::pace::Rate;
use crate::pingone::{Answers, Silence};
use crate::report::{Status, Summary};

/// The fields of an event, in order.
pub(super) type Fields = Vec<(&'static str, Value)>;

/// Adds a field if it has a value.
fn add(fields: &mut Fields, name: &'static str, value: Option<impl Into<Value>>) {
    fields.extend(value.map(|value| (name, value.into())));
}

/// A field for each result, with its number of rows.
fn results(tally: &Tally) -> impl Iterator<Item = (&'static str, Value)> {
    Outcome::ALL.into_iter().map(|outcome| (outcome.name(), tally.of(outcome).into()))
}

/// What is carried out, and how.
pub(super) fn plan_fields(plan: &PlanView<'_>) -> Fields {
    let mut fields: Fields = vec![
        ("operation", plan.operation.name().into()),
        ("environmentId", plan.environment.id.as_str().into()),
        ("apiUrl", plan.api_url.as_str().into()),
        ("application", plan.identity.as_str().into()),
        ("report", plan.report.as_str().into()),
        ("digest", plan.digest.to_string().into()),
    ];
    add(&mut fields, "environmentName", plan.environment.name.as_deref());
    add(&mut fields, "environmentType", plan.environment.kind.as_deref());
    match plan.rate {
        Rate::PerSecond(rate) => fields.push(("rate", rate.into())),
        Rate::Unlimited => fields.push(("rate", Value::Null)),
    }
    if let Some((shard, _)) = plan.shard {
        fields.push(("shard", shard.to_string().into()));
    }
    match &plan.planned {
        Planned::Input(input) => fields.extend(input_fields(input)),
        Planned::Directory { selection, users, pages } => {
            fields.push(("selection", selection.to_string().into()));
            add(&mut fields, "users", *users);
            add(&mut fields, "pages", *pages);
        }
        Planned::Reported { .. } => {}
    }
    if let Planned::Reported { read } = &plan.planned {
        fields.push(("mayMiss", json!(MAY_MISS)));
        add(&mut fields, "users", read.map(|(users, _)| users));
        add(&mut fields, "devices", read.map(|(_, devices)| devices));
    }
    if !plan.licence.is_empty() {
        fields.push(("licence", json!(plan.licence.0)));
    }
    add(&mut fields, "settledBefore", plan.resumes.map(|(_, settled)| settled));
    fields
}

fn input_fields(input: &PlannedInput<'_>) -> Fields {
    let plan = input.plan;
    let mut fields: Fields = vec![
        ("input", input.name.into()),
        ("rows", plan.own_rows.into()),
        ("users", plan.to_send.into()),
        ("duplicates", plan.duplicates.into()),
        ("invalid", plan.invalid.values().sum::<u64>().into()),
        ("untouched", plan.untouched.into()),
    ];
    if let Some((column, by)) = input.lookup_column.filter(|_| plan.lookups.rows > 0) {
        fields.push(("lookupColumn", column.into()));
        fields.push(("lookupBy", by.name().into()));
        fields.push(("lookupRows", plan.lookups.rows.into()));
        fields.push(("lookupFound", plan.lookups.found.into()));
    }
    if let Some((first, last)) = plan.dates.span() {
        fields.push(("firstEndDate", first.to_string().into()));
        fields.push(("lastEndDate", last.to_string().into()));
    }
    fields
}

/// How far the run is. `speed` is in rows a second.
pub(super) fn progress_fields(tally: &Tally, rows: Option<u64>, speed: f64, answers: &Answers, silence: Option<&Silence>) -> Fields {
    let mut fields: Fields = vec![("rows", tally.rows().into())];
    add(&mut fields, "total", rows);
    fields.push(("perSecond", speed.into()));
    let left = rows.filter(|_| speed > 0.0 && silence.is_none()).map(|rows| seconds_left(rows.saturating_sub(tally.rows()), speed));
    add(&mut fields, "secondsLeft", left);
    fields.push(("heldSeconds", answers.held_so_far().as_secs_f64().into()));
    add(&mut fields, "limitPerSecond", answers.limit());
    if let Some(silence) = silence {
        fields.push(("waitingFor", silence.wanted.name().into()));
        fields.extend(silence_fields(silence));
    }
    fields.extend(results(tally));
    fields
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn seconds_left(rows: u64, speed: f64) -> f64 {
    (rows as f64 / speed).ceil()
}

/// A time without an answer.
pub(super) fn silence_fields(silence: &Silence) -> Fields {
    let mut fields: Fields = vec![("host", silence.host.as_str().into()), ("silentSeconds", silence.lasted.as_secs_f64().into())];
    if let Some((this, most)) = silence.tries {
        fields.extend([("try", this.into()), ("maxTries", most.into())]);
    }
    add(&mut fields, "nextTrySeconds", silence.next_try.map(|wait| wait.as_secs_f64()));
    add(&mut fields, "givesUpSeconds", silence.gives_up_within.map(|within| within.as_secs_f64()));
    add(&mut fields, "reason", silence.reason.as_ref().map(ToString::to_string));
    fields
}

/// What the run has done.
pub(super) fn summary_fields(summary: &Summary) -> Fields {
    let mut fields: Fields = vec![("rows", summary.tally.rows().into())];
    add(&mut fields, "total", summary.rows);
    fields.extend(results(&summary.tally));
    fields.extend([
        ("sent", Value::from(summary.sent)),
        ("retried", summary.retried.into()),
        ("throttled", summary.throttled.into()),
        ("seconds", summary.took.as_secs_f64().into()),
        ("heldSeconds", summary.held.as_secs_f64().into()),
    ]);
    if let Some(differing) = summary.differing {
        fields.push(("mayMiss", json!(MAY_MISS)));
        fields.push(("differing", differing.into()));
    }
    if let Some(ending) = summary.ending {
        fields.push(("status", json!(ending.status)));
        fields.push(("exitCode", ending.exit_code.into()));
    }
    let files: Vec<String> = summary.files.iter().map(|path| path.display().to_string()).collect();
    let is_published = summary.ending.is_some_and(|ending| ending.status == Status::Completed);
    add(&mut fields, "report", files.first().filter(|_| is_published).cloned());
    fields.push(("files", files.into()));
    fields
}
