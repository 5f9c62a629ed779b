//! How does the user list become rows? Page after page, as fast as rows are taken, and no faster.

use tokio::sync::{Semaphore, mpsc};

use super::{ListedFor, ListingError, NotListed, Roll};
use crate::domain::{Detail, Row, Selection};
use crate::pingone::{ListReader, Listed, PingOneError, Session, Transport, UserPage};
use crate::stop::Stop;

/// The user list, of which the first page has been read.
#[derive(Debug)]
pub(crate) struct Listing {
    selection: Selection,
    first: UserPage,
    /// What follows it.
    rest: ListReader,
    max_users: Option<u64>,
}

impl Listing {
    /// Asks for the first page of the selected users. More of them than `max_users` are refused.
    pub(crate) async fn begin<W: Transport>(
        session: &Session<W>,
        selection: Selection,
        max_users: Option<u64>,
        stop: &Stop,
    ) -> Result<Self, NotListed> {
        let mut rest = session.user_list(selection.filter());
        let list = selection.to_string();
        let first = match unless_stopped(session.next_users(&mut rest, stop), stop).await? {
            Listed::Page(page) => page,
            Listed::Forbidden(detail) => {
                return Err(ListingError::Forbidden { list: ListedFor::Audit(list), message: detail.into() }.into());
            }
            Listed::Refused(detail) => {
                return Err(ListingError::Refused { list, filtered: !selection.is_of_all(), message: detail.into() }.into());
            }
            Listed::Failed(detail) => return Err(unread(list, detail)),
            Listed::Stopped => return Err(NotListed::Stopped(stop.signalled())),
        };
        let users = first.total.unwrap_or_default().max(first.users.len() as u64);
        match max_users {
            Some(most) if users > most => Err(ListingError::TooMany { list, users, most }.into()),
            Some(_) | None => Ok(Self { selection, first, rest, max_users }),
        }
    }

    /// How many users there are, if PingOne says so.
    pub(crate) fn total(&self) -> Option<u64> {
        self.first.total
    }

    /// How many pages there are, if that can be told from the first.
    pub(crate) fn pages(&self) -> Option<u64> {
        let size = self.first.users.len() as u64;
        match (self.rest.has_more(), self.total()) {
            (false, _) => Some(1),
            (true, Some(total)) if size > 0 => Some(total.div_ceil(size)),
            (true, _) => None,
        }
    }

    /// Sends a row into `rows` for each user who is not on the `roll` yet, and for those of the roll that are to
    /// be sent again. Each page but the first takes one of the `places` in flight. Answers how many users are
    /// on the roll in the end; `None` if the run stops first.
    pub(crate) async fn feed<W: Transport>(
        self,
        mut roll: Roll,
        session: &Session<W>,
        places: &Semaphore,
        rows: &mpsc::Sender<Row>,
        stop: &Stop,
    ) -> Result<Option<u64>, NotListed> {
        let counted = self.total().unwrap_or_default();
        roll.expect(counted);
        let (list, most) = (self.selection.to_string(), self.max_users);
        let (mut page, mut pages) = (self.first, self.rest);
        loop {
            let mut next = Vec::with_capacity(page.users.len());
            let new = page.users.into_iter().filter_map(|user| roll.enter(user, &mut next).then_some(())).count();
            if let Some(most) = most.filter(|most| roll.users() > *most) {
                return Err(ListingError::Grown { list, most }.into());
            }
            if !send(next, rows).await {
                return Ok(None);
            }
            pages.count_new(new as u64).map_err(|why| pages.error(why))?;
            if !pages.has_more() {
                break;
            }
            page = match next_page(&mut pages, session, places, stop).await? {
                Listed::Page(page) => page,
                Listed::Forbidden(detail) | Listed::Refused(detail) | Listed::Failed(detail) => return Err(unread(list, detail)),
                Listed::Stopped => return Ok(None),
            };
        }
        if !send(roll.rest(), rows).await {
            return Ok(None);
        }
        if roll.users() < counted {
            tracing::warn!(
                "{list}: PingOne counted {counted} users at first, and listed {}: only those listed are in the report (others may have been \
                 deleted meanwhile, or the application may not see them)",
                roll.users()
            );
        }
        Ok(Some(roll.users()))
    }
}

/// Asks for a page that follows.
async fn next_page<W: Transport>(
    pages: &mut ListReader,
    session: &Session<W>,
    places: &Semaphore,
    stop: &Stop,
) -> Result<Listed, PingOneError> {
    let listed = async {
        let _place = places.acquire().await.expect("nobody closes it");
        session.next_users(pages, stop).await
    };
    unless_stopped(listed, stop).await
}

/// What comes of asking for a page. A stop does not wait for it: nothing is lost with it.
async fn unless_stopped(listed: impl Future<Output = Result<Listed, PingOneError>>, stop: &Stop) -> Result<Listed, PingOneError> {
    tokio::select! {
        biased;
        () = stop.requested() => Ok(Listed::Stopped),
        listed = listed => listed,
    }
}

/// Hands rows over as they are taken; tells whether all of them were.
async fn send(next: Vec<Row>, rows: &mpsc::Sender<Row>) -> bool {
    for row in next {
        if rows.send(row).await.is_err() {
            return false;
        }
    }
    true
}

fn unread(list: String, detail: Detail) -> NotListed {
    ListingError::Unread { list: ListedFor::Audit(list), message: detail.into() }.into()
}
