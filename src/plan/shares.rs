//! What of the host an appliance shows to hooks: an explicit list.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A path of the host that an appliance shares, at the same path inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Absolute path on the host; a file or a directory that exists.
    pub path: PathBuf,
    /// Where it appears inside, if elsewhere.
    pub inside: Option<PathBuf>,
    /// Hooks may write to it.
    pub writable: bool,
    /// Why it is shared, for the plan.
    pub why: String,
}
