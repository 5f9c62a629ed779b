//! Reads the user list page by page, no faster than its users are taken: as rows by the pipeline, or by a file.

use csv::ByteRecord;
use tokio::sync::{Semaphore, mpsc};

use super::{ListedFor, ListingError, NotListed, SeenSet};
use crate::domain::{Detail, ForeignText, Row, Selection, counted as in_words};
use crate::pingone::{ListReader, ListedUser, PageResult, PingOneError, Session, Transport, UserPage};
use crate::stop::Stop;

/// The columns that the user list adds to the report.
pub(crate) const CARRIED: [&str; 3] = ["username", "email", "populationID"];

/// The values of these columns.
fn carried(user: &ListedUser) -> ByteRecord {
    let text = |text: &Option<ForeignText>| text.as_ref().map(ToString::to_string).unwrap_or_default();
    ByteRecord::from(&[&user.username, &user.email, &user.population].map(text)[..])
}

/// A user list of which the first page has been read.
#[derive(Debug)]
pub(crate) struct Listing {
    listed_for: ListedFor,
    first: UserPage,
    /// The pages after the first.
    rest: ListReader,
    max_users: Option<u64>,
}

/// Takes the users of a list, page by page.
pub(crate) trait TakesUsers {
    /// Makes room for this many users, of whom the server has told.
    fn reserve(&mut self, users: u64);

    /// Adds the users of a page. Returns how many of them no earlier page had.
    fn add(&mut self, users: Vec<ListedUser>) -> u64;

    /// The number of users so far, each counted once.
    fn users(&self) -> u64;

    /// Passes on what was added. Returns whether more is wanted.
    async fn pass_on(&mut self) -> bool;

    /// Passes on what is left after the last page. Returns whether everything was taken.
    async fn end(&mut self) -> bool;
}

/// Takes users as rows for the pipeline.
struct RowTaker<'a> {
    seen_set: SeenSet,
    next: Vec<Row>,
    rows: &'a mpsc::Sender<Row>,
}

impl TakesUsers for RowTaker<'_> {
    fn reserve(&mut self, users: u64) {
        self.seen_set.reserve(users);
    }

    fn add(&mut self, users: Vec<ListedUser>) -> u64 {
        let mut add = |user: &ListedUser| self.seen_set.insert(user.id, || carried(user), &mut self.next);
        users.iter().filter(|user| add(user)).count() as u64
    }

    fn users(&self) -> u64 {
        self.seen_set.users()
    }

    async fn pass_on(&mut self) -> bool {
        send(std::mem::take(&mut self.next), self.rows).await
    }

    async fn end(&mut self) -> bool {
        send(self.seen_set.take_remaining(), self.rows).await
    }
}

impl Listing {
    /// Requests the first page of the selected users. More users than `max_users` are an error.
    pub(crate) async fn begin<W: Transport>(
        session: &Session<W>,
        selection: &Selection,
        listed_for: ListedFor,
        max_users: Option<u64>,
        stop: &Stop,
    ) -> Result<Self, NotListed> {
        let mut rest = session.user_list(selection.filter());
        let first = match unless_stopped(session.next_users(&mut rest, stop), stop).await? {
            PageResult::Page(page) => page,
            PageResult::Forbidden(detail) => {
                return Err(NotListed::List(ListingError::Forbidden { list: listed_for, message: detail.into() }));
            }
            PageResult::Refused(detail) => {
                let filtered = !selection.is_of_all();
                return Err(NotListed::List(ListingError::Refused { list: listed_for.to_string(), filtered, message: detail.into() }));
            }
            PageResult::Failed(detail) => return Err(unread(listed_for, detail)),
            PageResult::Stopped => return Err(NotListed::Stopped(stop.signalled())),
        };
        let users = first.total.unwrap_or_default().max(first.users.len() as u64);
        match max_users {
            Some(most) if users > most => Err(NotListed::List(ListingError::TooMany { list: listed_for.to_string(), users, most })),
            Some(_) | None => Ok(Self { listed_for, first, rest, max_users }),
        }
    }

    /// The number of users, if PingOne reports it.
    pub(crate) fn total(&self) -> Option<u64> {
        self.first.total
    }

    /// The number of pages, if it can be computed from the first.
    pub(crate) fn pages(&self) -> Option<u64> {
        let size = self.first.users.len() as u64;
        match (self.rest.has_more(), self.total()) {
            (false, _) => Some(1),
            (true, Some(total)) if size > 0 => Some(total.div_ceil(size)),
            (true, _) => None,
        }
    }

    /// Sends a row into `rows` for each user that is not in `seen_set` yet, and for the rows that a resumed run sends again.
    /// Returns as [`Listing::read`].
    pub(crate) async fn feed<W: Transport>(
        self,
        seen_set: SeenSet,
        session: &Session<W>,
        slots: &Semaphore,
        rows: &mpsc::Sender<Row>,
        stop: &Stop,
    ) -> Result<Option<u64>, NotListed> {
        self.read(&mut RowTaker { seen_set, next: Vec::new(), rows }, session, slots, stop).await
    }

    /// Reads the list to its end, for `taker`. Each page but the first takes one of the `slots` for requests in flight. Returns
    /// the number of users that `taker` has at the end, or `None` if the run stops first.
    pub(crate) async fn read<W: Transport>(
        self,
        taker: &mut impl TakesUsers,
        session: &Session<W>,
        slots: &Semaphore,
        stop: &Stop,
    ) -> Result<Option<u64>, NotListed> {
        let counted = self.total().unwrap_or_default();
        taker.reserve(counted);
        let (listed_for, most) = (self.listed_for, self.max_users);
        let (mut page, mut pages) = (self.first, self.rest);
        loop {
            let new = taker.add(page.users);
            if let Some(most) = most.filter(|most| taker.users() > *most) {
                return Err(NotListed::List(ListingError::Grown { list: listed_for.to_string(), most }));
            }
            if !taker.pass_on().await {
                return Ok(None);
            }
            pages.count_new(new).map_err(|why| NotListed::PingOne(pages.error(why)))?;
            if !pages.has_more() {
                break;
            }
            let listed = async {
                let _slot = slots.acquire().await.expect("the semaphore is never closed");
                session.next_users(&mut pages, stop).await
            };
            page = match unless_stopped(listed, stop).await? {
                PageResult::Page(page) => page,
                PageResult::Forbidden(detail) | PageResult::Refused(detail) | PageResult::Failed(detail) => {
                    return Err(unread(listed_for, detail));
                }
                PageResult::Stopped => return Ok(None),
            };
        }
        if !taker.end().await {
            return Ok(None);
        }
        warn_if_short(counted, taker.users(), &listed_for);
        Ok(Some(taker.users()))
    }
}

/// Warns of a list that has fewer users than PingOne `counted` at first.
fn warn_if_short(counted: u64, users: u64, listed_for: &ListedFor) {
    if users < counted {
        tracing::warn!(
            "{listed_for}: PingOne counted {} at first, and listed {users}: only those listed are in the {} (others may have been \
             deleted meanwhile, or the application may not see them)",
            in_words(counted, "user"),
            listed_for.result()
        );
    }
}

/// Waits for a page, but not once a stop is requested: nothing is lost by dropping the request.
async fn unless_stopped(listed: impl Future<Output = Result<PageResult, PingOneError>>, stop: &Stop) -> Result<PageResult, NotListed> {
    tokio::select! {
        biased;
        () = stop.requested() => Ok(PageResult::Stopped),
        listed = listed => listed.map_err(NotListed::PingOne),
    }
}

/// Sends rows as the receiver takes them. Returns whether it took all of them.
async fn send(next: Vec<Row>, rows: &mpsc::Sender<Row>) -> bool {
    for row in next {
        if rows.send(row).await.is_err() {
            return false;
        }
    }
    true
}

fn unread(list: ListedFor, detail: Detail) -> NotListed {
    NotListed::List(ListingError::Unread { list, message: detail.into() })
}
