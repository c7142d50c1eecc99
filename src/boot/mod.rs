//! Boots an image: finds out what it is and which firmware starts it, and carries
//! its serial console to whoever called. Nothing is ever written to the image.
//!
//! * `image` asks qemu-img, `table` reads partition tables,
//! * `firmware` reads the descriptors that distributions install,
//! * `machine` is qemu's command line and process,
//! * `script` knows what is expected of a console, `console` carries its bytes,
//!   `plain` takes out of them what a terminal would obey.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

mod accel;
mod console;
mod error;
mod firmware;
mod image;
mod machine;
mod plain;
mod script;
mod table;

use std::path::PathBuf;
use std::time::Duration;

pub use accel::AccelChoice;
pub use console::Ended;
pub use error::Error;
pub use script::Talk;

use image::Image;
use machine::{Boot, Machine, Parts};

/// What is booted, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// A disk image; with a kernel it is a further disk.
    pub image: Option<PathBuf>,
    /// Its format, in qemu's words; `None` looks at it.
    pub format: Option<String>,
    /// A kernel that is started in place of what the image would start.
    pub kernel: Option<Kernel>,
    /// What starts the image; `None` looks at it.
    pub firmware: Option<Firmware>,
    /// Architecture of the machine.
    pub arch: Arch,
    /// What executes its instructions.
    pub accel: AccelChoice,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Processors; `None`: one without KVM, else up to four.
    pub processors: Option<u32>,
    /// What its network card leads to.
    pub network: NetworkKind,
    /// What is expected of the console and typed there, in order; nothing connects
    /// the console with the caller.
    pub script: Vec<Talk>,
    /// How long all of that may take.
    pub timeout: Duration,
}

/// A kernel with its initramfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The kernel.
    pub file: PathBuf,
    /// Its initramfs.
    pub initramfs: Option<PathBuf>,
    /// Words for its command line, after the console.
    pub append: String,
}

/// What starts a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS: the boot code of the disk.
    Bios,
    /// UEFI: the loader on the EFI system partition.
    Efi,
}

/// An architecture that machines can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit PCs.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Arch {
    /// By a name of it, those of Debian included.
    pub fn named(name: &str) -> Option<Arch> {
        match name {
            "x86_64" | "amd64" => Some(Arch::X86_64),
            "aarch64" | "arm64" => Some(Arch::Aarch64),
            _ => None,
        }
    }

    /// This host's, if machines can have it.
    pub fn of_host() -> Option<Arch> {
        Arch::named(std::env::consts::ARCH)
    }

    /// As qemu spells it.
    pub fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
        }
    }
}

/// What a network card of the machine leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkKind {
    /// There is no card.
    None,
    /// A DHCP server, and nothing else.
    Isolated,
    /// Wherever the caller can connect to, but for this host's loopback.
    Outbound,
}

/// Boots, and stays until the machine or the talk is over. `say` gets a line for
/// what was chosen, and why.
///
/// # Errors
/// The image cannot be booted, or qemu does not run; nothing is left behind.
pub fn run(options: &Options, say: &mut dyn FnMut(&str)) -> Result<Ended, Error> {
    let image = options
        .image
        .as_deref()
        .map(|file| Image::open(file, options.format.as_deref()))
        .transpose()?;
    let boot = boot(options, image.as_ref(), say)?;
    let program = machine::find(options.arch)?;
    let accel = accel::choose(options, say)?;
    let parts = Parts {
        options,
        accel,
        boot,
        image: image.as_ref(),
    };
    let machine = Machine::start(&program, &parts)?;
    console::talk(machine, options)
}

fn readable(path: &PathBuf) -> Result<(), Error> {
    let opened = std::fs::File::open(path);
    opened.map(drop).map_err(|source| Error::Unreadable {
        path: path.clone(),
        source,
    })
}

/// What starts the machine.
fn boot<'a>(
    options: &'a Options,
    image: Option<&Image>,
    say: &mut dyn FnMut(&str),
) -> Result<Boot<'a>, Error> {
    if let Some(kernel) = &options.kernel {
        for path in [Some(&kernel.file), kernel.initramfs.as_ref()] {
            path.map_or(Ok(()), readable)?;
        }
        say(&format!(
            "{}: started by qemu itself",
            kernel.file.display()
        ));
        return Ok(Boot::Kernel(kernel));
    }
    let image = image.ok_or(Error::Nothing)?;
    let can = image.starts_by(options.arch);
    let (firmware, why) = match options.firmware {
        Some(given) => (given, "--firmware says so".to_owned()),
        None => match can.as_slice() {
            [] => return Err(image.why_not(options.arch)),
            [only] => (*only, image.describe()),
            // Of both, what new machines have.
            _ => match firmware::find(options.arch) {
                Ok(_) => (Firmware::Efi, image.describe()),
                Err(error) => (Firmware::Bios, format!("{}, but {error}", image.describe())),
            },
        },
    };
    if firmware == Firmware::Bios && options.arch != Arch::X86_64 {
        return Err(Error::NoBios(options.arch));
    }
    let name = match firmware {
        Firmware::Bios => "BIOS",
        Firmware::Efi => "UEFI",
    };
    say(&format!(
        "{} ({}): {name}: {why}",
        image.file.display(),
        image.format
    ));
    Ok(match firmware {
        Firmware::Bios => Boot::Bios,
        Firmware::Efi => Boot::Efi(firmware::find(options.arch)?),
    })
}
