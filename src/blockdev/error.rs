//! What can be wrong with a block-device configuration.

use std::io;
use std::path::PathBuf;

use crate::error::{Explain, Setting};

use crate::yaml::YamlError;

/// Everything that the configuration and its layout can get wrong. Texts in
/// upstream's words are those that users' scripts and bug reports know.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no usable YAML.
    #[error("block-device configuration: {0}")]
    Yaml(#[from] YamlError),
    /// The document is not a list of entries.
    #[error("block-device configuration is not a list of entries but: {0}")]
    NotAList(String),
    /// An entry of the list is not a mapping.
    #[error("Config entry not a dict: {0}")]
    EntryNotADict(String),
    /// An entry has more than one key.
    #[error("Config entry top-level should be a single dict: {0}")]
    EntryNotSingle(String),
    /// The key of an entry is no plugin.
    #[error("Config entry is not a plugin value: {0}")]
    NotAPlugin(String),
    /// What belongs to a plugin is not a mapping.
    #[error("block-device entry '{plugin}' needs a mapping, not: {value}")]
    NotAMap {
        /// Plugin or key.
        plugin: String,
        /// What it has.
        value: String,
    },
    /// A number that JSON does not have, so that `config.json` could not be read.
    #[error("block-device configuration has a number that is none: {0}")]
    NotFinite(String),
    /// No name, and no base to make one from.
    #[error("block-device entry '{plugin}' has neither name nor base: KeyError: 'base'")]
    NoBase {
        /// Plugin of the entry.
        plugin: String,
    },
    /// A mandatory key is absent, in upstream's words.
    #[error("{message} (node '{node}')")]
    Missing {
        /// Upstream's message.
        message: String,
        /// Node name.
        node: String,
    },
    /// A value of the wrong type or form.
    #[error("block-device node '{node}': {key} must be {expected}, not: {value}")]
    Value {
        /// Node name.
        node: String,
        /// Key.
        key: String,
        /// What is expected.
        expected: &'static str,
        /// What was given.
        value: String,
    },
    /// `label` of a partition table.
    #[error("Label must be 'mbr' or 'gpt' (node '{node}' has '{label}')")]
    TableLabel {
        /// Node name.
        node: String,
        /// What was given.
        label: String,
    },
    /// A flag that is neither `boot` nor `primary`.
    #[error("Unknown flag: {flag} (partition '{partition}')")]
    UnknownFlag {
        /// Partition name.
        partition: String,
        /// The flag.
        flag: String,
    },
    /// `primary` in a GPT.
    #[error("Primary flag not supported for GPT partitions (partition '{0}')")]
    GptPrimary(String),
    /// Two nodes of one name.
    #[error("Duplicate node name: {0}")]
    DuplicateNode(String),
    /// A base that is no node.
    #[error("Edge not defined: {from}->{to}")]
    UndefinedEdge {
        /// The base.
        from: String,
        /// The node that names it.
        to: String,
    },
    /// A base that is a node of the wrong kind.
    #[error("block-device node '{node}': its base '{base}' is not {expected}")]
    WrongBase {
        /// Node name.
        node: String,
        /// Its base.
        base: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Two nodes on one base that can carry one.
    #[error("block-device node '{node}': '{base}' is already used by '{other}'")]
    BaseTaken {
        /// Node name.
        node: String,
        /// The base.
        base: String,
        /// Who uses it.
        other: String,
    },
    /// Two filesystems of one label.
    #[error("File system label [{label}] used more than once (node '{node}')")]
    DuplicateLabel {
        /// The label.
        label: String,
        /// The second node.
        node: String,
    },
    /// A label that the filesystem cannot hold.
    #[error(
        "Label [{label}] too long for filesystem [{fstype}]: {length} > {max} (node '{node}')"
    )]
    LabelTooLong {
        /// The label.
        label: String,
        /// Filesystem type.
        fstype: String,
        /// Its length in characters.
        length: usize,
        /// What fits.
        max: usize,
        /// Node name.
        node: String,
    },
    /// Two mounts at one place.
    #[error("Mount point [{mount_point}] specified more than once (node '{node}')")]
    DuplicateMount {
        /// The mount point.
        mount_point: String,
        /// The second node.
        node: String,
    },
    /// Nothing is mounted at `/`.
    #[error("no filesystem is mounted at / in the block-device configuration")]
    NoRoot,
    /// No disk at all, or none that the output is made from.
    #[error("no local_loop node named image0 in the block-device configuration{0}")]
    NoImage0(String),
    /// Nodes that wait for each other.
    #[error("Graph contains a cycle: {}", .0.join(", "))]
    Cycle(Vec<String>),
    /// `getval`: nothing is mounted there.
    #[error("no mount with mount_point {0} in the block-device configuration")]
    NoMount(String),
    /// `getval`: a mount whose base is no filesystem.
    #[error("no mkfs named '{0}' in the block-device configuration")]
    NoMkfs(String),
    /// A key that an entry or the state lacks.
    #[error("block-device {of} has no {key}: KeyError: '{key}'")]
    NoKey {
        /// Entry or part of the state.
        of: String,
        /// The key.
        key: String,
    },
    /// `config.json` or `state.json` is no JSON.
    #[error("not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A size that is no size.
    #[error("block-device node '{node}': {reason}")]
    Size {
        /// Node name.
        node: String,
        /// Upstream's words.
        reason: String,
    },
    /// Primary partitions after logical ones.
    #[error("All primary partitions must be given first (partition '{0}')")]
    PrimaryAfterLogical(String),
    /// The four slots of an MBR are used up.
    #[error("an MBR has room for four primary or extended partitions; '{0}' is one too many")]
    TooManyPrimaries(String),
    /// The entries of a GPT are used up.
    #[error("a GPT has room for 128 partitions; '{0}' is one too many")]
    TooManyPartitions(String),
    /// A partition has no room.
    #[error(
        "The requested size of the image is smaller than the block device configuration: \
         partition '{partition}' needs {needed} bytes, {available} of {disk} are left"
    )]
    DoesNotFit {
        /// Partition name.
        partition: String,
        /// Bytes that it asks for.
        needed: u64,
        /// Bytes that are left.
        available: u64,
        /// Bytes of the disk.
        disk: u64,
    },
    /// A partition would have no sector (MBR) or no MiB (GPT).
    #[error("partition '{partition}' would be empty: {size} bytes of a disk of {disk}")]
    EmptyPartition {
        /// Partition name.
        partition: String,
        /// Bytes by its configuration.
        size: u64,
        /// Bytes of the disk.
        disk: u64,
    },
    /// A disk size that is no multiple of the sector size.
    #[error("disk size {bytes} is not a multiple of {sector}")]
    OddDisk {
        /// Size of the disk.
        bytes: u64,
        /// Size of its sectors.
        sector: u64,
    },
    /// An MBR counts sectors of 512 bytes here.
    #[error("disk '{node}': label mbr works with sectors of 512 bytes only, not {sector}")]
    MbrSectors {
        /// Node name of the disk.
        node: String,
        /// Size of its sectors.
        sector: u64,
    },
    /// A disk beyond what the table can address.
    #[error("an MBR cannot address a disk of {0} bytes; use label: gpt")]
    BeyondMbr(u64),
    /// A GPT type that is neither a known code nor a GUID.
    #[error("partition '{partition}': unknown GPT type '{kind}'")]
    PartitionType {
        /// Partition name.
        partition: String,
        /// The type.
        kind: String,
    },
    /// A partition table cannot be written.
    #[error("cannot write a partition table to {}: {source}", .path.display())]
    Table {
        /// The image or device.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Error::NoBase { plugin } => {
                format!("give the '{plugin}' entry a 'name', and a 'base' unless it is the disk")
            }
            Error::Value { key, expected, .. } if expected.contains("string") => {
                format!("put quotes around the value of '{key}'")
            }
            Error::MbrSectors { .. } => "use label: gpt".into(),
            Error::NoMount(path) => format!("add a mkfs with 'mount: {{mount_point: {path}}}'"),
            Error::NoKey { key, .. } if key == "label" => "give that mkfs a 'label'".into(),
            Error::NoRoot => "add a mkfs with 'mount: {mount_point: /}'".into(),
            Error::NoImage0(_) => {
                "name the disk image0: it is the one that becomes the output".into()
            }
            Error::PrimaryAfterLogical(name) => {
                format!("move '{name}' before the first partition without the flag primary")
            }
            Error::TooManyPrimaries(_) => {
                "leave the flag primary out for all but the first three".into()
            }
            Error::DoesNotFit {
                needed,
                available,
                disk,
                ..
            } => {
                let least = disk.saturating_sub(*available).saturating_add(*needed);
                format!(
                    "the disk needs more than {} GiB: give {}, or make the partitions smaller",
                    least >> 30,
                    Setting::ImageSize
                )
            }
            Error::EmptyPartition { .. } => {
                format!(
                    "raise {}, or make the partitions smaller",
                    Setting::ImageSize
                )
            }
            Error::LabelTooLong { .. } => {
                "set a shorter label with --root-label or 'label:'".into()
            }
            Error::DuplicateLabel { node, .. } => format!("give '{node}' a 'label' of its own"),
            Error::PartitionType { .. } => {
                "use a code of sgdisk -L such as 8300 or EF00, or a full GUID".into()
            }
            _ => return None,
        };
        Some(text)
    }
}
