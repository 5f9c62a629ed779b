//! Why rows failed: rows with the same result, status, code and kind of message are one cause, with the first of them as examples.

use std::collections::HashMap;

use crate::domain::{Outcome, Tally};

/// The most causes that are told apart. Further ones are counted together, by their results.
const MOST_CAUSES: usize = 50;
/// The most examples of each.
pub(super) const MOST_EXAMPLES: usize = 100;
/// The most characters of one value that are kept. Messages in a report have 500 at most; an edited one may have any.
pub(super) const MOST_TEXT: usize = 500;
/// Stands for what differs between messages of one kind.
const VARYING: &str = "…";

/// What the rows of one cause have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) outcome: Outcome,
    pub(super) status: String,
    pub(super) code: String,
    /// The message without what differs from row to row.
    pub(super) pattern: String,
}

/// A row of a cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Example {
    pub(super) row: String,
    pub(super) user: String,
    pub(super) message: String,
    pub(super) error_id: String,
    pub(super) correlation: String,
    pub(super) attempts: String,
    pub(super) completed: String,
    /// The first of the input's other columns.
    pub(super) carried: Vec<String>,
}

/// Rows that failed alike.
#[derive(Debug)]
pub(super) struct Cause {
    pub(super) kind: Kind,
    pub(super) rows: u64,
    pub(super) examples: Vec<Example>,
    /// Whether all messages so far are the same.
    pub(super) is_uniform: bool,
}

/// Why the rows so far failed.
#[derive(Debug, Default)]
pub(super) struct Causes {
    known: Vec<Cause>,
    places: HashMap<Kind, usize>,
    /// Rows of further causes.
    others: Tally,
}

impl Causes {
    /// Adds a row that failed; its example is made only if it is among the first.
    pub(super) fn add(&mut self, kind: Kind, message: &str, example: impl FnOnce() -> Example) {
        let place = match self.places.get(&kind) {
            Some(place) => *place,
            None if self.known.len() < MOST_CAUSES => {
                self.places.insert(kind.clone(), self.known.len());
                self.known.push(Cause { kind, rows: 0, examples: Vec::new(), is_uniform: true });
                self.known.len() - 1
            }
            None => return self.others.add(kind.outcome),
        };
        let cause = &mut self.known[place];
        cause.rows += 1;
        cause.is_uniform &= cause.examples.first().is_none_or(|first| first.message == message);
        if cause.examples.len() < MOST_EXAMPLES {
            cause.examples.push(example());
        }
    }

    /// The causes, the most frequent one first.
    pub(super) fn by_rows(&self) -> Vec<&Cause> {
        let mut causes: Vec<&Cause> = self.known.iter().collect();
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.rows));
        causes
    }

    /// Rows whose causes are not told apart.
    pub(super) fn others(&self) -> Tally {
        self.others
    }
}

/// A message without what differs from row to row: quoted values, and words with a digit in them, such as IDs, dates and places
/// in a file.
pub(super) fn pattern_of(message: &str) -> String {
    let quoted = message.split('`').enumerate().map(|(index, part)| if index % 2 == 1 { VARYING } else { part });
    let text = quoted.collect::<Vec<_>>().join("`");
    let words = text.split_whitespace().map(|word| if word.chars().any(|c| c.is_ascii_digit()) { VARYING } else { word });
    words.collect::<Vec<_>>().join(" ").chars().take(MOST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind(outcome: Outcome, message: &str) -> Kind {
        Kind { outcome, status: String::new(), code: String::new(), pattern: pattern_of(message) }
    }

    fn example(row: usize, message: &str) -> Example {
        Example {
            row: row.to_string(),
            user: String::new(),
            message: message.to_owned(),
            error_id: String::new(),
            correlation: String::new(),
            attempts: String::new(),
            completed: String::new(),
            carried: Vec::new(),
        }
    }

    #[test]
    fn messages_that_differ_in_values_only_are_of_one_kind() {
        for (one, other) in [
            ("in.csv:17: `x` is not a UUID", "in.csv:18: `a b` is not a UUID"),
            ("asked for 2026-08-31T17:00:00.000Z", "asked for 2026-09-01T17:00:00.000Z"),
            ("no answer after 8 attempts", "no answer after 12 attempts"),
        ] {
            assert_eq!(pattern_of(one), pattern_of(other));
        }
        assert_ne!(pattern_of("no such user"), pattern_of("no such population"));
        assert_eq!(pattern_of(&"é ".repeat(9_999)).chars().count(), MOST_TEXT);
    }

    proptest! {
        #[test]
        fn every_row_is_counted_once_and_memory_is_bounded(rows in prop::collection::vec((0..80_u32, any::<bool>()), 0..600)) {
            let mut causes = Causes::default();
            let word = |number: u32| number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect::<String>();
            let outcome = |failed| if failed { Outcome::Failed } else { Outcome::Rejected };
            for (row, (number, failed)) in rows.iter().enumerate() {
                let message = word(*number);
                causes.add(kind(outcome(*failed), &message), &message, || example(row, &message));
            }
            let known = causes.by_rows();
            let named: u64 = known.iter().map(|cause| cause.rows).sum();
            prop_assert_eq!(named + causes.others().rows(), rows.len() as u64);
            prop_assert!(known.len() <= MOST_CAUSES && known.windows(2).all(|pair| pair[0].rows >= pair[1].rows));
            for cause in known {
                let naive: Vec<usize> = rows.iter().enumerate()
                    .filter(|(_, (number, failed))| cause.kind == kind(outcome(*failed), &word(*number)))
                    .map(|(row, _)| row).collect();
                prop_assert_eq!(cause.rows, naive.len() as u64);
                let shown: Vec<usize> = cause.examples.iter().map(|example| example.row.parse().expect("a number")).collect();
                prop_assert_eq!(&shown, &naive[..naive.len().min(MOST_EXAMPLES)]);
            }
        }
    }
}
