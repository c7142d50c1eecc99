//! The seccomp filter that hands calls of mknod(2) for devices over.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::libc;

/// `AUDIT_ARCH_*` of linux/audit.h for what this program is compiled for.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: u32 = 0;

/// Offsets in `struct seccomp_data`; the low half of an argument comes first on
/// the architectures above.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// A call whose mode argument is at this index.
const CALLS: &[(i64, u32)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
    (libc::SYS_mknodat, 2),
];

fn statement(code: u32, value: u32) -> libc::sock_filter {
    jump(code, value, 0, 0)
}

fn jump(code: u32, value: u32, if_true: u8, if_false: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: if_true,
        jf: if_false,
        k: value,
    }
}

/// The program: everything is allowed, but a call of [`CALLS`] for a device
/// waits for the supervisor.
fn program() -> Vec<libc::sock_filter> {
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let mask = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let allow = statement(answer, libc::SECCOMP_RET_ALLOW);
    let mut program = vec![
        statement(load, ARCH),
        jump(equal, ARCHITECTURE, 1, 0),
        allow,
        statement(load, NUMBER),
    ];
    for (number, mode) in CALLS {
        program.extend([
            jump(equal, *number as u32, 0, 6),
            statement(load, ARGUMENTS + 8 * mode),
            statement(mask, libc::S_IFMT),
            jump(equal, libc::S_IFCHR, 1, 0),
            jump(equal, libc::S_IFBLK, 0, 1),
            statement(answer, libc::SECCOMP_RET_USER_NOTIF),
            allow,
        ]);
    }
    program.push(allow);
    program
}

/// Puts the calling thread, and all that it starts from now on, under the
/// filter; the descriptor on which waiting calls are announced.
///
/// # Errors
/// `EACCES` without CAP_SYS_ADMIN in the own user namespace, `EBUSY` if there
/// is a filter of this kind already, `EINVAL` before Linux 5.0, `Unsupported`
/// for other architectures.
pub(super) fn install() -> io::Result<OwnedFd> {
    if ARCHITECTURE == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut program = program();
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // without the second flag, kernels before 5.16 slow every process down
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // SAFETY: the kernel copies the program, which lives until after the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &filter as *const libc::sock_fprog,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
