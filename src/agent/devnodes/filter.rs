//! The seccomp filter that hands calls of mknod(2) for devices over.

use std::io;
use std::os::fd::OwnedFd;

use nix::libc;

use crate::seccomp::{argument, Program, ARCH, ARCHITECTURE, NUMBER};

/// A call whose mode argument is at this index.
const CALLS: &[(i64, u32)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
    (libc::SYS_mknodat, 2),
];

/// The program: everything is allowed, but a call of [`CALLS`] for a device
/// waits for the supervisor.
fn program() -> Program {
    let allow = libc::SECCOMP_RET_ALLOW;
    let mut program = Program::default();
    program
        .load(ARCH)
        .if_equal(ARCHITECTURE, 1, 0)
        .answer(allow)
        .load(NUMBER);
    for (number, mode) in CALLS {
        program
            .if_equal(*number as u32, 0, 6)
            .load(argument(*mode))
            .mask(libc::S_IFMT)
            .if_equal(libc::S_IFCHR, 1, 0)
            .if_equal(libc::S_IFBLK, 0, 1)
            .answer(libc::SECCOMP_RET_USER_NOTIF)
            .answer(allow);
    }
    program.answer(allow);
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
    // without the second flag, kernels before 5.16 slow every process down
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    let listener = program().install(flags)?;
    listener.ok_or_else(|| io::ErrorKind::Unsupported.into())
}
