//! Shows what is waited for before the first row, where no progress can be shown yet.

use std::convert::Infallible;

use indicatif::ProgressStyle;
use tokio::time::{Instant, sleep, sleep_until};

use super::Console;
use super::events::{Fields, silence_fields};
use super::fit::fit;
use super::progress::{LINE_EVERY, REDRAW_EVERY, columns};
use super::silence::waiting_for;
use crate::cli::ProgressMode;
use crate::pingone::Answers;

/// Waits for a `request` before the first row. Once there has been no answer for 2 s, shows what is waited for.
pub(crate) async fn shown_while<T>(console: &Console, answers: &Answers, request: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        done = request => done,
        never = show(console, answers) => match never {},
    }
}

async fn show(console: &Console, answers: &Answers) -> Infallible {
    match console.progress {
        ProgressMode::None => std::future::pending().await,
        ProgressMode::Bar => draw(console, answers).await,
        ProgressMode::Auto | ProgressMode::Plain => print_lines(console, answers).await,
    }
}

/// Draws a line that goes with this future.
async fn draw(console: &Console, answers: &Answers) -> Infallible {
    let bar = console.bar(None);
    bar.set_style(ProgressStyle::with_template("{msg}").expect("the template is sound"));
    loop {
        sleep(REDRAW_EVERY).await;
        bar.set_message(answers.silence().map(|silence| fit(&waiting_for(&silence), columns())).unwrap_or_default());
        bar.tick();
    }
}

/// Prints a line every ten seconds. The first comes after the notice of an outage, which says the same.
async fn print_lines(console: &Console, answers: &Answers) -> Infallible {
    let mut since = Instant::now();
    loop {
        sleep_until(since + LINE_EVERY).await;
        since = Instant::now();
        if let Some(silence) = answers.silence() {
            let mut fields: Fields = vec![("waitingFor", silence.wanted.name().into())];
            fields.extend(silence_fields(&silence));
            console.tell_progress(&fit(&waiting_for(&silence), usize::MAX), || fields);
        }
    }
}
