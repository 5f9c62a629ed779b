//! Everything the operator sees during a run. All of it goes to standard error.

mod confirm;
mod console;
mod lookup;
mod plan;
mod progress;
mod screen;

pub use self::console::Console;

pub(crate) use self::confirm::{NotConfirmed, Question, Terminal, confirm};
pub(crate) use self::plan::{PlanView, Planned, PlannedInput};
pub(crate) use self::progress::Progress;
