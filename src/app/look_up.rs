//! Resolves the users of an input before anything is changed. In a resumed run, users known from the journal are not looked up
//! again.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use super::context::Context;
use super::error::RunError;
use super::reading::unless_stopped;
use crate::domain::Outcome;
use crate::file_error::FileError;
use crate::input::{Resolution, ResolvedUsers, ValidInput};
use crate::lookup::{LookUp, NotLookedUp};
use crate::report::journal_users;
use crate::ui::Progress;

/// The input with its users resolved. In a resumed run, `journal` already names the users of settled rows.
pub(super) async fn look_up(input: ValidInput, context: &Context<'_>, journal: Option<&Path>) -> Result<ValidInput, RunError> {
    let rows = input.plan().lookups.rows;
    let Some(lookup) = input.layout.lookup.as_ref().filter(|_| rows > 0) else {
        return Ok(input);
    };
    let folder = std::env::temp_dir();
    let resolved = ResolvedUsers::new(&folder, input.rows()).map_err(not_stored)?;
    let before = journal.map_or(Ok(0), |journal| resume_users(journal, &resolved, input.rows()))?;
    let (count, looked_up) = watch::channel(0);
    let progress = Progress::of_looking_up(context.console(), rows.saturating_sub(before), looked_up, Arc::clone(&context.session().pacer));
    let looking_up = LookUp::new(context.session(), lookup.by, context.stop(), context.concurrency());
    let done = looking_up.all(&input, &resolved, &count).await;
    drop(count);
    progress.finish().await;
    match done {
        Ok(()) => Ok(unless_stopped(context.stop(), move || input.with_users(resolved)).await??),
        Err(NotLookedUp::PingOne(error)) => Err(error.into()),
        Err(NotLookedUp::List(error)) => Err(error.into()),
        Err(NotLookedUp::Input(source)) => Err(RunError::Reading { name: input.source.name.clone(), source }),
        Err(NotLookedUp::Kept(source)) => Err(not_stored(source)),
        Err(NotLookedUp::Stopped) => Err(RunError::before_the_first_row(context.stop())),
    }
}

/// Stores in `resolved` the users of the rows that have a line in the `journal`. Returns the number of rows stored.
fn resume_users(journal: &Path, resolved: &ResolvedUsers, rows: u64) -> Result<u64, RunError> {
    let mut count = 0;
    for line in journal_users(journal, rows)? {
        let (row, user, outcome) = line?;
        let resolution = match (user, outcome) {
            (Some(user), _) => Resolution::User(user),
            (None, Outcome::NotFound | Outcome::Ambiguous | Outcome::Rejected) => Resolution::Unresolved(outcome, Box::default()),
            (
                None,
                Outcome::Granted
                | Outcome::Kept
                | Outcome::Restored
                | Outcome::Changed
                | Outcome::Untouched
                | Outcome::Ended
                | Outcome::Active
                | Outcome::Inactive
                | Outcome::Duplicate
                | Outcome::Mismatch
                | Outcome::Failed
                | Outcome::Unknown
                | Outcome::Invalid,
            ) => continue,
        };
        count += u64::from(resolved.of(row).map_err(not_stored)?.is_none());
        resolved.set(row, &resolution).map_err(not_stored)?;
    }
    Ok(count)
}

fn not_stored(source: std::io::Error) -> RunError {
    FileError::new("written", &std::env::temp_dir().join("(a temporary file of users)"), source).into()
}
