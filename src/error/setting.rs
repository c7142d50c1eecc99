//! What a user can change, in the words of the command that was called: hints
//! of errors that several commands share are made of these.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Whose options this process and its agents speak of. Set once, by the command,
/// and before anything can fail.
static SYNTAX: OnceLock<Syntax> = OnceLock::new();

/// A command's options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Syntax {
    /// Those of `disk-image-create` and `ramdisk-image-create`.
    #[default]
    DiskImageCreate,
    /// Those of `virt-dib`.
    VirtDib,
}

impl Syntax {
    /// Makes it that of this process, if none is yet.
    pub fn speak(self) {
        let _ = SYNTAX.set(self);
    }

    /// That of this process.
    pub fn spoken() -> Syntax {
        SYNTAX.get().copied().unwrap_or_default()
    }
}

/// Something that a user can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The appliance, with the value to give it.
    Appliance(&'static str),
    /// Directories of elements.
    ElementsPath,
    /// Type of the root filesystem, with the value to give it.
    FsType(&'static str),
    /// Size of the disk.
    ImageSize,
    /// Size of the disk, or what is added to that of the tree.
    ImageRoom,
    /// Size of the journal.
    JournalSize,
    /// Name of the image.
    Output,
    /// Directory for temporary trees.
    TmpDir,
}

impl Setting {
    fn text(self, syntax: Syntax) -> String {
        let (usual, virt_dib) = match self {
            Setting::Appliance(value) => {
                let variable = format!("DIB_APPLIANCE={value}");
                return match syntax {
                    Syntax::DiskImageCreate => format!("--appliance {value}"),
                    Syntax::VirtDib => variable,
                };
            }
            Setting::FsType(value) => {
                return match syntax {
                    Syntax::DiskImageCreate => format!("FS_TYPE={value}"),
                    Syntax::VirtDib => format!("--fs-type {value}"),
                }
            }
            Setting::ElementsPath => ("ELEMENTS_PATH", "-p"),
            Setting::ImageSize => ("--image-size (DIB_IMAGE_SIZE, in GiB)", "--size"),
            Setting::ImageRoom => (
                "--image-size (DIB_IMAGE_SIZE, in GiB) or DIB_IMAGE_EXTRA_SIZE (in MiB)",
                "--size",
            ),
            Setting::JournalSize => (
                "--mkfs-journal-size (DIB_JOURNAL_SIZE, in MiB)",
                "--envvar DIB_JOURNAL_SIZE=MIB",
            ),
            Setting::Output => ("-o", "--name"),
            Setting::TmpDir => (temporary(), "LIBGUESTFS_TMPDIR"),
        };
        match syntax {
            Syntax::DiskImageCreate => usual.to_owned(),
            Syntax::VirtDib => virt_dib.to_owned(),
        }
    }

    /// Advice for a full filesystem of a build.
    pub fn more_room() -> String {
        format!("set {} to a directory with more room", Setting::TmpDir)
    }

    /// Advice for a file that the caller's limit on the size of files forbids.
    pub fn larger_files() -> String {
        "raise the limit on the size of files before the build: ulimit -f unlimited, or \
         LimitFSIZE=infinity of a systemd unit"
            .to_owned()
    }

    /// Advice for a build in the root directory: hooks have one of their own.
    pub const NOT_IN_ROOT: &str =
        "a build cannot run in /: start it in a directory of its own (Kubernetes: workingDir)";

    /// Advice for a directory of the caller in which nothing can be made;
    /// `instead` names another one.
    pub fn writable(directory: &Path, source: &io::Error, instead: &str) -> String {
        let directory = directory.display();
        match source.kind() {
            io::ErrorKind::NotFound => format!("create {directory}, or {instead}"),
            io::ErrorKind::StorageFull => {
                format!("free space on the filesystem of {directory}, or {instead}")
            }
            io::ErrorKind::PermissionDenied => {
                format!("let yourself write to {directory}, or {instead}")
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                format!(
                    "mount the filesystem of {directory} so that it can be written, or {instead}"
                )
            }
            _ => format!("look at {directory}, or {instead}"),
        }
    }
}

/// The variable that decides: a caller's `TMPDIR` goes before `TMP_DIR`.
fn temporary() -> &'static str {
    match std::env::var_os("TMPDIR") {
        Some(given) if !given.is_empty() => "TMPDIR",
        _ => "TMP_DIR",
    }
}

impl Display for Setting {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str(&self.text(Syntax::spoken()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_its_own_words() {
        let both = |setting: Setting| {
            [Syntax::DiskImageCreate, Syntax::VirtDib].map(|syntax| setting.text(syntax))
        };
        assert_eq!(
            both(Setting::Appliance("microvm")),
            ["--appliance microvm", "DIB_APPLIANCE=microvm"]
        );
        assert_eq!(both(Setting::Output), ["-o", "--name"]);
        assert_eq!(both(Setting::ElementsPath), ["ELEMENTS_PATH", "-p"]);
        assert_eq!(
            both(Setting::FsType("ext4")),
            ["FS_TYPE=ext4", "--fs-type ext4"]
        );
    }
}
