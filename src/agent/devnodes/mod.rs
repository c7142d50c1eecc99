//! Device nodes where mknod(2) is refused.
//!
//! In a user namespace a device node cannot be made. An empty file stands in
//! for it, with the mode and owner that the node would have, and the registry
//! at [`super::paths::NODES`] says what it stands for; whoever packs the tree
//! writes the node in its place, see [`crate::output::nodes`].
//!
//! [`make()`] does that for the mknod shim, `supervise` for everything else that
//! calls mknod(2): tar, cp, package scripts in the target.

mod filter;
mod make;
mod supervise;

pub(crate) use make::make;
pub(crate) use supervise::supervise;
