//! What an option does, from the help of the commands that have it.

use clap::{Arg, Command};

/// The description of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OptionHelp {
    /// With its dashes: `--canary`.
    pub(crate) name: String,
    /// As in the usage: `--canary <N>`, `-o, --output <PATH>`.
    pub(super) usage: String,
    /// The commands that have it.
    pub(super) commands: Vec<String>,
    pub(super) text: String,
    /// Its default and its values, a line each.
    pub(super) notes: Vec<String>,
}

impl OptionHelp {
    /// The option `wanted`, in lower case, with its dashes or without; `None` if no command has it.
    pub(super) fn find(wanted: &str, program: &Command) -> Option<Self> {
        let name = wanted.trim_start_matches('-');
        // A word without dashes names a topic or an entry where there is one.
        let is_called = |argument: &Arg| {
            let is_short = wanted.starts_with('-') && argument.get_short().is_some_and(|short| short.to_string() == name);
            is_short || argument.get_long() == Some(name)
        };
        let all: Vec<(&Command, &Arg)> = options(program).filter(|(_, argument)| is_called(argument)).collect();
        let (_, argument) = all.first()?;
        let mut commands: Vec<String> = all.iter().map(|(command, _)| command.get_name().to_owned()).collect();
        commands.dedup();
        let help = argument.get_long_help().or_else(|| argument.get_help());
        Some(Self {
            name: format!("--{}", argument.get_long()?),
            usage: usage(argument),
            commands,
            text: help.map(ToString::to_string).unwrap_or_default(),
            notes: notes(argument),
        })
    }

    /// The long name of each option, with its dashes.
    pub(super) fn names(program: &Command) -> impl Iterator<Item = String> {
        options(program).filter_map(|(_, argument)| argument.get_long().map(|long| format!("--{long}")))
    }
}

fn options(program: &Command) -> impl Iterator<Item = (&Command, &Arg)> {
    let commands = program.get_subcommands();
    commands.flat_map(|command| command.get_arguments().map(move |argument| (command, argument)))
}

fn usage(argument: &Arg) -> String {
    let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    let names = argument.get_value_names().filter(|_| argument.get_action().takes_values()).unwrap_or_default();
    let value: String = names.iter().map(|name| format!(" <{name}>")).collect();
    format!("{short}--{}{value}", argument.get_long().unwrap_or_default())
}

fn notes(argument: &Arg) -> Vec<String> {
    let listed = |values: Vec<String>| (!values.is_empty()).then(|| values.join(", "));
    let takes_value = argument.get_action().takes_values();
    let defaults = argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let values = argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let default = listed(defaults).filter(|_| takes_value).map(|value| format!("default: {value}"));
    let values = listed(values).filter(|_| takes_value).map(|values| format!("values: {values}"));
    [default, values].into_iter().flatten().collect()
}
