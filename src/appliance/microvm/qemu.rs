//! qemu's command line and process.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::fcntl::{fcntl, FcntlArg, FdFlag};
use nix::sys::signal::Signal;

use super::ids::Ids;
use super::setup::Export;
use super::{cache, network, Error, Machine};
use crate::appliance::HelperDisk;
use crate::protocol::machine::{HELPER_DRIVE, IMAGE_DISK, PORT_NAME, ROOT_DISK, SCRATCH_DISK};

/// The program.
pub(super) fn find(machine: &Machine) -> Result<PathBuf, Error> {
    if let Some(program) = &machine.hypervisor {
        return Ok(program.clone());
    }
    cache::need_program("qemu-system-x86_64", "qemu-system-x86", "to run it")
}

/// What executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accel {
    Kvm,
    Tcg,
}

/// What a machine is made of.
pub(super) struct Parts<'a> {
    pub(super) accel: Accel,
    pub(super) memory_mib: u64,
    pub(super) processors: u32,
    pub(super) kernel: &'a Path,
    pub(super) initrd: &'a Path,
    /// Directory with `root`.
    pub(super) root: &'a Path,
    pub(super) scratch: &'a Path,
    /// The image's disk.
    pub(super) image: Option<&'a Path>,
    /// The disk that outlives the machine.
    pub(super) helper: Option<&'a HelperDisk>,
    pub(super) exports: &'a [Export],
    /// qemu's end of the agent's channel.
    pub(super) channel: RawFd,
    pub(super) card: Option<Card>,
}

/// What the machine's network card is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Card {
    /// The other end of this descriptor's socket.
    Socket(RawFd),
    /// qemu's own network. It maps the gateway to the host's loopback, and has no
    /// setting against that.
    User,
}

/// The guest kernel's command line. A panic ends the machine at once
/// (`-no-reboot`); a machine without an agent is of no use either. The kernel's
/// tests of its own cryptography take TCG a quarter of a second, and tracing
/// nobody's events a tenth. What follows the dashes is for pid 1, and so is
/// every word before them that the kernel does not know.
const KERNEL_LINE: &str = "console=ttyS0 rdinit=/safedib panic=-1 quiet loglevel=4 \
    no_timer_check tsc=reliable random.trust_cpu=on mitigations=off cryptomgr.notests \
    initcall_blacklist=init_kprobe_trace,load_system_certificate_list \
    selinux=0 apparmor=0 audit=0 net.ifnames=0 -- vm-init";

/// The arguments of qemu.
pub(super) fn arguments(parts: &Parts) -> Vec<OsString> {
    let (accel, processor) = match parts.accel {
        Accel::Kvm => ("kvm", "host"),
        Accel::Tcg => ("tcg", "max"),
    };
    let mut list = Arguments(Vec::new());
    list.words("-nodefaults -no-user-config -no-reboot -display none");
    list.words("-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    list.words(&format!(
        "-machine q35,accel={accel},usb=off,vmport=off,hpet=off,smbus=off,sata=off"
    ));
    list.words(&format!(
        "-cpu {processor} -smp {} -m {}M",
        parts.processors, parts.memory_mib
    ));
    list.words("-serial stdio");
    list.path("-kernel", "", parts.kernel, "");
    list.path("-initrd", "", parts.initrd, "");
    list.0.extend(["-append".into(), KERNEL_LINE.into()]);
    // Many builds start from one root, so writes to it go to a file of qemu's
    // without a name.
    list.drive(
        ROOT_DISK,
        &parts.root.join("root"),
        "raw",
        "cache=unsafe,snapshot=on",
    );
    // A disk that is full must not stop the machine: the guest sees an error.
    let plain = "cache=unsafe,discard=unmap,werror=report,rerror=report";
    list.drive(SCRATCH_DISK, parts.scratch, "raw", plain);
    if let Some(image) = parts.image {
        list.drive(IMAGE_DISK, image, "raw", plain);
    }
    if let Some(helper) = parts.helper {
        // qemu is killed in the end, and with an unsafe cache a flush of the
        // guest's would leave tables of a qcow2 file in its memory.
        let kept = "cache=writeback,discard=unmap,werror=report,rerror=report";
        list.drive(HELPER_DRIVE, &helper.file, &helper.format, kept);
    }
    list.words("-device virtio-serial-pci");
    list.words(&format!("-chardev socket,id=agent,fd={}", parts.channel));
    list.words(&format!(
        "-device virtserialport,chardev=agent,name={PORT_NAME}"
    ));
    for Export {
        tag,
        path,
        writable,
    } in parts.exports
    {
        let access = if *writable { "" } else { ",readonly=on" };
        let after = format!(",security_model=none,multidevs=remap{access}");
        list.path("-fsdev", &format!("local,id={tag},path="), path, &after);
        list.words(&format!(
            "-device virtio-9p-pci,fsdev={tag},mount_tag={tag}"
        ));
    }
    if let Some(card) = parts.card {
        list.words(&match card {
            Card::Socket(number) => {
                format!("-netdev stream,id=net,server=off,addr.type=fd,addr.str={number}")
            }
            Card::User => network::of_qemu(),
        });
        // Without a ROM: nobody boots from the network.
        list.words("-device virtio-net-pci,netdev=net,romfile=");
    }
    list.0
}

struct Arguments(Vec<OsString>);

impl Arguments {
    fn words(&mut self, words: &str) {
        self.0.extend(words.split(' ').map(OsString::from));
    }

    /// An option with a path in it, in which commas are written twice; the
    /// options that take nothing but a path have no such rule.
    fn path(&mut self, option: &str, before: &str, path: &Path, after: &str) {
        let mut value = OsString::from(before).into_vec();
        for byte in path.as_os_str().as_bytes() {
            value.push(*byte);
            if *byte == b',' && !before.is_empty() {
                value.push(b',');
            }
        }
        value.extend_from_slice(after.as_bytes());
        self.0.extend([option.into(), OsString::from_vec(value)]);
    }

    /// Inside, a disk is found by its name, which is its serial number.
    fn drive(&mut self, name: &str, path: &Path, format: &str, more: &str) {
        let after = format!(",format={format},if=none,id={name},{more}");
        self.path("-drive", "file=", path, &after);
        self.words(&format!(
            "-device virtio-blk-pci,drive={name},serial={name}"
        ));
    }
}

/// Starts qemu. It is killed when the calling thread ends.
///
/// `temporary` is where its file without a name lies.
pub(super) fn spawn(
    program: &Path,
    arguments: &[OsString],
    descriptors: &[RawFd],
    temporary: &Path,
    ids: &Ids,
) -> Result<Child, Error> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TMPDIR", temporary)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    pass_descriptors(&mut command, descriptors);
    ids.spawn(command)
        .map_err(Error::io(format!("starting {}", program.display())))
}

/// Passes descriptors on under their numbers, in a session of its own, because
/// Ctrl-C is for the driver to handle, and ties the child's life to ours.
pub fn pass_descriptors(command: &mut Command, descriptors: &[RawFd]) {
    let descriptors = descriptors.to_vec();
    // SAFETY: only system calls on numbers and memory made before the fork.
    unsafe {
        command.pre_exec(move || {
            for fd in &descriptors {
                let fd = std::os::fd::BorrowedFd::borrow_raw(*fd);
                fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
            }
            // Fails only for the leader of a group, which a fork is not.
            let _ = nix::unistd::setsid();
            Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?)
        });
    }
}

/// Number of a descriptor, for the command line.
pub(super) fn number(fd: &impl AsRawFd) -> RawFd {
    fd.as_raw_fd()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(arguments: &[OsString]) -> String {
        let words = arguments.iter().map(|word| word.to_string_lossy());
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn qemus_own_network_lets_nobody_in() {
        let line = network::of_qemu();
        assert!(line.contains("host=10.0.2.2,dns=10.0.2.3"), "{line}");
        assert!(!line.contains("fwd"), "{line}");
    }

    #[test]
    fn paths_cannot_become_options() {
        let export = Export {
            tag: "share0".into(),
            path: "/srv/a,readonly=off".into(),
            writable: false,
        };
        let parts = Parts {
            accel: Accel::Tcg,
            memory_mib: 512,
            processors: 2,
            kernel: Path::new("/c/vmlinux"),
            initrd: Path::new("/t/x,y/initrd"),
            root: Path::new("/c"),
            scratch: Path::new("/t/x,y/scratch.raw"),
            image: None,
            helper: Some(&HelperDisk {
                file: "/t/x,y/helper".into(),
                format: "qcow2".into(),
            }),
            exports: &[export],
            channel: 7,
            card: None,
        };
        let line = shown(&arguments(&parts));
        assert!(
            line.contains(
                "path=/srv/a,,readonly=off,security_model=none,multidevs=remap,readonly=on"
            ),
            "{line}"
        );
        assert!(
            line.contains("file=/t/x,,y/scratch.raw,format=raw"),
            "{line}"
        );
        assert!(
            line.contains("file=/t/x,,y/helper,format=qcow2,if=none,id=helper,cache=writeback"),
            "{line}"
        );
        assert!(!line.contains("-netdev"), "{line}");
        assert!(
            line.contains("-nodefaults") && line.contains("-sandbox on"),
            "{line}"
        );
    }
}
