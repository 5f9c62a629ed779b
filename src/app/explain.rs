//! `explain` and `man`: the reference, on a terminal and as manual pages.

use std::env;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::error::RunError;
use super::print;
use crate::cli::{Cli, ExplainArgs, ManArgs};
use crate::domain::quote;
use crate::exit::EXIT_SUCCESS;
use crate::explain::{Style, explain, pages};
use crate::file_error::FileError;

/// The widest that a text is set, in columns, as clap sets its help.
const MOST_COLUMNS: usize = 100;
/// What `less` is told if it was told nothing: keep colours, leave at once if all fits, leave the text on the screen.
const LESS: &str = "FRX";

/// The shell's codes for a command that cannot be run, and for one that is not there.
const NOT_STARTED: [Option<i32>; 2] = [Some(126), Some(127)];

/// Shows the list of topics, or what a name means.
pub(super) fn explain_name(arguments: &ExplainArgs) -> Result<u8, RunError> {
    let program = Cli::program();
    let (style, rows) = style();
    let text = match &arguments.name {
        None => style.topics(),
        Some(name) => {
            let found = explain(name, &program).map_err(|similar| RunError::Unexplained { name: quote(name), similar })?;
            style.explanation(&found)
        }
    };
    if text.lines().count() < rows || !page(&text) {
        print(text.as_bytes())?;
    }
    Ok(EXIT_SUCCESS)
}

/// How standard output takes text, and from how many lines on it needs a pager.
fn style() -> (Style, usize) {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let size = if io::stdout().is_terminal() { console::Term::stdout().size_checked() } else { None };
    match size {
        Some((rows, columns)) => {
            let columns = usize::from(columns).min(MOST_COLUMNS);
            (Style { columns, has_color: !no_color && !console_is_dumb() }, usize::from(rows))
        }
        None => (Style { columns: MOST_COLUMNS, has_color: false }, usize::MAX),
    }
}

fn console_is_dumb() -> bool {
    env::var_os("TERM").is_none_or(|term| term == "dumb")
}

/// Shows the text by the pager of the user. Returns whether there was one that could be started.
fn page(text: &str) -> bool {
    let pager = env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty()).unwrap_or_else(|| "less".to_owned());
    // As git and man do: the variable may hold options, and a pipe.
    let mut command = Command::new("sh");
    command.args(["-c", &pager]).stdin(Stdio::piped());
    if env::var_os("LESS").is_none() {
        command.env("LESS", LESS);
    }
    let Ok(mut pager) = command.spawn() else { return false };
    if let Some(mut stdin) = pager.stdin.take() {
        // Whoever leaves the pager early has seen enough.
        drop(stdin.write_all(text.as_bytes()));
    }
    pager.wait().is_ok_and(|status| !NOT_STARTED.contains(&status.code()))
}

/// Writes the manual pages to a folder, or that of the program to standard output.
pub(super) fn write_manual(arguments: &ManArgs) -> Result<u8, RunError> {
    let pages = pages(&Cli::program()).expect("memory takes all bytes");
    let Some(folder) = &arguments.folder else {
        print(&pages[0].text)?;
        return Ok(EXIT_SUCCESS);
    };
    let unwritable = |path: &Path, source| FileError::new("written", path, source);
    fs::create_dir_all(folder).map_err(|source| unwritable(folder, source))?;
    for page in pages {
        let path = folder.join(&page.name);
        fs::write(&path, &page.text).map_err(|source| unwritable(&path, source))?;
    }
    Ok(EXIT_SUCCESS)
}
