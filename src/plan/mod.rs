//! The plan: which steps follow from a request, where they run and why.
//!
//! A plan is data. It prints as a table and as JSON, needs no privilege, and
//! is what the driver hands to an agent.

mod build;
mod error;
mod outputs;
mod refuse;
mod shares;
mod step;
mod steps;
mod storage;
mod table;
mod tools;

pub use crate::elements::{HookCopy, Location, Phase};
pub use build::{Plan, PlanInputs, SessionPaths};
pub use error::Error;
pub use outputs::PlannedOutput;
pub use shares::Share;
pub use step::{ApplianceKind, Archive, PlannedStep, SizePolicy, Step};
pub use steps::choice;
pub use storage::Storage;
pub use tools::PlannedTool;
