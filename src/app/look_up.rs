//! Resolves the users of an input before anything is changed. A resumed run looks nobody up again.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use super::context::Context;
use super::error::RunError;
use super::reading::unless_stopped;
use crate::file_error::FileError;
use crate::input::{ResolvedUsers, ValidInput};
use crate::lookup::{LookUp, NotLookedUp};
use crate::report::{OutputError, read_lookups};
use crate::ui::Progress;

/// The input with its users resolved. In a resumed run, they stand in the file `known`.
pub(super) async fn look_up(input: ValidInput, context: &Context<'_>, known: Option<&Path>) -> Result<ValidInput, RunError> {
    let rows = input.plan().lookups.rows;
    let Some(lookup) = input.layout.lookup.as_ref().filter(|_| rows > 0) else {
        return Ok(input);
    };
    let folder = std::env::temp_dir();
    let resolved = ResolvedUsers::new(&folder, input.rows()).map_err(not_stored)?;
    if let Some(known) = known {
        read_lookups(known, rows, input.rows(), |row, resolution| resolved.set(row, &resolution).map_err(not_stored))?;
        let input = unless_stopped(context.stop(), move || input.with_users(resolved)).await??;
        if !input.plan().lookups.is_complete() {
            return Err(OutputError::BadLookups { path: known.to_owned(), fault: "it has users for other rows".to_owned() }.into());
        }
        return Ok(input);
    }
    let (count, looked_up) = watch::channel(0);
    let progress = Progress::of_looking_up(context.console(), rows, looked_up, Arc::clone(&context.session().answers));
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

fn not_stored(source: std::io::Error) -> RunError {
    FileError::new("written", &std::env::temp_dir().join("(a temporary file of users)"), source).into()
}
