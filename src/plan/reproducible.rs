//! What makes a build reproducible (`SOURCE_DATE_EPOCH`).

use serde::{Deserialize, Serialize};

use crate::blockdev::table::Ids;
use crate::blockdev::Layout;
use crate::request::{BuildRequest, OutputFormat};

use super::route::{DiskMaking, Route};
use super::PlannedOutput;

/// The times and identifiers of a reproducible image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reproducible {
    /// The latest time in it, seconds since 1970.
    pub epoch: u32,
    /// Where its identifiers come from.
    pub ids: Ids,
}

impl Reproducible {
    /// What a request asks for.
    pub fn of(request: &BuildRequest) -> Option<Reproducible> {
        let epoch = request.source_date_epoch?;
        let mut words = vec![epoch.to_string()];
        // Neither directories nor variables: they differ between builders of one image.
        words.extend([request.image_path().base_name, request.arch.clone()]);
        words.extend(request.elements.iter().cloned());
        words.push(String::new());
        words.extend(request.packages.iter().cloned());
        Some(Reproducible {
            epoch,
            ids: Ids::Derived(words.join("\n")),
        })
    }

    /// Identifiers of a request's image.
    pub fn ids(request: &BuildRequest) -> Ids {
        Reproducible::of(request).map_or(Ids::Random, |wanted| wanted.ids)
    }
}

/// Filesystems whose tools make the same of the same.
const STEADY: [&str; 6] = ["ext2", "ext3", "ext4", "vfat", "fat", "swap"];

/// What will differ between two builds all the same, for the log.
pub(super) fn warnings(outputs: &[PlannedOutput], route: &Route, layout: &Layout) -> Vec<String> {
    let mut filesystems = layout.filesystems.iter();
    let random = filesystems.find(|filesystem| !STEADY.contains(&filesystem.fstype.as_str()));
    let varies = |format: &OutputFormat| match format {
        OutputFormat::Raw | OutputFormat::Qcow2 if route.disk != DiskMaking::Offline => Some(
            format!("a kernel writes to its filesystems ({})", route.device.why),
        ),
        OutputFormat::Raw | OutputFormat::Qcow2 => random
            .map(|filesystem| format!("mkfs.{} has identifiers of its own", filesystem.fstype)),
        OutputFormat::Vhd | OutputFormat::QemuImg(_) => {
            Some("qemu-img gives it times or identifiers of its own".to_owned())
        }
        _ => None,
    };
    let warning = |output: &PlannedOutput| {
        let why = varies(&output.format)?;
        let name = output.format.name();
        Some(format!(
            "SOURCE_DATE_EPOCH is set, and the {name} image will differ between builds: {why}"
        ))
    };
    outputs.iter().filter_map(warning).collect()
}
