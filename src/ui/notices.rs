//! Tells of outages in the log: one notice when an outage begins, one when it is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::console::NOTICE;
use super::fit::spelt;
use super::silence::outage;
use crate::pingone::{Answers, Notice};

/// How late a notice may come.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Tells of outages until it is dropped.
#[derive(Debug)]
pub(crate) struct Notices {
    answers: Arc<Answers>,
    task: JoinHandle<()>,
}

impl Notices {
    pub(crate) fn of(answers: &Arc<Answers>) -> Self {
        let looked_at = Arc::clone(answers);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                tell(&looked_at);
            }
        });
        Self { answers: Arc::clone(answers), task }
    }

    /// Tells what there is to tell now.
    pub(crate) fn tell_now(&self) {
        tell(&self.answers);
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn tell(answers: &Answers) {
    while let Some(notice) = answers.notice() {
        match notice {
            Notice::Began(silence) => tracing::warn!("{}", outage(&silence)),
            Notice::Ended { host, lasted } => {
                tracing::info!(target: NOTICE, "the outage is over: {host} answers again, after {}", spelt(lasted));
            }
        }
    }
}
