//! The nodes of a graph, made real: loop devices, partitions, volumes,
//! filesystems, mounts; and released again.
//!
//! Only for the kernel of a machine of our own, as its root; the applet and the
//! agent see to that. No udev is expected to run. The order of things, the
//! commands and their arguments are upstream's (`block_device/level[0-4]`).
//!
//! * `command`: command lines, as data; `system`: what the kernel is asked for.
//! * `create` and `release`: the two ways; `made`: what there is to release.
//! * [`bare`]: a disk that hooks divide as they like.
//! * `rehearsal`: the commands of an order, without a kernel.
//! * `store`: the files that `create` leaves.

use std::path::Path;

use super::state::State;
use super::Graph;

pub mod bare;
mod command;
mod create;
mod error;
mod made;
mod rehearsal;
mod release;
mod store;
mod system;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use rehearsal::{rehearse, Rehearsed};
pub use store::{save, NODES_FILE, STATE_FILE};

use command::Command;
use system::{Kernel, System};

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// All nodes.
    pub graph: &'a Graph,
    /// The disk of this machine that `image0` is made on: its loop device shows
    /// as many bytes of it as the image has. Without one the image is a file.
    pub image0_medium: Option<&'a Path>,
    /// Tables, volumes and filesystems are on the disks already: they are
    /// attached, mapped and mounted, nothing is written.
    pub populated: bool,
    /// `image-size`: bytes of disks without a size in the configuration.
    pub image_bytes: u64,
    /// `image-dir`: directory of image files without one in the configuration.
    pub image_dir: &'a str,
    /// `mount-base`: where `/` is mounted.
    pub mount_base: &'a str,
    /// `DIB_BLOCK_SIZE`: bytes of a sector, whatever is configured.
    pub block_size: Option<u32>,
}

/// Makes everything in [`Graph::in_order`]. `log` gets lines without a newline.
///
/// # Errors
/// The node that failed; what was made by then is taken back.
pub fn create(order: &Order, log: &mut dyn FnMut(&str)) -> Result<State, Error> {
    let (state, result) = attempt(order, log);
    result.map(|()| state)
}

/// As [`create`], with the state as far as it came, which upstream
/// stores for those who look for the reason.
pub fn attempt(order: &Order, log: &mut dyn FnMut(&str)) -> (State, Result<(), Error>) {
    let mut kernel = Kernel;
    let hands = Hands {
        system: &mut kernel,
        log,
    };
    create::run(order, hands)
}

/// Unmounts and detaches what is mounted and attached. Filesystems are trimmed
/// before, so that blocks that they no longer use take no room in the image.
///
/// # Errors
/// The node that could not be released, after upstream's nine attempts.
pub fn umount(state: &State, log: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let mut kernel = Kernel;
    release::umount(
        state,
        &mut Hands {
            system: &mut kernel,
            log,
        },
    )
}

/// Makes LVM forget volumes that [`umount`] released. The image files stay.
pub fn cleanup(state: &State, log: &mut dyn FnMut(&str)) {
    let mut kernel = Kernel;
    release::cleanup(
        state,
        &mut Hands {
            system: &mut kernel,
            log,
        },
    );
}

/// Releases whatever there still is and removes the image files.
///
/// # Errors
/// The first node that could not be released or removed; the others are.
pub fn delete(state: &State, log: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let mut kernel = Kernel;
    release::delete(
        state,
        &mut Hands {
            system: &mut kernel,
            log,
        },
    )
}

/// The kernel, and somebody who is told what is done to it.
struct Hands<'a> {
    system: &'a mut dyn System,
    log: &'a mut dyn FnMut(&str),
}

impl Hands<'_> {
    fn say(&mut self, text: &str) {
        (self.log)(text);
    }

    /// Runs a command of a node.
    fn run(&mut self, node: &str, command: &Command) -> Result<String, Error> {
        self.say(&format!("Calling [{command}]"));
        self.system
            .run(command)
            .map_err(|failure| Error::of(node, command, failure))
    }
}
