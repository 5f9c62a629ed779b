//! The digests, and what they prove.

use maud::{Markup, html};

use super::parts::{fact, foreign};
use super::{Source, report};
use crate::domain::shell_word;
use crate::page::NO_RECORD;
use crate::page::told::Told;

pub(super) fn evidence(source: &Source, told: Option<&Told>, faults: &[String]) -> Markup {
    html! {
        section aria-labelledby="evidence" {
            h2 id="evidence" { "Evidence" }
            dl {
                (fact("Report", Some(report(source))))
                (fact("SHA-256 of the report", Some(digest("sha256", &source.sha256))))
                @if let Some(told) = told {
                    (fact("In the record", told.record.report.sha256.as_deref().map(|sha256| digest("recorded-sha256", sha256))))
                    (fact("SHA-256 of the input", told.record.input.sha256.as_deref().map(|sha256| digest("input-sha256", sha256))))
                    (fact("Digest of the plan", told.record.confirmed.plan.as_deref().map(|plan| digest("plan", plan))))
                    (fact("Format of the record", Some(foreign(&told.format))))
                }
            }
            @match told {
                None => p { strong { "No record: " } (NO_RECORD) ". The digest tells only whether this page was made from a file that you have." },
                Some(_) if !faults.is_empty() => p { strong { "The report is not as the record says: " } "see the warning at the top." },
                Some(told) => (what_is_proved(source, told)),
            }
        }
    }
}

fn what_is_proved(source: &Source, told: &Told) -> Markup {
    let id = if told.record.shards.is_empty() { "the run ID" } else { "the run ID of its shard" };
    html! {
        ul {
            li {
                "The report has the digest that the run wrote into its record: it has not been changed since, "
                "unless the record was changed with it."
            }
            li {
                "Every request of the run carried " (id) ", and PingOne copies it into its audit log: "
                "the log shows independently what was done."
            }
            li { "The digest of the input tells which list of users it was. The digest of the plan tells what was confirmed or approved." }
            li {
                "Nothing here proves that a report and a record were not both made up. "
                "For that, keep the digest of the report where nobody can change it."
            }
        }
        p { "To check all of this again: " code { "pingone-bypass verify " (crate::domain::escaped(&shell_word(&source.name))) } }
    }
}

pub(super) fn evidence_of_diff(source: &Source) -> Markup {
    html! {
        section aria-labelledby="evidence" {
            h2 id="evidence" { "Evidence" }
            dl {
                (fact("File", Some(report(source))))
                (fact("SHA-256", Some(digest("sha256", &source.sha256))))
            }
            p {
                "What " code { "diff" } " writes has no record: nothing here proves which reports were compared. "
                "Keep both reports with their records, and compare them again to check."
            }
        }
    }
}

fn digest(name: &str, digest: &str) -> Markup {
    html! { code.digest data-figure=(name) { (foreign(digest)) } }
}
