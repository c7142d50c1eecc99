//! The options, short ones first, long ones in the order of upstream's getopt
//! list (it shows in the text of ambiguities), ours last.

use super::{Export, OptionId, OptionSpec, Origin, Repeat};
use crate::request::variables;

macro_rules! options {
    ($($id:ident: $short:expr, $long:expr, $value:expr, $variable:expr, $export:ident, $repeat:ident, $default:literal, $ramdisk_help:literal, $origin:ident, $help:literal;)*) => {
        /// All options.
        pub const OPTIONS: &[OptionSpec] = &[$(OptionSpec {
            id: OptionId::$id,
            short: $short,
            long: $long,
            value: $value,
            variable: $variable,
            export: Export::$export,
            repeat: Repeat::$repeat,
            default: $default,
            ramdisk_help: $ramdisk_help,
            origin: Origin::$origin,
            help: $help,
        }),*];
    };
}

options! {
    Arch: Some('a'), None, Some("ARCH"), Some(variables::ARCH), Always, Last, "the host's", true, Getopt,
        "architecture of the image, as its distribution spells it (amd64, arm64, armhf, ...)";
    Output: Some('o'), None, Some("NAME"), Some(variables::IMAGE_NAME), Always, Last, "image", true, Getopt,
        "path of the image, to which each type adds its extension";
    Types: Some('t'), None, Some("TYPE[,TYPE...]"), Some(variables::IMAGE_TYPES), Never, Last, "qcow2", true, Getopt,
        "types of the image: qcow2, raw, tar, tgz, squashfs, aci, docker, vhd, or another format that qemu-img writes (vmdk, vdi, vhdx, vpc, qed, parallels)";
    Trace: Some('x'), None, None, Some(variables::DIB_DEBUG_TRACE), Always, Count, "0", true, Getopt,
        "trace what is run; twice for more";
    Uncompressed: Some('u'), None, None, Some(variables::COMPRESS_IMAGE), Always, Flag, "", true, Getopt,
        "do not compress qcow2 images: larger, but sooner done";
    ClearEnvironment: Some('c'), None, None, Some(variables::CLEAR_ENV), Always, Flag, "", true, Getopt,
        "build without the environment of the caller; only HOME, LOGNAME, PATH, SHELL, TERM, USER and what options set remain";
    SkipBase: Some('n'), None, None, Some(variables::SKIP_BASE), Always, Flag, "", false, Getopt,
        "do not add the element 'base'";
    Packages: Some('p'), None, Some("PACKAGE[,PACKAGE...]"), Some(variables::INSTALL_PACKAGES), Never, Append, "", false, Getopt,
        "install these packages after the install phase; may be repeated";
    Checksum: None, Some("checksum"), None, Some(variables::DIB_CHECKSUM), Always, Flag, "", true, Getopt,
        "write MD5 and SHA256 files beside the image";
    NoTmpfs: None, Some("no-tmpfs"), None, Some(variables::DIB_NO_TMPFS), Always, Flag, "", true, Getopt,
        "build on disk even where memory would suffice";
    Offline: None, Some("offline"), None, Some(variables::DIB_OFFLINE), Always, Flag, "", true, Getopt,
        "use what earlier builds have cached, without refreshing it";
    Help: Some('h'), Some("help"), None, None, Never, Flag, "", true, Getopt,
        "show this text";
    Version: None, Some("version"), None, None, Never, Flag, "", true, Getopt,
        "show the version";
    MinTmpfs: None, Some("min-tmpfs"), Some("GIB"), Some(variables::DIB_MIN_TMPFS), Always, Last, "2", true, Getopt,
        "use a tmpfs if memory is at least twice this";
    ImageSize: None, Some("image-size"), Some("GIB"), Some(variables::DIB_IMAGE_SIZE), Always, Last, "fitted to the content", true, Getopt,
        "size of the disk; fractions are allowed";
    ImageCache: None, Some("image-cache"), Some("DIR"), Some(variables::DIB_IMAGE_CACHE), Always, Last, "~/.cache/image-create", true, Getopt,
        "directory for downloads that are kept";
    MaxOnlineResize: None, Some("max-online-resize"), Some("BLOCKS"), Some(variables::MAX_ONLINE_RESIZE), Always, Last, "", true, Getopt,
        "largest size to which an ext root can later be grown while mounted; a large one costs room in the image";
    MkfsOptions: None, Some("mkfs-options"), Some("OPTIONS"), Some(variables::MKFS_OPTS), IfExported, Last, "", true, Getopt,
        "further arguments for making the root filesystem, in one word";
    QemuImgOptions: None, Some("qemu-img-options"), Some("OPTIONS"), Some(variables::QEMU_IMG_OPTIONS), IfExported, Last, "", true, Getopt,
        "KEY=VALUE[,...] for qemu-img";
    RamdiskElement: None, Some("ramdisk-element"), Some("ELEMENT"), Some(variables::RAMDISK_ELEMENT), IfExported, Last, "ramdisk", true, Getopt,
        "main element of a ramdisk; dracut-ramdisk for distributions without busybox";
    RootLabel: None, Some("root-label"), Some("LABEL"), Some(variables::ROOT_LABEL), IfExported, Last, "cloudimg-rootfs; img-rootfs on xfs", true, Getopt,
        "label of the root filesystem";
    InstallType: None, Some("install-type"), Some("source|package"), Some(variables::DIB_DEFAULT_INSTALLTYPE), IfExported, Last, "source", true, Getopt,
        "how elements install software";
    DockerTarget: None, Some("docker-target"), Some("NAME[:TAG]"), Some(variables::DOCKER_TARGET), Always, Last, "", true, Getopt,
        "name of a docker image; needed for that type";
    Logfile: None, Some("logfile"), Some("FILE"), Some(variables::LOGFILE), Always, Last, "", true, Getopt,
        "append the log to a file, and keep it off stdout unless DIB_QUIET=0";
    ImageExtraSize: None, Some("image-extra-size"), Some("MIB"), Some(variables::DIB_IMAGE_EXTRA_SIZE), Always, Last, "", true, Documented,
        "room to add to the size of the content";
    MkfsJournalSize: None, Some("mkfs-journal-size"), Some("MIB"), Some(variables::DIB_JOURNAL_SIZE), Always, Last, "64", true, Documented,
        "size of the journal of an ext4 root";
    Generation: None, Some("generation"), Some("0|1|2|3"), Some(variables::DIB_GENERATION), IfExported, Last, "told from the elements", true, Ours,
        "generation of diskimage-builder that the elements were written for, 0.1.x to 3.x";
    Appliance: None, Some("appliance"), Some("auto|namespace|microvm|microvm,tcg|microvm,user-net"), Some(variables::DIB_APPLIANCE), IfExported, Last, "auto", true, Ours,
        "where hooks run: in namespaces or in a virtual machine, with microvm,tcg in one without KVM, with microvm,user-net in one whose network needs no user namespaces, and lets hooks reach this host's loopback";
    Memsize: None, Some("memsize"), Some("MIB"), None, Never, Last, "2048", true, Ours,
        "memory of the microvm appliance";
    Smp: None, Some("smp"), Some("N"), None, Never, Last, "the host's processors, at most 8; 1 without KVM", true, Ours,
        "processors of the microvm appliance";
    NoNetwork: None, Some("no-network"), None, None, Never, Flag, "", true, Ours,
        "give hooks no network at all";
    MetadataService: None, Some("metadata-service"), None, None, Never, Flag, "", true, Ours,
        "let hooks reach the cloud's metadata service, which hands out this machine's credentials";
    Share: None, Some("share"), Some("PATH[:rw]"), None, Never, Append, "", true, Ours,
        "let hooks outside the target see a path of the host, read-only unless :rw follows; may be repeated";
    Envvar: None, Some("envvar"), Some("NAME[=VALUE]"), None, Never, Append, "", true, Ours,
        "give hooks this variable, with this value or the caller's, even if its name says that it is a credential; '*' is all; may be repeated";
    Lib: None, Some("lib"), Some("DIR"), None, Never, Last, "", true, Ours,
        "use these shell libraries (upstream's lib) in place of our own";
    Compression: None, Some("compression"), Some("zlib|zstd"), None, Never, Last, "zlib", true, Ours,
        "how qcow2 images are compressed; zstd takes a fraction of the time and needs qemu 5.1 to be read";
    Cache: None, Some("cache"), Some("[=DIR]"), None, Never, Last, "nothing is kept", true, Ours,
        "keep states of the target between hooks in DIR (~/.cache/safedib/layers), and begin with the last one that nothing has changed since";
    CacheMax: None, Some("cache-max"), Some("SIZE"), None, Never, Last, "20G", true, Ours,
        "room for the states that --cache keeps, in bytes or with K, M, G or T; those unused for longest go";
    CacheAge: None, Some("cache-age"), Some("TIME"), None, Never, Last, "1d", true, Ours,
        "do not begin with a state for which anything was fetched longer ago than this: seconds, or with m, h or d";
    CacheStep: None, Some("cache-step"), Some("SECONDS"), None, Never, Last, "four times what keeping one takes", true, Ours,
        "least work of hooks between two states that --cache keeps";
    Resume: None, Some("resume"), None, None, Never, Flag, "", true, Ours,
        "with --cache, go on at the hook that failed in the last build, with all that it has left";
    NoProgress: None, Some("no-progress"), None, None, Never, Flag, "", true, Ours,
        "show the plain log on a terminal, too, not a live view";
    Report: None, Some("report"), Some("FILE"), None, Never, Append, "", true, Ours,
        "write what the build did to FILE when it has ended, well or not: a page if that ends in .html, fields for programs if in .json, a bill of materials (CycloneDX) if in .cdx.json; may be repeated";
    ReportAgainst: None, Some("report-against"), Some("FILE"), None, Never, Last, "the .json report that this build replaces", true, Ours,
        "show in the report what differs from an earlier one, a .json";
    ShellOnFailure: None, Some("shell-on-failure"), None, None, Never, Flag, "", true, Ours,
        "when a hook fails, open a shell where it ran, with its environment; the build fails when the shell ends";
}
