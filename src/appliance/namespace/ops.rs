//! The sandbox's set-up as values: what is mounted and made, in order.
//!
//! [`super::layout`] makes the list without touching anything, so that tests
//! read it; `execute.rs` carries it out.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Number of a mount that is cloned from the host before the hooks' namespaces exist.
pub type Staged = usize;

/// One operation. Paths are those inside, unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "op")]
pub enum SandboxOp {
    /// Clones the mounts at a host path in the outer namespace, so that the
    /// inner one inherits them with their flags locked.
    Stage {
        /// Path of the host.
        #[serde(with = "raw_path")]
        source: PathBuf,
        /// The clone's number.
        number: Staged,
        /// Source is a directory.
        directory: bool,
        /// Hooks may write.
        writable: bool,
        /// Ids of files pass through the map: host 0 is 0 inside.
        idmapped: bool,
    },
    /// A directory, with missing parents (0755).
    Dir {
        /// Where.
        #[serde(with = "raw_path")]
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// An empty tmpfs.
    Tmpfs {
        /// Where.
        #[serde(with = "raw_path")]
        path: PathBuf,
        /// Permission bits of its root.
        mode: u32,
    },
    /// A staged mount at its place.
    Attach {
        /// Its number.
        number: Staged,
        /// Where.
        #[serde(with = "raw_path")]
        path: PathBuf,
        /// It is a directory.
        directory: bool,
    },
    /// A directory of the new root, seen at another place too.
    Bind {
        /// The directory.
        #[serde(with = "raw_path")]
        source: PathBuf,
        /// Where else.
        #[serde(with = "raw_path")]
        path: PathBuf,
    },
    /// A staged directory, written over without being changed.
    Overlay {
        /// Number of the lower directory.
        lower: Staged,
        /// Existing directory of the new root that holds `upper` and `work`.
        #[serde(with = "raw_path")]
        layers: PathBuf,
        /// Where.
        #[serde(with = "raw_path")]
        path: PathBuf,
    },
    /// A device of the host in `/dev`.
    DevNode {
        /// Its name.
        name: String,
    },
    /// An own devpts instance at `/dev/pts`.
    Devpts,
    /// An own `/proc`.
    Proc,
    /// `/sys` of the own network namespace, read-only.
    Sysfs,
    /// A symbolic link.
    Symlink {
        /// What it says.
        #[serde(with = "raw_path")]
        target: PathBuf,
        /// Where.
        #[serde(with = "raw_path")]
        path: PathBuf,
    },
    /// A file with this content.
    WriteFile {
        /// Where.
        #[serde(with = "raw_path")]
        path: PathBuf,
        /// Content.
        content: String,
        /// Permission bits.
        mode: u32,
    },
    /// A copy of a host file (0644); left out if the sandbox may not read it.
    CopyFile {
        /// The path, of the host and inside.
        #[serde(with = "raw_path")]
        path: PathBuf,
    },
    /// Takes a mount away again; what uses it keeps it.
    Unmount {
        /// Where.
        #[serde(with = "raw_path")]
        path: PathBuf,
    },
}

impl SandboxOp {
    /// The operation in words, for errors and `SAFEDIB_DEBUG_SANDBOX`.
    pub fn describe(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for SandboxOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SandboxOp::Stage {
                source,
                writable,
                idmapped,
                ..
            } => {
                let access = if *writable { "read-write" } else { "read-only" };
                let idmapped = if *idmapped { ", idmapped" } else { "" };
                write!(
                    f,
                    "taking {} of the host ({access}{idmapped})",
                    source.display()
                )
            }
            SandboxOp::Dir { path, mode } => {
                write!(f, "making directory {} ({mode:04o})", path.display())
            }
            SandboxOp::Tmpfs { path, mode } => {
                write!(f, "mounting tmpfs on {} ({mode:04o})", path.display())
            }
            SandboxOp::Attach { path, number, .. } => {
                write!(f, "attaching mount {number} at {}", path.display())
            }
            SandboxOp::Bind { source, path } => {
                write!(f, "binding {} to {}", source.display(), path.display())
            }
            SandboxOp::Overlay { lower, path, .. } => {
                write!(f, "mounting overlay of mount {lower} on {}", path.display())
            }
            SandboxOp::DevNode { name } => write!(f, "binding device /dev/{name}"),
            SandboxOp::Devpts => f.write_str("mounting devpts on /dev/pts"),
            SandboxOp::Proc => f.write_str("mounting proc on /proc"),
            SandboxOp::Sysfs => f.write_str("mounting sysfs on /sys"),
            SandboxOp::Symlink { target, path } => {
                write!(f, "linking {} to {}", path.display(), target.display())
            }
            SandboxOp::WriteFile { path, .. } => write!(f, "writing {}", path.display()),
            SandboxOp::CopyFile { path } => write!(f, "copying {}", path.display()),
            SandboxOp::Unmount { path } => write!(f, "unmounting {}", path.display()),
        }
    }
}

/// Paths as bytes: serde's own way refuses those that are not UTF-8.
pub(super) mod raw_path {
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Raw {
        Text(String),
        Bytes(OsString),
    }

    pub(in super::super) fn serialize<S: Serializer>(
        path: &Path,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => to.serialize_str(text),
            None => Raw::Bytes(path.as_os_str().to_owned()).serialize(to),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<PathBuf, D::Error> {
        Ok(match Raw::deserialize(from)? {
            Raw::Text(text) => text.into(),
            Raw::Bytes(bytes) => bytes.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn operations_survive_json_whatever_their_paths_are() {
        for path in [b"/a b".to_vec(), b"/\xff\n\"".to_vec()] {
            let op = SandboxOp::Dir {
                path: std::ffi::OsString::from_vec(path).into(),
                mode: 0o755,
            };
            let json = serde_json::to_vec(&op).unwrap();
            assert_eq!(serde_json::from_slice::<SandboxOp>(&json).unwrap(), op);
        }
    }
}
