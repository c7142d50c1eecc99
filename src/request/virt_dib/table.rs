//! The one table of `virt-dib`'s options: the parser's grammar, the help text
//! and the page of options all come from it (guestfs-tools 1.50, the last
//! release but one that had the command).
//!
//! The order is that of the original's parser, which shows in its complaints
//! about ambiguities; ours come last.

use crate::request::options::OptionId as Counterpart;

/// Names an option in code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OptionId {
    /// `--arch`
    Arch,
    /// `-B`
    Basepath,
    /// `--checksum`
    Checksum,
    /// `--colours`
    Colours,
    /// `--debug`
    Debug,
    /// `--debug-gc`
    DebugGc,
    /// `--docker-target`
    DockerTarget,
    /// `--drive`
    Drive,
    /// `--drive-format`
    DriveFormat,
    /// `--element-path`
    ElementPath,
    /// `--envvar`
    Envvar,
    /// `--exclude-element`
    ExcludeElement,
    /// `--exclude-script`
    ExcludeScript,
    /// `--extra-packages`
    ExtraPackages,
    /// `--formats`
    Formats,
    /// `--fs-type`
    FsType,
    /// `--help`
    Help,
    /// `--image-cache`
    ImageCache,
    /// `--install-type`
    InstallType,
    /// `--long-options`
    LongOptions,
    /// `--memsize`
    Memsize,
    /// `--machine-readable`
    MachineReadable,
    /// `--mkfs-options`
    MkfsOptions,
    /// `--name`
    Name,
    /// `--network`
    Network,
    /// `--no-delete-on-failure`
    NoDeleteOnFailure,
    /// `--no-network`
    NoNetwork,
    /// `--python`
    Python,
    /// `--quiet`
    Quiet,
    /// `--qemu-img-options`
    QemuImgOptions,
    /// `--ramdisk`
    Ramdisk,
    /// `--ramdisk-element`
    RamdiskElement,
    /// `--report`
    Report,
    /// `--report-against`
    ReportAgainst,
    /// `--root-label`
    RootLabel,
    /// `--short-options`
    ShortOptions,
    /// `--size`
    Size,
    /// `--skip-base`
    SkipBase,
    /// `--smp`
    Smp,
    /// `-u`
    Uncompressed,
    /// `--version`
    Version,
    /// `--verbose`
    Verbose,
    /// `--wrap`
    Wrap,
    /// `-x`
    Trace,
    /// `--no-progress`, which the original did not have.
    NoProgress,
}

/// Whether an option has a value, and what its value is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A switch.
    None,
    /// It must have one.
    Required(&'static str),
    /// It may have one after `=`.
    Optional(&'static str),
}

/// An option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// Identity.
    pub id: OptionId,
    /// Names in the order of the original: letters and long names.
    pub names: &'static [&'static str],
    /// Value.
    pub value: Value,
    /// Values of all repetitions count, not only the last one.
    pub adds_up: bool,
    /// Value without the option, in words.
    pub default: &'static str,
    /// The option of `disk-image-create` that asks for the same.
    pub counterpart: Option<Counterpart>,
    /// Field of the request that it fills.
    pub field: &'static str,
    /// What it does; empty for options that the help does not show.
    pub help: &'static str,
}

impl OptionSpec {
    /// Whether the original did not have it: its beginnings then count only where
    /// no option of the original begins so.
    pub(super) fn is_ours(&self) -> bool {
        matches!(
            self.id,
            OptionId::NoProgress | OptionId::Report | OptionId::ReportAgainst
        )
    }

    pub(super) fn has_letter(&self, letter: char) -> bool {
        let mut buffer = [0; 4];
        self.names.contains(&&*letter.encode_utf8(&mut buffer))
    }

    pub(super) fn long_names(&self) -> impl Iterator<Item = &'static str> {
        self.names.iter().copied().filter(|name| name.len() > 1)
    }

    /// `-p, --element-path <path>`.
    pub fn synopsis(&self) -> String {
        let names: Vec<String> = self.names.iter().map(|name| dashed(name)).collect();
        let names = names.join(", ");
        match self.value {
            Value::None => names,
            Value::Required(value) => format!("{names} <{value}>"),
            Value::Optional(value) => format!("{names}[={value}]"),
        }
    }
}

/// A name with its dashes.
pub(super) fn dashed(name: &str) -> String {
    match name.len() {
        1 => format!("-{name}"),
        _ => format!("--{name}"),
    }
}

macro_rules! options {
    ($($id:ident: [$($name:literal),+], $value:expr, $repeat:ident, $default:literal, $counterpart:expr, $field:literal, $help:literal;)*) => {
        /// All options.
        pub const OPTIONS: &[OptionSpec] = &[$(OptionSpec {
            id: OptionId::$id,
            names: &[$($name),+],
            value: $value,
            adds_up: options!(@ $repeat),
            default: $default,
            counterpart: $counterpart,
            field: $field,
            help: $help,
        }),*];
    };
    (@ Append) => { true };
    (@ Last) => { false };
}

const NONE: Value = Value::None;

options! {
    Arch: ["arch"], Value::Required("arch"), Last, "the host's", Some(Counterpart::Arch), "arch",
        "architecture of the image, as its distribution spells it";
    Basepath: ["B"], Value::Required("path"), Last, "must be given", Some(Counterpart::Lib), "lib",
        "the lib directory of diskimage-builder, which hooks see as _LIB";
    Checksum: ["checksum"], NONE, Last, "", Some(Counterpart::Checksum), "checksums",
        "write MD5 and SHA256 files beside the image";
    Colours: ["color", "colors", "colour", "colours"], NONE, Last, "on a terminal", None, "log.messages",
        "colour messages even where the output is no terminal";
    Debug: ["debug"], Value::Required("level"), Last, "0", Some(Counterpart::Trace), "trace",
        "trace the scripts (DIB_DEBUG_TRACE); 2 or more for more";
    DebugGc: ["debug-gc"], NONE, Last, "", None, "",
        "";
    DockerTarget: ["docker-target"], Value::Required("target"), Last, "", Some(Counterpart::DockerTarget), "docker_target",
        "name of a docker image; needed for that format";
    Drive: ["drive"], Value::Required("path"), Last, "", None, "helper_drive.file",
        "disk with the home and the caches of hooks, which outlives the build";
    DriveFormat: ["drive-format"], Value::Required("format"), Last, "detected", None, "helper_drive.format",
        "format of the helper drive: raw, qcow2 or another of qemu's";
    ElementPath: ["p", "element-path"], Value::Required("path"), Append, "", None, "elements_path",
        "directory with elements; the first one that has an element wins, and there is no other";
    Envvar: ["envvar"], Value::Required("envvar[=value]"), Append, "", None, "environment",
        "give elements this variable, with this value or the caller's; they see no other of the caller's but in the extra-data phase";
    ExcludeElement: ["exclude-element"], Value::Required("element"), Append, "", None, "excluded_elements",
        "leave this element out, whoever asks for it; what it asks for stays";
    ExcludeScript: ["exclude-script"], Value::Required("script"), Append, "", None, "excluded_scripts",
        "leave out every script of this name, whichever element has it";
    ExtraPackages: ["extra-packages"], Value::Required("pkg,..."), Append, "", Some(Counterpart::Packages), "packages",
        "install these packages after the install phase";
    Formats: ["formats"], Value::Required("qcow2,tgz,..."), Last, "qcow2", Some(Counterpart::Types), "formats",
        "formats of the image: docker, qcow2, raw, squashfs, tar, tgz, vhd";
    FsType: ["fs-type"], Value::Required("fs"), Last, "ext4", None, "fs_type",
        "type of the root filesystem";
    Help: ["help"], NONE, Last, "", Some(Counterpart::Help), "",
        "show this text";
    ImageCache: ["image-cache"], Value::Required("directory"), Last, "~/.cache/image-create", Some(Counterpart::ImageCache), "image_cache",
        "directory for downloads that are kept";
    InstallType: ["install-type"], Value::Required("type"), Last, "source", Some(Counterpart::InstallType), "install_type",
        "how elements install software: source or package";
    LongOptions: ["long-options"], NONE, Last, "", None, "",
        "";
    Memsize: ["m", "memsize"], Value::Required("mb"), Last, "LIBGUESTFS_MEMSIZE, else 2048", Some(Counterpart::Memsize), "machine.memory_mib",
        "memory of the microvm appliance, MiB";
    MachineReadable: ["machine-readable"], Value::Optional("format"), Last, "", None, "log.messages",
        "write messages as lines of JSON too, to file:PATH, stream:stdout, stream:stderr or fd:N; without elements, list what this program can do";
    MkfsOptions: ["mkfs-options"], Value::Required("option"), Last, "", Some(Counterpart::MkfsOptions), "mkfs_options",
        "further arguments for making the root filesystem, in one word";
    Name: ["name"], Value::Required("name"), Last, "image", Some(Counterpart::Output), "image_name",
        "path of the image, to which each format adds its extension";
    Network: ["network"], NONE, Last, "", None, "no_network",
        "give hooks a network; this is the default";
    NoDeleteOnFailure: ["no-delete-on-failure"], NONE, Last, "", None, "keep_on_failure",
        "keep what a failed build has finished of its outputs, and its disk if raw is among them";
    NoNetwork: ["no-network"], NONE, Last, "", Some(Counterpart::NoNetwork), "no_network, offline",
        "give hooks no network, and set DIB_OFFLINE=1";
    Python: ["python"], Value::Required("python"), Last, "/usr/bin/python3", None, "python",
        "interpreter for the Python of elements: a program below /usr";
    Quiet: ["q", "quiet"], NONE, Last, "", None, "log.messages",
        "print no progress messages";
    QemuImgOptions: ["qemu-img-options"], Value::Required("option"), Last, "", Some(Counterpart::QemuImgOptions), "qemu_img_options",
        "KEY=VALUE[,...] for qemu-img";
    Ramdisk: ["ramdisk"], NONE, Last, "", None, "ramdisk",
        "build a ramdisk: elements write it and its kernel into NAME.d, and no format is made";
    RamdiskElement: ["ramdisk-element"], Value::Required("name"), Last, "ramdisk", Some(Counterpart::RamdiskElement), "elements",
        "main element of a ramdisk";
    Report: ["report"], Value::Required("file"), Append, "", Some(Counterpart::Report), "reports.files",
        "write what the build did to a file when it has ended: .html, .json, or .cdx.json for a bill of materials";
    ReportAgainst: ["report-against"], Value::Required("file"), Last, "the .json report that this build replaces", Some(Counterpart::ReportAgainst), "reports.against",
        "show in the report what differs from an earlier one, a .json";
    RootLabel: ["root-label"], Value::Required("label"), Last, "cloudimg-rootfs; img-rootfs on xfs", Some(Counterpart::RootLabel), "root_label",
        "label of the root filesystem";
    ShortOptions: ["short-options"], NONE, Last, "", None, "",
        "";
    Size: ["size"], Value::Required("size"), Last, "5G", Some(Counterpart::ImageSize), "size",
        "size of the disk: a number and b (bytes), K, M or G";
    SkipBase: ["skip-base"], NONE, Last, "", Some(Counterpart::SkipBase), "elements",
        "do not add the element 'base'";
    Smp: ["smp"], Value::Required("vcpus"), Last, "the host's processors, at most 8; 1 without KVM", Some(Counterpart::Smp), "machine.processors",
        "processors of the microvm appliance";
    Uncompressed: ["u"], NONE, Last, "", Some(Counterpart::Uncompressed), "compress",
        "do not compress qcow2 images";
    Version: ["V", "version"], NONE, Last, "", Some(Counterpart::Version), "",
        "show the version";
    Verbose: ["v", "verbose"], NONE, Last, "LIBGUESTFS_DEBUG", None, "log.verbose",
        "show the plan of the build on standard error";
    Wrap: ["wrap"], NONE, Last, "on a terminal", None, "log.messages",
        "wrap long messages even where the output is no terminal";
    Trace: ["x"], NONE, Last, "LIBGUESTFS_TRACE", None, "log.trace",
        "show each step that an appliance is told to do on standard error";
    NoProgress: ["no-progress"], NONE, Last, "", Some(Counterpart::NoProgress), "log.no_progress",
        "show the plain log on a terminal, too, not a live view";
}
