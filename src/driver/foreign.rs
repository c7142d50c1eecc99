//! Whether this host can run the programs of the image's architecture, which
//! hooks in the target are.

use std::fs;
use std::path::Path;

use nix::sys::utsname::uname;

use crate::elements::{Location, Need, Phase};
use crate::error::Setting;
use crate::plan::{ApplianceKind, Plan, PlannedTool, Step};
use crate::request::BuildRequest;

use super::Error;

/// Where binfmt_misc tells of the interpreters of programs.
const REGISTRATIONS: &str = "/proc/sys/fs/binfmt_misc";

/// A machine that programs are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Machine {
    /// `e_machine` of elf(5).
    number: u16,
    wide: bool,
    big_endian: bool,
    /// The emulator of it, as qemu calls it.
    qemu: &'static str,
}

/// The machine of an architecture, in Debian's, the kernel's or Fedora's spelling.
fn machine(arch: &str) -> Option<Machine> {
    let (number, wide, big_endian, qemu) = match arch {
        "amd64" | "x86_64" => (62, true, false, "x86_64"),
        "i386" | "i486" | "i586" | "i686" => (3, false, false, "i386"),
        "arm64" | "aarch64" => (183, true, false, "aarch64"),
        "armhf" | "armel" | "arm" | "armv7l" | "armv7hl" | "armfp" => (40, false, false, "arm"),
        "ppc64el" | "ppc64le" => (21, true, false, "ppc64le"),
        "ppc64" => (21, true, true, "ppc64"),
        "s390x" => (22, true, true, "s390x"),
        "riscv64" => (243, true, false, "riscv64"),
        _ => return None,
    };
    Some(Machine {
        number,
        wide,
        big_endian,
        qemu,
    })
}

impl Machine {
    /// Whether this one's kernel runs programs of `other` without help. Many
    /// kernels of arm64 run those of arm, and none can be asked without one.
    fn runs(self, other: Machine) -> bool {
        self == other
            || matches!(
                (self.qemu, other.qemu),
                ("x86_64", "i386") | ("aarch64", "arm")
            )
    }

    /// The first bytes of a program.
    fn header(self) -> [u8; 20] {
        let mut header = [0; 20];
        header[..4].copy_from_slice(b"\x7fELF");
        header[4] = if self.wide { 2 } else { 1 };
        header[5] = if self.big_endian { 2 } else { 1 };
        header[6] = 1;
        let half = |value: u16| match self.big_endian {
            true => value.to_be_bytes(),
            false => value.to_le_bytes(),
        };
        header[16..18].copy_from_slice(&half(2));
        header[18..].copy_from_slice(&half(self.number));
        header
    }
}

/// What failed programs of another machine leave in a hook's output: the kernel's
/// ENOEXEC as shells and Python print it, and debootstrap's own words.
const TOLD: [&str; 3] = [
    "Exec format error",
    "Unable to execute target architecture",
    "Failure trying to run:",
];

/// An image whose programs, by its architecture, do not run here.
pub(super) struct Foreign {
    arch: String,
    /// This host's, as `uname -m` has it.
    host: String,
    /// Hooks in the target run in a machine, whose kernel knows no interpreters.
    in_machine: bool,
}

impl Foreign {
    /// What is foreign about a build, if anything is.
    pub(super) fn of(request: &BuildRequest, plan: &Plan) -> Option<Foreign> {
        let own = uname().map(|name| name.machine().to_string_lossy().into_owned());
        let host = own.ok()?;
        let image = machine(&request.arch)?;
        let in_target = |phase: Phase| phase.location() == Location::InTarget;
        if machine(&host)?.runs(image) || !plan.hooks.iter().any(|hook| in_target(hook.phase)) {
            return None;
        }
        let in_machine = plan.steps.iter().any(|planned| {
            let here = matches!(planned.step, Step::RunHooks { phase } if in_target(phase));
            here && planned.appliance == ApplianceKind::Microvm
        });
        let emulated = !in_machine && is_registered(Path::new(REGISTRATIONS), &image.header());
        (!emulated).then(|| Foreign {
            arch: request.arch.clone(),
            host,
            in_machine,
        })
    }

    /// Refuses a build that runs programs of the architecture for certain. Others
    /// may bring a tree of another architecture than they name, as a local image.
    ///
    /// # Errors
    /// [`Error::ForeignArchitecture`].
    pub(super) fn refuse(&self, plan: &Plan) -> Result<(), Error> {
        let bootstraps = |tool: &&PlannedTool| tool.need == Need::Command(&["debootstrap"]);
        let tool = plan.tools.iter().find(bootstraps);
        let Some(element) = tool.and_then(|tool| tool.element.clone()) else {
            return Ok(());
        };
        Err(Error::ForeignArchitecture {
            what: self.what(),
            element,
            hint: self.hint(),
        })
    }

    /// What may fail.
    pub(super) fn warning(&self) -> String {
        format!(
            "{}: hooks in the image fail, unless its programs are others",
            self.what()
        )
    }

    /// What a failed hook that prints this may lack, and what to change.
    pub(super) fn explain(&self, text: &str) -> Option<(String, String)> {
        let told = TOLD.iter().any(|told| text.contains(told));
        told.then(|| (self.what(), self.hint()))
    }

    fn what(&self) -> String {
        let here = match self.in_machine {
            true => "the microvm appliance",
            false => "this host",
        };
        let Foreign { arch, host, .. } = self;
        format!("ARCH is {arch}, but {here} of {host} runs no programs of {arch}")
    }

    fn hint(&self) -> String {
        match self.in_machine {
            true => format!(
                "use {}, with qemu-user-static installed, or build on a machine of that \
                 architecture",
                Setting::Appliance("namespace")
            ),
            false => format!(
                "apt-get install qemu-user-static binfmt-support, which has the kernel run \
                 programs of {} in an emulator, or build on a machine of that architecture",
                self.arch
            ),
        }
    }
}

/// Whether an interpreter is registered for programs that begin like this.
fn is_registered(directory: &Path, header: &[u8]) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .any(|text| matches(&text, header))
}

/// Whether a registration, as the kernel prints it, takes such a program.
fn matches(text: &str, header: &[u8]) -> bool {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let Some(magic) = field("magic ").and_then(bytes) else {
        return false;
    };
    let mask = field("mask ")
        .and_then(bytes)
        .unwrap_or_else(|| vec![0xff; magic.len()]);
    text.lines().next() == Some("enabled")
        && field("offset ") == Some("0")
        && magic.len() <= header.len()
        && mask.len() == magic.len()
        && magic
            .iter()
            .zip(&mask)
            .zip(header)
            .all(|((magic, mask), byte)| magic & mask == byte & mask)
}

/// Bytes that are written as hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARM64: &str = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: OCF\noffset 0\n\
        magic 7f454c460201010000000000000000000200b700\n\
        mask ffffffffffffff00fffffffffffffffffeffffff\n";

    #[test]
    fn registrations_are_read_as_the_kernel_does() {
        let header = |arch: &str| machine(arch).unwrap().header();
        assert!(matches(ARM64, &header("arm64")));
        for other in ["amd64", "armhf", "riscv64", "s390x", "ppc64el"] {
            assert!(!matches(ARM64, &header(other)), "{other}");
        }
        let disabled = ARM64.replace("enabled", "disabled");
        assert!(!matches(&disabled, &header("arm64")));
        let shifted = ARM64.replace("offset 0", "offset 4");
        assert!(!matches(&shifted, &header("arm64")));
        for broken in [
            "",
            "enabled",
            "enabled\noffset 0\nmagic zz\n",
            "enabled\noffset 0\nmagic 7f\nmask ffff\n",
        ] {
            assert!(!matches(broken, &header("arm64")), "{broken}");
        }
        let s390x = "enabled\ninterpreter x\nflags: \noffset 0\n\
            magic 7f454c4602020100000000000000000000020016\n\
            mask ffffffffffffff00fffffffffffffffffffeffff\n";
        assert!(matches(s390x, &header("s390x")));
    }

    #[test]
    fn kernels_run_their_narrow_programs() {
        let named = |name: &str| machine(name).unwrap();
        assert!(named("amd64").runs(named("i386")));
        assert!(named("x86_64").runs(named("amd64")));
        assert!(!named("amd64").runs(named("arm64")));
        assert!(!named("i386").runs(named("amd64")));
        assert_eq!(machine("m68k"), None);
    }
}
