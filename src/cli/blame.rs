//! Blames a bad value on the environment variable that it came from: clap names the option, which nobody typed.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue};

/// The `error`, which names the variable in place of the option if the option is not among the words `typed`.
pub(super) fn blame_variable(mut error: clap::Error, command: &Command, typed: &[OsString]) -> clap::Error {
    if let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg)
        && let Some(variable) = variable_behind(option, command, typed)
    {
        error.insert(ContextKind::InvalidArg, ContextValue::String(variable));
    }
    error
}

/// The variable that the value of an `option`, such as `--region <REGION>`, came from.
fn variable_behind(option: &str, command: &Command, typed: &[OsString]) -> Option<String> {
    let name = option.split(' ').next()?;
    let long = name.strip_prefix("--")?;
    let mut arguments = command.get_subcommands().flat_map(Command::get_arguments);
    let variable = arguments.find_map(|argument| argument.get_env().filter(|_| argument.get_long() == Some(long)))?;
    let is_typed = typed.iter().map(|word| word.to_string_lossy()).any(|word| word.split('=').next() == Some(name));
    (!is_typed && std::env::var_os(variable).is_some()).then(|| variable.to_string_lossy().into_owned())
}
