//! What the user sees of a build: log lines, a live view, the failure, timings, and
//! reports.
//!
//! * [`BuildReport`] is what `--report FILE.json` holds, [`html`] makes a page of it,
//!   [`bill`] lists the software,
//! * [`Record`] notes what happens when, `tidy` makes fit to be shown what hooks say.

mod bill;
mod build_report;
mod clock;
mod difference;
mod failure;
mod log;
mod make;
mod messages;
mod page;
mod progress;
mod record;
mod tidy;
mod timings;

pub use bill::{bill, purl};
pub use build_report::{
    ApplianceFacts, BuildReport, ElementFacts, Event, EventKind, ImageFacts, LayerFacts, Outcome,
    OutputFacts, State, VERSION,
};
pub use clock::{now, rfc3339, utc_stamp};
pub use difference::{Change, Difference, Named, PackageChanges};
pub use failure::{BuildFailure, LogPlace};
pub use log::{LogError, LogWriter};
pub use make::{appliance_name, Parts};
pub use messages::{Messages, MessagesError};
pub use page::html;
pub use progress::{erase_view, ViewPlaces};
pub use record::{Record, Span, StageSpan, Work};
pub use tidy::report as tidy_report;
pub use timings::{PhaseTime, Timings};
