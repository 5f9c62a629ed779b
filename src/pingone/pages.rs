//! Follows the pages of a list, to nowhere but that list, and detects one that never ends: a server may link its pages in a circle or generate
//! pages for ever.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use reqwest::Url;

use super::endpoints::BaseUrl;
use super::error::{Endless, ListKind, PingOneError};
use crate::domain::ForeignText;

/// A list may grow while it is read: to twice its count, plus this many pages.
const EXTRA_PAGES: u64 = 10;

/// The progress through a list, of users or of the entries of the device report.
#[derive(Debug)]
pub(crate) struct ListReader {
    kind: ListKind,
    /// Its first page, without the query: every page has this address.
    list: Url,
    /// The next page to read; `None` after the last.
    next: Option<Url>,
    /// The host, for messages.
    host: String,
    /// The hashes of the URLs of all pages so far.
    pages: HashSet<u64>,
    hasher: RandomState,
    /// The highest user count that the server has stated; `None` if it has stated none.
    counted: Option<u64>,
    /// The number of new users so far.
    users: u64,
    /// The number of pages in a row without a new user.
    idle: u32,
    /// The number of pages with new users, up to the count and beyond it.
    within: u64,
    beyond: u64,
}

impl ListReader {
    /// A list of this `kind` that begins with the page at `first`, on the host of `api`.
    pub(super) fn new(kind: ListKind, first: Url, api: &BaseUrl) -> Self {
        let hasher = RandomState::new();
        let pages = HashSet::from([hasher.hash_one(&first)]);
        let mut list = first.clone();
        list.set_query(None);
        let host = api.host().to_owned();
        Self { kind, list, next: Some(first), host, pages, hasher, counted: None, users: 0, idle: 0, within: 0, beyond: 0 }
    }

    /// The URL that a `link` on the page at `current` leads to. The token is sent only to the list itself, so any other target is
    /// an error.
    pub(super) fn follow(&self, link: &str, current: &Url, redact: impl Fn(String) -> String) -> Result<Url, PingOneError> {
        let list = &self.list;
        let foreign = |host: String| {
            let host = ForeignText::from(host).map(redact);
            PingOneError::ForeignPage { kind: self.kind, host, api: list.to_string() }
        };
        let Ok(mut url) = current.join(link) else {
            return Err(foreign("no URL at all".to_owned()));
        };
        url.set_fragment(None);
        let is_plain = url.username().is_empty() && url.password().is_none();
        let is_same_list = url.path().trim_end_matches('/').eq_ignore_ascii_case(list.path());
        if url.origin() != list.origin() || !is_plain || !is_same_list {
            return Err(foreign(place(&url)));
        }
        Ok(url)
    }

    /// Sets how many users the list should have at most, for a server that states no count.
    pub(crate) fn expecting(self, users: u64) -> Self {
        Self { counted: Some(users), ..self }
    }

    pub(crate) fn has_more(&self) -> bool {
        self.next.is_some()
    }

    pub(super) fn next(&self) -> Option<&Url> {
        self.next.as_ref()
    }

    /// Records what a page says about the list: the total user count, and the next page.
    pub(super) fn advance(&mut self, counted: Option<u64>, next: Option<Url>) -> Result<(), PingOneError> {
        self.counted = self.counted.max(counted);
        if next.as_ref().is_some_and(|next| !self.pages.insert(self.hasher.hash_one(next))) {
            return Err(self.error(Endless::LeadsBack));
        }
        self.next = next;
        Ok(())
    }

    /// Records how many users of the last page no earlier page had. An error if the list goes on and looks endless.
    pub(crate) fn count_new(&mut self, new: u64) -> Result<(), Endless> {
        self.users = self.users.saturating_add(new);
        self.idle = if new == 0 { self.idle + 1 } else { 0 };
        match self.counted {
            Some(counted) if new > 0 && self.users > counted => self.beyond += 1,
            Some(_) if new > 0 => self.within += 1,
            Some(_) | None => {}
        }
        match self.counted {
            _ if !self.has_more() => Ok(()),
            _ if self.idle >= self.kind.most_idle_pages() => Err(Endless::NobodyNew(self.idle)),
            Some(said) if self.beyond > self.within + EXTRA_PAGES => Err(Endless::Beyond { said, users: self.users }),
            Some(_) | None => Ok(()),
        }
    }

    /// The error that ends the run.
    pub(crate) fn error(&self, why: Endless) -> PingOneError {
        PingOneError::EndlessList { kind: self.kind, host: self.host.clone(), why }
    }
}

/// The scheme, host and port of a URL, for messages. The rest may contain anything.
fn place(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users_at(first: Url, api: &str) -> ListReader {
        ListReader::new(ListKind::Users, first, &api.parse().expect("a base URL"))
    }

    /// After how many pages a list is given up, if the server states this count and the pages have these numbers of new users; the
    /// last number repeats for ever.
    fn read(counted: Option<u64>, pages: &[u64]) -> Option<(u64, Endless)> {
        let url = |page: u64| Url::parse(&format!("https://x/?cursor={page}")).expect("a URL");
        let mut list = users_at(url(0), "https://x");
        let for_ever = pages.last().copied().into_iter().cycle();
        for (page, new) in (1..20_000).zip(pages.iter().copied().chain(for_ever)) {
            list.advance(counted, Some(url(page))).expect("no circle");
            if let Err(why) = list.count_new(new) {
                return Some((page, why));
            }
        }
        None
    }

    #[test]
    fn three_pages_in_a_row_without_a_new_user_end_the_list() {
        assert_eq!(read(None, &[200, 0, 0, 1, 0, 0, 7, 0]), Some((10, Endless::NobodyNew(3))));
        assert_eq!(read(Some(1_000_000), &[0]), Some((3, Endless::NobodyNew(3))));
    }

    #[test]
    fn a_list_may_grow_but_not_for_ever() {
        assert_eq!(read(Some(1000), &[200]), Some((5 + 5 + 11, Endless::Beyond { said: 1000, users: 21 * 200 })));
        assert_eq!(read(Some(0), &[1]), Some((11, Endless::Beyond { said: 0, users: 11 })));
        assert_eq!(read(Some(4_000_000), &[200]), None);
        assert_eq!(read(None, &[200]), None, "nobody has said how many there are");
        let empty_between: Vec<u64> = [200, 0].repeat(1000);
        let expected = (41, Endless::Beyond { said: 1000, users: 21 * 200 });
        assert_eq!(read(Some(1000), &empty_between), Some(expected), "pages that bring nobody count for neither");
        let why = read(Some(u64::MAX), &[u64::MAX]);
        assert_eq!(why, None, "no number of users is too large to be counted");
    }

    #[test]
    fn an_expected_count_bounds_a_list_without_a_count() {
        let url = |page: u64| Url::parse(&format!("https://x/?cursor={page}")).expect("a URL");
        let mut list = users_at(url(0), "https://api.pingone.eu").expecting(2);
        let endless = (1..100).find_map(|page| {
            list.advance(None, Some(url(page))).expect("no circle");
            list.count_new(1).err()
        });
        assert_eq!(endless, Some(Endless::Beyond { said: 2, users: 15 }));
        assert!(list.has_more());
        let shown = |why: Endless| list.error(why).to_string();
        for (why, expected) in [
            (Endless::LeadsBack, "it leads back to a page that was read before"),
            (Endless::NobodyNew(3), "3 pages in a row bring nobody new"),
            (Endless::Beyond { said: 1, users: 13 }, "it is said to have 1 user, and goes on after 13"),
            (Endless::Beyond { said: 2, users: 15 }, "it is said to have 2 users, and goes on after 15"),
        ] {
            assert_eq!(shown(why), format!("the user list at `api.pingone.eu` has no end: {expected}"));
        }
    }

    #[test]
    fn a_user_may_have_devices_on_many_pages_of_the_device_report() {
        let url = |page: u64| Url::parse(&format!("https://x/?cursor={page}")).expect("a URL");
        let mut list = ListReader::new(ListKind::Report, url(0), &"https://x".parse().expect("a base URL"));
        let pages = (1..1000).map_while(|page| list.advance(None, Some(url(page))).ok().and_then(|()| list.count_new(0).ok())).count();
        assert_eq!(pages, 199);
        let shown = list.error(Endless::NobodyNew(200)).to_string();
        assert_eq!(shown, "the device report at `x` has no end: 200 pages in a row bring nobody new");
    }

    #[test]
    fn a_list_that_has_ended_is_never_endless() {
        let url = Url::parse("https://x/").expect("a URL");
        let mut list = users_at(url, "https://x").expecting(1);
        for _ in 0..100 {
            list.advance(None, None).expect("no circle");
            assert_eq!(list.count_new(0).and_then(|()| list.count_new(9)), Ok(()));
        }
    }
}
