//! The driver's side: starts the sandbox, watches over it, ends it.

use std::fs;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::libc;

use super::error::{Error, Fault, FaultKind};
use super::facts::HostFacts;
use super::ids::Mapping;
use super::network::{Helper, Network};
use super::wire::{Ending, Event, Setup, ToSandbox};
use super::{layout, sys, AgentCommand, Janitor};
use crate::appliance::{self, ApplianceSpec, Running};
use crate::protocol;

/// How long any step of the start may take.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// How long an agent that has closed its channel may take to end.
const END_GRACE: Duration = Duration::from_secs(2);

/// Starts an agent in new namespaces.
///
/// The sandbox is killed when the calling *thread* ends, so call it from one
/// that lives as long as the build.
///
/// # Errors
/// [`Error`]; nothing is left behind.
pub fn start(spec: &ApplianceSpec, agent: &AgentCommand) -> Result<Box<dyn Running>, Error> {
    Ok(Box::new(Sandbox::start(spec, agent, None)?))
}

/// As [`start`]; `janitor` removes nothing before the sandbox has died.
///
/// # Errors
/// As [`start`].
pub fn start_watched(
    spec: &ApplianceSpec,
    agent: &AgentCommand,
    janitor: &mut Janitor,
) -> Result<Box<dyn Running>, Error> {
    Ok(Box::new(Sandbox::start(spec, agent, Some(janitor))?))
}

/// A running sandbox.
#[derive(Debug)]
struct Sandbox {
    channel: UnixStream,
    control: UnixStream,
    outer: Child,
    pid1: Option<OwnedFd>,
    network: Option<Network>,
    ended: Option<Option<String>>,
    notes: Vec<String>,
}

impl Sandbox {
    fn start(
        spec: &ApplianceSpec,
        agent: &AgentCommand,
        janitor: Option<&mut Janitor>,
    ) -> Result<Sandbox, Error> {
        let mapping = Mapping::of_caller()?;
        let helper = if spec.network {
            Some(Helper::find()?)
        } else {
            None
        };
        let facts = HostFacts::gather(spec, agent, mapping.is_root(), helper.as_ref())?;
        let layout = layout::build(spec, &facts)?;
        let network_note = helper.as_ref().and_then(Helper::note);
        let notes = facts.notes().into_iter().chain(network_note).collect();

        let (control, their_control) = pair()?;
        let (channel, their_channel) = pair()?;
        let outer = spawn(agent, &their_control, &their_channel)?;
        let setup = Setup {
            mapping,
            layout,
            arguments: agent.arguments.clone(),
            environment: agent.environment.clone(),
            network: spec.network,
            metadata_service: spec.metadata_service,
            channel: their_channel.as_raw_fd(),
            debug: std::env::var_os("SAFEDIB_DEBUG_SANDBOX").is_some_and(|value| value == "1"),
        };
        drop((their_control, their_channel));
        let mut sandbox = Sandbox {
            channel,
            control,
            outer,
            pid1: None,
            network: None,
            ended: None,
            notes,
        };
        sandbox.tell(&ToSandbox::Setup(Box::new(setup)))?;
        sandbox.bring_up(&mapping, helper.as_ref(), janitor)?;
        Ok(sandbox)
    }

    fn bring_up(
        &mut self,
        mapping: &Mapping,
        helper: Option<&Helper>,
        mut janitor: Option<&mut Janitor>,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            match self.next_event(deadline)? {
                Event::Unshared => {
                    mapping.apply(self.outer.id() as i32)?;
                    self.tell(&ToSandbox::Mapped)?;
                }
                Event::Namespaces { pid } => {
                    // It has not been waited for while the outer process lives,
                    // so the number is still its own.
                    self.pid1 = sys::pidfd_open(pid).ok();
                    if let Some(janitor) = &mut janitor {
                        janitor.watch(pid);
                    }
                    if let Some(helper) = helper {
                        self.network = Some(Network::start(helper, pid, mapping.is_root())?);
                    }
                }
                Event::Ready => return Ok(()),
                Event::Failed(fault) => return Err(explain(fault)),
                Event::Exited(_) | Event::Ended(_) => {
                    return Err(Error::Died { while_: "starting" })
                }
            }
        }
    }

    fn tell(&mut self, message: &ToSandbox) -> Result<(), Error> {
        protocol::send(&mut self.control, message).map_err(|_| Error::Died { while_: "starting" })
    }

    /// The next event, unless the network's helper ends before.
    fn next_event(&mut self, deadline: Instant) -> Result<Event, Error> {
        loop {
            let slice =
                Duration::from_millis(20).min(deadline.saturating_duration_since(Instant::now()));
            let timeout = if self.network.is_some() {
                slice
            } else {
                deadline.saturating_duration_since(Instant::now())
            };
            let ready = sys::wait_readable(&[self.control.as_fd()], timeout.as_millis() as i32)
                .map_err(|source| Error::Io {
                    doing: "waiting for the sandbox".into(),
                    source,
                })?;
            if ready == [true] {
                return read_event(&mut self.control).ok_or(Error::Died { while_: "starting" });
            }
            if let Some(error) = self.network.as_mut().and_then(Network::failure) {
                return Err(error);
            }
            if Instant::now() >= deadline {
                return Err(Error::Died {
                    while_: "starting (deadline)",
                });
            }
        }
    }

    /// Ends everything; the description is that of an agent that ended by itself.
    fn finish(&mut self) -> Option<String> {
        if let Some(ended) = &self.ended {
            return ended.clone();
        }
        let how = self.own_ending().or_else(|| {
            let failure = self.network.as_mut().and_then(Network::failure);
            failure.map(|error| error.to_string())
        });
        if let Some(network) = &mut self.network {
            network.kill();
        }
        match &self.pid1 {
            Some(pid1) => {
                // Fails only if it has ended already.
                let _ = sys::pidfd_kill(pid1.as_fd());
                // A pid 1 has ended when all processes of its namespace have.
                let _ = sys::wait_readable(&[pid1.as_fd()], -1);
            }
            None => {
                let _ = self.outer.kill();
            }
        }
        // With pid 1 gone the outer process has nothing to wait for.
        let _ = self.outer.wait();
        self.network = None;
        self.ended = Some(how.clone());
        how
    }

    /// How the agent ended, if it did so before we came: an end of file on its
    /// channel means that its exit is only a moment away.
    fn own_ending(&mut self) -> Option<String> {
        let closed = sys::is_hung_up(self.channel.as_fd());
        let wait = if closed { END_GRACE } else { Duration::ZERO };
        let ready = sys::wait_readable(&[self.control.as_fd()], wait.as_millis() as i32).ok()?;
        if ready != [true] {
            return None;
        }
        describe(read_event(&mut self.control)?)
    }
}

fn describe(event: Event) -> Option<String> {
    match event {
        Event::Exited(ending) => ending.describe(),
        Event::Ended(Ending::Signal(signal)) => {
            Some(format!("its pid 1 was killed by signal {signal}"))
        }
        Event::Failed(fault) => Some(explain(fault).to_string()),
        _ => None,
    }
}

impl Running for Sandbox {
    fn channel(&self) -> &UnixStream {
        &self.channel
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn network(&self) -> Option<BorrowedFd<'_>> {
        self.network.as_ref().map(Network::process)
    }

    fn end(mut self: Box<Self>) -> appliance::Ending {
        appliance::Ending {
            how: self.finish(),
            trouble: None,
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.finish();
    }
}

fn pair() -> Result<(UnixStream, UnixStream), Error> {
    UnixStream::pair().map_err(|source| Error::Io {
        doing: "making a socket pair".into(),
        source,
    })
}

fn read_event(control: &mut UnixStream) -> Option<Event> {
    match protocol::receive(control) {
        Ok(Some(protocol::Frame::Message(event))) => Some(event),
        _ => None,
    }
}

/// Executes `safedib sandbox-init` with two descriptors beside the standard ones.
fn spawn(agent: &AgentCommand, control: &UnixStream, channel: &UnixStream) -> Result<Child, Error> {
    let passed = [control.as_raw_fd(), channel.as_raw_fd()];
    let mut command = Command::new(&agent.binary);
    command
        .arg0("safedib")
        .arg("sandbox-init")
        .arg(control.as_raw_fd().to_string());
    command.env_clear().current_dir("/");
    // Shells get what is typed by way of the channel: no hook ever has the terminal.
    if io::stdin().is_terminal() {
        command.stdin(Stdio::null());
    }
    command.stdout(Stdio::null());
    // SAFETY: fcntl and prctl are async-signal-safe and touch no memory of ours.
    unsafe {
        command.pre_exec(move || {
            passed.iter().try_for_each(|fd| sys::keep_over_exec(*fd))?;
            sys::die_with_parent()
        })
    };
    command.spawn().map_err(|source| Error::Io {
        doing: format!("executing {}", agent.binary.display()),
        source,
    })
}

/// A fault of the sandbox, with the setting of the system that is behind it.
fn explain(fault: Fault) -> Error {
    // ENOSPC: the limit of user namespaces, whatever one was wanted for.
    if fault.kind == FaultKind::Namespace || fault.errno == libc::ENOSPC {
        if let Some(error) = forbidding_setting() {
            return error;
        }
    }
    Error::Sandbox(fault)
}

/// The setting of this system that forbids user namespaces, if one does.
pub fn forbidding_setting() -> Option<Error> {
    forbidden(&|path| fs::read_to_string(path).ok())
}

/// Settings that forbid user namespaces, and the values that allow them.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("user/max_user_namespaces", "0", "15000"),
    ("kernel/unprivileged_userns_clone", "0", "1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
];

fn forbidden(read: &dyn Fn(&str) -> Option<String>) -> Option<Error> {
    SETTINGS.iter().find_map(|(name, bad, good)| {
        let value = read(&format!("/proc/sys/{name}"))?;
        let setting = name.replace('/', ".");
        (value.trim() == *bad).then(|| Error::Forbidden {
            fix: format!("sysctl -w {setting}={good}"),
            setting: format!("{setting}={bad}"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Explain;

    #[test]
    fn a_setting_that_forbids_namespaces_is_named_with_its_remedy() {
        for (name, bad, good) in SETTINGS {
            let host = |value: &str| {
                let (path, value) = (format!("/proc/sys/{name}"), format!("{value}\n"));
                move |asked: &str| (asked == path).then(|| value.clone())
            };
            assert!(forbidden(&host(good)).is_none(), "{name}");
            let error = forbidden(&host(bad)).unwrap();
            let setting = name.replace('/', ".");
            assert_eq!(
                error.to_string(),
                format!("user namespaces are forbidden: {setting}={bad}")
            );
            let fix = format!("run as root: sysctl -w {setting}={good}");
            assert_eq!(error.hint(), Some(fix));
        }
        assert!(forbidden(&|_| None).is_none());
    }
}
