//! What an agent has found in the finished target: what takes the space, and the
//! packages. Hooks have made all of it, names and numbers.

use serde::{Deserialize, Serialize};

/// The content of a target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// Everything, by directory.
    pub tree: Space,
    /// What belongs to no package, by directory; empty if no packages are known.
    pub unowned: Space,
    /// Number of files, links and other things that are no directories.
    pub files: u64,
    /// Number of directories.
    pub directories: u64,
    /// What `os-release` says.
    pub system: System,
    /// Who knows the packages; `None`: nobody, as `note` tells.
    pub manager: Option<Manager>,
    /// What there is to say about the packages: why there are none, what was left out.
    pub note: Option<String>,
    /// The packages, by name.
    pub packages: Vec<Package>,
}

/// A directory or a large file, and what takes the space in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// Its name; empty for the root.
    pub name: String,
    /// What it takes on the filesystem of the build, hard links once, bytes.
    pub bytes: u64,
    /// Sizes of its files, holes included, bytes.
    pub apparent: u64,
    /// Number of files in it, itself included if it is one.
    pub files: u64,
    /// It is a directory.
    #[serde(default)]
    pub directory: bool,
    /// Directories and files in it that take more than a thousandth of it, and more
    /// than a four thousandth of all, the largest first; what is missing to `bytes`
    /// is smaller, or deep below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Space>,
}

/// An operating system, in its own words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// `ID`.
    pub id: Option<String>,
    /// `VERSION_ID`.
    pub version: Option<String>,
    /// `PRETTY_NAME`.
    pub name: Option<String>,
}

/// A package manager's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manager {
    /// Debian's.
    Dpkg,
    /// That of Fedora, openSUSE and their kin.
    Rpm,
}

/// An installed package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version, the release included, without an epoch of rpm's.
    pub version: String,
    /// rpm's epoch, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// Architecture.
    pub arch: String,
    /// Source package, where it has another name or version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Licence as the database has it; dpkg's has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// The state, if it is not wholly installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What its files take on the filesystem of the build, bytes.
    pub bytes: u64,
    /// Number of its files that are there.
    pub files: u64,
}
