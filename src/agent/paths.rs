//! Where our own files are inside an appliance.

/// The marker that says that a process runs inside an appliance of ours.
pub const MARKER: &str = "/run/safedib/agent";
/// The marker that says that the appliance is a machine with a kernel of its own,
/// whose block devices are ours to make.
pub const DEVICES: &str = "/run/safedib/devices";
/// This binary.
pub const BINARY: &str = "/run/safedib/bin/safedib";
/// The `python3` of hooks that import `diskimage_builder`; `DIB_PYTHON_EXEC`.
pub const PYTHON_WRAPPER: &str = "/run/safedib/bin/python3";
/// Directory that is first on the PATH of hooks outside the target.
pub const SHIMS: &str = "/run/safedib/shims";
/// A directory for each older generation, by its number: commands that its hooks
/// find on their PATH.
pub const COMMANDS: &str = "/run/safedib/commands";
/// `_LIB`, unless the user named another one.
pub const LIB: &str = "/run/safedib/lib";
/// Directory of Python's path that holds `diskimage_builder`.
pub const PYTHON: &str = "/run/safedib/python";
/// The marker that says that `sfdisk` counts in cylinders.
pub const CYLINDERS: &str = "/run/safedib/cylinders";
/// The same for scripts of 0.x and 1.x, before it.
pub const PYTHON_OLD: &str = "/run/safedib/python-old";
/// Placeholders of device nodes, see [`crate::output::nodes`].
pub const NODES: &str = "/run/safedib/nodes";
/// Link to `DIB_IMAGE_CACHE`, if builds at the same time share it.
pub const SHARED_CACHE: &str = "/run/safedib/shared-cache";
/// Link to the build's own directory in it.
pub const OWN_CACHE: &str = "/run/safedib/own-cache";
/// What the chroot shim mounted, a path per line, for the agent to unmount.
pub const CHROOT_DEVICES: &str = "/run/safedib/chroot-devices";
/// What hooks bind, for layers: source and target, each with a NUL.
pub const BINDS: &str = "/run/safedib/binds";
/// Where the target is seen by whoever must not change it.
pub const INVENTORY_VIEW: &str = "/run/safedib/inventory-view";
/// Where a directory is seen without what is mounted below it.
pub const LAYER_VIEW: &str = "/run/safedib/layer-view";
