//! The plan: which steps follow from a request, where they run and why.
//!
//! A plan is data. It prints as a table and as JSON, needs no privilege, and
//! is what the driver hands to an agent.

mod build;
mod error;
mod layers;
mod old;
mod outputs;
mod reproducible;
mod rescue;
mod route;
mod shares;
mod shell;
mod stages;
mod step;
mod steps;
mod storage;
mod table;
mod tools;
mod withheld;

pub use crate::elements::{HookCopy, Location, Phase};
pub use build::{Plan, PlanInputs, SessionPaths};
pub use error::{Error, Lack};
pub use layers::begin_with_layer;
pub use outputs::{HookOutput, PlannedOutput};
pub use reproducible::Reproducible;
pub use rescue::rescue;
pub use route::Abilities;
pub use shares::Share;
pub use stages::Stage;
pub use step::{
    ApplianceKind, Archive, DeviceLine, PlannedStep, RawDisk, SfdiskUnits, SizeFormula, SizePolicy,
    Step, TreePlace,
};
pub use step::{DRIVE_COPY, PARAMS_FILE, RAW_DISK, STATE_DIR};
pub use storage::Storage;
pub use tools::{known_tools, KnownTool, PlannedTool};
pub use withheld::mentions;
