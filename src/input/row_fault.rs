//! What is wrong with a row.

use std::collections::BTreeMap;
use std::fmt;
use std::mem::{Discriminant, discriminant};

use crate::domain::{Guess, NotAUuid, UntilError, counted, quote};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LookupValueFault {
    #[error("there is no value: expected one to look the user up by")]
    Empty,
    #[error("`{}` cannot be looked up: expected text without control characters", quote(.0))]
    Control(String),
    #[error("`{}` cannot be looked up: expected at most {most} characters", quote(.value))]
    TooLong { value: String, most: usize },
}

/// An end date, and how it is written in the input, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DateAsWritten {
    pub(super) date: String,
    pub(super) written: String,
}

impl fmt::Display for DateAsWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, written } = self;
        if written.is_empty() || written == date { write!(f, "`{date}`") } else { write!(f, "`{}` (`{date}`)", quote(written)) }
    }
}

/// Why a row cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowFault {
    #[error("`{}` stands beyond the last column, `{}`: found {}, expected {expected}", quote(.value), quote(.last), counted(*.found as u64, "value"))]
    TooMany { value: String, last: String, found: usize, expected: usize },
    #[error("column `{}`: there is no value: found {}, expected {expected}, the last being `{}`", quote(.column), counted(*.found as u64, "value"), quote(.last))]
    TooFew { column: String, last: String, found: usize, expected: usize },
    #[error("column `{}`: `{}` is not UTF-8", quote(.column), quote(.value))]
    NotUtf8 { column: String, value: String },
    #[error("column `{}`: the quote before `{}` is never closed", quote(.column), quote(.value))]
    Unclosed { column: String, value: String },
    #[error("column `{}`: {}", quote(.column), user_fault(.fault))]
    User { column: String, fault: NotAUuid },
    #[error("column `{}`: {fault}", quote(.column))]
    LookupValue { column: String, fault: LookupValueFault },
    #[error("column `{}`: {fault}", quote(.column))]
    Until { column: String, fault: UntilError },
    #[error("column `{}`: `` is not an end date, and there is no `--until` for rows that have none", quote(.column))]
    NoUntil { column: String },
    #[error("column `{}`: `{}` is not a result of a grant", quote(.column), quote(.value))]
    Result { column: String, value: String },
    #[error("column `{}`: `{}` is not an end date that was granted: expected the form `2030-08-31T17:00:00.000Z`", quote(.column), quote(.value))]
    Granted { column: String, value: String },
    #[error("column `{}`: `` does not tell what the user had before the grant", quote(.column))]
    NoPrevious { column: String },
    #[error("column `{}`: `{}` is not what a user had before: expected the form `2030-08-31T17:00:00.000Z`, or `none`", quote(.column), quote(.value))]
    Previous { column: String, value: String },
    #[error("column `{}`: `{previous}` is not before `{granted}`, which the grant gave", quote(.column))]
    NotBefore { column: String, previous: String, granted: String },
    #[error("column `{}`: `{user}` had `{previous}` here, and `{other}` on line {line}: expected one for a user", quote(.column))]
    Contradiction { column: String, user: String, previous: String, other: String, line: u64 },
    #[error(
        "column `{}`: the user {user} has the end date {} here, and {} on line {line}: expected one end date for a user",
        quote(.column), .dates[0], .dates[1]
    )]
    Conflict { column: String, user: String, dates: Box<[DateAsWritten; 2]>, line: u64 },
}

impl RowFault {
    /// What is wrong, worded to follow a count ("3 with ...").
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::TooMany { .. } | Self::TooFew { .. } => "with too many or too few values",
            Self::NotUtf8 { .. } => "not UTF-8",
            Self::Unclosed { .. } => "with a quote that is never closed",
            Self::User { .. } => "without a UUID",
            Self::LookupValue { .. } => "without a value that can be looked up",
            Self::Until { fault: UntilError::Past { .. }, .. } => "with an end date that has passed",
            Self::Until { fault: UntilError::TooFar { .. }, .. } => "beyond `--max-window`",
            Self::Until { .. } | Self::NoUntil { .. } => "without an end date that can be read",
            Self::Result { .. } => "without a result of a grant",
            Self::NoPrevious { .. } => "that do not tell what was there before",
            Self::Contradiction { .. } => "that contradict another row of their user",
            Self::Granted { .. } | Self::Previous { .. } | Self::NotBefore { .. } => "without the dates of a grant",
            Self::Conflict { .. } => "with several end dates for one user",
        }
    }
}

/// What rows that are told of together have in common: the column, and what is wrong with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Likeness {
    column: String,
    fault: Discriminant<RowFault>,
    until: Option<Discriminant<UntilError>>,
    /// What such an end date may mean instead.
    guess: Option<Discriminant<Guess>>,
    /// Whether that has passed.
    has_passed: bool,
    user: Option<UserForm>,
}

/// What stands in place of a user ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UserForm {
    /// A UUID in another form.
    Uuid,
    Email,
    Other,
}

impl UserForm {
    fn of(fault: &NotAUuid) -> Self {
        match fault.in_another_form() {
            Some(_) => Self::Uuid,
            None if is_like_an_email(fault.text()) => Self::Email,
            None => Self::Other,
        }
    }
}

/// Whether a text has the form of an email address, roughly.
fn is_like_an_email(text: &str) -> bool {
    let has_domain = |(name, domain): (&str, &str)| !name.is_empty() && domain.contains('.') && !domain.contains('@');
    !text.contains(char::is_whitespace) && text.split_once('@').is_some_and(has_domain)
}

fn user_fault(fault: &NotAUuid) -> String {
    match UserForm::of(fault) {
        UserForm::Uuid | UserForm::Other => fault.to_string(),
        UserForm::Email => format!("`{}` is not a UUID: it looks like an email address", quote(fault.text())),
    }
}

impl RowFault {
    /// What it has in common with others like it.
    pub(super) fn likeness(&self) -> Likeness {
        let until = if let Self::Until { fault, .. } = self { Some(fault) } else { None };
        let guess = if let Some(UntilError::Form { value, start }) = until { Guess::of(value).zip(Some(*start)) } else { None };
        let user = if let Self::User { fault, .. } = self { Some(UserForm::of(fault)) } else { None };
        Likeness {
            column: self.column().to_owned(),
            fault: discriminant(self),
            until: until.map(discriminant),
            guess: guess.as_ref().map(|(guess, _)| discriminant(guess)),
            has_passed: guess.as_ref().is_some_and(|(guess, start)| guess.has_passed(*start)),
            user,
        }
    }

    /// The column of user IDs, if an email address stands in it.
    pub(super) fn column_of_emails(&self) -> Option<&str> {
        if let Self::User { column, fault } = self {
            Some(column.as_str()).filter(|_| UserForm::of(fault) == UserForm::Email)
        } else {
            None
        }
    }

    /// The column that is wrong, or the last one.
    fn column(&self) -> &str {
        match self {
            Self::TooMany { last, .. } => last,
            Self::TooFew { column, .. }
            | Self::NotUtf8 { column, .. }
            | Self::Unclosed { column, .. }
            | Self::User { column, .. }
            | Self::LookupValue { column, .. }
            | Self::Until { column, .. }
            | Self::NoUntil { column }
            | Self::Result { column, .. }
            | Self::Granted { column, .. }
            | Self::NoPrevious { column }
            | Self::Previous { column, .. }
            | Self::NotBefore { column, .. }
            | Self::Contradiction { column, .. }
            | Self::Conflict { column, .. } => column,
        }
    }

    /// The line with another end date, if that is what is wrong.
    pub(super) fn contradicts(&self) -> Option<u64> {
        if let Self::Conflict { line, .. } = self { Some(*line) } else { None }
    }

    /// Takes in what is written as end dates, of the row on the line `here` and of the one that it contradicts.
    pub(super) fn quote_written(&mut self, here: u64, texts: &BTreeMap<u64, String>) {
        if let Self::Conflict { dates, line, .. } = self {
            for (date, line) in dates.iter_mut().zip([here, *line]) {
                date.written = texts.get(&line).cloned().unwrap_or_default();
            }
        }
    }

    /// The value that is wrong; empty where a value is missing, or where each is sound and two of them contradict each other.
    pub(super) fn value(&self) -> &str {
        match self {
            Self::TooMany { value, .. }
            | Self::NotUtf8 { value, .. }
            | Self::Unclosed { value, .. }
            | Self::Result { value, .. }
            | Self::Granted { value, .. }
            | Self::Previous { value, .. }
            | Self::LookupValue { fault: LookupValueFault::Control(value) | LookupValueFault::TooLong { value, .. }, .. } => value,
            Self::User { fault, .. } => fault.text(),
            Self::Until { fault, .. } => fault.text(),
            Self::NotBefore { previous, .. } => previous,
            Self::Contradiction { .. }
            | Self::Conflict { .. }
            | Self::TooFew { .. }
            | Self::LookupValue { fault: LookupValueFault::Empty, .. }
            | Self::NoUntil { .. }
            | Self::NoPrevious { .. } => "",
        }
    }
}
