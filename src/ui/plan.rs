//! What does the operator see before anything is sent?

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::{BypassUntil, Operation, quote};
use crate::input::{Plan, Sought};
use crate::lookup::Forecast;
use crate::pace::Rate;
use crate::report::Outcome;

/// A plan, and all that it will be carried out with.
#[derive(Debug)]
pub(crate) struct PlanView<'a> {
    pub(crate) operation: Operation,
    pub(crate) input: &'a str,
    pub(crate) plan: &'a Plan,
    /// The column that users are looked up by, if they are.
    pub(crate) sought_in: Option<&'a str>,
    /// How much has to be looked up, where that is not done.
    pub(crate) forecast: Option<Forecast>,
    pub(crate) start: DateTime<Utc>,
    pub(crate) rate: Rate,
    /// Whom the run talks to.
    pub(crate) target: String,
    /// As whom.
    pub(crate) identity: String,
    /// Where the report will be.
    pub(crate) report: String,
}

impl fmt::Display for PlanView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { rows, users, duplicates, invalid, sought, to_send, dates } = self.plan;
        let operation = self.operation.name();
        if sought.is_over() {
            writeln!(f, "plan       {operation} {to_send} of {rows} rows, {users} users")?;
        } else {
            writeln!(f, "plan       {operation} at most {to_send} of {rows} rows")?;
        }
        write!(f, "input      {}: {duplicates} duplicates", self.input)?;
        let bad: u64 = invalid.values().sum();
        write!(f, ", {bad} invalid")?;
        for (index, (kind, rows)) in invalid.iter().enumerate() {
            write!(f, "{} {rows} {kind}", if index == 0 { ":" } else { "," })?;
        }
        writeln!(f)?;
        self.look_up(f, sought)?;
        if let Some((first, last)) = dates {
            write!(f, "end dates  {first} ({})", self.ahead(*first))?;
            if first == last {
                writeln!(f)?;
            } else {
                writeln!(f, " to {last} ({})", self.ahead(*last))?;
            }
        }
        match self.operation.grace() {
            None => writeln!(f, "requests   {to_send}{}", self.at_least(*to_send))?,
            Some(grace) => {
                writeln!(f, "end dates  {grace} after each is asked for")?;
                write!(f, "requests   {to_send} GETs{}", self.at_least(*to_send))?;
                writeln!(f, "; at most {to_send} PUTs, which take as long again")?;
            }
        }
        writeln!(f, "against    {}", self.target)?;
        writeln!(f, "as         {}", self.identity)?;
        write!(f, "report     {}", self.report)
    }
}

impl PlanView<'_> {
    /// What is to be looked up, or what came of it.
    fn look_up(&self, f: &mut fmt::Formatter<'_>, sought: &Sought) -> fmt::Result {
        let Some(column) = self.sought_in.filter(|_| sought.rows > 0) else {
            return Ok(());
        };
        let column = quote(column);
        if let Some(Forecast { values, requests }) = self.forecast {
            return writeln!(f, "look up    {values} values of `{column}`, in at least {requests} requests before anything is changed");
        }
        write!(f, "looked up  {} rows by `{column}`: {} found", sought.rows, sought.found)?;
        for outcome in [Outcome::NotFound, Outcome::Ambiguous, Outcome::Rejected] {
            let rows = sought.of(outcome);
            if rows > 0 {
                write!(f, ", {rows} {outcome}")?;
            }
        }
        writeln!(f)
    }

    /// How far ahead of the start a date is, to the minute.
    fn ahead(&self, until: BypassUntil) -> String {
        let seconds = (until.instant() - self.start).num_seconds().unsigned_abs();
        let shown = if seconds < 60 { seconds } else { (seconds + 30) / 60 * 60 };
        format!("in {}", humantime::format_duration(Duration::from_secs(shown)))
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
