//! The files that a build leaves, and their names.

use std::path::PathBuf;

use serde::Serialize;

use crate::elements::ElementSet;
use crate::request::{BuildRequest, OutputFormat};

use super::steps::PRIVATE_TAR;

/// One output of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedOutput {
    /// Its format.
    pub format: OutputFormat,
    /// File name in the output directory of the session.
    pub staged: String,
    /// Absolute path of the result; `None` for what leaves no file.
    pub path: Option<PathBuf>,
    /// The result's name as the user gave it, with the extension: what checksum
    /// files name.
    pub shown: String,
}

impl PlannedOutput {
    /// It is made from the raw disk rather than from the tree.
    pub fn needs_disk(&self) -> bool {
        matches!(self.format, OutputFormat::Raw | OutputFormat::Vhd)
            || self.format.qemu_img_name().is_some()
    }
}

/// The outputs of a request in upstream's order: archives, disk formats, raw.
///
/// A ramdisk build, and an element whose name contains `no-final-image`,
/// suppress what upstream converts at the end (compat 7.027).
pub fn outputs(request: &BuildRequest, set: &ElementSet) -> Vec<PlannedOutput> {
    if ramdisk_by(request, set).is_some() {
        return Vec::new();
    }
    let suppressed = request.ramdisk || set.names().join(" ").contains("no-final-image");
    let image = request.image_path();
    let mut outputs: Vec<PlannedOutput> = request
        .formats
        .iter()
        .filter(|format| !suppressed || format.is_packed_from_tree())
        .map(|format| match format.extension() {
            Some(extension) => {
                let staged = format!("{}.{extension}", image.base_name);
                PlannedOutput {
                    path: Some(image.directory.join(&staged)),
                    staged,
                    shown: format!("{}.{extension}", request.image_name),
                    format: format.clone(),
                }
            }
            None => PlannedOutput {
                format: format.clone(),
                staged: PRIVATE_TAR.into(),
                path: None,
                shown: request.docker_target.clone().unwrap_or_default(),
            },
        })
        .collect();
    outputs.sort_by_key(|output| {
        (
            !output.format.is_packed_from_tree(),
            output.format == OutputFormat::Raw,
        )
    });
    outputs
}

/// A file that hooks are expected to write beside the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookOutput {
    /// Its name.
    pub file: String,
    /// Absolute path of the result.
    pub path: PathBuf,
    /// The name as the user gave it, with the extension.
    pub shown: String,
}

/// Extensions of what the ramdisk elements of all versions write (compat 7.029).
const RAMDISK: [&str; 2] = ["initramfs", "kernel"];

/// The element that makes a build one of a ramdisk without anybody asking for
/// that, if there is one (compat 10.028).
pub fn ramdisk_by(request: &BuildRequest, set: &ElementSet) -> Option<&'static str> {
    let is_in = |name: &&str| set.names().contains(name);
    request
        .ramdisk_by
        .filter(|_| !request.ramdisk)
        .filter(is_in)
}

/// What hooks write in a ramdisk build; nothing in others.
pub fn hook_outputs(request: &BuildRequest, set: &ElementSet) -> Vec<HookOutput> {
    let image = request.image_path();
    let ramdisk = request.ramdisk || ramdisk_by(request, set).is_some();
    let extensions = RAMDISK.iter().filter(|_| ramdisk);
    extensions
        .map(|extension| {
            let below = request
                .side_directory
                .as_ref()
                .map_or(String::new(), |directory| format!("{directory}/"));
            let file = format!("{below}{}.{extension}", image.base_name);
            HookOutput {
                path: image.directory.join(&file),
                shown: match below.as_str() {
                    "" => format!("{}.{extension}", request.image_name),
                    _ => file.clone(),
                },
                file,
            }
        })
        .collect()
}
