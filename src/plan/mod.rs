//! The plan: which steps follow from a request, where they run and why.
//!
//! A plan is data. It prints as a table and as JSON, needs no privilege, and
//! is what the driver hands to an agent.

mod shares;
mod step;

pub use crate::elements::{HookCopy, Location, Phase};
pub use shares::Share;
pub use step::{ApplianceKind, Archive, PlannedStep, SizePolicy, Step};
