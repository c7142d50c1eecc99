//! The plan: which steps follow from a request, where they run and why.
//!
//! A plan is data. It prints as a table and as JSON, needs no privilege, and
//! is what the driver hands to an agent.

mod phase;
mod step;

pub use phase::{Location, Phase};
pub use step::{ApplianceKind, Archive, HookCopy, PlannedStep, SizePolicy, Step};
