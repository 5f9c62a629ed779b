//! The directory as a source of rows: its user list is read page by page during the run.

use std::path::Path;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::context::Context;
use super::error::RunError;
use super::feed::{ResumePoint, RowFeed};
use super::source::{ResolvedSource, RowSource, SourceRows};
use crate::config::RunConfig;
use crate::directory::{CARRIED, ListedFor, Listing, SeenSet};
use crate::domain::{CsvDialect, Row, Selection};
use crate::file_error::FileError;
use crate::lookup::Forecast;
use crate::pingone::Transport;
use crate::report::{DirectoryRecord, DirectoryRows, InputRecord, Numbers, Replaced, ResumedUsers, RowsByNumber};
use crate::run::Pipeline;
use crate::stop::Stop;
use crate::ui::{Console, Planned, shown_while};

/// The selected users.
#[derive(Debug)]
pub(super) struct DirectorySource(Selection);

/// A user list whose first page has been read.
#[derive(Debug)]
pub(super) struct BegunList {
    selection: Selection,
    listing: Listing,
}

/// The rows of a user list. Nothing is kept of them but what the report says.
#[derive(Debug)]
pub(super) struct ListRows;

/// The rest of the user list.
#[derive(Debug)]
pub(super) struct ListFeed {
    listing: Listing,
    seen: SeenSet,
}

impl SourceRows for ListRows {
    fn most_rows(&self) -> u64 {
        u64::MAX
    }

    fn numbers(&self) -> Numbers {
        Numbers::MayBeFree
    }

    fn original_rows(&self) -> Result<Box<dyn RowsByNumber + '_>, RunError> {
        Ok(Box::new(DirectoryRows(&CARRIED)))
    }
}

impl RowSource for DirectorySource {
    type Spec = Selection;
    type Rows = ListRows;
    type Resolved = BegunList;

    fn rows(&self) -> &ListRows {
        &ListRows
    }

    async fn read(spec: &Selection, _: &RunConfig, _: DateTime<Utc>, _: &Stop, _: &Console) -> Result<Self, RunError> {
        Ok(Self(spec.clone()))
    }

    /// Always succeeds: the number of users is known only once the list has begun.
    fn approve(self, _: Option<u64>) -> Result<Self, RunError> {
        Ok(self)
    }

    fn record(&self) -> InputRecord {
        let filter = self.0.filter().map(str::to_owned);
        InputRecord { path: None, sha256: None, rows: None, dialect: None, directory: Some(DirectoryRecord { filter }), reported: None }
    }

    fn forecast(&self) -> Result<Option<Forecast>, RunError> {
        Ok(None)
    }

    fn planned(&self, _: Option<Forecast>) -> Planned<'_> {
        Planned::Directory { selection: &self.0, users: None, pages: None }
    }

    async fn restart(self, _: &RunConfig, _: DateTime<Utc>, _: &Stop) -> Result<Self, RunError> {
        Ok(self)
    }

    async fn resolve(self, context: &Context<'_>, _: Option<&Path>) -> Result<BegunList, RunError> {
        let Self(selection) = self;
        let listed_for = ListedFor::Audit(selection.to_string());
        let listing = Listing::begin(context.session(), &selection, listed_for, context.max_users(), context.stop());
        let listing = shown_while(context.console(), &context.session().answers, listing).await?;
        Ok(BegunList { selection, listing })
    }
}

impl ResolvedSource for BegunList {
    type Rows = &'static ListRows;
    type Feed = ListFeed;

    fn planned(&self) -> Planned<'_> {
        Planned::Directory { selection: &self.selection, users: self.listing.total(), pages: self.listing.pages() }
    }

    fn note_in(&self, _: &mut InputRecord) {}

    fn carried_names(&self) -> Vec<&str> {
        CARRIED.to_vec()
    }

    /// That of the report: the list is no text.
    fn dialect(&self) -> CsvDialect {
        CsvDialect::default()
    }

    /// Writes nothing: the list names its users by ID.
    fn keep_users(&self, _: &Replaced) -> Result<Option<String>, FileError> {
        Ok(None)
    }

    fn into_feed(self, resume_point: ResumePoint<'_>) -> Result<(&'static ListRows, ListFeed), RunError> {
        let seen = match resume_point.journal {
            Some(journal) => SeenSet::resuming(ResumedUsers::read(journal)?),
            None => SeenSet::default(),
        };
        Ok((&ListRows, ListFeed { listing: self.listing, seen }))
    }
}

impl RowFeed for ListFeed {
    fn expected(&self) -> Option<u64> {
        self.listing.total().map(|total| total.max(self.seen.users()))
    }

    async fn run<W: Transport>(self, pipeline: &Pipeline<W>, rows: mpsc::Sender<Row>) -> Result<Option<u64>, RunError> {
        let stop = &pipeline.stop;
        let fed = self.listing.feed(self.seen, &pipeline.session, &pipeline.slots, &rows, stop).await;
        Ok(fed.inspect_err(|_| stop.request())?)
    }
}
