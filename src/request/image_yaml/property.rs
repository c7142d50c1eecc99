//! The keys of an image definition.

/// What a key takes, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string: the option's value; an empty one leaves the option out.
    Text,
    /// One of these strings: the option's value.
    Choice(&'static [&'static str]),
    /// `true` gives the option.
    Switch,
    /// `true` selects `ramdisk-image-create`.
    Ramdisk,
    /// An integer up to this: how often the option is given.
    Count(usize),
    /// An integer from 1 on: the option's value.
    Number,
    /// A list of strings: the option's value, joined by commas.
    Words,
    /// A list of strings: the option, once with each.
    Each,
    /// A list of some of these strings: the option's value, joined by commas.
    Choices(&'static [&'static str]),
    /// A list of strings: operands.
    Operands,
    /// A map of strings: the option's value as `KEY=VALUE,...`.
    Pairs,
    /// A map of strings: environment variables of the build.
    Environment,
}

/// A key of an image definition.
#[derive(Debug)]
pub struct Property {
    /// The key.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The option that it becomes; empty for what becomes none.
    pub option: &'static str,
    /// One phrase for help and documentation.
    pub help: &'static str,
}

const ARCHITECTURES: &[&str] = &[
    "aarch64", "amd64", "arm64", "armhf", "powerpc", "ppc64", "ppc64el", "ppc64le", "s390x",
    "x86_64",
];

const TYPES: &[&str] = &[
    "qcow2", "tar", "tgz", "squashfs", "vhd", "docker", "aci", "raw",
];

const fn property(
    key: &'static str,
    kind: Kind,
    option: &'static str,
    help: &'static str,
) -> Property {
    Property {
        key,
        kind,
        option,
        help,
    }
}

/// All keys, in the order of what they become on the command line.
pub static PROPERTIES: [Property; 29] = [
    property(
        "imagename",
        Kind::Text,
        "-o",
        "path of the image; definitions of the same name are one image",
    ),
    property("arch", Kind::Choice(ARCHITECTURES), "-a", "architecture"),
    property("types", Kind::Choices(TYPES), "-t", "types of the image"),
    property(
        "environment",
        Kind::Environment,
        "",
        "environment variables for this image's build",
    ),
    property(
        "ramdisk",
        Kind::Ramdisk,
        "",
        "build with ramdisk-image-create",
    ),
    property(
        "debug-trace",
        Kind::Count(2),
        "-x",
        "how much to trace; 0 for nothing",
    ),
    property(
        "uncompressed",
        Kind::Switch,
        "-u",
        "do not compress qcow2 images",
    ),
    property(
        "clear",
        Kind::Switch,
        "-c",
        "build without the caller's environment",
    ),
    property(
        "logfile",
        Kind::Text,
        "--logfile",
        "append the log to this file",
    ),
    property(
        "checksum",
        Kind::Switch,
        "--checksum",
        "write checksum files",
    ),
    property(
        "image-size",
        Kind::Number,
        "--image-size",
        "size of the disk in GiB",
    ),
    property(
        "image-extra-size",
        Kind::Number,
        "--image-extra-size",
        "room to add to the size of the content, in MiB",
    ),
    property(
        "image-cache",
        Kind::Text,
        "--image-cache",
        "directory for downloads that are kept",
    ),
    property(
        "max-online-resize",
        Kind::Number,
        "--max-online-resize",
        "blocks to which an ext root can later be grown while mounted",
    ),
    property(
        "min-tmpfs",
        Kind::Number,
        "--min-tmpfs",
        "use a tmpfs if memory is at least twice this many GiB",
    ),
    property(
        "mkfs-journal-size",
        Kind::Number,
        "--mkfs-journal-size",
        "size of the journal of an ext4 root in MiB",
    ),
    property(
        "mkfs-options",
        Kind::Text,
        "--mkfs-options",
        "further arguments for making the root filesystem",
    ),
    property(
        "no-tmpfs",
        Kind::Switch,
        "--no-tmpfs",
        "build on disk even where memory would suffice",
    ),
    property(
        "offline",
        Kind::Switch,
        "--offline",
        "use what is cached, without refreshing it",
    ),
    property(
        "qemu-img-options",
        Kind::Pairs,
        "--qemu-img-options",
        "options for qemu-img",
    ),
    property(
        "root-label",
        Kind::Text,
        "--root-label",
        "label of the root filesystem",
    ),
    property(
        "ramdisk-element",
        Kind::Text,
        "--ramdisk-element",
        "main element of a ramdisk",
    ),
    property(
        "install-type",
        Kind::Choice(&["source", "package"]),
        "--install-type",
        "how elements install software",
    ),
    property(
        "docker-target",
        Kind::Text,
        "--docker-target",
        "name and tag of a docker image",
    ),
    property("packages", Kind::Words, "-p", "packages to install as well"),
    property(
        "skip-base",
        Kind::Switch,
        "-n",
        "do not add the element 'base'",
    ),
    property(
        "report",
        Kind::Each,
        "--report",
        "files to write about the build: .html, .json, .cdx.json",
    ),
    property(
        "report-against",
        Kind::Text,
        "--report-against",
        "an earlier .json report to compare with",
    ),
    property("elements", Kind::Operands, "", "elements of the image"),
];

impl Kind {
    /// What a value must be, for messages and documentation.
    pub(super) fn expected(self) -> String {
        match self {
            Kind::Text => "a string".into(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::Switch | Kind::Ramdisk => "true or false".into(),
            Kind::Count(most) => format!("an integer from 0 to {most}"),
            Kind::Number => "an integer of at least 1".into(),
            Kind::Words | Kind::Each | Kind::Operands => "a list of strings".into(),
            Kind::Choices(words) => format!("a list of some of {}", words.join(", ")),
            Kind::Pairs | Kind::Environment => "a map of strings".into(),
        }
    }
}
