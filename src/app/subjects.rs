//! Whose bypasses is a run about? The users of an input, whose rows are all known before it begins, or those of
//! the directory, whose list is read while it runs.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::lookup::look_up;
use super::reading::{Reading, unless_stopped};

use super::error::RunError;
use super::rows::Run;
use crate::config::{RunConfig, Users};
use crate::directory::{CARRIED, Listing, Roll};
use crate::domain::{Row, Selection};
use crate::input::{Remaining, Sound, feed};
use crate::lookup::{Forecast, forecast};
use crate::pingone::Transport;
use crate::report::{DirectoryRecord, InputRecord, InputRows, ListedRows, Numbers};
use crate::run::Pipeline;
use crate::stop::Stop;
use crate::ui::{Console, Planned, PlannedInput};

/// Where the rows of a run come from.
#[derive(Debug)]
pub(super) enum Subjects {
    Input(Arc<Sound>),
    Directory(Selection),
}

impl Subjects {
    /// What `config` asks for, in a run that started at `start`. An input is read, every row of it, unless a signal
    /// comes before that.
    pub(super) async fn of(config: &RunConfig, start: DateTime<Utc>, stop: &Stop, console: &Console) -> Result<Self, RunError> {
        Ok(match &config.users {
            Users::File(_) => Self::Input(Arc::new(Reading::of(config, start)?.done(stop, console).await?)),
            Users::Directory(selection) => Self::Directory(selection.clone()),
        })
    }

    /// Refuses an input that may not be run.
    pub(super) fn approve(self, max_users: Option<u64>) -> Result<Self, RunError> {
        match self {
            Self::Input(sound) => Ok(Self::Input(Arc::new(alone(sound).approve(max_users)?))),
            // It is not known yet how many there are.
            Self::Directory(_) => Ok(self),
        }
    }

    /// The same in a run that starts at another time than was thought, from which end dates count. An input that is
    /// not sound then is refused.
    pub(super) async fn begun_at(self, config: &RunConfig, start: DateTime<Utc>, stop: &Stop) -> Result<Self, RunError> {
        match self {
            Self::Input(sound) => {
                let rules = config.rules(start)?;
                let checked = unless_stopped(stop, move || alone(sound).with_rules(rules)).await?;
                Ok(Self::Input(Arc::new(checked?)))
            }
            Self::Directory(_) => Ok(self),
        }
    }

    /// Finds out who the users are before anything is changed: those of an input are looked up, unless they are
    /// named by ID or stand in the `journal` of a run that is taken up; the list of the directory is begun.
    pub(super) async fn found(
        self,
        config: &RunConfig,
        run: &Run<'_>,
        journal: Option<&Path>,
    ) -> Result<(Self, Option<Listing>), RunError> {
        match self {
            Self::Input(sound) => Ok((Self::Input(Arc::new(look_up(alone(sound), run, journal).await?)), None)),
            Self::Directory(selection) => {
                let listing = Listing::begin(run.session(), selection.clone(), config.safety.max_users, run.stop()).await?;
                Ok((Self::Directory(selection), Some(listing)))
            }
        }
    }

    /// How much has to be looked up, if anything.
    pub(super) fn forecast(&self) -> Result<Option<Forecast>, RunError> {
        let Self::Input(sound) = self else {
            return Ok(None);
        };
        let lookup = sound.layout.lookup.as_ref().filter(|_| sound.plan().sought.rows > 0);
        let forecast = lookup.map(|lookup| forecast(sound, lookup.by)).transpose();
        forecast.map_err(|source| RunError::Reading { name: sound.source.name.clone(), source })
    }

    /// What the run's record says of it at the start.
    pub(super) fn record(&self, config: &RunConfig) -> InputRecord {
        match (self, &config.users) {
            (Self::Input(sound), Users::File(path)) => InputRecord {
                path: Some(path.display().to_string()),
                sha256: Some(sound.sha256()),
                rows: Some(sound.rows()),
                directory: None,
            },
            (Self::Input(_) | Self::Directory(_), _) => {
                let filter = self.selection().and_then(Selection::filter).map(str::to_owned);
                InputRecord { path: None, sha256: None, rows: None, directory: Some(DirectoryRecord { filter }) }
            }
        }
    }

    fn selection(&self) -> Option<&Selection> {
        match self {
            Self::Input(_) => None,
            Self::Directory(selection) => Some(selection),
        }
    }

    /// The names of the columns that are carried into the report.
    pub(super) fn carried_names(&self) -> Vec<&str> {
        match self {
            Self::Input(sound) => sound.layout.carried_names().collect(),
            Self::Directory(_) => CARRIED.to_vec(),
        }
    }

    /// The highest number that a row can have.
    pub(super) fn most_rows(&self) -> u64 {
        match self {
            Self::Input(sound) => sound.rows(),
            Self::Directory(_) => u64::MAX,
        }
    }

    /// Which numbers the rows of a finished run have.
    pub(super) fn numbers(&self) -> Numbers {
        match self {
            Self::Input(_) => Numbers::Whole,
            Self::Directory(_) => Numbers::MayBeFree,
        }
    }

    /// The rows as an input has them.
    pub(super) fn original_rows(&self) -> Result<Box<dyn InputRows + '_>, RunError> {
        match self {
            Self::Input(sound) => match sound.original_rows() {
                Ok(rows) => Ok(Box::new(rows)),
                Err(source) => Err(RunError::Reading { name: sound.source.name.clone(), source }),
            },
            Self::Directory(_) => Ok(Box::new(ListedRows(&CARRIED))),
        }
    }

    /// What the plan shows of it: of an input whose users are not looked up, how much that would take; of the
    /// directory, as far as the beginning of its list tells.
    pub(super) fn planned<'a>(&'a self, listing: Option<&Listing>, forecast: Option<Forecast>) -> Planned<'a> {
        match self {
            Self::Input(sound) => Planned::Input(PlannedInput {
                name: &sound.source.name,
                plan: sound.plan(),
                sought_in: sound.layout.lookup.as_ref().map(|lookup| lookup.column.name.as_str()),
                forecast,
                start: sound.rules.start,
            }),
            Self::Directory(selection) => {
                Planned::Directory { selection, users: listing.and_then(Listing::total), pages: listing.and_then(Listing::pages) }
            }
        }
    }
}

/// An input that has no other owner, as none has before its rows are fed.
fn alone(sound: Arc<Sound>) -> Sound {
    Arc::into_inner(sound).expect("nobody else has it before its rows are fed")
}

/// The rows that are still to be done, on their way into the pipeline.
#[derive(Debug)]
pub(super) enum Feed {
    Input(Arc<Sound>, Remaining),
    Directory(Box<Listing>, Roll),
}

impl Feed {
    /// How many rows there will be, settled ones included, as far as is known.
    pub(super) fn expected(&self) -> Option<u64> {
        match self {
            Self::Input(sound, _) => Some(sound.rows()),
            Self::Directory(listing, roll) => listing.total().map(|total| total.max(roll.users())),
        }
    }

    /// Sends the rows into `rows`, no faster than they are taken. Answers how many there are in all; `None` if
    /// the run stops before that is known. If rows cannot be had, the run stops.
    pub(super) async fn run<W: Transport>(self, pipeline: &Pipeline<W>, rows: mpsc::Sender<Row>) -> Result<Option<u64>, RunError> {
        let stop = &pipeline.stop;
        match self {
            Self::Input(sound, remaining) => {
                let all = sound.rows();
                let read = read_rows(sound, remaining, rows, stop.clone()).await;
                read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())).map(|()| Some(all))
            }
            Self::Directory(listing, roll) => {
                let fed = listing.feed(roll, &pipeline.session, &pipeline.slots, &rows, stop).await;
                Ok(fed.inspect_err(|_| stop.request())?)
            }
        }
    }
}

/// Reads the rows again on a thread of its own; if that fails, the run stops.
fn read_rows(sound: Arc<Sound>, remaining: Remaining, send: mpsc::Sender<Row>, stop: Stop) -> JoinHandle<Result<(), RunError>> {
    tokio::task::spawn_blocking(move || {
        feed(&sound, &remaining, &send).map_err(|source| {
            stop.request();
            RunError::Reading { name: sound.source.name.clone(), source }
        })
    })
}
