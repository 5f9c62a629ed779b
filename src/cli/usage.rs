//! What is wrong with a command line, in the form of the program's other errors: `error:`, the usage, and one `hint:`.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Cli;
use crate::domain::escaped_lines;

impl Cli {
    /// Words the `error` that `arguments` were refused with. `None` if it is none: what `--help` and `--version` ask for.
    pub fn explain(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
        if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return None;
        }
        let text = error.render().to_string();
        let (mut lines, mut tips) = (Vec::new(), Vec::new());
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("For more information")) {
            match line.trim_start().strip_prefix("tip: ") {
                // An unknown option is seldom meant as an input.
                Some(tip) if tip.starts_with("to pass ") => {}
                // Another result than the one that was meant would be let pass.
                Some(tip) if tip.starts_with("a similar value") && text.contains("'--allow") => {}
                Some(tip) => tips.push(tip),
                None => lines.push(line),
            }
        }
        let hint = if tips.is_empty() { hint(error, arguments) } else { tips.join("; ") };
        Some(escaped_lines(&format!("{}\nhint: {hint}", lines.join("\n"))))
    }
}

/// What to do about an `error` for which clap has no tip.
fn hint(error: &clap::Error, arguments: &[OsString]) -> String {
    let help = help_for(arguments);
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.split(' ').next().unwrap_or_default(),
        Some(_) | None => "",
    };
    let kind = error.kind();
    if kind == ErrorKind::ArgumentConflict {
        "leave one of them out".to_owned()
    } else if kind == ErrorKind::MissingRequiredArgument {
        format!("add what is missing: `{help}` describes it")
    } else if [ErrorKind::InvalidSubcommand, ErrorKind::MissingSubcommand].contains(&kind) {
        "`pingone-bypass --help` lists the commands".to_owned()
    } else if kind == ErrorKind::UnknownArgument {
        format!("`{help}` lists the options")
    } else if argument.starts_with("PINGONE_") {
        format!("set {argument} to another value, or unset it")
    } else if argument.starts_with("--") {
        format!("`{help}` tells what `{argument}` takes")
    } else {
        format!("`{help}` tells how the command is used")
    }
}

/// The command line that shows the help of the command in `arguments`.
fn help_for(arguments: &[OsString]) -> String {
    let cli = Cli::program();
    let typed = arguments.iter().skip(1).find_map(|word| cli.find_subcommand(word)).map(Command::get_name);
    typed.map_or_else(|| "pingone-bypass --help".to_owned(), |command| format!("pingone-bypass {command} --help"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of these words after the program's name; `None` if they are no mistake.
    fn said(words: &[&str]) -> Option<String> {
        let arguments: Vec<OsString> = ["pingone-bypass"].iter().chain(words).map(OsString::from).collect();
        Cli::explain(&Cli::read(&arguments).expect_err("it is refused"), &arguments)
    }

    #[test]
    fn each_mistake_on_the_command_line_ends_in_one_hint() {
        for (words, expected) in [
            (&["grant", "--untl", "+4h"][..], "a similar argument exists: '--until'"),
            (&["grant", "--frobnicate"], "`pingone-bypass grant --help` lists the options"),
            (&["grant", "--until"], "`pingone-bypass grant --help` tells what `--until` takes"),
            (&["grant", "--rate", "fast"], "`pingone-bypass grant --help` tells what `--rate` takes"),
            (&["audit", "--log-format", "xml"], "`pingone-bypass audit --help` tells what `--log-format` takes"),
            (&["grant", "in.csv", "--resume", "--overwrite"], "leave one of them out"),
            (&["grant", "in.csv", "--sandbox", "--region", "EU"], "leave one of them out"),
            (&["diff", "old.csv"], "add what is missing: `pingone-bypass diff --help` describes it"),
            (&["gramt"], "a similar subcommand exists: 'grant'"),
            (&["frobnicate"], "`pingone-bypass --help` lists the commands"),
            (&["grant", "in.csv", "other.csv"], "`pingone-bypass grant --help` lists the options"),
        ] {
            let said = said(words).expect("a mistake");
            let (rest, hint) = said.rsplit_once("\nhint: ").expect("a hint");
            assert_eq!(hint, expected, "{said}");
            assert!(rest.starts_with("error: ") && !rest.contains("\n\n") && !rest.contains("hint:"), "{said}");
            assert!(!said.contains("For more information") && !said.contains("tip:"), "{said}");
        }
    }

    #[test]
    fn the_usage_stays_and_nothing_typed_controls_the_terminal() {
        let said = said(&["grant", "--\u{1b}[2J\u{202e}x"]).expect("a mistake");
        assert!(said.contains("\nUsage: pingone-bypass grant ") && !said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
    }

    #[test]
    fn help_and_version_are_no_mistakes() {
        for words in [&["--help"][..], &["grant", "--help"], &["--version"], &[]] {
            assert_eq!(said(words), None, "{words:?}");
        }
    }
}
