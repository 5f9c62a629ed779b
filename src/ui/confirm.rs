//! Does the operator want this? Asked once, before anything is changed.

use std::io::{self, BufRead, IsTerminal};

use tokio::sync::oneshot;

use super::Console;
use crate::stop::Stop;

/// What must be typed to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// `y` or `yes`.
    YesOrNo(String),
    /// This very text.
    Type { what: &'static str, text: String },
}

/// Why nobody has agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotConfirmed {
    NoTerminal,
    No,
    /// A signal came before the answer.
    Stopped,
}

impl Question {
    fn words(&self) -> String {
        match self {
            Self::YesOrNo(question) => format!("{question} [y/N] "),
            Self::Type { what, text } => format!("To go on, type {what}, `{text}`: "),
        }
    }

    fn is_answered_by(&self, answer: &str) -> bool {
        match self {
            Self::YesOrNo(_) => matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"),
            Self::Type { text, .. } => answer.trim() == text,
        }
    }
}

/// Asks on the terminal, and waits for the answer.
pub(crate) async fn confirm(question: &Question, console: &Console, stop: &Stop) -> Result<(), NotConfirmed> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(NotConfirmed::NoTerminal);
    }
    console.ask(&question.words());
    let (send, typed) = oneshot::channel();
    // A thread of nobody's: who waits for a line can be told of no signal.
    std::thread::spawn(move || {
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        // After a signal, the answer is of no use.
        drop(send.send(read.map(|_| answer)));
    });
    tokio::select! {
        biased;
        () = stop.requested() => Err(NotConfirmed::Stopped),
        typed = typed => match typed {
            Ok(Ok(answer)) if question.is_answered_by(&answer) => Ok(()),
            Ok(_) | Err(_) => Err(NotConfirmed::No),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_answer_is_one() {
        let plain = Question::YesOrNo("Go on?".into());
        assert!(["y", "Y\n", " yes \n", "YES"].iter().all(|answer| plain.is_answered_by(answer)));
        assert!(["", "n", "no", "yes please", "ja"].iter().all(|answer| !plain.is_answered_by(answer)));
        let name = Question::Type { what: "its name", text: "Acme Prod".into() };
        assert!(name.is_answered_by("Acme Prod\n"));
        assert!(["acme prod", "y", "", "Acme"].iter().all(|answer| !name.is_answered_by(answer)));
    }
}
