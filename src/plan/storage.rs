//! Which disk layout a build gets, and how large the disk is.

use std::path::{Path, PathBuf};

use crate::blockdev::{self, Graph, Layout, RootParams};
use crate::elements::ElementSet;
use crate::request::{BuildRequest, Generation};

use super::{Error, SessionPaths, SizeFormula, SizePolicy};

/// In `TMP_BUILD_DIR`: the configuration's text.
pub(super) const CONFIG_FILE: &str = "block-device/config.yaml";

/// Size of the padding that upstream adds for an EFI system partition, KiB.
const EFI_PADDING_KIB: u64 = 525 * 1024;

/// What hooks that divide a disk leave around one partition: a cylinder or a
/// MiB before it, and as much behind.
const HOOKS_LEAVE_KIB: u64 = 16 * 1024;

/// A layout and where its configuration came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// The layout.
    pub layout: Layout,
    /// The nodes that it comes from.
    pub graph: Graph,
    /// The configuration's text, as it was given.
    pub yaml: String,
    /// Its expanded form, as `dib-block-device init` leaves it.
    pub config_json: String,
    /// What else `dib-block-device` is told.
    pub params: RootParams,
    /// `DIB_BLOCK_SIZE`, if it is a number.
    pub block_size: Option<u32>,
    /// Lines for the log that say which configuration was chosen, as upstream says it.
    pub messages: Vec<String>,
    /// Whether `/etc/fstab` is the layout's.
    pub writes_fstab: bool,
    /// How the disk's size is found.
    pub size: SizePolicy,
    /// What brought the configuration; `None` for the default one.
    pub configured_by: Option<String>,
}

impl Storage {
    /// The parameter file of `dib-block-device` (`DIB_BLOCK_DEVICE_PARAMS_YAML`),
    /// whose `image-size` follows when it is known. JSON's texts are YAML's.
    pub fn params_yaml(&self, paths: &SessionPaths) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let path = |path: &Path| quoted(&path.to_string_lossy());
        let lines = [
            ("config", path(&paths.build_dir.join(CONFIG_FILE))),
            ("image-dir", path(&paths.image_dir)),
            ("root-fs-type", quoted(&self.params.fs_type)),
            ("root-label", quoted(&self.params.root_label)),
            ("root-fs-opts", quoted(&self.params.root_opts.join(" "))),
            ("mount-base", path(&paths.build_dir.join("mnt"))),
            ("build-dir", path(&paths.build_dir)),
        ];
        lines
            .iter()
            .map(|(key, value)| format!("{key}: {value}\n"))
            .collect()
    }

    /// Checks that the partitions fit, where the disk's size is known before the tree.
    ///
    /// # Errors
    /// The one that does not, as when it is written.
    pub fn check_size(&self) -> Result<(), Error> {
        let image0 = self.layout.image0()?;
        let requested = self.size.requested_kib;
        let requested = requested.map(|kib| self.size.rounded_kib(kib) * 1024);
        match image0.size.or(requested) {
            Some(bytes) => Ok(blockdev::place(image0, bytes).map(drop)?),
            None => Ok(()),
        }
    }
}

struct Configuration {
    yaml: String,
    origin: Option<String>,
    messages: Vec<String>,
}

/// Chooses the block-device configuration and turns it into a layout
/// (`block_device_create_config_file` and the two `init` calls of
/// `lib/disk-image-create`).
///
/// # Errors
/// An unreadable configuration file, and everything that is wrong with the
/// configuration itself.
pub fn storage(
    request: &BuildRequest,
    set: &ElementSet,
    root_uuid: &str,
) -> Result<Storage, Error> {
    let generation = request.generation.generation;
    let configuration = configuration(request, set, root_uuid)?;
    let mut params = RootParams {
        fs_type: request.fs_type.clone(),
        root_label: request.root_label.clone(),
        root_opts: Vec::new(),
    };
    let root_fstype = blockdev::layout(&configuration.yaml, &params)?.root_fstype()?;
    params.root_opts = root_options(request, &root_fstype);
    let config = blockdev::config(&configuration.yaml, &params)?;
    let graph = Graph::new(&config)?;
    let mut layout = graph.layout()?;
    // What is no size at all is refused by name with the route.
    let block_size = request
        .environment
        .get(std::ffi::OsStr::new("DIB_BLOCK_SIZE"));
    let block_size = block_size.and_then(|text| text.to_str()?.parse().ok());
    if let Some(bytes) = block_size {
        layout.override_block_size(bytes);
    }
    let expanded = set.names().join(" ");
    let mut messages = configuration.messages;
    let efi = expanded.contains("block-device-efi");
    let padded = efi && !request.size.fixed;
    if padded {
        messages.push("Expanding disk for EFI partition".into());
    }
    Ok(Storage {
        size: SizePolicy {
            requested_kib: request.size.image_kib,
            extra_kib: request.size.extra_kib,
            journal_mib: (root_fstype == "ext4").then_some(request.size.journal_mib),
            formula: match generation {
                Generation::V0 => SizeFormula::Blocks600,
                _ => SizeFormula::SixTenths,
            },
            efi_padding_kib: if padded { EFI_PADDING_KIB } else { 0 },
            usage_report: request.size.usage_report,
            unused_kib: match generation.has_device_hooks() {
                true => HOOKS_LEAVE_KIB,
                false => 0,
            },
        },
        writes_fstab: generation.has_block_device_layer()
            || layout.filesystems.iter().any(|fs| fs.fstab.is_some()),
        configured_by: configuration.origin,
        layout,
        graph,
        yaml: configuration.yaml,
        config_json: config.to_json(),
        params,
        block_size,
        messages,
    })
}

fn configuration(
    request: &BuildRequest,
    set: &ElementSet,
    root_uuid: &str,
) -> Result<Configuration, Error> {
    if let Some(given) = request
        .block_device_config
        .as_deref()
        .filter(|text| !text.is_empty())
    {
        if let Some(path) = given.strip_prefix("file://") {
            return Ok(Configuration {
                yaml: read(path.into())?,
                origin: Some("DIB_BLOCK_DEVICE_CONFIG".into()),
                messages: vec![format!("Using file-based block-device config: {given}")],
            });
        }
        return Ok(Configuration {
            yaml: given.into(),
            origin: Some("DIB_BLOCK_DEVICE_CONFIG".into()),
            messages: vec![
                "User specified block-device config from DIB_BLOCK_DEVICE_CONFIG".into(),
            ],
        });
    }
    let mut messages = vec![format!(
        "Searching elements for block-device[-{}].yaml ...",
        request.arch
    )];
    for path in candidates(request, set) {
        if path.exists() {
            messages.push(format!("Using block-device config: {}", path.display()));
            return Ok(Configuration {
                origin: Some(path.display().to_string()),
                yaml: read(path)?,
                messages,
            });
        }
    }
    messages.push("... done".into());
    messages.push("Using default block-device fallback config".into());
    Ok(Configuration {
        origin: None,
        yaml: match request.generation.generation.has_block_device_layer() {
            true => blockdev::default_config().into(),
            false => {
                let uuid = request.fs_type.starts_with("ext").then_some(root_uuid);
                blockdev::old_default_config(uuid)
            }
        },
        messages,
    })
}

/// Per element the file for the architecture, then the default one. Upstream
/// goes through the elements in hash order; ours are sorted by name.
fn candidates(request: &BuildRequest, set: &ElementSet) -> Vec<PathBuf> {
    let arch = if "ppc64le ppc64el".contains(&request.arch) {
        "ppc64el"
    } else {
        &request.arch
    };
    set.elements
        .iter()
        .flat_map(|element| {
            [
                element.path.join(format!("block-device-{arch}.yaml")),
                element.path.join("block-device-default.yaml"),
            ]
        })
        .collect()
}

fn read(path: PathBuf) -> Result<String, Error> {
    std::fs::read_to_string(&path).map_err(|source| Error::BlockDeviceConfig { path, source })
}

/// mkfs options of the root filesystem in upstream's order: online resize,
/// trusty's missing checksums, inode ratio and journal, the user's own.
fn root_options(request: &BuildRequest, root_fstype: &str) -> Vec<String> {
    let generation = request.generation.generation;
    let mut options = Vec::new();
    if let Some(blocks) = &request.max_online_resize {
        options.push(format!("-E resize={blocks}"));
    }
    // 0.x left the inodes and the journal of a disk of requested size to mkfs.
    let plain = generation == Generation::V0 && request.size.image_kib.is_some();
    if root_fstype == "ext4" && !plain {
        let trusty = request
            .environment
            .get(std::ffi::OsStr::new("DIB_RELEASE"))
            .is_some_and(|release| release == "trusty");
        if trusty {
            options.push("-O ^metadata_csum".into());
        }
        options.push(format!("-i 4096 -J size={}", request.size.journal_mib));
    }
    options.push(request.mkfs_options.clone());
    options
        .join(" ")
        .split_whitespace()
        .map(String::from)
        .collect()
}
