//! What the user sees of a build: log lines, a live view, the failure, timings.

mod clock;
mod failure;
mod log;
mod messages;
mod progress;
mod timings;

pub use clock::{now, utc_stamp};
pub use failure::{BuildFailure, LogPlace};
pub use log::{LogError, LogWriter};
pub use messages::{Messages, MessagesError};
pub use progress::{erase_view, ViewPlaces};
pub use timings::{PhaseTime, Timings};
