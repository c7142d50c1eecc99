//! What appliances this host could run: what the choice between them needs.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use super::microvm::{self, Kvm, Machine};
use super::namespace::{self, AgentCommand, Janitor};
use crate::error::reason;

/// How long a sandbox that is started for a test may take; it takes 20 ms.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);

/// What this host could run.
#[derive(Debug)]
pub struct Abilities {
    /// The namespace appliance: one was started.
    pub namespace: Result<(), namespace::Error>,
    /// The microvm appliance, as far as can be told without starting one.
    pub microvm: Result<(), microvm::Error>,
    /// What is known about KVM without starting a machine.
    pub kvm: Kvm,
}

impl Abilities {
    /// Finds out; `binary` is safedib, `network`: a build needs one.
    pub fn gather(binary: &Path, machine: &Machine, network: bool) -> Abilities {
        Abilities {
            namespace: probe_namespace(binary, network),
            microvm: microvm::check(machine, network),
            kvm: microvm::kvm(machine),
        }
    }

    /// Why the namespace appliance does not work, if it does not.
    pub fn no_namespace(&self) -> Option<String> {
        self.namespace.as_ref().err().map(|error| reason(error))
    }

    /// Why the microvm appliance does not work, if that is known.
    pub fn no_microvm(&self) -> Option<String> {
        self.microvm.as_ref().err().map(|error| reason(error))
    }
}

/// Whether the namespace appliance works: a sandbox is started that runs
/// `true`. With `network` the program must be there that would give it one.
///
/// # Errors
/// Why not.
pub fn probe_namespace(binary: &Path, network: bool) -> Result<(), namespace::Error> {
    namespace::check(network)?;
    let (sender, receiver) = mpsc::channel();
    let binary = binary.to_owned();
    // The sandbox dies with the thread that has started it, and a thread that
    // is waited for in vain dies with the process.
    std::thread::spawn(move || sender.send(namespace::probe(&binary)));
    match receiver.recv_timeout(PROBE_DEADLINE) {
        Ok(found) => found.map(drop),
        Err(_) => Err(namespace::Error::Died {
            while_: "running `true`, for which it had 5 seconds",
        }),
    }
}

/// Whether KVM works: starts a machine with it if nobody has done so since the
/// host's boot, which takes some 10 seconds where it does not work. The
/// machine's disk lies in a directory below `tmp_dir`, for the time.
///
/// # Errors
/// The machine cannot be made; that KVM does not work is none.
pub fn prove_kvm(
    binary: &Path,
    machine: &Machine,
    tmp_dir: &Path,
    say: &mut dyn FnMut(&str),
) -> Result<Kvm, microvm::Error> {
    let mut janitor = Janitor::start(binary)?;
    let place = tempfile::Builder::new()
        .prefix("safedib-kvm-")
        .tempdir_in(tmp_dir)
        .map_err(|source| microvm::Error::Io {
            doing: format!("making a directory in {}", tmp_dir.display()),
            source,
        })?;
    janitor.add(place.path());
    // The janitor removes it, when qemu has died.
    let place = place.keep();
    let agent = AgentCommand {
        binary: binary.to_owned(),
        arguments: vec![namespace::layout::OWN_BINARY.into(), "agent".into()],
        environment: vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())],
        home: "/root".into(),
    };
    let found = microvm::try_kvm(&agent, machine, &place, &mut janitor, say);
    janitor.finish()?;
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_one_line_with_the_cause() {
        let missing = || std::io::Error::from_raw_os_error(nix::libc::ENOENT);
        let abilities = Abilities {
            namespace: Err(namespace::Error::NoMapper {
                tool: "newuidmap",
                source: missing(),
            }),
            microvm: Err(microvm::Error::NoKernel),
            kvm: Kvm::Untried,
        };
        let reason = abilities.no_namespace().unwrap();
        assert_eq!(
            reason,
            "cannot run newuidmap: No such file or directory (os error 2)"
        );
        assert!(abilities.no_microvm().unwrap().starts_with("no kernel for"));
        let able = Abilities {
            namespace: Ok(()),
            microvm: Ok(()),
            ..abilities
        };
        assert_eq!((able.no_namespace(), able.no_microvm()), (None, None));
    }

    #[test]
    fn a_binary_that_is_not_there_is_no_sandbox() {
        let found = probe_namespace(Path::new("/nonexistent/safedib"), false);
        assert!(found.is_err());
    }
}
