//! Outputs of the build: the adapter between steps and [`crate::output`].

use std::path::Path;

use super::context::Context;
use super::error::Error as AgentError;
use super::paths;
use crate::blockdev::Layout;
use crate::output::convert::{self, Order};
use crate::output::{archive, disk, vhd, NodeRegistry};
use crate::plan::{Archive, RawDisk};

pub(crate) use crate::output::Error;

/// The device nodes that have placeholders.
///
/// # Errors
/// An unreadable registry.
pub(crate) fn nodes() -> Result<NodeRegistry, Error> {
    NodeRegistry::load(Path::new(paths::NODES))
}

/// Packs the target as it is mounted, beside what comes next.
pub(crate) fn pack_archive(
    context: &mut Context,
    kind: Archive,
    output: &str,
) -> Result<(), AgentError> {
    let output = context.output_dir.join(output);
    let epoch = context.reproducible.as_ref().map(|wanted| wanted.epoch);
    let (target, nodes) = (context.target(), nodes()?);
    context.lane.push(context.step, move || {
        archive::pack(&kind, &target, &output, &nodes, epoch)
    });
    Ok(())
}

/// Compresses a file of the output directory, beside what comes next.
pub(crate) fn gzip(
    context: &mut Context,
    program: String,
    input: &str,
    output: &str,
    remove_input: bool,
) {
    let input = context.output_dir.join(input);
    let output = context.output_dir.join(output);
    context.lane.push(context.step, move || {
        convert::gzip(&program, &input, &output, remove_input)
    });
}

/// Makes the raw disk from the trees of its filesystems.
pub(crate) fn assemble(
    context: &mut Context,
    layout: &Layout,
    disk: RawDisk,
) -> Result<(), AgentError> {
    if context.trees.is_empty() {
        return Err(AgentError::NotSplit);
    }
    let size = context.disk_bytes(layout)?;
    let raw = context.disk(disk);
    Ok(disk::assemble(
        layout,
        &context.trees,
        size,
        &raw,
        &nodes()?,
        context.reproducible.as_ref(),
    )?)
}

/// Converts the raw disk.
pub(crate) fn convert_disk(
    context: &mut Context,
    disk: RawDisk,
    format: &str,
    compress: bool,
    options: Option<&str>,
    output: &str,
) -> Result<(), AgentError> {
    context.say("Converting image using qemu-img convert")?;
    let output = context.output_dir.join(output);
    let raw = context.disk(disk);
    let order = match context.reproducible {
        Some(_) => Order::Fixed,
        None => Order::Any,
    };
    Ok(convert::convert(
        &raw, format, compress, options, &output, order,
    )?)
}

/// Converts the raw disk to VHD, with what there is for it.
pub(crate) fn convert_to_vhd(
    context: &mut Context,
    disk: RawDisk,
    output: &str,
) -> Result<(), AgentError> {
    let writer = vhd::writer()?;
    context.say(format!("Converting image using {writer}"))?;
    let output = context.output_dir.join(output);
    Ok(vhd::convert(&context.disk(disk), writer, &output)?)
}

/// Moves the raw disk to its name in the output directory.
pub(crate) fn take_raw_disk(
    context: &mut Context,
    disk: RawDisk,
    output: &str,
) -> Result<(), AgentError> {
    let raw = context.disk(disk);
    Ok(convert::take_raw(&raw, &context.output_dir.join(output))?)
}
