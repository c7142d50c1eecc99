//! What has been taken from this process before it began: the state that a
//! container's runtime leaves it in, from which refusals of the kernel follow.

use std::fs;

/// The capabilities that maps of several ids need, and their numbers.
const FOR_OTHERS: [(&str, u32); 2] = [("SETGID", 6), ("SETUID", 7)];
/// The kernel wants this one, too, where root maps itself.
const FOR_ROOT: (&str, u32) = ("SETFCAP", 31);

/// The state of a process, from its `/proc/PID/status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Confinement {
    /// It and what it executes gain no privilege: setuid bits and capabilities
    /// of files mean nothing.
    no_new_privs: bool,
    /// A filter of system calls is installed.
    filtered: bool,
    /// The capabilities that it has, and those that it could ever have.
    effective: u64,
    bounding: u64,
}

impl Confinement {
    /// That of this process; nothing is taken from one whose state cannot be read.
    pub(super) fn of_self() -> Confinement {
        Self::of(&fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    fn of(status: &str) -> Confinement {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim)
        };
        let bits = |name: &str| field(name).and_then(|text| u64::from_str_radix(text, 16).ok());
        Confinement {
            no_new_privs: field("NoNewPrivs:") == Some("1"),
            filtered: field("Seccomp:") == Some("2"),
            effective: bits("CapEff:").unwrap_or(u64::MAX),
            bounding: bits("CapBnd:").unwrap_or(u64::MAX),
        }
    }

    /// Names of the capabilities that root lacks for writing id maps.
    pub(super) fn lacks_for_maps(&self) -> Vec<&'static str> {
        let all = FOR_OTHERS.iter().chain([&FOR_ROOT]);
        lacks(all, self.effective)
    }

    /// Why newuidmap cannot get its privilege, if it cannot.
    pub(super) fn no_privilege_to_gain(&self) -> Option<String> {
        let dropped = lacks(FOR_OTHERS.iter(), self.bounding);
        if self.no_new_privs {
            return Some("no_new_privs is set".to_owned());
        }
        let told = || format!("the capabilities {} were dropped", dropped.join(", "));
        (!dropped.is_empty()).then(told)
    }

    /// A filter may be what refuses system calls.
    pub(super) fn is_filtered(&self) -> bool {
        self.filtered
    }
}

fn lacks<'a>(
    needed: impl Iterator<Item = &'a (&'static str, u32)>,
    capabilities: u64,
) -> Vec<&'static str> {
    needed
        .filter(|(_, number)| capabilities & (1 << number) == 0)
        .map(|(name, _)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_runtime_took_is_read() {
        let status = |privs: &str, eff: &str, bnd: &str, seccomp: &str| {
            Confinement::of(&format!(
                "Name:\tx\nCapEff:\t{eff}\nCapBnd:\t{bnd}\nNoNewPrivs:\t{privs}\nSeccomp:\t{seccomp}\n"
            ))
        };
        let (all, none) = ("000001ffffffffff", "0000000000000000");
        let free = status("0", none, all, "0");
        assert_eq!(free.no_privilege_to_gain(), None);
        assert_eq!(free.lacks_for_maps(), ["SETGID", "SETUID", "SETFCAP"]);
        assert!(!free.is_filtered());
        let pod = status("1", "00000000800000c0", none, "2");
        assert!(pod.lacks_for_maps().is_empty() && pod.is_filtered());
        assert!(pod.no_privilege_to_gain().unwrap().contains("no_new_privs"));
        let dropped = status("0", none, "0000000000000080", "0");
        let why = dropped.no_privilege_to_gain().unwrap();
        assert!(why.contains("SETGID were dropped"), "{why}");
        assert!(Confinement::of("").lacks_for_maps().is_empty());
    }
}
