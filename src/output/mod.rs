//! Outputs: archives, disk images, checksums, names of old images.
//!
//! All but [`beneath`], [`commit`] and [`docker`] run in the appliance, as root of a user
//! namespace: no loop device, no mount, no mknod. Paths are explicit, and every
//! tool of the host goes through one runner.
//!
//! * [`archive`]: tar, aci, squashfs.
//! * [`disk`]: a raw disk image from trees.
//! * [`convert`]: `qemu-img convert`, compression, the raw image itself.
//! * [`vhd`]: VHD, with what there is for it.
//! * [`nodes`]: device nodes that a user namespace cannot make.
//! * [`beneath`]: files where hooks could write.
//! * [`commit`]: checksums, old images, everything into place or nothing.
//! * [`docker`]: import into a container engine.

pub mod archive;
pub mod beneath;
pub mod checksum;
pub mod commit;
pub mod convert;
pub mod disk;
pub mod docker;
mod error;
pub mod nodes;
pub mod tar_nodes;
mod tar_records;
mod tool;
mod tree;
pub mod vhd;

#[cfg(test)]
mod archive_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod userns_tests;

pub use error::Error;
pub use nodes::NodeRegistry;
pub use tree::{content_size, disk_usage};
