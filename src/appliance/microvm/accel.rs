//! KVM or TCG. `/dev/kvm` may exist, open, and yet start nothing, so KVM counts
//! as working when an agent has spoken from a machine with it. That is tried
//! once for each boot of the host, kernel and qemu.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::Duration;

use super::qemu::Accel;
use super::{cache, Error, Machine};

const DEVICE: &str = "/dev/kvm";
/// A machine that KVM runs greets within 2 seconds.
pub(super) const PROBE_DEADLINE: Duration = Duration::from_secs(10);

/// What was decided, and why in words for the log.
pub(super) struct Choice {
    pub(super) accel: Accel,
    pub(super) why: String,
}

/// Chooses. `probe` starts a machine with KVM and waits for its agent.
pub(super) fn choose(
    machine: &Machine,
    kernel: &Path,
    qemu: &Path,
    probe: &mut dyn FnMut() -> Result<(), Error>,
) -> Result<Choice, Error> {
    let tcg = |why: String| {
        Ok(Choice {
            accel: Accel::Tcg,
            why,
        })
    };
    if let Some(by) = machine.force_tcg {
        return tcg(format!("{by} asks for it"));
    }
    if let Err(error) = OpenOptions::new().read(true).write(true).open(DEVICE) {
        return tcg(format!("cannot open {DEVICE}: {error}"));
    }
    let mut stamp = cache::Stamp::default();
    stamp.add(fs::read("/proc/sys/kernel/random/boot_id").ok());
    stamp.add_file(kernel);
    stamp.add_file(qemu);
    let record = machine.cache.join(format!("kvm-{}", stamp.name()));
    if let Ok(known) = fs::read_to_string(&record) {
        return match known.trim() {
            WORKS => Ok(works()),
            failure => tcg(format!("{DEVICE} does not work since this boot: {failure}")),
        };
    }
    let (choice, text) = match probe() {
        Ok(()) => (works(), WORKS.to_owned()),
        Err(error) => {
            let text = one_line(&error);
            let why = format!("{DEVICE} opens but does not work: {text}");
            let accel = Accel::Tcg;
            (Choice { accel, why }, text)
        }
    };
    remember(&machine.cache, &record, &text)?;
    Ok(choice)
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

/// Writes the record, and removes those of other boots.
fn remember(directory: &Path, record: &Path, text: &str) -> Result<(), Error> {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("kvm-") {
            // Another build may have removed it.
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

    #[test]
    fn an_order_for_tcg_is_not_probed() {
        let machine = Machine {
            force_tcg: Some("--appliance"),
            memory_mib: 1,
            processors: None,
            packages: Vec::new(),
            supermin_d: None,
            cache: "/nonexistent".into(),
        };
        let mut probe = || panic!("no probe");
        let choice = choose(&machine, Path::new("/k"), Path::new("/q"), &mut probe).unwrap();
        assert_eq!(choice.accel, Accel::Tcg);
        assert!(choice.why.contains("--appliance"));
    }
}
