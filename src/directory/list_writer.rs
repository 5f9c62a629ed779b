//! Writes the users of the list as CSV, an input for a grant.
//!
//! ```text
//! Listing::read ── page by page ──▶ ListTaker (each user once) ── ListPart ──▶ write_parts, on a thread of its own
//! ```

use std::collections::HashSet;
use std::io::{self, Write};

use tokio::sync::{mpsc, watch};

use super::listing::TakesUsers;
use super::seen_set::MOST_RESERVED;
use crate::domain::{CsvDialect, ForeignText, UserId};
use crate::pingone::ListedUser;
use crate::report::ListExtent;
use crate::stop::Stop;

/// The columns of a list. `grant` takes the first, and carries the others.
const COLUMNS: [&str; 5] = ["userID", "username", "email", "populationID", "enabled"];

/// A part of a list that is being written.
#[derive(Debug)]
pub(crate) enum ListPart {
    Users(Vec<ListedUser>),
    /// Nothing is missing.
    End,
}

/// Passes each user of the list on, once. Takes 18 to 41 bytes per user.
#[derive(Debug)]
pub(crate) struct ListTaker<'a> {
    seen: HashSet<UserId>,
    next: Vec<ListedUser>,
    pages: u64,
    parts: mpsc::Sender<ListPart>,
    /// The users so far, for those who watch.
    count: watch::Sender<u64>,
    stop: &'a Stop,
}

impl<'a> ListTaker<'a> {
    pub(crate) fn new(parts: mpsc::Sender<ListPart>, count: watch::Sender<u64>, stop: &'a Stop) -> Self {
        Self { seen: HashSet::new(), next: Vec::new(), pages: 0, parts, count, stop }
    }

    /// The numbers of users and of pages so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.users(), self.pages)
    }

    /// Sends a part. Whoever reads a stream may never take it, so a stop ends the wait.
    async fn send(&self, part: ListPart) -> bool {
        tokio::select! {
            biased;
            () = self.stop.requested() => false,
            sent = self.parts.send(part) => sent.is_ok(),
        }
    }
}

impl TakesUsers for ListTaker<'_> {
    fn reserve(&mut self, users: u64) {
        self.seen.reserve(usize::try_from(users.min(MOST_RESERVED)).unwrap_or(0));
    }

    fn add(&mut self, users: Vec<ListedUser>) -> u64 {
        self.pages += 1;
        self.next = users.into_iter().filter(|user| self.seen.insert(user.id)).collect();
        self.next.len() as u64
    }

    fn users(&self) -> u64 {
        self.seen.len() as u64
    }

    async fn pass_on(&mut self) -> bool {
        let users = std::mem::take(&mut self.next);
        let is_taken = self.send(ListPart::Users(users)).await;
        self.count.send_replace(self.users());
        is_taken
    }

    async fn end(&mut self) -> bool {
        self.send(ListPart::End).await
    }
}

/// Writes the header, and the users of the `parts` as they come. Without [`ListPart::End`] the list is not whole.
pub(crate) fn write_parts(mut parts: mpsc::Receiver<ListPart>, out: impl Write) -> io::Result<ListExtent> {
    let mut writer = CsvDialect::default().writer().from_writer(out);
    writer.write_record(COLUMNS)?;
    loop {
        writer.flush()?;
        match parts.blocking_recv() {
            Some(ListPart::Users(users)) => users.into_iter().try_for_each(|user| writer.write_record(record(user)))?,
            Some(ListPart::End) => return Ok(ListExtent::Whole),
            None => return Ok(ListExtent::Part),
        }
    }
}

/// The server's texts are made harmless, as in a report.
fn record(user: ListedUser) -> [String; 5] {
    let ListedUser { id, username, email, external_id: _, population, enabled } = user;
    let text = |text: Option<ForeignText>| text.unwrap_or_default().to_string();
    [id.to_string(), text(username), text(email), text(population), enabled.map(|enabled| enabled.to_string()).unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(index: u8, username: &str, enabled: Option<bool>) -> ListedUser {
        let id = uuid::Uuid::from_u128(index.into()).into();
        ListedUser { id, username: Some(username.into()), email: None, external_id: None, population: None, enabled }
    }

    /// What is written of these pages, and whether that is whole.
    async fn written(pages: Vec<Vec<ListedUser>>, ends: impl FnOnce(&Stop)) -> (String, ListExtent, (u64, u64)) {
        let (parts, receiver) = mpsc::channel(100);
        let (count, stop) = (watch::Sender::new(0), Stop::default());
        let mut taker = ListTaker::new(parts, count, &stop);
        for page in pages {
            taker.add(page);
            assert!(taker.pass_on().await);
        }
        ends(&stop);
        taker.end().await;
        let counts = taker.counts();
        drop(taker);
        let thread = std::thread::spawn(move || {
            let mut out = Vec::new();
            write_parts(receiver, &mut out).map(|extent| (out, extent))
        });
        let (out, extent) = thread.join().expect("no panic").expect("written");
        (String::from_utf8(out).expect("UTF-8"), extent, counts)
    }

    #[tokio::test]
    async fn each_user_stands_in_the_list_once_and_harmless() {
        let pages =
            vec![vec![user(1, "=cmd()", Some(true)), user(2, "a,\"b\"", Some(false))], vec![user(1, "x", None), user(3, "c", None)]];
        let (text, extent, counts) = written(pages, |_| ()).await;
        let id = "00000000-0000-0000-0000-00000000000";
        let expected =
            format!("userID,username,email,populationID,enabled\n{id}1,'=cmd(),,,true\n{id}2,\"a,\"\"b\"\"\",,,false\n{id}3,c,,,\n");
        assert_eq!((text, extent, counts), (expected, ListExtent::Whole, (3, 2)));
    }

    #[tokio::test]
    async fn a_list_without_its_end_is_not_whole() {
        let (text, extent, _) = written(vec![vec![user(1, "a", None)]], Stop::request).await;
        assert_eq!((text.lines().count(), extent), (2, ListExtent::Part));
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_does_not_keep_a_stop_waiting() {
        let ((parts, _receiver), stop) = (mpsc::channel(1), Stop::default());
        let mut taker = ListTaker::new(parts, watch::Sender::new(0), &stop);
        taker.add(vec![user(1, "a", None)]);
        assert!(taker.pass_on().await, "there is room");
        taker.add(vec![user(2, "b", None)]);
        stop.request();
        assert!(!taker.pass_on().await);
    }
}
