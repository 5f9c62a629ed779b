//! What does the operator see before anything is sent?

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::directory::Selection;
use crate::domain::{BypassUntil, Operation};
use crate::input::Plan;
use crate::pace::Rate;

/// A plan, and all that it will be carried out with.
#[derive(Debug)]
pub(crate) struct PlanView<'a> {
    pub(crate) operation: Operation,
    pub(crate) planned: Planned<'a>,
    pub(crate) rate: Rate,
    /// Whom the run talks to.
    pub(crate) target: String,
    /// As whom.
    pub(crate) identity: String,
    /// Where the report will be.
    pub(crate) report: String,
}

/// Whose bypasses it is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Planned<'a> {
    /// Those of an input, as messages call it, in a run that started at `start`.
    Input { name: &'a str, plan: &'a Plan, start: DateTime<Utc> },
    /// Those of the directory; how many they are, and how many pages their list has, if that is known.
    Directory { selection: &'a Selection, users: Option<u64>, pages: Option<u64> },
}

impl Planned<'_> {
    /// How many users something is to be sent for, as far as is known.
    pub(crate) fn users(&self) -> u64 {
        match self {
            Self::Input { plan, .. } => plan.to_send,
            Self::Directory { users, .. } => users.unwrap_or_default(),
        }
    }
}

impl fmt::Display for PlanView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.planned {
            Planned::Input { name, plan, start } => self.write_input(f, name, plan, *start)?,
            Planned::Directory { selection, users, pages } => self.write_directory(f, selection, *users, *pages)?,
        }
        writeln!(f, "against    {}", self.target)?;
        writeln!(f, "as         {}", self.identity)?;
        write!(f, "report     {}", self.report)
    }
}

impl PlanView<'_> {
    fn write_input(&self, f: &mut fmt::Formatter<'_>, name: &str, plan: &Plan, start: DateTime<Utc>) -> fmt::Result {
        let Plan { rows, users, duplicates, invalid, to_send, dates } = plan;
        writeln!(f, "plan       {} {to_send} of {rows} rows, {users} users", self.operation.name())?;
        write!(f, "input      {name}: {duplicates} duplicates")?;
        let bad: u64 = invalid.values().sum();
        write!(f, ", {bad} invalid")?;
        for (index, (kind, rows)) in invalid.iter().enumerate() {
            write!(f, "{} {rows} {kind}", if index == 0 { ":" } else { "," })?;
        }
        writeln!(f)?;
        if let Some((first, last)) = dates {
            write!(f, "end dates  {first} ({})", ahead(*first, start))?;
            if first == last {
                writeln!(f)?;
            } else {
                writeln!(f, " to {last} ({})", ahead(*last, start))?;
            }
        }
        match self.operation.grace() {
            None => writeln!(f, "requests   {to_send}{}", self.at_least(*to_send)),
            Some(grace) => {
                writeln!(f, "end dates  {grace} after each is asked for")?;
                write!(f, "requests   {to_send} GETs{}", self.at_least(*to_send))?;
                writeln!(f, "; at most {to_send} PUTs, which take as long again")
            }
        }
    }

    fn write_directory(&self, f: &mut fmt::Formatter<'_>, selection: &Selection, users: Option<u64>, pages: Option<u64>) -> fmt::Result {
        writeln!(f, "plan       {} {selection}", self.operation.name())?;
        match (users, pages) {
            (Some(users), Some(pages)) => {
                write!(f, "requests   {users} for users and {pages} for pages of their list{}", self.at_least(users + pages))
            }
            (_, _) => f.write_str("requests   one for each user, and one for each page of their list"),
        }?;
        writeln!(f)
    }

    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shown to the second")]
    fn at_least(&self, requests: u64) -> String {
        match self.rate {
            Rate::Unlimited => ", as fast as they are answered".to_owned(),
            Rate::PerSecond(rate) => {
                let seconds = (requests as f64 / rate).ceil() as u64;
                format!(", at {} at least {}", self.rate, humantime::format_duration(Duration::from_secs(seconds)))
            }
        }
    }
}

/// How far ahead of the start a date is, to the minute.
fn ahead(until: BypassUntil, start: DateTime<Utc>) -> String {
    let seconds = (until.instant() - start).num_seconds().unsigned_abs();
    let shown = if seconds < 60 { seconds } else { (seconds + 30) / 60 * 60 };
    format!("in {}", humantime::format_duration(Duration::from_secs(shown)))
}
