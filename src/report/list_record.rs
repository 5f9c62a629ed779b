//! What the record says of the list that an audit takes its users from: the user list, or PingOne's device report.

use serde::{Deserialize, Serialize};

use crate::domain::{MAY_MISS, escaped};

/// Which users of the directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DirectoryRecord {
    /// The filter sent to PingOne; `None` for all users.
    pub(crate) filter: Option<String>,
}

/// What an audit read of PingOne's device report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReportedRecord {
    /// The template of the report.
    pub(crate) template: String,
    /// The number of entries, one for each device; `None` until the report has been read.
    pub(crate) entries: Option<u64>,
    /// The number of users with a bypass, by the report as it was read last.
    pub(crate) users: Option<u64>,
    /// Their number by the report as it was when the run began, if the run was resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) users_at_first: Option<u64>,
    /// Who and what such an audit may miss, a phrase each.
    pub(crate) may_miss: Vec<String>,
    /// The number of users whose own answer is another than the report's; `None` until the audit is finished.
    pub(crate) differing: Option<u64>,
}

impl ReportedRecord {
    /// Of a report by this template, before it is read.
    pub(crate) fn new(template: &str) -> Self {
        let may_miss = MAY_MISS.map(str::to_owned).to_vec();
        Self { template: template.to_owned(), entries: None, users: None, users_at_first: None, may_miss, differing: None }
    }

    /// What such an audit may miss, in one phrase that is safe to show.
    pub(crate) fn caveat(&self) -> String {
        let phrases: Vec<String> = self.may_miss.iter().map(|phrase| escaped(phrase)).collect();
        format!("this is no complete audit: PingOne's device report may miss {}", phrases.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_says_what_may_be_missed() {
        let record = ReportedRecord::new("t");
        assert_eq!(
            record.caveat(),
            "this is no complete audit: PingOne's device report may miss users without a device, bypasses set before 2026-05-18, changes of the \
             last 15 minutes"
        );
        let edited = ReportedRecord { may_miss: vec!["\u{1b}[2J".into()], ..record };
        assert!(!edited.caveat().contains('\u{1b}'));
    }
}
