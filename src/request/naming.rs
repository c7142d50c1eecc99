//! Names of outputs: extensions, and where the image goes.

use std::path::{Path, PathBuf};

use super::{BuildRequest, OutputFormat};

/// Directory and base name of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePath {
    /// Absolute directory.
    pub directory: PathBuf,
    /// Last component of `IMAGE_NAME`.
    pub base_name: String,
}

impl OutputFormat {
    /// Extension of the file that the format leaves; `None` for docker
    /// (compat 7.002: squashfs files are called `.squash`).
    pub fn extension(&self) -> Option<&str> {
        Some(match self {
            OutputFormat::Tar => "tar",
            OutputFormat::Tgz => "tgz",
            OutputFormat::Squashfs => "squash",
            OutputFormat::Aci => "aci",
            OutputFormat::Docker => return None,
            OutputFormat::Raw => "raw",
            OutputFormat::Qcow2 => "qcow2",
            OutputFormat::Vhd => "vhd",
            OutputFormat::QemuImg(name) => name,
        })
    }

    /// The name as it is given with `-t`.
    pub fn name(&self) -> &str {
        match self {
            OutputFormat::Squashfs => "squashfs",
            other => other.extension().unwrap_or("docker"),
        }
    }

    /// What `qemu-img convert -O` calls it, for formats that qemu-img makes.
    pub fn qemu_img_name(&self) -> Option<&str> {
        match self {
            OutputFormat::Qcow2 => Some("qcow2"),
            OutputFormat::QemuImg(name) => Some(name),
            _ => None,
        }
    }

    /// Upstream packs it from the mounted target, before `no-final-image`
    /// elements have a say; tgz is not among them.
    pub fn is_packed_from_tree(&self) -> bool {
        matches!(
            self,
            OutputFormat::Tar | OutputFormat::Aci | OutputFormat::Squashfs | OutputFormat::Docker
        )
    }
}

impl BuildRequest {
    /// Where the image goes: `IMAGE_NAME` below the caller's directory.
    pub fn image_path(&self) -> ImagePath {
        ImagePath {
            directory: self.image_directory.clone(),
            base_name: Path::new(&self.image_name)
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
        }
    }
}
