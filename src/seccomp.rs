//! Programs for seccomp(2): which system calls go through, which are refused,
//! which wait for a supervisor.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::libc;

/// `AUDIT_ARCH_*` of linux/audit.h for what this program is compiled for; 0
/// where no filter is known.
#[cfg(target_arch = "x86_64")]
pub const ARCHITECTURE: u32 = 0xc000_003e;
/// As for x86_64.
#[cfg(target_arch = "aarch64")]
pub const ARCHITECTURE: u32 = 0xc000_00b7;
/// As for x86_64.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub const ARCHITECTURE: u32 = 0;

/// Offset of the number in `struct seccomp_data`.
pub const NUMBER: u32 = 0;
/// Offset of the architecture.
pub const ARCH: u32 = 4;

/// Offset of the low half of an argument, which comes first on the
/// architectures above.
pub const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// A program in the making. Jumps count the instructions that they leave out.
#[derive(Debug, Clone, Default)]
pub struct Program(Vec<libc::sock_filter>);

impl Program {
    fn push(&mut self, code: u32, value: u32, if_true: u8, if_false: u8) -> &mut Self {
        self.0.push(libc::sock_filter {
            code: code as u16,
            jt: if_true,
            jf: if_false,
            k: value,
        });
        self
    }

    /// Takes a word of `struct seccomp_data` into hand.
    pub fn load(&mut self, offset: u32) -> &mut Self {
        self.push(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
    }

    /// Keeps these bits of the word in hand.
    pub fn mask(&mut self, bits: u32) -> &mut Self {
        self.push(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, bits, 0, 0)
    }

    /// Leaves out `if_true` or `if_false` instructions.
    pub fn if_equal(&mut self, value: u32, if_true: u8, if_false: u8) -> &mut Self {
        let code = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        self.push(code, value, if_true, if_false)
    }

    /// Ends with `SECCOMP_RET_*`.
    pub fn answer(&mut self, answer: u32) -> &mut Self {
        self.push(libc::BPF_RET | libc::BPF_K, answer, 0, 0)
    }

    /// What another program does.
    pub fn append(&mut self, other: &Program) -> &mut Self {
        self.0.extend_from_slice(&other.0);
        self
    }

    /// How many instructions it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses the call with this number of errno(3).
    pub fn refuse(&mut self, errno: i32) -> &mut Self {
        self.answer(libc::SECCOMP_RET_ERRNO | errno as u32)
    }

    /// Makes the call succeed without carrying it out.
    pub fn succeed(&mut self) -> &mut Self {
        self.answer(libc::SECCOMP_RET_ERRNO)
    }

    /// Puts the calling thread, and all that it starts from now on, under the
    /// program; with `SECCOMP_FILTER_FLAG_NEW_LISTENER` in `flags`, gives the
    /// descriptor on which waiting calls are announced.
    ///
    /// # Errors
    /// `EACCES` without CAP_SYS_ADMIN in the own user namespace or
    /// no_new_privs, `EBUSY` if there is a listener already, `EINVAL` for flags
    /// that the kernel does not know or a wrong program.
    pub fn install(&mut self, flags: libc::c_ulong) -> io::Result<Option<OwnedFd>> {
        let filter = libc::sock_fprog {
            len: self.0.len() as u16,
            filter: self.0.as_mut_ptr(),
        };
        // SAFETY: the kernel copies the program, which lives until after the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &filter as *const libc::sock_fprog,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        let listens = flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER != 0;
        // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
        Ok(listens.then(|| unsafe { OwnedFd::from_raw_fd(result as RawFd) }))
    }
}
