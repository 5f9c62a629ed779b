//! Reads the device report, and keeps of it each user with a bypass, once however many devices the user has.
//!
//! Users and their end dates are sorted in bounded memory, by ID, so that a user's devices stand together and the same report gives
//! the same row numbers; names are in a temporary file. Only a hash of each user is in memory, by which a report without end is known.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use chrono::DateTime;
use csv::ByteRecord;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::SeenSet;
use super::report_error::{NotReported, ReportError};
use crate::domain::{BypassUntil, Row, counted};
use crate::external_sort::{Sorter, unnamed_file};
use crate::file_error::FileError;
use crate::pingone::{DeviceEntry, Session, Transport};
use crate::stop::Stop;

/// Rows that are passed on at a time.
const TOGETHER: usize = 64;
/// The name of the temporary file in messages: it has none.
const SPOOL: &str = "(a temporary file of users)";

/// The users with a bypass, as the device report has them.
#[derive(Debug)]
pub(crate) struct ReportedUsers {
    /// The number of entries that were read: one for each device.
    pub(crate) entries: u64,
    pub(crate) users: u64,
    /// Whether any entry has the field `bypassUntil`; true if there is no entry.
    pub(crate) has_field: bool,
    /// Each user once, as a [`Found`].
    spool: File,
    /// The names, each with its length before it.
    names: File,
}

/// A user with a bypass: the two halves of the ID, the end date so that later ones come first, and where the name stands.
type Found = [u64; 4];

/// Has a report made and reads it to its end. `count` is told the number of entries. More users than `max_users` are an error.
pub(crate) async fn read_report<W: Transport>(
    session: &Session<W>,
    max_users: Option<u64>,
    stop: &Stop,
    count: &watch::Sender<u64>,
) -> Result<ReportedUsers, NotReported> {
    let mut pages = session.device_report(stop).await?;
    let mut reader = Reader::new().map_err(not_kept)?;
    while pages.has_more() {
        let page = session.next_entries(&mut pages, stop).await?;
        reader.has_field |= page.has_field;
        reader.counted = reader.counted.max(page.counted);
        let new = reader.add(page.entries).map_err(not_kept)?;
        count.send_replace(reader.entries);
        pages.count_new(new).map_err(|why| NotReported::PingOne(pages.error(why)))?;
    }
    let reported = reader.finish().map_err(not_kept)?;
    match max_users {
        Some(most) if reported.users > most => Err(NotReported::Report(ReportError::TooMany { most })),
        Some(_) | None => Ok(reported),
    }
}

fn not_kept(source: io::Error) -> NotReported {
    NotReported::File(FileError::new("written", &std::env::temp_dir().join(SPOOL), source))
}

/// What has been read so far.
struct Reader {
    entries: u64,
    has_field: bool,
    /// The highest count of entries that PingOne has stated, whether of a page or of all.
    counted: u64,
    /// Hashes of all users so far.
    users: HashSet<u64>,
    hasher: RandomState,
    found: Sorter<4>,
    names: BufWriter<File>,
    /// Where the next name will stand.
    at: u64,
}

impl Reader {
    fn new() -> io::Result<Self> {
        let folder = std::env::temp_dir();
        Ok(Self {
            entries: 0,
            has_field: false,
            counted: 0,
            users: HashSet::new(),
            hasher: RandomState::new(),
            found: Sorter::new(&folder),
            names: BufWriter::new(unnamed_file(&folder)?),
            at: 0,
        })
    }

    /// Adds the entries of a page. Returns how many users are new.
    fn add(&mut self, entries: Vec<DeviceEntry>) -> io::Result<u64> {
        let mut new = 0;
        for DeviceEntry { user, username, until } in entries {
            self.entries += 1;
            new += u64::from(self.users.insert(self.hasher.hash_one(user)));
            if let Some(until) = until {
                let (high, low) = user.uuid().as_u64_pair();
                self.found.push([high, low, latest_first(until), self.at])?;
                let name = username.map(|name| name.to_string()).unwrap_or_default();
                let length = u32::try_from(name.len()).map_err(io::Error::other)?;
                self.names.write_all(&length.to_le_bytes())?;
                self.names.write_all(name.as_bytes())?;
                self.at += 4 + u64::from(length);
            }
        }
        Ok(new)
    }

    fn finish(self) -> io::Result<ReportedUsers> {
        let Self { entries, has_field, counted: stated, users: _, hasher: _, found, names, at: _ } = self;
        if entries < stated {
            tracing::warn!(
                "PingOne counted {} of the device report, and listed {entries}: users may be missing; `--all-users` tells of everybody",
                if stated == 1 { "1 entry".to_owned() } else { format!("{stated} entries") }
            );
        }
        if entries > 0 && !has_field {
            tracing::warn!(
                "no entry of the device report has a `bypassUntil`: either nobody has a bypass by this report, or this tenant's report does not \
                 know the field; `--all-users` tells"
            );
        }
        let mut spool = BufWriter::new(unnamed_file(&std::env::temp_dir())?);
        let (mut users, mut disagreeing) = (0, 0);
        // The user whose entries are being read, with the latest end date, and whether another one has been met.
        let mut last: Option<(Found, bool)> = None;
        for next in found.sorted()? {
            let next = next?;
            match &mut last {
                Some(([high, low, until, _], differs)) if [*high, *low] == next[..2] => {
                    disagreeing += u64::from(!*differs && *until != next[2]);
                    *differs |= *until != next[2];
                }
                Some(_) | None => {
                    spool.write_all(next.map(u64::to_le_bytes).as_flattened())?;
                    users += 1;
                    last = Some((next, false));
                }
            }
        }
        if disagreeing > 0 {
            tracing::warn!(
                "the devices of {} have different values of `bypassUntil`: the latest end date is taken as the reported one",
                counted(disagreeing, "user")
            );
        }
        let mut spool = spool.into_inner().map_err(io::IntoInnerError::into_error)?;
        spool.rewind()?;
        let names = names.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(ReportedUsers { entries, users, has_field: has_field || entries == 0, spool, names })
    }
}

/// The end date as a number that is the smaller, the later the date.
fn latest_first(until: BypassUntil) -> u64 {
    !(until.millis().cast_unsigned() ^ (1 << 63))
}

/// The end date of which this is the number.
fn until_of(number: u64) -> Option<BypassUntil> {
    DateTime::from_timestamp_millis((!number ^ (1 << 63)).cast_signed()).and_then(BypassUntil::from_instant)
}

/// Reads the next user; `None` at the end.
fn read_found(spool: &mut impl Read) -> io::Result<Option<Found>> {
    let mut bytes = [0; size_of::<Found>()];
    match spool.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
        Ok(()) => {
            let mut numbers = bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
            Ok(Some(std::array::from_fn(|_| numbers.next().unwrap_or_default())))
        }
    }
}

fn read_name(names: &mut File, at: u64) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    names.seek(SeekFrom::Start(at))?;
    names.read_exact(&mut length)?;
    let mut name = vec![0; usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?];
    names.read_exact(&mut name)?;
    Ok(name)
}

impl ReportedUsers {
    /// Sends a row into `rows` for each user that is not in `seen` yet, and for the rows that a resumed run sends again. Blocks.
    /// Returns the number of users in all; `None` if `rows` takes no more.
    pub(crate) fn feed(self, mut seen: SeenSet, rows: &mpsc::Sender<Row>) -> io::Result<Option<u64>> {
        let Self { spool, mut names, .. } = self;
        let mut spool = BufReader::new(spool);
        let mut next = Vec::new();
        while let Some([high, low, until, at]) = read_found(&mut spool)? {
            let until = until_of(until).ok_or_else(|| io::Error::other("an end date cannot be read"))?;
            let name = read_name(&mut names, at)?;
            let user = Uuid::from_u64_pair(high, low).into();
            seen.insert(user, || ByteRecord::from(vec![name, until.to_string().into_bytes()]), &mut next);
            if next.len() >= TOGETHER && !send(&mut next, rows) {
                return Ok(None);
            }
        }
        next.extend(seen.take_remaining());
        Ok(send(&mut next, rows).then(|| seen.users()))
    }
}

/// Sends rows as they are taken, each with what the report says of its user. Returns whether all were taken.
fn send(next: &mut Vec<Row>, rows: &mpsc::Sender<Row>) -> bool {
    next.drain(..).all(|mut row| {
        let until = row.carried.get(1).and_then(|until| std::str::from_utf8(until).ok());
        row.origin.reported = until.and_then(BypassUntil::read);
        futures::executor::block_on(rows.send(row)).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ForeignText, UserId};

    fn user(index: u128) -> UserId {
        Uuid::from_u128(index).into()
    }

    fn entry(index: u128, name: &str, until: Option<&str>) -> DeviceEntry {
        let until = until.map(|until| BypassUntil::read(until).expect("a date"));
        DeviceEntry { user: user(index), username: Some(ForeignText::from(name)).filter(|name| !name.is_empty()), until }
    }

    const EARLY: Option<&str> = Some("2026-08-31T17:00:00.000Z");
    const LATE: Option<&str> = Some("2026-08-31T17:00:00.001Z");

    /// The number, user and carried values of each row.
    fn rows_of(users: ReportedUsers) -> Vec<(u64, Vec<String>, Option<BypassUntil>)> {
        let (sender, mut rows) = mpsc::channel(100);
        let count = users.users;
        assert_eq!(Some(count), users.feed(SeenSet::default(), &sender).expect("kept"));
        drop(sender);
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        std::iter::from_fn(|| rows.try_recv().ok())
            .map(|row| (row.number.0, row.carried.iter().map(text).collect(), row.origin.reported))
            .collect()
    }

    #[test]
    fn each_user_with_a_bypass_has_one_row_with_the_latest_end_date() {
        let mut reader = Reader::new().expect("a temporary file");
        let first = reader.add(vec![entry(1, "ann", EARLY), entry(2, "bob", None), entry(1, "ann", LATE), entry(3, "=1\n", LATE)]);
        assert_eq!(first.expect("kept"), 3);
        let second = reader.add(vec![entry(3, "x", EARLY), entry(2, "bob", None), entry(4, "", EARLY), entry(4, "", EARLY)]);
        assert_eq!(second.expect("kept"), 1);
        let reported = reader.finish().expect("kept");
        assert_eq!((reported.entries, reported.users), (8, 3));
        let late = LATE.expect("a date").to_owned();
        let rows = rows_of(reported);
        let expected = [
            (1, vec!["ann".to_owned(), late.clone()]),
            (2, vec!["'=1 ".to_owned(), late]),
            (3, vec![String::new(), EARLY.expect("a date").to_owned()]),
        ];
        assert_eq!(rows.iter().map(|(row, carried, _)| (*row, carried.clone())).collect::<Vec<_>>(), expected);
        assert!(rows.iter().all(|(_, carried, reported)| reported.map(|until| until.to_string()).as_ref() == carried.get(1)));
    }

    #[test]
    fn later_end_dates_come_first_and_are_kept_exactly() {
        let dates = [
            "0001-01-01T00:00:00.000Z",
            "1969-12-31T23:59:59.999Z",
            "1970-01-01T00:00:00.000Z",
            "2026-08-31T17:00:00.437Z",
            "9999-12-31T23:59:59.999Z",
        ];
        let dates = dates.map(|date| BypassUntil::read(date).expect("a date"));
        assert!(dates.is_sorted_by(|one, other| latest_first(*one) > latest_first(*other)));
        assert_eq!(dates.map(|date| until_of(latest_first(date))), dates.map(Some));
    }

    #[test]
    fn a_thousand_devices_are_one_user() {
        let mut reader = Reader::new().expect("a temporary file");
        assert_eq!(reader.add(vec![entry(7, "ann", EARLY); 1000]).expect("kept"), 1);
        assert_eq!(reader.add(vec![entry(7, "ann", EARLY); 1000]).expect("kept"), 0);
        let reported = reader.finish().expect("kept");
        assert_eq!((reported.entries, reported.users), (2000, 1));
        assert_eq!(rows_of(reported).len(), 1);
    }
}
