//! The variables, in alphabetical order.

use super::{SetBy, Variable, Visible};
use crate::request::generation::Generation::{self, *};

/// Every engine knows it.
const ALWAYS: (Generation, Generation) = (V0, V3);

macro_rules! variables {
    (@generations) => { ALWAYS };
    (@generations $first:ident $last:ident) => { ($first, $last) };
    ($($id:ident = $name:literal, $set_by:ident, $default:literal, $visible:ident, $unit:literal,
        $([$first:ident..=$last:ident],)? $doc:literal;)*) => {
        $(
            #[doc = $doc]
            pub const $id: Variable = Variable {
                name: $name,
                set_by: SetBy::$set_by,
                default: $default,
                visible: Visible::$visible,
                unit: $unit,
                generations: variables!(@generations $($first $last)?),
                doc: $doc,
            };
        )*

        /// All variables.
        pub const ALL: &[Variable] = &[$($id),*];
    };
}

variables! {
    ACI_MANIFEST = "ACI_MANIFEST", User, "", Caller, "",
        "Manifest file that is appended to an `aci` image.";
    ARCH = "ARCH", Option, "the host's architecture in Debian's spelling", Hooks, "",
        "Architecture of the image; any text.";
    BASE_ELEMENT_DIR = "_BASE_ELEMENT_DIR", Engine, "found, see `ELEMENTS_PATH`", Hooks, "", [V2..=V3],
        "Upstream's own elements.";
    IMAGE_ELEMENT_ARRAY_FUNCTION = "BASH_FUNC_get_image_element_array%%", Engine, "", Outside, "", [V2..=V3],
        "The exported function `get_image_element_array`, which prints elements and directories as words of a bash array.";
    BREAK = "break", User, "", Caller, "",
        "Points at which a shell is started: `before-PHASE`, `after-PHASE`, `after-error`, separated by commas.";
    BREAK_CMD = "break_cmd", User, "`bash`", Caller, "",
        "What is started at a break instead of a shell.";
    BREAK_OUTSIDE_TARGET = "break_outside_target", User, "", Caller, "",
        "Not empty: `after-error` breaks of hooks in the target start outside of it.";
    CLEAR_ENV = "CLEAR_ENV", Option, "", Hooks, "",
        "`1`: the build sees nothing of the caller's environment except HOME, LOGNAME, PATH, SHELL, TERM and USER, and what options set.";
    COMPRESS_IMAGE = "COMPRESS_IMAGE", OptionOnly, "`true`", Caller, "",
        "Empty after `-u`: qcow2 is not compressed.";
    DIB_APPLIANCE = "DIB_APPLIANCE", Option, "`auto`", Caller, "",
        "Where hooks run: `auto`, `namespace` or `microvm`, the last also with `,tcg` or `,user-net` behind it, as for `--appliance`; `-c` does not clear it. Ours.";
    DIB_APPLIANCE_PACKAGES = "DIB_APPLIANCE_PACKAGES", User, "", Caller, "",
        "Installed packages of the host that the microvm appliance gets beside its own, separated by commas and blanks; `-c` does not clear it. Ours.";
    DIB_APPLIANCE_SUPERMIN_D = "DIB_APPLIANCE_SUPERMIN_D", User, "", Caller, "",
        "Directory with further input of supermin for the microvm appliance: files with lists of packages or of host files, and tars; `-c` does not clear it. Ours.";
    DIB_ARGS = "DIB_ARGS", Engine, "", Hooks, "",
        "The words of the command line, joined by blanks.";
    DIB_BLOCK_DEVICE = "DIB_BLOCK_DEVICE", User, "", Caller, "",
        "Read by the block-device elements: `mbr`, `gpt` or `efi`. The engine leaves it alone.";
    DIB_BLOCK_DEVICE_CONFIG = "DIB_BLOCK_DEVICE_CONFIG", User, "the elements' own file", Caller, "",
        "Block-device configuration: YAML text, or `file://` and an absolute path.";
    DIB_BLOCK_DEVICE_PARAMS_YAML = "DIB_BLOCK_DEVICE_PARAMS_YAML", Engine, "", Hooks, "", [V2..=V3],
        "File with the parameters of the block-device layer.";
    DIB_BLOCK_SIZE = "DIB_BLOCK_SIZE", User, "the configuration's `block_size`", Caller, "bytes",
        "Overrides the block size of every disk.";
    DIB_BOOT_LABEL = "DIB_BOOT_LABEL", Engine, "", Hooks, "", [V3..=V3],
        "Label of the boot filesystem, empty if the layout has none.";
    DIB_CHECKSUM = "DIB_CHECKSUM", Option, "`0`", Hooks, "", [V1..=V3],
        "`1` writes MD5 and SHA256 files; else a list of `md5` and `sha256`; `0` writes none.";
    DIB_DEBUG_TRACE = "DIB_DEBUG_TRACE", Option, "`0`", Hooks, "", [V1..=V3],
        "Level of tracing; each `-x` adds one.";
    DIB_DEFAULT_INSTALLTYPE = "DIB_DEFAULT_INSTALLTYPE", Option, "`source`", Caller, "",
        "How elements install software: `source` or `package`. Hooks of phases after root see it in any case.";
    DIB_ELEMENTS_DIR = "DIB_ELEMENTS_DIR", User, "found, see `ELEMENTS_PATH`", Caller, "",
        "Directory of upstream's own elements; `-c` does not clear it. Ours.";
    DIB_ENV = "DIB_ENV", Engine, "", Hooks, "",
        "All variables that started with `DIB_` when the build began, as bash declares them.";
    DIB_ENVVARS = "DIB_ENVVARS", User, "", Caller, "",
        "Names of variables that hooks get even if they say credential, separated by commas and blanks; `*` is all. What `diskimage-builder` finds in an image's `environment` is among them. Ours.";
    DIB_GENERATION = "DIB_GENERATION", Option, "told from the elements", Caller, "",
        "Generation of diskimage-builder that the elements were written for: `0`, `1`, `2` or `3`; `-c` does not clear it. Ours.";
    DIB_GZIP_BIN = "DIB_GZIP_BIN", User, "`gzip`", Caller, "",
        "Program that compresses `tgz` images; it is called with `-9`.";
    DIB_IMAGE_CACHE = "DIB_IMAGE_CACHE", Option, "`~/.cache/image-create`", Hooks, "",
        "Directory for downloads that are kept between builds.";
    DIB_IMAGE_EXTRA_SIZE = "DIB_IMAGE_EXTRA_SIZE", Option, "", Caller, "MiB",
        "Room that is added to the size of the tree.";
    DIB_IMAGE_SIZE = "DIB_IMAGE_SIZE", Option, "computed from the tree", Caller, "GiB",
        "Size of the disk; fractions are allowed. Hooks of the block-device phase and later see the final size in KiB.";
    DIB_IMAGE_ROOT_FS_UUID = "DIB_IMAGE_ROOT_FS_UUID", Engine, "random", Hooks, "", [V0..=V1],
        "UUID that the root filesystem gets if it is of an ext type.";
    DIB_JOURNAL_SIZE = "DIB_JOURNAL_SIZE", Option, "`64`", Caller, "MiB",
        "Size of the journal of an ext4 root.";
    DIB_LOCKFILES = "DIB_LOCKFILES", User, "`~/.cache/dib/lockfiles`", Hooks, "", [V2..=V3],
        "Directory for lock files that builds share.";
    DIB_MIN_TMPFS = "DIB_MIN_TMPFS", Option, "`2`", Hooks, "GiB",
        "A tmpfs is used if memory is at least twice this.";
    DIB_MOUNTPOINTS = "DIB_MOUNTPOINTS", Engine, "", Hooks, "", [V2..=V3],
        "Mount points of the layout, separated by `|`.";
    DIB_NO_TIMESTAMP = "DIB_NO_TIMESTAMP", User, "`0`", Caller, "",
        "`1`: log lines on stdout carry no time.";
    DIB_NO_TMPFS = "DIB_NO_TMPFS", Option, "`0`", Hooks, "",
        "Anything but exactly `0` keeps the build off tmpfs.";
    DIB_OFFLINE = "DIB_OFFLINE", Option, "empty", Hooks, "",
        "Not empty: elements do not refresh what they have cached.";
    DIB_ORIGINAL_PATH = "DIB_ORIGINAL_PATH", Engine, "", Hooks, "", [V2..=V2],
        "`PATH` without `DIB_PYTHON_EXEC_TMP`.";
    DIB_PYTHON_EXEC = "DIB_PYTHON_EXEC", Engine, "our own wrapper", Hooks, "", [V2..=V3],
        "Python interpreter that hooks call. A value of the caller's tells where upstream is installed.";
    DIB_PYTHON_EXEC_TMP = "DIB_PYTHON_EXEC_TMP", Engine, "", Hooks, "", [V2..=V2],
        "Directory, first on the PATH, where `python` is `DIB_PYTHON_EXEC`.";
    DIB_QUIET = "DIB_QUIET", User, "`0`, or `1` with `--logfile`", Caller, "",
        "`1`: the log does not go to stdout.";
    DIB_RELEASE = "DIB_RELEASE", User, "", Caller, "",
        "Release of the distribution; `trusty` makes an ext4 root without metadata checksums.";
    DIB_ROOT_FSTYPE = "DIB_ROOT_FSTYPE", Engine, "", Hooks, "", [V2..=V3],
        "Type of the root filesystem.";
    DIB_ROOT_LABEL = "DIB_ROOT_LABEL", Engine, "", Hooks, "",
        "Label of the root filesystem.";
    DIB_SHOW_IMAGE_USAGE = "DIB_SHOW_IMAGE_USAGE", User, "`0`", Caller, "",
        "Not `0`: print what takes the space in the image.";
    DIB_SHOW_IMAGE_USAGE_FULL = "DIB_SHOW_IMAGE_USAGE_FULL", User, "`0`", Caller, "",
        "Not `0`: that report lists everything, not only what is above 10 MiB.";
    DOCKER_TARGET = "DOCKER_TARGET", OptionOnly, "", Caller, "",
        "Repository and tag of a `docker` image.";
    ELEMENTS_PATH = "ELEMENTS_PATH", User, "", Hooks, "",
        "Directories of elements, separated by colons; the first one that has an element wins. Upstream's own directory is appended: `DIB_ELEMENTS_DIR`, else the installation that belongs to `DIB_PYTHON_EXEC`, to `VIRTUAL_ENV`, to the user, to the system, else `/usr/share/diskimage-builder/elements`.";
    FS_TYPE = "FS_TYPE", User, "`ext4`", Hooks, "", [V1..=V3],
        "Type of the root filesystem where the layout does not name one.";
    GENTOO_PROFILE = "GENTOO_PROFILE", User, "", Caller, "",
        "If it contains `hardened`, no tmpfs is used.";
    HOME = "HOME", User, "", Hooks, "",
        "Home of the caller; hooks in the target get `/root`.";
    IMAGE_BLOCK_DEVICE = "IMAGE_BLOCK_DEVICE", Engine, "", Hooks, "",
        "The disk, from the pre-finalise phase on.";
    IMAGE_BLOCK_DEVICES = "IMAGE_BLOCK_DEVICES", Engine, "", Hooks, "", [V2..=V3],
        "All block devices by node name, as words of a bash array, from the pre-finalise phase on.";
    IMAGE_ELEMENT = "IMAGE_ELEMENT", User, "", Hooks, "",
        "Elements that are built before those of the command line; hooks see the names of all elements of the build.";
    IMAGE_ELEMENT_YAML = "IMAGE_ELEMENT_YAML", Engine, "", Hooks, "", [V2..=V3],
        "Elements and their directories, as a YAML map.";
    IMAGE_NAME = "IMAGE_NAME", Option, "`image`", Hooks, "",
        "Path of the image without extension. With one single type, that extension is taken off.";
    IMAGE_TYPE = "IMAGE_TYPE", User, "`qcow2`", Hooks, "",
        "Has no effect on the build; `-t` selects types.";
    IMAGE_TYPES = "IMAGE_TYPES", OptionOnly, "", Engine, "",
        "Types of the image, from `-t`; an exported value has no effect.";
    INSTALL_PACKAGES = "INSTALL_PACKAGES", OptionOnly, "", Engine, "",
        "Packages from `-p`; an exported value has no effect.";
    LANG = "LANG", Engine, "`C`", Hooks, "", [V0..=V1],
        "Locale of the whole build, if the caller exports no `LC_ALL`.";
    LC_ALL = "LC_ALL", Engine, "`C`", Hooks, "", [V2..=V3],
        "Locale of the whole build.";
    LIB = "_LIB", Engine, "our own helpers, or `--lib`", Hooks, "",
        "Directory of the shell libraries that hooks source.";
    LIBGUESTFS_BACKEND_SETTINGS = "LIBGUESTFS_BACKEND_SETTINGS", User, "", Caller, "",
        "`force_tcg` among its settings, which `:` separates: the microvm appliance does not try KVM.";
    LOGFILE = "LOGFILE", OptionOnly, "", Caller, "",
        "Log file, appended to.";
    MAX_ONLINE_RESIZE = "MAX_ONLINE_RESIZE", Option, "", Caller, "filesystem blocks",
        "Largest size that an ext root can be grown to while mounted.";
    MKFS_OPTS = "MKFS_OPTS", OptionOnly, "", Caller, "",
        "Further arguments for making the root filesystem.";
    OUT_IMAGE_PATH = "OUT_IMAGE_PATH", Engine, "empty", Hooks, "",
        "Kept for old elements. Until 1.x it is `TMP_IMAGE_PATH`.";
    OVERWRITE_OLD_IMAGE = "OVERWRITE_OLD_IMAGE", User, "`0`", Caller, "",
        "Not `0`: an existing image is overwritten instead of renamed.";
    PATH = "PATH", User, "", Hooks, "",
        "Search path; `/sbin`, `/usr/sbin` and `/usr/local/sbin` are appended if they are missing.";
    POSIXLY_CORRECT = "POSIXLY_CORRECT", User, "", Caller, "",
        "Set, even if empty: the first element on the command line ends the options.";
    PREFIX = "_PREFIX", Engine, "", Hooks, "", [V0..=V1],
        "Where upstream is installed: the directory that has `elements`.";
    QEMU_IMG_OPTIONS = "QEMU_IMG_OPTIONS", Option, "", Caller, "",
        "Value of `-o` of `qemu-img convert`.";
    RAMDISK_ELEMENT = "RAMDISK_ELEMENT", Option, "`ramdisk`", Hooks, "",
        "Main element of a ramdisk; exported in ramdisk builds.";
    ROOT_LABEL = "ROOT_LABEL", Option, "the layout's", Caller, "",
        "Label of the root filesystem.";
    RUN_PARTS_REGEX = "RUN_PARTS_REGEX", User, "", Caller, "",
        "Overrides which names count as hooks.";
    SCRIPT_HOME = "SCRIPT_HOME", Engine, "", Hooks, "", [V1..=V1],
        "Directory of the engine's commands.";
    SHLVL = "SHLVL", User, "", Hooks, "",
        "Depth of shells, one more for the engine.";
    SKIP_BASE = "SKIP_BASE", Option, "", Caller, "",
        "Exactly `1`: the `base` element is not added.";
    SOURCE_DATE_EPOCH = "SOURCE_DATE_EPOCH", User, "", Caller, "seconds since 1970",
        "Makes images reproducible: no time in them is later, and UUIDs are derived from it and from the request. A number without a sign or fraction. Ours.";
    TARGET_ROOT = "TARGET_ROOT", Engine, "", Outside, "",
        "The target, in the root and cleanup phases only.";
    TMP_BUILD_DIR = "TMP_BUILD_DIR", Engine, "", Hooks, "",
        "Working directory of the build.";
    TMPDIR = "TMPDIR", User, "", Outside, "",
        "Not empty: goes before `TMP_DIR`, as mktemp has it. Other programs use it, too.";
    TMP_DIR = "TMP_DIR", User, "`/tmp`", Caller, "",
        "Directory that holds the working directories, unless `TMPDIR` names one.";
    TMP_HOOKS_PATH = "TMP_HOOKS_PATH", Engine, "", Hooks, "",
        "The merged hooks of all elements.";
    TMP_IMAGE_DIR = "TMP_IMAGE_DIR", Engine, "", Hooks, "", [V2..=V3],
        "Directory of the raw disk.";
    TMP_IMAGE_PATH = "TMP_IMAGE_PATH", Engine, "", Hooks, "", [V0..=V1],
        "The raw disk, `image.raw` in a directory of its own.";
    TMP_MOUNT_PATH = "TMP_MOUNT_PATH", Engine, "", Hooks, "",
        "The target, `$TMP_BUILD_DIR/mnt`.";
    VIRTUAL_ENV = "VIRTUAL_ENV", User, "", Outside, "",
        "An activated Python environment, where upstream may be installed.";
}
