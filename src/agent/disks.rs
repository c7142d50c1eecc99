//! Block devices of the image, where the appliance is a machine
//! (`dib-block-device create`, `umount`, `cleanup`).

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::context::{Context, Devices, MadeDevices};
use super::error::Error;
use super::{device_hooks, mounts, vm};
use crate::blockdev::devices::{self, Order};
use crate::blockdev::state::State;
use crate::blockdev::{place, Graph, Layout};
use crate::plan::{RawDisk, PARAMS_FILE, STATE_DIR};

/// Makes the empty disk, of the size that its layout fixes or else the measured one.
///
/// # Errors
/// No size is known, or the file cannot be made.
pub(crate) fn create_raw(context: &mut Context, layout: &Layout) -> Result<(), Error> {
    let size = context.disk_bytes(layout)?;
    // Known before a machine is started for nothing.
    place(layout.image0()?, size)?;
    let path = context.disk(RawDisk::OutputDirectory);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .and_then(|file| file.set_len(size))
        .map_err(Error::io("create", &path))
}

/// Makes the devices over the machine's image disk and mounts them at the target.
///
/// # Errors
/// As [`devices::create`], with the node.
pub(crate) fn create(
    context: &mut Context,
    graph: &Graph,
    layout: &Layout,
    block_size: Option<u32>,
    populated: bool,
) -> Result<(), Error> {
    let size = context.disk_bytes(layout)?;
    let medium = vm::image_disk().map_err(Error::io("find the image's disk in", "/sys/block"))?;
    let target = context.target();
    // The tree has left the second one, which stays to the end of the build.
    for directory in [&target, &context.built()] {
        fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
    }
    context.variables.set("TMP_MOUNT_PATH", &target);
    let image_dir = context.image_dir.display().to_string();
    let mount_base = target.display().to_string();
    let image = context.disk(RawDisk::WorkDirectory);
    show_as_file(&medium, &image).map_err(Error::io("show the image's disk as", &image))?;
    let order = Order {
        graph,
        image0_medium: Some(&image),
        populated,
        image_bytes: size,
        image_dir: &image_dir,
        mount_base: &mount_base,
        block_size,
    };
    let state = telling(context, |say| devices::create(&order, say))?;
    remember(context, graph, &state, size)?;
    context
        .variables
        .set("IMAGE_BLOCK_DEVICE", state.image_block_device()?);
    context
        .variables
        .set("IMAGE_BLOCK_DEVICES", state.image_block_devices()?);
    context.devices = Some(Devices {
        made: MadeDevices::Configured(state),
        bytes: size,
    });
    Ok(())
}

/// Makes the disk the file that it is upstream. grub-mkconfig asks what a loop
/// device is over: for a file that it does not find in the target it writes no
/// device, for one in `/dev` it writes that into grub.cfg, for the booting system.
fn show_as_file(medium: &Path, image: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(image)?;
    mounts::bind(medium, image)
}

/// Lets an action tell the log what it does; its own error goes before one of
/// the log.
pub(crate) fn telling<T>(
    context: &mut Context,
    act: impl FnOnce(&mut dyn FnMut(&str)) -> Result<T, devices::Error>,
) -> Result<T, Error> {
    let log = &mut context.log;
    let mut unsaid = Ok(());
    let done = act(&mut |line| {
        if unsaid.is_ok() {
            unsaid = log.say(line);
        }
    })?;
    unsaid?;
    Ok(done)
}

/// Lets hooks ask `dib-block-device` about the devices.
fn remember(context: &Context, graph: &Graph, state: &State, size: u64) -> Result<(), Error> {
    let states = context.build_dir.join(STATE_DIR);
    fs::create_dir_all(&states)
        .and_then(|()| devices::save(&states, graph, state))
        .map_err(Error::io("write", &states))?;
    let params = context.build_dir.join(PARAMS_FILE);
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(&params)
        .and_then(|mut file| writeln!(file, "image-size: {}KiB", size / 1024))
        .map_err(Error::io("write", &params))
}

/// Unmounts, gives up the devices, and cuts the shared file to the disk's size.
///
/// # Errors
/// No devices were made, or one is still in use.
pub(crate) fn release(context: &mut Context) -> Result<(), Error> {
    let Devices { made, bytes } = context.devices.take().ok_or(Error::NoDevices)?;
    match made {
        MadeDevices::Configured(state) => telling(context, |say| {
            devices::umount(&state, say)?;
            devices::cleanup(&state, say);
            Ok(())
        })
        .and_then(|()| hide(&context.disk(RawDisk::WorkDirectory)))?,
        MadeDevices::ByHooks { device, fstype } => {
            device_hooks::release(context, &device, &fstype)?
        }
    }
    cut(&context.disk(RawDisk::OutputDirectory), bytes)
}

fn hide(image: &Path) -> Result<(), Error> {
    mounts::detach(image)
        .and_then(|()| fs::remove_file(image))
        .map_err(Error::io("remove", image))
}

/// What lies behind the loop device is larger where the size was not known
/// when the machine started.
fn cut(path: &Path, size: u64) -> Result<(), Error> {
    nix::unistd::sync();
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(size))
        .map_err(Error::io("cut to its size", path))
}
