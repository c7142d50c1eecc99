//! What the microvm appliance needs, each by itself, and what is known about KVM.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::unistd::{geteuid, Gid, Group as UserGroup, User};

use crate::appliance::microvm::{self, Error, Kvm, Machine, KVM_DEVICE};
use crate::appliance::{prove_kvm, Abilities};
use crate::driver;
use crate::elements::Need;
use crate::error::{reason, Explain};
use crate::request::BuildRequest;

use super::findings::{Check, Group};

pub(super) fn group(
    abilities: &Abilities,
    machine: &Machine,
    network: bool,
    tried: Option<Error>,
) -> Group {
    let mut checks: Vec<Check> = microvm::requirements(machine, network)
        .into_iter()
        .map(|requirement| match requirement.found {
            Ok(text) => Check::ok(requirement.name, text),
            Err(error) => lack(requirement.name, &error),
        })
        .collect();
    checks.extend(memory(machine.memory_mib));
    checks.push(kvm(&abilities.kvm));
    checks.extend(tried.map(|error| lack("KVM was not tried", &error)));
    Group {
        name: "microvm",
        title: "the microvm appliance".into(),
        checks,
    }
}

/// Starts a machine with KVM unless that has been done; what has kept it from that.
pub(super) fn prove(binary: &Path, machine: &Machine, request: &BuildRequest) -> Option<Error> {
    if microvm::kvm(machine) != Kvm::Untried {
        return None;
    }
    prove_kvm(binary, machine, &request.tmp_dir, &mut |_| {}).err()
}

fn lack(name: &str, error: &Error) -> Check {
    let mend = error.mend();
    let text = match (&mend, error.hint()) {
        (None, Some(hint)) => format!("{} ({hint})", reason(error)),
        _ => reason(error),
    };
    Check::lacks(name, text).mended_by(mend)
}

fn memory(wanted_mib: u64) -> Option<Check> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    let available = kib / 1024;
    Some(match available >= wanted_mib {
        true => Check::ok(
            "memory",
            format!("{available} MiB free, {wanted_mib} for a machine"),
        ),
        false => Check::note(
            "memory",
            format!(
                "{available} MiB free, {wanted_mib} for a machine: give it less with --memsize"
            ),
        ),
    })
}

fn kvm(known: &Kvm) -> Check {
    const NAME: &str = "KVM";
    const SLOW: &str = "machines run with TCG, several times slower";
    match known {
        Kvm::Works => Check::ok(NAME, "a machine was started with it since the last boot"),
        Kvm::Fails(why) => Check::note(
            NAME,
            format!("{KVM_DEVICE} opens but does not work: {why}; {SLOW}"),
        ),
        Kvm::Closed(why) => Check::note(NAME, format!("cannot open {KVM_DEVICE}: {why}; {SLOW}"))
            .mended_by(opener(Path::new(KVM_DEVICE))),
        Kvm::Untried => Check::note(
            NAME,
            format!("{KVM_DEVICE} opens; whether it works is tried by the first build, and by safedib doctor --probe"),
        ),
        Kvm::Forbidden(by) => Check::note(NAME, format!("{by} forbids it; {SLOW}")),
    }
}

/// The command that lets the caller open a device that exists: through its
/// group, where that is for nothing else.
fn opener(device: &Path) -> Option<String> {
    let metadata = fs::metadata(device).ok()?;
    let user = User::from_uid(geteuid()).ok().flatten()?.name;
    let group = UserGroup::from_gid(Gid::from_raw(metadata.gid()))
        .ok()
        .flatten();
    let writable = metadata.permissions().mode() & 0o060 == 0o060;
    let member = group.is_some_and(|group| group.name == "kvm") && writable;
    let has_acl = Need::Command(&["setfacl"]).is_met(&driver::command_dirs());
    Some(opening_command(&user, member, has_acl))
}

/// `member`: who is in group kvm may open the device.
fn opening_command(user: &str, member: bool, has_acl: bool) -> String {
    let acl = format!("setfacl --modify u:{user}:rw {KVM_DEVICE}");
    match (member, has_acl) {
        (true, _) => format!("usermod --append --groups kvm {user}"),
        (false, true) => acl,
        (false, false) => format!("apt-get install acl && {acl}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_that_name_is_joined() {
        for (member, has_acl, command) in [
            (true, false, "usermod --append --groups kvm ann"),
            (false, true, "setfacl --modify u:ann:rw /dev/kvm"),
            (
                false,
                false,
                "apt-get install acl && setfacl --modify u:ann:rw /dev/kvm",
            ),
        ] {
            assert_eq!(opening_command("ann", member, has_acl), command);
        }
    }

    #[test]
    fn what_is_known_about_kvm_is_never_a_lack() {
        for (known, status, text) in [
            (Kvm::Works, "Ok", "since the last boot"),
            (Kvm::Fails("x y".into()), "Note", "does not work: x y; "),
            (
                Kvm::Closed("gone".into()),
                "Note",
                "cannot open /dev/kvm: gone; ",
            ),
            (Kvm::Untried, "Note", "--probe"),
            (
                Kvm::Forbidden("--appliance"),
                "Note",
                "--appliance forbids it",
            ),
        ] {
            let check = kvm(&known);
            assert_eq!(format!("{:?}", check.status), status, "{check:?}");
            assert!(check.detail.contains(text), "{check:?}");
        }
    }
}
