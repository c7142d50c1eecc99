//! Answers calls of mknod(2) that the filter holds.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use nix::errno::Errno;
use nix::fcntl::{open, openat2, OFlag, OpenHow, ResolveFlag};
use nix::libc;
use nix::sys::stat::Mode;

use super::{filter, make};
use crate::output::nodes::NodeKind;

nix::ioctl_readwrite!(receive, b'!', 0, libc::seccomp_notif);
nix::ioctl_readwrite!(answer, b'!', 1, libc::seccomp_notif_resp);

/// Makes placeholders for whatever processes of this thread call mknod(2) for a
/// device from now on. To be called once, before anything is started.
///
/// # Errors
/// The kernel cannot do it; such calls will then fail with `EPERM`.
pub(crate) fn supervise() -> io::Result<()> {
    let (sender, listener) = mpsc::channel::<OwnedFd>();
    // This thread must not be under the filter: it would wait for itself.
    thread::Builder::new()
        .name("mknod".to_owned())
        .spawn(move || {
            if let Ok(listener) = listener.recv() {
                while answer_one(&listener).is_ok() {}
            }
        })?;
    let listener = filter::install()?;
    sender.send(listener).map_err(io::Error::other)
}

/// Waits for a call and answers it; an error means that none will come again.
fn answer_one(listener: &OwnedFd) -> io::Result<()> {
    // SAFETY: the structure is plain numbers, and the kernel wants it zeroed.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one structure of this type; the descriptor is a listener.
    match unsafe { receive(listener.as_raw_fd(), &mut call) } {
        Ok(_) => {}
        // the caller died, or was interrupted, before we read its call
        Err(Errno::ENOENT | Errno::EINTR) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let error = match Request::read(&call).and_then(|request| request.serve()) {
        Ok(()) => 0,
        Err(error) => -error.raw_os_error().unwrap_or(libc::EPERM),
    };
    let mut response = libc::seccomp_notif_resp {
        id: call.id,
        val: 0,
        error,
        flags: 0,
    };
    // SAFETY: the kernel reads one structure of this type. It refuses an answer
    // to a caller that is gone, which is not our concern.
    let _ = unsafe { answer(listener.as_raw_fd(), &mut response) };
    Ok(())
}

/// A call, in terms of the process that made it.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    pid: u32,
    directory: i32,
    path: PathBuf,
    kind: NodeKind,
    mode: u32,
    device: u64,
}

impl Request {
    fn read(call: &libc::seccomp_notif) -> io::Result<Request> {
        let arguments = &call.data.args;
        let at = i64::from(call.data.nr) == libc::SYS_mknodat;
        let (directory, first) = match at {
            true => (arguments[0] as i32, 1),
            false => (libc::AT_FDCWD, 0),
        };
        let mode = arguments[first + 1] as u32;
        Ok(Request {
            pid: call.pid,
            directory,
            path: read_path(call.pid, arguments[first])?,
            kind: match mode & libc::S_IFMT {
                libc::S_IFBLK => NodeKind::Block,
                _ => NodeKind::Char,
            },
            mode: mode & 0o7777,
            device: arguments[first + 2],
        })
    }

    fn serve(&self) -> io::Result<()> {
        let caller = Caller::of(self.pid)?;
        if caller.uid != 0 {
            return Err(Errno::EPERM.into());
        }
        let name = self.path.file_name().ok_or(Errno::EEXIST)?;
        let parent = self.open_parent()?;
        let at = PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd())).join(name);
        // the kernel packs a device number into 32 bits, in this way
        let major = ((self.device >> 8) & 0xfff) as u32;
        let minor = ((self.device & 0xff) | ((self.device >> 12) & 0xf_ff00)) as u32;
        make(&at, self.kind, major, minor, self.mode & !caller.umask)
    }

    /// The directory that the node goes into, as the caller sees it: from its
    /// root, which its links must not lead out of.
    fn open_parent(&self) -> io::Result<OwnedFd> {
        let of_caller = |name: &str| PathBuf::from(format!("/proc/{}/{name}", self.pid));
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(&of_caller("root"), flags, Mode::empty())?;
        let mut path = PathBuf::from("/");
        if !self.path.is_absolute() {
            let base = match self.directory {
                libc::AT_FDCWD => of_caller("cwd"),
                number => of_caller(&format!("fd/{number}")),
            };
            // the kernel shows both as we would have to call them
            let (base, root) = (fs::read_link(base)?, fs::read_link(of_caller("root"))?);
            path.push(base.strip_prefix(root).map_err(|_| Errno::EXDEV)?);
        }
        path.push(self.path.parent().unwrap_or(Path::new("")));
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT);
        Ok(openat2(&root, &path, how)?)
    }
}

/// A string in the memory of a process.
fn read_path(pid: u32, address: u64) -> io::Result<PathBuf> {
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut bytes = Vec::new();
    // Piece by piece up to the ends of pages: the next may not be there.
    while bytes.len() < libc::PATH_MAX as usize {
        let at = address.checked_add(bytes.len() as u64);
        let at = at.ok_or(Errno::EFAULT)?;
        let mut piece = vec![0u8; 4096 - (at % 4096) as usize];
        let count = memory.read_at(&mut piece, at)?;
        if count == 0 {
            return Err(Errno::EFAULT.into());
        }
        if let Some(end) = piece[..count].iter().position(|byte| *byte == 0) {
            bytes.extend_from_slice(&piece[..end]);
            return Ok(OsString::from_vec(bytes).into());
        }
        bytes.extend_from_slice(&piece[..count]);
    }
    Err(Errno::ENAMETOOLONG.into())
}

/// Who called.
#[derive(Debug, PartialEq, Eq)]
struct Caller {
    /// For access to files.
    uid: u32,
    umask: u32,
}

impl Caller {
    fn of(pid: u32) -> io::Result<Caller> {
        let status = fs::read(format!("/proc/{pid}/status"))?;
        Caller::parse(&status).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn parse(status: &[u8]) -> Option<Caller> {
        let field = |name: &str| {
            let line = status
                .split(|byte| *byte == b'\n')
                .find(|line| line.starts_with(name.as_bytes()))?;
            std::ffi::OsStr::from_bytes(line).to_str()
        };
        Some(Caller {
            uid: field("Uid:")?
                .split_ascii_whitespace()
                .nth(4)?
                .parse()
                .ok()?,
            umask: field("Umask:")?
                .split_ascii_whitespace()
                .nth(1)
                .and_then(|mask| u32::from_str_radix(mask, 8).ok())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_read_from_its_status() {
        let status =
            b"Name:\tx \xff\nUmask:\t0027\nState:\tR\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n";
        let expected = Caller {
            uid: 4,
            umask: 0o027,
        };
        assert_eq!(Caller::parse(status), Some(expected));
        assert_eq!(Caller::parse(b"Name:\tx\n"), None);
        assert!(Caller::of(std::process::id()).is_ok());
    }

    #[test]
    fn strings_are_read_across_pages() {
        for length in [0, 5, 4090, 4095] {
            let mut text = vec![b'x'; length];
            text.push(0);
            let got = read_path(std::process::id(), text.as_ptr() as u64).unwrap();
            assert_eq!(got.as_os_str().len(), length);
        }
        assert!(read_path(std::process::id(), 8).is_err());
    }
}
