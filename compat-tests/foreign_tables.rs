//! What the packages have, by hand.

pub const UPSTREAM: &str = "diskimage-builder-3.43.0";
const OCTAVIA: &str = "octavia-19.0.0";
const AGENT: &str = "ironic-python-agent-builder-7.4.0";
const TRIPLEO: &str = "tripleo-image-elements-15.0.0";
const SAHARA: &str = "sahara-image-elements-19.0.0";

/// Packages, and how many elements each has.
pub const PACKAGES: [(&str, usize); 5] = [
    (UPSTREAM, 128),
    (SAHARA, 30),
    (TRIPLEO, 15),
    (OCTAVIA, 18),
    (AGENT, 8),
];

/// The system that elements are planned on, unless they bring one.
pub const SYSTEM: &str = "debian-minimal";

/// Elements that cannot be built beside [`SYSTEM`]: package, element, and what is
/// requested in the system's place.
pub const WITH: &[(&str, &str, &[&str])] = &[
    // They are, or bring, an operating system.
    (UPSTREAM, "almalinux-container", &[]),
    (UPSTREAM, "centos", &[]),
    (UPSTREAM, "centos-minimal", &[]),
    (UPSTREAM, "containerfile", &[]),
    (UPSTREAM, "debian-minimal", &[]),
    (UPSTREAM, "docker", &[]),
    (UPSTREAM, "fedora", &[]),
    (UPSTREAM, "fedora-container", &[]),
    (UPSTREAM, "fedora-minimal", &[]),
    (UPSTREAM, "gentoo", &[]),
    (UPSTREAM, "lvm", &[]),
    (UPSTREAM, "openeuler-minimal", &[]),
    (UPSTREAM, "opensuse", &[]),
    (UPSTREAM, "opensuse-minimal", &[]),
    (UPSTREAM, "replace-partition", &[]),
    (UPSTREAM, "replace-partition-redhat", &[]),
    (UPSTREAM, "rhel", &[]),
    (UPSTREAM, "rocky-container", &[]),
    (UPSTREAM, "ubuntu", &[]),
    (UPSTREAM, "ubuntu-minimal", &[]),
    (UPSTREAM, "ubuntu-signed", &[]),
    (UPSTREAM, "ubuntu-systemd-container", &[]),
    // They have files that the elements of Debian have, too.
    (UPSTREAM, "modprobe-blacklist", &["centos-minimal"]),
    (UPSTREAM, "yum", &["centos-minimal"]),
    (UPSTREAM, "yum-minimal", &["centos-minimal"]),
    (UPSTREAM, "zypper", &["opensuse-minimal"]),
    (UPSTREAM, "zypper-minimal", &["opensuse-minimal"]),
];

/// Elements that nobody can build, because of what their repository lacks:
/// package, element, class and text of upstream's error.
pub const REFUSED: [(&str, &str, &str, &str); 1] = [
    // It was renamed to deploy-baremetal in 2.0.
    (
        UPSTREAM,
        "deploy-kexec",
        "MissingElementException",
        "Element 'deploy' not found",
    ),
];

/// Elements whose images need a block device, and a part of the reason.
pub const DEVICES: &[(&str, &str, &str)] = &[
    (UPSTREAM, "block-device-efi-4k", "block_size 4096"),
    (UPSTREAM, "block-device-efi-lvm", "'pv': lvm"),
    (UPSTREAM, "bootloader", "50-bootloader"),
    // lvm and both of replace-partition ask for the bootloader.
    (UPSTREAM, "lvm", "50-bootloader"),
    (UPSTREAM, "replace-partition", "50-bootloader"),
    (UPSTREAM, "replace-partition-redhat", "50-bootloader"),
    (UPSTREAM, "vm", "50-bootloader"),
    (UPSTREAM, "zipl", "50-zipl"),
    // Partitions of a cloud image are looked for in the image.
    (UPSTREAM, "centos", "10-centos-cloud-image"),
    (UPSTREAM, "fedora", "10-fedora-cloud-image"),
    (UPSTREAM, "opensuse", "10-opensuse-cloud-image"),
    (UPSTREAM, "rhel", "10-rhel-cloud-image"),
    (UPSTREAM, "iso", "mounts through a loop device"),
    (UPSTREAM, "rax-nova-agent", "mounts through a loop device"),
    (TRIPLEO, "overcloud-partition-uefi", "'pv': lvm"),
    (OCTAVIA, "amphora-fips", "50-bootloader"),
];

/// What elements need outside the target, in the order of the plan.
pub const TOOLS: &[(&str, &str, &[&str])] = &[
    (UPSTREAM, "centos", &["curl"]),
    (UPSTREAM, "containerfile", &["podman"]),
    (UPSTREAM, "debootstrap", &["debootstrap"]),
    (UPSTREAM, "docker", &["docker"]),
    (UPSTREAM, "dracut-ramdisk", &["curl"]),
    (UPSTREAM, "fedora", &["curl"]),
    (UPSTREAM, "gentoo", &["curl", "gpgv"]),
    (UPSTREAM, "iso", &["mkisofs"]),
    (UPSTREAM, "keylime-agent", &["git"]),
    (UPSTREAM, "opensuse", &["curl"]),
    (UPSTREAM, "package-installs", &["python3's module yaml"]),
    (UPSTREAM, "pip-and-virtualenv", &["curl"]),
    (UPSTREAM, "python-stow-versions", &["git"]),
    (UPSTREAM, "rax-nova-agent", &["curl", "rsync"]),
    (UPSTREAM, "replace-partition", &["guestfish"]),
    (UPSTREAM, "rhel", &["curl"]),
    (UPSTREAM, "simple-init", &["git"]),
    (UPSTREAM, "svc-map", &["python3's module yaml"]),
    (UPSTREAM, "tpm-emulator", &["curl", "rsync", "git"]),
    (UPSTREAM, "ubuntu", &["curl"]),
    (UPSTREAM, "yum-minimal", &["yumdownloader or dnf", "rpm"]),
    (UPSTREAM, "zypper-minimal", &["zypper"]),
    (SAHARA, "hdp-local-mirror", &["curl", "rsync"]),
    (OCTAVIA, "amphora-agent", &["git", "curl"]),
    (OCTAVIA, "octavia-lib", &["git"]),
    (AGENT, "ironic-python-agent-ramdisk-base", &["git"]),
    (AGENT, "ironic-ramdisk-base", &["cpio"]),
];
