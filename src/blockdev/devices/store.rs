//! The files of the state directory that say what there is.

use std::path::Path;
use std::{fs, io};

use crate::blockdev::state::State;
use crate::blockdev::Graph;

/// What `getval`, `writefstab`, `umount` and `delete` read.
pub const STATE_FILE: &str = "state.json";
/// The nodes in the order of their creation, which upstream pickles: while it
/// is there, there is something to release.
pub const NODES_FILE: &str = "nodes.json";

/// Writes both files, as a successful `create` does.
///
/// # Errors
/// Whatever the filesystem gives.
pub fn save(directory: &Path, graph: &Graph, state: &State) -> io::Result<()> {
    fs::write(directory.join(STATE_FILE), state.to_json())?;
    let nodes: Vec<_> = graph.in_order().collect();
    fs::write(directory.join(NODES_FILE), serde_json::to_vec(&nodes)?)
}
