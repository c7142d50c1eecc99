//! What driver and agent say to each other about layers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::plan::Phase;

/// Where an agent finds the layer that its session begins with.
pub const LAYER_DIR: &str = "/run/safedib/layer";

/// Where it puts new ones.
pub const NEW_LAYERS_DIR: &str = "/run/safedib/new-layers";

/// Where it may see what hooks have written to `/usr` by itself.
pub const USR_CHANGES: &str = "/run/safedib/usr-changes";

/// What follows the key in the name of a layer that a failed hook has left.
pub const FAILED: &str = ".failed";

/// The inside of the build: states of it that are kept between two hooks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layers {
    /// Directory that gets a directory for each, named by its key.
    pub directory: PathBuf,
    /// After which hooks one may be kept.
    pub points: Vec<LayerPoint>,
    /// Least seconds of hooks' work between two; `None`: four times what keeping
    /// one takes.
    pub step: Option<f64>,
    /// Hooks of the first phase that have run already.
    pub done: Vec<String>,
    /// Paths that are not in layers: the host's, and those of which the new content
    /// is in them by itself.
    pub shared: Vec<PathBuf>,
    /// Key of the layer that the session begins with.
    pub begins_with: Option<String>,
}

/// A hook after which a layer may be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerPoint {
    /// Phase of the hook.
    pub phase: Phase,
    /// File name of the hook.
    pub hook: String,
    /// Name of the layer: it stands for all that went in.
    pub key: String,
}

/// A layer as it lies in its directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptLayer {
    /// [`LayerPoint::key`] of the last hook of the plan that has run.
    pub key: String,
    /// The phase that goes on with it.
    pub phase: Phase,
    /// Hooks of that phase that have run.
    pub done: Vec<String>,
    /// The hook that failed then, if one did: the layer has what it left.
    pub failed: Option<String>,
}
