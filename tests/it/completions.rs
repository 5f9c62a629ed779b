//! Completion scripts, in the shells that they are for. A shell that is not installed is left out.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{done, tool};

/// What is offered for a line, in this order: every option of `grant` that begins so, and every such command or value.
const CASES: [(&str, &[&str]); 8] = [
    ("pingone-bypass gr", &["grant"]),
    ("pingone-bypass grant --ma", &["--max-attempts", "--max-failures", "--max-users", "--max-window"]),
    ("pingone-bypass grant in.csv --look-f", &["--look-first"]),
    ("pingone-bypass audit --all", &["--all-users", "--allow"]),
    ("pingone-bypass end --res", &["--restore", "--resume"]),
    ("pingone-bypass sandbox --lis", &["--listen"]),
    ("pingone-bypass grant --region A", &["AP", "AU"]),
    ("pingone-bypass audit --allow not", &["not_found"]),
];

/// `clap_complete` offers values of a positional argument in these shells, and not in fish.
const POSITIONAL: (&str, &[&str]) = ("pingone-bypass completions z", &["zsh"]);

/// The shell, with the completion script for it and the program at the front of its search path; `None` if it is not installed.
fn shell(name: &str) -> Option<(Command, TempDir)> {
    if Command::new(name).args(["-c", "exit"]).status().is_err() {
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = done(tool().args(["completions", name]).output().expect("the tool runs"));
    assert_eq!(script.code, 0, "{}", script.stderr);
    std::fs::write(folder.path().join("_pingone-bypass"), script.stdout).expect("written");
    let mut shell = Command::new(name);
    let binary = Path::new(env!("CARGO_BIN_EXE_pingone-bypass")).parent().expect("a folder");
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
    shell.current_dir(folder.path()).env("PATH", path).env("HOME", folder.path()).env("LC_ALL", "C.UTF-8");
    Some((shell, folder))
}

/// Runs `script` in the shell of this name, with a line to complete. Returns what is offered, sorted; `None` without the shell.
fn offered(name: &str, arguments: &[&str], line: &str) -> Option<Vec<String>> {
    let (mut shell, _folder) = shell(name)?;
    let done = done(shell.args(arguments).env("LINE", line).output().expect("the shell runs"));
    let mut offered: Vec<String> = done.stdout.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    assert!(done.stderr.is_empty(), "{line}: {}", done.stderr);
    offered.sort();
    offered.dedup();
    Some(offered)
}

/// As bash does: the function that the script has registered gets the words of the line.
const IN_BASH: &str = r#"
source ./_pingone-bypass
function=$(complete -p pingone-bypass | sed 's/.* -F \([^ ]*\) .*/\1/')
read -ra COMP_WORDS <<< "$LINE"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$LINE COMP_POINT=${#LINE}
"$function" pingone-bypass "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

#[test]
fn bash_offers_commands_options_and_values() {
    for (line, expected) in CASES.into_iter().chain([POSITIONAL]) {
        if let Some(offered) = offered("bash", &["--norc", "-c", IN_BASH], line) {
            assert_eq!(offered, expected, "{line}");
        }
    }
}

/// As zsh does: a terminal is typed at, and what the completion hands to `compadd` goes to a file.
const IN_ZSH: &str = r#"
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'TMOUT=20 PS1= PS2= fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; zstyle ":completion:*" list-max 1000
compadd() {
  if [[ ${@[(I)-[a-zA-Z]#[OAD]*]} -gt 0 ]]; then builtin compadd "$@"; return; fi
  local -a found; builtin compadd -A found "$@"; print -rl -- $found >> offered; builtin compadd "$@"
}
leave() { exit }; zle -N leave; bindkey "^X" leave; bindkey "^I" complete-word'
zpty -w -n z "$LINE"$'\t\x18'
while zpty -r z typed; do :; done
cat offered
"#;

#[test]
fn zsh_offers_commands_options_and_values() {
    for (line, expected) in CASES.into_iter().chain([POSITIONAL]) {
        if let Some(offered) = offered("zsh", &["-f", "-c", IN_ZSH], line) {
            assert_eq!(offered, expected, "{line}");
        }
    }
}

/// fish prints what it would offer, each with a description after a tab.
const IN_FISH: &str = r#"source ./_pingone-bypass; complete -C "$LINE" | string replace -r "\t.*" """#;

#[test]
fn fish_offers_commands_options_and_values() {
    for (line, expected) in CASES {
        if let Some(offered) = offered("fish", &["--no-config", "-c", IN_FISH], line) {
            assert_eq!(offered, expected, "{line}");
        }
    }
}
