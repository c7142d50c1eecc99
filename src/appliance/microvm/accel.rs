//! KVM or TCG. `/dev/kvm` may exist, open, and yet start nothing, so KVM counts
//! as working when an agent has spoken from a machine with it. That is tried
//! once for each boot of the host, kernel and qemu.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::qemu::Accel;
use super::{cache, Error, Machine};

/// The device of KVM.
pub const DEVICE: &str = "/dev/kvm";
/// A machine that KVM runs greets within 2 seconds.
pub(super) const PROBE_DEADLINE: Duration = Duration::from_secs(10);

/// What was decided, and why in words for the log.
pub(super) struct Choice {
    pub(super) accel: Accel,
    pub(super) why: String,
}

/// What is known about KVM on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kvm {
    /// A machine was started with it since the host's boot, and its agent spoke.
    Works,
    /// A machine was started with it since the host's boot, in vain; why.
    Fails(String),
    /// The caller cannot open its device; why.
    Closed(String),
    /// Its device opens; no machine has been tried since the host's boot.
    Untried,
    /// It is not to be used, and who said so.
    Forbidden(&'static str),
}

/// What is known without starting a machine. `kernel` gives what machines would
/// start, if that is there already; it is asked only if the device opens.
pub(super) fn known(
    machine: &Machine,
    kernel: impl FnOnce() -> Option<PathBuf>,
    qemu: &Path,
) -> Kvm {
    if let Some(by) = machine.force_tcg {
        return Kvm::Forbidden(by);
    }
    if let Err(error) = OpenOptions::new().read(true).write(true).open(DEVICE) {
        return Kvm::Closed(error.to_string());
    }
    let text = kernel().and_then(|kernel| fs::read_to_string(record(machine, &kernel, qemu)).ok());
    match text.as_deref().map(str::trim) {
        None => Kvm::Untried,
        Some(WORKS) => Kvm::Works,
        Some(failure) => Kvm::Fails(failure.to_owned()),
    }
}

/// Where it is remembered what became of a try.
fn record(machine: &Machine, kernel: &Path, qemu: &Path) -> PathBuf {
    let mut stamp = cache::Stamp::default();
    stamp.add(fs::read("/proc/sys/kernel/random/boot_id").ok());
    stamp.add_file(kernel);
    stamp.add_file(qemu);
    machine.cache.join(format!("kvm-{}", stamp.name()))
}

/// Chooses. `probe` starts a machine with KVM and waits for its agent.
pub(super) fn choose(
    machine: &Machine,
    kernel: &Path,
    qemu: &Path,
    probe: &mut dyn FnMut() -> Result<(), Error>,
) -> Result<Choice, Error> {
    let there = || Some(kernel.to_owned());
    let mut kvm = known(machine, there, qemu);
    let _lock;
    if kvm == Kvm::Untried {
        // One build tries; others that begin meanwhile wait for the answer.
        _lock = cache::lock(&machine.cache, true)?;
        kvm = known(machine, there, qemu);
    }
    let why = match kvm {
        Kvm::Works => return Ok(works()),
        Kvm::Forbidden(by) => format!("{by} asks for it"),
        Kvm::Closed(why) => format!("cannot open {DEVICE}: {why}"),
        Kvm::Fails(why) => format!("{DEVICE} does not work since this boot: {why}"),
        Kvm::Untried => {
            let tried = probe().map_err(|error| one_line(&error));
            let text = tried.as_ref().err().map_or(WORKS, String::as_str);
            remember(&machine.cache, &record(machine, kernel, qemu), text)?;
            match tried {
                Ok(()) => return Ok(works()),
                Err(why) => format!("{DEVICE} opens but does not work: {why}"),
            }
        }
    };
    Ok(Choice {
        accel: Accel::Tcg,
        why,
    })
}

const WORKS: &str = "works";

fn works() -> Choice {
    Choice {
        accel: Accel::Kvm,
        why: "KVM was tried and works".to_owned(),
    }
}

fn one_line(error: &Error) -> String {
    let text = match error {
        Error::NotStarted(death) => {
            let last = death.tail.last().map(String::as_str).unwrap_or_default();
            format!("{} {last}", death.qemu)
        }
        Error::Deadline { seconds, .. } => format!("no word from a machine in {seconds} s"),
        other => other.to_string(),
    };
    text.lines().collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// Writes the record, and removes those of other boots; the cache is locked.
fn remember(directory: &Path, record: &Path, text: &str) -> Result<(), Error> {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("kvm-") {
            // What stays is only untidy.
            let _ = fs::remove_file(entry.path());
        }
    }
    let temporary = record.with_extension(std::process::id().to_string());
    fs::write(&temporary, text)
        .and_then(|()| fs::rename(&temporary, record))
        .map_err(Error::io(format!("writing {}", record.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(force_tcg: Option<&'static str>, cache: PathBuf) -> Machine {
        Machine {
            force_tcg,
            user_net: false,
            memory_mib: 1,
            processors: None,
            packages: Vec::new(),
            supermin_d: None,
            cache,
            hypervisor: None,
        }
    }

    #[test]
    fn builds_that_begin_together_try_once() {
        if let Err(error) = OpenOptions::new().read(true).write(true).open(DEVICE) {
            eprintln!("cannot open {DEVICE} ({error}): not tested");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let machine = machine(None, directory.path().into());
        let tries = std::sync::atomic::AtomicUsize::new(0);
        let choose = || {
            let mut probe = || {
                tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(200));
                Err(Error::NoKernel)
            };
            let paths = ["/k", "/q"].map(Path::new);
            choose(&machine, paths[0], paths[1], &mut probe).unwrap()
        };
        std::thread::scope(|scope| {
            let builds: Vec<_> = (0..4).map(|_| scope.spawn(choose)).collect();
            for build in builds {
                let choice = build.join().unwrap();
                assert_eq!(choice.accel, Accel::Tcg);
                assert!(choice.why.contains("no kernel"), "{}", choice.why);
            }
        });
        assert_eq!(tries.into_inner(), 1);
    }

    #[test]
    fn an_order_for_tcg_is_not_probed() {
        let machine = machine(Some("--appliance"), "/nonexistent".into());
        let mut probe = || panic!("no probe");
        let choice = choose(&machine, Path::new("/k"), Path::new("/q"), &mut probe).unwrap();
        assert_eq!(choice.accel, Accel::Tcg);
        assert!(choice.why.contains("--appliance"));
    }
}
