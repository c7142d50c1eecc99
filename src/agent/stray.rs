//! Ending what hooks left running.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{kill, Signal};
use nix::unistd::{getpid, Pid};

use super::context::Context;
use super::error::Error;

/// How long processes have to end by themselves after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// Ends every process of the appliance but its init and this one: SIGTERM, and
/// after a grace SIGKILL. (Upstream sends SIGTERM to those whose root is in the
/// build directory, and waits for the directory to become free.)
///
/// # Errors
/// A process survives SIGKILL.
pub(crate) fn end_processes(context: &mut Context) -> Result<(), Error> {
    let strays = strays();
    for pid in &strays {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        let name = name.as_deref().unwrap_or("unknown").trim_end();
        context.say(format!("Killing chroot process: '{name}({pid})'"))?;
        signal(*pid, Signal::SIGTERM)?;
    }
    if !strays.is_empty() && !gone_within(GRACE) {
        for pid in self::strays() {
            signal(pid, Signal::SIGKILL)?;
        }
        gone_within(GRACE);
    }
    context.log.flush()
}

fn signal(pid: Pid, signal: Signal) -> Result<(), Error> {
    match kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(Error::io("end the process", format!("/proc/{pid}"))(
            error.into(),
        )),
    }
}

fn gone_within(limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if strays().is_empty() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The name of a process that outlives the hook which started it: its parent is
/// init now.
pub(crate) fn orphan() -> Option<String> {
    let is_orphan = |pid: &Pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields);
        fields.and_then(|fields| fields.split(' ').nth(1)) == Some("1")
    };
    let pid = strays().into_iter().find(is_orphan)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("{} (process {pid})", name.trim_end()))
}

fn strays() -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
        .filter(|pid| pid.as_raw() != 1 && *pid != getpid() && is_running_program(*pid))
        .collect()
}

/// Neither a zombie, which its parent has to fetch, nor a thread of the kernel,
/// which has no executable.
fn is_running_program(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default().chars().next();
    !matches!(state, None | Some('Z' | 'X'))
        && Path::new(&format!("/proc/{pid}/exe")).read_link().is_ok()
}
