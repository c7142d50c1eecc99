//! UEFI firmware by the descriptors that its packages install (qemu's
//! docs/interop/firmware.json).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Arch, Error};

/// A file that the machine has as flash memory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Flash {
    pub(super) filename: PathBuf,
    pub(super) format: String,
}

/// A firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Uefi {
    /// Its code.
    pub(super) code: Flash,
    /// Its variables, of which none is set.
    pub(super) variables: Option<Flash>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Descriptor {
    interface_types: Vec<String>,
    mapping: Mapping,
    targets: Vec<Target>,
    #[serde(default)]
    features: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mapping {
    device: String,
    executable: Option<Flash>,
    nvram_template: Option<Flash>,
}

#[derive(Debug, Deserialize)]
struct Target {
    architecture: String,
    machines: Vec<String>,
}

/// Features with which an ordinary image does not boot: keys that its loader has to
/// be signed with, and a mode that the machine is not started with.
const UNFIT: [&str; 2] = ["enrolled-keys", "requires-smm"];

/// The firmware that comes first.
///
/// # Errors
/// [`Error::NoFirmware`].
pub(super) fn find(arch: Arch) -> Result<Uefi, Error> {
    let directories = directories();
    find_in(&directories, arch).ok_or_else(|| Error::NoFirmware {
        arch,
        searched: directories
            .iter()
            .map(|directory| directory.display().to_string())
            .collect::<Vec<_>>()
            .join(", "),
    })
}

/// The one that wins first.
fn directories() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let own = variable("XDG_CONFIG_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".config")))
        .filter(|path| path.is_absolute());
    let system = ["/etc", "/usr/share"].map(PathBuf::from);
    own.into_iter()
        .chain(system)
        .map(|place| place.join("qemu/firmware"))
        .collect()
}

/// Descriptors count in the order of their names; one hides those of its name in
/// later directories, an empty one only that.
fn find_in(directories: &[PathBuf], arch: Arch) -> Option<Uefi> {
    let mut descriptors: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for directory in directories {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|name| name == "json") {
                descriptors.entry(entry.file_name()).or_insert(path);
            }
        }
    }
    descriptors.values().find_map(|path| fitting(path, arch))
}

fn fitting(path: &Path, arch: Arch) -> Option<Uefi> {
    let text = std::fs::read_to_string(path).ok()?;
    let descriptor: Descriptor = serde_json::from_str(&text).ok()?;
    let machine = match arch {
        Arch::X86_64 => "pc-q35-",
        Arch::Aarch64 => "virt-",
    };
    let is_of = |target: &Target| {
        let mut machines = target.machines.iter();
        target.architecture == arch.name() && machines.any(|name| name.starts_with(machine))
    };
    let fits = descriptor.interface_types.iter().any(|kind| kind == "uefi")
        && descriptor.mapping.device == "flash"
        && descriptor.targets.iter().any(is_of)
        && !descriptor
            .features
            .iter()
            .any(|name| UNFIT.contains(&&**name));
    let Mapping {
        executable,
        nvram_template,
        ..
    } = descriptor.mapping;
    let code = executable.filter(|_| fits)?;
    let there = |flash: &Flash| flash.filename.is_file();
    (there(&code) && nvram_template.as_ref().is_none_or(there)).then_some(Uefi {
        code,
        variables: nvram_template,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(code: &Path, features: &str, machines: &str, arch: &str) -> String {
        let code = code.display();
        format!(
            r#"{{"description": "x", "interface-types": ["uefi"], "tags": [],
                "mapping": {{"device": "flash", "mode": "split",
                    "executable": {{"filename": "{code}", "format": "qcow2"}},
                    "nvram-template": {{"filename": "{code}", "format": "raw"}}}},
                "targets": [{{"architecture": "{arch}", "machines": ["{machines}"]}}],
                "features": [{features}]}}"#
        )
    }

    #[test]
    fn the_first_that_fits_is_taken() {
        let top = tempfile::tempdir().unwrap();
        let (own, system) = (top.path().join("own"), top.path().join("system"));
        for directory in [&own, &system] {
            std::fs::create_dir(directory).unwrap();
        }
        let file = |name: &str| {
            let path = top.path().join(name);
            std::fs::write(&path, "").unwrap();
            path
        };
        let put = |directory: &Path, name: &str, text: &str| {
            std::fs::write(directory.join(name), text).unwrap();
        };
        let all = [own.clone(), system.clone()];
        assert_eq!(find_in(&all, Arch::X86_64), None);
        let x86 = |code: &Path, features: &str| descriptor(code, features, "pc-q35-*", "x86_64");
        put(
            &system,
            "10-keys.json",
            &x86(&file("a"), "\"enrolled-keys\""),
        );
        put(&system, "20-smm.json", &x86(&file("b"), "\"requires-smm\""));
        put(&system, "30-gone.json", &x86(Path::new("/nonexistent"), ""));
        put(
            &system,
            "31-other.json",
            &descriptor(&file("c"), "", "virt-*", "aarch64"),
        );
        put(&system, "32-bad.json", "{");
        put(&system, "40-good.json", &x86(&file("d"), "\"acpi-s3\""));
        put(&system, "50-later.json", &x86(&file("e"), ""));
        let name = |arch| find_in(&all, arch).map(|found| found.code.filename);
        assert_eq!(name(Arch::X86_64), Some(top.path().join("d")));
        assert_eq!(name(Arch::Aarch64), Some(top.path().join("c")));
        // An empty one hides it.
        put(&own, "40-good.json", "");
        assert_eq!(name(Arch::X86_64), Some(top.path().join("e")));
        put(&own, "45-own.json", &x86(&file("f"), ""));
        assert_eq!(name(Arch::X86_64), Some(top.path().join("f")));
    }
}
