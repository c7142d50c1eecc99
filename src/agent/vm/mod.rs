//! pid 1 of a virtual machine: sets it up for the agent, starts that, carries
//! its channel to the virtio-serial port, reaps, and switches the machine off.
//!
//! The kernel starts it from the initramfs, and it moves to the root and the
//! scratch disk first. Whatever fails here goes to the serial console, whose end
//! the driver shows.

mod boot;
mod disks;
mod mounts;
mod relay;
mod system;

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, FdFlag};
use nix::libc;
use nix::sys::reboot::{reboot, RebootMode};
use nix::sys::stat::Mode;
use nix::sys::wait::{waitpid, WaitStatus};
use nix::unistd::Pid;

pub(super) use disks::helper_drive;
pub use disks::image_disk;

use super::channel::FD_VARIABLE;
use super::paths;
use crate::error::tell;
use crate::protocol::machine::{MachineSetup, BINARY_FILE, BOOT_DIR, SCRATCH_DIR, SETUP_FILE};

/// Number of the channel's descriptor in the agent.
const AGENT_CHANNEL: RawFd = 3;

/// What failed, on the way to an agent.
#[derive(Debug)]
struct Fault {
    doing: String,
    error: io::Error,
}

impl Fault {
    fn of(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Fault {
        let doing = doing.into();
        move |error| Fault { doing, error }
    }
}

/// The hidden command `safedib vm-init`: pid 1 of a machine, and nothing else.
pub fn main() -> ExitCode {
    if std::process::id() != 1 {
        tell!("safedib vm-init: this is pid 1 of a virtual machine, not a command");
        return ExitCode::from(2);
    }
    match run() {
        Ok(text) => tell(&text),
        Err(fault) => tell(&format!("{} failed: {}", fault.doing, fault.error)),
    }
    nix::unistd::sync();
    // Comes back only if it failed; then the end of pid 1 is a panic, which
    // ends the machine as well.
    let _ = reboot(RebootMode::RB_POWER_OFF);
    ExitCode::FAILURE
}

fn tell(text: &str) {
    // The console is the last resort: there is nobody to tell of its errors.
    let _ = writeln!(io::stderr(), "safedib: {text}");
}

/// Sets up, runs the agent to its end; how that was.
fn run() -> Result<String, Fault> {
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    // For what this process starts itself; the agent gets the caller's.
    std::env::set_var("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let modules = boot::to_root()?;
    let boot = Path::new(SCRATCH_DIR).join(BOOT_DIR);
    let file = boot.join(SETUP_FILE);
    let setup: MachineSetup = fs::read(&file)
        .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
        .map_err(Fault::of(format!("reading {}", file.display())))?;
    mounts::system()?;
    system::files(&setup)?;
    modules.wait()?;
    let network = system::start_network(setup.network.as_ref())?;
    mounts::for_hooks(&setup.mounts)?;
    mounts::own_binary(&boot.join(BINARY_FILE), Path::new(paths::BINARY))?;
    fs::write(paths::DEVICES, "").map_err(Fault::of(format!("writing {}", paths::DEVICES)))?;
    mounts::hide_scratch_disk()?;
    network.wait()?;

    let port = relay::open_port()?;
    let (ours, theirs) = UnixStream::pair().map_err(Fault::of("making a socket pair"))?;
    let agent = start_agent(&setup, theirs)?;
    let relay = relay::start(port, ours)?;
    let ending = reap(agent).map_err(Fault::of("waiting for the agent"))?;
    relay.drain();
    Ok(ending)
}

fn start_agent(setup: &MachineSetup, channel: UnixStream) -> Result<Pid, Fault> {
    let doing = "starting the agent";
    let (program, arguments) = setup
        .arguments
        .split_first()
        .ok_or_else(|| Fault::of(doing)(io::ErrorKind::InvalidInput.into()))?;
    let mut command = Command::new(PathBuf::from(program));
    command
        .args(arguments)
        .env_clear()
        .envs(setup.environment.iter().map(|(name, value)| (name, value)))
        .env(FD_VARIABLE, AGENT_CHANNEL.to_string())
        .current_dir("/")
        .stdin(Stdio::null());
    let number = channel.as_raw_fd();
    // SAFETY: only system calls, on descriptors of this copy of the process.
    unsafe {
        command.pre_exec(move || {
            if number == AGENT_CHANNEL {
                let channel = std::os::fd::BorrowedFd::borrow_raw(number);
                fcntl(channel, FcntlArg::F_SETFD(FdFlag::empty()))?;
            } else if libc::dup2(number, AGENT_CHANNEL) < 0 {
                return Err(io::Error::last_os_error());
            }
            // Fails only for the leader of a group, which a fork is not.
            let _ = nix::unistd::setsid();
            Ok(nix::sys::prctl::set_no_new_privs()?)
        });
    }
    let child = command.spawn().map_err(Fault::of(doing))?;
    Ok(Pid::from_raw(child.id() as i32))
}

/// Reaps whatever ends until the agent has; how that ended.
fn reap(agent: Pid) -> io::Result<String> {
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, status)) if pid == agent => {
                return Ok(format!("the agent ended with status {status}"))
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == agent => {
                return Ok(format!("the agent was killed by {signal}"))
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
