//! What makes a run another one than a run that it is compared with.

use super::options::{OptionsRecord, ReadingRecord};
use super::record::{RunRecord, Status};
use super::shard::ShardRecord;
use crate::domain::escaped;

/// Something that is not the same in two runs, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) what: String,
    pub(super) one: String,
    pub(super) other: String,
}

impl Difference {
    /// That of two texts; `None` if they are the same.
    pub(super) fn of(what: &str, one: &str, other: &str) -> Option<Self> {
        let value = |text: &str| format!("`{}`", escaped(text));
        (one != other).then(|| Self { what: what.to_owned(), one: value(one), other: value(other) })
    }

    /// The difference from a former run to this one.
    fn since(self) -> String {
        let Self { what, one, other } = self;
        format!("{what} was {one} and is {other}")
    }
}

impl ReadingRecord {
    /// The first option that is another.
    fn difference(&self, other: &Self) -> Option<Difference> {
        let options = |reading: &Self| {
            let Self { until, user_column, lookup_by, until_column, delimiter, no_headers, skip_invalid } = reading.clone();
            let value = |value: Option<String>| value.map(|value| format!("`{}`", escaped(&value)));
            let flag = |is_given: bool| is_given.then(|| "given".to_owned());
            [
                ("--until", value(until)),
                ("--user-column", value(user_column)),
                ("--lookup-by", value(lookup_by)),
                ("--until-column", value(until_column)),
                ("--delimiter", value(delimiter.map(String::from))),
                ("--no-headers", flag(no_headers)),
                ("--skip-invalid", flag(skip_invalid)),
            ]
        };
        let mut both = options(self).into_iter().zip(options(other));
        let ((option, one), (_, other)) = both.find(|(one, other)| one != other)?;
        let shown = |value: Option<String>| value.unwrap_or_else(|| "not given".to_owned());
        Some(Difference { what: format!("`{option}`"), one: shown(one), other: shown(other) })
    }
}

impl RunRecord {
    /// The operation, with the options that make another one of it.
    fn operation_as_typed(&self) -> String {
        let OptionsRecord { look_first, restore, grace, .. } = &self.options;
        let look_first = if *look_first { " --look-first" } else { "" };
        // A near date that an earlier process may have set is recognised by it.
        let restore = restore.then(|| format!(" --restore --in {}", grace.as_deref().unwrap_or_default())).unwrap_or_default();
        format!("{}{look_first}{restore}", self.operation)
    }

    /// The first difference in what is done to whom, shards left aside.
    pub(super) fn difference_of_work(&self, other: &Self) -> Option<Difference> {
        // Each built-in sandbox has its own port.
        let url = |record: &Self| if record.options.sandbox { "the sandbox".to_owned() } else { record.api_url.clone() };
        let is_listed = !self.input.is_of_a_file() || !other.input.is_of_a_file();
        let input = if is_listed { "the input" } else { "the input's SHA-256" };
        Difference::of("the operation", &self.operation_as_typed(), &other.operation_as_typed())
            .or_else(|| Difference::of("the environment", &self.environment.id, &other.environment.id))
            .or_else(|| Difference::of("the API", &url(self), &url(other)))
            .or_else(|| Difference::of(input, &self.input.identity(), &other.input.identity()))
            .or_else(|| self.options.reading.difference(&other.options.reading))
    }

    /// Describes the first difference that makes the `other` run a different one; `None` if this run can be resumed as it.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let shard = || Difference::of("the shard", &shard_in_words(self.shard), &shard_in_words(other.shard));
        let difference = self.difference_of_work(other).or_else(shard).map(Difference::since);
        difference.or_else(|| self.difference_when_finished(other))
    }

    /// A resumed run may select other lines for its report, or another dialect. The report of a finished run cannot be changed.
    fn difference_when_finished(&self, other: &Self) -> Option<String> {
        let lines = |record: &Self| record.options.only.clone().unwrap_or_else(|| "all users".to_owned());
        let dialect = |record: &Self| record.options.output_dialect.clone();
        let both = [("lines were", "are", lines(self), lines(other)), ("dialect was", "is", dialect(self), dialect(other))];
        let (what, verb, was, is) = both.into_iter().find(|(_, _, was, is)| self.status == Status::Completed && was != is)?;
        Some(format!("the report is finished, its {what} `{}` and {verb} `{}`", escaped(&was), escaped(&is)))
    }
}

fn shard_in_words(shard: Option<ShardRecord>) -> String {
    shard.map_or_else(|| "all rows".to_owned(), |ShardRecord(shard)| shard.to_string())
}
