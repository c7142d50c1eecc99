//! The user namespace of qemu: whose files it sees as whose, and that a root
//! caller's has no privilege on the host.

use std::ffi::CString;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::fcntl::{open, OFlag};
use nix::sched::{unshare, CloneFlags};
use nix::sys::stat::Mode;
use nix::unistd::{getegid, geteuid};

use super::Error;
use crate::appliance::namespace::{map_ids, Mapping};

/// The ids of qemu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ids {
    /// Those of the namespace appliance: what hooks chown on shares has the same
    /// owners, whichever appliance did it.
    Mapped(Mapping),
    /// The caller is root inside, and nobody else exists.
    CallerOnly,
    /// The caller's own, without a namespace.
    Host,
}

impl Ids {
    /// The best that works here, measured; root must have a namespace.
    pub(super) fn choose(say: &mut dyn FnMut(&str)) -> Result<Ids, Error> {
        let mapped = Mapping::of_caller().map(Ids::Mapped);
        if let Some(ids) = mapped.ok().filter(|ids| ids.works().is_ok()) {
            return Ok(ids);
        }
        match Ids::CallerOnly.works() {
            Ok(()) => {
                say("safedib: no subordinate ids for qemu: hooks cannot chown files of shares");
                Ok(Ids::CallerOnly)
            }
            Err(error) if geteuid().is_root() => Err(Error::RootWithoutNamespace(error)),
            Err(error) => {
                say(&format!(
                    "safedib: no user namespace for qemu ({error}): shared files have the \
                     caller's id inside"
                ));
                Ok(Ids::Host)
            }
        }
    }

    /// Whether a process with these ids can be started.
    pub(super) fn works(&self) -> io::Result<()> {
        let mut command = Command::new("/bin/true");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.spawn(command)?.wait().map(drop)
    }

    /// Starts a process with these ids.
    pub(super) fn spawn(&self, mut command: Command) -> io::Result<Child> {
        match self {
            Ids::Mapped(mapping) => spawn_mapped(command, maps(mapping)),
            Ids::CallerOnly => {
                map_caller(&mut command);
                command.spawn()
            }
            Ids::Host => command.spawn(),
        }
    }
}

/// The lines of both maps. A root caller keeps the numbers that files have:
/// without privilege on the host root's files are all that is root's.
fn maps(mapping: &Mapping) -> (String, String) {
    match mapping {
        Mapping::Root { ids } => {
            let line = format!("0 0 {}\n", ids.count);
            (line.clone(), line)
        }
        user => user.lines(),
    }
}

/// Nobody maps other ids than its own from inside, and the thread that starts a
/// process is held until that executes its program: another one maps them.
fn spawn_mapped(mut command: Command, (uids, gids): (String, String)) -> io::Result<Child> {
    let (ours, theirs) = UnixStream::pair()?;
    let copy = ours.as_raw_fd();
    // SAFETY: system calls only, on descriptors of this copy of the process;
    // nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            // Else nobody would hear that the other end is gone.
            nix::unistd::close(copy)?;
            unshare(CloneFlags::CLONE_NEWUSER)?;
            (&theirs).write_all(&std::process::id().to_ne_bytes())?;
            (&theirs).read_exact(&mut [0])
        });
    }
    let mapper = thread::spawn(move || -> io::Result<()> {
        let mut pid = [0; 4];
        (&ours).read_exact(&mut pid)?;
        map_ids(i32::from_ne_bytes(pid), &uids, &gids).map_err(io::Error::other)?;
        (&ours).write_all(&[0])
    });
    let child = command.spawn();
    // The closure holds the socket's other end, and the thread waits for that.
    drop(command);
    match mapper.join() {
        Ok(Err(error)) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        Ok(_) => child,
        Err(_) => Err(io::Error::other("the thread that maps ids ended")),
    }
}

/// Maps the caller's ids to root, which needs no helper.
fn map_caller(command: &mut Command) {
    let files: Vec<(CString, String)> = [
        (c"/proc/self/setgroups", "deny".to_owned()),
        (c"/proc/self/uid_map", format!("0 {} 1", geteuid())),
        (c"/proc/self/gid_map", format!("0 {} 1", getegid())),
    ]
    .map(|(path, text)| (path.to_owned(), text))
    .into();
    // SAFETY: only system calls on strings that were made before the fork.
    unsafe {
        command.pre_exec(move || {
            unshare(CloneFlags::CLONE_NEWUSER)?;
            files.iter().try_for_each(|(path, text)| write(path, text))
        });
    }
}

fn write(path: &CString, text: &str) -> io::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let file = open(path.as_c_str(), flags, Mode::empty())?;
    nix::unistd::write(&file, text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_root_inside() {
        for ids in [
            Mapping::of_caller()
                .map(Ids::Mapped)
                .unwrap_or(Ids::CallerOnly),
            Ids::CallerOnly,
        ] {
            let mut command = Command::new("/usr/bin/id");
            command.arg("-u").stdout(Stdio::piped());
            let output = ids.spawn(command).unwrap().wait_with_output().unwrap();
            assert_eq!(output.stdout, b"0\n", "{ids:?}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = Ids::CallerOnly.spawn(Command::new("/nonexistent/program"));
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
