//! Where hooks run, the virtual machine for it, the engine that they get. None
//! of this is for hooks to see, so `-c` does not clear it.

use std::ffi::OsStr;

use super::HostFacts;
use crate::request::environment::Environment;
use crate::request::error::Error;
use crate::request::generation::{ElementGeneration, Generation};
use crate::request::options::OptionId;
use crate::request::raw::RawRequest;
use crate::request::resolved::{ApplianceChoice, MachineOptions};
use crate::request::variables;

/// Memory of a machine for which the user asked nothing else, MiB.
const DEFAULT_MEMORY: u64 = 2048;
/// The kernel and its initramfs do not start with less, MiB.
const LEAST_MEMORY: u64 = 192;

const CHOICE: &str = "--appliance (DIB_APPLIANCE)";

/// What is said of the appliance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) choice: ApplianceChoice,
    /// KVM is forbidden.
    force_tcg: bool,
    /// The machine's network is qemu's own.
    user_net: bool,
}

/// The choice, with what may follow `microvm`.
pub(super) fn appliance(raw: &RawRequest, environment: &Environment) -> Result<Wanted, Error> {
    let value = raw
        .last(OptionId::Appliance)
        .or_else(|| environment.filled(variables::DIB_APPLIANCE.name));
    let Some(value) = value.map(OsStr::to_string_lossy) else {
        return Ok(Wanted::default());
    };
    wanted(&value).ok_or_else(|| Error::BadValue {
        what: CHOICE,
        value: value.into_owned(),
        why: "no such appliance",
        hint: "give auto, namespace or microvm, the last also with ,tcg or ,user-net behind it",
    })
}

fn wanted(value: &str) -> Option<Wanted> {
    let mut words = value.split(',');
    let mut wanted = Wanted {
        choice: match words.next()? {
            "auto" => ApplianceChoice::Auto,
            "namespace" => ApplianceChoice::Namespace,
            "microvm" => ApplianceChoice::Microvm,
            _ => return None,
        },
        ..Wanted::default()
    };
    for word in words {
        let flag = match word {
            "tcg" => &mut wanted.force_tcg,
            "user-net" => &mut wanted.user_net,
            _ => return None,
        };
        // Twice is a mistake, and so is either without a machine.
        if *flag || wanted.choice != ApplianceChoice::Microvm {
            return None;
        }
        *flag = true;
    }
    Some(wanted)
}

/// The generation that is asked for, whatever the elements look like.
pub(super) fn generation(
    raw: &RawRequest,
    environment: &Environment,
) -> Result<Option<ElementGeneration>, Error> {
    let option = raw.last(OptionId::Generation);
    let Some(value) = option.or_else(|| environment.filled(variables::DIB_GENERATION.name)) else {
        return Ok(None);
    };
    let value = value.to_string_lossy();
    match Generation::named(&value) {
        Some(generation) => Ok(Some(ElementGeneration {
            generation,
            why: match option {
                Some(_) => "--generation says so".into(),
                None => "DIB_GENERATION says so".into(),
            },
        })),
        None => Err(Error::BadValue {
            what: "--generation (DIB_GENERATION)",
            value: value.into_owned(),
            why: "no such generation of diskimage-builder",
            hint: "give 0, 1, 2 or 3, for elements of 0.1.x, 1.x, 2.x or 3.x",
        }),
    }
}

/// Everything else about the machine.
pub(super) fn options(
    raw: &RawRequest,
    environment: &Environment,
    host: &HostFacts,
) -> Result<MachineOptions, Error> {
    let settings = environment.filled(variables::LIBGUESTFS_BACKEND_SETTINGS.name);
    let setting_forces = settings.is_some_and(|value| {
        let value = value.to_string_lossy();
        value
            .split(':')
            .any(|setting| matches!(setting, "force_tcg" | "force_tcg=1"))
    });
    let wanted = appliance(raw, environment)?;
    let force_tcg = if wanted.force_tcg {
        Some(CHOICE)
    } else {
        setting_forces.then_some(variables::LIBGUESTFS_BACKEND_SETTINGS.name)
    };
    let memory = number(raw, OptionId::Memsize, "--memsize", LEAST_MEMORY)?;
    let processors = number(raw, OptionId::Smp, "--smp", 1)?;
    let packages = environment.filled(variables::DIB_APPLIANCE_PACKAGES.name);
    Ok(MachineOptions {
        force_tcg,
        user_net: wanted.user_net,
        memory_mib: memory.map_or(DEFAULT_MEMORY, u64::from),
        processors,
        packages: packages.map(packages_of).unwrap_or_default(),
        supermin_d: environment
            .filled(variables::DIB_APPLIANCE_SUPERMIN_D.name)
            .map(|path| host.absolute(path)),
        cache: None,
        hypervisor: None,
    })
}

/// Whether hooks may reach the cloud's metadata service.
pub(super) fn metadata_service(raw: &RawRequest) -> Result<bool, Error> {
    if raw.has(OptionId::MetadataService) && raw.has(OptionId::NoNetwork) {
        return Err(Error::BadValue {
            what: "--metadata-service",
            value: "--no-network".to_owned(),
            why: "no service can be reached without a network",
            hint: "leave out one of the two",
        });
    }
    Ok(raw.has(OptionId::MetadataService))
}

fn packages_of(list: &OsStr) -> Vec<String> {
    list.to_string_lossy()
        .split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn number(
    raw: &RawRequest,
    id: OptionId,
    what: &'static str,
    least: u64,
) -> Result<Option<u32>, Error> {
    let Some(value) = raw.last(id).map(OsStr::to_string_lossy) else {
        return Ok(None);
    };
    let bad = |why, hint| Error::BadValue {
        what,
        value: value.clone().into_owned(),
        why,
        hint,
    };
    match value.parse::<u32>() {
        Ok(number) if u64::from(number) >= least => Ok(Some(number)),
        Ok(_) if id == OptionId::Memsize => Err(bad(
            "too little for a kernel to start",
            "give 192 MiB or more; hooks rarely get by with less than 1024",
        )),
        _ => Err(bad("not a number above 0", "give a plain decimal number")),
    }
}
