//! Full disks, limits, and directories that cannot be written: the build ends
//! with a message that names the place and what to change, the outputs of before
//! are as they were, and nothing is left. What can be known is refused before
//! work starts.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/processes.rs"]
mod processes;

mod caches;
mod limits;
mod logs;
mod outputs;
mod place;
mod signals;
mod temporary;
