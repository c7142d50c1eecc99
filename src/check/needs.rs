//! What hooks outside the target need: N4xx.

use crate::elements::{known_tools, reads_block_device, Hook, Need};

use super::file::{File, Role};
use super::paths::{is_hidden, looks_like_path};
use super::report::Sink;
use super::rules;
use super::shell::{Call, Shell};
use super::world::Subject;

/// Commands that a small system does not have, with Debian's package.
const PACKAGES: &[(&str, &str)] = &[
    ("ansible-playbook", "ansible-core"),
    ("bc", "bc"),
    ("cpio", "cpio"),
    ("curl", "curl"),
    ("debootstrap", "debootstrap"),
    ("dnf", "dnf"),
    ("dpkg-scanpackages", "dpkg-dev"),
    ("envsubst", "gettext-base"),
    ("file", "file"),
    ("gcc", "gcc"),
    ("genisoimage", "genisoimage"),
    ("git", "git"),
    ("gpg", "gpg"),
    ("gpgv", "gpgv"),
    ("grub-mkimage", "grub-common"),
    ("guestfish", "guestfish"),
    ("jq", "jq"),
    ("kpartx", "kpartx"),
    ("lsof", "lsof"),
    ("make", "make"),
    ("mcopy", "mtools"),
    ("mkdosfs", "dosfstools"),
    ("mkfs.vfat", "dosfstools"),
    ("mkisofs", "genisoimage"),
    ("mkimage", "u-boot-tools"),
    ("mksquashfs", "squashfs-tools"),
    ("mmdebstrap", "mmdebstrap"),
    ("openssl", "openssl"),
    ("parted", "parted"),
    ("patch", "patch"),
    ("pip3", "python3-pip"),
    ("qemu-img", "qemu-utils"),
    ("qemu-nbd", "qemu-utils"),
    ("rpm", "rpm"),
    ("rpm2cpio", "rpm2cpio"),
    ("rsync", "rsync"),
    ("sfdisk", "fdisk"),
    ("sgdisk", "gdisk"),
    ("ssh-keygen", "openssh-client"),
    ("unsquashfs", "squashfs-tools"),
    ("unzip", "unzip"),
    ("uuidgen", "uuid-runtime"),
    ("virt-customize", "libguestfs-tools"),
    ("wget", "wget"),
    ("xorriso", "xorriso"),
    ("yumdownloader", "dnf-plugins-core"),
    ("zip", "zip"),
    ("zypper", "zypper"),
];

const CONTAINERS: [&str; 7] = [
    "docker",
    "podman",
    "buildah",
    "skopeo",
    "nerdctl",
    "lxc",
    "machinectl",
];

/// Commands whose arguments are text, or that only look.
const NO_PATHS: [&str; 12] = [
    "echo", "printf", "[", "[[", "test", "grep", "egrep", "export", "local", "declare", "trap",
    "die",
];

pub(super) fn look(subject: &Subject, file: &File, shell: &Shell, sink: &mut Sink) {
    let mut fetches = false;
    for call in file.script.commands.iter().filter_map(Call::of) {
        if call.chrooted {
            continue;
        }
        if CONTAINERS.contains(&call.name.as_str()) {
            let what = format!("{} is called", call.name);
            sink.add_once(rules::CONTAINERS, &file.below, call.line, what);
        } else if let Some(package) = package_of(&call.name) {
            let what = format!("{} (package {package})", call.name);
            sink.add_once(rules::NEEDS_COMMAND, &file.below, call.line, what);
        }
        if !fetches && is_fetching(&call) {
            fetches = true;
            sink.add(rules::NETWORK, &file.below, call.line, described(&call));
        }
        hidden_paths(file, &call, shell, sink);
        users(file, &call, sink);
    }
    block_device(subject, file, sink);
}

/// `sudo -u X`, and tests of who runs the hook.
fn users(file: &File, call: &Call, sink: &mut Sink) {
    if let Some(user) = call.user.filter(|user| *user != "root") {
        sink.add_once(
            rules::OTHER_USER,
            &file.below,
            call.line,
            format!("sudo -u {user}"),
        );
    }
    if !matches!(call.name.as_str(), "[" | "[[" | "test") {
        return;
    }
    let has = |words: &[&str]| {
        call.arguments
            .iter()
            .any(|word| words.contains(&word.text.as_str()))
    };
    let asked = file
        .script
        .commands
        .iter()
        .filter(|it| it.line == call.line)
        .filter_map(Call::of)
        .any(|it| it.name == "whoami" || (it.name == "id" && it.has("-u")));
    if (asked && has(&["root", "0"])) || (has(&["$EUID", "$UID"]) && has(&["0"])) {
        sink.add(rules::ASKS_USER, &file.below, call.line, described(call));
    }
}

fn package_of(command: &str) -> Option<&'static str> {
    let listed = PACKAGES
        .iter()
        .find(|(name, _)| *name == command)
        .map(|(_, package)| *package);
    listed.or_else(|| {
        known_tools()
            .find(|tool| matches!(tool.need, Need::Command(names) if names.contains(&command)))
            .map(|tool| tool.package)
    })
}

fn is_fetching(call: &Call) -> bool {
    if call.has("--version") || call.has("--help") {
        return false;
    }
    let first = call.operands().next().map_or("", |word| word.text.as_str());
    match call.name.as_str() {
        "curl" | "wget" | "debootstrap" | "mmdebstrap" | "yumdownloader" => true,
        "git" => call
            .arguments
            .iter()
            .any(|word| matches!(word.text.as_str(), "clone" | "fetch" | "pull" | "ls-remote")),
        "pip" | "pip3" => matches!(first, "install" | "download"),
        "ssh" | "scp" | "ftp" | "nc" | "virt-builder" => true,
        _ => false,
    }
}

fn hidden_paths(file: &File, call: &Call, shell: &Shell, sink: &mut Sink) {
    if NO_PATHS.contains(&call.name.as_str()) || call.name == "mount" || call.name == "umount" {
        return;
    }
    let changed = super::harm::changed(call);
    for word in call.arguments.iter().filter(|word| !changed.contains(word)) {
        let path = shell.resolve(&word.text);
        if looks_like_path(&path) && is_hidden(&path) {
            let what = format!("{} {path}", call.name);
            sink.add_once(rules::HOST_PATH, &file.below, call.line, what);
        }
    }
}

fn block_device(subject: &Subject, file: &File, sink: &mut Sink) {
    let Role::Hook(phase) = file.role else { return };
    let hook = Hook {
        phase,
        name: file
            .below
            .file_name()
            .map_or_else(String::new, |it| it.to_string_lossy().into_owned()),
        element: subject.element.name.clone(),
        path: subject.element.path.join(&file.below),
    };
    if let Ok(Some(used)) = reads_block_device(&hook) {
        if used.line > 0 {
            sink.add(
                rules::NEEDS_DEVICE,
                &file.below,
                used.line,
                used.why.to_owned(),
            );
        }
    }
}

/// The call as it is shown: name and the first words.
pub(super) fn described(call: &Call) -> String {
    let mut text = call.name.clone();
    for word in call.arguments.iter().take(3) {
        text.push(' ');
        text.push_str(&word.text.replace('\u{1}', "$"));
    }
    if text.chars().count() > 60 {
        text = text.chars().take(57).collect::<String>() + "...";
    }
    text.replace('\n', " ")
}
