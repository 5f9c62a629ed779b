//! Reads the user list page by page and turns it into rows, no faster than the pipeline takes them.

use tokio::sync::{Semaphore, mpsc};

use super::{ListedFor, ListingError, NotListed, SeenSet};
use crate::domain::{Detail, Row, Selection, counted as in_words};
use crate::pingone::{ListReader, PageResult, PingOneError, Session, Transport, UserPage};
use crate::stop::Stop;

/// A user list of which the first page has been read.
#[derive(Debug)]
pub(crate) struct Listing {
    selection: Selection,
    first: UserPage,
    /// The pages after the first.
    rest: ListReader,
    max_users: Option<u64>,
}

impl Listing {
    /// Requests the first page of the selected users. More users than `max_users` are an error.
    pub(crate) async fn begin<W: Transport>(
        session: &Session<W>,
        selection: Selection,
        max_users: Option<u64>,
        stop: &Stop,
    ) -> Result<Self, NotListed> {
        let mut rest = session.user_list(selection.filter());
        let list = selection.to_string();
        let first = match unless_stopped(session.next_users(&mut rest, stop), stop).await? {
            PageResult::Page(page) => page,
            PageResult::Forbidden(detail) => {
                return Err(NotListed::List(ListingError::Forbidden { list: ListedFor::Audit(list), message: detail.into() }));
            }
            PageResult::Refused(detail) => {
                let filtered = !selection.is_of_all();
                return Err(NotListed::List(ListingError::Refused { list, filtered, message: detail.into() }));
            }
            PageResult::Failed(detail) => return Err(unread(list, detail)),
            PageResult::Stopped => return Err(NotListed::Stopped(stop.signalled())),
        };
        let users = first.total.unwrap_or_default().max(first.users.len() as u64);
        match max_users {
            Some(most) if users > most => Err(NotListed::List(ListingError::TooMany { list, users, most })),
            Some(_) | None => Ok(Self { selection, first, rest, max_users }),
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
    /// Each page but the first takes one of the `slots` for requests in flight. Returns the number of users in the set at
    /// the end, or `None` if the run stops first.
    pub(crate) async fn feed<W: Transport>(
        self,
        mut seen_set: SeenSet,
        session: &Session<W>,
        slots: &Semaphore,
        rows: &mpsc::Sender<Row>,
        stop: &Stop,
    ) -> Result<Option<u64>, NotListed> {
        let counted = self.total().unwrap_or_default();
        seen_set.reserve(counted);
        let (list, most) = (self.selection.to_string(), self.max_users);
        let (mut page, mut pages) = (self.first, self.rest);
        loop {
            let mut next = Vec::with_capacity(page.users.len());
            let new = page.users.into_iter().filter_map(|user| seen_set.insert(user, &mut next).then_some(())).count();
            if let Some(most) = most.filter(|most| seen_set.users() > *most) {
                return Err(NotListed::List(ListingError::Grown { list, most }));
            }
            if !send(next, rows).await {
                return Ok(None);
            }
            pages.count_new(new as u64).map_err(|why| NotListed::PingOne(pages.error(why)))?;
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
                    return Err(unread(list, detail));
                }
                PageResult::Stopped => return Ok(None),
            };
        }
        if !send(seen_set.take_remaining(), rows).await {
            return Ok(None);
        }
        if seen_set.users() < counted {
            tracing::warn!(
                "{list}: PingOne counted {} at first, and listed {}: only those listed are in the report (others may have been \
                 deleted meanwhile, or the application may not see them)",
                in_words(counted, "user"),
                seen_set.users()
            );
        }
        Ok(Some(seen_set.users()))
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

fn unread(list: String, detail: Detail) -> NotListed {
    NotListed::List(ListingError::Unread { list: ListedFor::Audit(list), message: detail.into() })
}
