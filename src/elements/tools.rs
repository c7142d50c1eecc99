//! Which outside commands the hooks of known elements need, so that a missing
//! one is found before work starts. A table, made by reading upstream's hooks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;

use super::{Element, ElementSet};

/// What must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// One of these commands.
    Command(&'static [&'static str]),
    /// A module that the system's python3 can import.
    PythonModule(&'static str),
}

impl Need {
    /// Whether it is there, with commands looked up in the directories of
    /// `path`. A Python module is looked for by importing it.
    pub fn is_met(self, path: &[PathBuf]) -> bool {
        let find = |command: &str| {
            path.iter()
                .map(|directory| directory.join(command))
                .find(|file| is_executable(file))
        };
        match self {
            Need::Command(commands) => commands.iter().any(|command| find(command).is_some()),
            Need::PythonModule(module) => find("python3").is_some_and(|python| {
                Command::new(python)
                    .args(["-c", &format!("import {module}")])
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .status()
                    .is_ok_and(|status| status.success())
            }),
        }
    }

    /// How to call it in a message: `debootstrap`, `dnf or yumdownloader`,
    /// `python3's module yaml`.
    pub fn describe(self) -> String {
        match self {
            Need::Command(commands) => commands.join(" or "),
            Need::PythonModule(module) => format!("python3's module {module}"),
        }
    }
}

/// A need of an element of the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolNeed {
    /// What.
    pub need: Need,
    /// The Debian package that has it.
    pub package: &'static str,
    /// The element.
    pub element: String,
    /// What the element does with it.
    pub why: &'static str,
    /// Variables of which any, set and not empty, makes the need void.
    pub unless_set: &'static [&'static str],
}

struct Row {
    element: &'static str,
    need: Need,
    package: &'static str,
    why: &'static str,
    unless_set: &'static [&'static str],
}

impl Row {
    fn of_element(&self) -> ToolNeed {
        ToolNeed {
            need: self.need,
            package: self.package,
            element: self.element.to_owned(),
            why: self.why,
            unless_set: self.unless_set,
        }
    }
}

const fn row(
    element: &'static str,
    need: Need,
    package: &'static str,
    why: &'static str,
    unless_set: &'static [&'static str],
) -> Row {
    Row {
        element,
        need,
        package,
        why,
        unless_set,
    }
}

const CURL: Need = Need::Command(&["curl"]);

/// What tells the hooks for cloud images that the image is there already.
const NO_DOWNLOAD: &[&str] = &["DIB_OFFLINE", "DIB_LOCAL_IMAGE"];

const YAML: Need = Need::PythonModule("yaml");

/// Only what an element's hooks call in every build, in all pinned versions
/// that have the element.
const NEEDS: [Row; 18] = [
    // Even where mmdebstrap does the work, `debootstrap --version` is asked.
    row(
        "debootstrap",
        Need::Command(&["debootstrap"]),
        "debootstrap",
        "root.d makes the base system with it",
        &[],
    ),
    row(
        "package-installs",
        YAML,
        "python3-yaml",
        "extra-data.d reads the package lists with it",
        &[],
    ),
    row(
        "svc-map",
        YAML,
        "python3-yaml",
        "extra-data.d reads the service maps with it",
        &[],
    ),
    row(
        "centos",
        CURL,
        "curl",
        "root.d downloads the cloud image with it",
        NO_DOWNLOAD,
    ),
    row(
        "fedora",
        CURL,
        "curl",
        "root.d downloads the cloud image with it",
        NO_DOWNLOAD,
    ),
    row(
        "opensuse",
        CURL,
        "curl",
        "root.d downloads the cloud image with it",
        NO_DOWNLOAD,
    ),
    row(
        "rhel",
        CURL,
        "curl",
        "root.d downloads the cloud image with it",
        NO_DOWNLOAD,
    ),
    row(
        "ubuntu",
        CURL,
        "curl",
        "root.d downloads the cloud image with it",
        NO_DOWNLOAD,
    ),
    row(
        "gentoo",
        CURL,
        "curl",
        "root.d looks up the stage with it",
        &[],
    ),
    row(
        "gentoo",
        Need::Command(&["gpgv"]),
        "gpgv",
        "root.d verifies the stage with it",
        &["DIB_OFFLINE"],
    ),
    row(
        "yum-minimal",
        Need::Command(&["yumdownloader", "dnf"]),
        "dnf",
        "root.d downloads the first packages with it",
        &[],
    ),
    row(
        "yum-minimal",
        Need::Command(&["rpm"]),
        "rpm",
        "root.d makes the package database with it",
        &[],
    ),
    row(
        "zypper-minimal",
        Need::Command(&["zypper"]),
        "zypper",
        "root.d makes the base system with it",
        &[],
    ),
    row(
        "containerfile",
        Need::Command(&["podman"]),
        "podman",
        "root.d builds the container with it",
        &["DIB_CONTAINERFILE_RUNTIME"],
    ),
    row(
        "docker",
        Need::Command(&["docker"]),
        "docker.io",
        "root.d exports the container with it",
        &[],
    ),
    row(
        "replace-partition",
        Need::Command(&["guestfish"]),
        "guestfish",
        "root.d reads the image with it",
        &[],
    ),
    row(
        "iso",
        Need::Command(&["mkisofs"]),
        "genisoimage",
        "cleanup.d makes the ISO image with it",
        &[],
    ),
    row(
        "ironic-ramdisk-base",
        Need::Command(&["cpio"]),
        "cpio",
        "cleanup.d packs the ramdisk with it",
        &[],
    ),
];

/// Every need of the table, by element.
pub fn known_tools() -> impl Iterator<Item = ToolNeed> {
    NEEDS.iter().map(Row::of_element)
}

/// Lists what the elements of `set` need outside the target, by element.
///
/// Beside the table, `source-repository-*` files are read: each kind of source
/// that is named there needs its tool. A file that cannot be read adds nothing.
pub fn host_tools(set: &ElementSet) -> Vec<ToolNeed> {
    let mut needs = Vec::new();
    for element in &set.elements {
        for row in NEEDS.iter().filter(|row| row.element == element.name) {
            needs.push(row.of_element());
        }
    }
    let fetched = set
        .elements
        .iter()
        .any(|element| element.name == "source-repositories");
    if fetched {
        needs.extend(set.elements.iter().flat_map(source_needs));
    }
    needs
}

/// Needs of the `source-repository-*` files of one element.
fn source_needs(element: &Element) -> Vec<ToolNeed> {
    let mut needs: Vec<ToolNeed> = Vec::new();
    let mut add = |command: &'static [&'static str], package, why| {
        let need = Need::Command(command);
        if !needs.iter().any(|known| known.need == need) {
            needs.push(ToolNeed {
                need,
                package,
                element: element.name.clone(),
                why,
                unless_set: &[],
            });
        }
    };
    for kind in source_kinds(&element.path) {
        match kind.as_str() {
            "git" => add(
                &["git"],
                "git",
                "its source-repository file names a git repository",
            ),
            "tar" => {
                add(
                    &["curl"],
                    "curl",
                    "its source-repository file names a tarball",
                );
                add(
                    &["rsync"],
                    "rsync",
                    "its source-repository file names a tarball",
                );
            }
            "file" => add(&["curl"], "curl", "its source-repository file names a file"),
            _ => {}
        }
    }
    needs
}

/// The second fields of the lines of an element's `source-repository-*` files.
fn source_kinds(element: &Path) -> Vec<String> {
    let Ok(items) = fs::read_dir(element) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = items
        .filter_map(|item| Some(item.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("source-repository-"))
        })
        .collect();
    files.sort();
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|text| {
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str], base: &Path) -> ElementSet {
        let mut set = ElementSet::default();
        for name in names {
            fs::create_dir_all(base.join(name)).unwrap();
            set.elements.push(Element {
                name: name.to_string(),
                path: base.join(name),
                depends: Default::default(),
                provides: Default::default(),
            });
        }
        set
    }

    #[test]
    fn needs_follow_from_the_elements() {
        let base = tempfile::tempdir().unwrap();
        let set = set(&["debootstrap", "mine", "source-repositories"], base.path());
        fs::write(
            base.path().join("mine/source-repository-x"),
            "# x zip\nx git /opt/x https://example.invalid/x\n\ny git /opt/y u\nz tar /opt/z u\n",
        )
        .unwrap();
        let listed: Vec<(String, String)> = host_tools(&set)
            .iter()
            .map(|need| (need.element.clone(), need.need.describe()))
            .collect();
        let expected = [
            ("debootstrap", "debootstrap"),
            ("mine", "git"),
            ("mine", "curl"),
            ("mine", "rsync"),
        ];
        assert_eq!(
            listed,
            expected.map(|(element, need)| (element.to_owned(), need.to_owned()))
        );
    }

    #[test]
    fn commands_are_looked_up_in_the_given_path_only() {
        let base = tempfile::tempdir().unwrap();
        let path = [base.path().to_path_buf()];
        let need = Need::Command(&["no-such", "tool"]);
        assert!(!need.is_met(&path));
        fs::write(base.path().join("tool"), "").unwrap();
        assert!(!need.is_met(&path), "not executable");
        fs::set_permissions(base.path().join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(need.is_met(&path));
        assert!(!YAML.is_met(&path));
    }
}
