//! Why an image cannot be booted.

use std::io;
use std::path::PathBuf;

use thiserror::Error as ThisError;

use super::Arch;
use crate::appliance::microvm;
use crate::error::Explain;

/// What keeps a machine from starting.
#[derive(Debug, ThisError)]
pub enum Error {
    /// Neither an image nor a kernel.
    #[error("there is nothing to boot")]
    Nothing,
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// qemu-img does not take it for a disk.
    #[error("{} is no disk image: {message}", path.display())]
    NoImage {
        /// The file.
        path: PathBuf,
        /// What qemu-img says.
        message: String,
    },
    /// The image is made of other files, which the guest would read.
    #[error("{} refers to another file, {other}", path.display())]
    Refers {
        /// The image.
        path: PathBuf,
        /// What it names.
        other: String,
    },
    /// A filesystem without a disk around it, or an archive.
    #[error("{} has no partition table: no firmware can start it", .0.display())]
    NoTable(PathBuf),
    /// A disk without a boot loader.
    #[error("{} has {has}: no firmware of {} can start it", path.display(), arch.name())]
    NoLoader {
        /// The image.
        path: PathBuf,
        /// What there is.
        has: String,
        /// The machine's architecture.
        arch: Arch,
    },
    /// The architecture has no BIOS.
    #[error("machines of {} have no BIOS", .0.name())]
    NoBios(Arch),
    /// No firmware for UEFI is installed.
    #[error("no UEFI firmware for {} is installed (in {searched})", arch.name())]
    NoFirmware {
        /// The machine's architecture.
        arch: Arch,
        /// Where descriptors were looked for.
        searched: String,
    },
    /// A program is missing.
    #[error("this host does not have {program}")]
    NoProgram {
        /// The program.
        program: String,
        /// Debian's package.
        package: &'static str,
    },
    /// The network cannot be had.
    #[error(transparent)]
    Machine(#[from] microvm::Error),
    /// qemu gave up.
    #[error("qemu ended ({how}){}", if said.is_empty() { String::new() } else { format!(": {said}") })]
    Qemu {
        /// How.
        how: String,
        /// What it said.
        said: String,
    },
    /// Any other operation on this host.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    /// An error of something that reads as "cannot WHAT".
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source }
    }
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Nothing => "safedib boot image.qcow2, or safedib boot ramdisk.kernel".into(),
            Error::Unreadable { path, .. } => {
                let kernel = PathBuf::from(format!("{}.kernel", path.display()));
                let image = PathBuf::from(format!("{}.qcow2", path.display()));
                let found = [kernel, image].into_iter().find(|file| file.is_file());
                return found.map(|file| format!("there is {}", file.display()));
            }
            Error::NoImage { .. } => "name its format with --format, if it is one".into(),
            Error::Refers { path, .. } => format!(
                "make one file of them, if you trust it: qemu-img convert -O qcow2 {} flat.qcow2",
                path.display()
            ),
            Error::NoTable(_) => "build it with the element vm, which makes a disk with a boot \
                loader; or start it with --kernel FILE --initramfs FILE --append root=..."
                .into(),
            Error::NoLoader { .. } => "build it with the element vm, or bootloader; if it was \
                built with -a, give that to boot, too; --firmware bios or efi tries all the same"
                .into(),
            Error::NoBios(_) => "leave --firmware out".into(),
            Error::NoFirmware { arch, .. } => match arch {
                Arch::X86_64 => "apt-get install ovmf".into(),
                Arch::Aarch64 => "apt-get install qemu-efi-aarch64".into(),
            },
            Error::NoProgram { package, .. } => format!("apt-get install {package}"),
            Error::Machine(error) => return error.hint(),
            _ => return None,
        })
    }

    fn exit_code(&self) -> u8 {
        2
    }
}
