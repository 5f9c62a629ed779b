//! `users`: writes the list of the directory's users, and reads no bypass.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::error::RunError;
use super::signals::listen;
use super::target::Target;
use crate::cli::UsersArgs;
use crate::clock::Clock;
use crate::config::{Existing, ListConfig};
use crate::directory::{ListPart, ListTaker, ListedFor, Listing, NotListed, write_parts};
use crate::domain::{RunId, counted, shown};
use crate::exit::EXIT_SUCCESS;
use crate::file_error::{FileError, OUTPUT};
use crate::pace::Pacer;
use crate::pingone::{HttpTransport, Limits, Session};
use crate::report::{ListExtent, ListPlace, Lock};
use crate::stdio::Stream;
use crate::stop::Stop;
use crate::ui::{Console, Notices, Progress, shown_while};

/// Pages that wait to be written.
const PAGES_AHEAD: usize = 2;
/// Pages come one after the other: each has the link to the next.
const CONCURRENCY: usize = 1;
/// How long the reader of a stream has to take the last rows once the list is stopped: as long as that of a report.
const LAST_ROWS: Duration = Duration::from_secs(1);

/// What was read and written.
struct Done {
    /// The number of users, or why there are not all of them.
    listed: Result<Option<u64>, NotListed>,
    /// The users that were handed over to be written.
    users: u64,
    pages: u64,
    /// `None` if the stream was not read to its end.
    written: Option<Result<ListExtent, FileError>>,
}

/// Writes the list, and returns the exit code.
pub(super) async fn list_users(arguments: UsersArgs, console: &Console) -> Result<u8, RunError> {
    let config = ListConfig::of(arguments)?;
    let clock = Clock::of_this_machine().map_err(|_| RunError::ClockBefore1970)?;
    let stop = Stop::default();
    let signals = listen(stop.clone())?;
    let lock = claim(&config)?;
    let target = Target::connect(&config.connection).await?;
    let run = RunId::random();
    console.set_run(run);
    let pace = &config.pace;
    let limits = Limits { timeout: pace.timeout, give_up_after: pace.give_up_after, max_attempts: pace.max_attempts };
    let (session, _sandbox) = target.open(Pacer::new(pace.rate), CONCURRENCY, limits, run, clock)?;
    let done = list(config, &session, &stop, console).await;
    signals.abort();
    drop(lock);
    done
}

/// Makes sure that the list can be written, before anything is asked for.
fn claim(config: &ListConfig) -> Result<Option<Lock>, RunError> {
    Ok(match (&config.place, config.existing) {
        (ListPlace::StandardOutput, _) => {
            Stream::output()?;
            None
        }
        (ListPlace::File(file), Existing::Overwrite) => Some(file.claim()?),
        (ListPlace::File(file), Existing::Keep | Existing::Resume) => Some(file.claim_new()?),
    })
}

async fn list(config: ListConfig, session: &Session<HttpTransport>, stop: &Stop, console: &Console) -> Result<u8, RunError> {
    let ListConfig { selection, max_users, place, .. } = config;
    let notices = Notices::of(&session.answers);
    let listing = Listing::begin(session, &selection, ListedFor::Users(selection.to_string()), max_users, stop);
    let listing = shown_while(console, &session.answers, listing).await.map_err(not_listed)?;
    let name = match &place {
        ListPlace::StandardOutput => None,
        ListPlace::File(file) => Some(shown(file.path()).to_string()),
    };
    let done = read_and_write(listing, place, session, stop, console).await;
    notices.tell_now();
    drop(notices);
    conclude(done, name.as_deref(), stop, console)
}

/// Reads the pages and writes their users, on a thread of its own: standard output may be read late, or never.
async fn read_and_write(listing: Listing, place: ListPlace, session: &Session<HttpTransport>, stop: &Stop, console: &Console) -> Done {
    let (parts, receiver) = mpsc::channel(PAGES_AHEAD);
    let is_stream = matches!(place, ListPlace::StandardOutput);
    let (end, ended) = oneshot::channel();
    // Its result is dropped if this function has given it up.
    std::thread::spawn(move || drop(end.send(write(&place, receiver))));
    let (count, counted) = watch::channel(0);
    let progress = Progress::of_listing(console, listing.total(), counted, Arc::clone(&session.answers));
    let mut taker = ListTaker::new(parts, count, stop);
    let listed = listing.read(&mut taker, session, &Semaphore::new(CONCURRENCY), stop).await;
    let (users, pages) = taker.counts();
    // The writer ends when no more parts can come, and the progress when nobody counts.
    drop(taker);
    progress.finish().await;
    let given_up = async {
        stop.requested().await;
        tokio::time::sleep(LAST_ROWS).await;
    };
    let written = tokio::select! {
        biased;
        written = ended => Some(written.expect("the thread sends its result")),
        () = given_up, if is_stream => None,
    };
    Done { listed, users, pages, written }
}

fn write(place: &ListPlace, parts: mpsc::Receiver<ListPart>) -> Result<ListExtent, FileError> {
    match place {
        ListPlace::StandardOutput => {
            let written = write_parts(parts, Stream::output()?);
            written.map_err(|source| FileError::new("written", OUTPUT.as_ref(), source))
        }
        ListPlace::File(file) => file.write(|out| write_parts(parts, out)),
    }
}

/// Tells what has become of the list in the file `name`, or on standard output. Only a whole list is a success.
fn conclude(done: Done, name: Option<&str>, stop: &Stop, console: &Console) -> Result<u8, RunError> {
    let Done { listed, users, pages, written } = done;
    let why = match (listed, written) {
        (_, Some(Err(error))) => error.into(),
        (Err(error), Some(Ok(_)) | None) => not_listed(error),
        (Ok(_), Some(Ok(ListExtent::Whole))) => {
            let place = name.unwrap_or(OUTPUT);
            let header = if users == 0 { ": nobody is selected, and there is the header alone" } else { "" };
            console.tell(&format!("{} in {}: {place}{header}", counted(users, "user"), counted(pages, "page")));
            return Ok(EXIT_SUCCESS);
        }
        (Ok(_), Some(Ok(ListExtent::Part)) | None) => stopped(stop),
    };
    // Of a file, nothing is left.
    Err(if name.is_some() { why } else { RunError::ListCut { users, why: Box::new(why) } })
}

fn not_listed(error: NotListed) -> RunError {
    match error {
        NotListed::List(error) => error.into(),
        NotListed::PingOne(error) => error.into(),
        NotListed::Stopped(signal) => signal.map_or(RunError::Unaccounted, RunError::ListStopped),
    }
}

/// Only a signal stops the list.
fn stopped(stop: &Stop) -> RunError {
    not_listed(NotListed::Stopped(stop.signalled()))
}
