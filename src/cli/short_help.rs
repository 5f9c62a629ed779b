//! What `-h` shows of the commands that take or list users: the options that a run in an incident needs, on one screen. `--help` shows all.

use clap::{Arg, ArgAction, Command};

/// Below the list of commands.
pub(super) const BELOW_COMMANDS: &str = "\
The usual options: `pingone-bypass grant -h`. All options: `pingone-bypass grant --help`.
The reference: `pingone-bypass explain`.";

/// What `-h` shows of each of these commands. An option has a first paragraph that fits a line there; what `--help` adds stands
/// in the next one.
const OF_EACH: [&str; 10] =
    ["environment_id", "client_id", "client_secret_file", "region", "profile", "sandbox", "rate", "output", "overwrite", "quiet"];

/// What `-h` shows besides of a command that takes rows.
const OF_ROWS: [&str; 6] = ["input", "user_column", "lookup_by", "skip_invalid", "dry_run", "resume"];

/// What `-h` shows of one command besides.
const OF_ONE: [(&str, [&[&str]; 2]); 4] = [
    ("grant", [&OF_ROWS, &["until", "yes", "canary", "max_failures", "look_first", "reason"]]),
    ("audit", [&OF_ROWS, &["all_users", "filter", "population", "group", "only"]]),
    ("end", [&OF_ROWS, &["restore", "grace", "yes", "canary", "max_failures", "reason"]]),
    ("users", [&[], &["all_users", "filter", "population", "group", "max_users"]]),
];

/// The `program` with a short `-h` of each of these commands.
pub(super) fn shortened(program: Command) -> Command {
    program.mut_subcommands(|command| {
        let found = OF_ONE.into_iter().find(|(name, _)| command.get_name() == *name);
        match found {
            Some((name, of_one)) => short(command, name, &of_one.concat()),
            None => command,
        }
    })
}

fn short(command: Command, name: &str, of_one: &[&str]) -> Command {
    let is_usual = |argument: &Arg| OF_EACH.iter().chain(of_one).any(|id| argument.get_id() == id);
    let reference = "The reference: `pingone-bypass explain`.";
    // clap's own would take three lines of the screen to say what the last line says.
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).hide_short_help(true);
    // Exit codes of its own come before it.
    let own = command.get_after_long_help().map(|own| format!("{own}\n\n")).unwrap_or_default();
    command
        .mut_args(|argument| {
            let is_hidden = !is_usual(&argument);
            argument.hide_short_help(is_hidden)
        })
        .disable_help_flag(true)
        .arg(help.help("Print this; with `-h` only the usual options"))
        .after_help(format!("All options: `pingone-bypass {name} --help`. {reference}"))
        .after_long_help(format!("{own}{reference} It also explains an option: `pingone-bypass explain --canary`."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    #[test]
    fn what_the_short_help_shows_exists_and_the_long_help_shows_everything() {
        let mut program = Cli::program();
        program.build();
        for (name, of_one) in OF_ONE {
            let command = program.find_subcommand_mut(name).expect("a command");
            let (short, long) = (command.render_help().to_string(), command.render_long_help().to_string());
            let named = |text: &str, long: &str| text.split_whitespace().any(|word| word.trim_end_matches("...") == format!("--{long}"));
            for id in OF_EACH.iter().chain(&of_one.concat()) {
                let argument = command.get_arguments().find(|argument| argument.get_id() == id).expect("an argument");
                let is_shown = argument.get_long().map_or(short.contains("[INPUT]"), |long| named(&short, long));
                assert!(is_shown, "{name}: {id}: {short}");
            }
            let options: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
            assert!(options.len() > 30, "{name}: {options:?}");
            assert!(options.iter().all(|option| named(&long, option)), "{name}: {long}");
            assert!(options.iter().filter(|option| named(&short, option)).count() < 25, "{name}: {short}");
        }
    }
}
