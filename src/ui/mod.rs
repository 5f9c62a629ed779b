//! What does the operator see while a run is under way? All of it goes to standard error.

mod console;
mod progress;

pub use self::console::Console;

pub(crate) use self::progress::Progress;
