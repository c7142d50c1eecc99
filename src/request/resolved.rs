//! The frozen request: every look-up done, nothing left to guess.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::credentials::HandedIn;
use super::generation::ElementGeneration;

/// A request to build images, from any command's syntax.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildRequest {
    /// Name of the command as upstream's messages show it, `disk-image-create`.
    pub program: String,
    /// `ramdisk-image-create` semantics.
    pub ramdisk: bool,
    /// An element that makes it a ramdisk build, too, of which no format is made.
    pub ramdisk_by: Option<&'static str>,
    /// `ARCH`, in Debian's spelling by default.
    pub arch: String,
    /// `IMAGE_NAME` as hooks see it: may be relative, extension already stripped.
    pub image_name: String,
    /// Directory of the image, absolute.
    pub image_directory: PathBuf,
    /// Output formats in the order in which they were given, duplicates dropped.
    pub formats: Vec<OutputFormat>,
    /// `-u` absent: compress qcow2.
    pub compress: bool,
    /// `--compression zstd` of qcow2, in place of zlib.
    pub zstd: bool,
    /// `DIB_DEBUG_TRACE`.
    pub trace: u32,
    /// Requested elements in order, the default ones included
    /// (the "Building elements:" line).
    pub elements: Vec<String>,
    /// `ELEMENTS_PATH`, absolute, upstream's own directory last.
    pub elements_path: Vec<PathBuf>,
    /// Upstream's own elements, and how they were found; none if only the
    /// caller's `ELEMENTS_PATH` has elements.
    pub base_elements: Option<BaseElements>,
    /// Generation of the engine that the elements are given, and why.
    pub generation: ElementGeneration,
    /// `--lib DIR`: a directory to use as `_LIB` in place of our helpers.
    pub lib: Option<PathBuf>,
    /// `-p` packages.
    pub packages: Vec<String>,
    /// Elements that are left out, whoever asks for them; what they ask for stays.
    pub excluded_elements: Vec<String>,
    /// Names of scripts that are left out of every element.
    pub excluded_scripts: Vec<String>,
    /// `DIB_DEFAULT_INSTALLTYPE`.
    pub install_type: String,
    /// Which checksums to write.
    pub checksums: Checksums,
    /// Size of the disk.
    pub size: SizeOptions,
    /// `FS_TYPE`.
    pub fs_type: String,
    /// `ROOT_LABEL`; empty means the layout's default.
    pub root_label: String,
    /// `--mkfs-options`.
    pub mkfs_options: String,
    /// `MAX_ONLINE_RESIZE`.
    pub max_online_resize: Option<String>,
    /// `DIB_BLOCK_DEVICE_CONFIG`, verbatim.
    pub block_device_config: Option<String>,
    /// `QEMU_IMG_OPTIONS`.
    pub qemu_img_options: Option<String>,
    /// `--docker-target`.
    pub docker_target: Option<String>,
    /// `ACI_MANIFEST`, absolute.
    pub aci_manifest: Option<PathBuf>,
    /// `DIB_GZIP_BIN`.
    pub gzip: String,
    /// `SOURCE_DATE_EPOCH`: the latest time in a reproducible image. 32 bits are
    /// what squashfs has.
    pub source_date_epoch: Option<u32>,
    /// `OVERWRITE_OLD_IMAGE` is set and not 0.
    pub overwrite_old_image: bool,
    /// Where the build tree lives.
    pub tmpfs: TmpfsPolicy,
    /// Directory for temporary trees, `TMPDIR`, `TMP_DIR` or `/tmp`.
    pub tmp_dir: PathBuf,
    /// `DIB_IMAGE_CACHE`, absolute.
    pub image_cache: PathBuf,
    /// `DIB_LOCKFILES`, absolute.
    pub lockfiles: PathBuf,
    /// `DIB_OFFLINE` is set and not empty.
    pub offline: bool,
    /// `--no-network`: no network in the appliance at all.
    pub no_network: bool,
    /// `--metadata-service`: hooks may reach the cloud's metadata service.
    pub metadata_service: bool,
    /// Debug breaks.
    pub breaks: Breaks,
    /// Where the build ends with a shell; `None`: it does not.
    pub shell: Option<ShellPlace>,
    /// Log output.
    pub log: LogOptions,
    /// `--appliance` or `DIB_APPLIANCE`.
    pub appliance: ApplianceChoice,
    /// The virtual machine, if there is one.
    pub machine: MachineOptions,
    /// `--share` paths.
    pub shares: Vec<SharePath>,
    /// The caller's working directory.
    pub cwd: PathBuf,
    /// The caller's home directory.
    pub home: PathBuf,
    /// The caller's exported environment as hooks outside the target see it,
    /// what options exported and the engine's defaults included; the rest of
    /// the engine's variables comes from [`super::engine_variables`].
    pub environment: BTreeMap<OsString, OsString>,
    /// Variables of the caller's that were handed in by name.
    pub handed_in: HandedIn,
    /// The caller's `DIB_*` variables before any option changed them (`DIB_ENV`).
    pub caller_dib: BTreeMap<OsString, OsString>,
    /// Lines that the log shows before the build begins.
    pub notices: Vec<String>,
    /// `DIB_ARGS`: the words of the command line, joined by blanks.
    pub dib_args: String,
    /// Further variables of the caller's that only hooks of extra-data.d see.
    pub extra_data_environment: BTreeMap<String, String>,
    /// Directory beside the image that takes all files which hooks leave;
    /// `None` puts them beside the image.
    pub side_directory: Option<String>,
    /// Keep what a failed build has finished of its outputs.
    pub keep_on_failure: bool,
    /// `--python`: what runs the elements' Python; `None`: the appliance's own.
    pub python: Option<PathBuf>,
    /// The disk that holds the home directory and the caches of hooks.
    pub helper_drive: Option<HelperDrive>,
    /// `--cache`: states of the target that are kept for later builds.
    pub layers: Option<LayerOptions>,
    /// `--report`: what is written about the build when it has ended.
    pub reports: ReportOptions,
}

/// `--report` and `--report-against`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReportOptions {
    /// What to write, in the order in which it was asked for.
    pub files: Vec<ReportFile>,
    /// The earlier report to compare with, absolute.
    pub against: Option<PathBuf>,
}

/// A file that tells about a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportFile {
    /// What it holds.
    pub kind: ReportKind,
    /// Where it goes, absolute.
    pub path: PathBuf,
}

/// What a report holds; its extension says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportKind {
    /// `.html`: a page for people.
    Html,
    /// `.json`: the same for programs.
    Json,
    /// `.cdx.json`: the software in the image.
    BillOfMaterials,
}

/// `--cache` and what goes with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerOptions {
    /// Where layers are kept, absolute.
    pub directory: PathBuf,
    /// Room for all of them, bytes.
    pub max_bytes: u64,
    /// A layer that was made with a network is used for so long, seconds.
    pub max_age: u64,
    /// Least work of hooks between two layers, seconds; `None`: four times what
    /// keeping one takes.
    pub step: Option<f64>,
    /// Go on at the hook that failed.
    pub resume: bool,
}

/// `--drive`: a disk of the caller's whose directory `home` hooks have as theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HelperDrive {
    /// The file, absolute.
    pub file: PathBuf,
    /// `--drive-format`, qemu's name; `None` looks at the file.
    pub format: Option<String>,
    /// `--image-cache`, which is that of extra-data.d then.
    pub extra_data_cache: Option<PathBuf>,
}

/// Where hooks see the directory `home` of a helper drive.
pub const DRIVE_HOME: &str = "/run/safedib/home";
/// The image cache in the directory `home` of a helper drive.
pub const DRIVE_CACHE: &str = ".cache/image-create";

/// Where upstream's own elements are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BaseElements {
    /// Absolute path of the directory.
    pub path: PathBuf,
    /// What led there, in words.
    pub origin: String,
}

/// One output format of `-t`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// `NAME.tar`
    Tar,
    /// `NAME.tgz`
    Tgz,
    /// `NAME.squash`
    Squashfs,
    /// `NAME.aci`
    Aci,
    /// No file: imported into a container engine.
    Docker,
    /// `NAME.raw`
    Raw,
    /// `NAME.qcow2`
    Qcow2,
    /// `NAME.vhd`
    Vhd,
    /// Any other format that qemu-img can write (`vmdk`, `vdi`, `vpc`, ...).
    QemuImg(String),
}

/// Which checksum files to write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Checksums {
    /// `NAME.TYPE.md5`
    pub md5: bool,
    /// `NAME.TYPE.sha256`
    pub sha256: bool,
}

/// What the user said about the disk's size.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SizeOptions {
    /// `DIB_IMAGE_SIZE` (GiB, fractions allowed), as KiB.
    pub image_kib: Option<u64>,
    /// `DIB_IMAGE_EXTRA_SIZE` (MiB), as KiB.
    pub extra_kib: Option<u64>,
    /// `DIB_JOURNAL_SIZE`, MiB.
    pub journal_mib: u64,
    /// `DIB_SHOW_IMAGE_USAGE`: `Some(true)` with `DIB_SHOW_IMAGE_USAGE_FULL`.
    pub usage_report: Option<bool>,
    /// The disk is as large as was asked for: nothing is added for an EFI partition.
    pub fixed: bool,
}

/// `DIB_NO_TMPFS` and `DIB_MIN_TMPFS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TmpfsPolicy {
    /// tmpfs is wanted if memory allows.
    pub wanted: bool,
    /// GiB of tmpfs that a build needs; memory must be twice that.
    pub min_gib: u64,
}

/// How log output is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LogOptions {
    /// `DIB_NO_TIMESTAMP=1`
    pub no_timestamp: bool,
    /// Nothing on stdout: `DIB_QUIET`, or `--logfile` without it.
    pub quiet: bool,
    /// `--logfile`, absolute.
    pub file: Option<PathBuf>,
    /// `--logfile` as it was given.
    pub given: Option<String>,
    /// No live view, not even on a terminal.
    pub no_progress: bool,
    /// Messages as virt-dib has them; `None`: as upstream's engine has them.
    pub messages: Option<MessageStyle>,
    /// Show the plan on standard error.
    pub verbose: bool,
    /// Show each step on standard error when it starts.
    pub trace: bool,
}

/// How virt-dib writes messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MessageStyle {
    /// Colours even where the output is no terminal.
    pub colours: bool,
    /// Wrapped lines even where the output is no terminal.
    pub wrap: bool,
    /// No progress messages.
    pub quiet: bool,
    /// Where messages go as lines of JSON.
    pub machine_readable: Option<MachineReadable>,
}

/// Where machine-readable messages go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineReadable {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// This file, which is overwritten.
    File(PathBuf),
    /// An open descriptor.
    Fd(i32),
}

/// `--appliance` / `DIB_APPLIANCE`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApplianceChoice {
    /// Let the plan choose.
    #[default]
    Auto,
    /// User namespaces only.
    Namespace,
    /// Virtual machine only.
    Microvm,
}

/// What the user said about the virtual machine of the microvm appliance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineOptions {
    /// Do not try KVM, and whose word that was: an option or a variable.
    pub force_tcg: Option<&'static str>,
    /// Its network is qemu's own, which needs no user namespace.
    pub user_net: bool,
    /// `--memsize`, MiB.
    pub memory_mib: u64,
    /// `--smp`; by default the host's processors.
    pub processors: Option<u32>,
    /// `DIB_APPLIANCE_PACKAGES`: packages of the host for the appliance.
    pub packages: Vec<String>,
    /// `DIB_APPLIANCE_SUPERMIN_D`, absolute: a directory as `supermin` reads it.
    pub supermin_d: Option<PathBuf>,
    /// `LIBGUESTFS_CACHEDIR`, absolute: where appliances are kept.
    pub cache: Option<PathBuf>,
    /// `LIBGUESTFS_HV`, absolute: the qemu to use.
    pub hypervisor: Option<PathBuf>,
}

/// A `--share PATH[:rw]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SharePath {
    /// Absolute path, the same in the appliance.
    pub path: PathBuf,
    /// Hooks may write.
    pub writable: bool,
}

/// Where a build ends with a shell in place of outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShellPlace {
    /// The phase next to which, by its name in `break=`.
    pub phase: String,
    /// Before its hooks rather than after them.
    pub before: bool,
    /// Outside the target, also where hooks run in it.
    pub outside: bool,
}

/// The debug breaks of a build (`break`, `break_cmd`, `break_outside_target`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaks {
    /// Value of `break`: a comma list matched as upstream does.
    pub names: String,
    /// `break_cmd`, when set and not empty.
    pub command: Option<String>,
    /// `break_outside_target` is set and not empty.
    pub outside_target: bool,
    /// `--shell-on-failure`.
    #[serde(default)]
    pub shell_on_failure: bool,
}

impl Breaks {
    /// Whether `break` lists the point: upstream matches `(,|^)POINT(,|$)` in each line.
    pub fn has(&self, point: &str) -> bool {
        self.names.split([',', '\n']).any(|listed| listed == point)
    }

    /// Whether a break may ask somebody at a terminal. Only at `after-error` is
    /// `break_cmd` what runs, wherever the hook ran; elsewhere it can be bash.
    pub fn need_terminal(&self) -> bool {
        const SHELLS: [&str; 5] = ["bash", "sh", "dash", "zsh", "ksh"];
        let Some(command) = &self.command else {
            return !self.names.is_empty();
        };
        let command = command.trim();
        let name = command.rsplit('/').next().unwrap_or(command);
        SHELLS.contains(&name)
            || self
                .names
                .split([',', '\n'])
                .any(|name| !name.is_empty() && name != "after-error")
    }
}

#[cfg(test)]
mod tests {
    use super::Breaks;

    #[test]
    fn only_a_command_after_an_error_does_without_a_terminal() {
        for (names, command, expected) in [
            ("", None, false),
            ("after-error", None, true),
            ("after-error", Some("cp a b || true"), false),
            ("after-error", Some(" /bin/bash "), true),
            ("after-error", Some("bash -c true"), false),
            ("after-error,", Some("true"), false),
            ("before-root,after-error", Some("true"), true),
            ("after-root", Some("true"), true),
        ] {
            let breaks = Breaks {
                names: names.into(),
                command: command.map(str::to_owned),
                outside_target: false,
                shell_on_failure: false,
            };
            assert_eq!(breaks.need_terminal(), expected, "{names:?} {command:?}");
        }
    }
}
