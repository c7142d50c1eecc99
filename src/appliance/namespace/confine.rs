//! What hooks are not given, although they are root in their namespaces: the
//! capabilities and system calls that no element needs and that reach for the
//! host's kernel, processes without end, and waiting for the host's disks.

use std::fs;
use std::io;

use nix::libc;
use nix::sys::resource::{getrlimit, setrlimit, Resource};

use super::sys;
use crate::seccomp::{argument, Program, ARCH, ARCHITECTURE, NUMBER};

/// Processes and threads of a build, at most.
const PROCESSES: u64 = 8192;
/// How much sooner than others hooks are killed when the host's memory is full:
/// in thousandths of it.
const OOM_SCORE: i32 = 500;

/// `CAP_*` of linux/capability.h that hooks keep. Without CAP_NET_ADMIN the
/// routes stay as pid 1 made them; without CAP_SYS_BOOT reboot(2) kills nobody.
/// The rest of what is left out means nothing in a user namespace but to the
/// kernel's next bug.
const KEPT: &[u32] = &[
    0,  // CHOWN
    1,  // DAC_OVERRIDE
    2,  // DAC_READ_SEARCH
    3,  // FOWNER
    4,  // FSETID
    5,  // KILL
    6,  // SETGID
    7,  // SETUID
    8,  // SETPCAP
    9,  // LINUX_IMMUTABLE
    10, // NET_BIND_SERVICE
    13, // NET_RAW
    14, // IPC_LOCK
    15, // IPC_OWNER
    18, // SYS_CHROOT
    19, // SYS_PTRACE
    21, // SYS_ADMIN
    23, // SYS_NICE
    24, // SYS_RESOURCE
    27, // MKNOD
    28, // LEASE
    29, // AUDIT_WRITE
    31, // SETFCAP
];

/// Calls that answer as if the kernel had none of them.
const ABSENT: &[libc::c_long] = &[
    // Keyrings are the caller's, whatever the namespace.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // Any file of a filesystem, whatever is mounted of it.
    libc::SYS_open_by_handle_at,
    // Much of the kernel for few users.
    libc::SYS_bpf,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    // The host's affairs.
    libc::SYS_acct,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_quotactl,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_vhangup,
];

/// The same in programs of 32 bits, which the kernel numbers otherwise.
#[cfg(target_arch = "x86_64")]
const ABSENT_32: &[libc::c_long] = &[
    286, 288, 287, 342, 357, 426, 427, 425, 336, 374, 51, 129, 350, 128, 101, 110, 283, 131, 115,
    87, 111,
];
/// The same in programs of 32 bits, which the kernel numbers otherwise.
#[cfg(target_arch = "aarch64")]
const ABSENT_32: &[libc::c_long] = &[
    309, 311, 310, 371, 386, 426, 427, 425, 364, 388, 51, 129, 379, 128, 401, 347, 131, 115, 87,
    111,
];

/// Calls that wait until a disk has everything: of this build, which is thrown
/// away but for its outputs, and those are the driver's to sync; sync(2) waits
/// for all that the host's other processes have written, too. They succeed at
/// once.
const SYNCS: &[libc::c_long] = &[
    libc::SYS_fdatasync,
    libc::SYS_fsync,
    libc::SYS_msync,
    libc::SYS_sync,
    libc::SYS_sync_file_range,
    libc::SYS_syncfs,
];

/// The same in programs of 32 bits.
#[cfg(target_arch = "x86_64")]
const SYNCS_32: &[libc::c_long] = &[148, 118, 144, 36, 314, 344];
/// The same in programs of 32 bits.
#[cfg(target_arch = "aarch64")]
const SYNCS_32: &[libc::c_long] = &[148, 118, 144, 36, 341, 373];

/// The calls that matter, as one kind of program numbers them.
struct Calls {
    architecture: u32,
    absent: &'static [libc::c_long],
    syncs: &'static [libc::c_long],
    ioctl: libc::c_long,
    socket: libc::c_long,
    /// Bit of the number that marks calls of the x32 kind, if there are such.
    x32: Option<u32>,
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const KINDS: &[Calls] = &[
    Calls {
        architecture: ARCHITECTURE,
        absent: ABSENT,
        syncs: SYNCS,
        ioctl: libc::SYS_ioctl,
        socket: libc::SYS_socket,
        x32: if cfg!(target_arch = "x86_64") {
            Some(0x4000_0000)
        } else {
            None
        },
    },
    Calls {
        // AUDIT_ARCH_I386, AUDIT_ARCH_ARM
        architecture: if cfg!(target_arch = "x86_64") {
            0x4000_0003
        } else {
            0x4000_0028
        },
        absent: ABSENT_32,
        syncs: SYNCS_32,
        ioctl: 54,
        socket: if cfg!(target_arch = "x86_64") {
            359
        } else {
            281
        },
        x32: None,
    },
];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const KINDS: &[Calls] = &[];

/// `ioctl` requests that type, or paste, into a terminal: TIOCSTI, TIOCLINUX.
const TYPING: &[u32] = &[0x5412, 0x541c];

/// Lowers what the processes that this one starts may use. To be called before
/// the hooks' user namespace is made: the kernel counts all processes of it,
/// whatever their ids, against the limit at that moment.
///
/// # Errors
/// Whatever the kernel gives.
pub(super) fn limit() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NPROC)?;
    let processes = hard.min(PROCESSES);
    setrlimit(Resource::RLIMIT_NPROC, processes, processes)?;
    let file = "/proc/self/oom_score_adj";
    let score = fs::read_to_string(file)?.trim().parse().unwrap_or(0);
    match score < OOM_SCORE {
        true => fs::write(file, OOM_SCORE.to_string()),
        false => Ok(()),
    }
}

/// Takes capabilities and system calls from this process and all that it
/// starts, for good. To be called last before the agent is executed; without
/// no_new_privs the filter would need more rights.
///
/// # Errors
/// Whatever the kernel gives.
pub(super) fn confine() -> io::Result<()> {
    for capability in 0..64 {
        if KEPT.contains(&capability) {
            continue;
        }
        match sys::prctl(libc::PR_CAPBSET_DROP, capability.into()) {
            // the kernel's last one was before
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            other => other?,
        }
    }
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    if KINDS.is_empty() {
        return Ok(());
    }
    // without this flag, kernels before 5.16 slow every process down
    program().install(libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW)?;
    Ok(())
}

fn program() -> Program {
    let mut program = Program::default();
    for kind in KINDS {
        let calls = calls(kind);
        program
            .load(ARCH)
            .if_equal(kind.architecture, 0, calls.len() as u8)
            .append(&calls);
    }
    program.answer(libc::SECCOMP_RET_ALLOW);
    program
}

/// The part for one kind of program; it answers in any case.
fn calls(kind: &Calls) -> Program {
    let mut part = Program::default();
    if let Some(bit) = kind.x32 {
        part.load(NUMBER)
            .mask(bit)
            .if_equal(bit, 0, 1)
            .refuse(libc::ENOSYS);
    }
    part.load(NUMBER);
    for number in kind.absent {
        part.if_equal(*number as u32, 0, 1).refuse(libc::ENOSYS);
    }
    for number in kind.syncs {
        part.if_equal(*number as u32, 0, 1).succeed();
    }
    // The hypervisor's sockets know no network namespace.
    part.if_equal(kind.socket as u32, 0, 4)
        .load(argument(0))
        .if_equal(libc::AF_VSOCK as u32, 0, 1)
        .refuse(libc::EAFNOSUPPORT)
        .answer(libc::SECCOMP_RET_ALLOW);
    part.if_equal(kind.ioctl as u32, 0, 1 + 2 * TYPING.len() as u8)
        .load(argument(1));
    for request in TYPING {
        part.if_equal(*request, 0, 1).refuse(libc::EPERM);
    }
    part.answer(libc::SECCOMP_RET_ALLOW);
    part
}
