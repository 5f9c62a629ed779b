//! Reads the device report, and keeps of it each user with a bypass, once however many devices the user has.
//!
//! While it is read, the users' end dates are in memory, 60 bytes for each user; their names are in a temporary file.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use csv::ByteRecord;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::SeenSet;
use super::report_error::{NotReported, ReportError};
use crate::domain::{BypassUntil, Row, UserId, are, counted};
use crate::external_sort::unnamed_file;
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
    /// Each user in the report's order, as [`write_user`] writes it.
    spool: File,
    /// The end dates of users whose entries disagree: the latest.
    latest: HashMap<UserId, BypassUntil>,
}

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
        let new = reader.add(page.entries).map_err(not_kept)?;
        count.send_replace(reader.entries);
        if let Some(most) = max_users.filter(|most| reader.until.len() as u64 > *most) {
            return Err(NotReported::Report(ReportError::TooMany { most }));
        }
        pages.count_new(new).map_err(|why| NotReported::PingOne(pages.error(why)))?;
    }
    reader.finish().map_err(not_kept)
}

fn not_kept(source: io::Error) -> NotReported {
    NotReported::File(FileError::new("written", &std::env::temp_dir().join(SPOOL), source))
}

/// What has been read so far.
struct Reader {
    entries: u64,
    has_field: bool,
    /// The users with a bypass, with its latest end date.
    until: HashMap<UserId, BypassUntil>,
    /// Those whose entries disagree.
    disagreeing: HashSet<UserId>,
    /// Hashes of the users without a bypass, by which a report without end is recognised.
    others: HashSet<u64>,
    hasher: RandomState,
    spool: BufWriter<File>,
}

impl Reader {
    fn new() -> io::Result<Self> {
        let spool = BufWriter::new(unnamed_file(&std::env::temp_dir())?);
        Ok(Self {
            entries: 0,
            has_field: false,
            until: HashMap::new(),
            disagreeing: HashSet::new(),
            others: HashSet::new(),
            hasher: RandomState::new(),
            spool,
        })
    }

    /// Adds the entries of a page. Returns how many users are new.
    fn add(&mut self, entries: Vec<DeviceEntry>) -> io::Result<u64> {
        let mut new = 0;
        for DeviceEntry { user, username, until } in entries {
            self.entries += 1;
            let Some(until) = until else {
                new += u64::from(self.others.insert(self.hasher.hash_one(user)));
                continue;
            };
            match self.until.get_mut(&user) {
                Some(before) if *before == until => {}
                Some(before) => {
                    *before = until.max(*before);
                    self.disagreeing.insert(user);
                }
                None => {
                    self.until.insert(user, until);
                    new += 1;
                    let name = username.map(|name| name.to_string()).unwrap_or_default();
                    write_user(&mut self.spool, user, until, &name)?;
                }
            }
        }
        Ok(new)
    }

    fn finish(self) -> io::Result<ReportedUsers> {
        let Self { entries, has_field, until, disagreeing, spool, .. } = self;
        if entries > 0 && !has_field {
            tracing::warn!(
                "no entry of the device report has a `bypassUntil`: either nobody has a bypass by this report, or this tenant's report does not \
                 know the field; `--all-users` tells"
            );
        }
        if !disagreeing.is_empty() {
            let users = disagreeing.len() as u64;
            tracing::warn!(
                "the devices of {} {} not of one mind about `bypassUntil`: the latest end date is taken as the reported one",
                counted(users, "user"),
                are(users)
            );
        }
        let latest = disagreeing.into_iter().filter_map(|user| Some((user, *until.get(&user)?))).collect();
        let mut spool = spool.into_inner().map_err(io::IntoInnerError::into_error)?;
        spool.rewind()?;
        Ok(ReportedUsers { entries, users: until.len() as u64, spool, latest })
    }
}

/// Writes a user: the ID, the end date in milliseconds, and the name with its length, all little-endian.
fn write_user(spool: &mut impl Write, user: UserId, until: BypassUntil, name: &str) -> io::Result<()> {
    let length = u32::try_from(name.len()).map_err(io::Error::other)?;
    spool.write_all(user.uuid().as_bytes())?;
    spool.write_all(&until.millis().to_le_bytes())?;
    spool.write_all(&length.to_le_bytes())?;
    spool.write_all(name.as_bytes())
}

/// Reads the next user; `None` at the end.
fn read_user(spool: &mut impl Read) -> io::Result<Option<(UserId, BypassUntil, Vec<u8>)>> {
    let (mut id, mut until, mut length) = ([0; 16], [0; 8], [0; 4]);
    match spool.read_exact(&mut id) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    spool.read_exact(&mut until)?;
    spool.read_exact(&mut length)?;
    let mut name = vec![0; usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?];
    spool.read_exact(&mut name)?;
    let until = chrono::DateTime::from_timestamp_millis(i64::from_le_bytes(until)).and_then(BypassUntil::from_instant);
    Ok(Some((Uuid::from_bytes(id).into(), until.ok_or_else(|| io::Error::other("an end date cannot be read"))?, name)))
}

impl ReportedUsers {
    /// Sends a row into `rows` for each user that is not in `seen` yet, and for the rows that a resumed run sends again. Blocks.
    /// Returns the number of users in all; `None` if `rows` takes no more.
    pub(crate) fn feed(self, mut seen: SeenSet, rows: &mpsc::Sender<Row>) -> io::Result<Option<u64>> {
        let mut spool = BufReader::new(self.spool);
        let mut next = Vec::new();
        while let Some((user, until, name)) = read_user(&mut spool)? {
            let until = self.latest.get(&user).copied().unwrap_or(until);
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
    use crate::domain::ForeignText;

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
        assert_eq!((reported.entries, reported.users, reported.latest.len()), (8, 3, 2));
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
    fn a_thousand_devices_are_one_user() {
        let mut reader = Reader::new().expect("a temporary file");
        assert_eq!(reader.add(vec![entry(7, "ann", EARLY); 1000]).expect("kept"), 1);
        assert_eq!(reader.add(vec![entry(7, "ann", EARLY); 1000]).expect("kept"), 0);
        let reported = reader.finish().expect("kept");
        assert_eq!((reported.entries, reported.users), (2000, 1));
        assert_eq!(rows_of(reported).len(), 1);
    }
}
