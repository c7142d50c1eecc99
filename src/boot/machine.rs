//! qemu's command line and process.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::accel::Accel;
use super::firmware::{Flash, Uefi};
use super::image::Image;
use super::{Arch, Error, Kernel, NetworkKind, Options};
use crate::appliance::microvm::{self, Network};

/// What starts the machine.
pub(super) enum Boot<'a> {
    Bios,
    Efi(Uefi),
    Kernel(&'a Kernel),
}

/// What a machine is made of.
pub(super) struct Parts<'a> {
    pub(super) options: &'a Options,
    pub(super) accel: Accel,
    pub(super) boot: Boot<'a>,
    pub(super) image: Option<&'a Image>,
}

/// The card that a ramdisk may be told to boot from (`BOOTIF`).
const MAC: &str = "52:54:00:12:34:56";

/// The program.
pub(super) fn find(arch: Arch) -> Result<PathBuf, Error> {
    let program = format!("qemu-system-{}", arch.name());
    microvm::find_program(&program).ok_or(Error::NoProgram {
        program,
        package: match arch {
            Arch::X86_64 => "qemu-system-x86",
            Arch::Aarch64 => "qemu-system-arm",
        },
    })
}

/// The arguments of qemu. Every file is read only: what the guest writes goes to a
/// file without a name, below `TMPDIR`.
fn arguments(parts: &Parts, card: Option<&UnixStream>) -> Vec<OsString> {
    let options = parts.options;
    let mut list = List(Vec::new());
    list.words("-nodefaults -no-user-config -no-reboot -display none");
    list.words("-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    let (machine, processor) = match (options.arch, parts.accel) {
        // Without graphics the BIOS and what it loads talk to the serial port, too.
        (Arch::X86_64, Accel::Kvm) => ("q35,graphics=off", "host"),
        (Arch::X86_64, Accel::Tcg) => ("q35,graphics=off", "max"),
        (Arch::Aarch64, Accel::Kvm) => ("virt", "host"),
        (Arch::Aarch64, Accel::Tcg) => ("virt", "max"),
    };
    let accel = parts.accel.name();
    list.words(&format!(
        "-machine {machine},accel={accel} -cpu {processor}"
    ));
    let processors = options.processors.map_or_else(
        || parts.accel.processors().to_string(),
        |count| count.to_string(),
    );
    list.words(&format!("-smp {processors} -m {}M", options.memory_mib));
    if options.arch == Arch::X86_64 {
        list.words("-vga std");
    }
    list.words("-chardev stdio,id=console,signal=off -serial chardev:console");
    list.words("-object rng-random,id=random,filename=/dev/urandom");
    list.words("-device virtio-rng-pci,rng=random");
    match &parts.boot {
        Boot::Bios => {}
        Boot::Efi(uefi) => {
            list.flash(0, &uefi.code);
            if let Some(variables) = &uefi.variables {
                list.flash(1, variables);
            }
        }
        Boot::Kernel(kernel) => list.kernel(kernel, options.arch),
    }
    if let Some(image) = parts.image {
        let after = format!(
            ",format={},if=none,id=disk,snapshot=on,cache=unsafe",
            image.format
        );
        list.path("-drive", "file=", &image.file, &after);
        let sector = image.sector();
        list.words(&format!(
            "-device virtio-blk-pci,drive=disk,logical_block_size={sector},physical_block_size={sector}"
        ));
    }
    match (options.network, card) {
        (NetworkKind::None, _) | (NetworkKind::Outbound, None) => {}
        (NetworkKind::Isolated, _) => list.card("user,id=net,restrict=on"),
        (NetworkKind::Outbound, Some(card)) => list.card(&format!(
            "stream,id=net,server=off,addr.type=fd,addr.str={}",
            card.as_raw_fd()
        )),
    }
    list.0
}

struct List(Vec<OsString>);

impl List {
    fn words(&mut self, words: &str) {
        self.0.extend(words.split(' ').map(OsString::from));
    }

    /// An option with a path in it, in which commas are written twice.
    fn path(&mut self, option: &str, before: &str, path: &Path, after: &str) {
        let mut value = OsString::from(before);
        let bytes = path.as_os_str().as_encoded_bytes();
        for (number, part) in bytes.split(|byte| *byte == b',').enumerate() {
            if number > 0 {
                value.push(",,");
            }
            value.push(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(part));
        }
        value.push(after);
        self.0.extend([option.into(), value]);
    }

    fn flash(&mut self, unit: u8, flash: &Flash) {
        let before = format!(
            "if=pflash,unit={unit},format={},snapshot=on,file=",
            flash.format
        );
        self.path("-drive", &before, &flash.filename, "");
    }

    fn kernel(&mut self, kernel: &Kernel, arch: Arch) {
        let console = match arch {
            Arch::X86_64 => "ttyS0",
            Arch::Aarch64 => "ttyAMA0",
        };
        self.0
            .extend(["-kernel".into(), kernel.file.clone().into()]);
        if let Some(initramfs) = &kernel.initramfs {
            self.0.extend(["-initrd".into(), initramfs.clone().into()]);
        }
        // The last console that is named is the one of programs.
        let line = format!("console={console} {}", kernel.append);
        self.0.extend(["-append".into(), line.trim_end().into()]);
    }

    fn card(&mut self, leads_to: &str) {
        self.words(&format!("-netdev {leads_to}"));
        // Without a ROM: nobody boots from the network.
        self.words(&format!(
            "-device virtio-net-pci,netdev=net,romfile=,mac={MAC}"
        ));
    }
}

/// A running machine; it ends with the value, and with the thread that started it.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) child: Child,
    _network: Option<Network>,
}

impl Machine {
    /// Starts qemu, with its serial port at its standard input and output.
    ///
    /// # Errors
    /// qemu, or passt, cannot be started.
    pub(super) fn start(program: &Path, parts: &Parts) -> Result<Machine, Error> {
        let mut network = match parts.options.network {
            NetworkKind::Outbound => Some(Network::with_dhcp()?),
            _ => None,
        };
        let card = network.as_mut().and_then(Network::take_card);
        let passed: Vec<_> = card.iter().map(AsRawFd::as_raw_fd).collect();
        let mut command = Command::new(program);
        command
            .args(arguments(parts, card.as_ref()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        microvm::pass_descriptors(&mut command, &passed);
        let child = command
            .spawn()
            .map_err(Error::io(format!("start {}", program.display())))?;
        Ok(Machine {
            child,
            _network: network,
        })
    }

    /// Ends it; how it has ended by itself, if it has.
    pub(super) fn end(&mut self, by_itself: bool) -> Option<ExitStatus> {
        if by_itself {
            return self.child.wait().ok();
        }
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        None
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::{AccelChoice, Firmware};
    use std::time::Duration;

    fn options(network: NetworkKind, arch: Arch) -> Options {
        Options {
            image: None,
            format: None,
            kernel: None,
            firmware: None::<Firmware>,
            arch,
            accel: AccelChoice::Tcg,
            memory_mib: 512,
            processors: None,
            network,
            script: Vec::new(),
            timeout: Duration::ZERO,
        }
    }

    fn line(options: &Options, boot: Boot, accel: Accel) -> String {
        let parts = Parts {
            options,
            accel,
            boot,
            image: None,
        };
        let words = arguments(&parts, None);
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn flash_is_never_written_and_commas_are_no_options() {
        let flash = |name: &str, format: &str| Flash {
            filename: name.into(),
            format: format.into(),
        };
        let uefi = Uefi {
            code: flash("/f/a,readonly=off", "qcow2"),
            variables: Some(flash("/f/vars", "raw")),
        };
        let options = options(NetworkKind::None, Arch::X86_64);
        let line = line(&options, Boot::Efi(uefi), Accel::Tcg);
        for expected in [
            "if=pflash,unit=0,format=qcow2,snapshot=on,file=/f/a,,readonly=off",
            "if=pflash,unit=1,format=raw,snapshot=on,file=/f/vars",
            "-smp 1 ",
            "accel=tcg",
            "-sandbox on",
        ] {
            assert!(line.contains(expected), "{expected}: {line}");
        }
        assert!(!line.contains("-netdev"), "{line}");
    }

    #[test]
    fn each_architecture_has_its_machine_and_console() {
        let kernel = Kernel {
            file: "k".into(),
            initramfs: Some("i".into()),
            append: "quiet".into(),
        };
        let isolated = options(NetworkKind::Isolated, Arch::Aarch64);
        let arm = line(&isolated, Boot::Kernel(&kernel), Accel::Tcg);
        assert!(arm.contains("-machine virt,accel=tcg -cpu max"), "{arm}");
        assert!(
            arm.contains("-kernel k -initrd i -append console=ttyAMA0 quiet"),
            "{arm}"
        );
        assert!(
            arm.contains("restrict=on") && !arm.contains("-vga"),
            "{arm}"
        );
        let pc = line(
            &options(NetworkKind::None, Arch::X86_64),
            Boot::Bios,
            Accel::Kvm,
        );
        assert!(
            pc.contains("-machine q35,graphics=off,accel=kvm -cpu host"),
            "{pc}"
        );
    }
}
