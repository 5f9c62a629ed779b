//! Finds the users that usernames, emails or external IDs refer to, before anything is changed. One request looks up many
//! values:
//!
//! ```text
//! lookup rows ──▶ batches ──▶ filter ──▶ Session::next_users ──▶ Matcher (users by value) ──▶ ResolvedUsers
//!               (that fit a URL)         (pages; faults are retried)                      (one record per row)
//! ```
//!
//! The server's answer is matched to the values here; its own idea of equality is not relied on.

mod batch;
mod matching;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, stream};
use tokio::sync::watch;

use crate::directory::{ListedFor, ListingError};
use crate::domain::{Attribute, Detail, Outcome, Resolution};
use crate::external_sort::Sorter;
use crate::input::{ResolvedUsers, ValidInput};
use crate::pingone::{Endless, PageResult, PingOneError, Session, Transport, USUAL_BUDGET};
use crate::stop::Stop;

use self::batch::{Batch, batches, filter};
use self::matching::{Matcher, folded};

/// Why the lookup ended early. Nothing was changed.
#[derive(Debug)]
pub(crate) enum NotLookedUp {
    /// PingOne accepts none of our requests.
    PingOne(PingOneError),
    /// PingOne does not list its users.
    List(ListingError),
    /// The input can no longer be read.
    Input(io::Error),
    /// The results cannot be stored.
    Kept(io::Error),
    Stopped,
}

/// How much there is to look up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Forecast {
    /// The number of distinct values.
    pub(crate) values: u64,
    /// The number of requests, if each succeeds at once and fits one page.
    pub(crate) requests: u64,
}

/// How much there is to look up for `input` by this attribute; sends nothing.
pub(crate) fn forecast(input: &ValidInput, by: Attribute) -> io::Result<Forecast> {
    let mut forecast = Forecast::default();
    // Hashes are good enough to count distinct values.
    let (random, mut hashes) = (RandomState::new(), Sorter::new(&std::env::temp_dir()));
    for batch in batches(input.lookup_rows()?, by, USUAL_BUDGET, None) {
        forecast.requests += 1;
        for value in &batch?.values {
            hashes.push([random.hash_one(value)])?;
        }
    }
    let mut before = None;
    for hash in hashes.sorted()? {
        let hash = hash?;
        forecast.values += u64::from(before.replace(hash) != Some(hash));
    }
    Ok(forecast)
}

#[derive(Debug)]
pub(crate) struct LookUp<'a, W> {
    session: &'a Session<W>,
    by: Attribute,
    stop: &'a Stop,
    concurrency: usize,
    /// Whether the server turned out to refuse filters with several values.
    one_by_one: AtomicBool,
}

impl<'a, W: Transport> LookUp<'a, W> {
    pub(crate) fn new(session: &'a Session<W>, by: Attribute, stop: &'a Stop, concurrency: usize) -> Self {
        Self { session, by, stop, concurrency, one_by_one: AtomicBool::new(false) }
    }

    /// Looks up the users of all rows of `input` that are neither given by ID nor resolved in `resolved` already, and
    /// stores the results there. `seen` counts the rows.
    pub(crate) async fn all(&self, input: &ValidInput, resolved: &ResolvedUsers, seen: &watch::Sender<u64>) -> Result<(), NotLookedUp> {
        let rows = input.lookup_rows().map_err(NotLookedUp::Input)?;
        let mut batches = batches(rows, self.by, self.session.filter_budget(), Some(resolved));
        // The first request goes alone: if the server refuses them all, it refuses only one.
        if let Some(first) = batches.next() {
            let first = self.batch(first).await?;
            self.check_first(&first.1)?;
            note(&first, resolved, seen)?;
        }
        let mut found = stream::iter(batches).map(|batch| self.batch(batch)).buffer_unordered(self.concurrency);
        while let Some(found) = found.next().await {
            note(&found?, resolved, seen)?;
        }
        Ok(())
    }

    /// Returns an error if several values were all refused: then the values are not the cause.
    fn check_first(&self, resolutions: &[Resolution]) -> Result<(), NotLookedUp> {
        let is_refused = |resolution: &Resolution| matches!(resolution, Resolution::Unresolved(Outcome::Rejected, _));
        match resolutions {
            [Resolution::Unresolved(_, detail), _, ..] if resolutions.iter().all(is_refused) => Err(self.unread((**detail).clone())),
            _ => Ok(()),
        }
    }

    fn unread(&self, detail: Detail) -> NotLookedUp {
        NotLookedUp::List(ListingError::Unread { list: self.purpose(), message: detail.into() })
    }

    fn purpose(&self) -> ListedFor {
        ListedFor::LookUp(self.by.name())
    }

    async fn batch(&self, batch: io::Result<Batch>) -> Result<(Batch, Vec<Resolution>), NotLookedUp> {
        let batch = batch.map_err(NotLookedUp::Input)?;
        let resolutions = self.values(&batch.values).await?;
        Ok((batch, resolutions))
    }

    /// The users of `values`. Values that differ only in case go into separate requests, so that a user found for one
    /// is not taken for the other.
    async fn values(&self, values: &[String]) -> Result<Vec<Resolution>, NotLookedUp> {
        let mut resolutions = vec![None; values.len()];
        let mut left: Vec<usize> = (0..values.len()).collect();
        while !left.is_empty() {
            let mut spellings = HashSet::new();
            let (now, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|place| spellings.insert(folded(&values[*place])));
            let asked: Vec<&str> = now.iter().map(|place| values[*place].as_str()).collect();
            for (place, found) in now.into_iter().zip(self.ask(&asked).await?) {
                resolutions[place] = Some(found);
            }
            left = later;
        }
        Ok(resolutions.into_iter().flatten().collect())
    }

    /// Looks up `values` in one request or, if that is refused, one by one.
    async fn ask(&self, values: &[&str]) -> Result<Vec<Resolution>, NotLookedUp> {
        let together = values.len() > 1 && !self.one_by_one.load(Ordering::Relaxed);
        if together && let Ok(resolutions) = self.select(values).await? {
            return Ok(resolutions);
        }
        let mut all = Vec::with_capacity(values.len());
        let mut is_refused = false;
        for value in values {
            match self.select(&[value]).await? {
                Ok(resolutions) => all.extend(resolutions),
                Err(detail) => {
                    is_refused = true;
                    all.push(Resolution::Unresolved(Outcome::Rejected, Box::new(detail)));
                }
            }
        }
        // If one of them is refused even by itself, the combined filter was not the cause.
        if together && !is_refused && !self.one_by_one.swap(true, Ordering::Relaxed) {
            tracing::warn!("PingOne refuses to look up several users in one request: they are looked up one by one");
        }
        Ok(all)
    }

    /// The users of `values`, found with one filter; or why that is refused.
    async fn select(&self, values: &[&str]) -> Result<Result<Vec<Resolution>, Detail>, NotLookedUp> {
        let mut matcher = Matcher::new(self.by, values);
        let mut pages = self.session.user_list(Some(&filter(self.by, values))).expecting(values.len() as u64);
        let mut seen = HashSet::new();
        loop {
            match self.session.next_users(&mut pages, self.stop).await.map_err(NotLookedUp::PingOne)? {
                PageResult::Page(page) => {
                    let new = page.users.iter().filter(|user| matcher.take(user) && seen.insert(user.id)).count();
                    match pages.count_new(new as u64) {
                        Ok(()) if pages.has_more() => {}
                        Ok(()) => return Ok(Ok(matcher.resolutions())),
                        Err(Endless::NobodyNew(_)) => {
                            let why = "page after page holds nobody new who was asked for: the filter does not seem to be heeded";
                            return Err(self.unread(Detail::own(None, why.to_owned())));
                        }
                        Err(why @ (Endless::LeadsBack | Endless::Beyond { .. })) => return Err(NotLookedUp::PingOne(pages.error(why))),
                    }
                }
                PageResult::Forbidden(detail) => {
                    return Err(NotLookedUp::List(ListingError::Forbidden { list: self.purpose(), message: detail.into() }));
                }
                PageResult::Refused(detail) => return Ok(Err(detail)),
                PageResult::Failed(detail) => return Err(self.unread(detail)),
                PageResult::Stopped => return Err(NotLookedUp::Stopped),
            }
        }
    }
}

/// Stores the results of a batch.
fn note((batch, resolutions): &(Batch, Vec<Resolution>), resolved: &ResolvedUsers, seen: &watch::Sender<u64>) -> Result<(), NotLookedUp> {
    for (row, place) in &batch.rows {
        resolved.set(*row, &resolutions[*place]).map_err(NotLookedUp::Kept)?;
    }
    seen.send_modify(|rows| *rows += batch.rows.len() as u64);
    Ok(())
}
