//! Asks the operator to confirm. It asks once, before anything is changed, on the controlling terminal, whatever
//! standard input and standard error are.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};

use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::oneshot;

use super::Console;
use crate::stop::Stop;

/// What must be typed to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// `y` or `yes`.
    YesOrNo(String),
    /// Exactly this text, which is not blank.
    Type { what: &'static str, text: String },
}

/// Why the run was not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotConfirmed {
    No,
    /// A signal came before the answer.
    Stopped,
}

impl Question {
    fn words(&self) -> String {
        match self {
            Self::YesOrNo(question) => format!("{question} [y/N] "),
            Self::Type { what, text } => format!("To go on, type {what}, `{}`: ", text.trim()),
        }
    }

    /// Whether this line confirms. A line without Enter is the end of the input and does not; nor does a blank line.
    fn is_confirmed_by(&self, line: &str) -> bool {
        let Some(answer) = line.strip_suffix('\n').map(str::trim).filter(|answer| !answer.is_empty()) else {
            return false;
        };
        match self {
            Self::YesOrNo(_) => matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"),
            // Spaces that look alike on a terminal count as equal.
            Self::Type { text, .. } => answer.split_whitespace().eq(text.split_whitespace()),
        }
    }
}

/// The controlling terminal.
#[derive(Debug)]
pub(crate) struct Terminal(File);

impl Terminal {
    /// The terminal, if there is one.
    pub(crate) fn controlling() -> Option<Self> {
        File::options().read(true).write(true).open("/dev/tty").ok().map(Self)
    }

    /// Prints `words`, and returns the line typed after them.
    fn line_after(mut self, words: &str) -> io::Result<String> {
        // Input typed before the question does not answer it.
        tcflush(&self.0, QueueSelector::IFlush)?;
        self.0.write_all(words.as_bytes())?;
        let mut line = String::new();
        BufReader::new(&self.0).read_line(&mut line)?;
        if !line.ends_with('\n') {
            self.0.write_all(b"\n")?;
        }
        Ok(line)
    }
}

/// Asks on the `terminal`, after the text `before` and everything written to the `console`, and waits for the answer.
pub(crate) async fn confirm(
    question: &Question,
    before: &str,
    terminal: Terminal,
    console: &Console,
    stop: &Stop,
) -> Result<(), NotConfirmed> {
    let (words, console) = (format!("{before}{}", question.words()), console.clone());
    let (send, typed) = oneshot::channel();
    // A detached thread: a blocking read cannot be cancelled, so nothing joins it.
    std::thread::spawn(move || {
        console.wait();
        // After a signal, nothing receives the answer.
        drop(send.send(terminal.line_after(&words)));
    });
    tokio::select! {
        biased;
        () = stop.requested() => Err(NotConfirmed::Stopped),
        typed = typed => match typed {
            Ok(Ok(line)) if question.is_confirmed_by(&line) => Ok(()),
            Ok(_) | Err(_) => Err(NotConfirmed::No),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Question {
        Question::Type { what: "its name", text: name.into() }
    }

    #[test]
    fn only_the_right_answer_confirms() {
        let plain = Question::YesOrNo("Go on?".into());
        assert!(["y\n", "Y\r\n", " yes \n", "YES\n"].iter().all(|line| plain.is_confirmed_by(line)));
        assert!(["n\n", "no\n", "yes please\n", "ja\n"].iter().all(|line| !plain.is_confirmed_by(line)));
        assert!(named("Acme Prod").is_confirmed_by("Acme Prod\n"));
        assert!(["acme prod\n", "y\n", "Acme\n", "AcmeProd\n"].iter().all(|line| !named("Acme Prod").is_confirmed_by(line)));
    }

    #[test]
    fn an_empty_answer_never_confirms() {
        let questions = [Question::YesOrNo(String::new()), named("Acme"), named(""), named(" \u{a0}\t"), named("\n")];
        for question in &questions {
            // Enter, spaces, and Ctrl-D: alone, and after the right answer.
            for line in ["\n", "", " \n", "\r\n", "\u{a0}\n", "y", "Acme", " "] {
                assert!(!question.is_confirmed_by(line), "{question:?} {line:?}");
            }
        }
    }

    #[test]
    fn a_name_is_compared_as_it_is_shown() {
        for (name, typed) in [
            (" Acme Prod ", "Acme Prod\n"),
            ("Acme\u{a0}Prod", "Acme Prod\n"),
            // A control character is shown as a space.
            ("Acme  Prod ", "Acme Prod\n"),
            ("'=Acme", "'=Acme\n"),
        ] {
            assert!(named(name).is_confirmed_by(typed), "{name:?}");
        }
        assert_eq!(named(" Acme ").words(), "To go on, type its name, `Acme`: ");
    }
}
