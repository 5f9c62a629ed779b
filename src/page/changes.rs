//! What the output of `diff` says: how many users changed how, and the first of each.

use csv::ByteRecord;

use super::Users;
use super::causes::MOST_EXAMPLES;
use super::figures::{Ends, Unreadable, cut};
use crate::diff::Change;
use crate::domain::{BYTE_ORDER_MARK, BypassUntil};

/// The columns of the output of `diff` that are its own.
const COLUMNS: [&str; 4] = ["userID", "change", "before", "after"];
/// How many further columns are shown, and how many characters of each value.
const FURTHER: usize = 4;
const MOST_VALUE: usize = 60;

/// The delimiter of a text that begins as the output of `diff` does, which somebody may have saved again. `None` for any other text.
pub(super) fn delimiter_of_changes(head: &[u8]) -> Option<u8> {
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    let header = head.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let has_all = |delimiter: u8| {
        let bare = |name: &[u8]| name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name).to_owned();
        let names: Vec<Vec<u8>> = header.split(|byte| *byte == delimiter).map(bare).collect();
        COLUMNS.iter().all(|wanted| names.iter().any(|name| name == wanted.as_bytes()))
    };
    b",;|\t".iter().copied().find(|delimiter| has_all(*delimiter))
}

/// The output of `diff` in numbers.
#[derive(Debug)]
pub(super) struct Changes {
    places: [usize; COLUMNS.len()],
    width: usize,
    users: Users,
    /// The names of the further columns, such as `username`.
    pub(super) further: Vec<String>,
    pub(super) found: [Changed; Change::ALL.len()],
    /// When the bypasses run out of those who can now bypass MFA, or can longer or shorter than before.
    pub(super) ends: Ends,
    pub(super) unreadable: Unreadable,
}

/// The users with one kind of change.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) count: u64,
    pub(super) examples: Vec<ChangedUser>,
}

#[derive(Debug)]
pub(super) struct ChangedUser {
    pub(super) user: String,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) further: Vec<String>,
}

impl Changes {
    /// For a file with this `header`; `None` if it is not of `diff`.
    pub(super) fn new(header: &ByteRecord, users: Users) -> Option<Self> {
        let place = |wanted: &str| header.iter().position(|name| name == wanted.as_bytes());
        let places = [place(COLUMNS[0])?, place(COLUMNS[1])?, place(COLUMNS[2])?, place(COLUMNS[3])?];
        let further = header.iter().enumerate().filter(|(index, _)| !places.contains(index));
        let further = match users {
            Users::Shown => further.take(FURTHER).map(|(_, name)| cut(name, MOST_VALUE)).collect(),
            Users::LeftOut => Vec::new(),
        };
        let found = Change::ALL.map(|_| Changed::default());
        Some(Self { places, width: header.len(), users, further, found, ends: Ends::new(None), unreadable: Unreadable::default() })
    }

    pub(super) fn of(&self, change: Change) -> &Changed {
        &self.found[change as usize]
    }

    /// How many users have a change that is known to be one.
    pub(super) fn known(&self) -> u64 {
        Change::ALL.into_iter().filter(|change| change.counts()).map(|change| self.of(change).count).sum()
    }

    /// Takes in a line.
    pub(super) fn take(&mut self, line: &ByteRecord) {
        let value = |place: usize| line.get(place).unwrap_or_default();
        let [user, change, before, after] = self.places.map(value);
        let change = Change::ALL.into_iter().find(|known| known.name().as_bytes() == change && line.len() == self.width);
        let Some(change) = change else {
            self.unreadable.add(line.position().map_or(0, csv::Position::line));
            return;
        };
        if change.counts()
            && let Some(until) = std::str::from_utf8(after).ok().and_then(BypassUntil::read)
        {
            self.ends.add(Some(until));
        }
        let changed = &mut self.found[change as usize];
        changed.count += 1;
        if self.users == Users::Shown && changed.examples.len() < MOST_EXAMPLES {
            let further = line.iter().enumerate().filter(|(index, _)| !self.places.contains(index));
            changed.examples.push(ChangedUser {
                user: cut(user, MOST_VALUE),
                before: cut(before, MOST_VALUE),
                after: cut(after, MOST_VALUE),
                further: further.take(self.further.len()).map(|(_, value)| cut(value, MOST_VALUE)).collect(),
            });
        }
    }
}
