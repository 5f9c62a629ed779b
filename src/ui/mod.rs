//! Everything the operator sees during a run. All of it goes to standard error.

mod before_rows;
mod confirm;
mod console;
mod events;
mod fit;
mod log_form;
mod lookup;
mod notices;
mod plan;
mod progress;
mod screen;
mod silence;

pub use self::console::Console;

pub(crate) use self::before_rows::shown_while;
pub(crate) use self::confirm::{NotConfirmed, Question, Terminal, confirm};
pub(crate) use self::notices::Notices;
pub(crate) use self::plan::{PlanView, Planned, PlannedInput};
pub(crate) use self::progress::Progress;
