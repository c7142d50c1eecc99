//! The driver's side: starts a machine, waits for its agent, ends it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::unistd::geteuid;

use super::accel::{self, Choice, Kvm};
use super::console::Console;
use super::ids::Ids;
use super::network::Network;
use super::qemu::{self, Accel, Card, Parts};
use super::root::{self, Root};
use super::setup::{self, Plan};
use super::{disk, initrd, Error, Machine};
use crate::appliance::namespace::facts::HostFacts;
use crate::appliance::namespace::{AgentCommand, Janitor};
use crate::appliance::{ApplianceSpec, Ending, Running};

/// How long a machine may take until its agent speaks. Under TCG on a busy host
/// that is a matter of ten seconds; nobody waits in vain for one that has died.
const START_DEADLINE: Duration = Duration::from_secs(180);
const FIRST_START: Patience = Patience {
    limit: START_DEADLINE,
    with_stalls: false,
};
const LAST_START: Patience = Patience {
    limit: START_DEADLINE,
    with_stalls: true,
};
/// How long a machine that has closed the channel may take to end.
const END_GRACE: Duration = Duration::from_secs(3);
/// How often the ends of processes are looked at while nothing is heard.
const TICK_MS: u16 = 100;

/// Starts an agent in a virtual machine. `janitor` removes nothing before qemu
/// has died; the first work directory of `spec` must be on disk and empty, and
/// holds the machine's scratch disk. `interrupted` is asked now and then whether
/// to go on waiting.
///
/// # Errors
/// [`Error`]; nothing is left behind but the cache.
pub fn start_watched(
    spec: &ApplianceSpec,
    agent: &AgentCommand,
    machine: &Machine,
    janitor: &mut Janitor,
    interrupted: &dyn Fn() -> bool,
    say: &mut dyn FnMut(&str),
) -> Result<Box<dyn Running>, Error> {
    let place = place(spec)?;
    let mut starter = Starter::new(machine, janitor, interrupted, say)?;
    let Choice { accel, why } = starter.choose(agent, &place)?;
    say(&format!(
        "safedib: microvm runs with {}: {why}",
        match accel {
            Accel::Kvm => "KVM",
            Accel::Tcg => "TCG",
        }
    ));
    if spec.network && machine.user_net {
        say("safedib: the network is qemu's own: hooks reach services on this host's loopback");
    }
    let began = Instant::now();
    let mut started = match starter.start(spec, agent, &place, accel, FIRST_START) {
        // Seen of qemu 10.0 under TCG with two processors on a loaded host, each
        // once in some hundred starts: an assertion (`iotlb_to_section`), and a
        // first processor whose timer is dead. No hook has run yet.
        Err(Error::NotStarted(death)) if death.is_of_qemus_own_making() => {
            say(&format!("safedib: starting the machine again: {death}"));
            starter.start(spec, agent, &place, accel, LAST_START)?
        }
        result => result?,
    };
    started.root = Some(starter.root);
    say(&format!(
        "safedib: microvm started in {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    Ok(Box::new(started))
}

/// Finds out whether KVM works, by starting a machine with it if nobody has
/// done so since the host's boot. `place` is an empty directory of the caller's,
/// for the machine's scratch disk; the rest is as for [`start_watched`].
///
/// # Errors
/// The machine cannot be made; that KVM does not work is none.
pub fn try_kvm(
    agent: &AgentCommand,
    machine: &Machine,
    place: &Path,
    janitor: &mut Janitor,
    say: &mut dyn FnMut(&str),
) -> Result<Kvm, Error> {
    let mut starter = Starter::new(machine, janitor, &|| false, say)?;
    starter.choose(agent, place)?;
    Ok(accel::known(
        machine,
        || Some(starter.root.kernel()),
        &starter.program,
    ))
}

/// How long to wait for an agent.
#[derive(Debug, Clone, Copy)]
struct Patience {
    limit: Duration,
    /// Also while a processor of the machine seems to stand still.
    with_stalls: bool,
}

fn place(spec: &ApplianceSpec) -> Result<PathBuf, Error> {
    let on_disk = spec.work_dirs.first().and_then(|dir| dir.on_disk.clone());
    on_disk.ok_or_else(|| Error::Io {
        doing: "finding a place for the scratch disk".to_owned(),
        source: io::ErrorKind::NotFound.into(),
    })
}

struct Starter<'a> {
    program: PathBuf,
    machine: &'a Machine,
    root: Root,
    ids: Ids,
    janitor: &'a mut Janitor,
    interrupted: &'a dyn Fn() -> bool,
}

impl<'a> Starter<'a> {
    fn new(
        machine: &'a Machine,
        janitor: &'a mut Janitor,
        interrupted: &'a dyn Fn() -> bool,
        say: &mut dyn FnMut(&str),
    ) -> Result<Starter<'a>, Error> {
        Ok(Starter {
            program: qemu::find(machine)?,
            ids: Ids::choose(say)?,
            root: root::prepare(machine, say)?,
            machine,
            janitor,
            interrupted,
        })
    }

    fn choose(&mut self, agent: &AgentCommand, place: &Path) -> Result<Choice, Error> {
        let (machine, program) = (self.machine, self.program.clone());
        let kernel = self.root.kernel();
        accel::choose(machine, &kernel, &program, &mut || {
            let spec = ApplianceSpec::default();
            let patience = Patience {
                limit: accel::PROBE_DEADLINE,
                with_stalls: true,
            };
            self.start(&spec, agent, place, Accel::Kvm, patience)
                .map(drop)
        })
    }

    fn start(
        &mut self,
        spec: &ApplianceSpec,
        agent: &AgentCommand,
        place: &Path,
        accel: Accel,
        patience: Patience,
    ) -> Result<Virtual, Error> {
        let facts = HostFacts::gather(spec, agent, geteuid().is_root(), None)?;
        let Plan {
            setup,
            exports,
            files,
        } = setup::plan(spec, agent, &facts)?;
        let scratch = disk::make(place, &setup, &files)?;
        let initrd = place.join("initrd");
        initrd::write(&self.root.modules(), &agent.binary, &initrd)?;
        let own = spec.network && self.machine.user_net;
        let mut network = match spec.network && !own {
            true => Some(Network::start()?),
            false => None,
        };
        let card = network.as_mut().and_then(|network| network.card.take());
        let (channel, theirs) = UnixStream::pair().map_err(Error::io("making a socket pair"))?;
        let mut passed = vec![qemu::number(&theirs)];
        passed.extend(card.as_ref().map(qemu::number));
        let arguments = qemu::arguments(&Parts {
            accel,
            memory_mib: self.machine.memory_mib,
            processors: processors(self.machine, accel),
            kernel: &self.root.kernel(),
            initrd: &initrd,
            root: &self.root.directory,
            scratch: &scratch,
            image: spec.image_disk.as_deref(),
            helper: spec.helper_drive.as_ref(),
            exports: &exports,
            channel: qemu::number(&theirs),
            card: match &card {
                Some(card) => Some(Card::Socket(qemu::number(card))),
                None => own.then_some(Card::User),
            },
        });
        let child = qemu::spawn(&self.program, &arguments, &passed, place, &self.ids)?;
        drop((theirs, card));
        let mut machine = Virtual::new(channel, child, network, scratch);
        self.janitor.watch(machine.child.id() as i32);
        machine.wait_for_agent(patience, self.interrupted)?;
        // qemu has read it; the janitor removes it otherwise.
        let _ = fs::remove_file(&initrd);
        Ok(machine)
    }
}

/// qemu emulates several processors in threads that lose each other's interrupts
/// now and then, which no hook survives.
fn processors(machine: &Machine, accel: Accel) -> u32 {
    let by_default = || match accel {
        Accel::Kvm => {
            let host = std::thread::available_parallelism().map_or(1, usize::from);
            u32::try_from(host.min(8)).unwrap_or(1)
        }
        Accel::Tcg => 1,
    };
    machine.processors.unwrap_or_else(by_default)
}

/// A running machine.
#[derive(Debug)]
struct Virtual {
    channel: UnixStream,
    child: Child,
    network: Option<Network>,
    scratch: PathBuf,
    console: Console,
    readers: Vec<JoinHandle<()>>,
    /// Keeps the appliance in the cache for as long as the build may start
    /// machines of it.
    root: Option<Root>,
    ended: Option<Option<String>>,
}

impl Virtual {
    fn new(
        channel: UnixStream,
        mut child: Child,
        network: Option<Network>,
        scratch: PathBuf,
    ) -> Virtual {
        let console = Console::default();
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|stdout| console.follow(stdout)));
        readers.extend(child.stderr.take().map(|stderr| console.follow(stderr)));
        Virtual {
            channel,
            child,
            network,
            scratch,
            console,
            readers,
            root: None,
            ended: None,
        }
    }

    /// Waits until the agent's greeting can be read.
    fn wait_for_agent(
        &mut self,
        patience: Patience,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + patience.limit;
        loop {
            let flags = self.look(TICK_MS)?;
            if flags.contains(PollFlags::POLLIN) && !flags.contains(PollFlags::POLLHUP) {
                return Ok(());
            }
            if interrupted() {
                self.kill();
                return Err(Error::Interrupted);
            }
            if let Some(error) = self.network.as_mut().and_then(Network::failure) {
                // passt ends with its peer, and then the peer's end is the reason.
                return Err(match self.ends_within(END_GRACE) {
                    Some(status) => {
                        self.kill();
                        Error::NotStarted(self.console.death(describe(status)))
                    }
                    None => error,
                });
            }
            if flags.contains(PollFlags::POLLHUP) {
                let how = self.end_of_qemu();
                return Err(Error::NotStarted(self.console.death(how)));
            }
            if !patience.with_stalls && self.console.stalled() {
                self.kill();
                let how = "qemu was still running".to_owned();
                return Err(Error::NotStarted(self.console.death(how)));
            }
            if Instant::now() >= deadline {
                self.kill();
                return Err(Error::Deadline {
                    seconds: patience.limit.as_secs(),
                    death: self.console.death("qemu was still running".to_owned()),
                });
            }
        }
    }

    fn look(&self, timeout: impl Into<PollTimeout>) -> Result<PollFlags, Error> {
        let mut watched = [PollFd::new(self.channel.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(Error::io("waiting for the machine")(errno.into())),
        }
        Ok(watched[0].revents().unwrap_or(PollFlags::empty()))
    }

    /// Waits a moment for a qemu that has closed its end; how it ended.
    fn end_of_qemu(&mut self) -> String {
        let status = self.ends_within(END_GRACE);
        self.kill();
        match status {
            Some(status) => describe(status),
            None => "qemu closed the channel and did not end".to_owned(),
        }
    }

    fn ends_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => return None,
            }
        }
    }

    fn kill(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            // The pipes are at their end now that qemu is gone.
            let _ = reader.join();
        }
        self.network = None;
    }

    /// Ends everything; the description is that of a machine that ended by itself.
    fn finish(&mut self) -> Option<String> {
        if let Some(ended) = &self.ended {
            return ended.clone();
        }
        let closed = self
            .look(PollTimeout::ZERO)
            .is_ok_and(|flags| flags.contains(PollFlags::POLLHUP));
        let how = if closed {
            let how = self.end_of_qemu();
            Some(self.console.death(how).to_string())
        } else {
            let failure = self.network.as_mut().and_then(Network::failure);
            self.kill();
            failure.map(|error| error.to_string())
        };
        self.root = None;
        // Room for what comes next; the janitor does it otherwise.
        let _ = fs::remove_file(&self.scratch);
        self.ended = Some(how.clone());
        how
    }
}

fn describe(status: ExitStatus) -> String {
    match status.code() {
        Some(0) => "the machine switched itself off".to_owned(),
        _ => format!("qemu ended by {status}"),
    }
}

impl Running for Virtual {
    fn channel(&self) -> &UnixStream {
        &self.channel
    }

    /// None: the start has told everything as it happened.
    fn notes(&self) -> &[String] {
        &[]
    }

    fn network(&self) -> Option<BorrowedFd<'_>> {
        self.network.as_ref().map(Network::process)
    }

    fn end(mut self: Box<Self>) -> Ending {
        Ending {
            how: self.finish(),
            trouble: self.console.trouble(),
        }
    }
}

impl Drop for Virtual {
    fn drop(&mut self) {
        self.finish();
    }
}
