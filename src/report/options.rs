//! The options of a run, as its record has them.

use serde::{Deserialize, Serialize};

use crate::domain::OutputDialect;

#[expect(clippy::struct_excessive_bools, reason = "each is an option that is given or not")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OptionsRecord {
    pub(crate) sandbox: bool,
    #[serde(flatten)]
    pub(crate) reading: ReadingRecord,
    /// The selection of users in the report; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) only: Option<String>,
    /// How the report is written.
    #[serde(default = "first_dialect")]
    pub(crate) output_dialect: String,
    /// Whether a grant looks at each user before it changes anything.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) look_first: bool,
    /// Whether an end gives back what was there before a grant.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) restore: bool,
    /// How long a bypass that `end` ends still runs.
    #[serde(rename = "in", default)]
    pub(crate) grace: Option<String>,
    pub(crate) rate: String,
    pub(crate) concurrency: u16,
    pub(crate) max_attempts: u32,
    pub(crate) timeout: String,
    pub(crate) give_up_after: String,
    pub(crate) max_failures: String,
    /// The number of rows that are settled alone first.
    #[serde(default)]
    pub(crate) canary: Option<u64>,
    /// The most rows that an input may have.
    #[serde(default)]
    pub(crate) max_users: Option<u64>,
    /// How far ahead an end date may be; `None` for operations that take none.
    #[serde(default)]
    pub(crate) max_window: Option<String>,
    /// Whether end dates count from the clock here, even if it is wrong.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) trust_clock: bool,
    /// The results of failed rows that do not make the exit code 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow: Vec<String>,
}

/// The dialect of reports by versions that knew only one.
fn first_dialect() -> String {
    OutputDialect::default().name().to_owned()
}

/// The options that decide what a row of the input means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadingRecord {
    pub(crate) until: Option<String>,
    pub(crate) user_column: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lookup_by: Option<String>,
    pub(crate) until_column: Option<String>,
    pub(crate) delimiter: Option<char>,
    pub(crate) no_headers: bool,
    pub(crate) skip_invalid: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
pub(super) fn is_false(value: &bool) -> bool {
    !*value
}
